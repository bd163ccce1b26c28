/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutant.h: known bugs, put back on purpose, to show that the tests would find them.
 *
 * RAFT_BUG(n) stands where bug n would be. In VARIANT=mutants it asks whether n is the one bug that is
 * switched on now (RAFT_MUTANT=n in the environment of a test program); in every other build it is the
 * constant 0, and nothing of it is left in the objects. tests/mutants/README.md tells what finds which.
 *
 * 1 to 38 are bugs that others have shipped, one for each scenario tests/script/sc_NN. Some cannot be
 * made here as they were made there, because what they got wrong does not exist; then it is what they
 * did to a group that is put back. The table is read by tests/mutants/run.sh.
 *
 *    n  where                        what is broken
 *    1  io.c                         an old write speaks for entries that took the place of its own
 *    2  io.c                         of several writes that completed, only the oldest is counted
 *    3  io.c, internal.h, boot.c     entries are written, and told, before their term is durable
 *    4  storage/wal_files.c          a new segment forgets term and vote
 *    5  storage/wal_files.c          the name of a new segment is not synced
 *    6  storage/snapshot_*.c         the name of a new snapshot is not synced
 *    7  storage/wal_recover.c        recovery brings back entries that were superseded
 *    8  storage/wal_resume.c         the log goes on behind a torn record, where nobody will read
 *    9  boot.c                       entries older than the snapshot are taken for newer ones
 *   10  follower.c                   an APPEND deletes all behind its first index, then appends
 *   11  replication.c                the leader counts itself for what it has not on disk
 *   12  storage/wal_batch.c, raft.c  a failed write or sync is taken for done
 *   13  tests/sim/host_snap.c        a snapshot's state is not the state at its index
 *   14  raft.c                       a disk that was full once stays full
 *   15  io.c                         no disk ever counts as stalled
 *   16  replication.c                an older term's entry is committed by counting
 *   17  follower.c                   a follower commits up to its own last entry
 *   18  log.c                        the commit index may fall
 *   19  replication.c                a refused APPEND counts as a match
 *   20  replication.c, follower.c    an old refusal is believed, and what is repeated is cut first
 *   21  progress.c                   a member that was removed and added is credited old answers
 *   22  replication.c                stepping back, the leader stops short of where the logs part
 *   23  replication.c                a leader whose log is compacted to its end sends nothing
 *   24  replication.c, follower.c    an APPEND behind a compacted entry says term 0 and fits anywhere
 *   25  progress.c                   bytes in flight are not forgotten with what was in flight
 *   26  replication.c, follower.c    an APPEND cut by its size limit is followed by one with a gap
 *   27  log.c                        a snapshot keeps a log that contradicts it
 *   28  membership.c                 a snapshot keeps later configurations whose entries it removed
 *   29  log.c                        lost proposals are not reported
 *   30  boot.c                       a restart from a snapshot forgets a member
 *   31  progress.c, snapshot.c       a transfer that nobody answers never ends
 *   32  election.c                   a refusal of a later term is not adopted
 *   33  leader.c                     a leader without a quorum leads on
 *   34  read.c                       answers to earlier requests confirm a read
 *   35  leader.c, election.c         a transfer does not wait for the target, and never ends
 *   36  election.c                   a vote asks for both a later term and a longer log
 *   37  change.c, internal.h         a leader changes members before it has committed anything
 *   38  membership.c, change.c, ...  only a committed configuration makes a voter or a candidate
 *
 *   39  follower.c                   entries are acknowledged before they are on disk
 *   40  storage/wal_resume.c         the name of the folder of the log is not synced
 *   41  boot.c                       the vote is forgotten by a restart
 *   42  leader.c                     a leader begins its term without an entry
 *   43  read.c                       a lease does not end
 *   44  membership.c                 learners are counted
 *   45  read.c                       questions for a read are numbered from 1 in each life
 *   46  boot.c                       a restart skips the entry behind the snapshot
 *   47  storage/wal_scan.c           the checksums of records are not chained
 *   48  repair.c                     a member that lost what it acknowledged votes
 *   49  storage/wal.c                the last batch is never attested
 *   50  storage/wal_batch.c          a batch is not synced
 *   51  storage/wal_batch.c          a sync that failed is tried again
 *   52  read.c                       the lease goes on while leadership is handed over
 *   53  boot.c                       a member that has just booted forgets that there was a leader
 *   54  election.c                   a member votes twice in a term
 *   55  election.c                   a member votes whatever the candidate has
 *   56  election.c                   a vote is told before it is on disk
 *   57  storage/snapshot_file.c      a snapshot gets its name before its data is synced
 *   58  snapshot.c                   a snapshot is installed though its entries came meanwhile
 *   59  replication.c                entries that were refused for want of room are sent again at once
 *   60  raft.c                       an old copy of a leader's message counts as hearing from it
 *   61  election.c                   two who ask for votes at once both go on, and split the vote
 *   62  election.c                   a split vote is not given up while a member that is gone could decide it
 *   63  replication.c                what is committed is told with the next message only
 *   64  raft.c                       a leader is said to need its own disk's word for nothing
 */
#ifndef RAFT_MUTANT_H
#define RAFT_MUTANT_H

#ifdef RAFT_MUTANTS
extern int raft__mutant; /* the bug that is switched on; 0 none */
#define RAFT_BUG(n) (raft__mutant == (n))
#else
#define RAFT_BUG(n) 0
#endif

#endif
