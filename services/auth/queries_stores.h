/* queries_stores.h - the SQL of stores as people see them: whose they are, who helps there, what is asked for privacy,
 * and what the audit log tells about them. Included by queries.h where QUERY has a meaning: no guard.
 */

/* ---- stores ------------------------------------------------------------------------------------------------------ */

QUERY(STORE_INSERT, "insert into store (owner_account_id, name, created_at, updated_at) "
                    "select account_id, $2, $3, $3 from account where account_id = $1 "
                    "returning store_id, owner_account_id, name, status, created_at")

QUERY(STORE_SET_STATUS, "update store set status = $2, updated_at = $3 where store_id = $1 returning store_id, status")

QUERY(STORES_OF_ACCOUNT,
      "select store_id, name, status, created_at from store where owner_account_id = $1 order by store_id limit 250")

/* No row when the account has nothing to do with the store. */
QUERY(STORE_ACCESS, "select store.status, (owner_account_id = $2)::int as is_owner, permissions "
                    "from store left join store_member on store_member.store_id = store.store_id and account_id = $2 "
                    "where store.store_id = $1 and (owner_account_id = $2 or account_id is not null)")

#define STORES_MINE                                                                                                    \
    "select store_id, 'owner' as role, null as permissions from store where owner_account_id = $1 "                    \
    "union all select store_id, 'member', permissions from store_member where account_id = $1"

/* $2 after this id, $3 so many, $4 leave out. */
QUERY(STORES_MINE_PAGE, "select store_id, name, status, role, permissions, created_at from (" STORES_MINE ") as mine "
                        "join store using (store_id) where store_id > $2 order by store_id limit $3 offset $4")

QUERY(STORES_MINE_COUNT, "select count(*) as total from (" STORES_MINE ") as mine")

#undef STORES_MINE

/* ---- a store's profile is made in store-data --------------------------------------------------------------------- */

QUERY(STORE_SETUP_INSERT,
      "insert into store_setup (store_id, name, email, phone, address, domain, language, next_at, created_at) "
      "values ($1, $2, $3, $4, $5, $6, $7, $8, $8)")

/* Takes one that is due, and puts it off meanwhile: 5 s, then twice as long each time, 5 minutes at most. */
QUERY(STORE_SETUP_TAKE,
      "update store_setup set tries = least(tries + 1, 1000), "
      "next_at = $1::timestamptz + least(5 * 2 ^ least(tries, 10), 300) * interval '1 second' "
      "where store_id = (select store_id from store_setup where next_at <= $1 order by next_at limit 1 "
      "for update skip locked) returning store_id, name, email, phone, address, domain, language, tries")

QUERY(STORE_SETUP_DONE, "delete from store_setup where store_id = $1")

/* ---- members ----------------------------------------------------------------------------------------------------- */

QUERY(MEMBER_PUT,
      "insert into store_member (store_id, account_id, permissions, added_by_account_id, created_at, updated_at) "
      "values ($1, $2, $3, $4, $5, $5) on conflict (store_id, account_id) do update set permissions = $3, "
      "updated_at = $5 returning created_at, (xmax = 0)::int as is_new")

/* Until the end of the transaction it is neither changed nor removed. Of an owner there is no row. */
QUERY(MEMBER_HOLD, "select from store_member where store_id = $1 and account_id = $2 for share")

QUERY(MEMBER_REMOVE, "delete from store_member where store_id = $1 and account_id = $2")

QUERY(MEMBERS_PAGE,
      "select account_id, email, permissions, store_member.created_at from store_member "
      "join account using (account_id) where store_id = $1 and account_id > $2 order by account_id limit $3 offset $4")

QUERY(MEMBERS_COUNT, "select count(*) as total from store_member where store_id = $1")

/* ---- privacy ----------------------------------------------------------------------------------------------------- */

#define PRIVACY_COLUMNS "privacy_request_id, store_id, customer_id, kind, created_at, told_at, completed_at"

/* The store's row is locked: ids are in the order in which a store asked. */
QUERY(PRIVACY_INSERT, "with locked as (select store_id from store where store_id = $1 for no key update) "
                      "insert into privacy_request (store_id, customer_id, kind, account_id, created_at, next_at) "
                      "select store_id, $2, $3, $4, $5::timestamptz, $5::timestamptz from locked "
                      "returning " PRIVACY_COLUMNS)

/* The newest first: $2 before this id. */
QUERY(PRIVACY_PAGE, "select " PRIVACY_COLUMNS " from privacy_request where store_id = $1 and privacy_request_id < $2 "
                    "order by privacy_request_id desc limit $3 offset $4")

QUERY(PRIVACY_COUNT,
      "select count(*) as total from (select from privacy_request where store_id = $1 limit $2) as counted")

/* ---- privacy_work.c: $1 now, $2 until when the row is held. What a customer asked first is done first. */
QUERY(PRIVACY_TAKE,
      "update privacy_request set tries = least(tries + 1, 1000), next_at = $2 where privacy_request_id = "
      "(select privacy_request_id from privacy_request as r where next_at <= $1 and not exists (select from "
      "privacy_request as earlier where earlier.store_id = r.store_id and earlier.customer_id = r.customer_id and "
      "earlier.completed_at is null and earlier.privacy_request_id < r.privacy_request_id) "
      "order by next_at, privacy_request_id limit 1 for update skip locked) "
      "returning " PRIVACY_COLUMNS ", tries")

/* A row when nobody has told it yet. $3: all is done with it. */
QUERY(PRIVACY_TOLD, "update privacy_request set told_at = $2, tries = 0, completed_at = case when $3::boolean then "
                    "$2::timestamptz end, next_at = case when not $3::boolean then next_at end "
                    "where privacy_request_id = $1 and told_at is null returning privacy_request_id")

QUERY(PRIVACY_DONE, "update privacy_request set completed_at = $2, next_at = null "
                    "where privacy_request_id = $1 and completed_at is null")

/* $2: when it is tried again, $3: failures in a row so far. */
QUERY(PRIVACY_LATER, "update privacy_request set next_at = $2, tries = $3 "
                     "where privacy_request_id = $1 and completed_at is null")

/* ---- audit ------------------------------------------------------------------------------------------------------- */

QUERY(AUDIT_INSERT,
      "insert into audit (at, actor, actor_account_id, action, target, target_id, store_id, app_id, request_id, "
      "address, reason) values ($1, $2, nullif($3::bigint, 0), $4, $5, $6, nullif($7::bigint, 0), nullif($8::bigint, "
      "0), $9, $10, $11)")

/* $1: rows of another service's outbox, as a JSON list. */
QUERY(AUDIT_ADD,
      "insert into audit (at, actor, actor_account_id, action, target, target_id, store_id, app_id, request_id, "
      "address, event_id) select timestamptz 'epoch' + created_us * interval '1 microsecond', d ->> 'actor', "
      "(d ->> 'account_id')::bigint, d ->> 'action', resource_type, resource_id, nullif(store_id, 0), "
      "(d ->> 'app_id')::bigint, d ->> 'request_id', d ->> 'address', event_id from json_to_recordset($1) as e "
      "(event_id uuid, created_us bigint, store_id bigint, resource_type text, resource_id bigint, data text) "
      "cross join lateral (select data::json) as told (d) on conflict do nothing")

/* $1: what is older goes; $2 so many at once. */
QUERY(AUDIT_TRIM, "select audit_trim($1, $2::integer) as count")

/* The newest first: $2 before this id. Which of the platform's admins stopped a store, and from where, is not for the
 * store's owner. */
QUERY(AUDIT_PAGE,
      "select audit_id, at, actor, account.account_id as actor_account_id, account.name as actor_name, action, target, "
      "target_id, app_id, request_id, case when starts_with(action, 'store.set_') then '' else address end as address "
      "from audit left join account on account_id = actor_account_id and not starts_with(action, 'store.set_') "
      "where store_id = $1 and audit_id < $2 order by audit_id desc limit $3 offset $4")

QUERY(AUDIT_COUNT, "select count(*) as total from (select from audit where store_id = $1 limit $2) as counted")
