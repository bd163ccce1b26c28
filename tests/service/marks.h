/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.h: counters of what a batch of seeds has met. A batch that never met what must be met has not
 * tested what it claims to. Threads: none.
 */
#ifndef COORD_TESTS_SERVICE_MARKS_H
#define COORD_TESTS_SERVICE_MARKS_H

#include <stdint.h>

#define MARKS_BATCH_MIN 300 /* seeds from which on missing marks fail the batch */

/* X(name, must be hit, text) */
#define SVC_MARKS(X)                                                                           \
    X(KILLED, 1, "a member's process was killed")                                              \
    X(POWER_CUT, 1, "a member's power was cut")                                                \
    X(CUT_IN_WRITE, 1, "the power was cut inside a write")                                     \
    X(TORN_TAIL, 0, "a torn tail of a log was cut at boot")                                    \
    X(BOOT_FROM_SNAPSHOT, 1, "a member booted from a snapshot")                                \
    X(WRITE_FAILED, 1, "a failed write made a member stop")                                    \
    X(STOPPED_WITH_CLIENTS, 1, "a member that had stopped still had clients")                  \
    X(DISK_SLOW, 1, "a disk was slow")                                                         \
    X(DISK_FROZEN, 1, "a disk was frozen until the end or a restart")                          \
    X(READ_FAILED, 1, "a read failed while a member booted, and it did not start")             \
    X(NO_ROOM, 1, "a member had no room for its log")                                          \
    X(ROOM_AGAIN, 1, "it had again")                                                           \
    X(BATCH_WAITED, 0, "a batch of the log waited for room")                                   \
    X(NO_SPACE, 1, "a write was refused for want of room on a disk")                           \
    X(SNAPSHOT_NO_ROOM, 1, "a snapshot found no room")                                         \
    X(CHUNK_STORED_LATER, 1, "a chunk that could not be stored was tried again")               \
    X(BOOT_WITHOUT_ROOM, 0, "a member did not start for want of room")                         \
    X(ROTTED, 1, "a disk rotted")                                                              \
    X(LOG_REPAIR, 1, "a member found its log damaged, and did not vote")                       \
    X(VOTE_IN_DOUBT, 1, "its vote could be lost as well")                                      \
    X(LOG_REPAIRED, 1, "it was whole again")                                                   \
    X(REPAIRED_BY_SNAPSHOT, 1, "a snapshot brought back what it had lost")                     \
    X(SNAPSHOT_ROTTEN, 1, "a member booted although its newest snapshot was damaged")          \
    X(KEPT_OUT, 0, "a member's disk was damaged beyond repair: it stayed out")                 \
    X(LEADER_CHANGED, 1, "leadership went to another member")                                  \
    X(SNAPSHOT_INSTALLED, 1, "a member was sent a snapshot")                                   \
    X(SNAPSHOT_IN_PIECES, 1, "it came in several pieces")                                      \
    X(CHUNK_LOST, 1, "a piece of it was lost on the way")                                      \
    X(CHUNK_AGAIN, 1, "that piece was sent again")                                             \
    X(INSTALLED_AFTER_LOSS, 1, "a snapshot was installed of which a piece had been lost")      \
    X(AWAY_TOO_LONG, 1, "a member came back when the others had forgotten what it lacked")     \
    X(BROUGHT_BACK, 1, "a snapshot brought it back")                                           \
    X(INSTALLED_WITH_CLIENTS, 1, "a snapshot was installed at a member with clients")          \
    X(REPEATED, 1, "a write came again under its number")                                      \
    X(REPEATED_ELSEWHERE, 1, "it came again through another member")                           \
    X(REPEATED_NEW_LEADER, 1, "it came again under another leader")                            \
    X(RESUMED_ELSEWHERE, 1, "a session moved to another member")                               \
    X(SESSION_EXPIRED, 1, "a session expired")                                                 \
    X(EXPIRED_WITH_NODES, 1, "an expired session owned nodes")                                 \
    X(CLIENT_TOLD_EXPIRED, 1, "a live client was told that its session had ended")             \
    X(MOVED, 1, "a request came through an attachment that is over (EMOVED)")                  \
    X(NO_QUORUM, 1, "a request was refused for want of a quorum")                              \
    X(PATIENT_SERVED, 1, "a call that waits for a quorum was refused, and then served")        \
    X(PATIENT_DOUBT_ENDED, 1, "a write among them, which had been in doubt")                   \
    X(PATIENT_REFUSED, 1, "one was told when its time was over")                               \
    X(IN_DOUBT_APPLIED, 1, "a write without an answer had been applied")                       \
    X(IN_DOUBT_NOT, 1, "a write without an answer had not been applied")                       \
    X(TOO_STALE, 1, "a read was refused as too stale")                                         \
    X(BUSY, 0, "a request was refused: too many answers kept, or too many sessions")           \
    X(WATCH_RESUMED, 1, "a watch went on at another connection")                               \
    X(WATCH_GAP, 1, "a watch was told of a gap")                                               \
    X(WATCH_ONCE_FIRED, 1, "a one-shot watch fired")                                           \
    X(SLOW_CLIENT_CLOSED, 0, "a client that did not read was disconnected")                    \
    X(WATCHER_BEHIND, 1, "a watcher that did not read was left out")                           \
    X(GAP_AFTER_BEHIND, 1, "and told of a gap when it read again")                             \
    X(STUCK_CLIENT_CLOSED, 1, "a connection was closed on which nothing came")                 \
    X(LOG_READ_BACK, 1, "applied entries were read from the disk for a follower")              \
    X(WATCH_LISTED, 1, "a client listed what it watches")                                      \
    X(WATCH_LISTED_AGAIN, 1, "and again after a gap")                                          \
    X(SESSION_ENDED, 1, "an operator ended a session")                                         \
    X(BACK_PRESSURE, 1, "a member stopped reading from a client")                              \
    X(TXN_DONE, 1, "a transaction was applied")                                                \
    X(TXN_REFUSED, 1, "a transaction failed as a whole")                                       \
    X(TREE_MOVED, 1, "a subtree was renamed")                                                  \
    X(TREE_DELETED, 1, "a subtree was deleted as one")                                         \
    X(QUOTA_HIT, 1, "a quota refused a write")                                                 \
    X(LOCK_HELD, 1, "a lock was acquired")                                                     \
    X(LOCK_WAITED, 1, "a lock was acquired after a wait")                                      \
    X(LOCK_WOKEN, 1, "a waiter was told that the one in front is gone")                        \
    X(LOCK_LOST, 1, "an owner was told that it lost its lock")                                 \
    X(LOCK_LOST_BY_PAUSE, 1, "a lock went to another while its owner was paused")              \
    X(ELECTED, 1, "a candidate was elected")                                                   \
    X(CLIENT_DIED, 1, "a client died")                                                         \
    X(CLIENT_PAUSED, 1, "a client was paused beyond its lease")                                \
    X(LEASE_READS, 1, "a leader was asked that had answered reads by its lease")               \
    X(LEASE_CUT_OFF, 1, "a leader with a lease was cut off, its clock slow, the others' fast") \
    X(LEASE_OVERTAKEN, 1, "an old leader and a new one existed, with that option")             \
    X(TWO_LEADERS, 1, "an old leader and a new one existed at the same time")                  \
    X(PAUSED_LEADER, 1, "a leader was paused")                                                 \
    X(STALLED_LEADER, 1, "a leader's disk stalled")                                            \
    X(LEFT, 1, "a member left in order")                                                       \
    X(CONVERGED, 1, "the ensemble converged after it was healed")

enum mark {
#define X(name, must, text) MARK_##name,
    SVC_MARKS(X)
#undef X
        MARK_END
};

struct marks {
    uint64_t hits[MARK_END];
};

#define MARK(w, name) ((w)->marks->hits[MARK_##name]++)

/* Return: none. */
void marks_add(struct marks *to, const struct marks *from);
void marks_print(const struct marks *m);
/* Return: how many marks that must be hit were not; each is printed. */
int marks_missing(const struct marks *m);

#endif
