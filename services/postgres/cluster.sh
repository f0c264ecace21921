#!/bin/sh
# cluster.sh init - makes the platform's private PostgreSQL cluster in $SX_HOME/postgres, or brings it up to date.
#
# Run as the user that PostgreSQL will run as, never as root. The cluster is reached by a unix socket in $SX_HOME/run
# only, whose mode 0700 is what keeps others out: within it every role is trusted. Afterwards PostgreSQL is started with
#
#     postgres -D $SX_HOME/postgres -k $SX_HOME/run -p ${SX_POSTGRES_PORT:-5432}
#
# Does only what is missing, and can be killed at any point and run again.
set -eu
umask 077

: "${SX_HOME:?set SX_HOME to the directory that holds all state}"
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$SX_HOME"
home=$(cd "$SX_HOME" && pwd)
data=$home/postgres
run=$home/run
port=${SX_POSTGRES_PORT:-5432}
started=

fail() {
    echo "cluster.sh: $*" >&2
    exit 1
}

# The newest installed version; for a cluster that exists, the version that made it.
find_bin() {
    wanted='*'
    [ ! -e "$data/PG_VERSION" ] || wanted=$(cat "$data/PG_VERSION")
    bin=
    for program in /usr/lib/postgresql/$wanted/bin/postgres; do
        [ -x "$program" ] || continue
        version=${program#/usr/lib/postgresql/}
        version=${version%%/*}
        [ -n "$bin" ] && [ "$version" -lt "$newest" ] || { bin=${program%/postgres}; newest=$version; }
    done
    [ -n "$bin" ] || fail "no PostgreSQL server of version $wanted below /usr/lib/postgresql; install the package postgresql"
}

# Everything is made beside the final name, so that a cluster that is there is a whole one.
make_cluster() {
    rm -rf "$data.new"
    "$bin/initdb" --pgdata="$data.new" --username=postgres --encoding=UTF8 --locale=C.UTF-8 --data-checksums \
        --auth-local=trust --auth-host=reject >"$home/log/initdb.log" 2>&1 ||
        fail "initdb failed: $(tail -n 1 "$home/log/initdb.log")"
    echo "local all all trust" >"$data.new/pg_hba.conf"
    echo "include 'selorax.conf'" >>"$data.new/postgresql.conf"
    : >"$data.new/selorax.conf"
    mv "$data.new" "$data"
}

# Written at each init, so that a newer release brings its settings along; they count from the next start. Durability is
# never traded away here: an order that was acknowledged has reached the disk.
write_settings() {
    cat >"$data/selorax.conf.new" <<'SETTINGS'
listen_addresses = ''
unix_socket_permissions = 0700
max_connections = 300
superuser_reserved_connections = 5
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 128MB
effective_cache_size = 512MB
work_mem = 4MB
maintenance_work_mem = 64MB
wal_buffers = 4MB
max_wal_size = 1GB
min_wal_size = 128MB
wal_compression = on
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 0
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_insert_scale_factor = 0.05
restart_after_crash = on
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u %a '
log_checkpoints = off
log_autovacuum_min_duration = -1
log_lock_waits = on
log_error_verbosity = terse
log_min_error_statement = panic
SETTINGS
    mv "$data/selorax.conf.new" "$data/selorax.conf"
}

sql() {
    "$bin/psql" --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 \
        --host="$run" --port="$port" --username=postgres "$@"
}

stop() {
    [ -z "$started" ] || "$bin/pg_ctl" stop --pgdata="$data" --mode=fast --silent >/dev/null || true
}

# A server that already runs on this cluster is used as it is; one that is still recovering (1) is waited for.
start() {
    answer=1
    while [ $answer = 1 ]; do
        answer=0
        "$bin/pg_isready" --quiet --host="$run" --port="$port" || answer=$?
        [ $answer != 0 ] || return 0
        [ $answer != 1 ] || sleep 0.2
    done
    started=yes
    trap stop EXIT
    trap 'exit 1' HUP INT TERM
    "$bin/pg_ctl" start --pgdata="$data" --wait --timeout=60 --silent --log="$home/log/postgres.log" \
        --options="-k '$run' -p $port" >/dev/null ||
        fail "PostgreSQL did not start: $(tail -n 3 "$home/log/postgres.log")"
}

init() {
    [ "$(id -u)" != 0 ] || fail "PostgreSQL refuses to run as root; run this as another user"
    mkdir -p "$run" "$home/log"
    chmod 0700 "$run"
    find_bin
    [ -e "$data/PG_VERSION" ] || make_cluster
    write_settings

    # Starting a server takes a second; without a change in the roles there is nothing to start it for.
    roles=$(sha256sum <"$here/roles.sql")
    [ "$(cat "$data/selorax.roles" 2>/dev/null)" != "$roles" ] || return 0
    start
    [ -n "$(sql --dbname=postgres --command="select 1 from pg_database where datname = 'selorax'")" ] ||
        sql --dbname=postgres --command="create database selorax"
    sql --dbname=postgres --command="revoke connect on database postgres, template1 from public"
    sql --dbname=selorax --file="$here/roles.sql"
    echo "$roles" >"$data/selorax.roles"
}

case ${1:-} in
init) init ;;
*) fail "usage: cluster.sh init" ;;
esac
