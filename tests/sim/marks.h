/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.h: counters of what a batch of seeds has met. A simulator that never meets a situation has
 * not tested it; a batch of MARKS_BATCH_MIN seeds or more fails when a mark that must be hit was not.
 */
#ifndef COORD_SIM_MARKS_H
#define COORD_SIM_MARKS_H

#include <stdint.h>

#define MARKS_BATCH_MIN 500 /* seeds of a batch from which on the musts count */

/* X(name, must, text) */
#define SIM_MARKS(X)                                                                             \
    X(LEADER_ELECTED, 1, "a leader was elected")                                                 \
    X(ELECTION_RETRIED, 1, "a candidate stood again, its election was lost or split")            \
    X(VOTE_LOST_IN_CRASH, 1, "a vote not yet on disk was lost in a crash")                       \
    X(VOTE_KEPT_IN_CRASH, 1, "a write under way when the power failed was found whole")          \
    X(ENTRIES_LOST_IN_CRASH, 1, "entries not yet on disk were lost in a crash")                  \
    X(TORN_TAIL_CUT, 1, "recovery cut a torn tail of the log")                                   \
    X(BLACKOUT, 1, "the power of all members failed at once")                                    \
    X(BOOT_FROM_SNAPSHOT, 1, "a member booted from a snapshot and its log")                      \
    X(BOOT_FROM_UNMARKED, 1,                                                                     \
      "a member booted from a snapshot file that its log was not yet marked with")               \
    X(LOG_REPAIR, 1, "recovery found damage of acknowledged data")                               \
    X(LOG_REPAIRED, 1, "a member with a damaged log was refilled and votes again")               \
    X(REPAIR_CRASHED, 0, "a member crashed while it was under repair")                           \
    X(VOTE_IN_DOUBT, 0, "recovery could not tell whether a term and vote were lost")             \
    X(VOTE_RESOLVED, 0, "a member that doubted its vote learnt the terms of all others")         \
    X(KEPT_OUT, 0, "recovery found damage that only an operator can judge")                      \
    X(SNAPSHOT_TAKEN, 1, "a member took a snapshot")                                             \
    X(SNAPSHOT_CRASHED, 1, "a crash hit while a snapshot was being written")                     \
    X(SNAPSHOT_INSTALLED, 1, "a snapshot was installed from the leader")                         \
    X(SNAPSHOT_OVER_CONFLICT, 1, "a snapshot was installed over entries that conflict with it")  \
    X(SNAPSHOT_KEPT_SUFFIX, 0, "a snapshot was installed and entries behind it were kept")       \
    X(SNAPSHOT_CHUNKS, 1, "a snapshot travelled in several chunks")                              \
    X(SNAPSHOT_REJECTED, 0, "a received snapshot failed its verification")                       \
    X(CRASH_IN_TRANSFER, 1, "a member crashed while it received a snapshot")                     \
    X(TRUNCATED, 1, "a follower discarded conflicting entries")                                  \
    X(OLD_ENTRY_KEPT, 1, "an entry of a leader that is gone was committed by a later one")       \
    X(OLD_ENTRY_DROPPED, 1, "an entry of a leader that is gone was replaced by a later one")     \
    X(PROPOSAL_DROPPED, 1, "a proposer was told that its proposal lost")                         \
    X(PROPOSAL_AFTER_CRASH, 1, "a proposal was committed although its proposer had crashed")     \
    X(PROPOSAL_IN_SNAPSHOT, 0, "a committed proposal was overtaken by a snapshot, unapplied")    \
    X(IO_NOT_AWAITED, 1, "a write was done, and nothing waited for it")                          \
    X(REFUSED_NOT_LEADER, 1, "a proposal was refused: not the leader")                           \
    X(REFUSED_TRANSFER, 1, "a proposal was refused: leadership is being handed over")            \
    X(REFUSED_FULL, 1, "a proposal was refused: the log or the window is full")                  \
    X(LOG_WIDENED, 0, "a log full of what nobody could commit was made larger")                  \
    X(REFUSED_NO_SPACE, 1, "a proposal was refused: no space")                                   \
    X(TRANSFERRED, 1, "leadership went where it was told to")                                    \
    X(STEPPED_DOWN_SAME_TERM, 1, "a leader without a quorum, or with a slow disk, stepped down") \
    X(TWO_LEADERS, 1, "an old leader and a new one existed at the same time")                    \
    X(CONFIG_TAKEN, 1, "a change of members was accepted")                                       \
    X(CONFIG_BUSY, 1, "a change was refused: another is under way")                              \
    X(CONFIG_NOT_READY, 1, "a change was refused: nothing of the term is committed")             \
    X(CONFIG_SUPERSEDED, 1, "a change took the place of one under way")                          \
    X(CONFIG_ROLLED_BACK, 1, "a configuration was discarded with its entry")                     \
    X(LEARNER_ADDED, 1, "a learner was added")                                                   \
    X(LEARNER_PROMOTED, 1, "a learner became a voter")                                           \
    X(VOTER_DEMOTED, 1, "a voter became a learner")                                              \
    X(VOTER_REMOVED, 1, "a voter was removed")                                                   \
    X(SEVERAL_REPLACED, 1, "several members left at once")                                       \
    X(JOINT_ENTERED, 1, "a joint configuration was appended")                                    \
    X(JOINT_LEFT, 1, "a joint configuration was left")                                           \
    X(JOINT_LEFT_BY_OTHER, 1, "a joint configuration was left by another leader")                \
    X(ELECTED_WHILE_JOINT, 1, "a leader was elected by both halves of a joint configuration")    \
    X(LEADER_REMOVED_ITSELF, 1, "a leader committed a configuration in which it has no vote")    \
    X(SNAPSHOT_WHILE_JOINT, 1, "a snapshot was installed while the configuration was joint")     \
    X(REMOVED_ASKS, 1, "a removed member asked for votes")                                       \
    X(MEMBER_CAME_BACK, 1, "a removed member was added again with its disk")                     \
    X(MEMBER_RETIRED, 1, "a removed member left for good")                                       \
    X(DISK_LOST, 1, "a member lost its disk for good")                                           \
    X(LEASE_READ, 1, "a leader had a lease when a read asked for it")                            \
    X(LEASE_ENDED, 1, "a leader had no lease when a read asked for it")                          \
    X(LEASE_IN_TRANSFER, 1, "a read asked for the lease while leadership was handed over")       \
    X(LEASE_IN_JOINT, 1, "a read asked for the lease while the configuration was joint")         \
    X(READ_BY_LEADER, 1, "a leader answered a linearizable read")                                \
    X(READ_BY_FOLLOWER, 1, "a follower answered a linearizable read")                            \
    X(READ_RETRY, 1, "a read was answered with: ask again")                                      \
    X(READ_NO_LEADER, 1, "a read was answered with: no leader")                                  \
    X(READ_WAITED, 1, "a read had to wait until its index was applied")                          \
    X(IO_FAULTED, 1, "a failed write or sync made a member stop")                                \
    X(DISK_STALLED, 1, "a disk did not answer for longer than disk_stall")                       \
    X(BIT_FLIPPED, 1, "a bit on a disk flipped")                                                 \
    X(SECTORS_SCRAMBLED, 1, "a piece of a file came to hold something else")                     \
    X(SECTOR_UNREADABLE, 1, "a piece of a file could not be read any more")                      \
    X(WRITE_MISDIRECTED, 1, "a write had gone to another place")                                 \
    X(READ_FAILED, 1, "a read failed while a member booted; it booted later")                    \
    X(NO_ROOM, 1, "a disk was found full")                                                       \
    X(ROOM_AGAIN, 1, "a full disk had room again")                                               \
    X(BATCH_WAITED, 1, "a batch had to wait for room on the disk")                               \
    X(SNAPSHOT_NO_ROOM, 1, "a snapshot found no room on the disk")                               \
    X(BOOT_WITHOUT_ROOM, 0, "a member could not start for want of room")                         \
    X(USURPED, 1, "a leader slept while others might replace it")                                \
    X(DISK_FROZEN, 1, "a disk did not answer at all for many elections")                         \
    X(DISK_SLOW, 1, "a disk was many times slower for a while")                                  \
    X(PAUSED_LEADER, 1, "the process of a leader was paused")                                    \
    X(CLOCK_JUMPED, 1, "a clock jumped")                                                         \
    X(CLOCK_DRIFTED, 1, "clocks ran at different speeds")                                        \
    X(MSG_LOST, 1, "a message was lost")                                                         \
    X(MSG_DUPLICATED, 1, "a message arrived twice")                                              \
    X(MSG_OVERTAKEN, 1, "a message overtook an earlier one")                                     \
    X(MSG_REPLAYED, 1, "a message arrived again much later")                                     \
    X(MSG_OF_EARLIER_LIFE, 1, "a message arrived after its sender or receiver had restarted")    \
    X(MSG_HELD, 1, "messages were held back and arrived in one burst")                           \
    X(LINK_RESET, 1, "a connection broke with messages under way")                               \
    X(MSG_AFTER_RESET, 1, "of a broken connection's messages the first still arrived")           \
    X(PARTITIONED, 1, "the network was partitioned")                                             \
    X(ONE_WAY, 1, "a link was cut in one direction")                                             \
    X(CONVERGED, 1, "the group converged after it was healed")

enum mark {
#define X(name, must, text) MARK_##name,
    SIM_MARKS(X)
#undef X
        MARK_END
};

struct marks {
    uint64_t hits[MARK_END];
};

#define MARK(w, name) ((w)->marks->hits[MARK_##name]++)

void marks_add(struct marks *to, const struct marks *from);
void marks_print(const struct marks *m);

/* Return: how many marks that must be hit were not; each is printed. */
int marks_missing(const struct marks *m);

#endif
