/* app_tell.h - developer-apps keeps what the marketplace shows of apps, and hears of each change of them. */
#ifndef APP_TELL_H
#define APP_TELL_H

#include "actor.h"

extern const struct actor_plan app_tell_plan;

#endif
