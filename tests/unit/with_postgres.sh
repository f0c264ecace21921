#!/bin/sh
# with_postgres.sh COMMAND... - runs a command with a PostgreSQL of its own, which SX_TEST_DATABASE names; it may be
# stopped and killed at will, and is gone afterwards. Root starts it as another user, because PostgreSQL refuses root.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
home=$(mktemp -d /tmp/sx-unit-XXXXXX)
as=
if [ "$(id -u)" = 0 ]; then
    user=postgres
    ! id selorax >/dev/null 2>&1 || user=selorax
    as="setpriv --reuid $user --regid $(id -g "$user") --clear-groups --"
    chown "$user" "$home"
fi
cp "$root/services/postgres/cluster.sh" "$root/services/postgres/roles.sql" "$home/"
chmod 0755 "$home" "$home/cluster.sh"
chmod 0644 "$home/roles.sql"

unset SX_DATABASE_URL
cd "$home"
end() {
    [ -z "${postgres:-}" ] || { kill -QUIT "$postgres" 2>/dev/null && wait "$postgres" 2>/dev/null; } || true
    rm -rf "$home"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

$as env SX_HOME="$home" SX_POSTGRES_PORT=5432 sh "$home/cluster.sh" init
# One role has to say its password (test_connection.c); everybody else is trusted.
{ echo "local all sx_password scram-sha-256"; cat "$home/postgres/pg_hba.conf"; } >"$home/pg_hba"
cat "$home/pg_hba" >"$home/postgres/pg_hba.conf"
bin=$(ls -d /usr/lib/postgresql/"$(cat "$home/postgres/PG_VERSION")"/bin)
$as "$bin/postgres" -D "$home/postgres" -k "$home/run" -c fsync=off >"$home/postgres.log" 2>&1 &
postgres=$!
i=0
until "$bin/pg_isready" -q -h "$home/run"; do
    i=$((i + 1))
    [ $i -lt 100 ] || { echo "PostgreSQL did not start: $(tail -n 3 "$home/postgres.log")" >&2; exit 1; }
    sleep 0.1
done
cd "$root"
SX_TEST_DATABASE="host=$home/run port=5432 dbname=selorax" "$@"
