# shellcheck shell=bash
# Sourced by peers.sh: how to start, ask and stop an ensemble of each system. Functions only.
#
# An ensemble of three lives in $ENSEMBLE (a directory) and has member-N.pid, member-N.log and data-N; SYSTEM says
# whose it is. For each system there are
#   SYSTEM_why_not        says why it cannot be measured here, or nothing
#   SYSTEM_version        one line
#   SYSTEM_settings       what differs from the defaults, one line
#   SYSTEM_configure      choose ports, write what the members need
#   SYSTEM_launch N       start member N (in the background, by run_member)
#   SYSTEM_serves N       does it serve requests?
#   SYSTEM_leads N        does it lead?
#   SYSTEM_address N      where clients go

MEMBERS="1 2 3"

# run_member N COMMAND...: in a session of its own, so that an interrupt at the terminal goes to the script alone.
run_member() {
    local n=$1
    shift
    setsid "$@" >>"$ENSEMBLE/member-$n.log" 2>&1 </dev/null &
    echo $! >"$ENSEMBLE/member-$n.pid"
    disown
}

# pid_of N: if it lives.
pid_of() {
    local pid
    pid=$(cat "$ENSEMBLE/member-$1.pid" 2>/dev/null) && ! process_gone "$pid" && echo "$pid"
}

# end_member N SIGNAL: and wait until it is gone.
end_member() {
    local pid
    pid=$(pid_of "$1") || return 0
    kill "-$2" "$pid" 2>/dev/null || return 0
    wait_until 20 "member $1 (pid $pid) ends" process_gone "$pid" || kill -9 "$pid"
}

# free_ports COUNT: so many ports that nobody listens on, on one line.
free_ports() {
    local port out="" n=0
    while [ "$n" -lt "$1" ]; do
        port=$((20000 + RANDOM % 11000))
        case " $out " in *" $port "*) continue ;; esac
        port_free "$port" || continue
        out="$out $port"
        n=$((n + 1))
    done
    echo "${out# }"
}

# say PORT TEXT: send it, print what comes back until the other side closes.
say() {
    timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "$2" >&3 && cat <&3' _ "$1" "$2" 2>/dev/null
}

# says PORT TEXT REGEX: does a line of what comes back match? (All is read first: a reader that leaves early
# would make the pipe fail.)
says() {
    local answer
    answer=$(say "$1" "$2") && grep -qE "$3" <<<"$answer"
}

# --- coord -------------------------------------------------------------------------------------

coord_why_not() { [ -x "$COORDD" ] || echo "$COORDD is not built"; }
coord_version() { "$COORDD" --version 2>/dev/null | head -n 1; }
coord_settings() { echo "nothing but members, ports and directories is set"; }
coord_configure() {
    ENSEMBLE_SIZE=3
    ENSEMBLE_PORT=$(port_base 3)
    ensemble_configure
}
coord_launch() { run_member "$1" "$COORDD" -c "$ENSEMBLE/member-$1.yaml"; }
coord_serves() { member_follows "$1"; }
coord_leads() { [ "$(member_status "$1" role)" = leader ]; }
coord_address() { client_address "$1"; }

# --- ZooKeeper ---------------------------------------------------------------------------------

ZK_JAR=/usr/share/java/zookeeper.jar

zookeeper_why_not() {
    if [ ! -e $ZK_JAR ]; then
        echo "Debian's zookeeper is not installed (--install does it)"
    elif ! command -v java >/dev/null; then
        echo "there is no java"
    fi
}
zookeeper_version() {
    echo "Debian $(dpkg-query -W -f='${Version}' zookeeper 2>/dev/null), $(java -version 2>&1 | head -n 1)"
}
zookeeper_settings() {
    echo "no bound on connections from one address (all come from here), no web server, log level WARN," \
        "heap 1,000 MB as its start script has it"
}
zookeeper_configure() {
    local i j ports
    ports=$(free_ports 9)
    # shellcheck disable=SC2206
    ZK_PORTS=($ports)
    for i in $MEMBERS; do
        mkdir -p "$ENSEMBLE/data-$i" "$ENSEMBLE/conf-$i"
        echo "$i" >"$ENSEMBLE/data-$i/myid"
        {
            printf 'tickTime=2000\ninitLimit=10\nsyncLimit=5\nmaxClientCnxns=0\nadmin.enableServer=false\n'
            echo "dataDir=$ENSEMBLE/data-$i"
            echo "clientPort=${ZK_PORTS[i - 1]}"
            echo "clientPortAddress=127.0.0.1"
            for j in $MEMBERS; do echo "server.$j=127.0.0.1:${ZK_PORTS[j + 2]}:${ZK_PORTS[j + 5]}"; done
        } >"$ENSEMBLE/conf-$i/zoo.cfg"
        cat >"$ENSEMBLE/conf-$i/log4j.properties" <<END
log4j.rootLogger=WARN, CONSOLE
log4j.appender.CONSOLE=org.apache.log4j.ConsoleAppender
log4j.appender.CONSOLE.layout=org.apache.log4j.PatternLayout
log4j.appender.CONSOLE.layout.ConversionPattern=%d{ISO8601} %-5p %m%n
END
    done
}
zookeeper_launch() {
    run_member "$1" java -Xmx1000m -cp "$ENSEMBLE/conf-$1:$ZK_JAR" \
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$ENSEMBLE/conf-$1/zoo.cfg"
}
zookeeper_serves() { says "${ZK_PORTS[$1 - 1]}" srvr '^Mode: (leader|follower)'; }
zookeeper_leads() { says "${ZK_PORTS[$1 - 1]}" srvr '^Mode: leader'; }
zookeeper_address() { echo "127.0.0.1:${ZK_PORTS[$1 - 1]}"; }

# --- etcd --------------------------------------------------------------------------------------

etcd_why_not() {
    if ! command -v etcd >/dev/null; then
        echo "Debian's etcd-server is not installed (--install does it)"
    elif ! pkg-config --exists libnghttp2 2>/dev/null; then
        echo "its load generator needs libnghttp2-dev (--install does it)"
    fi
}
etcd_version() { echo "Debian $(dpkg-query -W -f='${Version}' etcd-server 2>/dev/null)"; }
etcd_settings() { echo "nothing but names, ports and directories is set"; }
etcd_configure() {
    local ports
    ports=$(free_ports 6)
    # shellcheck disable=SC2206
    ETCD_PORTS=($ports)
}
etcd_launch() {
    local i all=""
    for i in $MEMBERS; do all="$all,m$i=http://127.0.0.1:${ETCD_PORTS[i + 2]}"; done
    run_member "$1" etcd --name "m$1" --data-dir "$ENSEMBLE/data-$1" \
        --listen-client-urls "http://$(etcd_address "$1")" --advertise-client-urls "http://$(etcd_address "$1")" \
        --listen-peer-urls "http://127.0.0.1:${ETCD_PORTS[$1 + 2]}" \
        --initial-advertise-peer-urls "http://127.0.0.1:${ETCD_PORTS[$1 + 2]}" \
        --initial-cluster "${all#,}" --initial-cluster-state new --initial-cluster-token "bench-$$"
}
etcd_tells() { says "${ETCD_PORTS[$1 - 1]}" "GET $2 HTTP/1.0\r\nHost: localhost\r\n\r\n" "$3"; }
etcd_serves() { etcd_tells "$1" /health '"health":"true"'; }
etcd_leads() { etcd_tells "$1" /metrics '^etcd_server_is_leader 1'; }
etcd_address() { echo "127.0.0.1:${ETCD_PORTS[$1 - 1]}"; }

# --- any ---------------------------------------------------------------------------------------

all_serve() {
    local i
    for i in $MEMBERS; do "${SYSTEM}_serves" "$i" || return 1; done
}

# the_leader: its number; those that serve are asked.
the_leader() {
    local i
    for i in $MEMBERS; do
        if pid_of "$i" >/dev/null && "${SYSTEM}_leads" "$i"; then
            echo "$i"
            return 0
        fi
    done
    return 1
}

ensemble_up() {
    local i
    for i in $MEMBERS; do "${SYSTEM}_launch" "$i"; done
    wait_until 60 "three members of $SYSTEM serve" all_serve &&
        wait_until 20 "$SYSTEM has a leader" the_leader
}

ensemble_down() {
    local i
    for i in $MEMBERS; do end_member "$i" "${1:-TERM}"; done
}

# pids, addresses: of all living members, separated by commas; addresses with the leader's first.
pids() {
    local i out="" p
    for i in $MEMBERS; do p=$(pid_of "$i") && out="$out,$p"; done
    echo "${out#,}"
}
addresses() {
    local i leader out
    leader=$(the_leader) || return 1
    out=$("${SYSTEM}_address" "$leader")
    for i in $MEMBERS; do
        if [ "$i" != "$leader" ] && pid_of "$i" >/dev/null; then out="$out,$("${SYSTEM}_address" "$i")"; fi
    done
    echo "$out"
}

# middle_of_three FUNCTION: of what it prints for each member.
middle_of_three() {
    local i
    for i in $MEMBERS; do "$1" "$i"; done | sort -n | sed -n 2p
}
rss_mb() { awk '/^VmRSS:/ {printf "%.1f\n", $2 / 1024}' "/proc/$(pid_of "$1")/status"; }
disk_mb() { du -sm "$ENSEMBLE/data-$1" | cut -f1; }
