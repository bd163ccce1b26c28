/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coord.h: the client library of coord. This page says how it works; the headers it includes say what there
 * is, in this order:
 *   error.h    every error, with its class and its text
 *   handle.h   opening, closing and driving a handle; states, options, timers, recording
 *   reply.h    what is told of a request
 *   request.h  reads and writes
 *   txn.h      transactions
 *   session.h  the session, its lease
 *   watch.h    watches
 * Locks and elections are in recipes.h, which is included by itself.
 *
 * Objects
 *   struct coord        a handle: the servers of one ensemble, at most one connection to one of
 *                       them, and at most one session. Requests, watches, locks and elections
 *                       belong to a handle.
 *   struct coord_reply  what became of one request. In a callback it is borrowed and ends with the
 *                       callback; the blocking calls give one to free with coord_reply_free.
 *   watch               a number (coord_watch_id), never used again on its handle.
 *   struct coord_txn    conditions and operations that are decided and applied as one. Belongs to no
 *                       handle; built by one thread, then given to coord_txn_commit.
 *
 * Two forms of a handle
 *   coord_open            no thread: the caller's loop waits for coord_fd and calls coord_dispatch.
 *                         All calls and all callbacks happen on the caller's thread.
 *   coord_open_threaded   the handle runs a thread of its own; calls may come from any thread and
 *                         callbacks happen on that thread.
 *
 * Two forms of each request
 *   coord_get(...)        returns at once; the callback is called later, exactly once.
 *   coord_get_sync(...)   waits for the answer. On a loop-driven handle it runs the loop meanwhile,
 *                         so callbacks of other requests and watches may be called from inside it.
 *                         From inside a callback it answers COORD_EDEADLK at once.
 *
 * Rules of life
 *   1. A request is accepted when the call returns 0. Each accepted request completes exactly once,
 *      by its callback, also when the handle is closed (COORD_ECLOSED). A call that returns an
 *      error was not accepted and its callback is never called.
 *   2. No callback is called from inside the call that made the request, but for coord_close and
 *      the blocking calls.
 *   3. Requests are sent in the order in which they were made, and complete in the order in which
 *      they were sent, unless one runs out of time, or is refused and tried again elsewhere.
 *   4. Each accepted watch gets COORD_WATCH_ENDED exactly once, as its last event.
 *   5. What is passed in (paths, data, options) is copied; the caller may free it at once.
 *   6. What a callback receives lives until the callback returns.
 *   7. coord_close is legal anywhere, also in a callback; no callback comes after COORD_CLOSED was
 *      told to the last listener. A threaded handle must not be used by other threads once
 *      coord_close was called on it.
 *   8. After fork the child may only call coord_after_fork_child; everything else answers
 *      COORD_EFORKED. The parent is not disturbed.
 *
 * Threads: a loop-driven handle belongs to one thread at a time. A threaded handle may be used from
 * any thread. Where a function differs it says so.
 *
 * Sessions
 *   A session is what the servers remember of this handle: it owns ephemeral nodes, and it makes
 *   repeated writes harmless (each is applied at most once, whatever breaks on the way). The
 *   library opens one when a request first needs it, keeps it alive, and moves it to another server
 *   when it must.
 *
 *   The lease is the time for which the servers are certain to keep the session. It is counted on
 *   this machine, on a clock that runs through suspend, from the moment the last acknowledged
 *   keep-alive was SENT, and is shortened by 1 % and 50 ms for clocks that differ. While
 *   coord_lease_remaining_ms is above 0, nothing the session owns can have been given to others.
 *
 *      CONNECTING --> CONNECTED <--> JEOPARDY --> LAPSED --> EXPIRED --> CONNECTING ...
 *                         ^                         |
 *                         +-------------------------+   (any state --> CLOSED, the last)
 *
 * Errors and outcomes
 *   Every function that can fail returns 0 or a negative COORD_E* (error.h). reply->outcome says
 *   what is known of a write: it was applied, it was not, or it is not known. UNKNOWN is rare: the
 *   library repeats an unanswered write under its number until the request's time is up.
 *
 * Paths
 *   Absolute, '/'-separated, valid UTF-8, no empty, "." or ".." component, no control characters,
 *   no '/' at the end, at most COORD_PATH_MAX bytes (prefix included) and 255 a component. Other
 *   paths are refused, never changed. With options.prefix "/app", "/x" names the node "/app/x" of
 *   the servers, and replies and events name it "/x".
 *
 * Caveats
 *   - A lock or leadership that is not checked by what it protects (a fencing token) cannot protect
 *     it from a process that was stopped while it held it. recipes.h hands out tokens; use them.
 *   - Reads are linearizable unless asked otherwise, and cost a round among the servers.
 *   - A loop-driven handle is kept alive only while its loop runs: a program that computes for
 *     longer than a session timeout between two coord_dispatch loses its session. Use the threaded
 *     form.
 */
#ifndef COORD_COORD_H
#define COORD_COORD_H

/* clang-format off: the order is for reading */
#include <coord/error.h>
#include <coord/handle.h>
#include <coord/reply.h>
#include <coord/request.h>
#include <coord/txn.h>
#include <coord/session.h>
#include <coord/watch.h>
/* clang-format on */

#endif
