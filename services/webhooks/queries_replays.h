/* queries_replays.h - events sent once more: what a replay would send, the replay itself, and its next piece. A test
 * delivery is nobody's event and is not replayed.
 */

/* The subscriptions a replay is for. $1 installation, $2 of this one alone, $3 of this topic alone, $4 generation: of
 * the install that asks for it. */
#define REPLAY_TARGETS                                                                                                 \
    "subscription as s join installation as i using (installation_id) join topic as t on t.topic = s.topic "           \
    "where installation_id = $1 and i.generation = $4 and i.status = 'active' and s.status = 'active' and (t.scope "   \
    "is null or t.scope = any (i.scopes)) and ($2::bigint is null or s.subscription_id = $2) and ($3::text is null "   \
    "or s.topic = $3)"
#define REPLAY_TARGETS_FEW                                                                                             \
    "targets as materialized (select s.subscription_id, s.topic, i.log_after from " REPLAY_TARGETS " limit 101)"

/* ---- what it would send. $5 from, $6 to. Counted up to 10,001 -------------------------------------------------- */

#define REPLAY_COUNT(of_target)                                                                                        \
    "with " REPLAY_TARGETS_FEW " select (select count(*) from targets) as subscriptions, (select count(*) from "       \
    "(select from targets cross join lateral (" of_target " limit 10001) as each limit 10001) as few) as total"
QUERY(REPLAY_COUNT_FAILED,
      REPLAY_COUNT("select from delivery as d where d.subscription_id = targets.subscription_id and d.topic = "
                   "targets.topic and d.state = 'failed' and d.retried_as is null and d.resource_type <> 'test' and "
                   "d.event_at >= $5 and d.event_at < $6"))
QUERY(REPLAY_COUNT_ALL, REPLAY_COUNT("select from log where log.installation_id = $1 and log.topic = targets.topic and "
                                     "log.event_at >= $5 and log.event_at < $6 and log.seq > targets.log_after"))

/* $1 installation, $2 event: one that the log of its generation $3 has. */
QUERY(
    REPLAY_EVENT_FIND,
    "select e.topic, e.created_at as at from event as e join log as l on l.installation_id = $1 and l.topic = e.topic "
    "and l.event_at = e.created_at and l.event_id = e.event_id join installation as i on i.installation_id = $1 and "
    "i.generation = $3 and i.log_after < l.seq where e.event_id = $2::uuid")
/* $5 event, $6 its time, $7 now. */
QUERY(REPLAY_EVENT_SEND,
      "with " REPLAY_TARGETS_FEW ", made as (insert into waiting (subscription_id, event_id, event_at, topic, "
      "resource_type, resource_id, next_at, created_at) select targets.subscription_id, e.event_id, e.created_at, "
      "e.topic, " LANE_AGAIN(
          "e.resource_type") ", e.resource_id, $7, $7 from targets join event as e on e.topic = targets.topic and "
                             "e.event_id = $5::uuid and e.created_at = $6 order by targets.subscription_id "
                             "returning *), " MARK_REPEATED ", "
                             "rung as (update queue set due_at = least(due_at, $7), version = version + 1 where "
                             "subscription_id in "
                             "(select subscription_id from made)) select count(*) as queued from made")

/* ---- the replay as its owner sees it --------------------------------------------------------------------------- */

#define ISO(column) "to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
#define REPLAY_COLUMNS                                                                                                 \
    "r.replay_id, r.state as status, case when r.state = 'stopped' then 'The subscription was switched off or "        \
    "deleted, "                                                                                                        \
    "or the app is not installed any more' end as message, json_build_object('subscription_id', r.subscription_id, "   \
    "'topic', r.topic, 'event_id', r.event_id, 'status', r.status, 'from', " ISO("r.from_at") ", 'to', " ISO(          \
        "r.to_at") ") as filter, r.rate, least(r.total, 10000) as total, r.total > 10000 as total_capped, r.queued, "  \
                   "case when r.queued > 0 then r.at_time end as reached, r.created_at, r.finished_at"

/* $1 installation, $2 subscription, $3 topic, $4 event, $5 status, $6 from, $7 to, $8 rate, $9 state, $10 total,
 * $11 queued, $12 now, $13 generation. */
QUERY(
    REPLAY_INSERT,
    "with r as (insert into replay (installation_id, generation, subscription_id, topic, event_id, status, from_at, "
    "to_at, rate, state, total, queued, at_time, next_at, created_at, finished_at) select installation_id, generation, "
    "$2, $3, $4::uuid, $5, $6, $7, $8, $9, $10, $11, $6, $12, $12, case when $9 <> 'running' then $12::timestamptz end "
    "from installation where installation_id = $1 and generation = $13 returning *) select " REPLAY_COLUMNS " from r")
/* All but the newest hundred of those that are over. */
QUERY(REPLAY_TRIM, "delete from replay where installation_id = $1 and state <> 'running' and replay_id <= (select "
                   "replay_id from replay where installation_id = $1 order by replay_id desc offset 99 limit 1)")
QUERY(REPLAYS_LIST,
      "select " REPLAY_COLUMNS " from replay as r where installation_id = $1 and generation = $2 order by "
      "replay_id desc limit 100")
QUERY(REPLAY_GET, "select " REPLAY_COLUMNS " from replay as r where installation_id = $1 and generation = $2 and "
                  "replay_id = $3")
QUERY(REPLAY_CANCEL, "update replay set state = 'cancelled', finished_at = $4 where installation_id = $1 and "
                     "generation = $2 and replay_id = $3 and state = 'running'")

/* ---- its next piece -------------------------------------------------------------------------------------------- */

/* Its row is the lease: whoever has it locked works on it, the others pass it by. $1 now. */
QUERY(REPLAY_TAKE,
      "select replay_id, installation_id, generation, subscription_id, topic, status = 'failed' as is_failed, "
      "from_at, to_at, rate, at_subscription, at_time, at_number, before_delivery from replay where "
      "state = 'running' and next_at <= $1 order by next_at limit 1 for update skip locked")

/* The subscription that it has come to, how much is due and waits there, up to $6 and $7, and whether it is suspended.
 * For share, so that the installation does not end in between. $5 from which one on, $8 now. */
QUERY(REPLAY_TARGET,
      "select s.subscription_id, s.topic, (select count(*) from (select from waiting as w where w.subscription_id = "
      "s.subscription_id and w.next_at <= $8 limit $6) as few) as due, (select count(*) from (select from waiting as w "
      "where w.subscription_id = s.subscription_id limit $7) as few) as waiting, (" SUSPENDED
      " is true)::int as is_suspended from " REPLAY_TARGETS
      " and s.subscription_id >= $5 order by s.subscription_id limit 1 for share of i")

/* $1 subscription, $2 topic, $3 before which delivery or of which installation, $4 to, $5 and $6 behind which place,
 * $7 how many, $8 now. Answers the place of the last one, nothing when there was none. */
QUERY(
    REPLAY_QUEUE_FAILED,
    "with d as materialized (select delivery_id, event_id, event_at, topic, resource_type, resource_id from delivery "
    "where subscription_id = $1 and topic = $2 and state = 'failed' and retried_as is null and resource_type <> 'test' "
    "and delivery_id < $3 and event_at >= $5 and event_at < $4 and (event_at, delivery_id) > ($5, $6) "
    "order by event_at, delivery_id limit $7), made as (insert into waiting (subscription_id, event_id, event_at, "
    "topic, resource_type, resource_id, next_at, created_at) select $1, event_id, event_at, topic, " LANE_AGAIN(
        "resource_type") ", resource_id, $8, $8 from (select distinct on (event_id) * from d order by event_id, "
                         "delivery_id) as once order by event_at, delivery_id returning *), " MARK_REPEATED
                         " select (select count(*) from d) as seen, (select count(*) from made) as queued, "
                         "event_at as at_time, "
                         "delivery_id as at_number from d order by event_at desc, delivery_id desc limit 1")
QUERY(REPLAY_QUEUE_ALL,
      "with l as materialized (select seq, event_id, event_at from log where installation_id = $3 and topic = $2 and "
      "event_at >= $5 and event_at < $4 and (event_at, seq) > ($5, $6) and seq > (select log_after from installation "
      "where installation_id = $3) order by event_at, seq limit $7), "
      "made as (insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, "
      "created_at) select $1, e.event_id, e.created_at, e.topic, " LANE_AGAIN(
          "e.resource_type") ", e.resource_id, $8, $8 "
                             "from l cross join lateral (select * from event where event_id = l.event_id and "
                             "created_at = l.event_at offset 0) "
                             "as e order by l.event_at, l.seq "
                             "returning *), " MARK_REPEATED
                             " select (select count(*) from l) as seen, (select count(*) from made) as queued, "
                             "event_at as at_time, seq as at_number from l order by event_at desc, seq desc limit 1")

/* $2 subscription, $3 and $4 place, $5 how many went, $6 when it may go on. */
QUERY(REPLAY_MOVE, "update replay set at_subscription = $2, at_time = $3, at_number = $4, queued = queued + $5, "
                   "next_at = $6 where replay_id = $1")
QUERY(REPLAY_REST, "update replay set next_at = $2 where replay_id = $1")
QUERY(REPLAY_FINISH,
      "update replay as r set finished_at = $2, state = case when (subscription_id is null or at_subscription > "
      "subscription_id) and exists (select from installation as i where i.installation_id = r.installation_id and "
      "i.status = 'active' and i.generation = r.generation) then 'completed' else 'stopped' end where replay_id = $1")
