/* connection.h - making a PostgreSQL connection and waiting on it, with every wait bounded.
 *
 * libpq's own blocking calls wait for ever on a stopped server; these do not. Name resolution of a host in
 * SX_DATABASE_URL is the exception: it takes as long as the resolver does.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <libpq-fe.h>

#include "base.h"

enum connection_role { CONNECTION_SERVICE, CONNECTION_OWNER };

/* A connection as role SCHEMA, or SCHEMA_owner (schema: the service's name with _ for -), ready to use and
 * non-blocking; the caller's to finish. NULL after logging why, at until_ms (clock_monotonic_ms) at the latest. */
PGconn *connection_open(const char *service, const char *application, enum connection_role role, int64_t until_ms);

/* Sends what is queued and reads until the next result can be taken without blocking. -1 when the connection is lost or
 * until_ms has passed. */
int connection_wait(PGconn *connection, int64_t until_ms) must_check;

struct connection_statement {
    char name[12];
    const char *sql;
};

/* Enters pipeline mode, which the connection stays in, and prepares all statements in one round trip, in which until_ms
 * is the only limit of time (the role's statement_timeout holds again afterwards). -1 after logging which one was
 * refused, or that the connection was lost. */
int connection_prepare(PGconn *connection, const struct connection_statement *statements, unsigned count,
                       int64_t until_ms) must_check;

/* "store-data" to "store_data". target holds size bytes; the name must fit. */
void connection_schema(char *target, size_t size, const char *service);

#endif
