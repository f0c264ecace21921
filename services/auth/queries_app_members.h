/* queries_app_members.h - who may do what to a developer's app. Included by queries.h. */

/* A custom app belongs to its store, whoever made it. */
#define OF_DEVELOPERS "home_store_id is null and deleted_at is null"

#define APP_ROLES "array['viewer', 'developer', 'admin', 'owner']"

/* $1 app, $2 account, $3 the role it takes. No row: the account has nothing to do with it. */
QUERY(APP_ACCESS,
      "select app_id, role, requested_scopes, (array_position(" APP_ROLES ", role) >= array_position(" APP_ROLES
      ", $3::text))::int as _allowed from (select app.app_id, requested_scopes, case when owner_account_id = $2 then "
      "'owner' else app_member.role end as role from app left join app_member on app_member.app_id = app.app_id and "
      "account_id = $2 where app.app_id = $1 and " OF_DEVELOPERS ") as mine where role is not null")

/* Until the end of the transaction nobody's role in it changes. */
QUERY(APP_HOLD, "select from app where app_id = $1 for no key update")

/* ---- members ----------------------------------------------------------------------------------------------------- */

/* Of app $1; the owner has no row of their own. */
#define APP_MEMBERS                                                                                                    \
    "(select owner_account_id as account_id, 'owner' as role, null::bigint as added_by, created_at from app where "    \
    "app_id = $1 union all select account_id, role, added_by_account_id, created_at from app_member where "            \
    "app_id = $1) as member"
#define APP_MEMBER_COLUMNS "account_id, email, role, added_by, member.created_at"

/* The owner first, then those who have their account longer. $2 how many, $3 how many not. */
QUERY(APP_MEMBERS_PAGE,
      "select _total, page.* from (select count(*) as _total from " APP_MEMBERS
      ") as total left join lateral (select " APP_MEMBER_COLUMNS " from " APP_MEMBERS
      " join account using (account_id) order by role = 'owner' desc, account_id limit $2 offset $3) as page on true "
      "order by page.role = 'owner' desc, page.account_id")

QUERY(APP_MEMBER_GET,
      "select " APP_MEMBER_COLUMNS " from " APP_MEMBERS " join account using (account_id) where account_id = $2")

/* How many members app $1 has, and how many apps account $2 helps with. */
QUERY(APP_MEMBERS_ROOM, "select (select count(*) from app_member where app_id = $1) as members, "
                        "(select count(*) from app_member where account_id = $2) as apps")

QUERY(APP_MEMBER_INSERT,
      "insert into app_member (app_id, account_id, role, added_by_account_id, created_at, updated_at) "
      "values ($1, $2, $3, $4, $5, $5)")
QUERY(APP_MEMBER_SET_ROLE, "update app_member set role = $3, updated_at = $4 where app_id = $1 and account_id = $2")
QUERY(APP_MEMBER_REMOVE, "delete from app_member where app_id = $1 and account_id = $2")
QUERY(APP_MEMBERS_FORGET, "delete from app_member where app_id = $1")

/* To account $2, which can sign in as a developer. */
QUERY(APP_TRANSFER, "update app set owner_account_id = $2, created_by_account_id = coalesce(created_by_account_id, "
                    "owner_account_id), updated_at = $3 where app_id = $1 and exists (select from account where "
                    "account_id = $2 and is_developer and status = 'active') returning app_id")
