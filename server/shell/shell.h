/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell.h: the inside of a running coordd, shared by loop.c (its life and its turns) and bridge.c (what
 * goes between the node and the modules around it). Private to these two.
 */
#ifndef COORD_SERVER_SHELL_SHELL_H
#define COORD_SERVER_SHELL_SHELL_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include "server/node/node.h"
#include "server/shell/boot.h"
#include "server/shell/conf.h"
#include "server/shell/conn.h"
#include "server/shell/log.h"
#include "server/shell/peer.h"
#include "server/shell/snap_thread.h"
#include "server/shell/wake.h"
#include "server/shell/wal_thread.h"
#include "server/shell/watchdog.h"

#define SHELL_WARNINGS_PER_WINDOW 50 /* of the node, in ten seconds */
#define SHELL_DIGESTS             8  /* snapshot files whose digest a mark may still need */

struct shell {
    const struct conf *conf;
    const char *file;
    struct boot boot;
    struct node *node;

    struct event_base *base;
    struct event deadline; /* node_deadline */
    struct event second;   /* limits on time */
    struct event woken;    /* a thread has something */
    struct event term;
    struct event interrupt;
    struct event hangup;
    struct event stop_end;
    bool events_made;
    uint64_t deadline_ns; /* what the timer is set to; UINT64_MAX none */

    struct conn_set *conns;
    struct peer_set *peers;
    struct wal_thread *wal;
    struct snap_thread *snaps;
    struct watchdog *watchdog;
    struct wake wake;
    struct log_limit warnings;
    struct watch_mark mark;
    int client_listener; /* until conns owns it; -1 none */
    int peer_listener;   /* likewise */

    uint64_t now;   /* of this turn */
    bool now_known; /* it was read already */
    bool again;     /* do not sleep: something is due at once */
    bool stopping;
    bool stop_now;

    uint64_t durable;     /* as the node was told */
    bool room;            /* likewise */
    bool failed;          /* likewise */
    bool left;            /* the links to the peers were ended: the node has stopped */
    bool repairing;       /* the log is to be told when the node is whole */
    uint64_t prune_after; /* not 0: delete old snapshots once this io_seq is durable */
    struct {
        raft_index index;
        uint64_t digest[2];
    } digests[SHELL_DIGESTS];
    uint32_t digests_next;

    /* Chunks of a snapshot that the disk did not take: tried again each second. */
    struct snap_job *retries;
    raft_index store_index; /* of the transfer under way */
    raft_term store_term;
};

/* The node's clock (clock_boot_ns), read once a turn, and again when the sockets are read: reads that came
 * with them may be answered by a lease as of that moment only. */
uint64_t shell_now(struct shell *s);

/* The node's environment and the hosts of the sockets, all with s as their ctx. */
void bridge_env(struct shell *s, struct node_env *ret_env);
void bridge_conn_host(struct shell *s, struct conn_host *ret_host);
void bridge_peer_host(struct shell *s, struct peer_host *ret_host);
/* Tell the node what the disk threads have done since the last call. */
void bridge_disk(struct shell *s);
/* Once a second: try again what the disk did not take. */
void bridge_retry(struct shell *s);
void bridge_finish(struct shell *s);
/* Remember the digest of a snapshot file for its mark in the log. */
void bridge_digest_keep(struct shell *s, raft_index index, const uint64_t digest[2]);

#endif
