/* The header between processes: what goes in comes out, and nothing else is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bounds.h"
#include "wire.h"

static void
round_trip_keeps_everything(void **state)
{
    static const struct wire samples[] = {
        {.type = WIRE_READY, .id = UINT64_MAX},
        {.type = WIRE_REQUEST, .flags = WIRE_FLAG_JSON | WIRE_FLAG_AGAIN, .id = 1, .budget_ms = UINT32_MAX},
        {.type = WIRE_REQUEST, .flags = WIRE_FLAG_NESTED, .id = UINT64_C(0x0102030405060708), .budget_ms = 4950},
        {.type = WIRE_REPLY, .flags = WIRE_FLAG_ERROR, .status = 599, .id = UINT64_C(1) << 63},
        {.type = WIRE_REPLY, .status = 200},
        {.type = WIRE_PING},
        {.type = WIRE_BYE},
        {.type = WIRE_INVALIDATE, .id = 42},
        {.type = WIRE_ACK, .id = 42},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(samples); i++) {
        uint8_t bytes[WIRE_SIZE];
        struct wire read = {.type = 0};

        wire_encode(&samples[i], bytes);
        assert_int_equal(wire_decode(&read, bytes, sizeof bytes), 0);
        assert_int_equal(read.type, samples[i].type);
        assert_int_equal(read.flags, samples[i].flags);
        assert_int_equal(read.status, samples[i].status);
        assert_true(read.id == samples[i].id);
        assert_int_equal(read.budget_ms, samples[i].budget_ms);
    }
}

static void
bytes_are_where_the_header_says(void **state)
{
    static const uint8_t expected[WIRE_SIZE] = {'S', 'X', 'R', '1', 3, 4, 0x01, 0xF6, 1, 2, 3, 4, 5, 6, 7, 8};
    struct wire reply = {
        .type = WIRE_REPLY, .flags = WIRE_FLAG_ERROR, .status = 502, .id = UINT64_C(0x0102030405060708)};
    uint8_t bytes[WIRE_SIZE];

    (void)state;
    wire_encode(&reply, bytes);
    assert_memory_equal(bytes, expected, WIRE_SIZE);
}

static void
refuses(struct wire wire, size_t at, uint8_t value)
{
    uint8_t bytes[WIRE_SIZE];
    struct wire read;

    wire_encode(&wire, bytes);
    bytes[at] = value;
    assert_int_equal(wire_decode(&read, bytes, sizeof bytes), -1);
}

static void
what_no_sender_writes_is_refused(void **state)
{
    struct wire request = {.type = WIRE_REQUEST, .id = 7, .budget_ms = 5000};
    struct wire reply = {.type = WIRE_REPLY, .status = 200, .id = 7};
    uint8_t bytes[WIRE_SIZE + 1] = {0};
    struct wire read;

    (void)state;
    refuses(request, 0, 'X');
    refuses(request, 3, '2');
    refuses(request, 4, 0);
    refuses(request, 4, WIRE_ACK + 1);
    refuses(request, 5, 32);
    refuses(request, 7, 200); /* a request has no status */
    refuses(request, 20, 1);
    refuses(request, 23, 1);
    refuses(reply, 7, 199);
    refuses(reply, 6, 0x03);
    wire_encode(&request, bytes);
    assert_int_equal(wire_decode(&read, bytes, 0), -1);
    assert_int_equal(wire_decode(&read, bytes, WIRE_SIZE - 1), -1);
    assert_int_equal(wire_decode(&read, bytes, WIRE_SIZE + 1), -1);
}

static void
names_are_split_at_the_first_dot(void **state)
{
    static const char *const bad[] = {"",      ".",     "a",          "a.",
                                      ".a",    "a..b",  "a.b.",       "A.b",
                                      "a.b c", "a.b/c", "a.\xc3\xa9", "a-very-long-service-name-beyond-the-limit.x"};
    char longest[OPERATION_NAME_MAX + 1];
    struct str service, operation;

    (void)state;
    assert_int_equal(wire_split("store-data.orders.set_status", 28, &service, &operation), 0);
    assert_true(str_is(service, "store-data"));
    assert_true(str_is(operation, "orders.set_status"));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(wire_split(bad[i], strlen(bad[i]), &service, &operation), -1);
    assert_int_equal(wire_split("a.b\0c", 5, &service, &operation), -1);
    memset(longest, 'x', sizeof longest);
    longest[1] = '.';
    assert_int_equal(wire_split(longest, OPERATION_NAME_MAX, &service, &operation), 0);
    assert_int_equal(wire_split(longest, OPERATION_NAME_MAX + 1, &service, &operation), -1);
}

static void
incarnations_differ_and_leave_room_for_a_counter(void **state)
{
    uint64_t first = wire_incarnation();
    bool differ = false;

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t next = wire_incarnation();

        assert_true(next != 0 && (uint32_t)next == 0);
        differ |= next != first;
    }
    assert_true(differ);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip_keeps_everything),
        cmocka_unit_test(bytes_are_where_the_header_says),
        cmocka_unit_test(what_no_sender_writes_is_refused),
        cmocka_unit_test(names_are_split_at_the_first_dot),
        cmocka_unit_test(incarnations_differ_and_leave_room_for_a_counter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
