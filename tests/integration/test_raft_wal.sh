#!/usr/bin/env bash
# Goal: raft-wal tells a sound log from a damaged one, changes nothing while it looks, and cuts a log only
# on the operator's word and after a copy. Method: three raft-counter processes make real logs; these are
# spoiled one way at a time, judged, cut, and started again.
. "$(dirname "$0")/lib.sh"

COUNTER=$BUILD/raft-counter
TOOL=$BUILD/raft-wal
EVERY=500 # no snapshots at first
BASE=$(port_base 3) # members use BASE+1 to BASE+3
until port_free $((BASE + 2)) && port_free $((BASE + 3)); do BASE=$(port_base 3); done

start() { # N
    in_background "$COUNTER" "$1" "$WORK/c$1" "$BASE" "$EVERY" >"$WORK/c$1.log" 2>&1
    eval "PID_$1=$LAST_PID"
}
stop() { # N
    local pid
    eval "pid=\$PID_$1"
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}
ask() { # N LINE
    REPLY=""
    { exec 3<>"/dev/tcp/127.0.0.1/$((BASE + $1))"; } 2>/dev/null || return 1
    printf '%s\n' "$2" >&3
    read -r -t 2 REPLY <&3 || { exec 3>&-; return 1; }
    exec 3>&-
}
add_somewhere() { for m in 1 2 3; do ask $m "add 1" && [ "${REPLY:0:1}" = "=" ] && LEADER=$m && return 0; done; return 1; }
reads_as() { ask "$1" get && [ "$REPLY" = "= $2" ]; }
picture() { (cd "$1" && find . -type f ! -name LOCK -exec sha256sum {} + | sort); }
flip() { # FILE OFFSET
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\x$(printf '%x' $((byte ^ 64)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
fresh() { # a copy of member 1's directory to spoil
    rm -rf "$WORK/d"
    cp -r "$WORK/c1" "$WORK/d"
}
offset_of() { "$TOOL" dump "$WORK/d" | sed -n "s/^ *\([0-9]*\)  $1.*/\1/p" | tail -n 1; }

for n in 1 2 3; do start $n; done
wait_until 10 "a leader" add_somewhere
sum=0
reads_sum() { ask "$LEADER" get && sum=${REPLY#= }; }
add_somewhere
reads_sum
for i in $(seq 30); do
    ask "$LEADER" "add 1" || fail "no answer"
    sum=$((sum + 1))
done
for n in 1 2 3; do wait_until 5 "member $n to read $sum" reads_as $n $sum; done

# A running member's log is its own.
expect_exit 2 "$TOOL" verify "$WORK/c1"
expect_match "$ERR" 'another process' "the reason"
expect_exit 2 "$TOOL" verify "$WORK/nothing"
expect_exit 2 "$TOOL" rewrite "$WORK/c1"
for n in 1 2 3; do stop $n; done

# Sound logs; looking changes nothing.
before=$(picture "$WORK/c1")
for n in 1 2 3; do expect_exit 0 "$TOOL" verify "$WORK/c$n"; done
expect_match "$OUT" '^sound' "the judgement"
expect_exit 0 "$TOOL" dump "$WORK/c1"
for i in $(seq 2 30); do expect_match "$OUT" " ENTRY     $i term [0-9]+ (command|noop) bytes" "entry $i of the dump"; done
cp -r "$WORK/c1" "$WORK/ahead"
ahead=$(printf '%016x' $((0x$(basename "$(find "$WORK/ahead" -name '*.seg' | sort | tail -n 1)" .seg) + 1)))
truncate -s 65536 "$(find "$WORK/ahead" -type d -name wal)/$ahead.seg"
expect_exit 0 "$TOOL" dump "$WORK/ahead"
expect_match "$OUT" "wal/$ahead.seg  no header \(only zeros, as in a segment made ahead\), 65536 bytes" "a segment made ahead"
expect_exit 0 "$TOOL" verify "$WORK/ahead"
expect_exit 0 "$TOOL" repair "$WORK/c1" --yes
expect_match "$OUT" 'nothing to repair' "repair of a sound log"
expect_equal "$(picture "$WORK/c1")" "$before" "the directory after looking"

# A flipped bit in an acknowledged entry: named, not touched without the word.
fresh
segment=$WORK/d/wal/$(ls "$WORK/d/wal" | sed -n 1p)
at=$(offset_of "ENTRY     20 ")
flip "$segment" $((at + 34))
spoiled=$(picture "$WORK/d")
expect_exit 1 "$TOOL" verify "$WORK/d"
expect_match "$OUT" "DAMAGED  wal/$(basename "$segment") at offset [0-9]+: " "file and offset"
where=$(sed -n 's/.*at offset \([0-9]*\):.*/\1/p' <<<"$OUT")
[ "$where" -le "$at" ] && [ "$where" -gt $((at - 4096)) ] || fail "damage at $at is reported at $where"
expect_match "$("$TOOL" dump "$WORK/d" | grep -c '! ENTRY')" '^[1-9]' "intact entries behind the damage"
expect_exit 1 "$TOOL" repair "$WORK/d"
expect_match "$OUT" 'lost: entries (1[0-9]|20) to [0-9]+' "what would go"
expect_equal "$(picture "$WORK/d")" "$spoiled" "the directory without --yes"
mkdir "$WORK/kept" && cp "$WORK"/d/wal/* "$WORK/kept"
expect_exit 0 "$TOOL" repair "$WORK/d" --yes
expect_equal "$(picture "$WORK/d/wal.backup-1")" "$(picture "$WORK/kept")" "the backup"
expect_exit 0 "$TOOL" verify "$WORK/d"
last=$(sed -n 's/.* entries 1 to \([0-9]*\)$/\1/p' <<<"$OUT")
[ "$last" -lt 20 ] && [ "$last" -gt 0 ] || fail "the log ends at $last after the cut before 20"

# The cut member takes part again; the others bring what it lost.
mv "$WORK/c1" "$WORK/c1.whole" && mv "$WORK/d" "$WORK/c1"
for n in 1 2 3; do start $n; done
for n in 1 2 3; do wait_until 10 "member $n to read $sum after the repair" reads_as $n $sum; done
for n in 1 2 3; do stop $n; done
rm -rf "$WORK/c1" && mv "$WORK/c1.whole" "$WORK/c1"

# Nor need it be cut: the others replace what it lost while it only follows, and the verdict ends by itself.
fresh
segment=$WORK/d/wal/$(ls "$WORK/d/wal" | sed -n 1p)
flip "$segment" $(($(offset_of "ENTRY     20 ") + 34))
expect_exit 1 "$TOOL" verify "$WORK/d"
mv "$WORK/c1" "$WORK/c1.whole" && mv "$WORK/d" "$WORK/c1"
for n in 1 2 3; do start $n; done
wait_until 10 "member 1 to read $sum" reads_as 1 $sum
expect_match "$(cat "$WORK/c1.log")" 'wal/[0-9a-f]*\.seg at offset .* acknowledged data is damaged' "what it says"
verdict_is_over() { stop 1 && "$TOOL" verify "$WORK/c1" >/dev/null || { start 1 && false; }; }
wait_until 10 "the log of member 1 is sound" verdict_is_over
for n in 2 3; do stop $n; done
rm -rf "$WORK/c1" && mv "$WORK/c1.whole" "$WORK/c1"

# A write that was never finished is no damage.
fresh
segment=$WORK/d/wal/$(ls "$WORK/d/wal" | sed -n 1p)
flip "$segment" $(($(offset_of "BATCH ") + 8))
expect_exit 0 "$TOOL" verify "$WORK/d"
expect_match "$OUT" '^sound' "the judgement on a torn write"

# A segment that lost its end, and one that lost its header.
fresh
segment=$WORK/d/wal/$(ls "$WORK/d/wal" | sed -n 1p)
truncate -s $(($(offset_of "ENTRY     20 ") + 8)) "$segment"
expect_exit 1 "$TOOL" verify "$WORK/d"
expect_match "$OUT" 'the file ends here' "the reason"
expect_exit 0 "$TOOL" repair "$WORK/d" --yes
expect_exit 0 "$TOOL" verify "$WORK/d"
fresh
segment=$WORK/d/wal/$(ls "$WORK/d/wal" | sed -n 1p)
flip "$segment" 20
flip "$segment" 2068 # the second copy
expect_exit 1 "$TOOL" verify "$WORK/d"
expect_match "$OUT" "DAMAGED  wal/$(basename "$segment") at offset " "the headless segment"

# A snapshot that rotted is found too.
EVERY=10
for n in 1 2 3; do start $n; done
for n in 1 2 3; do wait_until 10 "member $n to read $sum" reads_as $n $sum; done
for n in 1 2 3; do stop $n; done
fresh
expect_exit 0 "$TOOL" verify "$WORK/d"
expect_match "$OUT" '^snapshot at [0-9]+ .*: sound' "the snapshot"
snap=$(ls "$WORK"/d/snap/*.snap | sed -n 1p)
flip "$snap" 4100
expect_exit 1 "$TOOL" verify "$WORK/d"
expect_match "$OUT" "DAMAGED  snap/$(basename "$snap")" "the snapshot that rotted"
