/* docs_demo.c - what `sxctl demo` wrote into SX_HOME/demo.json, for the explorer's buttons.
 *
 * These are secrets, although only of two invented stores. So they are shown under SX_DEV=1 alone, to a client of this
 * machine that calls the gateway by a name of this machine: a site whose name was made to lead here (DNS rebinding)
 * names itself in Host, and one that another proxy stands before says so in X-Forwarded-For. Some proxies say nothing
 * and call us by our own address: where the settings tell of a proxy or of a public name, nothing is shown at all.
 * Scripts of other origins read nothing, because this answer has no CORS headers. Only what the explorer needs goes
 * out, and never an admin's token.
 */
#include "docs_demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "in.h"
#include "json.h"
#include "out.h"
#include "reply.h"

#define DEMO_SIZE_MAX 65536

static bool
is_own_host(struct str host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

    for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
        size_t size = strlen(names[i]);

        if (host.len >= size && memcmp(host.base, names[i], size) == 0 && (host.len == size || host.base[size] == ':'))
            return true;
    }
    return false;
}

static bool
is_own_peer(const struct request *request)
{
    const char *address = request->peer->address;

    return strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::1") == 0;
}

/* The file as it is now: tokens in it are renewed while the gateway runs. In the loop, because it is small and local.
 */
static int
read_demo(struct arena *arena, struct in *target)
{
    char *path = config_path("demo.json"), *text = arena_alloc(arena, DEMO_SIZE_MAX), why[JSON_WHY_SIZE];
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, DEMO_SIZE_MAX, file) : 0;
    struct buf packed;
    int result = -1;

    free(path);
    if (file)
        fclose(file);
    buf_init(&packed, DEMO_SIZE_MAX);
    if (size > 0 && json_to_msgpack(text, size, &packed, why) == 0)
        result = in_decode(target, arena, arena_strndup(arena, packed.data, packed.size), packed.size);
    buf_free(&packed);
    return result;
}

static void
write_demo(struct out *out, struct in demo)
{
    out_map(out, 3);
    out_key(out, "app");
    out_map(out, 4);
    out_key_text(out, "access_token", in_text(demo, "access_token"));
    out_key_text(out, "client_id", in_text(demo, "client_id"));
    out_key_text(out, "client_secret", in_text(demo, "client_secret"));
    out_key_int(out, "store_id", in_int(demo, "store_id", 0));
    out_key(out, "merchant");
    out_map(out, 1);
    out_key_text(out, "token", in_text(in_at(demo, "merchant"), "token"));
    out_key(out, "developer");
    out_map(out, 1);
    out_key_text(out, "access_token", in_text(in_at(demo, "developer"), "access_token"));
}

void
docs_demo_answer(struct request *request)
{
    bool alone = !config.trusted_proxies && !config.public_url && !request->headers[HEADER_FORWARDED_FOR].base;
    bool shown = config.dev && alone && is_own_peer(request) && is_own_host(request->headers[HEADER_HOST]);
    struct in demo;
    struct buf text;
    struct out out;

    request->no_cors = true;
    buf_init(&text, DEMO_SIZE_MAX);
    out_init(&out, &text, OUT_JSON);
    out_map(&out, 2);
    out_key(&out, "data");
    if (shown && read_demo(request->arena, &demo) == 0)
        write_demo(&out, demo);
    else
        out_null(&out);
    out_key_int(&out, "status", 200);
    reply_json(request, 200, (struct str){arena_strndup(request->arena, text.data, text.size), text.size});
    buf_free(&text);
}
