/* assets.h - where files that clients bring are kept, by key. Whoever has the key gets the bytes, for ever the same.
 *
 * The only implementation is in files below $SX_HOME/assets (assets_files.c), a directory that all processes of the
 * service share. Nothing here says so: one that asks an object store over HTTP has the same three functions. They may
 * be called by any thread. A key is made by the service of plain words, numbers and hex digits with slashes between
 * them; nothing of it is a client's text.
 */
#ifndef ASSETS_H
#define ASSETS_H

#include "buf.h"

#define ASSET_KEY_MAX 255

/* 0: the bytes are kept, and a crash will not lose them; they are there under their key whole or not at all. What is
 * kept already under the key stays (keys end in a hash of the bytes). -1 after logging why. */
int assets_put(const char *key, struct str bytes) must_check;

/* Appends the bytes. 0, 1 when there are none, -1 after logging why. */
int assets_get(const char *key, struct buf *target) must_check;

/* The bytes are gone; it is no error that there were none. -1 after logging why. */
int assets_remove(const char *key) must_check;

#endif
