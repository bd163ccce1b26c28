# Goal: an ephemeral node lives exactly as long as its client's session: gone at once when the client says
# goodbye, after the session timeout when it is killed, and kept while the client lives through a failover.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"

# The lock file below a held lock is an ephemeral node of coordctl's session.
in_background "$COORDCTL" -s "$(all_addresses)" lock --ttl 2s held
holder=$LAST_PID
held() { [ "$(ctl ls /locks/held 2>/dev/null | wc -l)" = 1 ]; }
free() { [ "$(ctl ls /locks/held 2>/dev/null | wc -l)" = 0 ]; }
wait_until 10 "the lock is held" held

# A failover does not end the session.
leader=$(leader_await)
member_kill "$leader"
wait_until 10 "a new leader" held
member_start "$leader"
wait_until 10 "the member is back" member_follows "$leader"
end=$(($(now_ms) + 3000))
while [ "$(now_ms)" -lt "$end" ]; do
    held || fail "the ephemeral of a living client vanished after a failover"
done

# kill -9 of the client: gone after the timeout, not before it could be.
kill -9 "$holder"
start=$(now_ms)
wait_until 10 "the ephemeral is gone" free
took=$(($(now_ms) - start))
echo "gone $took ms after the kill (timeout 2000)"
[ "$took" -ge 600 ] || fail "an ephemeral vanished $took ms after its client's last sign of life"

# A client that says goodbye takes its node along at once.
in_background "$COORDCTL" -s "$(all_addresses)" lock --ttl 30s held
holder=$LAST_PID
wait_until 10 "the lock is held" held
kill -TERM "$holder"
wait_until 5 "the ephemeral is gone at once" free
