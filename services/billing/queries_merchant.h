/* queries_merchant.h - charges as a store's merchant sees them, and the tries to pay them. */

/* $1 the dashboard's origin, $2 store. */
QUERY(CHARGE_OF_STORE,
      "select " CHARGE_COLUMNS " from charge as c" CHARGE_BESIDE " where c.store_id = $2 and c.charge_id = $3")
QUERY(CHARGE_KNOWN, "select shown, app_id, subscription_id from charge where store_id = $1 and charge_id = $2")

/* $3 before this id, $4 how many, $5 how many not. */
QUERY(CHARGES_OF_STORE, CHARGES_PAGE(CHARGE_COLUMNS, NEWEST("charge", "store_id = $2", "charge_id", LAST, "10001", "0"),
                                     NEWEST("charge", "store_id = $2", "charge_id", "$3", "$4", "$5")))
/* $6: the status, as it is shown. */
QUERY(CHARGES_OF_STORE_IN,
      CHARGES_PAGE(CHARGE_COLUMNS, NEWEST("charge", "store_id = $2 and shown = $6", "charge_id", LAST, "10001", "0"),
                   NEWEST("charge", "store_id = $2 and shown = $6", "charge_id", "$3", "$4", "$5")))

/* ---- tries to pay ------------------------------------------------------------------------------------------------ */

/* With the charge locked: the one that is open at the provider $2, if it was made after $3. */
QUERY(CHECKOUT_FRESH, "select reference from checkout where charge_id = $1 and provider = $2 and status = 'open' and "
                      "created_at > $3 order by checkout_id desc limit 1")

QUERY(PAYMENT_READ,
      "select k.provider, k.status, k.location, k.account_id, c.charge_id, c.store_id, c.amount, decimals, c.currency, "
      "c.name, c.status as charge_status, c.return_url from checkout as k join charge as c using (charge_id) join "
      "currency on code = c.currency where reference = $1")

/* Who gets the row asks the provider to begin; $2 now, $3 until when nobody else does. A time behind that one is from a
 * clock that has been set back since. */
QUERY(CHECKOUT_BEGIN, "update checkout set busy_until = $3 where reference = $1 and status = 'open' and location is "
                      "null and (busy_until is null or busy_until <= $2 or busy_until > $3) returning checkout_id")
QUERY(CHECKOUT_BEGUN, "update checkout set location = $2, busy_until = null where reference = $1")

/* $1 now, $2 how many. A claim says already when the next one is due: 1, 2, 4, ... minutes, and no more than 6 hours.
 */
QUERY(CHECKOUTS_CLAIM,
      "update checkout set asked = asked + 1, ask_at = $1::timestamptz + least(interval '1 minute' * 2 ^ least(asked, "
      "10), interval '6 hours') where checkout_id = any (array(select checkout_id from checkout where status = 'open' "
      "and ask_at <= $1 order by ask_at limit $2 for update skip locked)) returning reference, created_at")

/* ---- the sandbox ------------------------------------------------------------------------------------------------- */

/* What was said last stands, unless it was nothing. */
QUERY(SANDBOX_SAY, "insert into sandbox_payment as said (reference, outcome, at) values ($1, $2, $3) on conflict "
                   "(reference) do update set outcome = excluded.outcome, at = excluded.at where said.outcome = "
                   "'stalled'")
QUERY(SANDBOX_SAID, "select outcome from sandbox_payment where reference = $1")
