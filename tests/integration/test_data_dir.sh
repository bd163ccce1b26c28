# Goal (D17): files that were cut, emptied or lost, and a directory that cannot be written, end the start with exit code 1
# and one line that says what is wrong; nothing is changed, so that a second start says the same.
. "$(dirname "$0")/lib.sh"
start_ensemble 1 "snapshot: {entries: 100, keep: 2}"
data=$ENSEMBLE/data-1
ctl create /d "" >/dev/null
"$HELPERS/ackwriter" write "$(all_addresses)" /d a "$WORK/journal" 200 >/dev/null || fail "the writer failed"
member_stop 1
[ -n "$(find "$data/snap" -name '*.snap')" ] || fail "there is no snapshot"
cp -a "$data" "$WORK/whole"
first=$(find "$data/wal" -name '*.seg' | sort | sed -n 1p)
sums() { (cd "$data" && find . -type f -exec md5sum {} + | sort); }

# refused WHAT PATTERN: the start is, twice, for the same reason.
refused() {
    local before i
    before=$(sums)
    for i in 1 2; do
        expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-1.yaml"
        expect_match "$ERR" "$2" "$1"
        expect_equal "$(wc -l <"$WORK/last.err")" 1 "lines about: $1"
        expect_equal "$(sums)" "$before" "the files after: $1"
    done
    rm -rf "$data"
    cp -a "$WORK/whole" "$data"
}

truncate -s 20000 "$first"
refused "a log file that was cut" "damaged: wal/$(basename "$first") .*ends here"
truncate -s 0 "$first"
refused "a log file that is empty" "damaged|there are snapshots but no log"
rm "$data"/wal/*.seg
: >"$first"
refused "nothing but an empty log file" "there are snapshots but no log"
head -c 1048576 /dev/urandom >"$first"
refused "a log file of noise" "damaged|there are snapshots but no log"
rm "$data"/wal/*.seg
refused "a lost log" "there are snapshots but no log"
rm -rf "$data/wal"
refused "a lost directory" "there are snapshots but no log"
mv "$data" "$WORK/elsewhere" && ln -s "$WORK/elsewhere" "$data"
refused "a link" "not a directory"
if mount -o bind "$data" "$data" 2>/dev/null; then
    if mount -o remount,ro,bind "$data" 2>/dev/null; then
        expect_exit 1 timeout 20 "$COORDD" -c "$ENSEMBLE/member-1.yaml"
        expect_match "$ERR" "Read-only file system" "a directory that cannot be written"
    fi
    umount "$data"
fi
# The whole directory still starts, with everything in it.
member_start 1
wait_until 10 "the member is back" ensemble_ready
"$HELPERS/ackwriter" verify "$(all_addresses)" /d "$WORK/journal" || fail "something is missing"
