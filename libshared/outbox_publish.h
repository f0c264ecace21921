/* outbox_publish.h - the actor that takes a service's events out of its outbox (protocols 7). Every service that has
 * events lists outbox_plan among its actors; outbox_put wakes it at the commit.
 *
 * It keeps no position: each turn reads the first rows that are there, in the order of their ids, hands them to
 * webhooks.events.publish (those of the audit log to auth.audit.add), and deletes exactly those when the answer has
 * come; one batch is under way at a time. A cursor would skip an id that commits after a higher one. What is sent
 * twice, because an answer was lost or two holders of the lease overlapped, the receiver drops by event id. While
 * webhooks is away the rows wait.
 */
#ifndef OUTBOX_PUBLISH_H
#define OUTBOX_PUBLISH_H

#include "actor.h"

#define OUTBOX_ACTOR "outbox"

extern const struct actor_plan outbox_plan;

#endif
