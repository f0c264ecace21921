/* shared_queries.h - the statements of libshared itself, prepared beside those of every service.
 *
 * They use the tables of schema/000_shared.sql, which each service's schema has (search_path decides which). Included
 * several times with different meanings of QUERY; numbered from SHARED_STATEMENT_BASE (shared_statements.h).
 */

/* $1: service, store, app and key as one text. A statement of its own: a look-up in the same one would read a snapshot
 * from before the lock (protocols 6). */
QUERY(IDEMPOTENCY_TRY_LOCK, "select pg_try_advisory_xact_lock(hashtextextended($1, 0)) as locked")

/* The gateway's second attempt waits for the first one's dead backend. $2: lock_timeout as text, "1500ms". */
QUERY(IDEMPOTENCY_WAIT_LOCK, "select set_config('lock_timeout', $2, true), "
                             "pg_advisory_xact_lock(hashtextextended($1, 0))")

/* $4: the time before which a kept answer counts no more (now - 24 h). */
QUERY(IDEMPOTENCY_FIND, "select request_hash, status, headers, body, sealed, (created_at <= $4)::int as expired "
                        "from idempotency where store_id = $1 and app_id = $2 and key = $3")
QUERY(IDEMPOTENCY_FORGET, "delete from idempotency where store_id = $1 and app_id = $2 and key = $3")
QUERY(IDEMPOTENCY_KEEP,
      "insert into idempotency (store_id, app_id, key, operation, request_hash, status, headers, body, "
      "sealed, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")

/* In batches, so that no delete holds many rows for long. */
QUERY(IDEMPOTENCY_EXPIRE, "delete from idempotency where ctid = any (array("
                          "select ctid from idempotency where created_at <= $1 order by created_at limit 500))")

QUERY(OUTBOX_PUT, "insert into outbox (topic, store_id, resource_type, resource_id, data, created_at) "
                  "values ($1, $2, $3, $4, $5, $6)")
