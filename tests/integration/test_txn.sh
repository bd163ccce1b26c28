# Goal: what changes several things, or counts, does it exactly once and all or not at all, also when leaders
# are killed; a lock that went to somebody else guards against whoever held it before; refusals say why.
# Method: three members; programs that increment and transfer at once while another reads all in one
# transaction; everything recorded is judged by `coordctl verify`.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"
export COORD_RECORD=$WORK/run.hist

# --- increments, exactly once -----------------------------------------------------------------------------------
ctl create /n 0 >/dev/null
pids=""
for i in 1 2 3; do
    in_background "$HELPERS/adder" increment "$(all_addresses)" /n "$WORK/enough" "$WORK/sums.$i"
    pids="$pids $LAST_PID"
done
sum() { ctl --consistency local get /n 2>/dev/null || echo 0; }
beyond() { [ "$(sum)" -gt "$1" ]; }
mark=200
for round in 1 2; do
    wait_until 30 "increments before a kill" beyond $mark
    leader=$(leader_await)
    pid=$(member_pid "$leader")
    kill -KILL "$pid"
    wait_until 5 "the killed process is gone" process_gone "$pid"
    mark=$(($(ctl get /n) + 100))
    wait_until 30 "increments after the kill" beyond $mark
    member_start "$leader"
    wait_until 10 "member $leader is back" member_follows "$leader"
done
: >"$WORK/enough"
for p in $pids; do wait "$p" || fail "an increment failed"; done
total=$(cat "$WORK"/sums.[123] | wc -l)
echo "$total increments, through two kills of leaders"
expect_equal "$(ctl get /n)" "$total" "the sum"
sort -n "$WORK"/sums.[123] | cmp - <(seq "$total") || fail "a sum was told twice, or never"

# --- transfers, all or nothing ----------------------------------------------------------------------------------
ctl create -p /bank/a 100 >/dev/null
ctl create /bank/b 50 >/dev/null
in_background "$HELPERS/adder" audit "$(all_addresses)" 150 "$WORK/stop" /bank/a /bank/b >"$WORK/audit"
audit=$LAST_PID
pids=""
for way in "a b 7" "b a 3" "a b 1"; do
    set -- $way
    in_background "$BUILD/examples/transfer" "$(all_addresses)" "/bank/$1" "/bank/$2" "$3" 60 >"$WORK/transfer.$1$3"
    pids="$pids $LAST_PID"
done
moved() { [ "$(ctl -o json stat /bank/a | json_get version)" -ge "$1" ]; }
wait_until 30 "some transfers" moved 10
leader=$(leader_await)
member_kill "$leader"
for p in $pids; do wait "$p" || true; done # one that runs out of money ends with an error, as it should
member_start "$leader"
wait_until 10 "member $leader is back" member_follows "$leader"
cat "$WORK"/transfer.*
: >"$WORK/stop"
wait "$audit" || fail "the audit: $(cat "$WORK/audit")"
a=$(ctl get /bank/a) b=$(ctl get /bank/b)
expect_equal $((a + b)) 150 "all the money"
[ "$a" -ge 0 ] && [ "$b" -ge 0 ] || fail "an account is below zero: $a, $b"
made() { sed -n 's/^\([0-9]*\) transfers.*/\1/p' "$WORK/transfer.$1"; }
expect_equal "$a" $((100 - 7 * $(made a7) + 3 * $(made b3) - $(made a1))) "what the transfers that were told add up to"

# A failure in the middle takes back what was before it.
expect_exit 3 ctl txn <<'END'
then incr /bank/a -1
then incr /bank/nobody 1
END
expect_match "$ERR" 'operation 2 of 2 \(increment /bank/nobody\): no such node' "which one failed"
expect_equal "$(ctl get /bank/a)" "$a" "the account after the failure"

# --- the text form ----------------------------------------------------------------------------------------------
cat >"$WORK/script" <<'END'
# a blank in a value, and what is read behind a change
if exists /bank
if absent /bank/c

then create -p /bank/c/d "two \"words\""
then get /bank/c/d
then mv /bank/c /bank/e
then rm -r /bank/e
else get /bank/a
END
expect_exit 0 ctl txn "$WORK/script"
expect_match "$OUT" '^get /bank/c/d: two "words"$' "the value read"
expect_match "$OUT" '^rename /bank/e: 2 nodes$' "what moved"
expect_exit 0 ctl create /bank/c
expect_exit 4 ctl txn "$WORK/script"
expect_equal "$OUT" "$(printf 'else\nget /bank/a: %s' "$a")" "the other branch"
expect_exit 4 ctl -o json txn - <"$WORK/script"
expect_match "$OUT" '^\{"branch": "else", .*"operations": 1, "failed": 0' "the answer in JSON"
for bad in "when exists /a" "if exists" "if version /a x" "then fly /a" "then set /a" 'then set /a "x' "then get a" "then incr /a 1 2"; do
    expect_exit 2 ctl txn <<<"$bad"
    expect_match "$ERR" "line 1" "the line of '$bad'"
done

words_about() {
    expect_exit 2 ctl txn <<<"$1"
    expect_match "$ERR" "$2" "what is wrong with '$1'"
    expect_match "$ERR" "line 1" "the line of '$1'"
}
words_about "if held guarded 0" "a number from 1"
words_about "if modified /a 0" "a number from 1"
words_about "then create -e /a" "--ephemeral"
words_about "then create --ttl 0s /a" "no time to live"
words_about "then create --ttl 1s --container /a" "exclude each other"

# --- a lock that went to somebody else --------------------------------------------------------------------------
in_background "$COORDCTL" -s "$(all_addresses)" lock --ttl 1s guarded -- sh -c "echo \$COORD_FENCE >'$WORK/first'; exec sleep 100"
holder=$LAST_PID
wait_until 10 "the first holds" test -s "$WORK/first"
first=$(cat "$WORK/first")
guarded() { printf 'if held guarded %s\nthen incr /bank/a 0\n' "$1" | ctl txn; }
expect_exit 0 guarded "$first"
kill -STOP "$holder"
in_background "$COORDCTL" -s "$(all_addresses)" lock --wait 30s guarded -- sh -c "echo \$COORD_FENCE >'$WORK/second'; exec sleep 100"
second_pid=$LAST_PID
wait_until 30 "the second holds" test -s "$WORK/second"
second=$(cat "$WORK/second")
expect_exit 4 guarded "$first"
expect_equal "$OUT" "else" "the former holder"
expect_exit 0 guarded "$second"
kill -KILL "$holder"
kill -TERM "$second_pid"
wait "$second_pid" || true
expect_exit 4 guarded "$second"

# --- one request, and its refusals ------------------------------------------------------------------------------
for i in $(seq 8); do ctl create -p "/tree/$i/leaf" "$i" >/dev/null; done
expect_equal "$(ctl ls --count /tree)" 8 "children"
expect_equal "$(ctl ls --count -r /tree)" 16 "nodes below"
expect_exit 2 ctl ls --count -l /tree
expect_exit 2 ctl mv /tree /tree/1/2
expect_match "$ERR" "below itself"
expect_exit 3 ctl mv /tree /nowhere/tree
expect_exit 3 ctl mv /nowhere /tree2
expect_exit 4 ctl mv /tree /bank
expect_match "$ERR" "exists already"
expect_exit 4 ctl mv --version 3 /tree /tree2
expect_exit 7 ctl mv /coord /tree2
expect_exit 0 ctl mv /tree/1 /tree/one
expect_equal "$(ctl get /tree/one/leaf)" 1 "what moved along"
expect_exit 4 ctl incr /bank
expect_match "$ERR" "no decimal number"
expect_exit 3 ctl incr /nowhere
expect_exit 2 ctl incr /n 1x
expect_exit 0 ctl incr /n -5
expect_equal "$OUT" $((total - 5)) "a negative increment"

expect_exit 0 ctl quota /tree nodes=18 bytes=1KiB
expect_equal "$OUT" "$(printf 'nodes    17 of 18\nbytes    8 of 1024')" "the quota"
expect_exit 0 ctl create /tree/last
expect_exit 7 ctl create /tree/more
expect_match "$ERR" "quota is reached"
expect_match "$ERR" "ls /coord/quotas" "where to look"
expect_exit 0 ctl quota /tree nodes=100
expect_match "$OUT" "of 1024" "the bound that was not named"
expect_exit 7 ctl set /tree/last "$(head -c 2000 /dev/zero | tr '\0' x)"
expect_exit 0 ctl quota --clear /tree
expect_exit 0 ctl du /tree
expect_equal "$OUT" "$(printf 'nodes    18\nbytes    8')" "what it holds"
expect_exit 2 ctl quota /tree nodes=many
expect_exit 2 ctl quota /tree nodes=4611686018427387904
expect_match "$ERR" "below 2\^62"
expect_exit 3 ctl du /nowhere

expect_exit 4 ctl rm /tree
expect_match "$ERR" "has children"
expect_exit 0 ctl -o json rm -r /tree
expect_match "$OUT" '"count": 18' "all at once"
expect_equal "$ERR" "" "a word too many"

# What is too large to go as one, is refused as one and goes in pages.
COORD_RECORD=$WORK/big.hist ctl bench --op create --conns 8 --outstanding 32 --value 1 --warmup 0 --ops 10100 >/dev/null
[ "$(ctl ls --count -r /bench)" -ge 10100 ] || fail "bench made $(ctl ls --count -r /bench) nodes"
expect_exit 1 ctl mv /bench /bench2
expect_match "$ERR" "limit is reached"
COORD_RECORD=$WORK/big.hist expect_exit 4 ctl rm -r --version 9 /bench
COORD_RECORD=$WORK/big.hist expect_exit 0 ctl rm -r --version 0 /bench
expect_match "$ERR" "page by page" "that it took several requests"
expect_exit 3 ctl exists /bench

# --- all of it was linearizable ---------------------------------------------------------------------------------
unset COORD_RECORD
expect_exit 0 "$COORDCTL" verify --empty "$WORK/run.hist" "$WORK/big.hist"
expect_match "$OUT" "^linearizable$"
echo "$OUT"
# One sum that was told twice is found.
line=$(grep -n '^R .* OK done .* data=s:500 ' "$WORK/run.hist" | sed -n 1p | cut -d: -f1)
sed "${line}s/ data=s:500 / data=s:499 /" "$WORK/run.hist" >"$WORK/twice.hist"
expect_exit 1 "$COORDCTL" verify --path /n "$WORK/twice.hist"
expect_match "$OUT" "VIOLATION at /n"
expect_match "$OUT" "increment /n by 1"
