/* What browsers and RFC clients send and get beside JSON: forms, addresses, errors as RFC 6749 has them, errors as
 * pages. */
#include "packing.h"

#include "config.h"
#include "form.h"
#include "html.h"
#include "web.h"

static const struct schema text_schema = {.type = SCHEMA_STRING, .min = 1, .max = 20};
static const struct schema id_schema = {.type = SCHEMA_INTEGER, .min = 1, .max = INT64_MAX};
static const struct schema flag_schema = {.type = SCHEMA_BOOLEAN};
static const struct field fields[] = {
    {"name", &text_schema, true}, {"id", &id_schema, false}, {"ok", &flag_schema, false}};
static const struct schema loose = {.type = SCHEMA_OBJECT, .max = 100, .fields = fields, .field_count = 3};
static const struct schema strict = {
    .type = SCHEMA_OBJECT, .max = 100, .fields = fields, .field_count = 3, .strict = true};
static const struct operation token = {.name = "s.token",
                                       .method = HTTP_POST,
                                       .path = "/token",
                                       .answer = ANSWER_OAUTH,
                                       .form = true,
                                       .body_size_max = 16384,
                                       .body = &loose,
                                       .body_required = true};
static const struct operation page = {.name = "s.page",
                                      .method = HTTP_POST,
                                      .path = "/page",
                                      .answer = ANSWER_PAGE,
                                      .form = true,
                                      .form_only = true,
                                      .body_size_max = 16384,
                                      .body = &strict,
                                      .body_required = true};

static int
begin(void **state)
{
    (void)state;
    request_begin(&token, "POST", "/token");
    request.headers[HEADER_CONTENT_TYPE] = STR("application/x-www-form-urlencoded; charset=utf-8");
    request.headers[HEADER_HOST] = STR("api.example");
    return 0;
}

static void
a_form_becomes_typed_values(void **state)
{
    (void)state;
    assert_int_equal(pack_body("name=a+b%26&id=7&ok=true&unknown=1&"), 0);
    assert_string_equal(in_text(packed, "body.name"), "a b&");
    assert_int_equal(in_int(packed, "body.id", 0), 7);
    assert_true(in_bool(packed, "body.ok", false));
    assert_int_equal(in_count(packed, "body"), 3);
    assert_int_equal(pack_body("name=x&id="), 0); /* RFC 6749, 3.1: without a value is as if it were not there */
    assert_false(in_has(packed, "body.id"));
    request.headers[HEADER_CONTENT_TYPE] = STR("application/json");
    assert_int_equal(pack_body("{\"name\":\"x\",\"id\":8}"), 0);
    assert_int_equal(in_int(packed, "body.id", 0), 8);
}

static void
bad_forms_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "id=7",
                                      "name=",
                                      "name=a&name=a",
                                      "name=%zz",
                                      "name=%ff",
                                      "name=%00",
                                      "name=a&id=x",
                                      "name=a&id=0",
                                      "name=a&ok=perhaps",
                                      "name=a&id=99999999999999999999",
                                      "name=aaaaaaaaaaaaaaaaaaaaaaa"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        assert_int_equal(pack_body(bad[i]), 400);
        assert_true(answer_has("\"error\":\"invalid_request\"") && answer_has("\"code\":\"validation_error\""));
    }
    request.operation = &page;
    assert_int_equal(pack_body("name=a"), 0);
    assert_int_equal(pack_body("name=a&unknown=1"), 400);
    assert_true(answer_has("<li>body: has a field that is not known</li>"));
}

static void
the_service_is_told_what_else_came(void **state)
{
    (void)state;
    request.headers[HEADER_COOKIE] = STR("a=b; c=d");
    request.headers[HEADER_AUTHORIZATION] = STR("Basic eDp5");
    assert_int_equal(pack_body("name=a"), 0);
    assert_string_equal(in_text(packed, "web.base_url"), "http://api.example");
    assert_string_equal(in_text(packed, "web.cookie"), "a=b; c=d");
    assert_string_equal(in_text(packed, "web.authorization"), "Basic eDp5");
    request.headers[HEADER_COOKIE] = STR("a=\xff");
    assert_int_equal(pack_body("name=a"), 0);
    assert_true(in_is_null(packed, "web.cookie"));
}

static void
hosts_that_are_none(void **state)
{
    static const char *const bad[] = {"", "a b", "a/b", "a\"b", "user@a", "a\tb", "\xc3\xa9", "a?b", "a#b"};

    (void)state;
    config.port = 8080;
    for (unsigned i = 0; i < ARRAY_COUNT(bad); i++) {
        request.headers[HEADER_HOST] = str_of(bad[i]);
        assert_string_equal(web_base_url(&request), "http://localhost:8080");
    }
    request.headers[HEADER_HOST] = STR("[::1]:8443");
    assert_string_equal(web_base_url(&request), "http://[::1]:8443");
    config.public_url = "https://api.example.com";
    assert_string_equal(web_base_url(&request), "https://api.example.com");
    config.public_url = NULL;
}

static void
errors_carry_both_forms(void **state)
{
    static const struct {
        enum fail fail;
        const char *error;
    } table[] = {{FAIL_INVALID_CLIENT, "invalid_client"},          {FAIL_INVALID_GRANT, "invalid_grant"},
                 {FAIL_STORE_INACTIVE, "temporarily_unavailable"}, {FAIL_PAYLOAD_TOO_LARGE, "invalid_request"},
                 {FAIL_RATE_LIMITED, "temporarily_unavailable"},   {FAIL_INTERNAL_ERROR, "server_error"}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        reply_fail(&request, table[i].fail, NULL);
        assert_true(answer_has(arena_printf(request.arena, "\"error\":\"%s\"", table[i].error)));
        assert_true(answer_has(arena_printf(request.arena, "\"code\":\"%s\"", fail_texts[table[i].fail].code)));
    }
    reply_fail(&request, FAIL_INVALID_GRANT, "a \"b\" \xe2\x80\xa6 \\");
    assert_true(answer_has("\"error_description\":\"a 'b' ''' '\""));
}

static void
errors_are_pages(void **state)
{
    (void)state;
    request.operation = &page;
    reply_fail(&request, FAIL_FORBIDDEN, "<b>&\"'");
    assert_int_equal(request.answer.status, 403);
    assert_true(answer_has("&lt;b&gt;&amp;&quot;&#39;") && answer_has("forbidden") && answer_has("r1"));
    assert_false(answer_has("<b>"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_form_becomes_typed_values, begin, request_end),
        cmocka_unit_test_setup_teardown(bad_forms_are_refused, begin, request_end),
        cmocka_unit_test_setup_teardown(the_service_is_told_what_else_came, begin, request_end),
        cmocka_unit_test_setup_teardown(hosts_that_are_none, begin, request_end),
        cmocka_unit_test_setup_teardown(errors_carry_both_forms, begin, request_end),
        cmocka_unit_test_setup_teardown(errors_are_pages, begin, request_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
