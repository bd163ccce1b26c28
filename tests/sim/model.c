/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: the models of model.h: logs and disk images. The replicated state is in machine.c.
 *
 * Invariant: items[i].chain is item_chain of the chain before it, base_chain before the first.
 */
#include "tests/sim/model.h"

#include "tests/sim/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

uint64_t item_chain(uint64_t before, raft_term term, uint8_t type, const void *data, uint32_t bytes)
{
    uint64_t payload = bytes == 0 ? 0 : XXH3_64bits(data, bytes);
    return rng_mix(rng_mix(before ^ payload) + rng_mix(term * 8 + type));
}

raft_index elog_last(const struct elog *l)
{
    return l->base + l->count;
}

const struct item *elog_at(const struct elog *l, raft_index index)
{
    if (index <= l->base || index > elog_last(l)) {
        return NULL;
    }
    return &l->items[l->head + (index - l->base - 1)];
}

raft_term elog_term(const struct elog *l, raft_index index)
{
    const struct item *it = elog_at(l, index);
    return it != NULL ? it->term : index == l->base ? l->base_term : 0;
}

uint64_t elog_chain(const struct elog *l, raft_index index)
{
    const struct item *it = elog_at(l, index);
    return it != NULL ? it->chain : index == l->base ? l->base_chain : 0;
}

static void make_room(struct elog *l)
{
    if (l->head + l->count < l->cap) {
        return;
    }
    if (l->head > l->cap / 2) {
        memmove(l->items, l->items + l->head, l->count * sizeof(l->items[0]));
        l->head = 0;
        return;
    }
    l->cap = l->cap ? l->cap * 2 : 64;
    l->items = sim_realloc(l->items, l->cap * sizeof(l->items[0]));
}

void elog_push(struct elog *l, const struct item *it)
{
    make_room(l);
    uint64_t before = elog_chain(l, elog_last(l));
    struct item *slot = &l->items[l->head + l->count++];
    *slot = *it;
    slot->chain = item_chain(before, it->term, it->type, it->data, it->bytes);
}

void elog_truncate(struct elog *l, raft_index first)
{
    if (first <= elog_last(l)) {
        l->count = first > l->base ? (size_t)(first - l->base - 1) : 0;
    }
}

void elog_trim(struct elog *l, raft_index index)
{
    if (index > elog_last(l)) {
        index = elog_last(l);
    }
    if (index <= l->base) {
        return;
    }
    size_t gone = (size_t)(index - l->base);
    l->base_term = elog_term(l, index);
    l->base_chain = elog_chain(l, index);
    l->base = index;
    l->head += gone;
    l->count -= gone;
}

void elog_reset(struct elog *l, raft_index index, raft_term term, uint64_t chain)
{
    l->base = index;
    l->base_term = term;
    l->base_chain = chain;
    l->head = 0;
    l->count = 0;
}

void elog_copy(struct elog *to, const struct elog *from)
{
    elog_reset(to, from->base, from->base_term, from->base_chain);
    if (to->cap < from->count) {
        to->cap = from->count;
        to->items = sim_realloc(to->items, to->cap * sizeof(to->items[0]));
    }
    if (from->count > 0) {
        memcpy(to->items, from->items + from->head, from->count * sizeof(to->items[0]));
    }
    to->count = from->count;
}

void elog_finish(struct elog *l)
{
    free(l->items);
    *l = (struct elog){0};
}

/* ------------------------------------------------------------------------------------------- */

static void apply_entry(struct image *im, const struct disk_op *op)
{
    const struct item it = {
        .term = op->op.term, .data = op->op.data, .bytes = op->op.bytes, .type = op->op.type};
    elog_truncate(&im->log, op->op.index);
    elog_push(&im->log, &it);
}

static void apply_mark(struct image *im, const struct disk_op *op)
{
    raft_index index = op->op.index;
    if (elog_term(&im->log, index) != op->op.term) {
        elog_reset(&im->log, index, op->op.term, op->chain);
    }
    im->snap_index = index;
    im->snap_term = op->op.term;
    im->snap_chain = op->chain;
    if (op->compact > im->log.base) {
        elog_trim(&im->log, op->compact);
    }
}

void image_apply(struct image *im, const struct disk_op *op)
{
    switch (op->op.kind) {
    case RAFT_WAL_HARDSTATE:
        im->term = op->op.term;
        im->vote = op->op.vote;
        im->commit = op->op.index;
        break;
    case RAFT_WAL_ENTRY:
        apply_entry(im, op);
        break;
    case RAFT_WAL_SNAPMARK:
        apply_mark(im, op);
        break;
    }
}

void image_copy(struct image *to, const struct image *from)
{
    struct elog log = to->log;
    *to = *from;
    to->log = log;
    elog_copy(&to->log, &from->log);
}

void image_finish(struct image *im)
{
    elog_finish(&im->log);
    *im = (struct image){0};
}

int image_holds(const struct image *im, raft_index index, uint64_t chain)
{
    if (index < im->log.base || index < im->snap_index) {
        return 1;
    }
    if (index == im->snap_index) {
        return chain == im->snap_chain;
    }
    return index <= elog_last(&im->log) && elog_chain(&im->log, index) == chain;
}

static int entries_match(const struct image *im, const struct raft_wal_state *found, char *why,
                         size_t n)
{
    raft_index want_last =
        elog_last(&im->log) > im->snap_index ? elog_last(&im->log) : im->snap_index;
    raft_index found_last = found->count > 0 ? found->first + found->count - 1 : im->snap_index;
    if (found_last < im->snap_index) {
        found_last = im->snap_index;
    }
    if (found_last != want_last || (found->count > 0 && found->first > im->snap_index + 1)) {
        snprintf(why, n,
                 "entries %" PRIu64 "..%" PRIu64 " found, %" PRIu64 "..%" PRIu64 " expected",
                 found->first, found_last, im->snap_index + 1, want_last);
        return 0;
    }
    for (raft_index i = im->snap_index + 1; i <= want_last; i++) {
        const struct item *it = elog_at(&im->log, i);
        const struct raft_entry *e = &found->entries[i - found->first];
        if (it == NULL || e->term != it->term || e->bytes != it->bytes || e->type != it->type) {
            snprintf(why, n,
                     "entry %" PRIu64 ": term %" PRIu64 " bytes %u found, term %" PRIu64
                     " bytes %u expected",
                     i, e->term, e->bytes, it ? it->term : 0, it ? it->bytes : 0);
            return 0;
        }
    }
    return 1;
}

int image_matches(const struct image *im, const struct raft_wal_state *found, char *why, size_t n)
{
    if (found->term != im->term || found->vote != im->vote || found->commit != im->commit) {
        snprintf(why, n,
                 "hard state %" PRIu64 "/%u/%" PRIu64 " found, %" PRIu64 "/%u/%" PRIu64 " expected",
                 found->term, found->vote, found->commit, im->term, im->vote, im->commit);
        return 0;
    }
    if (found->snapshot_index != im->snap_index || found->snapshot_term != im->snap_term) {
        snprintf(why, n, "snapshot %" PRIu64 "/%" PRIu64 " found, %" PRIu64 "/%" PRIu64 " expected",
                 found->snapshot_index, found->snapshot_term, im->snap_index, im->snap_term);
        return 0;
    }
    return entries_match(im, found, why, n);
}
