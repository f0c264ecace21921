/* queries.h - all SQL of store-data: QUERY(NAME, "statement"), prepared at connect.
 *
 * That of orders stands here, that of other topics in queries_TOPIC.h, included at the end.
 *
 * Included twice on purpose: statements.h makes the enum of it, main.c the array. Of a list, the six variants of its
 * sort stand together: three columns, each ascending and then descending; the handlers count on that order.
 */
#include "sql_lists.h"

/* ---- orders: one ------------------------------------------------------------------------------------------------- */

QUERY(ORDER_GET, "select " ORDER_DETAIL " from store_order as o "
                 "where o.store_id = $1 and o.order_id = $2 and o.deleted_at is null")

/* Locks the order for what follows in the transaction. */
QUERY(ORDER_LOCK,
      "select " ORDER_COLUMNS ", o.code_discount, o.held_from, o.shipping_address, o.metadata from store_order as "
      "o where o.store_id = $1 and o.order_id = $2 and o.deleted_at is null for no key update")

/* $1 store, $2 customer, $3 .. $6 sub_total tax shipping discount, $7 payment_method, $8 note, $9 shipping_address,
 * $10 metadata, $11 items, $12 now, $13 the order's id or null, $14 discount_code, $15 its part of the discount. */
QUERY(
    ORDER_INSERT,
    "with serial as (insert into store_serial as s (store_id, last) "
    "values ($1, 1) on conflict (store_id) do update set last = s.last + 1 "
    "returning last), o as (insert into store_order (store_id, order_id, user_id, order_status, financial_status, "
    "fulfillment_status, sub_total, tax, shipping, discount, grand_total, payment_method, note, shipping_address, "
    "metadata, store_serial_order_no, created_at, updated_at, discount_code, code_discount) "
    "select $1, coalesce($13::bigint, nextval('order_id_seq')), $2, 'pending', 'pending', 'unfulfilled', $3, $4, $5, "
    "$6, $3::numeric + $4::numeric + $5::numeric - $6::numeric, $7, $8, $9, $10, serial.last::text, $12::timestamptz, "
    "$12::timestamptz, $14, $15::numeric from serial "
    "returning *), item as (insert into order_item (store_id, order_id, product_id, variant_id, name, price, "
    "quantity, image, sku) select $1, o.order_id, i.product_id, i.variant_id, i.name, i.price, i.quantity, i.image, "
    "i.sku from o, json_to_recordset($11) as i (product_id bigint, variant_id bigint, name text, price numeric, "
    "quantity bigint, "
    "image text, sku text) returning " ORDER_ITEM_COLUMNS "), "
    "history as (insert into order_status_history (store_id, order_id, status, created_at) "
    "select $1, order_id, order_status, created_at from o) "
    "select " ORDER_COLUMNS ", o.shipping_address, o.metadata, o.held_from, "
    "(select json_agg(item order by order_item_id) from item) as items, " ORDER_EVENT_COLUMNS
    " from o" ORDER_EVENT_JOINS)

/* $3 note .. $8 tracking_code, $9 shipping_address, $10 metadata, $11 sub_total, $12 grand_total, $13 now,
 * $14 discount, $15 the code's part of it. */
QUERY(ORDER_UPDATE,
      "with o as (update store_order set note = $3, payment_method = $4, financial_status = $5, courier = $6, "
      "courier_id = $7, tracking_code = $8, shipping_address = $9, metadata = $10, sub_total = $11, grand_total = $12, "
      "updated_at = $13, discount = $14, code_discount = $15 where store_id = $1 and order_id = $2 "
      "returning *) "
      "select " ORDER_DETAIL ", " ORDER_EVENT_COLUMNS " from o" ORDER_EVENT_JOINS)

/* $3 status, $4 held_from, $5 financial_status, $6 fulfillment_status, $7 previous status, $8 note, $9 now. */
QUERY(ORDER_SET_STATUS,
      "with o as (update store_order set order_status = $3, held_from = $4, financial_status = $5, fulfillment_status "
      "= $6, updated_at = $9 where store_id = $1 and order_id = $2 "
      "returning *), history as (insert into order_status_history (store_id, order_id, status, previous_status, note, "
      "created_at) values ($1, $2, $3, $7, $8, $9)) "
      "select " ORDER_DETAIL ", " ORDER_EVENT_COLUMNS " from o" ORDER_EVENT_JOINS)

/* An order that exists has at least the move it was placed with. */
QUERY(ORDER_HISTORY,
      "select * from (select h.history_id as _history_id, h.status, h.previous_status, h.note, h.created_at "
      "from store_order as o join order_status_history as h using (store_id, order_id) "
      "where o.store_id = $1 and o.order_id = $2 and o.deleted_at is null "
      "order by h.history_id desc limit 1000) as h order by _history_id")

QUERY(ORDER_DELETE, "with o as (update store_order set deleted_at = $3, updated_at = $3 "
                    "where store_id = $1 and order_id = $2 "
                    "returning *) "
                    "select " ORDER_COLUMNS ", " ORDER_EVENT_COLUMNS " from o" ORDER_EVENT_JOINS)

/* ---- orders: items and stock ------------------------------------------------------------------------------------- */

/* Locks the variants of the lines in $2 (and those that order $3 holds), always in the order of their ids, so that
 * orders wait for each other but never in a ring. Answers a row per line that was found. `held`: what order $3 has of
 * it; without one, `order_id` is the number of the order to come. */
QUERY(LINES_LOCK,
      "with line as (select l.line, l.product_id, coalesce(l.sku_id, (select s.sku_id from sku as s where s.store_id "
      "= $1 and s.product_id = l.product_id and s.deleted_at is null order by s.is_default desc, s.position, s.sku_id "
      "limit 1)) as sku_id from json_to_recordset($2) as l (line integer, product_id bigint, sku_id bigint)), "
      "old as (select variant_id, sum(quantity)::bigint as quantity from order_item where store_id = $1 and order_id "
      "= $3 and variant_id is not null group by variant_id), "
      "locked as (select s.* from sku as s where s.store_id = $1 and s.sku_id = any (array(select sku_id from line "
      "union select variant_id from old)) order by s.sku_id for no key update) select l.line, s.sku_id, s.product_id, "
      "s.price, s.quantity, s.sku_code, coalesce(old.quantity, 0) as held, "
      "case when $3 = 0 then (select nextval('order_id_seq')) end as order_id, "
      "nullif(split_part(coalesce(s.images, ''), "
      "',', 1), '') as image, p.name || case when s.variant_name in ('', 'Default') then '' else ' - ' || "
      "s.variant_name end as name from locked as s join line as l on l.sku_id = s.sku_id and coalesce(l.product_id, "
      "s.product_id) = s.product_id join product as p on p.store_id = s.store_id and p.product_id = s.product_id "
      "left join old on old.variant_id = s.sku_id where s.deleted_at is null and p.deleted_at is null order by l.line")

QUERY(ITEMS_DELETE, "delete from order_item where store_id = $1 and order_id = $2")

QUERY(ITEMS_INSERT,
      "insert into order_item (store_id, order_id, product_id, variant_id, name, price, quantity, image, sku) "
      "select $1, $2, i.product_id, i.variant_id, i.name, i.price, i.quantity, i.image, i.sku from "
      "json_to_recordset($3) as i (product_id bigint, variant_id bigint, name text, price numeric, quantity bigint, "
      "image text, sku text)")

/* same: the items of $3 are those that order $2 has, in the same order. What else an item keeps of the catalogue
 * (image, sku) follows from these. */
QUERY(ITEMS_SAME,
      "select (select array_agg(row(product_id, variant_id, name, price, quantity)::text order by order_item_id) from "
      "order_item where store_id = $1 and order_id = $2) is not distinct from (select array_agg(row(i.product_id, "
      "i.variant_id, i.name, i.price::numeric(14,2), i.quantity)::text order by i.n) from rows from "
      "(json_to_recordset($3) as (product_id bigint, variant_id bigint, name text, price numeric, quantity bigint)) "
      "with ordinality as i (product_id, variant_id, name, price, quantity, n)) as same")

QUERY(ITEMS_OF_ORDER, "select " ORDER_ITEMS " from (values ($1::bigint, $2::bigint)) as o (store_id, order_id)")

/* ---- orders: lists ----------------------------------------------------------------------------------------------- */

#define ORDERS_AFTER_SORTS(name, where)                                                                                \
    QUERY(name##_CREATED_ASC, ORDERS_AFTER(where, "created_at", "timestamptz", ">", "asc"))                            \
    QUERY(name##_CREATED_DESC, ORDERS_AFTER(where, "created_at", "timestamptz", "<", "desc"))                          \
    QUERY(name##_UPDATED_ASC, ORDERS_AFTER(where, "updated_at", "timestamptz", ">", "asc"))                            \
    QUERY(name##_UPDATED_DESC, ORDERS_AFTER(where, "updated_at", "timestamptz", "<", "desc"))                          \
    QUERY(name##_TOTAL_ASC, ORDERS_AFTER(where, "grand_total", "numeric", ">", "asc"))                                 \
    QUERY(name##_TOTAL_DESC, ORDERS_AFTER(where, "grand_total", "numeric", "<", "desc"))
ORDERS_AFTER_SORTS(ORDERS_AFTER_ANY, ORDERS_ANY)
ORDERS_AFTER_SORTS(ORDERS_AFTER_STATUS, ORDERS_STATUS)
#undef ORDERS_AFTER_SORTS

#define ORDERS_PAGE_SORTS(name, where)                                                                                 \
    QUERY(name##_CREATED_ASC, ORDERS_PAGE(where, "created_at", "asc", "desc"))                                         \
    QUERY(name##_CREATED_DESC, ORDERS_PAGE(where, "created_at", "desc", "asc"))                                        \
    QUERY(name##_UPDATED_ASC, ORDERS_PAGE(where, "updated_at", "asc", "desc"))                                         \
    QUERY(name##_UPDATED_DESC, ORDERS_PAGE(where, "updated_at", "desc", "asc"))                                        \
    QUERY(name##_TOTAL_ASC, ORDERS_PAGE(where, "grand_total", "asc", "desc"))                                          \
    QUERY(name##_TOTAL_DESC, ORDERS_PAGE(where, "grand_total", "desc", "asc"))
ORDERS_PAGE_SORTS(ORDERS_PAGE_ANY, ORDERS_ANY)
ORDERS_PAGE_SORTS(ORDERS_PAGE_STATUS, ORDERS_STATUS)
#undef ORDERS_PAGE_SORTS

QUERY(ORDERS_SPAN_AFTER_ANY_ASC, ORDERS_SPAN_AFTER("true", ">", "asc"))
QUERY(ORDERS_SPAN_AFTER_ANY_DESC, ORDERS_SPAN_AFTER("true", "<", "desc"))
QUERY(ORDERS_SPAN_AFTER_STATUS_ASC, ORDERS_SPAN_AFTER("o.order_status = $2", ">", "asc"))
QUERY(ORDERS_SPAN_AFTER_STATUS_DESC, ORDERS_SPAN_AFTER("o.order_status = $2", "<", "desc"))
QUERY(ORDERS_SPAN_PAGE_ANY_ASC, ORDERS_SPAN_PAGE("true", "asc", "desc"))
QUERY(ORDERS_SPAN_PAGE_ANY_DESC, ORDERS_SPAN_PAGE("true", "desc", "asc"))
QUERY(ORDERS_SPAN_PAGE_STATUS_ASC, ORDERS_SPAN_PAGE("o.order_status = $2", "asc", "desc"))
QUERY(ORDERS_SPAN_PAGE_STATUS_DESC, ORDERS_SPAN_PAGE("o.order_status = $2", "desc", "asc"))

/* How many orders a range has, and the store: decides between the next three. */
QUERY(ORDERS_RANGE_SIZE,
      "select range.n, total.n as total from " TOTAL_RANGE(ANY_STATUS, "$3", "$4", "$5",
                                                           "$6") " as range, " TOTAL_KEPT("o") " as total")
QUERY(ORDERS_RANGE_FOUND_UPDATED_ASC, ORDERS_RANGE_FOUND("updated_at", "timestamptz", ">", "asc"))
QUERY(ORDERS_RANGE_FOUND_UPDATED_DESC, ORDERS_RANGE_FOUND("updated_at", "timestamptz", "<", "desc"))
QUERY(ORDERS_RANGE_FOUND_TOTAL_ASC, ORDERS_RANGE_FOUND("grand_total", "numeric", ">", "asc"))
QUERY(ORDERS_RANGE_FOUND_TOTAL_DESC, ORDERS_RANGE_FOUND("grand_total", "numeric", "<", "desc"))
#define ORDERS_RANGE_SORTS(name, where, status)                                                                        \
    QUERY(name##_UPDATED_ASC, ORDERS_RANGE_WALKED(where, status, "updated_at", "timestamptz", ">", "asc"))             \
    QUERY(name##_UPDATED_DESC, ORDERS_RANGE_WALKED(where, status, "updated_at", "timestamptz", "<", "desc"))           \
    QUERY(name##_TOTAL_ASC, ORDERS_RANGE_WALKED(where, status, "grand_total", "numeric", ">", "asc"))                  \
    QUERY(name##_TOTAL_DESC, ORDERS_RANGE_WALKED(where, status, "grand_total", "numeric", "<", "desc"))
ORDERS_RANGE_SORTS(ORDERS_RANGE_WALKED_ANY, ORDERS_ANY, "$2 = ''")
ORDERS_RANGE_SORTS(ORDERS_RANGE_WALKED_STATUS, ORDERS_STATUS, "o.order_status = $2")
#undef ORDERS_RANGE_SORTS

#define ORDERS_FOUND_SORTS(name, table, columns, hard, fence_created, fence)                                           \
    QUERY(name##_CREATED_ASC,                                                                                          \
          ORDERS_FOUND(table, columns, hard, fence_created, "created_at", "timestamptz", ">", "asc"))                  \
    QUERY(name##_CREATED_DESC,                                                                                         \
          ORDERS_FOUND(table, columns, hard, fence_created, "created_at", "timestamptz", "<", "desc"))                 \
    QUERY(name##_UPDATED_ASC, ORDERS_FOUND(table, columns, hard, fence, "updated_at", "timestamptz", ">", "asc"))      \
    QUERY(name##_UPDATED_DESC, ORDERS_FOUND(table, columns, hard, fence, "updated_at", "timestamptz", "<", "desc"))    \
    QUERY(name##_TOTAL_ASC, ORDERS_FOUND(table, columns, hard, fence, "grand_total", "numeric", ">", "asc"))           \
    QUERY(name##_TOTAL_DESC, ORDERS_FOUND(table, columns, hard, fence, "grand_total", "numeric", "<", "desc"))
#define ORDER_DETAILED ORDER_COLUMNS ", " ORDER_ITEMS ", " ORDER_METAFIELDS("$12::bigint")
ORDERS_FOUND_SORTS(ORDERS_OF_CUSTOMER, "store_order", ORDER_COLUMNS, "o.user_id = $9", "", " offset 0")
ORDERS_FOUND_SORTS(ORDERS_OF_IDS, ORDERS_LISTED, ORDER_DETAILED, "true", " offset 0", " offset 0")
ORDERS_FOUND_SORTS(ORDERS_OF_COURIER, "store_order", ORDER_DETAILED, "o.courier is not null", "", "")
ORDERS_FOUND_SORTS(ORDERS_OF_COURIER_CUSTOMER, "store_order", ORDER_DETAILED, "o.user_id = $9", "", " offset 0")
#undef ORDERS_FOUND_SORTS

#include "queries_order_filters.h"

#include "queries_analytics.h"
#include "queries_bulk.h"
#include "queries_customers.h"
#include "queries_discounts.h"
#include "queries_fill.h"
#include "queries_inventory.h"
#include "queries_metafields.h"
#include "queries_privacy.h"
#include "queries_products.h"
#include "queries_shipping.h"
#include "queries_store.h"
#include "queries_verify.h"
