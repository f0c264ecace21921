/* usage_bill.h - an installation's open bill while it is locked: what it holds, and how it is closed. */
#ifndef USAGE_BILL_H
#define USAGE_BILL_H

#include "charge.h"

struct usage_bill {
    int64_t id, store_id, app_id, installation_id, generation, starts_us, ends_us, due_us;
    int64_t used, capped_amount; /* of this month; 0: no cap */
    int64_t told;                /* percent */
    int64_t amount, platform;    /* all that is in it */
    const char *currency;
    bool is_due;
};

/* Inside a transaction: the caller's open bill in the month of now_us, locked; one whose month is over becomes a charge
 * first. */
int usage_bill_open(struct call *call, struct usage_bill *self, const char *currency, int64_t now_us) must_check;

/* Writes it back, and sends an event for each part of the cap that has been reached since the last time. */
int usage_bill_write(struct call *call, struct usage_bill *self) must_check;

#endif
