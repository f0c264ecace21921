/* session_keys.h - the platform's key pairs for ES256 session tokens, and the set of their public halves that apps
 * check with (RFC 7517, GET /.well-known/jwks.json).
 */
#ifndef SESSION_KEYS_H
#define SESSION_KEYS_H

#include "call.h"

/* Its invalidation tag is session_keys:1: every ES256 identity rests on it. */
#define SESSION_KEYS_TAG    "session_keys"
#define SESSION_KEYS_TAG_ID 1

#define SESSION_KEY_LABEL  "session-token-key"
#define SESSION_KEY_LEAD_S 900 /* published before it signs: readers keep the set for five minutes, some for ten */

/* Makes the first key when there is none; in the open transaction. */
int session_key_ensure(struct call *call) must_check;

/* The token of payload (JSON text) by the key that signs now; NULL after call_fail (auth_error when the stored key
 * cannot be used). */
const char *session_key_sign(struct call *call, const char *payload);

#endif
