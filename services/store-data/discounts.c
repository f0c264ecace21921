/* discounts.c - discount codes: made, changed, found, and tried out before an order is placed. */
#include <string.h>

#include "clock.h"
#include "discounts.h"
#include "list.h"
#include "statements.h"
#include "store_data_operations.h"
#include "verify.h"

#define NONE INT64_MIN

static const struct list_sort discount_sorts[LIST_SORTS] = {
    {"created_at", "created_at", "-infinity", "infinity"},
    {"updated_at", "updated_at", "-infinity", "infinity"},
    {"code", "code", "", "\U0010FFFF\U0010FFFF"},
};

/* ---- terms as they are written ----------------------------------------------------------------------------------- */

/* NONE is null. */
struct terms {
    const char *code;
    bool is_amount, free_shipping, is_active;
    int64_t amount, percentage, minimum, maximum;
    int64_t total_use, use_per_user;
    int64_t starts_us, ends_us;
};

static const int64_t *
or_null(const int64_t *value)
{
    return *value == NONE ? NULL : value;
}

static int64_t
stored(const struct rows *rows, const char *column, int64_t (*read)(const struct rows *, unsigned, const char *))
{
    return rows_is_null(rows, 0, column) ? NONE : read(rows, 0, column);
}

static void
terms_of_row(struct terms *self, const struct rows *rows)
{
    *self = (struct terms){
        .code = rows_text(rows, 0, "code"),
        .is_amount = rows_int(rows, 0, "is_amount"),
        .amount = stored(rows, "amount", rows_money),
        .percentage = stored(rows, "percentage", rows_money),
        .free_shipping = rows_int(rows, 0, "free_shipping_on"),
        .minimum = stored(rows, "minimum_order_value", rows_money),
        .maximum = stored(rows, "maximum_discount_amount", rows_money),
        .is_active = rows_int(rows, 0, "is_active"),
        .total_use = stored(rows, "total_use", rows_int),
        .use_per_user = stored(rows, "use_per_user", rows_int),
        .starts_us = stored(rows, "starts_at", rows_time),
        .ends_us = stored(rows, "ends_at", rows_time),
    };
}

static bool
terms_equal(const struct terms *a, const struct terms *b)
{
    return strcmp(a->code, b->code) == 0 && a->is_amount == b->is_amount && a->amount == b->amount &&
           a->percentage == b->percentage && a->free_shipping == b->free_shipping && a->minimum == b->minimum &&
           a->maximum == b->maximum && a->is_active == b->is_active && a->total_use == b->total_use &&
           a->use_per_user == b->use_per_user && a->starts_us == b->starts_us && a->ends_us == b->ends_us;
}

/* What was sent, null for none, else what there was. */
static int64_t
sent(struct in body, const char *name, int64_t old, int64_t (*read)(struct in, const char *, int64_t))
{
    return in_is_null(body, name) ? NONE : read(body, name, old);
}

/* One kind or the other: is_amount says which, or which of the two values was sent. The other value goes. */
static int
read_kind(struct terms *self, struct call *call, struct in body)
{
    bool amount = in_has(body, "amount"), percentage = in_has(body, "percentage");

    if (amount && percentage)
        return call_fail(call, FAIL_VALIDATION_ERROR, "percentage", "does not go with amount; send one of the two");
    self->is_amount = in_bool(body, "is_amount", amount ? true : percentage ? false : self->is_amount);
    if (self->is_amount ? percentage : amount)
        return call_fail(call, FAIL_VALIDATION_ERROR, self->is_amount ? "percentage" : "amount",
                         self->is_amount ? "does not go with is_amount true; send amount"
                                         : "does not go with is_amount false; send percentage");
    self->amount = self->is_amount ? sent(body, "amount", self->amount, in_money) : NONE;
    self->percentage = self->is_amount ? NONE : sent(body, "percentage", self->percentage, in_money);
    self->free_shipping = in_bool(body, "free_shipping_on", self->free_shipping);
    if (!self->is_amount && self->percentage == NONE && self->free_shipping)
        self->percentage = 0;
    if (self->is_amount ? self->amount == NONE : self->percentage == NONE)
        return call_fail(call, FAIL_VALIDATION_ERROR, self->is_amount ? "amount" : "percentage",
                         "is needed; send amount, percentage or free_shipping_on");
    return 0;
}

static int
terms_read(struct terms *self, struct call *call, struct in body)
{
    if (in_has(body, "code")) {
        self->code = discount_code(in_text(body, "code"), call->arena);
        if (!self->code)
            return call_fail(call, FAIL_VALIDATION_ERROR, "code",
                             "must have 1 to 64 characters, blanks around it not counted, and no control characters");
    }
    if (read_kind(self, call, body))
        return -1;
    self->minimum = sent(body, "minimum_order_value", self->minimum, in_money);
    self->maximum = sent(body, "maximum_discount_amount", self->maximum, in_money);
    self->is_active = in_bool(body, "is_active", self->is_active);
    self->total_use = sent(body, "total_use", self->total_use, in_int);
    self->use_per_user = sent(body, "use_per_user", self->use_per_user, in_int);
    self->starts_us = sent(body, "starts_at", self->starts_us, in_time);
    self->ends_us = sent(body, "ends_at", self->ends_us, in_time);
    if (self->starts_us != NONE && self->ends_us != NONE && self->starts_us >= self->ends_us)
        return call_fail(call, FAIL_VALIDATION_ERROR, "ends_at", "must be later than starts_at");
    return 0;
}

static int
fail_duplicate(struct call *call, const char *code)
{
    return call_fail(call, FAIL_DUPLICATE_CODE, "code",
                     arena_printf(call->arena, "This store has a discount with the code %s already", code));
}

/* ---- routes ------------------------------------------------------------------------------------------------------ */

int
discounts_create(struct call *call)
{
    struct terms t = {.is_active = true,
                      .amount = NONE,
                      .percentage = NONE,
                      .minimum = NONE,
                      .maximum = NONE,
                      .total_use = NONE,
                      .use_per_user = NONE,
                      .starts_us = NONE,
                      .ends_us = NONE};
    struct rows rows;

    if (terms_read(&t, call, in_at(call->in, "body")) || db_begin(call) ||
        db_try(call, DISCOUNT_INSERT, &rows, "lsbMMbMMbLLTTt", call->caller.store_id, t.code, (int)t.is_amount,
               or_null(&t.amount), or_null(&t.percentage), (int)t.free_shipping, or_null(&t.minimum),
               or_null(&t.maximum), (int)t.is_active, or_null(&t.total_use), or_null(&t.use_per_user),
               or_null(&t.starts_us), or_null(&t.ends_us), clock_now_us()))
        return -1;
    if (db_violated(&rows))
        return fail_duplicate(call, t.code);
    return db_commit(call) ? -1 : call_reply_resource(call, 201, &rows);
}

/* Locked until the transaction ends, and as If-Match wants it. */
static int
lock_discount(struct call *call, int64_t discount_id, struct rows *rows)
{
    if (db_begin(call) || db_run(call, DISCOUNT_LOCK, rows, "ll", call->caller.store_id, discount_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "discount_id", "No such discount in this store");
    return call_has_if_match(call) ? call_if_match(call, rows) : 0;
}

int
discounts_update(struct call *call)
{
    int64_t discount_id = in_int(call->in, "path.discount_id", 0);
    struct terms old, t;
    struct rows rows;

    if (lock_discount(call, discount_id, &rows))
        return -1;
    terms_of_row(&old, &rows);
    t = old;
    if (terms_read(&t, call, in_at(call->in, "body")))
        return -1;
    if (!terms_equal(&old, &t)) {
        if (db_try(call, DISCOUNT_UPDATE, &rows, "llsbMMbMMbLLTTt", call->caller.store_id, discount_id, t.code,
                   (int)t.is_amount, or_null(&t.amount), or_null(&t.percentage), (int)t.free_shipping,
                   or_null(&t.minimum), or_null(&t.maximum), (int)t.is_active, or_null(&t.total_use),
                   or_null(&t.use_per_user), or_null(&t.starts_us), or_null(&t.ends_us), clock_now_us()))
            return -1;
        if (db_violated(&rows))
            return fail_duplicate(call, t.code);
    }
    return db_commit(call) ? -1 : call_reply_resource(call, 200, &rows);
}

int
discounts_delete(struct call *call)
{
    int64_t discount_id = in_int(call->in, "path.discount_id", 0);
    struct rows rows;

    if (lock_discount(call, discount_id, &rows) ||
        db_post(call, DISCOUNT_DELETE, "llt", call->caller.store_id, discount_id, clock_now_us()) || db_commit(call))
        return -1;
    return call_reply_deleted(call, "discount_id", discount_id, "Discount deleted");
}

int
discounts_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, DISCOUNT_GET, &rows, "ll", call->caller.store_id, in_int(call->in, "path.discount_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "discount_id", "No such discount in this store");
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static int
run(struct list *list, struct call *call, const char *status, const char *search, struct rows *rows)
{
    int64_t store_id = call->caller.store_id;

    if (search) {
        list->counted = true;
        return db_run(call, DISCOUNTS_SEARCH_CREATED_ASC + list_variant(list), rows, "lsllsls", store_id, status,
                      list_wanted(list), list_offset(list), list_key(list), list_id(list), search);
    }
    return db_run(call, (*status ? DISCOUNTS_STATUS_CREATED_ASC : DISCOUNTS_ANY_CREATED_ASC) + list_variant(list), rows,
                  "lsllsl", store_id, status, list_wanted(list), list_offset(list), list_key(list), list_id(list));
}

int
discounts_list(struct call *call)
{
    int64_t is_active = in_int(call->in, "query.is_active", -1);
    const char *status = is_active < 0 ? "" : is_active ? "active" : "inactive";
    const char *search = in_text(call->in, "query.search");
    struct list list = {.sorts = discount_sorts, .id_column = "discount_id"};
    struct rows rows;

    if (search) /* as codes are kept; NULL when there is nothing to look for */
        search = discount_code(search, call->arena);
    if (list_read(&list, call, NULL, arena_printf(call->arena, "%s %s", status, search ? search : "")) ||
        run(&list, call, status, search, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
    return call_reply(call, 200);
}

/* ---- trying a code out ------------------------------------------------------------------------------------------- */

static int
reply_refused(struct call *call, const char *reason)
{
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "valid");
    out_bool(&call->out, false);
    out_key(&call->out, "reason");
    out_text(&call->out, reason);
    out_key(&call->out, "message");
    out_text(&call->out, discount_why(reason));
    return call_reply(call, 200);
}

int
discounts_validate(struct call *call)
{
    const char *code = discount_code(in_text(call->in, "path.code"), call->arena), *reason;
    int64_t store_id = call->caller.store_id, sub_total = in_money(call->in, "query.subtotal", -1);
    int64_t customer_id = in_int(call->in, "query.customer_id", 0);
    struct discount discount;
    struct rows rows, uses;

    if (!code)
        return reply_refused(call, "not_found");
    if (db_send(call, DISCOUNT_BY_CODE, "ls", store_id, code) ||
        db_send(call, DISCOUNT_USES, "lsLss", store_id, code, customer_id ? &customer_id : NULL, NULL, NULL) ||
        db_collect(call, &rows) || db_collect(call, &uses))
        return -1;
    if (customer_id && !rows_int(&uses, 0, "known"))
        return call_fail(call, FAIL_NOT_FOUND, "customer_id", "No such customer in this store");
    if (rows.count == 0)
        return reply_refused(call, "not_found");
    discount_read(&discount, &rows, 0);
    reason = discount_refusal(&discount, clock_now_us(), sub_total, rows_int(&uses, 0, "uses"));
    if (reason)
        return reply_refused(call, reason);
    call_data(call);
    out_map(&call->out, 3 + (sub_total >= 0));
    out_key(&call->out, "valid");
    out_bool(&call->out, true);
    out_key(&call->out, "discount");
    out_row(&call->out, &rows, 0);
    if (sub_total >= 0) {
        out_key(&call->out, "amount");
        out_money(&call->out, discount_amount(&discount, sub_total), 2);
    }
    out_key(&call->out, "free_shipping");
    out_bool(&call->out, discount.free_shipping);
    return call_reply(call, 200);
}

int
discounts_verify(struct call *call)
{
    struct verify *verify = arena_alloc(call->arena, sizeof *verify);
    struct rows totals;

    if (verify_spans(verify, call, VERIFY_DISCOUNTS_NEXT, VERIFY_DISCOUNTS) ||
        db_run(call, VERIFY_DISCOUNTS_TOTALS, &totals, "l", verify->store_id) || db_commit(call))
        return -1;
    verify_add(verify, &totals, 1);
    verify_write(verify, 2);
    out_key(&call->out, "discounts");
    out_int(&call->out, rows_int(&totals, 0, "id"));
    out_key(&call->out, "uses");
    out_int(&call->out, rows_int(&totals, 0, "kept"));
    return call_reply(call, 200);
}
