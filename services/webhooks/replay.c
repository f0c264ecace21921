/* replay.c - the turn: the next piece of one replay is put on its way, and its place is noted, in one transaction. A
 * process that is killed has done all of a piece or nothing of it.
 *
 * A piece is a fifth of a second's worth, and none is given to a subscription while others are due there: live events
 * go first. Nor while a thousand deliveries wait for it, so that a dead endpoint does not collect a whole replay; nor
 * while its app is suspended, which is looked at now and then.
 */
#include "replay.h"

#include "clock.h"
#include "intake.h"
#include "log.h"
#include "statements.h"

#define LOOK_MS       100
#define PIECES_EACH_S 5
#define DUE_MAX       32
#define WAITING_MAX   1000
#define REST_US       (US_PER_SECOND / PIECES_EACH_S)
#define SUSPENDED_US  (5 * US_PER_SECOND)

struct replay {
    int64_t id, rate, count, now_us;
    struct rows row, target;
};

static int
finish(struct call *call, const struct replay *self)
{
    log_event(LOG_INFO, "replay_over", "l:replay_id", self->id, NULL);
    return db_post(call, REPLAY_FINISH, "lt", self->id, self->now_us);
}

/* Behind where it was in this subscription, or at the beginning of a new one: there at_number is 0. */
static int
queue_piece(struct call *call, const struct replay *self, struct rows *queued)
{
    int64_t subscription_id = rows_int(&self->target, 0, "subscription_id");
    int64_t number = rows_int(&self->row, 0, "at_number");
    bool goes_on = number > 0 && subscription_id == rows_int(&self->row, 0, "at_subscription");
    bool is_failed = rows_int(&self->row, 0, "is_failed");

    return db_run(call, is_failed ? REPLAY_QUEUE_FAILED : REPLAY_QUEUE_ALL, queued, "lslttllt", subscription_id,
                  rows_text(&self->target, 0, "topic"),
                  rows_int(&self->row, 0, is_failed ? "before_delivery" : "installation_id"),
                  rows_time(&self->row, 0, "to_at"), rows_time(&self->row, 0, goes_on ? "at_time" : "from_at"),
                  goes_on ? number : 0, self->count, self->now_us);
}

static int
send_piece(struct call *call, const struct replay *self)
{
    int64_t subscription_id = rows_int(&self->target, 0, "subscription_id"), made;
    struct rows queued;
    bool has_more;

    if (queue_piece(call, self, &queued))
        return -1;
    made = queued.count ? rows_int(&queued, 0, "queued") : 0;
    has_more = queued.count && rows_int(&queued, 0, "seen") == self->count;
    if (made > 0) {
        if (db_post(call, QUEUE_RING, "lt", subscription_id, self->now_us))
            return -1;
        db_after_commit(call, deliver_wake);
    }
    return db_post(call, REPLAY_MOVE, "lltllt", self->id, has_more ? subscription_id : subscription_id + 1,
                   queued.count ? rows_time(&queued, 0, "at_time") : rows_time(&self->row, 0, "at_time"),
                   has_more ? rows_int(&queued, 0, "at_number") : 0, made,
                   self->now_us + made * US_PER_SECOND / self->rate);
}

static int
take_target(struct call *call, struct replay *self)
{
    const struct rows *row = &self->row;
    int64_t only = rows_int(row, 0, "subscription_id");

    return db_run(call, REPLAY_TARGET, &self->target, "lLsllllt", rows_int(row, 0, "installation_id"),
                  rows_is_null(row, 0, "subscription_id") ? NULL : &only, rows_text(row, 0, "topic"),
                  rows_int(row, 0, "generation"), rows_int(row, 0, "at_subscription"), (int64_t)DUE_MAX,
                  (int64_t)WAITING_MAX, self->now_us);
}

static int
take_turn(struct call *call)
{
    struct replay self = {.now_us = clock_now_us()};
    int rc;

    if (db_begin(call) || db_run(call, REPLAY_TAKE, &self.row, "t", self.now_us))
        return -1;
    if (self.row.count == 0)
        return db_commit(call) ? -1 : ACTOR_DONE;
    self.id = rows_int(&self.row, 0, "replay_id");
    self.rate = rows_int(&self.row, 0, "rate");
    self.count = self.rate < PIECES_EACH_S ? 1 : self.rate / PIECES_EACH_S;
    if (take_target(call, &self))
        return -1;
    if (self.target.count == 0)
        rc = finish(call, &self);
    else if (rows_int(&self.target, 0, "is_suspended"))
        rc = db_post(call, REPLAY_REST, "lt", self.id, self.now_us + SUSPENDED_US);
    else if (rows_int(&self.target, 0, "due") == DUE_MAX || rows_int(&self.target, 0, "waiting") == WAITING_MAX)
        rc = db_post(call, REPLAY_REST, "lt", self.id, self.now_us + REST_US);
    else
        rc = send_piece(call, &self);
    return rc || db_commit(call) ? -1 : ACTOR_AGAIN;
}

const struct actor_plan replay_plan = {
    .name = REPLAY_ACTOR, .turn = take_turn, .everywhere = true, .look_ms = LOOK_MS, .turn_ms = 5000};
