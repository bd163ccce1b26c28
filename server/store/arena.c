/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena.c: blocks of 64 KiB, or as large as the one thing in them. The oldest block is always of the
 * common size and is the one that arena_reset keeps.
 */
#include "server/store/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES (64u * 1024u)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t cap;
    size_t reserved;
    uint8_t bytes[];
};

void arena_init(struct arena *a)
{
    a->blocks = NULL;
}

void arena_reset(struct arena *a)
{
    while (a->blocks != NULL && a->blocks->next != NULL) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    if (a->blocks != NULL) {
        a->blocks->used = 0;
    }
}

void arena_finish(struct arena *a)
{
    arena_reset(a);
    free(a->blocks);
    a->blocks = NULL;
}

static struct arena_block *block_add(struct arena *a, size_t cap)
{
    struct arena_block *b = malloc(sizeof(*b) + cap);
    if (b == NULL) {
        return NULL;
    }
    b->next = a->blocks;
    b->used = 0;
    b->cap = cap;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t need = (bytes + 7) & ~(size_t)7;
    struct arena_block *b = a->blocks;
    if (b == NULL) {
        b = block_add(a, BLOCK_BYTES);
    }
    if (b != NULL && b->cap - b->used < need) {
        b = block_add(a, need > BLOCK_BYTES ? need : BLOCK_BYTES);
    }
    if (b == NULL) {
        return NULL;
    }
    void *at = b->bytes + b->used;
    b->used += need;
    return at;
}

void *arena_copy(struct arena *a, const void *bytes, size_t len)
{
    void *at = arena_alloc(a, len);
    if (at != NULL && len > 0) {
        memcpy(at, bytes, len);
    }
    return at;
}
