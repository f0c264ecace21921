/* identities.h - who is behind a credential: the gateway's cache of auth's answers (protocols 5).
 *
 * Coherent by versions, acknowledgements and a lease: from the moment a revoking call has been answered, no check that
 * starts later accepts what it revoked, whatever is cached and however many gateways run. Nothing is cached that
 * failed. Credentials are kept as SHA-256 only.
 */
#ifndef IDENTITIES_H
#define IDENTITIES_H

#include "arena.h"
#include "call.h"
#include "hub.h"

struct identities;

enum credential_kind { CREDENTIAL_BEARER, CREDENTIAL_CLIENT, CREDENTIAL_SESSION };

struct credential {
    enum credential_kind kind; /* Bearer; client id, secret and store id; x-auth-token */
    struct str token;          /* bearer or x-auth-token */
    struct str client_id, client_secret, store_id;
};

struct identity_answer {
    bool ok;
    struct identity identity; /* when ok; borrowed until the next call into identities */
    enum fail fail;           /* else; or local hub failure */
    const char *message;      /* NULL: the code's own */
};

/* One question. Embedded in the asker. Set operation's audience so that auth can answer missing_auth for a credential
 * of another family. */
struct identity_question {
    struct credential credential; /* strings must live until done */
    enum audience audience;
    const char *request_id;
    const char *address;
    int64_t deadline_ms;
    void (*done)(struct identity_question *self, const struct identity_answer *answer);
    void *owner;
    /* private */
    struct hub_call call;
    struct buf request;
    uint64_t arrival_version;
    uint8_t key[32];
    unsigned tries;
    struct identities *identities;
};

/* lease_ms 0 turns the cache off. The hub must outlive it. */
struct identities *identities_new(struct hub *hub, int64_t gateway_id, int64_t lease_ms);
void identities_destroy(struct identities **self);

/* The clock leases run on; clock_boot_ms unless a test gives its own. */
void identities_set_clock(struct identities *self, int64_t (*boot_ms)(void));

/* The caller reads the clock after the headers are parsed: this does it. Calls done at once on a hit, else later. */
void identities_ask(struct identities *self, struct identity_question *question);
void identities_cancel(struct identities *self, struct identity_question *question);

void identities_invalidate(struct identities *self, uint64_t version, struct str tags); /* msgpack list of tags */
int64_t identities_next_ms(const struct identities *self);                              /* JOIN and RENEW are due */
void identities_tick(struct identities *self);
bool identities_have_lease(const struct identities *self);

#endif
