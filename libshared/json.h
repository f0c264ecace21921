/* json.h - JSON text from outside, turned into msgpack without losing anything.
 *
 * Read with yajl, which hands over the text of numbers. Integers within 64 bits become msgpack integers; every other
 * number keeps its text in an ext value (EXT_NUMBER), so that money never meets a double. Refused: anything RFC 8259
 * does not allow, bad UTF-8, lone surrogates, NUL characters, duplicate keys, text after the value, and what passes
 * JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_NODES_MAX or NUMBER_TEXT_MAX.
 */
#ifndef JSON_H
#define JSON_H

#include "buf.h"

/* Our msgpack ext types (proto/README.md). The standard timestamp is type -1. */
#define EXT_MONEY  1 /* 1 byte decimals, 8 bytes big-endian two's complement amount */
#define EXT_NUMBER 2 /* the text of a JSON number that is no 64-bit integer */

/* Appends one msgpack value to target. On failure answers -1 and puts a sentence for the client into why ("duplicate
 * field \"a\"", "not valid JSON at byte 17"). */
#define JSON_WHY_SIZE 160
int json_to_msgpack(const char *text, size_t len, struct buf *target, char why[JSON_WHY_SIZE]) must_check;

#endif
