/* queries_store.h - the SQL of a store's profile, part of queries.h. */

QUERY(STORE_GET,
      "select store_id, name, email, phone, currency, image, address, domain, language, created_at, updated_at from "
      "store_profile where store_id = $1")

/* Keeps two changes of a store apart, and two fillings. */
QUERY(STORE_LOCK, "select from store_profile where store_id = $1 for no key update")

QUERY(STORE_INSERT,
      "insert into store_profile (store_id, name, email, phone, currency, image, address, domain, language, "
      "created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10) "
      "on conflict (store_id) do nothing")

/* The number of the last order that was ever placed, 0 without one. The same row that each order locks until it
 * commits: an order on its way is waited for, and the next one waits for us. */
QUERY(STORE_LAST_ORDER, "insert into store_serial as s (store_id, last) values ($1, 0) on conflict (store_id) "
                        "do update set last = s.last returning last")

/* $2 name .. $9 language, $10 now. */
QUERY(STORE_UPDATE, "update store_profile set name = $2, email = $3, phone = $4, currency = $5, image = $6, address = "
                    "$7, domain = $8, language = $9, updated_at = $10 where store_id = $1")
