/* analytics_events.c - events that an app sends about a store, and their counts. They are the app's own: no other app
 * sees them, and of an event only its count per day can be read.
 *
 * A batch is all or nothing. An event with an event_key that is known counts once, so a batch whose answer was lost is
 * sent again as it was. How long a key is known is how long events are kept (event_trim.c), and older events are
 * refused: so the same event can never count twice.
 */
#include <inttypes.h>
#include <string.h>

#include "analytics.h"
#include "clock.h"
#include "json_text.h"
#include "statements.h"
#include "store_data_operations.h"

#define PROPERTIES_SIZE_MAX 4096
#define AHEAD_MAX_US        INT64_C(300000000) /* what another clock may be ahead of ours */
#define NAMES_MAX           200                /* of an app in a store: the summary lists them */
#define SUMMARY_DAYS_MAX    92

struct event {
    const char *key, *name;
    int64_t occurred_us, customer_id;
    struct str properties;
};

static bool
is_event_name(const char *name)
{
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.:-") == strlen(name);
}

static int
read_event(struct event *self, struct call *call, struct in event, unsigned line, int64_t now_us)
{
    const char *field = arena_printf(call->arena, "events[%u]", line);

    self->key = in_text(event, "event_key");
    self->name = in_text(event, "name");
    self->occurred_us = in_time(event, "occurred_at", now_us);
    self->customer_id = in_int(event, "customer_id", 0);
    self->properties = json_text_of(in_at(event, "properties"), call->arena);
    if (!is_event_name(self->name))
        return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s.name", field),
                         "may have small letters, digits and _ . : -");
    if (self->occurred_us > now_us + AHEAD_MAX_US)
        return call_fail(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s.occurred_at", field),
                         "must not lie in the future");
    if (self->occurred_us < clock_day_begin(now_us) - (EVENT_KEEP_DAYS - 1) * DAY_US)
        return call_failf(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s.occurred_at", field),
                          "must not lie more than %d days back", EVENT_KEEP_DAYS);
    if (self->properties.len > PROPERTIES_SIZE_MAX)
        return call_failf(call, FAIL_VALIDATION_ERROR, arena_printf(call->arena, "%s.properties", field),
                          "may have at most %d bytes as JSON; this has %zu", PROPERTIES_SIZE_MAX, self->properties.len);
    return 0;
}

static void
write_event(struct out *out, const struct event *event, unsigned line)
{
    out_map(out, 6);
    out_key(out, "line");
    out_int(out, line);
    out_key(out, "event_key");
    out_text(out, event->key);
    out_key(out, "name");
    out_text(out, event->name);
    out_key(out, "occurred_at");
    out_time(out, event->occurred_us);
    out_key(out, "customer_id");
    if (event->customer_id)
        out_int(out, event->customer_id);
    else
        out_null(out);
    out_key(out, "properties");
    out_json(out, event->properties);
}

/* The batch as the statements take it; base NULL when an event is wrong and the call has failed. */
static struct str
read_batch(struct call *call, struct in events, int64_t now_us)
{
    unsigned count = in_count(events, ""), line = 0;
    struct json_text text;
    struct event event;
    struct str batch;

    json_text_begin(&text);
    out_list(&text.out, count);
    for (; line < count; line++) {
        if (read_event(&event, call, in_item(events, line), line, now_us))
            break;
        write_event(&text.out, &event, line);
    }
    if (line == count)
        return json_text_end(&text, call->arena);
    buf_free(&text.buf);
    batch = (struct str){NULL, 0};
    return batch;
}

/* Names are few, so that a summary stays small. */
static int
add_names(struct call *call, struct str batch)
{
    struct rows rows;

    if (db_run(call, EVENT_NAMES_LOCK, &rows, "llj", call->caller.store_id, call->caller.app_id, batch))
        return -1;
    if (rows.count == 0)
        return 0; /* all are known */
    if (db_run(call, EVENT_NAMES_ADD, &rows, "llj", call->caller.store_id, call->caller.app_id, batch))
        return -1;
    if (rows_int(&rows, 0, "names") <= NAMES_MAX)
        return 0;
    return call_failf(call, FAIL_CONFLICT, "events",
                      "With these events there would be %" PRId64 " names; an app may use %d in a store. Put what "
                      "differs from event to event into properties",
                      rows_int(&rows, 0, "names"), NAMES_MAX);
}

int
analytics_events_create(struct call *call)
{
    int64_t store_id = call->caller.store_id, now_us = clock_now_us(), count, accepted;
    struct in events = in_at(call->in, "body.events");
    struct str batch = read_batch(call, events, now_us);
    struct rows rows;

    if (!batch.base || db_begin(call) || db_run(call, EVENTS_STRANGER, &rows, "lj", store_id, batch))
        return -1;
    if (rows.count)
        return call_fail(call, FAIL_NOT_FOUND,
                         arena_printf(call->arena, "events[%" PRId64 "].customer_id", rows_int(&rows, 0, "line")),
                         "No such customer in this store");
    if (add_names(call, batch) ||
        db_run(call, EVENTS_INSERT, &rows, "lljt", store_id, call->caller.app_id, batch, now_us) || db_commit(call))
        return -1;
    count = in_count(events, "");
    accepted = rows_int(&rows, 0, "accepted");
    call_data(call);
    out_map(&call->out, 3);
    out_key(&call->out, "received");
    out_int(&call->out, count);
    out_key(&call->out, "accepted");
    out_int(&call->out, accepted);
    out_key(&call->out, "duplicates");
    out_int(&call->out, count - accepted);
    return call_reply(call, 201);
}

int
analytics_events_summary(struct call *call)
{
    unsigned names = 0;
    int64_t total = 0;
    struct rows rows;
    struct days days;

    if (days_read(&days, call, SUMMARY_DAYS_MAX) ||
        db_run(call, EVENTS_SUMMARY, &rows, "lttls", call->caller.store_id, days.first_us, days.last_us,
               call->caller.app_id, in_text(call->in, "query.name")))
        return -1;
    for (; names < rows.count && rows_is_null(&rows, names, "date"); names++)
        total += rows_int(&rows, names, "events");
    call_data(call);
    out_map(&call->out, 5);
    days_write(&days, call);
    out_key(&call->out, "total");
    out_int(&call->out, total);
    out_key(&call->out, "names");
    out_list(&call->out, names);
    for (unsigned row = 0; row < names; row++) {
        out_map(&call->out, 2);
        out_key(&call->out, "name");
        out_text(&call->out, rows_text(&rows, row, "name"));
        out_key(&call->out, "events");
        out_int(&call->out, rows_int(&rows, row, "events"));
    }
    out_key(&call->out, "days");
    out_list(&call->out, rows.count - names);
    for (unsigned row = names; row < rows.count; row++)
        out_row(&call->out, &rows, row);
    return call_reply(call, 200);
}
