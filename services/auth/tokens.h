/* tokens.h - access and refresh tokens of installations (contract B and K.2). The one place where they are made.
 *
 * Whoever makes one holds the installation's row, so that nobody ends the installation's tokens meanwhile. Texts live
 * in the call's arena and leave the platform once; only their hashes are stored, in the open transaction, whose commit
 * fails if they cannot be.
 */
#ifndef TOKENS_H
#define TOKENS_H

#include "call.h"

#define ACCESS_TOKEN_S  86400 /* 24 hours */
#define REFRESH_TOKEN_S (30 * 86400)

struct token {
    char *text;
    int64_t lifetime_s, expires_us;
};

struct token_pair {
    struct token access, refresh;
    int64_t refresh_id;
    int64_t made_us;
};

/* An access token by itself, for so long. */
int token_insert(struct call *call, int64_t installation_id, int64_t generation, int64_t lifetime_s,
                 struct token *token) must_check;

/* An access token and the refresh token that belongs to it, for the lifetimes above. */
int token_pair_insert(struct call *call, int64_t installation_id, int64_t generation,
                      struct token_pair *pair) must_check;

/* What every answer to an app says of its access token: three members as RFC 6749 has them (access_token, token_type,
 * expires_in), and two of the platform's own (expires_at, scopes). granted is what is stored, with spaces. */
void token_write(struct out *out, const struct token *access);
void token_write_terms(struct out *out, const struct token *access, const char *granted);

/* Ends what a row of OAUTH_TOKEN_FIND stands for, and commits: an access token alone; with a refresh token all that was
 * given with it (RFC 7009, 2.1). The transaction is open. When it has returned 0 no gateway accepts any of it. */
int token_revoke(struct call *call, const struct rows *token) must_check;

/* Answers an operator with a pair; the row is one of INSTALLATION_INSTALL or INSTALLATION_FOR_TOKENS. */
int token_pair_reply(struct call *call, const struct rows *installation, const struct token_pair *pair) must_check;

#endif
