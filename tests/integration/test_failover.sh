# Goal: after kill -9 of the leader the next write succeeds within 1 second, time after time.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
ctl create /f "0" >/dev/null
case "$BUILD" in *asan*) limit=3000 ;; *) limit=1000 ;; esac

for round in 1 2 3 4 5 6; do
    leader=$(leader_await)
    alive=$(other_members "$leader" | sed -n 1p)
    pid=$(member_pid "$leader")
    kill -KILL "$pid"
    start=$(now_ms)
    expect_exit 0 ctl_on "$alive" set /f "$round"
    took=$(($(now_ms) - start))
    wait_until 5 "the killed process is gone" process_gone "$pid"
    echo "round $round: leader $leader killed, write at $alive took $took ms"
    expect_below "$took" "$limit" "the write after the kill"
    for i in $(other_members "$leader"); do
        expect_equal "$(ctl_on "$i" get /f)" "$round" "the value at member $i"
    done
    member_start "$leader"
    wait_until 10 "member $leader is back" member_follows "$leader"
    wait_until 10 "member $leader caught up" value_is "$leader" /f "$round"
done
