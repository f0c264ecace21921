/* completion.h - what a request has begun in several services is brought to its end, whoever was killed on the way. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "actor.h"
#include "clock.h"

/* Behind a row that is due so much later nobody is at work any more who would finish it. */
#define COMPLETION_WAIT_US (60 * US_PER_SECOND)

extern const struct actor_plan completion_plan;

#endif
