/* queries_subscriptions.h - subscriptions as their owners see and change them. An app's are those of its installation,
 * a developer's all of the app, a merchant's those made in the store: every statement names whose beside the id. */

/* A subscription as its owner sees it: no secret. */
#define SUBSCRIPTION_COLUMNS                                                                                           \
    "s.subscription_id, s.installation_id, s.app_id, s.store_id, s.name, s.topic as event_topic, s.topic, "            \
    "s.target_url, s.target_url as url, s.profile as signature_profile, to_json(s.permissions) as permissions, "       \
    "to_json(s.fields) as fields, s.status = 'active' as is_active, s.made_by as created_by_type, s.failure_count, "   \
    "s.last_failure_at, s.last_success_at, s.disabled_reason, s.disabled_at, "                                         \
    "case when s.old_secret_until > $1 then s.old_secret_until end as previous_secret_until, s.created_at, "           \
    "s.updated_at"
#define SUBSCRIPTION_MINE SUBSCRIPTION_OF " and s.subscription_id = $3 and s.status in ('active', 'inactive')"

QUERY(SUBSCRIPTION_NEXT_ID, "select nextval('subscription_id_seq') as subscription_id")

/* $1 a JSON list of subscription_id, topic, secret (hexadecimal, sealed); the rest is the same for all of them. */
QUERY(SUBSCRIPTIONS_INSERT,
      "with made as (insert into subscription (subscription_id, topic, secret, store_id, installation_id, app_id, "
      "generation, made_by, name, target_url, profile, permissions, fields, status, created_at, updated_at) "
      "select subscription_id, topic, decode(secret, 'hex'), $2, $3, $4, i.generation, $5, $6, $7, $8, "
      "(select array_agg(value) from json_array_elements_text($9)), "
      "(select array_agg(value) from json_array_elements_text($10)), 'active', $11, $11 "
      "from json_to_recordset($1) as n (subscription_id bigint, topic text, secret text) "
      "left join installation as i on i.installation_id = $3 returning subscription_id) "
      "insert into queue (subscription_id) select subscription_id from made")

/* For share, so that the installation does not end while a subscription of it is made. */
QUERY(INSTALLATION_SHARE, "select from installation where installation_id = $1 and generation = $2 and status = "
                          "'active' for share")

/* $1 now, $2 whose, $3 subscription. */
QUERY(SUBSCRIPTION_GET, "select " SUBSCRIPTION_COLUMNS " from subscription as s where " SUBSCRIPTION_MINE)
QUERY(SUBSCRIPTION_LOCK,
      "select s.topic as _topic, s.target_url as _target_url, s.name as _name, s.profile as _profile, "
      "to_json(s.permissions) as _permissions, to_json(s.fields) as _fields, s.status as _status, "
      "s.installation_id as _installation_id, "
      "(s.old_secret_until > $1)::int as _rotating from subscription as s where " SUBSCRIPTION_MINE " for update")

/* $4 topic, $5 url, $6 name, $7 profile, $8 permissions, $9 fields, $10 status. Switched on again it begins anew. */
QUERY(
    SUBSCRIPTION_UPDATE,
    "with s as (update subscription as s set topic = $4, target_url = $5, name = $6, profile = $7, "
    "permissions = (select array_agg(value) from json_array_elements_text($8)), "
    "fields = (select array_agg(value) from json_array_elements_text($9)), "
    "failure_count = case when s.status = 'inactive' and $10 = 'active' then 0 else s.failure_count end, "
    "disabled_reason = case when $10 = 'active' then null when s.status = 'active' then 'switched off by its owner' "
    "else s.disabled_reason end, "
    "disabled_at = case when $10 = 'active' then null when s.status = 'active' then $1 else s.disabled_at end, "
    "off_before = case when s.status = 'active' and $10 = 'inactive' then nextval('delivery_id_seq') else s.off_before "
    "end, status = $10, updated_at = $1 where " SUBSCRIPTION_MINE " returning *) select " SUBSCRIPTION_COLUMNS
    " from s")
QUERY(SUBSCRIPTION_DELETE, "update subscription as s set status = 'deleted', updated_at = $1 where " SUBSCRIPTION_MINE
                           " returning s.subscription_id")

/* What waits for a subscription that is off or gone will never be sent, nor what waited for it when it was off last. $1
 * subscription, $2 now. No more than DROPPED_AT_ONCE: the rest is dropped by whoever holds the queue. */
QUERY(
    SUBSCRIPTION_DROP_WAITING,
    "with gone as (delete from waiting where delivery_id = any (array(select delivery_id from waiting where "
    "subscription_id = $1 and delivery_id < (select case when status in ('active', 'ending', 'ended') then off_before "
    "else 9223372036854775807 end from subscription where subscription_id = $1) order by delivery_id limit 2000)) "
    "returning *) "
    "insert into delivery (delivery_id, event_at, subscription_id, event_id, topic, resource_type, resource_id, "
    "state, attempt, created_at, finished_at) select delivery_id, event_at, subscription_id, event_id, topic, "
    "resource_type, resource_id, 'failed', attempt, created_at, $2 from gone where " DAY_IS_KEPT)

/* The first $4 by id, downwards from before $3; of installation $2's generation $6. One row with the total alone when
 * there is none. */
QUERY(
    SUBSCRIPTIONS_LIST,
    "with total as (select count(*) as _total from (select from subscription where installation_id = $2 and "
    "generation = $6 and status in ('active', 'inactive') limit 10001) as few) select total._total, page.* from total "
    "left join lateral (select " SUBSCRIPTION_COLUMNS " from subscription as s where s.installation_id = $2 and "
    "s.generation = $6 and s.subscription_id < $3 and s.status in ('active', 'inactive') order by s.subscription_id "
    "desc limit $4 offset $5) as page on true")

/* $4 the new secret. The old one stays for a while; one that was on its way out already goes. */
QUERY(SUBSCRIPTION_ROTATE, "update subscription as s set old_secret = s.secret, old_secret_until = $5, secret = $4, "
                           "updated_at = $1 where " SUBSCRIPTION_MINE)
QUERY(SUBSCRIPTION_PROMOTE, "update subscription as s set old_secret = null, old_secret_until = null, updated_at = $1 "
                            "where " SUBSCRIPTION_MINE)

/* $1 the scopes the app holds. */
QUERY(TOPICS_LIST, "select topic, scope as required_scope, summary as description, (scope is null or scope = any "
                   "($1::text[])) as is_allowed, sample from topic order by topic")
/* $1: texts. Those that are no topics. */
QUERY(TOPICS_UNKNOWN,
      "select coalesce(json_agg(text order by text), '[]') as unknown from unnest($1::text[]) as said (text) "
      "where not exists (select from topic where topic = said.text)")
QUERY(TOPIC_GET,
      "select topic, scope as _scope, (scope is null or scope = any ($2::text[]))::int as _allowed, merchant::int as "
      "_merchant from topic where topic = $1")

/* ---- test deliveries --------------------------------------------------------------------------------------------- */

/* An event that nobody else gets and no log has; of no store where the subscription has none. $1 now, $2 whose, $3
 * subscription. */
QUERY(TEST_EVENT,
      "with e as (insert into event (event_id, created_at, topic, store_id, resource_type, resource_id, data) "
      "select gen_random_uuid(), $1, s.topic, coalesce(s.store_id, 0), 'test', s.subscription_id, t.sample from "
      "subscription as s join topic as t using (topic) where " SUBSCRIPTION_MINE " returning *) "
      "insert into waiting (subscription_id, event_id, event_at, topic, resource_type, resource_id, next_at, "
      "created_at) select $3, event_id, created_at, topic, resource_type, resource_id, $1, $1 from e "
      "returning delivery_id::text as delivery_id, event_id, topic as event_topic, 'pending' as status, created_at")
QUERY(QUEUE_RING, "update queue set due_at = least(due_at, $2), version = version + 1 where subscription_id = $1")

/* ---- exchange of the master key (reseal.h) */
QUERY(SECRETS_TO_RESEAL, "select " RESEAL_PLACE ", subscription_id::text as about, secret as sealed from subscription "
                         "where " RESEAL_OTHERS("secret"))
QUERY(SECRET_RESEAL, "update subscription set secret = $2 where ctid = " RESEAL_AT("$1"))
QUERY(OLD_SECRETS_TO_RESEAL, "select " RESEAL_PLACE ", subscription_id::text as about, old_secret as sealed "
                             "from subscription where " RESEAL_OTHERS("old_secret"))
QUERY(OLD_SECRET_RESEAL, "update subscription set old_secret = $2 where ctid = " RESEAL_AT("$1"))

/* ---- how many there are, counted by one after the other ---------------------------------------------------------- */

/* $1 whose, as subscription_owner says it: until the end of the transaction. */
QUERY(SUBSCRIPTIONS_ORDER, "select pg_advisory_xact_lock(hashtextextended('subscriptions of ' || $1::text, 0))")

/* $1 installation, $2 topic, $3 how many it may have. */
QUERY(SUBSCRIPTIONS_COUNT,
      "select count(*) as total, count(*) filter (where topic = $2) as of_topic from (select topic from subscription "
      "where installation_id = $1 and status in ('active', 'inactive') limit $3) as few")

/* $1 app, $2 how many there may be: those for all its stores. */
QUERY(SUBSCRIPTIONS_OF_DEVELOPER, "select count(*) as total from (select from subscription where app_id = $1 and "
                                  "store_id is null and status in ('active', 'inactive') limit $2) as few")
/* $1 store, $2 how many there may be: those that merchants made. */
QUERY(SUBSCRIPTIONS_OF_MERCHANT, "select count(*) as total from (select from subscription where store_id = $1 and "
                                 "installation_id is null and status in ('active', 'inactive') limit $2) as few")

/* ---- lists of developers and merchants --------------------------------------------------------------------------- */

/* $1 now, $2 app, $3 status or null, $4 how many, $5 offset. By each status of its own, so that few cost no more where
 * there are many of the other. */
QUERY(SUBSCRIPTIONS_OF_APP,
      "with wanted as (select unnest(case when $3::text is null then '{active,inactive}'::text[] else array[$3::text] "
      "end) as status), total as (select count(*) as _total from (select from wanted as w cross join lateral (select "
      "from subscription as s where s.app_id = $2 and s.status = w.status and s.status in ('active', 'inactive') limit "
      "10001) as each limit 10001) as few) select total._total, page.* from total left join lateral "
      "(select " SUBSCRIPTION_COLUMNS " from wanted as w cross join lateral (select * from subscription as s where "
      "s.app_id = $2 and s.status = w.status and s.status in ('active', 'inactive') order by s.subscription_id desc "
      "limit $4::bigint + $5::bigint) as s order by s.subscription_id desc limit $4 offset $5) as page on true")

/* $1 store, $2 before which one, $3 how many, $4 offset: the merchants' and the apps' in this store. */
QUERY(SUBSCRIPTIONS_OF_STORE,
      "with total as (select count(*) as _total from (select from subscription where store_id = $1 and status in "
      "('active', 'inactive') limit 10001) as few) select total._total, page.* from total left join lateral "
      "(select s.subscription_id, s.app_id, s.installation_id, s.store_id, s.topic as event_topic, s.target_url, "
      "s.status = 'active' as is_active, s.failure_count, s.name, to_json(s.permissions) as permissions, case when "
      "s.made_by = 'merchant' then 'merchant' else 'app' end as created_by_type, s.disabled_reason, s.last_failure_at, "
      "s.last_success_at, s.created_at, s.updated_at from subscription as s where s.store_id = $1 and "
      "s.subscription_id < $2 and s.status in ('active', 'inactive') order by s.subscription_id desc limit $3 offset "
      "$4) as page on true")
