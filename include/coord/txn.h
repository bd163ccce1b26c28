/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.h: transactions: several operations as one, under conditions. Part of coord.h.
 */
#ifndef COORD_TXN_H
#define COORD_TXN_H

#include <coord/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Conditions, and what to do if all of them hold (COORD_THEN) or not (COORD_ELSE): decided and carried
 * out at one moment and one revision, all operations of the branch or none. Each operation sees what
 * those before it did; the same path may occur again.
 *
 *     struct coord_txn *t = coord_txn_new();
 *     coord_txn_if_version(t, "/from", 3);
 *     coord_txn_increment(t, COORD_THEN, "/from", -10, NULL);
 *     coord_txn_increment(t, COORD_THEN, "/to", 10, NULL);
 *     int err = coord_txn_commit_sync(c, t, NULL, &reply);
 *     coord_txn_free(t);
 *
 * A transaction keeps the first error of the calls that build it, and with it can only be freed:
 * coord_txn_commit answers that error and nothing is sent. So the errors of the calls between _new and
 * _commit need not be looked at one by one; a NULL transaction answers COORD_ENOMEM to each.
 *
 * Committing does not use it up: it can be committed again, also on other handles, each time as a
 * transaction of its own. What was committed is not changed by what is added later.
 *
 * Ownership: coord_txn_new's result is the caller's, for coord_txn_free. Paths and data are copied.
 * Errors:    of each call below: COORD_EINVAL (branch, call, data NULL with a length, a revision or
 *            token of 0), COORD_EBADPATH, COORD_ELIMIT (65,535 items of one list), COORD_ETOOBIG (64 MiB),
 *            COORD_ENOMEM, and the first error that was kept. Kinds of one call that exclude each
 *            other are refused by the servers.
 * Thread:    one at a time; no handle is involved.
 * Return:    0 or negative; coord_txn_new: NULL when memory is out. */
struct coord_txn;
struct coord_txn *coord_txn_new(void);
void coord_txn_free(struct coord_txn *t); /* NULL is accepted */

/* The conditions. All but absent fail when there is no such node. */
int coord_txn_if_exists(struct coord_txn *t, const char *path);
int coord_txn_if_absent(struct coord_txn *t, const char *path);
int coord_txn_if_version(struct coord_txn *t, const char *path, uint64_t version);
int coord_txn_if_modified(struct coord_txn *t, const char *path, uint64_t revision);
int coord_txn_if_created(struct coord_txn *t, const char *path, uint64_t revision);
/* The data is this; NULL with 0: it has none, which is not the same as empty. */
int coord_txn_if_value(struct coord_txn *t, const char *path, const void *data, size_t data_bytes);
int coord_txn_if_children(struct coord_txn *t, const char *path, uint64_t count);
/* An ephemeral node of that session; 0: no ephemeral node. */
int coord_txn_if_owner(struct coord_txn *t, const char *path, uint64_t session);
/* The lock (election) whose directory this is is still held by whoever was given this token:
 * coord_lock_guard (recipes.h) adds it for a lock at hand. */
int coord_txn_if_held(struct coord_txn *t, const char *directory, uint64_t token);

/* The operations. call: flags, ttl_ms and conditions as of the request of that name; the rest of it is
 * not looked at; may be NULL. */
int coord_txn_create(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const void *data, size_t data_bytes, const struct coord_call *call);
int coord_txn_get(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_set(struct coord_txn *t, enum coord_branch branch, const char *path, const void *data,
                  size_t data_bytes, const struct coord_call *call);
int coord_txn_delete(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const struct coord_call *call);
int coord_txn_exists(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_stat(struct coord_txn *t, enum coord_branch branch, const char *path);
int coord_txn_increment(struct coord_txn *t, enum coord_branch branch, const char *path,
                        int64_t delta, const struct coord_call *call);
int coord_txn_rename(struct coord_txn *t, enum coord_branch branch, const char *path,
                     const char *to, const struct coord_call *call);

/* Have it decided: reply->branch, results, failed, revision.
 *
 * That the conditions do not hold is no error: reply->branch says COORD_ELSE. When an operation of the
 * branch fails, nothing of it was applied: reply->error is that operation's error, outcome
 * COORD_OUTCOME_FAILED, failed its number, and results has the error of each. A commit that is repeated
 * by the library is applied at most once, as every write.
 *
 * t: NULL answers COORD_ENOMEM.
 * call: timeout_ms, fail_fast, wait_quorum, ret_request.
 * Ownership: t stays the caller's, who may free it at once; everything is copied.
 * Errors:    at once: the error t has kept; COORD_EBADPATH (with the handle's prefix a path is too long),
 *            COORD_ENOSESSION (an ephemeral node, without sessions), and those of any request. In the
 *            reply: COORD_ELIMIT (more conditions, or operations of a branch, than the servers take:
 *            1,024 by default; said before it is sent), COORD_ETOOBIG (as one frame, or its
 *            results), what an operation failed with, and those of any request.
 * Thread:    the handle's; any when threaded.
 * Return:    0: cb will be called; the blocking form: the reply's error. */
COORD_MUST_CHECK int coord_txn_commit(struct coord *c, const struct coord_txn *t,
                                      const struct coord_call *call, coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_txn_commit_sync(struct coord *c, const struct coord_txn *t,
                                           const struct coord_call *call,
                                           struct coord_reply **ret_reply);

#ifdef __cplusplus
}
#endif
#endif
