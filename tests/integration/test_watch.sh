# Goal: a watch goes on through the death of the member it hangs on: every change exactly once, in order.
. "$(dirname "$0")/lib.sh"
start_ensemble 3
ctl create /w "start" >/dev/null
ctl create /w/child "0" >/dev/null

# Watched through member A first, with the others to fall back on.
leader=$(leader_await)
follower=$(other_members "$leader" | sed -n 1p)
order=$(client_address "$follower"),$(client_address "$leader")
in_background sh -c "exec '$COORDCTL' -s '$order' -o json watch -r /w >'$WORK/events' 2>'$WORK/watch.err'"
watching() { ctl_on "$follower" -o json status | grep >/dev/null '"watches": *1' || ctl_on "$leader" -o json status | grep >/dev/null '"watches": *1'; }
wait_until 10 "the watch is registered" watching

for i in $(seq 1 30); do ctl set /w/child "$i" >/dev/null; done
wait_until 10 "the events arrive" grep -q '"value": *"30"' "$WORK/events"
member_kill "$follower"
for i in $(seq 31 60); do ctl_on "$leader" set /w/child "$i" >/dev/null; done
wait_until 10 "the events arrive after the reconnect" grep -q '"value": *"60"' "$WORK/events"
member_start "$follower"
wait_until 10 "the member is back" member_follows "$follower"
member_kill "$leader"
for i in $(seq 61 90); do ctl_on "$follower" set /w/child "$i" >/dev/null; done
wait_until 10 "the events arrive after the failover" grep -q '"value": *"90"' "$WORK/events"
got=$(grep -o '"value": *"[0-9]*"' "$WORK/events" | grep -o '[0-9]*')
expect_equal "$got" "$(seq 1 90)" "every change exactly once and in order"

# Children and deletion are told too.
ctl create /w/new "n" >/dev/null
ctl delete /w/new
wait_until 10 "the deletion arrives" grep -q '"deleted"' "$WORK/events"
