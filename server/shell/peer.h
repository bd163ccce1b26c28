/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.h: the connections between members. Towards each peer this member keeps one connection that it
 * opened, for sending; what it receives comes on the one that the peer opened. Frames are those of
 * frame.h with a check; the first each way is a handshake (handshake.h).
 *
 * States of the sending side
 *
 *     WAITING -- timer --> CONNECTING -- connected --> GREETING -- welcome --> READY
 *        ^                     |                          |                      |
 *        '---- failure --------'------- refusal, 5 s -----'------ end, cut ------'
 *
 *   The wait doubles from 10 ms to 1 s, with jitter, and begins anew after READY.
 *
 * Invariants
 *   1. A link is up while the sending side is READY, the peer's connection to us is established, and
 *      both were made by the same run of the peer's process. host.link tells each change once, and
 *      "down" as soon as either side breaks.
 *   2. Frames are taken and delivered only between members of this ensemble that named themselves
 *      rightly; everybody else is refused, with a log line on both sides.
 *   3. Messages on a link keep their order; none is sent twice. When a link breaks, or its queue holds
 *      PEER_QUEUE_BYTES_MAX, messages are dropped and counted: raft sends again.
 *   4. host.link and host.frame are never called from inside peer_set_send and peer_set_cut.
 *   5. A second process that claims a peer's id while the first one's connection lives is refused.
 * Thread: the loop's.
 */
#ifndef COORD_SERVER_SHELL_PEER_H
#define COORD_SERVER_SHELL_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <coord/raft.h>
#include "protocol/buf.h"
#include "server/shell/conf.h"

#define PEER_QUEUE_BYTES_MAX (64U * 1024 * 1024)
#define PEER_FRAME_BYTES_MAX (32U * 1024 * 1024) /* a message of the core and one large entry */

struct event_base;
struct peer_set;

struct peer_host {
    void *ctx;
    void (*link)(void *ctx, raft_id peer, bool up);
    void (*frame)(void *ctx, raft_id peer, struct coord_buf *buf); /* takes the reference over */
};

struct peer_options {
    struct event_base *base; /* outlives the set */
    struct peer_host host;
    const struct conf *conf; /* outlives the set */
    uint64_t incarnation;    /* random, of this run */
};

/* Errors: -ENOMEM. Return: 0 or negative. Nothing is connected before peer_set_begin. */
int peer_set_create(const struct peer_options *o, struct peer_set **ret_s);
/* Closes everything without telling the host. NULL is accepted. */
void peer_set_destroy(struct peer_set *s);

/* Accept from this listening socket, which the set owns from now on, and connect to every peer.
 * Return: 0 or a negative errno. */
int peer_set_begin(struct peer_set *s, int listener);

/* Queue one message made of parts; dropped when the link is not up or its queue is full. */
void peer_set_send(struct peer_set *s, raft_id peer, struct coord_buf *const *parts,
                   uint32_t count);
/* Cut the links to exactly these peers and mend the others; takes effect at the next flush. */
void peer_set_cut(struct peer_set *s, const raft_id *peers, uint32_t count);
/* This member takes no part any more: end the links to all peers, so that they need not find out by its
 * silence; takes effect at the next flush. */
void peer_set_leave(struct peer_set *s);

/* Write what was queued, carry out cuts. Return: true when the host was told of anything. */
bool peer_set_flush(struct peer_set *s);
/* Once a second: apply the limits on time. Return: true when the host was told of anything. */
bool peer_set_sweep(struct peer_set *s, uint64_t now);

struct peer_stats {
    bool up;
    uint64_t dropped; /* messages */
    uint64_t queued_bytes;
};
/* Return: false when there is no such peer. */
bool peer_set_stats(const struct peer_set *s, raft_id peer, struct peer_stats *ret_stats);

#endif
