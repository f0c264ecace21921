/* scopes.h - sets of scopes, and the texts they are written as.
 *
 * Outside, scopes are separated by commas or spaces and may be spelt read_orders (contract K.1); stored and handed on,
 * they are spelt read:orders, in one order, with single spaces.
 */
#ifndef SCOPES_H
#define SCOPES_H

#include "call.h"

/* Adds the scopes in text to the set; -1 when one is unknown. */
int scopes_add(uint32_t *set, struct str text) must_check;
char *scopes_text(struct arena *arena, uint32_t set);

/* What the scope at that place in the list allows, in words for a merchant; NULL behind the last one. */
const char *scope_meaning(unsigned index);

/* A text of scopes with spaces between them, as a list. */
void scopes_write(struct out *out, const char *text);

/* The set of the list at path in the request; call_fail names the item that is no scope. */
int scopes_of_request(struct call *call, const char *path, const char *field, uint32_t *set) must_check;

#endif
