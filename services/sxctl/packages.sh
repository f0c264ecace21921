#!/bin/sh
# packages.sh build|run|test|check|compose... - installs the Debian or Ubuntu packages that are missing, with apt, as root
# or through sudo. Says nothing when all are there.
set -eu

# Newer releases split the C library off.
msgpack=libmsgpack-dev
! apt-cache show libmsgpack-c-dev >/dev/null 2>&1 || msgpack=libmsgpack-c-dev

run_packages="postgresql curl ca-certificates util-linux"
build_packages="gcc libc6-dev make pkg-config ca-certificates python3 python3-markdown libzmq3-dev $msgpack libmicrohttpd-dev libxxhash-dev libpq-dev libssl-dev libyajl-dev libargon2-dev libcurl4-openssl-dev"
test_packages="python3 python3-pytest python3-pytest-xdist python3-requests python3-cryptography python3-jwt python3-psycopg2 python3-jsonschema python3-hypothesis python3-zmq python3-msgpack python3-yaml libcmocka-dev iproute2 php-cli"
# npm brings the explorer's viewer (services/gateway/explorer). Node may come from elsewhere, with an npm of its own that Debian's would contradict.
command -v node >/dev/null || build_packages="$build_packages nodejs"
command -v npm >/dev/null || build_packages="$build_packages npm"
# A browser may come from elsewhere as well. Ubuntu has it only as a snap, which a container does not take: there the browser test says
# what is missing.
browsers=$(command -v chromium-headless-shell || command -v chromium || command -v google-chrome || grep -s '^ID=ubuntu' /etc/os-release || true)
[ -n "$browsers" ] || test_packages="$test_packages chromium-headless-shell"
check_packages="clang-format-14 clang-tidy-14 cppcheck"
fuzz_packages="clang-14 libclang-rt-14-dev"
bench_packages="postgresql-contrib"

missing=""
for group in "$@"; do
    eval "wanted=\$${group}_packages"
    for package in $wanted; do
        case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in
        *"ok installed") ;;
        *) missing="$missing $package" ;;
        esac
    done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    root=""
elif command -v sudo >/dev/null; then
    root=sudo
else
    echo "these packages are missing and neither root nor sudo is at hand; ask an administrator for: apt-get install$missing" >&2
    exit 1
fi
echo "installing:$missing" >&2
# A cluster of the distribution's own is not wanted: ours is private and lies in SX_HOME.
$root mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" | $root tee /etc/postgresql-common/createcluster.conf >/dev/null
# PostgreSQL's package depends on ssl-cert, which makes a certificate in /etc/ssl/certs when it is installed and fails where
# that is read-only, as in some containers. Nothing here uses it.
if [ -d /etc/ssl/certs ] && ! $root test -w /etc/ssl/certs && [ ! -e /usr/sbin/make-ssl-cert ]; then
    $root dpkg-divert --quiet --local --rename --add /usr/sbin/make-ssl-cert
    $root ln -s /bin/true /usr/sbin/make-ssl-cert
fi
log=$(mktemp)
apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
apt update
apt install -y --no-install-recommends $missing
rm "$log"
