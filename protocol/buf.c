/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.c: the reference-counted buffer of buf.h.
 *
 * Leaves to others: bounds on how much is put into a buffer (frame limits are the caller's), where its
 * memory comes from (pool.c).
 * Thread: a buffer that is being filled belongs to one thread; a filled one may be held by several.
 *
 * Invariants
 *   1. An appended-to buffer has exactly one reference: sharing freezes the bytes.
 *   2. len <= cap <= UINT32_MAX - header, so no sum of sizes below can wrap.
 *   3. Growth at least doubles the room, so n appended bytes cost O(n) copying in all.
 */
#include "protocol/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "protocol/codec.h"
#include "protocol/pool.h"

#define BUF_CAP_MIN 64u
#define BUF_CAP_MAX (UINT32_MAX - (uint32_t)sizeof(struct coord_buf))

_Static_assert(offsetof(struct coord_buf, data) % sizeof(uint64_t) == 0, "data is aligned");

struct coord_buf *coord_buf_create(size_t cap)
{
    if (cap > BUF_CAP_MAX) {
        return NULL;
    }
    uint32_t pool_class = 0;
    struct coord_buf *b = coord__pool_alloc(sizeof(*b) + cap, &pool_class);
    if (b == NULL) {
        return NULL;
    }
    b->refs = 1;
    b->len = 0;
    b->cap = (uint32_t)cap;
    b->pool_class = pool_class;
    return b;
}

struct coord_buf *coord_buf_copy(const void *bytes, size_t len)
{
    struct coord_buf *b = coord_buf_create(len);
    if (b == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(b->data, bytes, len);
    }
    b->len = (uint32_t)len;
    return b;
}

struct coord_buf *coord_buf_ref(struct coord_buf *b)
{
    if (b != NULL) {
        /* Relaxed is enough: whoever refs already holds a reference, nothing is published here. */
        uint32_t before = __atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
        assert(before >= 1);
        assert(before < UINT32_MAX);
    }
    return b;
}

void coord_buf_unref(struct coord_buf *b)
{
    if (b == NULL) {
        return;
    }
    /* Release our reads of the bytes; the last holder acquires those of all the others. Who holds the only
     * reference stays alone, and needs no locked instruction. */
    uint32_t before = __atomic_load_n(&b->refs, __ATOMIC_ACQUIRE);
    if (before != 1) {
        before = __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL);
    }
    assert(before >= 1);
    if (before == 1) {
        assert(b->len <= b->cap);
        coord__pool_free(b, b->pool_class);
    }
}

int coord__buf_reserve(struct coord_buf **b, size_t more)
{
    assert(b != NULL);
    uint32_t len = *b != NULL ? (*b)->len : 0;
    uint32_t cap = *b != NULL ? (*b)->cap : 0;
    assert(len <= cap);
    if (*b != NULL && more <= cap - len) {
        return 0;
    }
    if (more > BUF_CAP_MAX - len) {
        return COORD_ENOMEM;
    }
    size_t want = len + more;
    if (want < (size_t)cap * 2) {
        want = (size_t)cap * 2;
    }
    if (want < BUF_CAP_MIN) {
        want = BUF_CAP_MIN;
    }
    if (want > BUF_CAP_MAX) {
        want = BUF_CAP_MAX;
    }
    if (*b == NULL) {
        *b = coord_buf_create(want);
        return *b != NULL ? 0 : COORD_ENOMEM;
    }
    assert(__atomic_load_n(&(*b)->refs, __ATOMIC_RELAXED) == 1);
    size_t there = (*b)->pool_class != 0 ? coord__pool_bytes((*b)->pool_class) - sizeof(**b) : 0;
    if (len + more <= there) {
        (*b)->cap = (uint32_t)there;
        return 0;
    }
    struct coord_buf *moved = realloc(*b, sizeof(*moved) + want);
    if (moved == NULL) {
        return COORD_ENOMEM;
    }
    moved->cap = (uint32_t)want;
    moved->pool_class = 0; /* it has outgrown that */
    *b = moved;
    return 0;
}

int coord_buf_append(struct coord_buf **b, const void *bytes, size_t len)
{
    assert(b != NULL);
    assert(*b == NULL || __atomic_load_n(&(*b)->refs, __ATOMIC_RELAXED) == 1);
    int r = coord__buf_reserve(b, len);
    if (r < 0) {
        return r;
    }
    if (len > 0) {
        memcpy((*b)->data + (*b)->len, bytes, len);
        (*b)->len += (uint32_t)len;
    }
    assert((*b)->len <= (*b)->cap);
    return 0;
}
