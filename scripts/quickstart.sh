#!/usr/bin/env bash
# The first command of the README: from a fresh Debian 12 to three members that agree on disk.
#
#   scripts/quickstart.sh              install, build, start, and a tour to read
#   scripts/quickstart.sh --no-tour    install, build, start
#   scripts/quickstart.sh stop         stop the members (their data stays)
#   scripts/quickstart.sh status       who is there
#
# Options: --dir DIR (data and configuration; default .quickstart in this folder, or $COORD_QUICKSTART_DIR)
#          --port N  (member I answers at N + 10 (I - 1); default 7410, or what the last start used)
set -euo pipefail
called_from=$PWD
cd "$(dirname "$0")/.."
. scripts/lib.sh

default_dir=$ROOT/.quickstart
[ -z "${COORD_QUICKSTART_DIR:-}" ] || default_dir=$(cd "$called_from" && realpath -m -- "$COORD_QUICKSTART_DIR")
ENSEMBLE=$default_dir
ENSEMBLE_SIZE=3
ENSEMBLE_DETACH=1
ENSEMBLE_PORT=
tour=1
command=start

# Word for word what leads back to this ensemble: scripts/quickstart.sh, with --dir when it is not the default one.
myself() {
    printf 'scripts/quickstart.sh'
    [ "$ENSEMBLE" = "$default_dir" ] || printf ' --dir %q' "$ENSEMBLE"
}

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' scripts/quickstart.sh
}

mistake() {
    printf 'quickstart.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case "$1" in
    stop | status) command=$1 ;;
    --no-tour) tour=0 ;;
    --dir)
        [ -n "${2:-}" ] || mistake "--dir needs a directory"
        ENSEMBLE=$(cd "$called_from" && realpath -m -- "$2")
        shift
        ;;
    --port)
        case "${2:-}" in '' | *[!0-9]* | ??????*) mistake "--port needs a number, not '${2:-}'" ;; esac
        ENSEMBLE_PORT=$2
        shift
        ;;
    -h | --help) usage && exit 0 ;;
    *) mistake "there is no '$1'" ;;
    esac
    shift
done

remember_port() {
    [ -n "$ENSEMBLE_PORT" ] || ENSEMBLE_PORT=$(cat "$ENSEMBLE/port" 2>/dev/null || echo 7410)
    # The last member's peers reach it at the highest port.
    if [ "$ENSEMBLE_PORT" -lt 1 ] || [ $(($(client_port $ENSEMBLE_SIZE) + 1)) -gt 65535 ]; then
        die "--port: $ENSEMBLE_PORT is not between 1 and $((65534 - 10 * (ENSEMBLE_SIZE - 1)))"
    fi
}

# The ports have to be free for members that are not running yet.
check_ports() {
    local i p
    for i in $(seq $ENSEMBLE_SIZE); do
        member_pid "$i" >/dev/null && continue
        for p in "$(client_port "$i")" $(($(client_port "$i") + 1)); do
            port_free "$p" || die "port $p on 127.0.0.1 is in use by another program.
Stop that program, or choose other ports:  $(myself) --port 8410"
        done
    done
}

running_members() {
    local i n=0
    for i in $(seq $ENSEMBLE_SIZE); do
        member_pid "$i" >/dev/null && n=$((n + 1))
    done
    echo "$n"
}

start() {
    mkdir -p "$ENSEMBLE"
    packages_install $PACKAGES_BUILD
    echo "Building (make -j$(nproc)) ..."
    make -s -j"$(nproc)" all
    if [ "$(running_members)" != 0 ] && [ "$ENSEMBLE_PORT" != "$(cat "$ENSEMBLE/port")" ]; then
        die "members are running on port $(cat "$ENSEMBLE/port") already; stop them first: $(myself) stop"
    fi
    check_ports
    # lab opens the demonstration gate, so that the tour can cut the ensemble in two.
    ensemble_configure "lab: true"
    echo "$ENSEMBLE_PORT" >"$ENSEMBLE/port"
    ensemble_start || die "the members did not come up; their logs are $ENSEMBLE/member-*.log"
    "$COORDCTL" -s "$(all_addresses)" partition heal >/dev/null
}

goodbye() {
    cat <<END

The ensemble is running: three members in $ENSEMBLE
  talk to it   $COORDCTL -s $(all_addresses) ls /
  or           export COORDCTL_SERVERS=$(all_addresses)
               $COORDCTL status
  stop it      $(myself) stop
END
}

case "$command" in
start)
    remember_port
    start
    if [ $tour = 1 ]; then . scripts/tour.sh; fi
    goodbye
    ;;
stop)
    remember_port
    n=$(running_members)
    if [ "$n" = 0 ]; then
        echo "no member was running in $ENSEMBLE"
    else
        ensemble_stop
        echo "stopped $n members; their data stays in $ENSEMBLE"
    fi
    ;;
status)
    remember_port
    [ -x "$COORDCTL" ] || die "nothing is built yet: run scripts/quickstart.sh"
    "$COORDCTL" -s "$(all_addresses)" status
    ;;
esac
