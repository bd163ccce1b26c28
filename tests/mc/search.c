/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c: breadth-first search over the worlds of a scope, so that the first broken rule comes
 * with a shortest way to it.
 *
 * Visited worlds are remembered as 128-bit fingerprints, with the number of the world they were
 * reached from and the action; whole worlds are kept for the current and the next level only. The
 * way to a world is followed backwards through these, and replayed to be shown.
 *
 * Thread: one.
 */
#include "tests/mc/mc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Worlds of one level, one after the other, as far as each is used. */
struct level {
    unsigned char *bytes;
    size_t used;
    size_t cap;
};

struct search {
    const struct mc_scope *s;
    struct mc_result *result;
    struct mc_print *prints; /* by number of the world */
    uint32_t *parents;
    uint32_t *actions;
    uint32_t count;
    uint32_t cap;
    uint32_t *table; /* number + 1 */
    uint32_t table_cap;
    struct level now, next;
};

static size_t world_bytes(const struct mc_world *w)
{
    return offsetof(struct mc_world, net) + w->net_count * sizeof(w->net[0]);
}

static void level_put(struct level *l, const struct mc_world *w)
{
    size_t bytes = world_bytes(w);
    if (l->used + bytes > l->cap) {
        l->cap = l->cap == 0 ? (size_t)1 << 20 : l->cap * 2;
        l->bytes = mc_grow(l->bytes, l->cap);
    }
    memcpy(l->bytes + l->used, w, bytes);
    l->used += bytes;
}

static size_t level_get(const struct level *l, size_t at, struct mc_world *ret_world)
{
    memset(ret_world, 0, sizeof(*ret_world));
    memcpy(ret_world, l->bytes + at, offsetof(struct mc_world, net));
    size_t bytes = world_bytes(ret_world);
    memcpy(ret_world, l->bytes + at, bytes);
    return at + bytes;
}

/* --- visited -------------------------------------------------------------------------------- */

static uint32_t *slot_of(const struct search *x, struct mc_print p)
{
    for (uint64_t h = p.a;; h++) {
        uint32_t *slot = &x->table[h & (x->table_cap - 1)];
        if (*slot == 0 || (x->prints[*slot - 1].a == p.a && x->prints[*slot - 1].b == p.b)) {
            return slot;
        }
    }
}

static void visited_grow(struct search *x)
{
    x->cap = x->cap == 0 ? 1u << 16 : x->cap * 2;
    x->prints = mc_grow(x->prints, x->cap * sizeof(x->prints[0]));
    x->parents = mc_grow(x->parents, x->cap * sizeof(x->parents[0]));
    x->actions = mc_grow(x->actions, x->cap * sizeof(x->actions[0]));
    free(x->table);
    x->table_cap = x->cap * 2;
    x->table = mc_alloc(x->table_cap * sizeof(x->table[0]));
    for (uint32_t i = 0; i < x->count; i++) {
        *slot_of(x, x->prints[i]) = i + 1;
    }
}

static uint32_t action_pack(const struct mc_action *a)
{
    return (uint32_t)a->kind << 26 | (uint32_t)a->node << 24 | a->argument;
}

static struct mc_action action_unpack(uint32_t packed)
{
    return (struct mc_action){(uint8_t)(packed >> 26), (uint8_t)(packed >> 24 & 3),
                              packed & 0xffffffu};
}

/* Remember a world. Return: 1 when it is new. */
static int visit(struct search *x, const struct mc_world *w, uint32_t parent, uint32_t action)
{
    struct mc_print p = mc_fingerprint(w, world_bytes(w));
    if (x->count == x->cap) {
        visited_grow(x);
    }
    uint32_t *slot = slot_of(x, p);
    if (*slot != 0) {
        return 0;
    }
    x->prints[x->count] = p;
    x->parents[x->count] = parent;
    x->actions[x->count] = action;
    *slot = ++x->count;
    return 1;
}

/* --- the search ----------------------------------------------------------------------------- */

/* The way from the start to world `number`, and one action more. */
static void note_way(struct search *x, uint32_t number, const struct mc_action *last)
{
    struct mc_result *r = x->result;
    unsigned steps = 0;
    for (uint32_t i = number; i != 0; i = x->parents[i]) {
        steps++;
    }
    r->depth = steps + 1;
    r->steps_count = r->start_count + steps + 1;
    if (r->steps_count > MC_STEPS_MAX) {
        mc_die("a way too long to be shown");
    }
    r->steps[r->start_count + steps] = *last;
    for (uint32_t i = number; i != 0; i = x->parents[i]) {
        r->steps[r->start_count + --steps] = action_unpack(x->actions[i]);
    }
}

/* Everything that may happen in one world. Return: 1 when a rule broke. */
static int expand(struct search *x, uint32_t number, const struct mc_world *w)
{
    struct mc_action list[MC_ACTIONS_MAX];
    unsigned count = mc_world_actions(x->s, w, list);
    for (unsigned i = 0; i < count; i++) {
        struct mc_world next;
        const char *broken = NULL;
        memcpy(&next, w, sizeof(next));
        if (!mc_world_apply(x->s, &next, &list[i], &broken)) {
            continue;
        }
        x->result->transitions++;
        if (broken != NULL) {
            x->result->broken = broken;
            note_way(x, number, &list[i]);
            return 1;
        }
        if (visit(x, &next, number, action_pack(&list[i]))) {
            level_put(&x->next, &next);
        }
    }
    return 0;
}

/* Return: 1 when the search is over. */
static int run_level(struct search *x, uint32_t first)
{
    struct mc_world w;
    uint32_t number = first;
    uint64_t max = (x->s->states_max == 0 ? MC_STATES_MAX : x->s->states_max) * (uint64_t)1000;
    for (size_t at = 0; at < x->now.used; number++) {
        at = level_get(&x->now, at, &w);
        if (expand(x, number, &w)) {
            return 1;
        }
        if (x->count > max) {
            x->result->complete = 0;
            return 1;
        }
    }
    return 0;
}

static void search_levels(struct search *x, const struct mc_world *start)
{
    uint32_t first = 0;
    (void)visit(x, start, 0, 0);
    level_put(&x->now, start);
    while (x->now.used > 0) {
        uint32_t end = x->count;
        if (run_level(x, first)) {
            return;
        }
        struct level l = x->now;
        x->now = x->next;
        x->next = l;
        x->next.used = 0;
        first = end;
        x->result->depth += x->now.used > 0;
    }
}

/* Of the processor, so that a busy machine changes nothing. */
static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail on Linux */
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void mc_search(const struct mc_scope *s, struct mc_result *ret_result)
{
    struct search x = {.s = s, .result = ret_result};
    struct mc_world start;
    double begun = seconds();
    memset(ret_result, 0, sizeof(*ret_result));
    ret_result->complete = 1;
    mc_members_reset(s);
    ret_result->broken = mc_world_start(s, &start, ret_result);
    if (ret_result->broken == NULL) {
        memset(&mc_tally, 0, sizeof(mc_tally)); /* the start reached what it is for */
        search_levels(&x, &start);
    }
    ret_result->missed = s->goals & ~mc_tally.goals;
    ret_result->states = x.count;
    ret_result->seconds = seconds() - begun;
    free(x.prints);
    free(x.parents);
    free(x.actions);
    free(x.table);
    free(x.now.bytes);
    free(x.next.bytes);
}
