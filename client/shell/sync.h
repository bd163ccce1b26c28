/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync.h: what a blocking call waits for, for the files of client/shell only. See sync.c.
 */
#ifndef COORD_CLIENT_SHELL_SYNC_H
#define COORD_CLIENT_SHELL_SYNC_H

#include "client/shell/request.h"

/* Begin to wait: locks. Errors: as coord__handle_enter, and COORD_EDEADLK, COORD_ECLOSED. */
int coord__wait_enter(struct coord *c);
/* Wait until w is done, at most until deadline_ns (UINT64_MAX: for ever), and unlock. The handle
 * may be gone afterwards if it was closed. Return: false when the time is over; then still
 * locked. */
bool coord__wait(struct coord *c, struct coord__waiter *w, uint64_t deadline_ns);
/* End a call that did not wait. */
void coord__wait_leave(struct coord *c);

/* For calls that wait for a callback of their own: may the caller wait? Errors: as
 * coord__wait_enter. */
int coord__wait_check(struct coord *c);
/* Wait until coord__wait_signal is called, from a callback, for w. */
void coord__wait_for(struct coord *c, struct coord__waiter *w);
void coord__wait_signal(struct coord *c, struct coord__waiter *w, int error);

/* Make the request s and wait for its end. ret_reply: NULL, or always written (NULL: there is none).
 * Return: the error of the request. */
int coord__ask(struct coord *c, const struct coord__submission *s, const struct coord_call *call,
               struct coord_reply **ret_reply);

/* Called by the loop. */
void coord__waiter_reply(struct coord *c, struct coord__waiter *w, const struct coord__out *out);
void coord__waiter_watch(struct coord *c, coord_watch_id watch, enum coord_watch_event_state state,
                         int error);

#endif
