/* sql_lists.h - the shapes that the lists in queries.h are made of.
 *
 * A list exists once per sort column, direction and way of finding its rows, so that each is a static statement with
 * the one right plan, whatever a store's size (protocols 13). These macros write the variants; nothing is put together
 * at run time.
 *
 * A list answers one statement: every row carries the total as _total, and a page without rows is one row with nulls.
 * The order of the inner rows survives, because a single row is joined with them by a nested loop: there is no other
 * way to join without a condition.
 *
 * Parameters of all lists begin with $1 store, $2 status ('' for any), $3 rows wanted.
 */
#ifndef SQL_LISTS_H
#define SQL_LISTS_H

#define ORDER_COLUMNS                                                                                                  \
    "o.order_id, o.store_id, o.user_id, o.order_status, o.financial_status, o.fulfillment_status, o.sub_total, "       \
    "o.tax, o.shipping, o.discount, o.grand_total, o.payment_method, o.note, o.courier, o.courier_id, "                \
    "o.tracking_code, o.store_serial_order_no, o.discount_code, o.created_at, o.updated_at"

#define ORDER_ITEM_COLUMNS                                                                                             \
    "order_item_id, order_id, product_id, variant_id, bundle_id, name, price, quantity, image, sku"

/* One json_agg per order is cheaper than a join with the order's columns repeated, and than a query per order. */
#define ORDER_ITEMS                                                                                                    \
    "coalesce((select json_agg(item) from (select " ORDER_ITEM_COLUMNS " from order_item "                             \
    "where store_id = o.store_id and order_id = o.order_id order by order_item_id) as item), '[]') as items"

/* What the app keeps beside an order, as {"namespace.key": value}. A list must not grow with what apps keep: of each
 * order the values are whole as long as they are 16 KiB together, in the order of their names; the rest is null and is
 * read at GET /metafields/values. */
#define ORDER_METAFIELDS(app)                                                                                          \
    "(select coalesce(json_object_agg(m.name, case when m.size <= 16384 and m.upto <= 16384 then m.value end order "   \
    "by m.name), '{}') from (select d.namespace || '.' || d.key as name, v.value, octet_length(v.value) as size, "     \
    "sum(case when octet_length(v.value) <= 16384 then octet_length(v.value) end) over (order by d.namespace, d.key) " \
    "as upto from metafield_value as v join metafield_definition as d on d.definition_id = v.definition_id and "       \
    "d.deleted_at is null where v.store_id = o.store_id and v.resource_type = 'o' and v.resource_id = o.order_id and " \
    "v.app_id = " app ") as m) as metafields"

#define ORDER_DETAIL ORDER_COLUMNS ", o.shipping_address, o.metadata, o.held_from, " ORDER_ITEMS

/* What events say beyond the order itself: the delivery address first, then the profile (contract D.2). */
#define ORDER_EVENT_COLUMNS                                                                                            \
    "coalesce(nullif(o.shipping_address ->> 'name', ''), c.name) as _customer_name, "                                  \
    "coalesce(nullif(o.shipping_address ->> 'phone', ''), c.phone) as _customer_phone, "                               \
    "nullif(o.shipping_address ->> 'phone', '') as _shipping_phone, p.name as _store_name"
#define ORDER_EVENT_JOINS                                                                                              \
    " left join customer as c on c.store_id = o.store_id and c.user_id = o.user_id"                                    \
    " left join store_profile as p on p.store_id = o.store_id "

/* ---- totals ------------------------------------------------------------------------------------------------------ */

/* All rows of a kind and status: the sum over the stripes. */
#define TOTAL_KEPT(kind)                                                                                               \
    "(select coalesce(sum(n), 0)::bigint as n from kept_count "                                                        \
    "where store_id = $1 and kind = '" kind "' and status = $2 and day = '-infinity')"

/* Orders of the whole days between two midnights: those of the whole months between them, and of the days before and
 * after these. Where there is no whole month, the days before the first one are all. */
#define KEPT_DAYS   "select n from kept_count where store_id = $1 and kind = 'o' and status = $2 and day >= "
#define KEPT_MONTHS "select n from kept_count where store_id = $1 and kind = 'm' and status = $2 and day >= "
#define KEPT_SPANS                                                                                                     \
    KEPT_DAYS "first and day < least(first_month, last) union all " KEPT_MONTHS                                        \
              "first_month and day < last_month union all " KEPT_DAYS                                                  \
              "greatest(first_month, last_month) and day < last"
#define KEPT_WHOLE_DAYS(begin, end)                                                                                    \
    "(select coalesce(sum(n), 0) from (select first, last, date_trunc('month', first + interval '1 month -1 day')"     \
    "::date as first_month, date_trunc('month', last)::date as last_month from (select (" begin                        \
    "::timestamptz at time zone 'UTC')::date as first, (" end "::timestamptz at time zone 'UTC')::date as last) as "   \
    "ends offset 0) as spans cross join lateral (" KEPT_SPANS ") as k)"

/* Orders of a time range: whole days are kept, the two days at its edges are counted. since_end is the first midnight
 * not before since, until_start the midnight before until. With offset 0 the sum is worked out once, however often it
 * is used. */
#define TOTAL_RANGE(status, since, since_end, until_start, until)                                                      \
    "(select ((select count(*) from store_order as o where o.store_id = $1 and " status " and o.deleted_at is null "   \
    "and o.created_at >= " since " and o.created_at < " since_end " and o.created_at <= " until ")"                    \
    " + (select count(*) from store_order as o where o.store_id = $1 and " status " and o.deleted_at is null "         \
    "and o.created_at >= greatest(" until_start "::timestamptz, " since_end "::timestamptz) "                          \
    "and o.created_at <= " until ") + " KEPT_WHOLE_DAYS(since_end, until_start) ")::bigint as n offset 0)"

/* Anything else: exact up to TOTAL_EXACT_MAX; one more says that there are more. */
#define TOTAL_COUNTED(table, where)                                                                                    \
    "(select count(*) as n from (select from " table " as o where " where " limit 10001) as counted)"

/* Nobody asks for more than this (PAGE_LIMIT_MAX and one that says there are more). The planner cannot know a
 * parameter's value, but it knows this one: with it the plan made once for all values is the right one and is kept. */
#define PAGE_BOUND " limit 251"

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/* The rows after ($4, $5): the same cost at any depth. The first page begins at infinity. */
#define LIST_AFTER(columns, total, table, id, where, key, type, op, dir)                                               \
    "select total.n as _total, " columns " from " total " as total left join lateral ("                                \
    "select * from (select * from " table " as o where " where " and (o." key ", o." id ") " op " ($4::" type          \
    ", $5::bigint) "                                                                                                   \
    "order by o." key " " dir ", o." id " " dir PAGE_BOUND ") as o limit $3) as o on true"

/* The rows after $4 rows: the keys first, from the covering index, then the rows; counted from the nearer end, and not
 * at all past the end. A branch whose limit is 0 is not run. With offset 0 each row is looked up by its key, whatever
 * the planner believes of how many there are. */
#define LIST_PAGE(columns, total, table, id, where, key, dir, back)                                                    \
    "select total.n as _total, " columns " from " total " as total left join lateral ("                                \
    "(select * from (select o." id " from " table " as o where " where " order by o." key " " dir ", o." id " " dir    \
    " offset $4::bigint limit case when $4::bigint * 2 <= total.n then $3::bigint else 0 end) as page" PAGE_BOUND ")"  \
    " union all "                                                                                                      \
    "(select * from (select o." id " from " table " as o where " where " order by o." key " " back ", o." id " " back  \
    " offset greatest(total.n - $4::bigint - $3::bigint, 0) limit "                                                    \
    "case when $4::bigint * 2 <= total.n then 0 else greatest(least($3::bigint, total.n - $4::bigint), 0) end) "       \
    "as page" PAGE_BOUND ")) as page on true left join lateral (select * from " table " as o where o.store_id = $1 "   \
    "and o." id " = page." id " offset 0) as o on true order by o." key " " dir ", o." id " " dir

/* The rows after ($5, $6) and after $4 more. `fence` keeps the planner from walking a sort index through rows that the
 * filters exclude, when the rows that fit are few: " offset 0" finds them first and sorts them then. */
#define LIST_MIXED(columns, total, table, id, where, fence, key, type, op, dir)                                        \
    "select total.n as _total, " columns " from " total " as total left join lateral ("                                \
    "select * from (select * from (select * from " table " as o where " where fence ") as o "                          \
    "where (o." key ", o." id ") " op " ($5::" type ", $6::bigint) order by o." key " " dir ", o." id " " dir          \
    " offset $4::bigint limit case when $4::bigint >= total.n and total.n <= 10000 then 0 else $3::bigint end) "       \
    "as o" PAGE_BOUND ") as o on true"

/* ---- orders ------------------------------------------------------------------------------------------------------ */

#define ORDERS_ANY    "o.store_id = $1 and o.deleted_at is null"
#define ORDERS_STATUS "o.store_id = $1 and o.order_status = $2 and o.deleted_at is null"

#define ORDERS_AFTER(where, key, type, op, dir)                                                                        \
    LIST_AFTER(ORDER_COLUMNS, TOTAL_KEPT("o"), "store_order", "order_id", where, key, type, op, dir)
#define ORDERS_PAGE(where, key, dir, back)                                                                             \
    LIST_PAGE(ORDER_COLUMNS, TOTAL_KEPT("o"), "store_order", "order_id", where, key, dir, back)

/* since and until with the sort by created_at are the ends of the index range. $6 to $9, and $5 to $8. */
#define ORDERS_SPAN_AFTER(status, op, dir)                                                                             \
    LIST_AFTER(ORDER_COLUMNS, TOTAL_RANGE(status, "$6", "$7", "$8", "$9"), "store_order", "order_id",                  \
               ORDERS_ANY " and " status " and o.created_at >= $6 and o.created_at <= $9", "created_at",               \
               "timestamptz", op, dir)
#define ORDERS_SPAN_PAGE(status, dir, back)                                                                            \
    LIST_PAGE(ORDER_COLUMNS, TOTAL_RANGE(status, "$5", "$6", "$7", "$8"), "store_order", "order_id",                   \
              ORDERS_ANY " and " status " and o.created_at >= $5 and o.created_at <= $8", "created_at", dir, back)

/* since and until with another sort, $7 to $10: a small range is found and sorted. Of a large one the sort's index soon
 * meets a page; $11 entries are walked at most, because where the two orders have much to do with each other (who looks
 * for the oldest orders by the latest change) all of them may lie at the far end. */
#define ANY_STATUS "($2 = '' or o.order_status = $2)"
#define IN_RANGE   "o.created_at >= $7 and o.created_at <= $10"
#define ORDERS_RANGE_FOUND(key, type, op, dir)                                                                         \
    LIST_MIXED(ORDER_COLUMNS, TOTAL_RANGE(ANY_STATUS, "$7", "$8", "$9", "$10"), "store_order", "order_id",             \
               ORDERS_ANY " and " ANY_STATUS " and " IN_RANGE, " offset 0", key, type, op, dir)
#define RANGE_TOTAL(status) TOTAL_RANGE(status, "$7", "$8", "$9", "$10")
#define ORDERS_RANGE_WALKED(where, status, key, type, op, dir)                                                         \
    "select total.n as _total, " ORDER_COLUMNS                                                                         \
    " from " RANGE_TOTAL(status) " as total left join lateral ("                                                       \
                                 "select * from (select * from (select * from store_order as o where " where           \
                                 " and (o." key ", o.order_id) " op " ($5::" type ", $6::bigint) order by o." key      \
                                 " " dir ", o.order_id " dir " limit $11::bigint) as o "                               \
                                 "where " IN_RANGE " offset $4::bigint limit $3::bigint) as o" PAGE_BOUND              \
                                 ") as o on true"

/* A customer, a list of ids, or a courier, with any other filter. $7 since, $8 until, $9 customer or 0, $10 only with a
 * courier, $11 ids or null; $12, where the orders come with their items, the app. */
#define ORDERS_REST                                                                                                    \
    "o.store_id = $1 and o.deleted_at is null and " ANY_STATUS " and o.created_at >= $7 and o.created_at <= $8 "       \
    "and ($9::bigint = 0 or o.user_id = $9::bigint) and (not $10::boolean or o.courier is not null) "                  \
    "and ($11::bigint[] is null or o.order_id = any ($11::bigint[]))"
#define ORDERS_FOUND(table, columns, hard, fence, key, type, op, dir)                                                  \
    LIST_MIXED(columns, TOTAL_COUNTED(table, ORDERS_REST " and " hard), table, "order_id", ORDERS_REST " and " hard,   \
               fence, key, type, op, dir)

/* By their keys and no other way: without the fence the planner may hold a range of times for as good. */
#define ORDERS_LISTED                                                                                                  \
    "(select * from store_order as o where o.store_id = $1 and o.order_id = any ($11::bigint[]) offset 0)"

#endif
