#!/usr/bin/env bash
# The story of CP, step by step: five acts on an ensemble of its own, each checked. Exit code 0 only when
# every step showed what CP promises.
#
#   scripts/demo-minority.sh [--members 3|5]
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

ENSEMBLE_SIZE=3
ENSEMBLE_DETACH=1
while [ $# -gt 0 ]; do
    case "$1" in
    --members)
        ENSEMBLE_SIZE=${2:-}
        case "$ENSEMBLE_SIZE" in 3 | 5) ;; *) die "--members: 3 or 5" ;; esac
        shift
        ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) die "unknown argument '$1' (try --help)" ;;
    esac
    shift
done
[ -x "$COORDD" ] && [ -x "$COORDCTL" ] || { packages_install $PACKAGES_BUILD && make -s -j"$(nproc)" all; }

ENSEMBLE=$(mktemp -d "${TMPDIR:-/tmp}/coord-demo.XXXXXX")
ENSEMBLE_PORT=$(port_base "$ENSEMBLE_SIZE")
trap 'ensemble_kill; rm -rf "$ENSEMBLE"' EXIT

wrong() {
    printf '\nNOT WHAT CP PROMISES: %s\n' "$*" >&2
    tail -n 3 "$ENSEMBLE"/member-*.log >&2
    exit 1
}
say() { printf '\n%s\n' "$*"; }

# at N EXIT ARGS...: coordctl at member N must end with EXIT; OUT and TOOK (ms) tell what it said.
at() {
    local n=$1 want=$2 start got=0
    shift 2
    printf '  member %s $ coordctl %s\n' "$n" "$*"
    start=$(now_ms)
    OUT=$("$COORDCTL" -s "$(client_address "$n")" "$@" 2>&1) || got=$?
    TOOK=$(($(now_ms) - start))
    printf '%s\n' "$OUT" | sed 's/^/      /'
    printf '      (exit %s after %s ms)\n' "$got" "$TOOK"
    [ "$got" = "$want" ] || wrong "exit code $got instead of $want"
}

# join IDS...: with commas
join() { local IFS=,; echo "$*"; }

say "Act 1. $ENSEMBLE_SIZE members agree."
ensemble_configure "lab: true"
ensemble_start || wrong "the ensemble did not come up"
leader=$(leader_id)
minority=("$leader")
majority=()
for i in $(seq "$ENSEMBLE_SIZE"); do
    [ "$i" = "$leader" ] && continue
    if [ "${#minority[@]}" -lt $((ENSEMBLE_SIZE / 2)) ]; then minority+=("$i"); else majority+=("$i"); fi
done
at "$leader" 0 create /account "100"
at "${majority[0]}" 0 get /account
[ "$OUT" = 100 ] || wrong "a read after the write returned '$OUT'"

say "Act 2. The network is cut: member(s) $(join "${minority[@]}"), the leader among them | members $(join "${majority[@]}")."
"$COORDCTL" -s "$(all_addresses)" partition "$(join "${minority[@]}") / $(join "${majority[@]}")" ||
    wrong "the partition was refused"

say "Act 3. The minority refuses, quickly and in words."
for n in "${minority[@]}"; do
    at "$n" 5 set /account "90"
    [ "$TOOK" -le 2000 ] || wrong "the refusal took $TOOK ms"
    grep -q "need" <<<"$OUT" || wrong "the refusal does not say how many members are needed"
    at "$n" 5 get /account
    [ "$TOOK" -le 2000 ] || wrong "the refusal took $TOOK ms"
    at "$n" 0 --consistency local get /account
    grep -q '^100' <<<"$OUT" || wrong "the local read returned '$OUT'"
done

say "Act 4. The majority goes on: it elects a leader and writes."
quorum_leads() { "$COORDCTL" -s "$(client_address "${majority[0]}")" --timeout 1s sync; }
wait_until 5 "the majority has a leader" quorum_leads || wrong "the majority did not elect"
at "${majority[0]}" 0 set /account "80"
at "${majority[1]}" 0 get /account
[ "$OUT" = 80 ] || wrong "the majority's other member returned '$OUT'"
at "${minority[0]}" 5 get /account
say "        The minority's local copy is old now, and says so:"
at "${minority[0]}" 0 --consistency local get /account
grep -q '^100' <<<"$OUT" || wrong "the minority learnt '$OUT' through a cut network"

say "Act 5. The network heals: nothing to reconcile, nothing lost."
"$COORDCTL" -s "$(all_addresses)" partition heal || wrong "the heal was refused"
wait_until 10 "every member follows" ensemble_ready || wrong "the ensemble did not heal"
for n in $(seq "$ENSEMBLE_SIZE"); do
    at "$n" 0 get /account
    [ "$OUT" = 80 ] || wrong "member $n returned '$OUT'"
done
say "Every step was what CP promises: consistency was chosen, and the side without a majority said no."
