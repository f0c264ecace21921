/* Paths: literals win over parameters, everything is decoded once, and what fits nothing is nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "router.h"

static const struct schema id_schema = {.type = SCHEMA_INTEGER, .min = 1, .max = INT64_MAX};
static const struct parameter order_id[] = {
    {.name = "order_id", .schema = &id_schema, .place = PLACE_PATH, .required = true}};
/* declared in another order than the path has them */
static const struct parameter two[] = {
    {.name = "item_id", .schema = &id_schema, .place = PLACE_PATH, .required = true},
    {.name = "page", .schema = &id_schema, .place = PLACE_QUERY},
    {.name = "order_id", .schema = &id_schema, .place = PLACE_PATH, .required = true}};

enum { LIST, CREATE, FILTER, GET, REMOVE, ITEM, ROOT, HIDDEN, SLUG, TOKEN, TABLE };

static const struct operation table[TABLE] = {
    [LIST] = {.name = "s.list", .method = HTTP_GET, .path = "/api/orders"},
    [CREATE] = {.name = "s.create", .method = HTTP_POST, .path = "/api/orders"},
    [FILTER] = {.name = "s.filter", .method = HTTP_POST, .path = "/api/orders/filters"},
    [GET] = {.name = "s.get",
             .method = HTTP_GET,
             .path = "/api/orders/{order_id}",
             .parameters = order_id,
             .parameter_count = 1},
    [REMOVE] = {.name = "s.remove",
                .method = HTTP_DELETE,
                .path = "/api/orders/{order_id}",
                .parameters = order_id,
                .parameter_count = 1},
    [ITEM] = {.name = "s.item",
              .method = HTTP_GET,
              .path = "/api/orders/{order_id}/items/{item_id}",
              .parameters = two,
              .parameter_count = 3},
    [ROOT] = {.name = "s.root", .method = HTTP_GET, .path = "/"},
    [HIDDEN] = {.name = "s.hidden"},
    [SLUG] = {.name = "s.slug",
              .method = HTTP_GET,
              .path = "/api/{order_id}/reviews",
              .parameters = order_id,
              .parameter_count = 1},
    [TOKEN] = {.name = "s.token", .method = HTTP_POST, .path = "/api/oauth/token"},
};

static struct router *router;
static struct route_match match;

/* The place in the table a request leads to; -1 for none. */
static int
find(int method, const char *path)
{
    static char text[8192];
    size_t len = strlen(path);

    memcpy(text, path, len + 1);
    router_find(router, method, text, len, &match);
    return match.operation ? (int)(match.operation - table) : -1;
}

static void
literals_and_methods(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/api/orders"), LIST);
    assert_int_equal(find(HTTP_POST, "/api/orders"), CREATE);
    assert_int_equal(find(HTTP_POST, "/api/orders/filters"), FILTER);
    assert_int_equal(match.value_count, 0);
    assert_int_equal(find(HTTP_PUT, "/api/orders"), -1);
    assert_int_equal(match.methods, 1u << HTTP_GET | 1u << HTTP_POST);
    assert_int_equal(find(-1, "/api/orders"), -1);
    assert_int_equal(match.methods, 1u << HTTP_GET | 1u << HTTP_POST);
    assert_int_equal(find(HTTP_GET, "/"), ROOT);
}

static void
parameters_in_path_order(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/api/orders/17"), GET);
    assert_int_equal(match.value_count, 1);
    assert_true(str_is(match.values[0], "17"));
    assert_string_equal(match.parameters[0]->name, "order_id");
    assert_int_equal(find(HTTP_DELETE, "/api/orders/17"), REMOVE);
    assert_int_equal(find(HTTP_GET, "/api/orders/1/items/2"), ITEM);
    assert_int_equal(match.value_count, 2);
    assert_string_equal(match.parameters[0]->name, "order_id");
    assert_true(str_is(match.values[0], "1"));
    assert_string_equal(match.parameters[1]->name, "item_id");
    assert_true(str_is(match.values[1], "2"));
}

static void
literal_wins_and_branches_back(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/api/orders/filters"), -1); /* that path takes POST only */
    assert_int_equal(match.methods, 1u << HTTP_POST);
    assert_int_equal(find(HTTP_GET, "/api/oauth/reviews"), SLUG); /* the literal's branch has no reviews */
    assert_int_equal(match.value_count, 1);
    assert_true(str_is(match.values[0], "oauth"));
    assert_int_equal(find(HTTP_GET, "/api/orders/reviews"), GET);
    assert_int_equal(find(HTTP_GET, "/api/oauth/x"), -1);
    assert_int_equal(match.methods, 0);
    assert_int_equal(match.value_count, 0);
}

static void
what_fits_nothing(void **state)
{
    static const char *const paths[] = {
        "",
        "*",
        "api/orders",
        "/api/orders/",
        "//api/orders",
        "/api//orders",
        "/API/orders",
        "/api/orders/1/",
        "/api/orders//items/2",
        "/api/orders/%zz",
        "/api/orders/%",
        "/api/orders/%4",
        "/api/orders/a%00b",
        "/api/orders/%ff",
        "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p",
        "/api/order",
        "/api/orderss",
        "/api/{order_id}",
    };

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(paths); i++) {
        assert_int_equal(find(HTTP_GET, paths[i]), -1);
        assert_int_equal(match.methods, 0);
    }
}

static void
segments_are_decoded_once(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/api/%6frders"), LIST);
    assert_int_equal(find(HTTP_GET, "/api/orders/a%2Fb"), GET); /* an encoded slash separates nothing */
    assert_true(str_is(match.values[0], "a/b"));
    assert_int_equal(find(HTTP_GET, "/api/orders/%2541"), GET);
    assert_true(str_is(match.values[0], "%41"));
    assert_int_equal(find(HTTP_GET, "/api/orders/a+b"), GET); /* + is a space in queries only */
    assert_true(str_is(match.values[0], "a+b"));
    assert_int_equal(find(HTTP_GET, "/api/orders/%E2%82%AC"), GET);
    assert_true(str_is(match.values[0], "\xe2\x82\xac"));
}

static void
allow_header(void **state)
{
    char text[ROUTER_ALLOW_SIZE];

    (void)state;
    router_allow(1u << HTTP_GET | 1u << HTTP_DELETE, text);
    assert_string_equal(text, "GET, HEAD, DELETE, OPTIONS");
    router_allow((1u << HTTP_METHODS) - 1, text);
    assert_string_equal(text, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    router_allow(0, text);
    assert_string_equal(text, "OPTIONS");
}

static int
make_router(void **state)
{
    (void)state;
    router = router_new(table, TABLE);
    return 0;
}

static int
free_router(void **state)
{
    (void)state;
    router_destroy(&router);
    return router == NULL ? 0 : -1;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_methods),           cmocka_unit_test(parameters_in_path_order),
        cmocka_unit_test(literal_wins_and_branches_back), cmocka_unit_test(what_fits_nothing),
        cmocka_unit_test(segments_are_decoded_once),      cmocka_unit_test(allow_header),
    };

    return cmocka_run_group_tests(tests, make_router, free_router);
}
