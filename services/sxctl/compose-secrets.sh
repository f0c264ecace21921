#!/bin/sh
# compose-secrets.sh - run by compose.yaml before everything else: makes the keys and passwords that are missing, and gives
# each service its own and no others. /all/vault has all of them; each other folder in /all is one service's /secrets.
set -eu
umask 077
vault=/all/vault
services=$(ls /all | grep -vx -e vault -e gateway -e operator)

random() {                              # random FILE BYTES
    [ ! -s "$vault/$1" ] || return 0
    od -An -v -tx1 -N"$2" /dev/urandom | tr -d ' \n' >"$vault/.new"
    mv "$vault/.new" "$vault/$1"
}
give() {                                # give FOLDER MODE FILE [NAME]
    install -o 10001 -g 10001 -m "$2" "$vault/$3" "/all/$1/.new"
    mv "/all/$1/.new" "/all/$1/${4:-$3}"
}

chmod 0700 "$vault"
sxctl keys "$vault" >/dev/null
random master.key 32
for name in gateway operator $services; do
    give "$name" 0400 "$name.secret"
    for key in "$vault"/*.public; do give "$name" 0444 "$(basename "$key")"; done
    chown 10001:10001 "/all/$name"
done
for name in $services; do
    role=$(printf %s "$name" | tr - _)
    random "$role.password" 24
    random "${role}_owner.password" 24
    give "$name" 0400 master.key
    give "$name" 0400 "$role.password" database.password
    give "$name" 0400 "${role}_owner.password" database_owner.password
done
