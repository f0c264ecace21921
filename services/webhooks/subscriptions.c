/* subscriptions.c - the app's routes to its subscriptions (contract K.4), which people.c lends to developers and
 * merchants.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "bounds.h"
#include "clock.h"
#include "json_text.h"
#include "listing.h"
#include "outbound.h"
#include "statements.h"
#include "subscription.h"
#include "webhooks_operations.h"

#define ROTATION_S       86400 /* contract K.4 */
#define SUBSCRIPTIONS_OF 10000 /* of one installation, and */
#define OF_TOPIC_MAX     100   /* of these for one topic: what a single event may become */
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

static const int64_t *
id_or_null(const int64_t *id)
{
    return *id ? id : NULL;
}

static int
insert_all(struct call *call, const struct subscription_terms *terms, struct str list)
{
    return db_post(call, SUBSCRIPTIONS_INSERT, "jLLLssssjjt", list, id_or_null(&terms->store_id),
                   id_or_null(&terms->installation_id), id_or_null(&terms->app_id), terms->made_by, terms->name,
                   terms->url, terms->profile, terms->permissions, terms->fields, clock_now_us());
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
    const struct subscription_terms terms = {.store_id = news->store_id,
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

const char *
subscription_owner(struct call *call)
{
    const struct identity *caller = &call->caller;

    if (caller->audience == AUDIENCE_DEVELOPER)
        return arena_printf(call->arena, "app %lld", (long long)caller->app_id);
    if (caller->audience == AUDIENCE_MERCHANT)
        return arena_printf(call->arena, "store %lld", (long long)caller->store_id);
    return arena_printf(call->arena, "installation %lld %lld", (long long)caller->installation_id,
                        (long long)caller->generation);
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
    if (call->caller.audience == AUDIENCE_MERCHANT)
        return rows_int(&rows, 0, "_merchant")
                   ? 0
                   : call_failf(call, FAIL_VALIDATION_ERROR, "event_topic", "%s is for apps only", topic);
    if (!rows_int(&rows, 0, "_allowed"))
        return call_failf(call, FAIL_INSUFFICIENT_SCOPE, "event_topic", "%s needs the scope %s", topic,
                          rows_text(&rows, 0, "_scope"));
    return 0;
}

static int
check_url(struct call *call, const char *url)
{
    const char *wrong = outbound_url_error(url);

    return wrong ? call_fail(call, FAIL_VALIDATION_ERROR, "target_url", wrong) : 0;
}

int
installation_unheard(struct call *call)
{
    return call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL, "The installation is being set up; try again in a second");
}

int
installation_await(struct call *call, unsigned statement, struct rows *rows)
{
    const struct timespec pause = {0, HEARSAY_LOOK_MS * 1000000};
    int64_t until_ms = clock_monotonic_ms() + HEARSAY_WAIT_MS;

    for (;;) {
        if (db_run(call, statement, rows, "ll", call->caller.installation_id, call->caller.generation))
            return -1;
        if (rows->count)
            return 0;
        if (clock_monotonic_ms() >= until_ms)
            break;
        nanosleep(&pause, NULL);
    }
    return installation_unheard(call);
}

int
subscription_reply(struct call *call, int status, int64_t subscription_id, const char *secret)
{
    struct rows rows;

    if (db_run(call, SUBSCRIPTION_GET, &rows, "tsl", clock_now_us(), subscription_owner(call), subscription_id))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription");
    if (!secret)
        return call_reply_row(call, status, &rows, 0);
    call_seal(call);
    call_data(call);
    out_row_with(&call->out, &rows, 0, 1);
    out_key(&call->out, "signing_secret");
    out_text(&call->out, secret);
    return call_reply(call, status);
}

int
subscription_read(struct call *call, struct subscription_terms *terms)
{
    const char *profile = in_text(call->in, "body.signature_profile");

    terms->topic = either(call, "body.event_topic", "body.topic");
    terms->name = in_text(call->in, "body.name");
    terms->url = either(call, "body.target_url", "body.url");
    terms->profile = profile ? profile : "selorax";
    terms->permissions = texts(call, "body.permissions", true);
    terms->fields = texts(call, "body.fields", false);
    if (!terms->topic)
        return call_fail(call, FAIL_VALIDATION_ERROR, "event_topic", "is required");
    if (!terms->url)
        return call_fail(call, FAIL_VALIDATION_ERROR, "target_url", "is required");
    return check_topic(call, terms->topic) || check_url(call, terms->url) ? -1 : 0;
}

int
subscription_make(struct call *call, const struct subscription_terms *terms, int64_t *id, const char **secret)
{
    struct rows rows;
    struct buf buf;
    struct out out;
    int rc;

    if (db_run(call, SUBSCRIPTION_NEXT_ID, &rows, ""))
        return -1;
    *id = rows_int(&rows, 0, "subscription_id");
    buf_init(&buf, JSON_MAX);
    out_init(&out, &buf, OUT_JSON);
    out_list(&out, 1);
    *secret = write_new(call, &out, *id, terms->topic);
    rc = insert_all(call, terms, (struct str){buf.data, buf.size});
    buf_free(&buf);
    return rc;
}

/* Whether the installation may have one more for that topic, in the open transaction; those that are made or changed at
 * the same time come one after the other. */
static int
check_room(struct call *call, int64_t installation_id, const char *topic, bool is_new)
{
    struct rows rows;

    if (db_post(call, SUBSCRIPTIONS_ORDER, "s",
                arena_printf(call->arena, "installation %lld", (long long)installation_id)) ||
        db_run(call, SUBSCRIPTIONS_COUNT, &rows, "lsl", installation_id, topic, (int64_t)SUBSCRIPTIONS_OF))
        return -1;
    if (is_new && rows_int(&rows, 0, "total") >= SUBSCRIPTIONS_OF)
        return call_failf(call, FAIL_CONFLICT, NULL,
                          "An app has at most %d subscriptions in a store; delete some first", SUBSCRIPTIONS_OF);
    if (rows_int(&rows, 0, "of_topic") >= OF_TOPIC_MAX)
        return call_failf(call, FAIL_CONFLICT, "event_topic",
                          "An app has at most %d subscriptions for %s in a store; delete some first", OF_TOPIC_MAX,
                          topic);
    return 0;
}

int
subscriptions_create(struct call *call)
{
    struct subscription_terms terms = {.store_id = call->caller.store_id,
                                       .installation_id = call->caller.installation_id,
                                       .app_id = call->caller.app_id,
                                       .made_by = "app"};
    const char *secret;
    struct rows rows;
    int64_t id;

    /* Locked against its end. */
    if (subscription_read(call, &terms) || db_begin(call) || installation_await(call, INSTALLATION_SHARE, &rows) ||
        check_room(call, terms.installation_id, terms.topic, true) || subscription_make(call, &terms, &id, &secret) ||
        subscription_reply(call, 201, id, secret))
        return -1;
    return db_commit(call);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int
subscriptions_get(struct call *call)
{
    return subscription_reply(call, 200, in_int(call->in, "path.subscription_id", 0), NULL);
}

int
subscriptions_list(struct call *call)
{
    int64_t installation_id = call->caller.installation_id;
    struct listing page = {.list = "subscriptions",
                           .of = installation_id,
                           .id_column = "subscription_id",
                           .descending = true,
                           .deepest = PAGES_DEEP};
    struct rows rows;

    if (listing_begin(&page, call) ||
        db_run(call, SUBSCRIPTIONS_LIST, &rows, "tlllll", clock_now_us(), installation_id, listing_id(&page),
               listing_wanted(&page), listing_offset(&page), call->caller.generation))
        return -1;
    return listing_reply(&page, call, &rows, rows_int(&rows, 0, "_total"));
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

int
topics_unknown(struct call *call)
{
    struct rows rows;

    if (db_run(call, TOPICS_UNKNOWN, &rows, "s", array_text_of(in_at(call->in, "body.topics"), call->arena)))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- changing ---------------------------------------------------------------------------------------------------- */

static int
lock_mine(struct call *call, struct rows *rows)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows seen;

    if (db_run(call, SUBSCRIPTION_LOCK, rows, "tsl", clock_now_us(), subscription_owner(call), subscription_id))
        return -1;
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "subscription_id", "No such subscription");
    if (!call_has_if_match(call))
        return 0;
    if (db_run(call, SUBSCRIPTION_GET, &seen, "tsl", clock_now_us(), subscription_owner(call), subscription_id))
        return -1;
    return call_if_match(call, &seen);
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
    if (topic && strcmp(topic, rows_text(&old, 0, "_topic")) != 0 && !rows_is_null(&old, 0, "_installation_id") &&
        check_room(call, rows_int(&old, 0, "_installation_id"), topic, false))
        return -1;
    status = rows_text(&old, 0, "_status");
    if (in_has(call->in, "body.is_active"))
        status = in_bool(call->in, "body.is_active", true) ? "active" : "inactive";
    if (db_run(call, SUBSCRIPTION_UPDATE, &rows, "tslssssjjs", clock_now_us(), subscription_owner(call),
               subscription_id, topic ? topic : rows_text(&old, 0, "_topic"),
               url ? url : rows_text(&old, 0, "_target_url"),
               name || in_is_null(call->in, "body.name") ? name : rows_text(&old, 0, "_name"),
               profile ? profile : rows_text(&old, 0, "_profile"),
               texts_or(call, "body.permissions", true, rows_text(&old, 0, "_permissions")),
               texts_or(call, "body.fields", false, rows_text(&old, 0, "_fields")), status) ||
        (strcmp(status, "inactive") == 0 && drop_waiting(call, subscription_id)) || db_commit(call))
        return -1;
    if (call->caller.audience != AUDIENCE_APP) /* whose envelopes say what was done, so that a GET's tag is another */
        return call_reply_row(call, 200, &rows, 0);
    return call_reply_resource(call, 200, &rows);
}

int
subscriptions_delete(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows rows;

    if (db_begin(call) || lock_mine(call, &rows) ||
        db_run(call, SUBSCRIPTION_DELETE, &rows, "tsl", clock_now_us(), subscription_owner(call), subscription_id) ||
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
    if (db_post(call, SUBSCRIPTION_ROTATE, "tslxt", now_us, subscription_owner(call), subscription_id, sealed,
                sizeof sealed, now_us + ROTATION_S * US_PER_SECOND) ||
        subscription_reply(call, 200, subscription_id, secret) || db_commit(call))
        return -1;
    return 0;
}

int
subscriptions_promote_secret(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "path.subscription_id", 0);
    struct rows rows;

    if (db_begin(call) || lock_mine(call, &rows) ||
        db_post(call, SUBSCRIPTION_PROMOTE, "tsl", clock_now_us(), subscription_owner(call), subscription_id) ||
        subscription_reply(call, 200, subscription_id, NULL) || db_commit(call))
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
    if (db_run(call, TEST_EVENT, &rows, "tsl", now_us, subscription_owner(call), subscription_id) ||
        db_post(call, QUEUE_RING, "lt", subscription_id, now_us))
        return -1;
    db_after_commit(call, deliver_wake);
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}
