/* shared_queries.h - the statements of libshared itself, prepared beside those of every service.
 *
 * They use the tables of schema/000_shared.sql, which each service's schema has (search_path decides which). Included
 * several times with different meanings of QUERY; numbered from SHARED_STATEMENT_BASE (shared_statements.h).
 */
#include "reseal_sql.h"

/* $1: service, store, app and key as one text. A statement of its own: a look-up in the same one would read a snapshot
 * from before the lock (protocols 6). */
QUERY(IDEMPOTENCY_TRY_LOCK, "select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked")

/* The gateway's second attempt waits for the first one's dead backend. $2: lock_timeout as text, "1500ms". */
QUERY(IDEMPOTENCY_WAIT_LOCK, "select set_config('lock_timeout', $2, true), "
                             "pg_advisory_xact_lock(hashtextextended($1, 0))")

/* $4: the time before which a kept answer counts no more (now - 24 h). */
QUERY(IDEMPOTENCY_FIND, "select request_hash, status, headers, body, sealed, created_at, (created_at <= $4)::int as "
                        "expired from idempotency where store_id = $1 and app_id = $2 and key = $3")
QUERY(IDEMPOTENCY_FORGET, "delete from idempotency where store_id = $1 and app_id = $2 and key = $3")
QUERY(IDEMPOTENCY_KEEP,
      "insert into idempotency (store_id, app_id, key, operation, request_hash, status, headers, body, "
      "sealed, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
QUERY(IDEMPOTENCY_SETTLE, "update idempotency set status = $4, headers = $5, body = $6, sealed = $7 "
                          "where store_id = $1 and app_id = $2 and key = $3")

/* The same for all keys of a batch (call_batch.h), each with its place in the list. Who waits does so in one order. */
QUERY(IDEMPOTENCY_TRY_LOCKS, "select n, pg_try_advisory_xact_lock(hashtextextended(name, 0)) as locked "
                             "from unnest($1::text[]) with ordinality as k (name, n)")
QUERY(IDEMPOTENCY_WAIT_LOCKS,
      "select set_config('lock_timeout', $2, true), pg_advisory_xact_lock(h) from (select distinct "
      "hashtextextended(name, 0) as h from unnest($1::text[]) as k (name) order by h) as k")
/* Each key by itself, or all keys of a busy app would be read: a plan for everybody takes them for few. */
QUERY(IDEMPOTENCY_FIND_ALL,
      "select k.n, i.* from unnest($3::text[]) with ordinality as k (key, n) cross join lateral (select "
      "request_hash, status, headers, body, sealed, (created_at <= $4)::int as expired from idempotency "
      "where store_id = $1 and app_id = $2 and key = k.key limit 1) as i")
QUERY(IDEMPOTENCY_KEEP_ALL,
      "insert into idempotency (store_id, app_id, key, operation, request_hash, status, headers, body, "
      "sealed, created_at) select $1, $2, key, $3, request_hash, status, headers, body, sealed = 1, $10 "
      "from unnest($4::text[], $5::bytea[], $6::smallint[], $7::bytea[], $8::bytea[], $9::integer[]) "
      "as k (key, request_hash, status, headers, body, sealed)")

/* In batches, so that no delete holds many rows for long. */
QUERY(IDEMPOTENCY_EXPIRE, "delete from idempotency where ctid = any (array("
                          "select ctid from idempotency where created_at <= $1 order by created_at limit 500))")

QUERY(OUTBOX_PUT, "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
                  "values ($1, $2, $3, $4, $5, $6)")

/* The first $1 rows, or as many as have $2 bytes of data together, but one at least. A lower id may commit later, so
 * what was read is deleted by its ids and by nothing else (protocols 7). */
QUERY(OUTBOX_READ, "select id, event_id, topic, store_id, resource_type, resource_id, data, created_at from (select *, "
                   "sum(octet_length(data::text)) over (order by id) - octet_length(data::text) as before "
                   "from (select * from outbox order by id limit $1) as first) as batch where before < $2 order by id")
/* Nobody waits for the disk: what a crash of PostgreSQL brings back is published again and dropped by its event id. */
QUERY(OUTBOX_DELETE, "delete from outbox where id = any ($1::bigint[]) and "
                     "(select set_config('synchronous_commit', 'off', true)) is not null")

/* ---- actors (actor.h). The database's own clock, because it is the one that all holders share, and no test sets it.
 * A lease that a crash of PostgreSQL forgets is taken anew, so nobody waits for the disk. $3: milliseconds. */
/* $3: the lease's length. One that ends later than a new one would is from a clock that has been set back. */
QUERY(ACTOR_LEASE_TAKE,
      "update actor_lease set holder = $2, until = clock_timestamp() + $3::bigint * interval '1 millisecond' "
      "from (select set_config('synchronous_commit', 'off', true) as mode offset 0) as quick "
      "where name = $1 and quick.mode is not null and (holder = $2 or until <= clock_timestamp() or "
      "until > clock_timestamp() + $3::bigint * interval '1 millisecond')")
QUERY(ACTOR_LEASE_MAKE, "insert into actor_lease (name, holder, until) "
                        "values ($1, $2, clock_timestamp() + $3::bigint * interval '1 millisecond') "
                        "on conflict (name) do nothing")
QUERY(ACTOR_LEASE_GIVE, "update actor_lease set until = clock_timestamp() where name = $1 and holder = $2")

/* ---- exchange of the master key (reseal.h) */
QUERY(IDEMPOTENCY_TO_RESEAL,
      "select " RESEAL_PLACE ", replace(current_schema(), '_', '-') || ':' || store_id || ':' || app_id || ':' || key "
      "as about, body as sealed from idempotency where sealed and " RESEAL_OTHERS("body"))
QUERY(IDEMPOTENCY_RESEAL, "update idempotency set body = $2 where ctid = " RESEAL_AT("$1"))
