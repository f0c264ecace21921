/* wire.h - the header of every message between processes; no sockets here, so that it can be fuzzed.
 *
 * A message has three frames (a ROUTER sees the routing id in front of them):
 *
 *   1  header, WIRE_SIZE bytes, big endian
 *        0  4  "SXR1"
 *        4  1  type
 *        5  1  flags
 *        6  2  status     REPLY: HTTP status; else 0
 *        8  8  id         REQUEST, REPLY: 32 random bits of the sender's incarnation, 32 bits counting up (protocols 1)
 *                         READY: the id of the last REQUEST taken on this socket, 0 if none (protocols 2)
 *                         INVALIDATE, ACK: the version (protocols 5)
 *       16  4  budget_ms  REQUEST: milliseconds left; relative, so clocks need not agree
 *       20  4  zero
 *   2  READY: the service's name    REQUEST: SERVICE.OPERATION    REPLY: extra HTTP headers as a msgpack map, or empty
 *      ACK: the gateway's id in decimal                           PING, BYE, INVALIDATE: empty
 *   3  READY: msgpack {instance, contract}    REQUEST: msgpack (proto/README.md)    REPLY: the body
 *      INVALIDATE: msgpack list of tags       PING, BYE, ACK: empty
 */
#ifndef WIRE_H
#define WIRE_H

#include "base.h"

#define WIRE_SIZE 24

enum wire_type { WIRE_READY = 1, WIRE_REQUEST, WIRE_REPLY, WIRE_PING, WIRE_BYE, WIRE_INVALIDATE, WIRE_ACK };

#define WIRE_FLAG_JSON   1  /* REQUEST: answer as JSON, the caller is HTTP */
#define WIRE_FLAG_AGAIN  2  /* REQUEST: a second attempt after a worker was lost */
#define WIRE_FLAG_ERROR  4  /* REPLY: the body is the error map of proto/README.md, always msgpack */
#define WIRE_FLAG_NESTED 8  /* REQUEST: made by a handler that holds a worker: goes to the head of the queue */
#define WIRE_FLAG_BATCH  16 /* REQUEST, REPLY: frame 3 holds several (proto/README.md, x-batch) */

struct wire {
    enum wire_type type;
    uint8_t flags;
    uint16_t status;
    uint64_t id;
    uint32_t budget_ms;
};

void wire_encode(const struct wire *self, uint8_t target[WIRE_SIZE]);
int wire_decode(struct wire *self, const void *data, size_t size) must_check;

/* Splits "store-data.orders.list" into its service and the rest; -1 when it is no such name. */
int wire_split(const char *name, size_t len, struct str *service, struct str *operation) must_check;

/* A fresh incarnation: 32 random bits in the upper half, 0 in the lower; add one for each request. Never 0. */
uint64_t wire_incarnation(void);

#endif
