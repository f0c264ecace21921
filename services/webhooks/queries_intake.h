/* queries_intake.h - installations as auth tells them, and events on their way into the log and to the subscriptions.
 *
 * The events travel as one JSON list; n is an event's place in it.
 */
QUERY(PARTITIONS_MAKE, "select partitions_make(($1::timestamptz at time zone 'UTC')::date)")

/* $1 before when: the oldest day with a table, null when there is none; and whether anything has come in since. */
QUERY(PARTITION_OLDEST,
      "select to_date(min(right(c.relname, 8)), 'YYYYMMDD')::timestamp at time zone 'UTC' as day, "
      "exists (select from event where created_at >= $1)::int as goes_on "
      "from pg_inherits join pg_class as c on c.oid = inhrelid join pg_class as p on p.oid = inhparent "
      "where p.relnamespace = 'webhooks'::regnamespace and p.relname in ('event', 'log', 'delivery', 'attempt') and "
      "c.relkind = 'r' and right(c.relname, 8) < to_char($1::timestamptz at time zone 'UTC', 'YYYYMMDD')")
QUERY(PARTITION_DROP, "select partition_drop(($1::timestamptz at time zone 'UTC')::date) as part")

/* What waits for events before $1, of the $3 deliveries behind $2; their part of `delivery` goes as well. Page by page,
 * because there is no index by the event's time, which intake would have to keep. */
QUERY(
    WAITING_EXPIRE,
    "with page as materialized (select delivery_id, event_at from waiting where delivery_id > $2 order by delivery_id "
    "limit $3), gone as (delete from waiting where delivery_id = any (array(select delivery_id from page where "
    "event_at < $1)) returning delivery_id) select (select count(*) from page) as seen, (select max(delivery_id) from "
    "page) as last, (select count(*) from gone) as gone")

/* ---- installations ----------------------------------------------------------------------------------------------- */

/* $1 installation, $2 store, $3 app, $4 generation, $5 scopes, $6 now. No row when what it says is late: a later
 * install is known, or this one has begun to end. A new one's log_after is still open. */
QUERY(INSTALLATION_PUT,
      "insert into installation as known (installation_id, store_id, app_id, generation, scopes, status, updated_at) "
      "values ($1, $2, $3, $4, $5::text[], 'active', $6) on conflict (installation_id) do update set generation = $4, "
      "scopes = $5::text[], status = 'active', updated_at = $6, log_after = case when known.generation = $4 then "
      "known.log_after end where known.generation < $4 or "
      "(known.generation = $4 and known.status = 'active') returning subscribed, generation")
/* First, as intake does, so that they wait for each other and never crosswise. */
QUERY(SEQUENCE_LOCK, "select from sequence where installation_id = $1 for update")
QUERY(SEQUENCE_PUT, "insert into sequence (installation_id) values ($1) on conflict do nothing")

/* What is numbered until now is of earlier generations, and what follows is not: intake shares the row that this
 * transaction has changed (SEQUENCES_LOCK). A statement of its own: it must see what those wrote that it waited for. */
QUERY(INSTALLATION_LOG_BEGIN, "update installation set log_after = (select last from sequence where installation_id = "
                              "$1) where installation_id = $1 and log_after is null")

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
    "union all select delivery_id from waiting where installation_id = $1 and generation <= $2 and topic <> "
    "'app.uninstalled' limit $3))")
/* Whoever holds a queue of the app's subscriptions for every store has read some of it. $1 app, $2 now. */
QUERY(QUEUES_OF_APP_REREAD,
      "update queue set reread_at = $2 where holder is not null and subscription_id in (select subscription_id from "
      "subscription where app_id = $1 and store_id is null and status = 'active')")
QUERY(INSTALLATION_END, "update installation set status = 'ended', updated_at = $3 where installation_id = $1 and "
                        "generation = $2 and status = 'ending'")
QUERY(SUBSCRIPTIONS_END, "update subscription set status = 'ended', updated_at = $3 where installation_id = $1 and "
                         "generation <= $2 and status in ('active', 'inactive', 'ending')")

/* $1 what auth says of an app; what is late changes nothing. */
QUERY(
    APP_SUSPENSION_PUT,
    "insert into suspended_app as known (app_id, is_suspended, version) select app_id, suspended, version from "
    "json_to_record($1) as told (app_id bigint, suspended boolean, version bigint) on conflict (app_id) do update set "
    "is_suspended = excluded.is_suspended, version = excluded.version where known.version < excluded.version")

/* $1 app, $2 now, $3 how many: of those that wait for its suspension to end, if it has ended. */
QUERY(APP_REINSTATED,
      "update queue set due_at = $2, waits_for_app = null, version = version + 1 where subscription_id = any (array("
      "select subscription_id from queue where waits_for_app = $1 and (select not is_suspended from suspended_app "
      "where app_id = $1) order by subscription_id limit $3)) and waits_for_app = $1")

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* The sequences that may advance, always in the order of the ids. $1 the events' stores. A statement of its own: what
 * follows must see what those wrote that it waited for. */
QUERY(SEQUENCES_LOCK,
      "select s.installation_id from sequence as s join installation as i using (installation_id) where "
      "s.installation_id = any (array(select installation_id from installation where store_id = any ($1::bigint[]) and "
      "status <> 'ended')) order by s.installation_id for update of s for share of i")

/* Nothing of an installation follows its end: what a process has read before of other subscriptions it begins no more,
 * once it has renewed its lease (LEASE_SAFE_MS). */
#define END_AFTER "interval '5 seconds'"

/* $1 the events, $2 now. Those that are new, in their order, into the log of all installations of the store that may
 * read them, or of the one that they name, and towards the subscriptions. An installation that is ending takes only
 * what names it, one that has ended the request to forget the store; what is of another generation than the present
 * one stands in nobody's log. Each look-up is a lateral one of its own, so that it goes by an index whatever PostgreSQL
 * believes of the size of these tables, and one that leads to the rows it wants: what it passes over it would pass over
 * for every other app of the store again. */
QUERY(
    EVENTS_TAKE,
    "with e as (insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, installation_id, "
    "generation, data) select event_id, created_at, topic, store_id, resource_type, resource_id, case when t.named then "
    "(data ->> 'installation_id')::bigint end, case when t.named then (data ->> 'generation')::integer end, data "
    "from json_to_recordset($1) as e (n bigint, event_id uuid, created_at timestamptz, topic text, store_id bigint, "
    "resource_type text, resource_id bigint, data json) left join topic as t using (topic) order by n "
    "on conflict do nothing returning number, event_id, created_at, topic, store_id, resource_type, resource_id, "
    "installation_id as names, generation as of_generation), "
    "a as materialized (select e.*, t.named, i.*, unlogged, row_number() over (partition by unlogged, i.installation_id "
    "order by e.number) as place from e join topic as t using (topic) cross join lateral ("
    "(select installation_id, generation, status, app_id from installation where not t.named and store_id = "
    "e.store_id and status = 'active' and (t.scope is null or t.scope = any (scopes)) offset 0) union all "
    "(select installation_id, generation, status, app_id from installation where t.named and installation_id = "
    "e.names and store_id = e.store_id and (status <> 'ended' or e.topic = 'shop/redact') offset 0)) as i "
    "cross join lateral (select i.status = 'ended' or (e.of_generation <> i.generation) is true) as l (unlogged)), "
    "advanced as (update sequence set last = last + counted.count from (select installation_id, count(*) from a "
    "where not unlogged group by 1) as counted where sequence.installation_id = counted.installation_id and "
    "sequence.installation_id = any (array(select installation_id from a)) "
    "returning sequence.installation_id, last - counted.count as base), "
    "logged as (insert into log (installation_id, seq, event_at, event_id, topic) "
    "select a.installation_id, base + place, a.created_at, a.event_id, a.topic from a join advanced "
    "using (installation_id) where not unlogged), "
    "wanted as (select s.subscription_id, a.number, a.event_id, a.created_at, a.topic, a.resource_type, a.resource_id, "
    "null::bigint as installation_id, null::integer as generation "
    "from a cross join lateral (select subscription_id from subscription where store_id = a.store_id and topic = "
    "a.topic and installation_id = a.installation_id and generation = coalesce(a.of_generation, a.generation) and "
    "status in ('active', 'ending', 'ended') and (status = 'active' or (status = 'ending' and a.named) or (status = "
    "'ended' and a.topic = 'shop/redact')) offset 0) as s "
    "union all select s.subscription_id, e.number, e.event_id, e.created_at, e.topic, e.resource_type, e.resource_id, "
    "null, null from e join topic as t using (topic) cross join lateral (select subscription_id from subscription where store_id = "
    "e.store_id and topic = e.topic and installation_id is null and status = 'active' offset 0) as s where t.merchant "
    "union all select s.subscription_id, a.number, a.event_id, a.created_at, a.topic, a.resource_type, a.resource_id, "
    "a.installation_id, coalesce(a.of_generation, a.generation) from a cross join lateral (select subscription_id from "
    "subscription where app_id = a.app_id and topic = a.topic and store_id is null and status = 'active' offset 0) as "
    "s), "
    "made as (insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, "
    "created_at, installation_id, generation) select subscription_id, event_id, created_at, topic, resource_type, "
    "resource_id, case topic when 'app.uninstalled' then $2::timestamptz + " END_AFTER " else $2 end, $2, "
    "installation_id, generation "
    "from wanted order by number, subscription_id returning subscription_id), "
    "rung as (update queue set due_at = least(due_at, $2), version = version + 1 where subscription_id = any (array("
    "select subscription_id from made))) "
    "select count(*) as taken from e")
