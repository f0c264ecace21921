/* queries_inventory.h - the SQL of the inventory and of everything that changes a variant's stock. Part of queries.h.
 *
 * A change of stock is one statement: the variants' rows, which are locked before; a movement for each; and its event.
 * What products have in all is kept by the triggers of schema/030_inventory.sql.
 */

/* data of inventory.updated, of a variant s; why, which (order), was and was_threshold are SQL expressions. */
#define STOCK_EVENT(why, which, was, was_threshold)                                                                    \
    "json_build_object('product_id', s.product_id, 'sku_id', s.sku_id, 'sku_code', s.sku_code, 'variant_name', "       \
    "s.variant_name, 'quantity', s.quantity, 'low_stock_threshold', s.low_stock_threshold, 'low_stock', "              \
    "is_low(s.quantity, s.low_stock_threshold), 'reason', " why ", 'order_id', " which ", 'changed', "                 \
    "stock_changed(" was ", s.quantity, " was_threshold ", s.low_stock_threshold))"

/* Behind "s as (update sku ... returning s.*, <was>, <was_threshold>)": why and which are SQL expressions of the reason
 * and the order. A variant that is deleted gets its stock back, but nobody is told. */
#define STOCK_MOVED(why, which, now)                                                                                   \
    "moved as (insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, "         \
    "order_id, created_at) select s.store_id, s.product_id, s.sku_id, s.quantity - s.was, s.quantity, " why ", " which \
    ", " now " from s where s.quantity <> s.was order by s.sku_id) "                                                   \
    "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) select "                       \
    "'inventory.updated', s.store_id, 'inventory', s.sku_id, " STOCK_EVENT(                                            \
        why, which, "s.was", "s.was_threshold") ", " now " from s where s.deleted_at is null order by s.sku_id"

/* The array is there so that the planner looks the few variants up by their key, whatever it believes of the size of a
 * list it cannot see. */
#define STOCK_ADDED(now)                                                                                               \
    "s as (update sku as s set quantity = s.quantity + t.quantity, updated_at = " now                                  \
    " from t where s.store_id = $1 and s.sku_id = t.variant_id and s.sku_id = any (array(select variant_id from t)) "  \
    "returning s.*, s.quantity - t.quantity as was, s.low_stock_threshold as was_threshold), "

/* ---- orders ------------------------------------------------------------------------------------------------------ */

/* Takes {variant_id, quantity} of $2 for order $4; all of them are locked. $3 now. */
QUERY(STOCK_TAKE, "with t as materialized (select variant_id, -sum(quantity)::bigint as quantity from "
                  "json_to_recordset($2) as i (variant_id bigint, quantity bigint) where variant_id is not null "
                  "group by variant_id), " STOCK_ADDED("$3") STOCK_MOVED("'order'::text", "$4::bigint", "$3"))

QUERY(STOCK_LOCK,
      "select from sku as s where s.store_id = $1 and s.sku_id = any (array(select variant_id from order_item where "
      "store_id = $1 and order_id = $2)) order by s.sku_id for no key update")

/* Gives back what order $2 holds; locked before. $3 now, $4 reason. */
QUERY(STOCK_RETURN,
      "with t as materialized (select variant_id, sum(quantity)::bigint as quantity from order_item "
      "where store_id = $1 and order_id = $2 and variant_id is not null group by variant_id), " STOCK_ADDED("$3")
          STOCK_MOVED("$4::text", "$2::bigint", "$3"))

/* From what order $2 holds to {variant_id, quantity} of $3; locked before. $4 now. */
QUERY(STOCK_REPLACE,
      "with t as materialized (select variant_id, sum(quantity)::bigint as quantity from (select variant_id, quantity "
      "from order_item where store_id = $1 and order_id = $2 and variant_id is not null union all select variant_id, "
      "-quantity from json_to_recordset($3) as i (variant_id bigint, quantity bigint) where variant_id is not null) as "
      "both_of group by variant_id having sum(quantity) <> 0), " STOCK_ADDED("$4")
          STOCK_MOVED("'order_items'::text", "$2::bigint", "$4"))

/* ---- setting ----------------------------------------------------------------------------------------------------- */

#define INVENTORY_VARIANT                                                                                              \
    "s.sku_id, s.product_id, s.variant_name, s.sku_code, s.available::integer as available, s.quantity, "              \
    "s.low_stock_threshold, is_low(s.quantity, s.low_stock_threshold)::integer as low_stock, "                         \
    "s.is_default::integer as is_default, s.position"

/* The variants of product $2, or $3 alone; all of them where $4. Locked in the order of their ids. */
QUERY(INVENTORY_LOCK,
      "select s.sku_id, s.quantity, s.low_stock_threshold, s.variant_name, p.name from sku as s join product as p on "
      "p.store_id = s.store_id and p.product_id = s.product_id where s.store_id = $1 and s.product_id = $2 and "
      "($4::boolean or s.sku_id = $3) and s.deleted_at is null and p.deleted_at is null order by s.sku_id "
      "for no key update of s")

/* The lines of $2, {line, sku_id}: locked in the order of their ids, a row for each that was found. */
QUERY(
    INVENTORY_LOCK_LINES,
    "with line as materialized (select * from json_to_recordset($2) as l (line integer, sku_id bigint)), "
    "locked as (select s.* from sku as s where s.store_id = $1 and s.sku_id = any (array(select sku_id from line)) and "
    "s.deleted_at is null order by s.sku_id for no key update) select l.line, s.sku_id, s.quantity, "
    "s.low_stock_threshold from line as l join locked as s using (sku_id) join product as p on p.store_id = $1 and "
    "p.product_id = s.product_id where p.deleted_at is null order by l.line")

/* $2: {sku_id, quantity, low_stock_threshold, reason}, each variant once and locked. $3 now. */
#define STOCK_SET                                                                                                      \
    "with t as materialized (select * from json_to_recordset($2) as i (sku_id bigint, quantity bigint, "               \
    "low_stock_threshold bigint, reason text)), was as (select k.sku_id, k.quantity, k.low_stock_threshold from sku "  \
    "as k where k.store_id = $1 and k.sku_id = any (array(select sku_id from t))), "                                   \
    "s as (update sku as s set quantity = t.quantity, low_stock_threshold = t.low_stock_threshold, updated_at = $3 "   \
    "from t join was using (sku_id) where s.store_id = $1 and s.sku_id = t.sku_id and s.sku_id = any (array(select "   \
    "sku_id from t)) returning s.*, was.quantity as was, was.low_stock_threshold as was_threshold, t.reason), "
QUERY(INVENTORY_SET, STOCK_SET STOCK_MOVED("s.reason", "null::bigint", "$3"))

QUERY(INVENTORY_VARIANT_GET, "select " INVENTORY_VARIANT ", s.updated_at from sku as s where s.store_id = $1 and "
                             "s.sku_id = $2")

QUERY(INVENTORY_GET, "select o.product_id, o.name, o.is_active, o.updated_at, o.total_quantity, o.variant_count, "
                     "o.has_stock, (o.low_count > 0)::integer as low_stock, coalesce((select json_agg(variant) from "
                     "(select " INVENTORY_VARIANT " from sku as s where s.store_id = o.store_id and s.product_id = "
                     "o.product_id and s.deleted_at is null order by s.position, s.sku_id) as variant), '[]') as "
                     "variants from product_stock as o where o.store_id = $1 and o.product_id = $2 and o.live")

/* ---- movements --------------------------------------------------------------------------------------------------- */

/* $2 the product, $7 one of its variants. */
#define MOVEMENTS(where, op, dir)                                                                                      \
    LIST_MIXED("o.movement_id, o.product_id, o.sku_id, o.change, o.quantity_after, o.reason, o.order_id, "             \
               "o.created_at",                                                                                         \
               TOTAL_COUNTED("inventory_movement", "o.store_id = $1 and " where MOVEMENTS_LIVE), "inventory_movement", \
               "movement_id", "o.store_id = $1 and " where MOVEMENTS_LIVE, "", "movement_id", "bigint", op, dir)
#define MOVEMENTS_LIVE                                                                                                 \
    " and exists (select from product_stock as p where p.store_id = $1 and p.product_id = $2 and p.live)"
QUERY(MOVEMENTS_OF_PRODUCT, MOVEMENTS("o.product_id = $2", "<", "desc"))
QUERY(MOVEMENTS_OF_SKU, MOVEMENTS("o.product_id + 0 = $2 and o.sku_id = $7", "<", "desc"))
QUERY(INVENTORY_EXISTS, "select from product_stock where store_id = $1 and product_id = $2 and live")

/* ---- the list ---------------------------------------------------------------------------------------------------- */

#define STOCK_COLUMNS                                                                                                  \
    "o.product_id, o.name, o.is_active, o.updated_at, o.total_quantity, o.variant_count, o.has_stock, "                \
    "(o.low_count > 0)::integer as low_stock, o.name_key as _name_key"
#define STOCK_KEPT                                                                                                     \
    "(select coalesce(sum(n), 0)::bigint as n from kept_total where store_id = $1 and kind = 'i' and status = "        \
    "any (case when $2 = '' then '{in_stock,out_of_stock}'::text[] else array[$2] end))"
#define STOCK_ANY "o.store_id = $1 and o.live"

#define STOCK_AFTER(key, type, op, dir)                                                                                \
    LIST_AFTER(STOCK_COLUMNS, STOCK_KEPT, "product_stock", "product_id", STOCK_ANY, key, type, op, dir)
#define STOCK_PAGE(key, dir, back)                                                                                     \
    LIST_PAGE(STOCK_COLUMNS, STOCK_KEPT, "product_stock", "product_id", STOCK_ANY, key, dir, back)

/* in_stock and out_of_stock: has_stock leads the index, but for total_quantity, whose own index has them apart. */
#define STOCK_STATUS(where, key, type, op, dir)                                                                        \
    LIST_MIXED(STOCK_COLUMNS, STOCK_KEPT, "product_stock", "product_id", STOCK_ANY " and " where, "", key, type, op,   \
               dir)
#define STOCK_HAS "o.has_stock = ($2 = 'in_stock')"
#define STOCK_HAS_TOTAL                                                                                                \
    "o.total_quantity >= (case when $2 = 'in_stock' then 1 else 0 end) and "                                           \
    "o.total_quantity <= (case when $2 = 'in_stock' then 9223372036854775807 else 0 end)"

/* $7: part of the name; found by the products' own index (schema/010_products.sql). */
#define STOCK_FITS                                                                                                     \
    "($2 = '' or ($2 = 'low_stock' and o.low_count > 0) or ($2 <> 'low_stock' and o.has_stock = ($2 = 'in_stock')))"
#define STOCK_FOUND(table, where, key, type, op, dir)                                                                  \
    LIST_MIXED(STOCK_COLUMNS, TOTAL_COUNTED(table, where), table, "product_id", where, " offset 0", key, type, op, dir)
#define STOCK_LOW                                                                                                      \
    "o.store_id = $1 and o.live and o.low_count > 0 and $2 <> '' "                                                     \
    "and ($7::text is null or strpos(lower(o.name), lower($7::text)) > 0)"
/* The products by their index, then the figures of each by its key and no other way, whatever the planner knows of the
 * tables: just after an import it knows nothing. */
#define STOCK_NAMED                                                                                                    \
    "(select s.* from (select p.product_id from product as p where p.store_id = $1 and p.deleted_at is null "          \
    "and text_grams(p.store_id, lower(p.name)) @@ search_grams($1, lower($7::text)) "                                  \
    "and strpos(lower(p.name), lower($7::text)) > 0 offset 0) as p cross join lateral (select * from product_stock "   \
    "where store_id = $1 and product_id = p.product_id offset 0) as s)"

QUERY(STOCK_AFTER_UPDATED_ASC, STOCK_AFTER("updated_at", "timestamptz", ">", "asc"))
QUERY(STOCK_AFTER_UPDATED_DESC, STOCK_AFTER("updated_at", "timestamptz", "<", "desc"))
QUERY(STOCK_AFTER_NAME_ASC, STOCK_AFTER("name_key", "text", ">", "asc"))
QUERY(STOCK_AFTER_NAME_DESC, STOCK_AFTER("name_key", "text", "<", "desc"))
QUERY(STOCK_AFTER_TOTAL_ASC, STOCK_AFTER("total_quantity", "bigint", ">", "asc"))
QUERY(STOCK_AFTER_TOTAL_DESC, STOCK_AFTER("total_quantity", "bigint", "<", "desc"))
QUERY(STOCK_PAGE_UPDATED_ASC, STOCK_PAGE("updated_at", "asc", "desc"))
QUERY(STOCK_PAGE_UPDATED_DESC, STOCK_PAGE("updated_at", "desc", "asc"))
QUERY(STOCK_PAGE_NAME_ASC, STOCK_PAGE("name_key", "asc", "desc"))
QUERY(STOCK_PAGE_NAME_DESC, STOCK_PAGE("name_key", "desc", "asc"))
QUERY(STOCK_PAGE_TOTAL_ASC, STOCK_PAGE("total_quantity", "asc", "desc"))
QUERY(STOCK_PAGE_TOTAL_DESC, STOCK_PAGE("total_quantity", "desc", "asc"))
QUERY(STOCK_STATUS_UPDATED_ASC, STOCK_STATUS(STOCK_HAS, "updated_at", "timestamptz", ">", "asc"))
QUERY(STOCK_STATUS_UPDATED_DESC, STOCK_STATUS(STOCK_HAS, "updated_at", "timestamptz", "<", "desc"))
QUERY(STOCK_STATUS_NAME_ASC, STOCK_STATUS(STOCK_HAS, "name_key", "text", ">", "asc"))
QUERY(STOCK_STATUS_NAME_DESC, STOCK_STATUS(STOCK_HAS, "name_key", "text", "<", "desc"))
QUERY(STOCK_STATUS_TOTAL_ASC, STOCK_STATUS(STOCK_HAS_TOTAL, "total_quantity", "bigint", ">", "asc"))
QUERY(STOCK_STATUS_TOTAL_DESC, STOCK_STATUS(STOCK_HAS_TOTAL, "total_quantity", "bigint", "<", "desc"))
#define STOCK_FOUND_SORTS(name, table, where)                                                                          \
    QUERY(name##_UPDATED_ASC, STOCK_FOUND(table, where, "updated_at", "timestamptz", ">", "asc"))                      \
    QUERY(name##_UPDATED_DESC, STOCK_FOUND(table, where, "updated_at", "timestamptz", "<", "desc"))                    \
    QUERY(name##_NAME_ASC, STOCK_FOUND(table, where, "name_key", "text", ">", "asc"))                                  \
    QUERY(name##_NAME_DESC, STOCK_FOUND(table, where, "name_key", "text", "<", "desc"))                                \
    QUERY(name##_TOTAL_ASC, STOCK_FOUND(table, where, "total_quantity", "bigint", ">", "asc"))                         \
    QUERY(name##_TOTAL_DESC, STOCK_FOUND(table, where, "total_quantity", "bigint", "<", "desc"))
STOCK_FOUND_SORTS(STOCK_OF_LOW, "product_stock", STOCK_LOW)
STOCK_FOUND_SORTS(STOCK_OF_SEARCH, STOCK_NAMED, "o.live and " STOCK_FITS)
#undef STOCK_FOUND_SORTS
