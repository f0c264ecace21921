/* test_identities_coherence.c - nothing revoked is accepted: the interleavings of protocols 5.
 *
 * "Revoked" means that auth's answer to the revoking call is out; from then on no question may be answered from what
 * was known before.
 */
#include "identity_asks.h"

/* ---- the lease ----------------------------------------------------------------------------------------------- */

static void
test_no_lease_asks_every_time(void **state)
{
    (void)state;
    learn("t1", 1, "token:1"); /* before JOIN */
    assert_false(is_cached("t1"));
    join_at(1);
    assert_false(is_cached("t1")); /* what was read before JOIN does not count */
    learn("t1", 1, "token:1");
    assert_true(is_cached("t1"));
    pass(799);
    assert_true(is_cached("t1"));
    pass(1);
    assert_false(is_cached("t1"));
}

static void
test_lease_runs_from_when_it_was_asked(void **state)
{
    (void)state;
    identities_tick(identities);
    pass(700);
    answer_join(last_of("auth.identity.join"), 1);
    learn("t1", 1, "token:1");
    pass(99);
    assert_true(is_cached("t1"));
    pass(1);
    assert_false(is_cached("t1"));
}

static void
test_renewal_every_quarter_second(void **state)
{
    struct arena *arena = arena_new(1024);
    struct in in;

    (void)state;
    join_at(5);
    for (unsigned i = 1; i <= 8; i++) {
        pass(249);
        identities_tick(identities);
        assert_int_equal(count_of("auth.identity.renew"), i - 1);
        pass(1);
        assert_true(identities_next_ms(identities) <= router.now_ms);
        identities_tick(identities);
        assert_int_equal(count_of("auth.identity.renew"), i);
        assert_true(identities_next_ms(identities) == INT64_MAX); /* one at a time */
        answer_renew(sent_last(1), 5 + i, 0, NULL);
        assert_true(identities_have_lease(identities));
    }
    assert_int_equal(in_decode(&in, arena, sent_last(1)->body, sent_last(1)->body_size), 0);
    assert_int_equal(in_int(in, "body.gateway_id", 0), GATEWAY_ID);
    assert_int_equal(in_int(in, "body.since", 0), 12);
    arena_destroy(&arena);
}

/* The renewal left before the commit, so it carries no word of it, and the INVALIDATE is lost. auth answers the
 * revoking call 1 s after its commit: by then this lease is over. */
static void
test_lease_sent_before_the_commit(void **state)
{
    const struct sent *renewal;

    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    pass(250);
    identities_tick(identities);
    renewal = sent_last(1);
    pass(10); /* here v = 2 is committed, after the renewal was read */
    answer_renew(renewal, 1, 0, NULL);
    pass(789);
    assert_true(is_cached("t1")); /* 0.799 s after the commit: not answered yet */
    pass(1);
    assert_false(is_cached("t1")); /* 0.8 s after it was sent */
}

static void
test_lease_counts_only_with_its_tags_applied(void **state)
{
    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    learn("t2", 1, "token:2");
    pass(250);
    identities_tick(identities);
    answer_renew(sent_last(1), 2, 2, "token:1"); /* the INVALIDATE itself never came */
    assert_true(identities_have_lease(identities));
    assert_false(is_cached("t1"));
    assert_true(is_cached("t2"));
}

/* SIGSTOP for five seconds; the answer to a renewal was waiting in the socket all the time. */
static void
test_resumed_gateway_with_an_old_answer(void **state)
{
    const struct sent *renewal;

    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    pass(250);
    identities_tick(identities);
    renewal = sent_last(1);
    boot_now_ms += 5000; /* the hub's own clock has not been looked at yet */
    assert_false(is_cached("t1"));
    answer_renew(renewal, 1, 0, NULL);
    assert_false(identities_have_lease(identities));
    assert_false(is_cached("t1"));
}

static void
test_row_gone_drops_everything_and_joins(void **state)
{
    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    pass(250);
    identities_tick(identities);
    answer_error(sent_last(1), "not_found"); /* auth gave up waiting for this gateway and revoked without it */
    assert_false(identities_have_lease(identities));
    assert_false(is_cached("t1"));
    assert_true(identities_next_ms(identities) <= router.now_ms);
    identities_tick(identities);
    assert_string_equal(sent_last(1)->name, "auth.identity.join");
    answer_join(sent_last(1), 7);
    assert_true(identities_have_lease(identities));
    assert_false(is_cached("t1"));
}

static void
test_unanswered_renewal_is_tried_again(void **state)
{
    (void)state;
    join_at(1);
    pass(250);
    identities_tick(identities);
    pass(500);
    hub_tick(hub);
    assert_int_equal(count_of("auth.identity.renew"), 1);
    identities_tick(identities);
    assert_int_equal(count_of("auth.identity.renew"), 2);
    answer_renew(sent_last(1), 1, 0, NULL);
    assert_true(identities_have_lease(identities));
}

static void
test_lease_of_zero_turns_the_cache_off(void **state)
{
    (void)state;
    tear_down(NULL);
    start(0);
    assert_true(identities_next_ms(identities) == INT64_MAX);
    identities_tick(identities);
    assert_int_equal(router.count, 0);
    learn("t1", 1, "token:1");
    assert_false(is_cached("t1"));
    assert_false(identities_have_lease(identities));
}

/* ---- revocation ---------------------------------------------------------------------------------------------- */

static void
test_invalidation_drops_what_it_names(void **state)
{
    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    learn("t2", 1, "token:2");
    invalidate(2, "token:1");
    assert_false(is_cached("t1"));
    assert_true(is_cached("t2"));
    invalidate(3, "store:22"); /* suspended: everybody in it */
    assert_false(is_cached("t2"));
    learn("t2", 3, "token:2"); /* read after it */
    assert_true(is_cached("t2"));
}

static void
test_introspection_read_before_the_revocation_is_not_cached_after_the_invalidation(void **state)
{
    struct ask before;
    const struct sent *asked;

    (void)state;
    join_at(1);
    ask(&before, "t1");
    asked = sent_last(1);     /* auth reads v = 1 here */
    invalidate(2, "token:1"); /* acked: the revoking call is answered */
    answer_identity(asked, 1, "token:1");
    assert_true(before.ok); /* it had come before */
    assert_false(is_cached("t1"));
}

static void
test_question_never_joins_an_introspection_begun_before(void **state)
{
    struct ask before, after;
    const struct sent *first, *second;

    (void)state;
    join_at(1);
    ask(&before, "t1");
    first = sent_last(1);
    invalidate(2, "token:1");
    ask(&after, "t1");
    second = sent_last(1);
    assert_int_equal(introspections(), 2);
    answer_identity(first, 1, "token:1");
    assert_int_equal(after.ends, 0);
    answer_error(second, "invalid_token");
    assert_false(after.ok);
    assert_int_equal(after.fail, FAIL_INVALID_TOKEN);
}

static void
test_answer_older_than_the_arrival_is_asked_again(void **state)
{
    struct ask it;

    (void)state;
    join_at(1);
    invalidate(2, "token:9");
    ask(&it, "t1");
    answer_identity(sent_last(1), 1, "token:1"); /* from wherever: it does not know of version 2 */
    assert_int_equal(it.ends, 0);
    assert_int_equal(introspections(), 2);
    answer_identity(sent_last(1), 2, "token:1");
    assert_true(it.ok);
    pass(800);
    ask(&it, "t1");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(it.ends, 0);
        answer_identity(sent_last(1), 1, "token:1");
    }
    assert_int_equal(it.ends, 1);
    assert_int_equal(it.fail, FAIL_SERVICE_UNAVAILABLE);
}

static void
test_invalidations_out_of_order(void **state)
{
    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    invalidate(3, "token:9");
    assert_true(is_cached("t1")); /* compared with 3 */
    invalidate(2, "token:1");     /* another auth process was slower */
    assert_false(is_cached("t1"));
}

/* A JOIN that was read at 11, an INVALIDATE of 12 that overtakes its answer, an introspection read at 11. */
static void
test_join_does_not_forget_an_invalidation_that_overtook_it(void **state)
{
    struct ask it;
    const struct sent *joined, *asked;

    (void)state;
    identities_tick(identities);
    joined = last_of("auth.identity.join");
    ask(&it, "t1");
    asked = sent_last(1);
    invalidate(12, "token:1");
    answer_join(joined, 11);
    answer_identity(asked, 11, "token:1");
    assert_true(it.ok);
    assert_false(is_cached("t1"));
    ask(&it, "t1");
    answer_identity(sent_last(1), 11, "token:1"); /* and 12 stays the version to reach */
    assert_int_equal(it.ends, 0);
    identities_cancel(identities, &it.question);
}

static void
test_answer_older_than_the_join_is_not_cached(void **state)
{
    struct ask it;
    const struct sent *asked;

    (void)state;
    ask(&it, "t1");
    asked = sent_last(1);
    join_at(9);
    answer_identity(asked, 8, "token:1"); /* what 9 revoked was never told to this gateway */
    assert_true(it.ok);
    assert_false(is_cached("t1"));
}

static void
test_more_invalidations_than_the_ring_holds(void **state)
{
    struct ask it;
    const struct sent *asked;
    char tag[32];

    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    learn("t2", 1, "token:2");
    ask(&it, "t3");
    asked = sent_last(1);
    for (unsigned i = 0; i < INVALIDATION_RING; i++) {
        snprintf(tag, sizeof tag, "token:x%u", i);
        invalidate(2 + i, tag);
    }
    assert_true(is_cached("t1")); /* compared with each of them just in time */
    invalidate(2 + INVALIDATION_RING, "token:y");
    assert_true(is_cached("t1"));
    assert_false(is_cached("t2"));        /* one of them can not be compared any more */
    answer_identity(asked, 1, "token:3"); /* older than the ring */
    assert_true(it.ok);
    assert_false(is_cached("t3"));
}

static void
test_unreadable_invalidation_drops_everything(void **state)
{
    struct wire wire = {.type = WIRE_INVALIDATE, .id = 2};

    (void)state;
    join_at(1);
    learn("t1", 1, "token:1");
    deliver_bytes(hub, "revoker", NULL, &wire, "", "\xc1", 1);
    assert_false(is_cached("t1"));
}

static void
test_replaced_database_starts_anew(void **state)
{
    (void)state;
    join_at(100);
    invalidate(101, "token:1");
    pass(250);
    identities_tick(identities);
    answer_error(sent_last(1), "not_found");
    identities_tick(identities);
    answer_join(sent_last(1), 3); /* versions never go back: it is another database */
    learn("t1", 3, "token:1");
    assert_true(is_cached("t1"));
    pass(250);
    identities_tick(identities);
    answer_renew(sent_last(1), 2, 0, NULL); /* and again, with our row in it */
    assert_false(identities_have_lease(identities));
    assert_false(is_cached("t1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_lease_asks_every_time),
        TEST(test_lease_runs_from_when_it_was_asked),
        TEST(test_renewal_every_quarter_second),
        TEST(test_lease_sent_before_the_commit),
        TEST(test_lease_counts_only_with_its_tags_applied),
        TEST(test_resumed_gateway_with_an_old_answer),
        TEST(test_row_gone_drops_everything_and_joins),
        TEST(test_unanswered_renewal_is_tried_again),
        TEST(test_lease_of_zero_turns_the_cache_off),
        TEST(test_invalidation_drops_what_it_names),
        TEST(test_introspection_read_before_the_revocation_is_not_cached_after_the_invalidation),
        TEST(test_question_never_joins_an_introspection_begun_before),
        TEST(test_answer_older_than_the_arrival_is_asked_again),
        TEST(test_invalidations_out_of_order),
        TEST(test_join_does_not_forget_an_invalidation_that_overtook_it),
        TEST(test_answer_older_than_the_join_is_not_cached),
        TEST(test_more_invalidations_than_the_ring_holds),
        TEST(test_unreadable_invalidation_drops_everything),
        TEST(test_replaced_database_starts_anew),
    };

    return cmocka_run_group_tests_name("identities_coherence", tests, NULL, NULL);
}
