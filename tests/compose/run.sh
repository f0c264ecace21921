#!/bin/sh
# run.sh - `make test-compose`: brings compose.yaml up on the Docker engine that answers, runs the curl commands of the
# README, scales store-data to three and shows that all three answer. Says `not run` where there is no engine.
set -eu
cd "$(dirname "$0")/../.."

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose -p selorax-test "$@"; }
elif command -v docker-compose >/dev/null; then
    compose() { docker-compose -p selorax-test "$@"; }
else
    echo "not run: no docker compose here"
    exit 0
fi
docker info >/dev/null 2>&1 || { echo "not run: no Docker engine answers"; exit 0; }

export SX_PORT="${SX_PORT:-18081}"
passed=0
failed=0
check() {                               # check NAME COMMAND...
    name=$1
    shift
    if "$@"; then passed=$((passed + 1)); echo "ok   $name"; else failed=$((failed + 1)); echo "FAIL $name"; fi
}
finish() {
    [ $failed = 0 ] || compose logs --tail 40 || true
    compose down -v --remove-orphans >/dev/null 2>&1 || true
}
trap finish EXIT

compose build
compose up -d
url=http://127.0.0.1:$SX_PORT
i=0
until curl -fsS -o /dev/null --max-time 2 "$url/readyz" 2>/dev/null; do
    i=$((i + 1))
    [ $i -lt 120 ] || { echo "not ready after two minutes"; failed=1; exit 1; }
    sleep 1
done
i=0
until compose run --rm --no-deps demo cat /secrets/demo.json >/tmp/sx-compose-demo.$$ 2>/dev/null && [ -s /tmp/sx-compose-demo.$$ ]; do
    i=$((i + 1))
    [ $i -lt 60 ] || { echo "no demo data after a minute"; failed=1; exit 1; }
    sleep 1
done
value() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" /tmp/sx-compose-demo.$$ | head -n 1; }
token=$(value access_token) client_id=$(value client_id) client_secret=$(value client_secret) store_id=$(value store_id)
rm -f /tmp/sx-compose-demo.$$

status_is() { [ "$(curl -s -o /dev/null --max-time 10 -w '%{http_code}' "$@")" = 200 ]; }
check "orders by token" status_is -H "Authorization: Bearer $token" "$url/api/apps/v1/orders?limit=2"
check "products by client credentials" status_is -H "X-Client-Id: $client_id" -H "X-Client-Secret: $client_secret" \
    -H "X-Store-Id: $store_id" "$url/api/apps/v1/products?limit=2"
check "store" status_is -H "Authorization: Bearer $token" "$url/api/apps/v1/store"

compose up -d --scale store-data=3 --no-recreate
sleep 5
i=0
while [ $i -lt 600 ]; do
    seq 8 | xargs -P 8 -I{} curl -s -o /dev/null --max-time 10 -H "Authorization: Bearer $token" "$url/api/apps/v1/orders?limit=2"
    i=$((i + 8))
done
# Each replica counts the calls it handled; sxctl asks them all.
counts=$(compose run --rm --no-deps demo sxctl who --calls store-data)
echo "$counts"
check "three replicas answered" test "$(printf '%s\n' "$counts" | awk '$1 == "store-data" && $3 > 0' | wc -l)" -ge 3

echo "$passed passed, $failed failed"
[ $failed = 0 ]
