/* queries_developer_apps.h - apps as their developers see and change them. Included by queries.h. */

#define OWNED_APP_COLUMNS                                                                                              \
    "app_id, type as app_type, name, slug, icon, app_url, setup_url, webhook_url, webhook_receive_url, "               \
    "webhook_topics, redirect_urls, to_json(string_to_array(requested_scopes, ' ')) as requested_scopes, "             \
    "developer_name, developer_email, is_listed, is_active, client_id, "                                               \
    "coalesce(created_by_account_id, owner_account_id) as created_by, created_at, updated_at, creation_id::text, "     \
    "case when suspended_at is not null then json_build_object('reason', suspension_reason, 'suspended_at', "          \
    "to_char(suspended_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')) end as suspension"

/* Whoever asks has shown that they may (app_access.h). */
QUERY(OWNED_APP_GET, "select " OWNED_APP_COLUMNS " from app where app_id = $1 and " OF_DEVELOPERS)

/* $1 account, $2 whether active, $3 whether listed; null: both. $4 how many, $5 how many not. Each of the four kinds
 * has its own order in the index, and they are merged, so that a page costs what its rows cost; those that others share
 * with the account are few (APPS_OF_MEMBER_MAX). */
#define OWNED_APPS(active, listed)                                                                                     \
    "(select app_id from app where owner_account_id = $1 and " OF_DEVELOPERS " and is_active = " active                \
    " and is_listed = " listed " and coalesce($2::int, " active "::int) = " active                                     \
    "::int and coalesce($3::int, " listed "::int) = " listed "::int order by app_id desc)"
#define SHARED_APPS                                                                                                    \
    "from app_member join app using (app_id) where account_id = $1 and " OF_DEVELOPERS                                 \
    " and coalesce($2::int, is_active::int) = is_active::int and coalesce($3::int, is_listed::int) = is_listed::int"
#define APPS_OF_DEVELOPER                                                                                              \
    OWNED_APPS("true", "true")                                                                                         \
    " union all " OWNED_APPS("true", "false") " union all " OWNED_APPS("false", "true") " union all " OWNED_APPS(      \
        "false", "false") " union all (select app_id " SHARED_APPS " order by app_id desc)"
QUERY(OWNED_APPS_PAGE,
      "with total as (select coalesce(sum(n), 0)::bigint + (select count(*) " SHARED_APPS ") as _total from app_count "
      "where account_id = $1 and coalesce($2::int, is_active::int) = is_active::int and "
      "coalesce($3::int, is_listed::int) = is_listed::int) "
      "select total._total, page.* from total left join lateral (select " OWNED_APP_COLUMNS " from (select app_id from "
      "(" APPS_OF_DEVELOPER ") as theirs order by app_id desc limit $4 offset $5) as place join app using (app_id)) "
      "as page on true order by app_id desc")

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

/* $1 app, $2 how many, $3 how many not: the rows first, then what is told of each. */
#define INSTALLATION_SHOWN                                                                                             \
    "installation.installation_id, store_id, " INSTALLATION_STATUS                                                     \
    ", to_json(string_to_array(granted_scopes, ' ')) as granted_scopes, current.expires_at as token_expires_at, "      \
    "last_used_at, coalesce(request_count, 0) as request_count, created_at, updated_at"
#define INSTALLATION_BESIDE                                                                                            \
    " cross join lateral (select * from installation where installation_id = place.installation_id offset 0) as "      \
    "installation left join lateral (select last_used_at, request_count from installation_usage where "                \
    "installation_id = place.installation_id offset 0) as used on true left join lateral (select expires_at from "     \
    "token where token.installation_id = place.installation_id and kind = 'access' and revoked_at is null "            \
    "and token.generation = installation.generation and token_id >= tokens_from and installation.status = 'active' "   \
    "order by token_id desc limit 1) as current on true"
#define INSTALLATIONS_OF_APP_WHERE(counted, which)                                                                     \
    "with total as (select coalesce(sum(" counted "), 0)::bigint as _total from installation_count where "             \
    "app_id = $1) select total._total, page.* from total left join lateral (select " INSTALLATION_SHOWN                \
    " from (select installation_id from installation where app_id = $1 " which                                         \
    " order by installation_id desc limit $2 offset $3) as place" INSTALLATION_BESIDE                                  \
    ") as page on true order by installation_id desc"
QUERY(INSTALLATIONS_OF_APP, INSTALLATIONS_OF_APP_WHERE("total", ""))
QUERY(INSTALLATIONS_OF_APP_ACTIVE, INSTALLATIONS_OF_APP_WHERE("active", "and status = 'active'"))
QUERY(INSTALLATIONS_OF_APP_ENDED, INSTALLATIONS_OF_APP_WHERE("total - active", "and status <> 'active'"))

/* What an overview shows, at the cost of a few rows however many there are. $1 app. */
QUERY(APP_COUNTS, "select coalesce(sum(active), 0)::bigint as active, coalesce(sum(total), 0)::bigint as total "
                  "from installation_count where app_id = $1")
QUERY(APP_LATEST_INSTALLATION, "select installation_id, store_id, " INSTALLATION_STATUS ", created_at from "
                               "installation where app_id = $1 order by installation_id desc limit 1")

/* Kept counts of app $1 and its owner against a recount: what differs. */
QUERY(APP_COUNTS_VERIFY,
      "with owner as (select owner_account_id as account_id from app where app_id = $1), kept as (select "
      "k.name, sum(k.n)::bigint as n from installation_count cross join lateral (values ('installations', "
      "total), ('installations.active', active)) as k (name, n) where app_id = $1 group by 1 union all select "
      "'apps' || case when is_active then '.active' else '' end || case when is_listed then '.listed' else '' "
      "end, sum(n)::bigint from app_count join owner using (account_id) group by is_active, is_listed), counted "
      "as (select k.name, count(*) as n from installation cross join lateral (values ('installations', true), "
      "('installations.active', status = 'active')) as k (name, counts) where app_id = $1 and counts group by 1 "
      "union all select 'apps' || case when is_active then '.active' else '' end || case when is_listed then "
      "'.listed' else '' end, count(*) from app join owner on account_id = owner_account_id where " OF_DEVELOPERS
      " group by is_active, is_listed) select name as count, coalesce(kept.n, 0) as kept, coalesce(counted.n, "
      "0) as counted from kept full join counted using (name) where coalesce(kept.n, 0) <> coalesce(counted.n, "
      "0) order by name")

/* ---- the end of a deleted app's installations -------------------------------------------------------------------- */

QUERY(APP_ENDING_PUT, "insert into app_ending (app_id) values ($1)")
QUERY(APP_ENDING_NEXT,
      "select app_id, after_id, tries from app_ending where due_at <= $1 order by due_at, app_id limit 1")
QUERY(APP_ENDING_INSTALLATIONS, "select installation_id from installation where app_id = $1 and status = 'active' and "
                                "installation_id > $2 order by installation_id limit 20")
QUERY(APP_ENDING_PASS, "update app_ending set after_id = $2 where app_id = $1")
QUERY(APP_ENDING_AGAIN, "update app_ending set after_id = 0, tries = tries + 1, due_at = $2 where app_id = $1")
QUERY(APP_ENDING_DONE, "delete from app_ending where app_id = $1")
