/* credentials.h - exchanging the credentials of an app, for whoever has found out that the caller may. */
#ifndef CREDENTIALS_H
#define CREDENTIALS_H

#include "call.h"

/* In the open transaction, which it commits: a new client secret, and the answer with it. The one before is refused by
 * every gateway once this has answered, or after body.overlap_hours, when those are given (contract B and issue 3; a
 * third one is dead in any case). not_found when the app is gone. */
int credentials_exchange_secret(struct call *call, int64_t app_id) must_check;

#endif
