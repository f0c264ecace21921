/* queries_owed.h - payments that came for a charge which was paid or over. */

#define OWED                                                                                                           \
    "select k.checkout_id, k.reference, k.provider, k.account_id, c.store_id, c.app_id, c.charge_id, "                 \
    "c.amount * u.unit as amount, c.amount as _amount, c.currency, k.status, k.note, k.finished_at as came_at "        \
    "from checkout as k join charge as c using (charge_id) join currency as u on u.code = c.currency where "

/* $1 behind this one, $2 how many. */
QUERY(OWED_LIST, OWED "k.status = 'duplicate' and k.checkout_id > $1 order by k.checkout_id limit $2")
QUERY(OWED_LOCK, OWED "k.checkout_id = $1 for update of k")
QUERY(OWED_RETURN, "update checkout set status = 'returned', note = $2 where checkout_id = $1")
