/* deliver.h - the actor that sends events to their subscribers (contract D.2, D.3, K.4). It runs in every process of
 * the service; the processes share the subscriptions by leases (delivery.h). */
#ifndef DELIVER_H
#define DELIVER_H

#include "actor.h"

extern const struct actor_plan deliver_plan;

#endif
