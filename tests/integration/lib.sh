# shellcheck shell=bash
# Sourced by every integration test: an ensemble of its own that is gone when the test ends, and the words
# the tests are written in. BUILD and WORK come from run.sh.

set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

WORK=${WORK:-$(mktemp -d "${TMPDIR:-/tmp}/coord-test.XXXXXX")}
mkdir -p "$WORK"
ENSEMBLE=$WORK/ensemble
HELPERS=$BUILD/integration
export TSAN_OPTIONS=suppressions=$ROOT/tests/tsan.supp
CHILDREN=""
MOUNTS=""

# A test that has more to put away than CHILDREN and the ensemble defines before_cleanup.
cleanup() {
    local status=$? pid dir
    trap - EXIT
    if declare -F before_cleanup >/dev/null; then before_cleanup || true; fi
    for pid in $CHILDREN; do kill -9 "$pid" 2>/dev/null || true; done
    if [ -n "${ENSEMBLE_SIZE:-}" ]; then
        [ $status -eq 0 ] || tail -n 15 "$ENSEMBLE"/member-*.log 2>/dev/null || true
        no_sanitizer_reports || status=1
        ensemble_kill 2>/dev/null || true
    fi
    for dir in $MOUNTS; do umount "$dir" 2>/dev/null || true; done
    rm -rf "$WORK"
    exit $status
}
trap cleanup EXIT

# A member that a sanitizer stopped wrote a report: that fails the test whatever it looked at.
no_sanitizer_reports() {
    ! grep -lE 'ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:' "$ENSEMBLE"/member-*.log "$WORK"/*.err 2>/dev/null
}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# skip WHY: this machine cannot run the test; run.sh says so.
skip() {
    printf 'SKIPPED: %s\n' "$*"
    exit 77
}

# strace_usable: can faults be injected into calls of the system here?
strace_usable() {
    command -v strace >/dev/null && strace -f -qq -o /dev/null -e trace=fdatasync -e inject=fdatasync:error=EIO true 2>/dev/null
}

# inject N WHAT: let calls of member N fail or wait from now on, as `strace -e inject=WHAT` says. The end of the
# member is the end of it.
inject() {
    in_background strace -f -qq -p "$(member_pid "$1")" -o "$WORK/strace.$1" -e "trace=${2%%:*}" -e "inject=$2"
    wait_until 5 "strace holds member $1" grep -q '^TracerPid:[[:space:]]*[1-9]' "/proc/$(member_pid "$1")/status"
}

# start_ensemble SIZE [LINE...]: configure, start, wait for a leader.
start_ensemble() {
    ENSEMBLE_SIZE=$1
    shift
    ENSEMBLE_PORT=$(port_base "$ENSEMBLE_SIZE")
    ensemble_configure "$@"
    ensemble_start || fail "the ensemble did not start"
}

# in_background COMMAND...: run it, remember it for the cleanup; LAST_PID is its pid.
in_background() {
    "$@" &
    LAST_PID=$!
    CHILDREN="$CHILDREN $LAST_PID"
}

# ctl ARGS...: coordctl with all members.  ctl_on N ARGS...: with member N alone.
ctl() { "$COORDCTL" -s "$(all_addresses)" "$@"; }
ctl_on() {
    local n=$1
    shift
    "$COORDCTL" -s "$(client_address "$n")" "$@"
}

# expect_exit CODE COMMAND...: OUT is what it printed on stdout, ERR on stderr, TOOK how long, in ms.
expect_exit() {
    local want=$1 got=0 start
    shift
    start=$(now_ms)
    OUT=$("$@" 2>"$WORK/last.err") || got=$?
    TOOK=$(($(now_ms) - start))
    ERR=$(cat "$WORK/last.err")
    [ "$got" = "$want" ] || fail "exit $got instead of $want from: $* (stdout: $OUT) (stderr: $ERR)"
}

expect_equal() {
    [ "$1" = "$2" ] || fail "${3:-values differ}: '$1' instead of '$2'"
}

expect_match() {
    grep -qE -- "$2" <<<"$1" || fail "${3:-text}: '$1' does not match '$2'"
}

expect_below() {
    [ "$1" -le "$2" ] || fail "${3:-value}: $1 is more than $2"
}

other_members() {
    local i
    for i in $(seq "$ENSEMBLE_SIZE"); do [ "$i" = "$1" ] || echo "$i"; done
}

# leader_await: the leader's id. Between two leaders, on a busy machine also at other times, nobody leads for a moment.
leader_await() {
    local end=$(($(now_ms) + 15000))
    until leader_id; do
        [ "$(now_ms)" -lt "$end" ] || fail "nobody leads"
        sleep 0.05
    done
}

value_is() { [ "$(ctl_on "$1" get "$2" 2>/dev/null)" = "$3" ]; }
missing() { ! ctl exists "$1"; }
lines_at_least() { [ "$(wc -l <"$1")" -ge "$2" ]; }
