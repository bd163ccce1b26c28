# Goal (P3, P5): a leader that is stopped for 3 s, three times, answers no read from the past when it goes on, and no
# session of a client that lives is expired.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
in_background "$HELPERS/freshness" "$(all_addresses)" 14
probe=$LAST_PID
for round in 1 2 3; do
    leader=$(leader_await)
    member_signal "$leader" STOP
    leads_elsewhere() {
        local l
        for i in $(other_members "$leader"); do
            l=$(member_status "$i" role)
            [ "$l" != leader ] || return 0
        done
        return 1
    }
    wait_until 8 "another leader in round $round" leads_elsewhere
    sleep 2 # the pause itself
    member_signal "$leader" CONT
    wait_until 8 "member $leader follows" member_follows "$leader"
done
wait "$probe" || fail "see above"
