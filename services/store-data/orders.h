/* orders.h - what the files about orders share: lists, lines, customers, events. */
#ifndef ORDERS_H
#define ORDERS_H

#include "call.h"
#include "list.h"

extern const struct list_sort order_sorts[LIST_SORTS]; /* created_at, updated_at, grand_total */

/* Whether the metafields of a page of orders leave room for the answer; -1 and the advice to ask for fewer orders when
 * they do not (orders_read.c). */
int order_metafields_fit(struct call *call, const struct rows *rows) must_check;

/* Places the order that body describes (OrderCreate, validated), inside the caller's transaction: customer, stock,
 * discount code, number and events. order: one row, as ORDER_INSERT answers it. -1: it failed, and the transaction is
 * to be rolled back to where it was before (orders_create.c). */
int order_place(struct call *call, struct in body, struct rows *order) must_check;

/* Locks an order that is to change, until the transaction ends, and compares If-Match. rows: ORDER_LOCK's. -1: there is
 * none, or If-Match names another state (orders_status.c). */
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
    int64_t order_id; /* of the order to come; 0 without lines of the catalogue */
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

/* ---- discounts (order_discount.c) ---- */

struct order_discount {
    const char *code; /* as it is kept; NULL without one */
    int64_t discount_id, user_id;
    const char *phone, *email; /* by which the buyer is known again, as a customer or not */
    bool free_shipping;
    int64_t total;   /* off the order in all, in paisa */
    int64_t by_code; /* the code's part of it */
};

/* What an order is worth before anything is taken off, in paisa. */
struct order_amounts {
    int64_t sub_total, tax, shipping;
};

/* body.discount_code, if there is one, with body.discount. The code is locked until the transaction ends. With free
 * shipping amounts->shipping becomes 0. -1: invalid_discount, with its reason. */
int order_discount_apply(struct order_discount *self, struct call *call, struct in body, int64_t user_id,
                         struct order_amounts *amounts, int64_t now_us) must_check;

/* Posts the use of the code by an order that was inserted; nothing without a code. */
int order_discount_use(const struct order_discount *self, struct call *call, int64_t order_id,
                       int64_t now_us) must_check;

/* The discount of an order whose items are replaced, by the code's terms. before: ORDER_LOCK's row. */
int order_discount_again(struct order_discount *self, struct call *call, const struct rows *before,
                         int64_t sub_total) must_check;

/* ---- customers (customers.c) ---- */

/* The customer of a new order (body: OrderCreate): body.customer_id, or body.customer looked up and made when there is
 * none; 0 for a guest. */
int order_customer(struct call *call, struct in body, int64_t now_us, int64_t *user_id) must_check;

/* ---- events (order_events.c) ---- */

/* Writes an event about the order in rows' first row, which has the columns of ORDER_EVENT_COLUMNS. previous_status and
 * changed (a JSON object, changes.h) are left out where they are NULL. */
int order_event(struct call *call, const char *topic, const struct rows *rows, const char *previous_status,
                struct str changed) must_check;

#endif
