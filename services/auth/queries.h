/* queries.h - all SQL of this service, prepared at connect. Included where QUERY(NAME, "sql") has a meaning: no guard.
 *
 * Flags are selected as ::int, so that a handler reads 0 or 1.
 */
#include "sql_columns.h"

#include "queries_accounts.h"
#include "queries_app_members.h"
#include "queries_custom.h"
#include "queries_developer_apps.h"
#include "queries_installations.h"
#include "queries_marketplace.h"
#include "queries_oauth.h"
#include "queries_session_tokens.h"
#include "queries_stores.h"

/* ---- apps -------------------------------------------------------------------------------------------------------- */

QUERY(APP_INSERT,
      "insert into app (owner_account_id, type, name, slug, icon, app_url, setup_url, webhook_url, developer_name, "
      "developer_email, redirect_urls, requested_scopes, client_id, client_secret_hash, session_signing_key, "
      "created_at, updated_at, webhook_receive_url, webhook_topics, creation_id) "
      "select account_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $16, $17, $18, "
      "coalesce($19::uuid, gen_random_uuid()) "
      "from account where account_id = $1 returning app_id, slug")

QUERY(APP_GET,
      "select app_id, owner_account_id, type, name, slug, icon, app_url, setup_url, webhook_url, developer_name, "
      "developer_email, redirect_urls, requested_scopes, client_id, is_active, created_at, updated_at "
      "from app where (app_id = $1 or slug = $2) and deleted_at is null")

QUERY(APP_CLIENT_ID, "select client_id from app where app_id = $1 and deleted_at is null")

/* Of a suspended app it is what comes after that. */
QUERY(APP_SET_ACTIVE,
      "update app set is_active = $2 and suspended_at is null, active_after = case when suspended_at is not null then "
      "$2 end, updated_at = $3 where app_id = $1 returning app_id, is_active, home_store_id as _store_id")

/* ---- suspension -------------------------------------------------------------------------------------------------- */

/* Locked: of two that change it at once one finds what the other has done. */
QUERY(APP_SUSPENSION,
      "select app_id, is_active, (suspended_at is not null)::int as is_suspended, suspension_reason as reason, "
      "suspended_at from app where app_id = $1 and deleted_at is null for no key update")

/* _news: what webhooks is told. */
#define SUSPENSION_TOLD                                                                                                \
    "home_store_id as _store_id, json_build_object('app_id', app_id, 'suspended', suspended_at is not null, "          \
    "'version', suspension_version)::text as _news"
QUERY(APP_SUSPEND,
      "update app set suspended_at = $3, suspension_reason = $2, active_after = is_active, is_active = false, "
      "suspension_version = suspension_version + 1, updated_at = $3 where app_id = $1 "
      "returning suspension_reason as _reason, " SUSPENSION_TOLD)
QUERY(APP_REINSTATE,
      "update app set suspended_at = null, suspension_reason = null, is_active = active_after, active_after = null, "
      "suspension_version = suspension_version + 1, updated_at = $2 where app_id = $1 "
      "returning null::text as _reason, " SUSPENSION_TOLD)

/* ---- installations and tokens ------------------------------------------------------------------------------------ */

QUERY(TOKEN_INSERT, "insert into token (installation_id, generation, kind, token_hash, expires_at, created_at) "
                    "values ($1, $2, 'access', $3, $4, $5)")

/* An access token and the refresh token that belongs to it. */
QUERY(TOKEN_PAIR_INSERT,
      "with access as (insert into token (installation_id, generation, kind, token_hash, expires_at, created_at) "
      "values ($1, $2, 'access', $3, $4, $7) returning token_id) "
      "insert into token (installation_id, generation, kind, token_hash, expires_at, created_at, access_id) "
      "select $1, $2, 'refresh', $5, $6, $7, token_id from access returning token_id")

/* token_trim.c: one batch, with when they were last used. An array: a sub-select could be run once per row. */
QUERY(TOKENS_TRIM,
      "with gone as (delete from token where token_id = any (array(select token_id from token where expires_at <= $1 "
      "order by expires_at limit 500 for update skip locked)) returning token_id), "
      "unused as (delete from credential_use where credential in (select 'token:' || token_id from gone)) "
      "select count(*) as count from gone")

QUERY(TOKEN_SET_REVOKED, "update token set revoked_at = coalesce(revoked_at, $2) where token_id = $1")

/* ---- who is behind a credential: each reads the version in the same snapshot (protocols 5) ----------------------- */

QUERY(IDENTIFY_TOKEN,
      "select v, token_id, token.expires_at, "
      "(token.revoked_at is null and token.generation = installation.generation and token_id >= tokens_from "
      "and installation.status = 'active' and app.is_active and app.deleted_at is null)::int as alive, "
      "app_id, store_id, installation_id, installation.generation, granted_scopes, (store.status = 'active')::int as "
      "store_active "
      "from identity_version left join (token join installation using (installation_id) join app using (app_id) "
      "join store using (store_id)) on token_hash = $1 and kind = 'access'")

QUERY(IDENTIFY_CLIENT,
      "select v, app.app_id, " CLIENT_SECRET_COLUMNS ", "
      "(app.is_active and app.deleted_at is null)::int as app_active, "
      "installation_id, generation, (installation.status = 'active')::int as installed, granted_scopes, "
      "store.store_id, "
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
