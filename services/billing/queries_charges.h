/* queries_charges.h - charges, and the tries to pay them. */

/* What c and k show of a charge's amounts and of what they were split by. */
#define CHARGE_AMOUNTS                                                                                                 \
    "c.amount * k.unit as amount, c.base_amount * k.unit as base_amount, c.currency, c.fee_payer, c.commission_rate "  \
    "* 0.000001 as commission_rate, c.platform_amount * k.unit as platform_amount, c.gateway_fee_rate * 0.000001 as "  \
    "gateway_fee_rate, c.gateway_fee_amount * k.unit as gateway_fee_amount, c.developer_amount * k.unit as "           \
    "developer_amount"

/* As the API shows one, with the word for its status. $1: the dashboard's origin. */
#define CHARGE_COLUMNS_AS(status)                                                                                      \
    "c.charge_id, c.app_id, c.store_id, c.installation_id, c.charge_type, c.name, c.description, " CHARGE_AMOUNTS      \
    ", c.refunded_amount * k.unit as refunded_amount, " status " as status, c.reason, $1 || '/' || c.store_id || "     \
    "'/settings/apps/billing/' || c.charge_id as confirmation_url, c.return_url, c.metadata, c.created_at, "           \
    "c.expires_at, c.activated_at, c.subscription_id as recurring_charge_id, s.billing_interval, s.trial_days"
#define CHARGE_COLUMNS CHARGE_COLUMNS_AS("c.shown")
#define CHARGE_BESIDE                                                                                                  \
    " join currency as k on k.code = c.currency left join subscription as s on s.subscription_id = c.subscription_id"

#define CHARGES_PAGE_OF(columns, total, ids)                                                                           \
    PAGE_OF(columns, total, ids, " join charge as c using (charge_id)" CHARGE_BESIDE, "c.charge_id")
#define CHARGES_PAGE(columns, counted, ids) CHARGES_PAGE_OF(columns, COUNTED(counted), ids)

/* Locked until the charge is there, or the end that comes first is seen. $1 installation, $2 generation. */
QUERY(INSTALLATION_KNOW, "insert into installation (installation_id) values ($1) on conflict do nothing")
QUERY(INSTALLATION_SHARE, "select (ended >= $2)::int as over from installation where installation_id = $1 for share")

QUERY(TERMS_GET, "select c.decimals, c.smallest, c.largest, coalesce(t.fee_payer, 'developer') as fee_payer, "
                 "t.commission_rate from currency as c left join app_terms as t on t.app_id = $2 where c.code = $1")

QUERY(
    CHARGE_INSERT,
    "insert into charge (store_id, app_id, installation_id, generation, charge_type, name, description, currency, "
    "base_amount, amount, fee_payer, commission_rate, gateway_fee_rate, platform_amount, gateway_fee_amount, "
    "developer_amount, status, return_url, metadata, created_at, expires_at, subscription_id) values ($1, $2, $3, $4, "
    "$5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 'pending', $17, $18, $19, $20, $21) returning charge_id")
QUERY(CHARGE_GET,
      "select " CHARGE_COLUMNS " from charge as c" CHARGE_BESIDE " where c.installation_id = $2 and c.charge_id = $3")
QUERY(CHARGE_BY_REFERENCE,
      "select c.charge_id from checkout join charge as c using (charge_id) where reference = $2 and "
      "c.installation_id = $1")
/* $3 before this id, $4 how many, $5 how many not. */
QUERY(CHARGES_ACTIVE,
      CHARGES_PAGE(CHARGE_COLUMNS,
                   NEWEST("charge", "installation_id = $2 and shown = 'active'", "charge_id", LAST, "10001", "0"),
                   NEWEST("charge", "installation_id = $2 and shown = 'active'", "charge_id", "$3", "$4", "$5")))

/* The data of its events (contract D.2). */
#define CHARGE_DATA                                                                                                    \
    "json_build_object('charge_id', charge_id, 'installation_id', installation_id, 'app_id', app_id, 'generation', "   \
    "generation, 'name', name, 'charge_type', charge_type, 'amount', amount * k.unit, 'base_amount', base_amount * "   \
    "k.unit, 'currency', currency, 'status', shown, 'reason', reason, 'recurring_charge_id', subscription_id)"
/* The events of all charges in `ended`, as a statement. */
#define CHARGES_TELL(ended, now)                                                                                       \
    "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) select 'charge.cancelled', "   \
    "store_id, 'charge', charge_id, " CHARGE_DATA ", " now " from " ended                                              \
    " join currency as k on k.code = currency order by charge_id"
QUERY(CHARGE_EVENT, "select store_id, " CHARGE_DATA
                    " as data from charge join currency as k on k.code = currency where charge_id = $1")

/* For whoever changes it. */
QUERY(CHARGE_LOCK,
      "select charge_id, store_id, app_id, installation_id, generation, charge_type, name, currency, "
      "base_amount, amount, platform_amount, gateway_fee_amount, developer_amount, refunded_amount, status, "
      "return_url, expires_at, subscription_id from charge where charge_id = $1 for update")
QUERY(CHARGE_END, "update charge set status = $2, reason = $3, ended_at = $4 where charge_id = $1")
QUERY(CHARGE_PAID, "update charge set status = 'paid', activated_at = $2 where charge_id = $1")

/* $1 installation, $2 charge. */
QUERY(CHARGE_OWN, "select 1 from charge where installation_id = $1 and charge_id = $2")
QUERY(CHARGE_REFUNDED, "update charge set refunded_amount = $2 where charge_id = $1")
QUERY(REFUND_INSERT,
      "insert into refund (charge_id, amount, reason, created_at) values ($1, $2, $3, $4) returning "
      "refund_id, charge_id, amount * (select unit from currency where code = $5) as amount, $5::text as currency, "
      "reason, created_at")

/* ---- tries to pay ------------------------------------------------------------------------------------------------ */

QUERY(CHECKOUT_INSERT, "insert into checkout (charge_id, account_id, provider, reference, status, ask_at, created_at) "
                       "values ($1, $2, $3, $4, 'open', $5, $6)")
QUERY(CHECKOUT_FIND, "select charge_id from checkout where reference = $1")
QUERY(CHECKOUT_LOCK, "select status from checkout where reference = $1 for update")
QUERY(CHECKOUT_END, "update checkout set status = $2, finished_at = $3 where reference = $1")

/* ---- the end of an installation ---------------------------------------------------------------------------------- */

QUERY(INSTALLATION_END, "insert into installation as known (installation_id, ended) values ($1, $2) on conflict "
                        "(installation_id) do update set ended = greatest(known.ended, $2)")

/* $1 installation, $2 generation, $3 the store's time, $4 how many, $5 now: with their events. */
QUERY(CHARGES_CANCEL,
      "with gone as (update charge set status = 'cancelled', reason = 'app_uninstalled', ended_at = $3 where charge_id "
      "= any (array(select charge_id from charge where installation_id = $1 and generation <= $2 and shown = 'pending' "
      "order by charge_id limit $4 for update)) returning *) " CHARGES_TELL("gone", "$5"))

/* Whether webhooks has not heard yet of something that belongs to generation $2 of installation $1, or to an earlier
 * one. The outbox is short, or webhooks is away. */
QUERY(INSTALLATION_UNTOLD, "select exists (select from outbox where (data ->> 'installation_id')::bigint = $1 and "
                           "(data ->> 'generation')::bigint <= $2)::int as untold")
