/* connection.c - connects to PostgreSQL without ever waiting longer than allowed.
 *
 * A server that was stopped with SIGSTOP still accepts connections, because the kernel does; so even the first answer
 * of a handshake is waited for with poll and a limit.
 */
#include "connection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "log.h"
#include "secret.h"

#define PASSWORD_MAX    256
#define ROLE_SIZE       64
#define LOG_INTERVAL_MS 1000

/* What every session is like. The rest (search_path, time limits) is set per role in services/postgres/roles.sql. */
#define SESSION_OPTIONS "-c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=iso_8601 -c extra_float_digits=1"

void
connection_schema(char *target, size_t size, const char *service)
{
    assert(strlen(service) < size);
    for (; *service; service++)
        *target++ = *service == '-' ? '_' : *service;
    *target = '\0';
}

/* poll counts in int: a wait is cut into minutes. */
static bool
is_ready(PGconn *connection, short events, int64_t until_ms)
{
    struct pollfd wanted = {.fd = PQsocket(connection), .events = events};

    for (;;) {
        int64_t rest_ms = until_ms - clock_monotonic_ms();
        int ready = poll(&wanted, 1, rest_ms <= 0 ? 0 : rest_ms > 60000 ? 60000 : (int)rest_ms);

        if (ready > 0)
            return true;
        if ((ready == 0 && rest_ms <= 60000) || (ready < 0 && errno != EINTR))
            return false;
    }
}

int
connection_wait(PGconn *connection, int64_t until_ms)
{
    for (;;) {
        int unsent = PQflush(connection);

        if (unsent < 0)
            return -1;
        if (!PQisBusy(connection))
            return 0;
        if (!is_ready(connection, unsent ? POLLIN | POLLOUT : POLLIN, until_ms) || !PQconsumeInput(connection))
            return -1;
    }
}

/* The password of this process's role; the file may end in a newline. Empty when there is no file. */
static int
read_password(char target[PASSWORD_MAX])
{
    ssize_t size;
    int fd;

    target[0] = '\0';
    if (!config.database_password_file)
        return 0;
    fd = open(config.database_password_file, O_RDONLY | O_CLOEXEC);
    size = fd < 0 ? -1 : read(fd, target, PASSWORD_MAX - 1);
    if (fd >= 0)
        close(fd);
    if (size < 0) {
        log_event(LOG_ERROR, "database_password_unreadable", "s:path", config.database_password_file, NULL);
        return -1;
    }
    target[size] = '\0';
    target[strcspn(target, "\r\n")] = '\0';
    return 0;
}

static PGconn *
start(const char *role, const char *application)
{
    char password[PASSWORD_MAX], port[16];
    char *directory = config_path("run");
    const char *names[16] = {
        "dbname",          "user",       "password",        "application_name",    "options",
        "client_encoding", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
        "tcp_user_timeout"};
    const char *values[16] = {config.database_url ? config.database_url : "selorax",
                              role,
                              NULL,
                              application,
                              SESSION_OPTIONS,
                              "UTF8",
                              "1",
                              "5",
                              "2",
                              "3",
                              "3000"};
    PGconn *connection = NULL;

    if (!config.database_url) {
        snprintf(port, sizeof port, "%lld", (long long)config.postgres_port);
        names[11] = "host";
        values[11] = directory;
        names[12] = "port";
        values[12] = port;
    }
    if (read_password(password) == 0) {
        values[2] = *password ? password : NULL;
        connection = PQconnectStartParams(names, values, 1);
    }
    secret_wipe(password, sizeof password);
    free(directory);
    return connection;
}

/* While PostgreSQL is away, every worker asks for it ten times a second; one line a second tells enough. What libpq
 * says ends in a newline and may have several lines. */
static void
log_refused(const char *event, const char *role, const char *why)
{
    static _Atomic int64_t quiet_until_ms;
    int64_t now_ms = clock_monotonic_ms(), until_ms = atomic_load(&quiet_until_ms);
    char text[256];

    if (now_ms < until_ms || !atomic_compare_exchange_strong(&quiet_until_ms, &until_ms, now_ms + LOG_INTERVAL_MS))
        return;
    snprintf(text, sizeof text, "%s", why);
    for (char *at = text; *at; at++)
        if (*at == '\n')
            *at = at[1] ? ' ' : '\0';
    log_event(LOG_WARN, event, "s:role", role, "s:why", text, NULL);
}

/* libpq would print warnings on standard error, between the JSON lines. */
static void
take_notice(void *nothing, const char *text)
{
    (void)nothing;
    log_event(LOG_DEBUG, "database_notice", "s:text", text, NULL);
}

PGconn *
connection_open(const char *service, const char *application, enum connection_role role, int64_t until_ms)
{
    char name[ROLE_SIZE];
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    PGconn *connection;

    connection_schema(name, sizeof name - sizeof "_owner", service);
    if (role == CONNECTION_OWNER)
        strncat(name, "_owner", sizeof name - strlen(name) - 1);
    connection = start(name, application);
    if (!connection)
        return NULL;
    PQsetNoticeProcessor(connection, take_notice, NULL);
    if (PQstatus(connection) == CONNECTION_BAD)
        status = PGRES_POLLING_FAILED;
    while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
        if (!is_ready(connection, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms)) {
            log_refused("database_connect_timeout", name, "PostgreSQL did not answer in time");
            PQfinish(connection);
            return NULL;
        }
        status = PQconnectPoll(connection);
    }
    if (status != PGRES_POLLING_OK || PQsetnonblocking(connection, 1) != 0) {
        log_refused("database_connect_failed", name, PQerrorMessage(connection));
        PQfinish(connection);
        return NULL;
    }
    return connection;
}

/* Takes the two answers of one queued statement, the result and its end. */
static int
take_done(PGconn *connection, const char *sql, int64_t until_ms)
{
    PGresult *result;
    bool good;

    if (connection_wait(connection, until_ms)) {
        log_event(LOG_WARN, "database_lost_while_preparing", NULL);
        return -1;
    }
    result = PQgetResult(connection);
    good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good)
        log_event(LOG_ERROR, "statement_not_prepared", "s:sqlstate", PQresultErrorField(result, PG_DIAG_SQLSTATE),
                  "s:why", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "s:sql", sql, NULL);
    PQclear(result);
    PQclear(PQgetResult(connection));
    return good ? 0 : -1;
}

/* The server measures statement_timeout from one Sync to the next, so that hundreds of statements prepared in one round
 * trip would share the time of one, which a busy machine does not always give them. until_ms bounds them. */
#define LIMIT_OFF "set statement_timeout = 0"
#define LIMIT_ON  "reset statement_timeout"

int
connection_prepare(PGconn *connection, const struct connection_statement *statements, unsigned count, int64_t until_ms)
{
    PGresult *result;
    bool good;
    bool sent =
        PQenterPipelineMode(connection) && PQsendQueryParams(connection, LIMIT_OFF, 0, NULL, NULL, NULL, NULL, 0);

    for (unsigned i = 0; i < count && sent; i++)
        sent = PQsendPrepare(connection, statements[i].name, statements[i].sql, 0, NULL);
    if (!sent || !PQsendQueryParams(connection, LIMIT_ON, 0, NULL, NULL, NULL, NULL, 0) ||
        !PQpipelineSync(connection)) {
        log_event(LOG_WARN, "database_lost_while_preparing", "s:why", PQerrorMessage(connection), NULL);
        return -1;
    }
    if (take_done(connection, LIMIT_OFF, until_ms))
        return -1;
    for (unsigned i = 0; i < count; i++)
        if (take_done(connection, statements[i].sql, until_ms))
            return -1;
    if (take_done(connection, LIMIT_ON, until_ms) || connection_wait(connection, until_ms))
        return -1;
    result = PQgetResult(connection);
    good = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return good ? 0 : -1;
}
