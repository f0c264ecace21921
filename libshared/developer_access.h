/* developer_access.h - whether a developer may do to an app what they ask for. auth has it (services/auth/app_access.h)
 * and is asked with each request, so that what was given or taken away counts from the next one on.
 */
#ifndef DEVELOPER_ACCESS_H
#define DEVELOPER_ACCESS_H

#include "call.h"

/* 0 when the caller has this role in the app or a higher one, with {app_id, role, requested_scopes} in the arena; -1
 * with forbidden recorded, app_not_found for who has none, or what else call_service says. No transaction may be open.
 */
int developer_access(struct call *call, int64_t app_id, const char *role, struct in *reply) must_check;

#endif
