/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h: the one reference-counted buffer of coord: frames, log entries, replies, watch events.
 *
 * Invariants
 *   1. refs >= 1 while anybody holds it; the last coord_buf_unref frees it.
 *   2. Bytes [0, len) are set; once a buffer is shared (refs > 1) its bytes do not change.
 *   3. data has `cap` bytes and is aligned for uint64_t.
 * Threads: the count is atomic, so that the loop and the WAL thread may hold the same buffer.
 * Pools: a thread may keep the memory of buffers that it frees for those that it makes next.
 */
#ifndef COORD_PROTOCOL_BUF_H
#define COORD_PROTOCOL_BUF_H

#include <stddef.h>
#include <stdint.h>

struct coord_buf {
    uint32_t refs;       /* only through the functions below */
    uint32_t len;        /* bytes set */
    uint32_t cap;        /* bytes of room */
    uint32_t pool_class; /* of the memory it stands in, pool.h */
    uint8_t data[];
};

/* A buffer with room for cap bytes, len 0, one reference.
 * Return: NULL when memory is out. Thread: any. */
struct coord_buf *coord_buf_create(size_t cap);

/* A buffer holding a copy of len bytes. Return: NULL when memory is out. */
struct coord_buf *coord_buf_copy(const void *bytes, size_t len);

/* One more holder; one fewer. Both accept NULL. coord_buf_ref returns its argument. */
struct coord_buf *coord_buf_ref(struct coord_buf *b);
void coord_buf_unref(struct coord_buf *b);

/* Append to an unshared buffer that may move: *b is replaced when it must grow.
 * Return: 0, or COORD_ENOMEM with *b as it was. */
int coord_buf_append(struct coord_buf **b, const void *bytes, size_t len);

/* From here on this thread keeps the memory of buffers that it frees, up to 256 KiB of each size, for those
 * that it makes; until pool_end, which gives all of it back. */
void coord_buf_pool_begin(void);
void coord_buf_pool_end(void);

#endif
