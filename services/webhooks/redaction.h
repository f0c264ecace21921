/* redaction.h - forgets people whom store-data has forgotten. */
#ifndef REDACTION_H
#define REDACTION_H

#include "actor.h"

extern const struct actor_plan redaction_plan;

#endif
