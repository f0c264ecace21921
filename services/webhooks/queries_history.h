/* queries_history.h - what was delivered and what was not, one delivery once more, and the log of events. */

/* What is sent once more has a lane of its own beside the live one of its resource, so that neither holds up the other:
 * the resource's type with "/again" behind it. */
#define LANE_AGAIN(type)                                                                                               \
    "case when " type " = 'test' or " type " like '%/again' then " type " else " type " || '/again' end"

/* Failed deliveries of the events in `made`: they are not to be repeated once more. */
#define MARK_REPEATED                                                                                                  \
    "marked as (update delivery as x set retried_as = made.delivery_id from made where x.subscription_id = "           \
    "made.subscription_id and x.event_at = made.event_at and x.event_id = made.event_id and x.state = 'failed' and "   \
    "x.retried_as is null and x.resource_type <> 'test')"

/* $1 subscription, $2 before which id, $3 how many, $4 the states among those that wait, $5 among those that are over,
 * $6 offset. One row with the total alone when there is none. */
QUERY(
    DELIVERIES_LIST,
    "with total as (select count(*) as _total from (select from waiting where subscription_id = $1 and "
    "case when attempt = 0 then 'pending' else 'retrying' end = any ($4::text[]) union all "
    "select from delivery where subscription_id = $1 and state = any ($5::text[]) limit 10001) as few), "
    "both_kinds as ((select delivery_id, event_id, event_at, topic, case when attempt = 0 then 'pending' else "
    "'retrying' end as status, attempt, next_at, created_at, null::timestamptz as finished_at, null::bigint as "
    "retried_as from waiting "
    "where subscription_id = $1 and delivery_id < $2 and case when attempt = 0 then 'pending' else 'retrying' end = "
    "any ($4::text[]) order by delivery_id desc limit $3::bigint + $6::bigint) union all "
    "select d.* from unnest($5::text[]) as wanted (state) cross join lateral (select delivery_id, event_id, event_at, "
    "topic, state, attempt, null::timestamptz, created_at, finished_at, retried_as from delivery where "
    "subscription_id = $1 and "
    "delivery.state = wanted.state and delivery_id < $2 order by delivery_id desc limit $3::bigint + $6::bigint) as d) "
    "select total._total, page.delivery_id as _id, page.delivery_id::text as delivery_id, $1 as subscription_id, "
    "page.event_id, page.topic as event_topic, page.status, page.attempt as attempts, page.next_at as next_retry_at, "
    "page.created_at, page.finished_at, page.retried_as::text as retried_as, coalesce((select "
    "json_agg(json_build_object('attempt', a.attempt, "
    "'attempt_id', a.attempt_id, 'created_at', to_char(a.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "'request_headers', a.request_headers, 'response_status', a.response_status, 'response_body', a.response_body, "
    "'error', a.error, 'duration_ms', a.duration_ms, 'next_retry_at', to_char(a.next_retry_at at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) order by a.attempt) from attempt as a where a.delivery_id = "
    "page.delivery_id), '[]') as attempt_log from total left join (select * from both_kinds order by delivery_id desc "
    "limit $3 offset $6) as page on true order by page.delivery_id desc")

/* ---- one more time. $1 delivery, $2 whose, $3 now --------------------------------------------------------- */

/* An app gets once more what it may still read (as REPLAY_TARGETS), by that installation where s is for every store; a
 * merchant has no scopes, a test's sample tells of nobody, what is of no store (DEVELOPER_TELL) of the app alone. */
#define READABLE(delivery, installation, of_no_store)                                                                  \
    "(s.app_id is null or " delivery ".resource_type = 'test' or " of_no_store                                         \
    " or exists (select from installation as h join topic as t on t.topic = " delivery ".topic where "                 \
    "h.installation_id = coalesce(s.installation_id, " installation ") and h.status = 'active' and (t.scope is null "  \
    "or t.scope = any (h.scopes)))) "
#define READABLE_WAITING READABLE("w", "w.installation_id", "coalesce(s.store_id, w.installation_id) is null")
#define READABLE_PAST    READABLE("d", "i.installation_id", "e.store_id = 0")

/* One that waits for its next attempt. */
QUERY(DELIVERY_HURRY,
      "update waiting as w set next_at = $3 from subscription as s where w.delivery_id = $1 and s.subscription_id = "
      "w.subscription_id and " SUBSCRIPTION_OF " and s.status = 'active' and " READABLE_WAITING
      "returning w.delivery_id::text as delivery_id, "
      "w.event_id, w.topic as event_topic, case when w.attempt = 0 then 'pending' else 'retrying' end as status, "
      "w.created_at, w.subscription_id as _subscription_id")

/* The installation by which an event came to a subscription of all stores: shared, so that its end comes before or
 * after. */
#define OF_EVERY_STORE "s.store_id is null and i.app_id = s.app_id and i.store_id = e.store_id and i.status = 'active'"
QUERY(DELIVERY_SHARE,
      "select i.installation_id from delivery as d join subscription as s using (subscription_id) join event as e on "
      "e.event_id = d.event_id and e.created_at = d.event_at join installation as i on i.installation_id = "
      "s.installation_id or " OF_EVERY_STORE " where d.delivery_id = $1 for share of i")

/* One that is over is begun anew, as another delivery of the same event, as long as the event is kept. */
QUERY(
    DELIVERY_AGAIN,
    "with d as (select d.*, i.installation_id, i.generation from delivery as d join subscription as s using "
    "(subscription_id) join event as e on e.event_id = d.event_id and e.created_at = d.event_at left join installation "
    "as i on " OF_EVERY_STORE " where d.delivery_id = $1 and " SUBSCRIPTION_OF
    " and s.status = 'active' and " READABLE_PAST "), "
    "made as (insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, "
    "created_at, installation_id, generation) select subscription_id, event_id, event_at, topic, " LANE_AGAIN(
        "resource_type") ", resource_id, $3, $3, installation_id, generation from d returning *), " MARK_REPEATED
                         " select delivery_id::text as delivery_id, event_id, topic as event_topic, 'pending' as "
                         "status, created_at, subscription_id as _subscription_id from made")

/* ---- the log ----------------------------------------------------------------------------------------------------- */

/* Behind it the log has no holes and is of the present install alone; of i, installation $1. */
#define LOG_BEHIND "greatest(i.log_after, (select seq from log_dropped where installation_id = $1))"

/* $1 installation, $2 after which number, $3 how many, $4 the scopes the app holds now. No more rows are looked at than
 * may be answered: _seen is the last one of them, which may be one that the app may not read any more. At most 4 MiB,
 * but one at least: _last is the last one there would have been. A single row without number when there is none. */
#define EVENTS_AFTER(filter)                                                                                           \
    "with seen as materialized (select l.*, scope is null or scope = any ($4::text[]) as may from (select * from log " \
    "where installation_id = $1 and seq > greatest($2::bigint, (select " LOG_BEHIND " from installation as i where "   \
    "i.installation_id = $1))" filter " order by seq limit $3) as l join topic using (topic)), "                       \
    "told as (select seen.seq, e.*, sum(octet_length(e.data::text)) over (order by seen.seq) - "                       \
    "octet_length(e.data::text) as before from seen cross join lateral (select event_id, event.topic, store_id, "      \
    "created_at, data from event where event_id = seen.event_id and created_at = seen.event_at offset 0) as e "        \
    "where may) "                                                                                                      \
    "select (select max(seq) from seen) as _seen, (select count(*) from seen) as _count, (select max(seq) from told) " \
    "as _last, seq, event_id, topic as event_topic, store_id, created_at as timestamp, data from (select) as one "     \
    "left join told on before < 4194304 order by seq"
QUERY(EVENTS_AFTER_ALL, EVENTS_AFTER(""))
QUERY(EVENTS_AFTER_TOPIC, EVENTS_AFTER(" and topic = $5"))
/* $1 installation, $2 generation. No row while that one is not active here, and in LOG_BEGIN once it is the present one
 * no more. */
QUERY(LOG_END, "select s.last from installation as i join sequence as s using (installation_id) where "
               "i.installation_id = $1 and i.generation = $2 and i.status = 'active'")
QUERY(LOG_BEGIN, "select " LOG_BEHIND " + 1 as oldest from installation as i where i.installation_id = $1 and "
                 "i.generation = $2")
