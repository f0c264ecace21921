/* discount_terms.c - what a discount code takes off, in whole paisa; no database here. */
#include <string.h>

#include "discounts.h"

const char *
discount_code(const char *text, struct arena *arena)
{
    size_t len = strlen(text), characters = 0;
    char *code;

    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    while (len > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        len--;
    }
    code = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f)
            return NULL;
        characters += (c & 0xc0) != 0x80;
        code[i] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    code[len] = 0;
    return characters >= 1 && characters <= DISCOUNT_CODE_MAX ? code : NULL;
}

void
discount_read(struct discount *self, const struct rows *rows, unsigned row)
{
    *self = (struct discount){
        .discount_id = rows_int(rows, row, "discount_id"),
        .code = rows_text(rows, row, "code"),
        .is_amount = rows_int(rows, row, "is_amount"),
        .amount = rows_money(rows, row, "amount"),
        .percentage = rows_money(rows, row, "percentage"),
        .free_shipping = rows_int(rows, row, "free_shipping_on"),
        .minimum_order = rows_money(rows, row, "minimum_order_value"),
        .maximum = rows_money(rows, row, "maximum_discount_amount"),
        .is_active = rows_int(rows, row, "is_active"),
        .total_use = rows_int(rows, row, "total_use"),
        .use_per_user = rows_int(rows, row, "use_per_user"),
        .used = rows_int(rows, row, "used"),
        .starts_us = rows_is_null(rows, row, "starts_at") ? INT64_MIN : rows_time(rows, row, "starts_at"),
        .ends_us = rows_is_null(rows, row, "ends_at") ? INT64_MAX : rows_time(rows, row, "ends_at"),
    };
}

const char *
discount_refusal(const struct discount *self, int64_t now_us, int64_t sub_total, int64_t uses)
{
    if (!self->is_active)
        return "inactive";
    if (now_us < self->starts_us)
        return "not_started";
    if (now_us >= self->ends_us)
        return "expired";
    if (self->total_use && self->used >= self->total_use)
        return "total_use";
    if (self->use_per_user && uses >= self->use_per_user)
        return "use_per_user";
    if (sub_total >= 0 && sub_total < self->minimum_order)
        return "minimum_order_value";
    return NULL;
}

const char *
discount_why(const char *reason)
{
    static const struct {
        const char *reason, *why;
    } all[] = {
        {"not_found", "this store has no such code"},
        {"inactive", "it is switched off"},
        {"not_started", "it is not valid yet"},
        {"expired", "it is not valid any more"},
        {"total_use", "it has been used as often as it may"},
        {"use_per_user", "this customer has used it as often as one may"},
        {"minimum_order_value", "the items are worth less than its minimum_order_value"},
    };

    for (unsigned i = 0; i < ARRAY_COUNT(all); i++)
        if (strcmp(all[i].reason, reason) == 0)
            return all[i].why;
    return "it is not valid";
}

/* sub_total is at most 14 digits and percentage 10000: the product fits. */
int64_t
discount_amount(const struct discount *self, int64_t sub_total)
{
    int64_t amount = self->is_amount ? self->amount : (sub_total * self->percentage + 5000) / 10000;

    if (sub_total < self->minimum_order)
        return 0;
    if (!self->is_amount && self->maximum && amount > self->maximum)
        amount = self->maximum;
    return amount < sub_total ? amount : sub_total;
}
