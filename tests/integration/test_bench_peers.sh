# Goal: the load generator of tests/bench does what it counts: so many sets are so many entries of the log, so many creates
# are so many nodes, every watcher is told, the first write after a kill is found; what fails is not counted.
. "$(dirname "$0")/lib.sh"
load() { "$BUILD/bench/coordload" --servers "$(all_addresses)" --warmup 0 "$@"; }
value_of() { grep -oE "(^| )$1=[^ ]*" <<<"$OUT" | cut -d= -f2; }
start_ensemble 3
pids="$(member_pid 1),$(member_pid 2),$(member_pid 3)"

expect_exit 0 load --op set --keys 16 --secs 0.1
before=$(member_status 1 applied)
expect_exit 0 load --op set --keys 16 --conns 6 --outstanding 4 --ops 3000 --secs 60 --pids "$pids"
expect_equal "$(value_of ops)" 3000 "sets counted"
expect_equal "$(value_of errors)" 0 "sets that failed"
expect_match "$(value_of server_cpu_s)" '^[0-9]+\.[0-9]+$' "CPU of the servers"
applied_3000() { [ "$(member_status 1 applied)" -ge $((before + 3000)) ]; }
wait_until 5 "member 1 has applied the sets" applied_3000
entries=$(($(member_status 1 applied) - before))
# Sessions are opened and closed, keys looked for, and requests under way at the end are answered but not counted.
[ "$entries" -le 3200 ] || fail "3000 sets made $entries entries"

expect_exit 0 load --op create --prefix new --conns 3 --outstanding 2 --ops 300 --secs 60 --value 10
nodes=$(ctl ls /bench | grep -c '^new')
[ "$nodes" -ge 300 ] && [ "$nodes" -le 306 ] || fail "300 creates made $nodes nodes"
expect_exit 1 load --op create --prefix new --ops 300 --secs 60 --value 10
expect_equal "$(value_of errors)" 300 "creates of what exists"
expect_equal "$(value_of ops)" 0 "creates counted that did nothing"

for level in local linearizable; do
    expect_exit 0 load --op get --level $level --keys 16 --conns 3 --ops 500 --secs 60
    expect_equal "$(value_of ops)" 500 "reads, $level"
done
expect_exit 0 load --op mixed:50 --level local --keys 16 --conns 3 --outstanding 5 --secs 0.2
expect_exit 0 load --op fanout --keys 1 --watchers 40 --conns 8 --rounds 5
expect_equal "$(value_of ops)" 200 "watchers told"

# What is wrong with an argument has its name.
for wrong in "--pids 1,x" "--servers 127.0.0.1:0" "--servers 127.0.0.1:1x" "--op sett" "--level locall" "--secs -1" "--conns 0"; do
    # shellcheck disable=SC2086
    expect_exit 1 load $wrong
    expect_match "$ERR" "${wrong%% *}: "
done
expect_exit 1 load set
expect_match "$ERR" "unexpected argument 'set'"
expect_exit 0 "$BUILD/bench/coordload" --help
expect_match "$OUT" '--outstanding N'

leader=$(leader_await)
others=$(for i in $(other_members "$leader"); do client_address "$i"; done | paste -sd,)
expect_exit 0 "$BUILD/bench/coordload" --servers "$others" --op attempt --secs 20 --limit-ms 300 --kill "$(member_pid "$leader")"
expect_match "$(value_of first_ms)" '^[0-9]+\.[0-9]+$' "time to the first write"
wait_until 5 "the leader is gone" process_gone "$(cat "$ENSEMBLE/member-$leader.pid")"
expect_exit 1 "$BUILD/bench/coordload" --servers "$(client_address "$leader")" --op get
expect_match "$ERR" 'refuses connections' "what is said when nobody is there"
expect_exit 1 "$BUILD/bench/coordload" --servers "$(client_address "$leader")" --op attempt --secs 0.3
expect_match "$ERR" 'no request succeeded' "what is said when none succeeds"
