# Goal: the mistakes of a beginner meet words that help, the right exit code, and no damage; help is everywhere.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "lab: true"

# Help: of the whole and of every command, in each form.
expect_exit 0 ctl --help
commands=$(printf '%s\n' "$OUT" | sed -n '/^Commands/,/^$/s/^  \([a-z]*\) .*/\1/p')
expect_match "$commands" "elect" "the commands"
for c in $commands; do
    for form in "$c --help" "$c -h" "help $c"; do
        # shellcheck disable=SC2086
        expect_exit 0 ctl $form
        expect_match "$OUT" "usage: coordctl $c" "coordctl $form"
        expect_match "$OUT" "  coordctl .*$c" "an example in coordctl $form"
    done
done
expect_exit 2 ctl help gte
expect_match "$ERR" "did you mean 'get'" "help for a misspelt command"

# A path says which rule it breaks.
rule() {
    expect_exit 2 ctl get "$1"
    expect_match "$ERR" "$2" "the rule that '$1' breaks"
}
rule "app" "begins with '/'"
rule "" "begins with '/'"
rule "/app/" "does not end with '/'"
rule "/app//db" "nothing stands between"
rule "/app/../db" "'\.' and '\.\.'"
rule "/$(printf 'n%.0s' $(seq 256))" "at most 255"
expect_exit 2 ctl create -s "/$(printf 'n%.0s' $(seq 246))"
expect_match "$ERR" "with the number behind it"
expect_exit 0 ctl create -s "/$(printf 'n%.0s' $(seq 245))"
rule "$(printf 'a\tb' | sed 's|^|/|')" "control characters"
rule "/$(printf '\xff')" "UTF-8"

expect_exit 2 ctl watch app
expect_match "$ERR" "watch app: .*begins with '/'" "the rule, of a watch"
expect_exit 2 ctl mv /app app
expect_match "$ERR" "mv app: .*begins with '/'" "the one of two paths that breaks a rule"
printf 'then set /ok fine\nthen set ok fine\n' >"$WORK/lines"
expect_exit 2 ctl txn "$WORK/lines"
expect_match "$ERR" "lines, line 2: ok: .*begins with '/'" "the rule, of a line"

# What is wrong is named by the name it was given under, with its value.
names() { # PATTERN WHAT COMMAND...
    local pattern=$1 what=$2
    shift 2
    expect_exit 2 "$@"
    expect_match "$ERR" "$pattern" "$what"
}
names "^coordctl: --servers: 'a:b' is not host:port" "the option" "$COORDCTL" -s a:b status
names "^coordctl: COORDCTL_SERVERS: 'a:b' is not host:port" "the variable" env COORDCTL_SERVERS=a:b "$COORDCTL" status
names "^coordctl: --namespace: 'app': .*begins with '/'" "the namespace" ctl -n app get /x
names "^coordctl: COORDCTL_NAMESPACE: '/app/': .*end with '/'" "the namespace's variable" env COORDCTL_NAMESPACE=/app/ "$COORDCTL" -s "$(all_addresses)" get /x
names "^coordctl: --timeout: 7200000ms is not between 1ms and 1h" "the timeout" ctl --timeout 2h get /x
names "^coordctl: COORDCTL_TIMEOUT: 7200000ms" "the timeout's variable" env COORDCTL_TIMEOUT=2h "$COORDCTL" get /x
names "--if-revision: '0' is not a revision" "the revision" ctl set --if-revision 0 /x 1
names "--from: '0' is not a revision" "a watch from 0, which would be from now" ctl watch --from 0 /
names "--from: there is no revision 4000000000 yet, the newest is [0-9]+" "the revision to come" ctl watch --from 4000000000 /
names "'x' is not the id of a member" "the member" ctl partition x / 1
names "no command 'frob'; coordctl --help" "a word like none" ctl frob
expect_exit 1 ctl txn "$WORK/nowhere"
expect_match "$ERR" "^coordctl txn: .*/nowhere: No such file" "the file"
expect_exit 3 ctl create /nowhere/child
expect_match "$ERR" "above it is missing; create -p" "a missing parent"
expect_exit 3 ctl mv /nowhere /elsewhere
expect_match "$ERR" "mv /nowhere /elsewhere: no such node" "both paths of a move"

# A server that is down: why, with its address once.
expect_exit 0 "$COORDCTL" -s "$(all_addresses),127.0.0.1:1" status
expect_match "$OUT" "unreachable .* 127.0.0.1:1  Connection refused$" "the row of a server that is down"
expect_exit 0 "$COORDCTL" -s "$(all_addresses),127.0.0.1:1" -o json status
expect_match "$OUT" '^\{"address": "127.0.0.1:1", "error": "ECONNECT", "text": "Connection refused"\}$' "in JSON"
expect_exit 5 "$COORDCTL" -s 127.0.0.1:1 limits
expect_match "$ERR" "^coordctl: limits: 127.0.0.1:1: Connection refused$" "limits of a server that is down"

# Options: bundled flags, a value that begins with '-', global options behind the command.
expect_exit 0 ctl create -sp /a/b/job- "x"
expect_equal "$OUT" "/a/b/job-0000000000" "bundled flags"
expect_exit 0 ctl ls -lr /a
expect_match "$OUT" "persistent .* b/job-0000000000" "ls -lr"
expect_exit 2 ctl ls -lx /a
expect_exit 2 ctl create /minus -5
expect_match "$ERR" "behind --" "how to give a negative number"
expect_exit 0 ctl create -- /minus -5
expect_exit 0 ctl get /minus
expect_equal "$OUT" "-5" "a value that begins with '-'"
expect_exit 2 ctl get /minus -o json
expect_match "$ERR" "in front of the command" "a global option that came late"
expect_exit 2 ctl --timeout 0s get /minus
expect_match "$ERR" "1ms and 1h" "the timeout's range"
expect_exit 2 env COORDCTL_OUTPUT=xml "$COORDCTL" get /minus
expect_match "$ERR" "COORDCTL_OUTPUT" "where the bad value came from"
expect_exit 2 ctl create --ttl 0s /brief
expect_match "$ERR" "--ttl" "the argument is named"
expect_exit 2 ctl lock "" -- true
expect_match "$ERR" "empty" "the name is named"
expect_exit 2 "$COORDCTL" -s "127.0.0.1:1,127.0.0.1:x" status
expect_equal "$OUT" "" "no row after a mistake in the list"

# Nothing is lost by a deletion that is refused.
expect_exit 2 ctl delete -r /
expect_exit 4 ctl delete -r --version 7 /a
expect_exit 0 ctl get /a/b/job-0000000000
expect_exit 0 ctl delete -r --version 0 /a
expect_exit 3 ctl get /a

# A lock that is not got in time; the holder is killed and its command does not survive it.
in_background "$COORDCTL" -s "$(all_addresses)" lock --ttl 2s --label "first" guarded -- sh -c "echo \$\$ >'$WORK/command'; exec sleep 100"
holder=$LAST_PID
wait_until 10 "the command runs" test -s "$WORK/command"
command_pid=$(cat "$WORK/command")
expect_exit 6 ctl lock --wait 300ms guarded -- true
expect_match "$ERR" "within 300 ms" "how long it waited"
expect_exit 0 ctl lock ls guarded
expect_match "$OUT" "holds .*first" "the label of the holder"
kill -KILL "$holder"
wait_until 2 "the command ends with its guard" process_gone "$command_pid"
expect_exit 0 ctl lock guarded -- true

# Without a quorum everything refuses with the same detail.
ctl partition 1 / 2,3 >/dev/null
for c in "set /minus 1" "get /minus" "exists /minus" "ls /" "sync" "lock l -- true" "elect e -- true" "lock ls l"; do
    # shellcheck disable=SC2086
    expect_exit 5 ctl_on 1 $c
    expect_below "$TOOK" 2000 "the time of the refusal of $c"
    expect_match "$ERR" "reachable: 1 \(1 of the 2 needed\), for [0-9.]+ m?s" "the detail of $c"
done
expect_exit 5 ctl_on 1 -o json get /minus
expect_match "$ERR" '"reachable": \[1\], "needed": 2, "since_ms": [0-9]+, "term": [0-9]+, "levels": \[.*"local"\]' "in JSON"
ctl partition heal >/dev/null

# A member that is down is called by its id, and why it does not answer is said.
member_kill 2
expect_exit 0 ctl status
expect_match "$OUT" "^2 +unreachable .* $(client_address 2)  Connection refused$" "the row of a member that is down"
