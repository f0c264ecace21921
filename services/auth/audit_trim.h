/* audit_trim.h - forgets entries of the audit log that are older than SX_AUDIT_DAYS. */
#ifndef AUDIT_TRIM_H
#define AUDIT_TRIM_H

#include "actor.h"

extern const struct actor_plan audit_trim_plan;

#endif
