#!/bin/sh
# compose-secrets.sh - run once by compose.yaml: makes the keys and passwords of a new installation and gives each service
# only its own. Each folder under /all is one service's /secrets volume. Does nothing when they are there.
set -eu
umask 077
services="auth store-data"
[ ! -e /all/gateway/gateway.secret ] || exit 0

keys=$(mktemp -d)
sxctl keys "$keys"
od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$keys/master.key"

mkdir -p /all/postgres
for service in gateway operator $services; do
    mkdir -p "/all/$service"
    cp "$keys"/*.public "$keys/$service.secret" "/all/$service/"
done
for service in $services; do
    role=$(printf %s "$service" | tr - _)
    cp "$keys/master.key" "/all/$service/"
    od -An -tx1 -N24 /dev/urandom | tr -d ' \n' >"/all/$service/database.password"
    od -An -tx1 -N24 /dev/urandom | tr -d ' \n' >"/all/$service/database_owner.password"
    cp "/all/$service/database.password" "/all/postgres/$role.password"
    cp "/all/$service/database_owner.password" "/all/postgres/${role}_owner.password"
done
chown -R 10001:10001 /all/gateway /all/operator
for service in $services; do chown -R 10001:10001 "/all/$service"; done
# Read by whatever user PostgreSQL runs as, in a volume nobody else mounts.
chmod -R a+rX /all/postgres
rm -r "$keys"
