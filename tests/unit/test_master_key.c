/* The key file: what it may hold, that it is followed while it changes, and that the exchange of a key leaves nothing
 * that cannot be opened in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "master_key.h"
#include "secret.h"

#define A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define B "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static char path[] = "/tmp/test_master_key_XXXXXX";

static void
write_text(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static struct master_keys
read_text(const char *text)
{
    struct master_keys keys;
    const char *why;

    write_text(text);
    assert_int_equal(master_keys_read(&keys, path, &why), 0);
    return keys;
}

static int
make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0)
        return -1;
    close(fd);
    write_text(A);
    master_load(path);
    return 0;
}

static int
remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void
the_three_forms_are_read(void **state)
{
    struct master_keys one = read_text(A), line = read_text(A "\n");
    struct master_keys next = read_text(A "\nnext " B "\n"), old = read_text(B "\nold " A);

    (void)state;
    assert_int_equal(one.other, MASTER_NONE);
    assert_memory_equal(one.current.key, "\x00\x01\x02\x03", 4);
    assert_memory_equal(one.current.key, line.current.key, MASTER_KEY_SIZE);
    assert_int_equal(next.other, MASTER_NEXT);
    assert_int_equal(old.other, MASTER_OLD);
    assert_memory_equal(next.current.id, old.second.id, MASTER_KEY_ID_SIZE);
    assert_memory_equal(next.second.id, old.current.id, MASTER_KEY_ID_SIZE);
    assert_memory_not_equal(next.second.id, next.current.id, MASTER_KEY_ID_SIZE);
}

static void
other_files_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        A "0",
        A "\n\n",
        A "\r\n",
        A " ",
        A "\nnext",
        A "\nnext ",
        A "\n" B "\n",
        A "\nsoon " B,
        A "\nnext " B " ",
        A "\nnext " A "\n",
        "next " A,
        A "\nold x\n",
        " " A "\n",
        A "next " B "\n",
        A "\nold " B "\nold " B "\n",
        "0x" A,
    };
    struct master_keys keys;
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write_text(bad[i]);
        why = NULL;
        assert_int_equal(master_keys_read(&keys, path, &why), -1);
        assert_non_null(why);
    }
    assert_int_equal(master_keys_read(&keys, "/nonexistent/key", &why), -1);
}

static void
what_is_written_is_read(void **state)
{
    struct master_keys keys = read_text(A "\nnext " B "\n"), again;
    struct stat before, after;
    char beside[sizeof path + 8];
    const char *why;

    (void)state;
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(stat(path, &before), 0);
    for (int other = MASTER_NONE; other <= MASTER_OLD; other++) {
        keys.other = (enum master_other)other;
        assert_int_equal(master_keys_write(&keys, path), 0);
        assert_int_equal(master_keys_read(&again, path, &why), 0);
        assert_int_equal(again.other, keys.other);
        assert_memory_equal(&again.current, &keys.current, sizeof again.current);
        if (other != MASTER_NONE)
            assert_memory_equal(&again.second, &keys.second, sizeof again.second);
    }
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_uid, before.st_uid);
    assert_int_equal(master_keys_write(&keys, "/nonexistent/key"), -1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* nothing can take its place: the new file must not stay beside it */
    assert_int_equal(master_keys_write(&keys, path), -1);
    assert_int_equal(rmdir(path), 0);
    assert_true(snprintf(beside, sizeof beside, "%s.new", path) > 0);
    assert_int_equal(access(beside, F_OK), -1);
}

static int
opens(const uint8_t *sealed)
{
    uint8_t opened[4];

    return secret_open(opened, "secrets", STR("app:7"), sealed, 4 + SEAL_OVERHEAD);
}

static void
an_exchange_is_followed(void **state)
{
    uint8_t first[4 + SEAL_OVERHEAD], second[4 + SEAL_OVERHEAD], keys[DERIVED_KEYS_MAX][DERIVED_KEY_SIZE], before[32];

    (void)state;
    write_text(A "\n");
    secret_seal(first, "secrets", STR("app:7"), "text", 4);
    secret_derive(before, "cursor");
    assert_int_equal(secret_derive_all(keys, "cursor", true), 1);
    write_text(A "\nnext " B "\n"); /* not used yet, but known */
    secret_seal(second, "secrets", STR("app:7"), "text", 4);
    assert_memory_equal(first, second, MASTER_KEY_ID_SIZE);
    assert_int_equal(secret_derive_all(keys, "cursor", true), 2);
    assert_memory_equal(keys[0], before, sizeof before);
    write_text(B "\nold " A "\n"); /* used, and the old one still opens */
    secret_seal(second, "secrets", STR("app:7"), "text", 4);
    assert_memory_not_equal(first, second, MASTER_KEY_ID_SIZE);
    assert_int_equal(opens(first), 0);
    assert_int_equal(opens(second), 0);
    assert_int_equal(secret_derive_all(keys, "cursor", true), 2);
    assert_memory_equal(keys[1], before, sizeof before);
    assert_int_equal(secret_derive_all(keys, "cursor", false), 1);
    assert_memory_not_equal(keys[0], before, sizeof before);
    write_text(B "\n"); /* forgotten */
    assert_int_equal(opens(first), -1);
    assert_int_equal(opens(second), 0);
    write_text("nonsense"); /* what is known stays */
    assert_int_equal(opens(second), 0);
    assert_int_equal(opens(first), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_are_read),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(an_exchange_is_followed),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
