/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutant.h: known kinds of bugs of a coordination service, put back on purpose, to show that the simulation of
 * whole members would find them.
 *
 * SERVER_BUG(n) stands where bug n would be. In VARIANT=mutants it asks whether n is the one bug that is
 * switched on now (SERVER_MUTANT=n in the environment of a test program); in every other build it is the
 * constant 0, and nothing of it is left in the objects. tests/mutants/README.md tells what finds which.
 * The table is read by tests/mutants/service.sh.
 *
 *    n  where                        what is broken
 *    1  node/reads.c                 a linearizable read is served without its quorum round
 *    2  machine/load.c               answers that were kept are not in the snapshot
 *    3  machine/apply.c              answers that were kept are forgotten when the session moves
 *    4  node/applying.c              the reply leaves before the events of its own change
 *    5  watch/watch.c                the last change of a replay is left out
 *    6  watch/watch.c                a replay begins with the revision that was seen
 *    7  machine/apply.c, request.c   a write of a session that has ended is applied
 *    8  node/sessions.c              a new leader gives sessions half their timeout
 *    9  node/touch.c                 what followers say of sessions' activity is not heard
 *   10  machine/apply.c              the nodes of a session stay when the leader gives it up
 *   11  node/reads.c                 a session read does not wait for its revision
 *   12  node/reads.c                 the age counts from the end of the round, not from its beginning
 *   13  store/create.c               the number of a deleted node is given again
 *   14  machine/txn.c                what a failed transaction did before it failed stays
 *   15  store/due.c                  a change does not prolong the life of a ttl node
 *   16  machine/apply.c              a write through an older attachment is applied
 *   17  machine/txn.c                a lock counts as held by whoever stands in line
 *   18  node/touch.c                 a PING is answered before the leader is confirmed
 *   19  node/noquorum.c              a write under way is called not applied
 *   20  machine/apply.c              a session is given up though it was attached anew
 *   21  node/run.c                   after a pause a leader gives up everybody it did not hear
 *   22  node/reads.c                 a bounded read does not look at its bound
 *   23  node/run.c                   a progress mark tells one revision too many
 *   24  node/request.c               a receipt tells what is committed, not what is applied
 *   25  watch/watch.c                a snapshot's changes are skipped without a word
 *   26  session/answers.c            one answer too many is dropped
 *   27  node/forward.c               a forwarded write that comes again is taken again
 *   28  node/run.c                   writes under way are sent again with every new leader
 *   29  watch/watch.c                of several changes of one revision the last is not told
 *   30  node/applying.c              the events of an ended session are not told
 *   31  node/conn.c                  events go on to a client that does not read
 *   32  node/reads.c                 a leader's lease does not end
 */
#ifndef SERVER_MUTANT_H
#define SERVER_MUTANT_H

#ifdef SERVER_MUTANTS
extern int server__mutant; /* the bug that is switched on; 0 none */
#define SERVER_BUG(n) (server__mutant == (n))
#else
#define SERVER_BUG(n) 0
#endif

#endif
