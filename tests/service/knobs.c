/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knobs.c: draw the configuration of a seed (see knobs.h). Threads: none.
 */
#include "tests/service/knobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    uint32_t permille;
    const char *name;
} fault_table[FAULT_END] = {
#define X(name, permille, text) {permille, text},
    SVC_FAULTS(X)
#undef X
};

const char *fault_name(enum svc_fault f)
{
    return f < FAULT_END ? fault_table[f].name : "?";
}

enum svc_fault fault_of(const char *name, size_t len)
{
    int f = 0;
    while (f < FAULT_END &&
           (strlen(fault_table[f].name) != len || memcmp(fault_table[f].name, name, len) != 0)) {
        f++;
    }
    return (enum svc_fault)f;
}

static uint32_t pick(struct rng *r, const uint32_t *values, uint64_t count)
{
    return values[rng_below(r, count)];
}
#define PICK(r, ...)                         \
    pick(r, (const uint32_t[]){__VA_ARGS__}, \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void draw_raft(struct raft_options *o, struct rng *r)
{
    o->election_min = PICK(r, 150, 300, 500, 500) * SVC_MS;
    o->election_max = 2 * o->election_min;
    o->heartbeat = o->election_min / PICK(r, 3, 5, 10);
    o->disk_stall = o->election_min;
    o->inflight_msgs_max = PICK(r, 1, 2, 8, 64);
    o->inflight_bytes_max = PICK(r, 4096, 65536, 8U << 20);
    o->msg_bytes_max = PICK(r, 512, 4096, 65536);
    o->msg_entries_max = PICK(r, 1, 16, 256);
    o->uncommitted_bytes_max = PICK(r, 16384, 1U << 20);
    o->log_slots = PICK(r, 256, 1024, 4096);
    o->reads_max = PICK(r, 1, 4, 64);
    o->chunk_bytes = PICK(r, 512, 4096, 65536);
    o->chunks_inflight_max = PICK(r, 1, 2, 4);
}

static void draw_limits(struct knobs *k, struct rng *r)
{
    struct node_options *o = &k->node;
    node_options_init(o);
    draw_raft(&o->raft, r);
    o->machine.session_min_ms = o->raft.election_min / SVC_MS;
    o->machine.session_max_ms = 6000;
    if (rng_chance(r, 400)) {
        o->machine.answers = PICK(r, 2, 8, 64);
        o->machine.answers_bytes = PICK(r, 4096, 65536);
        o->machine.list_entries = PICK(r, 1, 3, 10);
        o->machine.list_bytes = PICK(r, 512, 4096);
        o->machine.txn_operations = PICK(r, 2, 8);
        o->machine.subtree_nodes = PICK(r, 4, 20);
        o->machine.sessions = PICK(r, 9, 12, 1000);
    }
    if (rng_chance(r, 500)) {
        o->watch.history_events = PICK(r, 2, 8, 50, 300);
        o->watch.history_bytes = PICK(r, 1024, 65536);
        o->watch.frame_bytes = PICK(r, 512, 4096, 65536);
    }
    o->snapshot_entries = PICK(r, 8, 30, 100, 500, 100000);
    o->snapshot_bytes = PICK(r, 4096, 1U << 20);
    o->slice_records = 1 + (uint32_t)(o->snapshot_entries % 7);
    o->slice_bytes = 700;
    o->digest_entries = 25;
    o->digest_interval_ns = 0;
    o->outstanding_max = PICK(r, 1, 4, 1024, 1024);
    o->conn_bytes_max = PICK(r, 1024, 16U << 20);
}

static void draw_hosts(struct knobs *k, struct rng *r)
{
    k->segment_bytes = (uint64_t)PICK(r, 8, 16, 64, 256) * 1024;
    k->segments_ready = PICK(r, 1, 1, 2);
    k->disk_ns = PICK(r, 50, 200, 1000, 5000) * (uint64_t)1000;
    k->disk_slow_permille = PICK(r, 0, 10, 50);
    k->loop_ns = PICK(r, 0, 20, 200, 1000) * (uint64_t)1000;
    k->latency_ns = PICK(r, 100, 500, 2000) * (uint64_t)1000;
    k->jitter_ns = PICK(r, 50, 500, 5000) * (uint64_t)1000;
    k->loss_permille = knobs_has(k, FAULT_LOSS) ? PICK(r, 5, 20, 100) : 0;
    k->chunk_loss_permille = knobs_has(k, FAULT_CHUNK_LOSS) ? PICK(r, 100, 300, 600) : 0;
    k->dup_permille = knobs_has(k, FAULT_DUP) ? PICK(r, 10, 50, 200) : 0;
    k->reorder_permille = knobs_has(k, FAULT_REORDER) ? PICK(r, 20, 200) : 0;
    k->drift_ppm = knobs_has(k, FAULT_DRIFT) ? PICK(r, 200, 2000, 4000) : 0;
    k->window = PICK(r, 2048, 16384, 262144);
    k->pieces = knobs_has(k, FAULT_PIECES) ? PICK(r, 1, 7, 100, 1000) : 0;
    k->output_max = PICK(r, 262144, 4U << 20);
    k->output_high = PICK(r, 4096, 65536);
    k->output_behind = PICK(r, 131072, 1U << 20);
    if (knobs_has(k, FAULT_DEAF) ||
        knobs_has(k, FAULT_STRANGERS)) { /* so that it is soon too much */
        k->window = PICK(r, 1024, 4096);
        k->output_high = PICK(r, 512, 2048);
        k->output_behind = PICK(r, 2048, 4096);
        k->output_max = PICK(r, 32768, 262144);
    }
    k->node.log_memory_bytes = PICK(r, 1000, 20000, 16U << 20);
    k->node.digest_entries = PICK(r, 5, 50, 100000);
    k->node.digest_interval_ns = PICK(r, 100, 1000) * SVC_MS;
    k->node.slice_records = PICK(r, 1, 20, 384);
}

static void draw_clients(struct knobs *k, struct rng *r)
{
    k->clients = 3 + (uint32_t)rng_below(r, SVC_CLIENTS_MAX - 2);
    k->think_ns = PICK(r, 15, 30, 60, 120) * SVC_MS;
    k->window_ops = PICK(r, 1, 3, 3, 8);
    k->keys = PICK(r, 1, 3, 6);
    k->read_permille = PICK(r, 200, 450, 700);
    k->watch_permille = PICK(r, 0, 300, 700);
    k->owners = (uint32_t)rng_below(r, 4);
    k->session_ms = PICK(r, 800, 1500, 3000);
    k->request_ms = PICK(r, 1000, 2500, 5000);
    k->tree = rng_chance(r, 500);
    k->odd = rng_chance(r, 300);
    k->quotas = rng_chance(r, 400);
}

/* Only clocks that differ much leave a leader time to believe in its lease when another one leads already; but such
 * clocks are more than the leases of clients allow for, so nobody has locks. */
static void draw_lease(struct knobs *k, struct rng *r)
{
    k->wild = knobs_has(k, FAULT_WILD) && k->members > 1;
    if (k->wild) {
        k->drift_ppm = PICK(r, 60000, 90000);
        k->owners = 0;
        k->faults |= (uint64_t)1 << FAULT_ISOLATE | (uint64_t)1 << FAULT_DRIFT;
        k->nemesis_ns = 500 * SVC_MS;
        k->think_ns = 15 * SVC_MS;
        k->window_ops = 8;
        k->read_permille = 700;
        k->latency_ns = 500 * (uint64_t)1000;
        k->jitter_ns = 50 * (uint64_t)1000;
    }
    /* A clock that is fast by the drift against one that is slow by as much; and none jumps. */
    k->node.raft.lease_drift_ppm = 2 * k->drift_ppm + 1000;
    k->node.raft.link_hint = 0;
    k->faults &= ~((uint64_t)1 << FAULT_JUMP);
}

/* Last, so that what was drawn before is what it was without. */
static void draw_options(struct knobs *k, struct rng *r)
{
    k->differ = rng_chance(r, 250);
    k->lease = knobs_has(k, FAULT_LEASE) || knobs_has(k, FAULT_WILD);
    if (k->lease) {
        draw_lease(k, r);
    }
    if (rng_chance(r, 750)) { /* as coordd has it */
        k->node.raft.commit_delay = k->node.raft.heartbeat / 16;
    }
    k->patient_permille = PICK(r, 0, 50, 200);
    k->keepers = PICK(r, 0, 1, 2);
}

void knobs_draw(struct knobs *k, uint64_t with, uint64_t without, struct rng *r)
{
    *k = (struct knobs){0};
    k->chaos_ns = PICK(r, 4, 6, 10) * SVC_SEC;
    int calm = rng_chance(r, 60); /* nothing goes wrong: what then fails is plain wrong */
    for (uint32_t f = 0; f < FAULT_END; f++) {
        if (rng_chance(r, fault_table[f].permille) && !calm) {
            k->faults |= (uint64_t)1 << f;
        }
    }
    k->faults = (k->faults | with) & ~without;
    k->members = PICK(r, 1, 3, 3, 3, 3, 5);
    k->nemesis_ns = PICK(r, 200, 500, 1000) * SVC_MS;
    draw_limits(k, r);
    draw_hosts(k, r);
    draw_clients(k, r);
    draw_options(k, r);
}

void knobs_print(const struct knobs *k)
{
    const struct node_options *o = &k->node;
    const struct machine_limits *m = &o->machine;
    printf("  members=%u clients=%u chaos=%" PRIu64 "s election=%" PRIu64 "ms heartbeat=%" PRIu64
           "ms inflight=%u/%uB msg=%uB/%u slots=%u reads=%u chunk=%u snapshot=%" PRIu64 "\n",
           k->members, k->clients, k->chaos_ns / SVC_SEC, o->raft.election_min / SVC_MS,
           o->raft.heartbeat / SVC_MS, o->raft.inflight_msgs_max, o->raft.inflight_bytes_max,
           o->raft.msg_bytes_max, o->raft.msg_entries_max, o->raft.log_slots, o->raft.reads_max,
           o->raft.chunk_bytes, o->snapshot_entries);
    printf("  answers=%u/%uB list=%u/%uB txn=%u subtree=%u sessions=%u history=%u/%" PRIu64
           "B event=%uB outstanding=%u/%" PRIu64 "B\n",
           m->answers, m->answers_bytes, m->list_entries, m->list_bytes, m->txn_operations,
           m->subtree_nodes, m->sessions, o->watch.history_events, o->watch.history_bytes,
           o->watch.frame_bytes, o->outstanding_max, o->conn_bytes_max);
    printf("  segment=%" PRIu64 " disk=%" PRIu64 "us loop=%" PRIu64 "us latency=%" PRIu64
           "+%" PRIu64 "us drift=%uppm window=%u pieces=%u output=%u/%u\n",
           k->segment_bytes, k->disk_ns / 1000, k->loop_ns / 1000, k->latency_ns / 1000,
           k->jitter_ns / 1000, k->drift_ppm, k->window, k->pieces, k->output_high, k->output_max);
    printf("  think=%" PRIu64
           "ms ops=%u keys=%u reads=%u watches=%u patient=%u owners=%u keepers=%u session=%" PRIu64
           "ms request=%ums tree=%d odd=%d quotas=%d differ=%d lease=%d wild=%d nemesis=%" PRIu64
           "ms\n  faults:",
           k->think_ns / SVC_MS, k->window_ops, k->keys, k->read_permille, k->watch_permille,
           k->patient_permille, k->owners, k->keepers, k->session_ms, k->request_ms, k->tree,
           k->odd, k->quotas, k->differ, k->lease, k->wild, k->nemesis_ns / SVC_MS);
    for (uint32_t f = 0; f < FAULT_END; f++) {
        if (knobs_has(k, (enum svc_fault)f)) {
            printf(" %s", fault_table[f].name);
        }
    }
    printf("\n");
}
