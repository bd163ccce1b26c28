# Goal: quickstart as a new user meets it: the tour ends with its last line, twice; a used port is named; stop
# stops; --no-tour only starts.
. "$(dirname "$0")/lib.sh"
case "$BUILD" in *asan*) echo "quickstart builds and runs the release variant: tested there"; exit 0 ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=$WORK/quick
port=$(port_base 3)
quick() { "$root/scripts/quickstart.sh" --dir "$dir" "$@"; }
stop_all() { quick stop >/dev/null 2>&1 || true; }
trap 'stop_all; cleanup' EXIT

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

# Somebody else sits on a port.
in_background "$COORDD" --dev --port "$((port + 10))"
taken() { ! port_free "$((port + 10))"; }
wait_until 10 "the port is taken" taken
expect_exit 1 quick --no-tour
expect_match "$ERR" "port $((port + 10)) .*in use" "the used port is named"
