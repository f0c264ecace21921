/* demo.c - `sxctl demo` and `sxctl bench-data`: stores to try and to measure with, made through the same internal
 * operations any other platform component uses.
 *
 * demo writes $SX_HOME/demo.json last, so that it is there exactly when the demo data is whole; a run that was cut
 * short leaves accounts behind, and the next run takes other e-mail addresses.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "json.h"
#include "out.h"
#include "rpc.h"
#include "secret.h"
#include "sxctl.h"

#define ATTEMPTS_MAX     100  /* at demo accounts that are not there yet */
#define FILL_CHUNK       1000 /* orders per call of stores.fill */
#define BENCH_STORES_MAX 1000
#define BENCH_ORDERS_MAX 1000000
// clang-format off
#define EVERY_SCOPE                                                                                                         \
    "[\"read:orders\",\"write:orders\",\"read:products\",\"write:products\",\"read:customers\",\"write:customers\","        \
    "\"read:inventory\",\"write:inventory\",\"read:discounts\",\"write:discounts\",\"read:store\",\"write:store\","         \
    "\"read:analytics\",\"write:analytics\",\"read:metafields\",\"write:metafields\",\"read:shipping\",\"write:shipping\"," \
    "\"billing\"]"
// clang-format on

struct app {
    int64_t app_id;
    const char *client_id, *client_secret, *session_signing_key;
};

struct installation {
    int64_t installation_id;
    const char *access_token, *refresh_token;
};

static int64_t
account_create(struct rpc *rpc, const char *role, const char *name, unsigned attempt, const char *password,
               const char *flags, const char **email)
{
    struct in reply;

    *email = attempt == 0 ? arena_printf(rpc->arena, "%s@demo.example", role)
                          : arena_printf(rpc->arena, "%s-%u@demo.example", role, attempt);
    if (rpc_try(rpc, &reply, "auth.accounts.create", "{\"name\":\"%s\",\"email\":\"%s\",\"password\":\"%s\"%s}", name,
                *email, password, flags) != 0)
        return 0;
    return in_int(reply, "account_id", 0);
}

static int64_t
store_create(struct rpc *rpc, int64_t owner, const char *name, const char *email, const char *phone,
             const char *address, const char *domain)
{
    struct in reply;
    int64_t store_id;

    rpc_call(rpc, &reply, "auth.stores.create", "{\"owner_account_id\":%lld,\"name\":\"%s\"}", (long long)owner, name);
    store_id = in_int(reply, "store_id", 0);
    rpc_call(rpc, &reply, "store-data.stores.create",
             "{\"store_id\":%lld,\"name\":\"%s\",\"email\":\"%s\",\"phone\":\"%s\",\"currency\":\"BDT\","
             "\"address\":\"%s\",\"domain\":\"%s\",\"language\":\"bn\"}",
             (long long)store_id, name, email, phone, address, domain);
    return store_id;
}

static struct app
app_create(struct rpc *rpc, int64_t owner, const char *name)
{
    struct in reply;

    rpc_call(rpc, &reply, "auth.apps.create",
             "{\"owner_account_id\":%lld,\"name\":\"%s\",\"redirect_urls\":[\"http://127.0.0.1:3000/oauth/callback\"],"
             "\"app_url\":\"http://127.0.0.1:3000/embed\",\"requested_scopes\":" EVERY_SCOPE "}",
             (long long)owner, name);
    return (struct app){in_int(reply, "app_id", 0), in_text(reply, "client_id"), in_text(reply, "client_secret"),
                        in_text(reply, "session_signing_key")};
}

static struct installation
install(struct rpc *rpc, int64_t app_id, int64_t store_id)
{
    struct in reply;

    rpc_call(rpc, &reply, "auth.installations.create", "{\"app_id\":%lld,\"store_id\":%lld}", (long long)app_id,
             (long long)store_id);
    return (struct installation){in_int(reply, "installation_id", 0), in_text(reply, "access_token"),
                                 in_text(reply, "refresh_token")};
}

/* Orders are loaded in chunks, so that a line can show how far it is. */
static void
fill(struct rpc *rpc, int64_t store_id, const char *kind, int64_t orders, int64_t days, int64_t done, int64_t all)
{
    struct in reply;
    int64_t started_ms = clock_monotonic_ms();

    for (int64_t loaded = 0; loaded < orders;) {
        int64_t chunk = orders - loaded < FILL_CHUNK ? orders - loaded : FILL_CHUNK;

        rpc_call(rpc, &reply, "store-data.stores.fill",
                 "{\"store_id\":%lld,\"kind\":\"%s\",\"orders\":%lld,\"days\":%lld}", (long long)store_id, kind,
                 (long long)chunk, (long long)days);
        loaded += chunk;
        if (isatty(STDERR_FILENO) || clock_monotonic_ms() - started_ms > 1000 || done + loaded == all) {
            fprintf(stderr, "%s%lld of %lld orders loaded%s", isatty(STDERR_FILENO) ? "\r" : "",
                    (long long)done + loaded, (long long)all, isatty(STDERR_FILENO) && done + loaded < all ? "" : "\n");
            started_ms = clock_monotonic_ms();
        }
    }
}

/* Written under another name and renamed: either whole or not there. Only the owner may read it. */
static int
write_private(const char *name, const struct buf *text)
{
    char *path = config_path(name), *half = xmalloc(strlen(path) + 8);
    FILE *file;
    int result = -1;

    snprintf(half, strlen(path) + 8, "%s.half", path);
    umask(077);
    file = fopen(half, "we");
    if (file != NULL) {
        result = fwrite(text->data, 1, text->size, file) == text->size ? 0 : -1;
        if (fclose(file) != 0 || result != 0 || rename(half, path) != 0)
            result = -1;
    }
    if (result != 0)
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
    free(path);
    free(half);
    return result;
}

static void
pair(struct buf *target, const char *name, const char *value, const char *after)
{
    (void)!buf_append_text(target, "  \"");
    (void)!buf_append_text(target, name);
    (void)!buf_append_text(target, "\": ");
    (void)!buf_append_text(target, value);
    (void)!buf_append_text(target, after);
}

static const char *
quoted(struct arena *arena, const char *text)
{
    return text == NULL ? "null" : arena_printf(arena, "\"%s\"", text);
}

static const char *
number(struct arena *arena, int64_t value)
{
    return arena_printf(arena, "%lld", (long long)value);
}

/* The people of the demo. Tokens are of sessions. */
struct people {
    const char *password, *merchant_email, *developer_email, *admin_email;
    const char *merchant_token, *developer_token, *admin_token;
    int64_t merchant, developer, admin;
    unsigned attempt; /* at e-mail addresses that nobody has */
};

static int
people_create(struct people *self, struct rpc *rpc)
{
    *self = (struct people){.password = secret_token(rpc->arena, "", 12)};
    while (self->merchant == 0 && self->attempt < ATTEMPTS_MAX)
        self->merchant =
            account_create(rpc, "merchant", "Nasrin Akter", self->attempt++, self->password, "", &self->merchant_email);
    self->attempt--;
    self->developer = account_create(rpc, "developer", "Tanvir Hasan", self->attempt, self->password,
                                     ",\"is_developer\":true", &self->developer_email);
    self->admin = account_create(rpc, "admin", "Platform Admin", self->attempt, self->password, ",\"is_admin\":true",
                                 &self->admin_email);
    if (self->merchant != 0 && self->developer != 0 && self->admin != 0)
        return 0;
    fprintf(stderr, "sxctl: the demo accounts could not be made; see the log of auth\n");
    return -1;
}

static const char *
login(struct rpc *rpc, const char *operation, const char *email, const char *password, const char *token)
{
    struct in reply;

    rpc_call(rpc, &reply, operation, "{\"identifier\":\"%s\",\"password\":\"%s\"}", email, password);
    return in_text(reply, token);
}

static void
people_login(struct people *self, struct rpc *rpc)
{
    self->merchant_token = login(rpc, "auth.sessions.login", self->merchant_email, self->password, "data.token");
    self->developer_token =
        login(rpc, "auth.sessions.developer_login", self->developer_email, self->password, "data.accessToken");
    self->admin_token = login(rpc, "auth.sessions.login", self->admin_email, self->password, "data.token");
}

static void
write_person(struct buf *target, struct arena *arena, const char *role, const char *email, const char *password,
             const char *token_name, const char *token, const char *after)
{
    pair(target, role,
         arena_printf(arena, "{\"email\": \"%s\", \"password\": \"%s\", \"%s\": %s}", email, password, token_name,
                      quoted(arena, token)),
         after);
}

/* One member a line, so that a shell can find it. */
static int
write_demo(struct arena *arena, const char *base_url, const struct people *people, const struct app *app,
           const int64_t stores[2], const struct installation *installation)
{
    struct buf json;
    int result;

    buf_init(&json, 65536);
    (void)!buf_append_text(&json, "{\n");
    pair(&json, "base_url", quoted(arena, base_url), ",\n");
    pair(&json, "store_id", number(arena, stores[0]), ",\n");
    pair(&json, "other_store_id", number(arena, stores[1]), ",\n");
    pair(&json, "app_id", number(arena, app->app_id), ",\n");
    pair(&json, "installation_id", number(arena, installation->installation_id), ",\n");
    pair(&json, "client_id", quoted(arena, app->client_id), ",\n");
    pair(&json, "client_secret", quoted(arena, app->client_secret), ",\n");
    pair(&json, "session_signing_key", quoted(arena, app->session_signing_key), ",\n");
    pair(&json, "access_token", quoted(arena, installation->access_token), ",\n");
    pair(&json, "refresh_token", quoted(arena, installation->refresh_token), ",\n");
    write_person(&json, arena, "merchant", people->merchant_email, people->password, "token", people->merchant_token,
                 ",\n");
    write_person(&json, arena, "developer", people->developer_email, people->password, "access_token",
                 people->developer_token, ",\n");
    write_person(&json, arena, "admin", people->admin_email, people->password, "token", people->admin_token, "\n}\n");
    result = write_private("demo.json", &json);
    buf_free(&json);
    return result;
}

static int
load_demo(struct rpc *rpc, const char *base_url)
{
    struct installation installation;
    struct people people;
    struct app app;
    int64_t stores[2];

    if (people_create(&people, rpc) != 0)
        return -1;
    stores[0] = store_create(rpc, people.merchant, "Dhaka Threads", "hello@dhakathreads.example", "+8801711000001",
                             "House 12, Road 5, Dhanmondi, Dhaka 1205", "dhakathreads.example");
    stores[1] = store_create(rpc, people.merchant, "Chattogram Home", "hello@ctghome.example", "+8801811000002",
                             "24 Agrabad C/A, Chattogram 4100", "ctghome.example");
    app = app_create(rpc, people.developer,
                     people.attempt == 0 ? "Order Desk" : arena_printf(rpc->arena, "Order Desk %u", people.attempt));
    installation = install(rpc, app.app_id, stores[0]);
    install(rpc, app.app_id, stores[1]);
    fill(rpc, stores[0], "demo", 240, 180, 0, 400);
    fill(rpc, stores[1], "demo", 160, 180, 240, 400);
    people_login(&people, rpc);
    return write_demo(rpc->arena, base_url, &people, &app, stores, &installation);
}

/* Loads it once: where demo.json is, the data is there. */
int
sxctl_demo(int argc, char **argv)
{
    char own_url[64], *path;
    struct rpc *rpc;
    bool loaded;
    int result;

    if (argc > 2) {
        fprintf(stderr, "usage: sxctl %s [BASE_URL]\n", argv[0]);
        return EXIT_FAILURE;
    }
    path = config_path("demo.json");
    loaded = access(path, F_OK) == 0;
    free(path);
    if (loaded)
        return EXIT_SUCCESS;
    snprintf(own_url, sizeof own_url, "http://127.0.0.1:%lld", (long long)config.port);
    rpc = rpc_new();
    result = load_demo(rpc, argc > 1 ? argv[1] : own_url);
    rpc_destroy(&rpc);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
sxctl_bench_data(int argc, char **argv)
{
    int64_t stores = argc > 1 ? strtoll(argv[1], NULL, 10) : 20, orders = argc > 2 ? strtoll(argv[2], NULL, 10) : 10000;
    struct rpc *rpc;
    const char *password, *email;
    int64_t owner, started_ms;
    struct app app;
    struct buf json;
    int result;

    if (stores < 1 || stores > BENCH_STORES_MAX || orders < 0 || orders > BENCH_ORDERS_MAX) {
        fprintf(stderr, "usage: sxctl bench-data STORES(1-%d) ORDERS(0-%d)\n", BENCH_STORES_MAX, BENCH_ORDERS_MAX);
        return EXIT_FAILURE;
    }
    rpc = rpc_new();
    started_ms = clock_monotonic_ms();
    password = secret_token(rpc->arena, "", 12);
    owner = account_create(rpc, secret_token(rpc->arena, "bench-", 6), "Bench Owner", 0, password,
                           ",\"is_developer\":true", &email);
    if (owner == 0) {
        fprintf(stderr, "the bench account could not be made; see the log of auth\n");
        return EXIT_FAILURE;
    }
    app = app_create(rpc, owner, secret_token(rpc->arena, "Bench ", 6));
    buf_init(&json, 4 * 1024 * 1024);
    (void)!buf_append_text(&json, "[\n");
    for (int64_t i = 0; i < stores; i++) {
        const char *name = arena_printf(rpc->arena, "Bench Store %lld", (long long)i + 1);
        int64_t store_id =
            store_create(rpc, owner, name, "bench@bench.example", "+8801911000000", "Dhaka", "bench.example");
        struct installation installation = install(rpc, app.app_id, store_id);

        fill(rpc, store_id, "bench", orders, 365, i * orders, stores * orders);
        (void)!buf_append_text(
            &json,
            arena_printf(rpc->arena,
                         "  {\"store_id\": %lld, \"access_token\": \"%s\", \"client_id\": \"%s\", \"client_secret\": "
                         "\"%s\"}%s\n",
                         (long long)store_id, installation.access_token, app.client_id, app.client_secret,
                         i + 1 < stores ? "," : ""));
    }
    (void)!buf_append_text(&json, "]\n");
    result = write_private("bench.json", &json);
    fprintf(stderr, "%lld stores with %lld orders each in %.1f s\n", (long long)stores, (long long)orders,
            (double)(clock_monotonic_ms() - started_ms) / 1000);
    buf_free(&json);
    rpc_destroy(&rpc);
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
