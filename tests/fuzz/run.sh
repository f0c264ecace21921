#!/bin/sh
# run.sh SECONDS - runs every fuzz target for that long, two at a time. New inputs go to build/fuzz/corpus, not into the
# repository; a crash leaves its input there and fails.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
status=0
for target in build/fuzz/bin/fuzz_*; do
    name=$(basename "$target" | sed s/^fuzz_//)
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/crashes"
    echo "== fuzz $name: $seconds s"
    seeds=tests/fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=
    if ! "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -jobs=2 -workers=2 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$name-" "build/fuzz/corpus/$name" $seeds >"build/fuzz/$name.log" 2>&1; then
        status=1
        tail -n 40 "build/fuzz/$name.log" fuzz-*.log
    fi
    cat fuzz-*.log 2>/dev/null | sed -n 's/^stat::number_of_executed_units: */   executions: /p'
    rm -f fuzz-*.log
done
[ $status = 0 ] && echo "no crash" || echo "crashes: see build/fuzz/crashes" >&2
exit $status
