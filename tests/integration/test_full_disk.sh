# Goal (D6): when all disks are full, writes are refused with that reason and reads go on; when there is room again, so do
# writes. A leader whose disk alone is full lets one with room lead. Nothing acknowledged is lost.
. "$(dirname "$0")/lib.sh"
mkdir -p "$ENSEMBLE"
for i in 1 2 3; do
    mkdir -m 700 "$ENSEMBLE/data-$i"
    mount -t tmpfs -o size=160m,mode=700 tmpfs "$ENSEMBLE/data-$i" 2>/dev/null || skip "a file system cannot be mounted here"
    MOUNTS="$MOUNTS $ENSEMBLE/data-$i"
done
# No snapshots: they would free segments, and members could go on without new ones.
start_ensemble 3 "snapshot: {entries: 1000000, bytes: 1GiB}"
ctl create /f "old" >/dev/null
ctl create /load "" >/dev/null
head -c 900000 /dev/zero | tr '\0' x >"$WORK/value"
fill() { dd if=/dev/zero of="$ENSEMBLE/data-$1/filler" bs=1M count=200 2>/dev/null || true; }
no_room() { grep -q "no room for the log" "$ENSEMBLE/member-$1.log"; }
# Write until the segments that were ready are used up; a write may be refused meanwhile.
use_up() { ctl --timeout 3s set /f - <"$WORK/value" 2>"$WORK/use.err" || true; no_room "$1"; }
other_leads() {
    local l
    l=$(leader_id) && [ -n "$l" ] && [ "$l" != "$1" ]
}
refused() { ! ctl --timeout 3s set /f - <"$WORK/value" 2>"$WORK/refusal" && grep -qE "full|session could not be opened" "$WORK/refusal"; }

for i in 1 2 3; do fill $i; done
wait_until 30 "writes are refused with the reason" refused
expect_exit 0 ctl --consistency local get /f
for i in 1 2 3; do rm -f "$ENSEMBLE/data-$i/filler"; done
wait_until 20 "writes are taken again" ctl --timeout 3s set /f new

leader=$(leader_await)
: >"$ENSEMBLE/member-$leader.log"
fill "$leader"
wait_until 30 "the log of member $leader has no room" use_up "$leader"
wait_until 10 "another member leads" other_leads "$leader"
"$HELPERS/ackwriter" write "$(all_addresses)" /load a "$WORK/journal.a" 50 >/dev/null || fail "writes do not go on"
rm -f "$ENSEMBLE/data-$leader/filler"
for i in 1 2 3; do
    member_kill $i
    member_start $i
done
wait_until 20 "all are back" ensemble_ready
for i in 1 2 3; do
    "$HELPERS/ackwriter" verify "$(client_address $i)" /load "$WORK"/journal.* || fail "member $i lost something"
done
