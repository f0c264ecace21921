/* provider.h - a payment provider as the rest of the service sees it (contract K.5).
 *
 * A payment is known by its reference, which is ours and is used for one try only (checkout.h). Whatever a provider
 * sends us, or a browser brings from it, is no more than a reason to ask: what became of a payment is what `ask` says.
 * begin and ask may wait for the network, so neither is called inside a transaction.
 */
#ifndef PROVIDER_H
#define PROVIDER_H

#include "charge.h"

/* One try to pay a charge. Texts live as the call. */
struct payment {
    const char *reference, *provider;
    const char *status;                      /* of the checkout */
    const char *location;                    /* NULL: the provider has not been asked to begin */
    int64_t charge_id, store_id, account_id; /* account_id: who approved the charge */
    int64_t amount;
    unsigned decimals;
    const char *currency, *name;
    const char *charge_status, *return_url;
};

struct provider {
    const char *name;

    /* Where the payer's browser goes. -1 with the error recorded: nobody can pay this payment. */
    int (*begin)(struct call *call, const struct payment *payment, const char **location);

    /* What the provider sent: the body of a callback, or the query of the address that the browser came back by.
     * 0 when its signature is good; else -1 with forbidden recorded. */
    int (*check)(struct call *call, const struct payment *payment, struct in message);

    /* What became of it. -1 with the error recorded when the provider does not say. */
    int (*ask)(struct call *call, const struct payment *payment, enum outcome *outcome);

    /* What a form that ends at the provider may lead to, for the page's policy: sources beside 'self'; or NULL. */
    const char *form_sources;
};

extern const struct provider provider_sandbox, provider_eps;

/* NULL for a name that is none. */
const struct provider *provider_named(const char *name);

#endif
