/* identities.c - who is behind a credential: questions to auth, and the lease that lets them be answered here.
 *
 * Questions never share an introspection: each is asked after its own arrival, which needs no proof (protocols 5).
 */
#include "identities.h"

#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "clock.h"
#include "identity_cache.h"
#include "log.h"
#include "metric.h"
#include "secret.h"

#define ASK_TRIES_MAX 3                    /* introspections of one question whose answers are too old */
#define LEASE_WAIT_MS (2 * LEASE_RENEW_MS) /* for an answer to JOIN or RENEW; later it would be worth little */

static struct metric hits_total = METRIC_COUNTER("sx_identity_hits_total", "Questions answered from the cache.");
static struct metric asked_total = METRIC_COUNTER("sx_identity_asked_total", "Introspections asked of auth.");
static struct metric old_total =
    METRIC_COUNTER("sx_identity_old_answers_total", "Introspections older than their question; asked again.");
static struct metric joins_total = METRIC_COUNTER("sx_identity_joins_total", "Times the cache began anew with a JOIN.");

struct identities {
    struct hub *hub;
    int64_t (*boot_ms)(void);
    int64_t gateway_id;
    int64_t lease_ms;
    const struct operation *introspect, *join, *renew;
    struct arena *arena; /* the last message read */
    struct buf scratch;
    struct identity_cache *cache;
    uint64_t version; /* the highest seen */

    bool joined;
    uint64_t renewed;       /* version of the last JOIN or RENEW: what the next one asks since */
    int64_t lease_until_ms; /* boot clock */
    struct hub_call lease_call;
    struct buf lease_request;
    bool lease_asked;      /* lease_call is under way */
    int64_t lease_sent_ms; /* boot clock, when it was asked */
    uint64_t lease_sent_version;
    int64_t next_ms; /* monotonic, when JOIN or RENEW is due */
};

struct identities *
identities_new(struct hub *hub, int64_t gateway_id, int64_t lease_ms)
{
    struct identities *self = xcalloc(1, sizeof *self);

    self->hub = hub;
    self->boot_ms = clock_boot_ms;
    self->gateway_id = gateway_id;
    self->lease_ms = lease_ms;
    self->introspect = hub_operation(STR("auth.identity.introspect"));
    self->join = hub_operation(STR("auth.identity.join"));
    self->renew = hub_operation(STR("auth.identity.renew"));
    if (self->introspect == NULL || self->join == NULL || self->renew == NULL)
        log_fatal("contract_lacks_identity", "s:needs", "auth.identity.introspect, .join and .renew", NULL);
    self->arena = arena_new(4096);
    self->cache = identity_cache_new();
    buf_init(&self->scratch, HEADER_MEMORY_MAX + 64);
    buf_init(&self->lease_request, 1024);
    self->next_ms = hub_now_ms(hub);
    return self;
}

void
identities_destroy(struct identities **self)
{
    struct identities *it = *self;

    if (it == NULL)
        return;
    hub_cancel(it->hub, &it->lease_call);
    identity_cache_destroy(&it->cache);
    arena_destroy(&it->arena);
    if (it->scratch.data != NULL)
        secret_wipe(it->scratch.data, it->scratch.capacity);
    buf_free(&it->scratch);
    buf_free(&it->lease_request);
    free(it);
    *self = NULL;
}

void
identities_set_clock(struct identities *self, int64_t (*boot_ms)(void))
{
    self->boot_ms = boot_ms;
}

bool
identities_have_lease(const struct identities *self)
{
    return self->joined && self->boot_ms() < self->lease_until_ms;
}

/* ---- invalidations ------------------------------------------------------------------------------------------- */

static void
see_version(struct identities *self, uint64_t version)
{
    if (version > self->version)
        self->version = version;
}

void
identities_invalidate(struct identities *self, uint64_t version, struct str tags)
{
    struct in in;

    arena_reset(self->arena);
    see_version(self, version);
    if (in_decode(&in, self->arena, tags.base, tags.len)) {
        /* What it meant is not known, and the hub will ack it: nothing cached so far may be used. */
        log_event(LOG_ERROR, "invalidation_not_read", "l:version", (int64_t)version, NULL);
        identity_cache_clear(self->cache);
        identity_cache_raise(self->cache, version);
        return;
    }
    for (unsigned i = 0; i < in_count(in, ""); i++)
        identity_cache_invalidate(self->cache, version, in_str(in_item(in, i), ""));
}

/* ---- the lease ----------------------------------------------------------------------------------------------- */

static void
take_join(struct identities *self, struct in in)
{
    uint64_t version = (uint64_t)in_int(in, "version", 0);

    if (version < self->lease_sent_version) {
        /* Versions never go back within one database, so this is another one. */
        identity_cache_restart(self->cache, version);
        self->version = version;
    }
    identity_cache_clear(self->cache);
    identity_cache_raise(self->cache, version);
    see_version(self, version);
    self->renewed = version;
    self->joined = true;
    self->lease_until_ms = self->lease_sent_ms + self->lease_ms;
    metric_add(&joins_total, 1);
}

static void
take_renewal(struct identities *self, struct in in)
{
    struct in tags = in_at(in, "tags");
    uint64_t version = (uint64_t)in_int(in, "version", 0);

    for (unsigned i = 0; i < in_count(tags, ""); i++) {
        struct in pair = in_item(tags, i);

        identity_cache_invalidate(self->cache, (uint64_t)in_int(in_item(pair, 0), "", 0), in_str(in_item(pair, 1), ""));
    }
    see_version(self, version);
    self->renewed = version;
    self->lease_until_ms = self->lease_sent_ms + self->lease_ms;
}

/* auth has taken this gateway for gone and waits for it no longer, or its database is another one than the one of which
 * a version was seen (versions never go back within one): what was cached is worth nothing. */
static void
lose_lease(struct identities *self)
{
    identity_cache_clear(self->cache);
    self->joined = false;
    self->next_ms = hub_now_ms(self->hub);
    log_event(LOG_WARN, "lease_lost", NULL);
}

static void
lease_answered(struct hub_call *call, struct hub_reply *reply)
{
    struct identities *self = call->owner;
    struct in in;

    self->lease_asked = false;
    arena_reset(self->arena);
    if (!reply->local && in_decode(&in, self->arena, zmq_msg_data(&reply->body), zmq_msg_size(&reply->body)) == 0) {
        bool renewed = call->operation == self->renew && !reply->error;

        if ((reply->error && str_is(in_str(in, "code"), fail_texts[FAIL_NOT_FOUND].code)) ||
            (renewed && (uint64_t)in_int(in, "version", 0) < self->lease_sent_version))
            lose_lease(self);
        else if (reply->error)
            log_event(LOG_WARN, "lease_refused", "s:code", in_text(in, "code"), NULL);
        else if (renewed)
            take_renewal(self, in);
        else
            take_join(self, in);
    }
    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
}

int64_t
identities_next_ms(const struct identities *self)
{
    return self->lease_ms == 0 || self->lease_asked ? INT64_MAX : self->next_ms;
}

static void
write_caller(struct out *out)
{
    out_key(out, "caller");
    out_map(out, 2);
    out_key(out, "audience");
    out_int(out, AUDIENCE_INTERNAL);
    out_key(out, "service");
    out_text(out, "gateway");
}

void
identities_tick(struct identities *self)
{
    struct hub_call *call = &self->lease_call;
    int64_t now_ms = hub_now_ms(self->hub);
    struct out out;

    if (now_ms < identities_next_ms(self))
        return;
    buf_reset(&self->lease_request);
    out_init(&out, &self->lease_request, OUT_MSGPACK);
    out_map(&out, 2);
    write_caller(&out);
    out_key(&out, "body");
    out_map(&out, self->joined ? 2 : 1);
    out_key(&out, "gateway_id");
    out_int(&out, self->gateway_id);
    if (self->joined) {
        out_key(&out, "since");
        out_int(&out, (int64_t)self->renewed);
    }
    *call = (struct hub_call){.operation = self->joined ? self->renew : self->join,
                              .request = &self->lease_request,
                              .repeatable = true,
                              .deadline_ms = now_ms + LEASE_WAIT_MS,
                              .done = lease_answered,
                              .owner = self};
    self->next_ms = now_ms + LEASE_RENEW_MS;
    self->lease_asked = true;
    self->lease_sent_version = self->version;
    self->lease_sent_ms = self->boot_ms(); /* before it is sent: what counts is what auth had committed then */
    hub_submit(self->hub, call);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static void
key_add(struct buf *scratch, struct str field)
{
    uint32_t len = field.base == NULL ? UINT32_MAX : (uint32_t)field.len;

    buf_append(scratch, &len, sizeof len);
    buf_append(scratch, field.base, field.len);
}

static void
make_key(struct identities *self, struct identity_question *question)
{
    const struct credential *credential = &question->credential;

    buf_reset(&self->scratch);
    buf_append_byte(&self->scratch, (char)credential->kind);
    buf_append_byte(&self->scratch, (char)question->audience);
    if (credential->kind == CREDENTIAL_CLIENT) {
        key_add(&self->scratch, credential->client_id);
        key_add(&self->scratch, credential->client_secret);
        key_add(&self->scratch, credential->store_id);
    } else
        key_add(&self->scratch, credential->token);
    secret_sha256(question->key, self->scratch.data, self->scratch.size);
}

static void
forget_request(struct identity_question *question)
{
    if (question->request.data != NULL)
        secret_wipe(question->request.data, question->request.capacity);
    buf_free(&question->request);
}

static void
read_error(struct in in, struct identity_answer *answer)
{
    struct str code = in_str(in, "code");

    answer->fail = FAIL_INTERNAL_ERROR;
    for (unsigned i = 0; i < fail_count; i++)
        if (str_is(code, fail_texts[i].code))
            answer->fail = (enum fail)i;
    answer->message = in_text(in, "message");
}

static void
read_identity(struct in in, struct identity *identity)
{
    const char *scopes = in_text(in, "caller.scopes");
    struct str credential = in_str(in, "credential");

    *identity = (struct identity){.audience = (enum audience)in_int(in, "caller.audience", AUDIENCE_NONE),
                                  .app_id = in_int(in, "caller.app_id", 0),
                                  .store_id = in_int(in, "caller.store_id", 0),
                                  .installation_id = in_int(in, "caller.installation_id", 0),
                                  .generation = in_int(in, "caller.generation", 0),
                                  .account_id = in_int(in, "caller.account_id", 0),
                                  .session_id = in_int(in, "caller.session_id", 0),
                                  .scopes = scopes == NULL ? "" : scopes,
                                  .service = ""};
    if (credential.len < sizeof identity->credential)
        memcpy(identity->credential, credential.base ? credential.base : "", credential.len);
}

/* True when the answer is older than the question and auth should be asked once more. */
static bool
read_answer(struct identities *self, struct identity_question *question, struct hub_reply *reply,
            struct identity_answer *answer)
{
    uint64_t version;
    struct in in;

    arena_reset(self->arena);
    if (reply->local)
        return false;
    if (in_decode(&in, self->arena, zmq_msg_data(&reply->body), zmq_msg_size(&reply->body))) {
        answer->fail = FAIL_INTERNAL_ERROR;
        return false;
    }
    if (reply->error) {
        read_error(in, answer);
        return false;
    }
    version = (uint64_t)in_int(in, "version", 0);
    see_version(self, version);
    if (version < question->arrival_version) {
        metric_add(&old_total, 1);
        return ++question->tries < ASK_TRIES_MAX;
    }
    answer->ok = true;
    read_identity(in, &answer->identity);
    if (self->joined)
        identity_cache_put(self->cache, question->key, &answer->identity, version, in_at(in, "tags"),
                           in_int(in, "expires_us", INT64_MAX));
    return false;
}

static void
introspected(struct hub_call *call, struct hub_reply *reply)
{
    struct identity_question *question = call->owner;
    struct identities *self = question->identities;
    struct identity_answer answer = {.fail = FAIL_SERVICE_UNAVAILABLE};
    bool again = read_answer(self, question, reply, &answer);

    zmq_msg_close(&reply->headers);
    zmq_msg_close(&reply->body);
    if (again) {
        hub_submit(self->hub, call);
        return;
    }
    forget_request(question);
    question->done(question, &answer);
}

static void
write_request(struct identity_question *question)
{
    static const char *const kinds[] = {"bearer", "client", "session"};
    const struct credential *credential = &question->credential;
    bool client = credential->kind == CREDENTIAL_CLIENT;
    bool store = client && credential->store_id.base != NULL;
    struct out out;

    out_init(&out, &question->request, OUT_MSGPACK);
    out_map(&out, 4);
    write_caller(&out);
    out_key(&out, "request_id");
    out_text(&out, question->request_id);
    out_key(&out, "address");
    out_text(&out, question->address);
    out_key(&out, "body");
    out_map(&out, client ? 4 + store : 3);
    out_key(&out, "kind");
    out_text(&out, kinds[credential->kind]);
    out_key(&out, "audience");
    out_int(&out, question->audience);
    out_key(&out, client ? "client_id" : "token");
    out_str(&out, client ? credential->client_id : credential->token);
    if (client) {
        out_key(&out, "client_secret");
        out_str(&out, credential->client_secret);
    }
    if (store) {
        out_key(&out, "store_id");
        out_str(&out, credential->store_id);
    }
}

void
identities_ask(struct identities *self, struct identity_question *question)
{
    struct hub_call *call = &question->call;
    int64_t deadline_ms;

    question->identities = self;
    question->arrival_version = self->version;
    question->tries = 0;
    *call = (struct hub_call){.owner = question};
    buf_init(&question->request, 2 * HEADER_MEMORY_MAX);
    make_key(self, question);
    if (identities_have_lease(self)) {
        const struct identity *identity = identity_cache_find(self->cache, question->key);

        if (identity != NULL) {
            struct identity_answer answer = {.ok = true, .identity = *identity};

            metric_add(&hits_total, 1);
            question->done(question, &answer);
            return;
        }
    }
    write_request(question);
    deadline_ms = hub_now_ms(self->hub) + self->introspect->timeout_ms;
    call->operation = self->introspect;
    call->request = &question->request;
    call->repeatable = true;
    call->deadline_ms = deadline_ms < question->deadline_ms ? deadline_ms : question->deadline_ms;
    call->done = introspected;
    call->request_id = question->request_id;
    metric_add(&asked_total, 1);
    hub_submit(self->hub, call);
}

void
identities_cancel(struct identities *self, struct identity_question *question)
{
    hub_cancel(self->hub, &question->call);
    forget_request(question);
}
