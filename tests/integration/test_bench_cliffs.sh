# Goal: the rows of bench-cliffs measure what they say: links and syncs take as much longer as they are
# told to. Method: the smallest run of a row; only what no machine can undercut is judged.
. "$(dirname "$0")/lib.sh"
export BUILD TMPDIR=$WORK/tmp
mkdir -p "$TMPDIR"
cliffs() { "$ROOT/tests/bench/cliffs/cliffs.sh" "$@"; }

# The links are longer and the disk is slower by what is said: a write crosses two links at least, and a disk.
p50_disturbed() { sed -nE "s/^$1 +([0-9.]+ +){4}([0-9.]+) .*/\\2/p" <<<"$OUT"; }
RUNS=1 SECS=1 RATE=100 expect_exit 0 cliffs links
awk "BEGIN {exit !($(p50_disturbed '20 ms on each link, each way') >= 40)}" || fail "20 ms on each link: $OUT"
case "$BUILD" in
*/release)
    RUNS=1 SECS=1 RATE=100 expect_exit 0 cliffs fsync
    awk "BEGIN {exit !($(p50_disturbed '10 ms for each fsync') >= 10)}" || fail "10 ms for each fsync: $OUT"
    ;;
esac # a sanitizer wants to be the first that is preloaded
expect_equal "$(ls -A "$TMPDIR")" "" "what it left"
