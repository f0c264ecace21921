/* charge.h - what the parts of this service share about charges and wallets. */
#ifndef CHARGE_H
#define CHARGE_H

#include "fees.h"
#include "ledger.h"

#define CURRENCY "BDT" /* the only one offered so far (contract E.1) */

/* An app's terms in a currency. */
struct terms {
    int64_t smallest, largest; /* of a base amount */
    unsigned decimals;
    enum fee_payer payer;
    int64_t commission_rate, gateway_rate;
};

int terms_get(struct call *call, const char *currency, struct terms *terms) must_check;

/* body.amount in the currency's smallest unit; 400 invalid_amount when it has more decimals than the currency, is not
 * above zero, or is outside smallest..largest (0, 0: no further bounds). */
int amount_read(struct call *call, const char *path, const struct terms *terms, bool bounded,
                int64_t *amount) must_check;

/* Inside a transaction: 403 invalid_installation when the caller's installation has ended meanwhile; it cannot end
 * until the commit. */
int installation_hold(struct call *call) must_check;

/* The wallet of an app in a store; it is made when there is none. Locked until the commit when `locked`. */
struct wallet {
    int64_t wallet_id, balance;
    int64_t app_id, store_id;
    const char *currency;
};
int wallet_lock(struct call *call, struct wallet *wallet) must_check; /* app_id, store_id, currency given */

/* What moved it, beside the amount. rows: the transaction, as the API shows it. */
struct movement {
    const char *type; /* of wallet_transaction */
    int64_t amount;   /* positive; types topup and adjustment may add, debit and refund take */
    bool adds;
    const char *description; /* NULL: none */
    int64_t charge_id;       /* 0: none */
    struct str metadata;
};
int wallet_move(struct call *call, struct wallet *wallet, const struct movement *movement,
                struct rows *rows) must_check;

/* Inside a transaction: the event of a charge as it is now, for the app that it names and the merchant. */
int charge_event(struct call *call, const char *topic, int64_t charge_id) must_check;

#endif
