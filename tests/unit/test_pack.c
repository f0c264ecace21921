/* What a service reads of an HTTP request: query strings as people write them, bodies, keys; and what is refused first.
 */
#include "packing.h"

static const struct schema text_schema = {.type = SCHEMA_STRING, .min = 1, .max = 20};
static const struct schema id_schema = {.type = SCHEMA_INTEGER, .min = 1, .max = INT64_MAX};
static const struct schema limit_schema = {.type = SCHEMA_INTEGER, .min = 1, .max = 250};
static const struct parameter parameters[] = {
    {.name = "order_id", .schema = &id_schema, .place = PLACE_PATH, .required = true},
    {.name = "status", .schema = &text_schema, .place = PLACE_QUERY},
    {.name = "limit", .schema = &limit_schema, .otherwise = "50", .place = PLACE_QUERY, .clamp = true},
};
static const struct field fields[] = {{.name = "note", .schema = &text_schema, .required = true}};
static const struct schema body_schema = {.type = SCHEMA_OBJECT, .max = 100, .fields = fields, .field_count = 1};
static const struct operation operation = {.name = "s.update",
                                           .method = HTTP_PUT,
                                           .path = "/orders/{order_id}",
                                           .idempotent = true,
                                           .body_size_max = 1048576,
                                           .body = &body_schema,
                                           .body_required = true,
                                           .parameters = parameters,
                                           .parameter_count = 3};
static const struct parameter *const path_parameters[] = {&parameters[0]};

static int
begin(void **state)
{
    (void)state;
    request_begin(&operation, "PUT", "/orders/7");
    request.route = (struct route_match){.operation = &operation, .value_count = 1, .parameters = path_parameters};
    return 0;
}

static int
pack(const char *query, const char *body, const char *key)
{
    request.query = query ? str_of(query) : (struct str){NULL, 0};
    request.route.values[0] = STR("7");
    request.headers[HEADER_IDEMPOTENCY_KEY] = str_of(key);
    return pack_body(body);
}

static void
everything_has_its_place(void **state)
{
    (void)state;
    assert_int_equal(pack("status=paid&limit=7", "{\"note\":\"a\"}", NULL), 0);
    assert_int_equal(in_int(packed, "path.order_id", 0), 7);
    assert_string_equal(in_text(packed, "query.status"), "paid");
    assert_int_equal(in_int(packed, "query.limit", 0), 7);
    assert_string_equal(in_text(packed, "body.note"), "a");
    assert_string_equal(in_text(packed, "request_id"), "r1");
    assert_string_equal(in_text(packed, "address"), "192.0.2.1");
    assert_false(in_has(packed, "key"));
    assert_int_equal(in_int(packed, "caller.audience", -1), AUDIENCE_NONE);
}

static void
query_strings(void **state)
{
    (void)state;
    assert_int_equal(pack("status=a%20b+c", "{\"note\":\"a\"}", NULL), 0);
    assert_string_equal(in_text(packed, "query.status"), "a b c");
    assert_int_equal(in_int(packed, "query.limit", 0), 50);
    assert_int_equal(pack("&&unknown=%zz&=&%ff=1&limit=%00", "{\"note\":\"a\"}", NULL), 0);
    assert_int_equal(in_int(packed, "query.limit", 0), 50);
    assert_false(in_has(packed, "query.status"));
    assert_int_equal(pack("%73tatus=x", "{\"note\":\"a\"}", NULL), 0);
    assert_string_equal(in_text(packed, "query.status"), "x");
    assert_int_equal(pack("limit=100000", "{\"note\":\"a\"}", NULL), 0);
    assert_int_equal(in_int(packed, "query.limit", 0), 250);
}

static void
bad_parameters_are_named(void **state)
{
    char many[QUERY_PARAMETERS_MAX * 4 + 16] = "";
    size_t size = 0;

    (void)state;
    assert_int_equal(pack("status=%zz", "{\"note\":\"a\"}", NULL), 400);
    assert_true(answer_has("\"field\":\"status\""));
    assert_int_equal(pack("status=%ff", "{\"note\":\"a\"}", NULL), 400);
    assert_int_equal(pack("status=a&status=b", "{\"note\":\"a\"}", NULL), 400);
    assert_true(answer_has("given twice"));
    assert_int_equal(pack("status=a&status=b", "{\"note\":1}", "a b"), 400);
    assert_true(answer_has("\"field\":\"status\"") && answer_has("\"field\":\"note\"") &&
                answer_has("Idempotency-Key"));
    for (unsigned i = 0; i <= QUERY_PARAMETERS_MAX; i++) {
        memcpy(many + size, "a=1&", 4);
        size += 4;
    }
    assert_int_equal(pack(many, "{\"note\":\"a\"}", NULL), 400);
}

static void
path_values_that_are_none(void **state)
{
    static const char *const values[] = {"0", "-1", "abc", "9223372036854775808", "1.0", " 1", ""};

    (void)state;
    assert_int_equal(pack(NULL, "{\"note\":\"a\"}", NULL), 0);
    for (unsigned i = 0; i < ARRAY_COUNT(values); i++) {
        request.route.values[0] = str_of(values[i]);
        assert_int_equal(pack_request(&request, request.arena, NULL), -1);
        assert_int_equal(request.answer.status, 404);
    }
}

static void
bodies(void **state)
{
    static char large[BODY_IN_LOOP_MAX + 100];

    (void)state;
    assert_int_equal(pack(NULL, "{\"note\":", NULL), 400);
    assert_true(answer_has("invalid_json"));
    assert_int_equal(pack(NULL, "", NULL), 400);
    assert_true(answer_has("validation_error") && answer_has("\"field\":\"note\""));
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(pack(NULL, large, NULL), 0); /* the worker looks at it */
    assert_int_equal(in_str(packed, "raw").len, sizeof large - 1);
    assert_false(in_has(packed, "body"));
}

static void
same_request_same_hash(void **state)
{
    uint8_t first[32];

    (void)state;
    assert_int_equal(pack("a=1", "{\"note\":\"a\"}", "k"), 0);
    assert_string_equal(in_text(packed, "key"), "k");
    assert_int_equal(in_str(packed, "hash").len, sizeof first);
    memcpy(first, in_str(packed, "hash").base, sizeof first);
    assert_int_equal(pack("a=1", "{\"note\":\"a\"}", "other"), 0);
    assert_memory_equal(in_str(packed, "hash").base, first, sizeof first);
    assert_int_equal(pack("a=1", "{\"note\":\"a\"} ", "k"), 0);
    assert_memory_not_equal(in_str(packed, "hash").base, first, sizeof first);
    assert_int_equal(pack("a=2", "{\"note\":\"a\"}", "k"), 0);
    assert_memory_not_equal(in_str(packed, "hash").base, first, sizeof first);
}

static void
keys_that_are_none(void **state)
{
    char long_key[IDEMPOTENCY_KEY_MAX + 2];

    (void)state;
    memset(long_key, 'k', sizeof long_key);
    long_key[IDEMPOTENCY_KEY_MAX + 1] = '\0';
    assert_int_equal(pack(NULL, "{\"note\":\"a\"}", long_key), 400);
    long_key[IDEMPOTENCY_KEY_MAX] = '\0';
    assert_int_equal(pack(NULL, "{\"note\":\"a\"}", long_key), 0);
    assert_int_equal(pack(NULL, "{\"note\":\"a\"}", ""), 400);
    assert_int_equal(pack(NULL, "{\"note\":\"a\"}", "a\x7f"), 400);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_has_its_place, begin, request_end),
        cmocka_unit_test_setup_teardown(query_strings, begin, request_end),
        cmocka_unit_test_setup_teardown(bad_parameters_are_named, begin, request_end),
        cmocka_unit_test_setup_teardown(path_values_that_are_none, begin, request_end),
        cmocka_unit_test_setup_teardown(bodies, begin, request_end),
        cmocka_unit_test_setup_teardown(same_request_same_hash, begin, request_end),
        cmocka_unit_test_setup_teardown(keys_that_are_none, begin, request_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
