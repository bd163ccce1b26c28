/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: see pool.h. Sizes are 128 bytes, then four steps for each doubling up to 64 KiB, so that at most a
 * fifth of a block is wasted; free blocks of a size are a list, the last freed one first.
 *
 * Invariants
 *   1. A thread's lists are touched by that thread only.
 *   2. A list keeps at most KEEP_BYTES, or KEEP_MIN blocks.
 */
#include "protocol/pool.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include "protocol/buf.h"

#define FIRST_LOG2  7u  /* class 1: 128 bytes */
#define LAST_LOG2   16u /* the last class: 64 KiB */
#define CLASSES_END (2u + (LAST_LOG2 - FIRST_LOG2) * 4u)
#define KEEP_BYTES  (256u * 1024)
#define KEEP_MIN    16u

/* The address sanitizer is to see every buffer's end. */
#if defined(__SANITIZE_ADDRESS__)
#define POOL_KEEPS false
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_KEEPS false
#endif
#endif
#ifndef POOL_KEEPS
#define POOL_KEEPS true
#endif

struct block {
    struct block *next;
};

static _Thread_local struct {
    bool on;
    struct block *free[CLASSES_END];
    uint32_t count[CLASSES_END];
} pool;

/* The class of blocks that hold `bytes`; 0: none does. */
static uint32_t class_of(size_t bytes)
{
    if (bytes <= (size_t)1 << FIRST_LOG2) {
        return 1;
    }
    if (bytes > (size_t)1 << LAST_LOG2) {
        return 0;
    }
    uint32_t last = (uint32_t)bytes - 1; /* at least 128: so its highest bit is known */
    uint32_t log2 = 31u - (uint32_t)__builtin_clz(last);
    uint32_t step = (last - (1u << log2)) >> (log2 - 2);
    return 2 + (log2 - FIRST_LOG2) * 4 + step;
}

size_t coord__pool_bytes(uint32_t block_class)
{
    assert(block_class >= 1);
    assert(block_class < CLASSES_END);
    if (block_class == 1) {
        return (size_t)1 << FIRST_LOG2;
    }
    uint32_t log2 = FIRST_LOG2 + (block_class - 2) / 4;
    uint32_t step = (block_class - 2) % 4;
    return ((size_t)1 << log2) + (step + 1) * ((size_t)1 << (log2 - 2));
}

void *coord__pool_alloc(size_t bytes, uint32_t *ret_class)
{
    uint32_t k = pool.on ? class_of(bytes) : 0;
    *ret_class = k;
    if (k == 0) {
        return malloc(bytes);
    }
    struct block *b = pool.free[k];
    if (b == NULL) {
        return malloc(coord__pool_bytes(k));
    }
    pool.free[k] = b->next;
    pool.count[k]--;
    return b;
}

void coord__pool_free(void *block, uint32_t block_class)
{
    uint32_t k = block_class;
    if (k == 0 || !pool.on ||
        (pool.count[k] >= KEEP_MIN && pool.count[k] >= KEEP_BYTES / coord__pool_bytes(k))) {
        free(block);
        return;
    }
    struct block *b = block;
    b->next = pool.free[k];
    pool.free[k] = b;
    pool.count[k]++;
}

void coord_buf_pool_begin(void)
{
    pool.on = POOL_KEEPS;
}

void coord_buf_pool_end(void)
{
    for (uint32_t k = 1; k < CLASSES_END; k++) {
        while (pool.free[k] != NULL) {
            struct block *b = pool.free[k];
            pool.free[k] = b->next;
            free(b);
        }
        pool.count[k] = 0;
    }
    pool.on = false;
}
