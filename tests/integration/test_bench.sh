# Goal: every operation that bench offers runs against real servers, on both kinds of connections, does what it says to
# the data, and tells figures that hold together; mistakes and missing servers have their exit codes.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"

# numbers KEY...: of the JSON object in OUT, but for what each operation of a mix has for itself, blank-separated.
numbers() {
    local key
    for key in "$@"; do sed 's/, "per_op".*//' <<<"$OUT" | json_get "$key"; done | paste -sd' '
}

# sound: percentiles ascend, nothing failed, the three servers were found.
sound() {
    numbers p50_us p90_us p99_us p999_us p9999_us max_us | awk '{for (i = 2; i <= NF; i++) if ($i + 0 < $(i - 1) + 0) exit 1; exit NF != 6 || $1 <= 0}' ||
        fail "percentiles: $OUT"
    expect_equal "$(numbers errors servers_local)" "0 3" "errors and servers of: $OUT"
}

# All operations that can stand beside others, in one run of each kind of connection; each was done.
every=set,create,sequential,delete,get,exists,stat,list,usage,increment,txn,rename,sync
for client in lock "ping --wire"; do
    # shellcheck disable=SC2086
    expect_exit 0 ctl -o json bench --session-timeout 2s --op $every,$client --conns 3 --outstanding 2 --keys 20 --ops 600 --warmup 0
    sound
    [ "$(numbers ops)" -ge 600 ] || fail "600 operations of $client: $OUT"
    for op in ${every//,/ } ${client% *}; do
        grep -q "\"$op\": {\"ops\": [1-9]" <<<"$OUT" || fail "no $op was done: $OUT"
    done
done
for client in "" --wire; do
    # shellcheck disable=SC2086
    expect_exit 0 ctl -o json bench --session-timeout 2s --op session $client --conns 3 --ops 60 --warmup 0
    sound
done
for level in linearizable session bounded:5s local; do
    expect_exit 0 ctl -o json --consistency $level bench --op mixed:90 --wire --session-timeout 2s --outstanding 4 --ops 100 --warmup 0
    sound
    expect_equal "$(sed 's/.*"consistency": "\([^"]*\)".*/\1/' <<<"$OUT")" "${level/5s/5000ms}" "the level that is told"
done

# What it does to the data: one connection, one at a time, so the count is exact.
for client in "" --wire; do
    before=$(ctl get /bench/n0)
    # shellcheck disable=SC2086
    expect_exit 0 ctl -o json bench --session-timeout 2s --op increment $client --conns 1 --keys 1 --ops 50 --warmup 0
    after=$(ctl get /bench/n0)
    [ $((after - before)) -ge 50 ] && [ $((after - before)) -le 51 ] || fail "50 increments from $before gave $after"
done
children=$(ctl ls --count /bench)
expect_exit 0 ctl -o json bench --session-timeout 2s --op create --wire --conns 2 --ops 40 --warmup 0 --value 5-9
[ "$(ctl ls --count /bench)" -ge $((children + 40)) ] || fail "40 creates: $children before, $(ctl ls --count /bench) after"
expect_equal "$(numbers value value_max)" "5 9"
for client in "" --wire; do
    numbered=$(ctl ls /bench | grep -cE '^s[0-9]+-[0-9]{10}$' || true)
    # shellcheck disable=SC2086
    expect_exit 0 ctl -o json bench --session-timeout 2s --op sequential $client --conns 1 --ops 20 --warmup 0
    now=$(ctl ls /bench | grep -cE '^s[0-9]+-[0-9]{10}$')
    [ "$now" -ge $((numbered + 20)) ] && [ "$now" -le $((numbered + 21)) ] || fail "20 numbered nodes: $numbered before, $now after"
done

# Values as large as they may be: more than the library takes at a time has to be waited for.
expect_exit 0 ctl -o json bench --session-timeout 2s --op get --value 1048576 --conns 1 --keys 80 --ops 5 --warmup 0
sound

# A namespace holds on both kinds of connections.
expect_exit 0 ctl create /apart
expect_exit 0 ctl -n /apart bench --op set --wire --keys 3 --ops 20 --warmup 0 --conns 1
expect_exit 0 ctl exists /apart/bench/k2

# Open loop: as many as were due, and a series that adds up.
expect_exit 0 ctl -o json bench --session-timeout 2s --op get --wire --rate 200 --secs 2 --warmup 0 --conns 4 --outstanding 8 --series
sound
ops=$(numbers ops)
[ "$((ops + $(numbers unsent)))" -ge 390 ] && [ "$ops" -le 410 ] || fail "200 a second for 2 s: $OUT"
sum=$(sed 's/.*"series_100ms": \[\([^]]*\)\].*/\1/' <<<"$OUT" | tr ',' '\n' | awk '{s += $1} END {print s}')
[ "$sum" -le "$ops" ] && [ "$sum" -ge $((ops - 40)) ] || fail "the series adds up to $sum of $ops"
expect_exit 0 ctl bench --op get --ops 50 --warmup 0
expect_match "$OUT" "CPU of 3 local servers"

# Watchers: each is told of each write, once.
for conns in 2 30; do
    expect_exit 0 ctl -o json bench --watchers 30 --conns $conns --ops 20 --secs 20 --warmup 0
    expect_equal "$(numbers watchers writes gaps surplus)" "30 20 0 0" "watchers"
    numbers first_p50_us last_p50_us last_max_us | awk '{exit !($1 > 0 && $1 <= $2 && $2 <= $3)}' || fail "watchers: $OUT"
done

# Idle sessions stay, write nothing into the log, and are gone afterwards.
no_sessions() { [ "$(member_status 1 sessions)" = 0 ]; }
wait_until 20 "the sessions of closed connections are given up" no_sessions
expect_exit 0 ctl -o json bench --sessions 60 --session-timeout 3s --secs 4 --warmup 3
expect_equal "$(numbers lost)" 0
[ "$(numbers pings)" -ge 200 ] || fail "60 sessions of 3 s sent $(numbers pings) pings in 4 s"
quiet=$(grep -o '"log_before": [0-9]*, "log_after": [0-9]*' <<<"$OUT" | awk '{gsub(",", ""); if ($2 != $4) moved = 1} END {print NR, moved + 0}')
expect_equal "$quiet" "3 0" "members, and whether a log grew: $OUT"
wait_until 20 "these too" no_sessions

# On a terminal a line tells how far it is, and is gone at the end; elsewhere there is none.
if command -v script >/dev/null; then
    for load in "--op get" "--watchers 3" "--sessions 3"; do
        told=$(script -qec "$COORDCTL -s $(all_addresses) bench $load --secs 2 --warmup 0" /dev/null </dev/null)
        expect_match "$told" $'\r.*(errors 0|p99|pings) ' "progress of $load"
        expect_match "$told" $'\r\033\\[K[a-z]+:' "the line is gone: $load"
    done
fi
expect_exit 0 ctl bench --op get --secs 2 --warmup 0
expect_equal "$ERR" "" "what is said in a pipe"

expect_exit 2 "$COORDCTL" -s "a-name:7410" bench --op get --wire
expect_match "$ERR" "'a-name:7410' is not that"
expect_exit 2 ctl bench --op nothing
expect_match "$ERR" "'nothing' is not an operation"
expect_exit 2 ctl bench --op lock --wire
expect_exit 0 "$COORDCTL" bench --help
port=$(port_base 1)
for client in "" --wire; do
    # shellcheck disable=SC2086
    expect_exit 5 "$COORDCTL" -s "127.0.0.1:$port" --timeout 500ms bench --op get $client --no-prepare
done
