/* queries_verify.h - what is kept of a store against a recount, span by span (verify.c). Part of queries.h.
 *
 * $2 and $3 of a span are keys, ids or days since 1970: it begins behind $2, 0 for the beginning, and ends with $3,
 * VERIFY_END for the end of all. Both sides are of one moment, because they are one statement. Where a span ends is
 * known by walking an index, so that the statements cost the same however large the store is; what stands for a whole
 * store is held against what was kept of its parts, which the spans have proved.
 */
#define VERIFY_END   "9223372036854775807"
#define VERIFY_FIRST "(case when $2::bigint = 0 then '-infinity'::date else date '1970-01-01' + $2::integer end)"
#define VERIFY_LAST                                                                                                    \
    "(case when $3::bigint = " VERIFY_END " then 'infinity'::date else date '1970-01-01' + $3::integer end)"
#define VERIFY_IDS(id) id " > $2::bigint and " id " <= $3::bigint"

/* The key of the last of so many rows behind $2, VERIFY_END when there are not so many. */
#define VERIFY_WALK(count, id, table, live, order)                                                                     \
    "(select case when count(*) < " count " then " VERIFY_END " else max(" id ") end from (select " id " from " table  \
    " where store_id = $1 and " id " > $2::bigint" live " order by " order " limit " count ") as walked)"

/* The tables may never have been looked at, and the plans be older than the rows: by index always. */
QUERY(VERIFY_BEGIN, "select set_config('enable_seqscan', 'off', true)")

/* ---- orders, by UTC day of created_at ---------------------------------------------------------------------------- */

/* At least a day: so few orders, because their items are counted as well. */
QUERY(VERIFY_DAYS_NEXT,
      "select case when count(*) < 4000 then " VERIFY_END " else (utc_day(max(created_at)) - date "
      "'1970-01-01')::bigint end as last from (select created_at from store_order where store_id = $1 and deleted_at "
      "is null and created_at >= (" VERIFY_FIRST " + 1)::timestamp at time zone 'UTC' order by created_at, order_id "
      "limit 4000) as walked")

QUERY(VERIFY_COUNTS,
      "with kept as (select status, day, sum(n)::bigint as n from kept_count where store_id = $1 and kind = 'o' and "
      "day > " VERIFY_FIRST " and day <= " VERIFY_LAST " group by 1, 2), "
      "counted as (select coalesce(order_status, '') as status, day, count(*) as n from (select order_status, "
      "utc_day(created_at) as day from store_order where store_id = $1 and deleted_at is null and created_at >= "
      "(" VERIFY_FIRST " + 1)::timestamp at time zone 'UTC' and created_at < (" VERIFY_LAST " + 1)::timestamp at time "
      "zone 'UTC') as o group by grouping sets ((day), (order_status, day))) "
      "select 'order' as kind, status, day::text as day, coalesce(kept.n, 0) as kept, coalesce(counted.n, 0) as "
      "counted from kept full join counted using (status, day) where coalesce(kept.n, 0) <> coalesce(counted.n, 0) "
      "order by day, status limit 1000")

/* Of all days and months, of the products and of the categories. The first row is the whole: kept orders, counted
 * products. */
QUERY(
    VERIFY_COUNTS_TOTALS,
    "with kept as (select kind, status, sum(n)::bigint as n from kept_count where store_id = $1 and kind in ('o', "
    "'p') and day = '-infinity' group by 1, 2 union all select kind, status, sum(n)::bigint from kept_total where "
    "store_id = $1 and kind = 'c' group by 1, 2), counted as (select kind, status, sum(n)::bigint as n from kept_count "
    "where store_id = $1 and kind = 'o' and day > '-infinity' group by 1, 2 union all select 'c', '', count(*) from "
    "category where store_id = $1 union all select 'p', "
    "coalesce(product_status, ''), count(*) from (select product_status(is_active) as product_status from product "
    "where store_id = $1 and deleted_at is null) as p group by cube (product_status)) "
    "select 'whole' as kind, '' as status, null::text as day, coalesce(sum(n) filter (where kind = 'o'), 0)::bigint as "
    "kept, coalesce(sum(n) filter (where kind = 'p'), 0)::bigint as counted from counted where status = '' union all "
    "select case kind when 'o' then 'order' when 'p' then 'product' else 'category' end, status, null, "
    "coalesce(kept.n, 0), coalesce(counted.n, 0) from kept full join counted using (kind, status) where coalesce(kept.n, 0) <> "
    "coalesce(counted.n, 0) union all select 'month', status, month::text, coalesce(m.n, 0), coalesce(d.n, 0) from "
    "(select status, day as month, sum(n)::bigint as n from kept_count where store_id = $1 and kind = 'm' group by 1, "
    "2) as m full join (select status, date_trunc('month', day)::date as month, sum(n)::bigint as n from kept_count "
    "where store_id = $1 and kind = 'o' and day > '-infinity' group by 1, 2) as d using (status, month) where "
    "coalesce(m.n, 0) <> coalesce(d.n, 0)")

QUERY(VERIFY_ANALYTICS,
      "select case kind when 'a' then 'sales' when 'b' then 'refunded' when 'c' then 'customer' when 'i' then 'items' "
      "else 'product' end as rollup, day::text as day, nullif(id, 0) as id, null::text as name, coalesce(k.n, 0) as "
      "kept, coalesce(c.n, 0) as counted, coalesce(k.amount, 0.00)::text as kept_amount, coalesce(c.amount, "
      "0.00)::text as counted_amount from (select kind, day, id, sum(n)::bigint as n, sum(amount) as amount from "
      "kept_day where store_id = $1 and kind in ('a', 'b', 'c', 'i', 'p') and day > " VERIFY_FIRST " and day "
      "<= " VERIFY_LAST " group by 1, 2, 3) as k full join counted_day($1, " VERIFY_FIRST " + 1, " VERIFY_LAST ") as c "
      "using (kind, day, id) where (coalesce(k.n, 0), coalesce(k.amount, 0)) is distinct from (coalesce(c.n, 0), "
      "coalesce(c.amount, 0)) order by kind, day, id limit 1000")

/* $2: events are kept from this day on. */
QUERY(VERIFY_EVENTS,
      "select 'event' as rollup, day::text as day, app_id as id, name, coalesce(k.n, 0) as kept, coalesce(c.n, 0) as "
      "counted, '0.00' as kept_amount, '0.00' as counted_amount from (select app_id, day, name, sum(n)::bigint as n "
      "from event_day where store_id = $1 and day >= utc_day($2::timestamptz) group by 1, 2, 3) as k full join (select "
      "app_id, utc_day(occurred_at) as day, name, count(*) as n from app_event where store_id = $1 and occurred_at >= "
      "$2::timestamptz group by 1, 2, 3) as c using (app_id, day, name) where coalesce(k.n, 0) <> coalesce(c.n, 0) "
      "order by day, app_id, name limit 1000")

/* ---- customers, by id -------------------------------------------------------------------------------------------- */

QUERY(VERIFY_CUSTOMERS_NEXT,
      "select least(" VERIFY_WALK("10000", "user_id", "store_order", " and deleted_at is null",
                                  "user_id, created_at, order_id") ", " VERIFY_WALK("10000", "user_id",
                                                                                    "customer_total", "",
                                                                                    "user_id") ") as last")

QUERY(
    VERIFY_CUSTOMERS,
    "with counted as (select user_id, count(*) as total_orders, coalesce(sum(grand_total) filter (where order_status "
    "<> 'refunded'), 0)::numeric(20,2) as total_spent from store_order where store_id = $1 and " VERIFY_IDS(
        "user_id") " and deleted_at is null and order_status <> 'cancelled' group by user_id) "
                   "select user_id, coalesce(kept.total_orders, 0) as total_orders, coalesce(counted.total_orders, "
                   "0) as counted_orders, coalesce(kept.total_spent, 0.00) as total_spent, "
                   "coalesce(counted.total_spent, 0.00) as counted_spent from (select * from customer_total where "
                   "store_id = $1 and " VERIFY_IDS(
                       "user_id") ") as kept full join counted using (user_id) where "
                                  "coalesce(kept.total_orders, 0) <> coalesce(counted.total_orders, 0) or "
                                  "coalesce(kept.total_spent, 0) <> coalesce(counted.total_spent, 0) order by user_id limit 1000")

QUERY(
    VERIFY_CUSTOMERS_TOTALS,
    "with kept as (select status, sum(n)::bigint as n from kept_count where store_id = $1 and kind = 'c' group by "
    "status), counted as (select coalesce(status, '') as status, count(*) as n from (select "
    "customer_status(is_guest) as status from customer where store_id = $1 and deleted_at is null) as c group by cube "
    "(status)) select status, coalesce(kept.n, 0) as kept, coalesce(counted.n, 0) as counted from kept full join "
    "counted using (status) where coalesce(kept.n, 0) <> coalesce(counted.n, 0) or status = '' order by status")

/* ---- stock, by product ------------------------------------------------------------------------------------------- */

/* And no loops: believing in a handful of products, the planner would look for each of thousands by whatever index. */
QUERY(
    VERIFY_INVENTORY_NEXT,
    "select least(" VERIFY_WALK("2000", "product_id", "product", "", "product_id") ", " VERIFY_WALK(
        "2000", "product_id", "product_stock", "",
        "product_id") ", " VERIFY_WALK("20000", "product_id", "inventory_movement", "",
                                       "product_id, movement_id") ") as last, set_config('enable_nestloop', 'off', true)")

/* Of a product's figures, and of each variant and its movements. */
QUERY(
    VERIFY_INVENTORY,
    "with stock as materialized (select product_id, sku_id, quantity, is_low(quantity, low_stock_threshold) as low from "
    "sku where store_id = $1 and " VERIFY_IDS(
        "product_id") " and deleted_at is null), "
                      "counted as (select p.product_id, coalesce(s.quantity, 0) as quantity, coalesce(s.variants, 0) as variants, "
                      "coalesce(s.low, 0) as low from product as p left join (select product_id, sum(quantity)::bigint as quantity, "
                      "count(*) as variants, count(*) filter (where low) as low from stock group by product_id) as s using (product_id) "
                      "where p.store_id = $1 and " VERIFY_IDS(
                          "p.product_id") " and p.deleted_at is null), "
                                          "kept as (select * from product_stock where store_id = $1 and " VERIFY_IDS(
                                              "product_id") " and live), "
                                                            "moved as (select sku_id, sum(change)::bigint as quantity from inventory_movement where store_id = $1 "
                                                            "and " VERIFY_IDS(
                                                                "product_id") " group by sku_id) "
                                                                              "select * from (select 'product.' || f.name as kind, product_id as id, f.kept, f.counted from kept as k full join "
                                                                              "counted as c using (product_id) cross join lateral (values ('total_quantity', k.total_quantity, c.quantity), "
                                                                              "('variant_count', k.variant_count, c.variants), ('low_count', k.low_count, c.low)) as f (name, kept, counted) "
                                                                              "where f.kept is distinct from f.counted union all select 'sku.quantity', s.sku_id, s.quantity, "
                                                                              "coalesce(m.quantity, 0) from stock as s left join moved as m using (sku_id) where s.quantity <> "
                                                                              "coalesce(m.quantity, 0)) as differences order by kind, id limit 1000")

/* The first row is the whole: id products, kept variants, counted pieces. */
QUERY(
    VERIFY_INVENTORY_TOTALS,
    "with stock as materialized (select has_stock, low_count > 0 as low, count(*) as n, sum(variant_count)::bigint "
    "as variants, sum(total_quantity)::bigint as quantity from product_stock where store_id = $1 and live group by 1, "
    "2), total as (select status, sum(n)::bigint as n from kept_total where store_id = $1 and kind = 'i' group by "
    "status) select 'whole' as kind, coalesce(sum(n), 0)::bigint as id, coalesce(sum(variants), 0)::bigint as kept, "
    "coalesce(sum(quantity), 0)::bigint as counted from stock union all select 'total.' || status, 0, coalesce(t.n, "
    "0), coalesce(c.n, 0) from total as t full join (select status, sum(n)::bigint as n from stock cross join lateral "
    "(values (case when has_stock then 'in_stock' else 'out_of_stock' end), (case when low then 'low_stock' end)) as "
    "is_now (status) where status is not null group by status) as c using (status) where coalesce(t.n, 0) <> "
    "coalesce(c.n, 0)")

/* ---- discounts, by id -------------------------------------------------------------------------------------------- */

QUERY(VERIFY_DISCOUNTS_NEXT,
      "select least(" VERIFY_WALK("10000", "discount_id", "discount", "",
                                  "discount_id") ", " VERIFY_WALK("10000", "discount_id", "discount_use", "",
                                                                  "discount_id") ") as last")

QUERY(VERIFY_DISCOUNTS,
      "select 'discount.used' as kind, discount_id as id, d.used as kept, coalesce(c.n, 0) as counted from (select "
      "discount_id, used from discount where store_id = $1 and " VERIFY_IDS(
          "discount_id") ") as d full join (select discount_id, count(*) as n from discount_use where store_id = $1 "
                         "and " VERIFY_IDS(
                             "discount_id") " group by discount_id) as c using (discount_id) where "
                                            "d.used is distinct from coalesce(c.n, 0) order by discount_id limit 1000")

/* The first row is the whole: id discounts, kept uses. */
QUERY(
    VERIFY_DISCOUNTS_TOTALS,
    "with d as materialized (select product_status(is_active) as status, deleted_at is null as live, count(*) as n, "
    "sum(used)::bigint as used from discount where store_id = $1 group by 1, 2) "
    "select 'whole' as kind, coalesce(sum(n) filter (where live), 0)::bigint as id, coalesce(sum(used), 0)::bigint as "
    "kept, 0::bigint as counted from d union all select 'total.' || status, 0, coalesce(t.n, 0), coalesce(c.n, 0) "
    "from (select status, sum(n)::bigint as n from kept_total where store_id = $1 and kind = 'd' group by status) as t "
    "full join (select status, n from d where live) as c using (status) where coalesce(t.n, 0) <> coalesce(c.n, 0)")

#undef VERIFY_END
#undef VERIFY_FIRST
#undef VERIFY_LAST
#undef VERIFY_IDS
#undef VERIFY_WALK
