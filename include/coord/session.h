/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h: the session of a handle: having one, its lease, its state. What a session is says coord.h.
 */
#ifndef COORD_SESSION_H
#define COORD_SESSION_H

#include <coord/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Have a session: completes at once when there is one. Errors at once: COORD_ENOSESSION with
 * COORD_SESSIONS_OFF, and those of any request. */
COORD_MUST_CHECK int coord_session_open(struct coord *c, const struct coord_call *call,
                                        coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_session_open_sync(struct coord *c, const struct coord_call *call);

/* End the session and all it owns; no error when there is none. Requests made before it are sent
 * before it; a later write opens a new session. */
COORD_MUST_CHECK int coord_session_close(struct coord *c, const struct coord_call *call,
                                         coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_session_close_sync(struct coord *c, const struct coord_call *call);

/* The session's number; 0: none. Errors: none. Thread: the handle's; any when threaded. */
uint64_t coord_session_id(const struct coord *c);
/* The timeout the servers granted, in ms; 0: no session. */
uint64_t coord_session_timeout_ms(const struct coord *c);
/* Milliseconds for which the session is certain to be kept; 0: none, or over. Asks only this
 * machine's clock. Errors: none. Thread: the handle's; any when threaded. */
uint64_t coord_lease_remaining_ms(const struct coord *c);
/* A descriptor that is readable whenever a session's lease is over, from that moment on and until
 * it is renewed; not before the first session. Only poll it; it is the handle's, and the same for
 * its life. It needs no loop to run, and may be 10 ms early.
 * Errors: COORD_EINVAL, COORD_EFORKED. Return: >= 0, or negative. */
int coord_lease_fd(const struct coord *c);

/* The state as of now; of a handle whose lease is over without coord_dispatch having run: LAPSED.
 * Errors: none. Thread: the handle's; any when threaded. */
enum coord_state coord_state(const struct coord *c);

/* Be told states beside options.state; the order of listeners is not promised. Each hears
 * COORD_CLOSED last. Errors: COORD_ENOMEM, COORD_ECLOSED, COORD_EFORKED. Thread: the handle's; any
 * when threaded. */
COORD_MUST_CHECK int coord_listen(struct coord *c, coord_state_cb cb, void *arg,
                                  coord_listener_id *ret_listener);
/* No call comes after this. From another thread than the handle's it waits for one that is under
 * way: do not hold what the callback needs. An unknown number is ignored. */
void coord_unlisten(struct coord *c, coord_listener_id listener);

#ifdef __cplusplus
}
#endif
#endif
