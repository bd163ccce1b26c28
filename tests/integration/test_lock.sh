# Goal: holders of one lock never overlap, tokens grow, waiters are served in order; a lock outlives the death
# of the leader; --wait gives up in time; a killed holder's lock passes on.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"

# Each holder appends begin and end; an overlap shows as two begins in a row.
cat >"$WORK/critical.sh" <<'C'
echo "begin $1 $COORD_FENCE" >>"$2"
n=0; while [ $n -lt 2000 ]; do n=$((n + 1)); done
echo "end $1" >>"$2"
C
contender() {
    local i
    for i in $(seq 1 10); do
        "$COORDCTL" -s "$(all_addresses)" lock x -- sh "$WORK/critical.sh" "$1" "$WORK/journal" || return 1
    done
}
: >"$WORK/journal"
pids=""
for c in 1 2 3 4; do
    in_background contender $c
    pids="$pids $LAST_PID"
done
wait_until 30 "the lock is used" lines_at_least "$WORK/journal" 10
leader=$(leader_await)
member_kill "$leader"
wait_until 60 "the lock goes on after the leader's death" lines_at_least "$WORK/journal" 40
member_start "$leader"
for p in $pids; do wait "$p" || fail "a contender failed"; done
awk '$1 == "begin" { if (open) { print "overlap at line " NR; exit 1 }
                     if ($3 + 0 <= token) { print "token did not grow at line " NR; exit 1 }
                     open = 1; who = $2; token = $3 + 0; n++ }
     $1 == "end"   { if (!open || $2 != who) { print "overlap at line " NR; exit 1 } open = 0 }
     END { if (n != 40) { print n " turns instead of 40"; exit 1 } }' "$WORK/journal" || fail "the journal is wrong"

# A held lock: another waits, gives up in time with exit 6, and leaves the queue.
in_background "$COORDCTL" -s "$(all_addresses)" lock --ttl 2s x -- tail -f /dev/null
holder=$LAST_PID
one_holder() { [ "$(ctl ls /locks/x | wc -l)" = 1 ]; }
wait_until 10 "the lock is held" one_holder
expect_exit 6 ctl lock --wait 1s x -- true
expect_below "$TOOK" 3000 "giving up"
wait_until 5 "the waiter has left the queue" one_holder

# The exit code of the command is passed on; 126 and 127 as env does.
kill -TERM "$holder"
wait "$holder" 2>/dev/null || true
expect_exit 42 ctl lock x -- sh -c 'exit 42'
expect_exit 127 ctl lock x -- /no/such/program
