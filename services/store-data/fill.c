/* fill.c - data to look at and to measure with: a catalogue, customers and orders as a shop in Bangladesh has them.
 *
 * Only under SX_DEV=1. A call adds at most 2,000 orders, so that whoever fills a store can show how far it is. Loaded
 * orders are history: they have no events and take no stock.
 */
#include <string.h>

#include "clock.h"
#include "config.h"
#include "statements.h"
#include "store_data_operations.h"

#define DEMO_CUSTOMERS  120
#define BENCH_CUSTOMERS 1000
#define BENCH_COPIES    5      /* of the catalogue */
#define BENCH_STOCK     100000 /* of each variant: orders are placed under load */
#define STEP            250    /* orders of one statement: far below STATEMENT_WAIT_MS, also on a busy machine */

/* The first call makes what orders are made of. */
static int
fill_catalogue(struct call *call, int64_t store_id, bool bench, int64_t now_us)
{
    struct rows rows;

    if (db_run(call, FILL_COUNTS, &rows, "l", store_id))
        return -1;
    if (rows_int(&rows, 0, "products") == 0 &&
        db_post(call, FILL_PRODUCTS, "lllt", store_id, (int64_t)(bench ? BENCH_COPIES : 1),
                (int64_t)(bench ? BENCH_STOCK : 0), now_us))
        return -1;
    if (rows_int(&rows, 0, "customers") == 0 &&
        db_post(call, FILL_CUSTOMERS, "llt", store_id, (int64_t)(bench ? BENCH_CUSTOMERS : DEMO_CUSTOMERS), now_us))
        return -1;
    return 0;
}

static int
fill_orders(struct call *call, int64_t store_id, bool bench, int64_t now_us)
{
    int64_t left = in_int(call->in, "body.orders", 0), days = in_int(call->in, "body.days", 180);
    struct rows rows;

    for (; left > 0; left -= STEP)
        if (db_run(call, FILL_ORDERS, &rows, "llltb", store_id, left < STEP ? left : (int64_t)STEP, days, now_us,
                   (int)!bench))
            return -1;
    return db_run(call, FILL_LOOK_AGAIN, &rows, "");
}

int
stores_fill(struct call *call)
{
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    bool bench = strcmp(in_text(call->in, "body.kind"), "bench") == 0;
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (!config.dev)
        return call_fail(call, FAIL_FORBIDDEN, NULL, "Data can be loaded only under SX_DEV=1");
    if (db_begin(call) || db_run(call, STORE_LOCK, &rows, "l", store_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "store_id", "No such store; make it with store-data.stores.create");
    if (fill_catalogue(call, store_id, bench, now_us) || fill_orders(call, store_id, bench, now_us) ||
        db_run(call, FILL_COUNTS, &rows, "l", store_id) || db_commit(call))
        return -1;
    call_data(call);
    out_map(&call->out, 4);
    out_key(&call->out, "store_id");
    out_int(&call->out, store_id);
    out_key(&call->out, "products");
    out_int(&call->out, rows_int(&rows, 0, "products"));
    out_key(&call->out, "customers");
    out_int(&call->out, rows_int(&rows, 0, "customers"));
    out_key(&call->out, "orders");
    out_int(&call->out, rows_int(&rows, 0, "orders"));
    return call_reply(call, 200);
}
