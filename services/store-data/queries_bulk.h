/* queries_bulk.h - the SQL of bulk import and export.
 *
 * The actor's statements choose among the stores; everything else carries the store as $1. A batch's transaction holds
 * the store's row in bulk_turn and the job's row, so reading a position and moving it is one step.
 */
#include "sql_customers.h"
#include "sql_lists.h"
#include "sql_products.h"

#define BULK_JOB_COLUMNS                                                                                               \
    "job_id, resource, status, message, lines_total, lines_done, succeeded, lines_done - succeeded as failed, "        \
    "case when status = 'completed' then 100 when lines_total = 0 then 0 "                                             \
    "else least(99, lines_done * 100 / lines_total) end as percent, created_at, started_at, finished_at"

/* ---- upload ------------------------------------------------------------------------------------------------------ */

/* Two first pieces of a store are counted one after the other. */
QUERY(BULK_UPLOAD_LOCK, "select pg_advisory_xact_lock(hashtextextended('bulk upload ' || $1::bigint, 0))")

/* $2 app, $3 installation, $4 resource, $5 now, $6 how many unfinished jobs an app may have in a store. */
QUERY(BULK_JOB_INSERT, "with turn as (insert into bulk_turn (store_id) values ($1) on conflict do nothing) "
                       "insert into bulk_job (store_id, app_id, installation_id, resource, created_at, updated_at) "
                       "select $1, $2, $3, $4, $5, $5 where (select count(*) from bulk_job where store_id = $1 and "
                       "app_id = $2 and status in ('uploading', 'queued', 'running')) < $6::bigint returning job_id")

/* $3 app, $4 resource. Pieces of one upload come one at a time; a repeated one may meet its first attempt. */
QUERY(BULK_UPLOAD_FIND, "select status, pieces from bulk_job where store_id = $1 and job_id = $2 and app_id = $3 and "
                        "resource = $4 for no key update")

/* $3 seq, $4 lines, $5 bytes, $6 now. A piece that is sent again is there already, and counted. */
QUERY(BULK_PIECE_INSERT,
      "with put as (insert into bulk_piece (store_id, job_id, seq, lines, bytes) values ($1, $2, $3, $4, $5) "
      "on conflict do nothing returning lines) update bulk_job set lines_total = lines_total + put.lines, "
      "updated_at = $6 from put where store_id = $1 and job_id = $2")

/* $3 how many pieces there are; no row when one of them is missing. */
QUERY(BULK_UPLOAD_FINISH,
      "update bulk_job set status = 'queued', pieces = $3, updated_at = $4 where store_id = $1 and job_id = $2 and "
      "(select count(*) from bulk_piece where store_id = $1 and job_id = $2 and seq < $3) = $3 "
      "returning " BULK_JOB_COLUMNS)

/* ---- jobs -------------------------------------------------------------------------------------------------------- */

QUERY(BULK_JOB_GET, "select " BULK_JOB_COLUMNS " from bulk_job where store_id = $1 and app_id = $2 and job_id = $3")

/* $2 the app, $7 status and $8 resource, either null. Each filter has an index that begins with it. */
#define BULK_JOBS(where)                                                                                               \
    LIST_MIXED(BULK_JOB_COLUMNS, TOTAL_COUNTED("bulk_job", where), "bulk_job", "job_id", where, "", "job_id",          \
               "bigint", "<", "desc")
#define BULK_JOBS_OF_APP "o.store_id = $1 and o.app_id = $2"
QUERY(BULK_JOBS_ANY, BULK_JOBS(BULK_JOBS_OF_APP " and $7::text is null and $8::text is null"))
QUERY(BULK_JOBS_OF_STATUS,
      BULK_JOBS(BULK_JOBS_OF_APP " and o.status = $7::text and ($8::text is null or o.resource = $8::text)"))
QUERY(BULK_JOBS_OF_RESOURCE, BULK_JOBS(BULK_JOBS_OF_APP " and $7::text is null and o.resource = $8::text"))

/* Waits for the batch that is at work. */
QUERY(BULK_JOB_LOCK, "select status as _status, " BULK_JOB_COLUMNS " from bulk_job where store_id = $1 and app_id = $2 "
                     "and job_id = $3 for no key update")

/* $3 status, $4 message, $5 now. */
QUERY(BULK_JOB_END, "update bulk_job set status = $3, message = $4, updated_at = $5, finished_at = $5 "
                    "where store_id = $1 and job_id = $2 returning " BULK_JOB_COLUMNS)

/* The actor's way to end a job that is still there to be worked on. $3 message, $4 now. */
QUERY(BULK_JOB_STOP, "update bulk_job set status = 'failed', message = $3, updated_at = $4, finished_at = $4 where "
                     "store_id = $1 and job_id = $2 and status in ('queued', 'running')")

/* Rows behind line $3 until they are $4 bytes; the first in any case. */
QUERY(
    BULK_RESULTS_READ,
    "select lines from (select last_line, lines, sum(octet_length(lines)) over (order by last_line) - "
    "octet_length(lines) as before from (select last_line, lines from bulk_result where store_id = $1 and job_id = "
    "$2 and last_line > $3 order by last_line limit 2000) as rows) as rows where before < $4::bigint order by last_line")

/* ---- the actor --------------------------------------------------------------------------------------------------- */

/* Of the stores with something to do the one whose turn is longest ago, and it alone until the transaction ends. $1 the
 * store to go on with before all others, $2 one to take after all others; 0 for none. */
QUERY(
    BULK_CLAIM,
    "with mine as (select t.store_id from (select distinct store_id from bulk_job where status in ('queued', "
    "'running')) as waiting join bulk_turn as t using (store_id) order by t.store_id = $2, t.store_id <> $1, t.turn "
    "limit 1 for no key update of t skip locked) "
    "update bulk_turn as t set turn = nextval('bulk_turn_seq') from mine where t.store_id = mine.store_id "
    "returning t.store_id, (select resource from bulk_job as j where j.store_id = t.store_id and status in ('queued', "
    "'running') order by job_id limit 1) as resource")

/* The store's oldest job and what comes next of its piece, $2 bytes of it. A statement of its own, so that it sees what
 * the last holder of the store's row has committed. */
QUERY(BULK_CLAIMED_JOB,
      "select j.job_id, j.app_id, j.installation_id, j.resource, j.created_at, j.pieces, j.piece, j.piece_at, j.line, "
      "p.size, p.bytes from bulk_job as j left join lateral (select length(bytes) as size, "
      "substring(bytes from j.piece_at + 1 for $2::integer) as bytes from bulk_piece where store_id = j.store_id and "
      "job_id = j.job_id and seq = j.piece) as p on true where j.store_id = $1 and j.status in ('queued', 'running') "
      "order by j.job_id limit 1 for no key update of j")

/* $3 app, $4 resource, $5 keys as a JSON list, $6 kept since. */
QUERY(BULK_KEYS_FIND, "select key, hash, id from bulk_key where store_id = $1 and app_id = $2 and resource = $3 and "
                      "key = any (array(select json_array_elements_text($4))) and created_at > $5")

/* $4 {key, hash, id} of each, $5 now. A key that is there is older than it counts. */
QUERY(BULK_KEYS_INSERT,
      "insert into bulk_key as k (store_id, app_id, resource, key, hash, id, created_at) select $1, $2, $3, r.key, "
      "r.hash, r.id, $5 from json_to_recordset($4) as r (key text, hash text, id bigint) on conflict (store_id, "
      "app_id, resource, key) do update set hash = excluded.hash, id = excluded.id, created_at = excluded.created_at")

QUERY(BULK_RESULT_INSERT, "insert into bulk_result (store_id, job_id, last_line, lines) values ($1, $2, $3, $4)")

/* $3 piece and $4 its byte to go on with, $5 line, $6 and $7 lines done and succeeded now, $8 now. */
QUERY(BULK_ADVANCE,
      "with gone as (delete from bulk_piece where store_id = $1 and job_id = $2 and seq < $3) "
      "update bulk_job set piece = $3, piece_at = $4, line = $5, lines_done = lines_done + $6, succeeded = succeeded + "
      "$7, updated_at = $8, started_at = coalesce(started_at, $8), "
      "status = case when $3 >= pieces then 'completed' else 'running' end, "
      "finished_at = case when $3 >= pieces then $8::timestamptz end where store_id = $1 and job_id = $2")

/* ---- trimming: a batch each, what is left comes next ------------------------------------------------------------- */

/* $1 since when an upload must have stood still, $2 message, $3 now. */
QUERY(BULK_UPLOADS_DROP,
      "update bulk_job set status = 'failed', message = $2, updated_at = $3, finished_at = $3 where (store_id, job_id) "
      "in (select store_id, job_id from bulk_job where status = 'uploading' and updated_at < $1 limit 100 "
      "for no key update skip locked)")

/* Pieces of jobs that need them no more. */
QUERY(BULK_PIECES_TRIM,
      "delete from bulk_piece where (store_id, job_id, seq) in (select store_id, job_id, seq from bulk_job join "
      "bulk_piece using (store_id, job_id) where finished_at is not null limit 40)")

/* $1: what finished before. Results first, because the job is the way to them. */
QUERY(
    BULK_RESULTS_TRIM,
    "delete from bulk_result where (store_id, job_id, last_line) in (select store_id, job_id, last_line from bulk_job "
    "join bulk_result using (store_id, job_id) where finished_at < $1 limit 200)")
QUERY(
    BULK_JOBS_TRIM,
    "delete from bulk_job where (store_id, job_id) in (select store_id, job_id from bulk_job as j where finished_at < "
    "$1 and not exists (select from bulk_result as r where r.store_id = j.store_id and r.job_id = j.job_id) and not "
    "exists (select from bulk_piece as p where p.store_id = j.store_id and p.job_id = j.job_id) limit 200)")
QUERY(BULK_KEYS_TRIM,
      "delete from bulk_key where (store_id, app_id, resource, key) in (select store_id, app_id, resource, "
      "key from bulk_key where created_at < $1 limit 1000)")

/* ---- export: the next $3 rows behind id $2 ----------------------------------------------------------------------- */

/* With a bound that the planner knows it walks the primary key, whatever it believes of a parameter. */
#define EXPORT_ROWS(columns, table, id)                                                                                \
    "select " columns " from (select * from (select * from " table " as o where o.store_id = $1 and o." id " > $2 "    \
    "and o.deleted_at is null order by o." id " limit 4000) as o limit $3) as o order by o." id
QUERY(EXPORT_PRODUCTS, EXPORT_ROWS(PRODUCT_DETAIL, "product", "product_id"))
QUERY(EXPORT_CUSTOMERS, EXPORT_ROWS(CUSTOMER_COLUMNS, "customer", "user_id"))
QUERY(EXPORT_ORDERS, EXPORT_ROWS(ORDER_DETAIL, "store_order", "order_id"))
QUERY(EXPORT_INVENTORY,
      EXPORT_ROWS("o.sku_id, o.product_id, o.variant_name, o.sku_code, o.quantity, o.available::integer as available, "
                  "o.updated_at",
                  "sku", "sku_id"))
