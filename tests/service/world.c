/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.c: one seed from its first event to its verdict: clocks, the queue, dispatch. Threads: one.
 */
#define _GNU_SOURCE 1
#include "tests/service/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/sim/util.h"

enum stream_of_chance {
    STREAM_KNOBS = 1,
    STREAM_TIE,
    STREAM_NET,
    STREAM_DISK,
    STREAM_NEMESIS,
    STREAM_WORK
};

static struct member *inside_member;
static struct actor *inside_actor;

void world_enter_member(struct member *m)
{
    inside_member = m;
    inside_actor = NULL;
}

void world_enter_actor(struct actor *a)
{
    inside_actor = a;
    inside_member = NULL;
}

void world_leave(void)
{
    inside_member = NULL;
    inside_actor = NULL;
}

struct member *world_member(void)
{
    return inside_member;
}

struct actor *world_actor(void)
{
    return inside_actor;
}

/* --- clocks -------------------------------------------------------------------------------------- */

uint64_t clk_local(const struct clk *c, uint64_t now)
{
    int64_t passed = (int64_t)(now - c->since);
    return c->base +
           (uint64_t)(passed + passed / 1000000 * c->ppm + passed % 1000000 * c->ppm / 1000000);
}

uint64_t clk_world(const struct clk *c, uint64_t local, uint64_t now)
{
    uint64_t here = clk_local(c, now);
    if (local <= here) {
        return now;
    }
    uint64_t left = local - here;
    uint64_t rate = (uint64_t)(1000000 + c->ppm);
    uint64_t wait = left / rate * 1000000 + left % rate * 1000000 / rate + 1;
    while (clk_local(c, now + wait) < local) {
        wait++;
    }
    return now + wait;
}

void clk_jump(struct clk *c, uint64_t now, uint64_t by)
{
    c->base = clk_local(c, now) + by;
    c->since = now;
}

/* --- words --------------------------------------------------------------------------------------- */

void world_fail(struct world *w, const char *format, ...)
{
    if (w->failed) {
        return;
    }
    w->failed = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->why, sizeof(w->why), format, args);
    va_end(args);
}

void world_judging(struct world *w)
{
    w->judging = true;
}

void world_judged(struct world *w, const char *verdict)
{
    w->judging = false;
    if (verdict != NULL) {
        world_fail(w, "%s", verdict);
    }
}

void world_trace(struct world *w, enum trace_kind kind, char who, uint32_t which, uint64_t a,
                 uint64_t b, uint64_t c, uint64_t d, const char *words)
{
    struct trace_rec rec = {
        .at = w->now, .kind = (uint8_t)kind, .who = who, .which = (uint8_t)which};
    rec.v[0] = a;
    rec.v[1] = b;
    rec.v[2] = c;
    rec.v[3] = d;
    trace_add(&w->trace, &rec, words);
}

/* --- events -------------------------------------------------------------------------------------- */

void world_at(struct world *w, uint64_t at, struct ev e)
{
    e.at = at < w->now ? w->now : at;
    e.tie = rng_next(&w->rng_tie);
    evq_push(&w->q, &e);
}

void world_later(struct world *w, uint64_t delay, struct ev e)
{
    world_at(w, w->now + delay, e);
}

uint64_t world_latency(struct world *w)
{
    return w->k.latency_ns + rng_exp(&w->rng_net, w->k.jitter_ns);
}

static void heal(struct world *w)
{
    w->phase = PHASE_SETTLE;
    w->healed_at = w->phase_at = w->now;
    world_trace(w, TR_PHASE, 'w', 0, PHASE_SETTLE, 0, 0, 0, NULL);
    nemesis_heal(w);
    world_later(w, 100 * SVC_MS, (struct ev){.kind = SE_LOOK});
}

static void dispatch_disk(struct member *m, const struct ev *e)
{
    switch ((enum svc_event)e->kind) {
    case SE_WRITTEN:
        media_written(m);
        break;
    case SE_READ:
        media_read_done(m);
        break;
    case SE_IDLE:
        media_idle(m, e->a);
        break;
    case SE_SNAP:
        media_job_done(m);
        break;
    case SE_RETRY:
        media_retry(m);
        break;
    default:
        media_verdict(m);
        break;
    }
}

/* Of a process that runs, the same as when the event was made. */
static void dispatch_process(struct world *w, struct member *m, const struct ev *e)
{
    switch ((enum svc_event)e->kind) {
    case SE_RUN:
        member_run(m, e);
        break;
    case SE_SWEEP:
        stream_member_sweep(m);
        break;
    case SE_RESTART:
        member_end(m, e->a != 0 ? END_KILL : END_POWER);
        world_later(w, e->b, (struct ev){.kind = SE_BOOT, .node = (uint8_t)m->id});
        break;
    case SE_RESUME:
        stream_resume_all(w, m->id, UINT32_MAX);
        member_poke(m);
        break;
    case SE_LEFT:
        member_end(m, END_LEFT);
        world_later(w, e->a, (struct ev){.kind = SE_BOOT, .node = (uint8_t)m->id});
        break;
    default:
        dispatch_disk(m, e);
        break;
    }
}

static void dispatch_member(struct world *w, struct member *m, const struct ev *e)
{
    if (e->kind == SE_BOOT) {
        member_boot(m);
    } else if (m->node != NULL && m->boot == e->boot) {
        dispatch_process(w, m, e);
    }
}

static void dispatch_client(struct world *w, struct actor *a, const struct ev *e)
{
    switch ((enum svc_event)e->kind) {
    case SE_CLIENT:
        a->run_due = false;
        client_run(a);
        break;
    case SE_CLIENT_TIMER:
        client_timer(a, e->a);
        break;
    case SE_THINK:
        if (a->life == e->a) {
            work_step(a);
        }
        break;
    case SE_CLIENT_OPEN:
        if (a->c == NULL && w->phase <= PHASE_QUIET) {
            client_open(a);
        }
        break;
    case SE_CLIENT_RESUME:
        if (a->life == e->a && a->c != NULL) {
            client_poke(a);
        }
        break;
    default:
        break;
    }
}

static void dispatch(struct world *w, const struct ev *e)
{
    switch ((enum svc_event)e->kind) {
    case SE_RUN:
    case SE_WRITTEN:
    case SE_READ:
    case SE_IDLE:
    case SE_SNAP:
    case SE_RETRY:
    case SE_REPAIRED:
    case SE_RESTART:
    case SE_SWEEP:
    case SE_BOOT:
    case SE_RESUME:
    case SE_LEFT:
        dispatch_member(w, &w->members[e->node], e);
        break;
    case SE_MESSAGE:
        peers_deliver(w, e);
        break;
    case SE_LINK:
        peers_learn(w, e);
        break;
    case SE_STREAM:
        stream_event(w, e);
        break;
    case SE_CONNECT:
        stream_made(w, e->p);
        break;
    case SE_CLIENT:
    case SE_CLIENT_TIMER:
    case SE_THINK:
    case SE_CLIENT_OPEN:
    case SE_CLIENT_RESUME:
        dispatch_client(w, &w->actors[e->peer], e);
        break;
    case SE_STRANGER:
        stranger_step(w, e->a);
        break;
    case SE_NEMESIS:
        nemesis_step(w);
        break;
    case SE_UNDO:
        nemesis_undo(w, e->a);
        break;
    case SE_HEAL:
        heal(w);
        break;
    case SE_LOOK:
        check_look(w);
        break;
    }
}

/* --- a life -------------------------------------------------------------------------------------- */

static void oracle_begin(struct world *w)
{
    struct oracle_options o;
    oracle_options_init(&o); /* those of the knobs come with a LIMITS entry */
    o.drift_ppm = w->k.drift_ppm;
    o.members = w->k.members;
    w->oracle = oracle_create(&o);
}

static struct world *world_create(const struct world_run *run, struct marks *m)
{
    struct world *w = sim_alloc(sizeof(*w));
    struct rng r;
    w->seed = run->seed;
    w->marks = m;
    w->trace.live = run->trace;
    w->phase = PHASE_CHAOS;
    w->now = WORLD_START_NS;
    rng_init(&r, run->seed, STREAM_KNOBS);
    knobs_draw(&w->k, run->with, run->without, &r);
    rng_init(&w->rng_tie, run->seed, STREAM_TIE);
    rng_init(&w->rng_net, run->seed, STREAM_NET);
    rng_init(&w->rng_disk, run->seed, STREAM_DISK);
    rng_init(&w->rng_nemesis, run->seed, STREAM_NEMESIS);
    rng_init(&w->rng_work, run->seed, STREAM_WORK);
    w->record_fd = memfd_create("history", MFD_CLOEXEC);
    if (w->record_fd < 0) {
        perror("sim-service: memfd_create");
        abort();
    }
    (void)snprintf(w->record_path, sizeof(w->record_path), "/proc/self/fd/%d", w->record_fd);
    oracle_begin(w);
    hooks_begin(w);
    return w;
}

static void start(struct world *w)
{
    for (raft_id id = 1; id <= w->k.members; id++) {
        member_init(w, id);
        world_later(w, rng_below(&w->rng_nemesis, 200 * SVC_MS),
                    (struct ev){.kind = SE_BOOT, .node = (uint8_t)id});
    }
    for (uint32_t i = 0; i < w->k.clients; i++) {
        client_init(w, i);
        world_later(w, 300 * SVC_MS + rng_below(&w->rng_nemesis, 1000 * SVC_MS),
                    (struct ev){.kind = SE_CLIENT_OPEN, .peer = (uint8_t)i});
    }
    strangers_begin(w);
    world_later(w, SVC_SEC + w->k.nemesis_ns, (struct ev){.kind = SE_NEMESIS});
    world_later(w, SVC_SEC + w->k.chaos_ns, (struct ev){.kind = SE_HEAL});
}

static void drop_events(struct world *w)
{
    struct ev e;
    while (evq_pop(&w->q, &e)) {
        if (e.kind == SE_MESSAGE) {
            coord_buf_unref(e.p);
        }
    }
}

static void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->k.clients; i++) {
        if (w->actors[i].c != NULL) {
            client_end(&w->actors[i], CLIENT_DIE);
        }
    }
    hooks_finish(w);
    drop_events(w);
    for (raft_id id = 1; id <= w->k.members; id++) {
        member_finish(&w->members[id]);
    }
    strangers_finish(w);
    streams_finish(w);
    evq_finish(&w->q);
    oracle_destroy(w->oracle);
    free(w->fds);
    (void)close(w->record_fd); /* in memory only */
    free(w);
}

static void finish(struct world *w)
{
    if (!w->failed) {
        check_history(w);
    }
}

static void report(const struct world *w)
{
    printf("sim-service: seed %" PRIu64 " FAILED at %.6f s: %s\n", w->seed, (double)w->now / 1e9,
           w->why);
    trace_dump(&w->trace, stdout, 60);
    knobs_print(&w->k);
}

void world_run(const struct world_run *run, struct marks *m, struct world_result *ret_result)
{
    struct world *w = world_create(run, m);
    struct ev e;
    if (run->current != NULL) {
        *run->current = w;
    }
    if (run->verbose) {
        printf("seed %" PRIu64 "\n", w->seed);
        knobs_print(&w->k);
    }
    start(w);
    while (!w->failed && w->phase != PHASE_DONE && evq_pop(&w->q, &e)) {
        w->now = e.at;
        dispatch(w, &e);
        owner_check(w);
        if (++w->steps > WORLD_STEPS_MAX) {
            world_fail(w, "R13: more than %u events: a storm", WORLD_STEPS_MAX);
        }
    }
    finish(w);
    if (run->record != NULL) {
        check_keep(w, run->record);
    }
    if (w->failed) {
        report(w);
    }
    *ret_result = (struct world_result){.failed = w->failed,
                                        .hash = w->trace.hash,
                                        .steps = w->steps,
                                        .virtual_ns = w->now - WORLD_START_NS,
                                        .converged_ns = w->converged_ns,
                                        .ops = w->ops,
                                        .replies = w->replies,
                                        .messages = w->messages};
    memcpy(ret_result->why, w->why, sizeof(w->why));
    oracle_counts(w->oracle, &ret_result->counts);
    if (run->current != NULL) {
        *run->current = NULL;
    }
    world_close(w);
}
