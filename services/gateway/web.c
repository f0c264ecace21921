/* web.c - addresses, cookies and pages at the edge.
 *
 * What a service gets is text that came from outside: bounded by the connection's memory and checked to be printable
 * here, understood there. Errors of these routes are known to be RFC 6749's or a person's to read; which of its words
 * stands for which of the platform's codes is decided in one table.
 */
#include "web.h"

#include <string.h>
#include <strings.h>

#include "config.h"
#include "html.h"
#include "proxies.h"
#include "reply.h"

#define HOST_MAX      255
#define PAGE_SIZE_MAX 65536

static bool
is_host(struct str text)
{
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-:[]";

    if (!text.base || text.len == 0 || text.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!memchr(allowed, text.base[i], sizeof allowed - 1))
            return false;
    }
    return true;
}

const char *
web_base_url(struct request *self)
{
    struct str proto = self->headers[HEADER_FORWARDED_PROTO], host = self->headers[HEADER_HOST];
    const char *scheme = "http";

    if (config.public_url)
        return config.public_url;
    if (proto.len == 5 && strncasecmp(proto.base, "https", 5) == 0 &&
        proxies_have(self->gateway->proxies, self->peer->address))
        scheme = "https";
    if (!is_host(host))
        return arena_printf(self->arena, "http://localhost:%lld", (long long)config.port);
    return arena_printf(self->arena, "%s://%.*s", scheme, (int)host.len, host.base);
}

/* Absent for what no client sends in good faith: the service then knows that it got nothing. */
static struct str
printable(struct str header)
{
    for (size_t i = 0; i < header.len; i++) {
        if ((unsigned char)header.base[i] < 0x20 || (unsigned char)header.base[i] > 0x7e)
            return (struct str){NULL, 0};
    }
    return header;
}

void
web_pack(struct request *self, struct out *out)
{
    struct str authorization = printable(self->headers[HEADER_AUTHORIZATION]);
    struct str cookie = printable(self->headers[HEADER_COOKIE]);

    out_key(out, "web");
    out_map(out, 3);
    out_key(out, "base_url");
    out_text(out, web_base_url(self));
    out_key(out, "authorization");
    out_str(out, authorization);
    out_key(out, "cookie");
    out_str(out, cookie);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static const char *
oauth_code(const struct error *error)
{
    static const struct {
        const char *code, *oauth;
    } table[] = {
        {"invalid_client", "invalid_client"},
        {"invalid_grant", "invalid_grant"},
        {"unsupported_grant_type", "unsupported_grant_type"},
        {"invalid_scope", "invalid_scope"},
        {"unsupported_token_type", "unsupported_token_type"},
        {"store_inactive", "temporarily_unavailable"}, /* not invalid_grant: clients would throw the grant away */
        {"rate_limited", "temporarily_unavailable"},
        {"service_unavailable", "temporarily_unavailable"},
    };

    for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
        if (strcmp(table[i].code, error->code) == 0)
            return table[i].oauth;
    }
    return error->status >= 500 ? "server_error" : "invalid_request";
}

void
web_write_oauth_error(struct request *self, struct out *out, const struct error *error)
{
    const char *field, *message;
    char *text;

    if (error_fields(error) > 0) {
        error_field(error, 0, &field, &message);
        text = arena_printf(self->arena, "%s %s", field, message);
    } else {
        text = arena_strdup(self->arena, error->message);
    }
    for (char *place = text; *place; place++) { /* RFC 6749, 5.2: the bytes error_description may have */
        if ((unsigned char)*place < 0x20 || (unsigned char)*place > 0x7e || *place == '"' || *place == '\\')
            *place = '\'';
    }
    out_key(out, "error");
    out_text(out, oauth_code(error));
    out_key(out, "error_description");
    out_text(out, text);
}

static const char *
title_of(int status)
{
    if (status >= 500)
        return "Something went wrong on our side";
    if (status == 403)
        return "You may not do this";
    return status == 429 ? "Too many requests" : "This request cannot be carried out";
}

void
web_reply_error(struct request *self, const struct error *error)
{
    struct buf page;

    buf_init(&page, PAGE_SIZE_MAX);
    html_begin(&page, title_of(error->status));
    buf_append_text(&page, "<p>");
    html_text(&page, str_of(error->message));
    buf_append_text(&page, "</p>\n");
    for (unsigned i = 0; i < error_fields(error); i++) {
        const char *field, *message;

        error_field(error, i, &field, &message);
        buf_append_text(&page, i == 0 ? "<ul>\n<li>" : "<li>");
        html_text(&page, str_of(field));
        buf_append_text(&page, ": ");
        html_text(&page, str_of(message));
        buf_append_text(&page, i + 1 == error_fields(error) ? "</li>\n</ul>\n" : "</li>\n");
    }
    buf_append_text(&page, "<p class=\"quiet\">");
    html_text(&page, str_of(error->code));
    buf_append_text(&page, " &middot; request ");
    html_text(&page, str_of(self->request_id));
    buf_append_text(&page, "</p>\n");
    html_end(&page);
    reply_json(self, error->status, (struct str){arena_strndup(self->arena, page.data, page.size), page.size});
    buf_free(&page);
    reply_header_static(self, "Content-Type", "text/html; charset=utf-8");
    reply_header_static(self, "Content-Security-Policy", html_policy(self->arena, NULL));
}

void
web_page_headers(struct request *self)
{
    reply_header_static(self, "X-Frame-Options", "DENY");
    reply_header_static(self, "Referrer-Policy", "no-referrer");
    if (strncmp(web_base_url(self), "https:", 6) == 0)
        reply_header_static(self, "Strict-Transport-Security", "max-age=31536000");
}
