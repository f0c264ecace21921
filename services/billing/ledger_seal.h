/* ledger_seal.h - the actor that puts transfers into blocks, a moment after they were made. */
#ifndef LEDGER_SEAL_H
#define LEDGER_SEAL_H

#include "actor.h"
#include "ledger_hash.h"

/* A row of a statement with LINE_COLUMNS (queries_ledger.h); its texts live as the call. */
struct ledger_line ledger_line_of(const struct rows *rows, unsigned row);

extern const struct actor_plan ledger_seal_plan;

#endif
