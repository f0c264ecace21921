/* gateway.h - the parts of one gateway process, as they see each other.
 *
 * Made by main.c, turned by loop.c, used by everything in this folder. All of it runs on one thread; nothing here
 * waits.
 */
#ifndef GATEWAY_H
#define GATEWAY_H

#include "base.h"

struct access;
struct cors;
struct http;
struct hub;
struct identities;
struct limiter;
struct proxies;
struct router;
struct rpc;
struct usage;

struct gateway {
    int64_t id;      /* 63 random bits, new at each start: how auth knows this incarnation */
    struct rpc *rpc; /* the ROUTER and its monitor */
    struct hub *hub;
    struct identities *identities;
    struct usage *usage; /* of apps, for auth */
    struct limiter *limiter;
    struct router *router;
    struct cors *cors;
    struct proxies *proxies;
    struct access *access; /* the log of requests and their counters */
    struct http *http;
    bool draining; /* SIGTERM came: what is in flight is answered, nothing new is taken */
};

#endif
