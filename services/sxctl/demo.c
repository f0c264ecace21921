/* demo.c - `sxctl demo` and `sxctl bench-data`: stores to try and to measure with, made through the same internal
 * operations any other platform component uses.
 *
 * demo writes $SX_HOME/demo.json last, so that it is there exactly when the demo data is whole; a run that was cut
 * short leaves accounts behind, and the next run takes other e-mail addresses. Where it is there already, its tokens
 * are asked about, and those that have ended are made anew: they live for an hour or a day, the quickstart for longer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "contract.h"
#include "json.h"
#include "out.h"
#include "rpc.h"
#include "secret.h"
#include "sxctl.h"

#define ATTEMPTS_MAX     100  /* at demo accounts that are not there yet */
#define FILL_CHUNK       1000 /* orders per call of stores.fill */
#define RENEW_EARLY_S    1200 /* a developer's token lives for an hour */
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

/* The people of the demo: how each signs in, and what demo.json calls what they get. */
enum { MERCHANT, DEVELOPER, ADMIN, PEOPLE };

static const struct role {
    const char *name, *full_name, *flags, *token_name;
    const char *login, *login_token; /* the operation, and where its answer has the token */
    enum audience audience;
} roles[PEOPLE] = {
    {"merchant", "Nasrin Akter", "", "token", "auth.sessions.login", "data.token", AUDIENCE_MERCHANT},
    {"developer", "Tanvir Hasan", ",\"is_developer\":true", "access_token", "auth.sessions.developer_login",
     "data.accessToken", AUDIENCE_DEVELOPER},
    {"admin", "Platform Admin", ",\"is_admin\":true", "token", "auth.sessions.login", "data.token", AUDIENCE_ADMIN},
};

struct person {
    int64_t account_id; /* while the demo is loaded */
    const char *email, *password, *token;
};

/* What demo.json holds. Texts live in the arena of the rpc. */
struct demo {
    const char *base_url;
    int64_t stores[2];
    struct app app;
    struct installation installation;
    struct person people[PEOPLE];
};

/* *attempt is the number behind the e-mail addresses that nobody had. */
static int
people_create(struct person people[PEOPLE], struct rpc *rpc, unsigned *attempt)
{
    const char *password = secret_token(rpc->arena, "", 12);
    bool all = true;

    for (unsigned i = 0; i < PEOPLE; i++)
        people[i].password = password;
    for (*attempt = 0; people[MERCHANT].account_id == 0 && *attempt < ATTEMPTS_MAX; ++*attempt)
        people[MERCHANT].account_id = account_create(rpc, roles[MERCHANT].name, roles[MERCHANT].full_name, *attempt,
                                                     password, roles[MERCHANT].flags, &people[MERCHANT].email);
    --*attempt;
    for (unsigned i = MERCHANT + 1; i < PEOPLE; i++)
        people[i].account_id = account_create(rpc, roles[i].name, roles[i].full_name, *attempt, password,
                                              roles[i].flags, &people[i].email);
    for (unsigned i = 0; i < PEOPLE; i++)
        all = all && people[i].account_id != 0;
    if (!all)
        fprintf(stderr, "sxctl: the demo accounts could not be made; see the log of auth\n");
    return all ? 0 : -1;
}

static int
person_login(struct person *self, struct rpc *rpc, const struct role *role)
{
    struct in reply;

    if (rpc_try(rpc, &reply, role->login, "{\"identifier\":\"%s\",\"password\":\"%s\"}", self->email, self->password) !=
        0)
        return -1;
    self->token = in_text(reply, role->login_token);
    return 0;
}

/* One member a line, so that a shell can find it. */
static int
write_demo(struct arena *arena, const struct demo *demo)
{
    struct buf json;
    int result;

    buf_init(&json, 65536);
    (void)!buf_append_text(&json, "{\n");
    pair(&json, "base_url", quoted(arena, demo->base_url), ",\n");
    pair(&json, "store_id", number(arena, demo->stores[0]), ",\n");
    pair(&json, "other_store_id", number(arena, demo->stores[1]), ",\n");
    pair(&json, "app_id", number(arena, demo->app.app_id), ",\n");
    pair(&json, "installation_id", number(arena, demo->installation.installation_id), ",\n");
    pair(&json, "client_id", quoted(arena, demo->app.client_id), ",\n");
    pair(&json, "client_secret", quoted(arena, demo->app.client_secret), ",\n");
    pair(&json, "session_signing_key", quoted(arena, demo->app.session_signing_key), ",\n");
    pair(&json, "access_token", quoted(arena, demo->installation.access_token), ",\n");
    pair(&json, "refresh_token", quoted(arena, demo->installation.refresh_token), ",\n");
    for (unsigned i = 0; i < PEOPLE; i++) {
        const struct person *person = &demo->people[i];

        pair(&json, roles[i].name,
             arena_printf(arena, "{\"email\": \"%s\", \"password\": \"%s\", \"%s\": %s}", person->email,
                          person->password, roles[i].token_name, quoted(arena, person->token)),
             i + 1 < PEOPLE ? ",\n" : "\n}\n");
    }
    result = write_private("demo.json", &json);
    buf_free(&json);
    return result;
}

static int
load_demo(struct rpc *rpc, const char *base_url)
{
    struct demo demo = {.base_url = base_url};
    struct person *people = demo.people;
    unsigned attempt;

    if (people_create(people, rpc, &attempt) != 0)
        return -1;
    demo.stores[0] = store_create(rpc, people[MERCHANT].account_id, "Dhaka Threads", "hello@dhakathreads.example",
                                  "+8801711000001", "House 12, Road 5, Dhanmondi, Dhaka 1205", "dhakathreads.example");
    demo.stores[1] = store_create(rpc, people[MERCHANT].account_id, "Chattogram Home", "hello@ctghome.example",
                                  "+8801811000002", "24 Agrabad C/A, Chattogram 4100", "ctghome.example");
    demo.app = app_create(rpc, people[DEVELOPER].account_id,
                          attempt == 0 ? "Order Desk" : arena_printf(rpc->arena, "Order Desk %u", attempt));
    demo.installation = install(rpc, demo.app.app_id, demo.stores[0]);
    install(rpc, demo.app.app_id, demo.stores[1]);
    fill(rpc, demo.stores[0], "demo", 240, 180, 0, 400);
    fill(rpc, demo.stores[1], "demo", 160, 180, 240, 400);
    for (unsigned i = 0; i < PEOPLE; i++) {
        if (person_login(&people[i], rpc, &roles[i]) != 0) {
            fprintf(stderr, "sxctl: the demo's %s cannot sign in; see the log of auth\n", roles[i].name);
            return -1;
        }
    }
    return write_demo(rpc->arena, &demo);
}

/* ---- the next day ------------------------------------------------------------------------------------------------ */

/* demo.json as it was written. */
static int
read_demo(struct rpc *rpc, const char *path, struct demo *target)
{
    char text[65536], why[JSON_WHY_SIZE];
    FILE *file = fopen(path, "re");
    size_t size = file ? fread(text, 1, sizeof text, file) : 0;
    struct buf packed;
    struct in in;
    int result = -1;

    if (file)
        fclose(file);
    buf_init(&packed, sizeof text);
    if (json_to_msgpack(text, size, &packed, why) == 0 &&
        in_decode(&in, rpc->arena, arena_strndup(rpc->arena, packed.data, packed.size), packed.size) == 0) {
        target->base_url = in_text(in, "base_url");
        target->stores[0] = in_int(in, "store_id", 0);
        target->stores[1] = in_int(in, "other_store_id", 0);
        target->app = (struct app){in_int(in, "app_id", 0), in_text(in, "client_id"), in_text(in, "client_secret"),
                                   in_text(in, "session_signing_key")};
        target->installation = (struct installation){in_int(in, "installation_id", 0), in_text(in, "access_token"),
                                                     in_text(in, "refresh_token")};
        for (unsigned i = 0; i < PEOPLE; i++) {
            struct in person = in_at(in, roles[i].name);

            target->people[i] = (struct person){0, in_text(person, "email"), in_text(person, "password"),
                                                in_text(person, roles[i].token_name)};
        }
        result = target->stores[0] && target->app.app_id ? 0 : -1;
    }
    buf_free(&packed);
    if (result != 0)
        fprintf(stderr, "sxctl: %s cannot be read; take it away, and `sxctl demo` loads new demo stores\n", path);
    return result;
}

/* Refused, or soon to be: what make up prints should be good for a while. What is refused for another reason, such as a
 * frozen store, is no token's fault. */
static bool
has_ended(struct rpc *rpc, const char *token, enum audience audience)
{
    struct in reply;
    int status;

    if (!token)
        return true;
    status = rpc_try(rpc, &reply, "auth.identity.introspect", "{\"kind\":\"bearer\",\"token\":\"%s\",\"audience\":%d}",
                     token, (int)audience);
    return status == 401 ||
           (status == 0 && in_int(reply, "expires_us", INT64_MAX) < clock_now_us() + RENEW_EARLY_S * US_PER_SECOND);
}

/* By its refresh token, which ends nothing that anybody holds; without a good one the app is installed again. */
static int
renew_installation(struct rpc *rpc, struct demo *demo)
{
    struct installation *own = &demo->installation;
    struct in reply;

    if (own->refresh_token && rpc_try(rpc, &reply, "auth.oauth.token",
                                      "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"%s\","
                                      "\"client_id\":\"%s\",\"client_secret\":\"%s\"}",
                                      own->refresh_token, demo->app.client_id, demo->app.client_secret) == 0) {
        own->access_token = in_text(reply, "access_token");
        own->refresh_token = in_text(reply, "refresh_token");
        return 0;
    }
    if (rpc_try(rpc, &reply, "auth.installations.create", "{\"app_id\":%lld,\"store_id\":%lld}",
                (long long)demo->app.app_id, (long long)demo->stores[0]) != 0)
        return -1;
    *own = (struct installation){in_int(reply, "installation_id", 0), in_text(reply, "access_token"),
                                 in_text(reply, "refresh_token")};
    return 0;
}

/* What could not be renewed is said, and no reason to fail: somebody has changed a password, and the platform is up. */
static void
say_renewed(const char *whose, int result, bool *changed)
{
    *changed = *changed || result == 0;
    if (result == 0)
        fprintf(stderr, "demo.json: a new token for the %s; the one before had ended\n", whose);
    else
        fprintf(stderr,
                "demo.json: the %s's token has ended, and what stands beside it gets no new one. To begin anew take "
                "demo.json away and run `sxctl demo`\n",
                whose);
}

static int
renew_demo(struct rpc *rpc, const char *path, const char *base_url)
{
    struct demo demo = {0};
    bool changed;

    if (read_demo(rpc, path, &demo) != 0)
        return -1;
    changed = !demo.base_url || strcmp(demo.base_url, base_url) != 0;
    demo.base_url = base_url;
    if (has_ended(rpc, demo.installation.access_token, AUDIENCE_APP))
        say_renewed("app", renew_installation(rpc, &demo), &changed);
    for (unsigned i = 0; i < PEOPLE; i++)
        if (has_ended(rpc, demo.people[i].token, roles[i].audience))
            say_renewed(roles[i].name, person_login(&demo.people[i], rpc, &roles[i]), &changed);
    return changed ? write_demo(rpc->arena, &demo) : 0;
}

/* Loads it once: where demo.json is, the data is there, and what has ended of it is renewed. */
int
sxctl_demo(int argc, char **argv)
{
    char own_url[64], *path;
    const char *base_url = argc > 1 ? argv[1] : own_url;
    struct rpc *rpc;
    int result;

    if (argc > 2) {
        fprintf(stderr, "usage: sxctl %s [BASE_URL]\n", argv[0]);
        return EXIT_FAILURE;
    }
    snprintf(own_url, sizeof own_url, "http://127.0.0.1:%lld", (long long)config.port);
    path = config_path("demo.json");
    rpc = rpc_new();
    result = access(path, F_OK) == 0 ? renew_demo(rpc, path, base_url) : load_demo(rpc, base_url);
    rpc_destroy(&rpc);
    free(path);
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
