/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: see pool.h. Sizes are 128 bytes, then four steps for each doubling up to 64 KiB, so that at most a
 * fifth of a block is wasted; free blocks of a size are a stack, the last freed one first. Mostly they have
 * lain still for so long that they are in no cache: the stack stands beside them, and those that come next are
 * fetched ahead.
 *
 * Invariants
 *   1. A thread's stacks are touched by that thread only.
 *   2. A stack keeps at most KEEP_BYTES, or KEEP_MIN blocks.
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

#define AHEAD       4u   /* blocks */
#define AHEAD_BYTES 256u /* of each: of the longer ones the processor fetches the rest by itself */
#define LINE_BYTES  64u

struct stack {
    void **blocks;
    uint32_t count;
    uint32_t cap;
};

static _Thread_local struct {
    bool on;
    struct stack free[CLASSES_END];
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
    struct stack *s = &pool.free[k];
    if (s->count == 0) {
        return malloc(coord__pool_bytes(k));
    }
    s->count--;
    if (s->count >= AHEAD) {
        const uint8_t *later = s->blocks[s->count - AHEAD];
        for (size_t at = 0; at < bytes && at < AHEAD_BYTES; at += LINE_BYTES) {
            __builtin_prefetch(later + at, 1);
        }
    }
    return s->blocks[s->count];
}

/* Room for one more in the stack. Return: false when it has all that it may keep, or memory is out. */
static bool stack_room(struct stack *s, uint32_t k)
{
    size_t most = KEEP_BYTES / coord__pool_bytes(k);
    most = most < KEEP_MIN ? KEEP_MIN : most;
    if (s->count < s->cap) {
        return true;
    }
    if (s->cap >= most) {
        return false;
    }
    size_t cap = s->cap == 0 ? KEEP_MIN : (size_t)s->cap * 2;
    cap = cap > most ? most : cap;
    void **blocks = realloc(s->blocks, cap * sizeof(blocks[0]));
    if (blocks == NULL) {
        return false;
    }
    s->blocks = blocks;
    s->cap = (uint32_t)cap;
    return true;
}

void coord__pool_free(void *block, uint32_t block_class)
{
    struct stack *s = &pool.free[block_class];
    if (block_class == 0 || !pool.on || !stack_room(s, block_class)) {
        free(block);
        return;
    }
    s->blocks[s->count++] = block;
}

void coord_buf_pool_begin(void)
{
    pool.on = POOL_KEEPS;
}

void coord_buf_pool_end(void)
{
    for (uint32_t k = 1; k < CLASSES_END; k++) {
        struct stack *s = &pool.free[k];
        while (s->count > 0) {
            free(s->blocks[--s->count]);
        }
        free(s->blocks);
        *s = (struct stack){.blocks = NULL};
    }
    pool.on = false;
}
