/* queries_order_filters.h - the SQL of POST /orders/filters, in two shapes.
 *
 * Part of queries.h. WALKED goes along the sort's index and leaves out what does not fit: right when much of the store
 * fits. FOUND takes the few rows of one filter, its driver, from that filter's index and sorts them. FILTER_SIZES
 * counts what each driver would find, and orders_filter.c chooses. Without FOUND a value that few orders have would
 * cost a walk through the whole store; without WALKED one that all have would be sorted for each page.
 *
 * A driver's limit is not there for its number: a subselect with a limit is not pulled up, so the planner has one table
 * before it. Equality is written as a range, and in the order of the index made for it: so that index is the right one
 * however many orders the planner thinks have the value, which it cannot know for a single store.
 *
 * $1 store, $2 status ('' for any), $3 rows wanted, $4 rows to leave out, $5 key and $6 id of the last one seen, lists
 * of values or null: $7 order_status, $8 financial_status, $9 fulfillment_status, $10 payment_method, $11 courier, $12
 * courier_id; $13 the columns that must not be empty; $14 app; $15 how many metafields are filtered by, $16 and $17
 * their definitions and values, side by side, with a null value for any; $18 definitions of which an order may have
 * none.
 */
#define FILTER_METAFIELD                                                                                               \
    "m.store_id = $1 and m.resource_type = 'o' and m.resource_id = o.order_id and m.app_id = $14::bigint"

#define ORDERS_FILTER_WHERE                                                                                            \
    "o.store_id = $1 and o.deleted_at is null and " ANY_STATUS                                                         \
    " and ($7::text[] is null or o.order_status = any ($7::text[]))"                                                   \
    " and ($8::text[] is null or o.financial_status = any ($8::text[]))"                                               \
    " and ($9::text[] is null or o.fulfillment_status = any ($9::text[]))"                                             \
    " and ($10::text[] is null or o.payment_method = any ($10::text[]))"                                               \
    " and ($11::text[] is null or o.courier = any ($11::text[]))"                                                      \
    " and ($12::text[] is null or o.courier_id = any ($12::text[]))"                                                   \
    " and ($13::text[] is null or ((not 'courier' = any ($13::text[]) or o.courier <> '')"                             \
    " and (not 'courier_id' = any ($13::text[]) or o.courier_id <> '')"                                                \
    " and (not 'tracking_code' = any ($13::text[]) or o.tracking_code <> '')"                                          \
    " and (not 'payment_method' = any ($13::text[]) or o.payment_method <> '')"                                        \
    " and (not 'note' = any ($13::text[]) or o.note <> '')))"                                                          \
    " and ($15::bigint = 0 or (select count(distinct m.definition_id) from metafield_value as m join "                 \
    "unnest($16::bigint[], $17::text[]) as w (definition_id, value) on m.definition_id = w.definition_id and "         \
    "(w.value is null or m.value = w.value) where " FILTER_METAFIELD ") = $15::bigint)"                                \
    " and ($18::bigint[] is null or not exists (select from metafield_value as m where " FILTER_METAFIELD              \
    " and m.definition_id = any ($18::bigint[])))"

#define FILTERED_COLUMNS ORDER_COLUMNS ", " ORDER_ITEMS ", " ORDER_METAFIELDS("$14::bigint")

/* ---- drivers: each is a table of orders -------------------------------------------------------------------------- */

#define DRIVER_VALUES(column, values)                                                                                  \
    "(select o.* from (select distinct u.value from unnest(" values "::text[]) as u (value)) as v cross join lateral " \
    "(select * from store_order as o where o.store_id = $1 and o." column " >= v.value and o." column                  \
    " <= v.value and o.deleted_at is null order by o." column " limit 10001) as o)"

#define DRIVER_FILLED(column, order)                                                                                   \
    "(select * from store_order as o where o.store_id = $1 and o." column                                              \
    " > '' and o.deleted_at is null order by o." order " limit 10001)"

/* Ids of orders by the first of the metafields: by the value's hash, or, for any value, by all hashes there are. */
#define DRIVER_METAFIELD_IDS                                                                                           \
    "(select m.resource_id from (select distinct w.definition_id, w.value from unnest($16::bigint[], $17::text[]) as " \
    "w (definition_id, value) where w.definition_id = ($16::bigint[])[1]) as w cross join lateral (select "            \
    "m.resource_id from metafield_value as m where m.store_id = $1 and m.definition_id = w.definition_id and "         \
    "m.value_hash between coalesce(hashtextextended(w.value, 0), '-9223372036854775808') and "                         \
    "coalesce(hashtextextended(w.value, 0), '9223372036854775807') and (w.value is null or m.value = w.value) limit "  \
    "10001) as m)"

#define DRIVER_METAFIELD                                                                                               \
    "(select o.* from (select distinct resource_id from " DRIVER_METAFIELD_IDS " as m) as m cross join lateral "       \
    "(select * from store_order as o where o.store_id = $1 and o.order_id = m.resource_id limit 1) as o)"

/* Orders that have none of the definitions, of entries of indexes alone: of each order one and of each value one. */
#define DRIVER_WITHOUT                                                                                                 \
    "(select o.* from (select o.order_id from store_order as o where o.store_id = $1 and o.deleted_at is null and "    \
    "not exists (select from metafield_value as m where " FILTER_METAFIELD                                             \
    " and m.definition_id = any ($18::bigint[])) offset 0) as w cross join lateral "                                   \
    "(select * from store_order as o where o.store_id = $1 and o.order_id = w.order_id limit 1) as o)"

#define FILTER_SIZE(number, asked, driver)                                                                             \
    "select " number " as driver, (select count(*) from (select from " driver " as o limit 10001) as counted) as n "   \
    "where " asked

#define FILTER_SIZE_VALUES(number, column, values)                                                                     \
    FILTER_SIZE(number, values "::text[] is not null", DRIVER_VALUES(column, values))

#define AND_SIZE_VALUES(number, column, values) " union all " FILTER_SIZE_VALUES(number, column, values)
#define AND_SIZE_FILLED(number, column, order)                                                                         \
    " union all " FILTER_SIZE(number, "'" column "' = any ($8::text[])", DRIVER_FILLED(column, order))

/* The numbers are those of the statements ORDERS_FOUND_BY_..., from 0. */
#define FILTER_SIZES_OF_VALUES                                                                                         \
    FILTER_SIZE_VALUES("0", "order_status", "$2")                                                                      \
    AND_SIZE_VALUES("1", "financial_status", "$3")                                                                     \
    AND_SIZE_VALUES("2", "fulfillment_status", "$4")                                                                   \
    AND_SIZE_VALUES("3", "payment_method", "$5")                                                                       \
    AND_SIZE_VALUES("4", "courier", "$6")                                                                              \
    AND_SIZE_VALUES("5", "courier_id", "$7")
#define FILTER_SIZES_OF_FILLED                                                                                         \
    AND_SIZE_FILLED("6", "courier", "courier")                                                                         \
    AND_SIZE_FILLED("7", "courier_id", "courier_id")                                                                   \
    AND_SIZE_FILLED("8", "tracking_code", "order_id")                                                                  \
    AND_SIZE_FILLED("9", "payment_method", "payment_method")                                                           \
    AND_SIZE_FILLED("10", "note", "order_id")
QUERY(ORDERS_FILTER_SIZES, FILTER_SIZES_OF_VALUES FILTER_SIZES_OF_FILLED)

/* The same for one metafield: $2 its definition, $3 its values, null for any. */
QUERY(ORDERS_METAFIELD_SIZE,
      "select count(*) as n from (select from (select distinct value from unnest($3::text[]) as u (value)) as w cross "
      "join lateral (select from metafield_value as m where m.store_id = $1 and m.definition_id = $2 and m.value_hash "
      "between coalesce(hashtextextended(w.value, 0), '-9223372036854775808') and "
      "coalesce(hashtextextended(w.value, 0), '9223372036854775807') limit 10001) as m limit 10001) as counted")

/* The same for the definitions that none may have, $2, without a look at the orders: by so many there are more of them
 * than values. Values of deleted orders, and more than one of an order, make it less than it is. */
QUERY(
    ORDERS_WITHOUT_SIZE,
    "select kept.n - has.n as n from "
    "(select coalesce(sum(n), 0)::bigint as n from kept_count where store_id = $1 and kind = 'o' and status = '' "
    "and day = '-infinity')"
    " as kept cross join lateral (select count(*) as n from (select from metafield_value "
    "where store_id = $1 and definition_id = any ($2::bigint[]) limit greatest(kept.n - 10000, 0)) as counted) as has")

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* $19: 0 to count, -1 when the kept total is right (no filter but a status), else a total that is known. */
#define ORDERS_WALKED(hard, key, type, op, dir)                                                                               \
    LIST_MIXED(                                                                                                               \
        FILTERED_COLUMNS,                                                                                                     \
        "(select case $19::bigint when 0 then (select count(*) from (select from store_order as o where " ORDERS_FILTER_WHERE \
        " and " hard " limit 10001) as counted) when -1 then (select n from " TOTAL_KEPT(                                     \
            "o") " as kept) else $19::bigint end as n offset 0)",                                                             \
        "store_order", "order_id", ORDERS_FILTER_WHERE " and " hard, "", key, type, op, dir)

#define ORDERS_WALKED_SORTS(name, hard)                                                                                \
    QUERY(name##_CREATED_ASC, ORDERS_WALKED(hard, "created_at", "timestamptz", ">", "asc"))                            \
    QUERY(name##_CREATED_DESC, ORDERS_WALKED(hard, "created_at", "timestamptz", "<", "desc"))                          \
    QUERY(name##_UPDATED_ASC, ORDERS_WALKED(hard, "updated_at", "timestamptz", ">", "asc"))                            \
    QUERY(name##_UPDATED_DESC, ORDERS_WALKED(hard, "updated_at", "timestamptz", "<", "desc"))                          \
    QUERY(name##_TOTAL_ASC, ORDERS_WALKED(hard, "grand_total", "numeric", ">", "asc"))                                 \
    QUERY(name##_TOTAL_DESC, ORDERS_WALKED(hard, "grand_total", "numeric", "<", "desc"))
ORDERS_WALKED_SORTS(ORDERS_WALKED_ANY, "true")
ORDERS_WALKED_SORTS(ORDERS_WALKED_STATUS, "o.order_status = $2")
#undef ORDERS_WALKED_SORTS

/* All six sorts in one statement, because few rows are sorted whichever it is: $19 the sort's column, $20 whether it
 * descends. Keys become numbers (times: seconds with all their decimals), and descending is ascending by the negative.
 */
#define FOUND_KEY(time_or_total, updated, created)                                                                     \
    "case $19::text when 'grand_total' then " time_or_total " when 'updated_at' then extract(epoch from " updated      \
    ") else extract(epoch from " created ") end"

#define ORDERS_FILTER_FOUND(driver)                                                                                                                                    \
    "with found as materialized (select o.order_id, case when $20::boolean then -o.key else o.key end as key, "                                                        \
    "case when $20::boolean then -o.order_id else o.order_id end as id from (select o.order_id, " FOUND_KEY(                                                           \
        "o.grand_total", "o.updated_at",                                                                                                                               \
        "o.created_at") " as key from " driver " as o where " ORDERS_FILTER_WHERE                                                                                      \
                        ") as o), edge as materialized (select case when $20::boolean then -e.key else e.key end as "                                                  \
                        "key, case when $20::boolean then -$6::bigint else $6::bigint end as id from (select " FOUND_KEY(                                              \
                            "$5::text::numeric", "$5::text::timestamptz",                                                                                              \
                            "$5::text::timestamptz") " as key) as e) "                                                                                                 \
                                                     "select total.n as _total, " FILTERED_COLUMNS                                                                     \
                                                     " from (select count(*) as n from found) as total left join lateral "                                             \
                                                     "(select found.order_id, found.key, found.id from found, edge where (found.key, found.id) > (edge.key, edge.id) " \
                                                     "order by found.key, found.id offset $4::bigint limit $3) as page on true left join lateral (select * from "      \
                                                     "store_order as o where o.store_id = $1 and o.order_id = page.order_id limit 1) as o on true order by page.key, " \
                                                     "page.id"

/* DRIVER_METAFIELD_NUMBER and DRIVER_WITHOUT_NUMBER (orders_filter.c) are the last two. */
QUERY(ORDERS_FOUND_BY_STATUS, ORDERS_FILTER_FOUND(DRIVER_VALUES("order_status", "$7")))
QUERY(ORDERS_FOUND_BY_FINANCIAL_STATUS, ORDERS_FILTER_FOUND(DRIVER_VALUES("financial_status", "$8")))
QUERY(ORDERS_FOUND_BY_FULFILLMENT_STATUS, ORDERS_FILTER_FOUND(DRIVER_VALUES("fulfillment_status", "$9")))
QUERY(ORDERS_FOUND_BY_PAYMENT_METHOD, ORDERS_FILTER_FOUND(DRIVER_VALUES("payment_method", "$10")))
QUERY(ORDERS_FOUND_BY_COURIER, ORDERS_FILTER_FOUND(DRIVER_VALUES("courier", "$11")))
QUERY(ORDERS_FOUND_BY_COURIER_ID, ORDERS_FILTER_FOUND(DRIVER_VALUES("courier_id", "$12")))
QUERY(ORDERS_FOUND_BY_COURIER_FILLED, ORDERS_FILTER_FOUND(DRIVER_FILLED("courier", "courier")))
QUERY(ORDERS_FOUND_BY_COURIER_ID_FILLED, ORDERS_FILTER_FOUND(DRIVER_FILLED("courier_id", "courier_id")))
QUERY(ORDERS_FOUND_BY_TRACKING_CODE_FILLED, ORDERS_FILTER_FOUND(DRIVER_FILLED("tracking_code", "order_id")))
QUERY(ORDERS_FOUND_BY_PAYMENT_METHOD_FILLED, ORDERS_FILTER_FOUND(DRIVER_FILLED("payment_method", "payment_method")))
QUERY(ORDERS_FOUND_BY_NOTE_FILLED, ORDERS_FILTER_FOUND(DRIVER_FILLED("note", "order_id")))
QUERY(ORDERS_FOUND_BY_METAFIELD, ORDERS_FILTER_FOUND(DRIVER_METAFIELD))
QUERY(ORDERS_FOUND_WITHOUT, ORDERS_FILTER_FOUND(DRIVER_WITHOUT))
