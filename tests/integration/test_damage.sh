# Goal (D8): a flipped bit in acknowledged data is not mistaken for a torn write. Of three members the damaged one
# starts, says so, does not vote, is refilled by the others, votes again, and then is as good as any: the group lives on
# when another one dies, and has lost nothing. Killed while it is refilled it begins again. A member that is alone refuses
# to start and says where and what `raft-wal repair` would do. Data of another cluster is refused.
. "$(dirname "$0")/lib.sh"

# damage MEMBER WORD: spoil one byte of the entry that holds WORD, and forget the member's log lines. In every file that
# has it: which one the log lives in cannot be seen from names, for files that are kept to be used again hold old copies.
damage() {
    local segment offset
    SEGMENT=""
    for segment in $(grep -la "$2" "$ENSEMBLE/data-$1"/wal/*.seg); do
        for offset in $(grep -abo "$2" "$segment" | cut -d: -f1); do
            printf 'Q' | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
        done
        SEGMENT=$(basename "$segment")
    done
    [ -n "$SEGMENT" ] || fail "'$2' is not found in the log of member $1"
    : >"$ENSEMBLE/member-$1.log"
}
says() { grep -q "$2" "$ENSEMBLE/member-$1.log"; }
status_of() { ctl_on "$1" status; }
repairs() { status_of "$1" | grep >/dev/null "repairing:"; }
is_whole() { says "$1" "votes again" && says "$1" "whole again" && ! repairs "$1"; }
all_there() {
    local i
    for i in $(seq 1 50); do
        expect_equal "$(ctl_on "$1" --consistency local get "/d/n$i" 2>/dev/null)" "payload number $i" "node $i at member $1"
    done
}

start_ensemble 3
ctl create /d "" >/dev/null
for i in $(seq 1 50); do ctl create "/d/n$i" "payload number $i" >/dev/null; done

# Damaged while the others go on, and written to meanwhile.
member_stop 3
damage 3 "payload number 25"
ctl set /d "while member 3 was away" >/dev/null
member_start 3
wait_until 20 "member 3 is whole" is_whole 3
says 3 "$SEGMENT" || fail "the damaged file is not named"
says 3 "does not vote until" || fail "it is not said what that means"
wait_until 10 "member 3 has everything" value_is 3 /d "while member 3 was away"
all_there 3

# It counts again: with another one dead, it and the third are the majority.
leader=$(leader_await)
victim=$([ "$leader" = 3 ] && echo 1 || echo "$leader")
member_kill "$victim"
wait_until 20 "the other two take writes" ctl --timeout 3s set /d "member $victim is dead"
all_there 3
member_start "$victim"
wait_until 20 "all are back" ensemble_ready

# The verdict is over: nothing of it is said at the next start.
member_stop 3
: >"$ENSEMBLE/member-3.log"
member_start 3
wait_until 20 "all are back" ensemble_ready
! says 3 "acknowledged entries are damaged" || fail "the verdict outlived the repair"

# Alone with a damaged log, a member neither leads nor follows; killed in that state it is under repair again at
# its next start, and whole only after the others came.
for i in 1 2 3; do member_stop $i; done
damage 3 "payload number 40"
member_start 3
wait_until 10 "member 3 is under repair" repairs 3
member_kill 3
: >"$ENSEMBLE/member-3.log"
member_start 3
wait_until 10 "member 3 is under repair after a crash" repairs 3
says 3 "acknowledged entries are damaged" || fail "the verdict did not survive a crash"
ctl_on 3 -o json status | grep >/dev/null '"repairing": *true' || fail "the status does not say so as JSON"
member_start 1
member_start 2
wait_until 20 "member 3 is whole again" is_whole 3
all_there 3

# Another cluster's directory.
member_stop 2
sed -i 's/^cluster: .*/cluster: somebody-else/' "$ENSEMBLE/member-2.yaml"
expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-2.yaml"
expect_match "$ERR" "cluster|another" "the foreign data is named"
ensemble_kill

# A member of one.
rm -rf "$ENSEMBLE"
start_ensemble 1
ctl create /d "" >/dev/null
for i in $(seq 1 50); do ctl create "/d/n$i" "payload number $i" >/dev/null; done
member_stop 1
damage 1 "payload number 25"
cp "$ENSEMBLE/data-1/wal/$SEGMENT" "$WORK/damaged"
expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-1.yaml"
expect_match "$ERR" "$SEGMENT at offset [0-9]+" "the place is named"
expect_match "$ERR" "raft-wal repair.*lose entries [0-9]+ to [0-9]+" "what a repair would cost is named"
cmp "$ENSEMBLE/data-1/wal/$SEGMENT" "$WORK/damaged" || fail "the damaged file was changed"
