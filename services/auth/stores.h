/* stores.h - a new store: its row here, its profile in store-data (contract K.2).
 *
 * store-data stands above auth, so no handler of auth may wait for it (protocols 4): the store's row and the order to
 * make its profile are one commit here, and an actor carries the order out, as often as it takes.
 */
#ifndef STORES_H
#define STORES_H

#include "actor.h"

struct store_profile {
    const char *name;
    const char *email, *phone, *address, *domain; /* NULL: none */
    const char *language;                         /* NULL: bn */
};

/* In the open transaction: the store, its audit row, and the order to make its profile. store gets the row {store_id,
 * owner_account_id, name, status, created_at}. */
int store_make(struct call *call, int64_t owner_account_id, const struct store_profile *profile,
               struct rows *store) must_check;

/* After the commit: have the profile made now. Without effect when nothing waits. */
void store_setup_wake(void);

extern const struct actor_plan store_setup_plan;

#endif
