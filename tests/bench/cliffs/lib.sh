# shellcheck shell=bash
# Sourced by the measurements of this folder: an ensemble of their own that is gone at the end, CPU of its
# members, medians and ratios. BUILD names the build, BENCH_DIR where data goes (default: a directory of its own
# in TMPDIR).

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/lib.sh"

BENCH_WORK=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/coord-bench.XXXXXX")
ENSEMBLE=$BENCH_WORK/ensemble
ENSEMBLE_DETACH=1
PROCESSES=""

bench_cleanup() {
    local pid
    trap - EXIT
    for pid in $PROCESSES; do kill "$pid" 2>/dev/null || true; done
    [ -z "${ENSEMBLE_SIZE:-}" ] || ensemble_kill 2>/dev/null || true
    rm -rf "$BENCH_WORK"
}
trap bench_cleanup EXIT
trap 'exit 130' INT TERM

# usage SCRIPT: the comment at its head.
usage() { sed -n '2,/^\. /{/^\. /d;s/^# \{0,1\}//p}' "$1"; }

# whole NAME...: do these variables hold whole numbers above 0?
whole() {
    local name
    for name in "$@"; do
        case "${!name}" in 0 | '' | *[!0-9]*) die "$name needs a whole number above 0, not '${!name}'" ;; esac
    done
}

# known KIND "NAME..." WORD...: is each word one of the names?
known() {
    local kind=$1 names=$2 word
    shift 2
    for word in "$@"; do
        case " $names " in *" $word "*) ;; *) die "there is no $kind '$word': $names" ;; esac
    done
}

# bench_start SIZE [LINE...]: a fresh ensemble, waited for.
bench_start() {
    [ -z "${ENSEMBLE_SIZE:-}" ] || ensemble_kill
    rm -rf "$ENSEMBLE"
    ENSEMBLE_SIZE=$1
    shift
    ENSEMBLE_PORT=$(port_base "$ENSEMBLE_SIZE")
    ensemble_configure "$@"
    ensemble_start || die "the ensemble did not start"
}

# background COMMAND...: run it, remember it; LAST_PID is its pid.
background() {
    "$@" &
    LAST_PID=$!
    PROCESSES="$PROCESSES $LAST_PID"
}

# bench_background FILE ARGS...: coordctl bench on all members, JSON to FILE, beside what follows.
bench_background() {
    local file=$1
    shift
    "$COORDCTL" -s "$(all_addresses)" -o json bench "$@" >"$file" 2>&1 &
    LAST_PID=$!
    PROCESSES="$PROCESSES $LAST_PID"
}

# bench ARGS...: the same, waited for, on standard output.
bench() { "$COORDCTL" -s "$(all_addresses)" -o json bench "$@"; }

# fill NODES: that many nodes of 100 bytes, for the loads that follow. Again if it fails: on a busy machine there may be an
# election meanwhile.
fill() { wait_until 60 "$1 nodes are made" fill_once "$1" || die "the nodes could not be made: $(cat "$BENCH_WORK/fill")"; }
fill_once() { bench --op get --wire --keys "$1" --warmup 0 --ops 1 --conns 1 >"$BENCH_WORK/fill" 2>&1; }

# cpu_ticks: clock ticks that all living members have used.
cpu_ticks() {
    local i pid sum=0 ticks
    for i in $(seq "$ENSEMBLE_SIZE"); do
        pid=$(member_pid "$i") || continue
        ticks=$(sed 's/.*) //' "/proc/$pid/stat" | awk '{print $12 + $13}')
        sum=$((sum + ticks))
    done
    echo "$sum"
}

# resident_mib N: of member N.
resident_mib() { awk '/^VmRSS:/ {print int($2 / 1024)}' "/proc/$(member_pid "$1")/status"; }

# number EXPRESSION...: by awk, e.g. number "3 / 4" %.2f
number() { awk "BEGIN {printf \"${2:-%.1f}\", $1}"; }

# median: of the numbers on standard input, one a line.
median() { sort -g | awk '{v[NR] = $1} END {if (NR) print (NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2)}'; }

followers() {
    local i leader
    leader=$(leader_id)
    for i in $(seq "$ENSEMBLE_SIZE"); do [ "$i" = "$leader" ] || echo "$i"; done
}
