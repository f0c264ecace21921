/* reviews.h - auth hears of what reviewers decide, in the order in which they have. */
#ifndef REVIEWS_H
#define REVIEWS_H

#include "actor.h"

extern const struct actor_plan decisions_plan;

#endif
