/* migrate.h - brings a service's schema to the newest version; a step of its own, never done by a running service.
 *
 * Files are services/SERVICE/schema/NNN_what.sql, built into the binary. Under pg_advisory_lock each new file runs in
 * one transaction and is recorded with its sha256 in SCHEMA.migration; a file that changed after it ran is an error. A
 * file whose first line is "-- no transaction" holds one statement that runs by itself and may run twice (create index
 * concurrently if not exists).
 */
#ifndef MIGRATE_H
#define MIGRATE_H

#include <libpq-fe.h>

#include "base.h"

struct migration {
    const char *name; /* "001_init.sql" */
    const char *sql;
};

/* schema is the service's name with _ for -. -1 after logging why. */
int migrate_run(PGconn *connection, const char *schema, const struct migration *migrations, unsigned count) must_check;

/* What a service checks at start: the newest file is applied. -1 after logging what to run. */
int migrate_check(PGconn *connection, const char *schema, const struct migration *migrations,
                  unsigned count) must_check;

#endif
