# Goal (P9): a member that runs out of descriptors serves the clients it has, tells all others at once, does not spin, and
# recovers.
. "$(dirname "$0")/lib.sh"
command -v prlimit >/dev/null || skip "prlimit is not installed"
start_ensemble 3
ctl create /f "yes" >/dev/null
victim=$(other_members "$(leader_await)" | sed -n 1p)
pid=$(member_pid "$victim")
port=$(client_port "$victim")
prlimit --pid "$pid" --nofile=$(($(find "/proc/$pid/fd" -mindepth 1 | wc -l) + 6)):

in_background "$COORDCTL" -s "$(client_address "$victim")" watch /f
wait_until 5 "the watcher is connected" sh -c "[ \$(find /proc/$pid/fd -mindepth 1 | wc -l) -gt 6 ]"
# Hold all that are left, at both ports.
for i in $(seq 4 43); do
    eval "exec {held$i}<>/dev/tcp/127.0.0.1/$((port + i % 2))" 2>/dev/null || true
done
ticks() { awk '{print $14 + $15}' "/proc/$pid/stat"; }
before=$(ticks)
sleep 2 # of which a loop that spins burns all
[ "$(basename "$BUILD")" != release ] || expect_below $(($(ticks) - before)) 60 "1/100 s of processor time in two seconds"
grep -q "Too many open files" "$ENSEMBLE/member-$victim.log" || fail "the log does not say what is missing"
ulimit -n "$(ulimit -Hn)"
"$HELPERS/abuser" storm "$port" 3000 127.0.0.1 0 >"$WORK/storm" || fail "the storm could not begin"
expect_match "$(cat "$WORK/storm")" 'stuck=0$' "those without a word"
ctl set /f "still" || fail "the ensemble does not go on"
for i in $(seq 4 43); do
    eval "[ -z \"\${held$i:-}\" ] || exec {held$i}>&-"
done
wait_until 10 "member $victim takes clients again" value_is "$victim" /f still
wait_until 10 "all members are in touch" ensemble_ready
