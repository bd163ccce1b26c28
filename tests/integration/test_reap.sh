# Goal: containers and ttl nodes go by themselves, in time, also when the leader is killed in between and
# through restarts; a node that is set in time stays.
# Method: three members, coordctl, and the clock of this machine.
. "$(dirname "$0")/lib.sh"
start_ensemble 3 "sessions: {min: 1s, max: 60s}"

gone() { ! ctl exists "$1" >/dev/null; }
# gone_within PATH FROM TO MS...: PATH, made at TO's clock START, goes between FROM and TO ms after it.
gone_within() {
    local path=$1 start=$2 from=$3 to=$4 took
    wait_until 20 "$path is gone" gone "$path"
    took=$(($(now_ms) - start))
    echo "$path gone after $took ms"
    [ "$took" -ge "$from" ] || fail "$path went $took ms after it was made"
    expect_below "$took" "$to" "$path: milliseconds until it was gone"
}

# --- in time -----------------------------------------------------------------------------------------------------
start=$(now_ms)
ctl create --ttl 2s /short >/dev/null
ctl create --ttl 5s /kept >/dev/null
ctl create --container /c >/dev/null
ctl create --container /c/d >/dev/null
ctl create /c/d/x >/dev/null
gone_within /short "$start" 2000 3500
ctl set /kept again
kept=$(now_ms)
ctl exists /c/d >/dev/null || fail "a container with a child went"

# --- through a change of the leader --------------------------------------------------------------------------------
leader=$(leader_await)
start=$(now_ms)
ctl create --ttl 4s /across >/dev/null
made=$(now_ms)
member_kill "$leader"
gone_within /across "$start" 4000 9000
gone_within /kept "$((kept - 500))" 5000 12000
member_start "$leader"
wait_until 10 "member $leader is back" member_follows "$leader"

# --- containers ------------------------------------------------------------------------------------------------------
start=$(now_ms)
ctl delete /c/d/x
gone_within /c "$start" 300 5000
gone /c/d || fail "a container is left"

# --- a restart of all, with a ttl that runs meanwhile ------------------------------------------------------------------
ctl create --ttl 3s /over >/dev/null
ctl create --ttl 1h /long >/dev/null
for i in 1 2 3; do member_kill "$i"; done
for i in 1 2 3; do member_start "$i"; done
wait_until 20 "a leader" ctl sync
gone_within /over "$made" 0 60000
ctl exists /long >/dev/null || fail "a node went long before its time"
