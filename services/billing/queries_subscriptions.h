/* queries_subscriptions.h - subscriptions: a row each, whose periods are paid by charges. */

/* As the app API shows one (s), with its latest charge (c). $1: the dashboard's origin. */
#define SUBSCRIPTION_COLUMNS                                                                                           \
    "s.subscription_id as recurring_charge_id, c.charge_id, s.app_id, s.store_id, s.installation_id, "                 \
    "c.charge_type, s.name, s.description, " CHARGE_AMOUNTS                                                            \
    ", s.billing_interval, s.trial_days, case when s.trial_days > 0 then s.anchor_at end as "                          \
    "trial_ends_at, s.status, s.reason, c.shown as payment_status, $1 || '/' || s.store_id || "                        \
    "'/settings/apps/billing/' || c.charge_id as confirmation_url, c.expires_at, s.return_url, s.metadata, "           \
    "s.periods as periods_paid, s.period_starts_at as current_period_start, s.period_ends_at as "                      \
    "current_period_end, s.cancel_at_period_end::int as cancel_at_period_end, s.created_at, s.activated_at, "          \
    "s.ended_at as cancelled_at"

#define SUBSCRIPTION_BESIDE " join charge as c on c.charge_id = s.charge_id join currency as k on k.code = c.currency"

/* With its first charge, whose number it gets: $1. The trial ends at $14, without one that is null; $16 now. */
QUERY(SUBSCRIPTION_INSERT,
      "insert into subscription (subscription_id, charge_id, store_id, app_id, installation_id, generation, name, "
      "description, currency, base_amount, billing_interval, trial_days, return_url, metadata, anchor_at, "
      "period_ends_at, due_at, status, period_starts_at, activated_at, created_at) values ($1, $1, $2, $3, $4, $5, $6, "
      "$7, $8, $9, $10, $11, $12, $13, $14, $14, $15, case when $14::timestamptz is null then 'pending' else 'active' "
      "end, case when $14::timestamptz is not null then $16::timestamptz end, case when $14::timestamptz is not null "
      "then $16::timestamptz end, $16)")
QUERY(SUBSCRIPTION_FIRST, "update charge set subscription_id = $1 where charge_id = $1")

/* $2 installation, $3 subscription. */
QUERY(SUBSCRIPTION_GET, "select " SUBSCRIPTION_COLUMNS " from subscription as s" SUBSCRIPTION_BESIDE
                        " where s.installation_id = $2 and s.subscription_id = $3")
/* $3 before this id, $4 how many, $5 how many not. */
QUERY(SUBSCRIPTIONS_LIST,
      PAGE(SUBSCRIPTION_COLUMNS, NEWEST("subscription", "installation_id = $2", "subscription_id", LAST, "10001", "0"),
           NEWEST("subscription", "installation_id = $2", "subscription_id", "$3", "$4", "$5"),
           " join subscription as s using (subscription_id)" SUBSCRIPTION_BESIDE, "s.subscription_id"))

/* Which rows are to be locked, in their order, before it. */
QUERY(SUBSCRIPTION_PEEK, "select installation_id, generation, charge_id from subscription where subscription_id = $1")
QUERY(SUBSCRIPTION_LOCK,
      "select store_id, app_id, installation_id, generation, name, description, currency, base_amount, "
      "billing_interval, return_url, metadata, status, charge_id, anchor_at, periods, period_ends_at, "
      "cancel_at_period_end, reason, due_at from subscription where subscription_id = $1 for update")

/* $2 charge, $3 anchor, $4 periods, $5 from, $6 to, $7 when the next payment is asked for, $8 now. */
QUERY(SUBSCRIPTION_PAID,
      "update subscription set status = 'active', charge_id = $2, anchor_at = $3, periods = $4, period_starts_at = $5, "
      "period_ends_at = $6, due_at = $7, activated_at = coalesce(activated_at, $8) where subscription_id = $1")
QUERY(SUBSCRIPTION_WAIT, "update subscription set charge_id = $2, due_at = null where subscription_id = $1")
QUERY(SUBSCRIPTION_LEAVE, "update subscription set cancel_at_period_end = true, reason = $2, due_at = period_ends_at "
                          "where subscription_id = $1")
QUERY(SUBSCRIPTION_END, "update subscription set status = 'cancelled', reason = $2, ended_at = $3, due_at = null where "
                        "subscription_id = $1")

/* The payments that were the latest: one at most. $2 but this one, $3 now, $4 why. */
QUERY(SUBSCRIPTION_OVER, "update charge set ended_at = $3, reason = $4 where subscription_id = $1 and charge_id <> $2 "
                         "and shown = 'active' returning charge_id")

/* The end of an installation, with the events of the payments that were the latest. $1 it, $2 generation, $3 how many,
 * $4 the store's time, $5 now. */
QUERY(SUBSCRIPTIONS_END,
      "with gone as (update subscription as s set status = 'cancelled', reason = 'app_uninstalled', due_at = null, "
      "ended_at = $4 where subscription_id = any (array(select subscription_id from subscription where "
      "installation_id = $1 and generation <= $2 and status <> 'cancelled' order by subscription_id limit $3 for "
      "update)) returning s.subscription_id), paid as (update charge as c set reason = 'app_uninstalled', ended_at = "
      "$4 from gone where c.subscription_id = gone.subscription_id and c.shown = 'active' returning c.*), told as "
      "(" CHARGES_TELL("paid", "$5") ") select count(*) as ended from gone")
