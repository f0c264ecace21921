/* format.c - the forms of text that a schema can ask for by name.
 *
 * Practical checks, stricter than the RFCs where those allow what only attackers write: quoted mailboxes, user names in
 * URLs, hosts that are no names. Hand-written, because a regular expression here would be a way to spend our CPU.
 */
#include "format.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "text.h"

static bool
is_alphanumeric(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Labels of letters, digits and inner hyphens with dots between them. */
static bool
is_host_name(const char *text, size_t len, unsigned labels_min)
{
    unsigned labels = 0;
    size_t start = 0;

    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && text[i] != '.') {
            if (!is_alphanumeric(text[i]) && text[i] != '-')
                return false;
            continue;
        }
        if (i == start || i - start > 63 || text[start] == '-' || text[i - 1] == '-')
            return false;
        labels++;
        start = i + 1;
    }
    return labels >= labels_min;
}

static bool
is_email(const char *text, size_t len)
{
    const char *sign = len > 0 ? memchr(text, '@', len) : NULL;
    size_t local = sign != NULL ? (size_t)(sign - text) : 0;

    if (local == 0 || local > 64 || len > 254)
        return false;
    for (size_t i = 0; i < local; i++) {
        if (text[i] == '.') {
            if (i == 0 || i == local - 1 || text[i - 1] == '.')
                return false;
        } else if (!is_alphanumeric(text[i]) && (text[i] == '\0' || strchr("!#$%&'*+/=?^_`{|}~-", text[i]) == NULL)) {
            return false;
        }
    }
    return is_host_name(sign + 1, len - local - 1, 2);
}

/* host, host:port, [IPv6] or [IPv6]:port. No user names: they only serve to disguise the host. */
static bool
is_authority(const char *text, size_t len)
{
    const char *end = text + len;
    const char *port;

    if (len > 0 && text[0] == '[') {
        const char *bracket = memchr(text, ']', len);

        if (bracket == NULL || bracket - text < 3)
            return false;
        for (const char *c = text + 1; c < bracket; c++)
            if (!is_hex(*c) && *c != ':' && *c != '.')
                return false;
        port = bracket + 1;
        if (port < end && *port != ':')
            return false;
    } else {
        port = len > 0 ? memchr(text, ':', len) : NULL;
        if (port == NULL)
            port = end;
        if (!is_host_name(text, (size_t)(port - text), 1))
            return false;
    }
    if (port < end) {
        int64_t number;

        if (end - port > 6 || text_to_int(port + 1, (size_t)(end - port - 1), &number) != 0 || number < 1 ||
            number > 65535)
            return false;
    }
    return true;
}

static bool
is_url(const char *text, size_t len)
{
    size_t scheme = len >= 8 && strncasecmp(text, "https://", 8) == 0  ? 8
                    : len >= 7 && strncasecmp(text, "http://", 7) == 0 ? 7
                                                                       : 0;
    size_t end = scheme;

    if (scheme == 0 || !text_is_utf8(text, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7F || strchr("\\\"<>^`{|}", text[i]) != NULL)
            return false;
    while (end < len && strchr("/?#", text[end]) == NULL)
        end++;
    return is_authority(text + scheme, end - scheme);
}

static bool
is_slug(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((text[i] < 'a' || text[i] > 'z') && (text[i] < '0' || text[i] > '9') && text[i] != '-')
            return false;
    return len > 0;
}

static bool
is_phone(const char *text, size_t len)
{
    if (len > 0 && text[0] == '+') {
        text++;
        len--;
    }
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return len >= 8 && len <= 20;
}

/* The code point at *place of well-formed UTF-8; moves on to the next one. */
static uint32_t
next_code_point(const char *text, size_t *place)
{
    unsigned char first = (unsigned char)text[(*place)++];
    unsigned more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    uint32_t code_point = more == 0 ? first : first & (0x3Fu >> more);

    for (; more > 0; more--)
        code_point = code_point << 6 | ((unsigned char)text[(*place)++] & 0x3F);
    return code_point;
}

/* Separators of Unicode's kinds Zs, Zl and Zp. */
static bool
is_blank(uint32_t c)
{
    return c == ' ' || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

struct range {
    uint32_t first, last;
};

static bool
is_among(uint32_t c, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* Control characters, line ends, and what cannot be seen or writes in the other direction: with these a name looks like
 * another one, or rearranges the sentence it stands in. Unicode's Default_Ignorable_Code_Point, without the joiners and
 * the variation selectors, which have their places (below), and with the blanks that are called letters and symbols. */
static bool
is_deceiving(uint32_t c)
{
    static const struct range ranges[] = {
        {0x0, 0x1F},        {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},
        {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180E, 0x180E},   {0x200B, 0x200B},   {0x200E, 0x200F},
        {0x2028, 0x202E},   {0x2060, 0x206F},   {0x2800, 0x2800},   {0x3164, 0x3164},   {0xFDD0, 0xFDEF},
        {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFF},   {0x1BCA0, 0x1BCA3}, {0x1D159, 0x1D159},
        {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}, {0xE01F0, 0xE0FFF},
    };

    if (c >= 0x20 && c < 0x7F)
        return false;
    return (c & 0xFFFE) == 0xFFFE || is_among(c, ranges, ARRAY_COUNT(ranges)); /* the first: no characters at all */
}

static bool
is_selector(uint32_t c)
{
    return (c >= 0xFE00 && c <= 0xFE0F) || (c >= 0x180B && c <= 0x180D) || c == 0x180F ||
           (c >= 0xE0100 && c <= 0xE01EF);
}

static bool
is_pictograph(uint32_t c)
{
    static const struct range ranges[] = {
        {0xA9, 0xA9},     {0xAE, 0xAE},     {0x203C, 0x203C}, {0x2049, 0x2049}, {0x2122, 0x2122}, {0x2139, 0x2139},
        {0x2190, 0x2BFF}, {0x3030, 0x3030}, {0x303D, 0x303D}, {0x3297, 0x3297}, {0x3299, 0x3299}, {0x1F000, 0x1FAFF},
    };

    return is_among(c, ranges, ARRAY_COUNT(ranges));
}

/* A variation selector chooses the look of the character before it, where that has several: of pictographs, of Han,
 * Mongolian, Myanmar and Phags-pa letters. Behind any other it does nothing that can be seen. */
static bool
takes_selector(uint32_t before, uint32_t selector)
{
    static const struct range han[] = {{0x3400, 0x9FFF}, {0xF900, 0xFAFF}, {0x20000, 0x3FFFF}};

    if (selector < 0xFE00)
        return before >= 0x1820 && before <= 0x18AF;
    if (is_among(before, han, ARRAY_COUNT(han)))
        return true;
    return selector <= 0xFE0F &&
           (is_pictograph(before) || (before >= 0x1000 && before <= 0x109F) || (before >= 0xA840 && before <= 0xA877));
}

/* The sign that takes a consonant's vowel: a joiner behind it says how the two that meet are drawn, also at a word's
 * end (Bengali's khanda ta was spelt so). */
static bool
is_virama(uint32_t c)
{
    static const uint32_t viramas[] = {0x94D, 0x9CD, 0xA4D, 0xACD, 0xB4D,  0xBCD,  0xC4D,
                                       0xCCD, 0xD4D, 0xDCA, 0xF84, 0x1039, 0x17D2, 0x1B44};

    for (size_t i = 0; i < ARRAY_COUNT(viramas); i++)
        if (c == viramas[i])
            return true;
    return false;
}

/* Scripts whose letters join, and pictographs: the joiners U+200C and U+200D belong to how they are written. */
static bool
joins(uint32_t c)
{
    static const struct range scripts[] = {
        {0x600, 0x8FF},   {0x900, 0x109F},  {0x1780, 0x18AF}, {0x1B00, 0x1B7F},   {0xA840, 0xA87F},
        {0xA8E0, 0xA8FF}, {0xFB50, 0xFDCF}, {0xFE70, 0xFEFC}, {0x10A00, 0x10EFF}, {0x11000, 0x11FFF},
    };

    return is_pictograph(c) || c == 0xFE0F || is_among(c, scripts, ARRAY_COUNT(scripts));
}

static bool
is_name(const char *text, size_t len)
{
    uint32_t before = 0;
    bool seen = false, joined = false; /* joined: what stands before is a joiner that needs something behind it */

    if (!text_is_utf8(text, len))
        return false;
    for (size_t place = 0; place < len;) {
        uint32_t c = next_code_point(text, &place);
        bool joiner = c == 0x200C || c == 0x200D;

        if (is_deceiving(c) || (joined && !joins(c)) || (joiner && !joins(before)) ||
            (is_selector(c) && !takes_selector(before, c)))
            return false;
        seen = seen || !(is_blank(c) || joiner);
        joined = joiner && !is_virama(before);
        before = c;
    }
    return seen && !joined;
}

/* Several lines and any script; only what shows nothing at all is refused. */
static bool
is_said(const char *text, size_t len)
{
    if (!text_is_utf8(text, len))
        return false;
    for (size_t place = 0; place < len;) {
        uint32_t c = next_code_point(text, &place);

        if (!is_blank(c) && !is_deceiving(c) && !is_selector(c) && c != 0x200C && c != 0x200D)
            return true;
    }
    return len == 0;
}

static bool
is_uuid(const char *text, size_t len)
{
    if (len != 36)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? text[i] != '-' : !is_hex(text[i]))
            return false;
    }
    return true;
}

static bool
is_host(const char *text, size_t len)
{
    size_t label = 0;

    for (size_t i = 0; i < len; i++) {
        bool dot = text[i] == '.', hyphen = text[i] == '-', ends = i + 1 == len || text[i + 1] == '.';

        if (!dot && !hyphen && !isalnum((unsigned char)text[i]))
            return false;
        if ((dot && label == 0) || (hyphen && (label == 0 || ends)) || (!dot && label == 63))
            return false;
        label = dot ? 0 : label + 1;
    }
    return label > 0 && len <= 253;
}

/* A browser is handed this: nothing that it would run, and no way out of where files are kept. */
static bool
is_image(const char *text, size_t len)
{
    char before = '/';

    if (is_url(text, len))
        return true;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || strchr("._~-/", text[i]) == NULL))
            return false;
        if (before == '/' && (text[i] == '/' || text[i] == '.'))
            return false;
        before = text[i];
    }
    return before != '/';
}

static bool
is_images(const char *text, size_t len)
{
    size_t end;

    for (size_t at = 0; at < len; at = end + 1) {
        size_t last;

        for (; at < len && text[at] == ' '; at++)
            ;
        for (end = at; end < len && text[end] != ','; end++)
            ;
        for (last = end; last > at && text[last - 1] == ' '; last--)
            ;
        if (last > at && !is_image(text + at, last - at))
            return false;
    }
    return true;
}

const char *
format_error(enum schema_format format, const char *text, size_t len)
{
    int64_t time_us;

    switch (format) {
    case FORMAT_EMAIL: return is_email(text, len) ? NULL : "must be an e-mail address";
    case FORMAT_URI: return is_url(text, len) ? NULL : "must be an http or https URL";
    case FORMAT_UUID: return is_uuid(text, len) ? NULL : "must be a UUID";
    case FORMAT_SLUG: return is_slug(text, len) ? NULL : "must consist of a-z, 0-9 and hyphens";
    case FORMAT_PHONE: return is_phone(text, len) ? NULL : "must be a phone number of 8 to 20 digits";
    case FORMAT_DATE:
        return len == 10 && text_to_time(text, len, &time_us) == 0 ? NULL : "must be a date such as 2026-01-15";
    case FORMAT_NAME: return is_name(text, len) ? NULL : "must be visible text without control or direction characters";
    case FORMAT_TEXT: return is_said(text, len) ? NULL : "must not consist of blanks and invisible characters alone";
    case FORMAT_HOST: return is_host(text, len) ? NULL : "must be a host name such as shop.example.com";
    case FORMAT_IMAGE: return is_image(text, len) ? NULL : "must be an http or https URL, or the key of an image";
    case FORMAT_IMAGES:
        return is_images(text, len) ? NULL : "must be http or https URLs or keys of images, commas between them";
    case FORMAT_BINARY: return "must be binary";
    default: return NULL;
    }
}
