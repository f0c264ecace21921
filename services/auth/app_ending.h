/* app_ending.h - what is left to do once a developer has deleted an app. */
#ifndef APP_ENDING_H
#define APP_ENDING_H

#include "actor.h"

extern const struct actor_plan app_ending_plan;

#endif
