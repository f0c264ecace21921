/* queries_custom.h - custom apps, the exchange of credentials, and when each was last used. */
#include "reseal_sql.h"

/* ---- custom apps ------------------------------------------------------------------------------------------------- */

/* $1 creator, $2 name, $3 slug, $4 description, $5 store, $6 scopes, $7 .. $9 credentials, $10 now. */
QUERY(CUSTOM_APP_INSERT,
      "insert into app (owner_account_id, type, name, slug, description, home_store_id, redirect_urls, "
      "requested_scopes, client_id, client_secret_hash, session_signing_key, created_at, updated_at) "
      "values ($1, 'custom', $2, $3, $4, $5, '[]', $6, $7, $8, $9, $10, $10) returning app_id")

/* A custom app of a store that has to do with account $2. $3: also one that has been deleted. */
QUERY(CUSTOM_APP_FIND,
      "select app.app_id, home_store_id, client_id, installation_id from app "
      "join store on store.store_id = home_store_id "
      "join installation on installation.app_id = app.app_id and installation.store_id = home_store_id "
      "where app.app_id = $1 and (deleted_at is null or $3) and (store.owner_account_id = $2 or exists (select from "
      "store_member where store_member.store_id = home_store_id and account_id = $2))")

QUERY(CUSTOM_APP_VIEW, "select " CUSTOM_APP_COLUMNS("$2") " where app.app_id = $1 and app.deleted_at is null")

/* $1 store, $2 now, $3 the id before which the page begins, $4 limit, $5 offset. */
QUERY(CUSTOM_APPS_PAGE,
      "select " CUSTOM_APP_COLUMNS("$2") " where app.home_store_id = $1 and app.deleted_at is null "
                                         "and app.app_id < $3 order by app.app_id desc limit $4 offset $5")

QUERY(CUSTOM_APPS_COUNT, "select count(*) as total from app where home_store_id = $1 and deleted_at is null")

/* $3: whether the description changes. */
QUERY(CUSTOM_APP_UPDATE,
      "update app set name = coalesce($2, name), description = case when $3 then $4 else description end, "
      "requested_scopes = coalesce($5, requested_scopes), updated_at = $6 where app_id = $1 and deleted_at is null "
      "returning app_id")

QUERY(INSTALLATION_SET_SCOPES,
      "update installation set granted_scopes = $2, updated_at = $3 where installation_id = $1")

QUERY(CUSTOM_APP_DELETE, "update app set deleted_at = $2, is_active = false, updated_at = $2 where app_id = $1 "
                         "and deleted_at is null returning app_id")

/* What account $2 made in store $1, or has made a present credential of; the newest first, and no more than have room
 * in one answer and one transaction. rotation_due: as it is when $2 has left. */
QUERY(CUSTOM_APPS_LEFT_BY,
      "select app_id, name, $2 in (" CUSTOM_APP_SEEN_BY ") as rotation_due from app where home_store_id = $1 "
      "and deleted_at is null and $2 in (owner_account_id, " CUSTOM_APP_SEEN_BY ") order by app_id desc limit 250")

/* $2: who sees the new token. */
QUERY(CUSTOM_APP_SET_TOKEN_MAKER, "update app set token_made_by = $2 where app_id = $1")

/* ---- the exchange of credentials --------------------------------------------------------------------------------- */

QUERY(APP_NAMES, "select app_id, name, (suspended_at is not null)::int as is_suspended from app where app_id = any "
                 "($1::bigint[]) order by app_id")

/* $4: when the secret before dies; null: at once. $5: who sees the new one; 0: an operator. */
/* The one before the current secret lives and the current one was never used: its answer may have been lost, and who
 * asks again still works with the one before. */
#define SECRET_UNSEEN                                                                                                  \
    "previous_secret_expires_at > $3 and not exists "                                                                  \
    "(select from credential_use where credential = 'secret:' || app_id || ':' || secret_number)"

/* $4 null: no overlap, every older secret dies. Else an unseen secret is replaced, under its own number. */
QUERY(APP_SET_SECRET,
      "update app set previous_secret_hash = case when $4::timestamptz is null then null when " SECRET_UNSEEN
      " then previous_secret_hash else client_secret_hash end, previous_secret_expires_at = $4, "
      "client_secret_hash = $2, "
      "secret_number = secret_number + case when $4::timestamptz is not null and " SECRET_UNSEEN
      " then 0 else 1 end, secret_made_at = $3, secret_made_by = $5, updated_at = $3 "
      "where app_id = $1 and deleted_at is null "
      "returning app_id, client_id, secret_number, previous_secret_expires_at, home_store_id")

/* After an exchange: when those before the last two were used is asked by nobody. $2 secret or signing_key, $3 number
 * of the new one. A gateway may have told late of an older one, so more than one goes. */
QUERY(CREDENTIAL_USES_TRIM,
      "delete from credential_use where credential in (select $2::text || ':' || $1::bigint || ':' || number "
      "from generate_series($3::bigint - 9, $3::bigint - 2) as number)")

QUERY(APP_SET_SIGNING_KEY, "update app set session_signing_key = $2, signing_key_number = signing_key_number + 1, "
                           "signing_key_made_at = $3, updated_at = $3 where app_id = $1 and deleted_at is null "
                           "returning app_id, signing_key_number, home_store_id")

QUERY(
    APP_CREDENTIALS,
    "select app.app_id, app.client_id, " SECRET_USE_COLUMNS(
        "$2") ", "
              "coalesce(signing_key_made_at, app.created_at) as signing_key_created_at, "
              "signing_key_use.last_used_at as signing_key_last_used_at from app " SECRET_USE_TABLES
              " left join credential_use as signing_key_use on signing_key_use.credential = "
              "'signing_key:' || app.app_id || ':' || signing_key_number where app.app_id = $1 and deleted_at is null")

/* ---- when each was last used ------------------------------------------------------------------------------------- */

/* $1: [{"credential", "last_used_us"}, ...]. In the order of the names, so that two batches do not lock crosswise. */
QUERY(CREDENTIAL_USE_PUT,
      "insert into credential_use as known (credential, last_used_at) "
      "select credential, max(timestamptz 'epoch' + last_used_us * interval '1 microsecond') "
      "from json_to_recordset($1) as entry (credential text, last_used_us bigint) "
      "where length(credential) between 1 and 64 group by credential order by credential "
      "on conflict (credential) do update set last_used_at = greatest(known.last_used_at, excluded.last_used_at)")

/* $1 the credential, $2 now, $3: whose last use is later stays as it is, and is not locked: an upsert would lock it. */
QUERY(SECRET_USE_NOTE,
      "with known as (update credential_use set last_used_at = $2 where credential = $1 and last_used_at < $3) "
      "insert into credential_use (credential, last_used_at) select $1, $2 "
      "where not exists (select from credential_use where credential = $1) on conflict do nothing")

/* ---- exchange of the master key (reseal.h) ----------------------------------------------------------------------- */

QUERY(SIGNING_KEYS_TO_RESEAL, "select " RESEAL_PLACE ", client_id as about, session_signing_key as sealed from app "
                              "where " RESEAL_OTHERS("session_signing_key"))
QUERY(SIGNING_KEY_RESEAL, "update app set session_signing_key = $2 where ctid = " RESEAL_AT("$1"))

QUERY(SESSION_KEYS_TO_RESEAL, "select " RESEAL_PLACE ", kid as about, private_key as sealed from session_key "
                              "where " RESEAL_OTHERS("private_key"))
QUERY(SESSION_KEY_RESEAL, "update session_key set private_key = $2 where ctid = " RESEAL_AT("$1"))
