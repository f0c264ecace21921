/* variants.c - the variants of a product: added, changed, taken away one by one.
 *
 * The product's row is locked first, so that of the variants exactly one is the default and there are never too many;
 * then all its variants in the order of their ids, as orders lock them. A change of a variant is a change of its
 * product: the product's tag, updated_at and event tell it.
 */
#include "clock.h"
#include "outbox.h"
#include "products.h"
#include "statements.h"
#include "store_data_operations.h"

const struct variant variant_plain = {.name = "Default", .compare_at_price = -1, .available = true};

void
variant_read(struct variant *self, struct in body)
{
    int64_t grams = in_money(body, "weight", 0);

    self->name = in_text_after(body, "variant_name", self->name);
    self->code = in_text_after(body, "sku_code", self->code);
    self->images = in_text_after(body, "images", self->images);
    if (in_has(body, "weight"))
        self->weight = arena_printf(body.arena, "%lld.%03lld", (long long)(grams / 1000), (long long)(grams % 1000));
    else if (in_is_null(body, "weight"))
        self->weight = NULL;
    self->price = in_money(body, "price", self->price);
    self->compare_at_price =
        in_money(body, "compare_at_price", in_is_null(body, "compare_at_price") ? -1 : self->compare_at_price);
    self->quantity = in_int(body, "quantity", self->quantity);
    self->position = in_int(body, "position", self->position);
    self->available = in_bool(body, "available", self->available);
    self->is_default = in_bool(body, "is_default", self->is_default);
    self->free_shipping = in_bool(body, "free_shipping", self->free_shipping);
}

/* ---- what the three have in common ------------------------------------------------------------------------------- */

static const char *
row_json(struct call *call, const struct rows *rows, int row)
{
    struct json_text text;

    if (row < 0)
        return "[]";
    json_text_begin(&text);
    out_list(&text.out, 1);
    out_row(&text.out, rows, (unsigned)row);
    return json_text_end(&text, call->arena).base;
}

int
variants_changed(struct call *call, int64_t product_id, const char *old, const char *new, int64_t now_us)
{
    struct changes changes;
    struct rows product;

    changes_begin(&changes);
    changes_json(&changes, "variants", old, new);
    if (db_post(call, PRODUCT_TOUCH, "llt", call->caller.store_id, product_id, now_us) ||
        db_run(call, PRODUCT_GET, &product, "ll", call->caller.store_id, product_id))
        return -1;
    return product_event(call, "product.updated", &product, changes_end(&changes, call->arena));
}

static int
fail_duplicate(struct call *call)
{
    return call_fail(call, FAIL_DUPLICATE_SKU, "sku_code", "Another variant of this store has this sku_code");
}

/* Locks the product and its variants. row: that of the variant in the path, -1 where the path names none. */
static int
lock(struct call *call, struct rows *variants, int *row)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), sku_id = in_int(call->in, "path.sku_id", 0);
    struct rows product;

    if (product_lock(call, product_id, &product) ||
        db_run(call, VARIANTS_LOCK, variants, "ll", call->caller.store_id, product_id))
        return -1;
    *row = -1;
    for (unsigned i = 0; i < variants->count; i++)
        if (rows_int(variants, i, "sku_id") == sku_id)
            *row = (int)i;
    if (*row < 0 && sku_id)
        return call_fail(call, FAIL_NOT_FOUND, "sku_id", "This product has no such variant");
    return 0;
}

static int
reply_variant(struct call *call, int status, const char *message, const struct rows *rows, unsigned row)
{
    call_data_with(call, 1);
    out_row(&call->out, rows, row);
    out_key(&call->out, "message");
    out_text(&call->out, message);
    return call_reply(call, status);
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

static int64_t
position_behind(const struct rows *variants)
{
    int64_t last = -1;

    for (unsigned i = 0; i < variants->count; i++)
        if (rows_int(variants, i, "position") > last)
            last = rows_int(variants, i, "position");
    return last + 1;
}

static int
insert_variant(struct call *call, const struct variant *self, int64_t product_id, int64_t now_us, struct rows *made)
{
    int64_t store_id = call->caller.store_id, sku_id;

    if (db_try(call, VARIANT_INSERT, made, "llssmMblbsslbt", store_id, product_id, self->name, self->code, self->price,
               self->compare_at_price < 0 ? NULL : &self->compare_at_price, (int)self->available, self->quantity,
               (int)self->is_default, self->images, self->weight, self->position, (int)self->free_shipping, now_us))
        return -1;
    if (db_violated(made))
        return fail_duplicate(call);
    sku_id = rows_int(made, 0, "sku_id");
    if (self->is_default && db_post(call, VARIANT_SET_DEFAULT, "lllt", store_id, product_id, sku_id, now_us))
        return -1;
    if (self->quantity <= 0)
        return 0;
    db_after_commit(call, outbox_wake);
    return db_post(call, VARIANT_MOVED, "llllst", store_id, product_id, sku_id, (int64_t)0, "variant_created", now_us);
}

int
variants_create(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), now_us = clock_now_us();
    struct variant variant = variant_plain;
    struct rows variants, made;
    int none;

    if (db_begin(call) || lock(call, &variants, &none))
        return -1;
    if (variants.count >= PRODUCT_VARIANTS_MAX)
        return call_failf(call, FAIL_CONFLICT, NULL, "A product has at most %d variants; delete one first",
                          PRODUCT_VARIANTS_MAX);
    variant.position = position_behind(&variants);
    variant_read(&variant, in_at(call->in, "body"));
    variant.is_default |= variants.count == 0;
    if (insert_variant(call, &variant, product_id, now_us, &made) ||
        variants_changed(call, product_id, "[]", row_json(call, &made, 0), now_us) || db_commit(call))
        return -1;
    return reply_variant(call, 201, "Variant added", &made, 0);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static void
variant_of_row(struct variant *self, const struct rows *rows, unsigned row)
{
    *self = (struct variant){
        .name = rows_text(rows, row, "variant_name"),
        .code = rows_text(rows, row, "sku_code"),
        .images = rows_text(rows, row, "images"),
        .weight = rows_text(rows, row, "weight"),
        .price = rows_money(rows, row, "price"),
        .compare_at_price =
            rows_is_null(rows, row, "compare_at_price") ? -1 : rows_money(rows, row, "compare_at_price"),
        .quantity = rows_int(rows, row, "quantity"),
        .position = rows_int(rows, row, "position"),
        .available = rows_int(rows, row, "available"),
        .is_default = rows_int(rows, row, "is_default"),
        .free_shipping = rows_int(rows, row, "free_shipping"),
    };
}

static bool
variant_equal(const struct variant *a, const struct variant *b)
{
    return text_equal(a->name, b->name) && text_equal(a->code, b->code) && text_equal(a->images, b->images) &&
           text_equal(a->weight, b->weight) && a->price == b->price && a->compare_at_price == b->compare_at_price &&
           a->quantity == b->quantity && a->position == b->position && a->available == b->available &&
           a->is_default == b->is_default && a->free_shipping == b->free_shipping;
}

static int
update_variant(struct call *call, const struct variant *self, int64_t quantity_before, int64_t now_us,
               struct rows *after)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), sku_id = in_int(call->in, "path.sku_id", 0);
    int64_t store_id = call->caller.store_id;

    if (self->is_default && db_post(call, VARIANT_SET_DEFAULT, "lllt", store_id, product_id, sku_id, now_us))
        return -1;
    if (db_try(call, VARIANT_UPDATE, after, "lllssmMblbsslbt", store_id, product_id, sku_id, self->name, self->code,
               self->price, self->compare_at_price < 0 ? NULL : &self->compare_at_price, (int)self->available,
               self->quantity, (int)self->is_default, self->images, self->weight, self->position,
               (int)self->free_shipping, now_us))
        return -1;
    if (db_violated(after))
        return fail_duplicate(call);
    if (self->quantity == quantity_before)
        return 0;
    db_after_commit(call, outbox_wake);
    return db_post(call, VARIANT_MOVED, "llllst", store_id, product_id, sku_id, quantity_before, "variant_updated",
                   now_us);
}

int
variants_update(struct call *call)
{
    int64_t product_id = in_int(call->in, "path.product_id", 0), now_us = clock_now_us();
    struct variant before, variant;
    struct rows variants, after;
    int row;

    if (db_begin(call) || lock(call, &variants, &row))
        return -1;
    variant_of_row(&before, &variants, (unsigned)row);
    variant = before;
    variant_read(&variant, in_at(call->in, "body"));
    if (before.is_default && !variant.is_default)
        return call_fail(call, FAIL_VALIDATION_ERROR, "is_default",
                         "cannot be taken away, because one variant must be the default; give it to another one");
    if (variant_equal(&before, &variant)) {
        if (db_commit(call))
            return -1;
        return reply_variant(call, 200, "Nothing to change", &variants, (unsigned)row);
    }
    if (update_variant(call, &variant, before.quantity, now_us, &after) ||
        variants_changed(call, product_id, row_json(call, &variants, row), row_json(call, &after, 0), now_us) ||
        db_commit(call))
        return -1;
    return reply_variant(call, 200, "Variant updated", &after, 0);
}

/* ---- taking away ------------------------------------------------------------------------------------------------- */

/* The variant that is the default once this one has gone: the first of the others. */
static int64_t
next_default(const struct rows *variants, int row)
{
    int best = -1;

    for (int i = 0; i < (int)variants->count; i++)
        if (i != row &&
            (best < 0 || rows_int(variants, (unsigned)i, "position") < rows_int(variants, (unsigned)best, "position")))
            best = i;
    return rows_int(variants, (unsigned)best, "sku_id");
}

int
variants_delete(struct call *call)
{
    int64_t store_id = call->caller.store_id, product_id = in_int(call->in, "path.product_id", 0);
    int64_t sku_id = in_int(call->in, "path.sku_id", 0), now_us = clock_now_us();
    struct rows variants;
    int row;

    if (db_begin(call) || lock(call, &variants, &row))
        return -1;
    if (variants.count == 1)
        return call_fail(call, FAIL_CONFLICT, "sku_id",
                         "It is the product's last variant; delete the product, or add another variant first");
    if (db_post(call, VARIANT_DELETE, "lllt", store_id, product_id, sku_id, now_us) ||
        (rows_int(&variants, (unsigned)row, "is_default") &&
         db_post(call, VARIANT_SET_DEFAULT, "lllt", store_id, product_id, next_default(&variants, row), now_us)) ||
        variants_changed(call, product_id, row_json(call, &variants, row), "[]", now_us) || db_commit(call))
        return -1;
    call_data_with(call, 1);
    out_map(&call->out, 2);
    out_key(&call->out, "product_id");
    out_int(&call->out, product_id);
    out_key(&call->out, "sku_id");
    out_int(&call->out, sku_id);
    out_key(&call->out, "message");
    out_text(&call->out, "Variant deleted");
    return call_reply(call, 200);
}
