# Goal: coordd --dev serves without any file, keeps data in --data-dir, and leaves nothing behind without it.
. "$(dirname "$0")/lib.sh"
port=$(port_base 1)
in_background "$COORDD" --dev --port "$port" --data-dir "$WORK/dev"
pid=$LAST_PID
answers() { "$COORDCTL" -s "127.0.0.1:$port" --timeout 1s sync; }
wait_until 10 "the member answers" answers
expect_exit 0 "$COORDCTL" -s "127.0.0.1:$port" create /one "1"
kill -TERM "$pid"
wait "$pid" || fail "exit code $? after SIGTERM"
in_background "$COORDD" --dev --port "$port" --data-dir "$WORK/dev"
wait_until 10 "the member answers again" answers
expect_equal "$("$COORDCTL" -s "127.0.0.1:$port" get /one)" "1" "the value after a restart"
kill -KILL "$LAST_PID"
wait "$LAST_PID" 2>/dev/null || true
