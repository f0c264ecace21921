/* address.c - the table of what is not public. For IPv6 the other way round: only 2000::/3 is handed out, so nothing
 * else is public, and of that the ranges below are not. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct range4 {
    uint32_t network;
    unsigned bits;
};

struct range6 {
    uint8_t network[8]; /* the first 64 bits; no range is longer */
    unsigned bits;
};

static const struct range4 special4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared, of providers */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local; also where clouds keep their metadata */
    {0xa83f8110, 32}, /* where Azure keeps its metadata, in the middle of what is public */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* relays of 6to4 */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarks */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

static const struct range6 special6[] = {
    {{0x20, 0x01, 0x00}, 23},             /* protocol assignments, among them Teredo's tunnels */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
    {{0x20, 0x02}, 16},                   /* 6to4: an IPv4 address in disguise */
    {{0x3f, 0xff, 0x00}, 20},             /* documentation */
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48}, /* AS112 */
};

static bool
is_public4(uint32_t address)
{
    for (unsigned i = 0; i < ARRAY_COUNT(special4); i++)
        if ((address ^ special4[i].network) >> (32 - special4[i].bits) == 0)
            return false;
    return true;
}

static bool
is_public6(const uint8_t address[16])
{
    uint64_t high = uint_from_bytes(address, 8);

    if (address[0] >> 5 != 1)
        return false;
    for (unsigned i = 0; i < ARRAY_COUNT(special6); i++)
        if ((high ^ uint_from_bytes(special6[i].network, 8)) >> (64 - special6[i].bits) == 0)
            return false;
    return true;
}

bool
address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    switch (address->sa_family) {
    case AF_INET: memcpy(&in4, address, sizeof in4); return is_public4(ntohl(in4.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&in6, address, sizeof in6);
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
            return is_public4((uint32_t)uint_from_bytes(in6.sin6_addr.s6_addr + 12, 4));
        return is_public6(in6.sin6_addr.s6_addr);
    default: return false;
    }
}

void
address_owner(char target[ADDRESS_OWNER_SIZE], const char *address)
{
    struct in6_addr bytes;
    char text[INET6_ADDRSTRLEN];
    size_t len = strcspn(address, "%"); /* without a zone */

    snprintf(target, ADDRESS_OWNER_SIZE, "%s", address);
    if (len >= sizeof text)
        return;
    memcpy(text, address, len);
    text[len] = '\0';
    if (inet_pton(AF_INET6, text, &bytes) != 1)
        return;
    if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
        inet_ntop(AF_INET, bytes.s6_addr + 12, target, ADDRESS_OWNER_SIZE);
        return;
    }
    memset(bytes.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &bytes, target, ADDRESS_OWNER_SIZE);
}
