/* queries_developer_apps.h - apps as their developers see and change them. Included by queries.h. */

#define OWNED_APP_COLUMNS                                                                                              \
    "app_id, type as app_type, name, slug, icon, app_url, setup_url, webhook_url, webhook_receive_url, "               \
    "webhook_topics, redirect_urls, to_json(string_to_array(requested_scopes, ' ')) as requested_scopes, "             \
    "developer_name, developer_email, is_listed, is_active, client_id, "                                               \
    "coalesce(created_by_account_id, owner_account_id) as created_by, created_at, updated_at, creation_id::text"

/* Whoever asks has shown that they may (app_access.h). */
QUERY(OWNED_APP_GET, "select " OWNED_APP_COLUMNS " from app where app_id = $1 and " OF_DEVELOPERS)

/* $1 account, $2 whether active, $3 whether listed; null: both. $4 how many, $5 how many not. Each of the four kinds
 * has its own order in the index, so that a rare one costs what its rows cost; those that others share with the account
 * are few (APPS_OF_MEMBER_MAX). */
#define OWNED_APPS(most)                                                                                               \
    "(select app_id from wanted cross join lateral (select app_id from app where owner_account_id = $1 "               \
    "and " OF_DEVELOPERS " and is_active = active and is_listed = listed order by app_id desc limit " most             \
    ") as owned union all select app_id from app_member join app using (app_id) join wanted on is_active = active "    \
    "and is_listed = listed where account_id = $1 and " OF_DEVELOPERS ") as app "
QUERY(
    OWNED_APPS_PAGE,
    "with wanted as (select * from (values (true, true), (true, false), (false, true), (false, false)) as kind "
    "(active, listed) where ($2::int is null or active::int = $2) and ($3::int is null or listed::int = $3)), "
    "total as (select count(*) as _total from (select from " OWNED_APPS(
        "10001") "limit 10001) as counted) "
                 "select total._total, page.* from total left join lateral (select " OWNED_APP_COLUMNS
                 " from (select app_id from " OWNED_APPS(
                     "$4::bigint + $5::bigint") "order by app_id desc limit $4 offset $5) "
                                                "as place join app using (app_id)) as page on true order by app_id desc")

/* $2: the fields that change, as JSON; $3: the scopes among them, or null; $5: when it was changed last, or null: it
 * does not matter. updated_at never comes a second time. */
#define SENT(name) name " = case when $2::jsonb ? '" name "' then $2::jsonb ->> '" name "' else " name " end, "
QUERY(OWNED_APP_UPDATE,
      "update app set name = coalesce($2::jsonb ->> 'name', name), slug = coalesce($2::jsonb ->> 'slug', slug), "
      "redirect_urls = coalesce($2::jsonb -> 'redirect_urls', redirect_urls), "
      "webhook_topics = coalesce($2::jsonb -> 'webhook_topics', webhook_topics), " SENT("icon") SENT("app_url")
          SENT("setup_url") SENT("webhook_url") SENT("webhook_receive_url") SENT("developer_name")
              SENT("developer_email") "requested_scopes = coalesce($3, requested_scopes), "
                                      "updated_at = greatest($4::timestamptz, updated_at + interval '1 microsecond') "
                                      "where app_id = $1 and " OF_DEVELOPERS
                                      " and ($5::timestamptz is null or updated_at = $5) returning " OWNED_APP_COLUMNS)

QUERY(OWNED_APP_DELETE, "update app set deleted_at = $2, is_active = false, is_listed = false, updated_at = $2 where "
                        "app_id = $1 and " OF_DEVELOPERS " returning app_id")

/* The answer that showed them was lost: an app's first credentials are made anew. */
QUERY(APP_MAKE_AGAIN, "update app set client_id = $3, client_secret_hash = $4, session_signing_key = $5 where "
                      "creation_id = $1::uuid and owner_account_id = $2 and deleted_at is null returning app_id, slug")
QUERY(APP_OF_CREATION, "select app_id from (select) as one left join app on creation_id = $1::uuid")

/* ---- where an app is installed ----------------------------------------------------------------------------------- */

/* $1 app, $2 how many, $3 how many not. */
#define INSTALLATIONS_OF_APP_WHERE(which)                                                                              \
    "with total as (select count(*) as _total from (select from installation where app_id = $1 " which                 \
    " limit 10001) as counted) select total._total, page.* from total left join lateral (select "                      \
    "installation.installation_id, store_id, " INSTALLATION_STATUS                                                     \
    ", to_json(string_to_array(granted_scopes, ' ')) as granted_scopes, current.expires_at as token_expires_at, "      \
    "last_used_at, coalesce(request_count, 0) as request_count, created_at, updated_at from installation "             \
    "left join installation_usage using (installation_id) left join lateral (select expires_at from token "            \
    "where token.installation_id = installation.installation_id and kind = 'access' and revoked_at is null "           \
    "and token.generation = installation.generation and token_id >= tokens_from and installation.status = 'active' "   \
    "order by token_id desc limit 1) as current on true where app_id = $1 " which                                      \
    " order by installation.installation_id desc limit $2 offset $3) as page on true"
QUERY(INSTALLATIONS_OF_APP, INSTALLATIONS_OF_APP_WHERE(""))
QUERY(INSTALLATIONS_OF_APP_ACTIVE, INSTALLATIONS_OF_APP_WHERE("and installation.status = 'active'"))
QUERY(INSTALLATIONS_OF_APP_ENDED, INSTALLATIONS_OF_APP_WHERE("and installation.status <> 'active'"))

/* What an overview shows, at the cost of a few rows however many there are. $1 app. */
QUERY(APP_COUNTS, "select coalesce(sum(active), 0)::bigint as active, coalesce(sum(total), 0)::bigint as total "
                  "from installation_count where app_id = $1")
QUERY(APP_LATEST_INSTALLATION, "select installation_id, store_id, " INSTALLATION_STATUS ", created_at from "
                               "installation where app_id = $1 order by installation_id desc limit 1")

/* ---- the end of a deleted app's installations -------------------------------------------------------------------- */

QUERY(APP_ENDING_PUT, "insert into app_ending (app_id) values ($1)")
QUERY(APP_ENDING_NEXT, "select app_id from app_ending order by app_id limit 1")
QUERY(APP_ENDING_INSTALLATIONS, "select installation_id from installation where app_id = $1 and status = 'active' "
                                "order by installation_id limit 20")
QUERY(APP_ENDING_DONE, "delete from app_ending where app_id = $1")
