/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.c: messages between members: delayed, lost, doubled, overtaken, cut; and what each member is told
 * of its connections.
 *
 * A connection is up while both processes run and neither direction is cut in a way that is noticed. A cut that
 * is not noticed only swallows messages, like a firewall. Threads: one.
 */
#include "tests/service/world.h"

#include <stdlib.h>

static bool running(const struct world *w, raft_id id)
{
    return w->members[id].node != NULL;
}

bool peers_connected(const struct world *w, raft_id a, raft_id b)
{
    return running(w, a) && running(w, b) && !w->cut[a][b] && !w->cut[b][a];
}

/* In order, as a connection delivers, but where overtaking is drawn. */
static void deliver_later(struct world *w, raft_id from, raft_id to, struct coord_buf *own,
                          bool again)
{
    uint64_t at = w->now + world_latency(w);
    if (again || rng_chance(&w->rng_net, w->k.reorder_permille)) {
        at += rng_exp(&w->rng_net, 10 * (w->k.latency_ns + w->k.jitter_ns));
    } else {
        at = at < w->link_last[from][to] ? w->link_last[from][to] : at;
        w->link_last[from][to] = at + 1; /* no two at one moment: the order of those is drawn */
    }
    world_at(w, at,
             (struct ev){.kind = SE_MESSAGE, .node = (uint8_t)to, .peer = (uint8_t)from, .p = own});
}

static struct coord_buf *copy_of(const struct coord_buf *b)
{
    struct coord_buf *copy = coord_buf_copy(b->data, b->len);
    if (copy == NULL) {
        abort();
    }
    return copy;
}

static bool is_lost(const struct member *m, raft_id to)
{
    struct world *w = m->w;
    return w->cut[m->id][to] || !w->link_up[m->id][to] ||
           rng_chance(&w->rng_net, w->k.loss_permille);
}

static void send(struct member *m, raft_id to, struct coord_buf *whole, bool lost)
{
    struct world *w = m->w;
    w->messages++;
    world_trace(w, TR_MESSAGE, 'n', m->id, to, whole->len, lost, 0, NULL);
    if (lost) {
        coord_buf_unref(whole);
        return;
    }
    if (rng_chance(&w->rng_net, w->k.dup_permille)) {
        deliver_later(w, m->id, to, copy_of(whole), true);
    }
    deliver_later(w, m->id, to, whole, false);
}

void peers_send(struct member *m, raft_id to, struct coord_buf *whole)
{
    send(m, to, whole, is_lost(m, to));
}

void peers_send_chunk(struct member *m, raft_id to, struct coord_buf *whole,
                      const struct raft_msg *msg)
{
    struct world *w = m->w;
    bool lost = rng_chance(&w->rng_net, w->k.chunk_loss_permille) || is_lost(m, to);
    if (w->chunk_lost[m->id][to].index == msg->index &&
        w->chunk_lost[m->id][to].offset == msg->offset) {
        MARK(w, CHUNK_AGAIN);
    }
    if (lost) {
        MARK(w, CHUNK_LOST);
        w->chunk_lost[m->id][to].index = msg->index;
        w->chunk_lost[m->id][to].offset = msg->offset;
    }
    send(m, to, whole, lost);
}

void peers_deliver(struct world *w, const struct ev *e)
{
    struct member *m = &w->members[e->node];
    struct coord_buf *buf = e->p;
    if (m->node == NULL || w->cut[e->peer][e->node]) {
        coord_buf_unref(buf);
        return;
    }
    if (m->paused_until > w->now) {
        struct ev later = *e;
        world_at(w, m->paused_until, later);
        return;
    }
    world_enter_member(m);
    node_peer_frame(m->node, e->peer, buf, member_now(m));
    world_leave();
    member_poke(m);
}

void peers_update(struct world *w, raft_id a, raft_id b, bool reset)
{
    bool up = peers_connected(w, a, b);
    const raft_id ends[2][2] = {{a, b}, {b, a}};
    for (int i = 0; i < 2; i++) {
        raft_id me = ends[i][0];
        raft_id other = ends[i][1];
        if (!running(w, me)) {
            continue;
        }
        uint64_t gen = ++w->link_gen[me][other];
        struct ev e = {.kind = SE_LINK, .node = (uint8_t)me, .peer = (uint8_t)other, .b = gen};
        uint64_t delay = world_latency(w);
        if (reset || !up) {
            e.a = reset ? 2 : 0;
            world_later(w, delay, e);
        }
        if (up) {
            e.a = 1;
            world_later(w, delay + 20 * SVC_MS, e);
        }
    }
}

/* A member finds out. What it believes may have been overtaken. */
void peers_learn(struct world *w, const struct ev *e)
{
    struct member *m = &w->members[e->node];
    bool up = e->a == 1;
    if (m->node == NULL || e->b != w->link_gen[e->node][e->peer]) {
        return;
    }
    if (m->paused_until > w->now) {
        world_at(w, m->paused_until, *e);
        return;
    }
    if (up && !peers_connected(w, e->node, e->peer)) {
        return;
    }
    if (w->link_up[e->node][e->peer] == up) {
        return;
    }
    w->link_up[e->node][e->peer] = up;
    world_trace(w, TR_LINK, 'n', m->id, e->peer, up, 0, 0, NULL);
    world_enter_member(m);
    node_peer_link(m->node, e->peer, up, member_now(m));
    world_leave();
    member_poke(m);
}
