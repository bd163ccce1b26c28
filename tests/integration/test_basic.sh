# Goal: what is written at any member is read at any other at once; conditional forms; exit codes.
. "$(dirname "$0")/lib.sh"
start_ensemble 3

for writer in 1 2 3; do
    expect_exit 0 ctl_on $writer create "/from-$writer" "v0"
    expect_equal "$OUT" "/from-$writer" "create prints the path"
    for round in 1 2 3; do
        expect_exit 0 ctl_on $writer set "/from-$writer" "value $round"
        for reader in 1 2 3; do
            expect_exit 0 ctl_on $reader get "/from-$writer"
            expect_equal "$OUT" "value $round" "read at $reader after a write at $writer"
        done
    done
done

# Every kind of create.
expect_exit 0 ctl create -p /deep/er/still "x"
expect_exit 0 ctl create -s /deep/job- "1"
expect_equal "$OUT" "/deep/job-0000000001" "the sequence counts every create under the parent"
expect_exit 0 ctl create -s /deep/job- "2"
expect_equal "$OUT" "/deep/job-0000000002" "sequence"
expect_exit 3 ctl create /no/parent "x"
expect_exit 4 ctl create /deep "again"
expect_exit 4 ctl delete /deep
expect_exit 0 ctl ls /deep
expect_equal "$OUT" "$(printf 'er\njob-0000000001\njob-0000000002')" "ls is sorted"

# Data comes from standard input and back unchanged.
head -c 100000 /dev/urandom >"$WORK/blob"
expect_exit 0 sh -c "'$COORDCTL' -s '$(all_addresses)' create /blob - <'$WORK/blob'"
"$COORDCTL" -s "$(all_addresses)" -o raw get /blob >"$WORK/blob.back"
cmp "$WORK/blob" "$WORK/blob.back" || fail "a blob came back changed"

# Conditions.
expect_exit 0 ctl -o json stat /from-1
revision=$(printf '%s\n' "$OUT" | json_get modify_revision)
expect_exit 4 ctl set --version 7 /from-1 "no"
expect_exit 0 ctl set --version 3 /from-1 "yes"
expect_exit 4 ctl set --if-revision "$revision" /from-1 "no"
expect_exit 0 ctl get /from-1
expect_equal "$OUT" "yes" "the failed conditions changed nothing"
expect_exit 4 ctl delete --version 0 /from-1
expect_exit 0 ctl delete --version 4 /from-1
expect_exit 3 ctl get /from-1
expect_exit 3 ctl exists /from-1
expect_exit 0 ctl exists /from-2

# Mistakes name the argument and are exit 2; bad paths say which rule.
expect_exit 2 ctl gett /x
expect_match "$ERR" "get" "the nearest command is suggested"
expect_exit 2 ctl set /x
expect_exit 2 ctl --consistency sometimes get /x
for path in relative /a//b /a/ /a/../b /.; do
    got=0
    ctl get "$path" >/dev/null 2>"$WORK/last.err" || got=$?
    [ $got = 1 ] || [ $got = 2 ] || fail "bad path '$path': exit $got"
    grep -q "path" "$WORK/last.err" || fail "bad path '$path' is not named: $(cat "$WORK/last.err")"
done

# status: one row a member, the same leader in all.
expect_exit 0 ctl -o json status
expect_equal "$(printf '%s\n' "$OUT" | json_get id | sort | tr '\n' ' ')" "1 2 3 " "status of each"
expect_equal "$(printf '%s\n' "$OUT" | json_get role | sort | tr '\n' ' ')" "follower follower leader " "roles"
expect_equal "$(printf '%s\n' "$OUT" | json_get leader | sort -u | wc -l)" 1 "one leader"

# Local and session reads are served; the demonstration gate is off by default.
expect_exit 0 ctl --consistency local get /from-2
expect_exit 0 ctl --consistency session get /from-2
expect_exit 0 ctl --consistency bounded:500ms get /from-2
expect_exit 7 ctl partition "1 / 2,3"
expect_match "$ERR" "lab: true" "the refusal says how to open the gate"
