/* pages.c - the frame of this service's pages, and where browsers are sent. All text from outside is escaped. */
#include "pages.h"

#include <string.h>
struct buf *
page_begin(struct call *call, const char *before, const char *name, const char *after, const char *form_sources)
{
    struct buf *page = call->out.buf;

    call_header(call, "Content-Type", "text/html; charset=utf-8");
    call_header(call, "Content-Security-Policy", html_policy(call->arena, form_sources));
    html_begin_about(page, before, name, after);
    return page;
}

static void
paragraph(struct buf *page, const char *opening, const char *text)
{
    buf_append_text(page, opening);
    html_text(page, str_of(text));
    buf_append_text(page, "</p>\n");
}

void
page_paragraph(struct buf *page, const char *text)
{
    paragraph(page, "<p>", text);
}

void
page_quiet(struct buf *page, const char *text)
{
    paragraph(page, "<p class=\"quiet\">", text);
}

void
page_link(struct buf *page, const char *address, const char *text)
{
    buf_append_text(page, "<p><a href=\"");
    html_text(page, str_of(address));
    buf_append_text(page, "\">");
    html_text(page, str_of(text));
    buf_append_text(page, "</a></p>\n");
}

void
page_amount(struct buf *page, const char *what, const char *amount, const char *currency)
{
    buf_append_text(page, "<li>");
    html_text(page, str_of(what));
    buf_append_text(page, ": ");
    html_text(page, str_of(amount));
    buf_append_text(page, " ");
    html_text(page, str_of(currency));
    buf_append_text(page, "</li>\n");
}

int
page_end(struct call *call, struct buf *page)
{
    html_end(page);
    return call_reply(call, 200);
}

int
page_redirect(struct call *call, const char *address)
{
    struct buf *page = page_begin(call, "One moment", NULL, NULL, NULL);

    call_header(call, "Location", address);
    page_link(page, address, "Go on");
    html_end(page);
    return call_reply(call, 303);
}

/* Bytes beyond ASCII, which a URL may have been given with, are escaped: a header has none. */
static void
append_ascii(struct buf *target, const char *text, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte < 0x80)
            buf_append_byte(target, text[i]);
        else
            buf_append(target, (char[]){'%', hex[byte >> 4], hex[byte & 15]}, 3);
    }
}

const char *
page_return_address(struct arena *arena, const char *return_url, const char *outcome, int64_t charge_id)
{
    size_t len = strcspn(return_url, "#"), query = strcspn(return_url, "?");
    const char *joint = query >= len ? "?" : strchr("?&", return_url[len - 1]) ? "" : "&";
    const char *answer = arena_printf(arena, "%spayment=%s&charge_id=%lld", joint, outcome, (long long)charge_id);
    struct buf url;
    const char *text;

    buf_init(&url, 3 * strlen(return_url) + strlen(answer) + 1);
    append_ascii(&url, return_url, len);
    buf_append_text(&url, answer);
    append_ascii(&url, return_url + len, strlen(return_url) - len);
    text = arena_strndup(arena, url.data, url.size);
    buf_free(&url);
    return text;
}

const char *
page_origin(struct arena *arena, const char *address)
{
    const char *host = address ? strstr(address, "://") : NULL;
    size_t len = host ? (size_t)(host - address) + 3 : 0;

    return host ? arena_strndup(arena, address, len + strcspn(address + len, "/?#")) : NULL;
}
