/* queries_marketplace.h - what developer-apps is told of apps for the marketplace, and what it tells. Included by
 * queries.h. */

#define TOLD_COLUMNS                                                                                                   \
    "app_id, creation_id::text, owner_account_id as account_id, app.version, name, slug, icon, developer_name, "       \
    "developer_email, to_json(string_to_array(requested_scopes, ' ')) as requested_scopes, is_listed, is_active, "     \
    "is_approved, deleted_at is not null as is_deleted, created_at, updated_at"

/* $1 how many. */
QUERY(APPS_UNTOLD, "select count(*) as many, coalesce(json_agg(row_to_json(told)), '[]')::text as apps from (select "
                   "" TOLD_COLUMNS " from app_untold join app using (app_id) order by app_id limit $1) as told")

/* $1 what was told. What has changed meanwhile stays. */
QUERY(APPS_TOLD, "delete from app_untold using json_to_recordset($1) as told (app_id bigint, version bigint) "
                 "where app_untold.app_id = told.app_id and app_untold.version <= told.version")

QUERY(APPS_SHOWN,
      "select " TOLD_COLUMNS " from app where app_id = any ($1::bigint[]) and type = 'platform' order by app_id")

/* $1 app, $2 whether it is approved now, $3 number of the decision: one that comes too late changes nothing. */
QUERY(APP_SET_APPROVED, "update app set is_approved = $2, decision_number = $3 where app_id = $1 and type = 'platform' "
                        "and decision_number < $3")
