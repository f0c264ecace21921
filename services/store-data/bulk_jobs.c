/* bulk_jobs.c - import jobs as the app that posted them sees them: how far they are, what came of each line, the end
 * before their time. Jobs of other apps and stores are not there.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "bulk.h"
#include "clock.h"
#include "cursor.h"
#include "statements.h"
#include "store_data_operations.h"
#include "text.h"

#define LINE_MEMBER "{\"line\":"

static int
fail_unknown(struct call *call)
{
    return call_fail(call, FAIL_NOT_FOUND, "job_id", "No such job of this app in this store");
}

static int
find_job(struct call *call, struct rows *rows)
{
    if (db_run(call, BULK_JOB_GET, rows, "lll", call->caller.store_id, call->caller.app_id,
               in_int(call->in, "path.job_id", 0)))
        return -1;
    return rows->count ? 0 : fail_unknown(call);
}

int
bulk_get_job(struct call *call)
{
    struct rows rows;

    if (find_job(call, &rows))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}

/* ---- the list ---------------------------------------------------------------------------------------------------- */

static void
write_page(struct call *call, const struct rows *rows, int64_t limit, struct cursor *cursor)
{
    unsigned count = rows_is_null(rows, 0, "job_id") ? 0 : rows->count;
    int64_t total = rows_int(rows, 0, "_total");
    bool more = count > limit, capped = total > TOTAL_EXACT_MAX;
    struct rows page = *rows;

    page.count = more ? (unsigned)limit : count;
    call_data_with(call, 1);
    out_rows(&call->out, &page);
    out_key(&call->out, "pagination");
    out_map(&call->out, 4 + capped);
    out_key(&call->out, "page");
    out_int(&call->out, 1);
    out_key(&call->out, "limit");
    out_int(&call->out, limit);
    out_key(&call->out, "total");
    out_int(&call->out, capped ? TOTAL_EXACT_MAX : total);
    if (capped) {
        out_key(&call->out, "total_capped");
        out_bool(&call->out, true);
    }
    out_key(&call->out, "next_cursor");
    if (more)
        cursor->id = rows_int(rows, page.count - 1, "job_id");
    out_text(&call->out, more ? cursor_encode(cursor, call->arena) : NULL);
}

int
bulk_list_jobs(struct call *call)
{
    const char *status = in_text(call->in, "query.status"), *resource = in_text(call->in, "query.resource"),
               *text = in_text(call->in, "query.cursor");
    int64_t limit = in_int(call->in, "query.limit", PAGE_LIMIT_DEFAULT);
    const char *filters = arena_printf(call->arena, "bulk jobs %" PRId64 " %" PRId64 " %s %s", call->caller.store_id,
                                       call->caller.app_id, status ? status : "", resource ? resource : "");
    struct cursor cursor = {.descending = true, .filters = cursor_hash(0, filters, strlen(filters)), .id = INT64_MAX};
    struct rows rows;

    if (text && cursor_decode(&cursor, call->arena, text, strlen(text)) != 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "cursor",
                         "is not a next_cursor of this list with these filters; begin again without it");
    if (db_run(call, BULK_JOBS_LIST, &rows, "llllss", call->caller.store_id, call->caller.app_id, cursor.id, limit + 1,
               status, resource))
        return -1;
    write_page(call, &rows, limit, &cursor);
    return call_reply(call, 200);
}

/* ---- the results ------------------------------------------------------------------------------------------------- */

/* The number a result begins with; bulk_line_write puts it there. */
static int64_t
number_of(struct str result)
{
    const size_t head = sizeof LINE_MEMBER - 1;
    int64_t number = 0;
    size_t len = 0;

    while (head + len < result.len && result.base[head + len] >= '0' && result.base[head + len] <= '9')
        len++;
    return text_to_int(result.base + head, len, &number) ? 0 : number;
}

/* Writes the results behind *after that fit into a chunk, and moves it. True when all of them did. */
static bool
write_results(struct call *call, struct str rest, int64_t *after)
{
    struct str line;

    while (bulk_line_next(&rest, true, &line)) {
        int64_t number = number_of(line);

        if (number <= *after)
            continue;
        if (call->out.buf->size + line.len + 1 > STREAM_CHUNK_MAX)
            return false;
        out_json(&call->out, line);
        out_line_end(&call->out);
        *after = number;
    }
    return true;
}

int
bulk_read_results(struct call *call)
{
    struct str text = in_str(call->in, "query.after");
    int64_t after = 0;
    bool fitted = true;
    struct rows job, rows;

    if (text.base && (text_to_int(text.base, text.len, &after) || after < 0))
        return call_fail(call, FAIL_VALIDATION_ERROR, "after", "must be the `line` of the last result you have");
    if (find_job(call, &job) || db_run(call, BULK_RESULTS_READ, &rows, "llll", call->caller.store_id,
                                       in_int(call->in, "path.job_id", 0), after, (int64_t)STREAM_CHUNK_MAX))
        return -1;
    for (unsigned i = 0; fitted && i < rows.count; i++)
        fitted = write_results(call, str_of(rows_text(&rows, i, "lines")), &after);
    if (rows.count > 0)
        call_header(call, "X-Stream-Next", arena_printf(call->arena, "%" PRId64, after));
    return call_reply(call, 200);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

int
bulk_cancel_job(struct call *call)
{
    int64_t job_id = in_int(call->in, "path.job_id", 0);
    const char *status;
    struct rows rows;

    if (db_begin(call) || db_run(call, BULK_JOB_LOCK, &rows, "lll", call->caller.store_id, call->caller.app_id, job_id))
        return -1;
    if (rows.count == 0)
        return fail_unknown(call);
    status = rows_text(&rows, 0, "_status");
    if (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0)
        return call_failf(call, FAIL_CONFLICT, NULL, "The job is %s already; its results say what came of each line",
                          status);
    if (strcmp(status, "cancelled") != 0 &&
        db_run(call, BULK_JOB_END, &rows, "llsst", call->caller.store_id, job_id, "cancelled", NULL, clock_now_us()))
        return -1;
    if (db_commit(call))
        return -1;
    return call_reply_row(call, 200, &rows, 0);
}
