/* queries_usage.h - what apps count, and the bills that it is collected in. */

/* The open bill of an installation. $1 store, $2 app, $3 installation, $4 generation, $5 currency, $6 from, $7 to. The
 * cap goes on from bill to bill. */
QUERY(
    USAGE_BILL_MAKE,
    "insert into usage_bill (store_id, app_id, installation_id, generation, currency, starts_at, ends_at, "
    "capped_amount) values ($1, $2, $3, $4, $5, $6, $7, (select capped_amount from usage_bill where installation_id = "
    "$3 and generation = $4 order by usage_bill_id desc limit 1)) on conflict (installation_id, currency) where "
    "status = 'open' do nothing")

#define BILL_COLUMNS                                                                                                   \
    "usage_bill_id, store_id, app_id, installation_id, generation, currency, starts_at, ends_at, used, "               \
    "coalesce(capped_amount, 0) as capped_amount, told, amount, platform_amount, due_at"
QUERY(USAGE_BILL_OPEN,
      "select " BILL_COLUMNS " from usage_bill where installation_id = $1 and currency = $2 and status "
      "= 'open' for update")
QUERY(USAGE_BILL_PEEK, "select installation_id, generation from usage_bill where usage_bill_id = $1")
QUERY(USAGE_BILL_LOCK,
      "select " BILL_COLUMNS " from usage_bill where usage_bill_id = $1 and status = 'open' for update")

/* $2 from, $3 to, $4 used, $5 cap (0: none), $6 told, $7 amount, $8 the platform's part. */
QUERY(USAGE_BILL_SET,
      "update usage_bill set starts_at = $2, ends_at = $3::timestamptz, used = $4, capped_amount = nullif($5::bigint, "
      "0), told = $6, amount = $7::bigint, platform_amount = $8, due_at = case when $7::bigint > 0 then "
      "$3::timestamptz end where usage_bill_id = $1")
QUERY(USAGE_BILL_CLOSE,
      "update usage_bill set status = 'billed', charge_id = $2, due_at = null where usage_bill_id = $1")
QUERY(USAGE_BILLS_END, "update usage_bill set status = 'cancelled', due_at = null where installation_id = $1 and "
                       "generation <= $2 and status = 'open'")

/* The data of usage.threshold_reached. $2 percent. */
QUERY(USAGE_EVENT,
      "select json_build_object('usage_bill_id', usage_bill_id, 'installation_id', installation_id, 'app_id', app_id, "
      "'generation', generation, 'percent', $2::integer, 'used', money(used, currency), 'capped_amount', "
      "money(capped_amount, currency), 'currency', currency, 'period_start', starts_at, 'period_end', ends_at) as data "
      "from usage_bill where usage_bill_id = $1")

/* What an app sends, with n as its place in the list. */
#define USAGE_LIST_OF                                                                                                  \
    "json_to_recordset($2) as p (n integer, key text, description text, quantity bigint, unit_price bigint, amount "   \
    "bigint, platform bigint, metadata json)"

/* As the app API shows one: status and charge_id are the bill's. Not by money(), which costs a batch four times as
 * much. */
// clang-format off
#define USAGE_MONEY(amount, currency) \
    "(select round((" amount ") / 10::numeric ^ k.decimals, k.decimals) from currency as k where k.code = " currency ")"
#define USAGE_COLUMNS(currency) \
    "u.usage_charge_id, u.description, trim_scale(u.quantity / 1000.0) as quantity, " \
    USAGE_MONEY("u.unit_price", currency) " as unit_price, " USAGE_MONEY("u.amount", currency) " as amount, " \
    currency " as currency, " USAGE_MONEY("u.platform_amount", currency) " as platform_amount, " \
    USAGE_MONEY("u.amount - u.platform_amount", currency) " as developer_amount"
// clang-format on
#define USAGE_STATUS                                                                                                   \
    "case when b.status = 'open' then 'pending' when b.status = 'cancelled' then 'cancelled' when c.status = "         \
    "'pending' then 'billed' else c.status end as status, b.charge_id"
#define USAGE_BILL_OF                                                                                                  \
    "join usage_bill as b on b.usage_bill_id = u.usage_bill_id left join charge as c on c.charge_id = b.charge_id"

/* Those of the list ($2) whose key is known to the installation ($1). */
QUERY(
    USAGE_KNOWN,
    "select p.n as _n, (u.quantity = p.quantity and u.unit_price = p.unit_price and u.description = p.description and "
    "u.metadata::text is not distinct from p.metadata::text)::int as _same, " USAGE_COLUMNS(
        "b.currency") ", " USAGE_STATUS ", u.metadata, u.idempotency_key, u.created_at from " USAGE_LIST_OF
                      " join usage_charge as u on u.installation_id = $1 and u.idempotency_key = p.key " USAGE_BILL_OF
                      " order by p.n")

/* $1 installation, $3 bill, $4 currency, $5 now. Numbered in the order of the list. */
QUERY(USAGE_INSERT,
      "insert into usage_charge as u (usage_bill_id, installation_id, description, quantity, unit_price, amount, "
      "platform_amount, metadata, idempotency_key, created_at) select $3, $1, p.description, p.quantity, p.unit_price, "
      "p.amount, p.platform, p.metadata, p.key, $5 from " USAGE_LIST_OF " order by p.n returning " USAGE_COLUMNS(
          "$4::text") ", 'pending' as status, null::bigint as charge_id, u.metadata, u.idempotency_key, u.created_at")

/* $1 installation, $2 before this id, $3 how many, $4 how many not. */
QUERY(USAGE_LIST,
      "with total as (select count(*) as _total from (select from usage_charge where installation_id = $1 limit 10001) "
      "as counted) select total._total, page.* from total left join lateral (select " USAGE_COLUMNS(
          "b.currency") ", " USAGE_STATUS
                        ", u.metadata, u.idempotency_key, u.created_at from usage_charge as u " USAGE_BILL_OF
                        " where u.installation_id = $1 and u.usage_charge_id < $2 order by "
                        "u.usage_charge_id desc limit $3 offset $4) as page on true")
