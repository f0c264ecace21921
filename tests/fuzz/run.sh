#!/bin/sh
# run.sh SECONDS - runs every fuzz target for that long, two at a time. New inputs go to build/fuzz/corpus, not into the
# repository; a crash leaves its input in build/fuzz/crashes and fails.
set -eu
cd "$(dirname "$0")/../.."
export seconds="${1:-60}"
mkdir -p build/fuzz/crashes

one() {
    name=$(basename "$1" | sed s/^fuzz_//)
    seeds=tests/fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=
    mkdir -p "build/fuzz/corpus/$name"
    if "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$name-" "build/fuzz/corpus/$name" $seeds >"build/fuzz/$name.log" 2>&1; then
        echo "ok   $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") runs in $seconds s"
    else
        echo "FAIL $name: see build/fuzz/$name.log"
        tail -n 30 "build/fuzz/$name.log"
        return 1
    fi
}

if [ "${2:-}" = one ]; then
    one "$3"
else
    ls build/fuzz/bin/fuzz_* | xargs -P 2 -n 1 "$0" "$seconds" one
fi
