/* products_update.c - a product changes, or goes.
 *
 * The product's row is locked first, before its variants: whoever changes either waits there. A request that changes
 * nothing writes nothing and has no event.
 */
#include <string.h>

#include "clock.h"
#include "outbox.h"
#include "products.h"
#include "slug.h"
#include "statements.h"
#include "store_data_operations.h"

int
product_lock(struct call *call, int64_t product_id, struct rows *rows)
{
    if (db_run(call, PRODUCT_LOCK, rows, "ll", call->caller.store_id, product_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "product_id", "No such product in this store");
    return call_if_match_get(call, PRODUCT_GET, product_id);
}

int
product_category(struct call *call, int64_t category_id)
{
    struct rows rows;

    if (category_id == 0)
        return 0;
    if (db_run(call, CATEGORY_HOLD, &rows, "ll", call->caller.store_id, category_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "category_id", "No such category in this store");
    return 0;
}

int
product_event(struct call *call, const char *topic, const struct rows *row, struct str changed)
{
    return outbox_put(call, topic, call->caller.store_id, "product", rows_int(row, 0, "product_id"),
                      changes_of_row(row, 0, changed, call->arena));
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static int64_t
id_after(struct in body, const char *name, const struct rows *before)
{
    return in_is_sent(body, name) ? in_int(body, name, 0) : rows_int(before, 0, name);
}

static int
check_fields(struct call *call, const struct rows *before, const char *slug, int64_t category_id)
{
    if (strcmp(slug, rows_text(before, 0, "slug")) != 0 && !slug_is_good(call->arena, slug))
        return call_failf(call, FAIL_VALIDATION_ERROR, "slug",
                          "must be lower-case letters and digits with single hyphens between them; \"%s\" would do",
                          slug_of(call->arena, slug, "product"));
    if (category_id != rows_int(before, 0, "category_id"))
        return product_category(call, category_id);
    return 0;
}

static struct str
what_changed(struct call *call, const struct rows *before, const struct rows *after)
{
    static const char *const texts[] = {"name", "slug", "description", "short_description"};
    static const char *const numbers[] = {"category_id", "brand_id",    "is_active",
                                          "is_visible",  "is_featured", "is_bestseller"};
    struct changes changes;

    changes_begin(&changes);
    for (unsigned i = 0; i < ARRAY_COUNT(texts); i++)
        changes_text(&changes, texts[i], rows_text(before, 0, texts[i]), rows_text(after, 0, texts[i]));
    for (unsigned i = 0; i < ARRAY_COUNT(numbers); i++)
        changes_json(&changes, numbers[i], rows_text(before, 0, numbers[i]), rows_text(after, 0, numbers[i]));
    return changes_end(&changes, call->arena);
}

static bool
flag_after(struct in body, const char *name, const struct rows *before)
{
    return in_bool(body, name, rows_int(before, 0, name));
}

/* after: PRODUCT_UPDATE, without a row when nothing changes. */
static int
write_product(struct call *call, const struct rows *before, int64_t product_id, struct rows *after)
{
    struct in body = in_at(call->in, "body");
    const char *name = in_text_after(body, "name", rows_text(before, 0, "name"));
    const char *slug = in_text_after(body, "slug", rows_text(before, 0, "slug"));
    int64_t category_id = id_after(body, "category_id", before), brand_id = id_after(body, "brand_id", before);

    if (check_fields(call, before, slug, category_id))
        return -1;
    if (strcmp(slug, rows_text(before, 0, "slug")) != 0 &&
        db_post(call, PRODUCT_SLUGS_LOCK, "lss", call->caller.store_id, slug, rows_text(before, 0, "slug")))
        return -1;
    if (db_try(call, PRODUCT_UPDATE, after, "llssssLLbbbbt", call->caller.store_id, product_id, name, slug,
               in_text_after(body, "description", rows_text(before, 0, "description")),
               in_text_after(body, "short_description", rows_text(before, 0, "short_description")),
               category_id ? &category_id : NULL, brand_id ? &brand_id : NULL,
               (int)flag_after(body, "is_active", before), (int)flag_after(body, "is_visible", before),
               (int)flag_after(body, "is_featured", before), (int)flag_after(body, "is_bestseller", before),
               clock_now_us()))
        return -1;
    if (db_violated(after))
        return call_fail(call, FAIL_DUPLICATE_SLUG, "slug", "Another product of this store has this slug");
    return 0;
}

int
products_update(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0);
    struct rows before, after;

    if (in_has(call->in, "body.variants"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "variants",
                         "are changed one by one: /products/{product_id}/variants and .../variants/{sku_id}");
    if (db_begin(call) || product_lock(call, product_id, &before) || write_product(call, &before, product_id, &after))
        return -1;
    if (after.count > 0) {
        if (product_event(call, "product.updated", &after, what_changed(call, &before, &after)))
            return -1;
    } else if (db_run(call, PRODUCT_GET, &after, "ll", call->caller.store_id, product_id))
        return -1;
    if (db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &after);
}

int
products_delete(struct call *call)
{
    int64_t store_id = call->caller.store_id, product_id = in_int(call->in, "path.product_id", 0);
    int64_t now_us = clock_now_us();
    struct rows product, variants;

    if (db_begin(call) || product_lock(call, product_id, &product) ||
        db_run(call, VARIANTS_LOCK, &variants, "ll", store_id, product_id) ||
        db_run(call, PRODUCT_GET, &product, "ll", store_id, product_id) ||
        db_post(call, VARIANTS_DELETE, "llt", store_id, product_id, now_us) ||
        db_post(call, PRODUCT_DELETE, "llt", store_id, product_id, now_us) ||
        product_event(call, "product.deleted", &product, (struct str){NULL, 0}) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "product_id", product_id, "Product deleted");
}
