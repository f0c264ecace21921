/* retention.h - the actor that makes tomorrow's partitions and drops those that have been kept for 30 days. */
#ifndef RETENTION_H
#define RETENTION_H

#include "actor.h"

extern const struct actor_plan retention_plan;

#endif
