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
      "gone as (delete from review using learned where review.app_id = learned.app_id and learned.is_deleted "
      "and review.status in ('submitted', 'in_review')) "
      "select count(*) as learned from learned")

/* ---- the marketplace --------------------------------------------------------------------------------------------- */

/* The rows of a page, each looked up by its id: a join would be planned for many more. */
#define SHOWN(columns)                                                                                                 \
    " cross join lateral (select " columns " from listing where listing.app_id = place.app_id offset 0) as shown"

#define MARKET_COLUMNS                                                                                                 \
    "app_id, 'platform' as app_type, name, slug, icon, short_description, developer_name, category, pricing_type, "    \
    "pricing_amount, app_created_at as created_at, greatest(app_updated_at, updated_at) as updated_at"

/* $1 how many, $2 how many not, $3 category. */
#define MARKET_PAGE_WHERE(which)                                                                                       \
    "with total as (select count(*) as _total from (select from listing where " which " limit 10001) as counted) "     \
    "select total._total, page.* from total left join lateral (select shown.* from (select app_id from listing where " \
    "" which " order by app_id desc limit $1 offset $2) as place" SHOWN(                                               \
        MARKET_COLUMNS) ") as page on true order by app_id desc"
QUERY(MARKET_PAGE, MARKET_PAGE_WHERE("is_public"))
QUERY(MARKET_PAGE_APPROVED, MARKET_PAGE_WHERE("is_public and is_approved"))
QUERY(MARKET_CATEGORY, MARKET_PAGE_WHERE("is_public and category = $3"))
QUERY(MARKET_CATEGORY_APPROVED, MARKET_PAGE_WHERE("is_public and is_approved and category = $3"))

/* $3 category, null: all; $4 what is looked for; $5 whether only those that were approved. Of more than 10,000 that
 * have it some are shown: a search that finds so many is none. */
QUERY(MARKET_SEARCH,
      "with found as materialized (select app_id, strpos(search_text, market_fold($4)) < strpos(search_text, chr(10)) "
      "as in_name from listing where is_public and market_grams(search_text) @@ market_pattern(market_fold($4)) "
      "and strpos(search_text, market_fold($4)) > 0 and (is_approved or not $5::boolean) and ($3::text is null or "
      "category = $3) limit 10001), total as (select count(*) as _total from found) "
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

/* $1 account, $2 how many, $3 how many not, $4 category, null: all; $5 whether only those that are not listed. The
 * newest 10,000 are looked through. */
#define OWN_PAGE_WHERE(columns, which)                                                                                 \
    "with found as materialized (select app_id from (select app_id, is_listed, category" columns                       \
    " from listing where account_id = $1 and version > 0 and not is_deleted order by app_id desc limit 10000) "        \
    "as newest where ($4::text is null or category = $4) and (not $5::boolean or not is_listed)" which "), "           \
    "total as (select count(*) as _total from found) "                                                                 \
    "select total._total, page.* from total left join lateral (select shown.* from (select app_id from found order "   \
    "by app_id desc limit $2 offset $3) as place" SHOWN(OWN_COLUMNS) ") as page on true order by app_id desc"
QUERY(OWN_PAGE, OWN_PAGE_WHERE("", ""))

/* $6 what is looked for. */
QUERY(OWN_SEARCH, OWN_PAGE_WHERE(", search_text", " and strpos(search_text, market_fold($6)) > 0"))
