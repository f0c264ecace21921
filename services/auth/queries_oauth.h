/* queries_oauth.h - the SQL of the OAuth install: consent, codes, rotation, what an app may know of its own tokens.
 * Included by queries.h where QUERY has a meaning: no guard.
 */

/* ---- consent ----------------------------------------------------------------------------------------------------- */

/* $2 redirect_uri: one of those registered, character by character. */
QUERY(OAUTH_APP, "select app_id, name, icon, developer_name, requested_scopes, client_id, "
                 "(redirect_urls ? $2)::int as redirect_known from app "
                 "where client_id = $1 and type = 'platform' and is_active and deleted_at is null")

QUERY(OAUTH_CONSENT, "select store.name as store_name, account.name as account_name, account.email from store, account "
                     "where store_id = $1 and account_id = $2")

/* ---- codes ------------------------------------------------------------------------------------------------------- */

QUERY(OAUTH_CODE_INSERT, "insert into oauth_code (code_hash, app_id, store_id, account_id, redirect_uri, scopes, "
                         "code_challenge, expires_at, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)")

QUERY(OAUTH_CODES_TRIM, "delete from oauth_code where code_hash = any (array(select code_hash from oauth_code "
                        "where expires_at <= $1 order by expires_at limit 20 for update skip locked))")

/* Locks the code: of two that bring it at once, one is first. */
QUERY(OAUTH_CODE_FOR_USE,
      "select app_id, store_id, account_id, redirect_uri, scopes, code_challenge, expires_at, created_at, "
      "(used_at is not null)::int as used, installation_id, generation from oauth_code where code_hash = $1 for update")

QUERY(OAUTH_CODE_SET_USED,
      "update oauth_code set used_at = $2, installation_id = $3, generation = $4 where code_hash = $1")

/* ---- clients ----------------------------------------------------------------------------------------------------- */

/* Always one row; nulls for a client id that nobody has. */
QUERY(CLIENT_FIND,
      "select app.app_id, " CLIENT_SECRET_COLUMNS ", (app.is_active and app.deleted_at is null)::int as app_active "
      "from (select 1) as one left join app on client_id = $1")

/* $2 who has agreed to the install, $3 the permission it takes: may they still? */
QUERY(OAUTH_STORE, "select (store.status = 'active')::int as active, (account.status = 'active' and "
                   "(owner_account_id = $2 or exists (select from store_member where store_member.store_id = $1 and "
                   "account_id = $2 and $3 = any (string_to_array(permissions, ' ')))))::int as allowed "
                   "from store, account where store_id = $1 and account.account_id = $2")

/* ---- tokens ------------------------------------------------------------------------------------------------------ */

QUERY(OAUTH_REFRESH_FIND, "select installation_id, app_id from token join installation using (installation_id) "
                          "where token_hash = $1 and kind = 'refresh'")

/* First the installation's row, then the token's: all that rotate or end one grant come one after the other, in the
 * order in which an uninstall takes the same locks. */
QUERY(OAUTH_INSTALLATION_LOCK,
      "select installation_id, store_id, app_id, generation, granted_scopes, status, tokens_from, "
      "(select store.status from store where store.store_id = installation.store_id) as store_status "
      "from installation where installation_id = $1 for no key update")

QUERY(OAUTH_REFRESH_LOCK,
      "select token_id, installation_id, generation, expires_at, used_at, successor_id, "
      "(revoked_at is not null)::int as revoked from token where token_hash = $1 and kind = 'refresh' for update")

QUERY(OAUTH_SUCCESSOR, "select token_id, access_id, (used_at is null and revoked_at is null)::int as unused from token "
                       "where token_id = $1")

QUERY(OAUTH_REFRESH_SET_USED, "update token set used_at = coalesce(used_at, $2), successor_id = $3 where token_id = $1")

/* A refresh token and the access token given with it. */
QUERY(OAUTH_PAIR_SET_REVOKED, "update token set revoked_at = $3 where token_id in ($1, $2) and revoked_at is null")

QUERY(OAUTH_TOKEN_FIND, "select token_id, kind, installation_id, token.generation, store_id, app_id "
                        "from token join installation using (installation_id) where token_hash = $1")

/* Client and token at once: nulls for a token that is none of this client's. */
QUERY(OAUTH_INTROSPECT,
      "select app.app_id, " CLIENT_SECRET_COLUMNS ", (app.is_active and app.deleted_at is null)::int as app_active, "
      "client_id, token_id, kind, token.expires_at, token.created_at, installation_id, store_id, granted_scopes, "
      "(token.revoked_at is null and token.used_at is null and token.generation = installation.generation "
      "and token_id >= tokens_from and installation.status = 'active' and store.status = 'active')::int as alive "
      "from (select 1) as one left join app on client_id = $1 "
      "left join (token join installation using (installation_id) join store using (store_id)) "
      "on token_hash = $2 and installation.app_id = app.app_id")
