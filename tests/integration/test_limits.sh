# Goal (O8): members whose files say other limits agree on those of the leader's, through its death and a restart of all;
# every member says what is in force and that its own file differs; a full store takes what does not let it grow.
. "$(dirname "$0")/lib.sh"
ENSEMBLE_SIZE=3
ENSEMBLE_PORT=$(port_base 3)
ensemble_configure
for i in 1 2 3; do
    echo "limits: {request: ${i}00KiB, frame: ${i}MiB, store: 1MiB}" >>"$ENSEMBLE/member-$i.yaml"
    "$BUILD/coordd" --check -c "$ENSEMBLE/member-$i.yaml" | grep >/dev/null "limits.request ${i}00KiB" || fail "--check does not tell"
done
ensemble_start || fail "the ensemble did not start"

told() { ctl_on "$1" -o json limits | json_get "$2"; }
agrees() { [ "$(told "$1" limits.request)" = $((leader * 102400)) ] && [ "$(told "$1" limits.frame)" = $((leader * 1048576)) ]; }
# agreed WHEN: all follow the file of whoever leads, and whose file differs says so.
agreed() {
    local i
    leader=$(leader_await)
    for i in 1 2 3; do
        wait_until 5 "member $i agrees $1" agrees $i
        expect_equal "$([ "$(member_status $i limits_differ)" = 0 ] && echo same)" "$([ $i = "$leader" ] && echo same)" "member $i's word $1"
    done
    head -c $((leader * 102400)) /dev/zero | tr '\0' x >"$WORK/most"
    for i in 1 2 3; do
        ctl_on $i set /f - <"$WORK/most" >/dev/null || fail "data at the limit is refused by member $i $1"
        { cat "$WORK/most" && echo; } >"$WORK/more"
        expect_exit 1 "$COORDCTL" -s "$(client_address $i)" set /f - <"$WORK/more"
        expect_match "$ERR" "at most $((leader * 102400)) are allowed" "the word of member $i about one byte more"
    done
}
ctl create /f "" >/dev/null
agreed "at first"
# The followers' logs say it too, a moment after that leader came.
for i in $(other_members "$leader"); do
    wait_until 5 "member $i's log says so" grep -q "limits differ: .*limits.request=${i}.* -> $((leader * 102400))" "$ENSEMBLE/member-$i.log"
done
old=$leader
member_kill "$old"
wait_until 10 "another leader" sh -c "! '$COORDCTL' -s '$(client_address "$old")' get /f >/dev/null 2>&1" # it is gone
another() { [ -n "$(leader_id)" ] && [ "$(leader_id)" != "$old" ]; }
wait_until 10 "another leader" another
member_start "$old"
wait_until 10 "all are in touch" ensemble_ready
agreed "after the leader's death"
grep -q "limits changed: .*limits.request=$((old * 102400)) -> $((leader * 102400))" "$ENSEMBLE/member-$leader.log" || fail "the log does not tell of the change"
ensemble_kill
ensemble_start || fail "the ensemble did not start again"
agreed "after a restart of all"

# The store: 1 MiB, of which /f has a part.
ctl create /fill "" >/dev/null
head -c 51200 /dev/zero | tr '\0' x >"$WORK/piece"
filled=0
while ctl create -s /fill/n - <"$WORK/piece" >/dev/null 2>"$WORK/full"; do
    filled=$((filled + 1))
    [ $filled -lt 30 ] || fail "1 MiB holds $filled pieces of 50 KiB"
done
expect_match "$(cat "$WORK/full")" "high-water mark" "the word about a full store"
[ $filled -ge 5 ] || fail "1 MiB holds only $filled pieces of 50 KiB"
expect_exit 7 "$COORDCTL" -s "$(all_addresses)" create -s /fill/n - <"$WORK/piece"
expect_below "$(member_status "$leader" store_bytes)" 1048576 "bytes of the store"
ctl set /fill "" >/dev/null || fail "a full store takes no change"
ctl mv /fill/n0000000000 /fill/m >/dev/null || fail "a full store takes no rename to a shorter name"
ctl rm /fill/m >/dev/null || fail "a full store takes no delete"
ctl create -s /fill/n - <"$WORK/piece" >/dev/null || fail "there is no room after the delete"
