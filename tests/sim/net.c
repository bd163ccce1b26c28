/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net.c: the simulated network.
 *
 * Between two members there is at most one connection, which like TCP keeps order and tells both
 * ends when it breaks; of what was under way on it at most a first part still arrives. On top of that come, each by its own draw:
 * loss, copies, overtaking, and strays: copies that arrive up to 20 s later, on another connection,
 * in another life of either process. A cut stops one direction, silently: it drops, or holds back
 * and lets everything arrive in one burst when it ends.
 *
 * Invariants
 *   1. up and epoch are symmetric.
 *   2. Without overtaking, packets of one connection and direction arrive in the order of sending.
 */
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum lost { LOST_NO_LINK = 1, LOST_CUT, LOST_CHANCE, LOST_DOWN, LOST_EPOCH };

struct packet *packet_new(uint32_t count, uint32_t data_bytes)
{
    struct packet *p =
        sim_alloc(sizeof(*p) + (size_t)count * sizeof(struct item) + (size_t)data_bytes);
    p->count = count;
    p->data_bytes = data_bytes;
    p->items = (struct item *)(p + 1);
    p->data = (uint8_t *)(p->items + count);
    return p;
}

void packet_free(struct packet *p)
{
    free(p);
}

struct packet *packet_copy(const struct packet *p)
{
    struct packet *c = packet_new(p->count, p->data_bytes);
    struct item *items = c->items;
    uint8_t *data = c->data;
    *c = *p;
    c->items = items;
    c->data = data;
    c->next = NULL;
    memcpy(c->items, p->items, (size_t)p->count * sizeof(struct item));
    memcpy(c->data, p->data, p->data_bytes);
    return c;
}

static void note(struct world *w, enum trace_kind kind, const struct packet *p, uint64_t why)
{
    const struct raft_msg *m = &p->msg;
    int received = kind == TR_RECV;
    const struct trace_rec rec = {.at = w->now,
                                  .kind = (uint8_t)kind,
                                  .node = (uint8_t)(received ? m->to : m->from),
                                  .peer = (uint8_t)(received ? m->from : m->to),
                                  .msg_type = m->type,
                                  .msg_flags = m->flags,
                                  .a = m->count,
                                  .b = m->term,
                                  .c = m->index,
                                  .d = kind == TR_LOST ? why : m->commit,
                                  .e = m->seq};
    trace_add(&w->trace, &rec);
}

static void lose(struct world *w, struct packet *p, enum lost why)
{
    MARK(w, MSG_LOST);
    note(w, TR_LOST, p, why);
    packet_free(p);
}

static void arrive(struct world *w, struct packet *p, uint64_t delay)
{
    world_later(w, delay, (struct ev){.kind = EV_DELIVER, .node = (uint8_t)p->msg.to, .p = p});
}

static uint64_t latency(struct world *w)
{
    return w->k.latency_ns + rng_exp(&w->rng_net, w->k.jitter_ns);
}

/* Copies are made before the original can be lost: a stray may be all that arrives. */
static void maybe_copy(struct world *w, const struct packet *p)
{
    if (rng_chance(&w->rng_net, w->k.dup_permille)) {
        MARK(w, MSG_DUPLICATED);
        arrive(w, packet_copy(p), latency(w) + rng_exp(&w->rng_net, w->k.jitter_ns));
    }
    if (rng_chance(&w->rng_net, w->k.replay_permille)) {
        struct packet *c = packet_copy(p);
        c->stray = 1;
        uint64_t scale = rng_chance(&w->rng_net, 300) ? 20 * SIM_SEC : 2 * w->k.raft.election_max;
        arrive(w, c, latency(w) + rng_below(&w->rng_net, scale));
    }
}

static void hold_back(struct world *w, struct packet *p)
{
    if (w->net.held == NULL) {
        w->net.held_end = &w->net.held;
    }
    p->next = NULL;
    *w->net.held_end = p;
    w->net.held_end = &p->next;
}

void net_send(struct world *w, struct packet *p)
{
    struct net *net = &w->net;
    raft_id from = p->msg.from;
    raft_id to = p->msg.to;
    note(w, TR_SEND, p, 0);
    net->sent++;
    check_storm(w, &p->msg);
    p->epoch = net->epoch[from][to];
    p->number = ++net->number[from][to];
    p->from_boot = w->nodes[from].boot;
    p->to_boot = w->nodes[to].boot;
    if (!net->up[from][to]) {
        lose(w, p, LOST_NO_LINK);
        return;
    }
    maybe_copy(w, p);
    if (net->cut[from][to] > 0) {
        if (net->hold[from][to] > 0) {
            hold_back(w, p);
        } else {
            lose(w, p, LOST_CUT);
        }
        return;
    }
    if (rng_chance(&w->rng_net, w->k.loss_permille)) {
        lose(w, p, LOST_CHANCE);
        return;
    }
    uint64_t at = w->now + latency(w);
    if (rng_chance(&w->rng_net, w->k.reorder_permille)) {
        at += rng_exp(&w->rng_net, w->k.jitter_ns * 4);
        if (at < net->last_at[from][to]) {
            MARK(w, MSG_OVERTAKEN);
        }
    } else if (at <= net->last_at[from][to]) {
        at = net->last_at[from][to] + 1;
    }
    if (at > net->last_at[from][to]) {
        net->last_at[from][to] = at;
    }
    arrive(w, p, at - w->now);
}

void net_deliver(struct world *w, struct packet *p)
{
    raft_id from = p->msg.from;
    raft_id to = p->msg.to;
    struct node *n = world_node(w, to);
    if (n->state != HOST_UP) {
        lose(w, p, LOST_DOWN);
        return;
    }
    if (!p->stray && (!w->net.up[from][to] || w->net.epoch[from][to] != p->epoch)) {
        if (p->number > w->net.rest[from][to]) {
            lose(w, p, LOST_EPOCH);
            return;
        }
        MARK(w, MSG_AFTER_RESET);
    }
    if (p->number > w->net.arrived[from][to]) {
        w->net.arrived[from][to] = p->number;
    }
    if (p->stray) {
        MARK(w, MSG_REPLAYED);
        if (p->to_boot != n->boot || p->from_boot != w->nodes[from].boot) {
            MARK(w, MSG_OF_EARLIER_LIFE);
        }
    }
    note(w, TR_RECV, p, 0);
    host_recv(w, n, p);
    packet_free(p);
}

static void tell_links(struct world *w, raft_id a, raft_id b)
{
    world_later(w, rng_below(&w->rng_net, w->k.latency_ns),
                (struct ev){.kind = EV_LINK, .node = (uint8_t)a, .peer = (uint8_t)b});
    world_later(w, rng_below(&w->rng_net, w->k.latency_ns),
                (struct ev){.kind = EV_LINK, .node = (uint8_t)b, .peer = (uint8_t)a});
}

/* A connection breaks: of what is under way the first part may still arrive, the rest is lost. */
static void leave_rest(struct world *w, raft_id from, raft_id to)
{
    struct net *net = &w->net;
    uint64_t part = rng_below(&w->rng_net, 2) *
                    rng_below(&w->rng_net, net->number[from][to] - net->arrived[from][to] + 1);
    net->rest[from][to] = net->arrived[from][to] + part;
}

static void set_link(struct world *w, raft_id a, raft_id b, uint8_t up)
{
    struct net *net = &w->net;
    net->up[a][b] = net->up[b][a] = up;
    if (!up) {
        leave_rest(w, a, b);
        leave_rest(w, b, a);
    }
    net->epoch[a][b]++;
    net->epoch[b][a] = net->epoch[a][b];
    tell_links(w, a, b);
}

void net_break(struct world *w, raft_id a, raft_id b)
{
    if (w->net.up[a][b]) {
        set_link(w, a, b, 0);
    }
}

void net_connect(struct world *w, raft_id a, raft_id b)
{
    struct net *net = &w->net;
    int alive = world_alive(w, a) && world_alive(w, b);
    int cut = net->cut[a][b] > 0 || net->cut[b][a] > 0;
    if (net->up[a][b]) {
        if (!alive || (cut && rng_chance(&w->rng_net, 100))) {
            net_break(w, a, b);
        }
    } else if (alive && !cut && rng_chance(&w->rng_net, 800)) {
        set_link(w, a, b, 1);
    }
    world_later(w, rng_range(&w->rng_net, 10 * SIM_MS, 120 * SIM_MS),
                (struct ev){.kind = EV_CONNECT, .node = (uint8_t)a, .peer = (uint8_t)b});
}

void net_release(struct world *w)
{
    struct packet *p = w->net.held;
    w->net.held = NULL;
    uint64_t delay = 0;
    while (p != NULL) {
        struct packet *next = p->next;
        if (w->net.cut[p->msg.from][p->msg.to] > 0) {
            hold_back(w, p);
        } else {
            MARK(w, MSG_HELD);
            arrive(w, p, ++delay);
        }
        p = next;
    }
}

void net_finish(struct world *w)
{
    while (w->net.held != NULL) {
        struct packet *next = w->net.held->next;
        packet_free(w->net.held);
        w->net.held = next;
    }
}
