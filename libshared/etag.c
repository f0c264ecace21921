/* etag.c - XXH3 of the body, in the canonical form of libxxhash: every process on every machine gives the same tag. */
#include "etag.h"

#include <string.h>
#include <xxhash.h>

#include "secret.h"

void
etag_of(char target[ETAG_SIZE], const void *data, size_t size)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    target[0] = '"';
    secret_hex(target + 1, canonical.digest, sizeof canonical.digest);
    target[33] = '"';
    target[34] = '\0';
}

static bool
names(struct str header, const char *tag, bool weak_too)
{
    const char *place = header.base, *end = header.base + header.len;
    size_t size = strlen(tag);

    while (place < end) {
        const char *comma = memchr(place, ',', (size_t)(end - place));
        const char *stop = comma ? comma : end;

        while (place < stop && (*place == ' ' || *place == '\t'))
            place++;
        while (stop > place && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        if (stop - place == 1 && *place == '*')
            return true;
        if (weak_too && stop - place > 2 && place[0] == 'W' && place[1] == '/')
            place += 2;
        if ((size_t)(stop - place) == size && memcmp(place, tag, size) == 0)
            return true;
        place = comma ? comma + 1 : end;
    }
    return false;
}

bool
etag_matches(struct str header, const char *tag)
{
    return names(header, tag, true);
}

bool
etag_matches_strongly(struct str header, const char *tag)
{
    return names(header, tag, false);
}
