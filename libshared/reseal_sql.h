/* reseal_sql.h - parts of the statements of a struct sealed_column (reseal.h). Only macros: the files of statements are
 * included inside an enum.
 */
#ifndef RESEAL_SQL_H
#define RESEAL_SQL_H

/* A row's place in its table as one number, and back. */
#define RESEAL_PLACE      "((ctid::text::point)[0]::bigint << 16 | (ctid::text::point)[1]::bigint) as place"
#define RESEAL_AT(number) "('(' || (" number "::bigint >> 16) || ',' || (" number "::bigint & 65535) || ')')::tid"

/* Sealed by another key than $1, behind the place $2, the first $3 of them. */
#define RESEAL_OTHERS(column)                                                                                          \
    "substr(" column ", 1, 4) <> $1::bytea and ctid > " RESEAL_AT("$2") " order by ctid limit $3 for update"

#endif
