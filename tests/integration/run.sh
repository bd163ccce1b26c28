#!/usr/bin/env bash
# Runs the tests with real processes: every test_*.sh here, two at a time, each in a directory and on ports
# of its own. Prints a line for each, the whole output of those that fail, and a closing count.
#
#   tests/integration/run.sh BUILD_DIR [NAME]      NAME: one test, e.g. test_lock
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: run.sh BUILD_DIR [NAME]}" && pwd)
only=${2:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/coord-tests.XXXXXX")
trap 'rm -rf "$work"' EXIT

one() {
    local name=$1 start end status
    start=$(date +%s%N)
    if BUILD=$build WORK=$work/$name timeout -k 10 240 bash "$here/$name.sh" >"$work/$name.out" 2>&1; then
        end=$(date +%s%N)
        printf 'ok   %-28s %5d ms\n' "$name" $(((end - start) / 1000000))
        : >"$work/$name.passed"
    else
        status=$?
        if [ $status = 77 ]; then
            printf 'skip %-28s %s\n' "$name" "$(grep -m 1 '^SKIPPED' "$work/$name.out")"
            : >"$work/$name.skipped"
            return
        fi
        printf 'FAIL %s (exit %d)\n%s\n' "$name" $status "$(tail -n 60 "$work/$name.out")"
    fi
}

total=0
for t in "$here"/test_*.sh; do
    name=$(basename "$t" .sh)
    [ -z "$only" ] || [ "$name" = "$only" ] || continue
    total=$((total + 1))
    while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do wait -n; done
    one "$name" &
done
wait
passed=$(find "$work" -maxdepth 1 -name '*.passed' | wc -l)
skipped=$(find "$work" -maxdepth 1 -name '*.skipped' | wc -l)
printf 'integration: %d passed, %d skipped, %d failed\n' "$passed" "$skipped" $((total - passed - skipped))
[ "$total" -gt 0 ] && [ $((passed + skipped)) -eq "$total" ]
