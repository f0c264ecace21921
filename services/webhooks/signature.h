/* signature.h - the headers of one attempt (contract D.2), signed in the profile of its subscription so that existing
 * verifier libraries take it unchanged. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include "arena.h"
#include "outbound.h"

enum profile { PROFILE_SELORAX, PROFILE_STANDARD, PROFILE_STRIPE, PROFILE_GITHUB, PROFILE_SHOPIFY };

enum profile profile_of(const char *name);

/* What is signed. other is the second secret of a rotation, or absent; secret is the one that counts for profiles that
 * carry a single signature. */
struct signing {
    enum profile profile;
    struct str secret, other;
    const char *event_id, *attempt_id, *topic;
    int64_t store_id, timestamp_s;
    struct str body;
};

/* "Name: value" lines in the arena; NULL ends them. */
void signature_headers(const struct signing *self, struct arena *arena, const char *headers[OUTBOUND_HEADERS_MAX]);

#endif
