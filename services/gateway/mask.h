/* mask.h - text from outside, before it is written to a log. */
#ifndef MASK_H
#define MASK_H

#include "arena.h"
#include "base.h"

/* The text with everything that has the form of a secret of the platform's replaced by ***: sx_…_ and hex digits
 * (client ids, sx_app_, are none), whsec_…, JWTs, and 64 hex digits in a row. The text itself when there is none, else
 * a copy in the arena. */
struct str mask_secrets(struct arena *arena, struct str text);

#endif
