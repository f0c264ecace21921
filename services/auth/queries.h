/* queries.h - all SQL of this service, prepared at connect. Included where QUERY(NAME, "sql") has a meaning: no guard.
 *
 * Flags are selected as ::int, so that a handler reads 0 or 1.
 */

/* ---- accounts ---------------------------------------------------------------------------------------------------- */

QUERY(ACCOUNT_INSERT,
      "insert into account (name, email, phone, username, password, is_admin, is_developer, created_at, updated_at) "
      "values ($1, lower($2), $3, lower($4), $5, $6, $7, $8, $8) "
      "returning account_id, name, email, phone, username, is_admin, is_developer, status, created_at")

QUERY(ACCOUNT_GET, "select account_id, name, email, phone, username, is_admin, is_developer, status, created_at "
                   "from account where account_id = $1")

QUERY(ACCOUNT_FIND, "select account_id, name, email, phone, username, is_admin, is_developer, status, created_at "
                    "from account where email = lower($1)")

/* An e-mail holds an @, a phone number begins with a digit or +, a username with a letter: at most one row. */
QUERY(ACCOUNT_FOR_LOGIN,
      "select account_id, name, email, phone, username, password as _password, is_admin, is_developer, "
      "status as _status from account where email = lower($1) or phone = $1 or username = lower($1)")

QUERY(ACCOUNT_SET_STATUS,
      "update account set status = $2, updated_at = $3 where account_id = $1 returning account_id, status")

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

QUERY(LOGIN_FAILURE_COUNT,
      "insert into login_failure (who, failures, until) values ($1, 1, $3) on conflict (who) do update set "
      "failures = case when login_failure.until <= $2 then 1 else least(login_failure.failures + 1, 1000) end, "
      "until = case when login_failure.until <= $2 then $3 else login_failure.until end "
      "returning failures, until")

QUERY(LOGIN_FAILURE_FORGET, "delete from login_failure where who = $1")

QUERY(LOGIN_FAILURE_TRIM, "delete from login_failure where who in "
                          "(select who from login_failure where until <= $1 limit 20 for update skip locked)")

QUERY(SESSION_INSERT,
      "insert into session (account_id, audience, access_hash, refresh_hash, expires_at, refresh_expires_at, "
      "created_at) values ($1, $2, $3, $4, $5, $6, $7) returning session_id")

QUERY(SESSION_SET_REVOKED, "update session set revoked_at = coalesce(revoked_at, $2) where session_id = $1 "
                           "returning session_id, account_id")

QUERY(SESSION_FIND_BY_ACCESS, "select session_id from session where access_hash = $1")

QUERY(ACCOUNT_SESSIONS_SET_REVOKED, "update session set revoked_at = $2 where account_id = $1 and revoked_at is null")

/* ---- stores ------------------------------------------------------------------------------------------------------ */

QUERY(STORE_INSERT, "insert into store (owner_account_id, name, created_at, updated_at) "
                    "select account_id, $2, $3, $3 from account where account_id = $1 "
                    "returning store_id, owner_account_id, name, status, created_at")

QUERY(STORE_SET_STATUS, "update store set status = $2, updated_at = $3 where store_id = $1 returning store_id, status")

QUERY(STORES_OF_ACCOUNT,
      "select store_id, name, status, created_at from store where owner_account_id = $1 order by store_id limit 250")

/* ---- apps -------------------------------------------------------------------------------------------------------- */

QUERY(APP_INSERT,
      "insert into app (owner_account_id, type, name, slug, icon, app_url, setup_url, webhook_url, developer_name, "
      "developer_email, redirect_urls, requested_scopes, client_id, client_secret_hash, session_signing_key, "
      "created_at, updated_at) "
      "select account_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16 "
      "from account where account_id = $1 returning app_id")

QUERY(APP_GET,
      "select app_id, owner_account_id, type, name, slug, icon, app_url, setup_url, webhook_url, developer_name, "
      "developer_email, redirect_urls, requested_scopes, client_id, is_active, created_at, updated_at "
      "from app where (app_id = $1 or slug = $2) and deleted_at is null")

QUERY(APP_SET_SECRET,
      "update app set client_secret_hash = $2, updated_at = $3 where app_id = $1 and deleted_at is null "
      "returning app_id, client_id")

QUERY(APP_CLIENT_ID, "select client_id from app where app_id = $1 and deleted_at is null")

QUERY(APP_SET_SIGNING_KEY,
      "update app set session_signing_key = $2, updated_at = $3 where app_id = $1 and deleted_at is null "
      "returning app_id")

QUERY(APP_SET_ACTIVE, "update app set is_active = $2, updated_at = $3 where app_id = $1 and deleted_at is null "
                      "returning app_id, is_active")

/* ---- installations and tokens ------------------------------------------------------------------------------------ */

/* The app's row is locked, so that an app cannot be deleted while it is being installed. */
QUERY(APP_FOR_INSTALL,
      "select app_id, requested_scopes, is_active::int as active from app where app_id = $1 and deleted_at is null "
      "for share")

QUERY(INSTALLATION_PUT,
      "insert into installation (store_id, app_id, granted_scopes, installed_at, created_at, updated_at) "
      "select store_id, $2, $3, $4, $4, $4 from store where store_id = $1 "
      "on conflict (store_id, app_id) do update set generation = installation.generation + 1, "
      "granted_scopes = $3, status = 'active', installed_at = $4, uninstalled_at = null, updated_at = $4 "
      "returning installation_id, store_id, app_id, generation, granted_scopes, status")

QUERY(INSTALLATION_GET,
      "select installation_id, store_id, app_id, generation, granted_scopes, status, installed_at, uninstalled_at, "
      "created_at, updated_at from installation where installation_id = $1")

QUERY(INSTALLATION_FOR_TOKENS, "select installation_id, store_id, app_id, generation, granted_scopes from installation "
                               "where installation_id = $1 and status = 'active' for update")

QUERY(INSTALLATION_END,
      "update installation set status = 'uninstalled', uninstalled_at = coalesce(uninstalled_at, $2), updated_at = $2 "
      "where installation_id = $1 returning installation_id, store_id, app_id, status")

QUERY(INSTALLATION_TOKENS_SET_REVOKED,
      "update token set revoked_at = $2 where installation_id = $1 and revoked_at is null")

QUERY(TOKEN_INSERT, "insert into token (installation_id, generation, kind, token_hash, expires_at, created_at) "
                    "values ($1, $2, $3, $4, $5, $6)")

QUERY(TOKEN_SET_REVOKED, "update token set revoked_at = coalesce(revoked_at, $2) where token_hash = $1 "
                         "returning token_id, installation_id")

/* ---- who is behind a credential: each reads the version in the same snapshot (protocols 5) ----------------------- */

QUERY(IDENTIFY_TOKEN,
      "select v, token_id, token.expires_at, "
      "(token.revoked_at is null and token.generation = installation.generation and installation.status = 'active' "
      "and app.is_active and app.deleted_at is null)::int as alive, "
      "app_id, store_id, installation_id, granted_scopes, (store.status = 'active')::int as store_active "
      "from identity_version left join (token join installation using (installation_id) join app using (app_id) "
      "join store using (store_id)) on token_hash = $1 and kind = 'access'")

QUERY(IDENTIFY_APP_SESSION,
      "select v, app_id, client_id, session_signing_key, store_id, installation_id, granted_scopes, installed_at, "
      "(installation.status = 'active' and app.is_active and app.deleted_at is null)::int as alive, "
      "(store.status = 'active')::int as store_active "
      "from identity_version left join (installation join app using (app_id) join store using (store_id)) "
      "on installation_id = $1 and app_id = $2 and store_id = $3")

QUERY(IDENTIFY_CLIENT,
      "select v, app.app_id, app.client_secret_hash, (app.is_active and app.deleted_at is null)::int as app_active, "
      "installation_id, (installation.status = 'active')::int as installed, granted_scopes, store.store_id, "
      "(store.status = 'active')::int as store_active "
      "from identity_version left join app on client_id = $1 "
      "left join (installation join store using (store_id)) "
      "on installation.app_id = app.app_id and store_id = $2")

QUERY(IDENTIFY_SESSION, "select v, session_id, audience, session.expires_at, account_id, is_admin::int as admin, "
                        "is_developer::int as developer, "
                        "(session.revoked_at is null and account.status = 'active')::int as alive "
                        "from identity_version left join (session join account using (account_id)) on access_hash = $1")

QUERY(IDENTIFY_DEVELOPER,
      "select v, session_id, audience, account_id, is_admin::int as admin, is_developer::int as developer, "
      "(session.revoked_at is null and account.status = 'active')::int as alive "
      "from identity_version left join (session join account using (account_id)) "
      "on session_id = $1 and account_id = $2 and audience = 'developer'")

/* ---- coherence of the gateways' caches (protocols 5) ------------------------------------------------------------- */

/* The last statement of a revoking transaction: the lock on the one row puts versions in commit order. */
QUERY(VERSION_BUMP, "with bumped as (update identity_version set v = v + 1 returning v) "
                    "insert into invalidation (v, tag) select v, $1 from bumped returning v")

QUERY(GATEWAYS, "select id, beat from gateway")

QUERY(GATEWAY_FORGET, "delete from gateway where id = $1 and beat = $2")

/* One transaction: a revocation under way either sees the new row or is seen by this version. */
QUERY(GATEWAY_JOIN, "with current as (select v from identity_version for share) "
                    "insert into gateway (id, joined_at) select $1, $2 from current "
                    "on conflict (id) do update set beat = gateway.beat + 1, joined_at = $2 "
                    "returning (select v from current) as v")

/* One row with tag null when nothing was invalidated since $2; none when the gateway's row is gone. At most $3 versions
 * are looked back at: whoever is further behind must join anew. */
QUERY(GATEWAY_RENEW,
      "with renewed as (update gateway set beat = beat + 1 where id = $1 returning id) "
      "select now.v, invalidation.v as tag_v, invalidation.tag from renewed cross join identity_version as now "
      "left join invalidation on invalidation.v > greatest($2, now.v - $3) order by invalidation.v")

QUERY(INVALIDATIONS_TRIM, "delete from invalidation where v <= $1")

/* ---- audit ------------------------------------------------------------------------------------------------------- */

QUERY(AUDIT_INSERT,
      "insert into audit (at, actor, actor_account_id, action, target, target_id, store_id, app_id, request_id, "
      "address) values ($1, $2, nullif($3::bigint, 0), $4, $5, $6, nullif($7::bigint, 0), nullif($8::bigint, 0), $9, "
      "$10)")
