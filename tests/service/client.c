/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c: the processes of clients: opened, turned when something is due, paused, ended in order, killed, or
 * gone with their machine. Threads: one.
 */
#include "tests/service/world.h"

#include <stdio.h>
#include <string.h>
#include "client/shell/handle.h"
#include "tests/service/sys.h"

#define BACKOFF_MS 200

bool client_up(const struct actor *a)
{
    return a->c != NULL;
}

uint64_t client_now(const struct actor *a)
{
    return clk_local(&a->clk, a->w->now);
}

void client_init(struct world *w, uint32_t index)
{
    struct actor *a = &w->actors[index];
    a->w = w;
    a->index = index;
    rng_init(&a->rng, w->seed, 200 + index);
    rng_init(&a->rng_call, w->seed, 400 + index);
    a->clk = (struct clk){.base = (1 + rng_below(&a->rng, 1000000)) * SVC_SEC, .since = w->now};
    if (w->k.drift_ppm > 0) {
        a->clk.ppm = (int64_t)rng_below(&a->rng, 2 * w->k.drift_ppm + 1) - (int64_t)w->k.drift_ppm;
    }
}

static void on_state(struct coord *c, enum coord_state state, void *arg)
{
    struct actor *a = arg;
    (void)c;
    a->state = state;
    world_trace(a->w, TR_CSTATE, 'c', a->index, state, a->session, 0, 0, NULL);
    if (state == COORD_EXPIRED && !a->ended) {
        MARK(a->w, CLIENT_TOLD_EXPIRED);
        JUDGE(a->w, oracle_session_gone(a->w->oracle, a->client, a->session, a->w->now));
    }
}

static void fill_options(struct actor *a, char *servers, size_t bytes, struct coord_options *o)
{
    size_t at = 0;
    coord_options_init(o);
    servers[0] = '\0';
    for (uint32_t i = 0; i < a->w->k.members; i++) {
        int n = snprintf(servers + at, bytes - at, "%s127.0.0.1:%u", i == 0 ? "" : ",", 7411 + i);
        at += (size_t)n;
    }
    o->servers = servers;
    o->name = "sim";
    o->session_timeout_ms = (uint32_t)a->w->k.session_ms;
    o->request_timeout_ms = a->w->k.request_ms;
    o->connect_timeout_ms = 500;
    o->backoff_min_ms = 10;
    o->backoff_max_ms = BACKOFF_MS;
    o->session = rng_chance(&a->rng, 200) ? COORD_SESSIONS_EAGER : COORD_SESSIONS_LAZY;
    if (a->index >= a->w->k.owners && rng_chance(&a->rng, 200)) {
        o->session = COORD_SESSIONS_OFF;
    }
    if (work_keeps_still(a)) {
        o->session = COORD_SESSIONS_EAGER;
    }
    o->state = on_state;
    o->state_arg = a;
}

void client_open(struct actor *a)
{
    struct world *w = a->w;
    struct coord_options o;
    char servers[256];
    char why[256] = "";
    a->life++;
    a->client = ++w->clients_made;
    a->ended = false;
    a->session = 0;
    a->state = 0;
    a->under_way = 0;
    a->timer_at = 0;
    a->paused_until = 0;
    a->deaf_until = 0;
    a->connects_full_at = 0;
    a->slow = knobs_has(&w->k, FAULT_SLOW_READER) && rng_chance(&a->rng, 300);
    fill_options(a, servers, sizeof(servers), &o);
    world_trace(w, TR_OPEN, 'c', a->index, a->life, 0, 0, 0, NULL);
    world_enter_actor(a);
    int err = coord_open(&o, &a->c, why, sizeof(why));
    if (err == 0) {
        err = coord_record(a->c, w->record_path);
    }
    world_leave();
    if (err != 0) {
        world_fail(w, "a client does not open: %d %s", err, why);
        return;
    }
    owner_init(a);
    client_poke(a);
    world_later(w, rng_exp(&a->rng, w->k.think_ns),
                (struct ev){.kind = SE_THINK, .peer = (uint8_t)a->index, .a = a->life});
}

/* What one connection uses up: a client may begin six for each server at once, and four in each back-off. */
static uint64_t connect_cost(const struct actor *a)
{
    return BACKOFF_MS * SVC_MS / (4 * a->w->k.members);
}

void client_connects(struct actor *a)
{
    uint64_t now = client_now(a);
    uint64_t from = a->connects_full_at > now ? a->connects_full_at : now;
    a->connects_full_at = from + connect_cost(a);
    if (a->connects_full_at - now > 6 * a->w->k.members * connect_cost(a)) {
        world_fail(a->w, "N2: client %u begins more connections than its back-off allows",
                   a->index);
    }
}

void client_closes_session(struct actor *a)
{
    uint64_t cost = connect_cost(a);
    a->connects_full_at -= a->connects_full_at > cost ? cost : a->connects_full_at;
}

void client_poke(struct actor *a)
{
    if (a->run_due || a->c == NULL) {
        return;
    }
    a->run_due = true;
    uint64_t wait = a->w->k.loop_ns == 0 ? 0 : rng_below(&a->rng, a->w->k.loop_ns);
    world_later(a->w, wait, (struct ev){.kind = SE_CLIENT, .peer = (uint8_t)a->index});
}

static void set_timer(struct actor *a)
{
    struct world *w = a->w;
    uint64_t due = a->c->timer_at;
    if (due == 0) {
        return;
    }
    uint64_t at = clk_world(&a->clk, due, w->now);
    if (a->timer_at != 0 && a->timer_at <= at) {
        return;
    }
    a->timer_at = at;
    a->timer_gen++;
    world_at(w, at,
             (struct ev){.kind = SE_CLIENT_TIMER, .peer = (uint8_t)a->index, .a = a->timer_gen});
}

void client_timer(struct actor *a, uint64_t gen)
{
    if (gen != a->timer_gen || a->c == NULL) {
        return;
    }
    a->timer_at = 0;
    client_poke(a);
}

void client_run(struct actor *a)
{
    struct world *w = a->w;
    if (a->c == NULL || a->paused_until > w->now) {
        return;
    }
    world_enter_actor(a);
    int rc = coord_dispatch(a->c);
    world_leave();
    if (rc != 0) {
        world_fail(w, "coord_dispatch of client %u: %d", a->index, rc);
        return;
    }
    owner_lease(a);
    owner_step(a);
    set_timer(a);
    if (sys_ready(a)) {
        /* Not at once for ever: a loop has other things to do, too. */
        a->run_due = true;
        world_later(w, 10000, (struct ev){.kind = SE_CLIENT, .peer = (uint8_t)a->index});
    }
}

void client_pause(struct actor *a, uint64_t ns)
{
    struct world *w = a->w;
    if (a->c == NULL || w->now + ns <= a->paused_until) {
        return;
    }
    a->paused_until = w->now + ns;
    if (ns > w->k.session_ms * SVC_MS) {
        MARK(w, CLIENT_PAUSED);
    }
    world_at(w, a->paused_until,
             (struct ev){.kind = SE_CLIENT_RESUME, .peer = (uint8_t)a->index, .a = a->life});
}

void client_end(struct actor *a, enum client_end how)
{
    struct world *w = a->w;
    if (a->c == NULL) {
        return;
    }
    world_trace(w, TR_END, 'c', a->index, how, a->session, 0, 0, NULL);
    world_enter_actor(a);
    if (how != CLIENT_CLOSE) {
        MARK(w, CLIENT_DIED);
        a->ended = true;
        hooks_client_ended(a);
        coord__record_close(a->c->recorder, NULL, 0); /* as if it had never come so far */
        a->c->recorder = NULL;
        sys_process_ended(a, how == CLIENT_GONE);
    }
    owner_forget(a);
    coord_close(a->c);
    a->c = NULL;
    world_leave();
    if (!a->ended) {
        a->ended = true;
        hooks_client_ended(a);
    }
    owner_finish(a);
    work_forget(a);
}
