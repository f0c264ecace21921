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

int terms_get(struct call *call, const char *currency, struct terms *terms) must_check; /* of the caller's app */
int terms_of(struct call *call, int64_t app_id, const char *currency, struct terms *terms) must_check;

/* By what an amount of the contract, which has three decimals whatever its currency, is divided. */
int64_t amount_scale(const struct terms *terms);

/* path: "body.amount" or the like, in the currency's smallest unit; 400 invalid_amount when it has more decimals than
 * the currency, is not above zero, or is outside smallest..largest (0, 0: no further bounds). */
int amount_read(struct call *call, const char *path, const struct terms *terms, bool bounded,
                int64_t *amount) must_check;

/* Inside a transaction: 403 invalid_installation when the caller's installation has ended meanwhile; it cannot end
 * until the commit. */
int installation_hold(struct call *call) must_check;

/* The wallet of an app in a store; it is made when there is none. Locked until the commit when `locked`. */
struct wallet {
    int64_t wallet_id, balance;
    int64_t account_id, issue_id, spent_id; /* its own, and those on the other side; 0: not there yet */
    unsigned decimals;
    int64_t app_id, store_id;
    const char *currency;
};
int wallet_lock(struct call *call, struct wallet *wallet) must_check; /* app_id, store_id, currency given */

/* What moved it. rows: the transaction_id. */
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

/* Inside a transaction: a new charge that waits for the merchant. It has no event yet. */
struct charge_new {
    int64_t store_id, app_id, installation_id, generation;
    const char *type, *name, *description, *currency, *return_url; /* description and return_url may be NULL */
    struct terms terms;
    struct fees fees;
    struct str metadata;
    int64_t subscription_id; /* 0: none, or one that is made with its first charge */
    int64_t now_us, expires_us;
};
int charge_insert(struct call *call, const struct charge_new *self, int64_t *charge_id) must_check;

/* What the caller asks for, all but its type: 400 invalid_amount when it cannot be. name may be NULL. */
int charge_read(struct call *call, struct charge_new *self) must_check;

/* A row of charge, locked by whoever changes it. Texts live as the call. */
struct charge {
    int64_t charge_id, store_id, app_id, installation_id, generation, expires_us;
    int64_t subscription_id; /* 0: none */
    const char *type, *name, *currency, *status, *return_url;
    struct fees fees;
    int64_t refunded;
};

/* Inside a transaction. 404 charge_not_found when there is none. */
int charge_lock(struct call *call, int64_t charge_id, struct charge *charge) must_check;

/* Inside a transaction: what somebody did to a charge, for the audit log. account_id is 0 for the caller's own. */
int charge_audit(struct call *call, const struct charge *charge, const char *action, int64_t account_id) must_check;

/* Inside a transaction, with the charge locked: when it is pending, nobody is to pay it any more. status is declined,
 * cancelled or expired; reason may be NULL. With its event and what it means for its subscription. Answers 0 without a
 * change when it is not pending. */
int charge_end(struct call *call, struct charge *charge, const char *status, const char *reason) must_check;

/* What became of a try to pay. */
enum outcome { OUTCOME_OPEN, OUTCOME_PAID, OUTCOME_FAILED, OUTCOME_CANCELLED };

/* Inside a transaction: what a payment provider says of a try to pay; not OUTCOME_OPEN. Its word may come twice, late
 * and in any order: money is never forgotten again, and comes after a failure still; money for a charge that is paid or
 * over is owed to the merchant and changes nothing else. */
int checkout_end(struct call *call, const char *reference, enum outcome outcome) must_check;
bool checkout_has_money(const char *status); /* of a checkout: nothing is to be heard of it any more */

/* Inside a transaction, with the charge locked: amount (above 0) goes back, the split reversed in proportion. 409
 * conflict when it was not paid, 400 invalid_amount when less is left of it, 400 insufficient_balance when a wallet
 * that was topped up holds less. refund: its row as the API shows it. */
int charge_refund(struct call *call, struct charge *charge, int64_t amount, const char *reason,
                  struct rows *refund) must_check;

#endif
