/* app_push.h - an app that a merchant installed straight from the dashboard is told so, and told when it ends (contract
 * C.1): POST {webhook_url}/token with store_id, installation_id, access_token and hmac; POST {webhook_url}/revoke with
 * store_id and hmac.
 *
 * Retried as webhooks are (contract D.3): six attempts. Each makes its own access token and its own signature, so no
 * token waits anywhere. An attempt that seems lost may have reached the app, and may even be the last that it reads:
 * the tokens of all attempts live until they run out, after a day. They were sent to the app and to nobody else. There
 * is one push per installation, the newest: a reinstall takes the place of what an earlier one still had to say, and
 * waits for an attempt of that to end, so that the app hears both in their order.
 */
#ifndef APP_PUSH_H
#define APP_PUSH_H

#include "actor.h"

extern const struct actor_plan app_push_plan;

#endif
