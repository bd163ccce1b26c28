# Goal: garbage, oversized frames, msgpack bombs and half frames end that connection at most, with a log line;
# everybody else goes on.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
ctl create /calm "yes" >/dev/null
port=$(client_port 1)
peer_port=$((port + 1))

# send PORT BYTES(printf format): what the server answers until it closes, at most 5 s.
send() {
    exec 5<>"/dev/tcp/127.0.0.1/$1"
    printf "$2" >&5 2>/dev/null || true
    timeout 5 cat <&5 >"$WORK/answer" 2>/dev/null || status=$?
    exec 5>&-
    [ "${status:-0}" != 124 ] || fail "the server kept the connection open after: $2"
}
calm() {
    expect_exit 0 ctl_on 1 --timeout 2s get /calm
    expect_equal "$OUT" "yes" "another client"
}
status=0
send "$port" 'GET / HTTP/1.0\r\n\r\n'
calm
send "$port" '\xff\xff\xff\xff'
calm
send "$port" '\x00\x00\x00\x00'
calm
send "$port" '\x00\x00\x00\x05\xdd\xff\xff\xff\xff'
calm
# 1,000 arrays inside each other
bomb=$(printf '\\x91%.0s' $(seq 1000))
send "$port" "\\x00\\x00\\x03\\xe9$bomb\\xc0"
calm
# random bytes, many times, at both ports
for i in $(seq 1 20); do
    for p in "$port" "$peer_port"; do
        head -c $((RANDOM % 2000 + 1)) /dev/urandom >"$WORK/noise"
        timeout 1 bash -c "exec 5<>/dev/tcp/127.0.0.1/$p; cat '$WORK/noise' >&5; exec 5>&-" 2>/dev/null || true
    done
done
calm
# a client that sends half a frame and stays: others do not notice
exec 6<>"/dev/tcp/127.0.0.1/$port"
printf '\x00\x00\x10\x00\x93' >&6
calm
exec 6>&-
grep -qi "127.0.0.1" "$ENSEMBLE/member-1.log" || fail "the log does not name the source"
for i in 1 2 3; do member_pid $i >/dev/null || fail "member $i died"; done
expect_exit 0 ctl set /calm "still"

# values at the limit and one past it
head -c 1048576 /dev/zero | tr '\0' x >"$WORK/limit"
(cat "$WORK/limit"; printf x) >"$WORK/over"
expect_exit 0 sh -c "'$COORDCTL' -s '$(all_addresses)' set /calm - <'$WORK/limit'"
expect_exit 1 sh -c "'$COORDCTL' -s '$(all_addresses)' set /calm - <'$WORK/over'"
expect_match "$ERR" "at most 1048576" "the limit is named"
