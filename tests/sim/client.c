/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: the load: proposals with payloads that never repeat, and linearizable reads.
 *
 * Checked here: every accepted proposal gets exactly one fate at its proposer (committed, dropped,
 * or its process ended), every accepted read exactly one answer, and an answer covers everything
 * that was committed when the read arrived (R12).
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_LIMIT 64
#define PENDING_MAX 300 /* a load that waits for answers at some point */

static struct proposal *proposal_at(struct world *w, uint64_t id)
{
    return &w->client.proposals[id];
}

static uint64_t new_proposals(struct world *w, struct node *n, uint32_t count)
{
    struct client *c = &w->client;
    while (c->proposals_count + count + 1 > c->proposals_cap) {
        c->proposals_cap = c->proposals_cap ? c->proposals_cap * 2 : 1024;
        c->proposals = sim_realloc(c->proposals, c->proposals_cap * sizeof(c->proposals[0]));
    }
    uint64_t first = c->proposals_count + 1;
    c->proposals_count += count;
    for (uint32_t i = 0; i < count; i++) {
        c->proposals[first + i] = (struct proposal){.state = PROPOSAL_REFUSED, .node = n->id};
    }
    return first;
}

static void pend(struct node *n, raft_index index, raft_term term, uint64_t id)
{
    struct pendings *p = &n->pend;
    if (p->head + p->count == p->cap && p->head > p->cap / 2) {
        memmove(p->v, p->v + p->head, p->count * sizeof(p->v[0]));
        p->head = 0;
    } else if (p->head + p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->v = sim_realloc(p->v, p->cap * sizeof(p->v[0]));
    }
    p->v[p->head + p->count++] = (struct pending){.index = index, .term = term, .id = id};
}

static void mark_refusal(struct world *w, struct node *n, int result)
{
    switch (result) {
    case RAFT_ENOTLEADER:
        MARK(w, REFUSED_NOT_LEADER);
        break;
    case RAFT_ETRANSFER:
        MARK(w, REFUSED_TRANSFER);
        break;
    case RAFT_EFULL:
        MARK(w, REFUSED_FULL);
        break;
    case RAFT_ENOSPACE:
        MARK(w, REFUSED_NO_SPACE);
        break;
    case RAFT_EFAULTED:
        break;
    default:
        sim_fail(w, "n%u: PROPOSE answered %d (%s)", n->id, result, raft_strerror(result));
    }
}

int client_awaited(struct world *w, struct node *n, raft_id peer, raft_index index)
{
    struct raft_event ev = {.type = RAFT_EV_WAITS, .peer = peer, .index = index};
    if (n->st.role == RAFT_LEADER) {
        check_told_awaited(n, peer, index);
    }
    return host_step(w, n, &ev);
}

int client_waits(struct world *w, struct node *n, int on)
{
    struct raft_event ev = {.type = RAFT_EV_WAITS, .value = (uint64_t)on};
    return host_step(w, n, &ev);
}

/* As a server forwards the writes of its clients and has watches, now and then. */
static void somebody_waits(struct world *w, struct node *n, raft_index index)
{
    raft_id other = 1 + (raft_id)rng_below(&w->rng_client, w->k.nodes);
    struct node *o = &w->nodes[other];
    if (other != n->id && rng_chance(&w->rng_client, 300)) {
        (void)client_awaited(w, n, other, index);
    }
    if (o->state == HOST_UP && !o->paused && rng_chance(&w->rng_client, 50) && !w->failed) {
        (void)client_waits(w, o, rng_chance(&w->rng_client, 500));
    }
}

int client_propose(struct world *w, struct node *n, uint32_t count, uint64_t *ret_id)
{
    struct item items[BATCH_LIMIT];
    struct raft_entry entries[BATCH_LIMIT];
    uint64_t first = new_proposals(w, n, count);
    w->net.window_work++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = (uint32_t)rng_range(&w->rng_client, PAYLOAD_MIN, w->k.payload_max);
        bytes += w->k.payload_more;
        uint8_t *data = arena_alloc(&w->arena, bytes);
        payload_make(data, bytes, first + i, rng_next(&w->rng_client));
        items[i] = (struct item){.bytes = bytes, .data = data};
        entries[i] = (struct raft_entry){.bytes = bytes};
        proposal_at(w, first + i)->state = PROPOSAL_OPEN; /* may be committed within the step */
    }
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = entries, .count = count};
    struct raft_accept acc = {0};
    raft_index expected = elog_last(&n->log) + 1;
    raft_term term = n->st.term;
    int result = host_feed(w, n, &ev, items, &acc);
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_PROPOSE,
                                             .node = (uint8_t)n->id,
                                             .a = (uint64_t)(int64_t)result,
                                             .b = acc.term,
                                             .c = acc.first,
                                             .d = count});
    if (result != 0) {
        for (uint32_t i = 0; i < count; i++) {
            proposal_at(w, first + i)->state = PROPOSAL_REFUSED;
        }
        mark_refusal(w, n, result);
    } else if (acc.first != expected || acc.count != count || acc.skip != 0 || acc.term != term) {
        sim_fail(w,
                 "n%u: %u proposals accepted as %u at %" PRIu64 " term %" PRIu64
                 ", expected at %" PRIu64 " term %" PRIu64,
                 n->id, count, acc.count, acc.first, acc.term, expected, term);
    }
    for (uint32_t i = 0; i < count && result == 0; i++) {
        pend(n, expected + i, term, first + i);
    }
    host_react(w, n, &ev);
    if (result == 0 && w->k.raft.commit_delay > 0 && w->k.waits && !w->failed) {
        somebody_waits(w, n, acc.first + count - 1);
    }
    *ret_id = first;
    return result;
}

/* The first open proposal of n, or NULL. */
static struct pending *oldest(struct node *n)
{
    return n->pend.count > 0 ? &n->pend.v[n->pend.head] : NULL;
}

static void settle_oldest(struct world *w, struct node *n, enum proposal_state state)
{
    struct pending *p = oldest(n);
    proposal_at(w, p->id)->state = state;
    n->pend.head++;
    n->pend.count--;
}

void client_dropped(struct world *w, struct node *n, const struct raft_drop *d)
{
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_DROP,
                                             .node = (uint8_t)n->id,
                                             .a = d->first,
                                             .b = d->last,
                                             .c = d->term});
    struct pendings *p = &n->pend;
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        struct pending *one = &p->v[p->head + i];
        if (one->index < d->first || one->index > d->last || one->term != d->term) {
            p->v[p->head + kept++] = *one;
            continue;
        }
        MARK(w, PROPOSAL_DROPPED);
        proposal_at(w, one->id)->state = PROPOSAL_DROPPED;
    }
    p->count = kept;
}

/* The state has moved: which confirmed reads can be served now? */
void client_release_reads(struct world *w, struct node *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n->waits_count; i++) {
        if (n->waits[i].index > n->machine.applied) {
            n->waits[kept++] = n->waits[i];
        } else {
            w->client.reads[n->waits[i].cookie].done = 1;
        }
    }
    n->waits_count = kept;
}

void client_applied(struct world *w, struct node *n, raft_index index, raft_term term)
{
    struct pending *p = oldest(n);
    if (p != NULL && p->index <= index) {
        if (p->index < index || p->term != term) {
            sim_fail(w,
                     "n%u: applies %" PRIu64 " of term %" PRIu64 ", its proposal at %" PRIu64
                     " of term %" PRIu64 " has no fate",
                     n->id, index, term, p->index, p->term);
            return;
        }
        settle_oldest(w, n, PROPOSAL_COMMITTED);
    }
    client_release_reads(w, n);
}

/* A snapshot takes the place of entries not yet applied here. What the core had let us apply is
 * committed, only its result is not known; all else up to the snapshot must be dropped by the core. */
void client_installed(struct world *w, struct node *n)
{
    while (oldest(n) != NULL && oldest(n)->index <= n->commit) {
        if (elog_term(&n->log, oldest(n)->index) != oldest(n)->term) {
            sim_fail(w, "n%u: proposal at %" PRIu64 " has no fate", n->id, oldest(n)->index);
            return;
        }
        MARK(w, PROPOSAL_IN_SNAPSHOT);
        settle_oldest(w, n, PROPOSAL_COMMITTED);
    }
}

void client_node_ended(struct world *w, struct node *n)
{
    while (n->pend.count > 0) {
        settle_oldest(w, n, PROPOSAL_LOST);
    }
    n->pend.head = 0;
}

/* ------------------------------------------------------------------------------------------- */
/* Reads                                                                                         */

static void mark_lease(struct world *w, const struct node *n)
{
    const struct raft_status *st = &n->st;
    if (st->role != RAFT_LEADER) {
        return;
    }
    if (st->transfer_to != 0) {
        MARK(w, LEASE_IN_TRANSFER);
    } else if (st->joint) {
        MARK(w, LEASE_IN_JOINT);
    } else if (host_now(w, n) < st->lease_until) {
        MARK(w, LEASE_READ);
    } else {
        MARK(w, LEASE_ENDED);
    }
}

int client_read(struct world *w, struct node *n, uint64_t *ret_cookie)
{
    struct client *c = &w->client;
    if (c->reads_count + 2 > c->reads_cap) {
        c->reads_cap = c->reads_cap ? c->reads_cap * 2 : 1024;
        c->reads = sim_realloc(c->reads, c->reads_cap * sizeof(c->reads[0]));
    }
    uint64_t cookie = ++c->reads_count;
    c->reads[cookie] =
        (struct read){.node = n->id, .boot = n->boot, .floor = w->ledger.committed, .at = w->now};
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_READ,
                                             .node = (uint8_t)n->id,
                                             .a = cookie,
                                             .b = w->ledger.committed});
    n->reads_open++;
    w->net.window_work++;
    int lease = rng_chance(&w->rng_client, w->k.lease_permille);
    struct raft_event ev = {.type = RAFT_EV_READ, .cookie = cookie, .value = (uint64_t)lease};
    if (lease) {
        mark_lease(w, n);
    }
    int result = host_step(w, n, &ev);
    if (result != 0) {
        if (c->reads[cookie].answered) {
            sim_fail(w, "n%u: read %" PRIu64 " refused and answered", n->id, cookie);
        }
        c->reads[cookie].answered = 1;
        n->reads_open--;
        if (result != RAFT_EBUSY && result != RAFT_EFAULTED) {
            sim_fail(w, "n%u: READ answered %d (%s)", n->id, result, raft_strerror(result));
        }
    }
    *ret_cookie = cookie;
    return result;
}

static void answered_ok(struct world *w, struct node *n, const struct raft_read *r)
{
    struct read *read = &w->client.reads[r->cookie];
    if (r->index < read->floor) {
        sim_fail(w,
                 "n%u: read %" PRIu64 " may be served at %" PRIu64 ", but %" PRIu64
                 " was committed when it arrived (R12)",
                 n->id, r->cookie, r->index, read->floor);
        return;
    }
    w->client.reads_ok++;
    if (n->st.role == RAFT_LEADER) {
        MARK(w, READ_BY_LEADER);
    } else {
        MARK(w, READ_BY_FOLLOWER);
    }
    if (r->index <= n->machine.applied) {
        read->done = 1;
        return;
    }
    MARK(w, READ_WAITED);
    if (n->waits_count == n->waits_cap) {
        n->waits_cap = n->waits_cap ? n->waits_cap * 2 : 16;
        n->waits = sim_realloc(n->waits, n->waits_cap * sizeof(n->waits[0]));
    }
    n->waits[n->waits_count++] = (struct read_wait){.cookie = r->cookie, .index = r->index};
}

void client_answer(struct world *w, struct node *n, const struct raft_read *r)
{
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_ANSWER,
                                             .node = (uint8_t)n->id,
                                             .a = r->cookie,
                                             .b = r->result,
                                             .c = r->index});
    struct client *c = &w->client;
    if (r->cookie == 0 || r->cookie > c->reads_count || c->reads[r->cookie].answered ||
        c->reads[r->cookie].node != n->id || c->reads[r->cookie].boot != n->boot) {
        sim_fail(w, "n%u: answers read %" PRIu64 ", which is not open here", n->id, r->cookie);
        return;
    }
    c->reads[r->cookie].answered = 1;
    n->reads_open--;
    switch (r->result) {
    case RAFT_READ_OK:
        answered_ok(w, n, r);
        break;
    case RAFT_READ_NO_LEADER:
        MARK(w, READ_NO_LEADER);
        break;
    case RAFT_READ_RETRY:
        MARK(w, READ_RETRY);
        break;
    default:
        sim_fail(w, "n%u: read %" PRIu64 " has result %d", n->id, r->cookie, (int)r->result);
    }
}

/* ------------------------------------------------------------------------------------------- */

static struct node *any_node(struct world *w)
{
    raft_id from = (raft_id)rng_below(&w->rng_client, w->k.nodes);
    for (uint32_t i = 0; i < w->k.nodes; i++) {
        struct node *n = world_node(w, (from + i) % w->k.nodes + 1);
        if (n->state != HOST_ABSENT && n->state != HOST_GONE) {
            return n->state == HOST_UP && !n->paused ? n : NULL;
        }
    }
    return NULL;
}

/* Mostly somebody who believes to lead: two of them may. */
static struct node *likely_leader(struct world *w)
{
    raft_id from = (raft_id)rng_below(&w->rng_client, w->k.nodes);
    for (uint32_t i = 0; i < w->k.nodes; i++) {
        struct node *n = world_node(w, (from + i) % w->k.nodes + 1);
        if (n->state == HOST_UP && !n->paused && n->st.role == RAFT_LEADER) {
            return n;
        }
    }
    return NULL;
}

void client_step(struct world *w)
{
    uint64_t ignored = 0;
    if (w->phase != PHASE_CHAOS) {
        return;
    }
    world_later(w, rng_exp(&w->rng_client, w->k.client_ns), (struct ev){.kind = EV_CLIENT});
    if (rng_chance(&w->rng_client, w->k.read_permille)) {
        struct node *n = any_node(w);
        if (n != NULL) {
            (void)client_read(w, n, &ignored); /* refusals are looked at inside */
        }
        return;
    }
    struct node *n = rng_chance(&w->rng_client, 900) ? likely_leader(w) : any_node(w);
    if (n != NULL && n->pend.count < PENDING_MAX) {
        uint32_t count = (uint32_t)rng_range(&w->rng_client, 1, w->k.batch_max);
        (void)client_propose(w, n, count, &ignored);
    }
}

void client_ask(struct world *w, struct node *n, uint64_t times)
{
    uint64_t ignored = 0;
    if (w->phase != PHASE_CHAOS || times == 0) {
        return;
    }
    if (n->state == HOST_UP && !n->paused) {
        (void)client_read(w, n, &ignored); /* refusals are looked at inside */
    }
    world_later(w, SIM_MS / 4 + rng_exp(&w->rng_client, w->k.latency_ns + w->k.jitter_ns),
                (struct ev){.kind = EV_ASK, .node = (uint8_t)n->id, .a = times - 1});
}

void client_finish(struct world *w)
{
    free(w->client.proposals);
    free(w->client.reads);
}
