#!/bin/sh
# compose-roles.sh - run by compose.yaml at each up: roles and schemas (roles.sql), and each role's password.
#
# It comes in by the server's own socket, as the superuser, who is trusted there and has no password anywhere else.
set -eu
sql() { psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host=/var/run/postgresql --username=postgres --dbname=selorax "$@"; }

sql --file=/roles.sql
for file in /vault/*.password; do
    sql --set=role="$(basename "$file" .password)" --set=file="$file" <<'SQL'
set log_min_error_statement = panic;
\set password `cat :'file'`
alter role :"role" password :'password';
SQL
done
sql --command="alter role postgres password null"
