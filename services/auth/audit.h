/* audit.h - who did what to whom (contract K.6), written in the transaction of the deed. */
#ifndef AUDIT_H
#define AUDIT_H

#include "call.h"

/* Inside a transaction, whose commit fails if this did. action as in "app.secret_rotated"; target is the kind of thing
 * target_id is. store_id and app_id are 0 where they do not apply. Never put a secret into any of them. */
int audit_put(struct call *call, const char *action, const char *target, int64_t target_id, int64_t store_id,
              int64_t app_id) must_check;

/* The same, with why: the words of whoever did it, NULL for none. */
int audit_put_why(struct call *call, const char *action, const char *target, int64_t target_id, int64_t store_id,
                  int64_t app_id, const char *reason) must_check;

/* The same for a deed of somebody who was not signed in when the request came: they have just shown who they are. */
int audit_put_by(struct call *call, int64_t account_id, const char *action, const char *target, int64_t target_id,
                 int64_t store_id, int64_t app_id) must_check;

#endif
