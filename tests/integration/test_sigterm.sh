# Goal: SIGTERM of the leader hands leadership over: clients hardly notice, the process ends with 0.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
ctl create /s "0" >/dev/null
for round in 1 2 3; do
    leader=$(leader_await)
    pid=$(member_pid "$leader")
    kill -TERM "$pid"
    expect_exit 0 ctl set /s "$round"
    expect_below "$TOOK" 1500 "a write during the handover"
    code=0
    wait "$pid" || code=$?
    expect_equal "$code" 0 "the exit code of coordd after SIGTERM"
    [ "$(leader_id)" != "$leader" ] || fail "the stopped member still leads"
    member_start "$leader"
    wait_until 10 "member $leader is back" member_follows "$leader"
    for i in 1 2 3; do expect_equal "$(ctl_on $i get /s)" "$round" "value at member $i"; done
done
