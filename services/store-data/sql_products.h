/* sql_products.h - the shapes that queries_products.h is made of; see sql_lists.h. */
#ifndef SQL_PRODUCTS_H
#define SQL_PRODUCTS_H

#include "sql_lists.h"

#define PRODUCT_COLUMNS                                                                                                \
    "o.product_id, o.store_id, o.name, o.slug, o.category_id, o.brand_id, o.is_active, o.is_visible, o.created_at, "   \
    "o.updated_at"

#define PRODUCT_OWN                                                                                                    \
    "o.product_id, o.store_id, o.name, o.slug, o.category_id, o.brand_id, o.is_active::integer as is_active, "         \
    "o.is_visible::integer as is_visible, o.created_at, o.updated_at, o.description, o.short_description, "            \
    "o.is_featured::integer as is_featured, o.is_bestseller::integer as is_bestseller"

#define VARIANT_COLUMNS                                                                                                \
    "s.sku_id, s.product_id, s.variant_name, s.sku_code, s.price, s.compare_at_price, s.available::integer as "        \
    "available, s.quantity, s.is_default::integer as is_default, s.images, s.weight, s.position, "                     \
    "s.free_shipping::integer as free_shipping"

#define VARIANT_JSON                                                                                                   \
    "json_build_object('sku_id', s.sku_id, 'product_id', s.product_id, 'variant_name', s.variant_name, 'sku_code', "   \
    "s.sku_code, 'price', s.price, 'compare_at_price', s.compare_at_price, 'available', s.available::integer, "        \
    "'quantity', s.quantity, 'is_default', s.is_default::integer, 'images', s.images, 'weight', s.weight, "            \
    "'position', s.position, 'free_shipping', s.free_shipping::integer)"

#define PRODUCT_DETAIL                                                                                                 \
    PRODUCT_OWN ", coalesce((select json_agg(" VARIANT_JSON " order by s.position, s.sku_id) from sku as s "           \
                "where s.store_id = o.store_id and s.product_id = o.product_id and s.deleted_at is null), '[]') as "   \
                "variants"

/* ---- lists ------------------------------------------------------------------------------------------------------- */

#define PRODUCTS_ANY    "o.store_id = $1 and o.deleted_at is null"
#define PRODUCTS_STATUS "o.store_id = $1 and o.is_active = ($2 = 'active') and o.deleted_at is null"

#define PRODUCTS_AFTER(where, key, type, op, dir)                                                                      \
    LIST_AFTER(PRODUCT_COLUMNS ", o.name_key as _name_key", TOTAL_KEPT("p"), "product", "product_id", where, key,      \
               type, op, dir)
#define PRODUCTS_PAGE(where, key, dir, back)                                                                           \
    LIST_PAGE(PRODUCT_COLUMNS ", o.name_key as _name_key", TOTAL_KEPT("p"), "product", "product_id", where, key, dir,  \
              back)

/* The other filters together: $7 changed since, $8 category or 0, $9 and $10 the price's bounds or null, $11 part of
 * the name or null. */
#define PRODUCTS_IN_PRICE "s.price >= coalesce($9::numeric, 0) and s.price <= coalesce($10::numeric, 'infinity')"
#define PRODUCTS_WHERE                                                                                                 \
    "o.store_id = $1 and o.deleted_at is null and ($2 = '' or o.is_active = ($2 = 'active')) "                         \
    "and o.updated_at >= $7 and ($8::bigint = 0 or o.category_id = $8::bigint) "                                       \
    "and ($11::text is null or strpos(lower(o.name), lower($11::text)) > 0) "                                          \
    "and (($9::numeric is null and $10::numeric is null) or exists (select from sku as s where s.store_id = $1 "       \
    "and s.product_id = o.product_id and s.deleted_at is null and " PRODUCTS_IN_PRICE "))"

/* More variants than this in a range of prices are not gathered one by one. */
#define PRODUCTS_PRICED_MAX "30000"
#define PRODUCTS_FEW_PRICED                                                                                            \
    "(select count(*) from (select from sku as s where ($9::numeric is not null or $10::numeric is not null) and "     \
    "s.store_id = $1 and s.deleted_at is null and " PRODUCTS_IN_PRICE " limit " PRODUCTS_PRICED_MAX                    \
    " + 1) as s) <= " PRODUCTS_PRICED_MAX

/* The filter that is likely to have the fewest leads: the name, the category, the price, the time. Each is a branch
 * with an index of its own, and one whose condition on parameters is false is not run. Up to 10,000 are found that way,
 * sorted, and shown by pages. If there are more, the walk along the sort's index soon meets a page of them. */
#define PRODUCTS_LEAD(key, from, where)                                                                                \
    "select o." key " as key, o.product_id from " from " where " where " and " PRODUCTS_WHERE
#define PRODUCTS_FOUND(key, type, op, dir)                                                                                                                                                                                                                                                                                                                        \
    "with found as materialized (select key, product_id from (" PRODUCTS_LEAD(key, "product as o", "$11::text is not null and text_grams(o.store_id, lower(o.name)) @@ search_grams($1, lower($11::text))") " union all " PRODUCTS_LEAD(key, "product as o", "$11::text is null and $8::bigint <> 0 and o.category_id = $8::bigint") " union all " PRODUCTS_LEAD( \
        key,                                                                                                                                                                                                                                                                                                                                                      \
        "(select distinct s.product_id from sku as s where s.store_id = $1 and s.deleted_at is null "                                                                                                                                                                                                                                                             \
        "and " PRODUCTS_IN_PRICE ") as s join product as o on o.store_id = $1 and o.product_id = "                                                                                                                                                                                                                                                                \
        "s.product_id",                                                                                                                                                                                                                                                                                                                                           \
        "$11::text is null and $8::bigint = 0 and ($9::numeric is not null or $10::numeric is not null) "                                                                                                                                                                                                                                                         \
        "and " PRODUCTS_FEW_PRICED) " union all " PRODUCTS_LEAD(key, "product as o",                                                                                                                                                                                                                                                                              \
                                                                "$11::text is null and $8::bigint = 0 and (($9::numeric is null and $10::numeric is null) or not (" PRODUCTS_FEW_PRICED                                                                                                                                                                           \
                                                                "))") ") as o limit 10001), total as (select count(*) as n from found) "                                                                                                                                                                                                                          \
                                                                      "select total.n as _total, " PRODUCT_COLUMNS                                                                                                                                                                                                                                                \
                                                                      ", o.name_key as _name_key from total left join lateral ("                                                                                                                                                                                                                                  \
                                                                      "select product_id from ("                                                                                                                                                                                                                                                                  \
                                                                      "(select product_id from found where total.n <= 10000 and (key, product_id) " op                                                                                                                                                                                                            \
                                                                      " ($5::" type ", $6::bigint) "                                                                                                                                                                                                                                                              \
                                                                      "order by key " dir ", product_id " dir                                                                                                                                                                                                                                                     \
                                                                      " offset $4::bigint limit $3::bigint)"                                                                                                                                                                                                                                                      \
                                                                      " union all "                                                                                                                                                                                                                                                                               \
                                                                      "(select product_id from (select o.product_id, o." key                                                                                                                                                                                                                                      \
                                                                      " from product as o where total.n > 10000 and " PRODUCTS_WHERE                                                                                                                                                                                                                              \
                                                                      " and (o." key ", o.product_id) " op                                                                                                                                                                                                                                                        \
                                                                      " ($5::" type ", $6::bigint) "                                                                                                                                                                                                                                                              \
                                                                      "order by o." key " " dir ", o.product_id " dir                                                                                                                                                                                                                                             \
                                                                      " offset $4::bigint limit $3::bigint) as walked" PAGE_BOUND                                                                                                                                                                                                                                 \
                                                                      ")"                                                                                                                                                                                                                                                                                         \
                                                                      ") as page" PAGE_BOUND                                                                                                                                                                                                                                                                      \
                                                                      ") as page on true left join product as o on o.store_id = $1 and o.product_id = "                                                                                                                                                                                                           \
                                                                      "page.product_id order by o." key " " dir                                                                                                                                                                                                                                                   \
                                                                      ", o.product_id " dir

/* ---- categories -------------------------------------------------------------------------------------------------- */

#define CATEGORY_COLUMNS                                                                                               \
    "o.category_id, o.store_id, o.parent_id, o.name, o.slug, o.description, o.image, o.position, o.created_at, "       \
    "o.updated_at"

/* $7: only those of this parent, which are found by their index, counted and then sorted: a store has a few thousand
 * categories at most. */
#define CATEGORIES_KEPT                                                                                                \
    "(select coalesce(sum(n), 0)::bigint as n from kept_total where store_id = $1 and kind = 'c' and status = '')"
#define CATEGORIES_ANY       "o.store_id = $1 and $2 = ''"
#define CATEGORIES_OF_PARENT CATEGORIES_ANY " and o.parent_id = $7::bigint"
#define CATEGORIES(total, where, fence, key, type, op, dir)                                                            \
    LIST_MIXED(CATEGORY_COLUMNS ", o.name_key as _name_key", total, "category", "category_id", where, fence, key,      \
               type, op, dir)

#endif
