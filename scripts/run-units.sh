#!/usr/bin/env bash
# Runs the given Check programs, as many at a time as there are cores; prints one line for each, the whole
# output of those that fail, and a closing count. Exit code 1 if any failed or none was given.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/coord-units.XXXXXX")
trap 'rm -rf "$work"' EXIT

one() {
    local name out
    name=$(basename "$1")
    if out=$("$1" 2>&1); then
        : >"$work/$name.passed"
        printf 'ok   %-28s %s\n' "$name" "$(grep -E '^[0-9]+%' <<<"$out" | tail -n 1)"
    else
        printf 'FAIL %s\n%s\n' "$name" "$out"
    fi
}

for t in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    one "$t" &
done
wait
passed=$(find "$work" -name '*.passed' | wc -l)
printf 'unit programs: %d passed, %d failed\n' "$passed" $(($# - passed))
[ "$passed" -eq $# ] && [ "$passed" -gt 0 ]
