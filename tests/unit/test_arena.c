/* Arenas: aligned, zeroed, growing, and the same memory again after a reset. */
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arena.h"

static void
memory_is_zeroed_and_aligned(void **state)
{
    struct arena *arena = arena_new(100);

    (void)state;
    for (size_t size = 0; size < 300; size++) {
        unsigned char *memory = arena_alloc(arena, size);

        assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 0xEE, size);
    }
    arena_destroy(&arena);
    assert_null(arena);
    arena_destroy(&arena);
}

static void
reset_gives_the_first_block_again(void **state)
{
    struct arena *arena = arena_new(4096);
    void *first = arena_alloc(arena, 64);

    (void)state;
    memset(first, 1, 64);
    arena_alloc(arena, 100000);
    assert_true(arena_used(arena) >= 100064);
    arena_reset(arena);
    assert_int_equal(arena_used(arena), 0);
    assert_ptr_equal(arena_alloc(arena, 64), first);
    assert_int_equal(*(char *)first, 0);
    arena_destroy(&arena);
}

static void
text_is_copied(void **state)
{
    struct arena *arena = arena_new(16);
    char *longer;

    (void)state;
    assert_string_equal(arena_strndup(arena, "abcdef", 3), "abc");
    assert_string_equal(arena_strndup(arena, NULL, 0), "");
    assert_null(arena_strdup(arena, NULL));
    assert_string_equal(arena_printf(arena, "%s-%d", "order", 7), "order-7");
    longer = arena_printf(arena, "%01000d", 5);
    assert_int_equal(strlen(longer), 1000);
    assert_int_equal(longer[999], '5');
    arena_destroy(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_and_aligned),
        cmocka_unit_test(reset_gives_the_first_block_again),
        cmocka_unit_test(text_is_copied),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
