#!/bin/sh
# compose-init.sh - run once by the PostgreSQL image in a new database: roles and schemas, then each role's password.
set -eu
psql -v ON_ERROR_STOP=1 -q -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" -f /roles.sql
for file in /secrets/*.password; do
    role=$(basename "$file" .password)
    psql -v ON_ERROR_STOP=1 -q -U "${POSTGRES_USER:-postgres}" -d "$POSTGRES_DB" -v role="$role" -v password="$(cat "$file")" <<'SQL'
alter role :"role" password :'password';
SQL
done
# The superuser comes in by the local socket only.
sed -i '1i host all postgres all reject' "$PGDATA/pg_hba.conf"
