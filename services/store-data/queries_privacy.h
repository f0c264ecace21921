/* queries_privacy.h - the SQL of what is held about a customer, and of erasing it. Included by queries.h where QUERY
 * has a meaning: no guard.
 */

/* ---- held -------------------------------------------------------------------------------------------------------- */

/* Deleted customers as well: their data is there until it is erased. */
QUERY(CUSTOMER_CONTACT, "select email, phone from customer where store_id = $1 and user_id = $2")

QUERY(CUSTOMER_EXPORT, "select " CUSTOMER_COLUMNS ", o.deleted_at, coalesce((select json_agg(field) from (select "
                       "d.app_id, d.namespace, d.key, v.value from metafield_value as v join metafield_definition as d "
                       "using (definition_id) where v.store_id = $1 and v.resource_type = 'c' and v.resource_id = $2 "
                       "order by v.value_id limit 1000) as field), '[]') as metafields from customer as o "
                       "where o.store_id = $1 and o.user_id = $2")

/* $3 the order behind which the page begins, $4 how many. */
QUERY(CUSTOMER_EXPORT_ORDERS,
      "select " ORDER_DETAIL ", o.deleted_at, coalesce((select json_agg(move) from (select h.status, "
      "h.previous_status, h.note, event_time(h.created_at) as created_at from order_status_history as h "
      "where h.store_id = o.store_id and h.order_id = o.order_id order by h.history_id limit "
      "1000) as move), '[]') as "
      "history from store_order as o where o.store_id = $1 and o.user_id = $2 and o.order_id > $3 "
      "order by o.order_id limit $4")

/* ---- erasing: whose turn it is (redaction.c) --------------------------------------------------------------------- */

/* $3 the time before which an earlier erasing counts for nothing, null when any counts; $4 now. */
QUERY(REDACTION_PUT,
      "insert into redaction as r (store_id, user_id, next_at, created_at) "
      "select $1, $2, $4, greatest($4::timestamptz, $3::timestamptz) "
      "on conflict (store_id, user_id) do update set step = 0, after_id = 0, after_key = '', orders = 0, tries = 0, "
      "next_at = excluded.next_at, created_at = excluded.created_at, completed_at = null "
      "where r.created_at < $3::timestamptz")

QUERY(REDACTION_GET, "select store_id, nullif(user_id, 0) as customer_id, case when completed_at is null then "
                     "'running' else 'completed' end as status, orders, created_at, completed_at "
                     "from redaction where store_id = $1 and user_id = $2")

/* Of a customer whom the store never had: all is done. */
QUERY(REDACTION_NOTHING,
      "select $1::bigint as store_id, $2::bigint as customer_id, 'completed' as status, 0 as orders, "
      "$3::timestamptz as created_at, $3::timestamptz as completed_at")

QUERY(REDACTION_TAKE, "select store_id, user_id, step, after_id, after_key, tries from redaction "
                      "where completed_at is null and next_at <= $1 order by next_at limit 1 for update skip locked")

/* $3 step, $4 and $5 how far it is, $6 orders that were erased, $7 now, $8 all steps are done. */
QUERY(REDACTION_ADVANCE,
      "update redaction set step = $3, after_id = $4, after_key = $5, orders = orders + $6, tries = 0, next_at = $7, "
      "completed_at = case when $8::boolean then $7::timestamptz end where store_id = $1 and user_id = $2")

QUERY(REDACTION_DELAY, "update redaction set tries = tries + 1, next_at = $3 where store_id = $1 and user_id = $2")

/* ---- erasing: the steps ------------------------------------------------------------------------------------------ */

/* Waits for the orders that are being placed for the customer (CUSTOMER_EXISTS), and from the commit on there are no
 * new ones. */
QUERY(REDACT_CUSTOMERS_LOCK, "select from customer where store_id = $1 and user_id = any ($2::bigint[]) "
                             "order by user_id for update")
QUERY(
    REDACT_CUSTOMERS,
    "update customer set name = '', email = null, phone = null, address_json = null, is_guest = true, updated_at = $3, "
    "deleted_at = coalesce(deleted_at, $3) where store_id = $1 and user_id = any ($2::bigint[])")

/* Pages of the ids: `ids` as an array, `count`, `last`. $2 behind this id, $3 how many. */
#define REDACT_PAGE(id, from)                                                                                          \
    "select array_agg(" id ")::text as ids, count(*) as count, coalesce(max(" id "), 0) as last "                      \
    "from (select " id " from " from " order by " id " limit $3) as page"
QUERY(REDACT_CUSTOMERS_PAGE, REDACT_PAGE("user_id", "customer where store_id = $1 and user_id > $2"))
QUERY(REDACT_STORE_ORDERS_PAGE, REDACT_PAGE("order_id", "store_order where store_id = $1 and order_id > $2"))
QUERY(REDACT_ORDERS_PAGE, REDACT_PAGE("order_id", "store_order where store_id = $1 and user_id = $4 and order_id > $2"))

QUERY(REDACT_ORDERS_LOCK, "select from store_order where store_id = $1 and order_id = any ($2::bigint[]) "
                          "order by order_id for no key update")
QUERY(
    REDACT_ORDERS,
    "with uses as (update discount_use set phone = null, email = null where store_id = $1 and order_id = any "
    "($2::bigint[]) and (phone is not null or email is not null)) update store_order set shipping_address = null, note "
    "= null, metadata = null, courier_id = null, tracking_code = null where store_id = $1 and order_id = any "
    "($2::bigint[]) and (shipping_address is not null or note is not null "
    "or metadata is not null or courier_id is not null or tracking_code is not null)")
QUERY(REDACT_HISTORY, "update order_status_history set note = null where store_id = $1 and order_id = any "
                      "($2::bigint[]) and note is not null")

/* What apps keep beside them: $2 'c' or 'o', $3 their ids. */
QUERY(REDACT_METAFIELDS, "delete from metafield_value where store_id = $1 and resource_type = $2::\"char\" and "
                         "resource_id = any ($3::bigint[])")

/* Apps' own events: that they happened stays. $2 and $3 the first and the last customer, $4 how many at a time. */
QUERY(REDACT_APP_EVENTS,
      "update app_event as e set customer_id = null, properties = null from (select app_id, event_id from "
      "app_event where "
      "store_id = $1 and customer_id >= $2 and customer_id <= $3 limit $4 for update) as page "
      "where e.store_id = $1 and e.app_id = page.app_id and e.event_id = page.event_id")

/* Events that are not published yet. $2 customer or 0, $3 behind this id, $4 how many are looked at. */
QUERY(
    REDACT_OUTBOX,
    "with page as materialized (select id, store_id, resource_type, resource_id from outbox where id > $3 order by id "
    "limit $4), done as (update outbox as e set data = person_free(e.data::jsonb) where e.id = any (array("
    "select p.id from page as p where p.store_id = $1 and (p.resource_type = 'customer' and $2::bigint in (0, "
    "p.resource_id) or p.resource_type = 'order' and ($2::bigint = 0 or exists (select from store_order as o where "
    "o.store_id = $1 and o.order_id = p.resource_id and o.user_id = $2::bigint)))))) "
    "select count(*) as count, coalesce(max(id), 0) as last from page")

/* Kept answers of idempotent requests: a replay must stay one, so the row stays. $3 and $4 behind this app and key. */
QUERY(
    REDACT_ANSWERS,
    "with page as materialized (select app_id, key from idempotency where store_id = $1 and (app_id, key) > ($3, "
    "$4::text) order by app_id, key limit $5), done as (update idempotency as i set body = answer_person_free(i.body, "
    "$2) from page where i.store_id = $1 and i.app_id = page.app_id and i.key = page.key and not i.sealed and "
    "answer_person_free(i.body, $2) is distinct from i.body) "
    "select (select count(*) from page) as count, app_id, key from page order by app_id desc, key desc limit 1")
