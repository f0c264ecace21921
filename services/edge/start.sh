#!/bin/sh
# start.sh - runs nginx in front of all gateways that the name in SX_EDGE_GATEWAYS has at the moment, and makes a
# self-signed certificate where there is none. A certificate that is replaced in /tls is taken within seconds.
set -eu
umask 077
home=/var/lib/edge

if [ ! -e /tls/edge.crt ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=${SX_EDGE_NAME:-localhost}" \
        -addext "subjectAltName=DNS:${SX_EDGE_NAME:-localhost},DNS:localhost,IP:127.0.0.1" \
        -keyout /tls/edge.key -out /tls/edge.new 2>/dev/null
    mv /tls/edge.new /tls/edge.crt
fi

# nginx asks DNS at its start only, so this script asks for it; it is told when the answer has changed.
gateways() {
    getent ahostsv4 "$SX_EDGE_GATEWAYS" | sed -n 's/^\([0-9.]*\) *STREAM.*/server \1:8080 max_fails=1 fail_timeout=1s;/p' | sort -u
}
until gateways >"$home/gateways.conf" && [ -s "$home/gateways.conf" ]; do sleep 1; done
certificate() { cksum /tls/edge.crt /tls/edge.key; }
known=$(certificate)

nginx -c /etc/edge/nginx.conf -e stderr -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT $nginx; wait $nginx; exit 0' TERM INT
while kill -0 $nginx 2>/dev/null; do
    sleep 1 &
    wait $!
    gateways >"$home/gateways.new" || true
    now=$(certificate) || continue
    if [ "$now" != "$known" ] || { [ -s "$home/gateways.new" ] && ! cmp -s "$home/gateways.new" "$home/gateways.conf"; }; then
        [ ! -s "$home/gateways.new" ] || mv "$home/gateways.new" "$home/gateways.conf"
        known=$now
        kill -HUP $nginx
    fi
done
exit 1
