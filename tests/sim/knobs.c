/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knobs.c: draw the configuration of a seed (see knobs.h).
 */
#include "tests/sim/knobs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    uint32_t permille;
    const char *name;
} fault_table[FAULT_END] = {
#define X(name, permille, text) {permille, text},
    SIM_FAULTS(X)
#undef X
};

const char *fault_name(enum sim_fault f)
{
    return f < FAULT_END ? fault_table[f].name : "?";
}

enum sim_fault fault_of(const char *name, size_t len)
{
    int f = 0;
    while (f < FAULT_END &&
           (strlen(fault_table[f].name) != len || memcmp(fault_table[f].name, name, len) != 0)) {
        f++;
    }
    return (enum sim_fault)f;
}

static uint32_t pick(struct rng *r, const uint32_t *values, uint64_t count)
{
    return values[rng_below(r, count)];
}
#define PICK(r, ...)                         \
    pick(r, (const uint32_t[]){__VA_ARGS__}, \
         sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static void draw_raft(struct knobs *k, struct rng *r)
{
    struct raft_options *o = &k->raft;
    raft_options_init(o);
    o->election_min = PICK(r, 100, 150, 300, 500, 1000) * SIM_MS;
    o->election_max = o->election_min + o->election_min * PICK(r, 3, 6, 10, 10, 20) / 10;
    o->heartbeat = o->election_min / PICK(r, 3, 5, 10, 10);
    o->disk_stall = o->election_min * PICK(r, 5, 10, 10, 30) / 10;
    o->link_hint = PICK(r, 0, 1, 10, 10, 30) * SIM_MS;
    o->inflight_msgs_max = PICK(r, 1, 1, 2, 3, 8, 64);
    o->inflight_bytes_max = PICK(r, 256, 4096, 65536, 8U << 20);
    o->msg_bytes_max = PICK(r, 64, 512, 4096, 65536);
    o->msg_entries_max = PICK(r, 1, 3, 16, 256);
    o->uncommitted_bytes_max = PICK(r, 2048, 16384, 1U << 20);
    o->log_slots = PICK(r, 32, 64, 256, 1024, 4096, 16384);
    o->reads_max = PICK(r, 1, 4, 64);
    o->chunk_bytes = PICK(r, 64, 512, 4096, 65536);
    o->chunks_inflight_max = PICK(r, 1, 2, 4);
    o->config_bytes = PICK(r, RAFT_CONFIG_BYTES, RAFT_CONFIG_BYTES, RAFT_CONFIG_BYTES + 72);
    k->priorities = rng_chance(r, 200);
}

static void draw_host(struct knobs *k, struct rng *r)
{
    k->segment_bytes = (uint64_t)PICK(r, 8, 8, 16, 32, 64) * 1024;
    k->segments_ready = PICK(r, 1, 2, 2, 3);
    k->snap_every = PICK(r, 8, 30, 100, 300, 1000, 10000);
    k->state_pad = PICK(r, 0, 0, 500, 3000, 20000);
    if (k->raft.chunk_bytes == 64 && k->state_pad > 3000) {
        k->state_pad = 3000; /* hundreds of chunks say no more than fifty */
    }
    k->loop_ns = PICK(r, 0, 0, 20, 200, 1000) * (uint64_t)1000;
    k->apply_ns = PICK(r, 0, 0, 100, 2000, 20000) * (uint64_t)1000;
    k->disk_ns = PICK(r, 20, 100, 100, 1000, 8000) * (uint64_t)1000;
    k->disk_slow_permille = PICK(r, 0, 10, 50);
    k->client_ns = PICK(r, 3, 6, 12, 25) * SIM_MS;
    k->batch_max = PICK(r, 1, 1, 4, 16);
    k->payload_max = PICK(r, 24, 64, 300, 1200);
    k->read_permille = PICK(r, 100, 300, 500);
}

static void draw_network(struct knobs *k, struct rng *r)
{
    k->latency_ns = PICK(r, 50, 200, 1000, 5000) * (uint64_t)1000;
    k->jitter_ns = PICK(r, 20, 500, 5000, 20000) * (uint64_t)1000;
    if (k->latency_ns + k->jitter_ns > k->raft.election_min / 12) {
        k->jitter_ns = k->raft.election_min / 25;
        k->latency_ns = k->raft.election_min / 50;
    }
    k->loss_permille = knobs_has(k, FAULT_LOSS) ? PICK(r, 5, 20, 100, 250) : 0;
    k->dup_permille = knobs_has(k, FAULT_DUP) ? PICK(r, 10, 50, 200) : 0;
    k->reorder_permille = knobs_has(k, FAULT_REORDER) ? PICK(r, 20, 200, 1000) : 0;
    k->replay_permille = knobs_has(k, FAULT_REPLAY) ? PICK(r, 5, 20, 60) : 0;
    k->drift_ppm = knobs_has(k, FAULT_DRIFT) ? PICK(r, 500, 10000, 100000, 400000) : 0;
}

/* With leases, clocks keep within the promise: any two of them differ by at most lease_drift_ppm when
 * each is at most half of that off. */
static void draw_lease(struct knobs *k, struct rng *r)
{
    if (!knobs_has(k, FAULT_LEASE)) {
        return;
    }
    k->raft.lease_drift_ppm = PICK(r, 1000, 20000, 100000, 300000);
    k->raft.link_hint = 0;
    k->drift_ppm = knobs_has(k, FAULT_DRIFT) ? k->raft.lease_drift_ppm / 2 : 0;
    k->lease_permille = PICK(r, 300, 800, 1000);
}

static void draw_members(struct knobs *k, struct rng *r)
{
    k->voters = PICK(r, 1, 2, 3, 3, 3, 3, 5, 5);
    k->learners = PICK(r, 0, 0, 0, 1);
    k->join_empty = rng_chance(r, 500);
    k->nodes = knobs_has(k, FAULT_MEMBER) ? SIM_NODES_MAX : k->voters + k->learners;
}

void knobs_draw(struct knobs *k, uint64_t with, uint64_t without, struct rng *r)
{
    *k = (struct knobs){0};
    k->chaos_ns = PICK(r, 4, 8, 12, 20) * SIM_SEC;
    int calm = rng_chance(r, 60); /* nothing goes wrong: what then fails is plain wrong */
    for (uint32_t f = 0; f < FAULT_END; f++) {
        if (rng_chance(r, fault_table[f].permille) && !calm) {
            k->faults |= (uint64_t)1 << f;
        }
    }
    k->faults = (k->faults | with) & ~without;
    k->nemesis_ns = PICK(r, 100, 300, 700, 1500) * SIM_MS;
    draw_raft(k, r);
    draw_host(k, r);
    draw_network(k, r);
    draw_lease(k, r);
    draw_members(k, r);
    /* Last, so that it moves no other draw. */
    k->raft.commit_delay = PICK(r, 0, 1, 3, 20) * SIM_MS;
    k->raft.commit_delay =
        k->raft.commit_delay < k->raft.heartbeat ? k->raft.commit_delay : k->raft.heartbeat;
    k->waits = 1;
    k->lazy_disk = rng_chance(r, 500) ? 1 : 0;
}

void knobs_print(const struct knobs *k)
{
    printf("  voters=%u learners=%u ids=%u chaos=%" PRIu64 "s election=%" PRIu64 "..%" PRIu64
           "ms heartbeat=%" PRIu64 "ms inflight=%u/%uB msg=%uB/%u slots=%u reads=%u chunk=%u\n",
           k->voters, k->learners, k->nodes, k->chaos_ns / SIM_SEC, k->raft.election_min / SIM_MS,
           k->raft.election_max / SIM_MS, k->raft.heartbeat / SIM_MS, k->raft.inflight_msgs_max,
           k->raft.inflight_bytes_max, k->raft.msg_bytes_max, k->raft.msg_entries_max,
           k->raft.log_slots, k->raft.reads_max, k->raft.chunk_bytes);
    printf("  segment=%" PRIu64 " snap_every=%" PRIu64 " pad=%u loop=%" PRIu64 "us apply=%" PRIu64
           "us disk=%" PRIu64 "us client=%" PRIu64 "ms batch=%u payload=%u latency=%" PRIu64
           "+%" PRIu64 "us nemesis=%" PRIu64 "ms\n",
           k->segment_bytes, k->snap_every, k->state_pad, k->loop_ns / 1000, k->apply_ns / 1000,
           k->disk_ns / 1000, k->client_ns / SIM_MS, k->batch_max, k->payload_max,
           k->latency_ns / 1000, k->jitter_ns / 1000, k->nemesis_ns / SIM_MS);
    printf("  lease=%uppm drift=%uppm config=%uB stall=%" PRIu64 "ms hint=%" PRIu64 "ms\n",
           k->raft.lease_drift_ppm, k->drift_ppm, k->raft.config_bytes, k->raft.disk_stall / SIM_MS,
           k->raft.link_hint / SIM_MS);
    printf("  faults:");
    for (uint32_t f = 0; f < FAULT_END; f++) {
        if (knobs_has(k, (enum sim_fault)f)) {
            printf(" %s", fault_table[f].name);
        }
    }
    printf("\n");
}
