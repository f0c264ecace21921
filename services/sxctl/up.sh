#!/bin/sh
# up.sh up|down|run|as - what `make up`, `make down` and `make run` do after building.
#
# As root everything runs as the system user `selorax`, because PostgreSQL refuses root, or as whoever made $SX_HOME;
# otherwise as the caller. All state lies in $SX_HOME. `as COMMAND...` runs a command as that user with the platform's
# settings.
set -eu

here=$(cd "$(dirname "$0")/../.." && pwd)
bin=$here/build/release/bin
export SX_HOME="${SX_HOME:-$here/var}"
export SX_PORT="${SX_PORT:-8080}"
export SX_DEV="${SX_DEV:-1}"

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# The user that runs everything must be able to reach SX_HOME and the programs; a clone under /root is not reachable. Then the
# state lies under /var/lib/selorax, SX_HOME is a link to it, and the programs are copied there.
prepare_home() {
    case $SX_HOME in /*) ;; *) SX_HOME=$(pwd)/$SX_HOME ;; esac
    owner=$(stat -c %U "$SX_HOME/run" 2>/dev/null || true)
    if [ "$(id -u)" = 0 ]; then
        case $owner in "" | root | UNKNOWN) owner=selorax ;; esac
        id "$owner" >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$owner"
        as_user="setpriv --reuid $owner --regid $(id -g "$owner") --clear-groups --"
    else
        [ "${owner:-$(id -un)}" = "$(id -un)" ] || fail "$SX_HOME belongs to $owner: run this as root, or set SX_HOME to a place of your own"
        as_user=""
    fi
    if [ ! -e "$SX_HOME" ] && [ -n "$as_user" ] && ! $as_user test -x "$(dirname "$SX_HOME")"; then
        elsewhere=/var/lib/selorax/$(printf %s "$SX_HOME" | sha256sum | cut -c1-8)
        mkdir -p "$elsewhere"
        ln -s "$elsewhere" "$SX_HOME"
        say "user $owner cannot reach $SX_HOME; its content lies in $elsewhere"
    fi
    mkdir -p "$SX_HOME"
    SX_HOME=$(cd "$SX_HOME" && pwd -P)
    [ "$(printf %s "$SX_HOME" | wc -c)" -le 80 ] ||
        fail "SX_HOME is longer than 80 characters: a unix socket's path would not fit. Set SX_HOME to a shorter path: $SX_HOME"
    mkdir -p "$SX_HOME/run" "$SX_HOME/log" "$SX_HOME/secrets" "$SX_HOME/bin"
    chmod 0700 "$SX_HOME/run" "$SX_HOME/secrets"
    [ -z "$as_user" ] || chown "$owner:" "$SX_HOME" "$SX_HOME/run" "$SX_HOME/log" "$SX_HOME/secrets"
    # Copies that run are replaced by rename, never written over.
    for program in "$bin"/*; do
        [ -f "$program" ] || continue
        name=$(basename "$program")
        cmp -s "$program" "$SX_HOME/bin/$name" || { cp "$program" "$SX_HOME/bin/.$name" && mv "$SX_HOME/bin/.$name" "$SX_HOME/bin/$name"; }
    done
    cp "$here/services/postgres/cluster.sh" "$here/services/postgres/roles.sql" "$SX_HOME/bin/"
    chmod -R a+rX "$SX_HOME/bin"
    cd "$SX_HOME"
}

prepare_state() {
    if [ ! -e secrets/master.key ]; then
        (umask 077; od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >secrets/.master.key; mv secrets/.master.key secrets/master.key)
        [ -z "$as_user" ] || chown "$owner:" secrets/master.key
    fi
    [ -n "${SX_DATABASE_URL:-}" ] || $as_user sh "$SX_HOME/bin/cluster.sh" init
}

supervisor_pid() { cat "$SX_HOME/run/supervisor.lock" 2>/dev/null || true; }
supervised() { [ -e "$SX_HOME/run/supervisor.lock" ] && ! flock -n "$SX_HOME/run/supervisor.lock" true 2>/dev/null; }
# After a killed supervisor: the next one adopts it.
our_gateway_runs() { [ -e run/gateway-1.pid ] && kill -0 "$(cut -d' ' -f1 run/gateway-1.pid)" 2>/dev/null; }
ready() { curl -fsS -o /dev/null --max-time 2 "http://127.0.0.1:$SX_PORT/readyz" 2>/dev/null; }

wait_ready() {
    i=0
    until ready; do
        i=$((i + 1))
        [ $i -le 25 ] || supervised || fail "the supervisor has ended; its last words: $(tail -n 3 "$SX_HOME/log/supervisor.log")"
        [ $i -le 300 ] || fail "not ready after 60 seconds; see $SX_HOME/log/ (the last lines: $(tail -qn 1 "$SX_HOME"/log/*.log | tail -n 5))"
        [ $((i % 25)) != 0 ] || say "waiting for the platform ..."
        sleep 0.2
    done
}

# Whether a process runs a program that was replaced since. Made by the supervisor, $SX_HOME/run/NAME.pid begins with the pid.
outdated() {
    for file in run/*.pid; do
        [ "$file" != run/postgres.pid ] || continue
        case $($as_user readlink "/proc/$(cut -d' ' -f1 "$file")/exe" 2>/dev/null) in *' (deleted)') return 0 ;; esac
    done
    return 1
}

wait_renewed() {
    i=0
    while outdated; do
        i=$((i + 1))
        [ $i -le 300 ] || fail "what runs is older than what was built; see $SX_HOME/log/supervisor.log and migrate.log"
        sleep 0.1
    done
}

# Loads the demo, or renews what has ended of its tokens; a demo.json that cannot be read is no reason to stop.
load_demo() {
    $as_user "$SX_HOME/bin/sxctl" demo || [ -e demo.json ]
}

show() {
    value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" demo.json | head -n 1; }
    url=http://127.0.0.1:$SX_PORT
    cat <<TEXT

SeloraX is up at $url (state in $SX_HOME). Try:

  curl -s -H "Authorization: Bearer $(value access_token)" "$url/api/apps/v1/orders?limit=2"

  curl -s -H "X-Client-Id: $(value client_id)" -H "X-Client-Secret: $(value client_secret)" -H "X-Store-Id: $(value store_id)" "$url/api/apps/v1/products?limit=2"

  curl -s -H "Authorization: Bearer $(value access_token)" "$url/api/apps/v1/store"

Read and try the API in a browser: $url/api/docs   More credentials: $SX_HOME/demo.json   Stop: make down
The demo's developer signs in at $url/api/v1/auth/login, its merchant and its admin at $url/api/auth/login (see README.md).
TEXT
    [ "$SX_DEV" = 1 ] || [ -n "${SX_BILLING_PROVIDER:-}" ] ||
        say "With SX_DEV=$SX_DEV merchants cannot pay yet: set SX_BILLING_PROVIDER=eps and the SX_EPS_ settings (README, Money)."
}

up() {
    prepare_home
    if supervised; then
        [ "$(cat run/port 2>/dev/null)" = "$SX_PORT" ] ||
            fail "already running on port $(cat run/port); make down first, or set another SX_HOME for a second platform"
        kill -USR1 "$(supervisor_pid)"          # migrates, and restarts what runs an older binary
        wait_renewed
    else
        our_gateway_runs || ! curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$SX_PORT/" ||
            fail "something else answers on port $SX_PORT; set SX_PORT to a free one"
        prepare_state
        echo "$SX_PORT" >run/port
        setsid $as_user "$SX_HOME/bin/sxctl" supervise >>log/supervisor.log 2>&1 </dev/null &
    fi
    wait_ready
    load_demo
    show
}

run() {
    prepare_home
    ! supervised || fail "already running in the background; make down first"
    prepare_state
    echo "$SX_PORT" >run/port
    (wait_ready && load_demo && show) &
    exec $as_user "$SX_HOME/bin/sxctl" supervise --foreground
}

down() {
    prepare_home
    supervised || { say "not running"; return 0; }
    pid=$(supervisor_pid)
    kill -TERM "$pid"
    while supervised; do sleep 0.1; done
    say "stopped; the data stays in $SX_HOME"
}

case ${1:-} in
up) up ;;
down) down ;;
run) run ;;
as) prepare_home; shift; exec $as_user "$@" ;;
*) fail "usage: up.sh up|down|run|as COMMAND" ;;
esac
