/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h: memory for buffers, kept instead of given back, so that a server in its steady state takes
 * none for an operation. For buf.c only.
 *
 * A thread keeps blocks between coord_buf_pool_begin and _end (buf.h); on every other thread, and for
 * blocks of more than 64 KiB, this is malloc and free. A block is one of malloc's wherever it came from,
 * so it may be freed on a thread that keeps none.
 */
#ifndef COORD_PROTOCOL_POOL_H
#define COORD_PROTOCOL_POOL_H

#include <stddef.h>
#include <stdint.h>

/* A block of at least `bytes`; NULL when memory is out. *ret_class: what coord__pool_free wants to know,
 * 0 when the block is of no class. Thread: any. */
void *coord__pool_alloc(size_t bytes, uint32_t *ret_class);
void coord__pool_free(void *block, uint32_t block_class);
/* Bytes that a block of this class has. */
size_t coord__pool_bytes(uint32_t block_class);

#endif
