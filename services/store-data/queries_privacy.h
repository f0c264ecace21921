/* queries_privacy.h - the SQL of what is held about a customer, and of erasing it. Included by queries.h where QUERY
 * has a meaning: no guard.
 */

/* ---- held -------------------------------------------------------------------------------------------------------- */

/* Deleted customers as well: their data is there until it is erased. */
QUERY(CUSTOMER_CONTACT, "select email, phone from customer where store_id = $1 and user_id = $2")

QUERY(CUSTOMER_EXPORT, "select " CUSTOMER_COLUMNS ", o.deleted_at from customer as o "
                       "where o.store_id = $1 and o.user_id = $2")

/* The parts: each takes $3 and $4, the order (0: the customer) and the row behind which the page begins, and $5 how
 * many; its rows tell the same as _after and _after_id. */
QUERY(CUSTOMER_EXPORT_ORDERS,
      "select " ORDER_DETAIL ", o.deleted_at, o.order_id as _after, 0 as _after_id from store_order as o "
      "where o.store_id = $1 and o.user_id = $2 and (o.order_id, 0) > ($3, $4::bigint) order by o.order_id limit $5")

QUERY(CUSTOMER_EXPORT_HISTORY,
      "select h.order_id, h.status, h.previous_status, h.note, h.created_at, h.order_id as _after, h.history_id as "
      "_after_id from store_order as o join order_status_history as h using (store_id, order_id) where o.store_id = $1 "
      "and o.user_id = $2 and o.order_id >= $3 and (h.order_id, h.history_id) > ($3, $4::bigint) "
      "order by h.order_id, h.history_id limit $5")

QUERY(CUSTOMER_EXPORT_METAFIELDS,
      "select nullif(r.order_id, 0) as order_id, v.app_id, d.namespace, d.key, v.value, r.order_id as _after, "
      "v.value_id as _after_id from (select 'c'::\"char\" as kind, 0::bigint as order_id, $2::bigint as resource_id "
      "union all select 'o', order_id, order_id from store_order where store_id = $1 and user_id = $2 and order_id >= "
      "$3) as r join metafield_value as v on v.store_id = $1 and v.resource_type = r.kind and v.resource_id = "
      "r.resource_id left join metafield_definition as d using (definition_id) where (r.order_id, v.value_id) > ($3, "
      "$4::bigint) order by r.order_id, v.value_id limit $5")

QUERY(CUSTOMER_EXPORT_EVENTS,
      "select app_id, name, occurred_at, properties, created_at, app_id as _after, event_id as _after_id from "
      "app_event where store_id = $1 and customer_id = $2 and (app_id, event_id) > ($3, $4::bigint) "
      "order by app_id, event_id limit $5")

/* ---- erasing: whose turn it is (redaction.c) --------------------------------------------------------------------- */

/* $3 the time before which an earlier erasing counts for nothing, null when any counts; $4 now. */
QUERY(REDACTION_PUT,
      "insert into redaction as r (store_id, user_id, phone, email, next_at, created_at) "
      "select $1, $2, phone_tail(c.phone), nullif(lower(btrim(c.email)), ''), $4, greatest($4::timestamptz, "
      "$3::timestamptz) from (select) as one left join customer as c on c.store_id = $1 and c.user_id = $2 "
      "on conflict (store_id, user_id) do update set step = 0, after_id = 0, after_key = '', orders = 0, tries = 0, "
      "pass = 0, found = 0, phone = coalesce(r.phone, excluded.phone), email = coalesce(r.email, excluded.email), "
      "next_at = excluded.next_at, created_at = excluded.created_at, completed_at = null "
      "where r.created_at < $3::timestamptz")

/* Completed when what it wrote to the outbox has been published as well. */
QUERY(REDACTION_GET,
      "select store_id, nullif(user_id, 0) as customer_id, case when done then 'completed' else 'running' end as "
      "status, orders, created_at, case when done then completed_at end as completed_at from redaction, lateral "
      "(select completed_at is not null and not exists (select from outbox where id <= published_to)) as d (done) "
      "where store_id = $1 and user_id = $2")

/* Of a customer whom the store never had: all is done. */
QUERY(REDACTION_NOTHING,
      "select $1::bigint as store_id, $2::bigint as customer_id, 'completed' as status, 0 as orders, "
      "$3::timestamptz as created_at, $3::timestamptz as completed_at")

QUERY(REDACTION_TAKE, "select store_id, user_id, step, after_id, after_key, tries, pass, found, phone, "
                      "email from redaction "
                      "where completed_at is null and next_at <= $1 order by next_at limit 1 for update skip locked")

/* $3 step, $4 and $5 how far it is, $6 orders that were erased, $7 now, $8 all steps are done, $9 pass, $10 what was
 * found in it. */
QUERY(REDACTION_ADVANCE,
      "update redaction set step = $3, after_id = $4, after_key = $5, orders = orders + $6, tries = 0, next_at = $7, "
      "pass = $9, found = $10, phone = case when not $8::boolean then phone end, email = case when not $8::boolean "
      "then email end, completed_at = case when $8::boolean then $7::timestamptz end, "
      "published_to = case when $8::boolean then (select max(id) from outbox) end "
      "where store_id = $1 and user_id = $2")

/* webhooks forgets them as well: told behind every event that knew them, because their rows are locked. $2 "customer"
 * or "order", $3 their ids, $4 now. */
QUERY(REDACTION_TELL, "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) values "
                      "('webhooks.redaction', $1, 'redaction', 0, json_build_object('resource_type', $2::text, 'ids', "
                      "$3::bigint[]), $4)")

QUERY(REDACTION_DELAY, "update redaction set tries = tries + 1, next_at = $3 where store_id = $1 and user_id = $2")

/* ---- erasing: the steps ------------------------------------------------------------------------------------------ */

/* Imports end first: they would go on to make customers and orders. Waits for the batch that is at work. */
QUERY(REDACT_IMPORTS_LOCK, "select from bulk_turn where store_id = $1 for update")
/* $2 now. */
QUERY(REDACT_IMPORTS_END,
      "update bulk_job set status = 'failed', message = 'The store was erased', updated_at = $2, finished_at = $2 "
      "where store_id = $1 and status in ('uploading', 'queued', 'running')")
/* $2 how many. */
QUERY(REDACT_IMPORTS_PIECES,
      "delete from bulk_piece where (store_id, job_id, seq) in (select store_id, job_id, seq from "
      "bulk_piece where store_id = $1 limit $2)")
QUERY(REDACT_IMPORTS_RESULTS,
      "delete from bulk_result where (store_id, job_id, last_line) in (select store_id, job_id, "
      "last_line from bulk_result where store_id = $1 limit $2)")

/* Apps choose them, and may have chosen a phone number. */
QUERY(REDACT_IMPORTS_KEYS,
      "delete from bulk_key where (store_id, app_id, resource, key) in (select store_id, app_id, resource, key from "
      "bulk_key where store_id = $1 limit $2)")

/* From the commit on there are no new orders for them (CUSTOMER_EXISTS). $3 now. Waits for none that is being placed:
 * where they come one after the other, the next lock would never be got. */
QUERY(REDACT_CUSTOMERS_HIDE, "update customer set deleted_at = $3, updated_at = $3 where store_id = $1 and user_id = "
                             "any ($2::bigint[]) and deleted_at is null")
/* Waits for the orders that were being placed. */
QUERY(REDACT_CUSTOMERS_LOCK, "select from customer where store_id = $1 and user_id = any ($2::bigint[]) "
                             "order by user_id for update")
QUERY(
    REDACT_CUSTOMERS,
    "update customer set name = '', email = null, phone = null, address_json = null, is_guest = true, updated_at = $3, "
    "deleted_at = coalesce(deleted_at, $3) where store_id = $1 and user_id = any ($2::bigint[])")

/* Pages of the ids: `ids` as an array, `count`, `last`; `found`: in how many there is something. $2 behind this id, $3
 * how many. */
#define REDACT_PAGE(id, held, from)                                                                                    \
    "select array_agg(" id ")::text as ids, count(*) as count, coalesce(max(" id "), 0) as last, "                     \
    "count(*) filter (where held) as found from (select " id ", " held " as held from " from " order by " id           \
    " limit $3) as page"
#define CUSTOMER_HELD                                                                                                  \
    "(name <> '' or email is not null or phone is not null or address_json is not null or deleted_at is null)"
#define ORDER_HELD                                                                                                     \
    "(shipping_address is not null or note is not null or metadata is not null or courier_id is not null or "          \
    "tracking_code is not null)"
QUERY(REDACT_CUSTOMERS_PAGE, REDACT_PAGE("user_id", CUSTOMER_HELD, "customer where store_id = $1 and user_id > $2"))
QUERY(REDACT_STORE_ORDERS_PAGE,
      REDACT_PAGE("order_id", ORDER_HELD, "store_order where store_id = $1 and order_id > $2"))
QUERY(REDACT_ORDERS_PAGE,
      REDACT_PAGE("order_id", ORDER_HELD, "store_order where store_id = $1 and user_id = $4 and order_id > $2"))
/* $4 phone, $5 e-mail. */
QUERY(REDACT_GUEST_ORDERS_PAGE,
      REDACT_PAGE("order_id", "true",
                  "((select order_id from store_order where store_id = $1 and user_id is null and shipping_address ->> "
                  "'phone' is not null and phone_tail(shipping_address ->> 'phone') = $4 and order_id > $2 order by "
                  "order_id limit $3) union (select order_id from store_order where store_id = $1 and user_id is null "
                  "and shipping_address ->> 'email' is not null and lower(btrim(shipping_address ->> 'email')) = $5 "
                  "and order_id > $2 order by order_id limit $3)) as guest"))
/* $2 phone, $3 e-mail, $4 how many. */
QUERY(REDACT_CODE_USES,
      "update discount_use set phone = null, email = null where store_id = $1 and order_id in ((select order_id from "
      "discount_use where store_id = $1 and phone is not null and phone_tail(phone) = $2 limit $4) union (select "
      "order_id from discount_use where store_id = $1 and email is not null and lower(email) = $3 limit $4))")

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

/* Apps' own events: that they happened stays. $2 the customer, $3 how many at a time. */
QUERY(REDACT_APP_EVENTS,
      "update app_event as e set customer_id = null, properties = null from (select app_id, event_id from "
      "app_event where store_id = $1 and customer_id = $2 limit $3 for update) as page "
      "where e.store_id = $1 and e.app_id = page.app_id and e.event_id = page.event_id")
/* All of the store, also those that name no customer. $2 and $3 behind this app and event ('': its first), $4 how many.
 */
QUERY(REDACT_STORE_APP_EVENTS,
      "with page as materialized (select app_id, event_id, customer_id is not null or properties is not null as held "
      "from app_event where store_id = $1 and (app_id, event_id) > ($2, coalesce(nullif($3, ''), '0')::bigint) order "
      "by app_id, event_id limit $4), done as (update app_event as e set customer_id = null, properties = null from "
      "page where page.held and e.store_id = $1 and e.app_id = page.app_id and e.event_id = page.event_id) "
      "select (select count(*) from page) as count, (select count(*) from page where held) as found, app_id, "
      "event_id::text as key from page order by app_id desc, event_id desc limit 1")

/* Events that are not published yet. $2 customer or 0, $3 behind this id, $4 how many are looked at, $5 phone, $6
 * e-mail. Nobody's order that has lost its address, while its event still tells of one, was emptied by a step before.
 */
QUERY(
    REDACT_OUTBOX,
    "with page as materialized (select id, store_id, resource_type, resource_id, data from outbox where id > $3 order "
    "by id limit $4), done as (update outbox as e set data = person_free(e.data::jsonb) where e.id = any (array("
    "select p.id from page as p where p.store_id = $1 and (p.resource_type = 'customer' and $2::bigint in (0, "
    "p.resource_id) or p.resource_type = 'order' and ($2::bigint = 0 or exists (select from store_order as o where "
    "o.store_id = $1 and o.order_id = p.resource_id and (o.user_id = $2::bigint or o.user_id is null and "
    "(mentions_person(p.data::text, $5, $6) or coalesce($5, $6) is not null and o.shipping_address is null and "
    "coalesce(p.data::jsonb ->> 'customer_name', p.data::jsonb ->> 'phone', p.data::jsonb ->> 'shipping_phone') "
    "is not null))))))))"
    "select count(*) as count, coalesce(max(id), 0) as last from page")

/* Kept answers of idempotent requests, one after the other. $3 and $4 behind this app and key, $5 how many, $6 phone,
 * $7 e-mail. */
QUERY(REDACT_ANSWERS,
      "with page as materialized (select app_id, key, body, answer_erased($1, $2, $6, $7, sealed, body) as rest from "
      "idempotency where store_id = $1 and (app_id, key) > ($3, $4::text) order by app_id, key limit $5), "
      "gone as (delete from idempotency as i using page where i.store_id = $1 and i.app_id = page.app_id and i.key = "
      "page.key and page.rest is null), done as (update idempotency as i set body = page.rest from page where "
      "i.store_id = $1 and i.app_id = page.app_id and i.key = page.key and page.rest <> page.body) "
      "select (select count(*) from page) as count, app_id, key from page order by app_id desc, key desc limit 1")
