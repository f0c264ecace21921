/* text.c - checks and conversions of text from outside, written so that nothing depends on a locale or a time zone.
 *
 * Times are counted with the proleptic Gregorian calendar in days from 1970, in whole integers: gmtime and strptime are
 * slow, and strptime accepts far more than RFC 3339 does.
 */
#include "text.h"

#include <string.h>

#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

/* The length of the well-formed UTF-8 sequence at text, which does not begin with ASCII; 0 when there is none. */
static size_t
sequence_length(const unsigned char *text, size_t len)
{
    unsigned char first = text[0];
    unsigned char low = 0x80, high = 0xBF; /* what the second byte may be */
    size_t size;

    if (first >= 0xC2 && first <= 0xDF) {
        size = 2;
    } else if (first >= 0xE0 && first <= 0xEF) {
        size = 3;
        if (first == 0xE0)
            low = 0xA0; /* below is an overlong form */
        if (first == 0xED)
            high = 0x9F; /* above is a surrogate */
    } else if (first >= 0xF0 && first <= 0xF4) {
        size = 4;
        if (first == 0xF0)
            low = 0x90;
        if (first == 0xF4)
            high = 0x8F; /* above is beyond U+10FFFF */
    } else {
        return 0;
    }
    if (len < size || text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool
text_is_utf8(const char *text, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;

    while (at < len) {
        uint64_t word;
        size_t size;

        /* Most text is ASCII: eight bytes at a time. */
        while (len - at >= sizeof(word)) {
            memcpy(&word, bytes + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) != 0)
                break;
            at += sizeof(word);
        }
        if (at == len)
            break;
        size = bytes[at] < 0x80 ? 1 : sequence_length(bytes + at, len - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

size_t
text_characters(const char *text, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

int
text_to_int(const char *text, size_t len, int64_t *value)
{
    bool negative = len > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    int64_t sum = 0;

    if (at == len)
        return -1;
    for (; at < len; at++) {
        int digit = text[at] - '0';

        if (digit < 0 || digit > 9 || __builtin_mul_overflow(sum, 10, &sum))
            return -1;
        /* Counts downwards when negative, because INT64_MIN has no positive twin. */
        if (negative ? __builtin_sub_overflow(sum, digit, &sum) : __builtin_add_overflow(sum, digit, &sum))
            return -1;
    }
    *value = sum;
    return 0;
}

size_t
text_from_uint(char *target, uint64_t value)
{
    char digits[INT_TEXT_SIZE];
    size_t at = sizeof(digits), len;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    len = sizeof(digits) - at;
    memcpy(target, digits + at, len);
    target[len] = '\0';
    return len;
}

size_t
text_from_int(char *target, int64_t value)
{
    if (value >= 0)
        return text_from_uint(target, (uint64_t)value);
    target[0] = '-';
    return 1 + text_from_uint(target + 1, -(uint64_t)value);
}

static size_t
skip_digits(const char *text, size_t at, size_t len)
{
    while (at < len && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

bool
text_is_number(const char *text, size_t len)
{
    size_t start = len > 0 && text[0] == '-' ? 1 : 0;
    size_t at = skip_digits(text, start, len);

    if (at == start || (text[start] == '0' && at - start > 1))
        return false;
    if (at < len && text[at] == '.') {
        start = at + 1;
        at = skip_digits(text, start, len);
        if (at == start)
            return false;
    }
    if (at < len && (text[at] == 'e' || text[at] == 'E')) {
        start = at + 1;
        if (start < len && (text[start] == '+' || text[start] == '-'))
            start++;
        at = skip_digits(text, start, len);
        if (at == start)
            return false;
    }
    return at == len;
}

int
text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
text_percent_decode(char *text, size_t *len, bool plus)
{
    size_t to = 0;

    for (size_t from = 0; from < *len; from++) {
        char c = text[from];

        if (c == '%') {
            int high = *len - from > 2 ? text_hex_digit(text[from + 1]) : -1;
            int low = *len - from > 2 ? text_hex_digit(text[from + 2]) : -1;

            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            from += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        if (c == '\0')
            return -1;
        text[to++] = c;
    }
    *len = to;
    return 0;
}

/* Days from 1970-01-01. Years begin in March here, so that the leap day is the last of its year. */
static int64_t
days_from_date(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void
date_from_days(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t day_of_era = shifted - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march_month = (unsigned)((5 * day_of_year + 2) / 153);

    *day = (unsigned)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *month = march_month < 10 ? march_month + 3 : march_month - 9;
    *year = year_of_era + era * 400 + (*month <= 2 ? 1 : 0);
}

/* What is left to read of a date-time. */
struct reader {
    const char *at;
    const char *end;
};

/* Exactly count digits; -1 when they are not there. */
static int
read_digits(struct reader *self, unsigned count)
{
    int value = 0;

    for (unsigned i = 0; i < count; i++) {
        if (self->at == self->end || *self->at < '0' || *self->at > '9')
            return -1;
        value = value * 10 + (*self->at++ - '0');
    }
    return value;
}

static bool
read_one_of(struct reader *self, const char *choices)
{
    if (self->at == self->end || *self->at == '\0' || strchr(choices, *self->at) == NULL)
        return false;
    self->at++;
    return true;
}

static int
read_date(struct reader *self, int64_t *days)
{
    static const int lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    bool leap;

    year = read_digits(self, 4);
    if (year < 1 || !read_one_of(self, "-"))
        return -1;
    month = read_digits(self, 2);
    if (month < 1 || month > 12 || !read_one_of(self, "-"))
        return -1;
    day = read_digits(self, 2);
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day < 1 || day > lengths[month - 1] + (leap && month == 2))
        return -1;
    *days = days_from_date(year, (unsigned)month, (unsigned)day);
    return 0;
}

/* HH:MM:SS and a fraction of any length, of which microseconds count. */
static int
read_time_of_day(struct reader *self, int64_t *time_us)
{
    int hour, minute, second;
    int64_t fraction = 0, unit = US_PER_SECOND / 10;

    hour = read_digits(self, 2);
    if (hour < 0 || hour > 23 || !read_one_of(self, ":"))
        return -1;
    minute = read_digits(self, 2);
    if (minute < 0 || minute > 59 || !read_one_of(self, ":"))
        return -1;
    second = read_digits(self, 2);
    if (second < 0 || second > 59)
        return -1;
    if (read_one_of(self, ".")) {
        int digit = read_digits(self, 1);

        if (digit < 0)
            return -1;
        for (; digit >= 0; digit = read_digits(self, 1)) {
            fraction += digit * unit;
            unit /= 10;
        }
    }
    *time_us = ((hour * 60 + minute) * INT64_C(60) + second) * US_PER_SECOND + fraction;
    return 0;
}

/* Z or +HH:MM or -HH:MM. */
static int
read_offset(struct reader *self, int64_t *offset_us)
{
    bool west;
    int hour, minute;

    *offset_us = 0;
    if (read_one_of(self, "Zz"))
        return 0;
    west = self->at < self->end && *self->at == '-';
    if (!read_one_of(self, "+-"))
        return -1;
    hour = read_digits(self, 2);
    if (hour < 0 || hour > 23 || !read_one_of(self, ":"))
        return -1;
    minute = read_digits(self, 2);
    if (minute < 0 || minute > 59)
        return -1;
    *offset_us = (west ? -1 : 1) * (hour * 60 + minute) * INT64_C(60) * US_PER_SECOND;
    return 0;
}

int
text_to_time(const char *text, size_t len, int64_t *time_us)
{
    struct reader reader = {text, text + len};
    int64_t days, time_of_day = 0, offset = 0, result;

    if (len == 0 || read_date(&reader, &days) != 0)
        return -1;
    if (reader.at < reader.end) {
        if (!read_one_of(&reader, "Tt ") || read_time_of_day(&reader, &time_of_day) != 0 ||
            read_offset(&reader, &offset) != 0)
            return -1;
    }
    if (reader.at != reader.end)
        return -1;
    result = days * US_PER_DAY + time_of_day - offset;
    /* An offset may lead out of the years we can print. */
    if (result < days_from_date(1, 1, 1) * US_PER_DAY || result >= days_from_date(10000, 1, 1) * US_PER_DAY)
        return -1;
    *time_us = result;
    return 0;
}

static char *
print_padded(char *target, unsigned value, unsigned digits)
{
    for (unsigned i = digits; i > 0; i--) {
        target[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return target + digits;
}

size_t
text_from_time(char *target, int64_t time_us)
{
    int64_t rest = time_us % US_PER_DAY; /* of the day; before 1970 days are counted downwards */
    int64_t days = time_us / US_PER_DAY - (rest < 0);
    unsigned ms = (unsigned)((rest < 0 ? rest + US_PER_DAY : rest) / 1000);
    unsigned month, day;
    int64_t year;
    char *at = target;

    date_from_days(days, &year, &month, &day);
    if (year < 0 || year > 9999) { /* ISO 8601's expanded form; PostgreSQL's infinity ends here */
        *at++ = year < 0 ? '-' : '+';
        at = print_padded(at, (unsigned)(year < 0 ? -year : year), 6);
    } else {
        at = print_padded(at, (unsigned)year, 4);
    }
    *at++ = '-';
    at = print_padded(at, month, 2);
    *at++ = '-';
    at = print_padded(at, day, 2);
    *at++ = 'T';
    at = print_padded(at, ms / 3600000, 2);
    *at++ = ':';
    at = print_padded(at, ms / 60000 % 60, 2);
    *at++ = ':';
    at = print_padded(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = print_padded(at, ms % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - target);
}

static const char base64_common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static size_t
print_base64(char *target, const unsigned char *data, size_t size, const char *alphabet)
{
    char *at = target;

    for (size_t i = 0; i < size; i += 3) {
        size_t some = size - i < 3 ? size - i : 3;
        uint32_t bits = (uint32_t)data[i] << 16;

        if (some > 1)
            bits |= (uint32_t)data[i + 1] << 8;
        if (some > 2)
            bits |= data[i + 2];
        for (size_t j = 0; j <= some; j++)
            *at++ = alphabet[bits >> (18 - 6 * j) & 63];
    }
    *at = '\0';
    return (size_t)(at - target);
}

size_t
text_to_base64(char *target, const void *data, size_t size)
{
    size_t len = print_base64(target, data, size, base64_common);

    while (len % 4 != 0)
        target[len++] = '=';
    target[len] = '\0';
    return len;
}

size_t
text_to_base64url(char *target, const void *data, size_t size)
{
    return print_base64(target, data, size, base64_url);
}

static int
base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int
text_from_base64url(void *target, size_t *size, const char *text, size_t len)
{
    unsigned char *to = target;
    uint32_t bits = 0;
    unsigned count = 0; /* of bits not yet written */

    if (len % 4 == 1)
        return -1;
    for (size_t i = 0; i < len; i++) {
        int value = base64url_value(text[i]);

        if (value < 0)
            return -1;
        bits = (bits << 6 | (uint32_t)value) & 0xFFFFFF;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *to++ = (unsigned char)(bits >> count);
        }
    }
    if ((bits & ((1u << count) - 1)) != 0)
        return -1;
    *size = (size_t)(to - (unsigned char *)target);
    return 0;
}
