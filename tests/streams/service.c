/* service.c - a service in miniature, made of libshared like the real ones: streams numbered lines and takes uploads.
 *
 * A fault can be asked for at one chunk or piece. Every call it takes is written down before anything else happens, so
 * that a test sees what the gateway asked, when, and of whom.
 */
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bounds.h"
#include "streams_operations.h"
#include "text.h"

enum statement {
#define QUERY(name, sql) name,
#include "queries.h"
#undef QUERY
    STATEMENT_COUNT
};

static const char *const statements[] = {
#define QUERY(name, sql) [name] = (sql),
#include "queries.h"
#undef QUERY
};

#define SLEEP_MS 6000 /* longer than x-timeout normal */
#define DOZE_MS  20

static void
wait_ms(int64_t ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* Whether the call asks for this fault at this place. What kills a worker does so once. */
static bool
has_fault(struct call *call, int64_t place, const char *fault)
{
    struct str wanted = in_str(call->in, "query.fault");

    return wanted.base && str_is(wanted, fault) && in_int(call->in, "query.at", 0) == place && !call->second_attempt;
}

static int
begin(struct call *call, int64_t place)
{
    struct rows rows;

    if (db_run(call, TAKEN_INSERT, &rows, "slbl", in_text(call->in, "query.run"), place, (int)call->second_attempt,
               (int64_t)getpid()))
        return -1;
    if (has_fault(call, place, "die"))
        raise(SIGKILL);
    if (has_fault(call, place, "sleep"))
        wait_ms(SLEEP_MS);
    if (str_is(in_str(call->in, "query.fault"), "doze")) /* at every place */
        wait_ms(DOZE_MS);
    if (has_fault(call, place, "fail"))
        return call_failf(call, FAIL_VALIDATION_ERROR, "query.at", "is %lld, as was asked for", (long long)place);
    return 0;
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

static void
write_line(struct call *call, int64_t number, const char *fill)
{
    out_map(&call->out, 2);
    out_key(&call->out, "line");
    out_int(&call->out, number);
    out_key(&call->out, "fill");
    out_text(&call->out, fill);
    out_line_end(&call->out);
}

static const char *
next_of(struct call *call, int64_t chunk)
{
    size_t len = has_fault(call, chunk, "endless_next") ? STREAM_NEXT_MAX + 1
                 : has_fault(call, chunk, "wide_next")  ? 33
                                                        : 0;
    char *text;

    if (len == 0)
        return arena_printf(call->arena, "%lld", (long long)chunk + 1);
    text = arena_alloc(call->arena, len + 1);
    memset(text, '0', len);
    text[len] = '\0';
    return text;
}

int
lines_list(struct call *call)
{
    struct str after = in_str(call->in, "query.after");
    int64_t chunk = 0, chunks = in_int(call->in, "query.chunks", 0), lines = in_int(call->in, "query.lines", 0);
    size_t width = (size_t)in_int(call->in, "query.width", 0);
    char *fill = arena_alloc(call->arena, width + 1);

    if (after.base && text_to_int(after.base, after.len, &chunk) != 0)
        return call_fail(call, FAIL_VALIDATION_ERROR, "after", "must be what an earlier answer gave");
    if (begin(call, chunk) != 0)
        return -1;
    memset(fill, 'x', width);
    fill[width] = '\0';
    if (has_fault(call, chunk, "huge"))
        lines = STREAM_CHUNK_MAX;
    for (int64_t i = 0; i < lines && chunk < chunks; i++)
        write_line(call, chunk * lines + i, fill);
    if (chunk + 1 < chunks)
        call_header(call, "X-Stream-Next", next_of(call, chunk));
    return call_reply(call, has_fault(call, chunk, "created") ? 201 : 200);
}

/* ---- the upload -------------------------------------------------------------------------------------------------- */

static int
find_upload(struct call *call, const struct piece *piece, int64_t *upload_id)
{
    struct rows rows;

    if (piece->upload)
        return text_to_int(piece->upload, strlen(piece->upload), upload_id) == 0
                   ? 0
                   : call_fail(call, FAIL_VALIDATION_ERROR, "upload", "must be what the first piece got");
    if (db_run(call, UPLOAD_INSERT, &rows, "s", in_text(call->in, "query.run")))
        return -1;
    *upload_id = rows_int(&rows, 0, "upload_id");
    return 0;
}

static int
keep(struct call *call, const struct piece *piece, int64_t *upload_id)
{
    struct rows rows;

    if (db_begin(call) || find_upload(call, piece, upload_id) ||
        db_run(call, PIECE_INSERT, &rows, "llx", *upload_id, piece->seq, piece->bytes.base, piece->bytes.len))
        return -1;
    return db_commit(call);
}

int
lines_load(struct call *call)
{
    struct piece piece = call_piece(call);
    int64_t upload_id;
    struct rows rows;

    if (begin(call, piece.seq) != 0 || keep(call, &piece, &upload_id) != 0)
        return -1;
    if (has_fault(call, piece.seq, "die_later"))
        raise(SIGKILL);
    if (!piece.upload && !has_fault(call, piece.seq, "nameless"))
        call_header(call, "X-Upload-Id", arena_printf(call->arena, "%lld", (long long)upload_id));
    if (!piece.last)
        return call_reply(call, 200);
    if (db_run(call, UPLOAD_SUM, &rows, "l", upload_id))
        return -1;
    return call_reply_row(call, 202, &rows, 0);
}

int
main(int argc, char **argv)
{
    const struct service self = {
        .name = "streams",
        .handlers = streams_handlers,
        .handler_count = streams_handler_count,
        .statements = statements,
        .statement_count = STATEMENT_COUNT,
        .migrations = streams_migrations,
        .migration_count = streams_migration_count,
    };

    return service_main(argc, argv, &self);
}
