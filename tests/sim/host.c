/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host.c: the process around one core: its clock, its log of payloads, its loop. How it begins and ends
 * is in host_life.c.
 *
 * It does what a real host has to do by the contract of raft.h, with a seeded delay at every place
 * where a real one may be slow: between an event and the poll for actions, between commit and apply,
 * at the disk (host_disk.c), while a snapshot is written or loaded (host_snap.c).
 *
 * Invariants
 *   1. n->log holds exactly the core's entries from its first to its last (check_node.c compares).
 *   2. raft_step is never called between raft_poll and raft_done.
 *   3. What is handed to the network, the disk and the state machine is what an action asked for.
 */
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define POLLS_MAX 10000 /* rounds of one poll; more means that `more` never ends */

void host_later(struct world *w, struct node *n, uint64_t delay, struct ev e)
{
    e.node = (uint8_t)n->id;
    e.boot = n->boot;
    world_later(w, delay, e);
}

/* ------------------------------------------------------------------------------------------- */
/* Clock                                                                                         */

uint64_t host_now(const struct world *w, const struct node *n)
{
    uint64_t passed = w->now - n->clk_virtual;
    return n->clk_local + passed / 1000000 * n->clk_ppm + passed % 1000000 * n->clk_ppm / 1000000;
}

void host_set_clock(struct world *w, struct node *n, uint64_t jump, uint64_t ppm)
{
    n->clk_local = host_now(w, n) + jump;
    n->clk_virtual = w->now;
    n->clk_ppm = ppm;
    if (n->state == HOST_UP) {
        n->tick_at = UINT64_MAX;
        host_arm_tick(w, n);
    }
}

void host_arm_tick(struct world *w, struct node *n)
{
    raft_ns due = raft_deadline(n->raft);
    if (due == UINT64_MAX) {
        n->tick_at = UINT64_MAX;
        n->tick_generation++;
        return;
    }
    uint64_t now = host_now(w, n);
    uint64_t wait = due > now ? due - now : 0;
    if (wait > 3600 * SIM_SEC) {
        sim_fail(w, "n%u: deadline %" PRIu64 " s away", n->id, wait / SIM_SEC);
        return;
    }
    uint64_t at = w->now + wait * 1000000 / n->clk_ppm + (wait > 0);
    if (at != n->tick_at) {
        n->tick_at = at;
        host_later(w, n, at - w->now, (struct ev){.kind = EV_TICK, .a = ++n->tick_generation});
    }
}

void host_tick(struct world *w, struct node *n, uint64_t generation)
{
    if (generation != n->tick_generation) {
        return;
    }
    n->tick_at = UINT64_MAX;
    trace_add(&w->trace,
              &(struct trace_rec){.at = w->now, .kind = TR_TICK, .node = (uint8_t)n->id});
    struct raft_event ev = {.type = RAFT_EV_TICK};
    disk_owed(w, n);            /* a turn looks at the disk before it looks at the clock */
    (void)host_step(w, n, &ev); /* fails only when faulted, which check_node sees */
    if (!w->failed) {
        check_ticked(w, n);
    }
}

/* ------------------------------------------------------------------------------------------- */
/* Actions                                                                                       */

static void send_message(struct world *w, struct node *n, const struct raft_send *s)
{
    const struct raft_msg *m = &s->msg;
    if (m->to == 0 || m->to > w->k.nodes || m->to == n->id || m->from != n->id) {
        sim_fail(w, "n%u: message from %u to %u", n->id, m->from, m->to);
        return;
    }
    check_speech(w, n, m);
    check_told_speech(n, m);
    uint32_t count = m->type == RAFT_MSG_APPEND ? m->count : 0;
    struct packet *p = packet_new(count, m->type == RAFT_MSG_SNAPSHOT ? m->count : 0);
    p->msg = *m;
    for (uint32_t i = 0; i < count && !w->failed; i++) {
        const struct item *it = elog_at(&n->log, m->index + 1 + i);
        if (it == NULL) {
            sim_fail(w, "n%u: told to send entry %" PRIu64 ", which is not in its log", n->id,
                     m->index + 1 + i);
        } else {
            p->items[i] = *it;
        }
    }
    if (w->failed || (m->type == RAFT_MSG_SNAPSHOT && !snap_attach(w, n, p))) {
        packet_free(p);
        return;
    }
    net_send(w, p);
    if (m->type == RAFT_MSG_TIMEOUT_NOW && n->sleep_when_told) {
        n->sleep_when_told = 0;
        host_later(w, n, 0, (struct ev){.kind = EV_PAUSE});
    }
}

static void note_commit(struct world *w, struct node *n, raft_index commit)
{
    if (commit < n->commit || commit > elog_last(&n->log)) {
        sim_fail(w,
                 "n%u: told to apply through %" PRIu64 " after %" PRIu64 ", log ends at %" PRIu64,
                 n->id, commit, n->commit, elog_last(&n->log));
        return;
    }
    if (commit > n->commit) {
        n->commit = commit;
        trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                                 .kind = TR_COMMIT,
                                                 .node = (uint8_t)n->id,
                                                 .a = commit,
                                                 .b = elog_chain(&n->log, commit)});
    }
    if (n->machine.applied < n->commit && !n->apply_due) {
        n->apply_due = 1;
        host_later(w, n, rng_below(&w->rng_host, w->k.apply_ns + 1), (struct ev){.kind = EV_APPLY});
    }
}

static void take_actions(struct world *w, struct node *n, const struct raft_actions *a)
{
    for (uint32_t i = 0; i < a->persist_count && !w->failed; i++) {
        disk_enqueue(w, n, &a->persist[i]);
    }
    for (uint32_t i = 0; i < a->drops_count && !w->failed; i++) {
        client_dropped(w, n, &a->drops[i]);
    }
    for (uint32_t i = 0; i < a->sends_count && !w->failed; i++) {
        send_message(w, n, &a->sends[i]);
    }
    for (uint32_t i = 0; i < a->reads_count && !w->failed; i++) {
        client_answer(w, n, &a->reads[i]);
    }
    if (a->snap_chunk != NULL && !w->failed) {
        snap_store_chunk(w, n, a->snap_chunk);
    }
    if (!w->failed && !n->install.active) {
        note_commit(w, n,
                    a->commit); /* first: what is committed here is not lost to the snapshot */
    }
    if (a->snap_install != NULL && !w->failed) {
        snap_begin_install(w, n, a->snap_install);
    }
}

/* A proposal whose place another entry took must have been reported by now. */
static void check_pendings(struct world *w, struct node *n)
{
    for (size_t i = 0; i < n->pend.count; i++) {
        const struct pending *p = &n->pend.v[n->pend.head + i];
        if (p->index > n->log.base && elog_term(&n->log, p->index) != p->term) {
            sim_fail(w, "n%u: proposal %" PRIu64 " at %" PRIu64 " was replaced and not reported",
                     n->id, p->id, p->index);
            return;
        }
    }
}

void host_poll(struct world *w, struct node *n)
{
    n->poll_due = 0;
    int more = 1;
    disk_owed(w, n);
    for (int i = 0; more && !w->failed; i++) {
        const struct raft_actions *a = raft_poll(n->raft);
        take_actions(w, n, a);
        more = a->more;
        raft_done(n->raft);
        if (i == POLLS_MAX) {
            sim_fail(w, "n%u: polling never ends", n->id);
        }
    }
    if (!w->failed) {
        check_pendings(w, n);
    }
    if (!w->failed) {
        check_told(w, n);
    }
    if (!w->failed) {
        host_arm_tick(w, n);
        disk_kick(w, n);
    }
}

/* The payload of a configuration that the core has put at index. Return: 0 when it is none. */
static int encode_config(struct world *w, struct node *n, raft_index index, struct item *it)
{
    const struct raft_config_at *c = raft_config_at(n->raft, index);
    uint32_t bytes = w->k.raft.config_bytes;
    if (c == NULL || c->index != index || it->bytes != bytes) {
        return 0;
    }
    uint8_t *data = arena_alloc(&w->arena, bytes);
    memset(data, 0x5c, bytes); /* what a host has to say beside the roles */
    raft_config_encode(&c->config, data);
    it->data = data;
    return 1;
}

/* Entries that the core made itself: a leader's first of its term, the steps of a change. */
static void adopt_own_entries(struct world *w, struct node *n, raft_index last)
{
    while (elog_last(&n->log) < last && !w->failed) {
        raft_index index = elog_last(&n->log) + 1;
        const struct raft_entry *e = raft_entry_at(n->raft, index);
        struct item it = {0};
        int own = e != NULL && n->st.role == RAFT_LEADER && e->term == n->st.term;
        if (own) {
            it = (struct item){.term = e->term, .type = e->type, .bytes = e->bytes};
            own = (e->type == RAFT_ENTRY_NOOP && e->bytes == 0) ||
                  (e->type == RAFT_ENTRY_CONFIG && encode_config(w, n, index, &it));
        }
        if (!own) {
            sim_fail(w, "n%u: entry %" PRIu64 " appeared in the core's log", n->id, index);
            return;
        }
        elog_push(&n->log, &it);
        check_entry(w, n, index, elog_at(&n->log, index));
    }
}

/* Put the payloads of accepted entries where the core put the entries. */
static void put_entries(struct world *w, struct node *n, const struct raft_event *ev,
                        const struct raft_accept *acc, const struct item *items)
{
    if (acc->skip + acc->count > ev->count || acc->first > elog_last(&n->log) + 1 ||
        acc->first <= n->log.base) {
        sim_fail(w,
                 "n%u: accepts %u entries at %" PRIu64 " of %u, its log is %" PRIu64 "..%" PRIu64,
                 n->id, acc->count, acc->first, ev->count, n->log.base + 1, elog_last(&n->log));
        return;
    }
    if (acc->first <= elog_last(&n->log)) {
        check_truncate(w, n, acc->first);
        elog_truncate(&n->log, acc->first);
        if (cfg_newest(n)->index >= acc->first) {
            MARK(w, CONFIG_ROLLED_BACK);
        }
        cfg_truncate(n, acc->first);
    }
    for (uint32_t i = 0; i < acc->count && !w->failed; i++) {
        struct item it = items[acc->skip + i];
        if (ev->type == RAFT_EV_PROPOSE) {
            it.term = acc->term;
            it.type = RAFT_ENTRY_COMMAND;
        }
        elog_push(&n->log, &it);
        check_entry(w, n, acc->first + i, elog_at(&n->log, acc->first + i));
    }
}

int host_feed(struct world *w, struct node *n, struct raft_event *ev, const struct item *items,
              struct raft_accept *ret_accept)
{
    struct raft_accept acc = {0};
    ev->now = host_now(w, n);
    n->event_at = ev->now;
    n->config_before = cfg_newest(n)->index;
    n->led_before = n->st.role == RAFT_LEADER ? n->st.term : 0;
    int result = raft_step(n->raft, ev, &acc);
    raft_status(n->raft, &n->st);
    int puts = result == 0 && acc.count > 0 && ev->type != RAFT_EV_PROPOSE_CONFIG;
    adopt_own_entries(w, n, puts ? acc.first - 1 : n->st.last);
    if (puts && !w->failed) {
        put_entries(w, n, ev, &acc, items);
        adopt_own_entries(w, n, n->st.last);
    }
    if (ret_accept != NULL) {
        *ret_accept = acc;
    }
    if (!w->failed) {
        check_node(w, n);
    }
    if (!w->failed && puts && snap_nearly_full(w, n)) {
        snap_maybe_take(w, n);
    }
    return result;
}

void host_react(struct world *w, struct node *n, const struct raft_event *ev)
{
    if (w->failed) {
        return;
    }
    int chunk = ev->type == RAFT_EV_RECV && ev->msg->type == RAFT_MSG_SNAPSHOT;
    if (w->k.loop_ns == 0 || chunk) {
        host_poll(w, n);
    } else if (!n->poll_due) {
        n->poll_due = 1;
        host_later(w, n, rng_below(&w->rng_host, w->k.loop_ns), (struct ev){.kind = EV_POLL});
    }
}

int host_step(struct world *w, struct node *n, struct raft_event *ev)
{
    int result = host_feed(w, n, ev, NULL, NULL);
    host_react(w, n, ev);
    return result;
}

/* ------------------------------------------------------------------------------------------- */
/* Events                                                                                        */

void host_recv(struct world *w, struct node *n, struct packet *p)
{
    struct raft_entry *entries = NULL;
    if (p->count > 0) {
        entries = sim_alloc(p->count * sizeof(entries[0]));
        for (uint32_t i = 0; i < p->count; i++) {
            entries[i].term = p->items[i].term;
            entries[i].bytes = p->items[i].bytes;
            entries[i].type = p->items[i].type;
        }
    }
    struct raft_config_at *configs = NULL;
    struct raft_event ev = {.type = RAFT_EV_RECV,
                            .peer = p->msg.from,
                            .msg = &p->msg,
                            .entries = entries,
                            .count = p->msg.count};
    if (p->msg.type == RAFT_MSG_SNAPSHOT) {
        ev.configs = &p->config;
        ev.configs_count = 1;
    } else if (p->count > 0) {
        ev.configs_count =
            (uint32_t)cfg_decode_items(p->items, p->count, p->msg.index + 1, &configs);
        ev.configs = configs;
    }
    n->recv_now = p;
    (void)host_feed(w, n, &ev, p->items, NULL); /* fails only when faulted, which check_node sees */
    host_react(w, n, &ev);
    n->recv_now = NULL;
    free(entries);
    free(configs);
}

void host_link(struct world *w, struct node *n, raft_id peer)
{
    int up = w->net.up[n->id][peer];
    uint32_t epoch = w->net.epoch[n->id][peer];
    if (n->link_epoch[peer] == epoch) {
        return;
    }
    /* A connection that broke and came back in between broke first. */
    int first = n->link_known[peer] ? 0 : up;
    n->link_epoch[peer] = epoch;
    for (int value = first; value <= up && !w->failed; value++) {
        trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                                 .kind = TR_LINK,
                                                 .node = (uint8_t)n->id,
                                                 .peer = (uint8_t)peer,
                                                 .a = (uint64_t)value});
        struct raft_event ev = {.type = RAFT_EV_PEER_LINK, .peer = peer, .value = (uint64_t)value};
        n->link_known[peer] = value;
        (void)host_step(w, n, &ev);
    }
}

void host_apply(struct world *w, struct node *n)
{
    n->apply_due = 0;
    if (n->install.active || n->st.role == RAFT_FAULTED) {
        return; /* the state is about to be replaced */
    }
    raft_index to = n->commit;
    if (w->k.apply_ns > 0 && to > n->machine.applied + 1) {
        to = rng_range(&w->rng_host, n->machine.applied + 1, to);
    }
    while (n->machine.applied < to && !w->failed) {
        raft_index index = n->machine.applied + 1;
        const struct item *it = elog_at(&n->log, index);
        if (it == NULL) {
            sim_fail(w, "n%u: entry %" PRIu64 " to apply is not in its log", n->id, index);
            return;
        }
        machine_apply(&n->machine, it);
        check_applied(w, n);
        client_applied(w, n, index, it->term);
    }
    trace_add(&w->trace, &(struct trace_rec){.at = w->now,
                                             .kind = TR_APPLIED,
                                             .node = (uint8_t)n->id,
                                             .a = n->machine.applied});
    if (w->failed) {
        return;
    }
    if (n->machine.applied < n->commit) {
        n->apply_due = 1;
        host_later(w, n, 1 + rng_below(&w->rng_host, w->k.apply_ns + 1),
                   (struct ev){.kind = EV_APPLY});
    }
    snap_maybe_take(w, n);
    struct raft_event ev = {.type = RAFT_EV_APPLIED, .index = n->machine.applied};
    (void)host_step(w, n, &ev);
}
