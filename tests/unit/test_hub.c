/* test_hub.c - choosing workers, ids, credit, limits and deadlines of the hub (protocols 1, 2), interleaving by
 * interleaving. */
#include "hub_asks.h"

/* ---- choosing a worker --------------------------------------------------------------------------------------- */

static void
test_most_recently_ready_worker_first(void **state)
{
    struct ask first, second, third;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    ready(hub, "w2", "store-data", 0);
    ready(hub, "w1", "store-data", 0); /* the beat of an idle worker does not change its place */
    submit(&first, ORDERS_LIST, true);
    assert_string_equal(sent_last(1)->to, "w2");
    assert_string_equal(sent_last(1)->name, "store-data.orders.list");
    assert_int_equal(sent_last(1)->wire.flags, WIRE_FLAG_JSON);
    assert_int_equal(sent_last(1)->wire.budget_ms, 5000);
    assert_memory_equal(sent_last(1)->body, "request", 7);
    submit(&second, ORDERS_LIST, true);
    assert_string_equal(sent_last(1)->to, "w1");
    reply(hub, "w1", sent_last(1)->wire.id, "{}");
    assert_int_equal(second.ends, 1);
    assert_int_equal(second.status, 200);
    assert_string_equal(second.body, "{}");
    submit(&third, ORDERS_LIST, true);
    assert_string_equal(sent_last(1)->to, "w1");
    assert_int_equal(first.ends, 0);
}

static void
test_a_worker_takes_as_many_as_it_has_slots(void **state)
{
    struct ask asks[4];

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 3, NULL, 0);
    assert_int_equal(state_of("store-data").workers, 3);
    for (unsigned i = 0; i < 4; i++)
        submit(&asks[i], ORDERS_LIST, true);
    assert_int_equal(router.count, 3);
    assert_int_equal(state_of("store-data").queued, 1);
    assert_int_equal(state_of("store-data").idle, 0);
    reply(hub, "w1", sent_last(2)->wire.id, "second"); /* in any order */
    assert_string_equal(asks[1].body, "second");
    assert_int_equal(router.count, 4);
    reply(hub, "w1", sent_last(4)->wire.id, "first");
    reply(hub, "w1", sent_last(4)->wire.id, "first again");
    assert_string_equal(asks[0].body, "first");
    assert_int_equal(state_of("store-data").idle, 1);
}

static void
test_the_least_busy_worker_first(void **state)
{
    struct ask asks[6];
    unsigned large = 0;

    (void)state;
    ready_with(hub, "large", "store-data", 0, "one:1", 4, NULL, 0);
    ready_with(hub, "small", "store-data", 0, "two:1", 2, NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        submit(&asks[i], ORDERS_LIST, true);
        large += strcmp(sent_last(1)->to, "large") == 0;
    }
    assert_int_equal(large, 2); /* each has half of its slots taken */
    for (unsigned i = 3; i < 6; i++)
        submit(&asks[i], ORDERS_LIST, true);
    assert_int_equal(router.count, 6);
    assert_int_equal(state_of("store-data").idle, 0);
}

static void
test_queue_is_served_in_order(void **state)
{
    struct ask asks[4];

    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < 4; i++)
        submit(&asks[i], ORDERS_LIST, true);
    assert_int_equal(router.count, 1);
    assert_int_equal(state_of("store-data").queued, 3);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(asks[i].ends, 0);
        reply(hub, "w1", sent_last(1)->wire.id, "{}");
        assert_int_equal(asks[i].ends, 1);
    }
    assert_int_equal(state_of("store-data").idle, 1);
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_pools_are_apart(void **state)
{
    struct ask join;

    (void)state;
    ready(hub, "w1", "auth", 0);
    submit(&join, hub_operation(STR("auth.identity.join")), true);
    assert_int_equal(router.count, 0);
    ready(hub, "w2", "auth-aside", 0);
    assert_string_equal(sent_last(1)->to, "w2");
    assert_null(hub_operation(STR("auth.identity.joi")));
    assert_null(hub_operation(STR("auth.identity.joint")));
    assert_ptr_equal(hub_operation(STR("auth.identity.introspect")), &operations[0]);
}

static void
test_done_may_submit_again(void **state)
{
    struct ask first, second;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    ask_init(&second, ORDERS_LIST, true);
    ask_init(&first, ORDERS_LIST, true);
    first.then = &second;
    hub_submit(hub, &first.call);
    reply(hub, "w1", sent_last(1)->wire.id, "1");
    assert_int_equal(first.ends, 1);
    assert_int_equal(router.count, 2);
    reply(hub, "w1", sent_last(1)->wire.id, "2");
    assert_string_equal(second.body, "2");
}

/* ---- ids and replies (protocols 1) --------------------------------------------------------------------------- */

static void
test_reply_of_an_old_incarnation_is_dropped(void **state)
{
    struct ask of_store_a, of_store_b;
    uint64_t old_id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&of_store_a, ORDERS_LIST, true);
    old_id = sent_last(1)->wire.id;
    hub_destroy(&hub); /* kill -9, and up again */
    hub = hub_new(&router_transport, GATEWAY_ID + 1);
    ready(hub, "w1", "store-data", old_id); /* the worker remembers what it took on this socket */
    submit(&of_store_b, ORDERS_LIST, true);
    assert_int_not_equal(sent_last(1)->wire.id, old_id);
    reply(hub, "w1", old_id, "order of store A");
    assert_int_equal(of_store_b.ends, 0);
    assert_int_equal(state_of("store-data").idle, 0);
    reply(hub, "w1", sent_last(1)->wire.id, "order of store B");
    assert_string_equal(of_store_b.body, "order of store B");
}

static void
test_ids_are_of_incarnation_and_routing_id(void **state)
{
    struct ask asks[3];
    uint64_t first, second, other;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&asks[0], ORDERS_LIST, true);
    first = sent_last(1)->wire.id;
    reply(hub, "w1", first, "");
    submit(&asks[1], ORDERS_LIST, true);
    second = sent_last(1)->wire.id;
    assert_true(second == first + 1 && (first & UINT32_MAX) == 1 && first >> 32 != 0);
    ready(hub, "w2", "store-data", 0);
    submit(&asks[2], ORDERS_LIST, true);
    other = sent_last(1)->wire.id;
    assert_true(other >> 32 != first >> 32);
}

static void
test_reply_from_another_routing_id_is_dropped(void **state)
{
    struct ask first, second;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&first, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    ready(hub, "w2", "store-data", 0);
    submit(&second, ORDERS_LIST, true);
    reply(hub, "w2", id, "not mine to give");
    reply(hub, "w3", id, "nor mine");
    assert_int_equal(first.ends + second.ends, 0);
    assert_int_equal(state_of("store-data").idle, 0);
    assert_int_equal(state_of("store-data").workers, 2);
    reply(hub, "w1", id, "mine");
    assert_string_equal(first.body, "mine");
}

/* ---- credit (protocols 2) ------------------------------------------------------------------------------------ */

static void
test_unknown_reply_gives_no_second_credit(void **state)
{
    struct ask first, second, third;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&first, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    reply(hub, "w1", id, "");
    submit(&second, ORDERS_LIST, true);
    submit(&third, ORDERS_LIST, true);
    reply(hub, "w1", id, "the same again");
    reply(hub, "w1", 12345, "never asked");
    assert_int_equal(router.count, 2);
    assert_int_equal(second.ends, 0);
    assert_int_equal(state_of("store-data").queued, 1);
    reply(hub, "w9", 5, "from nobody");
    assert_int_equal(state_of("store-data").workers, 1);
}

static void
test_stale_ready_that_crossed_a_request_gives_no_credit(void **state)
{
    struct ask first, second;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&first, ORDERS_LIST, true);
    ready(hub, "w1", "store-data", 0); /* sent before the REQUEST was seen */
    submit(&second, ORDERS_LIST, true);
    assert_int_equal(router.count, 1);
    id = sent_last(1)->wire.id;
    reply(hub, "w1", id, "");
    ready(hub, "w1", "store-data", id); /* crossed the second one */
    assert_int_equal(router.count, 2);
    assert_int_equal(second.ends, 0);
    assert_int_equal(state_of("store-data").idle, 0);
}

static void
test_ready_frees_a_worker_whose_reply_was_lost(void **state)
{
    struct ask first, second;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&first, ORDERS_CREATE, false);
    id = sent_last(1)->wire.id;
    submit(&second, ORDERS_LIST, true);
    ready(hub, "w1", "store-data", id);
    assert_int_equal(first.ends, 1);
    assert_true(first.local);
    assert_int_equal(first.fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(router.count, 2);
    assert_non_null(second.call.worker);
}

static void
test_first_ready_of_a_connection_counts_whatever_its_id(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w1", "store-data", UINT64_C(0x1234567800000042)); /* the DEALER outlives its connections */
    submit(&ask, ORDERS_LIST, true);
    assert_int_equal(router.count, 1);
}

/* ---- limits and deadlines ------------------------------------------------------------------------------------ */

static void
test_full_queue_refuses_at_once(void **state)
{
    static struct ask asks[QUEUE_PER_SERVICE_MAX + 2];

    (void)state;
    ready(hub, "w1", "store-data", 0);
    for (unsigned i = 0; i < QUEUE_PER_SERVICE_MAX + 2; i++)
        submit(&asks[i], ORDERS_LIST, true);
    assert_int_equal(asks[QUEUE_PER_SERVICE_MAX].ends, 0);
    assert_int_equal(asks[QUEUE_PER_SERVICE_MAX + 1].ends, 1);
    assert_int_equal(asks[QUEUE_PER_SERVICE_MAX + 1].fail, FAIL_SERVICE_UNAVAILABLE);
    assert_int_equal(asks[QUEUE_PER_SERVICE_MAX + 1].status, 503);
}

static void
test_no_worker_for_two_seconds_refuses_at_once(void **state)
{
    struct ask early, late, later;

    (void)state;
    submit(&early, ORDERS_LIST, true); /* just started: the workers will be here in a moment */
    assert_int_equal(early.ends, 0);
    advance(NO_WORKER_MS + 1);
    submit(&late, ORDERS_LIST, true);
    assert_int_equal(late.ends, 1);
    assert_int_equal(late.fail, FAIL_SERVICE_UNAVAILABLE);
    ready(hub, "w1", "store-data", 0);
    reply(hub, "w1", sent_last(1)->wire.id, "");
    assert_int_equal(early.ends, 1);
    router.now_ms += 60000;
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(state_of("store-data").workers, 0);
    submit(&later, ORDERS_LIST, true); /* it went only now: others may come */
    assert_int_equal(later.ends, 0);
}

static void
test_deadline_ends_calls_and_the_worker_stays_unready(void **state)
{
    struct ask sent, queued, next;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&sent, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    submit(&queued, ORDERS_LIST, true);
    advance(4999);
    assert_int_equal(sent.ends + queued.ends, 0);
    advance(1);
    assert_int_equal(sent.fail, FAIL_GATEWAY_TIMEOUT);
    assert_int_equal(sent.status, 504);
    assert_int_equal(queued.fail, FAIL_GATEWAY_TIMEOUT);
    assert_int_equal(hub_in_flight(hub), 0);
    submit(&next, ORDERS_LIST, true);
    assert_int_equal(next.ends, 0);
    assert_int_equal(state_of("store-data").queued, 1);
    reply(hub, "w1", id, "too late"); /* for nobody, but the worker is free now */
    assert_int_equal(sent.ends, 1);
    assert_non_null(next.call.worker);
    assert_int_equal(state_of("store-data").queued, 0);
}

static void
test_ready_after_a_missed_deadline_frees_the_worker(void **state)
{
    struct ask sent, next;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&sent, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    advance(5000);
    submit(&next, ORDERS_LIST, true);
    ready(hub, "w1", "store-data", id - 1);
    assert_int_equal(state_of("store-data").queued, 1);
    ready(hub, "w1", "store-data", id);
    assert_int_equal(state_of("store-data").queued, 0);
    assert_int_equal(sent.ends, 1);
}

static void
test_deadlines_come_in_order(void **state)
{
    static struct ask asks[1000];
    unsigned ended = 0;
    uint32_t random = 1;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        random = random * 1664525 + 1013904223;
        ask_init(&asks[i], ORDERS_LIST, true);
        asks[i].call.deadline_ms = router.now_ms + 1 + (random >> 16) % 1500;
        hub_submit(hub, &asks[i].call);
    }
    for (unsigned i = 0; i < 1000; i += 3)
        hub_cancel(hub, &asks[i].call);
    for (unsigned step = 0; step < 1501; step++) {
        advance(1);
        for (unsigned i = 0; i < 1000; i++)
            assert_int_equal(asks[i].ends, i % 3 != 0 && asks[i].call.deadline_ms <= router.now_ms);
    }
    for (unsigned i = 0; i < 1000; i++)
        ended += asks[i].ends;
    assert_int_equal(ended, 666);
    assert_int_equal(hub_in_flight(hub), 0);
    assert_true(hub_next_ms(hub) == INT64_MAX);
}

static void
test_cancel(void **state)
{
    struct ask sent, queued, next;
    uint64_t id;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&sent, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    submit(&queued, ORDERS_LIST, true);
    submit(&next, ORDERS_LIST, true);
    hub_cancel(hub, &queued.call);
    hub_cancel(hub, &sent.call);
    hub_cancel(hub, &sent.call);
    reply(hub, "w1", id, "for nobody");
    assert_int_equal(sent.ends + queued.ends, 0);
    assert_int_equal(router.count, 2);
    reply(hub, "w1", sent_last(1)->wire.id, "for the last");
    assert_string_equal(next.body, "for the last");
}

/* What it has taken and does not name is lost; what it names, and what crossed the READY, is not. */
static void
test_ready_names_what_is_in_hand(void **state)
{
    struct ask lost, held, crossing, late;
    uint64_t first;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 4, NULL, 0);
    submit(&lost, ORDERS_CREATE, false);
    first = sent_last(1)->wire.id;
    submit(&held, ORDERS_LIST, true);
    submit(&late, ORDERS_LIST, true);
    hub_cancel(hub, &late.call);
    submit(&crossing, ORDERS_LIST, true);
    ready_with(hub, "w1", "store-data", first + 2, "one:1", 4, &(uint64_t){first + 1}, 1);
    assert_int_equal(lost.fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(held.ends + crossing.ends, 0);
    assert_int_equal(state_of("store-data").idle, 2);
    reply(hub, "w1", first + 1, "held");
    reply(hub, "w1", first + 3, "crossed");
    assert_string_equal(held.body, "held");
    assert_string_equal(crossing.body, "crossed");
    assert_int_equal(state_of("store-data").idle, 4);
}

/* A thread works on each request it holds, also when we know nothing of it: the connection is new, or we are. */
static void
test_what_is_held_from_before_takes_a_slot(void **state)
{
    const uint64_t from_before[] = {UINT64_C(9) << 32 | 41, UINT64_C(9) << 32 | 43};
    struct ask first, second;

    (void)state;
    ready_with(hub, "w1", "store-data", from_before[1], "one:1", 3, from_before, 2);
    assert_int_equal(state_of("store-data").workers, 3);
    assert_int_equal(state_of("store-data").idle, 1);
    submit(&first, ORDERS_LIST, true);
    submit(&second, ORDERS_LIST, true);
    assert_int_equal(router.count, 1);
    ready_with(hub, "w1", "store-data", sent_last(1)->wire.id, "one:1", 3,
               (uint64_t[]){from_before[0], sent_last(1)->wire.id}, 2);
    assert_int_equal(router.count, 2);
    assert_int_equal(state_of("store-data").idle, 0);
    ready_with(hub, "w1", "store-data", sent_last(1)->wire.id, "one:1", 3,
               (uint64_t[]){sent_last(1)->wire.id - 1, sent_last(1)->wire.id}, 2);
    assert_int_equal(state_of("store-data").idle, 1);
}

static void
test_a_worker_may_get_fewer_slots_and_more_again(void **state)
{
    struct ask asks[4];
    uint64_t first, held[3];

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 3, NULL, 0);
    for (unsigned i = 0; i < 4; i++)
        submit(&asks[i], ORDERS_LIST, true);
    first = sent_last(3)->wire.id;
    for (unsigned i = 0; i < 3; i++)
        held[i] = first + i;
    ready_with(hub, "w1", "store-data", first + 2, "one:1", 1, held, 3);
    assert_int_equal(state_of("store-data").workers, 1);
    reply(hub, "w1", first, "");
    reply(hub, "w1", first + 1, "");
    assert_int_equal(router.count, 3); /* two fewer in its hands, and still as many as it has slots */
    ready_with(hub, "w1", "store-data", first + 2, "one:1", 64, &held[2], 1);
    assert_int_equal(router.count, 4);
    assert_int_equal(state_of("store-data").idle, 62);
    ready_with(hub, "w1", "store-data", first + 3, "one:1", 1000000, &(uint64_t){first + 3}, 1);
    assert_int_equal(asks[2].ends, 0); /* repeatable: sent again */
    assert_int_equal(state_of("store-data").workers, 64);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_most_recently_ready_worker_first),
        TEST(test_a_worker_takes_as_many_as_it_has_slots),
        TEST(test_the_least_busy_worker_first),
        TEST(test_queue_is_served_in_order),
        TEST(test_ready_names_what_is_in_hand),
        TEST(test_what_is_held_from_before_takes_a_slot),
        TEST(test_a_worker_may_get_fewer_slots_and_more_again),
        TEST(test_pools_are_apart),
        TEST(test_done_may_submit_again),
        TEST(test_reply_of_an_old_incarnation_is_dropped),
        TEST(test_ids_are_of_incarnation_and_routing_id),
        TEST(test_reply_from_another_routing_id_is_dropped),
        TEST(test_unknown_reply_gives_no_second_credit),
        TEST(test_stale_ready_that_crossed_a_request_gives_no_credit),
        TEST(test_ready_frees_a_worker_whose_reply_was_lost),
        TEST(test_first_ready_of_a_connection_counts_whatever_its_id),
        TEST(test_full_queue_refuses_at_once),
        TEST(test_no_worker_for_two_seconds_refuses_at_once),
        TEST(test_deadline_ends_calls_and_the_worker_stays_unready),
        TEST(test_ready_after_a_missed_deadline_frees_the_worker),
        TEST(test_deadlines_come_in_order),
        TEST(test_cancel),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
