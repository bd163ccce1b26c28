# Goal (D4, D14): when the log of a member cannot be written, that member takes no part any more and says why; when it is
# slow on the leader, another one leads. The others go on and nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"
strace_usable || skip "strace is not installed, or may not trace here"
start_ensemble 3 "snapshot: {entries: 500, keep: 2}"
ctl create /load "" >/dev/null
start_writers() {
    local w
    for w in 1 2 3; do # at a member with a slow disk an answer takes as long as that: not all of them are there
        in_background "$HELPERS/ackwriter" write "$(all_addresses)" /load "$1-$w" "$WORK/journal.$1-$w" 1000000 >/dev/null
    done
}
journalled() { cat "$WORK"/journal.* 2>/dev/null | wc -l; }
grown_by() { [ "$(journalled)" -ge "$1" ]; }
goes_on() { wait_until 20 "writes go on: $1" grown_by $(($(journalled) + 100)); }
is_faulted() { [ "$(member_status "$1" role)" = faulted ]; }
# How often the others lost their links to a member.
links_ended() { cat "$ENSEMBLE"/member-?.log | grep -c "link to member $1 at .* is down" || true; }
is_left() { [ "$(links_ended "$1")" -ge $(($2 + 2)) ]; }
other_leads() {
    local l
    l=$(leader_id) && [ -n "$l" ] && [ "$l" != "$1" ]
}

start_writers a
goes_on "at first"
leader=$(leader_await)
inject "$leader" fdatasync:delay_enter=400000
wait_until 10 "a leader whose disk is slow hands over" other_leads "$leader"
goes_on "with a slow disk in member $leader"
member_kill "$leader"
member_start "$leader"
wait_until 15 "member $leader is back" member_follows "$leader"

for who in leader follower; do
    victim=$(leader_await)
    [ $who = leader ] || victim=$(other_members "$victim" | sed -n 1p)
    before=$(links_ended "$victim")
    inject "$victim" fdatasync:error=EIO:when=3
    wait_until 10 "member $victim ($who) stops" is_faulted "$victim"
    expect_match "$(grep 'member stopped' "$ENSEMBLE/member-$victim.log")" "cannot write the log: Input/output error" "the log"
    wait_until 5 "member $victim ends its links, so that nobody waits for its silence to be noticed" is_left "$victim" "$before"
    goes_on "without member $victim ($who)"
    expect_exit 5 "$COORDCTL" -s "$(client_address "$victim")" --timeout 10s set /load "x"
    expect_match "$ERR" "stopped after a fault: cannot write the log: Input/output error" "what the stopped member says"
    expect_below "$TOOK" 2000 "milliseconds until it says so"
    member_kill "$victim"
    member_start "$victim"
    wait_until 15 "member $victim is back" member_follows "$victim"
done
for pid in $CHILDREN; do kill "$pid" 2>/dev/null || true; done
for pid in $CHILDREN; do wait "$pid" || true; done
for i in 1 2 3; do
    "$HELPERS/ackwriter" verify "$(client_address $i)" /load "$WORK"/journal.* || fail "member $i lost something"
done
