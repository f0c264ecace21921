/* queries_redaction.h - what of a person is in events and answers, and how it goes (redaction.c). Each look-up is a
 * lateral one of its own, so that it goes by an index whatever PostgreSQL believes of the size of these tables.
 *
 * $1 of most: what the turn is about, as a list of s store, t type and i id of a resource, p passes done.
 */
#define REDACTED "json_to_recordset($1) as r (s bigint, t text, i bigint, p integer)"

/* $1 store, $2 the data of webhooks.redaction, $3 now. */
QUERY(
    REDACTION_PUT,
    "insert into redaction (store_id, resource_type, resource_id, next_at) select $1, d ->> 'resource_type', "
    "id::bigint, $3 from (select $2::json) as one (d), json_array_elements_text(d -> 'ids') as id order by id::bigint "
    "on conflict (store_id, resource_type, resource_id) do update set pass = 0, next_at = excluded.next_at")

/* $1 now, $2 how many. */
QUERY(REDACTION_TAKE,
      "select count(*) as count, json_agg(json_build_object('s', store_id, 't', resource_type, 'i', resource_id, 'p', "
      "pass)) as list from (select * from redaction where next_at <= $1 order by next_at limit $2 for update skip "
      "locked) as due")

/* $2 how many. What asks apps to forget somebody says whom for as long as they may have to be asked. */
QUERY(REDACT_EVENTS,
      "with page as materialized (select e.event_id, e.created_at from " REDACTED
      " cross join lateral (select event_id, "
      "created_at, topic from event where store_id = r.s and resource_type = r.t and resource_id = r.i and "
      "resource_type in ('customer', 'order') and not erased offset 0) as e "
      "where r.p >= 2 or e.topic not like 'customers/%' limit $2) "
      "update event as e set data = person_free(e.data), erased = true from page "
      "where e.event_id = page.event_id and e.created_at = page.created_at")
QUERY(
    REDACT_ANSWERS,
    "with page as materialized (select a.delivery_id, a.attempt from " REDACTED " cross join lateral (select "
    "delivery_id, attempt, subscription_id from attempt where resource_type = r.t and resource_id = r.i offset 0) as a "
    "join subscription as s using (subscription_id) where coalesce(s.store_id, r.s) = r.s limit $2) "
    "update attempt as a set response_body = null, resource_type = null from page where a.delivery_id = "
    "page.delivery_id and a.attempt = page.attempt")

/* $2 now. Orders are gone through twice, customers three times. */
QUERY(REDACTION_ADVANCE,
      "with r as materialized (select * from " REDACTED "), gone as (delete from redaction as d using r where "
      "d.store_id = r.s and d.resource_type = r.t and d.resource_id = r.i and r.p >= case r.t when 'order' then 1 "
      "else 2 end) update redaction as d set pass = r.p + 1, next_at = $2::timestamptz + case r.p when 0 then "
      "interval '1 minute' else interval '7 days' end from r where d.store_id = r.s and d.resource_type = r.t and "
      "d.resource_id = r.i and r.p < case r.t when 'order' then 1 else 2 end")

/* $2 now. Deliveries that some process has in hand for these stores. */
QUERY(REDACTION_REREAD,
      "update queue as q set reread_at = $2 from subscription as s where q.holder is not null and s.subscription_id = "
      "q.subscription_id and s.status in ('active', 'ending', 'ended') and (s.store_id is null or s.store_id in "
      "(select r.s from " REDACTED "))")

QUERY(REDACTION_STANDING,
      "select $1::bigint as store_id, case when exists (select from redaction where store_id = $1 and pass = 0) then "
      "'running' else 'completed' end as status")
