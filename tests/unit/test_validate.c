/* The validator: what it lets through, what it says about the rest, and how bad parameters are forgiven. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "json.h"
#include "money.h"
#include "out.h"
#include "token.h"
#include "validate.h"

#define ANY_SIZE .min = 0, .max = INT64_MAX

static const char *const statuses[] = {"pending", "paid", NULL};
static const struct schema any = {.type = SCHEMA_ANY};
static const struct schema flag = {.type = SCHEMA_BOOLEAN};
static const struct schema id = {.type = SCHEMA_INTEGER, .min = 1, .max = INT64_MAX};
static const struct schema quantity = {.type = SCHEMA_INTEGER, .min = 1, .max = 1000};
static const struct schema price = {.type = SCHEMA_MONEY, .decimals = 2, .min = 0, .max = 10000000};
static const struct schema text = {.type = SCHEMA_STRING, .min = 1, .max = 8};
static const struct schema note = {.type = SCHEMA_STRING, ANY_SIZE, .nullable = true};
static const struct schema status = {.type = SCHEMA_STRING, ANY_SIZE, .choices = statuses};
static const struct schema at = {.type = SCHEMA_STRING, ANY_SIZE, .format = FORMAT_DATE_TIME};
static const struct field item_fields[] = {{"quantity", &quantity, true}, {"price", &price, false}};
static const struct schema item = {.type = SCHEMA_OBJECT, ANY_SIZE, .fields = item_fields, .field_count = 2};
static const struct schema items = {.type = SCHEMA_ARRAY, .min = 1, .max = 3, .items = &item};
static const struct schema numbers = {.type = SCHEMA_OBJECT, .max = 2, .additional = true, .items = &quantity};
static const struct field order_fields[] = {
    {"items", &items, true}, {"note", &note, false},      {"status", &status, false},
    {"at", &at, false},      {"name", &text, false},      {"metadata", &any, false},
    {"paid", &flag, false},  {"counts", &numbers, false}, {"id", &id, false},
};
static const struct schema order = {
    .type = SCHEMA_OBJECT, ANY_SIZE, .fields = order_fields, .field_count = ARRAY_COUNT(order_fields)};

struct fixture {
    struct arena *arena;
    struct validation validation;
    struct buf input;
    struct buf target;
    struct in in; /* the typed value, when it is good */
};

static int
setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    f->arena = arena_new(4096);
    buf_init(&f->input, 1 << 20);
    buf_init(&f->target, 1 << 20);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    arena_destroy(&f->arena);
    buf_free(&f->input);
    buf_free(&f->target);
    free(f);
    return 0;
}

static void
run_packed(struct fixture *f, const struct schema *schema, const char *data, size_t size)
{
    struct in in;

    buf_reset(&f->target);
    validation_init(&f->validation, f->arena);
    assert_int_equal(in_decode(&in, f->arena, data, size), 0);
    validate_value(&f->validation, schema, in, "", &f->target);
    f->in = (struct in){NULL, f->arena};
    if (f->validation.count == 0)
        assert_int_equal(in_decode(&f->in, f->arena, f->target.data, f->target.size), 0);
}

static void
run(struct fixture *f, const struct schema *schema, const char *json)
{
    char why[JSON_WHY_SIZE];

    buf_reset(&f->input);
    if (json_to_msgpack(json, strlen(json), &f->input, why) != 0)
        fail_msg("%s: %s", json, why);
    run_packed(f, schema, f->input.data, f->input.size);
}

/* errors: "field: message" with "; " between them. */
static void
expect_errors(struct fixture *f, const char *errors)
{
    struct buf found;

    buf_init(&found, 10000);
    for (unsigned i = 0; i < f->validation.count; i++) {
        buf_append_text(&found, i > 0 ? "; " : "");
        buf_append_text(&found, f->validation.errors[i].field);
        buf_append_text(&found, ": ");
        buf_append_text(&found, f->validation.errors[i].message);
    }
    buf_append_byte(&found, '\0');
    assert_string_equal(found.data, errors);
    buf_free(&found);
}

static void
expect(struct fixture *f, const struct schema *schema, const char *json, const char *errors)
{
    run(f, schema, json);
    expect_errors(f, errors);
}

static void
values_become_typed(void **state)
{
    struct fixture *f = *state;

    expect(f, &order,
           "{\"items\":[{\"quantity\":2,\"price\":1460.5},{\"price\":7,\"quantity\":1,\"extra\":[1]}],\"note\":null,"
           "\"unknown\":{\"x\":1},\"at\":\"2026-01-15T14:30:00+06:00\",\"metadata\":{\"n\":1.50,\"l\":[null,-0]},"
           "\"paid\":false,\"counts\":{\"a\":1,\"b\":2},\"status\":\"paid\",\"name\":\"\xe0\xa6\xac\xe0\xa6\xbe\"}",
           "");
    assert_int_equal(in_money(in_at(in_item(in_at(f->in, "items"), 0), "price"), "", 0), 146050);
    assert_int_equal(in_money(in_at(in_item(in_at(f->in, "items"), 1), "price"), "", 0), 700);
    assert_false(in_has(in_item(in_at(f->in, "items"), 1), "extra"));
    assert_true(in_is_null(f->in, "note"));
    assert_false(in_has(f->in, "unknown"));
    assert_int_equal(in_time(f->in, "at", 0), INT64_C(1768465800000000));
    assert_int_equal(in_at(f->in, "metadata.n").object->via.ext.type, EXT_NUMBER);
    assert_int_equal(in_count(f->in, "metadata.l"), 2);
    assert_int_equal(in_int(f->in, "counts.b", 0), 2);
    assert_false(in_bool(f->in, "paid", true));
    assert_int_equal(in_count(f->in, ""), 8);
}

static void
every_problem_is_named(void **state)
{
    struct fixture *f = *state;

    expect(f, &order,
           "{\"items\":[{\"quantity\":0},{\"price\":1.234},{\"quantity\":\"2\",\"price\":-1}],\"note\":5,"
           "\"status\":\"lost\",\"at\":\"yesterday\",\"name\":\"\",\"paid\":1,\"counts\":{\"a\":1001}}",
           "items[0].quantity: must be at least 1; "
           "items[1].price: must be a number with at most 2 decimals and no exponent, up to 9999999999999.99; "
           "items[1].quantity: is required; items[2].quantity: must be a whole number; "
           "items[2].price: must be at least 0.00; note: must be a string; status: must be one of pending, paid; "
           "at: must be a date and time such as 2026-01-15T08:30:00Z; name: must not be empty; "
           "paid: must be true or false; counts.a: must be at most 1000");
    expect(f, &order, "{}", "items: is required");
    expect(f, &order, "[]", "body: must be an object");
    expect(f, &order, "null", "body: must not be null");
    expect(f, &order, "{\"items\":[]}", "items: must have at least 1 item");
    expect(f, &order, "{\"items\":[1,2,3,4]}", "items: must have at most 3 items");
    expect(f, &order, "{\"items\":{}}", "items: must be a list");
    expect(f, &order, "{\"items\":[null]}", "items[0]: must not be null");
    expect(f, &numbers, "{\"a\":1,\"b\":1,\"c\":1}", "body: must have at most 2 fields");
    validation_init(&f->validation, f->arena);
    validate_value(&f->validation, &order, (struct in){NULL, f->arena}, "body", &f->target);
    expect_errors(f, "body: is required");
}

static void
strict_objects_name_the_unknown(void **state)
{
    struct schema strict = item;
    char json[400];
    struct fixture *f = *state;

    strict.strict = true;
    expect(f, &strict, "{\"quantity\":1,\"colour\":2}", "colour: is not a known field");
    /* a field name from outside is cut, between characters */
    snprintf(json, sizeof(json), "{\"quantity\":1,\"%0254d\xe0\xa6\xac\":1}", 0);
    run(f, &strict, json);
    assert_int_equal(f->validation.count, 1);
    assert_int_equal(strlen(f->validation.errors[0].field), 254);
}

static void
errors_are_bounded(void **state)
{
    struct schema list = {.type = SCHEMA_ARRAY, ANY_SIZE, .items = &quantity};
    struct fixture *f = *state;

    run(f, &list, "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]");
    assert_int_equal(f->validation.count, VALIDATION_ERRORS_MAX);
    assert_string_equal(f->validation.errors[VALIDATION_ERRORS_MAX - 1].field, "[19]");
}

static void
integers(void **state)
{
    struct fixture *f = *state;

    expect(f, &id, "9223372036854775807", "");
    assert_true(in_int(f->in, "", 0) == INT64_MAX);
    expect(f, &id, "9223372036854775808", "body: must be at most 9223372036854775807");
    expect(f, &id, "-9223372036854775809", "body: must be at least 1");
    expect(f, &id, "1.0", "body: must be a whole number");
    expect(f, &id, "1e2", "body: must be a whole number");
    expect(f, &id, "\"1\"", "body: must be a whole number");
    expect(f, &id, "true", "body: must be a whole number");
    expect(f, &id, "-0", "body: must be at least 1");
    expect(f, &quantity, "99999999999999999999", "body: must be at most 1000");
    run_packed(f, &id, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9);
    expect_errors(f, "body: must be at most 9223372036854775807");
    run_packed(f, &id, "\xcb\x3f\xf0\0\0\0\0\0\0", 9);
    expect_errors(f, "body: must be a whole number");
}

static void
money(void **state)
{
    static const struct schema whole = {.type = SCHEMA_MONEY, .decimals = 0, .min = -MONEY_MAX, .max = MONEY_MAX};
    const char *wrong = "body: must be a number with at most 2 decimals and no exponent, up to 9999999999999.99";
    struct fixture *f = *state;

    expect(f, &price, "0.1", "");
    assert_int_equal(in_money(f->in, "", 0), 10);
    expect(f, &price, "100000", "");
    expect(f, &price, "-0", "");
    expect(f, &price, "100000.01", "body: must be at most 100000.00");
    expect(f, &price, "-0.01", "body: must be at least 0.00");
    expect(f, &price, "0.123", wrong);
    expect(f, &price, "0.100", wrong);
    expect(f, &price, "1e2", wrong);
    expect(f, &price, "\"1\"", wrong);
    expect(f, &price, "9223372036854775807", wrong);
    expect(f, &price, "99999999999999999999999999", wrong);
    expect(f, &whole, "1.5", "body: must be a whole number up to 999999999999999");
    /* from one of our own services */
    run_packed(f, &price, "\xc7\x09\x01\x02\0\0\0\0\0\0\0\x05", 12);
    expect_errors(f, "");
    assert_int_equal(in_money(f->in, "", 0), 5);
    run_packed(f, &price, "\xc7\x09\x01\x03\0\0\0\0\0\0\0\x05", 12);
    expect_errors(f, wrong);
    run_packed(f, &price, "\xcb\x3f\xf0\0\0\0\0\0\0", 9);
    expect_errors(f, wrong);
}

static void
strings(void **state)
{
    struct fixture *f = *state;

    /* eight characters are allowed, however many bytes they have */
    expect(f, &text,
           "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
           "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"",
           "");
    expect(f, &text, "\"123456789\"", "body: must be at most 8 characters");
    run_packed(f, &text, "\xa2\xc0\x80", 3);
    expect_errors(f, "body: must be UTF-8 text without NUL characters");
    run_packed(f, &text,
               "\xa2"
               "a\0",
               3);
    expect_errors(f, "body: must be UTF-8 text without NUL characters");
    run_packed(f, &at, "\xd6\xff\0\0\0\x01", 6);
    expect_errors(f, "");
    assert_int_equal(in_time(f->in, "", 0), 1000000);
    expect(f, &at, "\"2026-01-15\"", "");
    expect(f, &at, "5", "body: must be a date and time such as 2026-01-15T08:30:00Z");
}

static void
formats(void **state)
{
    static const struct {
        enum schema_format format;
        const char *good;
        const char *bad;
        const char *error;
    } rows[] = {
        {FORMAT_EMAIL, "\"a@b.co\"", "\"a@b\"", "body: must be an e-mail address"},
        {FORMAT_URI, "\"https://a.b/c\"", "\"javascript:x\"", "body: must be an http or https URL"},
        {FORMAT_UUID, "\"123e4567-e89b-12d3-a456-426614174000\"", "\"123e4567-e89b-12d3-a456-42661417400g\"",
         "body: must be a UUID"},
        {FORMAT_DATE, "\"2024-02-29\"", "\"2026-02-29\"", "body: must be a date such as 2026-01-15"},
        {FORMAT_DATE, "\"2024-02-29\"", "\"2024-02-29T00:00:00Z\"", "body: must be a date such as 2026-01-15"},
        {FORMAT_SLUG, "\"blue-shirt-2\"", "\"Blue\"", "body: must consist of a-z, 0-9 and hyphens"},
        {FORMAT_PHONE, "\"+8801712345678\"", "\"12 34 56 78\"", "body: must be a phone number of 8 to 20 digits"},
        {FORMAT_PHONE, "\"01712345678\"", "\"+1234567\"", "body: must be a phone number of 8 to 20 digits"},
    };
    struct schema schema = {.type = SCHEMA_STRING, ANY_SIZE};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        schema.format = rows[i].format;
        expect(f, &schema, rows[i].good, "");
        expect(f, &schema, rows[i].bad, rows[i].error);
    }
    schema.format = FORMAT_BINARY;
    expect(f, &schema, "\"x\"", "body: must be binary");
    run_packed(f, &schema, "\xc4\x02\0\xff", 4);
    expect_errors(f, "");
    assert_int_equal(in_str(f->in, "").len, 2);
    schema.max = 1;
    run_packed(f, &schema, "\xc4\x02\0\xff", 4);
    expect_errors(f, "body: must be 0 to 1 bytes");
}

static void
doubled_names_between_services(void **state)
{
    struct fixture *f = *state;
    const char data[] = "\x82\xa8quantity\x01\xa8quantity\x02";

    run_packed(f, &item, data, sizeof(data) - 1);
    expect_errors(f, "quantity: is given twice");
}

/* ---- parameters ---------------------------------------------------------------------------------------------- */

static const struct schema page_limit = {.type = SCHEMA_INTEGER, .min = 1, .max = 250};
static const struct parameter limit = {"limit", &page_limit, "50", PLACE_QUERY, false, true};
static const struct parameter sort = {"sort", &status, "pending", PLACE_QUERY, false, true};
static const struct parameter by_status = {"status", &status, NULL, PLACE_QUERY, false, false};
static const struct parameter by_flag = {"paid", &flag, NULL, PLACE_QUERY, false, false};
static const struct parameter by_price = {"min_total", &price, NULL, PLACE_QUERY, false, false};
static const struct parameter since = {"since", &at, NULL, PLACE_QUERY, false, false};
static const struct parameter order_id = {"order_id", &id, NULL, PLACE_PATH, true, false};
static const struct parameter search = {"search", &text, NULL, PLACE_QUERY, false, false};

/* Whether there is a value; f->in is it. */
static bool
parameter(struct fixture *f, const struct parameter *parameter, const char *value, const char *errors)
{
    bool present;

    buf_reset(&f->target);
    validation_init(&f->validation, f->arena);
    present = validate_parameter(&f->validation, parameter, value, value != NULL ? strlen(value) : 0, &f->target);
    expect_errors(f, errors);
    assert_true(present == (f->target.size > 0));
    if (present)
        assert_int_equal(in_decode(&f->in, f->arena, f->target.data, f->target.size), 0);
    return present;
}

static void
bad_pages_are_forgiven(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } rows[] = {{NULL, 50},
                {"", 50},
                {"10", 10},
                {"0", 1},
                {"-1", 1},
                {"251", 250},
                {"10000", 250},
                {"abc", 50},
                {"1.5", 50},
                {"1e2", 50},
                {"-", 50},
                {" 7", 50},
                {"99999999999999999999999", 250},
                {"-99999999999999999999999", 1},
                {"9223372036854775808", 250}};
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        assert_true(parameter(f, &limit, rows[i].text, ""));
        assert_int_equal(in_int(f->in, "", 0), rows[i].value);
    }
    assert_true(parameter(f, &sort, "nonsense", ""));
    assert_string_equal(in_text(f->in, ""), "pending");
    assert_true(parameter(f, &sort, "\xff", ""));
    assert_true(parameter(f, &sort, "paid", ""));
    assert_string_equal(in_text(f->in, ""), "paid");
}

static void
other_parameters_are_checked(void **state)
{
    struct fixture *f = *state;

    assert_false(parameter(f, &by_status, NULL, ""));
    assert_false(parameter(f, &by_status, "", ""));
    assert_true(parameter(f, &by_status, "paid", ""));
    assert_false(parameter(f, &by_status, "lost", "status: must be one of pending, paid"));
    assert_true(parameter(f, &by_flag, "1", "") && in_bool(f->in, "", false));
    assert_true(parameter(f, &by_flag, "true", "") && in_bool(f->in, "", false));
    assert_true(parameter(f, &by_flag, "0", "") && !in_bool(f->in, "", true));
    assert_true(parameter(f, &by_flag, "false", "") && !in_bool(f->in, "", true));
    assert_false(parameter(f, &by_flag, "yes", "paid: must be true or false"));
    assert_true(parameter(f, &by_price, "1460.50", "") && in_money(f->in, "", 0) == 146050);
    assert_true(parameter(f, &by_price, "1460", "") && in_money(f->in, "", 0) == 146000);
    assert_false(parameter(f, &by_price, "-1", "min_total: must be at least 0.00"));
    assert_true(parameter(f, &since, "2026-01-15", ""));
    assert_int_equal(in_time(f->in, "", 0), INT64_C(1768435200000000));
    assert_false(parameter(f, &since, "soon", "since: must be a date and time such as 2026-01-15T08:30:00Z"));
    assert_true(parameter(f, &order_id, "7", ""));
    assert_false(parameter(f, &order_id, "0", "order_id: must be at least 1"));
    assert_false(parameter(f, &order_id, "7x", "order_id: must be a whole number"));
    assert_false(parameter(f, &order_id, "9223372036854775808", "order_id: must be at most 9223372036854775807"));
    assert_false(parameter(f, &order_id, NULL, "order_id: is required"));
    assert_true(parameter(f, &search, "123", ""));
    assert_int_equal(f->in.object->type, MSGPACK_OBJECT_STR);
    assert_false(parameter(f, &search, "a\xff", "search: must be UTF-8 text without NUL characters"));
    assert_false(parameter(f, &search, "123456789", "search: must be at most 8 characters"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_become_typed),
        TEST(every_problem_is_named),
        TEST(strict_objects_name_the_unknown),
        TEST(errors_are_bounded),
        TEST(integers),
        TEST(money),
        TEST(strings),
        TEST(formats),
        TEST(doubled_names_between_services),
        TEST(bad_pages_are_forgiven),
        TEST(other_parameters_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
