/* queries_installations.h - installations: made, looked at, used, ended; and what their apps are told. */

/* The app's row is locked, so that an app cannot be deleted while it is being installed. */
QUERY(APP_FOR_INSTALL,
      "select app_id, requested_scopes, is_active::int as active from app where app_id = $1 and deleted_at is null "
      "for share")

/* $2 account, $3 store, $4 whether what is listed must be approved. A custom app lives on its one store only. */
QUERY(APP_FOR_DIRECT_INSTALL,
      "select app_id, requested_scopes, (is_active and type = 'platform' and (is_listed and (is_approved or not $4) or "
      "owner_account_id in ($2, (select owner_account_id from store where store_id = $3)) or exists (select from "
      "app_member where app_member.app_id = app.app_id and account_id = $2)))::int as active "
      "from app where app_id = $1 and deleted_at is null for share")

QUERY(APP_SET_LISTED, "update app set is_listed = $2, updated_at = $3 where app_id = $1 and deleted_at is null "
                      "and (type = 'platform' or not $2) returning app_id, is_listed")

/* One row per store and app for ever. $3 scopes, $4 now, $5 way, $6 when the merchant agreed; null: now. No row when a
 * later consent has installed it, or it has ended, since then. _event: the data of app.installed. */
QUERY(INSTALLATION_INSTALL,
      "with put as (insert into installation (store_id, app_id, granted_scopes, installed_at, created_at, updated_at, "
      "way, consented_at) select store_id, $2, $3, $4, $4, $4, $5, coalesce($6::timestamptz, $4::timestamptz) "
      "from store where store_id = $1 "
      "on conflict (store_id, app_id) do update set generation = installation.generation + 1, "
      "granted_scopes = $3, status = 'active', installed_at = $4, uninstalled_at = null, updated_at = $4, way = $5, "
      "consented_at = excluded.consented_at "
      "where $6::timestamptz is null or greatest(installation.consented_at, installation.ended_at) < $6 returning *) "
      "select put.installation_id, put.store_id, put.app_id, put.generation, put.granted_scopes, put.status, "
      "json_build_object('installation_id', put.installation_id, 'app_id', put.app_id, 'app_name', app.name, "
      "'scopes', string_to_array(put.granted_scopes, ' '), 'generation', put.generation, 'installed_at', "
      "to_char(put.installed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) as _event "
      "from put join app using (app_id)")

/* For webhooks alone, which takes it out of the events: it is to know an installation before anything that happens to
 * it. $2 now. */
QUERY(INSTALLATION_ANNOUNCE,
      "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
      "select 'webhooks.installation', store_id, 'webhooks.installation', installation_id, json_build_object("
      "'installation_id', installation_id, 'app_id', app_id, 'generation', generation, 'scopes', "
      "string_to_array(granted_scopes, ' '), 'topics', webhook_topics, 'url', webhook_receive_url), $2 "
      "from installation join app using (app_id) where installation_id = $1 and status = 'active'")

QUERY(INSTALLATION_GET,
      "select installation_id, store_id, app_id, generation, granted_scopes, " INSTALLATION_STATUS ", installed_at, "
      "uninstalled_at, created_at, updated_at from installation where installation_id = $1")

/* $2: when what it does began; an end after that counts even if it was installed anew. */
QUERY(INSTALLATION_STANDING,
      "select granted_scopes, (installation.status = 'active' and app.is_active and app.deleted_at is null and "
      "(ended_at is null or ended_at < $2))::int as installed, (store.status = 'active')::int as store_active "
      "from installation join app using (app_id) join store using (store_id) where installation_id = $1")

QUERY(INSTALLATION_FOR_TOKENS, "select installation_id, store_id, app_id, generation, granted_scopes from installation "
                               "where installation_id = $1 and status = 'active' for update")

QUERY(INSTALLATION_LOCK, "select installation_id, store_id, app_id, generation, status as _status, " INSTALLATION_STATUS
                         " from installation where installation_id = $1 for update")

/* _event: the data of app.uninstalled. */
QUERY(INSTALLATION_END,
      "update installation set status = 'uninstalling', uninstalled_at = $2, ended_at = $2, updated_at = $2 from app "
      "where installation_id = $1 and app.app_id = installation.app_id "
      "returning json_build_object('installation_id', installation_id, 'app_id', app.app_id, 'app_name', app.name, "
      "'generation', generation, 'uninstalled_at', "
      "to_char(uninstalled_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) as _event")

/* All tokens of generation $2 die, if it is still the present one. The caller has locked the row, as does whoever makes
 * a token: each is made before or after. An uninstall or a new install needs this not: status and generation say it. */
QUERY(INSTALLATION_TOKENS_END, "update installation set tokens_from = nextval(pg_get_serial_sequence('token', "
                               "'token_id')) where installation_id = $1 and generation = $2")

/* ---- what the merchant sees -------------------------------------------------------------------------------------- */

/* $2 account: the store's owner or one of its members. */
QUERY(INSTALLATION_STORE_OF,
      "select store_id, app.type from installation join store using (store_id) join app using (app_id) "
      "where installation_id = $1 and "
      "(store.owner_account_id = $2 or exists (select from store_member where store_member.store_id = store.store_id "
      "and account_id = $2))")

QUERY(INSTALLATION_VIEW,
      "select " INSTALLATION_COLUMNS " from " INSTALLATION_TABLES " where installation.installation_id = $1")

/* $2: active, uninstalled, or null for both. $3 the id before which the page begins, $4 limit, $5 offset. One row with
 * nothing but the total when the page is empty. */
QUERY(INSTALLATIONS_OF_STORE,
      "with total as (select count(*) as _total from installation where store_id = $1 and "
      "($2::text is null or (status = 'active') = ($2 = 'active'))) "
      "select total._total, page.* from total left join lateral (select " INSTALLATION_COLUMNS
      " from " INSTALLATION_TABLES " where installation.store_id = $1 and installation.installation_id < $3 and "
      "($2::text is null or (installation.status = 'active') = ($2 = 'active')) "
      "order by installation.installation_id desc limit $4 offset $5) as page on true")

/* ---- uninstall.c ------------------------------------------------------------------------------------------------- */

/* $4: the data of app.uninstalled. */
QUERY(UNINSTALL_PUT, "insert into uninstall (installation_id, generation, next_at, created_at, event) "
                     "values ($1, $2, $3, $3, $4)")

/* $1 now, $2 until when the row is held. One generation after the other, up to the step behind webhooks_ended: what
 * ends a generation there ends the earlier ones too, also those that have not said goodbye yet. */
QUERY(UNINSTALL_CLAIM,
      "update uninstall set tries = tries + 1, next_at = $2 where (installation_id, generation) = "
      "(select installation_id, generation from uninstall as u where next_at <= $1 and not exists (select from "
      "uninstall as e where e.installation_id = u.installation_id and e.generation < u.generation and e.step < 3) "
      "order by next_at limit 1 for update skip locked) returning installation_id, generation, step, tries, event_id, "
      "event, created_at, "
      "(select store_id from installation where installation.installation_id = uninstall.installation_id) as store_id, "
      "(select app_id from installation where installation.installation_id = uninstall.installation_id) as app_id")

/* Whether something of installation $1 has not reached webhooks yet. The outbox is short, or webhooks is away. */
QUERY(INSTALLATION_UNTOLD, "select exists (select from outbox where resource_type in ('webhooks.installation', "
                           "'installation') and resource_id = $1)::int as untold")

QUERY(UNINSTALL_ADVANCE,
      "update uninstall set step = step + 1 where installation_id = $1 and generation = $2 and step = $3")

/* $4: when the next step is due. One statement: a process that is late finds its step taken and moves nothing. */
QUERY(UNINSTALL_ADVANCE_LATER, "update uninstall set step = step + 1, next_at = $4 "
                               "where installation_id = $1 and generation = $2 and step = $3")

QUERY(UNINSTALL_DELAY,
      "update uninstall set next_at = $4 where installation_id = $1 and generation = $2 and tries = $3")

QUERY(INSTALLATION_FINISH,
      "update installation set status = 'uninstalled', updated_at = $3 where installation_id = $1 and generation = $2 "
      "and status = 'uninstalling'")

/* Locks the row, so that a reinstall comes before or after. */
QUERY(INSTALLATION_REDACT,
      "select store_id, json_build_object('store_id', store_id, 'app_id', app_id, 'installation_id', installation_id, "
      "'redact_requested_at', to_char($3::timestamptz at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) "
      "as _event from installation where installation_id = $1 and generation = $2 and status = 'uninstalled' "
      "for update")

QUERY(UNINSTALL_DELETE, "delete from uninstall where installation_id = $1 and generation = $2")

/* ---- app_push.c -------------------------------------------------------------------------------------------------- */

/* A later push replaces an earlier one, never the other way round: a saga that is late must not undo a reinstall. While
 * the earlier one is under way the later one waits, or the app could get them in the wrong order. */
QUERY(PUSH_TOKEN_PUT,
      "insert into app_push (installation_id, generation, kind, next_at, created_at) "
      "select $1, $2, 'token', $3, $3 from installation join app using (app_id) where installation_id = $1 "
      "and webhook_url is not null "
      "on conflict (installation_id) do update set generation = $2, kind = 'token', attempts = 0, "
      "next_at = greatest($3, app_push.busy_until), created_at = $3 where app_push.generation < $2")

QUERY(PUSH_REVOKE_PUT,
      "insert into app_push (installation_id, generation, kind, next_at, created_at) "
      "select $1, $2, 'revoke', $3, $3 from installation join app using (app_id) where installation_id = $1 "
      "and generation = $2 and status = 'uninstalling' and way = 'direct' and webhook_url is not null "
      "on conflict (installation_id) do update set generation = $2, kind = 'revoke', attempts = 0, "
      "next_at = greatest($3, app_push.busy_until), created_at = $3 where app_push.generation < $2 "
      "or (app_push.generation = $2 and app_push.kind = 'token')")

/* The next attempt is noted before this one is made: $2 to $7 are when it comes after the first, second, ... one. $9:
 * until when this one may be under way. $10 of an app at once with those that are under way, so that one that is slow
 * does not take all places. An array, because the planner may run a sub-select once per row, and each time it would
 * lock and claim others. */
QUERY(PUSH_CLAIM, "update app_push set attempts = attempts + 1, busy_until = $9, "
                  "next_at = (array[$2, $3, $4, $5, $6, $7]::timestamptz[])[least(attempts, 5) + 1] "
                  "where installation_id = any (array(select installation_id from app_push where next_at <= $1 and "
                  "installation_id in (select installation_id from (select installation_id, row_number() over "
                  "(partition by app_id order by next_at, installation_id) + coalesce(busy.count, 0) as place "
                  "from app_push join installation using (installation_id) left join (select app_id, count(*) "
                  "from app_push join installation using (installation_id) where busy_until > $1 group by app_id) "
                  "as busy using (app_id) where next_at <= $1) as due where place <= $10) "
                  "order by next_at limit $8 for update skip locked)) "
                  "returning installation_id, generation, kind, attempts, busy_until")

/* The push and all it needs, if it is still the newest and still true. An app that is switched off is told as well:
 * what it gets works once it is on again. */
QUERY(PUSH_TARGET,
      "select app_push.installation_id, store_id, app_id, client_id, session_signing_key, webhook_url "
      "from app_push join installation using (installation_id) join app using (app_id) where installation_id = $1 "
      "and app_push.generation = $2 and kind = $3 and installation.generation = $2 and webhook_url is not null and "
      "(installation.status = 'active') = (kind = 'token') and (kind = 'revoke' or app.deleted_at is null) "
      "for update of installation")

QUERY(PUSH_DONE, "delete from app_push where installation_id = $1 and generation = $2 and kind = $3")

/* The attempt that was claimed until $4 is over: what has taken its place meanwhile may go at once ($5). */
QUERY(PUSH_SET_FREE, "update app_push set busy_until = null, next_at = case when generation = $2 and kind = $3 "
                     "then next_at else least(next_at, $5) end where installation_id = $1 and busy_until = $4")

/* ---- usage.c ----------------------------------------------------------------------------------------------------- */

QUERY(USAGE_BATCH_TAKE,
      "insert into usage_batch (gateway_id, batch, taken_at) values ($1, $2, $3) on conflict (gateway_id) do update "
      "set batch = $2, taken_at = $3 where usage_batch.batch < $2")

/* In the order of the ids, so that the batches of two gateways do not lock crosswise. */
QUERY(USAGE_ADD,
      "insert into installation_usage as known (installation_id, request_count, last_used_at) "
      "select installation_id, sum(requests), max(timestamptz 'epoch' + last_used_us * interval '1 microsecond') "
      "from json_to_recordset($1) as entry (installation_id bigint, requests bigint, last_used_us bigint) "
      "join installation using (installation_id) group by installation_id order by installation_id "
      "on conflict (installation_id) do update set request_count = known.request_count + excluded.request_count, "
      "last_used_at = greatest(known.last_used_at, excluded.last_used_at)")

QUERY(USAGE_BATCHES_TRIM, "delete from usage_batch where taken_at < $1")
