#!/usr/bin/env bash
# Goal: the example of the Raft library keeps its number. Method: three processes count on their own
# log; one is killed -9 and comes back through a snapshot, then all are; a fourth takes the place of one that
# is gone; a byte rots on one's disk. Every answer is checked against the sum of what was acknowledged.
. "$(dirname "$0")/lib.sh"

COUNTER=$BUILD/raft-counter
EVERY=40
BASE=$(port_base 4) # members use BASE+1 to BASE+4
until port_free $((BASE + 2)) && port_free $((BASE + 3)) && port_free $((BASE + 4)); do BASE=$(port_base 4); done
declare -A PID

start() { # N
    in_background "$COUNTER" "$1" "$WORK/counter-$1" "$BASE" "$EVERY" >"$WORK/counter-$1.log" 2>&1
    PID[$1]=$LAST_PID
}
stop() { # N
    kill -9 "${PID[$1]}" 2>/dev/null || true
    wait "${PID[$1]}" 2>/dev/null || true
}
# ask N LINE: REPLY is the answer of member N. Fails when there is none.
ask() {
    REPLY=""
    { exec 3<>"/dev/tcp/127.0.0.1/$((BASE + $1))"; } 2>/dev/null || return 1
    printf '%s\n' "$2" >&3
    read -r -t 2 REPLY <&3 || { exec 3>&-; return 1; }
    exec 3>&-
}
# The member that leads and has committed something in its term.
find_leader() {
    for LEADER in 1 2 3 4; do
        ask "$LEADER" "add 0" && [ "${REPLY:0:1}" = "=" ] && return 0
    done
    return 1
}
says_who() { ask "$1" who && [ "$REPLY" = "$2" ]; }
reads_as() { ask "$1" get && [ "$REPLY" = "= $2" ]; }

for n in 1 2 3; do start $n; done
wait_until 10 "a leader" find_leader
find_leader

# Counted once, read everywhere.
sum=0
for i in $(seq 10); do
    ask "$LEADER" "add $i" || fail "no answer to add $i"
    sum=$((sum + i))
    expect_equal "$REPLY" "= $sum" "the sum after add $i"
done
for n in 1 2 3; do wait_until 5 "member $n to read $sum" reads_as $n $sum; done
ask "$LEADER" "add -5" && sum=$((sum - 5))
expect_equal "$REPLY" "= $sum" "a negative number"
for bad in "add" "add x" "add 1 2" "set 4" "add 99999999999999999999"; do
    ask "$LEADER" "$bad" || fail "no answer to '$bad'"
    expect_match "$REPLY" '^error ' "the answer to '$bad'"
done
expect_equal "$(ask "$LEADER" get && echo "$REPLY")" "= $sum" "the sum after nonsense"

# The leader dies; the others go on, far enough that it needs a snapshot.
dead=$LEADER
stop "$dead"
wait_until 10 "another leader" find_leader
find_leader
for i in $(seq $((3 * EVERY))); do
    ask "$LEADER" "add 1" || fail "no answer with one member dead"
    sum=$((sum + 1))
    expect_equal "$REPLY" "= $sum" "the sum with one member dead"
done
start "$dead"
wait_until 10 "the member that was dead to read $sum" reads_as "$dead" $sum
ls "$WORK/counter-$dead/snap" | grep >/dev/null '\.snap$' || fail "it came back without a snapshot"

# All die at once; what was acknowledged is still there.
for n in 1 2 3; do stop $n; done
for n in 1 2 3; do start $n; done
for n in 1 2 3; do wait_until 10 "member $n to read $sum after all died" reads_as $n $sum; done
wait_until 10 "a leader" find_leader
find_leader
ask "$LEADER" "add 1000" || fail "no answer after the restart"
expect_equal "$REPLY" "= $((sum + 1000))" "the sum after the restart"

sum=$((sum + 1000))

# One that is lost for good: the fourth takes its place, and is needed for a majority soon after.
lost=$([ "$LEADER" = 3 ] && echo 2 || echo 3)
stays=$((6 - LEADER - lost))
stop "$lost"
start 4
wait_until 10 "member 4 to answer" says_who 4 "voters"
voters=$(printf '%s\n' "$LEADER" "$stays" 4 | sort | paste -sd ' ')
ask "$LEADER" "voters $voters" || fail "no answer to a change of members"
expect_equal "$REPLY" "begun" "the answer to a change of members"
for n in "$LEADER" "$stays" 4; do wait_until 10 "member $n to know its peers" says_who "$n" "voters $voters"; done
ask "$LEADER" "voters $voters" && expect_match "$REPLY" '^error ' "the answer to no change"
stop "$stays"
wait_until 10 "a leader" find_leader
find_leader
ask "$LEADER" "add 20061986658402881" || fail "no answer from two of the new three"
ask "$LEADER" "add -20061986658402881" || fail "no answer from two of the new three"
expect_equal "$REPLY" "= $sum" "the sum with a new member"
start "$stays"
for n in "$LEADER" "$stays" 4; do wait_until 10 "member $n to read $sum" reads_as "$n" $sum; done

# Rot in what member 4 had acknowledged: it is filled again, and then as good as any.
stop 4
segment=$(grep -la ABCDEFG "$WORK"/counter-4/wal/*.seg | tail -n 1)
[ -n "$segment" ] || fail "the number is not found in the log of member 4"
printf 'Q' | dd of="$segment" bs=1 seek="$(grep -abo ABCDEFG "$segment" | tail -n 1 | cut -d: -f1)" conv=notrunc status=none
start 4
wait_until 10 "member 4 to be whole again" says_who 4 "voters $voters"
grep -q 'damaged' "$WORK/counter-4.log" || fail "the damage was not noticed"
for n in $voters; do [ "$n" = 4 ] || [ "$n" = "$stays" ] || stop "$n"; done
wait_until 10 "a leader of the other two" find_leader
wait_until 10 "member 4 to read $sum" reads_as 4 $sum

! grep -lE 'ERROR: AddressSanitizer|runtime error:|stopped' "$WORK"/counter-*.log || fail "a member stopped by itself"

# The data of a member is nobody else's.
stop 1
expect_exit 1 "$COUNTER" 2 "$WORK/counter-1" "$BASE"
expect_match "$ERR" 'belongs to another' "starting on another member's data"
