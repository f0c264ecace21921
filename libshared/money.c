/* money.c - decimal text to scaled integers and back, without a double in between. */
#include "money.h"

#include <assert.h>

#include "text.h"

static const int64_t scales[MONEY_DECIMALS_MAX + 1] = {1, 10, 100, 1000};

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int
money_parse(const char *text, size_t len, unsigned decimals, int64_t *amount)
{
    bool negative = len > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t value = 0;
    unsigned written = 0;

    assert(decimals <= MONEY_DECIMALS_MAX);
    if (at == len || !is_digit(text[at]) || (text[at] == '0' && at + 1 < len && text[at + 1] != '.'))
        return -1;
    for (; at < len && is_digit(text[at]); at++) {
        value = value * 10 + (text[at] - '0');
        if (value > MONEY_MAX)
            return -1;
    }
    if (at < len) {
        if (text[at++] != '.' || at == len)
            return -1;
        for (; at < len; at++) {
            if (!is_digit(text[at]) || ++written > decimals)
                return -1;
            value = value * 10 + (text[at] - '0');
            if (value > MONEY_MAX)
                return -1;
        }
    }
    value *= scales[decimals - written]; /* at most MONEY_MAX * 1000, which an int64_t holds */
    if (value > MONEY_MAX)
        return -1;
    *amount = negative ? -value : value;
    return 0;
}

size_t
money_print(char *target, int64_t amount, unsigned decimals)
{
    uint64_t size = amount < 0 ? -(uint64_t)amount : (uint64_t)amount;
    uint64_t scale;
    size_t len = 0;

    assert(decimals <= MONEY_DECIMALS_MAX);
    scale = (uint64_t)scales[decimals];
    if (amount < 0)
        target[len++] = '-';
    len += text_from_uint(target + len, size / scale);
    if (decimals > 0) {
        uint64_t rest = size % scale;

        target[len++] = '.';
        for (scale /= 10; scale > 0; scale /= 10)
            target[len++] = (char)('0' + rest / scale % 10);
    }
    target[len] = '\0';
    return len;
}

static bool
within_limits(int64_t amount)
{
    return amount >= -MONEY_MAX && amount <= MONEY_MAX;
}

int
money_multiply(int64_t amount, int64_t quantity, int64_t *product)
{
    int64_t value;

    if (__builtin_mul_overflow(amount, quantity, &value) || !within_limits(value))
        return -1;
    *product = value;
    return 0;
}

int
money_add(int64_t a, int64_t b, int64_t *sum)
{
    int64_t value;

    if (__builtin_add_overflow(a, b, &value) || !within_limits(value))
        return -1;
    *sum = value;
    return 0;
}
