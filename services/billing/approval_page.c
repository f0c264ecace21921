/* approval_page.c - the page at a charge's confirmation_url: a merchant reads what an app asks for and what it comes
 * to, and pays or declines (contract E.1, K.5).
 *
 * auth knows the browser's session. The form carries a MAC over that session and the charge, so that no other site can
 * send it (RFC 9700, 4.7), and answers redirect, so that none is sent twice by going back.
 */
#include <string.h>

#include "billing_operations.h"
#include "checkout.h"
#include "config.h"
#include "merchant.h"
#include "pages.h"
#include "secret.h"

#define FORM_KEY_LABEL "billing-form"

struct approval {
    int64_t store_id, charge_id;
    const char *path;
    struct in browser; /* auth.browsers.allow */
};

/* ---- who has signed in ------------------------------------------------------------------------------------------- */

static int
ask_browser(struct call *call, struct approval *self, bool change)
{
    const char *cookie = in_text(call->in, "web.cookie");
    struct call_question question;
    struct out *body = call_question(&question, 4);

    out_key(body, "web");
    out_map(body, cookie ? 2 : 1);
    out_key_text(body, "base_url", in_text(call->in, "web.base_url"));
    if (cookie)
        out_key_text(body, "cookie", cookie);
    out_key_int(body, "store_id", self->store_id);
    out_key_text(body, "permission", BILLING_PERMISSION);
    out_key(body, "change");
    out_bool(body, change);
    return call_ask(call, "auth.browsers.allow", &question, &self->browser);
}

static const char *
sign_in_address(struct call *call, const struct approval *self)
{
    return arena_printf(call->arena, "/api/auth/sign-in?to=%s", self->path);
}

/* The path's numbers, and the browser's session. */
static int
open_approval(struct call *call, struct approval *self, bool change, bool *signed_in)
{
    self->store_id = in_int(call->in, "path.store_id", 0);
    self->charge_id = in_int(call->in, "path.charge_id", 0);
    self->path = arena_printf(call->arena, "/%lld/settings/apps/billing/%lld", (long long)self->store_id,
                              (long long)self->charge_id);
    if (ask_browser(call, self, change))
        return -1;
    *signed_in = in_bool(self->browser, "signed_in", false);
    return 0;
}

static const char *
form_token(struct call *call, const struct approval *self)
{
    const char *text =
        arena_printf(call->arena, "%lld\n%s", (long long)in_int(self->browser, "session_id", 0), self->path);
    char *hex = arena_alloc(call->arena, HEX_SIZE(SHA256_SIZE));
    uint8_t key[DERIVED_KEY_SIZE], mac[SHA256_SIZE];

    secret_derive(key, FORM_KEY_LABEL);
    secret_hmac(mac, key, sizeof key, text, strlen(text));
    secret_wipe(key, sizeof key);
    secret_hex(hex, mac, sizeof mac);
    return hex;
}

static int
check_form(struct call *call, const struct approval *self)
{
    const char *expected = form_token(call, self);
    struct str given = in_str(call->in, "body.form_token");

    if (given.len == strlen(expected) && secret_equal(given.base, expected, given.len))
        return 0;
    return call_fail(call, FAIL_FORBIDDEN, NULL,
                     "This form was not made for this browser, or it is too old. Open the charge again");
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static void
write_amounts(struct buf *page, const struct rows *charge)
{
    const char *currency = rows_text(charge, 0, "currency");

    buf_append_text(page, "<ul>\n");
    if (strcmp(rows_text(charge, 0, "fee_payer"), "merchant") == 0) {
        page_amount(page, "The app", rows_text(charge, 0, "base_amount"), currency);
        page_amount(page, "Platform fee", rows_text(charge, 0, "platform_amount"), currency);
        page_amount(page, "Payment fee", rows_text(charge, 0, "gateway_fee_amount"), currency);
    }
    page_amount(page, "To pay", rows_text(charge, 0, "amount"), currency);
    buf_append_text(page, "</ul>\n");
}

/* What a subscription means beyond this payment. */
static void
write_interval(struct call *call, struct buf *page, const struct rows *charge)
{
    const char *interval = rows_text(charge, 0, "billing_interval");
    int64_t trial_days = rows_int(charge, 0, "trial_days");

    if (!interval)
        return;
    page_paragraph(page, strcmp(interval, "yearly") == 0
                             ? "This pays for a year. You are asked again before the next one."
                             : "This pays for a month. You are asked again before the next one.");
    if (trial_days)
        page_paragraph(
            page, arena_printf(call->arena, "The first %lld days are free, whenever you pay.", (long long)trial_days));
}

static void
write_form(struct call *call, struct buf *page, const struct approval *self)
{
    buf_append_text(page, "<form method=\"post\" action=\"");
    html_text(page, str_of(self->path));
    buf_append_text(page, "\">\n");
    html_hidden(page, "form_token", form_token(call, self));
    buf_append_text(page, "<p><button class=\"main\" name=\"decision\" value=\"approve\">Approve and pay</button>\n"
                          "<button name=\"decision\" value=\"decline\">Decline</button></p>\n</form>\n");
}

static void
write_person(struct call *call, struct buf *page, const struct approval *self)
{
    buf_append_text(page, "<p class=\"quiet\">Signed in as ");
    html_name(page, in_text(self->browser, "account_name"));
    buf_append_text(page, " (");
    html_text(page, in_str(self->browser, "email"));
    buf_append_text(page, "). <a href=\"");
    html_text(page, str_of(sign_in_address(call, self)));
    buf_append_text(page, "\">Use another account</a></p>\n");
}

/* Where the form leads: ours, then the provider's page or the app. */
static const char *
form_sources(struct call *call, const struct rows *charge)
{
    const char *origin = page_origin(call->arena, rows_text(charge, 0, "return_url"));
    const struct provider *provider = config.billing_provider ? provider_named(config.billing_provider) : NULL;
    const char *sources = provider ? provider->form_sources : NULL;

    return arena_printf(call->arena, "'self' %s %s", origin ? origin : "", sources ? sources : "");
}

static int
show(struct call *call, const struct approval *self, const struct rows *charge, const char *app_name)
{
    const char *status = rows_text(charge, 0, "status"), *description = rows_text(charge, 0, "description");
    bool pending = strcmp(status, "pending") == 0;
    struct buf *page = page_begin(call, pending ? "Pay " : "A charge of ", app_name, pending ? "?" : NULL,
                                  pending ? form_sources(call, charge) : NULL);

    page_paragraph(page, rows_text(charge, 0, "name"));
    if (description)
        page_paragraph(page, description);
    buf_append_text(page, "<p>On your store ");
    html_name(page, in_text(self->browser, "store_name"));
    buf_append_text(page, "</p>\n");
    write_amounts(page, charge);
    write_interval(call, page, charge);
    if (pending)
        write_form(call, page, self);
    else
        page_paragraph(
            page, arena_printf(call->arena, "It is %s.",
                               strcmp(status, "active") == 0 || strcmp(status, "completed") == 0 ? "paid" : status));
    write_person(call, page, self);
    return page_end(call, page);
}

int
approvals_show(struct call *call)
{
    struct approval self;
    struct rows charge;
    const char *name;
    struct in names;
    bool signed_in;

    if (open_approval(call, &self, false, &signed_in))
        return -1;
    if (!signed_in)
        return page_redirect(call, sign_in_address(call, &self));
    if (merchant_charge(call, self.store_id, self.charge_id, &charge) || merchant_app_names(call, &charge, 1, &names))
        return -1;
    name = merchant_app_name(names, rows_int(&charge, 0, "app_id"));
    return show(call, &self, &charge, name ? name : "an app");
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

int
approvals_answer(struct call *call)
{
    bool approves = str_is(in_str(call->in, "body.decision"), "approve"), signed_in;
    const char *reference = NULL, *return_url;
    struct refusal refusal = {.status = "declined"};
    struct approval self;
    struct rows charge;

    if (open_approval(call, &self, true, &signed_in))
        return -1;
    if (!signed_in) /* the session ended meanwhile */
        return page_redirect(call, sign_in_address(call, &self));
    if (check_form(call, &self))
        return -1;
    refusal.account_id = in_int(self.browser, "account_id", 0);
    if (approves ? merchant_approve(call, self.store_id, self.charge_id, refusal.account_id, &reference)
                 : merchant_refuse(call, self.store_id, self.charge_id, &refusal))
        return -1;
    if (approves)
        return page_redirect(call, payment_path(call, reference, ""));
    if (merchant_charge(call, self.store_id, self.charge_id, &charge))
        return -1;
    return_url = rows_text(&charge, 0, "return_url");
    return page_redirect(call, return_url ? page_return_address(call->arena, return_url, "cancelled", self.charge_id)
                                          : self.path);
}
