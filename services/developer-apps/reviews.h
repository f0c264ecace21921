/* reviews.h - auth hears whether reviewers have approved an app, also when the request that decided could not tell it.
 */
#ifndef REVIEWS_H
#define REVIEWS_H

#include "actor.h"

extern const struct actor_plan decisions_plan;

#endif
