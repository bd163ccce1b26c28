/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h: what travels between members, as one datagram. One thread.
 */
#ifndef RAFT_EXAMPLE_WIRE_H
#define RAFT_EXAMPLE_WIRE_H

#include <coord/raft.h>
#include "raft/example/disk.h"

#define BATCH 256u /* entries in one message */

/* Always all of it, as it lies in memory: the members must be of one build. */
struct packet {
    uint64_t cluster;
    struct raft_msg msg;
    struct raft_entry entries[BATCH]; /* APPEND: what the core knows of them, */
    union payload payloads[BATCH];    /* and what only the host does */
    struct raft_config_at config;     /* SNAPSHOT: the whole state is one chunk */
    int64_t sum;
};

/* Send p to the member p->msg.to, which listens at port + its id. It may be lost; nobody is told. */
void wire_send(int fd, uint16_t port, const struct packet *p);

/* Take one datagram, if there is one, and make an event of it; the configurations in it are decoded.
 * Ownership: *ret_ev borrows p, and a table of this file that lasts until the next call.
 * Return: 1, or 0 when nothing came, or nothing of a member's. */
int wire_take(int fd, struct packet *p, struct raft_event *ret_ev);

#endif
