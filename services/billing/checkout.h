/* checkout.h - tries to pay a charge: begun when a merchant approves it, settled by the provider's word, whoever brings
 * it first: the browser that comes back, a callback, or the actor that asks when nothing is heard.
 *
 * A reference is 16 random bytes in hex behind "sx": whoever has it may pay, and nothing else.
 */
#ifndef CHECKOUT_H
#define CHECKOUT_H

#include "actor.h"
#include "provider.h"

#define CHECKOUT_FRESH_S 1800 /* for so long a charge that is approved again has the same payment */

/* Inside a transaction, with the charge locked and found payable. account_id: who approves it. 503 service_unavailable
 * when the platform has no payment provider. */
int checkout_open(struct call *call, const struct charge *charge, int64_t account_id,
                  const char **reference) must_check;

/* 404 not_found when the reference is none of ours. */
int payment_read(struct call *call, const char *reference, struct payment *payment) must_check;

/* The path of a payment's page, behind which a provider's own may stand: "/sandbox". In the arena. */
const char *payment_path(struct call *call, const char *reference, const char *behind);

/* The same with scheme and host, for who is elsewhere. */
const char *payment_address(struct call *call, const char *reference, const char *behind);

/* What goes to a provider, or to the browser, to come back: hex, under a key of ours, over the payment and what is said
 * of it. Checked against each key there is while the master key is exchanged: 403 forbidden when it fits none. */
#define PAYMENT_KEY_LABEL "billing-payment"
const char *payment_signature(struct call *call, const struct payment *payment, const char *said);
int payment_check_signature(struct call *call, const struct payment *payment, const char *said,
                            struct str given) must_check;

/* Asks about payments that nothing is heard of. */
extern const struct actor_plan checkout_plan;

#endif
