/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_thread.h: the one thread that writes the log. The loop gathers what the node wants persisted and
 * hands it over once an iteration; the thread takes everything that has gathered, writes it with one
 * raft_wal_write (of at most WAL_BATCH_BYTES) and publishes how far it is durable. While one batch is
 * on its way to the disk the next one gathers: that is the group commit, without any timer.
 *
 * Invariants
 *   1. Records reach the log in the order of wal_thread_put; io_seq is published only after everything
 *      through it is durable.
 *   2. After a failed write nothing more is written and nothing more is published (sticky).
 *   3. The struct raft_wal is the thread's alone between start and stop.
 * Bound: the queue holds what the core has under way: at most RAFT_IO_MAX actions, whose entries are
 * bounded by uncommitted_bytes_max (leader) and by the sender's window (follower).
 * Threads: put, submit, durable, failed, room, repaired, read, read_take: the loop's.
 */
#ifndef COORD_SERVER_SHELL_WAL_THREAD_H
#define COORD_SERVER_SHELL_WAL_THREAD_H

#include <stdbool.h>
#include <stdint.h>
#include <coord/raft.h>
#include <coord/raft_storage.h>
#include "protocol/buf.h"
#include "server/shell/wake.h"
#include "server/shell/wal_read.h"
#include "server/shell/watchdog.h"

#define WAL_BATCH_BYTES    (1024 * 1024)
#define WAL_IDLE_MS        50
#define WAL_ROOM_MIN_BYTES (8U * 1024 * 1024) /* half a segment */

struct wal_thread;

/* Begin. wal and wake must outlive the thread; wake is signalled after every change below. Nothing is
 * done to the log before the first record is submitted: until then what recovery found stays valid.
 * room_min_bytes: with less room in the log than this, segments are made at once, and if they cannot be,
 * wal_thread_room says so while what is under way still fits.
 * Return: 0 or a negative errno. */
int wal_thread_start(struct raft_wal *wal, uint64_t room_min_bytes, struct wake *wake,
                     struct wal_thread **ret_t);

/* Gather one action. payloads are copied or referenced (NULL: an entry without one). digest: for SNAPMARK, of
 * the snapshot's file. Runs out of memory: stops the process, because the log cannot go on. */
void wal_thread_put(struct wal_thread *t, const struct raft_persist *p,
                    const struct raft_entry *metas, struct coord_buf *const *payloads,
                    const uint64_t digest[2]);
/* Hand over what was gathered; wakes the thread if it sleeps. Nothing gathered: does nothing. */
void wal_thread_submit(struct wal_thread *t);

/* Is the loop to be woken when more becomes durable (at first: yes)? Who changes it to yes looks at
 * wal_thread_durable afterwards: what became durable before is told by nobody. */
void wal_thread_wanted(struct wal_thread *t, bool wanted);
/* Everything through this io_seq is durable; 0 at first. */
uint64_t wal_thread_durable(const struct wal_thread *t);
/* Did a write fail? why: valid until stop. */
bool wal_thread_failed(const struct wal_thread *t, const char **ret_why);
/* Is there room for more entries? */
bool wal_thread_room(const struct wal_thread *t);
/* The member is whole again: the log's verdict is to end (raft_wal_repaired). */
void wal_thread_repaired(struct wal_thread *t);
/* Read durable entries again, between writes; wakes the loop when done. One at a time.
 * Ownership: bufs, from the heap, and what it holds are the thread's until wal_thread_read_take. */
void wal_thread_read(struct wal_thread *t, raft_index first, uint32_t count,
                     struct coord_buf **bufs);
/* What was read last. Return: false while there is nothing new. */
bool wal_thread_read_take(struct wal_thread *t, struct wal_read *ret_r);
/* For the watchdog. */
struct watch_mark *wal_thread_mark(struct wal_thread *t);

/* Write what was submitted, end the thread, give every reference back. NULL is accepted. */
void wal_thread_stop(struct wal_thread *t);

#endif
