/* queries_deliver.h - which deliveries are due, what came of them, and which process works for which subscription. */

/* ---- the lease on a subscription's queue, by the database's clock ------------------------------------------------ */

#define LEASE "clock_timestamp() + interval '5 seconds'"

/* $1 holder, $2 now, $3 how many. */
QUERY(QUEUE_CLAIM,
      "update queue set holder = $1, held_until = " LEASE " where subscription_id = any (array(select subscription_id "
      "from queue where due_at <= $2 and (held_until is null or held_until < clock_timestamp()) order by due_at "
      "limit $3 for update skip locked)) returning subscription_id")
/* Answers when each subscription was changed last: what was read before that counts no more. */
QUERY(QUEUE_RENEW, "update queue set held_until = " LEASE " from subscription as s where holder = $1 and "
                   "queue.subscription_id = any ($2::bigint[]) and s.subscription_id = queue.subscription_id "
                   "returning queue.subscription_id, s.updated_at")

/* $1 a list of s, v (the version that was seen): lets go of those where nothing has come since. */
QUERY(QUEUE_RELEASE,
      "update queue as q set holder = null, held_until = null, due_at = (select min(next_at) from waiting where "
      "waiting.subscription_id = q.subscription_id) from json_to_recordset($1) as r (s bigint, v bigint) "
      "where q.subscription_id = r.s and q.holder = $2 and q.version = r.v returning q.subscription_id")
QUERY(QUEUE_LEAVE, "update queue set holder = null, held_until = null, version = version + 1 where holder = $1")

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* Read before what waits, so that a version that is still the same means that nothing was missed. */
QUERY(
    ENDPOINTS_READ,
    "select q.subscription_id, q.version, s.target_url, s.secret, s.old_secret, s.old_secret_until, s.profile, "
    "s.updated_at, s.store_id, (s.status in ('active', 'ending', 'ended'))::int as is_on from queue as q join subscription as s "
    "using (subscription_id) where q.subscription_id = any ($1::bigint[])")

/* $1 a list of s subscription, n how many, x those in hand; $2 now. prev: the delivery of the same resource that must
 * be over first. At most half a megabyte for each, but one at least. */
QUERY(
    WAITING_LOAD,
    "select w.delivery_id, w.subscription_id, w.attempt, w.event_id, w.event_at, w.topic, w.prev, "
    "case when w.data is not null then json_build_object('event_id', w.event_id, 'event_topic', w.topic, 'store_id', "
    "w.store_id, 'timestamp', to_char(w.event_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'data', "
    "data_for(w.data, t.personal, s.permissions, s.fields)::json)::text end as body "
    "from json_to_recordset($1) as q (s bigint, n integer, x bigint[]) cross join lateral (select d.*, e.data, "
    "e.store_id, sum(octet_length(e.data::text)) over (order by d.next_at, d.delivery_id) - "
    "octet_length(e.data::text) as before, (select max(p.delivery_id) from waiting as p where p.subscription_id = "
    "d.subscription_id and p.resource_type = d.resource_type and p.resource_id = d.resource_id and "
    "p.delivery_id < d.delivery_id) as prev from (select * from waiting where subscription_id = q.s and "
    "next_at <= $2 and delivery_id <> all (q.x) order by next_at, delivery_id limit q.n) as d "
    "left join event as e on e.event_id = d.event_id and e.created_at = d.event_at) as w "
    "join subscription as s on s.subscription_id = w.subscription_id join topic as t on t.topic = w.topic "
    "where (w.before is null or w.before < 524288) and s.status in ('active', 'ending', 'ended') order by w.subscription_id, w.next_at, w.delivery_id")

/* Those whose turn comes after one that waits for its retry wait as long. $1 their ids. */
QUERY(WAITING_PARK,
      "update waiting as w set next_at = p.next_at from waiting as p where w.delivery_id = any ($1::bigint[]) and "
      "p.delivery_id = (select max(x.delivery_id) from waiting as x where x.subscription_id = w.subscription_id and "
      "x.resource_type = w.resource_type and x.resource_id = w.resource_id and x.delivery_id < w.delivery_id) and "
      "p.next_at > w.next_at")

/* ---- what came of it --------------------------------------------------------------------------------------------- */

/* Later ones of the same resource; not all of them, where there are very many: those that are left are put off when
 * they are read. */
#define LANE_BEHIND                                                                                                    \
    "w.subscription_id = r.s and w.resource_type = r.resource_type and w.resource_id = r.resource_id and "             \
    "w.delivery_id > r.id"

/* $1 the results in the order they came, $2 holder, $3 now. A result counts once, for the attempt that it is of, and
 * only while its queue is still ours. Answers the subscriptions that are to be switched off. */
QUERY(
    ATTEMPTS_NOTE,
    "with r as materialized (select r.*, w.resource_type, w.resource_id from json_to_recordset($1) as r (n bigint, "
    "id bigint, s bigint, state text, next_at timestamptz, attempt integer, attempt_id uuid, at timestamptz, "
    "headers json, status integer, answer text, error text, ms integer, gone boolean) "
    "join queue as q on q.subscription_id = r.s and q.holder = $2 "
    "join waiting as w on w.delivery_id = r.id and w.attempt = r.attempt - 1), "
    "over as (delete from waiting as w using r where w.delivery_id = r.id and r.state <> 'retrying' "
    "returning w.*, r.state, r.attempt as made), "
    "kept as (update waiting as w set attempt = r.attempt, next_at = r.next_at from r where w.delivery_id = r.id and "
    "r.state = 'retrying'), "
    "past as (insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, "
    "resource_id, state, attempt, created_at, finished_at) select delivery_id, event_at, subscription_id, event_id, "
    "topic, resource_type, resource_id, state, made, created_at, $3 from over), "
    "logged as (insert into attempt (attempt_id, at, delivery_id, subscription_id, attempt, request_headers, "
    "response_status, response_body, error, duration_ms, next_retry_at) select attempt_id, at, id, s, attempt, headers, "
    "status, answer, error, ms, next_at from r), "
    "parked as (update waiting as w set next_at = f.until from (select f.delivery_id, r.next_at as until from r cross "
    "join lateral (select delivery_id from waiting as w where r.state = 'retrying' and " LANE_BEHIND
    " and w.next_at < r.next_at order by delivery_id limit 2000) as f) as f where w.delivery_id = f.delivery_id), "
    "freed as (update waiting as w set next_at = $3 from (select f.delivery_id from r cross join lateral "
    "(select delivery_id from waiting as w where r.state <> 'retrying' and r.attempt > 1 and " LANE_BEHIND
    " and w.next_at > $3 order by delivery_id limit 2000) as f) as f where w.delivery_id = f.delivery_id), "
    "good as (select s, max(n) as last from r where state = 'success' group by s), "
    "sum as (select r.s, good.last is not null as any_good, count(*) filter (where state = 'failed' and "
    "n > coalesce(good.last, -1)) as failed, bool_or(state <> 'success') as any_bad, bool_or(r.gone) as gone "
    "from r left join good using (s) group by r.s, good.last) "
    "update subscription as x set failure_count = case when any_good then 0 else x.failure_count end + failed, "
    "last_success_at = case when any_good then $3 else x.last_success_at end, "
    "last_failure_at = case when any_bad then $3 else x.last_failure_at end "
    "from sum where x.subscription_id = sum.s and (any_bad or x.failure_count > 0 or x.last_success_at is null or "
    "x.last_success_at < $3::timestamptz - interval '1 second') "
    "returning x.subscription_id, (x.status = 'active' and (sum.gone or x.failure_count >= $4))::int as is_bad, "
    "sum.gone::int as gone")

/* $1 subscription, $2 now, $3 why. _event: the data of webhook.disabled; null for a merchant's. */
QUERY(SUBSCRIPTION_DISABLE,
      "update subscription set status = 'inactive', disabled_reason = $3, disabled_at = $2, updated_at = $2 "
      "where subscription_id = $1 and status = 'active' returning store_id, case when installation_id is not null then "
      "json_build_object('subscription_id', subscription_id, 'installation_id', installation_id, 'app_id', app_id, "
      "'event_topic', topic, 'target_url', target_url, 'reason', $3::text, 'disabled_at', "
      "to_char($2::timestamptz at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) end as _event, "
      "gen_random_uuid() as event_id")
