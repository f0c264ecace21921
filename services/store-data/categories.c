/* categories.c - what a store's products are sorted into: a tree of a few thousand at most.
 *
 * A category that products or other categories name cannot be deleted. Who gives a product a category holds the
 * category's row for key share, and who deletes one locks it against that; so none is lost under a product.
 */
#include <inttypes.h>

#include "bounds.h"
#include "clock.h"
#include "list.h"
#include "products.h"
#include "slug.h"
#include "statements.h"
#include "store_data_operations.h"

#define CATEGORIES_MAX 5000 /* of a store */
#define SLUG_TRIES_MAX 5

/* U+10FFFF is no character: no name comes after it. */
static const struct list_sort category_sorts[LIST_SORTS] = {
    {"created_at", "created_at", "-infinity", "infinity"},
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"name", "_name_key", "", "\U0010FFFF\U0010FFFF"},
};

static int
run(struct list *list, struct call *call, int64_t parent_id, struct rows *rows)
{
    int64_t store_id = call->caller.store_id;

    if (parent_id)
        return db_run(call, CATEGORIES_CHILDREN_CREATED_ASC + list_variant(list), rows, "lsllsll", store_id, "",
                      list_wanted(list), list_offset(list), list_key(list), list_id(list), parent_id);
    return db_run(call, CATEGORIES_CREATED_ASC + list_variant(list), rows, "lsllsl", store_id, "", list_wanted(list),
                  list_offset(list), list_key(list), list_id(list));
}

int
categories_list(struct call *call)
{
    int64_t parent_id = in_int(call->in, "query.parent_id", 0);
    struct list list = {.sorts = category_sorts, .id_column = "category_id"};
    struct rows rows;

    if (list_read(&list, call, NULL, arena_printf(call->arena, "%" PRId64, parent_id)) ||
        run(&list, call, parent_id, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

static int
fail_absent(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "category_id", "No such category in this store");
}

int
categories_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, CATEGORY_GET, &rows, "ll", call->caller.store_id, in_int(call->in, "path.category_id", 0)))
        return -1;
    return rows.count ? call_reply_row(call, 200, &rows, 0) : fail_absent(call);
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

static int
check_slug(struct call *call, const char *slug)
{
    if (slug_is_good(call->arena, slug))
        return 0;
    return call_failf(call, FAIL_VALIDATION_ERROR, "slug",
                      "must be lower-case letters and digits with single hyphens between them; \"%s\" would do",
                      slug_of(call->arena, slug, "category"));
}

static int
hold_parent(struct call *call, int64_t parent_id)
{
    struct rows rows;

    if (parent_id == 0)
        return 0;
    if (db_run(call, CATEGORY_HOLD, &rows, "ll", call->caller.store_id, parent_id))
        return -1;
    return rows.count ? 0 : call_fail(call, FAIL_NOT_FOUND, "parent_id", "No such category in this store");
}

static int
fail_slug(struct call *call)
{
    return call_fail(call, FAIL_DUPLICATE_SLUG, "slug", "Another category of this store has this slug");
}

/* Two that make a slug of the same name at once try the same number; the unique index lets one through. */
static int
insert_category(struct call *call, int64_t parent_id, struct rows *made)
{
    struct in body = in_at(call->in, "body");
    const char *given = in_text(body, "slug"), *base = slug_of(call->arena, in_text(body, "name"), "category");
    int64_t store_id = call->caller.store_id;

    for (unsigned attempt = 0; attempt < SLUG_TRIES_MAX; attempt++) {
        const char *slug = given ? given : base;
        struct rows taken;

        if (!given && db_run(call, CATEGORY_SLUG_TAKEN, &taken, "ls", store_id, base))
            return -1;
        if (!given && rows_int(&taken, 0, "taken"))
            slug = arena_printf(call->arena, "%s-%" PRId64, base, rows_int(&taken, 0, "next"));
        if (db_try(call, CATEGORY_INSERT, made, "lssLssltl", store_id, in_text(body, "name"), slug,
                   parent_id ? &parent_id : NULL, in_text(body, "description"), in_text(body, "image"),
                   in_int(body, "position", 0), clock_now_us(), (int64_t)CATEGORIES_MAX))
            return -1;
        if (!db_violated(made))
            return made->count ? 0
                               : call_failf(call, FAIL_CONFLICT, NULL,
                                            "A store has at most %d categories; delete one first", CATEGORIES_MAX);
        if (given)
            break;
    }
    return fail_slug(call);
}

int
categories_create(struct call *call)
{
    int64_t parent_id = in_int(call->in, "body.parent_id", 0);
    const char *slug = in_text(call->in, "body.slug");
    struct rows made;

    if ((slug && check_slug(call, slug)) || db_begin(call) || hold_parent(call, parent_id) ||
        insert_category(call, parent_id, &made) || db_commit(call))
        return -1;
    return call_reply_resource(call, 201, &made);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

/* Under the tree's lock, in a statement of its own, the tree is as the last move has left it. */
static int
check_parent(struct call *call, int64_t category_id, int64_t parent_id)
{
    struct rows rows;

    if (parent_id == 0)
        return 0;
    if (hold_parent(call, parent_id) ||
        db_run(call, CATEGORY_IS_ABOVE, &rows, "lll", call->caller.store_id, category_id, parent_id))
        return -1;
    if (rows_int(&rows, 0, "above"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "parent_id",
                         "lies below this category, or is the category itself");
    return 0;
}

static int
lock(struct call *call, unsigned statement, int64_t category_id, struct rows *rows)
{
    if (db_run(call, statement, rows, "ll", call->caller.store_id, category_id))
        return -1;
    if (rows->count == 0)
        return fail_absent(call);
    return call_if_match_get(call, CATEGORY_GET, category_id);
}

static int
write_category(struct call *call, const struct rows *before, int64_t category_id, int64_t parent_id, struct rows *after)
{
    struct in body = in_at(call->in, "body");
    const char *name = in_text_after(body, "name", rows_text(before, 0, "name")),
               *slug = in_text_after(body, "slug", rows_text(before, 0, "slug")),
               *description = in_text_after(body, "description", rows_text(before, 0, "description")),
               *image = in_text_after(body, "image", rows_text(before, 0, "image"));
    int64_t position = in_int(body, "position", rows_int(before, 0, "position"));

    *after = *before;
    if (text_equal(name, rows_text(before, 0, "name")) && text_equal(slug, rows_text(before, 0, "slug")) &&
        text_equal(description, rows_text(before, 0, "description")) &&
        text_equal(image, rows_text(before, 0, "image")) && position == rows_int(before, 0, "position") &&
        parent_id == rows_int(before, 0, "parent_id"))
        return 0;
    if (!text_equal(slug, rows_text(before, 0, "slug")) && check_slug(call, slug))
        return -1;
    if (db_try(call, CATEGORY_UPDATE, after, "llssLsslt", call->caller.store_id, category_id, name, slug,
               parent_id ? &parent_id : NULL, description, image, position, clock_now_us()))
        return -1;
    return db_violated(after) ? fail_slug(call) : 0;
}

int
categories_update(struct call *call)
{
    int64_t category_id = in_int(call->in, "path.category_id", 0), parent_id;
    bool moves = in_is_sent(call->in, "body.parent_id");
    struct rows before, after;

    if (db_begin(call) || (moves && db_post(call, CATEGORY_TREE_LOCK, "l", call->caller.store_id)) ||
        lock(call, CATEGORY_LOCK, category_id, &before))
        return -1;
    parent_id = rows_int(&before, 0, "parent_id");
    if (moves) {
        parent_id = in_int(call->in, "body.parent_id", 0);
        if (check_parent(call, category_id, parent_id))
            return -1;
    }
    if (write_category(call, &before, category_id, parent_id, &after) || db_commit(call))
        return -1;
    return call_reply_resource(call, 200, &after);
}

int
categories_delete(struct call *call)
{
    int64_t store_id = call->caller.store_id, category_id = in_int(call->in, "path.category_id", 0);
    struct rows category, use;

    if (db_begin(call) || lock(call, CATEGORY_LOCK_TO_DELETE, category_id, &category) ||
        db_run(call, CATEGORY_IN_USE, &use, "ll", store_id, category_id))
        return -1;
    if (rows_int(&use, 0, "products"))
        return call_fail(call, FAIL_CONFLICT, "category_id",
                         "It has products; give them another category first (GET /products?category_id=)");
    if (rows_int(&use, 0, "children"))
        return call_fail(call, FAIL_CONFLICT, "category_id",
                         "Other categories lie below it; move or delete them first");
    if (db_post(call, CATEGORY_DELETE, "ll", store_id, category_id) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "category_id", category_id, "Category deleted");
}
