#!/usr/bin/env bash
# Runs libFuzzer over the targets built in BUILD. Called by make:
#   run.sh search BUILD SECONDS [NAME]   SECONDS of searching in each target, or in NAME
#   run.sh keep BUILD NAME               put into the corpus what reaches code that it did not reach
# What a search finds on its way stays in BUILD/fuzz-found/NAME, and the next search goes on from there. A finding
# is written to BUILD/fuzz-found/NAME.crash-*; repeat it with: BUILD/fuzz/NAME FILE
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=$1 build=$2
shift 2

common=(-timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0)

search() { # NAME SECONDS
    local name=$1 found=$build/fuzz-found/$1 args=("${common[@]}") log
    mkdir -p "$found" "tests/fuzz/corpus/$name"
    log=$found.log
    [ ! -e "tests/fuzz/$name.dict" ] || args+=("-dict=tests/fuzz/$name.dict")
    [ ! -e "tests/fuzz/$name.options" ] || mapfile -t -O ${#args[@]} args <"tests/fuzz/$name.options"
    echo "fuzz: $name for $2 s"
    if ! "$build/fuzz/$name" "${args[@]}" -max_total_time="$2" -artifact_prefix="$found." \
        "$found" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        tail -n 60 "$log"
        echo "fuzz: $name: FOUND something, see $log"
        return 1
    fi
    awk -F': *' '/number_of_executed_units/ {print "fuzz: '"$name"': " $NF " inputs, no finding"}' "$log"
}

keep() { # NAME
    local name=$1
    # By edges alone, not by how often each is passed: tens of files, not hundreds.
    "$build/fuzz/$name" "${common[@]}" -set_cover_merge=1 -use_counters=0 "tests/fuzz/corpus/$name" "$build/fuzz-found/$name" 2>&1 | grep -E 'MERGE-OUTER.*new' || true
    du -sh --apparent-size "tests/fuzz/corpus/$name"
}

case $mode in
search)
    seconds=$1
    if [ $# -gt 1 ]; then
        search "$2" "$seconds"
    else
        failed=0
        for t in tests/fuzz/fuzz_*.c; do
            t=${t#tests/fuzz/fuzz_}
            search "${t%.c}" "$seconds" || failed=1
        done
        exit $failed
    fi
    ;;
keep) keep "$1" ;;
*)
    echo "run.sh: what is $mode?" >&2
    exit 2
    ;;
esac
