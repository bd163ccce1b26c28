# Goal: 2 of 5 members are cut off under load, the leader among them. They refuse within about an election
# timeout while the other 3 go on; after healing everybody serves again; and what all the clients were told,
# on both sides, is linearizable.
. "$(dirname "$0")/lib.sh"
start_ensemble 5 "lab: true"
run=$WORK/run.hist

# Six clients that start at any member and move when refused; and at each member one that asks there alone.
load() { # load NAME ADDRESSES CONNS SECS
    COORD_RECORD=$run.$1 in_background "$COORDCTL" -s "$2" bench --op mixed:50 --conns "$3" --outstanding 2 --keys 20 \
        --secs "$4" --warmup 0 --rate $((50 * $3)) >"$WORK/$1.out" 2>&1
}
load free "$(all_addresses)" 6 20
free=$LAST_PID
pids=""
for n in 1 2 3 4 5; do
    load "at$n" "$(client_address "$n")" 1 20
    pids="$pids $LAST_PID"
done

# Answers that a recording holds; 0 before it exists.
answers() { grep -c '^R' "$run.$1" 2>/dev/null || true; }
more_at() { [ "$(answers "$1")" -gt "$2" ]; }
for n in free at1 at2 at3 at4 at5; do
    wait_until 15 "operations of $n are recorded" more_at "$n" 20
done

leader=$(leader_await)
read -r other first second third <<<"$(other_members "$leader" | paste -sd' ')"
ctl partition "$leader,$other / $first,$second,$third" >/dev/null || fail "the partition was refused"

# Each member of the minority refuses a write and a linearizable read: soon, in words, exit code 5.
for n in $leader $other; do
    expect_exit 5 ctl_on "$n" set /mine 1
    expect_below "$TOOK" 2500 "ms until the refusal"
    expect_match "$ERR" "need"
    expect_exit 5 ctl_on "$n" get /bench
    expect_exit 0 ctl_on "$n" --consistency local ls /
done
# The majority goes on, with clients that were on the other side before.
serves() { ctl_on "$1" --timeout 1s sync; }
wait_until 10 "the majority has a leader" serves "$first"
for n in free "at$first"; do
    wait_until 10 "the majority serves $n" more_at "$n" $(($(answers "$n") + 50))
done

ctl partition heal >/dev/null || fail "the heal was refused"
for n in 1 2 3 4 5; do
    wait_until 10 "member $n serves again" serves "$n"
    wait_until 10 "clients of member $n are served again" more_at "at$n" $(($(answers "at$n") + 20))
done
for pid in $free $pids; do wait "$pid" || true; done # errors are part of this

expect_exit 0 "$COORDCTL" verify "$run.free" "$run".at?
expect_match "$OUT" "^linearizable$"
echo "$OUT"
# It was no idle run, and the minority did refuse.
total=0
for n in free at1 at2 at3 at4 at5; do total=$((total + $(answers "$n"))); done
[ "$total" -ge 2000 ] || fail "only $total answers were recorded"
refused=$(cat "$run".* | grep -c 'NOQUORUM\|NO_QUORUM\|UNAVAILABLE\|INDOUBT' || true)
echo "answers=$total refused=$refused"
[ "$refused" -ge 10 ] || fail "only $refused requests were refused"
