/* pack.h - turns what came over HTTP into the REQUEST a service reads (proto/README.md): typed, validated, msgpack. */
#ifndef PACK_H
#define PACK_H

#include "request.h"

/* A piece of an upload (x-upload), in place of a body. */
struct pack_piece {
    const char *upload; /* the id the first piece's reply gave; NULL with the first */
    int64_t seq;        /* 0, 1, 2, ... */
    struct str bytes;
    bool last;
};

/* Writes request->frame. The arena is for what is needed while packing. -1: the request is at fault and has been
 * answered. */
int pack_request(struct request *self, struct arena *arena, const struct pack_piece *piece) must_check;

/* Whether the request carries a usable Idempotency-Key for an operation that takes one. */
bool pack_has_key(const struct request *self);

#endif
