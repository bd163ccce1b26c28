# Goal: kill -9 of leaders and followers in turn, under load: no acknowledged write is lost, none is applied twice.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "snapshot: {entries: 500, keep: 2}"
ctl create /load "" >/dev/null

pids=""
for w in 1 2 3 4; do
    in_background "$HELPERS/ackwriter" write "$(all_addresses)" /load "w$w" "$WORK/journal.$w" 1000000 >/dev/null
    pids="$pids $LAST_PID"
done
journalled() { cat "$WORK"/journal.* 2>/dev/null | wc -l; }
grown_by() { [ "$(journalled)" -ge "$1" ]; }

for round in 1 2 3 4 5 6 7 8; do
    leader=$(leader_id || true)
    if [ $((round % 2)) = 1 ]; then victim=${leader:-1}; else victim=$(other_members "${leader:-1}" | sed -n 1p); fi
    member_kill "$victim"
    wait_until 30 "writes go on without member $victim" grown_by $(($(journalled) + 40))
    member_start "$victim"
    wait_until 30 "member $victim is back" member_follows "$victim"
    wait_until 30 "writes go on" grown_by $(($(journalled) + 40))
done
for p in $pids; do
    kill "$p" || fail "a writer ended by itself"
    wait "$p" || fail "a writer saw an error that exactly-once does not allow"
done
echo "$round kills, $(journalled) acknowledged creates"
for w in 1 2 3 4; do # a journal has no gap: what a writer went on behind was acknowledged
    awk '$2 != NR {exit 1}' "$WORK/journal.$w" || fail "writer $w went on behind a create that was not acknowledged"
done
expect_below 640 "$(journalled)" "40 creates after each of sixteen changes, and acknowledged creates"
wait_until 20 "every member is back" ensemble_ready
for i in 1 2 3; do
    "$HELPERS/ackwriter" verify "$(client_address $i)" /load "$WORK"/journal.* || fail "member $i lost something"
done
