/* sessions.h - what a signed-in person carries: one session, its access token and its refresh token (contract B, K.2).
 *
 * A session is a family of refresh tokens: each renews it once and is spent then. A merchant's access token is opaque
 * and stored as a hash; a developer's is a JWT {aud: "developer", sub: account, sid: session} under the key derived for
 * DEVELOPER_KEY_LABEL: its signature says who, the session's row says whether it still counts.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include "call.h"
#include "secret.h"

#define MERCHANT_TOKEN_PREFIX    "sx_ms_"
#define BROWSER_TOKEN_PREFIX     "sx_bs_"
#define MERCHANT_REFRESH_PREFIX  "sx_mr_"
#define DEVELOPER_REFRESH_PREFIX "sx_dr_"
#define MERCHANT_SESSION_S       86400
#define DEVELOPER_SESSION_S      3600 /* contract B */
#define REFRESH_SESSION_S        (30 * 86400)

#define DEVELOPER_KEY_LABEL "developer-jwt"
#define DEVELOPER_AUDIENCE  "developer"

/* What leaves the platform once; the texts live in the call's arena. */
struct session {
    int64_t id;
    int64_t account_id;
    int64_t now_us;
    int64_t refresh_expires_us;
    const char *access_token;
    const char *refresh_token;
    uint8_t access_hash[SHA256_SIZE]; /* merchants only */
    uint8_t refresh_hash[SHA256_SIZE];
};

/* A new session of the account, with its audit row, in the open transaction. audience is AUDIENCE_MERCHANT or
 * AUDIENCE_DEVELOPER. -1 with forbidden recorded when the account is disabled; what else it may not have is for the
 * caller to know. */
int session_open(struct call *call, int64_t account_id, enum audience audience, struct session *self) must_check;

/* A merchant's, for the cookie of the consent page: its token opens nothing else, and no other token opens the page. */
int session_open_browser(struct call *call, int64_t account_id, struct session *self) must_check;

/* Fresh tokens for self->id and self->account_id; stores nothing. */
void session_make_tokens(struct call *call, enum audience audience, struct session *self);

/* The answers to a sign-in. account is a row of ACCOUNT_SHOW or ACCOUNT_FOR_LOGIN; store, unless NULL, becomes the
 * member `store`: its first row, or null when it has none. */
int session_reply_merchant(struct call *call, int http_status, const struct session *self, const struct rows *account,
                           const struct rows *store) must_check;

/* HTTP says 201 while the body says body_status (contract A.6 row 99: 200). */
int session_reply_developer(struct call *call, int body_status, const struct session *self,
                            const char *message) must_check;

#endif
