/* proxies.h - whose X-Forwarded-For is believed (SX_TRUSTED_PROXIES): addresses, networks and host names.
 *
 * Names are for proxies whose address changes, as a container's does. A thread looks them up each second, so that the
 * loop never waits for DNS. A name that does not exist trusts nobody; while DNS is silent, what it said last counts.
 */
#ifndef PROXIES_H
#define PROXIES_H

#include "base.h"

#define ADDRESS_TEXT_SIZE 48 /* an address as text, with its NUL */

struct proxies;

/* The list has commas or blanks between its members: 10.0.0.7, 10.1.0.0/16, fd00::/8, edge. NULL: nobody. Answers NULL
 * after logging what is wrong with it. */
struct proxies *proxies_new(const char *list);
void proxies_destroy(struct proxies **self);

bool proxies_have(struct proxies *self, const char *address); /* an address as text; false for any other text */

/* The client, by an X-Forwarded-For that a trusted peer sent: the last address in it that is no proxy of ours, for what
 * stands before that one was written by the client. False when it ends in no address at all. */
bool proxies_client(struct proxies *self, struct str forwarded, char target[ADDRESS_TEXT_SIZE]);

#endif
