/* store_access.h - may this person do this to this store? (contract K.2: members, store states)
 *
 * Read from the tables at each request and never cached: a permission that was taken away, or a store that was
 * suspended, counts from the next request on.
 */
#ifndef STORE_ACCESS_H
#define STORE_ACCESS_H

#include "call.h"

enum store_use {
    STORE_READ,  /* also of a frozen store */
    STORE_CHANGE /* of an active store only */
};

#define PERMISSION_OWNER       "owner"       /* stands for no permission that could be given */
#define PERMISSION_CREDENTIALS "credentials" /* stands for one of the two below */
#define INSTALL_PERMISSION     "apps__install_apps"
#define MANAGE_PERMISSION      "apps__manage_apps"
#define PERMISSIONS_MAX        64 /* items that a request may list */

/* 0 when the calling merchant (call->caller.account_id) owns the store, or is a member who holds `permission` (as
 * "apps__install_apps"; NULL: any member; PERMISSION_CREDENTIALS: one that lets them have an app's credentials already;
 * PERMISSION_OWNER: the owner alone), and the store's state allows it. Else -1:
 * not_found for a store that does not exist or has nothing to do with the caller, forbidden without the permission,
 * store_inactive when it is suspended, or frozen and to be changed.
 * Inside a transaction the membership stays as it is until that ends: whoever takes it away waits, and then finds all
 * that was made by its right. So what makes a credential asks in the transaction that makes it.
 * An operation that uses it lists forbidden and store_inactive in x-errors, and not_found if its path has no id. */
int store_allow(struct call *call, int64_t store_id, const char *permission, enum store_use use) must_check;

/* The permissions listed at path ("body.permissions"), in one order, spaces between, each once; NULL after call_fail
 * has named the item that is none. */
const char *permissions_of_request(struct call *call, const char *path, const char *field) must_check;

/* Whether a permissions text names this one; it knows PERMISSION_CREDENTIALS too. */
bool permissions_hold(const char *permissions, const char *name);

/* A permissions text as a list. */
void out_permissions(struct out *out, const char *permissions);

/* All of them, as the owner has them. */
const char *permissions_of_owner(void);

#endif
