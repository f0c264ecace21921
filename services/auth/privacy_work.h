/* privacy_work.h - what a customer asked for (privacy.c) is told to the apps, and carried out in store-data. */
#ifndef PRIVACY_WORK_H
#define PRIVACY_WORK_H

#include "actor.h"

extern const struct actor_plan privacy_plan;

#endif
