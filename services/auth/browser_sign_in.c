/* browser_sign_in.c - a merchant signs in to the platform's own pages with a browser, and the services that make these
 * pages ask who it is.
 *
 * The session is that of the consent page (oauth_browser.h): its cookie opens pages and nothing else. Where a sign-in
 * leads to is one of our pages by its form, so that nobody is sent away by a link that looks like ours (RFC
 * 9700, 4.11).
 */
#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "invalidation.h"
#include "login.h"
#include "oauth_browser.h"
#include "oauth_pages.h"
#include "sessions.h"
#include "statements.h"
#include "store_access.h"

#define PATH    "/api/auth/sign-in"
#define PURPOSE "sign-in"

/* /NUMBER/settings/apps/billing/NUMBER */
static bool
is_page_of_ours(const char *to)
{
    static const char middle[] = "/settings/apps/billing/", digits[] = "0123456789";
    size_t store = *to == '/' ? strspn(to + 1, digits) : 0;
    const char *rest = to + 1 + store;

    if (store == 0 || strncmp(rest, middle, sizeof middle - 1) != 0)
        return false;
    rest += sizeof middle - 1;
    return *rest && rest[strspn(rest, digits)] == '\0';
}

static int
check_to(struct call *call, const char *to)
{
    return is_page_of_ours(to) ? 0
                               : call_fail(call, FAIL_VALIDATION_ERROR, "to",
                                           "must be a page of the platform; go back to where you came from");
}

int
browsers_page(struct call *call)
{
    const char *to = in_text(call->in, "query.to"), *cookie = browser_cookie(call);

    if (check_to(call, to))
        return -1;
    if (!*cookie)
        cookie = browser_remember(call);
    return page_sign_in(call, PATH, to, browser_form_token(call, cookie, PURPOSE, to));
}

/* The session that this browser had gives way to the new one. */
static int
open_session(struct call *call, const struct rows *account, bool had_one, struct session *session)
{
    int64_t before = call->caller.session_id;
    struct rows rows;

    if (db_begin(call) || session_open_browser(call, rows_int(account, 0, "account_id"), session))
        return -1;
    if (!had_one)
        return db_commit(call);
    if (db_run(call, SESSION_SET_REVOKED, &rows, "lt", before, clock_now_us()) ||
        audit_put(call, "session.revoked", "session", before, 0, 0))
        return -1;
    return invalidation_commit(call, "session", before);
}

int
browsers_login(struct call *call)
{
    const char *to = in_text(call->in, "body.to");
    struct session session;
    struct rows account;
    bool signed_in;

    if (check_to(call, to) || browser_check_form(call, PURPOSE, to) ||
        login_check(call, in_text(call->in, "body.identifier"), in_str(call->in, "body.password"), &account) ||
        browser_identify(call, &signed_in) || open_session(call, &account, signed_in, &session))
        return -1;
    browser_set_cookie(call, session.access_token);
    return page_redirect(call, 303, to);
}

static int
reply_nobody(struct call *call)
{
    call_data(call);
    out_map(&call->out, 1);
    out_key(&call->out, "signed_in");
    out_bool(&call->out, false);
    return call_reply(call, 200);
}

int
browsers_allow(struct call *call)
{
    enum store_use use = in_bool(call->in, "body.change", true) ? STORE_CHANGE : STORE_READ;
    int64_t store_id = in_int(call->in, "body.store_id", 0);
    struct rows names;
    bool signed_in;

    if (browser_identify(call, &signed_in))
        return -1;
    if (!signed_in)
        return reply_nobody(call);
    if (store_allow(call, store_id, in_text(call->in, "body.permission"), use) ||
        db_run(call, OAUTH_CONSENT, &names, "ll", store_id, call->caller.account_id))
        return -1;
    if (names.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, NULL);
    call_data(call);
    out_map(&call->out, 6);
    out_key(&call->out, "signed_in");
    out_bool(&call->out, true);
    out_key_id(&call->out, "account_id", call->caller.account_id);
    out_key_id(&call->out, "session_id", call->caller.session_id);
    out_key_text(&call->out, "account_name", rows_text(&names, 0, "account_name"));
    out_key_text(&call->out, "email", rows_text(&names, 0, "email"));
    out_key_text(&call->out, "store_name", rows_text(&names, 0, "store_name"));
    return call_reply(call, 200);
}

int
accounts_contact(struct call *call)
{
    struct rows rows;

    if (db_run(call, ACCOUNT_GET, &rows, "l", in_int(call->in, "body.account_id", 0)))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "account_id", "No such account");
    call_data(call);
    out_map(&call->out, 3);
    out_key_text(&call->out, "name", rows_text(&rows, 0, "name"));
    out_key_text(&call->out, "email", rows_text(&rows, 0, "email"));
    out_key_text(&call->out, "phone", rows_text(&rows, 0, "phone"));
    return call_reply(call, 200);
}
