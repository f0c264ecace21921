/* app_push.h - an app that a merchant installed straight from the dashboard is told so, and told when it ends (contract
 * C.1): POST {webhook_url}/token with store_id, installation_id, access_token and hmac; POST {webhook_url}/revoke with
 * store_id and hmac.
 *
 * Retried as webhooks are (contract D.3): six attempts. Each makes its own access token and its own signature, so no
 * token waits anywhere; the tokens of earlier attempts end when one has arrived. There is one push per installation,
 * the newest: a reinstall takes the place of what an earlier one still had to say.
 */
#ifndef APP_PUSH_H
#define APP_PUSH_H

#include "actor.h"

extern const struct actor_plan app_push_plan;

#endif
