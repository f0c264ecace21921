/* uninstall.h - what is left to do once an installation has ended: a saga that finishes after any crash (protocols 8).
 *
 * The request that ends an installation does in one commit what must hold when it is answered (installation.h), and
 * leaves a row. The actor here takes the steps of uninstall.c one after the other. Each acts on the row's generation
 * only, may be taken twice, and is repeated until it succeeds, so a kill at any moment only delays it, and a reinstall
 * that overtakes it is left alone.
 */
#ifndef UNINSTALL_H
#define UNINSTALL_H

#include "actor.h"

extern const struct actor_plan uninstall_plan;

#endif
