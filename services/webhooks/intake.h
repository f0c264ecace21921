/* intake.h - events into the log and towards the subscriptions (protocols 7), and installations as auth tells them
 * (protocols 8). */
#ifndef INTAKE_H
#define INTAKE_H

#include "call.h"

#define DELIVER_ACTOR "deliver"

/* For db_after_commit: there may be something to deliver. */
void deliver_wake(void);

/* Before a transaction that writes what happens at that time: the day's partitions are there. A commit of its own. */
int partitions_need(struct call *call, int64_t time_us) must_check;

/* An event on its way in (protocols 7). data: JSON text, which is kept as it is. created_us is part of its key. */
struct event {
    struct str event_id, topic, resource_type, data;
    int64_t store_id, resource_id, created_us;
};

/* In the open transaction, in their order; those that are known are left out. Answers how many were new, -1 with the
 * error recorded. */
int64_t events_take(struct call *call, const struct event *events, unsigned count) must_check;

/* In the open transaction: scopes as a PostgreSQL array's text. What is late changes nothing. topics: JSON list of
 * those to subscribe to by itself at url, once per generation; absent or url NULL: none. */
struct installation_news {
    int64_t installation_id, store_id, app_id, generation;
    const char *scopes;
    struct str topics;
    const char *url;
};
int installation_put(struct call *call, const struct installation_news *news) must_check;

#endif
