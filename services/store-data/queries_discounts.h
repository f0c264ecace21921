/* queries_discounts.h - the SQL of discount codes, and of orders that use them. Part of queries.h. */

#define DISCOUNT_COLUMNS                                                                                               \
    "o.discount_id, o.store_id, o.code, o.is_amount, o.amount, o.percentage, o.free_shipping_on, "                     \
    "o.minimum_order_value, o.maximum_discount_amount, o.is_active, o.total_use, o.use_per_user, o.used, "             \
    "o.starts_at, o.ends_at, o.created_at, o.updated_at"

/* ---- one --------------------------------------------------------------------------------------------------------- */

QUERY(DISCOUNT_GET, "select " DISCOUNT_COLUMNS " from discount as o where o.store_id = $1 and o.discount_id = $2 and "
                    "o.deleted_at is null")
QUERY(DISCOUNT_LOCK, "select " DISCOUNT_COLUMNS " from discount as o where o.store_id = $1 and o.discount_id = $2 and "
                     "o.deleted_at is null for no key update")

/* $2 code, $3 is_amount, $4 amount, $5 percentage, $6 free_shipping_on, $7 minimum_order_value,
 * $8 maximum_discount_amount, $9 is_active, $10 total_use, $11 use_per_user, $12 starts_at, $13 ends_at, $14 now. */
QUERY(DISCOUNT_INSERT,
      "insert into discount as o (store_id, code, is_amount, amount, percentage, free_shipping_on, "
      "minimum_order_value, maximum_discount_amount, is_active, total_use, use_per_user, starts_at, ends_at, "
      "created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14) "
      "returning " DISCOUNT_COLUMNS)

/* $2 id, $3 code, and so on by one. */
QUERY(DISCOUNT_UPDATE,
      "update discount as o set code = $3, is_amount = $4, amount = $5, percentage = $6, free_shipping_on = $7, "
      "minimum_order_value = $8, maximum_discount_amount = $9, is_active = $10, total_use = $11, use_per_user = $12, "
      "starts_at = $13, ends_at = $14, updated_at = $15 where o.store_id = $1 and o.discount_id = $2 "
      "returning " DISCOUNT_COLUMNS)

QUERY(DISCOUNT_DELETE, "update discount set deleted_at = $3, updated_at = $3 where store_id = $1 and discount_id = $2")

/* ---- use --------------------------------------------------------------------------------------------------------- */

QUERY(DISCOUNT_BY_CODE, "select " DISCOUNT_COLUMNS " from discount as o where o.store_id = $1 and o.code = $2 and "
                        "o.deleted_at is null")

/* Locked until the order is committed: what is counted next stays true. */
QUERY(DISCOUNT_LOCK_CODE, "select " DISCOUNT_COLUMNS " from discount as o where o.store_id = $1 and o.code = $2 and "
                          "o.deleted_at is null for no key update")

/* How often a buyer has used code $2: as customer $3, and with the phone and e-mail of that customer, or $4 and $5
 * where there are none, as anybody; known: there is such a customer; phone and email are what DISCOUNT_USE keeps. A
 * statement of its own, because that of the lock sees what was before the wait. */
QUERY(
    DISCOUNT_USES,
    "with buyer as (select c.user_id, case when c.email is null then coalesce(c.phone, $4::text) else c.phone end as "
    "phone, case when c.phone is null then coalesce(c.email, $5::text) else c.email end as email from customer as c "
    "where c.store_id = $1 and c.user_id = $3 and c.deleted_at is null union all select null, $4::text, $5::text where $3::bigint is null), "
    "d as (select discount_id from discount where store_id = $1 and code = $2 and deleted_at is null), "
    "known as (select user_id from buyer union select c.user_id from buyer as b join customer as c on c.store_id = $1 "
    "and c.phone = b.phone and c.deleted_at is null union select c.user_id from buyer as b join customer as c on "
    "c.store_id = $1 and lower(c.email) = lower(b.email) and c.deleted_at is null) "
    "select count(*) as uses, exists (select from buyer) as known, (select phone from buyer) as phone, "
    "(select lower(btrim(email)) from buyer) as email from (select u.order_id from d join discount_use as u "
    "on u.store_id = $1 and u.discount_id = d.discount_id join known as k on u.user_id = k.user_id "
    "union select u.order_id from d join discount_use as u on u.store_id = $1 and u.discount_id = d.discount_id join "
    "buyer as b on u.phone = b.phone "
    "union select u.order_id from d join discount_use as u on u.store_id = $1 and u.discount_id = d.discount_id join "
    "buyer as b on lower(u.email) = lower(b.email)) as u")

/* $2 order, $3 discount, $4 customer, $5 phone and $6 e-mail of the buyer, $7 now. */
QUERY(DISCOUNT_USE,
      "with u as (insert into discount_use (store_id, order_id, discount_id, user_id, phone, email, created_at) values "
      "($1, $2, $3, $4, $5, $6, $7) returning discount_id) update discount as d set used = used + 1 from u where "
      "d.store_id = $1 and d.discount_id = u.discount_id")

/* What order $2 used may be used again. */
QUERY(DISCOUNT_RETURN,
      "with u as (delete from discount_use where store_id = $1 and order_id = $2 returning discount_id) update "
      "discount as d set used = used - 1 from u where d.store_id = $1 and d.discount_id = u.discount_id")

/* The terms under which order $2 was placed, whatever became of the code. */
QUERY(DISCOUNT_OF_ORDER, "select " DISCOUNT_COLUMNS " from discount_use as u join discount as o using (store_id, "
                         "discount_id) where u.store_id = $1 and u.order_id = $2")

/* ---- lists ------------------------------------------------------------------------------------------------------- */

#define DISCOUNTS_KEPT                                                                                                 \
    "(select coalesce(sum(n), 0)::bigint as n from kept_total where store_id = $1 and kind = 'd' and status = "        \
    "any (case when $2 = '' then '{active,inactive}'::text[] else array[$2] end))"
#define DISCOUNTS_OF(total, where, fence, key, type, op, dir)                                                          \
    LIST_MIXED(DISCOUNT_COLUMNS, total, "discount", "discount_id", where, fence, key, type, op, dir)
#define DISCOUNTS_SORTS(name, total, where, fence)                                                                     \
    QUERY(name##_CREATED_ASC, DISCOUNTS_OF(total, where, fence, "created_at", "timestamptz", ">", "asc"))              \
    QUERY(name##_CREATED_DESC, DISCOUNTS_OF(total, where, fence, "created_at", "timestamptz", "<", "desc"))            \
    QUERY(name##_UPDATED_ASC, DISCOUNTS_OF(total, where, fence, "updated_at", "timestamptz", ">", "asc"))              \
    QUERY(name##_UPDATED_DESC, DISCOUNTS_OF(total, where, fence, "updated_at", "timestamptz", "<", "desc"))            \
    QUERY(name##_CODE_ASC, DISCOUNTS_OF(total, where, fence, "code", "text", ">", "asc"))                              \
    QUERY(name##_CODE_DESC, DISCOUNTS_OF(total, where, fence, "code", "text", "<", "desc"))
#define DISCOUNTS_LIVE     "o.store_id = $1 and o.deleted_at is null"
#define DISCOUNTS_SWITCHED DISCOUNTS_LIVE " and o.is_active = ($2 = 'active')"
/* $7: a part of the code. */
#define DISCOUNTS_SEARCHED                                                                                             \
    DISCOUNTS_LIVE " and ($2 = '' or o.is_active = ($2 = 'active')) "                                                  \
                   "and text_grams(o.store_id, o.code) @@ search_grams($1, $7::text) and strpos(o.code, $7::text) > 0"
DISCOUNTS_SORTS(DISCOUNTS_ANY, DISCOUNTS_KEPT, DISCOUNTS_LIVE, "")
DISCOUNTS_SORTS(DISCOUNTS_STATUS, DISCOUNTS_KEPT, DISCOUNTS_SWITCHED, "")
DISCOUNTS_SORTS(DISCOUNTS_SEARCH, TOTAL_COUNTED("discount", DISCOUNTS_SEARCHED), DISCOUNTS_SEARCHED, " offset 0")
#undef DISCOUNTS_SORTS
