/* docs.c - pages that no service makes.
 *
 * /livez says that the loop turns. /readyz says whether requests can be answered: each pool of workers that the
 * contract names has somebody in it, and the identity lease is held; what is missing is named. /metrics is for
 * Prometheus. All else is a file, made and packed at build time (proto/files.py) and sent from the program's own pages:
 * the document, and what stands under /api/docs. To serve something more, yield a File in served_files() of
 * proto/generate.py: path, type, bytes, and for a page its Content-Security-Policy; FOREVER for paths that have a hash.
 */
#include "docs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "access.h"
#include "config.h"
#include "docs_demo.h"
#include "files.h"
#include "identities.h"
#include "metric.h"
#include "out.h"
#include "reply.h"
#include "web.h"

#define METRICS_SIZE_MAX (4 * 1024 * 1024)
#define READY_SIZE_MAX   65536

struct page {
    const char *path;
    void (*answer)(struct request *request);
};

/* ---- files --------------------------------------------------------------------------------------------------- */

static bool
is_word(struct str text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.base, word, text.len) == 0;
}

/* What stands before the first `end`, without the blanks around it; text goes on behind it. */
static struct str
cut(struct str *text, char end)
{
    const char *mark = memchr(text->base, end, text->len);
    struct str part = {text->base, mark ? (size_t)(mark - text->base) : text->len};
    size_t taken = part.len + (mark != NULL);

    *text = (struct str){text->base + taken, text->len - taken};
    while (part.len > 0 && (*part.base == ' ' || *part.base == '\t'))
        part = (struct str){part.base + 1, part.len - 1};
    while (part.len > 0 && (part.base[part.len - 1] == ' ' || part.base[part.len - 1] == '\t'))
        part.len--;
    return part;
}

/* Whether an Accept-Encoding header takes gzip (RFC 9110, 12.5.3): by name, or by "*" where it is not named, and not
 * with a weight of 0. */
static bool
takes_gzip(struct str header)
{
    bool any = false;

    while (header.len > 0) {
        struct str entry = cut(&header, ','), coding = cut(&entry, ';'), weight = cut(&entry, ';');
        bool wanted = !(weight.len >= 3 && (weight.base[0] | 0x20) == 'q' && weight.base[1] == '=' &&
                        strspn(weight.base + 2, "0.") >= weight.len - 2);

        if (is_word(coding, "gzip") || is_word(coding, "x-gzip"))
            return wanted;
        if (is_word(coding, "*"))
            any = wanted;
    }
    return any;
}

static int
compare_path(const void *key, const void *row)
{
    const struct str *path = key;
    const char *other = ((const struct file *)row)->path;
    int order = strncmp(path->base, other, path->len);

    return order == 0 && other[path->len] != '\0' ? -1 : order;
}

static const struct file *
find_file(struct str path)
{
    return bsearch(&path, files, file_count, sizeof files[0], compare_path);
}

static void
answer_file(const struct file *file, struct request *request)
{
    bool packed = file->packed.bytes && takes_gzip(request->headers[HEADER_ACCEPT_ENCODING]);
    const struct file_form *form = packed ? &file->packed : &file->plain;

    reply_page(request, file->content_type, form->bytes, form->size, form->tag);
    reply_header_static(request, "Cache-Control", file->caching);
    reply_vary(request, "Accept-Encoding");
    if (packed)
        reply_header_static(request, "Content-Encoding", "gzip");
    if (file->policy) {
        reply_header_static(request, "Content-Security-Policy", file->policy);
        web_page_headers(request);
    }
}

/* ---- states of this process ---------------------------------------------------------------------------------- */

static void
answer_livez(struct request *request)
{
    reply_json(request, 200, STR("{\"data\":{\"live\":true},\"status\":200}"));
}

static void
write_services(struct out *out, const struct hub_service_state *states, unsigned count)
{
    out_key(out, "services");
    out_list(out, count);
    for (unsigned i = 0; i < count; i++) {
        out_map(out, 5);
        out_key(out, "service");
        out_text(out, states[i].service);
        out_key(out, "workers");
        out_int(out, states[i].workers);
        out_key(out, "idle");
        out_int(out, states[i].idle);
        out_key(out, "queued");
        out_int(out, states[i].queued);
        out_key(out, "foreign_contract");
        out_int(out, states[i].foreign_contract);
    }
}

static void
answer_readyz(struct request *request)
{
    struct gateway *gateway = request->gateway;
    struct hub_service_state states[SERVICES_MAX];
    unsigned count = hub_services(gateway->hub, states, SERVICES_MAX);
    bool lease = config.identity_lease_ms == 0 || identities_have_lease(gateway->identities);
    bool ready = lease && !gateway->draining;
    const struct fail_text *fail = &fail_texts[FAIL_SERVICE_UNAVAILABLE];
    struct buf text;
    struct out out;

    for (unsigned i = 0; i < count; i++)
        ready = ready && states[i].workers > 0;
    buf_init(&text, READY_SIZE_MAX);
    out_init(&out, &text, OUT_JSON);
    out_map(&out, ready ? 2 : 4);
    out_key(&out, "data");
    out_map(&out, 5);
    out_key(&out, "ready");
    out_bool(&out, ready);
    out_key(&out, "identity_lease");
    out_bool(&out, lease);
    out_key(&out, "draining");
    out_bool(&out, gateway->draining);
    out_key(&out, "contract");
    out_text(&out, contract_digest);
    write_services(&out, states, count);
    if (!ready) {
        out_key(&out, "message");
        out_text(&out,
                 "Not ready: a service has no worker, the identity lease is not held, or the gateway is stopping");
        out_key(&out, "code");
        out_text(&out, fail->code);
    }
    out_key(&out, "status");
    out_int(&out, ready ? 200 : 503);
    reply_json(request, ready ? 200 : 503,
               (struct str){arena_strndup(request->arena, text.data, text.size), text.size});
    if (!ready)
        reply_header_static(request, "Retry-After", "1");
    buf_free(&text);
}

static void
answer_metrics(struct request *request)
{
    struct buf text;

    buf_init(&text, METRICS_SIZE_MAX);
    metric_write(&text);
    access_write_metrics(request->gateway->access, &text);
    reply_json(request, 200, (struct str){arena_strndup(request->arena, text.data, text.size), text.size});
    reply_header_static(request, "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    buf_free(&text);
}

/* ---- who answers a path -------------------------------------------------------------------------------------- */

static const struct page pages[] = {
    {"/livez", answer_livez},
    {"/readyz", answer_readyz},
    {"/metrics", answer_metrics},
    {"/api/docs/demo.json", docs_demo_answer},
};

static const struct page *
find_page(struct str path)
{
    for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
        if (str_is(path, pages[i].path))
            return &pages[i];
    }
    return NULL;
}

bool
docs_have(struct str path)
{
    return find_page(path) || find_file(path);
}

bool
docs_have_page(struct str path)
{
    const struct file *file = find_file(path);

    return file && file->policy;
}

void
docs_answer(struct request *request)
{
    const struct page *page = find_page(request->path);

    if (page)
        page->answer(request);
    else
        answer_file(find_file(request->path), request);
}
