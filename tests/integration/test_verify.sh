# Goal: what several recorded programs were told, while the leader was killed and one of them was, is judged
# linearizable; one value changed in the recording is found and shown; exit codes.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
run=$WORK/run.hist
verify() { "$COORDCTL" verify "$@"; }

# Readers at every member and a writer; load with many clients a key; one that dies in the middle of its work.
COORD_RECORD=$run in_background "$HELPERS/freshness" "$(all_addresses)" 12 doubt >"$WORK/freshness.out" 2>&1
fresh=$LAST_PID
COORD_RECORD=$run.bench in_background "$COORDCTL" -s "$(all_addresses)" bench --op mixed:50 --conns 8 --outstanding 2 \
    --keys 5 --secs 12 --warmup 0 --rate 400 >"$WORK/bench.out" 2>&1
bench=$LAST_PID
COORD_RECORD=$run.victim in_background "$COORDCTL" -s "$(all_addresses)" bench --op set --conns 4 --keys 5 --secs 60 --rate 200 \
    >"$WORK/victim.out" 2>&1
victim=$LAST_PID

# recorded MORE: everybody has so many more answers than when it was noted last.
answers() { grep -c '^R' "$1" 2>/dev/null || true; }
note() { for f in "$run" "$run.bench" "$run.victim"; do answers "$f" >"$f.noted"; done; }
recorded() {
    local f
    for f in "$run" "$run.bench" "$run.victim"; do
        [ "$(answers "$f")" -ge $(($(cat "$f.noted") + $1)) ] || return 1
    done
}
note
wait_until 30 "operations of everybody are recorded" recorded 100
leader=$(leader_await)
member_kill "$leader"
note
wait_until 30 "the work goes on" recorded 100
kill -KILL "$victim" || fail "it had ended by itself: $(cat "$WORK/victim.out")"
member_start "$leader"
wait "$fresh" || fail "freshness: $(cat "$WORK/freshness.out")"
wait "$bench" || echo "bench saw errors, as it may: $(tail -n 1 "$WORK/bench.out")"

expect_exit 0 verify "$run" "$run.bench" "$run.victim"
expect_match "$OUT" "^linearizable$"
echo "$OUT"
expect_exit 0 "$COORDCTL" -o json verify --path /count "$run"
expect_match "$OUT" '"verdict": "linearizable"'

# A read of a value that was never there; a read that is older than it may be.
reads=$(grep -n '^R .* OK done .* data=s:[0-9]' "$run" | cut -d: -f1)
middle=$(sed -n "$(($(wc -l <<<"$reads") / 2))p" <<<"$reads")
sed "${middle}s/ data=s:[0-9]*/ data=s:999999/" "$run" >"$run.never"
expect_exit 1 verify "$run.never" "$run.bench" "$run.victim"
expect_match "$OUT" "VIOLATION at /count"
expect_match "$OUT" 'get /count: "999999"'
echo "$OUT"
first=$(head -n 1 <<<"$reads")
old=$(sed -n "${first}s/.* \(data=[^ ]* stat=[^ ]*\).*/\1/p" "$run")
sed "${middle}s/ data=[^ ]* stat=[^ ]*/ $old/" "$run" >"$run.stale"
expect_exit 1 verify --path /count "$run.stale"
expect_match "$OUT" "VIOLATION at /count"
echo "$OUT"
expect_below "$(grep -c '^  #[0-9]' <<<"$OUT")" 6 "operations of the counterexample"

# How many watches were judged is said, and how much they were told.
cat >"$WORK/watch.hist" <<'END'
C 1 1 10 set path=/w data=s:1
R 1 1 20 OK done rev=5
W 1 1 5 path=/w depth=0 kinds=7 from=0
V 1 1 9 ready rev=4
V 1 1 21 changes rev=5 ch=2;/w;1;2;s:1
END
expect_exit 0 verify "$WORK/watch.hist"
expect_match "$OUT" "; 1 watch with 2 events$"
expect_exit 0 "$COORDCTL" -o json verify "$WORK/watch.hist"
expect_match "$OUT" '"watches": 1'
expect_match "$OUT" '"events": 2'

expect_exit 2 verify
expect_exit 2 verify "$WORK/nothing"
expect_match "$ERR" "No such file"
expect_exit 2 verify "$WORK/freshness.out"
expect_match "$ERR" "line 1"
expect_exit 2 verify --path /nobody/used "$run"
expect_match "$ERR" "nothing to judge: no operation at or below /nobody/used"
grep -q linearizable <<<"$OUT" && fail "a verdict about nothing: $OUT"
: >"$WORK/empty.hist"
expect_exit 2 verify "$WORK/empty.hist"
expect_match "$ERR" "nothing to judge"
expect_exit 2 verify --path /count --path /bench "$run"
expect_match "$ERR" "path is given twice"
expect_exit 2 verify "$run" "$run"
expect_match "$ERR" "recorded before"
expect_exit 6 verify --budget 1 --path /count "$run"
expect_match "$OUT" "undecided"
