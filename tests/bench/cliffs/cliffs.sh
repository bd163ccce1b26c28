#!/usr/bin/env bash
# Does a disturbance make the service slower, or does it fall off a cliff? For each: writes at a fixed rate (an open
# loop, so a stall is seen by all that wait for it), disturbed and undisturbed in turn, and the ratios of the medians.
#
#   tests/bench/cliffs/cliffs.sh [ROW...]         default: all rows (--help lists them)
#   RUNS=5 SECS=3 RATE=5000 NODES=1000000         how many runs of each kind, how long, how fast, how large
#   MANY=10000                                    of row conns: how many connections
#
# A row COLLAPSES when less than 90 % of the offered writes were done in time, or when p99.9 is more than ten times
# that of the undisturbed runs plus twice the delay that the disturbance itself adds to each write. What is compared
# was measured minutes apart on the same machine; absolute figures mean nothing.
. "$(dirname "$0")/lib.sh"

RUNS=${RUNS:-3} SECS=${SECS:-3} RATE=${RATE:-5000} NODES=${NODES:-1000000} MANY=${MANY:-10000}
CONNS=64 OUTSTANDING=16
ROWS="snapshot catchup conns value1k value64k stopped killed links fsync"
case "${1:-}" in -h | --help)
    usage "$0"
    echo "rows: $ROWS"
    exit 0
    ;;
esac
whole RUNS SECS RATE NODES MANY
# shellcheck disable=SC2086
known row "$ROWS" ${*:-$ROWS}
TOOLS=$BUILD/tests/bench/cliffs
case " ${*:-$ROWS} " in *" links "* | *" fsync "*)
    [ -x "$TOOLS/delay" ] && [ -e "$TOOLS/slowsync.so" ] || die "make bench-cliffs builds what is missing"
    ;;
esac
ROOMY="limits: {connections: 18000, connections_per_address: 18000}"

# window KIND FILE ARGS...: one run; its JSON to FILE. KIND names the two sides of a row: plain, disturbed.
window() {
    local file=$1
    shift
    bench --op set --wire --warmup 0 --secs "$SECS" --rate "$RATE" --conns "$CONNS" --outstanding "$OUTSTANDING" --no-prepare "$@" >"$file" 2>"$file.err" || {
        # Refusals while a member is away are part of what is measured; a run without figures is not.
        [ -s "$file" ] || { cat "$file.err" >&2; return 1; }
    }
}

middle() { cat "$BENCH_WORK/$1".* 2>/dev/null | grep '^{' | json_get "$2" | median; }

# tell NAME ADDED_MS: the row of a table from the files plain.* and disturbed.*, which are used up.
tell() {
    local offered ops_a ops_b p_a p_b p50_a p50_b stall errors verdict=holds
    offered=$(middle disturbed rate)
    ops_a=$(middle plain ops_s) ops_b=$(middle disturbed ops_s)
    p50_a=$(middle plain p50_us) p50_b=$(middle disturbed p50_us)
    p_a=$(middle plain p999_us) p_b=$(middle disturbed p999_us)
    stall=$(middle disturbed stall_ms) errors=$(middle disturbed errors)
    awk "BEGIN {exit !($ops_b < 0.9 * $offered || $p_b > 10 * $p_a + 2000 * $2)}" && verdict=COLLAPSES
    printf '%-34s %7.0f %7.0f %6.2f   %8.1f %8.1f   %8.1f %8.1f %6.2f   %8.1f %6.0f  %s\n' "$1" "$offered" "$ops_b" \
        "$(number "$ops_b / $ops_a" %.3f)" "$(number "$p50_a / 1000" %.2f)" "$(number "$p50_b / 1000" %.2f)" \
        "$(number "$p_a / 1000" %.2f)" "$(number "$p_b / 1000" %.2f)" "$(number "$p_b / $p_a" %.2f)" "$stall" "$errors" "$verdict"
    rm -f "$BENCH_WORK"/plain.* "$BENCH_WORK"/disturbed.*
}

snapshots_taken() {
    local i sum=0
    for i in $(seq "$ENSEMBLE_SIZE"); do sum=$((sum + $(member_status "$i" snapshot))); done
    echo "$sum"
}

# Windows in which a member took a snapshot of NODES nodes, and windows in which none did.
row_snapshot() {
    local i kind before plain=0 disturbed=0
    bench_start 3 "snapshot: {entries: $((RATE * SECS * 3)), bytes: 4GiB}"
    fill "$NODES"
    for i in $(seq $((RUNS * 8))); do
        before=$(snapshots_taken)
        window "$BENCH_WORK/run"
        kind=plain
        sleep 1 # one that was begun is finished and counted
        [ "$(snapshots_taken)" = "$before" ] || kind=disturbed
        mv "$BENCH_WORK/run" "$BENCH_WORK/$kind.$i"
        eval "$kind=\$(($kind + 1))"
        [ "$plain" -lt "$RUNS" ] || [ "$disturbed" -lt "$RUNS" ] || break
    done
    tell "snapshot of $NODES nodes" 0
}

# A follower that was away for longer than the log reaches back comes back and is sent a snapshot.
row_catchup() {
    local i follower
    bench_start 3 "snapshot: {entries: 20000}"
    fill 200000
    follower=$(followers | head -n 1)
    for i in $(seq "$RUNS"); do
        window "$BENCH_WORK/plain.$i"
        member_kill "$follower"
        bench --op set --wire --conns 64 --outstanding 16 --ops 100000 --secs 60 --warmup 0 --no-prepare >/dev/null 2>&1 || true # what it meets is not told here
        member_start "$follower"
        window "$BENCH_WORK/disturbed.$i"
        wait_until 60 "member $follower has caught up" member_follows "$follower"
        sleep 1
    done
    tell "follower catches up (200,000 nodes)" 0
}

row_conns() {
    local i
    bench_start 3 "$ROOMY"
    fill 1000
    ulimit -n "$(ulimit -Hn)"
    for i in $(seq "$RUNS"); do
        window "$BENCH_WORK/plain.$i"
        CONNS=$MANY OUTSTANDING=1 window "$BENCH_WORK/disturbed.$i" --sources 100
    done
    tell "$MANY connections" 0
}

# value BYTES RATE NAME: against 100 bytes at the same rate.
value() {
    local i
    bench_start 3
    fill 1000
    for i in $(seq "$RUNS"); do
        RATE=$2 window "$BENCH_WORK/plain.$i"
        RATE=$2 window "$BENCH_WORK/disturbed.$i" --value "$1"
    done
    tell "$3" 0
}
row_value1k() { value 1024 "$RATE" "values of 1 KiB"; }
row_value64k() { value 65536 $((RATE / 20)) "values of 64 KiB"; }

# A follower stands still (SIGSTOP) or is killed; clients of the other two.
row_stopped() { away STOP CONT "a follower is stopped"; }
row_killed() { away KILL "" "a follower is killed"; }
away() {
    local i follower address
    bench_start 3
    fill 1000
    follower=$(followers | head -n 1)
    address=$(for i in $(seq 3); do [ "$i" = "$follower" ] || client_address "$i"; done | paste -sd,)
    for i in $(seq "$RUNS"); do
        all_addresses() { echo "$address"; }
        window "$BENCH_WORK/plain.$i"
        member_signal "$follower" "$1"
        window "$BENCH_WORK/disturbed.$i"
        if [ -n "$2" ]; then member_signal "$follower" "$2"; else member_start "$follower"; fi
        wait_until 30 "member $follower is back" member_follows "$follower"
        sleep 1
    done
    # shellcheck source=/dev/null
    . "$ROOT/scripts/lib.sh"
    tell "$3" 0
}

# links MS: an ensemble whose members reach each other through a delay of MS milliseconds each way.
links() {
    local i j port pairs=""
    [ -z "${ENSEMBLE_SIZE:-}" ] || ensemble_kill
    rm -rf "$ENSEMBLE"
    ENSEMBLE_SIZE=3
    ENSEMBLE_PORT=$(port_base 3)
    ensemble_configure "timing: {heartbeat: 50ms, election: 500ms}"
    for i in 1 2 3; do
        for j in 1 2 3; do
            [ "$i" != "$j" ] || continue
            port=$((ENSEMBLE_PORT + (i - 1) * 10 + 1 + j)) # between the ports of two members
            sed -i "/{id: $j,/s/peer: \"127.0.0.1:[0-9]*\"/peer: \"127.0.0.1:$port\"/" "$ENSEMBLE/member-$i.yaml"
            pairs="$pairs $port:$(($(client_port "$j") + 1))"
        done
    done
    # shellcheck disable=SC2086
    background "$TOOLS/delay" "$1" $pairs
    DELAY_PID=$LAST_PID
    ensemble_start || die "the ensemble did not start"
    fill 1000
}

row_links() {
    local i ms
    for ms in 0 20; do
        links "$ms"
        for i in $(seq "$RUNS"); do
            window "$BENCH_WORK/$([ $ms = 0 ] && echo plain || echo disturbed).$i"
        done
        ensemble_kill
        kill "$DELAY_PID"
    done
    tell "20 ms on each link, each way" 80 # a write at a follower goes there, to a majority, back, and is told
}

row_fsync() {
    local i ms real=$COORDD
    for ms in 0 10; do
        printf '#!/bin/sh\nexec env LD_PRELOAD=%s SLOWSYNC_MS=%s %s "$@"\n' "$TOOLS/slowsync.so" "$ms" "$real" >"$BENCH_WORK/coordd"
        chmod +x "$BENCH_WORK/coordd"
        COORDD=$BENCH_WORK/coordd
        bench_start 3
        fill 1000
        for i in $(seq "$RUNS"); do
            window "$BENCH_WORK/$([ $ms = 0 ] && echo plain || echo disturbed).$i"
        done
    done
    COORDD=$real
    tell "10 ms for each fsync" 20
}

echo "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); medians of $RUNS runs of $SECS s, $RATE writes a second offered, 100-byte values, 3 members"
printf '%-34s %23s   %17s   %25s   %8s\n' "" "writes/s" "p50 ms" "p99.9 ms" "longest"
printf '%-34s %7s %7s %6s   %8s %8s   %8s %8s %6s   %8s %6s\n' disturbance offered done ratio plain dist. plain dist. ratio "stall ms" errors
for row in ${*:-$ROWS}; do
    "row_$row"
done
