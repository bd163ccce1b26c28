# shellcheck shell=bash
# Sourced by quickstart.sh: what coord does, shown on the running ensemble. Each step prints the command it
# runs, its answer, and stops the tour with a clear word when the answer is not what it has to be.

bold() { if [ -t 1 ]; then printf '\033[1m%s\033[0m\n' "$*"; else printf '%s\n' "$*"; fi; }
chapter() { printf '\n'; bold "$*"; }

tour_fail() {
    printf '\nThe tour stopped: %s\nLogs: %s/member-*.log\n' "$*" "$ENSEMBLE" >&2
    exit 1
}

# ctl ARGS...: run coordctl on all members, showing the command.
ctl() {
    printf '  $ coordctl %s\n' "$*"
    "$COORDCTL" -s "$(all_addresses)" "$@" 2>&1 | sed 's/^/    /'
    return "${PIPESTATUS[0]}"
}

# ctl_on N ARGS...: the same at member N alone.
ctl_on() {
    local n=$1
    shift
    printf '  $ coordctl -s %s %s\n' "$(client_address "$n")" "$*"
    "$COORDCTL" -s "$(client_address "$n")" "$@" 2>&1 | sed 's/^/    /'
    return "${PIPESTATUS[0]}"
}

# quiet ARGS...: coordctl without showing it.
quiet() { "$COORDCTL" -s "$(all_addresses)" "$@" 2>/dev/null; }

tour_configuration() {
    chapter "1. Configuration: written at one member, read at another"
    quiet delete /tour/greeting || true
    ctl_on 1 create -p /tour/greeting "hello" || tour_fail "create was refused"
    ctl_on 2 get /tour/greeting || tour_fail "the value was not found"
    ctl_on 3 set /tour/greeting "hello, world" || tour_fail "set was refused"
    ctl_on 1 get /tour/greeting || tour_fail "the value was not found"
    ctl ls /tour || tour_fail "ls was refused"
}

tour_lock() {
    chapter "2. A lock contended by two processes: they take turns, and the fencing token grows"
    local out="$ENSEMBLE/tour-lock.out" a b hold='echo "$0 has the lock, token $COORD_FENCE"; sleep 0.3; echo "$0 lets go"'
    : >"$out"
    printf "  \$ coordctl lock tour -- sh -c '...' first  &  coordctl lock tour -- sh -c '...' second\n"
    quiet lock tour -- sh -c "$hold" first >>"$out" &
    a=$!
    quiet lock tour -- sh -c "$hold" second >>"$out" &
    b=$!
    wait $a || tour_fail "the first process failed"
    wait $b || tour_fail "the second process failed"
    sed 's/^/    /' "$out"
    awk '/has the lock/ {if (held || $NF <= token) bad=1; held=1; token=$NF} /lets go/ {held=0}
         END {exit bad || NR != 4}' "$out" || tour_fail "the two overlapped, or the token did not grow"
}

tour_election() {
    chapter "3. An election: one of two candidates leads"
    local out="$ENSEMBLE/tour-elect.out" a b
    : >"$out"
    printf "  \$ coordctl elect tour -- sh -c 'echo ...' twice at once\n"
    quiet elect tour -- sh -c 'echo "candidate one leads, token $COORD_FENCE"' >>"$out" &
    a=$!
    quiet elect tour -- sh -c 'echo "candidate two leads, token $COORD_FENCE"' >>"$out" &
    b=$!
    wait $a && wait $b || tour_fail "a candidate failed"
    sed 's/^/    /' "$out"
    [ "$(wc -l <"$out")" = 2 ] || tour_fail "not every candidate had its turn"
}

tour_leader_dies() {
    chapter "4. kill -9 of the leader: the next write succeeds"
    local leader start took
    leader=$(leader_id) || tour_fail "there is no leader"
    printf '  $ kill -9 %s        (member %s, the leader)\n' "$(member_pid "$leader")" "$leader"
    kill -9 "$(member_pid "$leader")"
    start=$(now_ms)
    ctl set /tour/greeting "still here" || tour_fail "the write failed"
    took=$(($(now_ms) - start))
    echo "    written by the other two, $took ms after the kill"
    wait_until 5 "the killed process is gone" process_gone "$(cat "$ENSEMBLE/member-$leader.pid")"
    echo "  Member $leader starts again and catches up:"
    member_start "$leader"
    wait_until 10 "member $leader follows" member_follows "$leader" || tour_fail "it did not come back"
    ctl_on "$leader" get /tour/greeting || tour_fail "it does not have the value"
}

tour_minority() {
    chapter "5. A partition: the side without a majority says no, in words"
    local leader cut others
    leader=$(leader_id) || tour_fail "there is no leader"
    cut=$leader
    others=$(seq -s, $ENSEMBLE_SIZE | sed "s/\b$cut\b//;s/,,/,/;s/^,//;s/,$//")
    ctl partition "$cut / $others" || tour_fail "the partition was refused"
    echo "  Member $cut, which was the leader, is alone now. It refuses to write and to read the latest value:"
    ctl_on "$cut" set /tour/greeting "from the minority" && tour_fail "the minority accepted a write"
    ctl_on "$cut" get /tour/greeting && tour_fail "the minority served a linearizable read"
    echo "  It still serves what it knows to those who ask for that by name:"
    ctl_on "$cut" --consistency local get /tour/greeting || tour_fail "the local read was refused"
    echo "  The majority goes on:"
    ctl_on "${others%%,*}" set /tour/greeting "from the majority" || tour_fail "the majority refused"
    chapter "6. The heal: nothing to reconcile"
    ctl partition heal || tour_fail "the heal was refused"
    wait_until 10 "member $cut follows again" member_follows "$cut" || tour_fail "it did not come back"
    ctl_on "$cut" get /tour/greeting || tour_fail "the value was not found"
    [ "$("$COORDCTL" -s "$(client_address "$cut")" get /tour/greeting)" = "from the majority" ] ||
        tour_fail "the healed member does not have the majority's value"
    ctl status || tour_fail "status failed"
}

bold "coord: a tour of three members on loopback ($(all_addresses))"
tour_configuration
tour_lock
tour_election
tour_leader_dies
tour_minority
printf '\n'
bold "That was the tour: every step did what it had to."
