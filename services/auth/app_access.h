/* app_access.h - who may do what to a developer's app: its owner, and the members who help with it (app_members.c).
 *
 * Each route of an app names the least role that it takes (x-role in the contract). The role is read with each request,
 * so what was given or taken away counts from the next one on, whichever gateway it comes through. A custom app is no
 * developer's but its store's (store_access.h).
 */
#ifndef APP_ACCESS_H
#define APP_ACCESS_H

#include "call.h"

/* The least first. One account has each app and may do everything; a viewer reads everything. */
#define APP_ROLE_VIEWER    "viewer"
#define APP_ROLE_DEVELOPER "developer"
#define APP_ROLE_ADMIN     "admin"
#define APP_ROLE_OWNER     "owner"

/* 0 when the caller has this role in the app or a higher one: {app_id, role, requested_scopes} in the first row. -1
 * with forbidden recorded, or app_not_found for those who have none. In a transaction the role stays what it is until
 * its end, because it holds the app: who is removed meanwhile has done it before, or does not do it. Who is refused has
 * held nothing. */
int app_access(struct call *call, int64_t app_id, const char *role, struct rows *rows) must_check;

/* The same for the routes of merchants, where another's app is not_found like one that there is not. */
int app_access_of_merchant(struct call *call, int64_t app_id, const char *role) must_check;

/* An internal operation that body.account_id asks for: they are the caller then, and need body.role in body.app_id; an
 * owner's when it is not said. Without account_id an operator asks, who may. */
int app_allow(struct call *call) must_check;

#endif
