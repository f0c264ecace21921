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

/* ---- sealing ----------------------------------------------------------------------------------------------------- */

QUERY(BLOCK_LAST, "select block_id, hash from block order by block_id desc limit 1")
QUERY(TRANSFERS_UNSEALED,
      "select t.transfer_id, t.from_account, t.to_account, t.amount, t.reason, t.charge_id, t.at from unsealed "
      "join transfer as t using (transfer_id) order by transfer_id limit $1")

/* $1 the block, $2 its transfers, $3 hash, $4 now. Two that seal at once want the same number, and one of them fails.
 */
QUERY(BLOCK_INSERT, "with gone as (delete from unsealed where transfer_id = any ($2::bigint[]) returning 1) "
                    "insert into block (block_id, transfers, hash, sealed_at) select $1, $2::bigint[], $3, $4 "
                    "where (select count(*) from gone) = cardinality($2::bigint[])")

/* ---- reading it all ---------------------------------------------------------------------------------------------- */

/* $1 behind this block, $2 how many. */
QUERY(LEDGER_BLOCKS, "select block_id, encode(hash, 'hex') as hash, cardinality(transfers) as count from block where "
                     "block_id > $1 order by block_id limit $2")
/* In the order in which they were sealed. */
QUERY(LEDGER_TRANSFERS,
      "select b.block_id, t.transfer_id, t.from_account, t.to_account, t.amount, t.reason, t.charge_id, t.at from "
      "block as b cross join unnest(b.transfers) with ordinality as s (transfer_id, place) left join transfer as t on "
      "t.transfer_id = s.transfer_id where b.block_id > $1 and b.block_id <= $2 order by b.block_id, s.place")
QUERY(LEDGER_ACCOUNTS,
      "select account_id, kind, app_id, store_id, currency from account where account_id > $1 order by "
      "account_id limit $2")
