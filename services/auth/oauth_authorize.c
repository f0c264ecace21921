/* oauth_authorize.c - a merchant is asked whether an app may come onto a store, and says so (contract A.1 row 1, C.1).
 *
 * Until client and redirect_uri have been found good, nothing is sent there: errors are pages. Nor is anything before
 * the merchant has signed in, so that this is no redirector for phishers (RFC 9700, 4.11.2). Consent is asked for each
 * time, and the form says word for word what was shown. A code leaves only by the redirect the merchant's own click
 * gave.
 */
#include "oauth_authorize.h"

#include <string.h>

#include "audit.h"
#include "auth_operations.h"
#include "clock.h"
#include "config.h"
#include "invalidation.h"
#include "login.h"
#include "oauth_browser.h"
#include "oauth_pages.h"
#include "oauth_redirect.h"
#include "scopes.h"
#include "secret.h"
#include "sessions.h"
#include "statements.h"
#include "store_access.h"
#include "text.h"

#define BASE             "/api/apps/oauth"
#define CODE_BYTES       32
#define CODE_S           60 /* contract B */
#define CODE_KEEP_S      86400
#define ADDRESS_SIZE_MAX 16384
#define CHALLENGE        43 /* characters of a SHA-256 in Base64 (RFC 7636, 4.2) */

const char *const authorization_names[AUTHORIZATION_FIELDS] = {
    "client_id", "redirect_uri",  "scope",          "state",
    "store_id",  "response_type", "code_challenge", "code_challenge_method",
};

static const char *
field(const struct authorization *self, const char *name)
{
    for (unsigned i = 0; i < AUTHORIZATION_FIELDS; i++)
        if (strcmp(authorization_names[i], name) == 0)
            return self->fields[i];
    return NULL;
}

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static void
add_parameter(struct buf *url, const char *name, const char *value)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/";
    static const char hex[] = "0123456789ABCDEF";
    const char *last = url->data + url->size - 1;

    if (*last != '?' && *last != '&')
        buf_append_byte(url, memchr(url->data, '?', url->size) ? '&' : '?');
    buf_append_text(url, name);
    buf_append_byte(url, '=');
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;

        if (memchr(plain, byte, sizeof plain - 1))
            buf_append_byte(url, *value);
        else
            buf_append(url, (char[]){'%', hex[byte >> 4], hex[byte & 15]}, 3);
    }
}

static const char *
finish(struct call *call, struct buf *url)
{
    const char *text = arena_strndup(call->arena, url->data, url->size);

    buf_free(url);
    return text;
}

/* This page again, with all that it was asked for. */
static const char *
own_address(struct call *call, const struct authorization *self)
{
    struct buf url;

    buf_init(&url, ADDRESS_SIZE_MAX);
    buf_append_text(&url, BASE "/authorize");
    for (unsigned i = 0; i < AUTHORIZATION_FIELDS; i++)
        if (self->fields[i])
            add_parameter(&url, authorization_names[i], self->fields[i]);
    return finish(call, &url);
}

/* The app's address with the answer. iss tells it who answered (RFC 9207). */
static int
answer_app(struct call *call, const struct authorization *self, const char *name, const char *value, const char *why)
{
    const char *base_url = in_text(call->in, "web.base_url");
    struct buf url;

    buf_init(&url, ADDRESS_SIZE_MAX);
    buf_append_text(&url, self->redirect_uri);
    add_parameter(&url, name, value);
    if (why)
        add_parameter(&url, "error_description", why);
    if (self->state)
        add_parameter(&url, "state", self->state);
    if (base_url)
        add_parameter(&url, "iss", base_url);
    return page_redirect(call, 302, finish(call, &url));
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

/* Reads the fields at "query" or "body", and finds the app and whether the answer may go where it says. Else a page. */
static int
authorization_read(struct call *call, struct authorization *self, const char *place)
{
    struct in in = in_at(call->in, place);

    memset(self, 0, sizeof *self);
    for (unsigned i = 0; i < AUTHORIZATION_FIELDS; i++)
        self->fields[i] = in_text(in, authorization_names[i]);
    self->client_id = field(self, "client_id");
    self->redirect_uri = field(self, "redirect_uri");
    self->scope = field(self, "scope");
    self->challenge = field(self, "code_challenge");
    if (!self->client_id)
        return call_fail(call, FAIL_INVALID_CLIENT, NULL, "client_id is missing: it names the app");
    if (db_run(call, OAUTH_APP, &self->app, "ss", self->client_id, self->redirect_uri ? self->redirect_uri : ""))
        return -1;
    if (self->app.count == 0)
        return call_fail(call, FAIL_INVALID_CLIENT, NULL, "No app has this client_id, or it is switched off");
    if (!self->redirect_uri || !rows_int(&self->app, 0, "redirect_known") ||
        redirect_error(call->arena, self->redirect_uri))
        return call_fail(call, FAIL_INVALID_REDIRECT_URI, NULL, NULL);
    return 0;
}

static bool
is_visible(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

struct refusal {
    const char *error, *why;
};

static const char *
pkce_problem(const struct authorization *self)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *method = field(self, "code_challenge_method");

    if (!self->challenge)
        return method ? "code_challenge_method needs a code_challenge" : NULL;
    if (!method || strcmp(method, "S256") != 0)
        return "code_challenge_method must be S256";
    if (strlen(self->challenge) != CHALLENGE || strspn(self->challenge, allowed) != CHALLENGE)
        return "code_challenge must be 43 characters of base64url";
    return NULL;
}

/* What the app is told when it asked wrongly; error is NULL when it asked well. Fills state, scopes and store_id. */
static struct refusal
authorization_check(struct authorization *self)
{
    const char *state = field(self, "state"), *store_id = field(self, "store_id");
    const char *response_type = field(self, "response_type"), *why;
    uint32_t registered = 0;

    if (state && is_visible(state))
        self->state = state;
    if (!self->state)
        return (struct refusal){"invalid_request", "state is required, of visible ASCII"};
    if (response_type && strcmp(response_type, "code") != 0)
        return (struct refusal){"unsupported_response_type", "response_type must be code"};
    why = pkce_problem(self);
    if (why)
        return (struct refusal){"invalid_request", why};
    if (!store_id || text_to_int(store_id, strlen(store_id), &self->store_id) || self->store_id <= 0)
        return (struct refusal){"invalid_request", "store_id is required, a store's number"};
    if (!self->scope)
        return (struct refusal){"invalid_request", "scope is required"};
    if (scopes_add(&self->scopes, str_of(self->scope)) || self->scopes == 0)
        return (struct refusal){"invalid_scope", "scope names one that does not exist"};
    if (scopes_add(&registered, str_of(rows_text(&self->app, 0, "requested_scopes"))) || (self->scopes & ~registered))
        return (struct refusal){"invalid_scope", "scope goes beyond what the app has registered"};
    return (struct refusal){NULL, NULL};
}

/* The form's subject: every field, so that none can be changed between showing and sending. */
static const char *
subject(struct call *call, const struct authorization *self)
{
    const char *text = "";

    for (unsigned i = 0; i < AUTHORIZATION_FIELDS; i++)
        text = arena_printf(call->arena, "%s%s=%s\n", text, authorization_names[i],
                            self->fields[i] ? self->fields[i] : "");
    return text;
}

/* ---- the merchant's side ----------------------------------------------------------------------------------------- */

static int
ask_consent(struct call *call, struct authorization *self)
{
    struct rows names;

    if (db_run(call, OAUTH_CONSENT, &names, "ll", self->store_id, call->caller.account_id))
        return -1;
    if (names.count == 0)
        return call_fail(call, FAIL_NOT_FOUND, NULL, NULL);
    self->store_name = rows_text(&names, 0, "store_name");
    self->account_name = rows_text(&names, 0, "account_name");
    self->email = rows_text(&names, 0, "email");
    return page_consent(call, self, browser_form_token(call, browser_cookie(call), "consent", subject(call, self)));
}

int
oauth_authorize(struct call *call)
{
    struct authorization self;
    struct refusal refusal;
    bool signed_in;

    if (authorization_read(call, &self, "query") || browser_identify(call, &signed_in))
        return -1;
    if (!signed_in)
        return page_login(call, &self, browser_form_token(call, browser_remember(call), "login", subject(call, &self)));
    refusal = authorization_check(&self);
    if (refusal.error)
        return answer_app(call, &self, "error", refusal.error, refusal.why);
    if (store_allow(call, self.store_id, INSTALL_PERMISSION, STORE_CHANGE))
        return -1;
    return ask_consent(call, &self);
}

int
oauth_login(struct call *call)
{
    struct authorization self;
    struct session session;
    struct rows account;
    bool signed_in;

    if (authorization_read(call, &self, "body") || browser_identify(call, &signed_in))
        return -1;
    /* In another tab, with a new cookie: this form's is gone. What was typed counts for nothing; the page asked for
     * does not need it, and anybody may send a browser there by a link. */
    if (signed_in)
        return page_redirect(call, 303, own_address(call, &self));
    if (browser_check_form(call, "login", subject(call, &self)) ||
        login_check(call, in_text(call->in, "body.identifier"), in_str(call->in, "body.password"), &account) ||
        db_begin(call) || session_open_browser(call, rows_int(&account, 0, "account_id"), &session) || db_commit(call))
        return -1;
    browser_set_cookie(call, session.access_token);
    return page_redirect(call, 303, own_address(call, &self));
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* "Use another account": this one's session ends. */
static int
sign_out(struct call *call, const struct authorization *self)
{
    int64_t session_id = call->caller.session_id;
    struct rows rows;

    if (db_begin(call) || db_run(call, SESSION_SET_REVOKED, &rows, "lt", session_id, clock_now_us()) ||
        audit_put(call, "session.revoked", "session", session_id, 0, 0) ||
        invalidation_commit(call, "session", session_id))
        return -1;
    browser_set_cookie(call, "");
    return page_redirect(call, 303, own_address(call, self));
}

/* The transaction in which the merchant was found to have the right to it is open. */
static int
give_code(struct call *call, const struct authorization *self)
{
    const char *code = secret_token(call->arena, "sx_ac_", CODE_BYTES);
    int64_t now_us = clock_now_us(), app_id = rows_int(&self->app, 0, "app_id");
    uint8_t hash[SHA256_SIZE];

    secret_sha256(hash, code, strlen(code));
    if (db_post(call, OAUTH_CODES_TRIM, "t", now_us - US_PER_SECOND * CODE_KEEP_S) ||
        db_post(call, OAUTH_CODE_INSERT, "xlllssstt", hash, sizeof hash, app_id, self->store_id,
                call->caller.account_id, self->redirect_uri, scopes_text(call->arena, self->scopes), self->challenge,
                now_us + US_PER_SECOND * CODE_S, now_us) ||
        audit_put(call, "oauth.consented", "app", app_id, self->store_id, app_id) || db_commit(call))
        return -1;
    return answer_app(call, self, "code", code, NULL);
}

int
oauth_consent(struct call *call)
{
    struct str decision = in_str(call->in, "body.decision");
    struct authorization self;
    struct refusal refusal;
    bool signed_in;

    if (authorization_read(call, &self, "body") || browser_identify(call, &signed_in))
        return -1;
    if (!signed_in) /* the session ended meanwhile: sign in, and be asked again */
        return page_redirect(call, 303, own_address(call, &self));
    if (browser_check_form(call, "consent", subject(call, &self)))
        return -1;
    if (str_is(decision, "switch"))
        return sign_out(call, &self);
    refusal = authorization_check(&self);
    if (refusal.error)
        return answer_app(call, &self, "error", refusal.error, refusal.why);
    if (str_is(decision, "cancel"))
        return answer_app(call, &self, "error", "access_denied", "the merchant declined");
    if (db_begin(call) || store_allow(call, self.store_id, INSTALL_PERMISSION, STORE_CHANGE))
        return -1;
    return give_code(call, &self);
}
