/* cursor.c - packs a cursor into few bytes and signs them.
 *
 *   0  1  version, 1          2  8  filters, big endian        18  n   key
 *   1  1  sort x 4 + key present x 2 + descending              18+n 16 MAC: HMAC-SHA256 of all before, cut to half
 *                            10  8  id, big endian
 *
 * base64url with unused bits zero has one text for each value (text.h), so every changed character is found.
 */
#include "cursor.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "secret.h"
#include "text.h"

#define VERSION     1
#define SORT_MAX    63
#define HEADER_SIZE 18
#define MAC_SIZE    16
#define PACKED_MAX  (HEADER_SIZE + CURSOR_KEY_MAX + MAC_SIZE)

_Static_assert(BASE64_SIZE(PACKED_MAX) <= CURSOR_TEXT_MAX, "a cursor fits into its text");

static pthread_rwlock_t guard = PTHREAD_RWLOCK_INITIALIZER;
static uint8_t mac_keys[CURSOR_KEYS_MAX][CURSOR_KEY_SIZE];
static unsigned mac_key_count;

void
cursor_set_keys(const uint8_t keys[][CURSOR_KEY_SIZE], unsigned count)
{
    assert(count > 0 && count <= CURSOR_KEYS_MAX);
    pthread_rwlock_wrlock(&guard);
    memcpy(mac_keys, keys, count * sizeof mac_keys[0]);
    mac_key_count = count;
    pthread_rwlock_unlock(&guard);
}

static void
sign(uint8_t mac[SHA256_SIZE], const uint8_t *packed, size_t size)
{
    pthread_rwlock_rdlock(&guard);
    assert(mac_key_count > 0);
    secret_hmac(mac, mac_keys[0], CURSOR_KEY_SIZE, packed, size);
    pthread_rwlock_unlock(&guard);
}

static bool
is_signed(const uint8_t *packed, size_t size)
{
    uint8_t mac[SHA256_SIZE];
    bool right = false;

    pthread_rwlock_rdlock(&guard);
    assert(mac_key_count > 0);
    for (unsigned i = 0; i < mac_key_count && !right; i++) {
        secret_hmac(mac, mac_keys[i], CURSOR_KEY_SIZE, packed, size);
        right = secret_equal(mac, packed + size, MAC_SIZE);
    }
    pthread_rwlock_unlock(&guard);
    return right;
}

/* Everything but the key's text. */
static void
pack_header(uint8_t target[HEADER_SIZE], const struct cursor *self)
{
    target[0] = VERSION;
    target[1] = (uint8_t)(self->sort << 2 | (self->key.base != NULL) << 1 | self->descending);
    uint_to_bytes(target + 2, self->filters, 8);
    uint_to_bytes(target + 10, (uint64_t)self->id, 8);
}

char *
cursor_encode(const struct cursor *self, struct arena *arena)
{
    uint8_t packed[PACKED_MAX], mac[SHA256_SIZE];
    size_t size = HEADER_SIZE + self->key.len;
    char *text;

    if (self->key.len > CURSOR_KEY_MAX || self->sort > SORT_MAX)
        return NULL;
    pack_header(packed, self);
    if (self->key.len > 0)
        memcpy(packed + HEADER_SIZE, self->key.base, self->key.len);
    sign(mac, packed, size);
    memcpy(packed + size, mac, MAC_SIZE);
    text = arena_alloc(arena, BASE64_SIZE(size + MAC_SIZE));
    text_to_base64url(text, packed, size + MAC_SIZE);
    return text;
}

int
cursor_decode(struct cursor *self, struct arena *arena, const char *text, size_t len)
{
    uint8_t packed[CURSOR_TEXT_MAX], header[HEADER_SIZE];
    struct cursor expected = *self;
    size_t size;

    if (len >= CURSOR_TEXT_MAX || text_from_base64url(packed, &size, text, len) != 0 || size < HEADER_SIZE + MAC_SIZE ||
        size > PACKED_MAX)
        return -1;
    size -= MAC_SIZE;
    if (!is_signed(packed, size))
        return -1;
    size -= HEADER_SIZE;
    expected.id = (int64_t)uint_from_bytes(packed + 10, 8);
    expected.key = (struct str){NULL, 0};
    if ((packed[1] & 2) != 0)
        expected.key = (struct str){arena_strndup(arena, (const char *)packed + HEADER_SIZE, size), size};
    pack_header(header, &expected);
    if (memcmp(header, packed, HEADER_SIZE) != 0)
        return -1;
    *self = expected;
    return 0;
}

uint64_t
cursor_hash(uint64_t seed, const char *data, size_t len)
{
    /* FNV-1a. It only tells lists apart; what keeps people from making cursors is the MAC. */
    uint64_t hash = seed ^ UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)data[i]) * UINT64_C(1099511628211);
    for (size_t i = 0; i < 8; i++) /* and the length, so that ("ab", "c") is not ("a", "bc") */
        hash = (hash ^ (uint8_t)((uint64_t)len >> (8 * i))) * UINT64_C(1099511628211);
    return hash;
}
