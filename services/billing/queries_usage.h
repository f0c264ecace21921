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
QUERY(
    USAGE_EVENT,
    "select json_build_object('usage_bill_id', usage_bill_id, 'installation_id', installation_id, 'app_id', app_id, "
    "'generation', generation, 'percent', $2::integer, 'used', used * k.unit, 'capped_amount', capped_amount * k.unit, "
    "'currency', currency, 'period_start', starts_at, 'period_end', ends_at) as data from usage_bill join currency as "
    "k on k.code = currency where usage_bill_id = $1")

/* What an app sends, with n as its place in the list. */
#define USAGE_LIST_OF                                                                                                  \
    "json_to_recordset($2) as p (n integer, key text, description text, quantity bigint, unit_price bigint, amount "   \
    "bigint, platform bigint, metadata json)"

/* As the app API shows one: status and charge_id are the bill's. */
#define USAGE_COLUMNS(unit, currency)                                                                                  \
    "u.usage_charge_id, u.description, trim_scale(u.quantity * 0.001) as quantity, u.unit_price * " unit               \
    " as unit_price, u.amount * " unit " as amount, " currency " as currency, u.platform_amount * " unit               \
    " as platform_amount, (u.amount - u.platform_amount) * " unit " as developer_amount"
#define USAGE_SHOWN                                                                                                    \
    USAGE_COLUMNS("k.unit", "b.currency")                                                                              \
    ", case when b.status = 'open' then 'pending' when b.status = 'cancelled' then 'cancelled' when c.status = "       \
    "'pending' then 'billed' else c.status end as status, b.charge_id, u.metadata, u.idempotency_key, u.created_at"
#define USAGE_BESIDE                                                                                                   \
    " join usage_bill as b on b.usage_bill_id = u.usage_bill_id join currency as k on k.code = b.currency left join "  \
    "charge as c on c.charge_id = b.charge_id"

/* Those of the list ($2) whose key is known to the installation ($1). Each is looked up by its key: a join might read
 * all that the installation has ever used. */
QUERY(
    USAGE_KNOWN,
    "select p.n as _n, (u.quantity = p.quantity and u.unit_price = p.unit_price and u.description = p.description "
    "and u.metadata::text is not distinct from p.metadata::text)::int as _same, " USAGE_SHOWN " from " USAGE_LIST_OF
    " cross join lateral (select * from usage_charge where installation_id = $1 and idempotency_key = p.key limit 1) as "
    "u" USAGE_BESIDE " order by p.n")

/* $1 installation, $3 bill, $4 currency, $5 now. Numbered in the order of the list. */
#define USAGE_MADE USAGE_COLUMNS("(select unit from currency where code = $4)", "$4::text")
QUERY(USAGE_INSERT,
      "insert into usage_charge as u (usage_bill_id, installation_id, description, quantity, unit_price, amount, "
      "platform_amount, metadata, idempotency_key, created_at) select $3, $1, p.description, p.quantity, p.unit_price, "
      "p.amount, p.platform, p.metadata, p.key, $5 from " USAGE_LIST_OF " order by p.n returning " USAGE_MADE
      ", 'pending' as status, null::bigint as charge_id, u.metadata, u.idempotency_key, u.created_at")

/* $1 installation, $2 before this id, $3 how many, $4 how many not. */
QUERY(USAGE_LIST,
      PAGE(USAGE_SHOWN, NEWEST("usage_charge", "installation_id = $1", "usage_charge_id", LAST, "10001", "0"),
           NEWEST("usage_charge", "installation_id = $1", "usage_charge_id", "$2", "$3", "$4"),
           " join usage_charge as u using (usage_charge_id)" USAGE_BESIDE, "u.usage_charge_id"))
