/* queries.h - all SQL of this service, prepared at connect. */

QUERY(TAKEN_INSERT, "insert into taken (run, place, again, worker) values ($1, $2, $3, $4)")

QUERY(UPLOAD_INSERT, "insert into upload (run) values ($1) returning upload_id")

/* A piece that is sent again is there already. */
QUERY(PIECE_INSERT, "insert into piece (upload_id, seq, bytes) values ($1, $2, $3) on conflict do nothing")

QUERY(UPLOAD_SUM, "select count(*)::bigint as pieces, sum(length(bytes))::bigint as bytes, "
                  "encode(sha256(string_agg(bytes, ''::bytea order by seq)), 'hex') as sha256 "
                  "from piece where upload_id = $1")
