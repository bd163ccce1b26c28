#!/usr/bin/env bash
# Switches each known bug on (raft/mutant.h) and asks the tests whether they notice. Called by make:
#   run.sh scripts BUILD   each scenario must pass, and fail in its meaning when its bug is there: seconds
#   run.sh measure BUILD   also how many seeds the simulator needs for each bug, and what finds those that no
#                          scenario is named after; writes the table of tests/mutants/README.md anew: minutes
# BUILD is a build with VARIANT=mutants. Exit code 1 unless every scenario caught its bug, and (measure) every
# further bug is caught by something.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=$1 build=$2
seeds=2000
work=$(mktemp -d "${TMPDIR:-/tmp}/coord-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
table=$work/table # n TAB what
awk -F '  +' '/^ \* +[0-9]+  / {sub(/^ \* */, ""); print $1 "\t" $3}' raft/mutant.h >"$table"

# The scenario of bug $1 must pass without it and, with it, fail by an expectation or an invariant (1), not
# only by other output (3), nor because it makes no sense any more (2). Prints the verdict.
script() {
    local file out status=0 normal=0
    file=$(printf 'tests/script/sc_%02d_' "$1")
    file=$(ls "$file"*.txt 2>"$work/ls") || { echo "NO SCRIPT"; return 1; }
    RAFT_MUTANT=0 timeout 60 "$build/script" "$file" >"$work/normal" 2>&1 || normal=$?
    if [ $normal != 0 ]; then
        echo "FAILS WITHOUT THE BUG: $(head -n 1 "$work/normal")"
        return 1
    fi
    out=$(RAFT_MUTANT=$1 timeout 60 "$build/script" --meaning "$file" 2>&1) || status=$?
    if [ $status != 1 ]; then
        echo "NOT CAUGHT (exit code $status)"
        return 1
    fi
    head -n 1 <<<"$out" | sed -E 's|^tests/script/(sc_[0-9]+)[a-z_0-9]*\.txt:|\1:|
        s/^(sc_[0-9]+): the process ended .*/\1: an assertion of the core ended the process/; s/^(.{90}).+/\1.../'
}

# The first seed of 1 .. 2000 at which the simulator finds bug $1, and passes without it.
seed() {
    local from=1 found
    while [ $from -le $seeds ]; do
        # The pipe ends with the first finding, and the simulator with it.
        found=$(RAFT_MUTANT=$1 timeout 900 "$build/sim" --seed $from --count $((seeds + 1 - from)) --jobs 1 \
            --seeds /dev/null 2>&1 | sed -nE '/seed [0-9]+ (FAILED|ended)/{s/.*seed ([0-9]+) .*/\1/p;q}' || true)
        [ -n "$found" ] || break
        if RAFT_MUTANT=0 "$build/sim" --seed "$found" >/dev/null 2>&1; then
            echo "$found"
            return
        fi
        from=$((found + 1))
    done
    echo "not within $seeds"
}

# The scenarios that find bug $1, which has none of its own.
scenarios() {
    local file found=() status
    for file in tests/script/sc_*.txt; do
        status=0
        RAFT_MUTANT=$1 timeout 60 "$build/script" --meaning "$file" >"$work/scenario.$1" 2>&1 || status=$?
        [ $status != 1 ] || found+=("$(basename "$file" | cut -c 1-5)")
    done
    if [ ${#found[@]} -gt 6 ]; then
        echo "${found[*]:0:3} and $((${#found[@]} - 3)) more"
    else
        printf '%s\n' "${found[*]:-none}"
    fi
}

# The unit tests that find bug $1.
units() {
    local u found=()
    for u in "$build"/unit/test_{wal,raft,snap}*; do
        case $u in *.[a-z]) continue ;; esac
        RAFT_MUTANT=$1 timeout 120 "$u" >"$work/unit.$1" 2>&1 || found+=("$(basename "$u")")
    done
    printf '%s\n' "${found[*]:-none}"
}

# The table names what is in the sources, and nothing else.
grep -rhoE 'RAFT_BUG\([0-9]+\)' raft tests/sim --include='*.c' --include='*.h' | tr -dc '0-9\n' | sort -u >"$work/used"
if ! cut -f 1 "$table" | sort | diff "$work/used" - >"$work/diff"; then
    echo "mutants: < in the sources, > in the table of raft/mutant.h:" && cat "$work/diff"
    exit 1
fi
if [ -e build/release/libcoord-raft.a ] && nm build/release/libcoord-raft.a 2>"$work/nm" | grep raft__mutant; then
    echo "mutants: the release library knows of them"
    exit 1
fi

caught=0 missed=0
while IFS=$'\t' read -r n what <&3; do
    [ "$n" -le 38 ] || continue
    if verdict=$(script "$n"); then
        caught=$((caught + 1))
    fi
    printf '%2d  %-88s %s\n' "$n" "$what" "$verdict"
    printf '%s\n' "$verdict" >"$work/script.$n"
done 3<"$table"
echo "mutants: $caught of 38 caught by their scripts"
[ $caught = 38 ] || missed=1

if [ "$mode" = measure ]; then
    while IFS=$'\t' read -r n what <&3; do
        while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
        {
            seed "$n" >"$work/seed.$n"
            [ -e "$work/script.$n" ] || scenarios "$n" >"$work/script.$n"
            if [ "$(cat "$work/script.$n" "$work/seed.$n" | tr '\n' ' ')" = "none not within $seeds " ]; then
                units "$n" >"$work/script.$n"
            fi
            echo "measured $n: $(cat "$work/script.$n"); seed: $(cat "$work/seed.$n")"
        } &
    done 3<"$table"
    wait
    {
        sed '/^| n |/,$d' tests/mutants/README.md
        echo '| n | what is broken | scenario, or else unit test | simulator: first seed |'
        echo '|---|---|---|---|'
        while IFS=$'\t' read -r n what <&3; do
            verdict=$(tr '|' '/' <"$work/script.$n")
            echo "| $n | $what | $verdict | $(cat "$work/seed.$n") |"
            if [ "$verdict $(cat "$work/seed.$n")" = "none not within $seeds" ]; then
                echo "mutants: nothing catches $n" >&2
                : >"$work/missed"
            fi
        done 3<"$table"
    } >"$work/readme"
    cp "$work/readme" tests/mutants/README.md
    [ ! -e "$work/missed" ] || missed=1
fi
exit $missed
