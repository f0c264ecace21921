/* sql_columns.h - select lists that several statements share. Only macros: queries.h includes this inside an enum. */
#ifndef SQL_COLUMNS_H
#define SQL_COLUMNS_H

/* Of table app, for whoever checks a client secret (client_secret.h). */
#define CLIENT_SECRET_COLUMNS                                                                                           \
    "app.client_secret_hash, app.secret_number, app.previous_secret_hash, app.previous_secret_expires_at, "             \
    "(select last_used_at from credential_use where credential = 'secret:' || app.app_id || ':' || app.secret_number) " \
    "as secret_used_at, case when app.previous_secret_hash is not null then (select last_used_at from credential_use "  \
    "where credential = 'secret:' || app.app_id || ':' || app.secret_number - 1) end as previous_secret_used_at"

/* Of table installation. While the saga that ends it is at work, an installation has ended for everybody else. */
#define INSTALLATION_STATUS "case installation.status when 'active' then 'active' else 'uninstalled' end as status"

/* An installation as its merchant sees it. */
#define INSTALLATION_COLUMNS                                                                                           \
    "installation.installation_id, installation.store_id, installation.app_id, app.name as app_name, "                 \
    "app.slug as app_slug, app.icon as app_icon, app.app_url, app.type as app_type, app.developer_name, "              \
    "(app.is_active and app.deleted_at is null) as app_is_active, " INSTALLATION_STATUS ", "                           \
    "installation.way as installed_by, to_json(string_to_array(installation.granted_scopes, ' ')) as scopes, "         \
    "installation.installed_at, installation.uninstalled_at, coalesce(request_count, 0) as request_count, "            \
    "last_used_at"
#define INSTALLATION_TABLES "installation join app using (app_id) left join installation_usage using (installation_id)"

/* When each secret of an app was made and last used. A secret on its way out is shown until it has gone: `now` is a
 * parameter. */
#define SECRET_USE_COLUMNS(now)                                                                                        \
    "coalesce(app.secret_made_at, app.created_at) as secret_created_at, "                                              \
    "secret_use.last_used_at as secret_last_used_at, "                                                                 \
    "case when app.previous_secret_expires_at > " now " then app.previous_secret_expires_at end "                      \
    "as previous_secret_expires_at, case when app.previous_secret_expires_at > " now                                   \
    " then previous_use.last_used_at end as previous_secret_last_used_at"
#define SECRET_USE_TABLES                                                                                              \
    "left join credential_use as secret_use "                                                                          \
    "on secret_use.credential = 'secret:' || app.app_id || ':' || app.secret_number "                                  \
    "left join credential_use as previous_use "                                                                        \
    "on previous_use.credential = 'secret:' || app.app_id || ':' || app.secret_number - 1"

/* Who has seen the present secret and the present token of a custom app: accounts, 0 an operator. */
#define CUSTOM_APP_SEEN_BY                                                                                             \
    "coalesce(app.secret_made_by, app.owner_account_id), coalesce(app.token_made_by, app.owner_account_id)"

/* Whether an account has nothing to do with the app's store any more. */
#define CUSTOM_APP_LEFT_BY(account)                                                                                    \
    account " not in (0, home.owner_account_id) and not exists (select from store_member "                             \
            "where store_member.store_id = home.store_id and store_member.account_id = " account ")"

/* A custom app as its merchant sees it, with its tables. */
#define CUSTOM_APP_COLUMNS(now)                                                                                                                                                             \
    "app.app_id, installation.installation_id, app.home_store_id as store_id, app.name, app.description, "                                                                                  \
    "to_json(string_to_array(installation.granted_scopes, ' ')) as scopes, app.is_active, " INSTALLATION_STATUS ", "                                                                        \
    "app.client_id, " SECRET_USE_COLUMNS(                                                                                                                                                   \
        now) ", current.created_at as token_created_at, "                                                                                                                                   \
             "current.expires_at as token_expires_at, token_use.last_used_at as token_last_used_at, "                                                                                       \
             "json_build_object('account_id', creator.account_id, 'name', creator.name) as created_by, "                                                                                    \
             "(" CUSTOM_APP_LEFT_BY(                                                                                                                                                        \
                 "creator.account_id") ") as creator_has_left, "                                                                                                                            \
                                       "exists (select from unnest(array[" CUSTOM_APP_SEEN_BY                                                                                               \
                                       "]) as seen (account_id) "                                                                                                                           \
                                       "where " CUSTOM_APP_LEFT_BY(                                                                                                                         \
                                           "seen.account_id") ") as rotation_due, app.created_at, "                                                                                         \
                                                              "app.updated_at from app join store as home on home.store_id = app.home_store_id "                                            \
                                                              "join account as creator on creator.account_id = app.owner_account_id join installation on installation.app_id = app.app_id " \
                                                              "and installation.store_id = app.home_store_id " SECRET_USE_TABLES                                                            \
                                                              " left join lateral (select token_id, created_at, expires_at from token "                                                     \
                                                              "where token.installation_id = installation.installation_id and kind = 'access' and revoked_at is null "                      \
                                                              "and token.generation = installation.generation and token_id >= tokens_from "                                                 \
                                                              "and installation.status = 'active' order by token_id desc limit 1) as current on true "                                      \
                                                              "left join credential_use as token_use on token_use.credential = 'token:' || current.token_id"

#endif
