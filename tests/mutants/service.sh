#!/usr/bin/env bash
# Switches each known bug of the servers on (server/mutant.h) and asks the simulation of whole members whether
# it notices. Called by make:
#   service.sh quick BUILD [N...]   each bug (or those named) must be found within the seeds that its row of
#                                   tests/mutants/README.md states, from 1 on: a minute or two
#   service.sh measure BUILD [N...] finds the first seed of each within 2,000 (SEEDS=) and writes the rows anew
# BUILD is a build with VARIANT=mutants. A seed counts when it fails with the bug and passes without.
# Exit code 1 when a bug is not found.
set -euo pipefail
cd "$(dirname "$0")/../.."
mode=$1 build=$2
shift 2
most=${SEEDS:-2000}
page=tests/mutants/README.md
work=$(mktemp -d "${TMPDIR:-/tmp}/coord-mutants.XXXXXX")
trap 'rm -rf "$work"' EXIT
table=$work/table # n TAB what
awk -F '  +' '/^ \* +[0-9]+  / {sub(/^ \* */, ""); print $1 "\t" $3}' server/mutant.h >"$table"

# The table names what is in the sources, and nothing else.
grep -rhoE 'SERVER_BUG\([0-9]+\)' server --include='*.c' | tr -dc '0-9\n' | sort -u >"$work/used"
if ! cut -f 1 "$table" | sort -u | diff "$work/used" - >"$work/diff"; then
    echo "mutants: < in the sources, > in the table of server/mutant.h:" && cat "$work/diff"
    exit 1
fi
if [ -e build/release/libcoord-server.a ] && nm build/release/libcoord-server.a 2>"$work/nm" | grep server__mutant; then
    echo "mutants: the release library knows of them"
    exit 1
fi

# The first seed of 1 .. $2 at which the simulation finds bug $1 and passes without it, and what it says.
# Prints `seed TAB words`; nothing when there is none.
find_seed() {
    local from=1 line seed
    while [ "$from" -le "$2" ]; do
        # The pipe ends with the first finding, and the simulation with it.
        line=$(SERVER_MUTANT=$1 timeout 900 "$build/sim-service" --seed "$from" --count $(($2 + 1 - from)) --jobs 1 \
            --seeds /dev/null 2>&1 | sed -nE '/seed [0-9]+ (FAILED|ended)/{s/.*seed ([0-9]+) (FAILED( at [0-9.]+ s)?:|ended) ?/\1\t/p;q}' || true)
        [ -n "$line" ] || return 0
        seed=${line%%$'\t'*}
        if SERVER_MUTANT=0 "$build/sim-service" --seed "$seed" --seeds /dev/null >"$work/good.$1" 2>&1; then
            printf '%s\n' "$line"
            return 0
        fi
        from=$((seed + 1))
    done
}

# What the row of bug $1 allows: the bound stands in its third column.
bound_of() {
    awk -F ' *[|] *' -v n="s$1" '$2 == n {print $5}' "$page"
}

one() {
    local n=$1 what=$2 limit=$most line
    [ "$mode" = measure ] || limit=$(bound_of "$n")
    if [ -z "$limit" ] || [ "$limit" = "-" ]; then
        printf '%2d  %-72s %s\n' "$n" "$what" "not looked for: see its row"
        return
    fi
    line=$(find_seed "$n" "$limit")
    if [ -z "$line" ]; then
        printf '%2d  %-72s NOT FOUND within %s seeds\n' "$n" "$what" "$limit"
        : >"$work/missed.$n"
        return
    fi
    printf '%s\n' "$line" >"$work/found.$n"
    printf '%2d  %-72s seed %s: %.60s\n' "$n" "$what" "${line%%$'\t'*}" "${line#*$'\t'}"
}

jobs_max=${JOBS:-$(nproc)}
while IFS=$'\t' read -r n what <&3; do
    if [ $# -gt 0 ] && [[ " $* " != *" $n "* ]]; then
        continue
    fi
    while [ "$(jobs -rp | wc -l)" -ge "$jobs_max" ]; do wait -n; done
    one "$n" "$what" &
done 3<"$table"
wait

# A row: what, what finds it, the seed, and a bound that leaves room for the next change of the simulation.
if [ "$mode" = measure ]; then
    while IFS=$'\t' read -r n what <&3; do
        if [ -e "$work/found.$n" ]; then
            IFS=$'\t' read -r seed words <"$work/found.$n"
            bound=$((seed * 4 < 60 ? 60 : seed * 4 > most ? most : seed * 4))
            printf '| s%s | %s | %s | %s | %s |\n' "$n" "$what" "$seed" "$bound" "$(cut -c 1-90 <<<"${words//|//}")"
        elif [ -e "$work/missed.$n" ]; then
            printf '| s%s | %s | not within %s | - | |\n' "$n" "$what" "$most"
        else
            grep -E "^\| s$n \|" "$page" || true
        fi
    done 3<"$table" >"$work/rows"
    awk -v rows="$work/rows" '
        /^\| s[0-9]+ \|/ { if (!done) { while ((getline line < rows) > 0) print line; done = 1 }; next }
        { print }' "$page" >"$work/page"
    cp "$work/page" "$page"
fi
if ls "$work"/missed.* >"$work/ls" 2>&1; then
    exit 1
fi
echo "mutants: every bug of the servers that was looked for was found"
