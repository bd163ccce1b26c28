/* SPDX-License-Identifier: Apache-2.0 */
/*
 * knobs.h: what one seed is about. Every seed first draws which faults exist at all and how large
 * everything is, so that rare combinations are not drowned by an average of all. Threads: none.
 */
#ifndef COORD_TESTS_SERVICE_KNOBS_H
#define COORD_TESTS_SERVICE_KNOBS_H

#include "server/node/node.h"
#include "tests/sim/rng.h"

#define SVC_MEMBERS_MAX 5
#define SVC_CLIENTS_MAX 8
#define SVC_MS          ((uint64_t)1000000)
#define SVC_SEC         ((uint64_t)1000000000)

/* X(name, permille of seeds that have it, text). The first ones come and go at the nemesis's pace, those
 * from LOSS on are there all the time. */
#define SVC_FAULTS(X)                    \
    X(KILL, 400, "kill")                 \
    X(AWAY, 200, "away")                 \
    X(POWER, 400, "power")               \
    X(BLACKOUT, 150, "blackout")         \
    X(ISOLATE, 400, "isolate")           \
    X(SPLIT, 300, "split")               \
    X(BRIDGE, 150, "bridge")             \
    X(RING, 150, "ring")                 \
    X(ONEWAY, 300, "one-way")            \
    X(RESET, 300, "reset")               \
    X(STALL, 300, "stall")               \
    X(SLOW, 200, "slow")                 \
    X(FREEZE, 100, "freeze")             \
    X(EIO, 100, "eio")                   \
    X(FULL, 250, "full")                 \
    X(BAD_READ, 150, "bad-read")         \
    X(ROT, 250, "rot")                   \
    X(PAUSE, 300, "pause")               \
    X(JUMP, 150, "jump")                 \
    X(WALL, 300, "wall")                 \
    X(LEAVE, 200, "leave")               \
    X(HANGUP, 400, "hangup")             \
    X(UNREACHABLE, 300, "unreachable")   \
    X(CLIENT_PAUSE, 300, "client-pause") \
    X(DEAF, 300, "deaf")                 \
    X(CLIENT_DIE, 300, "client-die")     \
    X(CLIENT_GONE, 200, "client-gone")   \
    X(CLIENT_CLOSE, 200, "client-close") \
    X(LOSS, 250, "loss")                 \
    X(CHUNK_LOSS, 250, "chunk-loss")     \
    X(DUP, 250, "dup")                   \
    X(REORDER, 250, "reorder")           \
    X(DRIFT, 300, "drift")               \
    X(SLOW_READER, 200, "slow-reader")   \
    X(STRANGERS, 200, "strangers")       \
    X(LEASE, 300, "lease")               \
    X(WILD, 120, "wild")                 \
    X(PIECES, 300, "pieces")

enum svc_fault {
#define X(name, permille, text) FAULT_##name,
    SVC_FAULTS(X)
#undef X
        FAULT_END
};
#define FAULT_NEMESIS_END FAULT_LOSS

struct knobs {
    uint32_t members;
    uint32_t clients;
    uint64_t chaos_ns;
    uint64_t faults;          /* bit per enum svc_fault */
    struct node_options node; /* members, cluster, raft.id and raft.rng_seed are the member's own */

    uint64_t segment_bytes; /* of the log */
    uint32_t segments_ready;
    uint64_t disk_ns; /* mean of one write */
    uint32_t disk_slow_permille;
    uint64_t loop_ns; /* a process looks this long after an event at most; 0: at once */

    uint64_t latency_ns; /* between any two machines */
    uint64_t jitter_ns;
    uint32_t loss_permille;
    uint32_t chunk_loss_permille; /* of the pieces of snapshots, besides */
    uint32_t dup_permille;
    uint32_t reorder_permille;
    uint32_t drift_ppm;  /* clocks run at 1 - this .. 1 + this */
    uint32_t window;     /* bytes of a client's connection under way, each direction */
    uint32_t pieces;     /* 0: whole; else reads and writes of at most so many bytes, at random */
    uint32_t output_max; /* bytes that may wait for one client */
    uint32_t output_behind; /* from here on no event is added either */
    uint32_t output_high;   /* from here on no answer is added */

    uint64_t think_ns;   /* mean between two requests of one client */
    uint32_t window_ops; /* requests of one client under way */
    uint32_t keys;
    uint32_t read_permille;
    uint32_t watch_permille;
    uint32_t patient_permille; /* calls that wait for a quorum */
    uint32_t owners;           /* clients that use locks and elections */
    uint32_t keepers;          /* clients that hardly do more than keep a session, and watch */
    uint64_t session_ms;
    uint32_t request_ms;
    uint64_t nemesis_ns; /* mean between two faults */
    bool tree;           /* renames and recursive deletes of subtrees */
    bool odd;            /* containers and ttl nodes */
    bool quotas;
    bool differ; /* members whose files say other limits */
    bool lease;  /* reads by the leader's lease, within what it assumes of clocks */
    bool wild;   /* which is a lot */
};

static inline int knobs_has(const struct knobs *k, enum svc_fault f)
{
    return (k->faults >> f & 1) != 0;
}

/* with, without: faults that there are, or are not, whatever is drawn. Return: none. */
void knobs_draw(struct knobs *k, uint64_t with, uint64_t without, struct rng *r);
/* To standard output, for people. Return: none. */
void knobs_print(const struct knobs *k);
/* Return: static text. */
const char *fault_name(enum svc_fault f);
/* Return: FAULT_END for a name that is none. */
enum svc_fault fault_of(const char *name, size_t len);

#endif
