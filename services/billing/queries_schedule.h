/* queries_schedule.h - what is due, and the clocks of stores. kind: what schedule.c does about it. */

/* $1 now, $2 how many of each kind; behind $3, $4 of the first, $5, $6 of the second and $7, $8 of the third. A store
 * whose clock stands is moved on by whoever stopped it. */
#define OWN_TIME "not exists (select from clock where clock.store_id = x.store_id)"
QUERY(SCHEDULE_DUE,
      "(select 0 as kind, charge_id as id, expires_at as at from charge as x where status = 'pending' and expires_at "
      "<= $1 and (expires_at, charge_id) > ($3, $4) and " OWN_TIME
      " order by expires_at, charge_id limit $2) union all "
      "(select 1, subscription_id, due_at from subscription as x where due_at <= $1 and (due_at, subscription_id) > "
      "($5, $6) and " OWN_TIME " order by due_at, subscription_id limit $2) union all (select 2, usage_bill_id, due_at "
      "from usage_bill as x where due_at <= $1 and (due_at, usage_bill_id) > ($7, $8) and " OWN_TIME
      " order by due_at, usage_bill_id limit $2) order by at, kind, id")

/* $1 store, $2 until when: what comes first. */
QUERY(
    SCHEDULE_OF_STORE,
    "(select 0 as kind, charge_id as id, expires_at as at from charge where store_id = $1 and status = 'pending' and "
    "expires_at <= $2 order by expires_at, charge_id limit 1) union all (select 1, subscription_id, due_at "
    "from subscription where store_id = $1 and due_at <= $2 order by due_at, subscription_id limit 1) union all (select "
    "2, usage_bill_id, due_at from usage_bill where store_id = $1 and due_at <= $2 order by due_at, usage_bill_id limit "
    "1) order by at, kind, id limit 1")

QUERY(CLOCK_GET, "select at from clock where store_id = $1")
QUERY(CLOCK_SET, "insert into clock (store_id, at) values ($1, $2) on conflict (store_id) do update set at = "
                 "excluded.at where clock.at < excluded.at")
