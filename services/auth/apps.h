/* apps.h - the session signing key, for those who verify with it. */
#ifndef APPS_H
#define APPS_H

#include "call.h"
#include "secret.h"

#define SIGNING_KEY_LABEL "session-signing-key"
#define SIGNING_KEY_SIZE  64 /* hex digits; used as text (contract B) */
#define SEALED_KEY_SIZE   (SIGNING_KEY_SIZE + SEAL_OVERHEAD)

/* From the columns session_signing_key and client_id of the first row; -1 when what is stored cannot be opened. */
int app_open_signing_key(const struct rows *rows, uint8_t key[SIGNING_KEY_SIZE]) must_check;

#endif
