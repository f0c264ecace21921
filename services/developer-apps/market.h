/* market.h - what is kept here of auth's part of apps, so that they can be found by it. auth tells of each change a
 * moment later (its app_tell.c); what a request has changed is looked up by the request, so that it shows at once.
 */
#ifndef MARKET_H
#define MARKET_H

#include "call.h"

/* Asks auth about an app and keeps what it says. -1 with the error recorded. */
int market_learn(struct call *call, int64_t app_id) must_check;

/* The same where nothing depends on it: auth will tell. */
void market_refresh(struct call *call, int64_t app_id);

#endif
