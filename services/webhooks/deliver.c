/* deliver.c - the turn: what has come back is noted, what is due is begun, what is drained is given back. Requests stay
 * under way between the turns, so an endpoint that is slow to answer holds up nobody. */
#include "deliver.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "delivery.h"
#include "log.h"
#include "statements.h"

#define ANSWER_WAIT_MS 15000 /* contract D.3 */
#define LOOK_MS        100   /* for what other processes have taken in, and for what becomes due */
#define KEEN_MS        20    /* the same while there is something to do */
#define LEASE_SAFE_MS  4000  /* nothing is begun later than this after the lease was renewed */
#define LEAVE_WAIT_MS  1000  /* what is under way when the process ends may end in order */
#define HEADERS_MAX    8192
#define MEANWHILE_MS   1000
#define BEGIN_EACH     16 /* answers, while the database works */

/* The actor's thread alone touches it. */
static struct delivery kept;

/* ---- one attempt ------------------------------------------------------------------------------------------------- */

static void
make_uuid(char text[EVENT_ID_SIZE])
{
    uint8_t bytes[16];
    char hex[HEX_SIZE(sizeof bytes)];

    secret_random(bytes, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    secret_hex(hex, bytes, sizeof bytes);
    snprintf(text, EVENT_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

/* For the delivery log: an object of the header lines. */
static char *
headers_json(const char *const *headers)
{
    unsigned count = 0;
    struct buf buf;
    struct out out;
    size_t size;
    char *text;

    while (count < OUTBOUND_HEADERS_MAX && headers[count])
        count++;
    buf_init(&buf, HEADERS_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_map(&out, count);
    for (unsigned i = 0; i < count; i++) {
        size_t len = strcspn(headers[i], ":");

        out_key_str(&out, (struct str){headers[i], len});
        out_text(&out, headers[i] + len + 2);
    }
    buf_append_byte(&buf, '\0');
    text = buf_detach(&buf, &size);
    return text;
}

/* While a rotation is under way profiles with one signature go on with the old secret. */
static struct signing
signing_of(const struct endpoint *endpoint, const struct item *item)
{
    struct str fresh = {endpoint->secret, SECRET_TEXT_SIZE}, old = {endpoint->old_secret, SECRET_TEXT_SIZE};
    bool rotating = endpoint->has_old && endpoint->old_until_us > item->begun_us;
    bool several = endpoint->profile == PROFILE_STANDARD || endpoint->profile == PROFILE_STRIPE;

    return (struct signing){
        .profile = endpoint->profile,
        .secret = rotating && !several ? old : fresh,
        .other = rotating && several ? old : (struct str){NULL, 0},
        .event_id = item->event_id,
        .attempt_id = item->attempt_id,
        .topic = item->topic,
        .store_id = endpoint->store_id,
        .timestamp_s = item->begun_us / US_PER_SECOND,
        .body = item->request.body,
    };
}

static void
begin(struct call *call, struct item *item)
{
    struct endpoint *endpoint = item->endpoint;
    struct signing signing;

    kept.over++;
    item->begun_us = clock_now_us();
    make_uuid(item->attempt_id);
    item->state = ITEM_OVER;
    if (!item->body || !endpoint->readable) {
        snprintf(item->request.error, sizeof item->request.error, "%s",
                 item->body ? "the signing secret cannot be opened" : "the event is kept no more");
        return;
    }
    item->request.url = endpoint->url;
    item->request.body = str_of(item->body);
    item->answer = xmalloc(ANSWER_KEPT);
    item->request.answer = item->answer;
    item->request.answer_size = ANSWER_KEPT;
    signing = signing_of(endpoint, item);
    signature_headers(&signing, call->arena, item->request.headers);
    item->headers = headers_json(item->request.headers);
    if (outbound_begin(kept.outbound, &item->request, ANSWER_WAIT_MS))
        return;
    memset(item->request.headers, 0, sizeof item->request.headers); /* they were copied, and live as the turn */
    item->state = ITEM_UNDER_WAY;
    kept.over--;
    endpoint_begins(&kept, item);
}

/* One endpoint after the other, each as many as it can take. */
static void
begin_all(struct call *call)
{
    if (clock_monotonic_ms() - kept.renewed_ms > LEASE_SAFE_MS || actor_is_stopping(call))
        return;
    for (unsigned i = 0; i < kept.count; i++) {
        struct endpoint *endpoint = kept.endpoints[(kept.turn_of + i) % kept.count];

        for (struct item *item = endpoint->first; item; item = item->next) {
            if (item->state != ITEM_WAITS)
                continue;
            if (kept.over > OVER_MAX || !endpoint_may_begin(&kept, endpoint))
                break;
            begin(call, item);
        }
    }
    kept.turn_of++;
}

/* ---- the turn ---------------------------------------------------------------------------------------------------- */

static bool
something_waits(void)
{
    for (unsigned i = 0; i < kept.count; i++)
        for (const struct item *item = kept.endpoints[i]->first; item; item = item->next)
            if (item->state == ITEM_OVER)
                return true;
    return false;
}

static void
take_answer(const struct outbound_request *request)
{
    struct item *item = request->owner;

    item->state = ITEM_OVER;
    kept.over++;
    endpoint_answers(&kept, item, request->status >= 200 && request->status < 300, request->duration_ms);
}

void
delivery_meanwhile(struct call *call, struct delivery *self)
{
    int64_t until_ms = clock_monotonic_ms() + MEANWHILE_MS;
    const struct outbound_request *request;
    int fd = db_send_off(call);

    if (fd < 0)
        return;
    begin_all(call);
    for (unsigned n = 1; (request = outbound_take_or(self->outbound, until_ms, fd)) != NULL; n++) {
        take_answer(request);
        if (n % BEGIN_EACH == 0)
            begin_all(call);
    }
}

/* Waits for the first one, for a ring, or for the next look, and takes all that are there. */
static void
take_answers(int64_t wait_ms, int fd)
{
    int64_t until_ms = clock_monotonic_ms() + (something_waits() ? 0 : wait_ms);
    struct outbound_request *request;

    while ((request = outbound_take_or(kept.outbound, until_ms, fd)) != NULL) {
        take_answer(request);
        until_ms = 0;
    }
}

static int
take_turn(struct call *call)
{
    if (!kept.outbound) {
        kept.outbound = outbound_new();
        secret_random(&kept.holder, sizeof kept.holder);
    }
    if (kept.connection != db_connection_number(call->db)) {
        kept.connection = db_connection_number(call->db);
        kept.renewed_ms = 0; /* the claims may be forgotten: nothing is begun before they are renewed */
    }
    take_answers(kept.count > 0 ? KEEN_MS : 0, actor_wake_fd(call));
    if (delivery_note(call, &kept) || (!actor_is_stopping(call) && delivery_claim(call, &kept)) ||
        delivery_load(call, &kept))
        return -1;
    begin_all(call);
    if (delivery_release(call, &kept))
        return -1;
    return kept.count == 0 ? ACTOR_DONE : ACTOR_AGAIN;
}

/* What does not end now is broken off, and delivered again by whoever holds the queue next. */
static void
leave(struct call *call)
{
    int64_t until_ms = clock_monotonic_ms() + LEAVE_WAIT_MS;
    struct rows rows;
    int rc;

    while (kept.active > 0 && clock_monotonic_ms() < until_ms)
        take_answers(until_ms - clock_monotonic_ms(), -1);
    do
        rc = delivery_note(call, &kept);
    while (rc == 0 && kept.over > 0);
    if (rc && db_in_transaction(call->db))
        db_rollback(call->db);
    outbound_destroy(&kept.outbound);
    while (kept.count > 0)
        endpoint_remove(&kept, kept.count - 1);
    if (db_run(call, QUEUE_LEAVE, &rows, "l", kept.holder))
        log_event(LOG_WARN, "queues_kept", NULL);
}

const struct actor_plan deliver_plan = {.name = DELIVER_ACTOR,
                                        .turn = take_turn,
                                        .leave = leave,
                                        .everywhere = true,
                                        .look_ms = LOOK_MS,
                                        .keen_ms = KEEN_MS,
                                        .turn_ms = 5000};
