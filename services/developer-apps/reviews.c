/* reviews.c - developers submit their apps, platform admins approve or reject what was submitted (contract A.7, 110).
 *
 * What is reviewed is a version: the app as it was when it was submitted, all of it at one moment. The listing's row
 * is locked by submissions and decisions alike, and a decision names the version that was looked at: it is refused when
 * another one has come meanwhile. A decision is committed here, with its row for the audit log. Whether an app is
 * approved auth hears, which installs apps, before the answer, or, when that came to nothing, later from the actor; it
 * keeps what has the highest number.
 */
#include "reviews.h"

#include "app.h"
#include "completion.h"
#include "developer_apps_operations.h"
#include "items.h"
#include "market.h"
#include "outbox.h"
#include "statements.h"

#define LOOKS_MAX 5 /* at an app that changes all the time */

/* Opens the transaction that is to submit or decide. */
static int
hold(struct call *call, int64_t app_id, struct rows *rows)
{
    if (db_begin(call) || db_run(call, REVIEW_HOLD, rows, "l", app_id))
        return -1;
    return rows->count ? 0 : call_fail(call, FAIL_APP_NOT_FOUND, NULL, NULL);
}

static bool
is_open(const char *status)
{
    return str_is(str_of(status), "submitted") || str_is(str_of(status), "in_review");
}

static bool
is_one(const char *status, const char *other)
{
    return str_is(str_of(status), other);
}

static int
note(struct call *call, int64_t app_id, int64_t version, const char *action)
{
    return outbox_audit(
        call, &(struct deed){.action = action, .target = "app_version", .target_id = version, .app_id = app_id});
}

/* ---- submitting -------------------------------------------------------------------------------------------------- */

/* A version that waits or was approved, and is the same, is answered again; one that waits makes room for a new one. */
static int
put_version(struct call *call, int64_t app_id, const char *manifest, struct rows *rows)
{
    struct rows newest;
    const char *status;

    if (db_run(call, REVIEW_NEWEST, &newest, "lj", app_id, str_of(manifest)))
        return -1;
    status = newest.count ? rows_text(&newest, 0, "status") : "draft";
    if (newest.count && rows_int(&newest, 0, "same") && (is_open(status) || is_one(status, "approved")))
        return db_run(call, REVIEW_GET, rows, "ll", app_id, rows_int(&newest, 0, "version"));
    if (is_open(status) && (db_post(call, REVIEW_WITHDRAW, "l", app_id) ||
                            note(call, app_id, rows_int(&newest, 0, "version"), "app_version.withdrawn")))
        return -1;
    if (db_run(call, REVIEW_PUT, rows, "ljtl", app_id, str_of(manifest), clock_now_us(), call->caller.account_id))
        return -1;
    return note(call, app_id, rows_int(rows, 0, "version"), "app_version.submitted");
}

/* Reads the app and holds it. auth cannot be asked under the hold: so it is asked between two looks at what this
 * service has, the second one under the hold. still: they saw the same, and what auth said fits to it; otherwise
 * nothing is held. */
static int
hold_still(struct call *call, int64_t app_id, struct app *app, bool *still)
{
    struct rows before, held;

    if (db_run(call, LISTING_SAID, &before, "l", app_id) || app_read(call, app) || hold(call, app_id, &held))
        return -1;
    *still = before.count && is_one(rows_text(&before, 0, "said"), rows_text(&held, 0, "said"));
    if (!*still)
        db_rollback(call->db);
    return 0;
}

static int
hold_as_it_is(struct call *call, int64_t app_id, struct app *app)
{
    bool still = false;

    for (unsigned looks = 0; looks < LOOKS_MAX && !still; looks++)
        if (hold_still(call, app_id, app, &still))
            return -1;
    return still ? 0
                 : call_fail(call, FAIL_SERVICE_UNAVAILABLE, NULL,
                             "The app was changed while it was read, again and again; repeat it when that is over");
}

static int
submit(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    struct rows manifest, rows;
    struct app app;

    if (app_read(call, &app) || market_learn(call, app_id) || hold_as_it_is(call, app_id, &app) ||
        db_run(call, APP_REVIEWED, &manifest, "j", app.of_auth) ||
        put_version(call, app_id, rows_text(&manifest, 0, "manifest"), &rows) || db_commit(call))
        return -1;
    call_message(call, "App submitted for review");
    return call_reply_row(call, 200, &rows, 0);
}

int
reviews_submit(struct call *call)
{
    return submit(call);
}

int
reviews_developer_submit(struct call *call)
{
    return submit(call);
}

/* ---- telling auth ------------------------------------------------------------------------------------------------ */

/* What auth has not heard of the app's reviews. */
static int
tell(struct call *call, int64_t app_id)
{
    struct call_question question;
    struct rows untold, told;
    struct out *body;
    struct in reply;

    if (db_run(call, DECISION_UNTOLD, &untold, "l", app_id))
        return -1;
    if (untold.count == 0)
        return 0;
    body = call_question(&question, 3);
    out_key_int(body, "app_id", app_id);
    out_key_int(body, "decision_number", rows_int(&untold, 0, "decision_number"));
    out_key(body, "is_approved");
    out_bool(body, rows_int(&untold, 0, "is_approved"));
    if (call_ask(call, "auth.apps.reviewed", &question, &reply))
        return -1;
    return db_run(call, DECISION_TOLD, &told, "ll", app_id, rows_int(&untold, 0, "decision_number"));
}

static int
take_turn(struct call *call)
{
    int64_t now_us = clock_now_us();
    struct rows rows;

    if (db_run(call, DECISION_TAKE, &rows, "tt", now_us, now_us + COMPLETION_WAIT_US))
        return -1;
    if (rows.count == 0)
        return ACTOR_DONE;
    return tell(call, rows_int(&rows, 0, "app_id")) ? -1 : ACTOR_AGAIN;
}

const struct actor_plan decisions_plan = {.name = "decisions", .turn = take_turn, .look_ms = 1000, .turn_ms = 8000};

/* ---- deciding ---------------------------------------------------------------------------------------------------- */

/* What an action makes of a version, and what the audit log calls it. */
static const struct verdict {
    const char *action, *status, *deed;
} verdicts[] = {
    {"approve", "approved", "app_version.approved"},
    {"reject", "rejected", "app_version.rejected"},
    {"move", "in_review", "app_version.taken_into_review"},
};

static const struct verdict *
verdict_of(const char *action)
{
    const struct verdict *verdict = verdicts;

    while (!is_one(action, verdict->action)) /* it is one of them, by the contract */
        verdict++;
    return verdict;
}

/* The newest version can be decided on, and the approved one can be rejected. */
static int
check_version(struct call *call, const struct rows *held, int64_t version, bool reject)
{
    int64_t newest = rows_int(held, 0, "review_number");

    if (newest == 0)
        return call_fail(call, FAIL_CONFLICT, "version", "The app was never submitted for review");
    if (version == newest || (reject && version == rows_int(held, 0, "approved_version")))
        return 0;
    return call_failf(call, FAIL_CONFLICT, "version", "The newest version that was submitted is %lld; look at that one",
                      (long long)newest);
}

/* rows: the version as it is then. One that is so already is left alone, and nothing is noted. */
static int
put_verdict(struct call *call, int64_t app_id, const struct verdict *verdict, struct rows *rows)
{
    int64_t version = in_int(call->in, "body.version", 0), now_us = clock_now_us();
    const char *before;

    if (db_run(call, REVIEW_GET, rows, "ll", app_id, version))
        return -1;
    before = rows_text(rows, 0, "status");
    if (is_one(before, verdict->status))
        return 0;
    if (is_one(verdict->action, "move") && !is_open(before))
        return call_failf(call, FAIL_CONFLICT, "action", "The version is %s already; it cannot be taken into review",
                          before);
    if (db_run(call, REVIEW_DECIDE, rows, "llsstt", app_id, version, verdict->status, in_text(call->in, "body.message"),
               now_us, now_us + COMPLETION_WAIT_US))
        return -1;
    return note(call, app_id, version, verdict->deed);
}

int
reviews_decide(struct call *call)
{
    const struct verdict *verdict = verdict_of(in_text(call->in, "body.action"));
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    bool reject = is_one(verdict->action, "reject");
    struct call_failure ignored;
    struct rows held, rows;

    if (reject && !in_has(call->in, "body.message"))
        return call_fail(call, FAIL_VALIDATION_ERROR, "message",
                         "is required with reject: say what the developer should change");
    if (hold(call, app_id, &held) || check_version(call, &held, in_int(call->in, "body.version", 0), reject) ||
        put_verdict(call, app_id, verdict, &rows) || db_commit(call))
        return -1;
    if (tell(call, app_id))
        call_take_failure(call, &ignored);
    else
        market_refresh(call, app_id);
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- looking ----------------------------------------------------------------------------------------------------- */

int
reviews_queue(struct call *call)
{
    struct items page = {.id_column = "app_id"};
    struct rows rows;

    items_begin(&page, call);
    if (db_run(call, REVIEWS_PAGE, &rows, "ll", items_wanted(&page), items_offset(&page)))
        return -1;
    return items_reply(&page, call, &rows);
}

int
reviews_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, REVIEW_SHOW, &rows, "l", in_int(call->in, "path.app_id", 0)))
        return -1;
    return rows.count ? call_reply_row(call, 200, &rows, 0)
                      : call_fail(call, FAIL_APP_NOT_FOUND, NULL, "No such app, or it was never submitted for review");
}
