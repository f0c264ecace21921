/* bulk_upload.c - an import arrives: each piece is kept as it came, the last one queues the job.
 *
 * A piece may come twice, the last one too (x-retry), and is the same whether its first attempt was lost before or
 * after the commit. An upload whose last piece never comes is dropped by the actor.
 */
#include <string.h>

#include "bulk.h"
#include "clock.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define UNFINISHED_MAX 5

static int64_t
count_lines(const struct piece *piece)
{
    struct str rest = piece->bytes, line;
    int64_t count = 0;

    while (bulk_line_next(&rest, true, &line))
        count += !bulk_line_is_empty(line);
    return count;
}

static int
begin_job(struct call *call, enum bulk_resource resource, int64_t *job_id)
{
    const struct identity *caller = &call->caller;
    struct rows rows;

    if (db_post(call, BULK_UPLOAD_LOCK, "l", caller->store_id) ||
        db_run(call, BULK_JOB_INSERT, &rows, "lllstl", caller->store_id, caller->app_id, caller->installation_id,
               bulk_resource_names[resource], clock_now_us(), (int64_t)UNFINISHED_MAX))
        return -1;
    if (rows.count == 0)
        return call_failf(
            call, FAIL_CONFLICT, NULL,
            "Your app has %d unfinished import jobs in this store; wait until one has finished, or cancel one "
            "with POST /api/apps/v1/bulk/jobs/{job_id}/cancel. GET /api/apps/v1/bulk/jobs lists them with "
            "their status; an upload that is cut off (uploading) ends by itself a minute after its last "
            "piece",
            UNFINISHED_MAX);
    *job_id = rows_int(&rows, 0, "job_id");
    return 0;
}

/* The job of a later piece, locked. *complete: its last piece had come before, and this is the same one again. */
static int
find_job(struct call *call, enum bulk_resource resource, const struct piece *piece, int64_t *job_id, struct rows *rows,
         bool *complete)
{
    if (text_to_int(piece->upload, strlen(piece->upload), job_id) ||
        db_run(call, BULK_UPLOAD_FIND, rows, "llls", call->caller.store_id, *job_id, call->caller.app_id,
               bulk_resource_names[resource]))
        return call_failed(call) ? -1
                                 : call_fail(call, FAIL_VALIDATION_ERROR, "upload", "must be what the first piece got");
    if (rows->count == 0)
        return call_fail(call, FAIL_NOT_FOUND, "upload", "No such upload of this app in this store");
    *complete = piece->last && rows_int(rows, 0, "pieces") == piece->seq + 1;
    if (!*complete && strcmp(rows_text(rows, 0, "status"), "uploading") != 0)
        return call_fail(call, FAIL_CONFLICT, NULL,
                         "The job was cancelled or broken off while its lines were arriving");
    return 0;
}

static void
write_job(struct call *call, const struct rows *rows)
{
    call_data(call);
    out_row(&call->out, rows, 0);
}

static int
finish(struct call *call, int64_t job_id, const struct piece *piece)
{
    struct rows rows;

    if (db_run(call, BULK_UPLOAD_FINISH, &rows, "lllt", call->caller.store_id, job_id, piece->seq + 1, clock_now_us()))
        return -1;
    if (rows.count == 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "seq", "pieces before this one are missing");
    if (db_commit(call))
        return -1;
    bulk_wake();
    write_job(call, &rows);
    return call_reply(call, 202);
}

static int
take_piece(struct call *call, enum bulk_resource resource)
{
    struct piece piece = call_piece(call);
    bool complete = false;
    struct rows rows;
    int64_t job_id = 0;

    if (db_begin(call) || (piece.upload ? find_job(call, resource, &piece, &job_id, &rows, &complete)
                                        : begin_job(call, resource, &job_id)))
        return -1;
    if (complete) {
        if (db_commit(call))
            return -1;
        if (db_run(call, BULK_JOB_GET, &rows, "lll", call->caller.store_id, call->caller.app_id, job_id))
            return -1;
        write_job(call, &rows);
        return call_reply(call, 202);
    }
    if (db_post(call, BULK_PIECE_INSERT, "llllxt", call->caller.store_id, job_id, piece.seq, count_lines(&piece),
                piece.bytes.len ? piece.bytes.base : "", piece.bytes.len, clock_now_us()))
        return -1;
    call_header(call, "X-Upload-Id", arena_printf(call->arena, "%lld", (long long)job_id));
    if (piece.last)
        return finish(call, job_id, &piece);
    if (db_commit(call))
        return -1;
    return call_reply(call, 202);
}

int
bulk_import_products(struct call *call)
{
    return take_piece(call, BULK_PRODUCTS);
}

int
bulk_import_customers(struct call *call)
{
    return take_piece(call, BULK_CUSTOMERS);
}

int
bulk_import_orders(struct call *call)
{
    return take_piece(call, BULK_ORDERS);
}

int
bulk_import_inventory(struct call *call)
{
    return take_piece(call, BULK_INVENTORY);
}
