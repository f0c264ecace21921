/* queries_history.h - what was delivered and what was not, and the log of events. */

/* $1 subscription, $2 before which id, $3 how many, $4 the states among those that wait, $5 among those that are over,
 * $6 offset. One row with the total alone when there is none. */
QUERY(
    DELIVERIES_LIST,
    "with total as (select count(*) as _total from (select from waiting where subscription_id = $1 and "
    "case when attempt = 0 then 'pending' else 'retrying' end = any ($4::text[]) union all "
    "select from delivery where subscription_id = $1 and state = any ($5::text[]) limit 10001) as few), "
    "both_kinds as ((select delivery_id, event_id, event_at, topic, case when attempt = 0 then 'pending' else "
    "'retrying' end as status, attempt, next_at, created_at, null::timestamptz as finished_at from waiting "
    "where subscription_id = $1 and delivery_id < $2 and case when attempt = 0 then 'pending' else 'retrying' end = "
    "any ($4::text[]) order by delivery_id desc limit $3::bigint + $6::bigint) union all "
    "select d.* from unnest($5::text[]) as wanted (state) cross join lateral (select delivery_id, event_id, event_at, "
    "topic, state, attempt, null::timestamptz, created_at, finished_at from delivery where subscription_id = $1 and "
    "delivery.state = wanted.state and delivery_id < $2 order by delivery_id desc limit $3::bigint + $6::bigint) as d) "
    "select total._total, page.delivery_id as _id, page.delivery_id::text as delivery_id, $1 as subscription_id, "
    "page.event_id, page.topic as event_topic, page.status, page.attempt as attempts, page.next_at as next_retry_at, "
    "page.created_at, page.finished_at, coalesce((select json_agg(json_build_object('attempt', a.attempt, "
    "'attempt_id', a.attempt_id, 'created_at', to_char(a.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "'request_headers', a.request_headers, 'response_status', a.response_status, 'response_body', a.response_body, "
    "'error', a.error, 'duration_ms', a.duration_ms, 'next_retry_at', to_char(a.next_retry_at at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) order by a.attempt) from attempt as a where a.delivery_id = "
    "page.delivery_id), '[]') as attempt_log from total left join (select * from both_kinds order by delivery_id desc "
    "limit $3 offset $6) as page on true order by page.delivery_id desc")

/* ---- one more time. $1 delivery, $2 installation, $3 now --------------------------------------------------------- */

/* One that waits for its next attempt. */
QUERY(
    DELIVERY_HURRY,
    "update waiting as w set next_at = $3 from subscription as s where w.delivery_id = $1 and s.subscription_id = "
    "w.subscription_id and s.installation_id = $2 and s.status = 'active' returning w.delivery_id::text as delivery_id, "
    "w.event_id, w.topic as event_topic, case when w.attempt = 0 then 'pending' else 'retrying' end as status, "
    "w.created_at, w.subscription_id as _subscription_id")

/* One that is over is begun anew, as another delivery of the same event, as long as the event is kept. */
QUERY(
    DELIVERY_AGAIN,
    "with d as (select d.* from delivery as d join subscription as s using (subscription_id) join event as e on "
    "e.event_id = d.event_id and e.created_at = d.event_at where d.delivery_id = $1 and s.installation_id = $2 and "
    "s.status = 'active') insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, "
    "next_at, created_at) select subscription_id, event_id, event_at, topic, resource_type, resource_id, $3, $3 from d "
    "returning delivery_id::text as delivery_id, event_id, topic as event_topic, 'pending' as status, created_at, "
    "subscription_id as _subscription_id")

/* ---- the log ----------------------------------------------------------------------------------------------------- */

/* $1 installation, $2 after which number, $3 how many, $4 the scopes the app holds now. At most 4 MiB, but one at
 * least. */
#define EVENTS_AFTER(filter)                                                                                           \
    "select seq, event_id, topic as event_topic, store_id, created_at as timestamp, data from (select l.seq, "         \
    "e.event_id, e.topic, e.store_id, e.created_at, e.data, sum(octet_length(e.data::text)) over (order by l.seq) - "  \
    "octet_length(e.data::text) as before from (select log.* from log join topic using (topic) where "                 \
    "installation_id = $1 and seq > $2 and (scope is null or scope = any ($4::text[]))" filter                         \
    " order by seq limit $3) as l join event as e on e.event_id = l.event_id and e.created_at = l.event_at) as page "  \
    "where before < 4194304 order by seq"
QUERY(EVENTS_AFTER_ALL, EVENTS_AFTER(""))
QUERY(EVENTS_AFTER_TOPIC, EVENTS_AFTER(" and log.topic = $5"))
QUERY(LOG_END, "select coalesce((select last from sequence where installation_id = $1), 0) as last")
