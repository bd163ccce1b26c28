# Goal: clients that never read (L4), say nothing (I6), come 2,000 at once (L1), or send broken requests (I1..I7) cost
# nobody else anything: writes are acknowledged meanwhile, no member ends, stalls or fills the memory.
. "$(dirname "$0")/lib.sh"
ulimit -n "$(ulimit -Hn)"
[ "$(ulimit -n)" -ge 3000 ] || skip "no 3,000 open files are allowed here"
start_ensemble 3 "snapshot: {entries: 2000, keep: 2}"
ports=$(client_port 1),$(client_port 2),$(client_port 3)
ctl create /f "" >/dev/null
ctl create /load "" >/dev/null
head -c 900000 /dev/zero | tr '\0' x >"$WORK/big"
ctl set /f - <"$WORK/big"

calm() {
    local i journal=$WORK/journal.$1
    "$HELPERS/ackwriter" write "$(all_addresses)" /load "$1" "$journal" 100 >/dev/null || fail "a writer failed during $1"
    for i in 1 2 3; do member_pid $i >/dev/null || fail "member $i ended during $1"; done
}
memory_mb() { awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$(member_pid "$1")/status"; }

in_background "$HELPERS/abuser" idle "$ports" 150
idle=$LAST_PID
in_background "$HELPERS/abuser" hog "$ports" /f 30 4
hog=$LAST_PID
calm hogs
wait "$hog" || fail "the hogs did not come to their end"
# Ten hogs on each member ask for 18 GB. What each may leave unsent is about 6 MB, in the kernel or here.
if [ "$(basename "$BUILD")" = release ]; then
    for i in 1 2 3; do expect_below "$(memory_mb $i)" 300 "MB of memory of member $i"; done
fi
"$HELPERS/abuser" fuzz "$ports" "$RANDOM" 3 || fail "the fuzzer could not connect any more"
calm fuzz
in_background "$HELPERS/abuser" crowd "$ports" 2000
crowd=$LAST_PID
calm crowd
wait "$crowd" || fail "not all of the crowd were greeted"
wait "$idle" || fail "idle connections were kept"
for i in 1 2 3; do "$HELPERS/ackwriter" verify "$(client_address $i)" /load "$WORK"/journal.*; done
