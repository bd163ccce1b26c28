/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h: what a handle does and is told, appended to a file as it happens (docs/history.md), for
 * `coordctl verify`.
 *
 * Invariants
 *   1. A call is in the file before a byte of its request is on the wire; so a process may die at any
 *      moment, and what it did is known.
 *   2. Memory is one buffer, made at the start.
 *   3. When the file cannot be written any more, the recording ends and its header says so; requests
 *      go on as before.
 *   4. Each write is of whole lines, by one call, at the end of the file: several handles, and
 *      several processes, may share one.
 *
 * Thread: as the core: one at a time, under the handle's lock.
 */
#ifndef COORD_CLIENT_SHELL_RECORD_H
#define COORD_CLIENT_SHELL_RECORD_H

#include "client/core/core.h"

struct coord__recorder;

/* Begin a recording at the end of the file, which is made if it does not exist.
 * Errors: COORD_ENOMEM, COORD_ESYSTEM (errno says why). Return: 0 or negative. */
int coord__record_open(const char *file, uint64_t now, struct coord__recorder **ret_rec);
/* Say how it ended ("closed": nothing follows; "stopped": what follows is not told), and free it.
 * how NULL: without a word, in the child of a fork. NULL is accepted for rec. */
void coord__record_close(struct coord__recorder *rec, const char *how, uint64_t now);

/* A request was accepted; not sent yet. rec may be NULL here and below: then nothing happens. */
void coord__record_call(struct coord__recorder *rec, const struct coord__request *r, uint64_t now);
/* It is complete. session: that of the handle; 0 none. */
void coord__record_reply(struct coord__recorder *rec, const struct coord__out *out,
                         uint64_t session, uint64_t now);
/* A watch was accepted; not asked for yet. */
void coord__record_watch(struct coord__recorder *rec, const struct coord__watch *w, uint64_t now);
/* It is told something, as `told`. To be called before the program hears of it. */
void coord__record_event(struct coord__recorder *rec, const struct coord__out *out,
                         enum coord_watch_event_state told, uint64_t now);
void coord__record_state(struct coord__recorder *rec, enum coord_state state, uint64_t session,
                         uint64_t now);
/* Put what was recorded so far into the file. To be called before anything is sent. */
void coord__record_flush(struct coord__recorder *rec);

#endif
