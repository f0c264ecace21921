/* queries.h - all SQL of developer-apps: QUERY(NAME, "statement"), prepared at connect. Included twice on purpose:
 * statements.h makes the enum of it, main.c the array.
 *
 * What auth has of an app comes as JSON, as it answered, and is joined here with what this service has.
 */

/* ---- what developers say of an app ------------------------------------------------------------------------------- */

/* $1 creation_id, null: of an app that is to be made; $2 app, null then; $3 account; $4 the fields that are said, as
 * JSON, without metadata; $5 whether metadata is said, $6 what; $7 when it is due, null: it is not; $8 now. */
#define SAID(name) name " = case when $4::jsonb ? '" name "' then excluded." name " else listing." name " end, "
QUERY(LISTING_PUT,
      "insert into listing (creation_id, app_id, account_id, screenshots, description, short_description, "
      "homepage_url, category, metadata, pricing_type, pricing_amount, fee_payer, payer_version, due_at, created_at, "
      "updated_at) values (coalesce($1::uuid, gen_random_uuid()), $2, $3, coalesce(($4::jsonb -> 'screenshots')::json, "
      "'[]'), $4::jsonb ->> 'description', $4::jsonb ->> 'short_description', $4::jsonb ->> 'homepage_url', "
      "$4::jsonb ->> 'category', $6, coalesce($4::jsonb ->> 'pricing_type', 'free'), "
      "coalesce(($4::jsonb ->> 'pricing_amount')::numeric, 0), coalesce($4::jsonb ->> 'fee_payer', 'developer'), "
      "($4::jsonb ? 'fee_payer')::int, $7, $8, $8) on conflict (creation_id) do update set " SAID("screenshots")
          SAID("description") SAID("short_description") SAID("homepage_url") SAID("category") SAID("pricing_type")
              SAID("pricing_amount") SAID("fee_payer") "metadata = case when $5 then excluded.metadata else "
                                                       "listing.metadata end, payer_version = listing.payer_version + "
                                                       "excluded.payer_version, app_id = excluded.app_id, "
                                                       "due_at = coalesce(excluded.due_at, listing.due_at), "
                                                       "updated_at = excluded.updated_at "
                                                       "returning creation_id, fee_payer, payer_version")

QUERY(LISTING_MADE, "update listing set app_id = $2, due_at = case when payer_version > 0 then due_at end "
                    "where creation_id = $1::uuid")
QUERY(LISTING_FORGET, "delete from listing where creation_id = $1::uuid and app_id is null")

/* What was said meanwhile is still to be told. */
QUERY(LISTING_TOLD, "update listing set due_at = null where app_id = $1 and payer_version = $2")

/* $1 now, $2 when it is due again unless it is done. */
QUERY(LISTING_TAKE,
      "update listing set due_at = $2 where creation_id = (select creation_id from listing where due_at <= "
      "$1 order by due_at limit 1 for update skip locked) returning creation_id, app_id, fee_payer, "
      "payer_version, created_at")

/* ---- an app, as its developer sees it ---------------------------------------------------------------------------- */

#define APP_RECORD                                                                                                     \
    "(app_id bigint, app_type text, name text, slug text, icon text, app_url text, setup_url text, webhook_url text, " \
    "webhook_receive_url text, webhook_topics json, redirect_urls json, requested_scopes json, developer_name text, "  \
    "developer_email text, is_listed int, is_active int, client_id text, created_by bigint, created_at timestamptz, "  \
    "updated_at timestamptz, creation_id uuid, suspension json)"
#define APP_UPDATED "greatest(a.updated_at, l.updated_at)"

/* In the order of seed 004. */
#define APP_VIEW_WITH(more, updated)                                                                                   \
    "select a.app_id, a.app_type, a.name, a.slug, a.icon, coalesce(l.screenshots, '[]') as screenshots, "              \
    "l.description, l.short_description, l.homepage_url, a.app_url, a.setup_url, a.webhook_url, "                      \
    "a.webhook_receive_url, a.webhook_topics, a.redirect_urls, a.requested_scopes, a.developer_name, "                 \
    "a.developer_email, coalesce(l.pricing_type, 'free') as pricing_type, coalesce(l.pricing_amount, 0.00) as "        \
    "pricing_amount, coalesce(l.fee_payer, 'developer') as fee_payer, l.category, l.metadata, a.is_listed, "           \
    "a.is_active, a.client_id, a.created_by, a.created_at, " updated " as updated_at" more                             \
    " from json_to_record($1) as a " APP_RECORD " left join listing as l on l.creation_id = a.creation_id"
#define APP_VIEW(updated) APP_VIEW_WITH("", updated)

QUERY(APP_SHOW, APP_VIEW(APP_UPDATED))
QUERY(APP_SHOW_SUSPENDED, APP_VIEW_WITH(", a.suspension", APP_UPDATED))

/* $1 apps, $2 how many there are in all. Each is looked up: no plan knows how short the list is. */
QUERY(
    APPS_SHOW,
    "select $2::bigint as _total, page.* from (select) as one left join lateral (select a.app_id, a.app_type, a.name, "
    "a.slug, a.icon, l.short_description, a.is_listed, a.is_active, a.created_at, " APP_UPDATED
    " as updated_at from json_to_recordset($1) as a " APP_RECORD
    " left join lateral (select short_description, updated_at from listing where creation_id = a.creation_id offset 0) "
    "as l on true) as page on true order by app_id desc")

/* $2 names of the fields to show. */
QUERY(APP_SHOW_FIELDS,
      "select (select json_object_agg(key, value order by place) from json_each(row_to_json(app)) with ordinality as "
      "field (key, value, place) where key = any ($2::text[])) as shown from (" APP_VIEW(
          "to_char(" APP_UPDATED " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')") ") as app")

/* ---- an app's manifest ------------------------------------------------------------------------------------------- */

/* What a version keeps of an app: its manifest, but for metadata, which is the developer's alone and may hold what
 * jsonb refuses. */
#define REVIEWED_FIELDS                                                                                                \
    "name, slug, icon, screenshots, description, short_description, homepage_url, app_url, setup_url, webhook_url, "   \
    "webhook_receive_url, webhook_topics, redirect_urls, requested_scopes, developer_name, developer_email, "          \
    "pricing_type, pricing_amount, fee_payer, category"
#define MANIFEST_FIELDS REVIEWED_FIELDS ", metadata"

QUERY(MANIFEST_SHOW, "select row_to_json(manifest) as shown, metadata::text as _metadata from (select " MANIFEST_FIELDS
                     " from (" APP_VIEW(APP_UPDATED) ") as app) as manifest")

/* $1 auth's part as it would be, $2 this service's without metadata, $3 metadata; $4 the manifest as it is. metadata
 * may hold what jsonb refuses, and was compared already: its text is that of before when it is the same. */
QUERY(MANIFEST_CHANGES,
      "select was.key as field, was.value as before, would.value as after from json_each($4) with ordinality as was "
      "(key, value, place) join (select entry.key, entry.value from (select " MANIFEST_FIELDS
      " from json_to_record($1) as a " APP_RECORD " cross join json_to_record($2) as l (screenshots json, description "
      "text, short_description text, homepage_url text, category text, pricing_type text, pricing_amount "
      "numeric(12, 2), fee_payer text) cross join (select $3::json as metadata) as m) as manifest "
      "cross join json_each(row_to_json(manifest)) as entry) as would on would.key = was.key where case when was.key = "
      "'metadata' then was.value::text <> would.value::text else was.value::jsonb <> would.value::jsonb end "
      "order by was.place")

/* $2 a group of settings, null: all of them. */
QUERY(SETTINGS_SHOW,
      "select case when $2::text is null then every else every -> $2 end as shown from (select json_build_object("
      "'oauth', json_build_object('redirect_urls', redirect_urls, 'requested_scopes', requested_scopes), "
      "'webhooks', json_build_object('webhook_receive_url', webhook_receive_url, 'webhook_topics', webhook_topics), "
      "'embed', json_build_object('app_url', app_url, 'setup_url', setup_url), "
      "'billing', json_build_object('pricing_type', pricing_type, 'pricing_amount', pricing_amount, 'fee_payer', "
      "fee_payer), 'developer', json_build_object('developer_name', developer_name, 'developer_email', "
      "developer_email)) as every from (" APP_VIEW(APP_UPDATED) ") as app) as settings")

#include "queries_marketplace.h"
#include "queries_reviews.h"
