# Goal: locks and elections, recorded while holders and the leader are killed, are judged linearizable: numbers, names,
# ephemeral nodes that go with their sessions. A number that is given twice is found.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
run=$WORK/run.hist
export COORD_RECORD=$run

workers=""
for w in 1 2 3; do
    in_background bash -c "for i in 1 2 3 4 5; do '$COORDCTL' -s '$(all_addresses)' lock --ttl 2s --wait 60s nightly -- true || exit 1; done"
    workers="$workers $LAST_PID"
done
in_background "$COORDCTL" -s "$(all_addresses)" elect --ttl 2s --value one svc -- sleep 60
first=$LAST_PID
leads() { env -u COORD_RECORD "$COORDCTL" -s "$(all_addresses)" elect ls svc 2>/dev/null | sed -n 1p | grep >/dev/null "$1"; }
wait_until 20 "the first leads" leads one
in_background "$COORDCTL" -s "$(all_addresses)" elect --ttl 2s --value two svc -- sleep 60
kill -KILL "$first"
leader=$(leader_await)
member_kill "$leader"
for w in $workers; do wait "$w" || fail "a lock was not got"; done
wait_until 20 "the second leads" leads two
expect_exit 0 ctl lock ls nightly
expect_exit 0 ctl elect ls svc
expect_exit 0 ctl ls -l -r /
unset COORD_RECORD

expect_exit 0 "$COORDCTL" verify "$run"
expect_match "$OUT" "^linearizable$"
echo "$OUT"
expect_exit 0 "$COORDCTL" verify --empty "$run"

# The number of a later place in the queue becomes that of the one before.
numbers=$(sed -n 's/^R .* path=\(\/[^ ]*nightly[^ ]*\) seq=\([0-9]*\) .*/\1 \2/p' "$run")
[ "$(wc -l <<<"$numbers")" -ge 15 ] || fail "too few numbers: $numbers"
read -r later number <<<"$(tail -n 1 <<<"$numbers")"
sed "s|\(path=$later\) seq=$number |\1 seq=$((number - 1)) |" "$run" >"$run.twice"
expect_exit 1 "$COORDCTL" verify "$run.twice"
expect_match "$OUT" "VIOLATION at .*nightly"
echo "$OUT"
