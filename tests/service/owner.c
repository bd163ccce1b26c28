/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owner.c: clients that compete for one lock and one election, with the shipped recipes. Whoever was told that
 * it owns acts as one until it is told otherwise or releases; nobody may be sure to own, by its own clock,
 * what another is sure to own at the same true time. Threads: one.
 */
#include "tests/service/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/shell/handle.h"
#include "tests/sim/util.h"

#define ELECTION_PATH "/elections/e"

enum claim_state { CLAIM_NONE = 0, CLAIM_ASKED, CLAIM_HELD, CLAIM_LOST, CLAIM_RELEASING };

struct claim {
    enum claim_state state;
    bool election;
    struct actor *actor;
    struct coord_lock *lock;
    struct coord_election *elected;
    uint64_t token;
    uint64_t asked_at;
    uint64_t until; /* it is given up then, held or not */
    bool void_;     /* its client has ended the session under it: it claims nothing any more */
};

struct owner {
    struct claim claims[2];
};

static const char *path_of(const struct claim *m)
{
    return m->election ? ELECTION_PATH : OWNER_LOCK;
}

void owner_init(struct actor *a)
{
    if (a->index >= a->w->k.owners) {
        return;
    }
    a->owner = sim_alloc(sizeof(*a->owner));
    for (int i = 0; i < 2; i++) {
        a->owner->claims[i].actor = a;
        a->owner->claims[i].election = i == 1;
    }
}

/* --- what the library tells ---------------------------------------------------------------------- */

static uint64_t lease_end(const struct actor *a)
{
    uint64_t end = coord__core_lease_end(a->c->core);
    return clk_world(&a->clk, end, a->w->now);
}

static void mark_rivals(const struct claim *m)
{
    struct world *w = m->actor->w;
    for (uint32_t i = 0; i < w->k.clients; i++) {
        const struct actor *other = &w->actors[i];
        if (other != m->actor && other->owner != NULL && other->paused_until > w->now &&
            other->owner->claims[m->election].state == CLAIM_HELD) {
            MARK(w, LOCK_LOST_BY_PAUSE);
        }
    }
}

/* What the oracle hears of the end of a claim. */
static void tell_end(struct claim *m)
{
    struct actor *a = m->actor;
    struct world *w = a->w;
    if (!m->void_) {
        JUDGE(w, oracle_lock_ended(w->oracle, a->client, path_of(m), w->now));
    }
}

static void acquired(struct claim *m, int error, uint64_t token)
{
    struct actor *a = m->actor;
    struct world *w = a->w;
    world_trace(w, TR_OWNER, 'c', a->index, m->election ? 11 : 1, (uint64_t)(int64_t)error, token,
                0, NULL);
    if (error != 0) {
        m->state = error == COORD_ECLOSED ? CLAIM_NONE : CLAIM_LOST; /* still to be released */
        if (!a->ended) {
            tell_end(m);
        }
        return;
    }
    m->state = CLAIM_HELD;
    m->token = token;
    m->until = w->now + rng_exp(&a->rng, 700 * SVC_MS);
    mark_rivals(m);
    if (m->election) {
        MARK(w, ELECTED);
    } else {
        MARK(w, LOCK_HELD);
    }
    if (w->now > m->asked_at + 500 * SVC_MS) {
        MARK(w, LOCK_WAITED);
    }
    a->lease_end = lease_end(a);
    if (!m->void_) {
        JUDGE(w, oracle_lock_held(w->oracle, a->client, path_of(m), token, a->lease_end, w->now));
    }
}

static void lost(struct claim *m, int error)
{
    struct actor *a = m->actor;
    struct world *w = a->w;
    world_trace(w, TR_OWNER, 'c', a->index, m->election ? 12 : 2, (uint64_t)(int64_t)error,
                m->token, 0, NULL);
    m->state = error == COORD_ECLOSED ? CLAIM_NONE : CLAIM_LOST;
    if (!a->ended) {
        MARK(w, LOCK_LOST);
        tell_end(m);
    }
}

static void lock_told(struct coord_lock *lock, int error, uint64_t token, void *arg)
{
    (void)lock;
    acquired(arg, error, token);
}

static void lock_lost(struct coord_lock *lock, int error, void *arg)
{
    (void)lock;
    lost(arg, error);
}

static void election_told(struct coord_election *e, int error, uint64_t token, void *arg)
{
    (void)e;
    acquired(arg, error, token);
}

static void election_lost(struct coord_election *e, int error, void *arg)
{
    (void)e;
    lost(arg, error);
}

static void released(struct coord *c, int error, void *arg)
{
    struct claim *m = arg;
    (void)c;
    world_trace(m->actor->w, TR_OWNER, 'c', m->actor->index, m->election ? 13 : 3,
                (uint64_t)(int64_t)error, m->token, 0, NULL);
    m->state = CLAIM_NONE;
    m->lock = NULL;
    m->elected = NULL;
}

/* The claim for which this node is a place in line; NULL none. */
static struct claim *claim_of(struct actor *a, struct coord_bytes path)
{
    for (int i = 0; a->owner != NULL && i < 2; i++) {
        struct claim *m = &a->owner->claims[i];
        size_t len = strlen(path_of(m));
        if (path.len > len + 1 && memcmp(path.data, path_of(m), len) == 0 &&
            path.data[len] == '/') {
            return m;
        }
    }
    return NULL;
}

void owner_queued(struct actor *a, struct coord_bytes path, uint64_t token)
{
    struct claim *m = claim_of(a, path);
    if (m != NULL && m->state == CLAIM_ASKED && !m->void_) {
        JUDGE(a->w, oracle_lock_queued(a->w->oracle, a->client, path_of(m), token, a->w->now));
    }
}

void owner_woken(struct actor *a, struct coord_bytes path, uint64_t revision)
{
    struct claim *m = claim_of(a, path);
    if (m != NULL && m->state == CLAIM_ASKED && !m->void_) {
        MARK(a->w, LOCK_WOKEN);
        JUDGE(a->w,
              oracle_lock_woken(a->w->oracle, a->client, path_of(m), path, revision, a->w->now));
    }
}

/* --- what the owner does ------------------------------------------------------------------------- */

static void ask(struct claim *m)
{
    struct actor *a = m->actor;
    struct world *w = a->w;
    int err;
    m->state = CLAIM_ASKED;
    m->asked_at = w->now;
    m->until = w->now + 500 * SVC_MS + rng_exp(&a->rng, 3 * SVC_SEC);
    m->token = 0;
    m->void_ = false;
    JUDGE(w, oracle_lock_asked(w->oracle, a->client, path_of(m), w->now));
    if (m->election) {
        struct coord_election_options o;
        coord_election_options_init(&o);
        o.stop = election_lost;
        o.stop_arg = m;
        o.value = "me";
        o.value_bytes = 2;
        err = coord_election_campaign(a->c, "e", &o, election_told, m, &m->elected);
    } else {
        struct coord_lock_options o;
        coord_lock_options_init(&o);
        o.lost = lock_lost;
        o.lost_arg = m;
        o.wait_ms = rng_chance(&a->rng, 200) ? COORD_TRY : COORD_WAIT_FOREVER;
        err = coord_lock_acquire(a->c, "x", &o, lock_told, m, &m->lock);
    }
    if (err != 0) {
        m->state = CLAIM_NONE;
        JUDGE(w, oracle_lock_ended(w->oracle, a->client, path_of(m), w->now));
    }
}

static void give_up(struct claim *m)
{
    struct actor *a = m->actor;
    struct world *w = a->w;
    if (m->state == CLAIM_HELD) {
        tell_end(m);
    }
    m->state = CLAIM_RELEASING;
    int err = m->election ? coord_election_resign(m->elected, released, m)
                          : coord_lock_release(m->lock, released, m);
    if (err != 0) {
        world_fail(w, "a release of client %u is refused: %d", a->index, err);
    }
}

static void claim_step(struct claim *m, bool more)
{
    struct actor *a = m->actor;
    switch (m->state) {
    case CLAIM_NONE:
        if (more && rng_chance(&a->rng, 100)) {
            ask(m);
        }
        break;
    case CLAIM_ASKED:
    case CLAIM_HELD:
        if (a->w->now >= m->until || !more) {
            give_up(m);
        }
        break;
    case CLAIM_LOST:
        give_up(m);
        break;
    case CLAIM_RELEASING:
        break;
    }
}

uint64_t owner_token(const struct actor *a)
{
    return a->owner == NULL ? 0 : a->owner->claims[0].token;
}

void owner_step(struct actor *a)
{
    struct world *w = a->w;
    if (a->owner == NULL || a->c == NULL || a->paused_until > w->now) {
        return;
    }
    world_enter_actor(a);
    for (int i = 0; i < 2 && !w->failed; i++) {
        claim_step(&a->owner->claims[i], w->phase <= PHASE_SETTLE);
    }
    world_leave();
}

void owner_lease(struct actor *a)
{
    struct world *w = a->w;
    if (a->owner == NULL || a->c == NULL) {
        return;
    }
    uint64_t end = lease_end(a);
    bool holds = false;
    for (int i = 0; i < 2; i++) {
        const struct claim *m = &a->owner->claims[i];
        holds = holds || (m->state == CLAIM_HELD && !m->void_);
    }
    if (holds && end > a->lease_end) {
        a->lease_end = end;
        JUDGE(w, oracle_lock_until(w->oracle, a->client, end, w->now));
    }
}

void owner_forget(struct actor *a)
{
    if (a->owner == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        struct claim *m = &a->owner->claims[i];
        if (m->state == CLAIM_HELD || m->state == CLAIM_ASKED) {
            tell_end(m);
            m->void_ = true;
        }
    }
}

void owner_void(struct actor *a)
{
    for (int i = 0; a->owner != NULL && i < 2; i++) {
        struct claim *m = &a->owner->claims[i];
        if (m->state != CLAIM_NONE) {
            tell_end(m);
            m->void_ = true;
        }
    }
}

void owner_finish(struct actor *a)
{
    free(a->owner);
    a->owner = NULL;
}

bool owner_idle(const struct actor *a)
{
    return a->owner == NULL ||
           (a->owner->claims[0].state == CLAIM_NONE && a->owner->claims[1].state == CLAIM_NONE);
}

/* --- the rule ------------------------------------------------------------------------------------ */

static bool sure(struct actor *a, int i)
{
    const struct claim *m = &a->owner->claims[i];
    if (m->state != CLAIM_HELD || m->void_) {
        return false;
    }
    world_enter_actor(a);
    bool held = m->election ? coord_election_leads(m->elected) : coord_lock_held(m->lock);
    world_leave();
    return held;
}

void owner_check(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        struct actor *holder = NULL;
        uint32_t told = 0;
        for (uint32_t c = 0; c < w->k.owners && c < w->k.clients; c++) {
            const struct actor *a = &w->actors[c];
            told += a->owner != NULL && a->owner->claims[i].state == CLAIM_HELD;
        }
        for (uint32_t c = 0; told > 1 && c < w->k.owners && c < w->k.clients; c++) {
            struct actor *a = &w->actors[c];
            if (a->owner == NULL || !sure(a, i)) {
                continue;
            }
            if (holder != NULL) {
                world_fail(
                    w, "K2: clients %u (token %llu) and %u (token %llu) are both sure to own %s",
                    holder->index, (unsigned long long)holder->owner->claims[i].token, a->index,
                    (unsigned long long)a->owner->claims[i].token, path_of(&a->owner->claims[i]));
                return;
            }
            holder = a;
        }
    }
}
