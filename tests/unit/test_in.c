/* Reading msgpack: look-ups that cannot fail, and messages that lie about their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "in.h"
#include "out.h"
#include "token.h"

static int
setup(void **state)
{
    *state = arena_new(256);
    return 0;
}

static int
teardown(void **state)
{
    arena_destroy((struct arena **)state);
    return 0;
}

static void
looks_up_by_path(void **state)
{
    struct buf buf;
    struct out out;
    struct in in;

    buf_init(&buf, 4096);
    out_init(&out, &buf, OUT_MSGPACK);
    out_map(&out, 2);
    out_key(&out, "path");
    out_map(&out, 1);
    out_key(&out, "order_id");
    out_int(&out, 9007199254740993);
    out_key(&out, "body");
    out_map(&out, 7);
    out_key(&out, "name");
    out_text(&out, "Rahim");
    out_key(&out, "none");
    out_null(&out);
    out_key(&out, "paid");
    out_bool(&out, true);
    out_key(&out, "price");
    out_money(&out, -146050, 2);
    out_key(&out, "at");
    out_time(&out, -1);
    out_key(&out, "hash");
    out_binary(&out, "\0\1", 2);
    out_key(&out, "items");
    out_list(&out, 2);
    out_int(&out, -5);
    out_map(&out, 0);
    assert_true(out_complete(&out));

    assert_int_equal(in_decode(&in, *state, buf.data, buf.size), 0);
    assert_true(in_int(in, "path.order_id", 0) == 9007199254740993);
    assert_string_equal(in_text(in, "body.name"), "Rahim");
    assert_true(str_is(in_str(in, "body.name"), "Rahim"));
    assert_int_equal(in_str(in, "body.hash").len, 2);
    assert_true(in_bool(in, "body.paid", false));
    assert_int_equal(in_money(in, "body.price", 0), -146050);
    assert_int_equal(in_time(in, "body.at", 0), -1);
    assert_true(in_is_null(in, "body.none"));
    assert_false(in_has(in, "body.none"));
    assert_true(in_has(in, "body.name"));
    assert_true(in_is_sent(in, "body.name") && in_is_sent(in, "body.none") && !in_is_sent(in, "body.absent"));
    assert_string_equal(in_text_after(in, "body.name", "Karim"), "Rahim");
    assert_string_equal(in_text_after(in, "body.absent", "Karim"), "Karim");
    assert_null(in_text_after(in, "body.none", "Karim"));
    assert_int_equal(in_count(in, "body"), 7);
    assert_int_equal(in_count(in, "body.items"), 2);
    assert_int_equal(in_int(in_item(in_at(in, "body.items"), 0), "", 0), -5);
    assert_true(str_is(in_key(in_at(in, "path"), 0), "order_id"));
    assert_true(in_int(in_value(in_at(in, "path"), 0), "", 0) == 9007199254740993);
    buf_free(&buf);
}

static void
what_is_not_there_is_otherwise(void **state)
{
    struct in in;
    /* {"a": 18446744073709551615, "b": {}} */
    const char data[] = "\x82\xa1"
                        "a\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1"
                        "b\x80";

    assert_int_equal(in_decode(&in, *state, data, sizeof(data) - 1), 0);
    assert_int_equal(in_int(in, "a", 42), 42);
    assert_int_equal(in_int(in, "b", 42), 42);
    assert_int_equal(in_int(in, "a.b.c", 42), 42);
    assert_int_equal(in_int(in, "b.c", 42), 42);
    assert_null(in_text(in, "a"));
    assert_null(in_str(in, "x").base);
    assert_false(in_has(in, "x"));
    assert_false(in_is_null(in, "x"));
    assert_true(in_bool(in, "a", true));
    assert_int_equal(in_time(in, "a", 7), 7);
    assert_int_equal(in_money(in, "a", 7), 7);
    assert_int_equal(in_count(in, "a"), 0);
    assert_int_equal(in_count(in, "x"), 0);
    assert_null(in_item(in, 0).object);
    assert_null(in_value(in, 2).object);
    assert_null(in_key(in, 2).base);
    assert_null(in_at(in_item(in, 0), "a").object);
}

static int
decode(struct arena *arena, const char *data, size_t size)
{
    struct in in;
    int result = in_decode(&in, arena, data, size);

    assert_true((in.object != NULL) == (result == 0));
    return result;
}

static void
lies_are_refused(void **state)
{
    static const struct str bad[] = {
        STR(""),
        STR("\xdd\x04\x00\x00\x00"), /* 67 million items in five bytes */
        STR("\xdf\xff\xff\xff\xff"), /* four thousand million pairs */
        STR("\xdd\xff\xff\xff\xff\x01"),
        STR("\x92\x92\x01\x02"), /* the inner list takes what the outer one needs */
        STR("\x81\xa1"),
        STR("\x81\x01\x01"), /* a name that is no text */
        STR("\x81\xc0\x01"),
        STR("\x01\x01"), /* trailing bytes */
        STR("\xc1"),
        STR("\xd9"),
        STR("\xd9\x05"
            "abcd"),
        STR("\xdb\xff\xff\xff\xff"
            "a"),
        STR("\xc4\x02\x01"),
        STR("\xc6\x00\x00\x00"),
        STR("\xc7\x05\x01"
            "abcd"),
        STR("\xc9\xff\xff\xff\xff\x01"),
        STR("\xd8\x01"),
        STR("\xd4\x01"),
        STR("\xd4"),
        STR("\xcc"),
        STR("\xcd\x01"),
        STR("\xce\x01\x02\x03"),
        STR("\xcf\1\2\3\4\5\6\7"),
        STR("\xca\1\2\3"),
        STR("\xa5"
            "abcd"),
    };
    size_t used = arena_used(*state);

    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(decode(*state, bad[i].base, bad[i].len), -1);
    assert_true(arena_used(*state) - used < 10000);
}

static void
depth_is_bounded(void **state)
{
    char data[201];

    memset(data, 0x91, sizeof(data));
    data[200] = 1;
    assert_int_equal(decode(*state, data, sizeof(data)), -1);
    data[TOKEN_DEPTH_MAX] = 1;
    assert_int_equal(decode(*state, data, TOKEN_DEPTH_MAX + 1), 0);
    data[TOKEN_DEPTH_MAX] = (char)0x90;
    assert_int_equal(decode(*state, data, TOKEN_DEPTH_MAX + 1), -1);
}

/* Each kind of head at the edges of its range, as msgpack-c writes it. */
static void
every_integer_comes_back(void **state)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        for (int64_t near = -2; near <= 2; near++) {
            for (int sign = -1; sign <= 1; sign += 2) {
                int64_t value = (int64_t)(((UINT64_C(1) << bits) + (uint64_t)near) * (uint64_t)(int64_t)sign);
                struct buf buf;
                struct out out;
                struct in in;

                buf_init(&buf, 100);
                out_init(&out, &buf, OUT_MSGPACK);
                out_int(&out, value);
                assert_int_equal(in_decode(&in, *state, buf.data, buf.size), 0);
                assert_true(in_int(in, "", ~value) == value);
                buf_free(&buf);
            }
        }
    }
}

static void
times_in_all_sizes(void **state)
{
    static const int64_t times[] = {0,
                                    -1,
                                    1,
                                    999999,
                                    1000000,
                                    -999999,
                                    -1000000,
                                    INT64_C(4294967295999999),
                                    INT64_C(17179869183999999),
                                    INT64_C(17179869184000000),
                                    INT64_MAX,
                                    INT64_MIN + 1000000};
    struct in in;

    for (size_t i = 0; i < ARRAY_COUNT(times); i++) {
        struct buf buf;

        buf_init(&buf, 100);
        token_append_time(&buf, times[i]);
        assert_int_equal(in_decode(&in, *state, buf.data, buf.size), 0);
        assert_true(in_time(in, "", 5) == times[i]);
        buf_free(&buf);
    }
    assert_int_equal(in_decode(&in, *state, "\xd6\xff\0\0\0\1", 6), 0); /* timestamp 32 */
    assert_int_equal(in_time(in, "", 0), 1000000);
    /* a thousand million nanoseconds, seconds beyond our range, a length that is none */
    assert_int_equal(in_decode(&in, *state, "\xd7\xff\xff\xff\xff\xff\0\0\0\0", 10), 0);
    assert_int_equal(in_time(in, "", 5), 5);
    assert_int_equal(in_decode(&in, *state, "\xc7\x0c\xff\0\0\0\0\x7f\0\0\0\0\0\0\0", 15), 0);
    assert_int_equal(in_time(in, "", 5), 5);
    assert_int_equal(in_decode(&in, *state, "\xc7\x02\xff\0\0", 5), 0);
    assert_int_equal(in_time(in, "", 5), 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(looks_up_by_path, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_otherwise, setup, teardown),
        cmocka_unit_test_setup_teardown(lies_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(every_integer_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(times_in_all_sizes, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
