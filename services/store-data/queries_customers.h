/* queries_customers.h - the SQL of customers: one, lists of them, and writing them. Included by queries.h where QUERY
 * has a meaning: no guard.
 */
#include "sql_customers.h"

/* ---- one --------------------------------------------------------------------------------------------------------- */

QUERY(CUSTOMER_GET, "select " CUSTOMER_COLUMNS " from customer as o "
                    "where o.store_id = $1 and o.user_id = $2 and o.deleted_at is null")

QUERY(CUSTOMER_LOCK, "select from customer where store_id = $1 and user_id = $2 and deleted_at is null "
                     "for no key update")

/* $3 name, $4 e-mail, $5 phone, $6 address_json, $7 now. */
QUERY(
    CUSTOMER_UPDATE,
    "with o as (update customer set name = $3, email = $4, phone = $5, address_json = $6, is_guest = $4::text is null "
    "and $5::text is null, updated_at = $7 where store_id = $1 and user_id = $2 returning *) "
    "select " CUSTOMER_COLUMNS " from o")

QUERY(CUSTOMER_DELETE, "update customer set deleted_at = $3, updated_at = $3 where store_id = $1 and user_id = $2")

/* $5 the created_at and $6 the id behind which the page begins. */
QUERY(CUSTOMER_ORDERS,
      LIST_MIXED(ORDER_COLUMNS,
                 TOTAL_COUNTED("store_order", "o.store_id = $1 and o.user_id = $2 and o.deleted_at is null"),
                 "store_order", "order_id", "o.store_id = $1 and o.user_id = $2 and o.deleted_at is null", "",
                 "created_at", "timestamptz", "<", "desc"))

/* ---- as orders need them ----------------------------------------------------------------------------------------- */

/* The locks in these two keep whoever erases the customer (queries_privacy.h) waiting until the order is there. */
QUERY(CUSTOMER_EXISTS, "select from customer where store_id = $1 and user_id = $2 and deleted_at is null for key share")

/* By phone first, then by e-mail. */
QUERY(CUSTOMER_FIND, "select user_id, name, email, phone from customer where store_id = $1 and deleted_at is null "
                     "and (phone = $2 or lower(email) = lower($3)) order by (phone is not distinct from $2) desc "
                     "limit 1 for key share")

/* No row when another request made the same customer at this moment: then it can be found. */
QUERY(CUSTOMER_INSERT, "with o as (insert into customer (store_id, name, phone, email, is_guest, created_at, "
                       "updated_at) values ($1, $2, $3, $4, $3::text is null and $4::text is null, $5, $5) "
                       "on conflict do nothing returning *) select " CUSTOMER_COLUMNS " from o")

/* No row when it has that name by now. */
QUERY(
    CUSTOMER_RENAME,
    "with o as (update customer as c set name = $3, updated_at = $4 from (select store_id, user_id, name from customer "
    "where store_id = $1 and user_id = $2 for no key update) as old where c.store_id = old.store_id and c.user_id = "
    "old.user_id and old.name <> $3 returning c.*, old.name as old_name) "
    "select " CUSTOMER_COLUMNS ", o.old_name as _old_name from o")

/* ---- many -------------------------------------------------------------------------------------------------------- */

/* $2: lines {line, name, email, phone, address_json}, $3 now. A row for each that was made; a phone or an e-mail that
 * is taken, by an earlier line too, makes none. In the order of the phones, so that of two bulks with the same
 * customers one waits for the other and not each for both. */
QUERY(CUSTOMERS_INSERT,
      "with line as materialized (select l.*, nextval('customer_id_seq') as user_id from json_to_recordset($2) as l "
      "(line integer, name text, email text, phone text, address_json json)), "
      "o as (insert into customer (store_id, user_id, name, email, phone, address_json, is_guest, created_at, "
      "updated_at) select $1, user_id, name, email, phone, address_json, phone is null and email is null, "
      "$3::timestamptz, $3::timestamptz from line order by phone, lower(email), line on conflict do nothing "
      "returning *), event as (insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
      "select 'customer.created', o.store_id, 'customer', o.user_id, " CUSTOMER_EVENT_NEW ", $3 from o "
      "order by o.user_id) select line.line, o.user_id from o join line using (user_id)")

/* Why the lines of $2 made none. */
QUERY(
    CUSTOMERS_CLASH,
    "select l.line, exists (select from customer as c where c.store_id = $1 and c.phone = l.phone and c.deleted_at is "
    "null)::integer as phone, exists (select from customer as c where c.store_id = $1 and lower(c.email) = "
    "lower(l.email) and c.deleted_at is null)::integer as email "
    "from json_to_recordset($2) as l (line integer, email text, phone text)")

/* ---- lists ------------------------------------------------------------------------------------------------------- */

#define CUSTOMERS_AFTER_SORTS(name, where)                                                                             \
    QUERY(name##_CREATED_ASC, CUSTOMERS_AFTER(where, "created_at", "timestamptz", ">", "asc"))                         \
    QUERY(name##_CREATED_DESC, CUSTOMERS_AFTER(where, "created_at", "timestamptz", "<", "desc"))                       \
    QUERY(name##_UPDATED_ASC, CUSTOMERS_AFTER(where, "updated_at", "timestamptz", ">", "asc"))                         \
    QUERY(name##_UPDATED_DESC, CUSTOMERS_AFTER(where, "updated_at", "timestamptz", "<", "desc"))                       \
    QUERY(name##_NAME_ASC, CUSTOMERS_AFTER(where, "name_key", "text", ">", "asc"))                                     \
    QUERY(name##_NAME_DESC, CUSTOMERS_AFTER(where, "name_key", "text", "<", "desc"))
CUSTOMERS_AFTER_SORTS(CUSTOMERS_AFTER_ANY, CUSTOMERS_ANY)
CUSTOMERS_AFTER_SORTS(CUSTOMERS_AFTER_KNOWN, CUSTOMERS_KNOWN)
#undef CUSTOMERS_AFTER_SORTS

#define CUSTOMERS_PAGE_SORTS(name, where)                                                                              \
    QUERY(name##_CREATED_ASC, CUSTOMERS_PAGE(where, "created_at", "asc", "desc"))                                      \
    QUERY(name##_CREATED_DESC, CUSTOMERS_PAGE(where, "created_at", "desc", "asc"))                                     \
    QUERY(name##_UPDATED_ASC, CUSTOMERS_PAGE(where, "updated_at", "asc", "desc"))                                      \
    QUERY(name##_UPDATED_DESC, CUSTOMERS_PAGE(where, "updated_at", "desc", "asc"))                                     \
    QUERY(name##_NAME_ASC, CUSTOMERS_PAGE(where, "name_key", "asc", "desc"))                                           \
    QUERY(name##_NAME_DESC, CUSTOMERS_PAGE(where, "name_key", "desc", "asc"))
CUSTOMERS_PAGE_SORTS(CUSTOMERS_PAGE_ANY, CUSTOMERS_ANY)
CUSTOMERS_PAGE_SORTS(CUSTOMERS_PAGE_KNOWN, CUSTOMERS_KNOWN)
#undef CUSTOMERS_PAGE_SORTS

/* How many each filter lets through by itself, up to 10001; more for one that is not wanted. Decides between the next
 * two. $2 since, $3 total_orders_min, $4 total_spent_min, $5 the text looked for. What one of twenty of the newest
 * customers has need not be looked for in the index, which would list all who have it. */
QUERY(CUSTOMERS_FILTER_SIZES,
      "select case when $2::timestamptz is null then 10002 else (select count(*) from (select from customer as o where "
      "o.store_id = $1 and o.deleted_at is null and o.updated_at >= $2::timestamptz order by o.updated_at, o.user_id "
      "limit 10001) as found) end as since, "
      "case when $3::bigint is null then 10002 else (select count(*) from (select from customer_total as t where "
      "t.store_id = $1 and t.total_orders >= $3::bigint order by t.total_orders limit 10001) as found) end as "
      "total_orders, "
      "case when $4::numeric is null then 10002 else (select count(*) from (select from customer_total as t where "
      "t.store_id = $1 and t.total_spent >= $4::numeric order by t.total_spent limit 10001) as found) end as "
      "total_spent, "
      "case when $5::text is null then 10002 when (select count(*) from (select o.name, o.email, o.phone from customer "
      "as o where o.store_id = $1 and o.deleted_at is null order by o.created_at desc, o.user_id desc limit 1000) as o "
      "where strpos(customer_text(o.name, o.email, o.phone), lower($5::text)) > 0) >= 50 then 10001 "
      "else (select count(*) from (select from customer as o where o.store_id = $1 and o.deleted_at is null and "
      "text_grams(o.store_id, customer_text(o.name, o.email, o.phone)) @@ search_grams($1, lower($5::text)) "
      "limit 10001) as found) end as search")

#define CUSTOMERS_SORTS(name, form)                                                                                    \
    QUERY(name##_CREATED_ASC, form("created_at", "timestamptz", ">", "asc"))                                           \
    QUERY(name##_CREATED_DESC, form("created_at", "timestamptz", "<", "desc"))                                         \
    QUERY(name##_UPDATED_ASC, form("updated_at", "timestamptz", ">", "asc"))                                           \
    QUERY(name##_UPDATED_DESC, form("updated_at", "timestamptz", "<", "desc"))                                         \
    QUERY(name##_NAME_ASC, form("name_key", "text", ">", "asc"))                                                       \
    QUERY(name##_NAME_DESC, form("name_key", "text", "<", "desc"))
CUSTOMERS_SORTS(CUSTOMERS_FOUND, CUSTOMERS_FOUND)
CUSTOMERS_SORTS(CUSTOMERS_WALKED, CUSTOMERS_WALKED)
#undef CUSTOMERS_SORTS
