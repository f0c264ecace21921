/* test_hub_losses.c - workers that vanish, hang, fall silent or say goodbye (protocols 14). */
#include "hub_asks.h"

static void
test_lost_worker_repeatable_goes_to_another(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w2", "store-data", 0);
    ready(hub, "w1", "store-data", 0);
    submit(&ask, ORDERS_LIST, true);
    assert_string_equal(sent_last(1)->to, "w1");
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    assert_true(hub_next_ms(hub) <= router.now_ms);
    hub_tick(hub);
    assert_int_equal(ask.ends, 0);
    assert_string_equal(sent_last(1)->to, "w2");
    assert_int_equal(sent_last(1)->wire.flags, WIRE_FLAG_JSON | WIRE_FLAG_AGAIN);
    assert_int_equal(ask.call.attempts, 2);
    assert_int_equal(state_of("store-data").workers, 1);
    reply(hub, "w2", sent_last(1)->wire.id, "ok");
    assert_string_equal(ask.body, "ok");
}

static void
test_lost_worker_unsafe_ends_as_outcome_unknown(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w2", "store-data", 0);
    ready(hub, "w1", "store-data", 0);
    submit(&ask, ORDERS_CREATE, false);
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(ask.ends, 1);
    assert_int_equal(ask.fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(ask.status, 502);
}

static void
test_second_loss_ends_the_call(void **state)
{
    struct ask keyed, plain;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    ready(hub, "w2", "store-data", 0);
    ready(hub, "w3", "store-data", 0);
    ready(hub, "w4", "store-data", 0);
    submit(&keyed, ORDERS_CREATE, true); /* w4 */
    submit(&plain, ORDERS_LIST, true);   /* w3 */
    put_in(router.gone, "w4");
    put_in(router.gone, "w3");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(keyed.ends + plain.ends, 0);
    put_in(router.gone, "w2");
    put_in(router.gone, "w1");
    advance(10);
    assert_int_equal(keyed.fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(plain.fail, FAIL_SERVICE_UNAVAILABLE); /* a GET: nothing happened */
    assert_int_equal(keyed.ends + plain.ends, 2);
}

static void
test_lost_worker_without_another_waits_for_one(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&ask, ORDERS_LIST, true);
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(ask.ends, 0);
    advance(1500);
    ready(hub, "w2", "store-data", 0); /* restarted by the supervisor */
    assert_string_equal(sent_last(1)->to, "w2");
    assert_int_equal(sent_last(1)->wire.budget_ms, 3500);
}

static void
test_send_to_a_gone_worker_just_tries_the_next(void **state)
{
    struct ask ask;

    (void)state;
    ready_of(hub, "w2", "store-data", 0, "host:2/0");
    ready_of(hub, "w1", "store-data", 0, "host:1/0");
    put_in(router.gone, "w1");
    submit(&ask, ORDERS_CREATE, false); /* nothing was sent, so even an unsafe one may go on */
    assert_string_equal(sent_last(1)->to, "w2");
    assert_int_equal(sent_last(1)->wire.flags, WIRE_FLAG_JSON);
    assert_int_equal(ask.call.attempts, 1);
    assert_int_equal(state_of("store-data").workers, 1);
}

/* Everything that a process had in its hands is lost with it, each by its own rule. */
static void
test_all_requests_of_a_lost_worker_are_lost(void **state)
{
    struct ask safe, unsafe, given_up, waiting;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 3, NULL, 0);
    submit(&given_up, ORDERS_LIST, true);
    submit(&safe, ORDERS_LIST, true);
    submit(&unsafe, ORDERS_CREATE, false);
    submit(&waiting, ORDERS_LIST, true);
    hub_cancel(hub, &given_up.call);
    assert_int_equal(state_of("store-data").queued, 1);
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(given_up.ends, 0);
    assert_int_equal(unsafe.fail, FAIL_OUTCOME_UNKNOWN);
    assert_int_equal(safe.ends + waiting.ends, 0);
    assert_int_equal(state_of("store-data").workers, 0);
    ready_with(hub, "w2", "store-data", 0, "one:2", 3, NULL, 0);
    reply(hub, "w2", sent_last(1)->wire.id, "waited");
    reply(hub, "w2", sent_last(1)->wire.id - 1, "again");
    assert_string_equal(safe.body, "again");
    assert_string_equal(waiting.body, "waited");
    assert_int_equal(hub_in_flight(hub), 0);
}

/* The end of one lost request may cancel the next one. */
static struct ask *cancelled_by_done;

static void
cancel_another(struct hub_call *call, struct hub_reply *result)
{
    ask_done(call, result);
    hub_cancel(hub, &cancelled_by_done->call);
}

static void
test_a_lost_request_may_cancel_another(void **state)
{
    struct ask first, second;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 2, NULL, 0);
    submit(&first, ORDERS_CREATE, false);
    submit(&second, ORDERS_CREATE, false);
    second.call.done = cancel_another;
    cancelled_by_done = &first;
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(second.ends, 1);
    assert_int_equal(first.ends, 0);
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_bye_with_requests_in_hand(void **state)
{
    const struct wire goodbye = {.type = WIRE_BYE};
    struct ask first, second, third;
    uint64_t id;

    (void)state;
    ready_with(hub, "w1", "store-data", 0, "one:1", 3, NULL, 0);
    submit(&first, ORDERS_LIST, true);
    submit(&second, ORDERS_LIST, true);
    id = sent_last(1)->wire.id;
    deliver_bytes(hub, "w1", NULL, &goodbye, "", NULL, 0);
    assert_int_equal(sent_last(1)->wire.type, WIRE_BYE);
    submit(&third, ORDERS_LIST, true); /* a slot is free, and not for us */
    assert_int_equal(state_of("store-data").queued, 1);
    reply(hub, "w1", id - 1, "1");
    reply(hub, "w1", id, "2");
    assert_int_equal(first.ends + second.ends, 2);
    assert_int_equal(state_of("store-data").workers, 0);
    assert_int_equal(third.ends, 0);
    ready_with(hub, "w1", "store-data", id, "one:1", 1, NULL, 0); /* it has stayed after all, with less for us */
    assert_string_equal(sent_last(1)->to, "w1");
    assert_int_equal(state_of("store-data").workers, 1);
}

/* One that is about to leave and waits for an answer of its own is lost together with the one that was to give it. */
static void
test_caller_that_leaves_is_lost_with_its_callee(void **state)
{
    struct wire bye = {.type = WIRE_BYE};

    (void)state;
    ready(hub, "a1", "auth", 0);
    ready(hub, "a2", "auth", 0);
    ready(hub, "s1", "store-data", 0);
    request(hub, "s1", NULL, "auth.stores.members", 7, WIRE_FLAG_NESTED, 800);
    assert_string_equal(sent_last(1)->to, "a2");
    put_in(router.gone, "a2");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(state_of("auth").workers, 1); /* a1 has it now, for the last time */
    deliver_bytes(hub, "s1", NULL, &bye, "", NULL, 0);
    put_in(router.gone, "a1");
    put_in(router.gone, "s1");
    advance(10);
    assert_int_equal(state_of("auth").workers, 0);
    assert_int_equal(state_of("store-data").workers, 0);
    assert_int_equal(hub_in_flight(hub), 0);
}

static void
test_full_pipe_is_not_death(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    put_in(router.full, "w1");
    submit(&ask, ORDERS_CREATE, false);
    assert_int_equal(ask.ends, 0);
    assert_int_equal(state_of("store-data").workers, 1);
    assert_int_equal(state_of("store-data").idle, 0);
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(state_of("store-data").workers, 1);
    take_from(router.full, "w1");
    ready(hub, "w1", "store-data", 0);
    assert_int_equal(state_of("store-data").queued, 0);
}

static void
test_pings_after_a_disconnect(void **state)
{
    static const int64_t at_ms[] = {0, 10, 50, 200, 700, 1200};
    struct ask ask;
    unsigned found = 0;
    int64_t start_ms;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&ask, ORDERS_LIST, true);
    hub_disconnected(hub);
    start_ms = router.now_ms;
    for (int64_t t = 0; t <= 1300; t++) {
        unsigned before = router.count;

        router.now_ms = start_ms + t;
        if (hub_next_ms(hub) <= router.now_ms)
            hub_tick(hub);
        if (router.count > before) {
            assert_int_equal(sent_last(1)->wire.type, WIRE_PING);
            assert_true(found < ARRAY_COUNT(at_ms) && t == at_ms[found]);
            found++;
        }
    }
    assert_int_equal(found, ARRAY_COUNT(at_ms));
}

static void
test_idle_platform_is_left_alone(void **state)
{
    (void)state;
    ready(hub, "w1", "store-data", 0);
    hub_disconnected(hub);
    for (unsigned i = 0; i < 20; i++) {
        advance(1000);
        ready(hub, "w1", "store-data", 0);
    }
    assert_int_equal(router.count, 4); /* the four rounds after the disconnect */
}

static void
test_silent_idle_worker_gets_nothing(void **state)
{
    struct ask ask;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    advance(3000);
    ready(hub, "w2", "store-data", 0);
    for (unsigned i = 0; i < 3; i++) {
        advance(1000);
        ready(hub, "w2", "store-data", 0);
    }
    assert_int_equal(state_of("store-data").idle, 1);
    assert_int_equal(state_of("store-data").workers, 2);
    submit(&ask, ORDERS_LIST, true);
    assert_string_equal(sent_last(1)->to, "w2");
    ready(hub, "w1", "store-data", 0); /* SIGCONT */
    assert_int_equal(state_of("store-data").idle, 1);
    put_in(router.gone, "w1");
    hub_disconnected(hub);
    hub_tick(hub);
    assert_int_equal(state_of("store-data").workers, 1);
}

static void
test_bye(void **state)
{
    struct wire bye = {.type = WIRE_BYE};
    struct ask ask, crossed, waits;

    (void)state;
    ready(hub, "w1", "store-data", 0);
    submit(&ask, ORDERS_LIST, true);
    deliver_bytes(hub, "w1", NULL, &bye, "", NULL, 0);
    assert_int_equal(sent_last(1)->wire.type, WIRE_BYE);
    reply(hub, "w1", ask.call.id, "last words");
    assert_string_equal(ask.body, "last words");
    assert_int_equal(state_of("store-data").workers, 0);
    submit(&waits, ORDERS_LIST, true);
    assert_int_equal(waits.ends, 0);
    ready(hub, "w2", "store-data", 0);
    assert_string_equal(sent_last(1)->to, "w2");
    reply(hub, "w2", waits.call.id, "");
    submit(&crossed, ORDERS_LIST, true); /* on its way when w2 says BYE */
    deliver_bytes(hub, "w2", NULL, &bye, "", NULL, 0);
    assert_int_equal(sent_last(1)->wire.type, WIRE_BYE);
    assert_int_equal(crossed.ends, 0);
    reply(hub, "w2", crossed.call.id, "done all the same");
    assert_string_equal(crossed.body, "done all the same");
    ready(hub, "w3", "store-data", 0);
    deliver_bytes(hub, "w3", NULL, &bye, "", NULL, 0);
    assert_int_equal(state_of("store-data").workers, 0);
    ready(hub, "w3", "store-data", 0); /* came back: its other home went away */
    assert_int_equal(state_of("store-data").idle, 1);
    deliver_bytes(hub, "w9", NULL, &bye, "", NULL, 0);
    assert_string_equal(sent_last(1)->to, "w9");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lost_worker_repeatable_goes_to_another),
        TEST(test_lost_worker_unsafe_ends_as_outcome_unknown),
        TEST(test_second_loss_ends_the_call),
        TEST(test_lost_worker_without_another_waits_for_one),
        TEST(test_send_to_a_gone_worker_just_tries_the_next),
        TEST(test_all_requests_of_a_lost_worker_are_lost),
        TEST(test_a_lost_request_may_cancel_another),
        TEST(test_bye_with_requests_in_hand),
        TEST(test_caller_that_leaves_is_lost_with_its_callee),
        TEST(test_full_pipe_is_not_death),
        TEST(test_pings_after_a_disconnect),
        TEST(test_idle_platform_is_left_alone),
        TEST(test_silent_idle_worker_gets_nothing),
        TEST(test_bye),
    };

    return cmocka_run_group_tests_name("hub_losses", tests, NULL, NULL);
}
