/* address.h - which addresses on the network are anybody's, and which lead inside (contract K.4, Targets).
 *
 * Whoever lets a stranger name a host that the platform then dials must ask here, with the address that is dialled and
 * not with the name: a name may resolve to something else a moment later.
 */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <sys/socket.h>

#include "base.h"

/* True for a unicast address of the public internet (the special-purpose registries of RFC 6890: IANA's tables for IPv4
 * and IPv6). False for private, loopback, link-local, shared, documentation, multicast and reserved ranges, for
 * addresses that embed an IPv4 address in a way that a translator or tunnel would follow, and for other families. */
bool address_is_public(const struct sockaddr *address);

/* Whom an address stands for when something is counted: an IPv4 address is one client's, of IPv6 a client has at least
 * a /64, and its first half is the answer. Other text is answered as it is, cut short. */
#define ADDRESS_OWNER_SIZE 46
void address_owner(char target[ADDRESS_OWNER_SIZE], const char *address);

#endif
