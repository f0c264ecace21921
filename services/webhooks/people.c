/* people.c - subscriptions of people who have signed in: developers, for every store that has their app (contract A.6),
 * and merchants, for their store (A.7). auth says whether they may; from then on they are served as apps are, by the
 * same functions, which find whose subscriptions it is about by subscription_owner.
 */
#include "clock.h"
#include "developer_access.h"
#include "items.h"
#include "listing.h"
#include "statements.h"
#include "subscription.h"
#include "webhooks_operations.h"

#define SUBSCRIPTIONS_OF 100 /* of one app for all its stores, of the merchants of one store */
#define PERMISSION       "apps__view_webhooks"

/* ---- whether they may -------------------------------------------------------------------------------------------- */

/* An app in which the developer has the role that the route takes; its scopes are what the topics may need. */
static int
allow_developer(struct call *call)
{
    int64_t app_id = in_int(call->in, "path.app_id", 0);
    struct in reply;

    if (developer_access(call, app_id, call->operation->role, &reply))
        return -1;
    call->caller.app_id = app_id;
    call->caller.scopes = in_text(reply, "requested_scopes");
    return 0;
}

/* A store of the merchant's, in which they may see webhooks; with `change` one that may be changed now. */
static int
allow_merchant(struct call *call, bool change)
{
    int64_t store_id = in_int(call->in, "query.store_id", in_int(call->in, "body.store_id", 0));
    struct call_question question;
    struct out *body = call_question(&question, 4);
    struct in reply;

    call->caller.store_id = store_id;
    out_key_int(body, "account_id", call->caller.account_id);
    out_key_int(body, "store_id", store_id);
    out_key_text(body, "permission", PERMISSION);
    out_key(body, "change");
    out_bool(body, change);
    return call_ask(call, "auth.stores.allow", &question, &reply);
}

/* ---- developers -------------------------------------------------------------------------------------------------- */

/* One that an app's route does as well, with the sentence of the developer family. */
static int
for_developer(struct call *call, int (*handler)(struct call *call), const char *message)
{
    if (allow_developer(call))
        return -1;
    call_message(call, message);
    return handler(call);
}

int
developer_subscriptions_get(struct call *call)
{
    return for_developer(call, subscriptions_get, "Webhook subscription fetched");
}

int
developer_subscriptions_update(struct call *call)
{
    return for_developer(call, subscriptions_update, "Webhook subscription updated");
}

int
developer_subscriptions_delete(struct call *call)
{
    return for_developer(call, subscriptions_delete, "Webhook subscription deleted");
}

int
developer_subscriptions_test(struct call *call)
{
    return for_developer(call, subscriptions_test, "Test delivery queued");
}

int
developer_subscriptions_rotate_secret(struct call *call)
{
    return for_developer(call, subscriptions_rotate_secret, "Webhook secret rotated");
}

int
developer_subscriptions_promote_secret(struct call *call)
{
    return for_developer(call, subscriptions_promote_secret, "Webhook secret promoted");
}

int
developer_deliveries_retry(struct call *call)
{
    return for_developer(call, deliveries_retry, "Delivery queued");
}

/* In the open transaction; those that are made at the same time come one after the other. */
static int
check_room(struct call *call, unsigned counting, int64_t id, const char *whose)
{
    struct rows rows;

    if (db_post(call, SUBSCRIPTIONS_ORDER, "s", subscription_owner(call)) ||
        db_run(call, counting, &rows, "ll", id, (int64_t)SUBSCRIPTIONS_OF))
        return -1;
    if (rows_int(&rows, 0, "total") < SUBSCRIPTIONS_OF)
        return 0;
    return call_failf(call, FAIL_CONFLICT, NULL, "%s has at most %d subscriptions; delete some first", whose,
                      SUBSCRIPTIONS_OF);
}

int
developer_subscriptions_create(struct call *call)
{
    struct subscription_terms terms = {.made_by = "developer"};
    struct out *out = &call->out;
    const char *secret;
    struct rows rows;
    int64_t id;

    if (allow_developer(call))
        return -1;
    terms.app_id = call->caller.app_id;
    if (subscription_read(call, &terms) || db_begin(call) ||
        check_room(call, SUBSCRIPTIONS_OF_DEVELOPER, terms.app_id, "An app for all its stores") ||
        subscription_make(call, &terms, &id, &secret) ||
        db_run(call, SUBSCRIPTION_GET, &rows, "tsl", clock_now_us(), subscription_owner(call), id) || db_commit(call))
        return -1;
    call_message(call, "Webhook subscription created");
    call_seal(call);
    call_data(call);
    out_map(out, 6);
    out_key(out, "subscription_id");
    out_int(out, id);
    out_key(out, "app_id");
    out_int(out, terms.app_id);
    out_key(out, "event_topic");
    out_text(out, terms.topic);
    out_key(out, "target_url");
    out_text(out, terms.url);
    out_key(out, "signing_secret");
    out_text(out, secret);
    out_key(out, "created_at");
    out_time(out, rows_time(&rows, 0, "created_at"));
    return call_reply(call, 201);
}

int
developer_subscriptions_list(struct call *call)
{
    struct items page = {.id_column = "subscription_id"};
    struct rows rows;

    items_begin(&page, call);
    if (allow_developer(call) || db_run(call, SUBSCRIPTIONS_OF_APP, &rows, "tlsll", clock_now_us(), call->caller.app_id,
                                        in_text(call->in, "query.status"), items_wanted(&page), items_offset(&page)))
        return -1;
    call_message(call, "Webhook subscriptions fetched");
    return items_reply(&page, call, &rows);
}

int
developer_deliveries_list(struct call *call)
{
    int64_t subscription_id = in_int(call->in, "query.subscription_id", 0);
    struct items page = {.id_column = "_id"};
    const char *waiting, *over;
    struct rows rows;

    items_begin(&page, call);
    if (allow_developer(call) || deliveries_select(call, subscription_id, &waiting, &over) ||
        db_run(call, DELIVERIES_LIST, &rows, "lllssl", subscription_id, INT64_MAX, items_wanted(&page), waiting, over,
               items_offset(&page)))
        return -1;
    call_message(call, "Deliveries fetched");
    return items_reply(&page, call, &rows);
}

/* ---- merchants --------------------------------------------------------------------------------------------------- */

int
merchant_subscriptions_get(struct call *call)
{
    return allow_merchant(call, false) ? -1 : subscriptions_get(call);
}

int
merchant_subscriptions_update(struct call *call)
{
    return allow_merchant(call, true) ? -1 : subscriptions_update(call);
}

int
merchant_subscriptions_delete(struct call *call)
{
    return allow_merchant(call, true) ? -1 : subscriptions_delete(call);
}

int
merchant_subscriptions_test(struct call *call)
{
    return allow_merchant(call, true) ? -1 : subscriptions_test(call);
}

int
merchant_subscriptions_rotate_secret(struct call *call)
{
    return allow_merchant(call, true) ? -1 : subscriptions_rotate_secret(call);
}

int
merchant_subscriptions_promote_secret(struct call *call)
{
    return allow_merchant(call, true) ? -1 : subscriptions_promote_secret(call);
}

int
merchant_deliveries_list(struct call *call)
{
    return allow_merchant(call, false) ? -1 : deliveries_list(call);
}

int
merchant_deliveries_retry(struct call *call)
{
    return allow_merchant(call, true) ? -1 : deliveries_retry(call);
}

int
merchant_subscriptions_create(struct call *call)
{
    struct subscription_terms terms = {.made_by = "merchant"};
    const char *secret;
    int64_t id;

    if (allow_merchant(call, true))
        return -1;
    terms.store_id = call->caller.store_id;
    if (subscription_read(call, &terms) || db_begin(call) ||
        check_room(call, SUBSCRIPTIONS_OF_MERCHANT, terms.store_id, "A store without its apps") ||
        subscription_make(call, &terms, &id, &secret) || subscription_reply(call, 201, id, secret))
        return -1;
    return db_commit(call);
}

/* What the apps of a page are called. */
static int
read_names(struct call *call, const struct rows *rows, unsigned count, struct in *names)
{
    struct call_question question;
    struct out *body = call_question(&question, 1);
    struct in reply;

    out_key(body, "app_ids");
    out_list(body, count);
    for (unsigned row = 0; row < count; row++)
        out_int(body, rows_int(rows, row, "app_id")); /* 0 of a merchant's: nobody's */
    if (call_ask(call, "auth.apps.names", &question, &reply))
        return -1;
    *names = in_at(reply, "apps");
    return 0;
}

static const char *
name_of(struct in names, int64_t app_id)
{
    for (unsigned i = 0; i < in_count(names, ""); i++)
        if (in_int(in_item(names, i), "app_id", 0) == app_id)
            return in_text(in_item(names, i), "name");
    return NULL;
}

static void
write_page(struct call *call, const struct rows *rows, unsigned count, struct in names)
{
    out_list(&call->out, count);
    for (unsigned row = 0; row < count; row++) {
        out_row_with(&call->out, rows, row, 1);
        out_key_text(&call->out, "source_name",
                     rows_is_null(rows, row, "app_id") ? "Merchant" : name_of(names, rows_int(rows, row, "app_id")));
    }
}

int
merchant_subscriptions_list(struct call *call)
{
    struct listing page = {
        .list = "subscriptions of a store", .id_column = "subscription_id", .descending = true, .deepest = PAGES_DEEP};
    struct rows rows;
    struct in names;
    unsigned count;

    if (allow_merchant(call, false))
        return -1;
    page.of = call->caller.store_id; /* which allow_merchant has read */
    if (listing_begin(&page, call) || db_run(call, SUBSCRIPTIONS_OF_STORE, &rows, "llll", page.of, listing_id(&page),
                                             listing_wanted(&page), listing_offset(&page)))
        return -1;
    count = listing_count(&page, &rows);
    if (read_names(call, &rows, count, &names))
        return -1;
    call_data_with(call, 1);
    write_page(call, &rows, count, names);
    return listing_end(&page, call, &rows, rows_int(&rows, 0, "_total"));
}
