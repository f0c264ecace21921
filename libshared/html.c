/* html.c - the frame around every page of the platform, and escaping.
 *
 * No script, no font, no picture of our own: a page is one answer, and looks the same when everything else is down.
 */
#include "html.h"

#include <string.h>

#include "secret.h"
#include "text.h"

static const char style[] =
    "body{margin:0;background:#f3f4f6;color:#1f2937;font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:26rem;margin:8vh auto;padding:2rem;background:#fff;border:1px solid #e5e7eb;border-radius:12px}"
    "h1{margin:0 0 1rem;font-size:1.25rem}p,ul{margin:0 0 1rem}ul{padding-left:1.25rem}"
    "img{width:48px;height:48px;border-radius:10px;margin-bottom:1rem}"
    "label{display:block;margin-bottom:1rem}"
    "input:not([type=hidden]){display:block;width:100%;box-sizing:border-box;padding:.6rem;font:inherit;"
    "border:1px solid #9ca3af;border-radius:8px}"
    "button{padding:.6rem 1.2rem;font:inherit;border:1px solid #9ca3af;border-radius:8px;background:#fff}"
    "button.main{background:#14532d;border-color:#14532d;color:#fff}"
    ".quiet{color:#6b7280;font-size:.875rem}.alert{color:#991b1b}";

void
html_text(struct buf *target, struct str text)
{
    size_t start = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *entity = NULL;

        switch (text.base[i]) {
        case '&': entity = "&amp;"; break;
        case '<': entity = "&lt;"; break;
        case '>': entity = "&gt;"; break;
        case '"': entity = "&quot;"; break;
        case '\'': entity = "&#39;"; break;
        default: break;
        }
        if (!entity)
            continue;
        buf_append(target, text.base + start, i - start);
        buf_append_text(target, entity);
        start = i + 1;
    }
    if (text.len > start)
        buf_append(target, text.base + start, text.len - start);
}

void
html_name(struct buf *target, const char *name)
{
    buf_append_text(target, "<bdi>");
    html_text(target, str_of(name));
    buf_append_text(target, "</bdi>");
}

void
html_begin_about(struct buf *target, const char *before, const char *name, const char *after)
{
    buf_append_text(target, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>");
    html_text(target, str_of(before));
    html_text(target, str_of(name));
    html_text(target, str_of(after));
    buf_append_text(target, "</title><style>");
    buf_append_text(target, style);
    buf_append_text(target, "</style></head><body><main>\n<h1>");
    html_text(target, str_of(before));
    if (name)
        html_name(target, name);
    html_text(target, str_of(after));
    buf_append_text(target, "</h1>\n");
}

void
html_begin(struct buf *target, const char *title)
{
    html_begin_about(target, title, NULL, NULL);
}

void
html_end(struct buf *target)
{
    buf_append_text(target, "</main></body></html>\n");
}

void
html_hidden(struct buf *target, const char *name, const char *value)
{
    buf_append_text(target, "<input type=\"hidden\" name=\"");
    html_text(target, str_of(name));
    buf_append_text(target, "\" value=\"");
    html_text(target, str_of(value));
    buf_append_text(target, "\">\n");
}

char *
html_policy(struct arena *arena, const char *form_action)
{
    char hash[BASE64_SIZE(SHA256_SIZE)];
    uint8_t digest[SHA256_SIZE];

    secret_sha256(digest, style, strlen(style));
    text_to_base64(hash, digest, sizeof digest);
    return arena_printf(arena,
                        "default-src 'none'; style-src 'sha256-%s'; img-src https:; base-uri 'none'; "
                        "frame-ancestors 'none'; form-action %s",
                        hash, form_action ? form_action : "'none'");
}
