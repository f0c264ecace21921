/* embed.h - the address of an app's page inside the merchant dashboard (contract C.2).
 *
 * The dashboard shows it in an iframe; the app's frontend knows by the hmac that the platform opened it, and by host
 * which origin it may talk to with postMessage.
 */
#ifndef EMBED_H
#define EMBED_H

#include "arena.h"

/* app_url with store_id, host (base64url of origin, without padding), timestamp (now_s) and hmac in its query: hex
 * HMAC-SHA256 with the app's signing key over all the other parameters, decoded, sorted by name, as name=value with &
 * between. Parameters that app_url has of its own are kept and signed too, unless they bear one of our four names; its
 * fragment stays at the end. The answer lives in the arena. */
char *embed_url(struct arena *arena, const char *app_url, const void *key, size_t key_size, int64_t store_id,
                const char *origin, int64_t now_s);

#endif
