# Goal: an operator sees who is connected and what they own, from any member, and ends a session: its
# ephemeral nodes are gone at once and its client is told. Nothing secret is shown. /coord tells of the ensemble
# and cannot be written.
# Method: three members; the holder of a lock, connected to a follower, is looked at and ended.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"
leader=$(leader_await)
follower=$(other_members "$leader" | sed -n 1p)
third=$(other_members "$leader" | tail -1)

expect_exit 0 ctl sessions
expect_equal "$(wc -l <<<"$OUT")" 1 "lines when there is no session"

in_background "$COORDCTL" -s "$(client_address "$follower")" lock --ttl 20s --on-lost kill held -- sleep 60
holder=$LAST_PID
held() { [ "$(ctl ls /locks/held 2>/dev/null | wc -l)" = 1 ]; }
wait_until 10 "the lock is held" held
node=$(ctl ls /locks/held)

# --- ls: whomever one asks, the leader tells ---------------------------------------------------------------------
for n in "$leader" "$follower" "$third"; do
    expect_exit 0 ctl_on "$n" -o json sessions ls
    expect_equal "$(wc -l <<<"$OUT")" 1 "sessions"
    expect_equal "$(json_get member <<<"$OUT")" "$follower" "the member it is attached to"
    expect_equal "$(json_get timeout_ms <<<"$OUT")" 20000 "its timeout"
    expect_equal "$(json_get ephemerals <<<"$OUT")" 1 "its ephemerals"
    expect_below "$(json_get idle_ms <<<"$OUT")" 8000 "its idle time"
done
id=$(json_get session <<<"$OUT")
expect_exit 0 ctl sessions
expect_match "$OUT" "^session +timeout +ephemerals +member +idle +address$" "the head"
expect_match "$OUT" "^$id +20\.0 s +1 +$follower +" "the row"
expect_exit 0 ctl_on "$third" --consistency local -o json sessions
expect_equal "$(json_get session <<<"$OUT")" "$id" "the session at a follower"
expect_equal "$(json_get idle_ms <<<"$OUT")" "" "what a follower does not know"

# --- show --------------------------------------------------------------------------------------------------------
expect_exit 0 ctl_on "$third" sessions show "$id"
expect_match "$OUT" "^session +$id "
expect_match "$OUT" "^member +$follower$"
expect_match "$OUT" "^address +127\.0\.0\.1:[0-9]+$"
expect_match "$OUT" "^  /locks/held/$node$"
expect_exit 0 ctl -o json sessions show "$(printf '0x%x' "$id")"
expect_equal "$(head -1 <<<"$OUT" | json_get session)" "$id" "the session by its hexadecimal number"
expect_equal "$(tail -1 <<<"$OUT" | json_get path)" "/locks/held/$node" "the path"
expect_exit 0 ctl sessions ls --limit 1 --after "$id"
expect_equal "$(wc -l <<<"$OUT")" 1 "sessions behind the last"

# --- end ---------------------------------------------------------------------------------------------------------
start=$(now_ms)
expect_exit 0 ctl_on "$third" -o json sessions end "$id"
expect_equal "$(json_get count <<<"$OUT")" 1 "nodes that went along"
expect_equal "$(ctl ls /locks/held 2>/dev/null | wc -l)" 0 "nodes of the lock"
code=0
wait "$holder" || code=$?
expect_equal "$code" 8 "how the holder ended"
expect_below "$(($(now_ms) - start))" 5000 "until the holder knew"
grep -q "session ended on request: session=$(printf %016x "$id")" "$WORK"/*/log* "$WORK"/*.log 2>/dev/null ||
    grep -rq "session ended on request: session=$(printf %016x "$id")" "$WORK" || fail "no log line"

# --- /coord ------------------------------------------------------------------------------------------------------
expect_exit 0 ctl_on "$third" ls /coord
expect_equal "$(tr '\n' ' ' <<<"$OUT")" "config members quotas " "what stands below /coord"
expect_equal "$(ctl ls /coord/members | tr '\n' ' ')" "1 2 3 " "the members"
expect_match "$(ctl_on "$third" get /coord/members/2)" "^\{\"id\": 2, \"role\": \"voter\", \"client\": \"$(client_address 2)\""
expect_equal "$(ctl_on "$follower" get /coord/config/sessions.min)" 1000 "a limit in force"
ctl create /tenant >/dev/null
ctl quota /tenant nodes=5 >/dev/null
expect_equal "$(ctl_on "$third" get /coord/quotas/%2Ftenant)" '{"path": "/tenant", "nodes": 5, "bytes": 0}' "a quota"
for refused in "create /coord/x" "set /coord/members/1 y" "delete -r /coord" "mv /tenant /coord/t" "quota /coord nodes=1"; do
    expect_exit 7 ctl $refused
    expect_match "$ERR" "reserved for the service"
done
expect_equal "$(ctl ls / | grep -c coord)" 0 "/coord in the list of /"

# --- refusals ----------------------------------------------------------------------------------------------------
expect_exit 3 ctl sessions end "$id"
expect_match "$ERR" "there is no such session"
expect_exit 3 ctl -o json sessions show "$id"
expect_match "$ERR" '"error": "EGONE"'
expect_exit 2 ctl sessions end
expect_exit 2 ctl sessions end twelve
expect_match "$ERR" "'twelve' is no session"
expect_exit 2 ctl sessions end 0000000000000012
expect_match "$ERR" "behind 0x" "the digits of a log without it"
expect_exit 2 ctl sessions begin 12
expect_exit 2 ctl sessions ls 12
expect_exit 2 ctl sessions end --limit 3 12

# Without a quorum the member says what it knows when asked for that, and nothing else.
member_kill "$leader"
member_kill "$third"
expect_exit 5 ctl_on "$follower" --timeout 4s sessions
expect_exit 0 ctl_on "$follower" --consistency local sessions
