/* bulk_batch.h - one transaction of an import: some lines of one job, with their results and the new position. */
#ifndef BULK_BATCH_H
#define BULK_BATCH_H

#include "bulk.h"
#include "lines.h"

/* A job as the batch's transaction has locked it, and what comes next of its piece. */
struct bulk_job {
    int64_t store_id, job_id, app_id, installation_id, created_us;
    enum bulk_resource resource;
    int64_t pieces, piece, piece_at, line; /* the position */
    int64_t size;                          /* of the piece */
    struct str bytes;                      /* from the position on, not always to the piece's end */
    bool lost;                             /* the piece is not there */
};

/* A line whose batch failed as a whole, for its own reasons: it is not tried again but noted as failed. */
struct bulk_poison {
    int64_t job_id, line; /* 0: there is none */
    enum fail code;
    bool has_field, has_why;
    char field[128], why[512];
};

struct bulk_batch {
    struct bulk_line lines[LINES_MAX];
    unsigned count;    /* lines that are not empty */
    int64_t last_line; /* number of the last line, empty or not */
    int64_t succeeded;
    int64_t next_piece, next_at;
};

/* Takes at most max lines off the job's bytes; false when those hold no whole line, but the piece goes on. */
bool bulk_batch_read(struct bulk_batch *self, struct call *call, const struct bulk_job *job, unsigned max,
                     const struct bulk_poison *poison);

/* Applies them and moves the position; the commit is the caller's. -1: nothing of it may stay. */
int bulk_batch_apply(struct bulk_batch *self, struct call *call, const struct bulk_job *job) must_check;

#endif
