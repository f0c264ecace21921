/* subscriptions.c - the app's routes to its subscriptions (contract K.4). */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "cursor.h"
#include "outbound.h"
#include "statements.h"
#include "subscription.h"
#include "webhooks_operations.h"

#define ROTATION_S       86400 /* contract K.4 */
#define SUBSCRIPTIONS_OF 10000 /* of one installation */
#define ABOUT_SIZE       24
#define JSON_MAX         65536
#define HEARSAY_LOOK_MS  10
#define HEARSAY_WAIT_MS  1000

int
secret_read(const struct rows *rows, unsigned row, const char *column, int64_t subscription_id,
            char text[SECRET_TEXT_SIZE])
{
    uint8_t sealed[SECRET_SEALED_SIZE];
    char about[ABOUT_SIZE];

    snprintf(about, sizeof about, "%lld", (long long)subscription_id);
    if (rows_bytes(rows, row, column, sealed, sizeof sealed) != sizeof sealed)
        return -1;
    return secret_open((uint8_t *)text, SECRET_LABEL, str_of(about), sealed, sizeof sealed);
}

static const char *
make_secret(struct call *call, int64_t subscription_id, uint8_t sealed[SECRET_SEALED_SIZE])
{
    char *secret = secret_token(call->arena, SECRET_PREFIX, SECRET_BYTES);
    char about[ABOUT_SIZE];

    snprintf(about, sizeof about, "%lld", (long long)subscription_id);
    secret_seal(sealed, SECRET_LABEL, str_of(about), secret, SECRET_TEXT_SIZE);
    return secret;
}

/* ---- making ------------------------------------------------------------------------------------------------------ */

/* What stands in a new subscription beside its topic and secret. */
struct terms {
    int64_t store_id, installation_id, app_id;
    const char *made_by, *name, *url, *profile;
    struct str permissions, fields;
};

static int
insert_all(struct call *call, const struct terms *terms, struct str list)
{
    return db_post(call, SUBSCRIPTIONS_INSERT, "jlllssssjjt", list, terms->store_id, terms->installation_id,
                   terms->app_id, terms->made_by, terms->name, terms->url, terms->profile, terms->permissions,
                   terms->fields, clock_now_us());
}

static const char *
write_new(struct call *call, struct out *out, int64_t subscription_id, const char *topic)
{
    uint8_t sealed[SECRET_SEALED_SIZE];
    char hex[HEX_SIZE(SECRET_SEALED_SIZE)];
    const char *secret = make_secret(call, subscription_id, sealed);

    secret_hex(hex, sealed, sizeof sealed);
    out_map(out, 3);
    out_key(out, "subscription_id");
    out_int(out, subscription_id);
    out_key(out, "topic");
    out_text(out, topic);
    out_key(out, "secret");
    out_text(out, hex);
    return secret;
}

int
subscriptions_of_app(struct call *call, const struct installation_news *news)
{
    const struct terms terms = {.store_id = news->store_id,
                                .installation_id = news->installation_id,
                                .app_id = news->app_id,
                                .made_by = "install",
                                .url = news->url,
                                .profile = "selorax"};
    struct rows rows;
    struct buf buf;
    struct out out;
    int rc;

    if (db_run(call, TOPICS_OF_APP, &rows, "js", news->topics, news->scopes))
        return -1;
    if (rows.count == 0)
        return 0;
    buf_init(&buf, JSON_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, rows.count);
    for (unsigned row = 0; row < rows.count; row++)
        (void)write_new(call, &out, rows_int(&rows, row, "subscription_id"), rows_text(&rows, row, "topic"));
    rc = insert_all(call, &terms, (struct str){buf.data, buf.size});
    buf_free(&buf);
    return rc;
}

/* A list of texts as JSON; absent when there is none. Scopes among permissions are kept with a colon. */
static struct str
texts(struct call *call, const char *path, bool scopes)
{
    struct in list = in_at(call->in, path);
    struct str json;
    struct buf buf;
    struct out out;

    if (!in_has(call->in, path))
        return (struct str){NULL, 0};
    buf_init(&buf, JSON_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, in_count(list, ""));
    for (unsigned i = 0; i < in_count(list, ""); i++) {
        char *text = arena_strdup(call->arena, in_text(in_item(list, i), "")), *line = strchr(text, '_');

        if (scopes && line && !strchr(text, ':'))
            *line = ':';
        out_text(&out, text);
    }
    json = (struct str){arena_strndup(call->arena, buf.data, buf.size), buf.size};
    buf_free(&buf);
    return json;
}

/* One of two names of the same thing; NULL when neither was sent. */
static const char *
either(struct call *call, const char *path, const char *other)
{
    const char *text = in_text(call->in, path);

    return text ? text : in_text(call->in, other);
}

const char *
subscription_scopes(struct call *call)
{
    char *text = arena_printf(call->arena, "{%s}", call->caller.scopes);

    for (char *at = text; (at = strchr(at, ' ')) != NULL;)
        *at = ',';
    return text;
}

static int
check_topic(struct call *call, const char *topic)
{
    struct rows rows;

    if (db_run(call, TOPIC_GET, &rows, "ss", topic, subscription_scopes(call)))
        return -1;
    if (rows.count == 0)
        return call_failf(call, FAIL_VALIDATION_ERROR, "event_topic",
                          "\"%s\" is no topic; GET /api/apps/v1/webhooks/topics lists them", topic);
    if (!rows_int(&rows, 0, "_allowed"))
        return call_failf(call, FAIL_INSUFFICIENT_SCOPE, "event_topic", "%s needs the scope %s", topic,
                          rows_text(&rows, 0, "_scope"));
    return 0;
}

static int
check_url(struct call *call, const char *url)
{
    const char *wrong = outbound_url_error(url);

    if (!wrong && strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
        wrong = "must begin with https://";
    return wrong ? call_fail(call, FAIL_VALIDATION_ERROR, "target_url", wrong) : 0;
}

/* The installation of the app that calls, locked against its end. It may be so new that auth's word of it is still on
 * its way, which takes milliseconds. */
static int
lock_installation(struct call *call)
{
    const struct timespec pause = {0, HEARSAY_LOOK_MS * 1000000};
    int64_t until_ms = clock_monotonic_ms() + HEARSAY_WAIT_MS;
    struct rows rows;

    for (;;) {
        if (db_run(call, INSTALLATION_SHARE, &rows, "l", call->caller.installation_id))
            return -1;
        if (rows.count)
            return 0;
        if (clock_monotonic_ms() >= until_ms)
            break;
        nanosleep(&pause, NULL);
    }
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "The installation is being set up; try again in a second");
}

/* The subscription as it is now, with its new secret where there is one: the only time that is shown. */
static int
reply_view(struct call *call, int status, int64_t subscription_id, const char *secret)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_GET, &rows, "tll", clock_now_us(), call->caller.installation_id, subscription_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription of this app in this store");
    if (!secret)
        return call_reply_row(call, status, &rows, 0);
    call_seal(call);
    call_data(call);
    out_row_with(&call->out, &rows, 0, 1);
    out_key(&call->out, "signing_secret");
    out_text(&call->out, secret);
    return call_reply(call, status);
}

static int
create(struct call *call, const char *topic, const struct terms *terms)
{
    int64_t subscription_id;
    const char *secret;
    struct rows rows;
    struct buf buf;
    struct out out;
    int rc;

    if (db_run(call, SUBSCRIPTIONS_COUNT, &rows, "ll", terms->installation_id, (int64_t)SUBSCRIPTIONS_OF))
        return -1;
    if (rows_int(&rows, 0, "count") >= SUBSCRIPTIONS_OF)
        return call_failf(call, FAIL_CONFLICT, NULL,
                          "An app has at most %d subscriptions in a store; delete some first", SUBSCRIPTIONS_OF);
    if (db_run(call, SUBSCRIPTION_NEXT_ID, &rows, ""))
        return -1;
    subscription_id = rows_int(&rows, 0, "subscription_id");
    buf_init(&buf, JSON_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, 1);
    secret = write_new(call, &out, subscription_id, topic);
    rc = insert_all(call, terms, (struct str){buf.data, buf.size});
    buf_free(&buf);
    return rc || reply_view(call, 201, subscription_id, secret) || db_commit(call) ? -1 : 0;
}

int
subscriptions_create(struct call *call)
{
    const char *topic = either(call, "body.event_topic", "body.topic");
    const char *profile = in_text(call->in, "body.signature_profile");
    const struct terms terms = {.store_id = call->caller.store_id,
                                .installation_id = call->caller.installation_id,
                                .app_id = call->caller.app_id,
                                .made_by = "app",
                                .name = in_text(call->in, "body.name"),
                                .url = either(call, "body.target_url", "body.url"),
                                .profile = profile ? profile : "selorax",
                                .permissions = texts(call, "body.permissions", true),
                                .fields = texts(call, "body.fields", false)};

    if (!topic)
        return call_fail(call, FAIL_VALIDATION_ERROR, "event_topic", "is required");
    if (!terms.url)
        return call_fail(call, FAIL_VALIDATION_ERROR, "target_url", "is required");
    if (check_topic(call, topic) || check_url(call, terms.url) || db_begin(call) || lock_installation(call))
        return -1;
    return create(call, topic, &terms);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int
subscriptions_get(struct call *call)
{
    return reply_view(call, 200, in_int(call->in, "path.subscription_id", 0), NULL);
}

static int
write_list(struct call *call, const struct rows *rows, int64_t page, int64_t limit, struct cursor *cursor)
{
    int64_t total = rows_int(rows, 0, "_total");
    struct rows shown = *rows;

    if (shown.count == 1 && rows_is_null(rows, 0, "subscription_id"))
        shown.count = 0;
    if (shown.count > limit)
        shown.count = (unsigned)limit;
    call_data_with(call, 1);
    out_rows(&call->out, &shown);
    out_key(&call->out, "pagination");
    out_map(&call->out, 4);
    out_key(&call->out, "page");
    out_int(&call->out, page);
    out_key(&call->out, "limit");
    out_int(&call->out, limit);
    out_key(&call->out, "total");
    out_int(&call->out, total);
    out_key(&call->out, "next_cursor");
    if (rows->count > limit) {
        cursor->id = rows_int(rows, (unsigned)limit - 1, "subscription_id");
        cursor->key = (struct str){NULL, 0};
        out_text(&call->out, cursor_encode(cursor, call->arena));
    } else {
        out_null(&call->out);
    }
    return call_reply(call, 200);
}

int
subscriptions_list(struct call *call)
{
    int64_t page = in_int(call->in, "query.page", 1), limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    const char *text = in_text(call->in, "query.cursor");
    int64_t installation_id = call->caller.installation_id;
    struct cursor cursor = {
        .descending = true,
        .filters = cursor_hash(0, (const char *)&installation_id, sizeof installation_id),
    };
    struct rows rows;

    if (text && cursor_decode(&cursor, call->arena, text, strlen(text)))
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list; begin again without it");
    if (db_run(call, SUBSCRIPTIONS_LIST, &rows, "tllll", clock_now_us(), installation_id, text ? cursor.id : INT64_MAX,
               limit + 1, text || page > SUBSCRIPTIONS_OF ? (text ? 0 : SUBSCRIPTIONS_OF) : (page - 1) * limit))
        return -1;
    return write_list(call, &rows, page, limit, &cursor);
}

int
topics_list(struct call *call)
{
    struct rows rows;

    if (db_run(call, TOPICS_LIST, &rows, "s", subscription_scopes(call)))
        return -1;
    call_data(call);
    out_rows(&call->out, &rows);
    return call_reply(call, 200);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static int
lock_mine(struct call *call, struct rows *rows)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);

    if (db_run(call, SUBSCRIPTION_LOCK, rows, "tll", clock_now_us(), call->caller.installation_id, subscription_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription of this app in this store");
    return 0;
}

/* What was sent, else what is there; null empties. */
static struct str
texts_or(struct call *call, const char *path, bool scopes, const char *present)
{
    if (in_is_null(call->in, path))
        return (struct str){NULL, 0};
    return in_has(call->in, path) ? texts(call, path, scopes) : str_of(present);
}

static int
drop_waiting(struct call *call, int64_t subscription_id)
{
    int64_t now_us = clock_now_us();

    db_after_commit(call, deliver_wake);
    return db_post(call, SUBSCRIPTION_DROP_WAITING, "lt", subscription_id, now_us) ||
                   db_post(call, QUEUE_RING, "lt", subscription_id, now_us)
               ? -1
               : 0;
}

int
subscriptions_update(struct call *call)
{
    const char *topic = either(call, "body.event_topic", "body.topic"),
               *url = either(call, "body.target_url", "body.url");
    const char *name = in_text(call->in, "body.name"), *profile = in_text(call->in, "body.signature_profile");
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows old, rows;
    const char *status;

    if ((url && check_url(call, url)) || (topic && check_topic(call, topic)) || db_begin(call) || lock_mine(call, &old))
        return -1;
    status = rows_text(&old, 0, "_status");
    if (in_has(call->in, "body.is_active"))
        status = in_bool(call->in, "body.is_active", true) ? "active" : "inactive";
    if (db_run(call, SUBSCRIPTION_UPDATE, &rows, "tllssssjjs", clock_now_us(), call->caller.installation_id,
               subscription_id, topic ? topic : rows_text(&old, 0, "_topic"),
               url ? url : rows_text(&old, 0, "_target_url"),
               name || in_is_null(call->in, "body.name") ? name : rows_text(&old, 0, "_name"),
               profile ? profile : rows_text(&old, 0, "_profile"),
               texts_or(call, "body.permissions", true, rows_text(&old, 0, "_permissions")),
               texts_or(call, "body.fields", false, rows_text(&old, 0, "_fields")), status) ||
        (strcmp(status, "inactive") == 0 && drop_waiting(call, subscription_id)) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
subscriptions_delete(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows rows;

    if (db_begin(call) || lock_mine(call, &rows) ||
        db_run(call, SUBSCRIPTION_DELETE, &rows, "tll", clock_now_us(), call->caller.installation_id,
               subscription_id) ||
        drop_waiting(call, subscription_id) || db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

int
subscriptions_rotate_secret(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0), now_us = clock_now_us();
    uint8_t sealed[SECRET_SEALED_SIZE];
    const char *secret;
    struct rows rows;

    if (db_begin(call) || lock_mine(call, &rows))
        return -1;
    if (rows_int(&rows, 0, "_rotating"))
        return call_fail(call, FAIL_CONFLICT, NULL,
                         "The last rotation is not over; promote its secret first, or wait until "
                         "previous_secret_until");
    secret = make_secret(call, subscription_id, sealed);
    if (db_post(call, SUBSCRIPTION_ROTATE, "tllxt", now_us, call->caller.installation_id, subscription_id, sealed,
                sizeof sealed, now_us + ROTATION_S * US_PER_SECOND) ||
        reply_view(call, 200, subscription_id, secret) || db_commit(call))
        return -1;
    return 0;
}

int
subscriptions_promote_secret(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows rows;

    if (db_begin(call) || lock_mine(call, &rows) ||
        db_post(call, SUBSCRIPTION_PROMOTE, "tll", clock_now_us(), call->caller.installation_id, subscription_id) ||
        reply_view(call, 200, subscription_id, NULL) || db_commit(call))
        return -1;
    return 0;
}

int
subscriptions_test(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0), now_us = clock_now_us();
    struct rows locked, rows;

    if (partitions_need(call, now_us) || db_begin(call) || lock_mine(call, &locked))
        return -1;
    if (strcmp(rows_text(&locked, 0, "_status"), "active") != 0)
        return call_fail(call, FAIL_CONFLICT, NULL,
                         "The subscription is switched off; switch it on with is_active first");
    if (db_run(call, TEST_EVENT, &rows, "tll", now_us, call->caller.installation_id, subscription_id) ||
        db_post(call, QUEUE_RING, "lt", subscription_id, now_us))
        return -1;
    db_after_commit(call, deliver_wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}
