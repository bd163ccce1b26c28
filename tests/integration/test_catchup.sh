# Goal: a member that was away while the log moved on and was compacted comes back through a snapshot and has
# everything.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "snapshot: {entries: 300, keep: 2}"
ctl create /c "" >/dev/null
leader=$(leader_await)
away=$(other_members "$leader" | sed -n 1p)
present=$(other_members "$away" | sed 's/.*/&/' | while read -r i; do client_address "$i"; done | paste -sd,)
member_kill "$away"
"$HELPERS/ackwriter" write "$present" /c w "$WORK/journal" 1500 >/dev/null || fail "the load failed"
compacted() { [ "$(member_status "$leader" log_first)" -gt 1000 ]; }
wait_until 20 "the log is compacted" compacted
member_start "$away"
wait_until 20 "member $away is back" member_follows "$away"
caught_up() { [ "$(member_status "$away" applied)" -ge "$(member_status "$leader" commit)" ]; }
wait_until 20 "member $away caught up" caught_up
[ "$(member_status "$away" snapshot)" -gt 0 ] || fail "it came back without a snapshot"
"$HELPERS/ackwriter" verify "$(client_address "$away")" /c "$WORK/journal" || fail "something is missing"
expect_exit 0 ctl_on "$away" --consistency local get /c/w-1500
expect_equal "$OUT" 1500 "the last value, from its own store"

# It keeps what it got through a restart.
member_kill "$away"
member_start "$away"
wait_until 20 "member $away is back" member_follows "$away"
expect_equal "$(ctl_on "$away" get /c/w-1)" 1 "the first value after a restart"
