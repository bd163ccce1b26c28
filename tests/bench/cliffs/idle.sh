#!/usr/bin/env bash
# What many idle sessions cost: opens SESSIONS on an ensemble of its own, lets them be for SECS, and tells the
# servers' CPU in per cent of one core, the log entries meanwhile, and memory.
#
#   tests/bench/cliffs/idle.sh [SESSIONS [TIMEOUT [SECS [MEMBERS]]]]      default 57000 10s 30 3
#
# The cost is that of the PINGs, three in a timeout: S sessions with a timeout of T cost what 2 S with 2 T do, but for memory.
#
# Each session has a connection of its own. A process can have as many as `ulimit -n` allows: the load is spread over
# several processes, and SESSIONS / MEMBERS must stay below that limit less 200.
. "$(dirname "$0")/lib.sh"

case "${1:-}" in -h | --help) usage "$0" && exit 0 ;; esac
sessions=${1:-57000} timeout=${2:-10s} secs=${3:-30} members=${4:-3}
whole sessions secs members
[[ $timeout =~ ^[1-9][0-9]*(ms|s|m)$ ]] || die "a timeout is a number with ms, s or m behind it, not '$timeout'"
third_ms=$(case $timeout in *ms) echo "${timeout%ms}" ;; *m) echo $((${timeout%m} * 60000)) ;; *) echo $((${timeout%s} * 1000)) ;; esac)
third_ms=$((third_ms / 3))
files=$(ulimit -Hn)
ulimit -n "$files"
[ "$files" != unlimited ] || files=1000000
room=$((files - 200))
[ $((sessions / members)) -le "$room" ] ||
    die "$sessions sessions on $members members need $((sessions / members)) descriptors in each, and ulimit -Hn is $files"

bench_start "$members" "limits: {connections: $room, connections_per_address: $room, sessions: $((sessions + 1000))}" "sessions: {min: 2s, max: 60m}"
before_mib=$(resident_mib 1)
processes=$(((sessions + room - 1) / room))
opened=$(now_ms)
for p in $(seq "$processes"); do
    n=$((sessions / processes + (p <= sessions % processes ? 1 : 0)))
    bench_background "$BENCH_WORK/load-$p" --sessions "$n" --session-timeout "$timeout" --secs 86400 --sources 100
done

loads_live() { kill -0 $PROCESSES 2>/dev/null; }
all_open() { loads_live || { cat "$BENCH_WORK"/load-*; exit 1; }; [ "$(member_status 1 sessions)" -ge "$sessions" ]; }
wait_until 300 "all sessions are open" all_open
echo "$sessions sessions with a timeout of $timeout on $members members, opened in $(number "($(now_ms) - $opened) / 1000") s"
sleep $((third_ms / 1000 + 12)) # what opening them left to be done is done, and each has said when its next PING comes
logs() { for i in $(seq "$members"); do member_status "$i" log_last; done | paste -sd' '; }
log_a=$(logs) ticks_a=$(cpu_ticks) at_a=$(now_ms)
sleep "$secs"
ticks_b=$(cpu_ticks) at_b=$(now_ms) log_b=$(logs)
all_open || die "sessions were lost: $(member_status 1 sessions) are left"
echo "log, last index of each member: $log_a before, $log_b after"
echo "servers' CPU: $(number "($ticks_b - $ticks_a) * 1000 / $(getconf CLK_TCK) / (($at_b - $at_a) / 100)" %.2f) % of a core, all members together"
echo "which is $(number "($ticks_b - $ticks_a) * 1000000 / $(getconf CLK_TCK) / (($at_b - $at_a) * $sessions / $third_ms)") us for each of $(number "$sessions * 1000 / $third_ms" %.0f) PINGs a second"
echo "resident memory of member 1: $before_mib MiB empty, $(resident_mib 1) MiB now"
