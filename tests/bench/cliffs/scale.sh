#!/usr/bin/env bash
# How cost grows: servers' CPU for each 100,000 operations, and memory, with the number of members, connections, nodes
# and watches. CPU seconds hardly depend on who else uses the machine; throughput, told beside it, does.
#
#   tests/bench/cliffs/scale.sh [PART...]         members conns nodes watches; default: all
#   RUNS=3 SECS=2                                 medians of so many runs of so many seconds
. "$(dirname "$0")/lib.sh"

RUNS=${RUNS:-3} SECS=${SECS:-2}
PARTS="members conns nodes watches"
case "${1:-}" in -h | --help) usage "$0" && exit 0 ;; esac
whole RUNS SECS
# shellcheck disable=SC2086
known part "$PARTS" ${*:-$PARTS}
ROOMY="limits: {connections: 18000, connections_per_address: 18000}"

# row NAME ARGS...: medians of RUNS closed-loop runs of writes and of linearizable reads.
row() {
    local name=$1 i op
    shift
    printf '%-30s' "$name"
    for op in set get; do
        for i in $(seq "$RUNS"); do
            bench --op "$op" --wire --warmup 0 --secs "$SECS" --no-prepare "$@" >"$BENCH_WORK/run.$i"
        done
        printf '   %9.0f/s %8.3f s %9.2f ms' "$(cat "$BENCH_WORK"/run.* | json_get ops_s | median)" \
            "$(cat "$BENCH_WORK"/run.* | json_get server_cpu_s_per_100k | median)" \
            "$(number "$(cat "$BENCH_WORK"/run.* | json_get p99_us | median) / 1000" %.2f)"
    done
    printf '   %5d MiB\n' "$(resident_mib 1)"
}

part_members() {
    local n
    for n in 1 3 5; do
        bench_start "$n"
        fill 1000
        row "$n members, 64 x 16" --conns 64 --outstanding 16
        row "$n members, 16 x 1" --conns 16
    done
}
part_conns() {
    local n
    bench_start 3 "$ROOMY"
    fill 1000
    for n in 1 16 64 256 1000 4000 16000; do row "$n connections x 1" --conns "$n" --sources 100; done
}
part_nodes() {
    local n
    bench_start 3
    for n in 1000 10000 100000 1000000; do
        fill "$n"
        row "$n nodes, 64 x 16" --conns 64 --outstanding 16 --keys "$n"
    done
}
# Watches that are never told anything, beside the load; then one write that all of them are told of.
part_watches() {
    local n
    bench_start 3 "$ROOMY"
    fill 1000
    for n in 0 1000 10000 100000; do
        if [ "$n" -gt 0 ]; then
            bench_background "$BENCH_WORK/watchers" --watchers "$n" --conns 50 --rate 1 --secs 86400 --warmup 0
            wait_until 60 "$n watches are there" watches "$n"
        fi
        row "$n watches of another node" --conns 64 --outstanding 16
        [ "$n" = 0 ] || kill "$LAST_PID"
    done
    printf '\n%-30s %s\n' "one write, all are told" "the last after, p50 ms; servers' CPU a watcher, us"
    for n in 1 10 100 1000 10000; do
        for i in $(seq "$RUNS"); do
            bench --watchers "$n" --conns 50 --secs "$SECS" --warmup 0 >"$BENCH_WORK/run.$i"
        done
        printf '%-30s %8.2f %8.2f\n' "$n watchers, 50 connections" \
            "$(number "$(cat "$BENCH_WORK"/run.* | json_get last_p50_us | median) / 1000" %.2f)" \
            "$(number "$(cat "$BENCH_WORK"/run.* | json_get server_cpu_s | median) * 1e6 / $(cat "$BENCH_WORK"/run.* | json_get writes | median) / $n" %.2f)"
    done
}
watches() {
    local i sum=0
    for i in $(seq "$ENSEMBLE_SIZE"); do sum=$((sum + $(member_status "$i" watches))); done
    [ "$sum" -ge "$1" ]
}

echo "$(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); medians of $RUNS runs of $SECS s; lean connections, 100-byte values"
printf '%-30s   %s\n' "" "set: throughput, servers' CPU for 100,000, p99     get: the same      memory of member 1"
for part in ${*:-$PARTS}; do
    "part_$part"
done
