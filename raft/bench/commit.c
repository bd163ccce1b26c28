/* SPDX-License-Identifier: Apache-2.0 */
/*
 * commit.c: the cost of a commit in three members of one process: no disk (a write is durable at once),
 * no serialisation (a message is given to its receiver by pointer), payloads of 128 bytes of which only
 * the pointers move. Time stands nearly still: no timer is due, no heartbeat is sent.
 *
 * A turn is: propose a batch, then carry messages and writes around. Three ways to do that:
 *
 *   at once    until the leader has the batch committed; it applies it in its next round, and the
 *              followers learn of it with the next batch, as under load. Writes are part of a round
 *              (options.sync_writes): like the logs in memory that other libraries are measured with
 *   pipelined  the same with completions: IO_DONE for each write, acknowledged in the round after
 *   quiet      the same until no member wants anything: everybody knows, and everybody has applied
 *
 * Polls and steps of all three are counted too: they do not depend on the machine.
 */
#include "raft/bench/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <coord/raft.h>

#define MEMBERS     3u
#define SLOTS       4096u
#define BATCH_MAX   256u
#define RUNS_MAX    1001u
#define COMPACT_AT  2048u
#define ENTRY_BYTES 128u

struct member {
    struct raft *raft;
    void *mem;
    const void *payloads[SLOTS]; /* that of entry i is at i % SLOTS */
    const void *last;            /* the state: the payload applied last */
    raft_index applied;
    raft_index snapshot;
};

struct group {
    struct member m[MEMBERS + 1]; /* by id */
    struct raft_entry copy[BATCH_MAX];
    raft_ns now;
    uint32_t sync_writes;
    struct raft_event
        done; /* events are made once and filled in again and again: what making them */
    struct raft_event recv; /* costs is the host's matter */
    struct raft_event propose;
    uint64_t steps;
    uint64_t polls;
    int failed;
};

static int step(struct group *g, struct member *m, struct raft_event *ev,
                struct raft_accept *accept)
{
    ev->now = g->now;
    g->steps++;
    return raft_step(m->raft, ev, accept);
}

/* The sender's log is a ring: entries that lie across its end are put in one piece. */
static const struct raft_entry *entries_of(struct group *g, const struct member *from,
                                           const struct raft_msg *m)
{
    if (((m->index + 1) & (SLOTS - 1)) + m->count <= SLOTS) {
        return raft_entry_at(from->raft, m->index + 1);
    }
    for (uint32_t i = 0; i < m->count; i++) {
        g->copy[i] = *raft_entry_at(from->raft, m->index + 1 + i);
    }
    return g->copy;
}

static void deliver(struct group *g, const struct member *from, const struct raft_msg *msg)
{
    struct member *to = &g->m[msg->to];
    struct raft_accept accept;
    struct raft_event *ev = &g->recv;
    ev->msg = msg;
    ev->count = msg->type == RAFT_MSG_APPEND ? msg->count : 0;
    ev->entries = ev->count > 0 ? entries_of(g, from, msg) : NULL;
    g->failed |= step(g, to, ev, &accept) != 0;
    for (raft_index i = accept.first; i < accept.first + accept.count; i++) {
        to->payloads[i & (SLOTS - 1)] = from->payloads[i & (SLOTS - 1)];
    }
}

/* The state is nothing, so that a snapshot of it is for free. */
static void compact(struct group *g, struct member *m)
{
    const struct raft_config_at *c = raft_config_at(m->raft, m->applied);
    struct raft_snapshot s = {.index = m->applied,
                              .term = raft_entry_at(m->raft, m->applied)->term,
                              .config_index = c->index,
                              .config = c->config,
                              .snap_id = m->applied,
                              .bytes = 1};
    struct raft_event ev = {.type = RAFT_EV_APPLIED, .index = m->applied};
    g->failed |= step(g, m, &ev, NULL) != 0; /* the core has no use for it at any other time */
    ev.type = RAFT_EV_SNAP_TAKEN;
    ev.snapshot = &s;
    ev.index = m->applied - COMPACT_AT / 2;
    m->snapshot = m->applied;
    g->failed |= step(g, m, &ev, NULL) != 0;
}

static void apply(struct group *g, struct member *m, raft_index commit)
{
    while (m->applied < commit) {
        m->last = m->payloads[++m->applied & (SLOTS - 1)];
    }
    if (m->applied - m->snapshot >= COMPACT_AT) {
        compact(g, m);
    }
}

/* One round of a member. Return: 1 when it wanted something. */
static int poll_once(struct group *g, struct member *m)
{
    const struct raft_actions *a = raft_poll(m->raft);
    raft_index commit = a->commit;
    uint64_t io_seq = 0; /* of a write that is to be reported */
    if (a->persist_count > 0 && !g->sync_writes) {
        io_seq = a->persist[a->persist_count - 1].io_seq;
    }
    int busy = a->persist_count > 0 || a->sends_count > 0 || a->more || commit > m->applied;
    g->polls++;
    for (uint32_t i = 0; i < a->sends_count; i++) {
        deliver(g, m, &a->sends[i].msg);
    }
    raft_done(m->raft);
    if (io_seq != 0) {
        g->done.io_seq = io_seq;
        g->failed |= step(g, m, &g->done, NULL) != 0;
    }
    if (commit > m->applied) {
        apply(g, m, commit);
    }
    return busy;
}

static void until_quiet(struct group *g)
{
    int busy = 1;
    for (uint32_t round = 0; busy && round < 1000; round++) {
        busy = 0;
        for (raft_id id = 1; id <= MEMBERS; id++) {
            while (poll_once(g, &g->m[id])) {
                busy = 1;
            }
        }
    }
    g->failed |= busy;
}

static int group_init(struct group *g, uint32_t sync_writes)
{
    struct raft_snapshot first = {.index = 0};
    memset(g, 0, sizeof(*g));
    g->now = 1000000000u;
    g->sync_writes = sync_writes;
    g->done.type = RAFT_EV_IO_DONE;
    g->recv.type = RAFT_EV_RECV;
    g->propose.type = RAFT_EV_PROPOSE;
    first.config.count = MEMBERS;
    for (raft_id id = 1; id <= MEMBERS; id++) {
        first.config.members[id - 1] = (struct raft_member){id, RAFT_VOTER};
    }
    for (raft_id id = 1; id <= MEMBERS; id++) {
        struct member *m = &g->m[id];
        struct raft_options o;
        raft_options_init(&o);
        o.id = id;
        o.rng_seed = id;
        o.log_slots = SLOTS;
        o.sync_writes = g->sync_writes;
        m->mem = malloc(raft_size(&o));
        m->raft = m->mem == NULL ? NULL : raft_init(m->mem, raft_size(&o), &o);
        if (m->raft == NULL) {
            return -1;
        }
        struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &first};
        g->failed |= step(g, m, &ev, NULL) != 0;
        ev.type = RAFT_EV_BOOT_HARDSTATE;
        g->failed |= step(g, m, &ev, NULL) != 0;
        ev.type = RAFT_EV_BOOT_DONE;
        g->failed |= step(g, m, &ev, NULL) != 0;
    }
    struct raft_event stand = {.type = RAFT_EV_CAMPAIGN};
    g->failed |= step(g, &g->m[1], &stand, NULL) != 0;
    until_quiet(g);
    return g->failed ? -1 : 0;
}

static void group_finish(struct group *g)
{
    for (raft_id id = 1; id <= MEMBERS; id++) {
        free(g->m[id].mem);
    }
}

static void propose(struct group *g, const struct raft_entry *entries, uint32_t batch)
{
    static const uint8_t payload[ENTRY_BYTES];
    struct raft_accept accept;
    g->propose.entries = entries;
    g->propose.count = batch;
    g->now += 1000;
    g->failed |= step(g, &g->m[1], &g->propose, &accept) != 0;
    for (raft_index i = accept.first; i < accept.first + accept.count; i++) {
        g->m[1].payloads[i & (SLOTS - 1)] = payload;
    }
}

static void turn_quiet(struct group *g, const struct raft_entry *entries, uint32_t batch)
{
    propose(g, entries, batch);
    until_quiet(g);
}

/* The leader speaks, the followers write and answer, the leader hears and applies. */
static void turn_pipelined(struct group *g, const struct raft_entry *entries, uint32_t batch)
{
    propose(g, entries, batch);
    (void)poll_once(g, &g->m[1]);
    for (raft_id id = 2; id <= MEMBERS; id++) {
        (void)poll_once(g, &g->m[id]); /* writes */
        (void)poll_once(g, &g->m[id]); /* answers */
    }
}

/* The same when an acknowledgement leaves with its write. */
static void turn_at_once(struct group *g, const struct raft_entry *entries, uint32_t batch)
{
    propose(g, entries, batch);
    for (raft_id id = 1; id <= MEMBERS; id++) {
        (void)poll_once(g, &g->m[id]);
    }
}

typedef void (*turn_fn)(struct group *g, const struct raft_entry *entries, uint32_t batch);

/* Return: 0, or 1 when something failed or allocated. */
static int measure(const char *name, turn_fn turn, uint32_t batch, uint32_t entries, uint32_t runs)
{
    static struct group g;
    static uint64_t ns[RUNS_MAX];
    struct raft_entry proposed[BATCH_MAX];
    uint32_t turns = entries / batch;
    memset(proposed, 0, sizeof(proposed));
    for (uint32_t i = 0; i < BATCH_MAX; i++) {
        proposed[i].bytes = ENTRY_BYTES;
    }
    if (group_init(&g, turn == turn_at_once) != 0) {
        (void)fprintf(stderr, "bench_raft: no leader\n");
        group_finish(&g);
        return 1;
    }
    uint64_t allocations = bench_allocations();
    g.steps = g.polls = 0;
    for (uint32_t run = 0; run < runs; run++) {
        uint64_t begun = bench_now_ns();
        for (uint32_t i = 0; i < turns; i++) {
            turn(&g, proposed, batch);
        }
        ns[run] = bench_now_ns() - begun;
    }
    allocations = bench_allocations() - allocations;
    until_quiet(&g);
    struct raft_status st;
    raft_status(g.m[3].raft, &st);
    uint64_t expected = 1 + (uint64_t)turns * batch * runs; /* the leader's first entry */
    int wrong = g.failed || st.commit != expected || allocations != 0;
    double per = 1.0 / ((double)turns * batch);
    double all = per / runs;
    qsort(ns, runs, sizeof(ns[0]), bench_order);
    printf("commit  %-10s %5" PRIu32 " %10.1f %10.1f %10.2f %10.2f %12" PRIu64 "%s\n", name, batch,
           (double)ns[0] * per, (double)ns[runs / 2] * per, (double)g.steps * all,
           (double)g.polls * all, allocations, wrong ? "  WRONG" : "");
    group_finish(&g);
    return wrong;
}

int bench_commit(uint32_t entries, uint32_t runs)
{
    static const uint32_t batches[] = {1, 32, 256};
    int rc = 0;
    runs = runs < RUNS_MAX ? runs : RUNS_MAX;
    printf("3 members in one process, ns per entry of all three together, %" PRIu32
           " runs of %" PRIu32 " entries\n",
           runs, entries);
    printf("        %-10s %5s %10s %10s %10s %10s %12s\n", "way", "batch", "min ns", "median ns",
           "steps", "polls", "allocations");
    for (uint32_t i = 0; i < 3; i++) {
        rc |= measure("at once", turn_at_once, batches[i], entries, runs);
        rc |= measure("pipelined", turn_pipelined, batches[i], entries, runs);
        rc |= measure("quiet", turn_quiet, batches[i], entries, runs);
    }
    return rc;
}
