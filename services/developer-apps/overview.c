/* overview.c - an app at a glance (contract A.5 row 98), gathered from who has it: all are asked at once, and one that
 * does not answer in time leaves its own part empty. auth alone must answer, because it says whose the app is.
 */
#include "app_counts.h"
#include "call.h"
#include "developer_apps_operations.h"
#include "json_text.h"
#include "statements.h"

#define ANSWER_MS 300 /* left for the answer when somebody is too slow */

static const struct {
    const char *operation;
    const char *counts, *latest; /* as the answer names what it says */
} parts[] = {
    {"auth.apps.overview", "installations", "latest_installation"},
    {"billing.apps.overview", "charges", "latest_charge"},
    {"webhooks.apps.overview", "webhooks", "latest_delivery"},
};
#define PARTS ARRAY_COUNT(parts)
#define AUTH  0

static unsigned
ask_all(struct call *call, struct call_asked asked[PARTS])
{
    unsigned missing = 0;

    for (unsigned i = 0; i < PARTS; i++) {
        struct out *body = call_question(&asked[i].question, i == AUTH ? 3 : 1);

        asked[i].operation = parts[i].operation;
        out_key_int(body, "app_id", in_int(call->in, "path.app_id", 0));
        if (i != AUTH)
            continue;
        out_key_int(body, "account_id", call->caller.account_id);
        out_key_text(body, "role", call->operation->role);
    }
    call_ask_all(call, asked, PARTS, ANSWER_MS);
    for (unsigned i = 0; i < PARTS; i++)
        missing += !asked[i].answered;
    return missing;
}

static void
write_member(struct call *call, const char *name, const struct call_asked *asked, const char *member)
{
    out_key(&call->out, name);
    if (asked->answered)
        out_json(&call->out, json_text_of(in_at(asked->reply, member), call->arena));
    else
        out_null(&call->out);
}

int
apps_overview(struct call *call)
{
    struct call_asked asked[PARTS] = {0};
    unsigned missing = ask_all(call, asked);

    if (!asked[AUTH].answered)
        return call_fail(call, asked[AUTH].failure.code, asked[AUTH].failure.field, asked[AUTH].failure.why);
    call_message(call, "App overview fetched");
    call_data(call);
    out_map(&call->out, PARTS + 1 + (missing > 0));
    for (unsigned i = 0; i < PARTS; i++)
        write_member(call, parts[i].counts, &asked[i], "counts");
    out_key(&call->out, "recent_activity");
    out_map(&call->out, PARTS);
    for (unsigned i = 0; i < PARTS; i++)
        write_member(call, parts[i].latest, &asked[i], "latest");
    if (missing) {
        out_key(&call->out, "missing");
        out_list(&call->out, missing);
        for (unsigned i = 0; i < PARTS; i++)
            if (!asked[i].answered)
                out_text(&call->out, parts[i].counts);
    }
    return call_reply(call, 200);
}

int
app_counts_verify(struct call *call)
{
    struct rows rows;

    if (db_run(call, APP_COUNTS_VERIFY, &rows, "l", in_int(call->in, "body.app_id", 0)))
        return -1;
    return app_counts_reply_recount(call, &rows);
}
