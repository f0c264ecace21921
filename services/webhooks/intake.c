/* intake.c - one transaction for a batch, with a few statements whatever its size. */
#include "intake.h"

#include <stdio.h>
#include <string.h>

#include "actor.h"
#include "bounds.h"
#include "clock.h"
#include "json.h"
#include "statements.h"
#include "subscription.h"
#include "text.h"
#include "webhooks_operations.h"

#define TOPIC_INSTALLATION "webhooks.installation"
#define TOPIC_REDACTION    "webhooks.redaction"
#define TOPIC_APP          "webhooks.app"
#define TOPICS_OF_OURS     "webhooks." /* what is said to this service, and is no event */
#define EVENTS_JSON_MAX    (32 * 1024 * 1024)
#define WOKEN_AT_ONCE      5000
#define WAKE_BATCHES       40

void
deliver_wake(void)
{
    actor_wake(DELIVER_ACTOR);
}

/* Most of what comes is of today, which the process makes sure of once in a while. A day before that is looked at each
 * time: another process may have dropped it. */
int
partitions_need(struct call *call, int64_t time_us)
{
    static _Atomic int64_t known_day = -1, again_ms;
    int64_t day = time_us / DAY_US;
    struct rows rows;

    if (day == known_day && clock_monotonic_ms() < again_ms)
        return 0;
    if (db_run(call, PARTITIONS_MAKE, &rows, "t", time_us))
        return -1;
    if (day < clock_now_us() / DAY_US)
        return 0;
    again_ms = clock_monotonic_ms() + 60000;
    known_day = day;
    return 0;
}

/* ---- installations ----------------------------------------------------------------------------------------------- */

int
installation_put(struct call *call, const struct installation_news *news)
{
    struct rows rows;
    int64_t now_us = clock_now_us();

    if (db_post(call, SEQUENCE_LOCK, "l", news->installation_id) ||
        db_run(call, INSTALLATION_PUT, &rows, "llllst", news->installation_id, news->store_id, news->app_id,
               news->generation, news->scopes, now_us))
        return -1;
    if (rows.count == 0)
        return 0;
    if (db_post(call, SEQUENCE_PUT, "l", news->installation_id) ||
        db_post(call, INSTALLATION_LOG_BEGIN, "l", news->installation_id) ||
        db_post(call, SUBSCRIPTIONS_OF_EARLIER, "llt", news->installation_id, news->generation, now_us))
        return -1;
    if (!news->topics.base || rows_int(&rows, 0, "subscribed") >= news->generation)
        return 0;
    if (news->url && subscriptions_of_app(call, news))
        return -1;
    return db_post(call, INSTALLATION_SUBSCRIBED, "ll", news->installation_id, news->generation);
}

static const char *
scopes_array(struct call *call, struct in list)
{
    struct buf buf;
    const char *text;

    buf_init(&buf, 16384);
    buf_append_byte(&buf, '{');
    for (unsigned i = 0; i < in_count(list, ""); i++) {
        struct str scope = in_str(in_item(list, i), "");

        if (i > 0)
            buf_append_byte(&buf, ',');
        buf_append(&buf, scope.base, scope.len);
    }
    buf_append_byte(&buf, '}');
    text = arena_strndup(call->arena, buf.data, buf.size);
    buf_free(&buf);
    return text;
}

static struct str
texts_json(struct call *call, struct in list)
{
    struct str json;
    struct buf buf;
    struct out out;

    buf_init(&buf, 65536);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, in_count(list, ""));
    for (unsigned i = 0; i < in_count(list, ""); i++)
        out_str(&out, in_str(in_item(list, i), ""));
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

/* What auth says of an installation in the line of its events. */
static int
hear_installation(struct call *call, struct in event)
{
    struct str data = in_str(event, "data");
    struct installation_news news;
    char why[JSON_WHY_SIZE];
    struct buf buf;
    struct in said;
    int rc;

    buf_init(&buf, 131072);
    rc = json_to_msgpack(data.base, data.len, &buf, why) || in_decode(&said, call->arena, buf.data, buf.size);
    if (rc == 0) {
        news = (struct installation_news){in_int(said, "installation_id", 0),
                                          in_int(event, "store_id", 0),
                                          in_int(said, "app_id", 0),
                                          in_int(said, "generation", 0),
                                          scopes_array(call, in_at(said, "scopes")),
                                          texts_json(call, in_at(said, "topics")),
                                          in_text(said, "url")};
        rc = installation_put(call, &news);
    } else {
        rc = call_fail(call, FAIL_VALIDATION_ERROR, "events", "webhooks.installation has no data that can be read");
    }
    buf_free(&buf);
    return rc;
}

/* Whoever waited for the end of a suspension: batch by batch, and behind the transaction of the news, so that however
 * many they are, those that are woken stay so when the same news comes again for the rest. */
static int
wake_reinstated(struct call *call, int64_t app_id)
{
    struct rows rows;

    for (unsigned i = 0; i < WAKE_BATCHES; i++) {
        if (db_run(call, APP_REINSTATED, &rows, "ltl", app_id, clock_now_us(), (int64_t)WOKEN_AT_ONCE))
            return -1;
        deliver_wake();
        if (rows.affected < WOKEN_AT_ONCE)
            return 0;
    }
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "More queues wait for the app than can be woken at once");
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static bool
is_ours(struct in event)
{
    struct str topic = in_str(event, "topic");
    size_t len = sizeof TOPICS_OF_OURS - 1;

    return topic.len > len && memcmp(topic.base, TOPICS_OF_OURS, len) == 0;
}

/* To the microsecond, because it is part of the event's key. */
static void
out_moment(struct out *out, int64_t time_us)
{
    char text[TIME_TEXT_SIZE + 8];
    size_t len = text_from_time(text, time_us) - 5; /* ".123Z" */

    snprintf(text + len, sizeof text - len, ".%06dZ", (int)(time_us % US_PER_SECOND));
    out_text(out, text);
}

static void
write_event(struct out *out, const struct event *self, unsigned n)
{
    out_map(out, 8);
    out_key(out, "n");
    out_int(out, n);
    out_key(out, "event_id");
    out_str(out, self->event_id);
    out_key(out, "topic");
    out_str(out, self->topic);
    out_key(out, "resource_type");
    out_str(out, self->resource_type);
    out_key(out, "store_id");
    out_int(out, self->store_id);
    out_key(out, "resource_id");
    out_int(out, self->resource_id);
    out_key(out, "created_at");
    out_moment(out, self->created_us);
    out_key(out, "data");
    out_json(out, self->data);
}

static struct str
events_json(struct call *call, const struct event *events, unsigned count)
{
    struct str json;
    struct buf buf;
    struct out out;

    buf_init(&buf, EVENTS_JSON_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, count);
    for (unsigned n = 0; n < count; n++)
        write_event(&out, &events[n], n);
    json = (struct str){buf_failed(&buf) ? NULL : arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

/* As PostgreSQL writes an array; one that comes several times does no harm. */
static const char *
stores_array(struct call *call, const struct event *events, unsigned count)
{
    char *text = arena_alloc(call->arena, count * (INT_TEXT_SIZE + 1) + 3), *end = text;

    *end++ = '{';
    for (unsigned n = 0; n < count; n++) {
        if (n > 0 && events[n].store_id == events[n - 1].store_id)
            continue;
        if (n > 0)
            *end++ = ',';
        end += text_from_int(end, events[n].store_id);
    }
    *end++ = '}';
    *end = '\0';
    return text;
}

int64_t
events_take(struct call *call, const struct event *events, unsigned count)
{
    struct str json = events_json(call, events, count);
    struct rows locked, rows;

    if (!json.base)
        return call_fail(call, FAIL_INTERNAL_ERROR, NULL, "the events are larger than one statement may be");
    if (db_send(call, SEQUENCES_LOCK, "s", stores_array(call, events, count)) ||
        db_send(call, EVENTS_TAKE, "jt", json, clock_now_us()) || db_collect(call, &locked) || db_collect(call, &rows))
        return -1;
    db_after_commit(call, deliver_wake);
    return rows_int(&rows, 0, "taken");
}

/* Only auth may say what is installed where and which app is suspended, and only store-data whom it has forgotten; an
 * operator is their equal. */
static int
check_speaker(struct call *call, struct str topic)
{
    const char *whose = str_is(topic, TOPIC_REDACTION) ? "store-data" : "auth", *service = call->caller.service;

    if (strcmp(service, whose) != 0 && strcmp(service, "operator") != 0)
        return call_failf(call, FAIL_FORBIDDEN, "events", "this topic is %s's to say", whose);
    return 0;
}

static int
hear(struct call *call, struct in event)
{
    struct str topic = in_str(event, "topic");

    if (str_is(topic, TOPIC_APP))
        return 0; /* hear_apps has */
    if (!str_is(topic, TOPIC_REDACTION) && !str_is(topic, TOPIC_INSTALLATION))
        return call_fail(call, FAIL_VALIDATION_ERROR, "events", "a topic of webhooks' own that it does not know");
    if (check_speaker(call, topic))
        return -1;
    if (str_is(topic, TOPIC_REDACTION))
        return db_post(call, REDACTION_PUT, "ljt", in_int(event, "store_id", 0), in_str(event, "data"), clock_now_us());
    return hear_installation(call, event);
}

/* Which apps are suspended: each a statement of its own, before the transaction of the rest. That locks queues, as does
 * who lets go of some and looks at the apps of them one after the other (QUEUE_RELEASE): it must hold no app. */
static int
hear_apps(struct call *call, struct in list)
{
    struct rows rows;

    for (unsigned i = 0; i < in_count(list, ""); i++) {
        struct in event = in_item(list, i);
        struct str topic = in_str(event, "topic");

        if (str_is(topic, TOPIC_APP) &&
            (check_speaker(call, topic) || db_run(call, APP_SUSPENSION_PUT, &rows, "j", in_str(event, "data"))))
            return -1;
    }
    return 0;
}

static struct event
read_event(struct in event)
{
    return (struct event){
        .event_id = in_str(event, "event_id"),
        .topic = in_str(event, "topic"),
        .resource_type = in_str(event, "resource_type"),
        .data = in_str(event, "data"),
        .store_id = in_int(event, "store_id", 0),
        .resource_id = in_int(event, "resource_id", 0),
        .created_us = in_int(event, "created_us", 0),
    };
}

static int
take_all(struct call *call, struct in list, unsigned *count, int64_t *taken)
{
    struct event *events = arena_alloc(call->arena, in_count(list, "") * sizeof *events);

    *count = 0;
    for (unsigned i = 0; i < in_count(list, ""); i++) {
        struct in event = in_item(list, i);

        if (is_ours(event)) {
            if (hear(call, event))
                return -1;
            continue;
        }
        if (in_int(event, "store_id", 0) == 0)
            return call_fail(call, FAIL_VALIDATION_ERROR, "events", "an event's store_id must be at least 1");
        events[(*count)++] = read_event(event);
    }
    *taken = *count > 0 ? events_take(call, events, *count) : 0;
    return *taken < 0 ? -1 : 0;
}

int
events_publish(struct call *call)
{
    struct in events = in_at(call->in, "body.events");
    unsigned count;
    int64_t taken = 0;

    for (unsigned i = 0; i < in_count(events, ""); i++)
        if (partitions_need(call, in_int(in_item(events, i), "created_us", 0)))
            return -1;
    if (hear_apps(call, events) || db_begin(call) || take_all(call, events, &count, &taken) || db_commit(call))
        return -1;
    for (unsigned i = 0; i < in_count(events, ""); i++)
        if (str_is(in_str(in_item(events, i), "topic"), TOPIC_APP) &&
            wake_reinstated(call, in_int(in_item(events, i), "resource_id", 0)))
            return -1;
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, "taken");
    out_int(&call->out, taken);
    out_key(&call->out, "known");
    out_int(&call->out, count - taken);
    return call_reply(call, 200);
}
