/* session_tokens.h - session tokens of embedded apps (contract B, C.2): short JWTs that say to an app's own backend,
 * and to this platform, on which store its page is open.
 *
 * Claims: iss "selorax", aud the app's client id, sub the store id (as text), sid the installation, app_id, gen the
 * install's generation, uid the account it was made for, key the number of the app's signing key, iat, exp, jti. uid
 * and key may be missing where the app has signed for itself. Signed with HS256 and the app's session signing key, or
 * with ES256 and the platform's key pair (session_keys.h), as the app has chosen.
 */
#ifndef SESSION_TOKENS_H
#define SESSION_TOKENS_H

#include "call.h"
#include "jwt.h"

#define SESSION_TOKEN_S 600 /* contract B */

enum session_token_verdict {
    SESSION_TOKEN_GOOD,
    SESSION_TOKEN_BAD,   /* forged, expired, of another install, of a key or an app that is no more: invalid_token */
    SESSION_TOKEN_FAILED /* an error has been recorded: auth_error, or the database's */
};

/* With GOOD, rows holds one row of IDENTIFY_APP_SESSION, true as of its column v; whether the store is active
 * (store_active) is the caller's to ask. */
enum session_token_verdict session_token_check(struct call *call, const struct jwt *jwt, struct rows *rows) must_check;

#endif
