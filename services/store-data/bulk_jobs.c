/* bulk_jobs.c - import jobs as the app that posted them sees them: how far they are, what came of each line, the end
 * before their time. Jobs of other apps and stores are not there.
 */
#include <inttypes.h>
#include <string.h>

#include "bounds.h"
#include "bulk.h"
#include "clock.h"
#include "list.h"
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

/* The latest first is the only order. */
static const struct list_sort job_sorts[LIST_SORTS] = {
    {"job_id", "job_id", "0", "9223372036854775807"},
};

static int
run(struct list *list, struct call *call, const char *status, const char *resource, struct rows *rows)
{
    unsigned statement = status ? BULK_JOBS_OF_STATUS : resource ? BULK_JOBS_OF_RESOURCE : BULK_JOBS_ANY;

    list->counted = true;
    return db_run(call, statement, rows, "llllslss", call->caller.store_id, call->caller.app_id, list_wanted(list),
                  list_offset(list), list_key(list), list_id(list), status, resource);
}

int
bulk_list_jobs(struct call *call)
{
    const char *status = in_text(call->in, "query.status"), *resource = in_text(call->in, "query.resource");
    struct list list = {.sorts = job_sorts, .id_column = "job_id"};
    struct rows rows;

    if (list_read(&list, call, "job_id:desc",
                  arena_printf(call->arena, "%s %s", status ? status : "", resource ? resource : "")) ||
        run(&list, call, status, resource, &rows))
        return -1;
    list_write(&list, call, &rows, 0);
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
