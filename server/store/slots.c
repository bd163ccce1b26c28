/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.c: linear probing, at most 13/16 full, with a gradual move to a table half as large again. The
 * home of a hash is its share of the table (hash / 2^32 * cap), so that any size will do.
 *
 * A move begins when the table is full, or nearly empty; from then on each change carries over
 * MOVE_STEP slots of the old table, which is empty long before the new one is full. In the old table
 * what was moved or taken out leaves a mark that probes go past; in the new one a removal pulls the
 * items behind it forward instead, so that no marks gather.
 */
#include "server/store/slots.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CAP_MIN    16u
#define CAP_MAX    ((uint64_t)1 << 32)
#define MOVE_STEP  64u /* neighbours move to neighbours, so that this is cheap */
#define HASH_EMPTY 0u
#define HASH_LEFT  1u
#define HASH_FIRST 2u /* hashes of items are not below */

void slots_init(struct slots *s)
{
    memset(s, 0, sizeof(*s));
}

static void table_finish(struct slots_table *t)
{
    free(t->hashes);
    free(t->items);
    memset(t, 0, sizeof(*t));
}

void slots_finish(struct slots *s)
{
    table_finish(&s->now);
    table_finish(&s->old);
    memset(s, 0, sizeof(*s));
}

static uint32_t fold(uint64_t h)
{
    uint32_t hash = (uint32_t)h ^ (uint32_t)(h >> 32);
    return hash < HASH_FIRST ? hash + HASH_FIRST : hash;
}

uint32_t slots_hash(const void *bytes, size_t len)
{
    return fold(XXH3_64bits(bytes, len));
}

uint32_t slots_hash_u64(uint64_t a, uint64_t b)
{
    uint64_t key[2] = {a, b};
    return fold(XXH3_64bits(key, sizeof(key)));
}

static bool table_create(struct slots_table *t, uint64_t cap)
{
    t->hashes = calloc((size_t)cap, sizeof(t->hashes[0]));
    t->items = calloc((size_t)cap, sizeof(t->items[0]));
    t->cap = cap;
    if (t->hashes == NULL || t->items == NULL) {
        table_finish(t);
        return false;
    }
    return true;
}

static uint64_t home_of(const struct slots_table *t, uint32_t hash)
{
    return (uint64_t)hash * t->cap >> 32;
}

static uint64_t after(const struct slots_table *t, uint64_t i)
{
    return i + 1 == t->cap ? 0 : i + 1;
}

static void *table_find(const struct slots_table *t, uint32_t hash, slots_match match,
                        const void *key)
{
    if (t->cap == 0) {
        return NULL;
    }
    for (uint64_t i = home_of(t, hash); t->hashes[i] != HASH_EMPTY; i = after(t, i)) {
        if (t->hashes[i] == hash && match(t->items[i], key)) {
            return t->items[i];
        }
    }
    return NULL;
}

void *slots_find(const struct slots *s, uint32_t hash, slots_match match, const void *key)
{
    assert(hash >= HASH_FIRST);
    void *item = table_find(&s->now, hash, match, key);
    if (item == NULL && s->old.cap != 0) {
        item = table_find(&s->old, hash, match, key);
    }
    return item;
}

static void table_add(struct slots_table *t, uint32_t hash, void *item)
{
    uint64_t i = home_of(t, hash);
    while (t->hashes[i] != HASH_EMPTY) {
        i = after(t, i);
    }
    t->hashes[i] = hash;
    t->items[i] = item;
}

/* Carry a few slots of the old table over. */
static void move_some(struct slots *s)
{
    if (s->old.cap == 0) {
        return;
    }
    uint64_t end = s->moved + MOVE_STEP;
    if (end > s->old.cap) {
        end = s->old.cap;
    }
    for (; s->moved < end; s->moved++) {
        uint32_t hash = s->old.hashes[s->moved];
        if (hash >= HASH_FIRST) {
            table_add(&s->now, hash, s->old.items[s->moved]);
            s->old.hashes[s->moved] = HASH_LEFT;
        }
    }
    if (s->moved == s->old.cap) {
        table_finish(&s->old);
    }
}

static bool is_full(const struct slots *s, uint64_t count)
{
    return count > s->now.cap * 13 / 16;
}

/* Begin a move to a table of cap slots. Return: false when memory is out. */
static bool move_begin(struct slots *s, uint64_t cap)
{
    assert(s->old.cap == 0);
    struct slots_table t;
    if (!table_create(&t, cap)) {
        return false;
    }
    s->old = s->now;
    s->now = t;
    s->moved = 0;
    return true;
}

int slots_reserve(struct slots *s)
{
    if (!is_full(s, s->count + 1)) {
        return 0;
    }
    while (s->old.cap != 0) {
        move_some(s); /* not reached while MOVE_STEP is what it is */
    }
    uint64_t cap = s->now.cap == 0 ? CAP_MIN : s->now.cap / 2 * 3;
    return cap <= CAP_MAX && move_begin(s, cap) ? 0 : COORD_ENOMEM;
}

int slots_presize(struct slots *s, uint64_t count)
{
    assert(s->count == 0);
    assert(s->old.cap == 0);
    struct slots_table t;
    uint64_t cap = count * 4 / 3 + CAP_MIN;
    if (count > CAP_MAX / 2 || !table_create(&t, cap)) {
        return COORD_ENOMEM;
    }
    table_finish(&s->now);
    s->now = t;
    return 0;
}

void slots_add(struct slots *s, uint32_t hash, void *item)
{
    assert(hash >= HASH_FIRST);
    assert(!is_full(s, s->count + 1));
    table_add(&s->now, hash, item);
    s->count++;
    move_some(s);
}

static void table_prefetch(const struct slots_table *t, uint32_t hash)
{
    if (t->cap != 0) {
        uint64_t home = home_of(t, hash);
        __builtin_prefetch(&t->hashes[home], 1);
        __builtin_prefetch(&t->items[home], 1);
    }
}

void slots_prefetch(const struct slots *s, uint32_t hash)
{
    table_prefetch(&s->now, hash);
    table_prefetch(&s->old, hash);
}

static bool any(const void *item, const void *key)
{
    (void)item, (void)key;
    return true;
}

void *slots_likely(const struct slots *s, uint32_t hash)
{
    return slots_find(s, hash, any, NULL);
}

/* Where the item stands. Return: t->cap when it is not there. */
static uint64_t table_seek(const struct slots_table *t, uint32_t hash, const void *item)
{
    if (t->cap == 0) {
        return 0;
    }
    for (uint64_t i = home_of(t, hash); t->hashes[i] != HASH_EMPTY; i = after(t, i)) {
        if (t->hashes[i] == hash && t->items[i] == item) {
            return i;
        }
    }
    return t->cap;
}

/* Steps from one slot to another, around the end. */
static uint64_t distance(const struct slots_table *t, uint64_t from, uint64_t to)
{
    return to >= from ? to - from : to + t->cap - from;
}

/* Empty slot `hole` and close the gap: each item behind it that may stand there moves forward. */
static void table_pull(struct slots_table *t, uint64_t hole)
{
    for (uint64_t i = after(t, hole); t->hashes[i] != HASH_EMPTY; i = after(t, i)) {
        if (distance(t, home_of(t, t->hashes[i]), i) >= distance(t, hole, i)) {
            t->hashes[hole] = t->hashes[i];
            t->items[hole] = t->items[i];
            hole = i;
        }
    }
    t->hashes[hole] = HASH_EMPTY;
    t->items[hole] = NULL;
}

void slots_remove(struct slots *s, uint32_t hash, const void *item)
{
    assert(hash >= HASH_FIRST);
    assert(s->count > 0);
    uint64_t at = table_seek(&s->now, hash, item);
    if (at < s->now.cap) {
        table_pull(&s->now, at);
    } else {
        at = table_seek(&s->old, hash, item);
        assert(at < s->old.cap);
        s->old.hashes[at] = HASH_LEFT;
        s->old.items[at] = NULL;
    }
    s->count--;
    move_some(s);
    if (s->old.cap == 0 && s->now.cap / 2 >= CAP_MIN && s->count < s->now.cap / 8) {
        (void)move_begin(s, s->now.cap / 2); /* without memory it stays as large as it is */
    }
}

uint64_t slots_bytes(const struct slots *s)
{
    return (s->now.cap + s->old.cap) * (sizeof(uint32_t) + sizeof(void *));
}
