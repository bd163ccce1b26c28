# shellcheck shell=bash
# Sourced by the scripts here and by tests/integration: install what is missing, and run an ensemble of
# coordd processes under one directory. Functions only; nothing happens on sourcing.
#
# An ensemble lives in $ENSEMBLE (a directory) and is made of
#   member-N.yaml   its configuration      data-N/  its data_dir
#   member-N.log    its log                member-N.pid
# and is described by ENSEMBLE_SIZE and ENSEMBLE_PORT (client ports PORT, PORT+10, ...; peers one above).

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD:-$ROOT/build/release}
COORDD=${COORDD:-$BUILD/coordd}
COORDCTL=${COORDCTL:-$BUILD/coordctl}

PACKAGES_BUILD="gcc make pkg-config libc6-dev libevent-dev libmsgpack-dev libyaml-dev libxxhash-dev"
PACKAGES_TEST="check libsubunit-dev clang clang-format git strace"

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# packages_missing NAME...: those that are not installed, one line.
packages_missing() {
    local p out=""
    for p in "$@"; do
        [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || out="$out $p"
    done
    printf '%s' "${out# }"
}

# packages_install NAME...: install what is missing, or say what to install and fail.
packages_install() {
    local missing sudo=""
    command -v dpkg-query >/dev/null || {
        echo "This is not a Debian system: install the equivalents of: $*" >&2
        return 0
    }
    missing=$(packages_missing "$@")
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            sudo=sudo
        elif command -v sudo >/dev/null && [ -t 0 ]; then
            sudo=sudo
        else
            printf 'These packages are missing, and only root can install them:\n\n    apt-get install %s\n\nInstall them and run this again.\n' "$missing" >&2
            return 1
        fi
    fi
    echo "Installing: $missing"
    # shellcheck disable=SC2086
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
        $sudo apt-get update >/dev/null 2>&1
        # shellcheck disable=SC2086
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >/dev/null ||
            { echo "The installation failed; try: apt-get install $missing" >&2; return 1; }
    }
}

# wait_until SECONDS WHAT COMMAND...: run COMMAND until it succeeds; say WHAT did not happen otherwise.
wait_until() {
    local seconds=$1 what=$2 end
    shift 2
    end=$(($(date +%s%N) + seconds * 1000000000))
    until "$@" >/dev/null 2>&1; do
        if [ "$(date +%s%N)" -gt "$end" ]; then
            printf 'waited %s s in vain: %s\n' "$seconds" "$what" >&2
            return 1
        fi
        sleep 0.02
    done
}

now_ms() {
    echo $(($(date +%s%N) / 1000000))
}

# json_get KEY: the value of a top-level string or number on each line of standard input.
json_get() {
    sed -n 's/.*"'"$1"'" *: *"\{0,1\}\([^",}]*\)"\{0,1\}[,}].*/\1/p'
}

# --- ports -------------------------------------------------------------------------------------

port_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# port_base SIZE: a base such that the ports of an ensemble of SIZE are free now.
port_base() {
    local base i try
    for try in $(seq 200); do
        base=$((20000 + (RANDOM % 1100) * 10))
        for i in $(seq 0 $(($1 - 1))); do
            port_free $((base + i * 10)) && port_free $((base + i * 10 + 1)) || continue 2
        done
        echo "$base"
        return 0
    done
    echo "no free ports after $try tries" >&2
    return 1
}

client_port() { echo $((ENSEMBLE_PORT + ($1 - 1) * 10)); }
client_address() { echo "127.0.0.1:$(client_port "$1")"; }

# all_addresses: every member's client address, comma-separated.
all_addresses() {
    local i out=""
    for i in $(seq "$ENSEMBLE_SIZE"); do out="$out,$(client_address "$i")"; done
    echo "${out#,}"
}

# --- configuration and processes ---------------------------------------------------------------

# yaml_text TEXT: as a quoted scalar.
yaml_text() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# ensemble_configure [LINE...]: write member-N.yaml for every member; LINEs are added to each.
ensemble_configure() {
    local i j
    mkdir -p "$ENSEMBLE"
    for i in $(seq "$ENSEMBLE_SIZE"); do
        {
            echo "id: $i"
            echo "data_dir: $(yaml_text "$ENSEMBLE/data-$i")"
            echo "cluster: $(basename "$ENSEMBLE" | tr -c 'A-Za-z0-9_.\n-' _)"
            echo "members:"
            for j in $(seq "$ENSEMBLE_SIZE"); do
                echo "  - {id: $j, peer: \"127.0.0.1:$(($(client_port "$j") + 1))\", client: \"$(client_address "$j")\"}"
            done
            [ $# -eq 0 ] || printf '%s\n' "$@"
        } >"$ENSEMBLE/member-$i.yaml"
    done
}

# member_pid N: its process id, if that process is alive and is this very member.
member_pid() {
    local pid cmdline
    pid=$(cat "$ENSEMBLE/member-$1.pid" 2>/dev/null) || return 1
    cmdline=$({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null) || return 1
    case "$cmdline" in
    *"$ENSEMBLE/member-$1.yaml"*) echo "$pid" ;;
    *) return 1 ;;
    esac
}

member_start() {
    member_pid "$1" >/dev/null && return 0
    # A new session, so that an interrupt at the terminal does not reach the members.
    setsid "$COORDD" -c "$ENSEMBLE/member-$1.yaml" >>"$ENSEMBLE/member-$1.log" 2>&1 </dev/null &
    echo $! >"$ENSEMBLE/member-$1.pid"
    # Not ours to wait for when it outlives us: the shell then does not report its end either.
    [ -z "${ENSEMBLE_DETACH:-}" ] || disown
}

# member_signal N SIGNAL: send it and wait until the process is gone (but for STOP and CONT).
member_signal() {
    local pid
    pid=$(member_pid "$1") || return 0
    kill "-$2" "$pid"
    case "$2" in STOP | CONT) return 0 ;; esac
    wait_until 15 "member $1 (pid $pid) ends" process_gone "$pid"
    wait "$pid" 2>/dev/null || true
}

process_gone() {
    [ ! -e "/proc/$1" ] || grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

member_kill() { member_signal "$1" KILL; }
member_stop() { member_signal "$1" TERM; }

# member_status N KEY: one value of `coordctl status` as that member tells it.
member_status() {
    "$COORDCTL" -s "$(client_address "$1")" -o json --timeout 2s status 2>/dev/null | json_get "$2"
}

# leader_id: the member that leads, as a majority of the living members see it.
leader_id() {
    local i leader role
    for i in $(seq "$ENSEMBLE_SIZE"); do
        member_pid "$i" >/dev/null || continue
        role=$(member_status "$i" role)
        [ "$role" = leader ] || continue
        leader=$i
    done
    [ -n "${leader:-}" ] && echo "$leader"
}

member_follows() {
    case "$(member_status "$1" role)" in
    leader) return 0 ;;
    follower) [ "$(member_status "$1" leader)" != 0 ] ;;
    *) return 1 ;;
    esac
}

# ensemble_ready: every living member leads or follows somebody.
ensemble_ready() {
    local i
    for i in $(seq "$ENSEMBLE_SIZE"); do
        member_pid "$i" >/dev/null || continue
        member_follows "$i" || return 1
    done
}

ensemble_start() {
    local i
    for i in $(seq "$ENSEMBLE_SIZE"); do member_start "$i"; done
    for i in $(seq "$ENSEMBLE_SIZE"); do
        wait_until 10 "member $i answers" answers_or_gone "$i" && member_answers "$i" || {
            member_pid "$i" >/dev/null || echo "member $i has ended; the last it said:" >&2
            tail -n 5 "$ENSEMBLE/member-$i.log" >&2
            return 1
        }
    done
    wait_until 10 "the members agree on a leader" ensemble_ready
}

member_answers() {
    [ -n "$(member_status "$1" role)" ]
}

# answers_or_gone N: true when there is nothing more to wait for.
answers_or_gone() {
    process_gone "$(cat "$ENSEMBLE/member-$1.pid")" || member_answers "$1"
}

ensemble_stop() {
    local i
    for i in $(seq "$ENSEMBLE_SIZE"); do member_stop "$i"; done
}

ensemble_kill() {
    local i
    for i in $(seq "$ENSEMBLE_SIZE"); do member_kill "$i"; done
}
