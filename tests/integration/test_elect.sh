# Goal: of several candidates exactly one leads at a time, the next leads when it dies, and tokens grow.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"

candidate() {
    exec "$COORDCTL" -s "$(all_addresses)" elect --ttl 2s svc -- sh -c 'echo "$0 $COORD_FENCE" >>"$1"; exec tail -f /dev/null' "$1" "$WORK/leaders"
}
: >"$WORK/leaders"
for c in 1 2 3; do
    in_background candidate c$c
    eval "pid_c$c=$LAST_PID"
done
for turn in 1 2 3; do
    wait_until 20 "somebody leads" lines_at_least "$WORK/leaders" $turn
    expect_equal "$(wc -l <"$WORK/leaders")" "$turn" "one leader at a time"
    who=$(tail -n 1 "$WORK/leaders" | cut -d' ' -f1)
    eval "kill -TERM \$pid_$who"
done
sort -c -k2,2n "$WORK/leaders" || fail "the tokens do not grow: $(cat "$WORK/leaders")"
expect_equal "$(cut -d' ' -f1 "$WORK/leaders" | sort -u | wc -l)" 3 "each candidate led once"
