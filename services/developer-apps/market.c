/* market.c - the marketplace, where merchants find apps, and a developer's own apps in the dashboard (contract A.7 rows
 * 107, 108). All of it is read from this service's table alone, in which auth's part of each app is kept as well: so
 * every list has its index, and none is asked together from two services.
 */
#include "market.h"

#include "config.h"
#include "developer_apps_operations.h"
#include "items.h"
#include "json_text.h"
#include "statements.h"

/* ---- auth's part ------------------------------------------------------------------------------------------------- */

int
market_learn(struct call *call, int64_t app_id)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct rows rows;
    struct in reply;

    out_key(body, "app_ids");
    out_list(body, 1);
    out_int(body, app_id);
    if (call_ask(call, "auth.apps.shown", &question, &reply))
        return -1;
    return db_run(call, LISTING_LEARN, &rows, "j", json_text_of(in_at(reply, "apps"), call->arena));
}

void
market_refresh(struct call *call, int64_t app_id)
{
    struct call_failure ignored;

    if (market_learn(call, app_id))
        call_take_failure(call, &ignored);
}

int
apps_learn(struct call *call)
{
    struct rows rows;

    if (db_run(call, LISTING_LEARN, &rows, "j", in_str(call->in, "body.apps")))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- the marketplace --------------------------------------------------------------------------------------------- */

static int
find(struct call *call, const struct items *page, struct rows *rows)
{
    const char *category = in_text(call->in, "query.category"), *search = in_text(call->in, "query.search");
    int64_t wanted = items_wanted(page), offset = items_offset(page);
    bool approved = config.review_required;

    if (search)
        return db_run(call, MARKET_SEARCH, rows, "llssb", wanted, offset, category, search, (int)approved);
    if (category)
        return db_run(call, approved ? MARKET_CATEGORY_APPROVED : MARKET_CATEGORY, rows, "lls", wanted, offset,
                      category);
    return db_run(call, approved ? MARKET_PAGE_APPROVED : MARKET_PAGE, rows, "ll", wanted, offset);
}

int
market_list(struct call *call)
{
    struct items page = {.id_column = "app_id"};
    struct rows rows;

    items_begin(&page, call);
    return find(call, &page, &rows) ? -1 : items_reply(&page, call, &rows);
}

int
market_get(struct call *call)
{
    struct rows rows;

    if (db_run(call, MARKET_GET, &rows, "llb", in_int(call->in, "path.app_id", 0), call->caller.account_id,
               (int)config.review_required))
        return -1;
    return rows.count ? call_reply_row(call, 200, &rows, 0) : call_fail(call, FAIL_APP_NOT_FOUND, NULL, NULL);
}

/* ---- a developer's own ------------------------------------------------------------------------------------------- */

static int
reply_own(struct call *call, bool unlisted)
{
    const char *category = in_text(call->in, "query.category"), *search = in_text(call->in, "query.search");
    struct items page = {.id_column = "app_id"};
    int64_t owner = call->caller.account_id, wanted, offset;
    struct rows rows;

    items_begin(&page, call);
    wanted = items_wanted(&page), offset = items_offset(&page);
    if (search     ? db_run(call, OWN_SEARCH, &rows, "lllbss", owner, wanted, offset, (int)unlisted, category, search)
        : category ? db_run(call, OWN_CATEGORY, &rows, "lllbs", owner, wanted, offset, (int)unlisted, category)
                   : db_run(call, OWN_PAGE, &rows, "lllb", owner, wanted, offset, (int)unlisted))
        return -1;
    return items_reply(&page, call, &rows);
}

int
market_mine(struct call *call)
{
    return reply_own(call, false);
}

int
market_development(struct call *call)
{
    return reply_own(call, true);
}
