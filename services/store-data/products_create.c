/* products_create.c - products are made: one by a POST, hundreds by an import, with the same few statements.
 *
 * What is taken is looked up first, so that a line can say what is wrong with it; whether it is still free, the unique
 * indexes decide when the rows go in. Where another transaction was faster everything is looked up again. A slug that
 * nobody asked for gets a number until it is free.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json_text.h"
#include "outbox.h"
#include "products.h"
#include "secret.h"
#include "slug.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define ROUNDS_MAX 5 /* the last two number slugs at random */

struct code {
    const char *text;
    unsigned draft, variant;
};

struct draft {
    struct line *line;
    const char *base; /* NULL: the slug was given */
    const char *slug;
    int64_t next; /* number of the next slug of this base; 0 while the base itself is free */
    unsigned code_count;
};

struct drafts {
    struct call *call;
    struct draft *all;
    unsigned count;
    struct code *codes; /* of all drafts, sorted */
    unsigned code_count;
};

/* ---- what can be said without looking ---------------------------------------------------------------------------- */

static int
compare_codes(const void *a, const void *b)
{
    const struct code *one = a, *other = b;
    int order = strcmp(one->text, other->text);

    if (order)
        return order;
    return one->draft == other->draft ? (one->variant > other->variant) - (one->variant < other->variant)
                                      : (one->draft > other->draft) - (one->draft < other->draft);
}

static const char *
code_field(struct drafts *self, const struct code *code)
{
    return arena_printf(self->call->arena, "variants[%u].sku_code", code->variant);
}

static void
fail_code(struct drafts *self, const struct code *code, const char *why)
{
    struct line *line = self->all[code->draft].line;

    if (!line->failed)
        line_fail(line, FAIL_DUPLICATE_SKU, code_field(self, code), why);
}

/* Codes that stand twice in what was sent: the first one has it. */
static void
read_codes(struct drafts *self)
{
    unsigned wanted = 0;

    for (unsigned i = 0; i < self->count; i++)
        wanted += in_count(self->all[i].line->body, "variants");
    self->codes = arena_alloc(self->call->arena, (wanted + 1) * sizeof(*self->codes));
    for (unsigned i = 0; i < self->count; i++) {
        struct in variants = in_at(self->all[i].line->body, "variants");

        for (unsigned k = 0; k < in_count(variants, "") && !self->all[i].line->failed; k++) {
            const char *text = in_text(in_item(variants, k), "sku_code");

            if (text)
                self->codes[self->code_count++] = (struct code){text, i, k};
        }
    }
    qsort(self->codes, self->code_count, sizeof(*self->codes), compare_codes);
    for (unsigned i = 1; i < self->code_count; i++)
        if (strcmp(self->codes[i - 1].text, self->codes[i].text) == 0)
            fail_code(self, &self->codes[i], "stands twice in what was sent; give each variant a code of its own");
}

static void
read_draft(struct draft *self, struct call *call, struct line *line)
{
    struct in variants = in_at(line->body, "variants");
    unsigned defaults = 0;

    *self = (struct draft){.line = line, .slug = in_text(line->body, "slug")};
    line->failed = false;
    for (unsigned i = 0; i < in_count(variants, ""); i++)
        defaults += in_bool(in_item(variants, i), "is_default", false);
    if (defaults > 1)
        line_fail(line, FAIL_VALIDATION_ERROR, "variants", "may have one with is_default; choose which");
    if (self->slug && !slug_is_good(call->arena, self->slug))
        line_fail(line, FAIL_VALIDATION_ERROR, "slug",
                  arena_printf(call->arena,
                               "must be lower-case letters and digits with single hyphens between them; "
                               "\"%s\" would do",
                               slug_of(call->arena, self->slug, "product")));
    if (!self->slug)
        self->base = self->slug = slug_of(call->arena, in_text(line->body, "name"), "product");
}

static int
hold_categories(struct drafts *self)
{
    struct json_text ids;
    struct rows rows;
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        count += in_has(self->all[i].line->body, "category_id");
    if (count == 0)
        return 0;
    json_text_begin(&ids);
    out_list(&ids.out, count);
    for (unsigned i = 0; i < self->count; i++)
        if (in_has(self->all[i].line->body, "category_id"))
            out_int(&ids.out, in_int(self->all[i].line->body, "category_id", 0));
    if (db_run(self->call, CATEGORIES_HOLD, &rows, "lj", self->call->caller.store_id,
               json_text_end(&ids, self->call->arena)))
        return -1;
    for (unsigned i = 0; i < self->count; i++) {
        struct line *line = self->all[i].line;
        int64_t wanted = in_int(line->body, "category_id", 0);
        bool found = wanted == 0;

        for (unsigned row = 0; row < rows.count && !found; row++)
            found = rows_int(&rows, row, "category_id") == wanted;
        if (!found && !line->failed)
            line_fail(line, FAIL_NOT_FOUND, "category_id", "No such category in this store");
    }
    return 0;
}

/* ---- what is taken ----------------------------------------------------------------------------------------------- */

/* bases: those of the slugs to be made; else the slugs that were given. */
static struct str
slugs_json(const struct drafts *self, bool bases)
{
    struct json_text text;
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        count += !self->all[i].line->failed && (self->all[i].base != NULL) == bases;
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < self->count; i++)
        if (!self->all[i].line->failed && (self->all[i].base != NULL) == bases)
            out_text(&text.out, bases ? self->all[i].base : self->all[i].slug);
    return json_text_end(&text, self->call->arena);
}

static struct str
codes_json(const struct drafts *self)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, self->code_count);
    for (unsigned i = 0; i < self->code_count; i++)
        out_text(&text.out, self->codes[i].text);
    return json_text_end(&text, self->call->arena);
}

static void
fail_taken_code(struct drafts *self, const char *text)
{
    for (unsigned low = 0, high = self->code_count; low < high;) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(text, self->codes[middle].text);

        if (order == 0) {
            while (middle > 0 && strcmp(text, self->codes[middle - 1].text) == 0)
                middle--;
            for (; middle < self->code_count && strcmp(text, self->codes[middle].text) == 0; middle++)
                fail_code(self, &self->codes[middle], "Another variant of this store has this sku_code");
            return;
        }
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
}

static void
note_taken(struct drafts *self, const char *kind, const char *value, int64_t next)
{
    if (*kind == 'c') {
        fail_taken_code(self, value);
        return;
    }
    for (unsigned i = 0; i < self->count; i++) {
        struct draft *draft = &self->all[i];

        if (*kind == 'b' && draft->base && strcmp(draft->base, value) == 0)
            draft->next = next;
        else if (*kind == 's' && !draft->base && strcmp(draft->slug, value) == 0 && !draft->line->failed)
            line_fail(draft->line, FAIL_DUPLICATE_SLUG, "slug", "Another product of this store has this slug");
    }
}

/* Another line of this call, before `end` or with a slug of its own, has it. */
static bool
is_slug_in_use(const struct drafts *self, const char *slug, unsigned end)
{
    for (unsigned i = 0; i < self->count; i++) {
        const struct draft *draft = &self->all[i];

        if ((i < end || !draft->base) && i != end && !draft->line->failed && strcmp(draft->slug, slug) == 0)
            return true;
    }
    return false;
}

static void
number_slug(struct drafts *self, unsigned index, unsigned round)
{
    struct draft *draft = &self->all[index];
    int64_t next = draft->next;

    draft->slug = draft->base;
    for (unsigned i = index; i-- > 0 && round < ROUNDS_MAX - 2;)
        if (self->all[i].base && strcmp(self->all[i].base, draft->base) == 0) {
            next = self->all[i].next ? self->all[i].next : 2; /* where the last one of this base has stopped */
            break;
        }
    if (round >= ROUNDS_MAX - 2) {
        uint32_t number;

        secret_random(&number, sizeof(number));
        next = 1000000 + number;
    }
    if (next)
        draft->slug = arena_printf(self->call->arena, "%s-%" PRId64, draft->base, next++);
    while (is_slug_in_use(self, draft->slug, index)) {
        next = next ? next : 2;
        draft->slug = arena_printf(self->call->arena, "%s-%" PRId64, draft->base, next++);
    }
    draft->next = next;
}

static void
choose_slugs(struct drafts *self, unsigned round)
{
    for (unsigned i = 0; i < self->count; i++) {
        struct draft *draft = &self->all[i];

        if (draft->line->failed)
            continue;
        if (draft->base)
            number_slug(self, i, round);
        else if (is_slug_in_use(self, draft->slug, i) && i > 0)
            for (unsigned k = 0; k < i && !draft->line->failed; k++)
                if (!self->all[k].line->failed && strcmp(self->all[k].slug, draft->slug) == 0)
                    line_fail(draft->line, FAIL_DUPLICATE_SLUG, "slug", "stands twice in what was sent");
    }
}

static int
look_up(struct drafts *self, unsigned round)
{
    int64_t store_id = self->call->caller.store_id;
    struct str bases = slugs_json(self, true);
    struct rows rows;

    if (round > 0 && db_post(self->call, PRODUCTS_SLUGS_LOCK, "lj", store_id, bases))
        return -1;
    if (db_run(self->call, PRODUCTS_TAKEN, &rows, "ljjj", store_id, slugs_json(self, false), bases, codes_json(self)))
        return -1;
    for (unsigned i = 0; i < self->count; i++)
        self->all[i].next = 0;
    for (unsigned row = 0; row < rows.count; row++)
        note_taken(self, rows_text(&rows, row, "kind"), rows_text(&rows, row, "value"), rows_int(&rows, row, "next"));
    choose_slugs(self, round);
    return 0;
}

/* ---- the rows ---------------------------------------------------------------------------------------------------- */

static void
flag_member(struct out *out, const char *name, bool flag)
{
    out_key(out, name);
    out_bool(out, flag);
}

static unsigned
count_good(const struct drafts *self)
{
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        count += !self->all[i].line->failed;
    return count;
}

static struct str
products_json(const struct drafts *self)
{
    struct json_text text;

    json_text_begin(&text);
    out_list(&text.out, count_good(self));
    for (unsigned i = 0; i < self->count; i++) {
        struct in body = self->all[i].line->body;

        if (self->all[i].line->failed)
            continue;
        out_map(&text.out, 11);
        out_key_id(&text.out, "line", i + 1);
        out_key_text(&text.out, "name", in_text(body, "name"));
        out_key_text(&text.out, "slug", self->all[i].slug);
        out_key_text(&text.out, "description", in_text(body, "description"));
        out_key_text(&text.out, "short_description", in_text(body, "short_description"));
        out_key_id(&text.out, "category_id", in_int(body, "category_id", 0));
        out_key_id(&text.out, "brand_id", in_int(body, "brand_id", 0));
        flag_member(&text.out, "is_active", in_bool(body, "is_active", true));
        flag_member(&text.out, "is_visible", in_bool(body, "is_visible", true));
        flag_member(&text.out, "is_featured", in_bool(body, "is_featured", false));
        flag_member(&text.out, "is_bestseller", in_bool(body, "is_bestseller", false));
    }
    return json_text_end(&text, self->call->arena);
}

static void
write_variant(struct out *out, const struct variant *variant, unsigned line, unsigned n)
{
    out_map(out, 13);
    out_key_id(out, "line", line);
    out_key_id(out, "n", n + 1);
    out_key_text(out, "variant_name", variant->name);
    out_key_text(out, "sku_code", variant->code);
    out_key(out, "price");
    out_money(out, variant->price, 2);
    out_key(out, "compare_at_price");
    if (variant->compare_at_price < 0)
        out_null(out);
    else
        out_money(out, variant->compare_at_price, 2);
    flag_member(out, "available", variant->available);
    out_key(out, "quantity");
    out_int(out, variant->quantity);
    flag_member(out, "is_default", variant->is_default);
    out_key_text(out, "images", variant->images);
    out_key_text(out, "weight", variant->weight);
    out_key(out, "position");
    out_int(out, variant->position);
    flag_member(out, "free_shipping", variant->free_shipping);
}

/* The first one is the default where none says it is; a product without variants gets one. */
static void
write_variants(struct out *out, struct in variants, unsigned line)
{
    unsigned count = in_count(variants, "");
    bool has_default = false;

    for (unsigned i = 0; i < count; i++)
        has_default |= in_bool(in_item(variants, i), "is_default", false);
    for (unsigned i = 0; i < count || i == 0; i++) {
        struct variant variant = variant_plain;

        variant.position = i;
        if (count > 0)
            variant_read(&variant, in_item(variants, i));
        variant.is_default |= i == 0 && !has_default;
        write_variant(out, &variant, line, i);
    }
}

static struct str
variants_json(const struct drafts *self)
{
    struct json_text text;
    unsigned count = 0;

    for (unsigned i = 0; i < self->count; i++)
        if (!self->all[i].line->failed) {
            unsigned own = in_count(self->all[i].line->body, "variants");

            count += own ? own : 1;
        }
    json_text_begin(&text);
    out_list(&text.out, count);
    for (unsigned i = 0; i < self->count; i++)
        if (!self->all[i].line->failed)
            write_variants(&text.out, in_at(self->all[i].line->body, "variants"), i + 1);
    return json_text_end(&text, self->call->arena);
}

/* 1: another transaction was faster with a slug or a code. */
static int
insert(struct drafts *self, int64_t now_us)
{
    char now[TIME_TEXT_SIZE];
    struct rows rows;

    text_from_time(now, now_us);
    db_after_commit(self->call, outbox_wake);
    if (db_try(self->call, PRODUCTS_INSERT, &rows, "ljjts", self->call->caller.store_id, products_json(self),
               variants_json(self), now_us, now))
        return -1;
    if (db_violated(&rows))
        return 1;
    for (unsigned row = 0; row < rows.count; row++)
        self->all[rows_int(&rows, row, "line") - 1].line->id = rows_int(&rows, row, "product_id");
    return 0;
}

int
products_insert(struct call *call, struct line *lines, unsigned count)
{
    struct drafts drafts = {.call = call, .count = count};
    int64_t now_us = clock_now_us();
    int status = 1;

    drafts.all = arena_alloc(call->arena, count * sizeof(*drafts.all));
    for (unsigned i = 0; i < count; i++)
        read_draft(&drafts.all[i], call, &lines[i]);
    if (hold_categories(&drafts))
        return -1;
    read_codes(&drafts);
    for (unsigned round = 0; status == 1 && round < ROUNDS_MAX; round++) {
        if (look_up(&drafts, round))
            return -1;
        status = count_good(&drafts) ? insert(&drafts, now_us) : 0;
    }
    if (status == 1)
        return call_fail(call, FAIL_CONFLICT, "slug",
                         "Others take the same slugs or codes at this moment; send it again");
    return status;
}

int
products_create(struct call *call)
{
    struct line line = {.body = in_at(call->in, "body")};
    struct rows rows;

    if (db_begin(call) || products_insert(call, &line, 1))
        return -1;
    if (line.failed)
        return call_fail(call, line.code, line.field, line.why);
    if (db_run(call, PRODUCT_GET, &rows, "ll", call->caller.store_id, line.id) || db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &rows);
}
