/* docs.c - pages that no service makes.
 *
 * /livez says that the loop turns. /readyz says whether requests can be answered: each pool of workers that the
 * contract names has somebody in it, and the identity lease is held; what is missing is named. /metrics is for
 * Prometheus.
 */
#include "docs.h"

#include "access.h"
#include "config.h"
#include "etag.h"
#include "identities.h"
#include "metric.h"
#include "out.h"
#include "reply.h"

#define METRICS_SIZE_MAX (4 * 1024 * 1024)
#define READY_SIZE_MAX   65536

extern const char openapi_json[];
extern const size_t openapi_json_size;
extern const char openapi_yaml[];
extern const size_t openapi_yaml_size;
extern const char manifest_schema_json[];
extern const size_t manifest_schema_json_size;

struct page {
    const char *path;
    void (*answer)(struct request *request);
};

static char json_tag[ETAG_SIZE], yaml_tag[ETAG_SIZE], manifest_tag[ETAG_SIZE];

void
docs_start(void)
{
    etag_of(json_tag, openapi_json, openapi_json_size);
    etag_of(yaml_tag, openapi_yaml, openapi_yaml_size);
    etag_of(manifest_tag, manifest_schema_json, manifest_schema_json_size);
}

static void
answer_openapi_json(struct request *request)
{
    reply_page(request, "application/json", openapi_json, openapi_json_size, json_tag);
}

static void
answer_openapi_yaml(struct request *request)
{
    reply_page(request, "application/yaml", openapi_yaml, openapi_yaml_size, yaml_tag);
}

static void
answer_manifest_schema(struct request *request)
{
    reply_page(request, "application/schema+json", manifest_schema_json, manifest_schema_json_size, manifest_tag);
}

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

static const struct page pages[] = {
    {"/livez", answer_livez},
    {"/readyz", answer_readyz},
    {"/metrics", answer_metrics},
    {"/api/docs/openapi.json", answer_openapi_json},
    {"/api/docs/openapi.yaml", answer_openapi_yaml},
    {"/api/v1/apps/manifest-schema", answer_manifest_schema},
};

const struct page *
docs_find(struct str path)
{
    for (unsigned i = 0; i < ARRAY_COUNT(pages); i++) {
        if (str_is(path, pages[i].path))
            return &pages[i];
    }
    return NULL;
}

void
docs_answer(const struct page *page, struct request *request)
{
    page->answer(request);
}
