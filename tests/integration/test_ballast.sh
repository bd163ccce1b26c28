# Goal (D6): each member keeps a reserve file that is of no use but to be deleted when the disk is full: then writes go on at
# once, without a restart. It is not made again on what was just freed, and not at all on a small disk.
. "$(dirname "$0")/lib.sh"
mkdir -p "$ENSEMBLE"
mkdir -m 700 "$ENSEMBLE/data-1"
mount -t tmpfs -o size=380m,mode=700 tmpfs "$ENSEMBLE/data-1" 2>/dev/null || skip "a file system cannot be mounted here"
MOUNTS="$ENSEMBLE/data-1"
# No snapshots: they would free segments.
start_ensemble 1 "snapshot: {entries: 1000000, bytes: 1GiB}"
BALLAST=$ENSEMBLE/data-1/ballast
made() { [ "$(stat -c %s "$BALLAST" 2>/dev/null)" = $((64 * 1024 * 1024)) ]; }
refused() { ! ctl --timeout 3s set /f - <"$WORK/value" 2>"$WORK/refusal" && grep -qE "full|session could not be opened" "$WORK/refusal"; }

ctl create /f "old" >/dev/null
wait_until 20 "the reserve is made" made
head -c 900000 /dev/zero | tr '\0' x >"$WORK/value"
dd if=/dev/zero of="$ENSEMBLE/data-1/filler" bs=1M count=400 2>/dev/null || true
wait_until 30 "writes are refused with the reason" refused
made || fail "the reserve is gone"
expect_exit 0 ctl --consistency local get /f

rm "$BALLAST"
wait_until 20 "writes are taken again" ctl --timeout 3s set /f new
for i in 1 2 3; do ctl set /f "new $i" >/dev/null; done
[ ! -e "$BALLAST" ] || fail "the reserve took the room that had just been freed"
member_stop 1
member_start 1
wait_until 20 "it runs" ctl --timeout 3s set /f newer
[ ! -e "$BALLAST" ] || fail "the reserve was made on a disk that is nearly full"

member_stop 1
rm "$ENSEMBLE/data-1/filler"
member_start 1
wait_until 20 "it runs" ctl --timeout 3s set /f newest
wait_until 20 "the reserve is made again" made
