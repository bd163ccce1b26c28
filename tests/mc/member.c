/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c: all distinct members met so far, and what every event did to them.
 *
 * A member is unpacked, taken through one event, brought into its canonical form (canon.c), packed
 * and looked up: equal bytes, equal number. The outcome is kept, so each pair of member and event
 * runs the core once, however many states of the world contain it.
 *
 * A trap of the core (RAFT_INVARIANT) is caught and becomes a broken rule of the outcome.
 * Thread: one.
 */
#include "tests/mc/mc.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES ((size_t)8 << 20)

static struct {
    const struct mc_scope *scope;
    size_t words;             /* of a member with its block */
    struct mc_member *member; /* unpacked */
    uint64_t *packed;         /* room for the worst case */
    const uint64_t **stored;  /* by number */
    uint32_t *stored_words;
    struct mc_view *views;
    uint32_t count;
    uint32_t cap;
    uint32_t *table; /* number + 1, by fingerprint */
    uint32_t table_cap;
    const struct mc_outcome **outcomes;
    uint64_t *keys; /* member << 32 | kind << 24 | argument, + 1 */
    uint64_t outcomes_count;
    uint64_t outcomes_cap;
    unsigned char *arena;
    size_t arena_left;
    size_t arena_bytes;
    void **blocks;
    size_t blocks_count;
} pool;

static sigjmp_buf trapped;

static void on_trap(int signal_number)
{
    (void)signal_number;
    siglongjmp(trapped, 1);
}

/* --- memory --------------------------------------------------------------------------------- */

static void *arena_get(size_t bytes)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (bytes > pool.arena_left) {
        pool.arena = mc_alloc(ARENA_BYTES);
        pool.arena_left = ARENA_BYTES;
        pool.blocks = mc_grow(pool.blocks, (pool.blocks_count + 1) * sizeof(pool.blocks[0]));
        pool.blocks[pool.blocks_count++] = pool.arena;
    }
    void *p = pool.arena;
    pool.arena += bytes;
    pool.arena_left -= bytes;
    pool.arena_bytes += bytes;
    return p;
}

size_t mc_member_bytes(void)
{
    return pool.words * 8;
}

uint32_t mc_members_count(void)
{
    return pool.count;
}

uint64_t mc_outcomes_count(void)
{
    return pool.outcomes_count;
}

size_t mc_members_bytes(void)
{
    return pool.arena_bytes + pool.cap * (sizeof(struct mc_view) + 20) + pool.outcomes_cap * 16;
}

void mc_members_reset(const struct mc_scope *scope)
{
    struct raft_options o;
    struct sigaction act;
    for (size_t i = 0; i < pool.blocks_count; i++) {
        free(pool.blocks[i]);
    }
    free(pool.member);
    free(pool.packed);
    free(pool.stored);
    free(pool.stored_words);
    free(pool.views);
    free(pool.table);
    free(pool.outcomes);
    free(pool.keys);
    free(pool.blocks);
    memset(&pool, 0, sizeof(pool));
    mc_intern_reset();
    mc_configs_reset(scope);
    memset(&act, 0, sizeof(act));
    act.sa_handler = on_trap;
    act.sa_flags = SA_NODEFER;
    (void)sigaction(SIGILL, &act, NULL); /* cannot fail for a signal that exists */
    (void)sigaction(SIGTRAP, &act, NULL);
    pool.scope = scope;
    mc_options(scope, 1, 0, &o);
    pool.words = (offsetof(struct mc_member, align) + raft_size(&o)) / 8;
    pool.member = mc_alloc(pool.words * 8);
    pool.packed = mc_alloc(pool.words * 16 + 16);
}

/* --- numbers -------------------------------------------------------------------------------- */

static void look(const struct mc_member *m, struct mc_view *v)
{
    memset(v, 0, sizeof(*v));
    v->id = m->id;
    v->up = m->up;
    v->boots = m->boots;
    v->writes_count = m->writes_count;
    v->records = pool.scope->split ? (uint8_t)mc_records(m) : m->writes_count;
    v->install = m->install;
    v->unpolled = m->unpolled;
    v->applied = m->applied;
    v->snap_index = m->disk.snap_index;
    v->disk_term = m->disk.term;
    v->disk = m->disk;
    v->log = m->up ? m->log : m->disk.log;
    if (!m->up) {
        return;
    }
    struct raft_status s;
    raft_status(mc_core_of(m), &s);
    v->role = (uint8_t)s.role;
    v->term = (uint8_t)s.term;
    v->leader = (uint8_t)s.leader;
    v->commit = (uint8_t)s.commit;
    v->first = (uint8_t)s.first;
    v->last = (uint8_t)s.last;
    v->vote = (uint8_t)s.vote;
    v->stable = (uint8_t)s.stable;
    v->repairing = (uint8_t)s.repairing;
    v->transfer_to = (uint8_t)s.transfer_to;
    for (uint32_t i = 0; i < s.peers_count; i++) {
        v->match[s.peers[i].id - 1] = (uint8_t)s.peers[i].match;
    }
    v->seq = v->role == RAFT_LEADER ? (uint8_t)mc_last_seq(mc_core_of(m)) : 0;
    const struct raft_config_at *c = raft_config_at(mc_core_of(m), s.last);
    v->config = (uint8_t)mc_config_number(&c->config);
    v->config_index = (uint8_t)c->index;
    v->loyal = (uint8_t)mc_loyal(mc_core_of(m));
    v->due = raft_deadline(mc_core_of(m)) <= MC_NOW;
}

static uint32_t *slot_of(const uint64_t *packed, size_t words)
{
    uint64_t h = mc_fingerprint(packed, words * 8).a;
    for (;; h++) {
        uint32_t *slot = &pool.table[h & (pool.table_cap - 1)];
        if (*slot == 0 || (pool.stored_words[*slot - 1] == words &&
                           memcmp(pool.stored[*slot - 1], packed, words * 8) == 0)) {
            return slot;
        }
    }
}

static void pool_grow(void)
{
    pool.cap = pool.cap == 0 ? 4096 : pool.cap * 2;
    pool.stored = mc_grow(pool.stored, pool.cap * sizeof(pool.stored[0]));
    pool.stored_words = mc_grow(pool.stored_words, pool.cap * sizeof(pool.stored_words[0]));
    pool.views = mc_grow(pool.views, pool.cap * sizeof(pool.views[0]));
    free(pool.table);
    pool.table_cap = pool.cap * 2;
    pool.table = mc_alloc(pool.table_cap * sizeof(pool.table[0]));
    for (uint32_t i = 0; i < pool.count; i++) {
        *slot_of(pool.stored[i], pool.stored_words[i]) = i + 1;
    }
}

/* The number of the unpacked member. */
static uint32_t number_of(const struct mc_member *m)
{
    size_t words = mc_pack((const uint64_t *)(const void *)m, pool.words, pool.packed);
    if (pool.count == pool.cap) {
        pool_grow();
    }
    uint32_t *slot = slot_of(pool.packed, words);
    if (*slot == 0) {
        uint64_t *copy = arena_get(words * 8);
        memcpy(copy, pool.packed, words * 8);
        pool.stored[pool.count] = copy;
        pool.stored_words[pool.count] = (uint32_t)words;
        look(m, &pool.views[pool.count]);
        pool.count++;
        *slot = pool.count;
    }
    return *slot - 1;
}

const struct mc_view *mc_view_at(uint32_t number)
{
    return &pool.views[number];
}

uint32_t mc_member_fresh(unsigned id)
{
    memset(pool.member, 0, pool.words * 8);
    pool.member->id = (uint8_t)id;
    return number_of(pool.member);
}

/* --- outcomes ------------------------------------------------------------------------------- */

static uint64_t *key_slot(uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    for (h ^= h >> 32;; h++) {
        uint64_t *slot = &pool.keys[h & (pool.outcomes_cap - 1)];
        if (*slot == 0 || *slot == key) {
            return slot;
        }
    }
}

static void outcomes_grow(void)
{
    uint64_t *keys = pool.keys;
    const struct mc_outcome **outcomes = pool.outcomes;
    uint64_t cap = pool.outcomes_cap;
    pool.outcomes_cap = cap == 0 ? 16384 : cap * 2;
    pool.keys = mc_alloc(pool.outcomes_cap * sizeof(keys[0]));
    pool.outcomes = mc_alloc(pool.outcomes_cap * sizeof(outcomes[0]));
    for (uint64_t i = 0; i < cap; i++) {
        if (keys[i] != 0) {
            uint64_t *slot = key_slot(keys[i]);
            *slot = keys[i];
            pool.outcomes[slot - pool.keys] = outcomes[i];
        }
    }
    free(keys);
    free((void *)outcomes);
}

/* Where the random generator of this boot of a member always stands. */
static uint64_t random_of(const struct mc_member *m)
{
    return 0x9e3779b97f4a7c15u * (m->id * 16u + m->boots);
}

/* Bring the member into canonical form, ready for packing. */
static void settle(struct mc_run *run)
{
    struct mc_member *m = run->m;
    struct raft_status s;
    if (!m->up) {
        return;
    }
    raft_status(mc_core(m), &s);
    if (s.first > m->log.base + 1u && s.first <= m->log.last + 1u) {
        mc_log_trim(&m->log, (unsigned)s.first - 1);
    }
    mc_canon(mc_core(m), random_of(m));
}

/* The host has seen that the core is whole again, and notes it on the disk. */
static void end_repair(struct mc_run *run)
{
    struct mc_member *m = run->m;
    struct raft_status s;
    if (!m->up || m->disk.damage == 0) {
        return;
    }
    raft_status(mc_core(m), &s);
    if (!s.repairing) {
        m->disk.damage = m->disk.damage_index = m->disk.damage_term = 0;
    }
}

static void run_event(struct mc_run *run, enum mc_kind kind, uint32_t argument)
{
    struct raft_status before;
    struct mc_member *m = run->m;
    memset(&before, 0, sizeof(before));
    if (kind == MC_START) {
        mc_boot(run);
    } else if (kind == MC_CRASH) {
        mc_crash(run, argument);
    } else if (kind == MC_ROT) {
        mc_rot(run, argument);
    } else {
        raft_status(mc_core(m), &before);
        if (!mc_host_event(run, kind, argument)) {
            run->out->same = 1;
            return;
        }
        m->unpolled = kind == MC_RECV_HOLD ? 1 : m->unpolled;
    }
    if (m->up && kind != MC_RECV_HOLD && kind != MC_PASS && run->out->broken == NULL &&
        !run->out->cut) {
        mc_rounds(run);
    }
    if (run->out->broken == NULL && !run->out->cut) {
        end_repair(run);
        mc_check_member(run, &before);
    }
}

static void compute(uint32_t number, enum mc_kind kind, uint32_t argument, struct mc_outcome *out)
{
    struct mc_run run = {.scope = pool.scope, .m = pool.member, .out = out, .now = MC_NOW};
    memset(out, 0, sizeof(*out));
    out->member = number;
    mc_unpack(pool.stored[number], (uint64_t *)(void *)pool.member, pool.words);
    if (sigsetjmp(trapped, 0) != 0) {
        mc_broken(&run, "the core trapped: an invariant of its own does not hold");
        return;
    }
    run_event(&run, kind, argument);
    if (out->same || out->cut || out->broken != NULL) {
        return;
    }
    settle(&run);
    out->member = number_of(run.m);
    out->same = out->member == number && out->sends_count == 0 && out->answers_count == 0;
}

const struct mc_outcome *mc_event(uint32_t number, enum mc_kind kind, uint32_t argument)
{
    uint64_t key = ((uint64_t)number << 32 | (uint64_t)kind << 24 | argument) + 1;
    if (pool.outcomes_count * 2 >= pool.outcomes_cap) {
        outcomes_grow();
    }
    uint64_t *slot = key_slot(key);
    if (*slot == 0) {
        struct mc_outcome out;
        compute(number, kind, argument, &out);
        size_t bytes = offsetof(struct mc_outcome, sends) + out.sends_count * sizeof(out.sends[0]);
        struct mc_outcome *kept = arena_get(bytes);
        memcpy(kept, &out, bytes);
        *slot = key;
        pool.outcomes[slot - pool.keys] = kept;
        pool.outcomes_count++;
    }
    return pool.outcomes[slot - pool.keys];
}

void mc_event_raw(struct mc_member *raw, raft_ns now, const struct mc_action *a,
                  struct mc_outcome *out)
{
    raft_ns at = raw->up ? mc_clock(mc_core(raw)) : now;
    struct mc_run run = {.scope = pool.scope, .m = raw, .out = out, .now = at};
    memset(out, 0, sizeof(*out));
    run_event(&run, (enum mc_kind)a->kind, a->argument);
    if (out->same || out->cut || out->broken != NULL) {
        return;
    }
    memcpy(pool.member, raw, pool.words * 8);
    run.m = pool.member;
    settle(&run);
    out->member = number_of(run.m);
    if (raw->up) {
        mc_set_random(mc_core(raw), random_of(raw));
    }
}
