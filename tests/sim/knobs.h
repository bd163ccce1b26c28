/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knobs.h: what one seed is about. Swarm testing: every seed first draws which faults exist at all
 * and how large everything is, so that rare combinations are not drowned by an average of all.
 */
#ifndef COORD_SIM_KNOBS_H
#define COORD_SIM_KNOBS_H

#include <coord/raft.h>

#include "tests/sim/rng.h"

#define SIM_NODES_MAX 7 /* ids of a world: first members, and those that join later */
#define SIM_MS        ((uint64_t)1000000)
#define SIM_SEC       ((uint64_t)1000000000)

/* X(name, permille of seeds that have it, text). The first ones are drawn by the nemesis at its own
 * pace, those from LOSS on are properties of the network and the clocks. */
#define SIM_FAULTS(X)            \
    X(KILL, 350, "kill")         \
    X(POWER, 500, "power")       \
    X(BLACKOUT, 200, "blackout") \
    X(ISOLATE, 350, "isolate")   \
    X(SPLIT, 300, "split")       \
    X(BRIDGE, 200, "bridge")     \
    X(RING, 150, "ring")         \
    X(ONEWAY, 300, "one-way")    \
    X(RESET, 350, "reset")       \
    X(STALL, 250, "stall")       \
    X(EIO, 200, "eio")           \
    X(PAUSE, 250, "pause")       \
    X(JUMP, 200, "jump")         \
    X(TRANSFER, 400, "transfer") \
    X(CAMPAIGN, 250, "campaign") \
    X(USURP, 300, "usurp")       \
    X(NOSPACE, 200, "nospace")   \
    X(ROT, 120, "rot")           \
    X(MEMBER, 500, "member")     \
    X(WIPE, 150, "wipe")         \
    X(FREEZE, 150, "freeze")     \
    X(SLOW, 200, "slow")         \
    X(FULL, 150, "full")         \
    X(BADREAD, 150, "badread")   \
    X(LOSS, 350, "loss")         \
    X(DUP, 300, "dup")           \
    X(REORDER, 300, "reorder")   \
    X(REPLAY, 250, "replay")     \
    X(HOLD, 300, "hold")         \
    X(DRIFT, 300, "drift")       \
    X(LEASE, 300, "lease")

enum sim_fault {
#define X(name, permille, text) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULT_END
};
#define FAULT_NEMESIS_END FAULT_LOSS

struct knobs {
    uint32_t nodes;    /* ids of the world: 1 .. nodes */
    uint32_t voters;   /* ids 1 .. voters vote in the first configuration, */
    uint32_t learners; /* so many after them learn; the rest are not there yet */
    int join_empty;    /* who joins later knows no configuration; else the first one */
    uint64_t chaos_ns;
    uint64_t faults; /* bit per enum sim_fault */

    struct raft_options raft; /* id, rng_seed and priority are the member's own */
    int priorities;           /* 1: members differ in priority */

    uint64_t segment_bytes;
    uint32_t segments_ready;
    uint64_t snap_every; /* entries applied between snapshots */
    uint64_t snap_keep;  /* entries kept behind a snapshot, at least */
    uint32_t state_pad;  /* bytes that make the state larger */

    uint64_t loop_ns;   /* actions are taken this long after an event at most; 0: at once */
    uint64_t apply_ns;  /* entries are applied this long after their commit at most */
    uint64_t disk_ns;   /* mean of one write */
    uint32_t lazy_disk; /* 1: a write that nothing waits for is reported with the next event */
    uint32_t disk_slow_permille; /* writes that take 20 times as long */

    uint64_t client_ns; /* mean between two steps of the load */
    uint32_t batch_max;
    uint32_t payload_max;
    uint32_t payload_more; /* bytes that every payload has besides */
    uint32_t read_permille;
    int waits; /* 1: now and then somebody waits for a commit at another member */

    uint64_t latency_ns;
    uint64_t jitter_ns;
    uint32_t loss_permille;
    uint32_t dup_permille;
    uint32_t reorder_permille;
    uint32_t replay_permille;
    uint32_t drift_ppm;      /* clocks run at 1 - this .. 1 + this */
    uint32_t lease_permille; /* reads that may be answered by the lease */

    uint64_t nemesis_ns; /* mean between two faults */
};

static inline int knobs_has(const struct knobs *k, enum sim_fault f)
{
    return (k->faults >> f & 1) != 0;
}

/* with, without: faults that there are, or are not, whatever is drawn. */
void knobs_draw(struct knobs *k, uint64_t with, uint64_t without, struct rng *r);
void knobs_print(const struct knobs *k);
const char *fault_name(enum sim_fault f);
/* Return: FAULT_END for a name that is none. */
enum sim_fault fault_of(const char *name, size_t len);

#endif
