#!/usr/bin/env bash
# coord alone over the grid of loads: members, connections x requests under way, values, operations, levels of reads; and
# what cannot be read off a load: fan-out, failover, 1,000,000 nodes.
#
#   tests/bench/cliffs/grid.sh [PART...]          loads fanout failover silence nodes; default: all
#   RUNS=1 SECS=1                                 medians of so many runs of so many seconds
#   MEMBERS="1 3 5" NODES=1000000 KILLS=3         sizes of ensembles for loads; how large, how often
. "$(dirname "$0")/lib.sh"

RUNS=${RUNS:-1} SECS=${SECS:-1} MEMBERS=${MEMBERS:-1 3 5} NODES=${NODES:-1000000} KILLS=${KILLS:-3}
PARTS="loads fanout failover silence nodes"
SHAPES="1x1 16x1 64x1 64x16 1000x1"
case "${1:-}" in -h | --help) usage "$0" && exit 0 ;; esac
whole RUNS SECS NODES KILLS
# shellcheck disable=SC2086
known part "$PARTS" ${*:-$PARTS}
# shellcheck disable=SC2086
known "number of members (MEMBERS)" "1 3 5" $MEMBERS
LOAD=$BUILD/bench/coordload
[ -x "$LOAD" ] || die "make bench builds what is missing"

of_runs() { json_get "$1" <"$BENCH_WORK/runs" | median; }

# load NAME LEVEL OP VALUE: a row for each shape.
load() {
    local name=$1 level=$2 op=$3 value=$4 shape
    for shape in $SHAPES; do
        : >"$BENCH_WORK/runs"
        for _ in $(seq "$RUNS"); do
            "$COORDCTL" -s "$(all_addresses)" -o json --consistency "$level" bench --op "$op" --value "$value" --wire \
                --conns "${shape%x*}" --outstanding "${shape#*x}" --secs "$SECS" --no-prepare >>"$BENCH_WORK/runs"
        done
        printf '| %s | %s | %s | %s | %.0f | %.0f | %.0f | %.2f |\n' "$ENSEMBLE_SIZE" "$name" "$value" "$shape" \
            "$(of_runs ops_s)" "$(of_runs p50_us)" "$(of_runs p99_us)" "$(of_runs server_cpu_s_per_100k)"
    done
}

part_loads() {
    local n value level
    echo "| members | load | bytes | connections | operations/s | p50, us | p99, us | server CPU, s per 100,000 |"
    echo "|---|---|---|---|---|---|---|---|"
    for n in $MEMBERS; do
        bench_start "$n"
        fill 1000
        for value in 100 1024; do
            load set linearizable set "$value"
            load create linearizable create "$value"
            for level in linearizable session bounded:500ms local; do load "get $level" "$level" get "$value"; done
            load "90 % get, 10 % set" linearizable mixed:90 "$value"
        done
    done
}

part_fanout() {
    local conns
    printf '\n| watchers | connections | first told, p50 us | last told, p50 us | p99 us |\n|---|---|---|---|---|\n'
    bench_start 3
    for conns in 50 1000; do
        : >"$BENCH_WORK/runs"
        for _ in $(seq "$RUNS"); do bench --watchers 1000 --conns "$conns" --secs "$SECS" --warmup 0 >>"$BENCH_WORK/runs"; done
        printf '| 1,000 | %s | %.0f | %.0f | %.0f |\n' "$conns" "$(of_runs first_p50_us)" "$(of_runs last_p50_us)" "$(of_runs last_p99_us)"
    done
}

# first_ms ADDRESSES ARGS...: how long until an attempt succeeds.
first_ms() {
    local line
    line=$("$LOAD" --servers "$1" --op attempt --secs 120 --limit-ms 200 "${@:2}") || die "no attempt succeeded"
    grep -oE 'first_ms=[0-9.]+' <<<"$line" | cut -d= -f2
}

# attempts: what they write to and read is there.
attempts() { "$LOAD" --servers "$(all_addresses)" --op get --keys 1 --warmup 0 --secs 0.1 >/dev/null || die "no attempt can be made"; }

part_failover() {
    local i leader others times=""
    bench_start 3
    attempts
    for _ in $(seq "$KILLS"); do
        wait_until 20 "there is a leader" leader_id
        leader=$(leader_id)
        others=$(for i in 1 2 3; do [ "$i" = "$leader" ] || client_address "$i"; done | paste -sd,)
        times="$times $(first_ms "$others" --kill "$(member_pid "$leader")")"
        wait_until 5 "it is gone" process_gone "$(cat "$ENSEMBLE/member-$leader.pid")"
        member_start "$leader"
        wait_until 30 "member $leader is back" member_follows "$leader"
    done
    printf '\nfirst write after kill -9 of the leader, ms:%s\n' "$times"
}

# The leader falls silent: no connection breaks, as when a cable is cut, so only time tells.
part_silence() {
    local i leader others times=""
    bench_start 3
    attempts
    for _ in $(seq "$KILLS"); do
        wait_until 20 "there is a leader" leader_id
        leader=$(leader_id)
        others=$(for i in 1 2 3; do [ "$i" = "$leader" ] || client_address "$i"; done | paste -sd,)
        member_signal "$leader" STOP
        times="$times $(first_ms "$others")"
        member_signal "$leader" CONT
        wait_until 30 "member $leader follows" ensemble_ready
    done
    printf '\nfirst write after the leader fell silent (election timeout 500 ms), ms:%s\n' "$times"
}

# snapshots N: of member N: size and milliseconds of the last one it wrote, from its log.
snapshots() {
    awk -F'[T:Z ]' '/ snapshot begun:/ {at = $2 * 3600 + $3 * 60 + $4; open = 1}
        / snapshot saved:/ && open {took = $2 * 3600 + $3 * 60 + $4 - at; sub(/.*bytes=/, ""); bytes = $0; open = 0}
        END {if (bytes) printf "%.1f MB in %.0f ms", bytes / 1e6, (took < 0 ? took + 86400 : took) * 1000; else printf "none"}' "$ENSEMBLE/member-$1.log"
}
taken() { for i in 1 2 3; do grep -c ' snapshot saved:' "$ENSEMBLE/member-$i.log" || true; done | awk '{n += $1} END {print n}'; }

part_nodes() {
    local i before window kind begun
    bench_start 3
    before=$(resident_mib 1)
    bench --op create --ops "$NODES" --secs 3600 --wire --conns 64 --outstanding 16 --warmup 0 >"$BENCH_WORK/runs" || die "the nodes could not be made"
    printf '\ncreating %s nodes: %.0f/s, server CPU %.2f s per 100,000, longest stall %.0f ms\n' "$NODES" "$(of_runs ops_s)" \
        "$(of_runs server_cpu_s_per_100k)" "$(of_runs stall_ms)"
    sleep 2 # a snapshot that the last of them began is written
    for i in 1 2 3; do
        printf 'member %s: %s MiB resident (empty %s), %s MiB on disk, newest snapshot %s\n' "$i" "$(resident_mib "$i")" "$before" \
            "$(du -sm "$ENSEMBLE/data-$i" | cut -f1)" "$(snapshots "$i")"
    done
    attempts
    ensemble_kill
    ensemble_configure "snapshot: {entries: 10000}"
    begun=$(now_ms)
    for i in 1 2 3; do member_start "$i"; done
    first_ms "$(all_addresses)" --read --level linearizable >/dev/null
    printf 'restart after kill -9 of all, until the first linearizable read: %s ms\n' $(($(now_ms) - begun))
    wait_until 30 "the members agree on a leader" ensemble_ready
    for i in $(seq $((RUNS * 6))); do
        window=$(taken)
        bench --op set --wire --conns 1 --secs $((SECS * 5)) --warmup 0 --keys 1 >"$BENCH_WORK/run"
        kind=without
        [ "$(taken)" = "$window" ] || kind="with"
        json_get stall_ms <"$BENCH_WORK/run" >>"$BENCH_WORK/stalls.$kind"
    done
    for kind in with without; do
        [ ! -e "$BENCH_WORK/stalls.$kind" ] ||
            printf 'longest stall of a loop of one client, in each of %s windows %s a snapshot, ms: %s\n' "$(wc -l <"$BENCH_WORK/stalls.$kind")" \
                "$kind" "$(sort -g "$BENCH_WORK/stalls.$kind" | paste -sd' ')"
    done
}

echo "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); medians of $RUNS runs of $SECS s after 1 s of the same; lean connections, fsync on"
for part in ${*:-$PARTS}; do "part_$part"; done
