/* orders.h - what the files about orders share: lists, lines, customers, events. */
#ifndef ORDERS_H
#define ORDERS_H

#include "call.h"
#include "list.h"

extern const struct list_sort order_sorts[LIST_SORTS]; /* created_at, updated_at, grand_total */

/* Locks an order that is to change, until the transaction ends. rows: ORDER_LOCK's. -1: there is none
 * (orders_status.c).
 */
int order_lock(struct call *call, int64_t order_id, struct rows *rows) must_check;

/* ---- lines (order_lines.c) ---- */

struct order_line {
    int64_t product_id, sku_id; /* 0 outside the catalogue */
    const char *name, *image, *sku;
    int64_t price; /* of one piece, in paisa */
    int64_t quantity;
};

struct order_lines {
    struct order_line *lines; /* in the arena */
    unsigned count;
    int64_t sub_total;
};

/* Reads `items` of a request's body. Variants are locked in the order of their ids until the transaction ends, and
 * looked up in the catalogue; what an order already holds (order_id, or 0) counts as in stock. -1: not found, not
 * enough, too much. */
int order_lines_read(struct order_lines *self, struct call *call, struct in items, int64_t order_id) must_check;

/* As ORDER_INSERT and ITEMS_INSERT take them. */
struct str order_lines_json(const struct order_lines *self, struct arena *arena);

/* sub_total + tax + shipping - discount; -1 when it would be negative or beyond what an order can hold. */
int order_total(struct call *call, int64_t sub_total, int64_t tax, int64_t shipping, int64_t discount,
                int64_t *total) must_check;

/* Posts what gives an order's stock back; it comes into effect with the next statement. */
int order_stock_return(struct call *call, int64_t order_id, int64_t now_us) must_check;

/* ---- customers (customers.c) ---- */

/* The customer of a new order: body.customer_id, or body.customer looked up and made when there is none; 0 for a guest.
 */
int order_customer(struct call *call, int64_t now_us, int64_t *user_id) must_check;

/* ---- events (order_events.c) ---- */

/* Writes an event about the order in rows' first row, which has the columns of ORDER_EVENT_COLUMNS. previous_status and
 * changes (a JSON object) are left out where they are NULL. */
int order_event(struct call *call, const char *topic, const struct rows *rows, const char *previous_status,
                struct str changes) must_check;

#endif
