# Goal: the drivers of tests/bench measure what they are asked for, name what is wrong with an argument before they start
# anything, and leave nothing behind. Method: the smallest run of each kind; how fast it was is not looked at.
. "$(dirname "$0")/lib.sh"
export BUILD TMPDIR=$WORK/tmp
mkdir -p "$TMPDIR"
cliffs() { "$ROOT/tests/bench/cliffs/$1.sh" "${@:2}"; }
peers() { "$ROOT/tests/bench/peers.sh" --out "$WORK/peers" "$@"; }

expect_exit 1 cliffs cliffs value1k valu64k
expect_match "$ERR" "no row 'valu64k': snapshot catchup conns"
expect_exit 1 cliffs scale nodes nodess
expect_match "$ERR" "no part 'nodess': members"
expect_exit 1 cliffs grid nothing
expect_match "$ERR" "no part 'nothing': loads"
for driver in cliffs scale grid; do
    RUNS=x expect_exit 1 cliffs "$driver"
    expect_match "$ERR" "RUNS needs a whole number above 0, not 'x'"
    expect_exit 0 cliffs "$driver" --help
done
MEMBERS="1 2" expect_exit 1 cliffs grid loads
expect_match "$ERR" "members \\(MEMBERS\\) '2'"

for option in --systems --cells --out --rounds; do
    expect_exit 1 peers $option
    expect_match "$ERR" "$option needs"
done
expect_exit 1 peers --systems coord,etdc
expect_match "$ERR" "no 'etdc', only coord, zookeeper and etcd"
expect_exit 1 peers --cells '['
expect_match "$ERR" "'\\[' is not a regular expression"
expect_exit 1 peers --secs 1.2.3
expect_exit 0 peers --help

# The smallest runs: two rows, each with its figures; one kill, after which a write succeeds; each size of ensemble.
RUNS=1 SECS=1 RATE=100 MANY=70 expect_exit 0 cliffs cliffs value1k conns
expect_match "$OUT" 'values of 1 KiB +100 +[0-9]+ .* [0-9]+  (holds|COLLAPSES)'
expect_match "$OUT" '70 connections +100 +[0-9]+ .* [0-9]+  (holds|COLLAPSES)'
KILLS=1 expect_exit 0 cliffs grid failover
expect_match "$OUT" 'after kill -9 of the leader, ms: [0-9.]+'
RUNS=1 SECS=1 expect_exit 0 cliffs scale members
expect_equal "$(grep -cE '^[135] members, (64|16) x 1' <<<"$OUT")" 6 "rows of scale.sh: $OUT"
expect_equal "$(ls -A "$TMPDIR")" "" "what the drivers left"
