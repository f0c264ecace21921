/* queries_charges.h - charges, and the tries to pay them. */

/* The word that apps read: a subscription's payment is active while it is the latest one. */
#define CHARGE_STATUS                                                                                                  \
    "case when c.status <> 'paid' then c.status when c.ended_at is null then 'active' when c.reason is null then "     \
    "'completed' else 'cancelled' end"

/* As the app API shows one. $1: the dashboard's origin. */
#define CHARGE_COLUMNS                                                                                                 \
    "c.charge_id, c.app_id, c.store_id, c.installation_id, c.charge_type, c.name, c.description, money(c.amount, "     \
    "c.currency) as amount, money(c.base_amount, c.currency) as base_amount, c.currency, c.fee_payer, "                \
    "round(c.commission_rate / 1000000.0, 6) as commission_rate, money(c.platform_amount, c.currency) as "             \
    "platform_amount, round(c.gateway_fee_rate / 1000000.0, 6) as gateway_fee_rate, money(c.gateway_fee_amount, "      \
    "c.currency) as gateway_fee_amount, money(c.developer_amount, c.currency) as developer_amount, "                   \
    "money(c.refunded_amount, c.currency) as refunded_amount, " CHARGE_STATUS                                          \
    " as status, c.reason, $1 || '/' || c.store_id || '/settings/apps/billing/' || c.charge_id as "                    \
    "confirmation_url, c.return_url, c.metadata, c.created_at, c.expires_at, c.activated_at, c.subscription_id as "    \
    "recurring_charge_id, (select s.billing_interval from subscription as s where s.subscription_id = "                \
    "c.subscription_id), "                                                                                             \
    "(select s.trial_days from subscription as s where s.subscription_id = c.subscription_id)"

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
QUERY(CHARGE_GET, "select " CHARGE_COLUMNS " from charge as c where c.installation_id = $2 and c.charge_id = $3")
QUERY(CHARGE_BY_REFERENCE,
      "select c.charge_id from checkout join charge as c using (charge_id) where reference = $2 and "
      "c.installation_id = $1")
/* $3 before this id, $4 how many, $5 how many not. */
QUERY(
    CHARGES_ACTIVE,
    "with total as (select count(*) as _total from (select from charge where installation_id = $2 and status = 'paid' "
    "and ended_at is null limit 10001) as counted) select total._total, page.* from total left join lateral "
    "(select " CHARGE_COLUMNS
    " from charge as c where c.installation_id = $2 and c.status = 'paid' and c.ended_at is null and c.charge_id < $3 "
    "order by c.charge_id desc limit $4 offset $5) as page on true")

/* The data of its events (contract D.2). */
#define CHARGE_DATA                                                                                                    \
    "json_build_object('charge_id', charge_id, 'installation_id', installation_id, 'app_id', app_id, 'generation', "   \
    "generation, 'name', name, 'charge_type', charge_type, 'amount', money(amount, currency), 'base_amount', "         \
    "money(base_amount, currency), 'currency', currency, 'status', " CHARGE_STATUS ", 'reason', reason, "              \
    "'recurring_charge_id', subscription_id)"
QUERY(CHARGE_EVENT, "select store_id, " CHARGE_DATA " as data from charge as c where charge_id = $1")

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
QUERY(REFUND_INSERT, "insert into refund (charge_id, amount, reason, created_at) values ($1, $2, $3, $4) returning "
                     "refund_id, charge_id, money(amount, $5) as amount, $5::text as currency, reason, created_at")

/* ---- tries to pay ------------------------------------------------------------------------------------------------ */

QUERY(CHECKOUT_INSERT, "insert into checkout (charge_id, account_id, provider, reference, status, ask_at, created_at) "
                       "values ($1, $2, $3, $4, 'open', $5, $6)")
QUERY(CHECKOUT_FIND, "select charge_id, provider, status from checkout where reference = $1")
QUERY(CHECKOUT_LOCK, "select status from checkout where reference = $1 for update")
QUERY(CHECKOUT_END, "update checkout set status = $2, finished_at = $3 where reference = $1")

/* ---- the end of an installation ---------------------------------------------------------------------------------- */

QUERY(INSTALLATION_END, "insert into installation as known (installation_id, ended) values ($1, $2) on conflict "
                        "(installation_id) do update set ended = greatest(known.ended, $2)")

/* $1 installation, $2 generation, $3 now, $4 how many: with their events. */
QUERY(
    CHARGES_CANCEL,
    "with gone as (update charge set status = 'cancelled', reason = 'app_uninstalled', ended_at = $3 where charge_id = "
    "any (array(select charge_id from charge where installation_id = $1 and generation <= $2 and status = 'pending' "
    "order by charge_id limit $4 for update)) returning *) "
    "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) select 'charge.cancelled', "
    "store_id, 'charge', charge_id, " CHARGE_DATA ", $3 from gone as c order by charge_id")

/* Whether webhooks has not heard yet of something that belongs to generation $2 of installation $1, or to an earlier
 * one. The outbox is short, or webhooks is away. */
QUERY(INSTALLATION_UNTOLD, "select exists (select from outbox where (data ->> 'installation_id')::bigint = $1 and "
                           "(data ->> 'generation')::bigint <= $2)::int as untold")
