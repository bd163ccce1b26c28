/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recall.h: payloads that are on the disk only, read again for a follower that lags (recall.c).
 */
#ifndef COORD_SERVER_NODE_RECALL_H
#define COORD_SERVER_NODE_RECALL_H

#include <stdbool.h>
#include <stdint.h>
#include <coord/raft.h>
#include "protocol/buf.h"

#define NODE_RECALLS_MAX 64u /* messages that wait for the disk: about the window of one peer */

struct node;

struct recalls {
    struct raft_msg queue[NODE_RECALLS_MAX]; /* APPENDs, a ring; the first one's entries are read */
    uint32_t head;
    uint32_t count;
    bool asked; /* the host has bufs */
    bool here;  /* the answer came, and waits for node_run */
    int error;  /* of the answer */
    raft_index first;
    uint32_t entries;        /* of bufs: first and those behind it */
    struct coord_buf **bufs; /* NULL: nothing was asked for, or the host has it */
};

/* Must this APPEND wait for the disk, or for one before it that does? */
bool node__recall_wanted(const struct node *n, const struct raft_msg *m);
/* Keep it; with no place left it is dropped, as if the network had lost it. */
void node__recall_add(struct node *n, const struct raft_msg *m);
/* The payload of an entry that was read again; NULL when it was not. Borrowed. */
struct coord_buf *node__recall_get(const struct node *n, raft_index index);
/* Send what has been read, ask for what comes next. */
void node__recall_run(struct node *n);
void node__recall_release(struct node *n);

#endif
