/* token.h - reads msgpack one token at a time; what in.c builds its tree from and out.c converts with. Also our own two
 * kinds of value, which in, out and the validator share: times and money.
 *
 * A token is a scalar with its payload, or the head of a container with its number of members.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <msgpack.h>

#include "base.h"
#include "buf.h"

/* Containers inside containers. A body of JSON_DEPTH_MAX stands inside the request's own maps (proto/README.md). */
#define TOKEN_DEPTH_MAX 36

/* Reads one token and moves *at behind it. Text, binary and ext point into the message; a container's ptr is NULL.
 * -1 when it is cut off or no msgpack. */
int token_read(const uint8_t **at, const uint8_t *end, msgpack_object *token) must_check;

/* How many values follow before the container is complete: twice the pairs of a map; 0 for anything but a container. */
uint64_t token_members(const msgpack_object *token);

/* msgpack-c's writer, with the buffer as its end. */
msgpack_packer token_packer(struct buf *target);

/* Microseconds since 1970 of a timestamp (ext type -1, any of its three sizes). */
int token_time(const msgpack_object *token, int64_t *time_us) must_check;
void token_append_time(struct buf *target, int64_t time_us);

/* Amount and decimals of money (EXT_MONEY). */
int token_money(const msgpack_object *token, int64_t *amount, unsigned *decimals) must_check;
void token_append_money(struct buf *target, int64_t amount, unsigned decimals);

#endif
