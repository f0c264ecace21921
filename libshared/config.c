/* config.c - the environment, read once and checked as a whole.
 *
 * Every problem is printed before giving up, so that an operator mends the settings in one round. An empty variable
 * counts as unset, because compose files pass on what they do not have that way.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "log.h"

/* The longest name below SX_HOME that a unix socket must carry, within the 107 bytes of sun_path. */
#define HOME_SIZE_MAX (107 - sizeof "/run/.s.PGSQL.65535")

struct config config;

/* What --help, the README and the check of names need to know. */
static const struct {
    const char *name, *otherwise, *help;
} described[] = {
#define DESCRIBE_TEXT(field, name, otherwise, help)             {name, otherwise, help},
#define DESCRIBE_NUMBER(field, name, otherwise, min, max, help) {name, #otherwise, help},
#define DESCRIBE_RATE(field, name, count_, seconds_, help)      {name, #count_ "/" #seconds_, help},
    SETTINGS(DESCRIBE_TEXT, DESCRIBE_NUMBER, DESCRIBE_RATE)
#undef DESCRIBE_TEXT
#undef DESCRIBE_NUMBER
#undef DESCRIBE_RATE
};

/* The variable's value, or the default. */
static const char *
setting_or(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value && *value ? value : otherwise;
}

static int
refuse(const char *name, const char *what)
{
    fprintf(stderr, "%s: %s\n", name, what);
    return -1;
}

static int
check_names(void)
{
    int status = 0;

    for (char **variable = environ; *variable; variable++) {
        size_t len = strcspn(*variable, "=");
        bool known = strncmp(*variable, "SX_", 3) != 0;

        for (unsigned i = 0; i < ARRAY_COUNT(described) && !known; i++)
            known = strlen(described[i].name) == len && memcmp(described[i].name, *variable, len) == 0;
        if (!known) {
            fprintf(stderr, "%.*s: there is no such setting; --help lists them\n", (int)len, *variable);
            status = -1;
        }
    }
    return status;
}

static int
parse_number(const char *text, char end_at, int64_t min, int64_t max, int64_t *value, const char **end)
{
    char *stop;

    if ((*text < '0' || *text > '9') && *text != '-')
        return -1;
    errno = 0;
    long long number = strtoll(text, &stop, 10);
    if (errno || stop == text || *stop != end_at || number < min || number > max)
        return -1;
    *value = number;
    *end = stop;
    return 0;
}

static int
read_number(int64_t *field, const char *name, int64_t otherwise, int64_t min, int64_t max)
{
    const char *text = setting_or(name, NULL);
    const char *end;

    *field = otherwise;
    if (!text || parse_number(text, '\0', min, max, field, &end) == 0)
        return 0;
    fprintf(stderr, "%s: must be a whole number from %lld to %lld\n", name, (long long)min, (long long)max);
    return -1;
}

static int
read_rate(struct config_rate *field, const char *name, uint32_t count, uint32_t seconds)
{
    const char *text = setting_or(name, NULL);
    int64_t number;

    *field = (struct config_rate){count, seconds};
    if (!text)
        return 0;
    if (parse_number(text, '/', 1, 1000000, &number, &text))
        return refuse(name, "must be COUNT/SECONDS, as 1000/60; the count from 1 to 1000000");
    field->count = (uint32_t)number;
    if (parse_number(text + 1, '\0', 1, 86400, &number, &text))
        return refuse(name, "must be COUNT/SECONDS, as 1000/60; the seconds from 1 to 86400");
    field->seconds = (uint32_t)number;
    return 0;
}

/* "./var" becomes "/where/we/are/var", so that it names the same place after a change of directory. */
static int
make_home_absolute(void)
{
    static char *home;
    const char *given = config.home;

    free(home);
    home = NULL;
    if (*given == '/') {
        home = xstrdup(given);
    } else {
        char *here = getcwd(NULL, 0);
        size_t size;

        if (!here)
            return refuse("SX_HOME", "the current directory cannot be found; give an absolute path");
        while (given[0] == '.' && given[1] == '/')
            given += 2;
        size = strlen(here) + strlen(given) + 2;
        home = xmalloc(size);
        snprintf(home, size, "%s/%s", here, given);
        free(here);
    }
    for (size_t len = strlen(home); len > 1 && home[len - 1] == '/'; len--)
        home[len - 1] = '\0';
    config.home = home;
    if (strlen(home) > HOME_SIZE_MAX)
        return refuse("SX_HOME",
                      "is too long: the names of the unix sockets in it would not fit; choose a shorter path");
    return 0;
}

/* As browsers write an origin: scheme and host, lower case, no path. Apps compare it character by character. */
static bool
is_origin(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";
    size_t scheme = strncmp(text, "https://", 8) == 0 ? 8 : strncmp(text, "http://", 7) == 0 ? 7 : 0;

    return scheme && text[scheme] && strspn(text + scheme, allowed) == strlen(text + scheme);
}

/* The sandbox takes any card, and what it says was paid is owed to developers: none of it where money is real. */
static int
check_billing(void)
{
    if (!config.billing_provider)
        return 0;
    if (strcmp(config.billing_provider, "sandbox") == 0)
        return config.dev ? 0
                          : refuse("SX_BILLING_PROVIDER", "sandbox takes any card and moves no money, so it needs "
                                                          "SX_DEV=1; set eps, or leave it out until there is one");
    if (strcmp(config.billing_provider, "eps") != 0)
        return refuse("SX_BILLING_PROVIDER", "must be eps, or sandbox under SX_DEV=1");
    if (!is_origin(config.eps_url))
        return refuse("SX_EPS_URL",
                      "must be scheme and host, as https://pgapi.eps.com.bd: no path, no slash at the end");
    if (!config.dev && strncmp(config.eps_url, "https://", 8) != 0)
        return refuse("SX_EPS_URL", "must begin with https://: a password goes there");
    if (!config.public_url)
        return refuse("SX_PUBLIC_URL", "is needed with SX_BILLING_PROVIDER=eps: EPS sends the merchant back there");
    if (!config.eps_username || !config.eps_password_file || !config.eps_hash_key_file || !config.eps_merchant_id ||
        !config.eps_store_id)
        return refuse("SX_BILLING_PROVIDER", "eps needs SX_EPS_USERNAME, SX_EPS_PASSWORD_FILE, SX_EPS_HASH_KEY_FILE, "
                                             "SX_EPS_MERCHANT_ID and SX_EPS_STORE_ID");
    return 0;
}

static int
check_meaning(void)
{
    enum log_level level;
    int status = check_billing();

    if (log_level_of(config.log_level, &level))
        status = refuse("SX_LOG_LEVEL", "must be debug, info, warn or error");
    if (config.clock_file && !config.dev)
        status = refuse("SX_CLOCK_FILE", "the clock can be set under SX_DEV=1 only");
    if (!is_origin(config.dashboard_origin))
        status = refuse("SX_DASHBOARD_ORIGIN",
                        "must be an origin, as https://admin.example.com: no path, no slash at the end");
    if (config.public_url && !is_origin(config.public_url))
        status = refuse("SX_PUBLIC_URL",
                        "must be scheme and host, as https://api.example.com: no path, no slash at the end");
    if (config.fault && !config.dev)
        status = refuse("SX_FAULT", "faults can be asked for under SX_DEV=1 only");
    if ((config.rpc_listen || config.gateway) && !config.keys)
        status = refuse("SX_KEYS", "is needed with SX_GATEWAY and SX_RPC_LISTEN; sxctl keys makes the directory");
    return status;
}

/* Measured on two cores: with eight for each core PostgreSQL and we keep them busy, with four they stand idle a tenth
 * of the time while messages travel. */
static int64_t
workers_for_cores(void)
{
    int64_t workers = WORKERS_PER_CORE * sysconf(_SC_NPROCESSORS_ONLN);

    workers = workers < WORKERS_OF_MACHINE_MAX ? workers : WORKERS_OF_MACHINE_MAX;
    return workers < config.gateways ? config.gateways : workers;
}

int
config_load(void)
{
    int status = check_names();

#define READ_TEXT(field, name, otherwise, help) config.field = setting_or(name, otherwise);
#define READ_NUMBER(field, name, otherwise, min, max, help)                                                            \
    if (read_number(&config.field, name, otherwise, min, max))                                                         \
        status = -1;
#define READ_RATE(field, name, count_, seconds_, help)                                                                 \
    if (read_rate(&config.field, name, count_, seconds_))                                                              \
        status = -1;
    SETTINGS(READ_TEXT, READ_NUMBER, READ_RATE)
#undef READ_TEXT
#undef READ_NUMBER
#undef READ_RATE
    if (config.workers == 0)
        config.workers = workers_for_cores();
    if (!config.billing_provider && config.dev)
        config.billing_provider = "sandbox";
    if (make_home_absolute())
        status = -1;
    if (check_meaning())
        status = -1;
    return status;
}

void
config_print_help(void)
{
    printf("Settings (environment variables):\n  %-28s %-12s %s\n", "name", "default", "meaning");
    for (unsigned i = 0; i < ARRAY_COUNT(described); i++)
        printf("  %-28s %-12s %s\n", described[i].name, described[i].otherwise ? described[i].otherwise : "-",
               described[i].help);
}

void
config_print_markdown(void)
{
    printf("| setting | default | meaning |\n| --- | --- | --- |\n");
    for (unsigned i = 0; i < ARRAY_COUNT(described); i++) {
        const char *otherwise = described[i].otherwise;

        printf("| `%s` | %s%s%s | %s |\n", described[i].name, otherwise ? "`" : "", otherwise ? otherwise : "",
               otherwise ? "`" : "", described[i].help);
    }
}

char *
config_path(const char *relative)
{
    size_t size = strlen(config.home) + strlen(relative) + 2;
    char *path = xmalloc(size);

    snprintf(path, size, "%s/%s", config.home, relative);
    return path;
}
