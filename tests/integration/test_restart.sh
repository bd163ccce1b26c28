# Goal: all members killed with -9 at once and restarted: everything acknowledged is there; again with
# snapshots taken on the way, so that recovery goes through them.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "snapshot: {entries: 200, keep: 2}"

ctl create /r "" >/dev/null
acked=$WORK/acked
writer() {
    local w=$1 i=0
    while [ ! -e "$WORK/stop" ]; do
        i=$((i + 1))
        "$COORDCTL" -s "$(client_address "$w")" --timeout 2s create "/r/w$w-$i" "value $i" >/dev/null 2>&1 &&
            echo "w$w-$i value $i" >>"$acked.$w"
    done
}
check_acked() {
    local n=$1 name value
    ctl_on "$n" -o json ls -l /r >/dev/null
    cat "$acked".* | while read -r name value; do
        [ "$(ctl_on "$n" get "/r/$name")" = "$value" ] || fail "round $round: /r/$name is not '$value' at member $n"
    done
}
for round in 1 2 3; do
    rm -f "$WORK/stop" "$acked".*
    for w in 1 2 3; do
        : >"$acked.$w"
        in_background writer $w
    done
    for w in 1 2 3; do wait_until 30 "writer $w is acknowledged" lines_at_least "$acked.$w" 40; done
    ensemble_kill
    touch "$WORK/stop"
    wait $CHILDREN || true
    CHILDREN=""
    ensemble_start || fail "round $round: the ensemble did not come back"
    check_acked $((1 + round % 3))
    echo "round $round: $(cat "$acked".* | wc -l) acknowledged writes are all there"
    for w in 1 2 3; do
        # the next round's names must not exist yet
        ctl ls /r >/dev/null
    done
    ctl ls /r | while read -r name; do ctl delete "/r/$name"; done
done
ls "$ENSEMBLE"/data-*/snap/*.snap >/dev/null || fail "no snapshot was ever written"
