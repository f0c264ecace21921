/* bulk_import.c - the actors that apply what was uploaded.
 *
 * There are BULK_LANES of them, each running in one process of the service at a time (actor.h), so several processes
 * share the jobs and the whole platform never imports more than that at once. What proves that nothing is applied twice
 * is not the lease but the rows: a batch's transaction holds the store's row in bulk_turn and the job's row, and moves
 * the position together with what it wrote. Stores take turns, a few hundredths of a second each.
 *
 * An import goes on without requests, so no gateway can refuse it: every STANDING_MS auth is asked whether the
 * installation may still write, and a job whose installation may not is broken off.
 */
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "bulk.h"
#include "bulk_batch.h"
#include "bulk_pace.h"
#include "clock.h"
#include "log.h"
#include "statements.h"
#include "store_data_operations.h"
#include "token.h"

#define TURN_US       40000 /* of one store, before another one's turn */
#define STANDING_MS   1000
#define STANDINGS     32
#define FIRST_LINES   20
#define FIRST_WIDTH   400 /* bytes of a line, until it is known */
#define WINDOW_MIN    4096
#define TRIES_MAX     8 /* of a line that fails for reasons outside of it */
#define TRIM_MS       5000
#define UPLOAD_WAIT_S 60 /* for the next piece */
#define JOB_KEPT_S    (7 * 86400)

enum step { STEP_FAILED = -1, STEP_NOTHING, STEP_DONE };

struct lane {
    unsigned lines[BULK_RESOURCES]; /* of a batch; 0 before the first */
    int64_t width[BULK_RESOURCES];  /* bytes of a line, as they were of late */
    struct bulk_pace pace;
    struct bulk_poison poison;
    int64_t failed_job, failed_line; /* where the last batch failed */
    unsigned tries;
    int64_t prefer, avoid; /* stores: of this turn, and the one whose batch failed */
    struct {
        int64_t job_id, until_ms;
    } standings[STANDINGS]; /* jobs whose installation was good a moment ago */
    unsigned next_standing;
    int64_t trim_ms;
    struct bulk_batch batch;
};

static struct lane lanes[BULK_LANES]; /* each belongs to its actor's thread */

/* ---- may it? ----------------------------------------------------------------------------------------------------- */

static bool
is_checked(const struct lane *self, int64_t job_id)
{
    for (unsigned i = 0; i < STANDINGS; i++)
        if (self->standings[i].job_id == job_id && self->standings[i].until_ms > clock_monotonic_ms())
            return true;
    return false;
}

static int
ask_standing(struct call *call, const struct bulk_job *job, const char **standing)
{
    struct call_question question;
    struct out *body = call_question(&question, 3);
    struct in reply;

    out_key_int(body, "installation_id", job->installation_id);
    out_key(body, "since");
    out_time(body, job->created_us);
    out_key_text(body, "scope", bulk_write_scopes[job->resource]);
    if (call_ask(call, "auth.installations.standing", &question, &reply))
        return -1;
    *standing = in_text(reply, "standing");
    return 0;
}

static const char *
why_stopped(const char *standing)
{
    if (strcmp(standing, "store_inactive") == 0)
        return "The store was suspended or frozen; send the lines that have no result again when it is active";
    if (strcmp(standing, "insufficient_scope") == 0)
        return "The app lost the scope that this import needs; send the lines that have no result when it has it again";
    return "The app was uninstalled, or switched off";
}

/* Outside a transaction: asks auth, and breaks the job off when it may not go on. */
static enum step
check_standing(struct lane *self, struct call *call, const struct bulk_job *job)
{
    const char *standing = NULL;
    struct rows rows;

    if (ask_standing(call, job, &standing))
        return STEP_FAILED;
    if (standing && strcmp(standing, "good") == 0) {
        self->standings[self->next_standing].job_id = job->job_id;
        self->standings[self->next_standing].until_ms = clock_monotonic_ms() + STANDING_MS;
        self->next_standing = (self->next_standing + 1) % STANDINGS;
        return STEP_DONE;
    }
    log_event(LOG_INFO, "bulk_stopped", "l:store_id", job->store_id, "l:job_id", job->job_id, "s:standing", standing,
              NULL);
    if (db_run(call, BULK_JOB_STOP, &rows, "llst", job->store_id, job->job_id, why_stopped(standing ? standing : ""),
               clock_now_us()))
        return STEP_FAILED;
    return STEP_DONE;
}

/* ---- the job ----------------------------------------------------------------------------------------------------- */

static void
read_bytes(struct bulk_job *self, struct call *call, const struct rows *rows)
{
    size_t size = rows_bytes(rows, 0, "bytes", NULL, 0);
    uint8_t *bytes = arena_alloc(call->arena, size + 1);

    rows_bytes(rows, 0, "bytes", bytes, size);
    self->bytes = (struct str){(const char *)bytes, size};
}

static int
read_job(struct bulk_job *self, struct call *call, int64_t store_id, int64_t window)
{
    struct rows rows;

    *self = (struct bulk_job){.store_id = store_id};
    if (db_run(call, BULK_CLAIMED_JOB, &rows, "ll", store_id, window))
        return -1;
    if (rows.count == 0)
        return 0;
    self->job_id = rows_int(&rows, 0, "job_id");
    self->app_id = rows_int(&rows, 0, "app_id");
    self->installation_id = rows_int(&rows, 0, "installation_id");
    self->created_us = rows_time(&rows, 0, "created_at");
    self->resource = bulk_resource_of(rows_text(&rows, 0, "resource"));
    self->pieces = rows_int(&rows, 0, "pieces");
    self->piece = rows_int(&rows, 0, "piece");
    self->piece_at = rows_int(&rows, 0, "piece_at");
    self->line = rows_int(&rows, 0, "line");
    self->size = rows_int(&rows, 0, "size");
    self->lost = rows_is_null(&rows, 0, "size");
    read_bytes(self, call, &rows);
    return 0;
}

/* Bytes to read for a batch of the usual size: a piece is not fetched again and again for a few lines of it. */
static int64_t
window_of(const struct lane *self, const char *name)
{
    enum bulk_resource resource = name ? bulk_resource_of(name) : BULK_PRODUCTS;
    int64_t bytes = self->lines[resource] * self->width[resource] * 3 / 2;

    return bytes < WINDOW_MIN ? WINDOW_MIN : bytes < UPLOAD_PIECE_MAX ? bytes : UPLOAD_PIECE_MAX;
}

static unsigned
lines_max(struct lane *self, const struct bulk_job *job)
{
    unsigned *lines = &self->lines[job->resource];

    if (*lines == 0) {
        *lines = FIRST_LINES;
        self->width[job->resource] = FIRST_WIDTH;
    }
    if (job->resource == BULK_ORDERS)
        *lines = 1;
    if (self->failed_job == job->job_id && self->tries > 0)
        return *lines / (1u << (self->tries < 16 ? self->tries : 16)) + 1;
    return *lines;
}

/* ---- a batch that fails as a whole ------------------------------------------------------------------------------- */

static void
set_poison(struct lane *self, const struct bulk_job *job, const struct call_failure *failure)
{
    struct bulk_poison *poison = &self->poison;

    *poison = (struct bulk_poison){.job_id = job->job_id, .line = self->batch.lines[0].number, .code = failure->code};
    poison->has_field = failure->field != NULL;
    poison->has_why = failure->why != NULL;
    snprintf(poison->field, sizeof poison->field, "%s", failure->field ? failure->field : "");
    snprintf(poison->why, sizeof poison->why, "%s", failure->why ? failure->why : "");
}

/* The call has failed and nothing of the batch stays. A refusal of a single line is that line's result. Anything else
 * is tried with fewer lines, then with the first one alone, and is its result when it does not go away. */
static enum step
handle_failure(struct lane *self, struct call *call, const struct bulk_job *job)
{
    bool again = db_wants_retry(call->db);
    struct call_failure failure = {.code = FAIL_INTERNAL_ERROR};
    bool alone = self->batch.count == 1, refused;

    call_take_failure(call, &failure);
    db_rollback(call->db);
    refused = fail_texts[failure.code].status < 500;
    if (self->failed_job != job->job_id || self->failed_line != job->line) {
        self->failed_job = job->job_id;
        self->failed_line = job->line;
        self->tries = 0;
    }
    self->tries++;
    if (alone && (refused || self->tries >= TRIES_MAX)) {
        set_poison(self, job, &failure);
        return STEP_DONE;
    }
    log_event(LOG_WARN, "bulk_batch_failed", "l:store_id", job->store_id, "l:job_id", job->job_id, "l:line",
              job->line + 1, "l:lines", (int64_t)self->batch.count, "s:code", fail_texts[failure.code].code, "s:why",
              failure.why, NULL);
    if (db_is_connected(call->db) && (refused || again || failure.code == FAIL_INTERNAL_ERROR))
        return STEP_DONE;
    self->avoid = job->store_id;
    return (enum step)call_fail(call, failure.code, failure.field, failure.why);
}

/* ---- a batch ----------------------------------------------------------------------------------------------------- */

static void
learn(struct lane *self, const struct bulk_job *job, unsigned max, int64_t started_us)
{
    int64_t read = self->batch.next_piece > job->piece ? (int64_t)job->bytes.len : self->batch.next_at - job->piece_at;
    unsigned count = self->batch.count;

    self->tries = 0;
    self->avoid = 0;
    self->poison.job_id = 0;
    if (count == 0)
        return;
    self->width[job->resource] = (self->width[job->resource] * 3 + read / count) / 4 + 1;
    if (count == max || clock_monotonic_us() - started_us > TURN_US)
        self->lines[job->resource] = bulk_pace_size(count, clock_monotonic_us() - started_us, LINES_MAX);
}

/* The store's row and the job's are locked. */
static enum step
work(struct lane *self, struct call *call, struct bulk_job *job, int64_t started_us)
{
    unsigned max = lines_max(self, job);
    struct rows rows;

    if (job->lost) {
        log_event(LOG_ERROR, "bulk_piece_lost", "l:store_id", job->store_id, "l:job_id", job->job_id, "l:piece",
                  job->piece, NULL);
        return db_run(call, BULK_JOB_STOP, &rows, "llst", job->store_id, job->job_id,
                      "A part of the body was lost; send the lines that have no result again", clock_now_us()) ||
                       db_commit(call)
                   ? STEP_FAILED
                   : STEP_DONE;
    }
    if (!bulk_batch_read(&self->batch, call, job, max, &self->poison) &&
        (read_job(job, call, job->store_id, UPLOAD_PIECE_MAX) ||
         !bulk_batch_read(&self->batch, call, job, max, &self->poison)))
        return STEP_FAILED;
    call->caller = (struct identity){.audience = AUDIENCE_APP,
                                     .app_id = job->app_id,
                                     .store_id = job->store_id,
                                     .installation_id = job->installation_id,
                                     .scopes = bulk_write_scopes[job->resource],
                                     .service = ""};
    if (bulk_batch_apply(&self->batch, call, job) || db_commit(call))
        return handle_failure(self, call, job);
    learn(self, job, max, started_us);
    return STEP_DONE;
}

static enum step
step(struct lane *self, struct call *call)
{
    int64_t started_us = clock_monotonic_us();
    struct bulk_job job;
    struct rows rows;

    if (db_begin(call) || db_run(call, BULK_CLAIM, &rows, "ll", self->prefer, self->avoid))
        return STEP_FAILED;
    if (rows.count == 0)
        return db_commit(call) ? STEP_FAILED : STEP_NOTHING;
    self->prefer = rows_int(&rows, 0, "store_id");
    if (read_job(&job, call, self->prefer, window_of(self, rows_text(&rows, 0, "resource"))))
        return STEP_FAILED;
    if (job.job_id == 0) /* cancelled at this moment */
        return db_commit(call) ? STEP_FAILED : STEP_DONE;
    if (is_checked(self, job.job_id))
        return work(self, call, &job, started_us);
    db_rollback(call->db);
    return check_standing(self, call, &job);
}

/* ---- what is over ------------------------------------------------------------------------------------------------ */

static int
trim(struct lane *self, struct call *call)
{
    static const unsigned statements[] = {BULK_RESULTS_TRIM, BULK_JOBS_TRIM, BULK_KEYS_TRIM};
    int64_t now_us = clock_now_us(), before_us = now_us - JOB_KEPT_S * US_PER_SECOND;
    unsigned gone = 0;
    struct rows rows;

    self->trim_ms = clock_monotonic_ms() + TRIM_MS;
    if (db_run(call, BULK_UPLOADS_DROP, &rows, "tst", now_us - UPLOAD_WAIT_S * US_PER_SECOND,
               "The end of the body did not come; send it again", now_us) ||
        db_run(call, BULK_PIECES_TRIM, &rows, ""))
        return -1;
    gone = rows.affected;
    for (unsigned i = 0; i < ARRAY_COUNT(statements); i++) {
        if (db_run(call, statements[i], &rows, "t", before_us))
            return -1;
        gone += rows.affected;
    }
    if (gone > 0)
        self->trim_ms = clock_monotonic_ms() + TRIM_MS / 20; /* there may be more */
    return 0;
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

static int
take_turn(struct lane *self, struct call *call)
{
    int64_t started_us = clock_monotonic_us(), worked_us;
    enum step last = STEP_DONE;
    bool found = false;

    if (self == &lanes[0] && clock_monotonic_ms() >= self->trim_ms && trim(self, call))
        return -1;
    self->prefer = 0;
    do {
        last = step(self, call);
        found |= last == STEP_DONE;
        worked_us = clock_monotonic_us() - started_us;
    } while (last == STEP_DONE && worked_us < TURN_US && !actor_is_stopping(call));
    if (last == STEP_FAILED)
        return -1;
    if (found)
        bulk_pace_rest(&self->pace, call, worked_us);
    return found ? ACTOR_AGAIN : ACTOR_DONE;
}

static int
take_first_lane(struct call *call)
{
    return take_turn(&lanes[0], call);
}

static int
take_second_lane(struct call *call)
{
    return take_turn(&lanes[1], call);
}

const struct actor_plan bulk_plans[BULK_LANES] = {
    {.name = "bulk-1", .turn = take_first_lane, .look_ms = 250, .turn_ms = 8000},
    {.name = "bulk-2", .turn = take_second_lane, .look_ms = 250, .turn_ms = 8000},
};

void
bulk_wake(void)
{
    for (unsigned i = 0; i < BULK_LANES; i++)
        actor_wake(bulk_plans[i].name);
}
