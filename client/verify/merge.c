/* SPDX-License-Identifier: Apache-2.0 */
/*
 * merge.c: what was read from all files becomes one history: clocks, the cut, the order, floors.
 *
 * The cut. When a client's recording was stopped, or could not be written any more, what that client
 * did afterwards is missing. A history up to such a moment is whole, and a prefix of a linearizable
 * history is linearizable: so everything called behind the earliest such moment is forgotten, and
 * what was under way then counts as not answered.
 *
 * Floors. An operation's floor is the highest revision that any client had been told before the
 * operation was called: what has no revision of its own cannot have happened at or below it.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include "client/core/mem.h"

void verify_op_forget_answer(struct verify_op *op)
{
    op->returned = VERIFY_NEVER;
    op->error = 0;
    op->outcome = COORD_OUTCOME_UNKNOWN;
    op->revision = VERIFY_UNKNOWN;
    op->has_receipt = false;
    op->act.error = 0;
    if (op->act.kind != VERIFY_RENAME) { /* where to was asked for, not answered */
        op->act.made = VERIFY_NOWHERE;
    }
    op->act.has_stat = false;
    op->act.has_sequence = false;
    op->act.got = VERIFY_VALUE_UNKNOWN;
}

/* Are there records of more than one boot of one machine? */
static bool several_clocks(const struct verify_history *h)
{
    for (uint32_t i = 1; i < h->clients_count; i++) {
        if (h->clients[i].boot != h->clients[0].boot) {
            return true;
        }
    }
    return false;
}

static uint64_t moved(uint64_t at, int64_t by)
{
    if (at == VERIFY_NEVER) {
        return at;
    }
    if (by < 0) {
        uint64_t back = (uint64_t)0 - (uint64_t)by;
        return at > back ? at - back : 0;
    }
    return at + (uint64_t)by;
}

/* Move all times to the wall clock, wide enough for clocks that differ by skew_ns. */
static void to_wall_clock(struct verify_history *h, uint64_t skew_ns)
{
    int64_t half = (int64_t)((skew_ns + 1) / 2);
    for (uint32_t i = 0; i < h->ops_count; i++) {
        int64_t offset = h->clients[h->ops[i].client].offset_ns;
        h->ops[i].called = moved(h->ops[i].called, offset - half);
        h->ops[i].returned = moved(h->ops[i].returned, offset + half);
    }
    for (uint32_t i = 0; i < h->watches_count; i++) {
        const struct verify_watch *w = &h->watches[i];
        for (uint32_t e = w->first; e != VERIFY_NOWHERE; e = h->events[e].next) {
            h->events[e].at = moved(h->events[e].at, h->clients[w->client].offset_ns + half);
        }
    }
    for (uint32_t i = 0; i < h->clients_count; i++) {
        int64_t offset = h->clients[i].offset_ns;
        h->clients[i].last = moved(h->clients[i].last, offset - half);
        h->clients[i].lost_at = moved(h->clients[i].lost_at, offset - half);
    }
}

/* What a watch was told behind the cut can be of writes that are forgotten; the last line of a recorder that failed
 * may be half a line. */
static void cut_watches(struct verify_history *h)
{
    for (uint32_t i = 0; i < h->watches_count; i++) {
        const struct verify_watch *w = &h->watches[i];
        const struct verify_client *c = &h->clients[w->client];
        for (uint32_t e = w->first; e != VERIFY_NOWHERE; e = h->events[e].next) {
            bool half = c->broken && h->events[e].at >= c->last;
            h->events[e].state = half || h->events[e].at > h->cut ? 0 : h->events[e].state;
        }
    }
}

static void cut(struct verify_history *h)
{
    for (uint32_t i = 0; i < h->clients_count; i++) {
        const struct verify_client *c = &h->clients[i];
        uint64_t at = c->broken ? c->last : c->lost_at;
        h->cut = at < h->cut ? at : h->cut;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        struct verify_op *op = &h->ops[i];
        if (op->called > h->cut) {
            h->forgotten++;
            continue;
        }
        if (op->returned != VERIFY_NEVER && op->returned > h->cut) {
            verify_op_forget_answer(op);
        }
        h->ops[kept++] = *op;
    }
    h->ops_count = kept;
}

static int by_call(const void *pa, const void *pb)
{
    const struct verify_op *a = pa;
    const struct verify_op *b = pb;
    if (a->called != b->called) {
        return a->called < b->called ? -1 : 1;
    }
    if (a->client != b->client) {
        return a->client < b->client ? -1 : 1;
    }
    return a->request < b->request ? -1 : a->request > b->request;
}

struct told {
    uint64_t at;
    uint64_t revision;
};

static int by_time(const void *pa, const void *pb)
{
    const struct told *a = pa;
    const struct told *b = pb;
    return a->at < b->at ? -1 : a->at > b->at;
}

static int find_floors(struct verify_history *h)
{
    uint32_t count = 0;
    struct told *told = coord__alloc((h->ops_count + 1) * sizeof(*told));
    if (told == NULL) {
        return COORD_ENOMEM;
    }
    for (uint32_t i = 0; i < h->ops_count; i++) {
        const struct verify_op *op = &h->ops[i];
        if (op->returned != VERIFY_NEVER && op->revision != VERIFY_UNKNOWN) {
            told[count++] = (struct told){op->returned, op->revision};
        }
    }
    qsort(told, count, sizeof(*told), by_time);
    uint64_t highest = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < h->ops_count; i++) {
        for (; at < count && told[at].at < h->ops[i].called; at++) {
            highest = told[at].revision > highest ? told[at].revision : highest;
        }
        h->ops[i].floor = highest;
    }
    coord__free(told);
    return 0;
}

int verify_history_finish(struct verify_history *h, uint64_t skew_ns, char *why, size_t why_bytes)
{
    if (several_clocks(h)) {
        if (skew_ns == 0) {
            (void)snprintf(
                why, why_bytes,
                "the records come from %u clocks (machines, or boots of one): say how far "
                "their wall clocks may be apart",
                h->boots_count); /* cut when too long */
            return COORD_EINVAL;
        }
        to_wall_clock(h, skew_ns);
    }
    cut(h);
    cut_watches(h);
    if (h->ops_count > 0) {
        qsort(h->ops, h->ops_count, sizeof(*h->ops), by_call);
    }
    coord__free(h->by_request.slots); /* its numbers are those before sorting */
    h->by_request = (struct verify_table){NULL, 0, 0};
    h->origin = h->ops_count > 0 ? h->ops[0].called : 0;
    int err = find_floors(h);
    if (err < 0) {
        (void)snprintf(why, why_bytes, "%s", coord_strerror(err)); /* cut when too long */
    }
    return err;
}
