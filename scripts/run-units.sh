#!/usr/bin/env bash
# Runs the given Check programs one after another; prints one line for each, the whole output of
# those that fail, and a closing count. Exit code 1 if any failed or none was given.
set -u
passed=0 failed=0
for t in "$@"; do
    out=$("$t" 2>&1)
    if [ $? -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok   %-28s %s\n' "$(basename "$t")" "$(printf '%s\n' "$out" | grep -E '^[0-9]+%' | tail -n 1)"
    else
        failed=$((failed + 1))
        printf 'FAIL %s\n%s\n' "$(basename "$t")" "$out"
    fi
done
printf 'unit programs: %d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
