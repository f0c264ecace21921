/* invalidation.c - bump the version, commit, tell the gateways, wait for those that may still believe the old state.
 *
 * Which gateways those are stands in the table, not in this process's sockets: a gateway that joined through another
 * auth process counts as well. One that does not ack is waited for until any lease it got before the commit is over;
 * then its row goes, unless its beat moved, so that a dead gateway costs one revocation a second and not every one.
 */
#include "invalidation.h"

#include <assert.h>

#include "bounds.h"
#include "clock.h"
#include "log.h"
#include "metric.h"
#include "peers.h"
#include "statements.h"

#define TRIM_EVERY 1024
#define TAG_MAX    64

static struct metric unacknowledged =
    METRIC_COUNTER("sx_invalidation_unacknowledged_total", "Revocations that had to wait for a lease to run out.");

struct pending {
    unsigned count;
    unsigned left;
    int64_t *ids;
    int64_t *beats;
    bool *acked;
};

static void
note_ack(void *context, int64_t gateway_id)
{
    struct pending *self = context;

    for (unsigned i = 0; i < self->count; i++)
        if (self->ids[i] == gateway_id && !self->acked[i]) {
            self->acked[i] = true;
            self->left--;
        }
}

static bool
all_acked(void *context)
{
    const struct pending *self = context;

    return self->left == 0;
}

static int
pending_read(struct call *call, struct pending *self)
{
    struct rows rows;

    if (db_run(call, GATEWAYS, &rows, ""))
        return -1;
    self->count = self->left = rows.count;
    self->ids = arena_alloc(call->arena, (rows.count + 1) * sizeof *self->ids);
    self->beats = arena_alloc(call->arena, (rows.count + 1) * sizeof *self->beats);
    self->acked = arena_alloc(call->arena, (rows.count + 1) * sizeof *self->acked);
    for (unsigned i = 0; i < rows.count; i++) {
        self->ids[i] = rows_int(&rows, i, "id");
        self->beats[i] = rows_int(&rows, i, "beat");
    }
    return 0;
}

/* Rows of gateways that neither answered nor renewed: they hold no lease any more and must join before they get one. */
static int
forget_silent(struct call *call, const struct pending *pending)
{
    struct rows rows;

    for (unsigned i = 0; i < pending->count; i++) {
        if (pending->acked[i])
            continue;
        metric_add(&unacknowledged, 1);
        if (db_run(call, GATEWAY_FORGET, &rows, "ll", pending->ids[i], pending->beats[i]))
            return -1;
        log_event(LOG_WARN, "gateway_silent", "s:request_id", call->request_id, "l:gateway_id", pending->ids[i],
                  "b:forgotten", rows.affected > 0, NULL);
    }
    return 0;
}

static int
tell_gateways(struct call *call, uint64_t version, const char *tag)
{
    struct pending pending = {0};
    struct buf tags;
    struct out out;
    int64_t deadline_ms;
    int told;

    if (pending_read(call, &pending))
        return -1;
    /* From here on: a lease got before the commit has ended by the deadline, one got later knows the version. */
    deadline_ms = clock_monotonic_ms() + INVALIDATE_WAIT_MS;
    buf_init(&tags, TAG_MAX + 16);
    out_init(&out, &tags, OUT_MSGPACK);
    out_list(&out, 1);
    out_text(&out, tag);
    assert(out_complete(&out));
    told = peers_invalidate(call->peers, version, &tags, deadline_ms, note_ack, all_acked, &pending);
    buf_free(&tags);
    if (told)
        return forget_silent(call, &pending);
    return 0;
}

int
invalidation_commit(struct call *call, const char *kind, int64_t id)
{
    char *tag = arena_printf(call->arena, "%s:%lld", kind, (long long)id);
    struct rows rows;
    int64_t version;

    assert(db_in_transaction(call->db));
    if (db_run(call, VERSION_BUMP, &rows, "s", tag))
        return -1;
    version = rows_int(&rows, 0, "v");
    /* Each version belongs to one revocation, so this runs once per TRIM_EVERY of them. */
    if (version % TRIM_EVERY == 0 && db_post(call, INVALIDATIONS_TRIM, "l", version - 2 * INVALIDATION_RING))
        return -1;
    if (db_commit(call))
        return -1;
    assert(!db_in_transaction(call->db)); /* handlers end their own transactions, not one of the worker's */
    log_event(LOG_INFO, "invalidated", "s:request_id", call->request_id, "s:tag", tag, "l:version", version, NULL);
    if (tell_gateways(call, (uint64_t)version, tag))
        return call_fail(call, FAIL_OUTCOME_UNKNOWN, NULL,
                         "The revocation is stored, but it is not sure that every gateway knows it; repeat the call");
    return 0;
}

int
invalidation_reply(struct call *call, const char *name, int64_t id)
{
    call_data(call);
    out_map(&call->out, 2);
    out_key(&call->out, name);
    out_int(&call->out, id);
    out_key(&call->out, "revoked");
    out_int(&call->out, 1);
    return call_reply(call, 200);
}
