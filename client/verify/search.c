/* SPDX-License-Identifier: Apache-2.0 */
/*
 * search.c: see search.h.
 *
 * Calls and returns stand in a doubly linked list in the order of their keys. What may be the next
 * operation is every call in front of the first return. An operation that happens is lifted out of
 * the list, both its ends; going back puts them in again, in reverse. No recursion: a stack of the
 * operations that happened.
 *
 * The set of operations done is known by the XOR of a random number of each (Zobrist), the state by
 * the model's hash; the memory is one table of 128-bit numbers, 16 bytes a state, whatever its size.
 *
 * Three things keep the search short:
 *   - candidates are tried in the order of the revisions that servers claim, so that a history which
 *     is what it claims to be is found in one go; where an operation without an answer is missed, those
 *     that would help are tried first. Only the order of trying depends on either.
 *   - an operation that fits, tells nothing new and changes nothing in any state is taken at once and for good: any
 *     order of the rest that would have it later is as good with it here.
 *   - an operation without an answer that would change nothing is not taken: it may stay out.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

#define MEMO_FIRST      1024u
#define MEMO_KEPT       65536u /* a larger table is given back after a search */
#define STEPS_PER_STATE 64u    /* the budget also bounds the time */
#define END             0u     /* the list's head and end */

/* A place in the order in which candidates are tried: a group and a rank in it. */
#define PLACE(group, rank) ((uint64_t)(group) << 32 | (rank))

struct end {
    uint64_t key;
    uint32_t item;
    bool is_return;
};

struct frame {
    uint32_t item;
    uint32_t mark;  /* of the model, before it */
    uint64_t place; /* in the order tried there */
    bool for_good;  /* there is no need to try another one here */
};

struct memo {
    uint64_t a;
    uint64_t b;
};

struct verify_search {
    struct verify_model *m;
    uint64_t budget, limit; /* of states: ever, and now */
    const struct verify_item *items;
    uint32_t count, cap;
    /* By entry: 0 is the head; entries are ends[entry - 1]. */
    struct end *ends;
    uint32_t *next, *prev;
    /* By item. */
    uint32_t *call_at, *return_at; /* entries; return_at 0: none */
    uint32_t *rank, *by_rank;
    uint8_t *happened;
    struct frame *stack;
    uint32_t depth;
    uint32_t left; /* operations that must happen and have not */
    uint64_t done[2];
    struct memo *memo;
    uint64_t memo_cap, memo_count, steps;
};

struct verify_search *verify_search_create(struct verify_model *m, uint64_t budget)
{
    struct verify_search *s = coord__alloc(sizeof(*s));
    if (s != NULL) {
        s->m = m;
        s->budget = budget;
        s->limit = budget;
    }
    return s;
}

void verify_search_limit(struct verify_search *s, uint64_t states)
{
    s->limit = states < s->budget ? states : s->budget;
}

static void free_arrays(struct verify_search *s)
{
    coord__free(s->ends);
    coord__free(s->next);
    coord__free(s->prev);
    coord__free(s->call_at);
    coord__free(s->return_at);
    coord__free(s->rank);
    coord__free(s->by_rank);
    coord__free(s->happened);
    coord__free(s->stack);
    s->ends = NULL;
    s->next = NULL;
    s->prev = NULL;
    s->call_at = NULL;
    s->return_at = NULL;
    s->rank = NULL;
    s->by_rank = NULL;
    s->happened = NULL;
    s->stack = NULL;
    s->cap = 0;
}

void verify_search_destroy(struct verify_search *s)
{
    if (s != NULL) {
        free_arrays(s);
        coord__free(s->memo);
        coord__free(s);
    }
}

struct verify_model *verify_search_model(const struct verify_search *s)
{
    return s->m;
}

/* --- the memory of states ---------------------------------------------------------------------- */

static int memo_reset(struct verify_search *s)
{
    if (s->memo_cap == 0 || s->memo_cap > MEMO_KEPT) {
        coord__free(s->memo);
        s->memo_cap = 0;
        s->memo = coord__alloc(MEMO_FIRST * sizeof(*s->memo));
        if (s->memo == NULL) {
            return COORD_ENOMEM;
        }
        s->memo_cap = MEMO_FIRST;
    } else {
        memset(s->memo, 0, s->memo_cap * sizeof(*s->memo));
    }
    s->memo_count = 0;
    return 0;
}

static bool memo_put(struct memo *table, uint64_t cap, struct memo key)
{
    uint64_t at = key.a & (cap - 1);
    while (table[at].a != 0 || table[at].b != 0) {
        if (table[at].a == key.a && table[at].b == key.b) {
            return false;
        }
        at = (at + 1) & (cap - 1);
    }
    table[at] = key;
    return true;
}

static int memo_grow(struct verify_search *s)
{
    uint64_t cap = s->memo_cap * 2;
    struct memo *to = coord__alloc(cap * sizeof(*to));
    if (to == NULL) {
        return COORD_ENOMEM;
    }
    for (uint64_t i = 0; i < s->memo_cap; i++) {
        if (s->memo[i].a != 0 || s->memo[i].b != 0) {
            (void)memo_put(to, cap, s->memo[i]); /* they differ */
        }
    }
    coord__free(s->memo);
    s->memo = to;
    s->memo_cap = cap;
    return 0;
}

/* Return: 1 when it is new, 0 when it was seen, or COORD_ENOMEM. */
static int memo_add(struct verify_search *s, uint64_t a, uint64_t b)
{
    struct memo key = {a, b | 1}; /* never the empty slot */
    if (s->memo_count * 10 >= s->memo_cap * 7 && memo_grow(s) < 0) {
        return COORD_ENOMEM;
    }
    if (!memo_put(s->memo, s->memo_cap, key)) {
        return 0;
    }
    s->memo_count++;
    return 1;
}

/* The random numbers of an item. */
static uint64_t zobrist(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static void toggle_done(struct verify_search *s, uint32_t item)
{
    s->done[0] ^= zobrist(2ull * item + 0x5bd1e995ull);
    s->done[1] ^= zobrist(2ull * item + 0xc2b2ae3d27d4eb4full);
}

/* --- the list ---------------------------------------------------------------------------------- */

static int by_key(const void *pa, const void *pb)
{
    const struct end *a = pa;
    const struct end *b = pb;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    if (a->is_return != b->is_return) {
        return a->is_return ? 1 : -1; /* what only touches overlaps */
    }
    return a->item < b->item ? -1 : a->item > b->item;
}

struct ranked {
    uint64_t hint;
    uint64_t call;
    uint32_t item;
};

static int by_hint(const void *pa, const void *pb)
{
    const struct ranked *a = pa;
    const struct ranked *b = pb;
    if (a->hint != b->hint) {
        return a->hint < b->hint ? -1 : 1;
    }
    if (a->call != b->call) {
        return a->call < b->call ? -1 : 1;
    }
    return a->item < b->item ? -1 : a->item > b->item;
}

static int make_room(struct verify_search *s, uint32_t count)
{
    if (count < s->cap) {
        return 0;
    }
    free_arrays(s);
    size_t n = (size_t)count + 16;
    s->ends = coord__alloc(2 * n * sizeof(*s->ends));
    s->next = coord__alloc(2 * n * sizeof(*s->next));
    s->prev = coord__alloc(2 * n * sizeof(*s->prev));
    s->call_at = coord__alloc(n * sizeof(*s->call_at));
    s->return_at = coord__alloc(n * sizeof(*s->return_at));
    s->rank = coord__alloc(n * sizeof(*s->rank));
    s->by_rank = coord__alloc(n * sizeof(*s->by_rank));
    s->happened = coord__alloc(n);
    s->stack = coord__alloc(n * sizeof(*s->stack));
    if (s->ends == NULL || s->next == NULL || s->prev == NULL || s->call_at == NULL ||
        s->return_at == NULL || s->rank == NULL || s->by_rank == NULL || s->happened == NULL ||
        s->stack == NULL) {
        return COORD_ENOMEM;
    }
    s->cap = (uint32_t)n - 8;
    return 0;
}

static int make_ranks(struct verify_search *s)
{
    struct ranked *order = coord__alloc(((size_t)s->count + 1) * sizeof(*order));
    if (order == NULL) {
        return COORD_ENOMEM;
    }
    for (uint32_t i = 0; i < s->count; i++) {
        order[i] = (struct ranked){s->items[i].hint, s->items[i].call, i};
    }
    qsort(order, s->count, sizeof(*order), by_hint);
    for (uint32_t i = 0; i < s->count; i++) {
        s->rank[order[i].item] = i;
        s->by_rank[i] = order[i].item;
    }
    coord__free(order);
    return 0;
}

static void make_list(struct verify_search *s)
{
    uint32_t n = 0;
    s->left = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct verify_item *it = &s->items[i];
        assert(it->optional || it->call <= it->ret);
        s->ends[n++] = (struct end){it->call, i, false};
        s->return_at[i] = 0;
        s->happened[i] = 0;
        if (!it->optional) {
            s->ends[n++] = (struct end){it->ret, i, true};
            s->left++;
        }
    }
    qsort(s->ends, n, sizeof(*s->ends), by_key);
    for (uint32_t e = 1; e <= n; e++) {
        s->next[e] = e < n ? e + 1 : END;
        s->prev[e] = e - 1;
        *(s->ends[e - 1].is_return ? &s->return_at[s->ends[e - 1].item]
                                   : &s->call_at[s->ends[e - 1].item]) = e;
    }
    s->next[END] = n > 0 ? 1 : END;
    s->prev[END] = n;
}

static void unlink_entry(struct verify_search *s, uint32_t e)
{
    s->next[s->prev[e]] = s->next[e];
    s->prev[s->next[e]] = s->prev[e];
}

static void relink_entry(struct verify_search *s, uint32_t e)
{
    s->next[s->prev[e]] = e;
    s->prev[s->next[e]] = e;
}

static void lift(struct verify_search *s, uint32_t item)
{
    unlink_entry(s, s->call_at[item]);
    if (s->return_at[item] != 0) {
        unlink_entry(s, s->return_at[item]);
        s->left--;
    }
    s->happened[item] = 1;
    toggle_done(s, item);
}

static void unlift(struct verify_search *s, uint32_t item)
{
    if (s->return_at[item] != 0) {
        relink_entry(s, s->return_at[item]);
        s->left++;
    }
    relink_entry(s, s->call_at[item]);
    s->happened[item] = 0;
    toggle_done(s, item);
}

/* --- the search -------------------------------------------------------------------------------- */

/* The candidate of the lowest rank from `from` on, among those with or those without an answer. Bound:
 * the calls in front of the first return. Return: its rank, or VERIFY_NOWHERE. */
static uint32_t lowest(const struct verify_search *s, uint64_t from, bool optional)
{
    uint32_t best = VERIFY_NOWHERE;
    for (uint32_t e = s->next[END]; e != END && !s->ends[e - 1].is_return; e = s->next[e]) {
        uint32_t item = s->ends[e - 1].item;
        uint32_t rank = s->rank[item];
        best = s->items[item].optional == optional && rank >= from && rank < best ? rank : best;
    }
    return best;
}

/* Has the other branch of the same transaction happened? The two stand side by side. */
static bool other_happened(const struct verify_search *s, uint32_t item)
{
    const struct verify_op *op = s->items[item].op;
    return (item > 0 && s->items[item - 1].op == op && s->happened[item - 1] != 0) ||
           (item + 1 < s->count && s->items[item + 1].op == op && s->happened[item + 1] != 0);
}

static bool fits(struct verify_search *s, uint32_t item)
{
    if (other_happened(s, item)) {
        return false;
    }
    s->steps++;
    return verify_model_step(s->m, s->items[item].op, s->items[item].variant);
}

/* Does item `first` not fit now, but would if item `helper` had happened? */
static bool helps(struct verify_search *s, uint32_t helper, uint32_t first)
{
    uint32_t mark = verify_model_mark(s->m);
    bool now = fits(s, first);
    verify_model_undo(s->m, mark);
    bool then = !now && fits(s, helper) && fits(s, first);
    verify_model_undo(s->m, mark);
    return then;
}

/* The next candidate behind `after`, a place in the order of this state; 0: from the start. The order:
 *   1  the one with an answer that hints say is next
 *   2  those without an answer that would make it fit
 *   3  the others with an answer
 *   4  those without an answer; the ones of 2 come again, and are known then
 * Return: its place, or VERIFY_NEVER. */
static uint64_t next_candidate(struct verify_search *s, uint64_t after)
{
    uint64_t group = after >> 32;
    uint64_t from = after == 0 ? 0 : (after & UINT32_MAX) + 1;
    uint32_t first = lowest(s, 0, false);
    if (group == 0 && first != VERIFY_NOWHERE) {
        return PLACE(1, first);
    }
    for (; group <= 2 && first != VERIFY_NOWHERE; group++) {
        uint32_t rank = lowest(s, group == 2 ? from : 0, true);
        for (; group == 2 && rank != VERIFY_NOWHERE; rank = lowest(s, (uint64_t)rank + 1, true)) {
            if (helps(s, s->by_rank[rank], s->by_rank[first])) {
                return PLACE(2, rank);
            }
        }
        from = 0;
    }
    for (group = group < 3 ? 3 : group; group <= 4; group++) {
        uint64_t least = group == 3 && first != VERIFY_NOWHERE ? (uint64_t)first + 1 : 0;
        uint32_t rank = lowest(s, from > least ? from : least, group == 4);
        if (rank != VERIFY_NOWHERE) {
            return PLACE(group, rank);
        }
        from = 0;
    }
    return VERIFY_NEVER;
}

/* The operation that must be answered first: everything else waits for it. */
static uint32_t first_return(const struct verify_search *s)
{
    uint32_t e = s->next[END];
    while (e != END && !s->ends[e - 1].is_return) {
        e = s->next[e];
    }
    return e != END ? s->ends[e - 1].item : VERIFY_NOWHERE;
}

/* Does op change nothing wherever it stands? Then it may stand here, if it tells nothing new here. A change that finds nothing
 * to do here is another matter, since later it may: the parents it makes may have gone by then, and what it deletes all below of
 * may have come, by a create without an answer, while the node itself is not held. */
static bool is_settled(const struct verify_search *s, const struct verify_op *op)
{
    const struct verify_txn *t = &op->txn;
    if (verify_kind_reads(op->act.kind) || (op->returned != VERIFY_NEVER && op->error != 0)) {
        return true;
    }
    if (op->act.kind != VERIFY_TXN || op->returned == VERIFY_NEVER) {
        return false;
    }
    for (uint32_t i = 0; i < t->branch_count[t->taken]; i++) {
        if (!verify_kind_reads(s->m->h->actions[t->branch[t->taken] + i].kind)) {
            return false;
        }
    }
    return true;
}

/* Let an item happen, if it fits and leads somewhere new. Return: 1 it happened, 0 not, 2 not, and
 * no other one need be tried here, or COORD_ENOMEM. */
static int try_item(struct verify_search *s, uint32_t item, uint64_t place)
{
    struct verify_model *m = s->m;
    const struct verify_item *it = &s->items[item];
    uint32_t mark = verify_model_mark(m);
    uint64_t before[2] = {m->hash[0], m->hash[1]};
    bool fit = fits(s, item);
    bool changed = m->hash[0] != before[0] || m->hash[1] != before[1];
    bool settled = !changed && is_settled(s, it->op);
    if (m->out_of_memory) {
        return COORD_ENOMEM;
    }
    if (!fit || (it->optional && !changed)) {
        verify_model_undo(m, mark);
        return 0;
    }
    lift(s, item);
    int r = memo_add(s, s->done[0] ^ m->hash[0], s->done[1] ^ m->hash[1]);
    if (r != 1) {
        unlift(s, item);
        verify_model_undo(m, mark);
        return r == 0 && settled ? 2 : r;
    }
    s->stack[s->depth++] = (struct frame){item, mark, place, settled};
    return 1;
}

/* Go back to where another candidate can be tried. Return: the place to go on behind, or VERIFY_NEVER
 * when there is none. */
static uint64_t go_back(struct verify_search *s)
{
    while (s->depth > 0) {
        const struct frame f = s->stack[--s->depth];
        unlift(s, f.item);
        verify_model_undo(s->m, f.mark);
        if (!f.for_good) {
            return f.place;
        }
    }
    return VERIFY_NEVER;
}

static int search(struct verify_search *s, struct verify_found *found)
{
    uint64_t after = 0; /* VERIFY_NEVER: nothing else need be tried here */
    uint32_t most = 0;
    found->verdict = VERIFY_OK;
    found->stuck = VERIFY_NOWHERE;
    while (s->left > 0) {
        uint64_t place = after == VERIFY_NEVER ? after : next_candidate(s, after);
        if (place == VERIFY_NEVER) {
            if (s->depth >= most || found->stuck == VERIFY_NOWHERE) {
                most = s->depth;
                found->stuck = first_return(s);
                found->reached = s->depth;
            }
            after = go_back(s);
            if (after == VERIFY_NEVER) {
                found->verdict = VERIFY_VIOLATION;
                break;
            }
            continue;
        }
        int r = try_item(s, s->by_rank[place & UINT32_MAX], place);
        if (r < 0) {
            return r;
        }
        after = r == 1 ? 0 : r == 2 ? VERIFY_NEVER : place;
        if (s->memo_count > s->limit || s->steps / STEPS_PER_STATE > s->limit) {
            found->verdict = VERIFY_UNDECIDED;
            break;
        }
    }
    found->states = s->memo_count;
    return 0;
}

int verify_search_run(struct verify_search *s, const struct verify_place *places,
                      uint32_t places_count, bool empty, const struct verify_item *items,
                      uint32_t items_count, struct verify_found *ret_found)
{
    s->items = items;
    s->count = items_count;
    s->depth = 0;
    s->steps = 0;
    s->done[0] = 0;
    s->done[1] = 0;
    int err = verify_model_load(s->m, places, places_count, empty);
    err = err < 0 ? err : make_room(s, items_count);
    err = err < 0 ? err : memo_reset(s);
    err = err < 0 ? err : make_ranks(s);
    if (err < 0) {
        return err;
    }
    make_list(s);
    return search(s, ret_found);
}
