/* reseal.h - sealed values under the present master key again, for `sxctl rotate-master-key` (services/sxctl/rotate.c).
 *
 * Every column that holds what secret_seal wrote is a struct sealed_column of its service; kept idempotent answers are
 * in every service's list by themselves.
 */
#ifndef RESEAL_H
#define RESEAL_H

#include "call.h"

struct sealed_column {
    const char *label; /* as given to secret_seal */

    /* $1 the id of the present master key, $2 a place, $3 how many. Rows place, about, sealed, by place: those behind
     * it whose value has another id, locked (reseal_sql.h). about is what secret_seal was given. */
    unsigned find;

    unsigned replace; /* $1 a place, $2 the value sealed anew */
};

/* Before the first call: the service's own columns, which live as long as the process. */
void reseal_columns(const struct sealed_column *columns, unsigned count);

/* The handler of SERVICE.secrets.reseal: one batch from {column, after}, the first 0 and 0. Answers the {column, after}
 * of the next one, whether that was all (done), how many values it has sealed anew (resealed), how many it left because
 * no key opens them (unreadable, which is logged), and the id of the present key (key). Values change only their form,
 * so it may be done at any time. */
int secrets_reseal(struct call *call);

#endif
