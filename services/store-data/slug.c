/* slug.c - which characters of a name an address may have, by ranges of Unicode: what separates words, what does not
 * show, what has a lower case. Everything else is taken for a letter. */
#include "slug.h"

#include <string.h>

#include "buf.h"

struct range {
    uint32_t first, last;
};

/* Punctuation, symbols, arrows, drawings and emoji stand between words. */
static const struct range separators[] = {
    {0x00, 0x2f},     {0x3a, 0x40},     {0x5b, 0x60},       {0x7b, 0xa9},        {0xab, 0xb4},     {0xb6, 0xb9},
    {0xbb, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},       {0x2c2, 0x2df},      {0x37e, 0x37e},   {0x589, 0x58a},
    {0x5be, 0x5be},   {0x60c, 0x60d},   {0x61b, 0x61f},     {0x66a, 0x66d},      {0x6d4, 0x6d4},   {0x964, 0x965},
    {0x9f2, 0x9f3},   {0xe3f, 0xe3f},   {0x2000, 0x200b},   {0x2010, 0x2029},    {0x202f, 0x205f}, {0x20a0, 0x20cf},
    {0x2100, 0x2bff}, {0x2e00, 0x2e7f}, {0x3000, 0x3004},   {0x3008, 0x3020},    {0x3030, 0x3030}, {0x30fb, 0x30fb},
    {0xe000, 0xf8ff}, {0xfe10, 0xfe19}, {0xfe30, 0xfe6f},   {0xff01, 0xff0f},    {0xff1a, 0xff20}, {0xff3b, 0xff40},
    {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1f000, 0x1faff}, {0xf0000, 0x10ffff},
};

/* Soft hyphens, joiners, direction marks, variation selectors, tags: gone without a hyphen in their place. */
static const struct range unseen[] = {
    {0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},   {0x200c, 0x200f},   {0x202a, 0x202e},
    {0x2060, 0x206f}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xe0000, 0xe0fff},
};

static bool
is_among(const struct range *ranges, unsigned count, uint32_t c)
{
    for (unsigned i = 0; i < count; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static uint32_t
lower(uint32_t c)
{
    bool accented = (c >= 0xc0 && c <= 0xde) || (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f);

    if ((c >= 'A' && c <= 'Z') || accented)
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    if ((c >= 0x100 && c <= 0x12f) || (c >= 0x132 && c <= 0x137) || (c >= 0x14a && c <= 0x177))
        return c | 1; /* pairs of an even upper and an odd lower case */
    return c;
}

static unsigned
read_character(const char *text, uint32_t *c)
{
    const uint8_t *at = (const uint8_t *)text;
    unsigned size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    *c = size == 1 ? at[0] : at[0] & (0x7fU >> size);
    for (unsigned i = 1; i < size; i++)
        *c = *c << 6 | (at[i] & 0x3fU);
    return size;
}

static char *
put_character(char *at, uint32_t c)
{
    unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t heads[] = {0, 0xc0, 0xe0, 0xf0};

    *at++ = (char)(heads[more] | c >> (6 * more));
    while (more-- > 0)
        *at++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
    return at;
}

const char *
slug_of(struct arena *arena, const char *name, const char *otherwise)
{
    char *slug = arena_alloc(arena, strlen(name) + 1), *at = slug; /* no lower case is longer than its upper case */
    bool between = false;
    unsigned count = 0;

    while (*name && count < SLUG_CHARACTERS_MAX) {
        uint32_t c;

        name += read_character(name, &c);
        if (is_among(unseen, ARRAY_COUNT(unseen), c))
            continue;
        if (is_among(separators, ARRAY_COUNT(separators), c)) {
            between = true;
            continue;
        }
        if (between && at > slug && ++count < SLUG_CHARACTERS_MAX)
            *at++ = '-';
        between = false;
        if (count++ < SLUG_CHARACTERS_MAX)
            at = put_character(at, lower(c));
    }
    while (at > slug && at[-1] == '-')
        at--;
    *at = '\0';
    return at > slug ? slug : otherwise;
}

bool
slug_is_good(struct arena *arena, const char *slug)
{
    return strcmp(slug_of(arena, slug, ""), slug) == 0 && *slug;
}
