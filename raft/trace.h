/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h: what the codes of struct raft_trace mean, for tests and for those who print traces.
 *
 * Each line: code, its name, and what peer, a, b and c hold.
 */
#ifndef RAFT_TRACE_H
#define RAFT_TRACE_H

#include <coord/raft.h>

#define RAFT_TRACE_CODES(X)                                                         \
    X(FOLLOWER, 1, "peer: leader; a: term; b: role before")                         \
    X(PRECANDIDATE, 2, "a: term; b: last index; c: campaign")                       \
    X(CANDIDATE, 3, "a: term; b: last index; c: campaign")                          \
    X(LEADER, 4, "a: term; b: last index before its own entry")                     \
    X(STEP_DOWN, 5, "a: term; b: 1 quorum lost, 2 disk stalled, 3 no voter")        \
    X(VOTE_GRANTED, 6, "peer: to whom; a: term")                                    \
    X(TRUNCATE, 7, "a: first index removed; b: last index removed")                 \
    X(COMMIT, 8, "a: from; b: to")                                                  \
    X(PROBE, 9, "peer; a: next; b: match")                                          \
    X(REPLICATE, 10, "peer; a: next; b: match")                                     \
    X(SNAPSHOT, 11, "peer; a: index of the snapshot; b: next")                      \
    X(INSTALLED, 12, "a: index; b: 1 when the log after it was kept")               \
    X(COMPACT, 13, "a: new base; b: old base")                                      \
    X(TRANSFER, 14, "peer: target; a: 1 begun, 2 TIMEOUT_NOW sent, 3 given up")     \
    X(FAULT, 15, "a: reason")                                                       \
    X(CONFIG, 16, "a: index in force now; b: members")                              \
    X(CHANGE, 17, "a: index of the configuration appended; b: members; c: 1 joint") \
    X(REPAIRED, 18, "peer: leader; a: whole through; b: index of the damage")

enum raft_trace_code {
#define X(name, value, text) RAFT_TRACE_##name = value,
    RAFT_TRACE_CODES(X)
#undef X
};

/* The name of a code. Ownership: static. Errors: none. Thread: any. Return: never NULL. */
const char *raft_trace_name(uint32_t code);

#endif
