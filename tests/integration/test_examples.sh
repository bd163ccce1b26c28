# Goal: the example programs do what their heads say, also through the death of a leader.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"
examples=$BUILD/examples

# lock: four processes, ten turns each; begin and end never interleave, tokens grow.
pids=""
for i in 1 2 3 4; do
    in_background "$examples/lock" "$(all_addresses)" job "$WORK/journal" 10 >/dev/null
    pids="$pids $LAST_PID"
done
for p in $pids; do wait "$p" || fail "an example failed"; done
awk '{ if ($1 != (NR % 2 ? "begin" : "end")) { print "overlap at line " NR; exit 1 } }
     NR % 2 { if ($2 <= token) { print "token did not grow at line " NR; exit 1 } token = $2 }
     END { if (NR != 80) { print NR " lines instead of 80"; exit 1 } }' "$WORK/journal" || fail "the journal is wrong"

# elect: two candidates, the second leads when the first is told to go, and again when it is killed.
candidate() { exec "$examples/elect" "$(all_addresses)" svc "$1" >"$WORK/elect.$1"; }
in_background candidate one
one=$LAST_PID
leads() { grep -q '^leading' "$WORK/elect.$1"; }
wait_until 10 "the first leads" leads one
in_background candidate two
two=$LAST_PID
two_waits() { [ "$(ctl ls /elections/svc | wc -l)" = 2 ]; }
wait_until 10 "the second stands" two_waits
leads two && fail "two leaders"
expect_match "$(ctl elect ls svc)" 'leads .*one' "who leads"
kill -TERM "$one"
wait "$one" || fail "the first did not end well"
grep -q '^resigned' "$WORK/elect.one" || fail "it did not resign"
wait_until 10 "the second leads" leads two
in_background candidate three
wait_until 10 "the third stands" two_waits
kill -KILL "$two"
wait_until 15 "the third leads after the timeout of the killed one" leads three
expect_match "$(cut -d' ' -f2 "$WORK/elect.one" "$WORK/elect.two" "$WORK/elect.three" | grep -E '^[0-9]+$' | sort -nc && echo ordered)" ordered "tokens"

# watch_config: nothing is missed between reading and watching, nor through a failover.
ctl create -p /conf/a "1" >/dev/null
ctl create /conf/b "2" >/dev/null
in_background sh -c "exec '$examples/watch_config' '$(all_addresses)' /conf 24 >'$WORK/conf'"
watcher=$LAST_PID
wait_until 10 "it has read" grep -q '^b = 2' "$WORK/conf"
for i in $(seq 3 12); do ctl set /conf/a "$i" >/dev/null; done
leader=$(leader_await)
member_kill "$leader"
for i in $(seq 13 23); do ctl set /conf/a "$i" >/dev/null; done
member_start "$leader"
ctl delete /conf/b
wait "$watcher" || fail "the watcher failed"
expect_equal "$(cat "$WORK/conf")" "$(echo 'a = 1'; echo 'b = 2'; seq -f 'a = %g' 3 23; echo 'b removed')" "what it saw"
