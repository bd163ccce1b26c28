/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c: the table of open sessions: by id through an index, and in order of id through an array to
 * whose end each new one is added. A closed session leaves a hole in the array; when half of it are
 * holes they are taken out.
 */
#include "server/session/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/slots.h"

#define ORDER_FIRST 16u

struct order {
    uint64_t id;
    struct session *session; /* NULL: closed */
};

struct sessions {
    struct pool *pool;
    struct slots index;
    struct order *order;
    size_t order_count; /* holes included */
    size_t order_cap;
    uint64_t count;
};

struct sessions *sessions_create(struct pool *p)
{
    struct sessions *ss = calloc(1, sizeof(*ss));
    if (ss == NULL) {
        return NULL;
    }
    ss->pool = p;
    slots_init(&ss->index);
    return ss;
}

void sessions_destroy(struct sessions *ss)
{
    if (ss == NULL) {
        return;
    }
    for (size_t i = 0; i < ss->order_count; i++) {
        struct session *s = ss->order[i].session;
        if (s != NULL) {
            answers_finish(&s->answers, ss->pool);
            pool_free(ss->pool, s, sizeof(*s));
        }
    }
    slots_finish(&ss->index);
    free(ss->order);
    free(ss);
}

static bool match(const void *item, const void *key)
{
    return ((const struct session *)item)->id == *(const uint64_t *)key;
}

struct session *sessions_find(const struct sessions *ss, uint64_t id)
{
    return slots_find(&ss->index, slots_hash_u64(id, 0), match, &id);
}

/* Take the holes out. */
static void order_pack(struct sessions *ss)
{
    size_t kept = 0;
    for (size_t i = 0; i < ss->order_count; i++) {
        if (ss->order[i].session != NULL) {
            ss->order[kept++] = ss->order[i];
        }
    }
    ss->order_count = kept;
}

static int order_reserve(struct sessions *ss)
{
    if (ss->order_count < ss->order_cap) {
        return 0;
    }
    size_t cap = ss->order_cap == 0 ? ORDER_FIRST : ss->order_cap * 2;
    struct order *order = realloc(ss->order, cap * sizeof(*order));
    if (order == NULL) {
        return COORD_ENOMEM;
    }
    ss->order = order;
    ss->order_cap = cap;
    return 0;
}

int sessions_open(struct sessions *ss, uint64_t id, const uint8_t secret[COORD_SECRET_BYTES],
                  uint64_t timeout_ms, struct session **ret_s)
{
    assert(id > 0);
    assert(ss->order_count == 0 || ss->order[ss->order_count - 1].id < id);
    if (order_reserve(ss) != 0 || slots_reserve(&ss->index) != 0) {
        return COORD_ENOMEM;
    }
    struct session *s = pool_alloc(ss->pool, sizeof(*s));
    if (s == NULL) {
        return COORD_ENOMEM;
    }
    memset(s, 0, sizeof(*s));
    s->id = id;
    s->epoch = id;
    s->timeout_ms = timeout_ms;
    s->owned.owner = id;
    memcpy(s->secret, secret, COORD_SECRET_BYTES);
    ss->order[ss->order_count++] = (struct order){id, s};
    slots_add(&ss->index, slots_hash_u64(id, 0), s);
    ss->count++;
    *ret_s = s;
    return 0;
}

/* How many entries of the order have an id up to this one. */
static size_t rank(const struct sessions *ss, uint64_t id)
{
    size_t low = 0;
    size_t high = ss->order_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ss->order[mid].id <= id) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

void sessions_close(struct sessions *ss, struct session *s)
{
    assert(s->owned.count == 0);
    size_t at = rank(ss, s->id);
    assert(at > 0);
    assert(ss->order[at - 1].session == s);
    ss->order[at - 1].session = NULL;
    slots_remove(&ss->index, slots_hash_u64(s->id, 0), s);
    answers_finish(&s->answers, ss->pool);
    memset(s->secret, 0, sizeof(s->secret));
    pool_free(ss->pool, s, sizeof(*s));
    ss->count--;
    if (ss->count < ss->order_count / 2) {
        order_pack(ss);
    }
}

struct session *sessions_next(const struct sessions *ss, uint64_t after)
{
    for (size_t i = rank(ss, after); i < ss->order_count; i++) {
        if (ss->order[i].session != NULL) {
            return ss->order[i].session;
        }
    }
    return NULL;
}

uint64_t sessions_count(const struct sessions *ss)
{
    return ss->count;
}

bool session_secret_equal(const struct session *s, const uint8_t secret[COORD_SECRET_BYTES])
{
    volatile uint8_t differ = 0;
    for (size_t i = 0; i < COORD_SECRET_BYTES; i++) {
        differ = (uint8_t)(differ | (s->secret[i] ^ secret[i]));
    }
    return differ == 0;
}
