/* usage.h - how often apps call, and with what, told to auth in batches: no request writes anything for it.
 *
 * A call of an app that was admitted counts. There is room for USAGE_ENTRIES_MAX pairs of installation and credential;
 * a full table is sent at once, and what comes while there is no room is lost, which a metric counts. A gateway that is
 * killed loses what it had not yet sent (two seconds); one that is stopped in order sends it before it goes.
 */
#ifndef USAGE_H
#define USAGE_H

#include "call.h"
#include "hub.h"

struct usage;

struct usage *usage_new(struct hub *hub, int64_t gateway_id); /* the hub must outlive it */
void usage_destroy(struct usage **self);

void usage_note(struct usage *self, const struct identity *identity); /* nothing when it is no app's */

int64_t usage_next_ms(
    const struct usage *self); /* monotonic time at which usage_tick is needed; INT64_MAX when never */
void usage_tick(struct usage *self);
void usage_drain(struct usage *self); /* what has been counted is due now, and tried once */

#endif
