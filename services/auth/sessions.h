/* sessions.h - what a signed-in person carries. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include "base.h"

#define MERCHANT_TOKEN_PREFIX "sx_ms_"
#define MERCHANT_SESSION_S    86400
#define DEVELOPER_SESSION_S   3600 /* contract B */
#define REFRESH_SESSION_S     (30 * 86400)

/* A developer's access token is a JWT {aud: "developer", sub: account, sid: session} under the key derived for this
 * label: its signature says who, the session's row says whether it still counts. */
#define DEVELOPER_KEY_LABEL "developer-jwt"
#define DEVELOPER_AUDIENCE  "developer"

#endif
