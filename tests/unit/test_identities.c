/* test_identities.c - questions, answers, what is kept of them, and what that costs. */
#include <time.h>

#include "identity_asks.h"

/* ---- asking -------------------------------------------------------------------------------------------------- */

static void
test_the_question_and_the_answer(void **state)
{
    struct arena *arena = arena_new(1024);
    struct ask first, second;
    struct in in;

    (void)state;
    join_at(1);
    ask(&first, "sx_at_1");
    assert_int_equal(in_decode(&in, arena, sent_last(1)->body, sent_last(1)->body_size), 0);
    assert_string_equal(in_text(in, "body.kind"), "bearer");
    assert_string_equal(in_text(in, "body.token"), "sx_at_1");
    assert_int_equal(in_int(in, "body.audience", 0), AUDIENCE_APP);
    assert_string_equal(in_text(in, "request_id"), "r1");
    assert_string_equal(in_text(in, "address"), "203.0.113.9");
    assert_string_equal(in_text(in, "caller.service"), "gateway");
    assert_int_equal(first.ends, 0);
    answer_identity(sent_last(1), 1, "token:1");
    assert_true(first.ok);
    assert_int_equal(first.store_id, 22);
    ask(&second, "sx_at_1");
    assert_true(second.ok);
    assert_int_equal(second.store_id, 22);
    assert_string_equal(second.scopes, "read:orders write:orders");
    assert_int_equal(introspections(), 1);
    arena_destroy(&arena);
}

static void
test_client_credentials(void **state)
{
    struct arena *arena = arena_new(1024);
    struct ask it;
    struct in in;

    (void)state;
    join_at(1);
    ask_init(&it, NULL);
    it.question.credential.kind = CREDENTIAL_CLIENT;
    it.question.credential.client_id = STR("sx_app_1");
    it.question.credential.client_secret = STR("sx_secret_1");
    identities_ask(identities, &it.question);
    assert_int_equal(in_decode(&in, arena, sent_last(1)->body, sent_last(1)->body_size), 0);
    assert_string_equal(in_text(in, "body.kind"), "client");
    assert_string_equal(in_text(in, "body.client_secret"), "sx_secret_1");
    assert_false(in_has(in, "body.store_id") || in_has(in, "body.token"));
    answer_error(sent_last(1), "missing_store_id");
    assert_int_equal(it.fail, FAIL_MISSING_STORE_ID);
    it.question.credential.store_id = STR("22");
    identities_ask(identities, &it.question);
    assert_int_equal(introspections(), 2);
    answer_identity(sent_last(1), 1, "app:1");
    identities_ask(identities, &it.question);
    assert_int_equal(it.ends, 3);
    it.question.credential.store_id = STR("23");
    identities_ask(identities, &it.question);
    assert_int_equal(it.ends, 3);
    identities_cancel(identities, &it.question);
    it.question.credential.client_secret = STR("sx_secret_12");
    it.question.credential.store_id = STR("2"); /* the fields do not run into each other */
    identities_ask(identities, &it.question);
    assert_int_equal(it.ends, 3);
    identities_cancel(identities, &it.question);
    arena_destroy(&arena);
}

static void
test_another_audience_is_another_question(void **state)
{
    struct ask it;

    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    ask_init(&it, "t1");
    it.question.audience = AUDIENCE_DEVELOPER;
    identities_ask(identities, &it.question);
    assert_int_equal(it.ends, 0);
    answer_error(sent_last(1), "missing_auth");
    assert_int_equal(it.fail, FAIL_MISSING_AUTH);
    assert_string_equal(it.message, "said by auth");
    assert_true(is_cached("t1"));
}

static void
test_failures_are_not_cached(void **state)
{
    struct ask first, second;

    (void)state;
    join_at(1);
    ask(&first, "t1");
    answer_error(sent_last(1), "invalid_token");
    assert_int_equal(first.fail, FAIL_INVALID_TOKEN);
    ask(&second, "t1");
    assert_int_equal(second.ends, 0);
    answer_identity(sent_last(1), 1, "token:1");
    assert_true(second.ok);
}

static void
test_auth_out_of_reach_is_503(void **state)
{
    struct ask first, second, third;

    (void)state;
    ask(&first, "t1");
    pass(5000);
    hub_tick(hub);
    assert_int_equal(first.ends, 1);
    assert_int_equal(first.fail, FAIL_SERVICE_UNAVAILABLE);
    for (unsigned i = 0; i < 15; i++) {
        char name[16];

        snprintf(name, sizeof name, "auth%u", i);
        put_in(router.gone, name);
    }
    hub_disconnected(hub);
    hub_tick(hub);
    pass(NO_WORKER_MS + 1);
    ask(&second, "t1"); /* the one that is left holds the first question */
    assert_int_equal(second.ends, 0);
    put_in(router.gone, "auth15");
    hub_disconnected(hub);
    hub_tick(hub);
    pass(NO_WORKER_MS + 1);
    ask(&third, "t1");
    assert_int_equal(third.ends, 1);
    assert_int_equal(third.fail, FAIL_SERVICE_UNAVAILABLE);
    identities_cancel(identities, &second.question);
}

static void
test_cancelled_question_is_not_answered(void **state)
{
    struct ask it;

    (void)state;
    join_at(1);
    ask(&it, "t1");
    identities_cancel(identities, &it.question);
    identities_cancel(identities, &it.question);
    answer_identity(sent_last(1), 1, "token:1");
    assert_int_equal(it.ends, 0);
}

static void
test_expired_identity_is_asked_again(void **state)
{
    struct ask it;

    (void)state;
    join_at(1);
    ask(&it, "t1");
    answer_identity_until(sent_last(1), 1, "token:1", clock_now_us() - 1);
    assert_true(it.ok); /* auth has just said so */
    assert_false(is_cached("t1"));
}

/* ---- size and speed ------------------------------------------------------------------------------------------ */

static void
answer_many_tags(const struct sent *sent, unsigned count)
{
    struct out out = begin_body();

    out_map(&out, 3);
    out_key(&out, "version");
    out_int(&out, 1);
    out_key(&out, "caller");
    out_map(&out, 0);
    out_key(&out, "tags");
    out_list(&out, count);
    for (unsigned i = 0; i < count; i++)
        out_text(&out, "token:1");
    answer(sent, false);
}

static void
test_answer_with_too_many_tags_is_not_cached(void **state)
{
    struct ask it;

    (void)state;
    join_at(1);
    ask(&it, "t1");
    answer_many_tags(sent_last(1), 9);
    assert_true(it.ok);
    assert_false(is_cached("t1"));
    ask(&it, "t1");
    answer_many_tags(sent_last(1), 8);
    assert_true(is_cached("t1"));
    assert_string_equal(it.scopes, "");
}

static void
test_the_cache_is_bounded(void **state)
{
    char token[32];
    unsigned cached = 0;

    (void)state;
    join_at(1);
    for (unsigned i = 0; i < 2 * IDENTITY_CACHE_MAX; i++) {
        struct ask it;

        snprintf(token, sizeof token, "many%u", i);
        ask(&it, token);
        answer_identity(sent_last(1), 1, "token:1");
        assert_true(it.ok);
    }
    for (unsigned i = IDENTITY_CACHE_MAX; i < 2 * IDENTITY_CACHE_MAX; i++) {
        struct ask it;

        if (router.count == SENT_MAX)
            break;
        snprintf(token, sizeof token, "many%u", i);
        ask(&it, token);
        if (it.ends == 0)
            identities_cancel(identities, &it.question);
        cached += it.ends;
    }
    assert_true(cached > IDENTITY_CACHE_MAX / 2 && cached <= IDENTITY_CACHE_MAX);
}

static void
test_cost_of_a_hit(void **state)
{
    struct timespec start_time, end_time;
    char token[80];
    unsigned rounds = 100000;
    double us;

    (void)state;
    join_at(1);
    snprintf(token, sizeof token, "sx_at_%064d", 7);
    learn(token, 1, "token:1");
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start_time);
    for (unsigned i = 0; i < rounds; i++) {
        struct ask it;

        ask(&it, token);
        assert_true(it.ok);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end_time);
    us = ((double)(end_time.tv_sec - start_time.tv_sec) * 1e9 + (double)(end_time.tv_nsec - start_time.tv_nsec)) / 1e3;
    print_message("             identity from the cache: %.2f us of CPU\n", us / rounds);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_question_and_the_answer),
        TEST(test_client_credentials),
        TEST(test_another_audience_is_another_question),
        TEST(test_failures_are_not_cached),
        TEST(test_auth_out_of_reach_is_503),
        TEST(test_cancelled_question_is_not_answered),
        TEST(test_expired_identity_is_asked_again),
        TEST(test_answer_with_too_many_tags_is_not_cached),
        TEST(test_the_cache_is_bounded),
        TEST(test_cost_of_a_hit),
    };

    return cmocka_run_group_tests_name("identities", tests, NULL, NULL);
}
