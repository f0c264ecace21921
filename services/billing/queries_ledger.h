/* queries_ledger.h - accounts, transfers, and the blocks that seal them. */

#define TRANSFER_LIST                                                                                                  \
    "json_to_recordset($1) as p (n integer, fk text, fa bigint, fs bigint, tk text, ta bigint, ts bigint, amount "     \
    "bigint)"

/* $1 the list, $2 reason, $3 charge, $4 currency, $5 now. All of them or none: a missing account is seen by the count.
 */
QUERY(TRANSFERS_INSERT,
      "with named as materialized (select p.n, f.account_id as f, t.account_id as t, p.amount from " TRANSFER_LIST
      " left join account as f on f.kind = fk and f.app_id = fa and f.store_id = fs and f.currency = $4 "
      "left join account as t on t.kind = tk and t.app_id = ta and t.store_id = ts and t.currency = $4) "
      "insert into transfer (from_account, to_account, amount, reason, charge_id, at) select f, t, amount, $2, $3, $5 "
      "from named where not exists (select from named where f is null or t is null) order by n returning transfer_id")

/* Always in the same order, so that two that make the same ones wait for each other and not in a circle. */
QUERY(ACCOUNTS_MAKE,
      "insert into account (kind, app_id, store_id, currency) select k, a, s, $2 from (select fk as k, fa "
      "as a, fs as s from " TRANSFER_LIST " union select tk, ta, ts from " TRANSFER_LIST
      ") as named order by 1, 2, 3 on conflict do nothing")
QUERY(ACCOUNT_MAKE,
      "insert into account (kind, app_id, store_id, currency) values ($1, $2, $3, $4) on conflict do nothing")
QUERY(ACCOUNT_GET, "select account_id from account where kind = $1 and app_id = $2 and store_id = $3 and currency = $4")

/* A transfer t with its accounts' names, as ledger_hash.h writes it. */
#define ACCOUNT_TEXT(a) a ".kind || ':' || " a ".app_id || ':' || " a ".store_id || ':' || " a ".currency"
#define LINE_COLUMNS                                                                                                   \
    "t.transfer_id, " ACCOUNT_TEXT("f") " as from_name, " ACCOUNT_TEXT("g") " as to_name, t.amount, t.reason, "        \
                                                                            "t.charge_id, t.at"
#define LINE_ACCOUNTS                                                                                                  \
    "join account as f on f.account_id = t.from_account join account as g on g.account_id = t.to_account"

/* ---- sealing ----------------------------------------------------------------------------------------------------- */

QUERY(BLOCK_LAST, "select block_id, hash from block order by block_id desc limit 1")
QUERY(TRANSFERS_UNSEALED, "select " LINE_COLUMNS " from unsealed join transfer as t using (transfer_id) " LINE_ACCOUNTS
                          " order by t.transfer_id limit $1")

/* $1 the block, $2 its transfers, $3 hash, $4 now. Two that seal at once want the same number, and one of them fails.
 */
QUERY(BLOCK_INSERT, "with gone as (delete from unsealed where transfer_id = any ($2::bigint[]) returning 1) "
                    "insert into block (block_id, transfers, hash, sealed_at) select $1, $2::bigint[], $3, $4 "
                    "where (select count(*) from gone) = cardinality($2::bigint[])")

/* ---- reading it all ---------------------------------------------------------------------------------------------- */

/* $1 behind this block, $2 how many. */
QUERY(LEDGER_BLOCKS, "select block_id, hash from block where block_id > $1 order by block_id limit $2")

/* Those of blocks $1 to $2 in the order in which they were sealed. A transfer that is gone leaves its line out, and the
 * hash tells. */
QUERY(LEDGER_LINES,
      "select b.block_id, " LINE_COLUMNS " from block as b cross join unnest(b.transfers) with ordinality "
      "as s (transfer_id, place) join transfer as t on t.transfer_id = s.transfer_id " LINE_ACCOUNTS
      " where b.block_id >= $1 and b.block_id <= $2 order by b.block_id, s.place")

/* What is kept beside the ledger must be what the ledger says, as of block $1: what came later is taken off. $2 behind
 * this wallet or app, $3 how many. */
#define LEDGER_LATER                                                                                                    \
    "with late as materialized (select t.from_account, t.to_account, t.amount from (select transfer_id from unsealed "  \
    "union all select unnest(transfers) from block where block_id > $1) as n join transfer as t using (transfer_id)), " \
    "later as materialized (select account_id, sum(amount) as amount from (select to_account as account_id, amount "    \
    "from late union all select from_account, -amount from late) as moved group by 1) "
QUERY(LEDGER_WALLETS,
      LEDGER_LATER "select w.wallet_id as id, " ACCOUNT_TEXT(
          "f") " as name, (w.balance - coalesce(later.amount, 0))::bigint as balance from (select * from wallet where "
               "wallet_id > $2 order by wallet_id limit $3) as w join account as f using (account_id) left join later "
               "using (account_id) order by w.wallet_id")
QUERY(LEDGER_DEVELOPERS, LEDGER_LATER
      "select b.app_id as id, k.kind || ':' || b.app_id || ':0:' || b.currency as name, (k.kept - "
      "coalesce(later.amount, 0))::bigint as balance from (select * from developer_balance where app_id > "
      "$2 order by app_id fetch first $3 rows with ties) as b cross join lateral (values ('developer', "
      "earned - paid_out), ('payout', on_its_way), ('paid', paid_out - on_its_way)) as k (kind, kept) "
      "left join account as a on a.kind = k.kind and a.app_id = b.app_id and a.store_id = 0 and a.currency "
      "= b.currency left join later using (account_id) order by b.app_id")
QUERY(LEDGER_TAIL, "select count(*) as count from unsealed")
