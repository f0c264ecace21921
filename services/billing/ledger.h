/* ledger.h - the double entry ledger (contract K.5): amounts that go from one account to another.
 *
 * Inside a transaction of the caller's, with the change that the transfer is the money side of. What was written is
 * never changed: a mistake is put right by a transfer back.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "call.h"

enum account_kind { /* schema/001_init.sql says what each holds */
                    ACCOUNT_PROVIDER,
                    ACCOUNT_PLATFORM,
                    ACCOUNT_GATEWAY,
                    ACCOUNT_DEVELOPER,
                    ACCOUNT_PAYOUT,
                    ACCOUNT_PAID,
                    ACCOUNT_OWED,
                    ACCOUNT_ISSUE,
                    ACCOUNT_WALLET,
                    ACCOUNT_SPENT
};

struct account_name {
    enum account_kind kind;
    int64_t app_id, store_id; /* 0 where the kind has none */
};

struct transfer {
    struct account_name from, to;
    int64_t amount; /* in the currency's smallest unit; 0 is left out, less than 0 goes the other way */
};

#define TRANSFERS_AT_ONCE 500

/* All of one currency, reason and charge (0: none), in one statement; accounts are made when they are first named.
 * ids, unless NULL: the transfer_id of each, 0 where it was left out. At most TRANSFERS_AT_ONCE. */
int ledger_post(struct call *call, const char *currency, const char *reason, int64_t charge_id,
                const struct transfer *transfers, unsigned count, int64_t *ids) must_check;

/* The account's id; it is made when there is none. */
int ledger_account(struct call *call, struct account_name name, const char *currency, int64_t *account_id) must_check;

#endif
