/* queries_deliver.h - which deliveries are due, what came of them, and which process works for which subscription. */

/* ---- the lease on a subscription's queue, by the database's clock ------------------------------------------------ */

#define LEASE "clock_timestamp() + interval '5 seconds'"

/* Nobody waits for the disk: a crash of PostgreSQL that forgets a lease has broken all holders' connections as well,
 * and what it forgets is the end of its log, so that nothing is forgotten but what followed it. */
#define UNHURRIED "(select set_config('synchronous_commit', 'off', true)) is not null"

/* True when the app of s, a subscription, is suspended: what is for it waits. What tells of an uninstall, or of the
 * rights of people in what the app has of them, does not. */
#define SUSPENDED                                                                                                      \
    "(select true from suspended_app as a where a.app_id = s.app_id and a.is_suspended and s.topic <> all "            \
    "('{app.uninstalled,shop/redact,customers/redact,customers/data_request}'))"

/* $1 holder, $2 now, $3 how many. A lease that ends later than a new one would is from a clock that has been set back.
 */
QUERY(QUEUE_CLAIM,
      "update queue set holder = $1, held_until = " LEASE " where subscription_id = any (array(select subscription_id "
      "from queue where due_at <= $2 and (held_until is null or held_until < clock_timestamp() or held_until > "
      "clock_timestamp() + interval '6 seconds') order by due_at "
      "limit $3 for update skip locked)) and " UNHURRIED " returning subscription_id")
/* Answers when each subscription was changed last: what was read before that counts no more. */
QUERY(QUEUE_RENEW, "update queue set held_until = " LEASE " from subscription as s where holder = $1 and "
                   "queue.subscription_id = any ($2::bigint[]) and s.subscription_id = queue.subscription_id "
                   "and " UNHURRIED " returning queue.subscription_id, s.updated_at, queue.reread_at, "
                   "(" SUSPENDED " is true)::int as is_suspended")

/* $1 a list of s, v (the version that was seen), until, suspended; $2 holder: lets go of those where nothing has come
 * since, and of those that are put off until then. A suspended one for which something waits is not due before its app
 * is reinstated, which the lock keeps from happening unseen (APP_REINSTATED). */
QUERY(
    QUEUE_RELEASE,
    "update queue as q set holder = null, held_until = null, (due_at, waits_for_app) = (select coalesce(r.until, case "
    "when a.app_id is null then w.next_at else 'infinity' end), a.app_id from (select min(next_at) as next_at from "
    "waiting where waiting.subscription_id = q.subscription_id) as w left join lateral (select a.app_id from "
    "subscription as s join suspended_app as a using (app_id) where r.suspended and r.until is null and "
    "s.subscription_id = r.s and a.is_suspended for share of a) as a on w.next_at is not null) "
    "from json_to_recordset($1) as r (s bigint, v bigint, until timestamptz, suspended boolean) where "
    "q.subscription_id = r.s and q.holder = $2 and (q.version = r.v or r.until is not null) and " UNHURRIED
    " returning q.subscription_id")
QUERY(QUEUE_LEAVE, "update queue set holder = null, held_until = null, version = version + 1 where holder = $1")

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* One of those that waited when s was switched off: they are dropped (SUBSCRIPTION_DROP_WAITING) before anything else
 * of it goes out, also where it has been switched on again since. */
#define LEFT_OVER                                                                                                      \
    "(select o.delivery_id from waiting as o where o.subscription_id = s.subscription_id and o.delivery_id < "         \
    "s.off_before order by o.delivery_id limit 1)"

/* Read before what waits, so that a version that is still the same means that nothing was missed. */
QUERY(ENDPOINTS_READ,
      "select q.subscription_id, q.version, s.target_url, s.secret, s.old_secret, s.old_secret_until, s.profile, "
      "s.updated_at, q.reread_at, s.store_id, s.last_success_at, s.last_failure_at, "
      "coalesce(s.app_id, -s.store_id) as owner, (s.status in ('active', 'ending', 'ended') and " LEFT_OVER
      " is null)::int as is_on, (" SUSPENDED " is true)::int as is_suspended "
      "from queue as q join subscription as s using (subscription_id) where q.subscription_id = any ($1::bigint[])")

/* Plans are made once, while the table may be empty or very full; schema/040_waiting_ballast.sql keeps PostgreSQL from
 * believing that it is small. Look-ups are lateral ones or by arrays of ids, so that each goes by the index it is meant
 * for: what comes before w in the lane of its resource by a range of ids, in the one order that waiting_lane has. */
#define BEFORE_IN_LANE                                                                                                 \
    "from waiting as p where p.subscription_id = w.subscription_id and p.resource_type = w.resource_type and "         \
    "(p.resource_id, p.delivery_id) < (w.resource_id, w.delivery_id) and p.resource_id >= w.resource_id "              \
    "order by p.resource_id desc, p.delivery_id desc limit 1"

/* $1 a list of s subscription, n how many, x those in hand; $2 now. prev: the delivery of the same resource that must
 * be over first. At most half a megabyte for each, but one at least. */
QUERY(
    WAITING_LOAD,
    "select w.delivery_id, w.subscription_id, w.attempt, w.event_id, w.event_at, w.topic, "
    "(select p.delivery_id " BEFORE_IN_LANE ") as prev, "
    "case when w.data is not null then '{\"event_id\":\"' || w.event_id || '\",\"event_topic\":\"' || w.topic || "
    "'\",\"store_id\":' || w.store_id || ',\"timestamp\":\"' || to_char(w.event_at at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') || '\",\"data\":' || "
    "data_for(w.data, t.personal, s.permissions, s.fields) || '}' end as body "
    "from json_to_recordset($1) as q (s bigint, n integer, x bigint[]) cross join lateral (select * from subscription "
    "as s where subscription_id = q.s and status in ('active', 'ending', 'ended') and " LEFT_OVER
    " is null and " SUSPENDED " is null offset 0) as s cross join lateral ("
    "select d.*, e.data, e.store_id, sum(octet_length(e.data::text)) over (order by d.next_at, d.delivery_id) - "
    "octet_length(e.data::text) as before from (select * from waiting where subscription_id = q.s and "
    "next_at <= $2 and delivery_id <> all (q.x) order by next_at, delivery_id limit q.n) as d "
    "left join lateral (select data, store_id from event where event_id = d.event_id and created_at = d.event_at "
    "offset 0) as e on true) as w join topic as t on t.topic = w.topic "
    "where w.before is null or w.before < 524288 order by w.subscription_id, w.next_at, w.delivery_id")

/* What is behind one that waits for its retry waits as long: until the first in its lane is due, and the one right
 * before it, whichever is later; and so does all behind it, not all at once where it is very much. $1 ids that were
 * read but cannot go out yet. */
QUERY(
    WAITING_PARK,
    "with behind as materialized (select f.delivery_id, u.next_at from (select distinct on (subscription_id, "
    "resource_type, resource_id) subscription_id, resource_type, resource_id, delivery_id from waiting where "
    "delivery_id = any ($1::bigint[]) order by subscription_id, resource_type, resource_id, delivery_id) as w "
    "cross join lateral (select greatest((select p.next_at from waiting as p where p.subscription_id = "
    "w.subscription_id and p.resource_type = w.resource_type and (p.resource_id, p.delivery_id) > (w.resource_id, 0) "
    "and p.resource_id <= w.resource_id order by p.resource_id, p.delivery_id limit 1), (select p.next_at " BEFORE_IN_LANE
    ")) as next_at offset 0) as u cross join lateral (select f.delivery_id from waiting as f where "
    "f.subscription_id = w.subscription_id and f.resource_type = w.resource_type and (f.resource_id, f.delivery_id) "
    ">= (w.resource_id, w.delivery_id) and f.resource_id <= w.resource_id and f.next_at < u.next_at "
    "order by f.resource_id, f.delivery_id limit 2000) as f) "
    "update waiting as x set next_at = b.next_at from behind as b where x.delivery_id = b.delivery_id and "
    "x.delivery_id = any (array(select delivery_id from behind))")

/* ---- what came of it --------------------------------------------------------------------------------------------- */

/* $1 the results in the order they came, $2 holder, $3 now. A result counts once, for the attempt that it is of, and
 * only while its queue is still ours. What comes later of the same resource waits for a retry, and for nothing any more
 * when that has ended; not all of it at once, where it is very much: what is left is put off when it is read. $5
 * synchronous_commit. Answers the subscriptions that are to be switched off. */
QUERY(
    ATTEMPTS_NOTE,
    "with r as materialized (select r.*, w.subscription_id, w.delivery_id, w.event_id, w.event_at, w.topic, "
    "w.resource_type, w.resource_id, w.created_at from json_to_recordset($1) as r (n bigint, id bigint, "
    "s bigint, state text, next_at timestamptz, attempt integer, "
    "attempt_id uuid, at timestamptz, headers json, status integer, answer text, error text, ms integer, gone boolean) "
    "cross join (select set_config('synchronous_commit', $5, true) as mode offset 0) as durable "
    "cross join lateral (select from queue where subscription_id = r.s and holder = $2 offset 0) as q "
    "cross join lateral (select * from waiting where delivery_id = r.id and attempt = r.attempt - 1 offset 0) as w "
    "where durable.mode is not null), "
    "over as (delete from waiting where delivery_id = any (array(select id from r where state <> 'retrying'))), "
    "kept as (update waiting as w set attempt = r.attempt, next_at = r.next_at from r where w.delivery_id = r.id and "
    "r.state = 'retrying' and w.delivery_id = any (array(select id from r where state = 'retrying'))), "
    "past as (insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, "
    "resource_id, state, attempt, created_at, finished_at) select id, event_at, s, event_id, topic, resource_type, "
    "resource_id, state, attempt, created_at, $3 from r where state <> 'retrying' and " DAY_IS_KEPT
    " on conflict do nothing), "
    "logged as (insert into attempt (attempt_id, at, delivery_id, subscription_id, attempt, request_headers, "
    "response_status, response_body, error, duration_ms, next_retry_at, resource_type, resource_id) select attempt_id, "
    "at, id, s, attempt, headers, status, answer, error, ms, next_at, case when answer <> '' then (select p from "
    "split_part(resource_type, '/', 1) as p where p in ('customer', 'order')) end, resource_id from r), "
    "behind as materialized (select f.delivery_id, case when r.state = 'retrying' then r.next_at else $3 end as until "
    "from r cross join lateral (select delivery_id from waiting as w where w.subscription_id = r.subscription_id and "
    "w.resource_type = r.resource_type and (w.resource_id, w.delivery_id) > (r.resource_id, r.delivery_id) and "
    "w.resource_id <= r.resource_id and "
    "case when r.state = 'retrying' then w.next_at < r.next_at else w.next_at > $3 end "
    "order by w.resource_id, w.delivery_id limit 2000) as f where r.state = 'retrying' or r.attempt > 1), "
    "moved as (update waiting as w set next_at = b.until from behind as b where w.delivery_id = b.delivery_id and "
    "w.delivery_id = any (array(select delivery_id from behind))), "
    "good as (select s, max(n) as last from r where state = 'success' group by s), "
    "sum as (select r.s, good.last is not null as any_good, count(*) filter (where state = 'failed' and "
    "n > coalesce(good.last, -1)) as failed, bool_or(state <> 'success') as any_bad, bool_or(r.gone) as gone "
    "from r left join good using (s) group by r.s, good.last) "
    "update subscription as x set failure_count = case when any_good then 0 else x.failure_count end + failed, "
    "last_success_at = case when any_good then $3 else x.last_success_at end, "
    "last_failure_at = case when any_bad then $3 else x.last_failure_at end "
    "from sum where x.subscription_id = sum.s and x.subscription_id = any (array(select s from r)) and (any_bad or "
    "x.failure_count > 0 or x.last_success_at is null or x.last_success_at < $3::timestamptz - interval '1 second') "
    "returning x.subscription_id, (x.status = 'active' and (sum.gone or x.failure_count >= $4))::int as is_bad, "
    "sum.gone::int as gone")

/* $1 subscription, $2 now, $3 why. _event: the data of webhook.disabled; null for a merchant's. store_id: null for a
 * developer's, which is for every store. */
QUERY(SUBSCRIPTION_DISABLE,
      "update subscription set status = 'inactive', disabled_reason = $3, disabled_at = $2, updated_at = $2, "
      "off_before = nextval('delivery_id_seq') "
      "where subscription_id = $1 and status = 'active' returning store_id, app_id, case when app_id is not null then "
      "json_build_object('subscription_id', subscription_id, 'installation_id', installation_id, 'app_id', app_id, "
      "'event_topic', topic, 'target_url', target_url, 'reason', $3::text, 'disabled_at', "
      "to_char($2::timestamptz at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) end as _event, "
      "gen_random_uuid() as event_id")

/* What happened to a subscription for every store is of no store and no install, so that it stands in nobody's log: it
 * goes to the app's other subscriptions for every store. $1 event, $2 now, $3 app, $4 subscription, $5 data. */
QUERY(DEVELOPER_TELL,
      "with e as (insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data) values "
      "($1::uuid, $2, 'webhook.disabled', 0, 'webhook', $4, $5) returning *), made as (insert into waiting "
      "(subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, created_at) select "
      "s.subscription_id, e.event_id, e.created_at, e.topic, e.resource_type, e.resource_id, $2, $2 from e cross join "
      "lateral (select subscription_id from subscription where app_id = $3 and topic = e.topic and store_id is null "
      "and status = 'active' offset 0) as s returning subscription_id) "
      "update queue set due_at = least(due_at, $2), version = version + 1 where subscription_id = any (array(select "
      "subscription_id from made))")
