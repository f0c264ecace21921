/* sql_customers.h - what the statements about customers in queries_customers.h are made of.
 *
 * $1 store, $2 'known' (with a phone or an e-mail) or '' (everybody), as kept_count names them. Lists with filters go
 * on after sql_lists.h's $6: $7 changed since, $8 total_orders_min, $9 total_spent_min, $10 the text looked for, each
 * null when it is not wanted; those that find rows by a filter: $11 its name. strpos and not LIKE: of a pattern the
 * planner would guess how rare it is, and be wrong.
 */
#ifndef SQL_CUSTOMERS_H
#define SQL_CUSTOMERS_H

#define CUSTOMER_TOTAL " from customer_total as t where t.store_id = o.store_id and t.user_id = o.user_id)"
#define ORDERS_KEPT    "coalesce((select t.total_orders" CUSTOMER_TOTAL ", 0)"
#define SPENT_KEPT     "coalesce((select t.total_spent" CUSTOMER_TOTAL ", 0.00)"
#define CUSTOMER_COLUMNS                                                                                               \
    "o.user_id, o.store_id, o.name, o.email, o.phone, o.address_json, o.is_guest, o.created_at, o.updated_at, "        \
    "" ORDERS_KEPT " as total_orders, " SPENT_KEPT " as total_spent"

/* The same as an event's data, of a customer who is new. */
#define CUSTOMER_EVENT_NEW                                                                                             \
    "json_build_object('user_id', o.user_id, 'store_id', o.store_id, 'name', o.name, 'email', o.email, 'phone', "      \
    "o.phone, 'address_json', o.address_json, 'is_guest', o.is_guest::integer, 'created_at', "                         \
    "event_time(o.created_at), 'updated_at', event_time(o.updated_at), 'total_orders', 0, 'total_spent', 0.00)"

#define CUSTOMERS_ANY   "o.store_id = $1 and o.deleted_at is null"
#define CUSTOMERS_KNOWN "o.store_id = $1 and o.deleted_at is null and not o.is_guest"

#define CUSTOMERS_AFTER(where, key, type, op, dir)                                                                     \
    LIST_AFTER(CUSTOMER_COLUMNS ", o.name_key as _name_key", TOTAL_KEPT("c"), "customer", "user_id", where, key, type, \
               op, dir)
#define CUSTOMERS_PAGE(where, key, dir, back)                                                                          \
    LIST_PAGE(CUSTOMER_COLUMNS ", o.name_key as _name_key", TOTAL_KEPT("c"), "customer", "user_id", where, key, dir,   \
              back)

#define CUSTOMERS_WHERE                                                                                                \
    "o.store_id = $1 and o.deleted_at is null and ($2 = '' or not o.is_guest) "                                        \
    "and ($7::timestamptz is null or o.updated_at >= $7::timestamptz) "                                                \
    "and ($8::bigint is null or " ORDERS_KEPT " >= $8::bigint) "                                                       \
    "and ($9::numeric is null or " SPENT_KEPT " >= $9::numeric) "                                                      \
    "and ($10::text is null or strpos(customer_text(o.name, o.email, o.phone), lower($10::text)) > 0)"

/* Those that one filter lets through, by its own index; the branches of the others are not run. They are asked for in
 * the order of the index, and there are never as many as the limit (CUSTOMERS_FILTER_SIZES): both tell the planner to
 * use it also where one store has most of the table. */
#define CUSTOMERS_OF_TOTALS                                                                                            \
    " limit 20001) as t cross join lateral (select * from customer as c where c.store_id = $1 and "                    \
    "c.user_id = t.user_id and c.deleted_at is null offset 0) as c "
#define CUSTOMERS_SOURCE                                                                                               \
    "((select c.* from customer as c where $11 = 'since' and c.store_id = $1 and c.deleted_at is null and "            \
    "c.updated_at >= $7::timestamptz order by c.updated_at, c.user_id limit 20001) "                                   \
    "union all select c.* from (select t.user_id from customer_total as t where $11 = 'total_orders' and "             \
    "t.store_id = $1 and t.total_orders >= $8::bigint order by t.total_orders, t.user_id" CUSTOMERS_OF_TOTALS          \
    "union all select c.* from (select t.user_id from customer_total as t where $11 = 'total_spent' and "              \
    "t.store_id = $1 and t.total_spent >= $9::numeric order by t.total_spent, t.user_id" CUSTOMERS_OF_TOTALS           \
    "union all select c.* from customer as c where $11 = 'search' and c.store_id = $1 and c.deleted_at is null and "   \
    "text_grams(c.store_id, customer_text(c.name, c.email, c.phone)) @@ search_grams($1, lower($10::text)))"

/* Few: found by their filter's index and sorted. */
#define CUSTOMERS_FOUND(key, type, op, dir)                                                                            \
    LIST_MIXED(CUSTOMER_COLUMNS ", o.name_key as _name_key", TOTAL_COUNTED(CUSTOMERS_SOURCE, CUSTOMERS_WHERE),         \
               CUSTOMERS_SOURCE, "user_id", CUSTOMERS_WHERE, " offset 0", key, type, op, dir)

/* Many, whichever filter one takes: the sort's index is walked past those that do not fit. */
#define CUSTOMERS_WALKED(key, type, op, dir)                                                                           \
    LIST_MIXED(CUSTOMER_COLUMNS ", o.name_key as _name_key",                                                           \
               "(select count(*) as n from (select from customer as o where " CUSTOMERS_WHERE                          \
               " order by o.created_at, o.user_id limit 10001) as counted)",                                           \
               "customer", "user_id", CUSTOMERS_WHERE, "", key, type, op, dir)

#endif
