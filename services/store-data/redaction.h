/* redaction.h - erases what tells who a customer was (contract K.6), and keeps the books.
 *
 * A request leaves a row of table redaction, and the actor here takes its steps in batches of their own transactions,
 * each with the note how far it is: a kill at any moment costs one batch, and a customer with any number of orders no
 * more than a batch at a time. All of it may be done twice.
 */
#ifndef REDACTION_H
#define REDACTION_H

#include "actor.h"

extern const struct actor_plan redaction_plan;

#endif
