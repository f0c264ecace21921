/* queries_wallets.h - an app's wallet in a store, and what moved it. */
#define WALLET_COLUMNS                                                                                                 \
    "w.wallet_id, money(w.balance, w.currency) as balance, w.currency, money(w.total_topup, w.currency) as "           \
    "total_topup, money(w.total_spent, w.currency) as total_spent"

/* $1 app, $2 store, $3 currency, $4 account, $5 now. */
QUERY(WALLET_MAKE,
      "insert into wallet (app_id, store_id, currency, account_id, updated_at) values ($1, $2, $3, $4, $5) "
      "on conflict do nothing")
QUERY(WALLET_GET, "select " WALLET_COLUMNS " from wallet as w where store_id = $1 and app_id = $2 and currency = $3")
QUERY(WALLET_LOCK, "select wallet_id, balance from wallet where store_id = $1 and app_id = $2 and currency = $3 for "
                   "update")

/* $1 wallet, $2 balance, $3 more topped up, $4 more spent, $5 now. */
QUERY(WALLET_MOVE, "update wallet set balance = $2, total_topup = total_topup + $3, total_spent = total_spent + $4, "
                   "updated_at = $5 where wallet_id = $1")
QUERY(WALLET_TRANSACTION,
      "insert into wallet_transaction (wallet_id, type, amount, balance_after, description, charge_id, transfer_id, "
      "metadata, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning transaction_id, "
      "money(amount, $10) as amount, money(balance_after, $10) as balance, created_at")

/* $1 store, $2 app, $3 currency, $4 before this id, $5 how many, $6 how many not. */
QUERY(
    WALLET_TRANSACTIONS,
    "with w as (select wallet_id from wallet where store_id = $1 and app_id = $2 and currency = $3), "
    "total as (select count(*) as _total from (select from wallet_transaction where wallet_id = (select wallet_id from "
    "w) limit 10001) as counted) "
    "select total._total, page.* from total left join lateral (select transaction_id, type, money(amount, $3) as "
    "amount, money(balance_after, $3) as balance_after, description, charge_id, metadata, created_at from "
    "wallet_transaction where wallet_id = (select wallet_id from w) and transaction_id < $4 order by transaction_id "
    "desc limit $5 offset $6) as page on true")
