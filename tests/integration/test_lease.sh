# Goal: with reads.lease the leader answers by its lease and says so; no read is stale while leaders are stopped for
# seconds and killed; a member whose file says otherwise is refused by the others until it agrees.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "reads: {lease: true}"
ctl create /f "x" >/dev/null
leader=$(leader_await)
for i in $(seq 10); do ctl_on "$leader" get /f >/dev/null; done
[ "$(member_status "$leader" lease)" = true ] || fail "the leader does not say that it has leases"
[ "$(member_status "$leader" lease_rounds)" -ge 10 ] || fail "the lease spared only $(member_status "$leader" lease_rounds) rounds"

in_background "$HELPERS/freshness" "$(all_addresses)" 14 doubt
probe=$LAST_PID
elsewhere() { l=$(leader_id) && [ -n "$l" ] && [ "$l" != "$leader" ]; }
for round in 1 2; do
    leader=$(leader_await)
    member_signal "$leader" STOP
    wait_until 8 "another leader in round $round" elsewhere
    member_signal "$leader" CONT
    wait_until 8 "member $leader follows" member_follows "$leader"
done
leader=$(leader_await)
member_kill "$leader"
wait_until 8 "another leader after a death" elsewhere
member_start "$leader"
wait "$probe" || fail "see above"
wait_until 10 "all are in touch" ensemble_ready

odd=$(other_members "$(leader_await)" | sed -n 1p)
member_stop "$odd"
wait_until 10 "member $odd is gone" sh -c "! kill -0 $(member_pid "$odd" || echo 999999999) 2>/dev/null"
sed -i 's/lease: true/lease: false/' "$ENSEMBLE/member-$odd.yaml"
member_start "$odd"
wait_until 10 "member $odd is told why it is refused" grep -q "reads.lease .*of member" "$ENSEMBLE/member-$odd.log"
ctl set /f "y" >/dev/null || fail "the others do not go on"
[ "$(ctl_on "$odd" --consistency local get /f)" = x ] || fail "member $odd heard of the others all the same"
member_stop "$odd"
wait_until 10 "member $odd is gone" sh -c "! kill -0 $(member_pid "$odd" || echo 999999999) 2>/dev/null"
sed -i 's/lease: false/lease: true/' "$ENSEMBLE/member-$odd.yaml"
member_start "$odd"
wait_until 10 "member $odd has caught up" value_is "$odd" /f y
