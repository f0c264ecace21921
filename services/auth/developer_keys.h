/* developer_keys.h - the key that signs developers' access tokens, and its end (contract B; master_key.h).
 *
 * The key is derived from the platform's master key and exchanged with it. Tokens of the old key are refused from the
 * moment the new one signs; what the gateways have found out before is forgotten with auth.developer_keys.forget.
 */
#ifndef DEVELOPER_KEYS_H
#define DEVELOPER_KEYS_H

#include "jwt.h"

/* On every identity that such a token has proved (protocols 5). */
#define DEVELOPER_KEYS_TAG    "developer_keys"
#define DEVELOPER_KEYS_TAG_ID 1

bool developer_keys_match(const struct jwt *jwt);

#endif
