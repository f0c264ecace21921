/* queries_overview.h - what an app's overview shows of its webhooks, at the cost of a few rows however many there are
 * (schema/070_app_counts.sql).
 */

/* $1 app, $2 now: seven UTC days, today the last. */
QUERY(APP_COUNTS,
      "select (select coalesce(sum(active), 0)::bigint from subscription_count where app_id = $1) as "
      "active_subscriptions, coalesce(sum(delivered), 0)::bigint as delivered_7d, coalesce(sum(failed), 0)::bigint as "
      "failed_7d from delivery_count where app_id = $1 and day > ($2::timestamptz at time zone 'UTC')::date - 7")

/* The newest that is over and still kept. */
QUERY(APP_LATEST_DELIVERY,
      "select d.delivery_id::text as delivery_id, d.topic as event_topic, d.state as status, d.created_at from (select "
      "distinct last_id from delivery_count where app_id = $1 order by last_id desc) as k cross join lateral (select "
      "delivery_id, topic, state, created_at from delivery where delivery_id = k.last_id offset 0) as d "
      "order by k.last_id desc limit 1")

/* $1 the first day that stays, $2 how many at a time. */
QUERY(DELIVERY_COUNTS_DROP,
      "with gone as (delete from delivery_count where ctid = any (array(select ctid from delivery_count where day < "
      "($1::timestamptz at time zone 'UTC')::date order by day limit $2)) returning app_id) "
      "select count(*) as gone from gone")

/* The kept count of app $1 against a recount: when it differs. */
QUERY(
    APP_COUNTS_VERIFY,
    "select 'subscriptions.active' as count, kept, counted from (select coalesce(sum(active), 0)::bigint as kept from "
    "subscription_count where app_id = $1) as k cross join (select count(*) as counted from subscription where "
    "app_id = $1 and status = 'active') as c where kept <> counted")
