/* queries_wallets.h - an app's wallet in a store, and what moved it. */
#define WALLET_COLUMNS                                                                                                 \
    "w.wallet_id, w.balance * k.unit as balance, w.currency, w.total_topup * k.unit as total_topup, w.total_spent * "  \
    "k.unit as total_spent"

/* $1 app, $2 store, $3 currency, $4 account, $5 now. */
QUERY(WALLET_MAKE,
      "insert into wallet (app_id, store_id, currency, account_id, updated_at) values ($1, $2, $3, $4, $5) "
      "on conflict do nothing")
QUERY(
    WALLET_GET,
    "select " WALLET_COLUMNS
    " from wallet as w join currency as k on k.code = w.currency where store_id = $1 and app_id = $2 and currency = $3")

/* With the accounts on the other side of what moves it; null when they are not there yet. */
#define WALLET_OTHER(kind)                                                                                             \
    "(select a.account_id from account as a where a.kind = '" kind "' and a.app_id = $2 and a.store_id = 0 and "       \
    "a.currency = $3) as " kind "_id"
QUERY(WALLET_LOCK, "select w.wallet_id, w.balance, w.account_id, c.decimals, " WALLET_OTHER("issue") ", " WALLET_OTHER(
                       "spent") " from wallet as w join currency as c on c.code = w.currency where w.store_id = $1 and "
                                "w.app_id = $2 and w.currency = $3 for update of w")

/* $1 wallet, $2 balance, $3 more topped up, $4 more spent, $5 now. */
QUERY(WALLET_MOVE, "update wallet set balance = $2, total_topup = total_topup + $3, total_spent = total_spent + $4, "
                   "updated_at = $5 where wallet_id = $1")

/* $1 wallet, $2 from and $3 to account, $4 type, $5 charge, $6 now; $7 amounts, $8 balances, $9 descriptions,
 * $10 metadata. Numbers are drawn in the order of the list, so the first transfer is the first transaction's. */
QUERY(WALLET_TRANSACTIONS_INSERT,
      "with list as materialized (select * from unnest($7::bigint[], $8::bigint[], $9::text[], $10::text[]) with "
      "ordinality as l (amount, balance, description, metadata, n)), "
      "posted as (insert into transfer (from_account, to_account, amount, reason, charge_id, at) select $2::bigint, "
      "$3::bigint, amount, $4::text, $5::bigint, $6::timestamptz from list order by n returning transfer_id), "
      "numbered as (select transfer_id, row_number() over (order by transfer_id) as n from posted) "
      "insert into wallet_transaction (wallet_id, type, amount, balance_after, description, charge_id, transfer_id, "
      "metadata, created_at) select $1::bigint, $4, amount, balance, description, $5, transfer_id, metadata::json, $6 "
      "from list join numbered using (n) order by n returning transaction_id")

/* Until the commit none of them can end (terms.c). $1 installations. */
QUERY(INSTALLATIONS_SHARE, "select installation_id, ended from installation where installation_id = any ($1::bigint[]) "
                           "order by installation_id for share")
QUERY(INSTALLATIONS_KNOW, "insert into installation (installation_id) select distinct i from unnest($1::bigint[]) as i "
                          "order by i on conflict do nothing")

/* $1 store, $2 app, $3 currency, $4 before this id, $5 how many, $6 how many not. */
#define WALLET_OWN "wallet_id = (select wallet_id from wallet where store_id = $1 and app_id = $2 and currency = $3)"
#define WALLET_MOVED                                                                                                     \
    "transaction_id, type, amount * k.unit as amount, balance_after * k.unit as balance_after, description, charge_id, " \
    "metadata, created_at"
QUERY(WALLET_TRANSACTIONS,
      PAGE(WALLET_MOVED, NEWEST("wallet_transaction", WALLET_OWN, "transaction_id", LAST, "10001", "0"),
           NEWEST("wallet_transaction", WALLET_OWN, "transaction_id", "$4", "$5", "$6"),
           " join wallet_transaction using (transaction_id) join currency as k on k.code = $3", "transaction_id"))
