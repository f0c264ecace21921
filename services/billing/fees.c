/* fees.c - integer arithmetic in 128 bits: no product of an amount and a rate can overflow. */
#include "fees.h"

#include <assert.h>

#include "money.h"

/* amount x part / whole, half up. */
static int64_t
share(int64_t amount, int64_t part, int64_t whole)
{
    return (int64_t)(((__int128)amount * part * 2 + whole) / ((__int128)whole * 2));
}

int
fees_split(struct fees *self, int64_t base, enum fee_payer payer, int64_t commission_rate, int64_t gateway_rate)
{
    assert(base >= 0 && base <= MONEY_MAX && commission_rate >= 0 && commission_rate <= RATE_WHOLE &&
           gateway_rate >= 0 && gateway_rate <= RATE_WHOLE);
    self->base = base;
    self->platform = share(base, commission_rate, RATE_WHOLE);
    self->gateway = share(base, gateway_rate, RATE_WHOLE);
    if (payer == FEE_PAYER_MERCHANT) {
        self->amount = base + self->platform + self->gateway;
        self->developer = base;
        return self->amount > MONEY_MAX ? -1 : 0;
    }
    self->amount = base;
    self->developer = base - self->platform - self->gateway;
    return self->developer < 0 ? -1 : 0;
}

/* What each has given back once `refunded` is: whole steps of the same line, so that steps add up. */
void
fees_refund(struct fees *self, const struct fees *of, int64_t before, int64_t refunded)
{
    assert(of->amount > 0 && before >= 0 && before <= refunded && refunded <= of->amount);
    self->amount = refunded - before;
    self->base = share(of->base, refunded, of->amount) - share(of->base, before, of->amount);
    self->platform = share(of->platform, refunded, of->amount) - share(of->platform, before, of->amount);
    self->gateway = share(of->gateway, refunded, of->amount) - share(of->gateway, before, of->amount);
    self->developer = self->amount - self->platform - self->gateway;
}
