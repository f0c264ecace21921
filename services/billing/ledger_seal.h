/* ledger_seal.h - the actor that puts transfers into blocks, a moment after they were made. */
#ifndef LEDGER_SEAL_H
#define LEDGER_SEAL_H

#include "actor.h"

extern const struct actor_plan ledger_seal_plan;

#endif
