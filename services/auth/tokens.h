/* tokens.h - access and refresh tokens of installations (contract B and K.2). */
#ifndef TOKENS_H
#define TOKENS_H

#include "call.h"

#define ACCESS_TOKEN_S  86400 /* 24 hours */
#define REFRESH_TOKEN_S (30 * 86400)

/* A new pair, as it leaves the platform once; the texts live in the call's arena. */
struct token_pair {
    const char *access_token;
    const char *refresh_token;
    int64_t expires_us;
    int64_t refresh_expires_us;
};

/* Makes a pair and stores its hashes, in the open transaction, whose commit fails if they cannot be stored. */
int token_pair_insert(struct call *call, int64_t installation_id, int64_t generation,
                      struct token_pair *pair) must_check;

/* Ends what a row of OAUTH_TOKEN_FIND stands for, and commits: an access token alone; with a refresh token all that was
 * given with it (RFC 7009, 2.1). The transaction is open. When it has returned 0 no gateway accepts any of it. */
int token_revoke(struct call *call, const struct rows *token) must_check;

/* Answers with a pair; the row is one of INSTALLATION_PUT or INSTALLATION_FOR_TOKENS. */
int token_pair_reply(struct call *call, const struct rows *installation, const struct token_pair *pair) must_check;

#endif
