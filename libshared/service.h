/* service.h - the whole life of a service process.
 *
 *     SERVICE                    runs until SIGTERM or SIGINT: config, keys, statements checked, workers, drain
 *     SERVICE migrate            brings its schema to the newest version, as the owner role, and ends
 *     SERVICE --help             the settings
 */
#ifndef SERVICE_H
#define SERVICE_H

#include "actor.h"
#include "call.h"
#include "call_batch.h"
#include "migrate.h"
#include "peers.h"
#include "reseal.h"

struct handler {
    const struct operation *operation;
    int (*run)(struct call *call);
    int (*run_batch)(struct call_batch *batch); /* instead, where the operation has x-batch */
};

struct service {
    const char *name;               /* "store-data"; its schema and role are "store_data" */
    const struct handler *handlers; /* sorted by name; generated */
    unsigned handler_count;
    const char *const *statements;
    unsigned statement_count;
    const struct migration *migrations; /* generated from schema/ */
    unsigned migration_count;
    const char *aside; /* name of a second, small pool of workers (x-pool), or NULL: lease renewals never wait behind
                          other work (protocols 5) */
    const struct actor_plan *actors; /* at most ACTORS_MAX; NULL when none */
    unsigned actor_count;
    const struct sealed_column *sealed; /* every column that holds sealed values; NULL when none */
    unsigned sealed_count;
};

/* What main returns. self and all that it points to live as long as the process. */
int service_main(int argc, char **argv, const struct service *self);

#endif
