/* order_discount.c - what is taken off an order: a code's part, within its limits, and what was given by hand.
 *
 * The code's row is locked before its uses are looked at and stays so until the order is committed. Orders with the
 * same code therefore wait for each other, and a code that may be used ten times is used ten times. The lock comes
 * after those of the variants and before the store's serial number.
 */
#include <string.h>

#include "customers.h"
#include "discounts.h"
#include "json_text.h"
#include "orders.h"
#include "statements.h"

#define EMAIL_MAX 255 /* bytes; the address is kept as it is sent, and what is longer is nobody's e-mail */
#define BLANKS    " \t\r\n"

static int
fail_discount(struct call *call, const char *reason, const char *why)
{
    call_fail_detail(call, "reason", arena_printf(call->arena, "\"%s\"", reason));
    return call_fail(call, FAIL_INVALID_DISCOUNT, "discount_code",
                     arena_printf(call->arena, "The discount code cannot be used: %s", why));
}

/* The sum of both parts is never more than what there is to take it from. What was given by hand counts first. */
static int
add_up(struct order_discount *self, struct call *call, const struct order_amounts *amounts, int64_t by_hand)
{
    int64_t most = amounts->sub_total + amounts->tax + amounts->shipping;

    if (by_hand > most)
        return call_fail(call, FAIL_VALIDATION_ERROR, "discount", "must not be more than sub_total + tax + shipping");
    if (self->by_code > most - by_hand)
        self->by_code = most - by_hand;
    self->total = by_hand + self->by_code;
    return 0;
}

/* Without the blanks around it; NULL when nothing is left that could be an e-mail. */
static const char *
trim_email(const char *text, struct arena *arena)
{
    size_t len;

    if (!text)
        return NULL;
    text += strspn(text, BLANKS);
    for (len = strlen(text); len > 0 && strchr(BLANKS, text[len - 1]); len--)
        ;
    return len > 0 && len <= EMAIL_MAX ? arena_strndup(arena, text, len) : NULL;
}

/* Whose use it is: the customer's, or that of whoever the parcel goes to when there is none, or one of whom neither
 * phone nor e-mail is known. */
static void
read_buyer(struct order_discount *self, struct call *call, struct in body, int64_t user_id)
{
    self->user_id = user_id;
    self->phone = phone_normal(in_text(body, "shipping_address.phone"), call->arena);
    self->email = trim_email(in_text(body, "shipping_address.email"), call->arena);
}

int
order_discount_apply(struct order_discount *self, struct call *call, struct in body, int64_t user_id,
                     struct order_amounts *amounts, int64_t now_us)
{
    int64_t store_id = call->caller.store_id, by_hand = in_money(body, "discount", 0);
    const char *text = in_text(body, "discount_code"), *reason;
    struct discount discount;
    struct rows found, uses;

    *self = (struct order_discount){0};
    if (!text)
        return add_up(self, call, amounts, by_hand);
    self->code = discount_code(text, call->arena);
    if (!self->code)
        return fail_discount(call, "not_found", discount_why("not_found"));
    read_buyer(self, call, body, user_id);
    if (db_send(call, DISCOUNT_LOCK_CODE, "ls", store_id, self->code) ||
        db_send(call, DISCOUNT_USES, "lsLss", store_id, self->code, user_id ? &user_id : NULL, self->phone,
                self->email) ||
        db_collect(call, &found) || db_collect(call, &uses))
        return -1;
    if (found.count == 0)
        return fail_discount(call, "not_found", discount_why("not_found"));
    discount_read(&discount, &found, 0);
    reason = discount_refusal(&discount, now_us, amounts->sub_total, rows_int(&uses, 0, "uses"));
    if (reason)
        return fail_discount(call, reason, discount_why(reason));
    self->phone = rows_text(&uses, 0, "phone");
    self->email = rows_text(&uses, 0, "email");
    self->discount_id = discount.discount_id;
    self->free_shipping = discount.free_shipping;
    self->by_code = discount_amount(&discount, amounts->sub_total);
    if (self->free_shipping)
        amounts->shipping = 0;
    return add_up(self, call, amounts, by_hand);
}

int
order_discount_use(const struct order_discount *self, struct call *call, int64_t order_id, int64_t now_us)
{
    if (!self->code)
        return 0;
    return db_post(call, DISCOUNT_USE, "lllLsst", call->caller.store_id, order_id, self->discount_id,
                   self->user_id ? &self->user_id : NULL, self->phone, self->email, now_us);
}

int
order_discount_again(struct order_discount *self, struct call *call, const struct rows *before, int64_t sub_total)
{
    struct order_amounts amounts = {sub_total, rows_money(before, 0, "tax"), rows_money(before, 0, "shipping")};
    int64_t by_hand = rows_money(before, 0, "discount") - rows_money(before, 0, "code_discount");
    struct discount discount;
    struct rows rows;

    *self = (struct order_discount){.code = rows_text(before, 0, "discount_code")};
    if (!self->code)
        return add_up(self, call, &amounts, by_hand);
    if (db_run(call, DISCOUNT_OF_ORDER, &rows, "ll", call->caller.store_id, rows_int(before, 0, "order_id")))
        return -1;
    if (rows.count > 0) {
        discount_read(&discount, &rows, 0);
        self->by_code = discount_amount(&discount, sub_total);
    }
    return add_up(self, call, &amounts, by_hand);
}
