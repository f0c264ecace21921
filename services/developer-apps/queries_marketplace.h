/* queries_marketplace.h - what merchants find, and what developers see of their own in the dashboard. Included by
 * queries.h. */

/* $1 what auth says, a list. Apps that came another way get their row here. Nobody reviews what is deleted. */
QUERY(LISTING_LEARN,
      "with learned as (insert into listing (creation_id, app_id, account_id, version, name, slug, icon, "
      "developer_name, developer_email, requested_scopes, is_listed, is_active, is_approved, is_deleted, "
      "app_created_at, app_updated_at, created_at, updated_at) select creation_id, app_id, account_id, version, name, "
      "slug, icon, developer_name, developer_email, requested_scopes, is_listed, is_active, is_approved, is_deleted, "
      "created_at, updated_at, created_at, created_at from json_to_recordset($1) as said (creation_id uuid, "
      "app_id bigint, account_id bigint, version bigint, name text, slug text, icon text, developer_name text, "
      "developer_email text, requested_scopes json, is_listed boolean, is_active boolean, is_approved boolean, "
      "is_deleted boolean, created_at timestamptz, updated_at timestamptz) order by creation_id "
      "on conflict (creation_id) do update set app_id = excluded.app_id, account_id = excluded.account_id, "
      "version = excluded.version, name = excluded.name, slug = excluded.slug, icon = excluded.icon, "
      "developer_name = excluded.developer_name, developer_email = excluded.developer_email, "
      "requested_scopes = excluded.requested_scopes, is_listed = excluded.is_listed, is_active = excluded.is_active, "
      "is_approved = excluded.is_approved, is_deleted = excluded.is_deleted, app_created_at = excluded.app_created_at, "
      "app_updated_at = excluded.app_updated_at where listing.version < excluded.version "
      "returning app_id, is_deleted), "
      "gone as (delete from review where app_id = any (array(select app_id from learned where is_deleted)) and status "
      "in ('submitted', 'in_review')) "
      "select count(*) as learned from learned")

/* ---- the marketplace --------------------------------------------------------------------------------------------- */

/* The rows of a page, each looked up by its id: a join would be planned for many more. */
#define SHOWN(columns)                                                                                                 \
    " cross join lateral (select " columns " from listing where listing.app_id = place.app_id offset 0) as shown"

#define MARKET_COLUMNS                                                                                                 \
    "app_id, 'platform' as app_type, name, slug, icon, short_description, developer_name, category, pricing_type, "    \
    "pricing_amount, app_created_at as created_at, greatest(app_updated_at, updated_at) as updated_at"

/* How many are in a list (schema/020_listing_counts.sql). */
#define LISTED(list, account, category)                                                                                \
    "(select coalesce(sum(n), 0)::bigint from listing_count where list = " list " and account_id = " account           \
    " and category = " category ")"

/* $1 how many, $2 how many not, $3 category. */
#define MARKET_PAGE_WHERE(total, which)                                                                                \
    "with total as (select " total " as _total) select total._total, page.* from total left join lateral (select "     \
    "shown.* from (select app_id from listing where " which                                                            \
    " order by app_id desc limit $1 offset $2) as place" SHOWN(                                                        \
        MARKET_COLUMNS) ") as page on true order by app_id desc"
QUERY(MARKET_PAGE, MARKET_PAGE_WHERE(LISTED("'public'", "0", "''"), "is_public"))
QUERY(MARKET_PAGE_APPROVED, MARKET_PAGE_WHERE(LISTED("'approved'", "0", "''"), "is_public and is_approved"))
QUERY(MARKET_CATEGORY, MARKET_PAGE_WHERE(LISTED("'public'", "0", "$3"), "is_public and category = $3"))
QUERY(MARKET_CATEGORY_APPROVED,
      MARKET_PAGE_WHERE(LISTED("'approved'", "0", "$3"), "is_public and is_approved and category = $3"))

/* $3 category, null: all; $4 what is looked for; $5 whether only those that were approved. Of more than 10,000 that
 * have its pieces the newest are looked at, whether they have the whole of it or not. Shelf by shelf in this order,
 * because each looks for its own rows: when there are enough the others are left alone. */
QUERY(MARKET_SEARCH,
      "with wanted as materialized (select market_fold($4) as text), "
      "looked_at as materialized (select app_id, place, name_end from (select market_shelf(max(app_id)) as newest from "
      "listing where is_public) as top cross join generate_series(newest, 0, -1) as shelf cross join lateral (select "
      "app_id, strpos(search_text, (select text from wanted)) as place, strpos(search_text, chr(10)) as name_end from "
      "listing where is_public and market_marks(app_id, category, is_approved, search_text) @@ market_query(shelf, "
      "(select text from wanted), $3, $5) order by app_id desc) as on_shelf limit 10000), "
      "found as materialized (select app_id, place < name_end as in_name from looked_at where place > 0), "
      "total as (select count(*) as _total from found) "
      "select total._total, page.* from total left join lateral (select in_name as _in_name, shown.* from (select "
      "app_id, in_name from found order by in_name desc, app_id desc limit $1 offset $2) as place" SHOWN(
          MARKET_COLUMNS) ") as page on true order by _in_name desc, app_id desc")

/* $2 account, whose own app is shown to it; $3 whether only those that were approved. */
QUERY(MARKET_GET,
      "select app_id, 'platform' as app_type, name, slug, icon, screenshots, description, short_description, "
      "homepage_url, requested_scopes, developer_name, developer_email, pricing_type, pricing_amount, category, "
      "is_listed, is_active, app_created_at as created_at, greatest(app_updated_at, updated_at) as updated_at "
      "from listing where app_id = $1 and version > 0 and not is_deleted and (account_id = $2 or is_public and "
      "(is_approved or not $3::boolean))")

/* ---- a developer's own ------------------------------------------------------------------------------------------- */

#define OWN_COLUMNS                                                                                                    \
    "app_id, 'platform' as app_type, name, slug, icon, short_description, category, is_listed, is_active, "            \
    "review_status, is_approved, app_created_at as created_at, greatest(app_updated_at, updated_at) as updated_at"

/* $1 account, $2 how many, $3 how many not, $4 whether only those that are not listed. Those that are and those that
 * are not have each their own order in the index, and are merged. */
#define OWN_KIND(columns, which)                                                                                       \
    "(select app_id" columns " from listing where account_id = $1 and name is not null and not is_deleted" which       \
    " order by app_id desc)"
#define OWN(columns, which)                                                                                            \
    OWN_KIND(columns, which " and not is_listed")                                                                      \
    " union all " OWN_KIND(columns, which " and is_listed and not $4::boolean")
#define OWN_TOTAL(category) LISTED("case when $4::boolean then 'unlisted' else 'own' end", "$1", category)
#define OWN_PAGE_WHERE(category, which)                                                                                \
    "with total as (select " OWN_TOTAL(                                                                                \
        category) " as _total) select total._total, page.* from total left join "                                      \
                  "lateral (select shown.* from (select app_id from (" OWN(                                            \
                      "", which) ") as own order by app_id desc limit $2 "                                             \
                                 "offset $3) as place" SHOWN(OWN_COLUMNS) ") as page on true order by app_id desc"
QUERY(OWN_PAGE, OWN_PAGE_WHERE("''", ""))

/* $5 category. */
QUERY(OWN_CATEGORY, OWN_PAGE_WHERE("$5", " and category = $5"))

/* $5 category, null: all; $6 what is looked for. The newest 10,000 are looked through. */
#define OWN_NEWEST                                                                                                     \
    "(select * from (" OWN(", category, search_text", "") ") as own order by app_id desc limit 10000) as newest"
QUERY(OWN_SEARCH,
      "with wanted as materialized (select market_fold($6) as text), found as materialized (select app_id from "
      "" OWN_NEWEST
      " where ($5::text is null or category = $5) and strpos(search_text, (select text from wanted)) > 0), "
      "total as (select count(*) as _total from found) "
      "select total._total, page.* from total left join lateral (select shown.* from (select app_id from found order "
      "by app_id desc limit $2 offset $3) as place" SHOWN(OWN_COLUMNS) ") as page on true order by app_id desc")

/* The kept counts of the lists that app $1 may be in against a recount: what differs. */
QUERY(APP_COUNTS_VERIFY,
      "with mine as (select account_id, category from listing where app_id = $1), wanted as (select c.category, "
      "case c.category when '' then '' else '.' || c.category end as suffix from mine cross join lateral "
      "(values (''), (category)) as c (category) where c.category is not null), kept as (select list || suffix "
      "as name, sum(n)::bigint as n from listing_count as k join mine on k.account_id in (0, mine.account_id) "
      "join wanted on wanted.category = k.category group by 1), counted as (select list || suffix as name, "
      "count(*) as n from listing as a cross join mine cross join lateral (values ('public', is_public), "
      "('approved', is_public and is_approved), ('own', a.account_id = mine.account_id and version > 0 and not "
      "is_deleted), ('unlisted', a.account_id = mine.account_id and version > 0 and not is_deleted and not "
      "is_listed), ('review', version > 0 and not is_deleted and review_status in ('submitted', 'in_review'))) "
      "as l (list, is_in) join wanted on wanted.category in ('', a.category) where is_in group by 1) select "
      "name as count, coalesce(kept.n, 0) as kept, coalesce(counted.n, 0) as counted from kept full join "
      "counted using (name) where coalesce(kept.n, 0) <> coalesce(counted.n, 0) order by name")
