/* subscription.h - what the parts of this service share about subscriptions. */
#ifndef SUBSCRIPTION_H
#define SUBSCRIPTION_H

#include "call.h"
#include "intake.h"
#include "secret.h"

#define DROPPED_AT_ONCE    2000 /* in SUBSCRIPTION_DROP_WAITING */
#define SECRET_LABEL       "webhook-secret"
#define SECRET_PREFIX      "whsec_"
#define SECRET_BYTES       32
#define SECRET_TEXT_SIZE   (sizeof SECRET_PREFIX - 1 + 2 * SECRET_BYTES) /* without a NUL */
#define SECRET_SEALED_SIZE (SECRET_TEXT_SIZE + SEAL_OVERHEAD)

/* In the open transaction: a subscription for each declared topic that there is and that the app may have. */
int subscriptions_of_app(struct call *call, const struct installation_news *news) must_check;

/* The scopes of the app that calls, as PostgreSQL's array. */
const char *subscription_scopes(struct call *call);

/* The secret in that column of rows, opened; -1 when no key opens it. Wipe it after use. */
int secret_read(const struct rows *rows, unsigned row, const char *column, int64_t subscription_id,
                char text[SECRET_TEXT_SIZE]) must_check;

#endif
