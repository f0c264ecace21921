/* phone.c - one normal form of a phone number, however it is written.
 *
 * A customer is found by it, and a buyer who has used a discount code is known again by it. So what people put between
 * digits (blanks, dashes, parentheses), the script that the digits are in and the ways of writing the country's code
 * must not make two numbers of one.
 */
#include <string.h>

#include "customers.h"

#define LOCAL_DIGITS 10 /* of a mobile number in Bangladesh without the 0 in front */

static const struct {
    uint32_t zero; /* the other nine follow */
} scripts[] = {{'0'}, {0x660}, {0x6f0}, {0x966}, {0x9e6}, {0xff10}};

/* The character at *text, which is UTF-8; moves *text behind it. */
static uint32_t
next_character(const char **text)
{
    const uint8_t *at = (const uint8_t *)*text;
    unsigned size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t c = size == 1 ? at[0] : at[0] & (0x7fU >> size);

    for (unsigned i = 1; i < size; i++)
        c = c << 6 | (at[i] & 0x3fU);
    *text += size;
    return c;
}

/* The digits of text, in ASCII. *plus: a + stands before the first of them. */
static char *
digits_of(const char *text, struct arena *arena, bool *plus)
{
    char *digits = arena_alloc(arena, strlen(text) + 1);
    size_t len = 0;

    *plus = false;
    while (*text) {
        uint32_t c = next_character(&text);

        if (len == 0 && (c == '+' || c == 0xff0b))
            *plus = true;
        for (unsigned i = 0; i < ARRAY_COUNT(scripts); i++)
            if (c >= scripts[i].zero && c <= scripts[i].zero + 9)
                digits[len++] = (char)('0' + (c - scripts[i].zero));
    }
    digits[len] = '\0';
    return digits;
}

/* A mobile number of Bangladesh, as it is after the country's code and any zero: 1, then 3 to 9, then eight digits. */
static bool
is_local_mobile(const char *digits)
{
    return strlen(digits) == LOCAL_DIGITS && digits[0] == '1' && digits[1] >= '3';
}

const char *
phone_normal(const char *phone, struct arena *arena)
{
    bool abroad = false;
    const char *digits = phone ? digits_of(phone, arena, &abroad) : "", *rest;

    if (!*digits)
        return NULL;
    rest = digits + strspn(digits, "0");
    if (!*rest) /* nobody's number, and kept as it is */
        return abroad ? arena_printf(arena, "+%s", digits)
                      : (rest - digits > 2 ? arena_printf(arena, "+%s", digits + 2) : digits);
    abroad = abroad || strncmp(digits, "00", 2) == 0;
    if (!abroad && is_local_mobile(rest))
        return arena_printf(arena, "+880%s", rest);
    if (strncmp(rest, "880", 3) == 0 && is_local_mobile(rest + 3 + strspn(rest + 3, "0")))
        return arena_printf(arena, "+880%s", rest + 3 + strspn(rest + 3, "0"));
    return abroad ? arena_printf(arena, "+%s", rest) : digits;
}
