/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util.c: the memory of util.h. A block of an arena is filled from its front; large wishes get a
 * block of their own.
 */
#include "tests/sim/util.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES (256 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t bytes;
    size_t pad; /* keeps data aligned to 16 */
    unsigned char data[];
};

static void out_of_memory(void)
{
    fprintf(stderr, "sim: out of memory\n");
    abort();
}

void *sim_alloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (p == NULL) {
        out_of_memory();
    }
    return p;
}

void *sim_realloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);
    if (q == NULL) {
        out_of_memory();
    }
    return q;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    size_t need = (bytes + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (b == NULL || b->bytes - b->used < need) {
        size_t size = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
        b = sim_realloc(NULL, sizeof(*b) + size);
        b->next = a->blocks;
        b->used = 0;
        b->bytes = size;
        a->blocks = b;
    }
    void *p = b->data + b->used;
    b->used += need;
    return p;
}

void arena_finish(struct arena *a)
{
    for (struct arena_block *b = a->blocks; b != NULL;) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->blocks = NULL;
}
