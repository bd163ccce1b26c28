/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_prep.h: the thread that makes the log's next segments (raft_wal_prep_run), so that filling a file
 * with zeros never stands before a write of the log. One segment at a time.
 *
 * Invariant: a job is the worker's from put until take or wait has said that it is done.
 * Threads: all functions but the worker's own are called by the log's thread, start and stop by whoever
 * starts and stops that one.
 */
#ifndef COORD_SERVER_SHELL_WAL_PREP_H
#define COORD_SERVER_SHELL_WAL_PREP_H

#include <stdbool.h>
#include <coord/raft_storage.h>

struct wal_prep;

/* done is called by the worker after each job; it may only wake somebody.
 * Return: 0 or a negative errno. */
int wal_prep_start(void (*done)(void *arg), void *arg, struct wal_prep **ret_p);
/* Let it do the job; none is under way. */
void wal_prep_put(struct wal_prep *p, struct raft_wal_prep *job);
/* Is a job under way, or done and not taken? */
bool wal_prep_busy(const struct wal_prep *p);
/* Has the job been done? True once. wait: not before it is; there is one then. */
bool wal_prep_take(struct wal_prep *p, bool wait);
/* Wait for the job, if there is one, and end the thread. NULL is accepted. */
void wal_prep_stop(struct wal_prep *p);

#endif
