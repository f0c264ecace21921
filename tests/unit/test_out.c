/* Writing one value in both encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "in.h"
#include "json.h"
#include "out.h"

struct fixture {
    struct buf buf;
    struct out out;
};

static void
start(struct fixture *self, enum out_encoding encoding, size_t size_max)
{
    buf_init(&self->buf, size_max);
    out_init(&self->out, &self->buf, encoding);
}

static void
expect(struct fixture *self, const char *text)
{
    assert_true(out_complete(&self->out));
    assert_int_equal(self->buf.size, strlen(text));
    assert_memory_equal(self->buf.data, text, self->buf.size);
    buf_free(&self->buf);
}

static void
write_order(struct out *out)
{
    out_map(out, 8);
    out_key(out, "order_id");
    out_int(out, -7);
    out_key(out, "total");
    out_money(out, 146000, 2);
    out_key(out, "created_at");
    out_time(out, INT64_C(1768465800123456));
    out_key(out, "items");
    out_list(out, 3);
    out_map(out, 0);
    out_list(out, 0);
    out_list(out, 1);
    out_bool(out, true);
    out_key(out, "note");
    out_text(out, NULL);
    out_key(out, "empty");
    out_map(out, 1);
    out_key(out, "inner");
    out_list(out, 0);
    out_key(out, "hash");
    out_binary(out, "\xfb\xff", 2);
    out_key(out, "last");
    out_bool(out, false);
}

static const char order_json[] = "{\"order_id\":-7,\"total\":1460.00,\"created_at\":\"2026-01-15T08:30:00.123Z\","
                                 "\"items\":[{},[],[true]],\"note\":null,\"empty\":{\"inner\":[]},\"hash\":\"+/8=\","
                                 "\"last\":false}";

static void
containers_close_by_themselves(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, OUT_JSON, 4096);
    write_order(&f.out);
    expect(&f, order_json);
}

static void
msgpack_becomes_the_same_json(void **state)
{
    struct fixture packed, json;

    (void)state;
    start(&packed, OUT_MSGPACK, 4096);
    write_order(&packed.out);
    assert_true(out_complete(&packed.out));

    start(&json, OUT_JSON, 4096);
    out_msgpack(&json.out, (struct str){packed.buf.data, packed.buf.size});
    expect(&json, order_json);

    /* inside containers of the caller, before and after other members */
    start(&json, OUT_JSON, 4096);
    out_map(&json.out, 2);
    out_key(&json.out, "data");
    out_msgpack(&json.out, (struct str){"\x92\x01\x90", 3});
    out_key(&json.out, "status");
    out_int(&json.out, 200);
    expect(&json, "{\"data\":[1,[]],\"status\":200}");
    buf_free(&packed.buf);
}

static void
incomplete_is_known(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, OUT_JSON, 4096);
    out_list(&f.out, 2);
    out_int(&f.out, 1);
    assert_false(out_complete(&f.out));
    out_int(&f.out, 2);
    expect(&f, "[1,2]");

    start(&f, OUT_JSON, 6);
    out_list(&f.out, 2);
    out_text(&f.out, "too long");
    out_text(&f.out, "x");
    assert_false(out_complete(&f.out));
    buf_free(&f.buf);
}

/* Every character at every distance from the blocks of eight. */
static void
escapes_at_every_offset(void **state)
{
    char text[40], expected[64];

    (void)state;
    for (unsigned c = 1; c < 256; c++) {
        for (size_t at = 0; at < 20; at++) {
            struct fixture f;
            struct buf again;
            char why[JSON_WHY_SIZE];
            size_t len;

            memset(text, 'x', 20);
            text[at] = (char)c;
            start(&f, OUT_JSON, 4096);
            out_str(&f.out, (struct str){text, 20});
            if (c >= 0x20 && c != '"' && c != '\\') {
                assert_int_equal(f.buf.size, 22);
                assert_memory_equal(f.buf.data + 1, text, 20);
                buf_free(&f.buf);
                continue;
            }
            buf_init(&again, 4096);
            assert_int_equal(json_to_msgpack(f.buf.data, f.buf.size, &again, why), 0);
            expected[0] = (char)(0xa0 + 20);
            memcpy(expected + 1, text, 20);
            len = 21;
            assert_int_equal(again.size, len);
            assert_memory_equal(again.data, expected, len);
            buf_free(&again);
            buf_free(&f.buf);
        }
    }
}

static void
escapes_are_the_short_ones(void **state)
{
    struct fixture f;

    (void)state;
    start(&f, OUT_JSON, 4096);
    out_str(&f.out, STR("a\"b\\c\n\r\t\b\f\x01\x1f/\x7f\xe0\xa6\xac"));
    expect(&f, "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f/\x7f\xe0\xa6\xac\"");
    start(&f, OUT_JSON, 4096);
    out_map(&f.out, 1);
    out_key(&f.out, "\"k\"");
    out_text(&f.out, "");
    expect(&f, "{\"\\\"k\\\"\":\"\"}");
}

static void
trusted_json_passes(void **state)
{
    struct fixture f;
    struct arena *arena = arena_new(1024);
    struct in in;

    (void)state;
    start(&f, OUT_JSON, 4096);
    out_list(&f.out, 2);
    out_json(&f.out, STR("{\"a\": 1}"));
    out_json(&f.out, (struct str){NULL, 0});
    expect(&f, "[{\"a\": 1},null]");

    start(&f, OUT_MSGPACK, 4096);
    out_list(&f.out, 2);
    out_json(&f.out, STR("{\"a\": 1.50}"));
    out_int(&f.out, 3);
    assert_true(out_complete(&f.out));
    assert_int_equal(in_decode(&in, arena, f.buf.data, f.buf.size), 0);
    assert_int_equal(in_int(in_item(in, 1), "", 0), 3);
    assert_int_equal(in_at(in_item(in, 0), "a").object->type, MSGPACK_OBJECT_EXT);
    buf_free(&f.buf);

    start(&f, OUT_MSGPACK, 4096);
    out_json(&f.out, STR("{\"a\": "));
    assert_false(out_complete(&f.out));
    buf_free(&f.buf);
    arena_destroy(&arena);
}

static void
odd_msgpack_as_json(void **state)
{
    static const struct {
        struct str value;
        const char *json;
    } rows[] = {
        {STR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615"},
        {STR("\xcb\x3f\xf8\0\0\0\0\0\0"), "1.5"},
        {STR("\xca\x3f\xc0\0\0"), "1.5"},
        {STR("\xcb\x7f\xf8\0\0\0\0\0\0"), "null"},
        {STR("\xcb\x7f\xf0\0\0\0\0\0\0"), "null"},
        {STR("\xd6\xff\0\0\0\1"), "\"1970-01-01T00:00:01.000Z\""},
        {STR("\xc7\x04\x02"
             "1e-5"),
         "1e-5"},
        {STR("\xc7\x05\x02"
             "1,\"a\""),
         "null"},
        {STR("\xd4\x63\1"), "null"},
        {STR("\xc7\x09\x01\x09\0\0\0\0\0\0\0\1"), "null"}, /* money with nine decimals */
        {STR("\xc4\x00"), "\"\""},
    };
    static const struct str bad[] = {STR("\x92\x01"), STR("\x01\x01"), STR(""), STR("\x81\x01\x01"),
                                     STR("\xdd\xff\xff\xff\xff\x01")};
    struct fixture f;
    char deep[100];

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        start(&f, OUT_JSON, 4096);
        out_msgpack(&f.out, rows[i].value);
        expect(&f, rows[i].json);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        start(&f, OUT_JSON, 4096);
        out_list(&f.out, 2);
        out_msgpack(&f.out, bad[i]);
        out_int(&f.out, 1);
        assert_false(out_complete(&f.out));
        assert_int_equal(f.out.depth, 0);
        buf_free(&f.buf);
    }
    memset(deep, 0x91, sizeof(deep));
    start(&f, OUT_JSON, 4096);
    out_msgpack(&f.out, (struct str){deep, sizeof(deep)});
    assert_false(out_complete(&f.out));
    buf_free(&f.buf);
    start(&f, OUT_JSON, 4096);
    out_msgpack(&f.out, (struct str){NULL, 0});
    expect(&f, "null");
}

static void
names_and_values_in_one(void **state)
{
    struct fixture self;

    (void)state;
    start(&self, OUT_JSON, 4096);
    out_map(&self.out, 4);
    out_key_id(&self.out, "order_id", 7);
    out_key_id(&self.out, "product_id", 0);
    out_key_text(&self.out, "note", "n");
    out_key_text(&self.out, "name", NULL);
    expect(&self, "{\"order_id\":7,\"product_id\":null,\"note\":\"n\",\"name\":null}");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_in_one),       cmocka_unit_test(containers_close_by_themselves),
        cmocka_unit_test(msgpack_becomes_the_same_json), cmocka_unit_test(incomplete_is_known),
        cmocka_unit_test(escapes_at_every_offset),       cmocka_unit_test(escapes_are_the_short_ones),
        cmocka_unit_test(trusted_json_passes),           cmocka_unit_test(odd_msgpack_as_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
