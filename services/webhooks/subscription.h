/* subscription.h - what the parts of this service share about subscriptions. */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include "call.h"
#include "intake.h"
#include "secret.h"

#define PAGES_DEEP         10000 /* rows that `page` reaches; a cursor goes on */
#define DROPPED_AT_ONCE    2000  /* in SUBSCRIPTION_DROP_WAITING */
#define SECRET_LABEL       "webhook-secret"
#define SECRET_PREFIX      "whsec_"
#define SECRET_BYTES       32
#define SECRET_TEXT_SIZE   (sizeof SECRET_PREFIX - 1 + 2 * SECRET_BYTES) /* without a NUL */
#define SECRET_SEALED_SIZE (SECRET_TEXT_SIZE + SEAL_OVERHEAD)

/* In the open transaction: a subscription for each declared topic that there is and that the app may have. */
int subscriptions_of_app(struct call *call, const struct installation_news *news) must_check;

/* The row that the statement answers of the install that the app's credential is from ($1 installation, $2 generation),
 * while that one is active here. It may be so new that auth's word of it is still on its way, which takes milliseconds:
 * after a second 503, whatever is known here of an earlier one (protocols 8). */
int installation_await(struct call *call, unsigned statement, struct rows *rows) must_check;
/* Fails with that 503. */
int installation_unheard(struct call *call);

/* The scopes of the app that calls, as PostgreSQL's array. */
const char *subscription_scopes(struct call *call);

/* Whose subscriptions the call is about, as the statements compare it (SUBSCRIPTION_OF): those of the app's
 * install, of the developer's app (all of them), of the merchant's store (those that merchants made). For the last
 * two people.c has found out that they may. */
const char *subscription_owner(struct call *call);

/* What stands in a new subscription beside its secret. */
struct subscription_terms {
    int64_t store_id, installation_id, app_id; /* 0: none */
    const char *made_by, *topic, *name, *url, *profile;
    struct str permissions, fields;
};

/* From the request's body; whether its sender may have that topic, and whether the address will do, is looked at. */
int subscription_read(struct call *call, struct subscription_terms *terms) must_check;

/* In the open transaction. The secret is in the arena. */
int subscription_make(struct call *call, const struct subscription_terms *terms, int64_t *id,
                      const char **secret) must_check;
/* The subscription as it is now, with its new secret where there is one: the only time that is shown. */
int subscription_reply(struct call *call, int status, int64_t subscription_id, const char *secret) must_check;

/* Whether the subscription is the caller's, and which states of its deliveries the query asks for, among those that
 * wait and those that are over. */
int deliveries_select(struct call *call, int64_t subscription_id, const char **waiting, const char **over) must_check;

/* The secret in that column of rows, opened; -1 when no key opens it. Wipe it after use. */
int secret_read(const struct rows *rows, unsigned row, const char *column, int64_t subscription_id,
                char text[SECRET_TEXT_SIZE]) must_check;

#endif
