/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.c: one seed from its first event to its verdict.
 */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum stream {
    STREAM_KNOBS = 1,
    STREAM_TIE,
    STREAM_NET,
    STREAM_DISK,
    STREAM_HOST,
    STREAM_CLIENT,
    STREAM_NEMESIS
};

void sim_fail(struct world *w, const char *format, ...)
{
    if (w->failed) {
        return;
    }
    w->failed = 1;
    va_list args;
    va_start(args, format);
    vsnprintf(w->why, sizeof(w->why), format, args);
    va_end(args);
}

void world_later(struct world *w, uint64_t delay, struct ev e)
{
    e.at = w->now + delay;
    e.tie = rng_next(&w->rng_tie);
    evq_push(&w->q, &e);
}

struct node *world_node(struct world *w, raft_id id)
{
    return id >= 1 && id <= w->k.nodes ? &w->nodes[id] : NULL;
}

int world_alive(const struct world *w, raft_id id)
{
    return w->nodes[id].state == HOST_UP;
}

/* ------------------------------------------------------------------------------------------- */

void world_heal(struct world *w)
{
    w->phase = PHASE_SETTLE;
    w->healed_at = w->now;
    trace_add(&w->trace, &(struct trace_rec){.at = w->now, .kind = TR_PHASE, .a = PHASE_SETTLE});
    nemesis_heal(w);
    world_later(w, 0, (struct ev){.kind = EV_WATCH});
}

static void dispatch_node(struct world *w, struct node *n, const struct ev *e)
{
    switch (e->kind) {
    case EV_TICK:
        host_tick(w, n, e->a);
        break;
    case EV_POLL:
        host_poll(w, n);
        break;
    case EV_APPLY:
        host_apply(w, n);
        break;
    case EV_DISK_DONE:
        disk_done(w, n);
        break;
    case EV_DISK_IDLE:
        disk_idle(w, n, e->a);
        break;
    case EV_SNAP_TAKEN:
        snap_taken(w, n);
        break;
    case EV_CHUNK_STORED:
        snap_chunk_stored(w, n, e);
        break;
    case EV_SNAP_LOADED:
        snap_loaded(w, n);
        break;
    case EV_CRASH:
        host_end(w, n, (enum host_end)e->a);
        world_later(w, w->k.raft.election_max, (struct ev){.kind = EV_BOOT, .node = e->node});
        break;
    default:
        break;
    }
}

/* A paused process takes nothing in; everything waits for it. */
static void put_off(struct node *n, const struct ev *e)
{
    if (n->late_count == n->late_cap) {
        n->late_cap = n->late_cap ? n->late_cap * 2 : 64;
        n->late = sim_realloc(n->late, n->late_cap * sizeof(n->late[0]));
    }
    n->late[n->late_count++] = *e;
}

/* What waited comes in one burst: in its order, or timers first, or timers last. */
static void resume(struct world *w, struct node *n)
{
    n->paused = 0;
    if (n->space_owed && n->state == HOST_UP) {
        struct raft_event ev = {.type = RAFT_EV_DISK, .value = 1};
        (void)host_step(w, n, &ev);
    }
    n->space_owed = 0;
    uint64_t order = rng_below(&w->rng_host, 3);
    for (size_t i = 0; i < n->late_count; i++) {
        struct ev e = n->late[i];
        e.at = w->now;
        e.tie = i + 1;
        if (e.kind == EV_TICK && order > 0) {
            e.tie = order == 1 ? 0 : n->late_count + 1;
        }
        evq_push(&w->q, &e);
    }
    n->late_count = 0;
    int asked = knobs_has(&w->k, FAULT_PAUSE) || knobs_has(&w->k, FAULT_USURP);
    if (asked && n->state == HOST_UP && rng_chance(&w->rng_client, 600)) {
        uint64_t ignored = 0; /* a client is faster than everything that waited */
        (void)client_read(w, n, &ignored);
    }
}

static int of_process(uint8_t kind)
{
    return kind == EV_TICK || kind == EV_POLL || kind == EV_APPLY || kind == EV_DISK_DONE ||
           kind == EV_DISK_IDLE || kind == EV_SNAP_TAKEN || kind == EV_CHUNK_STORED ||
           kind == EV_SNAP_LOADED || kind == EV_CRASH;
}

void world_dispatch(struct world *w, const struct ev *e)
{
    struct node *n = world_node(w, e->node);
    if (of_process(e->kind) && (n->state != HOST_UP || n->boot != e->boot)) {
        return;
    }
    if (n != NULL && n->paused && n->state == HOST_UP &&
        (of_process(e->kind) || e->kind == EV_DELIVER || e->kind == EV_LINK)) {
        put_off(n, e);
        return;
    }
    switch (e->kind) {
    case EV_DELIVER:
        net_deliver(w, e->p);
        break;
    case EV_CONNECT:
        net_connect(w, e->node, e->peer);
        break;
    case EV_LINK:
        if (n->state == HOST_UP) {
            host_link(w, n, e->peer);
        }
        break;
    case EV_BOOT:
        host_boot(w, n);
        break;
    case EV_RESUME:
        resume(w, n);
        break;
    case EV_CLIENT:
        client_step(w);
        break;
    case EV_PAUSE:
        if (n->boot == e->boot) {
            usurp_pause(w, n);
        }
        break;
    case EV_CAMPAIGN:
        usurp_campaign(w, n);
        break;
    case EV_ASK:
        client_ask(w, n, e->a);
        break;
    case EV_NEMESIS:
        nemesis_step(w);
        break;
    case EV_UNDO:
        nemesis_undo(w, e->a);
        break;
    case EV_HEAL:
        world_heal(w);
        break;
    case EV_WATCH:
        check_watch(w);
        break;
    default:
        dispatch_node(w, n, e);
    }
}

/* ------------------------------------------------------------------------------------------- */

static struct world *world_create(const struct world_run *run, struct marks *m)
{
    struct world *w = sim_alloc(sizeof(*w));
    struct rng r;
    w->seed = run->seed;
    w->marks = m;
    w->trace.live = run->trace;
    w->phase = PHASE_CHAOS;
    rng_init(&r, run->seed, STREAM_KNOBS);
    knobs_draw(&w->k, run->with, run->without, &r);
    rng_init(&w->rng_tie, run->seed, STREAM_TIE);
    rng_init(&w->rng_net, run->seed, STREAM_NET);
    rng_init(&w->rng_disk, run->seed, STREAM_DISK);
    rng_init(&w->rng_host, run->seed, STREAM_HOST);
    rng_init(&w->rng_client, run->seed, STREAM_CLIENT);
    rng_init(&w->rng_nemesis, run->seed, STREAM_NEMESIS);
    w->rough_network =
        w->k.reorder_permille + w->k.replay_permille + w->k.dup_permille + w->k.loss_permille > 0;
    check_config_begin(w);
    return w;
}

struct world *world_open(const struct knobs *k, struct marks *m)
{
    struct world *w = sim_alloc(sizeof(*w));
    w->marks = m;
    w->phase = PHASE_CHAOS;
    w->k = *k;
    struct rng *streams[] = {&w->rng_tie,  &w->rng_net,    &w->rng_disk,
                             &w->rng_host, &w->rng_client, &w->rng_nemesis};
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        rng_init_flat(streams[i]);
    }
    check_config_begin(w);
    return w;
}

static void start(struct world *w)
{
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = &w->nodes[id];
        host_create(w, n, id);
        if (w->k.drift_ppm > 0) {
            MARK(w, CLOCK_DRIFTED);
            uint64_t span = 2 * (uint64_t)w->k.drift_ppm;
            uint64_t off = rng_range(&w->rng_host, 0, span);
            if (rng_chance(&w->rng_host, 400)) {
                off = off * 2 < span ? 0 : span; /* as far apart as clocks may be */
            }
            n->clk_ppm += off;
            n->clk_ppm -= w->k.drift_ppm;
        }
        uint64_t wait = rng_below(&w->rng_host, w->k.raft.election_max);
        if (id <= w->k.voters + w->k.learners) {
            n->member = 1;
            world_later(w, wait, (struct ev){.kind = EV_BOOT, .node = (uint8_t)id});
        } else {
            n->state = HOST_ABSENT;
        }
        for (raft_id peer = id + 1; peer <= w->k.nodes; peer++) {
            world_later(
                w, 0, (struct ev){.kind = EV_CONNECT, .node = (uint8_t)id, .peer = (uint8_t)peer});
        }
    }
    world_later(w, 0, (struct ev){.kind = EV_CLIENT});
    world_later(w, w->k.nemesis_ns, (struct ev){.kind = EV_NEMESIS});
    world_later(w, w->k.chaos_ns, (struct ev){.kind = EV_HEAL});
}

void world_close(struct world *w)
{
    struct ev e;
    for (raft_id id = 1; id <= w->k.nodes; id++) {
        struct node *n = &w->nodes[id];
        for (size_t i = 0; i < n->late_count; i++) {
            if (n->late[i].kind == EV_DELIVER) {
                packet_free(n->late[i].p);
            }
        }
        host_finish(w, n);
    }
    while (evq_pop(&w->q, &e)) {
        if (e.kind == EV_DELIVER) {
            packet_free(e.p);
        }
    }
    net_finish(w);
    client_finish(w);
    evq_finish(&w->q);
    free(w->ledger.commits);
    free(w->ledger.configs);
    free(w->ledger.history);
    free(w->ledger.terms);
    free(w->ledger.pairs);
    arena_finish(&w->arena);
    free(w);
}

void world_run(const struct world_run *run, struct marks *m, struct world_result *ret_result)
{
    struct world *w = world_create(run, m);
    struct ev e;
    if (run->current != NULL) {
        *run->current = w;
    }
    if (run->verbose) {
        printf("seed %llu\n", (unsigned long long)w->seed);
        knobs_print(&w->k);
    }
    start(w);
    while (!w->failed && w->phase != PHASE_DONE && evq_pop(&w->q, &e)) {
        w->now = e.at;
        world_dispatch(w, &e);
        if (++w->steps > WORLD_STEPS_MAX) {
            sim_fail(w, "more than %u events: a storm (R13)", WORLD_STEPS_MAX);
        }
    }
    if (w->failed) {
        printf("sim: seed %llu FAILED at %.6f s: %s\n", (unsigned long long)w->seed,
               (double)w->now / 1e9, w->why);
        trace_dump(&w->trace, stdout, 60);
        knobs_print(&w->k);
    }
    *ret_result = (struct world_result){.failed = w->failed,
                                        .hash = w->trace.hash,
                                        .steps = w->steps,
                                        .virtual_ns = w->now,
                                        .converged_ns = w->converged_ns,
                                        .committed = w->ledger.committed,
                                        .reads_ok = w->client.reads_ok,
                                        .sent = w->net.sent,
                                        .storm_max = w->storm_max};
    memcpy(ret_result->why, w->why, sizeof(w->why));
    if (run->current != NULL) {
        *run->current = NULL;
    }
    world_close(w);
}
