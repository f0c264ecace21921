/* queries_intake.h - installations as auth tells them, and events on their way into the log and to the subscriptions.
 *
 * The events travel as one JSON list; n is an event's place in it.
 */
#define EVENT_KEYS "json_to_recordset($1) as e (n bigint, event_id uuid, created_at timestamptz)"

/* Which installations an event is for: all of the store that may read it, or the one that it names. An installation
 * that is ending takes only what names it, one that has ended the request to forget the store. */
#define EVENT_IS_FOR                                                                                                   \
    "(not t.named and i.store_id = e.store_id and i.status = 'active' and (t.scope is null or t.scope = any "          \
    "(i.scopes))) or (t.named and i.installation_id = e.installation_id and i.store_id = e.store_id and "              \
    "(i.status <> 'ended' or e.topic = 'shop/redact'))"

QUERY(PARTITIONS_MAKE, "select partitions_make(($1::timestamptz at time zone 'UTC')::date)")
QUERY(PARTITIONS_DROP, "select partitions_drop(($1::timestamptz at time zone 'UTC')::date) as dropped")

/* ---- installations ----------------------------------------------------------------------------------------------- */

/* $1 installation, $2 store, $3 app, $4 generation, $5 scopes, $6 now. No row when what it says is late: a later
 * install is known, or this one has begun to end. */
QUERY(INSTALLATION_PUT,
      "insert into installation as known (installation_id, store_id, app_id, generation, scopes, status, updated_at) "
      "values ($1, $2, $3, $4, $5::text[], 'active', $6) on conflict (installation_id) do update set generation = $4, "
      "scopes = $5::text[], status = 'active', updated_at = $6 where known.generation < $4 or "
      "(known.generation = $4 and known.status = 'active') returning subscribed, generation")
QUERY(SEQUENCE_PUT, "insert into sequence (installation_id) values ($1) on conflict do nothing")

/* Those of an earlier generation whose end has not come through yet: that is all they wait for. */
QUERY(SUBSCRIPTIONS_OF_EARLIER,
      "update subscription set status = case when status = 'active' then 'ending' else 'deleted' end, updated_at = $3 "
      "where installation_id = $1 and generation < $2 and status in ('active', 'inactive')")
QUERY(INSTALLATION_SUBSCRIBED, "update installation set subscribed = $2 where installation_id = $1")

/* $1 the topics as JSON list, $2 scopes: those that there are and that the app may have, in their order. */
QUERY(TOPICS_OF_APP, "select topic, nextval('subscription_id_seq') as subscription_id from (select topic from topic "
                     "where topic in (select json_array_elements_text($1::json)) and (scope is null or scope = any "
                     "($2::text[])) order by topic) as declared")

/* Locked against the intake of events, so that each event comes before or after. */
QUERY(INSTALLATION_BEGIN_END,
      "insert into installation as known (installation_id, store_id, app_id, generation, scopes, status, updated_at) "
      "values ($1, $3, $4, $2, '{}', 'ending', $5) on conflict (installation_id) do update set generation = $2, "
      "status = 'ending', updated_at = $5 where known.generation < $2 or (known.generation = $2 and known.status = "
      "'active') returning installation_id")
QUERY(SUBSCRIPTIONS_BEGIN_END,
      "update subscription set status = case when status = 'active' then 'ending' else 'deleted' end, updated_at = $3 "
      "where installation_id = $1 and generation <= $2 and status in ('active', 'inactive')")

/* What waited for them goes nowhere any more. $3 at a time. */
QUERY(
    WAITING_CANCEL,
    "delete from waiting where delivery_id = any (array(select w.delivery_id from subscription as s join waiting as w "
    "using (subscription_id) where s.installation_id = $1 and s.generation <= $2 and w.topic <> 'app.uninstalled' "
    "limit $3))")
QUERY(INSTALLATION_END, "update installation set status = 'ended', updated_at = $3 where installation_id = $1 and "
                        "generation = $2 and status = 'ending'")
QUERY(SUBSCRIPTIONS_END, "update subscription set status = 'ended', updated_at = $3 where installation_id = $1 and "
                         "generation <= $2 and status in ('active', 'inactive', 'ending')")

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* $1 the events. Those that are new, in their order; one of them that a transaction beside this one brings as well
 * waits for it. */
QUERY(
    EVENTS_INSERT,
    "insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, installation_id, generation, "
    "data) select event_id, created_at, topic, store_id, resource_type, resource_id, case when t.named then "
    "(data ->> 'installation_id')::bigint end, case when t.named then (data ->> 'generation')::integer end, data "
    "from json_to_recordset($1) as e (n bigint, event_id uuid, created_at timestamptz, topic text, store_id bigint, "
    "resource_type text, resource_id bigint, data json) left join topic as t using (topic) order by n "
    "on conflict do nothing returning event_id, created_at")

/* The sequences that will advance, always in the order of the ids. */
QUERY(SEQUENCES_LOCK,
      "select s.installation_id from sequence as s join installation as i using (installation_id) where "
      "s.installation_id = any (array(select i.installation_id from " EVENT_KEYS " join event as x using (event_id, "
      "created_at) join topic as t on t.topic = x.topic join installation as i on "
      "(not t.named and i.store_id = x.store_id and i.status <> 'ended') or (t.named and i.installation_id = "
      "x.installation_id))) order by s.installation_id for update of s for share of i")

/* $1 the new events, $2 now. */
QUERY(
    EVENTS_SPREAD,
    "with e as materialized (select k.n, event.* from json_to_recordset($1) as k (n bigint, event_id uuid, created_at "
    "timestamptz) join event using (event_id, created_at)), "
    "a as materialized (select e.n, e.event_id, e.created_at, e.topic, i.installation_id, i.generation, i.status, "
    "t.named, row_number() over (partition by i.installation_id order by e.n) as place from e join topic as t using "
    "(topic) join installation as i on " EVENT_IS_FOR "), "
    "advanced as (update sequence set last = last + counted.count from (select installation_id, count(*) from a "
    "where status <> 'ended' group by 1) as counted where sequence.installation_id = counted.installation_id "
    "returning sequence.installation_id, last - counted.count as base), "
    "logged as (insert into log (installation_id, seq, event_at, event_id, topic, generation) "
    "select a.installation_id, base + place, a.created_at, a.event_id, a.topic, a.generation from a join advanced "
    "using (installation_id) where status <> 'ended' returning 1), "
    "wanted as (select e.n, s.subscription_id, e.event_id from a join e using (n) join subscription as s on "
    "s.store_id = e.store_id and s.topic = e.topic and s.installation_id = a.installation_id and "
    "s.generation = coalesce(e.generation, a.generation) and (s.status = 'active' or (s.status = 'ending' and a.named) or "
    "(s.status = 'ended' and e.topic = 'shop/redact')) "
    "union all select e.n, s.subscription_id, e.event_id from e join topic as t using (topic) join subscription as s "
    "on s.store_id = e.store_id and s.topic = e.topic and s.installation_id is null and s.status = 'active' "
    "where t.merchant), "
    "made as (insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, "
    "created_at) select subscription_id, e.event_id, e.created_at, e.topic, e.resource_type, e.resource_id, $2, $2 "
    "from (select n, subscription_id from wanted order by n, subscription_id) as w join e using (n) "
    "order by n, subscription_id returning subscription_id), "
    "rung as (update queue set due_at = least(due_at, $2), version = version + 1 where subscription_id in "
    "(select subscription_id from made)) "
    "select (select count(*) from made) as deliveries, (select count(*) from logged) as logged")
