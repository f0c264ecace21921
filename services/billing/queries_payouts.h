/* queries_payouts.h - an app as its developer sees it: charges, revenue, balance, payouts. Amounts of the last three
 * are texts (contract 0.3), those of charges numbers.
 */

/* $1 app, $2 rate, null: the platform's; $3 now. Who bears the fees is its developer's to say. */
QUERY(TERMS_SET, "insert into app_terms (app_id, commission_rate, updated_at) values ($1, $2, $3) "
                 "on conflict (app_id) do update set commission_rate = $2, updated_at = $3 "
                 "returning app_id, fee_payer, commission_rate")

/* As the app's developer says: $3 which time. What came late changes nothing, and the commission is not theirs. */
QUERY(TERMS_SET_PAYER,
      "insert into app_terms as t (app_id, fee_payer, payer_version, updated_at) values ($1, $2, $3, $4) "
      "on conflict (app_id) do update set fee_payer = $2, payer_version = $3, updated_at = $4 where "
      "t.payer_version < $3")

/* $1 transfer, $2 app, $3 charge, $4 type, $5 paid, $6 earned, $7 currency, $8 now. */
QUERY(
    REVENUE_ADD,
    "with kept as (insert into developer_balance as b (app_id, currency, earned, entries, updated_at) values ($2, $7, "
    "$6, 1, $8) on conflict (app_id, currency) do update set earned = b.earned + $6, entries = b.entries + 1, "
    "updated_at = $8) "
    "insert into revenue (transfer_id, app_id, charge_id, type, paid, earned, currency, created_at) "
    "values ($1, $2, $3, $4, $5, $6, $7, $8)")

/* Paid is completed here (seed 004). $2 app, $3 before this id, $4 how many, $5 how many not; $6 the status as it is
 * shown. */
#define CHARGE_COLUMNS_OF_APP CHARGE_COLUMNS_AS("case c.status when 'paid' then 'completed' else c.status end")
#define STATUS_OF_APP         "case $6 when 'completed' then 'paid' else $6 end"
#define CHARGES_OF_APP_WHERE(which)                                                                                    \
    CHARGES_PAGE_OF(CHARGE_COLUMNS_OF_APP,                                                                             \
                    KEPT("$3", "coalesce(sum(n), 0)::bigint from charge_count where " which,                           \
                         NEWEST("charge", which, "charge_id", "$3", "10000", "0")),                                    \
                    NEWEST("charge", which, "charge_id", "$3", "$4", "$5"))
QUERY(CHARGES_OF_APP, CHARGES_OF_APP_WHERE("app_id = $2"))
QUERY(CHARGES_OF_APP_IN_STATUS, CHARGES_OF_APP_WHERE("app_id = $2 and status = " STATUS_OF_APP))

/* $1 app, $2 before this id, $3 how many, $4 how many not. */
#define REVENUE_COLUMNS                                                                                                \
    "r.transfer_id as _id, r.transfer_id::text as ledger_id, r.app_id, r.charge_id, (r.paid * k.unit)::text as "       \
    "from_wallet_amount, (r.earned * k.unit)::text as to_wallet_amount, (r.paid * k.unit)::text as amount, "           \
    "r.currency, r.type, c.name as description, r.created_at"
QUERY(
    REVENUE_OF_APP,
    PAGE_OF(REVENUE_COLUMNS,
            KEPT("$2", "coalesce(sum(entries), 0)::bigint from developer_balance where app_id = $1",
                 NEWEST("revenue", "app_id = $1", "transfer_id", "$2", "10000", "0")),
            NEWEST("revenue", "app_id = $1", "transfer_id", "$2", "$3", "$4"),
            " join revenue as r using (transfer_id) join charge as c using (charge_id) join currency as k on k.code = "
            "r.currency",
            "r.transfer_id"))

/* $1 app, $2 currency, $3 now. Of an app that has earned nothing yet there is no row. */
QUERY(
    BALANCE_GET,
    "select $1::bigint as app_id, (coalesce(earned, 0) * unit)::text as total_earned, (coalesce(paid_out, 0) * "
    "unit)::text as total_paid_out, (coalesce(earned - paid_out, 0) * unit)::text as available_balance, "
    "(coalesce(on_its_way, 0) * unit)::text as pending_payouts, code as currency, coalesce(b.updated_at, $3) as "
    "updated_at from currency left join developer_balance as b on b.app_id = $1 and b.currency = code where code = $2")
QUERY(BALANCE_LOCK, "select earned - paid_out as available from developer_balance where app_id = $1 and currency = $2 "
                    "for update")

/* $1 app, $2 currency, $3 more paid out, $4 more on its way, $5 now. */
QUERY(BALANCE_MOVE, "update developer_balance set paid_out = paid_out + $3, on_its_way = on_its_way + $4, updated_at = "
                    "$5 where app_id = $1 and currency = $2")

/* What an overview shows, at the cost of a few rows however many charges there are. $1 app, $2 currency: paid charges,
 * what is left of them after refunds, and what the developer has of it. */
QUERY(
    APP_COUNTS,
    "select coalesce(sum(n), 0)::bigint as count, (coalesce(sum(amount), 0) * (select unit from currency where code = "
    "$2))::text as total_amount, (coalesce((select earned from developer_balance where app_id = $1 and currency = $2), "
    "0) * (select unit from currency where code = $2))::text as total_developer_amount from charge_count where app_id "
    "= $1 and currency = $2 and status = 'paid'")
QUERY(APP_LATEST_CHARGE,
      "select charge_id, name, amount * (select unit from currency where code = charge.currency) as amount, case when "
      "status = 'paid' then 'completed' else status end as status, created_at from charge where app_id = $1 "
      "order by charge_id desc limit 1")

/* Kept counts of app $1 against a recount: what differs. */
QUERY(APP_COUNTS_VERIFY,
      "with kept as (select what || '.' || currency || '.' || status as name, sum(k.n)::bigint as n from "
      "charge_count cross join lateral (values ('charges', n), ('amount', amount)) as k (what, n) where app_id "
      "= $1 group by 1 union all select 'revenue.' || currency, entries from developer_balance where app_id = "
      "$1), counted as (select what || '.' || currency || '.' || status as name, sum(k.n)::bigint as n from "
      "charge cross join lateral (values ('charges', 1), ('amount', amount - refunded_amount)) as k (what, n) "
      "where app_id = $1 group by 1 union all select 'revenue.' || currency, count(*) from revenue where app_id "
      "= $1 group by 1) select name as count, coalesce(kept.n, 0) as kept, coalesce(counted.n, 0) as counted "
      "from kept full join counted using (name) where coalesce(kept.n, 0) <> coalesce(counted.n, 0) order by "
      "name")

/* ---- payouts ----------------------------------------------------------------------------------------------------- */

#define PAYOUT_COLUMNS                                                                                                 \
    "payout_id, app_id, (amount * (select k.unit from currency as k where k.code = payout.currency))::text as "        \
    "amount, currency, status, note, created_at, finished_at, amount as _amount, all_of_it::int as _all"

QUERY(PAYOUT_INSERT, "insert into payout (app_id, currency, amount, all_of_it, idempotency_key, requested_by, "
                     "created_at) values ($1, $2, $3, $4, $5, $6, $7) returning " PAYOUT_COLUMNS)
QUERY(PAYOUT_OF_KEY, "select " PAYOUT_COLUMNS " from payout where app_id = $1 and idempotency_key = $2")

/* $1 app, $2 before this id, $3 how many, $4 how many not. */
QUERY(PAYOUTS_OF_APP, PAGE(PAYOUT_COLUMNS, NEWEST("payout", "app_id = $1", "payout_id", "$2", "10000", "0"),
                           NEWEST("payout", "app_id = $1", "payout_id", "$2", "$3", "$4"),
                           " join payout using (payout_id)", "payout_id"))
QUERY(PAYOUTS_PENDING, "select " PAYOUT_COLUMNS " from payout where status = 'pending' and payout_id > $1 order by "
                       "payout_id limit $2")
QUERY(PAYOUT_LOCK, "select " PAYOUT_COLUMNS " from payout where payout_id = $1 for update")
QUERY(PAYOUT_END, "update payout set status = $2, note = $3, finished_at = $4 where payout_id = $1 "
                  "returning " PAYOUT_COLUMNS)
