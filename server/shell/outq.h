/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outq.h: what is to be written to one socket: a ring of references to buffers and of small headers,
 * sent with one call for as much as the socket takes. Used for clients and for peers.
 *
 * Invariants
 *   1. Buffers are shared, never copied: the queue holds one reference for each.
 *   2. bytes is the sum of what is queued and not yet taken by the kernel. The bound on it is the
 *      owner's: it asks before it adds.
 *   3. A buffer that is queued does not change (buf.h, invariant 2).
 * Thread: the loop's.
 */
#ifndef COORD_SERVER_SHELL_OUTQ_H
#define COORD_SERVER_SHELL_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "protocol/buf.h"

#define OUTQ_HEAD_BYTES_MAX 8

struct outq_item {
    struct coord_buf *buf; /* NULL: the bytes are in head */
    uint32_t len;
    uint8_t head[OUTQ_HEAD_BYTES_MAX];
};

/* Zero-filled is an empty queue. */
struct outq {
    struct outq_item *items; /* ring of cap, a power of two */
    uint32_t cap;
    uint32_t first;
    uint32_t count;
    uint32_t sent; /* bytes of the first item that are gone */
    uint64_t bytes;
};

/* Queue a whole buffer; takes a reference of its own. An empty buffer is nothing.
 * Errors: COORD_ENOMEM, with the queue as it was. Return: 0 or negative. */
int outq_buf(struct outq *q, struct coord_buf *buf);
/* Queue len <= OUTQ_HEAD_BYTES_MAX bytes by value. */
int outq_head(struct outq *q, const void *bytes, uint32_t len);
/* Make room for `more` items, so that the next that many calls cannot fail. */
int outq_reserve(struct outq *q, uint32_t more);

/* Write as much as fd takes without waiting.
 * Return: 1 everything is written, 0 the socket is full (wait until it is writable), or a negative
 * errno: the connection is over. */
int outq_flush(struct outq *q, int fd);

/* Give every reference back and free the ring; the queue is empty and may be used again. */
void outq_clear(struct outq *q);

#endif
