/* apps.h - what an app shows of itself: made once and told once. Also the session signing key, for those who verify
 * with it. */
#ifndef APPS_H
#define APPS_H

#include "call.h"
#include "secret.h"

#define SIGNING_KEY_LABEL "session-signing-key"
#define SIGNING_KEY_SIZE  64 /* hex digits; used as text (contract B) */
#define SEALED_KEY_SIZE   (SIGNING_KEY_SIZE + SEAL_OVERHEAD)

/* From the columns session_signing_key and client_id of the first row; -1 when what is stored cannot be opened. */
int app_open_signing_key(const struct rows *rows, uint8_t key[SIGNING_KEY_SIZE]) must_check;

/* A new client id, secret and signing key; the texts live in the call's arena. */
struct app_credentials {
    const char *client_id;
    const char *client_secret;
    const char *signing_key;
    uint8_t secret_hash[SHA256_SIZE];
    uint8_t sealed_key[SEALED_KEY_SIZE];
};
void app_make_credentials(struct call *call, struct app_credentials *credentials);

/* One of them alone. */
const char *app_make_secret(struct call *call, uint8_t hash[SHA256_SIZE]);
const char *app_make_signing_key(struct call *call, const char *client_id, uint8_t sealed[SEALED_KEY_SIZE]);

/* Addresses among an app's fields that could never be used are refused, where its maker sees it. */
int app_check_urls(struct call *call, struct in fields) must_check;

/* "My App!" becomes "my-app"; with `suffix`, "my-app-1f3a9c0b5d7e8f20", which nobody has. In the arena. */
const char *app_slug(struct call *call, const char *name, bool suffix);

#endif
