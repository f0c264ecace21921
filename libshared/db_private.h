/* db_private.h - the inside of a database connection: what db.c and db_queue.c share.
 *
 * The connection is in pipeline mode all the time. What has been sent and not yet answered stands in a queue, with a
 * mark for each Sync; results are taken in that order.
 */
#ifndef DB_PRIVATE_H
#define DB_PRIVATE_H

#include <stdarg.h>

#include "bounds.h"
#include "connection.h"
#include "db.h"

/* Statements on their way at once; more is a handler that loops where it should send one array. */
#define QUEUE_MAX 1024

/* The statements of db.c itself, behind those of the service and of libshared. */
enum control {
    CONTROL_BEGIN,
    CONTROL_COMMIT,
    CONTROL_ROLLBACK,
    CONTROL_SAVEPOINT,
    CONTROL_RELEASE,
    CONTROL_BACK,
    CONTROL_COUNT
};

enum fate { FATE_DROP, FATE_KEEP, FATE_SYNC, FATE_PREPARE };

struct entry {
    uint16_t statement; /* index into db->statements */
    uint8_t fate;       /* what becomes of the result */
};

struct db {
    char service[SERVICE_NAME_MAX + 1];
    char application[SERVICE_NAME_MAX + 16];
    struct connection_statement *statements;
    bool *writes;
    bool *prepared; /* on this connection, or about to be */
    unsigned own_count, count;
    PGconn *connection;    /* NULL when lost */
    unsigned number;       /* of the connection: how many were made */
    char lost_sqlstate[6]; /* what the server said when it ended the session; "" when it said nothing */
    int64_t connect_again_ms;
    int64_t connect_wait_ms; /* for how long the next try may take */
    struct entry queue[QUEUE_MAX];
    unsigned head, tail;        /* answered up to head, sent up to tail */
    unsigned kept;              /* entries in the queue whose result the handler will collect */
    bool unsynced;              /* something was sent after the last Sync */
    bool unsafe;                /* a loss now leaves open whether something was committed */
    unsigned depth;             /* nested begins */
    bool began;                 /* BEGIN has been sent */
    bool wants_retry;           /* the last statement failed with 40001 or 40P01 */
    bool committed;             /* something of this call is committed for good */
    void (*after_commit)(void); /* of the transaction that is open; NULL when none was named */
    PGresult **results;         /* of the current call */
    unsigned result_count, result_capacity;
};

/* Gives the connection up, with all that was sent on it. */
void db_drop(struct db *self);

bool db_is_late(const struct call *call); /* the deadline has passed */
bool db_is_good(const PGresult *result);
bool db_fault_now(void); /* SX_FAULT=db:N: true for the Nth statement of this process */

/* The connection is gone, or is given up because it did not answer in time: records why. Always -1. */
int db_fail_lost(struct call *call, const char *sql) must_check;

/* Queues a statement, behind BEGIN when it is the first one of a transaction. */
int db_queue_statement(struct call *call, unsigned statement, enum fate fate, bool savepoint, const char *types,
                       va_list values) must_check;
int db_queue_control(struct db *self, enum control control, enum fate fate) must_check;
int db_queue_sync(struct db *self) must_check; /* nothing is done when the last one was a Sync */

/* Takes results until the one that is kept and hands that to the caller. With tolerate, a broken constraint is no
 * failure of that one. */
int db_take_kept(struct call *call, bool tolerate, PGresult **kept) must_check;

/* Reads away what is left of a pipeline, so that the connection can be used again; drops it when that does not work. */
void db_drain(struct db *self, int64_t until_ms);

#endif
