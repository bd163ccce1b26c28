/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c: slabs of equal objects, cut from large regions.
 *
 * A region is one malloc of 1 MiB, in which slabs of 16 KiB stand at multiples of their size; the slab of
 * an object is found by masking its address. A slab serves one size class (multiples of 8 bytes) from
 * its first object until its last one is freed. Classes keep a list of their slabs that have room.
 *
 * Invariants
 *   1. A slab is in the list of its class exactly while it has room and an object, or it is in the
 *      pool's list of empty slabs.
 *   2. slab->used objects are alive; those freed are chained through their first 8 bytes, those never
 *      used lie from slab->fresh on.
 */
#include "server/store/pool.h"

#include <assert.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include "server/store/slots.h"

#define SLAB_BYTES   (16u * 1024u)
#define REGION_SLABS 64u
#define CLASSES      (POOL_SMALL_MAX / 8u)
#define LATE_FIRST   64u
#define LATE_STEP    16u /* given back at a time: some microseconds */

#if defined(__SANITIZE_ADDRESS__)
#define POOL_PLAIN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_PLAIN 1
#endif
#endif
#ifndef POOL_PLAIN
#define POOL_PLAIN 0
#endif

struct region {
    struct region *next;
    struct region *prev;
    void *memory;
    uint32_t slabs_used;
};

struct slab {
    struct slab *next; /* in the list of its class or of the empty ones */
    struct slab *prev;
    struct region *region;
    void *freed; /* chain of freed objects */
    uint32_t object_bytes;
    uint32_t fresh; /* offset of the first byte never handed out */
    uint32_t used;  /* objects alive */
    uint32_t reserved;
};

/* A large object that somebody reads. */
struct hold {
    void *ptr;
    uint32_t count;
    bool freed; /* its owner gave it up */
};

/* An object that was given up while somebody may read it. */
struct late {
    void *ptr;
    size_t bytes;
};

struct pool {
    struct slab *partial[CLASSES];
    struct slab *empty;
    struct region *regions;
    uint64_t regions_count;
    uint64_t slabs_used;
    uint64_t large_bytes;
    struct slots holds; /* pointer -> struct hold */
    uint32_t late_users;
    struct late *late;
    size_t late_count;
    size_t late_cap;
    uint64_t late_bytes;
};

_Static_assert(sizeof(struct slab) % 8 == 0, "objects of a slab are aligned for 8 bytes");

static void list_push(struct slab **list, struct slab *s)
{
    s->prev = NULL;
    s->next = *list;
    if (s->next != NULL) {
        s->next->prev = s;
    }
    *list = s;
}

static void list_remove(struct slab **list, struct slab *s)
{
    if (s->prev != NULL) {
        s->prev->next = s->next;
    } else {
        assert(*list == s);
        *list = s->next;
    }
    if (s->next != NULL) {
        s->next->prev = s->prev;
    }
    s->next = NULL;
    s->prev = NULL;
}

struct pool *pool_create(void)
{
    return calloc(1, sizeof(struct pool));
}

void pool_destroy(struct pool *p)
{
    if (p == NULL) {
        return;
    }
    assert(p->holds.count == 0);
    assert(p->late_users == 0);
    while (p->late_count > 0) {
        pool_late_some(p);
    }
    free(p->late);
    slots_finish(&p->holds);
    while (p->regions != NULL) {
        struct region *r = p->regions;
        p->regions = r->next;
        free(r->memory);
        free(r);
    }
    free(p);
}

/* One more region, all of its slabs empty. Return: 0, or -1 when memory is out. */
static int region_add(struct pool *p)
{
    struct region *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return -1;
    }
    r->memory = malloc((size_t)(REGION_SLABS + 1) * SLAB_BYTES);
    if (r->memory == NULL) {
        free(r);
        return -1;
    }
    uintptr_t base = ((uintptr_t)r->memory + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1);
    for (uint32_t i = REGION_SLABS; i > 0; i--) {
        struct slab *s = (struct slab *)(base + (uintptr_t)(i - 1) * SLAB_BYTES);
        s->region = r;
        list_push(&p->empty, s);
    }
    r->next = p->regions;
    if (r->next != NULL) {
        r->next->prev = r;
    }
    p->regions = r;
    p->regions_count++;
    return 0;
}

static void region_remove(struct pool *p, struct region *r)
{
    uintptr_t base = ((uintptr_t)r->memory + SLAB_BYTES - 1) & ~(uintptr_t)(SLAB_BYTES - 1);
    for (uint32_t i = 0; i < REGION_SLABS; i++) {
        list_remove(&p->empty, (struct slab *)(base + (uintptr_t)i * SLAB_BYTES));
    }
    if (r->prev != NULL) {
        r->prev->next = r->next;
    } else {
        p->regions = r->next;
    }
    if (r->next != NULL) {
        r->next->prev = r->prev;
    }
    p->regions_count--;
    free(r->memory);
    free(r);
}

/* A slab of the class, in its list, with room. Return: NULL when memory is out. */
static struct slab *slab_begin(struct pool *p, uint32_t class)
{
    if (p->empty == NULL && region_add(p) != 0) {
        return NULL;
    }
    struct slab *s = p->empty;
    list_remove(&p->empty, s);
    s->freed = NULL;
    s->object_bytes = (class + 1) * 8;
    s->fresh = (uint32_t)sizeof(*s);
    s->used = 0;
    s->region->slabs_used++;
    p->slabs_used++;
    list_push(&p->partial[class], s);
    return s;
}

static bool slab_full(const struct slab *s)
{
    return s->freed == NULL && s->fresh + s->object_bytes > SLAB_BYTES;
}

static void slab_end(struct pool *p, struct slab *s)
{
    list_push(&p->empty, s);
    p->slabs_used--;
    assert(s->region->slabs_used > 0);
    s->region->slabs_used--;
    if (s->region->slabs_used == 0 && p->regions_count > 1) {
        region_remove(p, s->region);
    }
}

static void *large_alloc(struct pool *p, size_t bytes)
{
    void *ptr = malloc(bytes);
    if (ptr != NULL) {
        p->large_bytes += malloc_usable_size(ptr) + sizeof(size_t);
    }
    return ptr;
}

static bool hold_match(const void *item, const void *key)
{
    return ((const struct hold *)item)->ptr == key;
}

static struct hold *hold_find(const struct pool *p, const void *ptr)
{
    if (p->holds.count == 0) {
        return NULL;
    }
    return slots_find(&p->holds, slots_hash_u64((uintptr_t)ptr, 0), hold_match, ptr);
}

static void large_free(struct pool *p, void *ptr)
{
    struct hold *h = hold_find(p, ptr);
    if (h != NULL) {
        assert(!h->freed);
        h->freed = true;
        return;
    }
    p->large_bytes -= malloc_usable_size(ptr) + sizeof(size_t);
    free(ptr);
}

void *pool_alloc(struct pool *p, size_t bytes)
{
    assert(bytes > 0);
    if (POOL_PLAIN || bytes > POOL_SMALL_MAX) {
        return large_alloc(p, bytes);
    }
    uint32_t class = (uint32_t)((bytes - 1) / 8);
    struct slab *s = p->partial[class];
    if (s == NULL) {
        s = slab_begin(p, class);
        if (s == NULL) {
            return NULL;
        }
    }
    void *ptr = s->freed;
    if (ptr != NULL) {
        s->freed = *(void **)ptr;
    } else {
        ptr = (uint8_t *)s + s->fresh;
        s->fresh += s->object_bytes;
    }
    s->used++;
    if (slab_full(s)) {
        list_remove(&p->partial[class], s);
    }
    return ptr;
}

void pool_free(struct pool *p, void *ptr, size_t bytes)
{
    if (ptr == NULL) {
        return;
    }
    assert(bytes > 0);
    if (POOL_PLAIN || bytes > POOL_SMALL_MAX) {
        large_free(p, ptr);
        return;
    }
    uint32_t class = (uint32_t)((bytes - 1) / 8);
    struct slab *s = (struct slab *)((uintptr_t)ptr & ~(uintptr_t)(SLAB_BYTES - 1));
    assert(s->object_bytes == (class + 1) * 8);
    assert(s->used > 0);
    bool was_full = slab_full(s);
    *(void **)ptr = s->freed;
    s->freed = ptr;
    s->used--;
    if (s->used == 0) {
        if (!was_full) {
            list_remove(&p->partial[class], s);
        }
        slab_end(p, s);
    } else if (was_full) {
        list_push(&p->partial[class], s);
    }
}

/* --- keeping ----------------------------------------------------------------------------------- */

bool pool_hold(struct pool *p, void *ptr, size_t bytes)
{
    assert(bytes > POOL_SMALL_MAX);
    struct hold *h = hold_find(p, ptr);
    if (h != NULL) {
        h->count++;
        return true;
    }
    h = slots_reserve(&p->holds) != 0 ? NULL : malloc(sizeof(*h));
    if (h == NULL) {
        return false;
    }
    *h = (struct hold){.ptr = ptr, .count = 1};
    slots_add(&p->holds, slots_hash_u64((uintptr_t)ptr, 0), h);
    return true;
}

void pool_unhold(struct pool *p, void *ptr)
{
    struct hold *h = hold_find(p, ptr);
    assert(h != NULL);
    if (--h->count > 0) {
        return;
    }
    slots_remove(&p->holds, slots_hash_u64((uintptr_t)ptr, 0), h);
    if (h->freed) {
        large_free(p, ptr);
    }
    free(h);
}

void pool_late_begin(struct pool *p)
{
    p->late_users++;
}

void pool_late_end(struct pool *p)
{
    assert(p->late_users > 0);
    p->late_users--;
}

void pool_late_some(struct pool *p)
{
    for (uint32_t i = 0; i < LATE_STEP && p->late_users == 0 && p->late_count > 0; i++) {
        const struct late *last = &p->late[--p->late_count];
        p->late_bytes -= last->bytes;
        pool_free(p, last->ptr, last->bytes);
    }
    if (p->late_count == 0 && p->late_users == 0) {
        free(p->late);
        p->late = NULL;
        p->late_cap = 0;
    }
}

void pool_free_late(struct pool *p, void *ptr, size_t bytes)
{
    if (ptr == NULL) {
        return;
    }
    if (p->late_users == 0) {
        pool_free(p, ptr, bytes);
        pool_late_some(p);
        return;
    }
    if (p->late_count == p->late_cap) {
        p->late_cap = p->late_cap == 0 ? LATE_FIRST : p->late_cap * 2;
        p->late = realloc(p->late, p->late_cap * sizeof(p->late[0]));
        assert(p->late != NULL);
    }
    p->late[p->late_count++] = (struct late){ptr, bytes};
    p->late_bytes += bytes;
}

uint64_t pool_late_bytes(const struct pool *p)
{
    return p->late_bytes;
}

uint64_t pool_bytes(const struct pool *p)
{
    return p->slabs_used * SLAB_BYTES + p->large_bytes;
}
