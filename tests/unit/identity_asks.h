/* identity_asks.h - what the tests of the identity cache share: questions, and an auth that is played by hand.
 *
 * The test answers introspections, JOIN and RENEW in whatever order the case needs, and moves both clocks.
 */
#ifndef IDENTITY_ASKS_H
#define IDENTITY_ASKS_H

#include "clock.h"
#include "fake_router.h"
#include "identities.h"

struct ask {
    struct identity_question question;
    unsigned ends;
    bool ok;
    enum fail fail;
    char message[64];
    int64_t store_id;
    char scopes[64];
};

static struct hub *hub;
static struct identities *identities;
static int64_t boot_now_ms;
static struct buf body;

static inline int64_t
fake_boot_ms(void)
{
    return boot_now_ms;
}

static inline void
on_invalidate(uint64_t version, struct str tags)
{
    identities_invalidate(identities, version, tags);
}

static inline void
ask_done(struct identity_question *question, const struct identity_answer *answer)
{
    struct ask *self = question->owner;

    self->ends++;
    self->ok = answer->ok;
    self->fail = answer->fail;
    snprintf(self->message, sizeof self->message, "%s", answer->message == NULL ? "" : answer->message);
    self->store_id = answer->identity.store_id;
    snprintf(self->scopes, sizeof self->scopes, "%s", answer->ok ? answer->identity.scopes : "");
}

static inline void
ask_init(struct ask *self, const char *token)
{
    memset(self, 0, sizeof *self);
    self->question.credential.kind = CREDENTIAL_BEARER;
    self->question.credential.token = str_of(token);
    self->question.audience = AUDIENCE_APP;
    self->question.request_id = "r1";
    self->question.address = "203.0.113.9";
    self->question.deadline_ms = router.now_ms + 5000;
    self->question.done = ask_done;
    self->question.owner = self;
}

static inline void
ask(struct ask *self, const char *token)
{
    ask_init(self, token);
    identities_ask(identities, &self->question);
}

static inline void
pass(int64_t ms)
{
    router.now_ms += ms;
    boot_now_ms += ms;
}

/* The last message of this name; NULL when there is none. */
static inline struct sent *
last_of(const char *name)
{
    for (unsigned i = router.count; i > 0; i--)
        if (strcmp(router.sent[i - 1].name, name) == 0)
            return &router.sent[i - 1];
    return NULL;
}

static inline unsigned
count_of(const char *name)
{
    unsigned count = 0;

    for (unsigned i = 0; i < router.count; i++)
        count += strcmp(router.sent[i].name, name) == 0;
    return count;
}

static inline unsigned
introspections(void)
{
    return count_of("auth.identity.introspect");
}

static inline struct out
begin_body(void)
{
    struct out out;

    buf_reset(&body);
    out_init(&out, &body, OUT_MSGPACK);
    return out;
}

static inline void
answer(const struct sent *sent, bool error)
{
    struct wire wire = {
        .type = WIRE_REPLY, .flags = error ? WIRE_FLAG_ERROR : 0, .status = error ? 401 : 200, .id = sent->wire.id};

    deliver_bytes(hub, sent->to, NULL, &wire, "", body.data, body.size);
}

static inline void
answer_identity_until(const struct sent *sent, uint64_t version, const char *tag, int64_t expires_us)
{
    struct out out = begin_body();

    out_map(&out, 4);
    out_key(&out, "version");
    out_int(&out, (int64_t)version);
    out_key(&out, "caller");
    out_map(&out, 3);
    out_key(&out, "audience");
    out_int(&out, AUDIENCE_APP);
    out_key(&out, "store_id");
    out_int(&out, 22);
    out_key(&out, "scopes");
    out_text(&out, "read:orders write:orders");
    out_key(&out, "tags");
    out_list(&out, 2);
    out_text(&out, tag);
    out_text(&out, "store:22");
    out_key(&out, "expires_us");
    out_int(&out, expires_us);
    answer(sent, false);
}

static inline void
answer_identity(const struct sent *sent, uint64_t version, const char *tag)
{
    answer_identity_until(sent, version, tag, clock_now_us() + INT64_C(3600000000));
}

static inline void
answer_error(const struct sent *sent, const char *code)
{
    struct out out = begin_body();

    out_map(&out, 3);
    out_key(&out, "code");
    out_text(&out, code);
    out_key(&out, "status");
    out_int(&out, 401);
    out_key(&out, "message");
    out_text(&out, "said by auth");
    answer(sent, true);
}

static inline void
answer_join(const struct sent *sent, uint64_t version)
{
    struct out out = begin_body();

    out_map(&out, 1);
    out_key(&out, "version");
    out_int(&out, (int64_t)version);
    answer(sent, false);
}

static inline void
answer_renew(const struct sent *sent, uint64_t version, uint64_t tag_version, const char *tag)
{
    struct out out = begin_body();

    out_map(&out, 2);
    out_key(&out, "version");
    out_int(&out, (int64_t)version);
    out_key(&out, "tags");
    out_list(&out, tag != NULL);
    if (tag != NULL) {
        out_list(&out, 2);
        out_int(&out, (int64_t)tag_version);
        out_text(&out, tag);
    }
    answer(sent, false);
}

static inline void
invalidate(uint64_t version, const char *tag)
{
    struct wire wire = {.type = WIRE_INVALIDATE, .id = version};
    struct out out = begin_body();

    out_list(&out, 1);
    out_text(&out, tag);
    deliver_bytes(hub, "revoker", NULL, &wire, "", body.data, body.size);
    assert_int_equal(sent_last(1)->wire.type, WIRE_ACK);
}

static inline void
join_at(uint64_t version)
{
    identities_tick(identities);
    answer_join(last_of("auth.identity.join"), version);
    assert_true(identities_have_lease(identities));
}

/* Asks and answers, so that the token is cached; the cache must not have had it. */
static inline void
learn(const char *token, uint64_t version, const char *tag)
{
    unsigned before = introspections();
    struct ask first;

    ask(&first, token);
    assert_int_equal(introspections(), before + 1);
    answer_identity(last_of("auth.identity.introspect"), version, tag);
    assert_true(first.ok);
}

static inline bool
is_cached(const char *token)
{
    struct ask it;

    ask(&it, token);
    if (it.ends == 0)
        identities_cancel(identities, &it.question);
    return it.ends == 1 && it.ok;
}

static inline void
start(int64_t lease_ms)
{
    router_reset();
    router.on_invalidate = on_invalidate;
    boot_now_ms = 500000;
    buf_init(&body, 65536);
    hub = hub_new(&router_transport, GATEWAY_ID);
    identities = identities_new(hub, GATEWAY_ID, lease_ms);
    identities_set_clock(identities, fake_boot_ms);
    for (unsigned i = 0; i < 16; i++) {
        char name[16];

        snprintf(name, sizeof name, "auth%u", i);
        ready(hub, name, "auth", 0);
    }
    ready(hub, "aside1", "auth-aside", 0);
    ready(hub, "aside2", "auth-aside", 0);
}

static inline int
set_up(void **state)
{
    (void)state;
    start(800);
    return 0;
}

static inline int
tear_down(void **state)
{
    (void)state;
    identities_destroy(&identities);
    assert_null(identities);
    hub_destroy(&hub);
    buf_free(&body);
    router_free();
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
