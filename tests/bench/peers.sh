#!/usr/bin/env bash
# coord beside ZooKeeper and etcd, on this machine, in one run: `make bench-peers` (ARGS="..." for the options).
#
#   tests/bench/peers.sh                    three rounds, about 12 minutes on 2 cores
#   tests/bench/peers.sh --quick            one short round, to see that everything works
#   tests/bench/peers.sh --long             also 1,000,000 nodes: memory, disk, restart
#
# Options: --install          install Debian's zookeeper, etcd-server and libnghttp2-dev first; without it, what is missing
#                             is left out, with a word
#          --systems LIST     of coord,zookeeper,etcd (default: all)
#          --cells REGEX      only the loads whose name matches
#          --rounds N         visits to each system (3; 0: none, for --long alone)
#          --secs S           of each load (1.5)
#          --kills N          leaders killed in each visit (3) --limit-ms N  of an attempt then (200)
#          --nodes N          of --long (1000000)              --out DIR     (build/peers)
#          --minutes N        begin no round that would end later, 4 minutes for --long included (no bound)
#
# Each system runs as three members with its defaults and fsync, one ensemble at a time; rounds begin with another
# system each. DIR gets results.txt (a line for each load and round), table.md and table.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/lib.sh
. tests/bench/systems.sh

rounds=3 secs=1.5 kills=3 limit_ms=200 nodes=1000000 fan_rounds=50 warm_zookeeper=25 warm_others=3 minutes=1000000
install=0 long=0 systems="coord zookeeper etcd" cells="" out=build/peers

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' tests/bench/peers.sh; }

number() { # NAME VALUE
    case "$1 $2" in
    *' ' | '--secs '*[!0-9.]* | '--secs '*.*.*) die "$1 needs a number, not '$2'" ;;
    '--secs '*) ;;
    *' '*[!0-9]*) die "$1 needs a whole number, not '$2'" ;;
    esac
}

systems_named() { # LIST: are these names of systems?
    local s
    [ -n "${1//[ ,]/}" ] || die "--systems needs names, of coord,zookeeper,etcd"
    for s in ${1//,/ }; do
        declare -F "${s}_why_not" >/dev/null || die "--systems: there is no '$s', only coord, zookeeper and etcd"
    done
}

pattern() { # REGEX: does grep take it?
    grep -qE -- "$1" <<<"" 2>/dev/null || [ $? = 1 ] || die "--cells: '$1' is not a regular expression"
}

settings="${*:-(defaults)}"
while [ $# -gt 0 ]; do
    case "$1" in --systems | --cells | --out) [ -n "${2:-}" ] || die "$1 needs a value" ;; esac
    case "$1" in
    --install) install=1 ;;
    --quick) rounds=1 secs=0.5 kills=1 nodes=50000 fan_rounds=5 warm_zookeeper=5 warm_others=1 ;;
    --long) long=1 ;;
    --rounds | --secs | --kills | --limit-ms | --nodes | --minutes)
        number "$1" "${2:-}"
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift
        ;;
    --systems) systems_named "$2" && systems=${2//,/ } && shift ;;
    --cells) pattern "$2" && cells=$2 && shift ;;
    --out) out=$2 && shift ;;
    -h | --help) usage && exit 0 ;;
    *) die "unknown argument '$1' (try --help)" ;;
    esac
    shift
done

WORK=$(mktemp -d "${TMPDIR:-/tmp}/coord-peers.XXXXXX")
ENSEMBLE=$WORK/ensemble
SYSTEM=
failed=0

cleanup() {
    local status=$?
    trap - EXIT
    [ -z "$SYSTEM" ] || ensemble_down KILL
    rm -rf "$WORK"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Debian's etcd-server starts a service of its own when installed; not here.
install_peers() {
    local systemd=0
    [ -d /run/systemd/system ] && systemd=1
    [ $systemd = 0 ] || systemctl mask --runtime --now etcd.service 2>/dev/null || true
    packages_install zookeeper etcd-server libnghttp2-dev default-jre-headless
    [ $systemd = 0 ] || systemctl unmask --runtime etcd.service 2>/dev/null || true
}

build() {
    local programs="$COORDD $COORDCTL $BUILD/bench/coordload $BUILD/bench/zkload $BUILD/bench/peertable"
    if pkg-config --exists libnghttp2 2>/dev/null; then programs="$programs $BUILD/bench/etcdload"; fi
    # shellcheck disable=SC2086
    make -s VARIANT="$(basename "$BUILD")" ${programs//$ROOT\//}
}

generator() {
    case "$SYSTEM" in
    zookeeper) echo "$BUILD/bench/zkload" ;;
    *) echo "$BUILD/bench/${SYSTEM}load" ;;
    esac
}

asked_for() { grep -qE -- "$cells" <<<"$1"; }

# record CELL SHOW LINE: one line of results.
record() {
    echo "round=r$round cell=$1 show=$2 $3" >>"$results"
}

# measure CELL SHOW ARGS...: one load, unless it was not asked for.
measure() {
    local cell=$1 show=$2 line servers
    shift 2
    asked_for "$cell" || return 0
    servers=$(addresses) || { complain "$cell: there is no leader" && return 0; }
    if line=$(timeout 180 "$(generator)" --servers "$servers" --pids "$(pids)" --secs "$secs" "$@"); then
        record "$cell" "$show" "$line"
        printf '  %-10s %-34s %s\n' "$SYSTEM" "$cell" "$(brief "$line")" >&2
    else
        complain "$cell: ${line:-no result}"
    fi
}

complain() {
    failed=$((failed + 1))
    printf '  %-10s FAILED %s\n' "$SYSTEM" "$*" >&2
}

brief() {
    grep -oE '\b(ops_s|p50_us|server_cpu_100k|own_share|first_ms|rss_mb)=[0-9.]+' <<<"$1" | tr '\n' ' '
}

# JIT compilers, caches and file sizes get where they stay; nothing is recorded.
warm_up() {
    local s=$warm_others
    [ "$SYSTEM" != zookeeper ] || s=$warm_zookeeper
    "$(generator)" --servers "$(addresses)" --op mixed:50 --conns 64 --outstanding 16 --warmup 0 --secs "$s" >/dev/null ||
        complain "warming up"
}

loads() {
    local rate=ops_s,server_cpu_100k
    # Reads first: those of etcd become slower once much has been written, which is a load of its own.
    measure get_local_64x16 $rate --op get --level local --conns 64 --outstanding 16
    measure get_linearizable_64x16 $rate --op get --level linearizable --conns 64 --outstanding 16
    measure set_1x1 p50_us,$rate --op set
    measure set_16x1 $rate --op set --conns 16
    measure set_64x1 $rate --op set --conns 64
    measure set_64x16 $rate,p99_us --op set --conns 64 --outstanding 16
    measure set_1000x1 $rate,p99_us --op set --conns 1000
    measure set_1_KiB_64x16 $rate --op set --value 1024 --conns 64 --outstanding 16
    measure create_64x16 $rate --op create --conns 64 --outstanding 16
    measure get_linearizable_64x16_after_writes $rate --op get --level linearizable --conns 64 --outstanding 16
    measure mixed_90/10_local_64x16 $rate --op mixed:90 --level local --conns 64 --outstanding 16
    measure mixed_90/10_linearizable_64x16 $rate --op mixed:90 --level linearizable --conns 64 --outstanding 16
    measure last_of_1,000_watchers,_1,000_connections p50_us,max_us,server_cpu_100k --op fanout --keys 1 --watchers 1000 --conns 1000 --rounds $fan_rounds
    if [ "$SYSTEM" = etcd ]; then
        # A create that may overwrite: no condition, which costs etcd much less.
        measure put_of_new_keys_64x16 $rate --op fill --conns 64 --outstanding 16
    fi
    if [ "$SYSTEM" != zookeeper ]; then
        measure last_of_1,000_watchers,_50_connections p50_us,max_us,server_cpu_100k --op fanout --keys 1 --watchers 1000 --conns 50 --rounds $fan_rounds
    fi
}

# The leader is killed by the generator, whose clock starts then; the survivors are asked in turn.
failover() {
    local cell=first_write_after_kill_-9 k leader i line others
    asked_for $cell || return 0
    for k in $(seq "$kills"); do
        leader=$(the_leader) || { complain "$cell: there is no leader" && return 0; }
        others=""
        for i in $MEMBERS; do [ "$i" = "$leader" ] || others="$others,$("${SYSTEM}_address" "$i")"; done
        if line=$("$(generator)" --servers "${others#,}" --op attempt --secs 20 --limit-ms "$limit_ms" --kill "$(pid_of "$leader")"); then
            record $cell first_ms "$line"
            printf '  %-10s %-34s %s\n' "$SYSTEM" "$cell" "$(brief "$line")" >&2
        else
            complain "$cell"
        fi
        "${SYSTEM}_launch" "$leader"
        wait_until 60 "the killed member of $SYSTEM serves again" all_serve || { complain "$cell: restart $k" && return 0; }
    done
}

memory() { # CELL SHOW
    asked_for "$1" || return 0
    local line
    line=$(memory_line)
    record "$1" "$2" "$line"
    printf '  %-10s %-34s %s\n' "$SYSTEM" "$1" "$(brief "$line")" >&2
}
memory_line() { echo "system=$SYSTEM rss_mb=$(middle_of_three rss_mb) disk_mb=$(middle_of_three disk_mb)"; }

# many_nodes: in an ensemble of its own.
many_nodes() {
    local line i
    begin_ensemble || return 0
    if line=$(timeout 570 "$(generator)" --servers "$(addresses)" --pids "$(pids)" --op fill --ops "$nodes" --prefix f \
        --conns 64 --outstanding 16 --warmup 0 --secs 560) &&
        "$(generator)" --servers "$(addresses)" --op get --keys 1 --warmup 0 --secs 0.1 >/dev/null; then
        record "creating_$nodes_text" ops_s,max_us,server_cpu_100k "$line"
        sleep 2 # what follows the last write, garbage and snapshots, belongs to it
        record "$nodes_text" rss_mb,disk_mb "$(memory_line)"
        ensemble_down TERM
        for i in $MEMBERS; do "${SYSTEM}_launch" "$i"; done
        if line=$("$(generator)" --servers "$(static_addresses)" --op attempt --read --level linearizable --secs 120 --limit-ms "$limit_ms"); then
            record "restart_of_$nodes_text,_first_read" first_ms "$line"
            printf '  %-10s %-34s %s\n' "$SYSTEM" "restart" "$(brief "$line")" >&2
        else
            complain "restart of $nodes_text"
        fi
    else
        complain "creating $nodes_text"
    fi
    end_ensemble
}

static_addresses() { echo "$("${SYSTEM}_address" 1),$("${SYSTEM}_address" 2),$("${SYSTEM}_address" 3)"; }

begin_ensemble() {
    rm -rf "$ENSEMBLE"
    mkdir -p "$ENSEMBLE"
    "${SYSTEM}_configure"
    ensemble_up || {
        tail -n 5 "$ENSEMBLE"/member-*.log >&2
        complain "it did not start"
        end_ensemble
        return 1
    }
}

end_ensemble() {
    ensemble_down TERM
    rm -rf "$ENSEMBLE"
}

visit() {
    begin_ensemble || return 0
    sleep 1 # a member that has just started is not idle yet
    memory idle_and_empty rss_mb
    warm_up
    loads
    memory after_the_loads rss_mb,disk_mb
    failover
    end_ensemble
}

# The systems that can be measured, those asked for; a word on each other one.
choose() {
    local s why
    chosen="" left_out=""
    for s in $systems; do
        why=$("${s}_why_not")
        if [ -n "$why" ]; then
            left_out="${left_out}left out: $s: $why
"
        else
            chosen="$chosen $s"
        fi
    done
    printf %s "$left_out" >&2
    [ -n "$chosen" ] || die "nothing to measure"
}

rotate() { # N WORDS...: the words, begun N further
    local n=$1
    shift
    while [ "$n" -gt 0 ]; do
        set -- "${@:2}" "$1"
        n=$((n - 1))
    done
    echo "$*"
}

describe() {
    local s
    echo "machine: $(nproc) cores, $(awk '/MemTotal/ {printf "%.1f GB", $2 / 1e6}' /proc/meminfo), Linux $(uname -r), data on $(stat -f -c %T "$WORK")"
    echo "load average: $load_before before, $(cut -d' ' -f1-3 /proc/loadavg) after (this run included)"
    echo "run: $(date -u +%Y-%m-%dT%H:%MZ), options $settings; rounds $rounds, $secs s a load after 0.5 s of the same," \
        "warm-up $warm_zookeeper s (ZooKeeper), $warm_others s (others), 1,000 keys, values of 100 bytes unless named," \
        "$kills kills a visit, $limit_ms ms an attempt"
    for s in $chosen; do echo "$s: $("${s}_version"); $("${s}_settings")"; done
    others_meanwhile
    printf %s "$left_out"
}

# What else ran here while each system was measured: figures of systems are comparable when these are alike.
others_meanwhile() {
    tr ' ' '\n' <"$results" | awk -F= '
        $1 == "system" { s = $2; next }
        $1 == "others_cores" { sum[s] += $2; n[s]++ }
        END { for (s in n) printf "other programs used, while %s was measured: %.2f cores on average\n", s, sum[s] / n[s] }' | sort
}

json_texts() { # lines as an array of strings
    sed 's/[\\"]/\\&/g; s/.*/  "&",/; $s/,$//'
}

if [ $install = 1 ]; then install_peers; fi
build
choose
mkdir -p "$out"
results=$out/results.txt
: >"$results"
load_before=$(cut -d' ' -f1-3 /proc/loadavg)
nodes_text=$(sed ':a; s/\B[0-9]\{3\}\>/,&/; ta' <<<"$nodes")_nodes
round=1
started=$(date +%s)
longest=0
for round in $(seq "$rounds"); do
    began=$(($(date +%s) - started))
    if [ $((began + longest + 240 * long)) -gt $((minutes * 60)) ] && [ "$round" -gt 1 ]; then
        rounds=$((round - 1))
        echo "no time for round $round" >&2
        break
    fi
    for SYSTEM in $(rotate $(((round - 1) % 3)) $chosen); do visit; done
    took=$(($(date +%s) - started - began))
    [ $took -le $longest ] || longest=$took
    echo "round $round of $rounds done after $(($(date +%s) - started)) s" >&2
done
if [ $long = 1 ]; then
    for SYSTEM in $chosen; do many_nodes; done
fi
SYSTEM=
[ -s "$results" ] || die "nothing was measured: no load's name matches '$cells', or there was no round"
about=$(describe)
{
    sed 's/^/- /' <<<"$about"
    echo
    "$BUILD/bench/peertable" <"$results"
} >"$out/table.md"
{
    echo '{"about": ['
    json_texts <<<"$about"
    echo '], "cells":'
    "$BUILD/bench/peertable" --json <"$results"
    echo '}'
} >"$out/table.json"
cat "$out/table.md"
echo "took $(($(date +%s) - started)) s; $failed failures; $out has table.md, table.json, results.txt"
[ "$failed" = 0 ]
