/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nemesis.c: one fault after the other, each undone after a while; and the healing of everything. Threads: one.
 */
#include "tests/service/world.h"

static uint64_t dice(struct world *w, uint64_t below)
{
    return rng_below(&w->rng_nemesis, below);
}

static struct ev of_member(raft_id id, enum svc_event kind)
{
    return (struct ev){.kind = (uint8_t)kind, .node = (uint8_t)id};
}

/* The leader half of the time. */
static struct member *some_member(struct world *w)
{
    raft_id id = (raft_id)(1 + dice(w, w->k.members));
    if (dice(w, 2) == 0 && w->leader != 0) {
        id = w->leader;
    }
    return &w->members[id];
}

static struct actor *some_actor(struct world *w)
{
    return &w->actors[dice(w, w->k.clients)];
}

uint64_t nemesis_span(struct world *w)
{
    static const uint64_t spans[] = {50, 200, 700, 1500, 3000};
    return SVC_MS + dice(w, spans[dice(w, 5)] * SVC_MS);
}

void nemesis_undo_later(struct world *w, enum svc_fault f, uint64_t x, uint64_t y, uint64_t ns)
{
    for (uint64_t i = 0; i < sizeof(w->undo) / sizeof(w->undo[0]); i++) {
        if (!w->undo[i].used) {
            w->undo[i].used = true;
            w->undo[i].fault = f;
            w->undo[i].x = x;
            w->undo[i].y = y;
            world_later(w, ns, (struct ev){.kind = SE_UNDO, .a = i});
            return;
        }
    }
}

/* --- links --------------------------------------------------------------------------------------- */

static void cut(struct world *w, raft_id a, raft_id b, bool one_way)
{
    bool noticed = dice(w, 2) == 0;
    w->cut[a][b] = true;
    w->cut[b][a] = w->cut[b][a] || !one_way;
    if (noticed) {
        peers_update(w, a, b, false);
    }
}

static void mend_all(struct world *w)
{
    for (raft_id a = 1; a <= w->k.members; a++) {
        for (raft_id b = 1; b <= w->k.members; b++) {
            w->cut[a][b] = false;
        }
    }
    for (raft_id a = 1; a <= w->k.members; a++) {
        for (raft_id b = a + 1; b <= w->k.members; b++) {
            peers_update(w, a, b, false);
        }
    }
}

static void split(struct world *w, uint32_t side, raft_id bridge)
{
    for (raft_id a = 1; a <= w->k.members; a++) {
        for (raft_id b = a + 1; b <= w->k.members; b++) {
            bool apart = (side >> a & 1) != (side >> b & 1);
            if (apart && a != bridge && b != bridge) {
                cut(w, a, b, false);
            }
        }
    }
}

/* Each member sees only its neighbours. */
static void ring(struct world *w)
{
    uint32_t n = w->k.members;
    for (raft_id a = 1; a <= n; a++) {
        for (raft_id b = a + 1; b <= n; b++) {
            uint32_t far = b - a;
            if (far != 1 && far != n - 1) {
                cut(w, a, b, false);
            }
        }
    }
}

static void partition(struct world *w, enum svc_fault f)
{
    raft_id id = some_member(w)->id;
    raft_id other = (raft_id)(id % w->k.members + 1);
    switch (f) {
    case FAULT_ISOLATE:
        split(w, 1u << id, 0);
        break;
    case FAULT_SPLIT:
        split(w, (uint32_t)dice(w, 1u << (w->k.members + 1)), 0);
        break;
    case FAULT_BRIDGE:
        split(w, (uint32_t)dice(w, 1u << (w->k.members + 1)), id);
        break;
    case FAULT_RING:
        ring(w);
        break;
    default:
        if (other != id) {
            cut(w, id, other, true);
        }
        break;
    }
    nemesis_undo_later(w, f, 0, 0, nemesis_span(w));
}

static void set_speed(struct world *w, struct member *m, int64_t ppm)
{
    m->clk.base = clk_local(&m->clk, w->now);
    m->clk.since = w->now;
    m->clk.ppm = ppm;
    m->tick_at = 0;
    member_poke(m);
}

/* A leader is cut off, its clock slow and the others' fast: another one leads before its lease is over by its own
 * clock, but for what the option allows for. Clients reach all of them. */
static void overtake(struct world *w)
{
    const int64_t drift = (int64_t)w->k.drift_ppm;
    if (w->leader == 0 || !member_leads(&w->members[w->leader])) {
        return;
    }
    world_trace(w, TR_FAULT, 'w', 0, w->leader, 0, 0, 0, "overtake");
    MARK(w, LEASE_CUT_OFF);
    for (raft_id id = 1; id <= w->k.members; id++) {
        set_speed(w, &w->members[id], id == w->leader ? -drift : drift);
        if (id != w->leader) {
            w->cut[id][w->leader] = w->cut[w->leader][id] = true;
        }
    }
    nemesis_undo_later(w, FAULT_ISOLATE, 0, 0, 3 * w->k.node.raft.election_min);
}

/* --- members ------------------------------------------------------------------------------------- */

static void power(struct world *w, struct member *m)
{
    member_end(m, dice(w, 2) == 0 ? END_POWER_IN_WRITE : END_POWER);
    world_later(w, nemesis_span(w), of_member(m->id, SE_BOOT));
}

/* It stays away until the others have forgotten what it lacks. Not two at once: nothing would be written. */
static void away(struct world *w, struct member *m)
{
    for (raft_id id = 1; id <= w->k.members; id++) {
        if (w->members[id].node == NULL || w->k.members == 1) {
            return;
        }
    }
    raft_index last = member_last(m);
    member_end(m, dice(w, 2) == 0 ? END_KILL : END_POWER);
    m->away = true;
    nemesis_undo_later(w, FAULT_AWAY, m->id, last, 500 * SVC_MS);
}

static void away_undo(struct world *w, struct member *m, raft_index last)
{
    if (w->phase == PHASE_CHAOS && member_log_reaches(w, last)) {
        nemesis_undo_later(w, FAULT_AWAY, m->id, last, 300 * SVC_MS);
        return;
    }
    m->away = false;
    world_later(w, 0, of_member(m->id, SE_BOOT));
}

static void blackout(struct world *w)
{
    for (raft_id id = 1; id <= w->k.members; id++) {
        if (w->members[id].node != NULL) {
            power(w, &w->members[id]);
        }
    }
}

static void leave(struct world *w, struct member *m)
{
    if (m->paused_until > w->now || m->leaving) {
        return;
    }
    MARK(w, LEFT);
    m->leaving = true;
    world_enter_member(m);
    node_shutdown(m->node, member_now(m));
    world_leave();
    member_poke(m);
    struct ev e = of_member(m->id, SE_LEFT); /* it waits no longer than this */
    e.boot = m->boot;
    e.a = 200 * SVC_MS;
    world_later(w, 2 * SVC_SEC, e);
}

static void member_fault(struct world *w, enum svc_fault f)
{
    struct member *m = f == FAULT_ROT ? nemesis_rot_target(w) : some_member(w);
    if (m == NULL || m->node == NULL) {
        return;
    }
    switch (f) {
    case FAULT_ROT:
        nemesis_disk(w, m, f, 0);
        world_later(w, nemesis_span(w), of_member(m->id, SE_BOOT));
        break;
    case FAULT_KILL:
        member_end(m, END_KILL);
        world_later(w, nemesis_span(w), of_member(m->id, SE_BOOT));
        break;
    case FAULT_POWER:
        power(w, m);
        break;
    case FAULT_AWAY:
        away(w, m);
        break;
    case FAULT_STALL:
    case FAULT_SLOW:
    case FAULT_FREEZE:
    case FAULT_EIO:
    case FAULT_FULL:
    case FAULT_BAD_READ:
        nemesis_disk(w, m, f, nemesis_span(w));
        break;
    case FAULT_PAUSE:
        member_pause(m, nemesis_span(w));
        break;
    case FAULT_JUMP:
        /* Less than this is drift beyond what is promised; more than half of it is seen as an absence (C2). */
        clk_jump(&m->clk, w->now, w->k.node.raft.election_min + nemesis_span(w));
        m->tick_at = 0;
        member_poke(m);
        break;
    case FAULT_WALL:
        m->wall_ms += (int64_t)dice(w, 200000) - 100000;
        break;
    default:
        leave(w, m);
        break;
    }
}

/* --- clients ------------------------------------------------------------------------------------- */

static void client_fault(struct world *w, enum svc_fault f)
{
    struct actor *a = some_actor(w);
    raft_id id = (raft_id)(1 + dice(w, w->k.members));
    bool all = dice(w, 3) == 0;
    if (a->c == NULL) {
        return;
    }
    switch (f) {
    case FAULT_HANGUP:
        if (a->conn != 0) {
            stream_reset(w->streams[a->conn]);
        }
        break;
    case FAULT_UNREACHABLE:
        for (raft_id m = 1; m <= w->k.members; m++) {
            w->apart[a->index][m] = w->apart[a->index][m] || all || m == id;
        }
        nemesis_undo_later(w, f, a->index, 0, nemesis_span(w));
        break;
    case FAULT_CLIENT_PAUSE:
        client_pause(a, nemesis_span(w) * 2);
        break;
    case FAULT_DEAF:
        a->deaf_until = w->now + 500 * SVC_MS + nemesis_span(w);
        world_at(w, a->deaf_until,
                 (struct ev){.kind = SE_CLIENT_RESUME, .peer = (uint8_t)a->index, .a = a->life});
        break;
    default:
        client_end(a, f == FAULT_CLIENT_DIE    ? CLIENT_DIE
                      : f == FAULT_CLIENT_GONE ? CLIENT_GONE
                                               : CLIENT_CLOSE);
        world_later(w, nemesis_span(w),
                    (struct ev){.kind = SE_CLIENT_OPEN, .peer = (uint8_t)a->index});
        break;
    }
}

static void reset_link(struct world *w)
{
    raft_id a = some_member(w)->id;
    raft_id b = (raft_id)(1 + dice(w, w->k.members));
    if (a != b) {
        peers_update(w, a, b, true);
    }
}

static void fault(struct world *w, enum svc_fault f)
{
    world_trace(w, TR_FAULT, 'w', 0, 0, 0, 0, 0, fault_name(f));
    switch (f) {
    case FAULT_BLACKOUT:
        blackout(w);
        break;
    case FAULT_ISOLATE:
    case FAULT_SPLIT:
    case FAULT_BRIDGE:
    case FAULT_RING:
    case FAULT_ONEWAY:
        partition(w, f);
        break;
    case FAULT_RESET:
        reset_link(w);
        break;
    case FAULT_HANGUP:
    case FAULT_UNREACHABLE:
    case FAULT_CLIENT_PAUSE:
    case FAULT_DEAF:
    case FAULT_CLIENT_DIE:
    case FAULT_CLIENT_GONE:
    case FAULT_CLIENT_CLOSE:
        client_fault(w, f);
        break;
    default:
        member_fault(w, f);
        break;
    }
}

void nemesis_step(struct world *w)
{
    enum svc_fault there[FAULT_NEMESIS_END];
    uint32_t count = 0;
    if (w->phase != PHASE_CHAOS) {
        return;
    }
    for (uint32_t f = 0; f < FAULT_NEMESIS_END; f++) {
        if (knobs_has(&w->k, (enum svc_fault)f)) {
            there[count++] = (enum svc_fault)f;
        }
    }
    if (w->k.wild && dice(w, 3) != 0) {
        overtake(w);
    } else if (count > 0) {
        fault(w, there[dice(w, count)]);
    }
    world_later(w, 10 * SVC_MS + rng_exp(&w->rng_nemesis, w->k.nemesis_ns),
                (struct ev){.kind = SE_NEMESIS});
}

void nemesis_undo(struct world *w, uint64_t slot)
{
    if (!w->undo[slot].used) {
        return;
    }
    w->undo[slot].used = false;
    uint64_t x = w->undo[slot].x;
    switch (w->undo[slot].fault) {
    case FAULT_AWAY:
        away_undo(w, &w->members[x], w->undo[slot].y);
        break;
    case FAULT_STALL:
    case FAULT_FREEZE:
    case FAULT_FULL:
        nemesis_disk_undo(w, w->undo[slot].fault, (raft_id)x, w->undo[slot].y);
        break;
    case FAULT_UNREACHABLE:
        for (raft_id m = 1; m <= w->k.members; m++) {
            w->apart[x][m] = false;
        }
        stream_resume_all(w, 0, (uint32_t)x);
        break;
    default:
        mend_all(w);
        break;
    }
}

void nemesis_heal(struct world *w)
{
    w->k.chunk_loss_permille = 0;
    w->k.loss_permille = w->k.dup_permille = w->k.reorder_permille = 0;
    w->k.disk_slow_permille = 0;
    w->k.window = w->k.window < 16384 ? 16384 : w->k.window;
    mend_all(w);
    for (raft_id id = 1; id <= w->k.members; id++) {
        struct member *m = &w->members[id];
        nemesis_disk_heal(m);
        m->away = false;
        if (m->node != NULL) {
            m->paused_until = m->paused_until > w->now ? w->now : m->paused_until;
            member_poke(m);
        } else {
            world_later(w, 0, of_member(id, SE_BOOT));
        }
    }
    for (uint32_t i = 0; i < w->k.clients; i++) {
        struct actor *a = &w->actors[i];
        a->paused_until = a->paused_until > w->now ? w->now : a->paused_until;
        a->slow = false;
        a->deaf_until = 0;
        for (raft_id m = 1; m <= w->k.members; m++) {
            w->apart[i][m] = false;
        }
        client_poke(a);
    }
    stream_resume_all(w, 0, UINT32_MAX);
    for (uint64_t i = 0; i < sizeof(w->undo) / sizeof(w->undo[0]); i++) {
        w->undo[i].used = false;
    }
}
