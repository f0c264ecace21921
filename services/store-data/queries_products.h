/* queries_products.h - the SQL of products, variants, categories and images. Part of queries.h.
 *
 * Rows of products come in the form of GET /products/{product_id} (PRODUCT_DETAIL), rows of variants in that of its
 * `variants` (VARIANT_COLUMNS), so that answers, tags and events are made of the same.
 */
#include "sql_products.h"

/* ---- one product ------------------------------------------------------------------------------------------------- */

QUERY(PRODUCT_GET, "select " PRODUCT_DETAIL " from product as o "
                   "where o.store_id = $1 and o.product_id = $2 and o.deleted_at is null")

/* First of all locks: whoever changes a product or one of its variants waits here. */
QUERY(PRODUCT_LOCK, "select " PRODUCT_OWN " from product as o "
                    "where o.store_id = $1 and o.product_id = $2 and o.deleted_at is null for no key update")

/* The slug a product is to have and the one it gives up. Products that exchange theirs at once wait for each other here
 * in the order of the keys, and not in a ring at the unique index. */
QUERY(PRODUCT_SLUGS_LOCK,
      "select pg_advisory_xact_lock(hash) from (select distinct hashtextextended('product slug ' || slug, $1) as hash "
      "from unnest(array[$2::text, $3::text]) as slug order by hash) as slugs")

/* $3 name, $4 slug, $5 description, $6 short_description, $7 category_id, $8 brand_id, $9 is_active, $10 is_visible,
 * $11 is_featured, $12 is_bestseller, $13 now. No row when all of it is so already. */
QUERY(PRODUCT_UPDATE,
      "with o as (update product set name = $3, slug = $4, description = $5, short_description = $6, category_id = $7, "
      "brand_id = $8, is_active = $9, is_visible = $10, is_featured = $11, is_bestseller = $12, updated_at = $13 "
      "where store_id = $1 and product_id = $2 and (name, slug, description, short_description, category_id, brand_id, "
      "is_active, is_visible, is_featured, is_bestseller) is distinct from ($3, $4, $5, $6, $7, $8, $9, $10, $11, $12) "
      "returning *) select " PRODUCT_DETAIL " from o")

/* Its variants have changed. */
QUERY(PRODUCT_TOUCH, "update product set updated_at = $3 where store_id = $1 and product_id = $2")

QUERY(PRODUCT_DELETE, "update product set deleted_at = $3, updated_at = $3 where store_id = $1 and product_id = $2")
QUERY(VARIANTS_DELETE, "update sku set deleted_at = $3, updated_at = $3 "
                       "where store_id = $1 and product_id = $2 and deleted_at is null")

/* ---- products, many at once -------------------------------------------------------------------------------------- */

/* Those that are there, kept from being deleted until the transaction ends. */
QUERY(CATEGORIES_HOLD, "select category_id from category where store_id = $1 and category_id = any "
                       "(array(select json_array_elements_text($2)::bigint)) order by category_id for key share")

/* $2 slugs, $3 bases of slugs to be made, $4 codes: which of them are taken, each with the number that would make it
 * free if it is a base. */
QUERY(PRODUCTS_TAKEN, "select kind, value, next from products_taken($1, $2, $3, $4)")

/* Whoever makes slugs of the same bases waits, always in the same order; for when that has gone wrong once. */
QUERY(PRODUCTS_SLUGS_LOCK,
      "select pg_advisory_xact_lock(hash) from (select distinct hashtextextended('product slug ' || base, $1) as hash "
      "from json_array_elements_text($2) as base order by 1 offset 0) as hashes")

/* $2 products, $3 variants, $4 now, $5 the same as JSON has it. The rows go in in the order of their unique keys, so
 * that two of these wait for each other and never in a ring. */
QUERY(PRODUCTS_INSERT,
      "with p as materialized (select nextval('product_id_seq') as product_id, l.* from json_to_recordset($2) as l "
      "(line integer, name text, slug text, description text, short_description text, category_id bigint, brand_id "
      "bigint, is_active boolean, is_visible boolean, is_featured boolean, is_bestseller boolean)), "
      "v as materialized (select nextval('sku_id_seq') as sku_id, l.* from (select p.product_id, l.* from "
      "json_to_recordset($3) as l (line integer, n integer, variant_name text, sku_code text, price numeric(14,2), "
      "compare_at_price numeric(14,2), available boolean, quantity bigint, is_default boolean, images text, weight "
      "numeric(10,3), position integer, free_shipping boolean) join p on p.line = l.line order by l.line, l.n) as l), "
      "made as (insert into product (store_id, product_id, name, slug, description, short_description, category_id, "
      "brand_id, is_active, is_visible, is_featured, is_bestseller, created_at, updated_at) select $1, product_id, "
      "name, slug, description, short_description, category_id, brand_id, is_active, is_visible, is_featured, "
      "is_bestseller, $4, $4 from p order by slug returning product_id), "
      "skus as (insert into sku (store_id, sku_id, product_id, variant_name, sku_code, price, compare_at_price, "
      "available, quantity, is_default, images, weight, position, free_shipping, created_at, updated_at) select $1, "
      "sku_id, product_id, variant_name, coalesce(sku_code, 'SKU-' || sku_id), price, compare_at_price, available, "
      "quantity, is_default, images, weight, position, free_shipping, $4, $4 from v order by sku_code, sku_id "
      "returning *), "
      "listed as (select s.product_id, json_agg(s.variant order by s.position, s.sku_id) as variants from (select "
      "s.product_id, s.position, s.sku_id, " VARIANT_JSON " as variant from skus as s) as s group by s.product_id), "
      "moved as (insert into inventory_movement (store_id, product_id, sku_id, change, quantity_after, reason, "
      "created_at) select $1, product_id, sku_id, quantity, quantity, 'product_created', $4 from v where quantity > 0 "
      "order by sku_id), "
      "told as (insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) select "
      "'product.created', $1, 'product', p.product_id, json_build_object('product_id', p.product_id, 'store_id', "
      "$1::bigint, 'name', p.name, 'slug', p.slug, 'category_id', p.category_id, 'brand_id', p.brand_id, 'is_active', "
      "p.is_active::integer, 'is_visible', p.is_visible::integer, 'created_at', $5::text, 'updated_at', $5::text, "
      "'description', p.description, 'short_description', p.short_description, 'is_featured', p.is_featured::integer, "
      "'is_bestseller', p.is_bestseller::integer, 'variants', listed.variants), $4 from p join listed using "
      "(product_id) order by p.line), "
      "stocked as (insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
      "select 'inventory.updated', $1, 'inventory', s.sku_id, " STOCK_EVENT(
          "'product_created'", "null::bigint", "0",
          "s.low_stock_threshold") ", $4 from skus as s where s.quantity > 0 "
                                   "order by s.sku_id) select line, product_id from p")

/* ---- variants ---------------------------------------------------------------------------------------------------- */

/* All of a product, in the order in which everybody locks variants. */
QUERY(VARIANTS_LOCK, "select " VARIANT_COLUMNS " from sku as s where s.store_id = $1 and s.product_id = $2 "
                     "and s.deleted_at is null order by s.sku_id for no key update")

/* $3 variant_name, $4 sku_code or null, $5 price, $6 compare_at_price, $7 available, $8 quantity, $9 is_default,
 * $10 images, $11 weight, $12 position, $13 free_shipping, $14 now. */
QUERY(VARIANT_INSERT,
      "insert into sku as s (store_id, product_id, sku_id, variant_name, sku_code, price, compare_at_price, available, "
      "quantity, is_default, images, weight, position, free_shipping, created_at, updated_at) "
      "select $1, $2, id, $3, coalesce($4, 'SKU-' || id), $5, $6, $7, $8, $9, $10, $11::text::numeric, $12, $13, $14, "
      "$14 from nextval('sku_id_seq') as id returning " VARIANT_COLUMNS)

/* As above, from $4 on. */
QUERY(
    VARIANT_UPDATE,
    "update sku as s set variant_name = $4, sku_code = $5, price = $6, compare_at_price = $7, available = $8, quantity "
    "= $9, is_default = $10, images = $11, weight = $12::text::numeric, position = $13, free_shipping = $14, "
    "updated_at = $15 where s.store_id = $1 and s.product_id = $2 and s.sku_id = $3 returning " VARIANT_COLUMNS)

/* $3 is the default one from now on, and no other. */
QUERY(VARIANT_SET_DEFAULT, "update sku set is_default = sku_id = $3, updated_at = $4 where store_id = $1 and "
                           "product_id = $2 and deleted_at is null and is_default <> (sku_id = $3)")

QUERY(VARIANT_DELETE, "update sku set deleted_at = $4, updated_at = $4, is_default = false "
                      "where store_id = $1 and product_id = $2 and sku_id = $3")

/* $3 variant, $4 quantity before, $5 reason, $6 now; after the change (queries_inventory.h). */
QUERY(
    VARIANT_MOVED,
    "with s as (select k.*, $4::bigint as was, k.low_stock_threshold as was_threshold from sku as k where k.store_id = "
    "$1 and k.product_id = $2 and k.sku_id = $3), " STOCK_MOVED("$5::text", "null::bigint", "$6"))

/* ---- products: lists --------------------------------------------------------------------------------------------- */

#define PRODUCTS_AFTER_SORTS(name, where)                                                                              \
    QUERY(name##_CREATED_ASC, PRODUCTS_AFTER(where, "created_at", "timestamptz", ">", "asc"))                          \
    QUERY(name##_CREATED_DESC, PRODUCTS_AFTER(where, "created_at", "timestamptz", "<", "desc"))                        \
    QUERY(name##_UPDATED_ASC, PRODUCTS_AFTER(where, "updated_at", "timestamptz", ">", "asc"))                          \
    QUERY(name##_UPDATED_DESC, PRODUCTS_AFTER(where, "updated_at", "timestamptz", "<", "desc"))                        \
    QUERY(name##_NAME_ASC, PRODUCTS_AFTER(where, "name_key", "text", ">", "asc"))                                      \
    QUERY(name##_NAME_DESC, PRODUCTS_AFTER(where, "name_key", "text", "<", "desc"))
PRODUCTS_AFTER_SORTS(PRODUCTS_AFTER_ANY, PRODUCTS_ANY)
PRODUCTS_AFTER_SORTS(PRODUCTS_AFTER_STATUS, PRODUCTS_STATUS)
#undef PRODUCTS_AFTER_SORTS

#define PRODUCTS_PAGE_SORTS(name, where)                                                                               \
    QUERY(name##_CREATED_ASC, PRODUCTS_PAGE(where, "created_at", "asc", "desc"))                                       \
    QUERY(name##_CREATED_DESC, PRODUCTS_PAGE(where, "created_at", "desc", "asc"))                                      \
    QUERY(name##_UPDATED_ASC, PRODUCTS_PAGE(where, "updated_at", "asc", "desc"))                                       \
    QUERY(name##_UPDATED_DESC, PRODUCTS_PAGE(where, "updated_at", "desc", "asc"))                                      \
    QUERY(name##_NAME_ASC, PRODUCTS_PAGE(where, "name_key", "asc", "desc"))                                            \
    QUERY(name##_NAME_DESC, PRODUCTS_PAGE(where, "name_key", "desc", "asc"))
PRODUCTS_PAGE_SORTS(PRODUCTS_PAGE_ANY, PRODUCTS_ANY)
PRODUCTS_PAGE_SORTS(PRODUCTS_PAGE_STATUS, PRODUCTS_STATUS)
#undef PRODUCTS_PAGE_SORTS

QUERY(PRODUCTS_FOUND_CREATED_ASC, PRODUCTS_FOUND("created_at", "timestamptz", ">", "asc"))
QUERY(PRODUCTS_FOUND_CREATED_DESC, PRODUCTS_FOUND("created_at", "timestamptz", "<", "desc"))
QUERY(PRODUCTS_FOUND_UPDATED_ASC, PRODUCTS_FOUND("updated_at", "timestamptz", ">", "asc"))
QUERY(PRODUCTS_FOUND_UPDATED_DESC, PRODUCTS_FOUND("updated_at", "timestamptz", "<", "desc"))
QUERY(PRODUCTS_FOUND_NAME_ASC, PRODUCTS_FOUND("name_key", "text", ">", "asc"))
QUERY(PRODUCTS_FOUND_NAME_DESC, PRODUCTS_FOUND("name_key", "text", "<", "desc"))

/* ---- categories -------------------------------------------------------------------------------------------------- */

QUERY(CATEGORY_GET, "select " CATEGORY_COLUMNS " from category as o where o.store_id = $1 and o.category_id = $2")

QUERY(CATEGORY_LOCK, "select " CATEGORY_COLUMNS " from category as o where o.store_id = $1 and o.category_id = $2 "
                     "for no key update")

/* Nobody can give it products or children meanwhile. */
QUERY(CATEGORY_LOCK_TO_DELETE,
      "select " CATEGORY_COLUMNS " from category as o where o.store_id = $1 and o.category_id = $2 for update")

/* Kept from being deleted, as the parent of another one. */
QUERY(CATEGORY_HOLD, "select from category where store_id = $1 and category_id = $2 for key share")

/* Two moves at once could close a ring that neither of them sees. */
QUERY(CATEGORY_TREE_LOCK, "select pg_advisory_xact_lock(hashtextextended('category tree', $1))")

/* Whether $2 is $3 or above it. */
QUERY(CATEGORY_IS_ABOVE, "with recursive up as (select category_id, parent_id from category where store_id = $1 and "
                         "category_id = $3 union select c.category_id, c.parent_id from up join category as c on "
                         "c.store_id = $1 and c.category_id = up.parent_id) "
                         "select exists (select from up where category_id = $2)::integer as above")

/* $2 a slug: whether it is taken, and the number behind it that is free. */
QUERY(CATEGORY_SLUG_TAKEN,
      "select exists (select from category where store_id = $1 and slug = $2)::integer as taken, (select n from "
      "generate_series(2, 5001) as n where not exists (select from category where store_id = $1 and slug = $2::text || "
      "'-' || n) limit 1) as next")

/* $2 name, $3 slug, $4 parent_id, $5 description, $6 image, $7 position, $8 now, $9 how many a store may have. */
QUERY(CATEGORY_INSERT,
      "insert into category as o (store_id, name, slug, parent_id, description, image, position, created_at, "
      "updated_at) select $1, $2, $3, $4, $5, $6, $7, $8, $8 where " CATEGORIES_KEPT " < $9::bigint "
      "returning " CATEGORY_COLUMNS)

/* $3 to $8 as $2 to $7 above, $9 now. */
QUERY(CATEGORY_UPDATE, "update category as o set name = $3, slug = $4, parent_id = $5, description = $6, image = $7, "
                       "position = $8, updated_at = $9 where o.store_id = $1 and o.category_id = $2 "
                       "returning " CATEGORY_COLUMNS)

QUERY(CATEGORY_IN_USE, "select exists (select from product where store_id = $1 and category_id = $2 and deleted_at is "
                       "null)::integer as products, exists (select from category where store_id = $1 and parent_id = "
                       "$2)::integer as children")

QUERY(CATEGORY_DELETE, "delete from category where store_id = $1 and category_id = $2")

#define CATEGORIES_SORTS(name, total, where, fence)                                                                    \
    QUERY(name##_CREATED_ASC, CATEGORIES(total, where, fence, "created_at", "timestamptz", ">", "asc"))                \
    QUERY(name##_CREATED_DESC, CATEGORIES(total, where, fence, "created_at", "timestamptz", "<", "desc"))              \
    QUERY(name##_UPDATED_ASC, CATEGORIES(total, where, fence, "updated_at", "timestamptz", ">", "asc"))                \
    QUERY(name##_UPDATED_DESC, CATEGORIES(total, where, fence, "updated_at", "timestamptz", "<", "desc"))              \
    QUERY(name##_NAME_ASC, CATEGORIES(total, where, fence, "name_key", "text", ">", "asc"))                            \
    QUERY(name##_NAME_DESC, CATEGORIES(total, where, fence, "name_key", "text", "<", "desc"))
CATEGORIES_SORTS(CATEGORIES, CATEGORIES_KEPT, CATEGORIES_ANY, "")
CATEGORIES_SORTS(CATEGORIES_CHILDREN, TOTAL_COUNTED("category", CATEGORIES_OF_PARENT), CATEGORIES_OF_PARENT,
                 " offset 0")
#undef CATEGORIES_SORTS

/* ---- images ------------------------------------------------------------------------------------------------------ */

/* stored_key ends in what kind of file it is (images.c). */
#define IMAGE_COLUMNS                                                                                                  \
    "i.image_id, i.product_id, i.stored_key, 'image/' || replace(split_part(i.stored_key, '.', 2), 'jpg', 'jpeg') as " \
    "content_type, i.size, i.created_at"

/* One upload or removal of a product's images at a time, so that there are never too many and that no file goes that an
 * upload is counting on. Deleted products too. */
QUERY(IMAGES_LOCK, "select (deleted_at is null)::integer as live from product where store_id = $1 and product_id = $2 "
                   "for no key update")
QUERY(IMAGES_COUNT, "select count(*) as n from product_image where store_id = $1 and product_id = $2")

/* The same file again is the image that is there. */
QUERY(IMAGE_PUT, "insert into product_image as i (store_id, product_id, stored_key, size, created_at) values ($1, $2, "
                 "$3, $4, $5) on conflict (store_id, product_id, stored_key) do update set size = excluded.size "
                 "returning " IMAGE_COLUMNS)

/* No row: no such product. An image's columns are null where the product has none. */
QUERY(IMAGES_LIST,
      "select i.* from product as p left join lateral (select " IMAGE_COLUMNS " from product_image as i where "
      "i.store_id = $1 and i.product_id = $2) as i on true where p.store_id = $1 and p.product_id = $2 and "
      "p.deleted_at is null order by i.image_id")
QUERY(IMAGE_GET, "select " IMAGE_COLUMNS " from product as p join product_image as i using (store_id, product_id) "
                 "where p.store_id = $1 and p.product_id = $2 and i.image_id = $3 and p.deleted_at is null")
QUERY(IMAGE_DELETE, "delete from product_image where store_id = $1 and product_id = $2 and image_id = $3")

/* Whether $3 is a product's image: its file is not shown otherwise. */
QUERY(IMAGE_IS_KEPT, "select from product_image where store_id = $1 and product_id = $2 and stored_key = $3")

/* $3 a key: the product's variants that show it, and how they are without it. */
#define IMAGES_OF_VARIANT "unnest(string_to_array(s.images, ',')) with ordinality as shown (key, n)"
#define VARIANT_SHOWS                                                                                                  \
    "s.store_id = $1 and s.product_id = $2 and s.deleted_at is null and exists (select from " IMAGES_OF_VARIANT        \
    " where btrim(key) = $3)"
QUERY(IMAGE_VARIANTS,
      "select " VARIANT_COLUMNS " from sku as s where " VARIANT_SHOWS " order by s.sku_id for no key update")
QUERY(IMAGE_TAKE_OUT, "with s as (update sku as s set updated_at = $4, images = (select string_agg(btrim(key), ',' "
                      "order by n) from " IMAGES_OF_VARIANT " where btrim(key) <> $3) where " VARIANT_SHOWS
                      " returning *) select " VARIANT_COLUMNS " from s order by s.sku_id")
#undef VARIANT_SHOWS
#undef IMAGES_OF_VARIANT
#undef IMAGE_COLUMNS
