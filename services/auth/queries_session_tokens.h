/* queries_session_tokens.h - the SQL of session tokens and of the keys that sign them. Included by queries.h where
 * QUERY has a meaning: no guard.
 */

/* What a token for this installation is made of; by its id, or by app and store. */
#define SESSION_TARGET                                                                                                 \
    "select installation_id, store_id, app_id, generation, app.type, app.name, app.app_url, client_id, "               \
    "session_algorithm, session_signing_key, signing_key_number, installation.status, "                                \
    "(app.is_active and app.deleted_at is null)::int as app_active "                                                   \
    "from installation join app using (app_id) where "

QUERY(SESSION_TARGET_BY_ID, SESSION_TARGET "installation_id = $1")

QUERY(SESSION_TARGET_BY_APP, SESSION_TARGET "app_id = $1 and store_id = $2")

#undef SESSION_TARGET

/* $1 installation, $2 app, $3 store, as the token claims; $4 the platform's key it names, $5 now, $6 the account it
 * was made for, 0 for one that the app has signed itself. Also read where the token does not say which app: the row of
 * none has nulls. */
QUERY(IDENTIFY_APP_SESSION,
      "select v, app_id, client_id, session_algorithm, session_signing_key, signing_key_number, public_key, store_id, "
      "installation_id, generation, granted_scopes, "
      "(installation.status = 'active' and app.is_active and app.deleted_at is null and ($6::bigint = 0 or exists "
      "(select from account where account_id = $6 and account.status = 'active' and (store.owner_account_id = $6 or "
      "exists (select from store_member where store_member.store_id = store.store_id and store_member.account_id = $6 "
      "and string_to_array(permissions, ' ') && array['apps__install_apps', 'apps__manage_apps'])))))::int as alive, "
      "(store.status = 'active')::int as store_active "
      "from identity_version left join (installation join app using (app_id) join store using (store_id)) "
      "on installation_id = $1 and app_id = $2 and store_id = $3 "
      "left join session_key on kid = $4 and (ends_at is null or ends_at > $5)")

/* ---- the platform's key pairs ------------------------------------------------------------------------------------ */

QUERY(SESSION_KEY_SIGNING, "select kid, public_key, private_key from session_key "
                           "where signs_from <= $1 and (ends_at is null or ends_at > $1) order by number desc limit 1")

QUERY(SESSION_KEYS_PUBLISHED, "select kid, public_key from session_key where ends_at is null or ends_at > $1 "
                              "order by number desc limit 100")

/* Whoever comes first makes it. */
QUERY(SESSION_KEY_FIRST,
      "insert into session_key (number, kid, public_key, private_key, signs_from, created_at) "
      "select 1, $1, $2, $3, $4, $4 where not exists (select from session_key) on conflict do nothing")

/* Rotations come one after another. */
QUERY(SESSION_KEY_NEWEST_LOCK, "select number from session_key order by number desc limit 1 for update")

/* $1: when the tokens of the keys before have all run out. */
QUERY(SESSION_KEYS_SET_END, "update session_key set ends_at = least(ends_at, $1) where ends_at is null or ends_at > $1")

QUERY(SESSION_KEY_INSERT,
      "insert into session_key (number, kid, public_key, private_key, signs_from, created_at) "
      "select coalesce(max(number), 0) + 1, $1, $2, $3, $4, $5 from session_key on conflict do nothing "
      "returning number, kid, signs_from")

QUERY(APP_SET_SESSION_ALGORITHM,
      "update app set session_algorithm = $2, updated_at = $3 where app_id = $1 and deleted_at is null "
      "returning app_id, session_algorithm as algorithm, home_store_id as _store_id")
