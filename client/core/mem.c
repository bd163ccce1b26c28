/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mem.c: see mem.h. An arena is a list of chunks; a request that does not fit gets a new chunk of
 * at least CHUNK_BYTES, so a reply costs one allocation, and none once the arena is warm.
 *
 * Leaves to others: the codec's buffers (protocol/buf.h) have an allocator of their own.
 * Thread: see mem.h.
 */
#include "client/core/mem.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

/* A reply with a stat, a path and small data fits; a kept chunk above the second is given back. */
#define CHUNK_BYTES      2048u
#define CHUNK_KEPT_BYTES 65536u

struct coord__chunk {
    struct coord__chunk *next;
    size_t used;
    size_t cap;
    alignas(max_align_t) uint8_t data[];
};

int (*coord__alloc_hook)(size_t bytes);

void *coord__alloc(size_t bytes)
{
    assert(bytes > 0);
    if (coord__alloc_hook != NULL && !coord__alloc_hook(bytes)) {
        return NULL;
    }
    return calloc(1, bytes);
}

void *coord__realloc(void *block, size_t bytes)
{
    assert(bytes > 0);
    if (coord__alloc_hook != NULL && !coord__alloc_hook(bytes)) {
        return NULL;
    }
    return realloc(block, bytes);
}

void coord__free(void *block)
{
    free(block);
}

char *coord__strdup(const char *text)
{
    size_t len = strlen(text);
    char *copy = coord__alloc(len + 1);
    if (copy != NULL) {
        memcpy(copy, text, len + 1);
    }
    return copy;
}

void *coord__arena_alloc(struct coord__arena *a, size_t bytes)
{
    size_t align = alignof(max_align_t);
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    size_t need = (bytes + align - 1) / align * align;
    struct coord__chunk *c = a->chunks;
    if (c == NULL || c->cap - c->used < need) {
        size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;
        c = coord__realloc(NULL, sizeof(*c) + cap);
        if (c == NULL) {
            return NULL;
        }
        c->used = 0;
        c->cap = cap;
        c->next = a->chunks;
        a->chunks = c;
    }
    uint8_t *at = c->data + c->used;
    c->used += need;
    assert(c->used <= c->cap);
    if (bytes > 0) {
        memset(at, 0, bytes);
    }
    return at;
}

char *coord__arena_copy(struct coord__arena *a, const void *bytes, size_t len)
{
    if (len == SIZE_MAX) {
        return NULL;
    }
    char *copy = coord__arena_alloc(a, len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, bytes, len);
    }
    return copy;
}

void coord__arena_clear(struct coord__arena *a)
{
    struct coord__chunk *kept = NULL;
    while (a->chunks != NULL) {
        struct coord__chunk *c = a->chunks;
        a->chunks = c->next;
        if (kept == NULL && c->cap <= CHUNK_KEPT_BYTES) {
            kept = c;
        } else {
            coord__free(c);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
        kept->used = 0;
        a->chunks = kept;
    }
}

void coord__arena_finish(struct coord__arena *a)
{
    coord__arena_clear(a);
    coord__free(a->chunks);
    a->chunks = NULL;
}
