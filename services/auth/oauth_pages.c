/* oauth_pages.c - what a merchant reads before an app gets anything: who asks, for which store, and what each scope
 * allows in plain words. All text from outside goes through html_text. */
#include "oauth_pages.h"

#include <string.h>

#include "config.h"
#include "html.h"
#include "oauth_authorize.h"
#include "scopes.h"

#define BASE "/api/apps/oauth"

/* name: the app's, in the middle of the title; NULL when it has none there. */
static struct buf *
page_open(struct call *call, const char *before, const char *name, const char *after, const char *form_action)
{
    struct buf *target = call->out.buf;

    call_header(call, "Content-Type", "text/html; charset=utf-8");
    call_header(call, "Content-Security-Policy", html_policy(call->arena, form_action));
    html_begin_about(target, before, name, after);
    return target;
}

static void
paragraph(struct buf *target, const char *class, const char *text)
{
    buf_append_text(target, class ? "<p class=\"" : "<p>");
    if (class) {
        buf_append_text(target, class);
        buf_append_text(target, "\">");
    }
    html_text(target, str_of(text));
    buf_append_text(target, "</p>\n");
}

/* A sentence with somebody's name in it. */
static void
paragraph_about(struct buf *target, const char *before, const char *name, const char *after)
{
    buf_append_text(target, "<p>");
    html_text(target, str_of(before));
    html_name(target, name);
    html_text(target, str_of(after));
    buf_append_text(target, "</p>\n");
}

static void
form_begin(struct buf *target, const char *action, const struct authorization *about, const char *form_token)
{
    buf_append_text(target, "<form method=\"post\" action=\"");
    buf_append_text(target, action);
    buf_append_text(target, "\">\n");
    for (unsigned i = 0; i < AUTHORIZATION_FIELDS; i++)
        if (about->fields[i])
            html_hidden(target, authorization_names[i], about->fields[i]);
    html_hidden(target, "form_token", form_token);
}

static void
write_login(struct buf *target)
{
    buf_append_text(
        target, "<label>E-mail, phone or username<input name=\"identifier\" autocomplete=\"username\" required "
                "minlength=\"3\" maxlength=\"255\" autofocus></label>\n"
                "<label>Password<input type=\"password\" name=\"password\" autocomplete=\"current-password\" required "
                "minlength=\"8\" maxlength=\"128\"></label>\n"
                "<button class=\"main\">Sign in</button>\n</form>\n");
}

int
page_sign_in(struct call *call, const char *action, const char *to, const char *form_token)
{
    struct buf *target = page_open(call, "Sign in to SeloraX", NULL, NULL, "'self'");

    buf_append_text(target, "<form method=\"post\" action=\"");
    html_text(target, str_of(action));
    buf_append_text(target, "\">\n");
    html_hidden(target, "to", to);
    html_hidden(target, "form_token", form_token);
    write_login(target);
    html_end(target);
    return call_reply(call, 200);
}

int
page_login(struct call *call, const struct authorization *about, const char *form_token)
{
    struct buf *target = page_open(call, "Sign in to SeloraX", NULL, NULL, "'self'");

    paragraph_about(target, NULL, rows_text(&about->app, 0, "name"),
                    " asks for access to your store. Sign in to go on.");
    form_begin(target, BASE "/login", about, form_token);
    write_login(target);
    html_end(target);
    return call_reply(call, 200);
}

/* The host a redirect goes to must be allowed by the form's policy: scheme and host of an address that was checked. */
static const char *
origin_of(struct call *call, const char *uri)
{
    const char *host = strstr(uri, "://");
    size_t len = host ? (size_t)(host - uri) + 3 : 0;

    return arena_strndup(call->arena, uri, len + strcspn(uri + len, "/?"));
}

static void
write_scopes(struct buf *target, uint32_t scopes)
{
    buf_append_text(target, "<ul>\n");
    for (unsigned i = 0; scope_meaning(i); i++) {
        if (!(scopes & UINT32_C(1) << i))
            continue;
        buf_append_text(target, "<li>");
        html_text(target, str_of(scope_meaning(i)));
        buf_append_text(target, "</li>\n");
    }
    buf_append_text(target, "</ul>\n");
}

static void
write_app(struct buf *target, const struct authorization *about)
{
    const char *icon = rows_text(&about->app, 0, "icon"), *developer = rows_text(&about->app, 0, "developer_name");

    if (icon && strncmp(icon, "https://", 8) == 0) {
        buf_append_text(target, "<img alt=\"\" referrerpolicy=\"no-referrer\" src=\"");
        html_text(target, str_of(icon));
        buf_append_text(target, "\">\n");
    }
    if (developer)
        paragraph_about(target, "Made by ", developer, NULL);
    else
        paragraph(target, "quiet", "The developer gave no name");
}

int
page_consent(struct call *call, const struct authorization *about, const char *form_token)
{
    const char *name = rows_text(&about->app, 0, "name");
    struct buf *target = page_open(call, "Install ", name, "?",
                                   arena_printf(call->arena, "'self' %s", origin_of(call, about->redirect_uri)));

    write_app(target, about);
    paragraph_about(target, "On your store ", about->store_name, " it will be able to:");
    write_scopes(target, about->scopes);
    paragraph(target, "quiet",
              arena_printf(call->arena, "After that you are sent to %s. You can uninstall the app at any time.",
                           origin_of(call, about->redirect_uri)));
    form_begin(target, BASE "/authorize", about, form_token);
    buf_append_text(target, "<p><button class=\"main\" name=\"decision\" value=\"install\">Install</button>\n"
                            "<button name=\"decision\" value=\"cancel\">Cancel</button></p>\n<p class=\"quiet\">"
                            "Signed in as ");
    html_name(target, about->account_name);
    buf_append_text(target, " (");
    html_text(target, str_of(about->email));
    buf_append_text(target,
                    "). <button name=\"decision\" value=\"switch\">Use another account</button></p>\n</form>\n");
    html_end(target);
    return call_reply(call, 200);
}

int
page_redirect(struct call *call, int status, const char *location)
{
    struct buf *target = page_open(call, "One moment", NULL, NULL, NULL);

    call_header(call, "Location", location);
    buf_append_text(target, "<p><a href=\"");
    html_text(target, str_of(location));
    buf_append_text(target, "\">Go on</a></p>\n");
    html_end(target);
    return call_reply(call, status);
}
