/* Whatever text comes as a cursor is refused, also when all but one bit of it was ours; and what we made is read back.
 */
#include <assert.h>
#include <string.h>

#include "cursor.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const uint8_t key[CURSOR_KEY_SIZE] = {1, 2, 3};

    (void)argc;
    (void)argv;
    cursor_set_key(key);
    return 0;
}

/* A cursor made of the bytes themselves, changed in one bit that they choose. */
static void
check_own(struct arena *arena, const uint8_t *data, size_t size)
{
    struct cursor made = {.sort = data[0] & 63, .descending = data[0] >> 7}, read;
    char *text;
    size_t len, place;
    int result;

    memcpy(&made.filters, data + 1, 8);
    memcpy(&made.id, data + 9, 8);
    made.key = (struct str){(const char *)data + 17, size - 17};
    text = cursor_encode(&made, arena);
    assert((text == NULL) == (made.key.len > CURSOR_KEY_MAX));
    if (text == NULL)
        return;
    read = made;
    len = strlen(text);
    assert(len < CURSOR_TEXT_MAX);
    result = cursor_decode(&read, arena, text, len);
    assert(result == 0 && read.id == made.id && str_equal(read.key, made.key));
    place = (data[1] | (size_t)data[2] << 8) % len;
    text[place] = (char)(text[place] ^ 1 << (data[3] & 7));
    result = cursor_decode(&read, arena, text, len);
    assert(result != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(4096);
    struct cursor read = {0};
    int result = cursor_decode(&read, arena, (const char *)data, size);

    assert(result != 0); /* nobody guesses the MAC */
    assert(read.id == 0 && read.key.base == NULL);
    if (size >= 17)
        check_own(arena, data, size);
    arena_destroy(&arena);
    return 0;
}
