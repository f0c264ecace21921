/* queries_analytics.h - the SQL of analytics, part of queries.h: figures of UTC days from kept_day (schema/040), custom
 * events of apps, and the recount of both.
 *
 * $2 and $3 of every reading statement are the first and the last day, as midnights. Sums over no row are zero, not
 * null.
 */
#define DAYS(column) column " >= utc_day($2::timestamptz) and " column " <= utc_day($3::timestamptz)"

/* Of the rows of kept_day AS k of the kinds a, b and i. */
#define SUMS                                                                                                           \
    "coalesce(sum(k.n) filter (where k.kind = 'a'), 0)::bigint as orders, "                                            \
    "coalesce(sum(k.n) filter (where k.kind = 'b'), 0)::bigint as refunded, "                                          \
    "coalesce(sum(k.amount) filter (where k.kind = 'a'), 0.00) as sales, "                                             \
    "coalesce(sum(k.n) filter (where k.kind = 'i'), 0)::bigint as items"

#define AVERAGE(sales, orders, refunded)                                                                               \
    "case when " orders " > " refunded " then round(" sales " / (" orders " - " refunded "), 2) else 0.00 end"

/* $4 day, week or month. The columns with an underscore are the totals, the same in each row. */
QUERY(
    ANALYTICS_SALES,
    "with kept as (select date_trunc($4, k.day::timestamp) as start, " SUMS " from kept_day as k where k.store_id = "
    "$1 and k.kind in ('a', 'b', 'i') and " DAYS(
        "k.day") " group by 1), "
                 "figure as (select greatest(g.start::date, utc_day($2::timestamptz))::text as \"from\", "
                 "least((g.start + ('1 ' || $4)::interval)::date - 1, utc_day($3::timestamptz))::text as \"to\", "
                 "coalesce(kept.orders, 0) as orders, coalesce(kept.refunded, 0) as refunded, coalesce(kept.sales, 0.00) as "
                 "sales, coalesce(kept.items, 0) as items, g.start from generate_series(date_trunc($4, "
                 "utc_day($2::timestamptz)::timestamp), utc_day($3::timestamptz)::timestamp, ('1 ' || $4)::interval) as g (start) "
                 "left join kept on kept.start = g.start), whole as (select sum(orders)::bigint as _orders, "
                 "sum(refunded)::bigint as _refunded, sum(sales) as _sales, sum(items)::bigint as _items from figure) "
                 "select \"from\", \"to\", orders, refunded, sales, items, " AVERAGE(
                     "sales", "orders",
                     "refunded") " as average, whole.*, " AVERAGE("_sales", "_orders",
                                                                  "_refunded") " as _average from figure, whole order by figure.start")

/* $1 store, $2 today: six rows, each span and the time of the same length before it. */
QUERY(ANALYTICS_SUMMARY,
      "select s.first::text as \"from\", s.last::text as \"to\", f.orders, f.refunded, f.sales, f.items, " AVERAGE(
          "f.sales", "f.orders", "f.refunded") " as average from (select utc_day($2::timestamptz) as today) as t cross "
                                               "join lateral (values (1, today, today), (2, today - 1, today - 1), "
                                               "(3, today - 6, today), (4, today - 13, today - 7), "
                                               "(5, today - 29, today), (6, today - 59, today - 30)) as s (number, "
                                               "first, last) cross join lateral (select " SUMS
                                               " from kept_day as k where k.store_id = $1 and k.kind in ('a', 'b', "
                                               "'i') and k.day >= s.first and k.day <= s.last) as f order by s.number")

/* $4 how many. The name is the product's present one; a product that was deleted keeps it. */
#define PRODUCTS_TOP(by)                                                                                               \
    "select t.product_id, p.name, t.quantity, t.sales from (select k.id as product_id, sum(k.n)::bigint as quantity, " \
    "sum(k.amount) as sales from kept_day as k where k.store_id = $1 and k.kind = 'p' and " DAYS(                      \
        "k.day") " group by k.id having sum(k.n) > 0 order by " by                                                     \
                 " desc, k.id limit $4) as t left join product as p on p.store_id = $1 and p.product_id = "            \
                 "t.product_id order by t." by " desc, t.product_id"
QUERY(ANALYTICS_PRODUCTS_BY_QUANTITY, PRODUCTS_TOP("quantity"))
QUERY(ANALYTICS_PRODUCTS_BY_SALES, PRODUCTS_TOP("sales"))
#undef PRODUCTS_TOP

/* $4 how many. The counts are in every row; without a customer there is one row, whose other columns are null. */
QUERY(ANALYTICS_CUSTOMERS,
      "with bought as materialized (select k.id as user_id, sum(k.n)::bigint as orders, sum(k.amount) as spent from "
      "kept_day as k where k.store_id = $1 and k.kind = 'c' and " DAYS(
          "k.day") " group by k.id having sum(k.n) > 0), "
                   "counted as (select count(*) as _customers, count(*) filter (where exists (select from kept_day as "
                   "e where e.store_id = $1 and e.kind = 'c' and e.id = b.user_id and e.day < "
                   "utc_day($2::timestamptz) and e.n > 0)) as _returning from bought as b) "
                   "select counted.*, top.* from counted left join lateral (select user_id, orders, spent from bought "
                   "order by spent desc, user_id limit $4) as top on true order by top.spent desc, top.user_id")

#define ORDERS_BY_STATUS(days)                                                                                         \
    "select s.status, (select coalesce(sum(k.n), 0)::bigint from kept_count as k where k.store_id = $1 and k.kind = "  \
    "'o' and k.status = s.status and " days                                                                            \
    ") as orders from unnest('{pending,confirmed,processing,shipped,delivered,completed,cancelled,hold,refunded}'::"   \
    "text[]) with ordinality as s (status, position) order by s.position"
QUERY(ANALYTICS_STATUS_ALL, ORDERS_BY_STATUS("k.day = '-infinity'"))
QUERY(ANALYTICS_STATUS_DAYS, ORDERS_BY_STATUS(DAYS("k.day")))
#undef ORDERS_BY_STATUS

/* ---- events of apps: $1 store, $2 app ---------------------------------------------------------------------------- */

/* $2 events. The first that names a customer who is not in this store. Those who are stay until the commit: who erases
 * one waits for us, and finds the event. */
QUERY(EVENTS_STRANGER,
      "with named as materialized (select e.line, e.customer_id from json_to_recordset($2) as e (line integer, "
      "customer_id bigint) where e.customer_id is not null), known as materialized (select c.user_id from customer as "
      "c where c.store_id = $1 and c.user_id = any (array(select customer_id from named)) and c.deleted_at is null "
      "order by c.user_id for key share) select line from named where customer_id not in (select user_id from known) "
      "order by line limit 1")

/* $3 events. A row when there are names that are new; whoever adds names waits for others of the app that do. */
QUERY(EVENT_NAMES_LOCK,
      "select pg_advisory_xact_lock(hashtextextended('event names ' || $1::bigint::text, $2)) where exists "
      "(select from json_to_recordset($3) as e (name text) where not exists (select from "
      "app_event_name as n where n.store_id = $1 and n.app_id = $2 and n.name = e.name))")
/* Answers how many names there are with them. */
QUERY(EVENT_NAMES_ADD, "with added as (insert into app_event_name (store_id, app_id, name) select distinct $1::bigint, "
                       "$2::bigint, e.name from json_to_recordset($3) as e (name text) on conflict do nothing "
                       "returning 1) select (select count(*) from app_event_name where store_id = $1 and app_id = $2) "
                       "+ (select count(*) from added) as names")

/* $3 events, $4 now. In the order of the keys, so that two batches with the same keys wait and never in a ring. */
QUERY(EVENTS_INSERT,
      "with made as (insert into app_event (store_id, app_id, event_key, name, occurred_at, customer_id, properties, "
      "created_at) select $1, $2, e.event_key, e.name, e.occurred_at, e.customer_id, e.properties, $4 from "
      "json_to_recordset($3) as e (event_key text, name text, occurred_at timestamptz, customer_id bigint, properties "
      "json) order by e.event_key on conflict (store_id, app_id, event_key) where event_key is not null do nothing "
      "returning 1) select count(*) as accepted from made")

/* $4 app, $5 name or null. The sum of each name first (date is null), then each day's. */
QUERY(EVENTS_SUMMARY,
      "select d.day::text as date, d.name, sum(d.n)::bigint as events from event_day as d where d.store_id = $1 and "
      "d.app_id = $4 and " DAYS("d.day") " and ($5::text is null or d.name = $5) group by grouping sets ((d.name), "
                                         "(d.day, d.name)) order by d.day nulls first, d.name")

/* $1: what occurred before is taken out. */
QUERY(EVENTS_TRIM, "with gone as (delete from app_event where ctid = any (array(select ctid from app_event where "
                   "occurred_at < $1 order by occurred_at limit 1000)) returning 1) select count(*) from gone")
QUERY(EVENT_DAYS_TRIM, "with gone as (delete from event_day where ctid = any (array(select ctid from event_day where "
                       "day < utc_day($1::timestamptz) order by day limit 1000)) returning 1) "
                       "select count(*) from gone")

#undef DAYS
#undef SUMS
#undef AVERAGE
