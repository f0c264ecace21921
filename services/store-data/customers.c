/* customers.c - who an order is for: found by phone or e-mail, or made. */
#include <string.h>

#include "customers.h"
#include "orders.h"
#include "outbox.h"
#include "statements.h"

static int
created_event(struct call *call, const struct rows *rows)
{
    return outbox_put(call, "customer.created", call->caller.store_id, "customer", rows_int(rows, 0, "user_id"),
                      changes_of_row(rows, 0, (struct str){NULL, 0}, call->arena));
}

static int
found(struct call *call, const struct rows *rows, const char *name, int64_t now_us, int64_t *user_id)
{
    struct changes changes;
    struct rows renamed;

    *user_id = rows_int(rows, 0, "user_id");
    if (strcmp(rows_text(rows, 0, "name"), name) == 0)
        return 0;
    if (db_run(call, CUSTOMER_RENAME, &renamed, "llst", call->caller.store_id, *user_id, name, now_us))
        return -1;
    if (renamed.count == 0)
        return 0;
    changes_begin(&changes);
    changes_text(&changes, "name", rows_text(&renamed, 0, "_old_name"), name);
    return customer_updated(call, &renamed, &changes);
}

/* Two orders may bring the same new customer at once: the second insert waits for the first transaction and then does
 * nothing, and the next look-up, a statement of its own, sees what the first has made. */
static int
find_or_make(struct call *call, struct in customer, int64_t now_us, int64_t *user_id)
{
    const char *name = in_text(customer, "name"), *email = in_text(customer, "email"),
               *phone = phone_normal(in_text(customer, "phone"), call->arena);
    int64_t store_id = call->caller.store_id;
    struct rows rows;

    for (unsigned attempt = 0; attempt < 3; attempt++) {
        if (phone || email) {
            if (db_run(call, CUSTOMER_FIND, &rows, "lss", store_id, phone, email))
                return -1;
            if (rows.count > 0)
                return found(call, &rows, name, now_us, user_id);
        }
        if (db_run(call, CUSTOMER_INSERT, &rows, "lssst", store_id, name, phone, email, now_us))
            return -1;
        if (rows.count > 0) {
            *user_id = rows_int(&rows, 0, "user_id");
            return created_event(call, &rows);
        }
    }
    return call_fail(call, FAIL_CONFLICT, "customer",
                     "is being made by other requests at this moment; send the order again");
}

int
order_customer(struct call *call, struct in body, int64_t now_us, int64_t *user_id)
{
    struct rows rows;

    *user_id = in_int(body, "customer_id", 0);
    if (*user_id) {
        if (db_run(call, CUSTOMER_EXISTS, &rows, "ll", call->caller.store_id, *user_id))
            return -1;
        if (rows.count == 0)
            return call_fail(call, FAIL_NOT_FOUND, "customer_id", "No such customer in this store");
        return 0;
    }
    if (in_has(body, "customer"))
        return find_or_make(call, in_at(body, "customer"), now_us, user_id);
    return 0;
}
