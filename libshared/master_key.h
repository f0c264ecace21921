/* master_key.h - the file with the platform's master keys, as services read it and `sxctl rotate-master-key` writes it.
 *
 * One line of 64 hex digits: the key that seals. While a rotation is under way a second line names another key that
 * opens what it has sealed: "next KEY", which will seal soon, or "old KEY", which did until now. Every process reads
 * the file again when it has changed, so a rotation needs no restart (services/sxctl/rotate.c has the steps).
 *
 * A key is named by an id derived from it, which says nothing about it.
 */
#ifndef MASTER_KEY_H
#define MASTER_KEY_H

#include "base.h"

#define MASTER_KEY_SIZE    32
#define MASTER_KEY_ID_SIZE 4

struct master_key {
    uint8_t key[MASTER_KEY_SIZE];
    uint8_t id[MASTER_KEY_ID_SIZE];
};

enum master_other { MASTER_NONE, MASTER_NEXT, MASTER_OLD };

struct master_keys {
    struct master_key current; /* seals */
    struct master_key second;  /* opens too, unless other is MASTER_NONE */
    enum master_other other;
};

void master_key_set(struct master_key *self, const uint8_t key[MASTER_KEY_SIZE]); /* and its id */

/* -1 with a sentence in *why when the file cannot be read or is not as above. */
int master_keys_read(struct master_keys *self, const char *path, const char **why) must_check;

/* Puts a new file in the place of the one at path, with its owner and mode: whenever the machine stops, one of the two
 * is there as a whole. -1 with errno set. */
int master_keys_write(const struct master_keys *self, const char *path) must_check;

/* This process's keys. Loaded once at start (log_fatal when that cannot be done), followed by whoever takes a copy: a
 * changed file is read first, and one that has become unusable is logged and what is known stays. Thread-safe. */
void master_load(const char *path);
void master_take(struct master_keys *copy); /* to be wiped */

/* HKDF-SHA256 of one key with a label. */
void master_derive(const struct master_key *self, const char *label, uint8_t target[32]);

#endif
