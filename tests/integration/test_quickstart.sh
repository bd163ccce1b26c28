# Goal: quickstart as a new user meets it: the tour ends with its last line, twice; a used port is named; stop
# stops; --no-tour only starts.
. "$(dirname "$0")/lib.sh"
case "$BUILD" in *asan*) echo "quickstart builds and runs the release variant: tested there"; exit 0 ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$WORK/quick
port=$(port_base 3)
quick() { "$root/scripts/quickstart.sh" --dir "$dir" "$@"; }
before_cleanup() {
    local d
    for d in "$WORK"/*/port; do
        [ ! -e "$d" ] || "$root/scripts/quickstart.sh" --dir "$(dirname "$d")" stop >/dev/null 2>&1
    done
}

expect_exit 0 quick --port "$port"
expect_match "$OUT" "That was the tour" "the tour's last line"
expect_exit 0 quick
expect_match "$OUT" "That was the tour" "the second time"
expect_below "$TOOK" 30000 "the second time"
expect_exit 0 quick stop
expect_match "$OUT" "stopped 3 members"
expect_exit 0 quick --no-tour
expect_exit 0 "$COORDCTL" -s "127.0.0.1:$port" get /tour/greeting
expect_equal "$OUT" "from the majority" "the data of the tour"
expect_exit 0 quick stop

expect_exit 0 quick stop
expect_match "$OUT" "no member was running" "stop when nothing runs"

# What it says to type leads back to this very ensemble, whatever the directory is called.
odd="$WORK/my data: #1"
expect_exit 0 "$root/scripts/quickstart.sh" --dir "$odd" --port "$port" --no-tour
stop_line=$(printf '%s\n' "$OUT" | sed -n 's/^  stop it *//p')
talk_line=$(printf '%s\n' "$OUT" | sed -n 's/^  talk to it *//p')
(cd "$root" && eval "$talk_line") >/dev/null || fail "this does not talk to it: $talk_line"
expect_exit 0 sh -c "cd '$root' && $stop_line"
expect_match "$OUT" "stopped 3 members" "the stop line: $stop_line"

# A directory is taken from where the user stands; stop and status make none.
(cd "$WORK" && "$root/scripts/quickstart.sh" --dir ./nothing stop >/dev/null)
[ ! -e "$WORK/nothing" ] && [ ! -e "$root/nothing" ] || fail "stop made a directory"

# Mistakes.
expect_exit 2 quick --port abc
expect_match "$ERR" "needs a number" "a port that is no number"
expect_exit 2 quick --port
expect_exit 2 quick --dir
expect_exit 2 quick --bogus
expect_match "$ERR" "there is no '--bogus'" "an unknown argument"
expect_exit 1 quick --port 65530
expect_match "$ERR" "not between 1 and" "a port without room for three members"

# A member that cannot run is told at once, with its reason.
mkdir -p "$WORK/broken/data-2"
printf 'not a member\n' >"$WORK/broken/data-2/wal"
expect_exit 1 "$root/scripts/quickstart.sh" --dir "$WORK/broken" --port "$port" --no-tour
expect_below "$TOOK" 8000 "the time to say so"
expect_match "$ERR" "member 2 has ended" "which member it was"
"$root/scripts/quickstart.sh" --dir "$WORK/broken" stop >/dev/null

# Somebody else sits on a port.
in_background "$COORDD" --dev --port "$((port + 10))" --data-dir "$WORK/other"
taken() { ! port_free "$((port + 10))"; }
wait_until 10 "the port is taken" taken
expect_exit 1 quick --no-tour
expect_match "$ERR" "port $((port + 10)) .*in use" "the used port is named"
