/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipes.h: locks and elections, made of nothing but coord.h.
 *
 * A lock NAME is the directory /locks/NAME, an election NAME the directory /elections/NAME; a name
 * that begins with '/' is itself the directory. It is made when first needed, and stays. Whoever
 * wants in makes an ephemeral sequential node there; the lowest number owns it, and everybody else
 * watches only the one in front: first come, first served, and a release wakes exactly one.
 *
 * Token: the create revision of the owner's node. It grows with each owner, for ever, whatever
 * happens to servers and clients. Give it to what the lock protects, and have it refuse a token
 * lower than the highest it has seen: this, and not the lock, makes a stopped and resumed owner
 * harmless.
 *
 * Lost: an owner is told that it lost, exactly once, as soon as its lease is over by this machine's
 * clock (before the servers can give the lock away, with or without a network), its session ended,
 * its node was deleted by somebody, or the handle is closed (COORD_ECLOSED). From then on it must
 * not act as an owner. It still has to release the object. Between two dispatches of a loop-driven
 * handle nobody can be told: ask coord_lock_held, or wait for coord_lease_fd too.
 *
 * Rules of life
 *   1. An object belongs to its handle. Its last call is release (resign, stop), after which the
 *      pointer is not valid; or it ends with COORD_CLOSED of the handle.
 *   2. The callback of an acquire (campaign) is called exactly once, unless the call returned an
 *      error.
 *   3. Callbacks run on the handle's thread; releasing from them is legal.
 *   4. COORD_SESSIONS_OFF handles cannot hold locks (COORD_ENOSESSION).
 *   5. An owner's `lost` is called at most once, only after it was told that it owns, and never
 *      after its release was called (threaded handle, release from another thread: one may be
 *      under way).
 *
 * Threads: as coord.h says for the handle. `_sync` forms answer COORD_EDEADLK in a callback.
 */
#ifndef COORD_RECIPES_H
#define COORD_RECIPES_H

#include <coord/coord.h>

#ifdef __cplusplus
extern "C" {
#endif

#define COORD_WAIT_FOREVER UINT32_MAX
#define COORD_TRY          0u /* do not wait at all */

/* --- lock ------------------------------------------------------------------------------------- */

struct coord_lock;

/* The owner must stop acting as one. error: COORD_ELOST (the node is gone), COORD_EEXPIRED (the
 * session, or its lease, is over), COORD_ECLOSED. */
typedef void (*coord_lock_lost_cb)(struct coord_lock *lock, int error, void *arg);

/* The end of an acquire: error 0 and the token, or the error and token 0. After an error the object
 * still has to be released. */
typedef void (*coord_lock_cb)(struct coord_lock *lock, int error, uint64_t token, void *arg);

struct coord_lock_options {
    uint32_t wait_ms;  /* COORD_TRY, milliseconds, or COORD_WAIT_FOREVER. Counts from the call */
    const void *label; /* shown to whoever lists the lock; NULL: none. At most 4,096 bytes */
    size_t label_bytes;
    coord_lock_lost_cb lost; /* may be NULL */
    void *lost_arg;
};

/* wait_ms COORD_WAIT_FOREVER, all else none. Errors: none. Thread: any. */
void coord_lock_options_init(struct coord_lock_options *o);

/* Queue for a lock; cb tells its end.
 *
 * name: 1 .. 900 bytes, valid in a path. o: NULL for the defaults.
 * Ownership: *ret_lock is the caller's, until coord_lock_release.
 * Errors:    at once: COORD_EINVAL, COORD_EBADPATH, COORD_ENOMEM, COORD_EBUSY, COORD_ELIMIT,
 *            COORD_ENOSESSION, COORD_ECLOSED, COORD_EFORKED.
 *            in cb: COORD_EAGAIN (COORD_TRY, and somebody else holds it), COORD_ETIMEOUT (wait_ms
 *            is over), COORD_ECANCELED (released while waiting), COORD_ECLOSED, COORD_EEXPIRED (the
 *            session ended while waiting), COORD_ELOST (its place in the queue was
 *            deleted), and what a create answers.
 *            After any error the place in the queue is given up, also when the answer to its making
 *            was lost.
 * Thread:    the handle's; any when threaded.
 * Return:    0 or negative; *ret_lock only on 0. */
COORD_MUST_CHECK int coord_lock_acquire(struct coord *c, const char *name,
                                        const struct coord_lock_options *o, coord_lock_cb cb,
                                        void *arg, struct coord_lock **ret_lock);

/* The blocking form: blocking, timed or trying by o->wait_ms.
 *
 * ret_token: the fencing token; must not be NULL.
 * Errors:    those of coord_lock_acquire, at once or later; COORD_EDEADLK. On error nothing is left
 *            to release.
 * Return:    0 or negative; the outputs only on 0. */
COORD_MUST_CHECK int coord_lock_acquire_sync(struct coord *c, const char *name,
                                             const struct coord_lock_options *o,
                                             struct coord_lock **ret_lock, uint64_t *ret_token);

/* Called when a release is done: 0, also when the lock had been lost before; or the error, after
 * which the library goes on trying; the servers free the lock at the latest when the session
 * ends. */
typedef void (*coord_release_cb)(struct coord *c, int error, void *arg);

/* Give up a lock, or the wait for it (whose callback then tells COORD_ECANCELED, before this one).
 *
 * Ownership: lock is freed, also on error; NULL is accepted (then COORD_EINVAL, and no callback).
 * Errors:    at once: COORD_EINVAL, COORD_EFORKED. cb may be NULL; it is called only when 0 was
 *            returned.
 * Thread:    the handle's; any when threaded. */
COORD_MUST_CHECK int coord_lock_release(struct coord_lock *lock, coord_release_cb cb, void *arg);
/* The same, returning the error cb would be told; in a callback COORD_EDEADLK, and lock is kept. */
COORD_MUST_CHECK int coord_lock_release_sync(struct coord_lock *lock);

/* Is it certain, by this machine's clock alone, that lock is held now? Errors: none. Thread: the
 * handle's; any when threaded. */
bool coord_lock_held(const struct coord_lock *lock);
/* The token; 0 unless it was acquired. Likewise. */
uint64_t coord_lock_token(const struct coord_lock *lock);
/* Milliseconds for which it is certain to be held, unless its node is deleted by hand. Likewise. */
uint64_t coord_lock_remaining_ms(const struct coord_lock *lock);
/* Copies the path of the lock's node; "" while it has none. COORD_ETOOBIG when bytes do not hold
 * it. */
COORD_MUST_CHECK int coord_lock_path(const struct coord_lock *lock, char *path, size_t bytes);

/* Let a transaction hold only if this lock is still held at the moment it is decided, by the servers'
 * word: adds coord_txn_if_held with the lock's directory and token. A holder that was stopped, and whose
 * lock went to somebody else meanwhile, gets COORD_ELSE and changes nothing. Nodes of the service
 * itself need no other fencing.
 * Errors: COORD_ELOST unless the lock was acquired and is held now; those of coord_txn_if_held.
 * Thread: the handle's; any when threaded. */
COORD_MUST_CHECK int coord_lock_guard(const struct coord_lock *lock, struct coord_txn *t);

/* One owner or waiter. */
struct coord_queue_entry {
    const char *name;  /* of its node in the directory */
    uint64_t token;    /* create revision of its node */
    uint64_t session;  /* that owns it */
    uint64_t since_ms; /* created at, milliseconds since 1970 */
    const void *label; /* label of a lock, value of a candidate; NULL: none */
    size_t label_bytes;
};

/* The owner first, then those who wait, in order. Up to the server's limit on lists. */
struct coord_queue {
    struct coord_queue_entry *entries;
    size_t count;
    bool more; /* there are more than these */
};

/* error 0: queue (its end with the call); else NULL. */
typedef void (*coord_queue_cb)(struct coord *c, int error, const struct coord_queue *queue,
                               void *arg);

/* Who holds a lock and who waits. A lock nobody ever took is empty, not an error.
 * call: consistency and timeout; may be NULL. Errors: those of coord_list but COORD_ENONODE. */
COORD_MUST_CHECK int coord_lock_list(struct coord *c, const char *name,
                                     const struct coord_call *call, coord_queue_cb cb, void *arg);
/* Ownership: *ret_queue is the caller's, for coord_queue_free; written only on 0. */
COORD_MUST_CHECK int coord_lock_list_sync(struct coord *c, const char *name,
                                          const struct coord_call *call,
                                          struct coord_queue **ret_queue);
void coord_queue_free(struct coord_queue *queue);

/* --- election --------------------------------------------------------------------------------- */

struct coord_election;

/* The leader must stop leading now: nobody else can have become leader yet (unless its node was
 * deleted by hand, COORD_ELOST). error as for locks. */
typedef void (*coord_election_stop_cb)(struct coord_election *e, int error, void *arg);

/* The end of a campaign: error 0 and the token of the new leader, or the error and token 0. */
typedef void (*coord_election_cb)(struct coord_election *e, int error, uint64_t token, void *arg);

struct coord_election_options {
    uint32_t wait_ms;  /* as for locks */
    const void *value; /* what others see of this candidate, its address for example; NULL: none.
                          At most 65,536 bytes */
    size_t value_bytes;
    coord_election_stop_cb stop; /* may be NULL */
    void *stop_arg;
};

/* wait_ms COORD_WAIT_FOREVER, all else none. Errors: none. Thread: any. */
void coord_election_options_init(struct coord_election_options *o);

/* Stand for election. Everything as coord_lock_acquire. */
COORD_MUST_CHECK int coord_election_campaign(struct coord *c, const char *name,
                                             const struct coord_election_options *o,
                                             coord_election_cb cb, void *arg,
                                             struct coord_election **ret_election);
COORD_MUST_CHECK int coord_election_campaign_sync(struct coord *c, const char *name,
                                                  const struct coord_election_options *o,
                                                  struct coord_election **ret_election,
                                                  uint64_t *ret_token);

/* Change the leader's value, only as long as it leads: cb may be NULL.
 * Errors: at once: COORD_EINVAL (too long), COORD_ELOST (does not lead), COORD_ENOMEM, COORD_EBUSY,
 * COORD_EFORKED. In the reply: COORD_ENONODE (no longer leads), and those of coord_set. */
COORD_MUST_CHECK int coord_election_proclaim(struct coord_election *e, const void *value,
                                             size_t value_bytes, coord_reply_cb cb, void *arg);
COORD_MUST_CHECK int coord_election_proclaim_sync(struct coord_election *e, const void *value,
                                                  size_t value_bytes);

/* Step down, or withdraw. Everything as coord_lock_release. */
COORD_MUST_CHECK int coord_election_resign(struct coord_election *e, coord_release_cb cb,
                                           void *arg);
COORD_MUST_CHECK int coord_election_resign_sync(struct coord_election *e);

/* As the functions of the same names for locks. */
COORD_MUST_CHECK int coord_election_guard(const struct coord_election *e, struct coord_txn *t);
bool coord_election_leads(const struct coord_election *e);
uint64_t coord_election_token(const struct coord_election *e);
uint64_t coord_election_remaining_ms(const struct coord_election *e);
COORD_MUST_CHECK int coord_election_path(const struct coord_election *e, char *path, size_t bytes);

/* The leader first, then the candidates in order; as coord_lock_list. */
COORD_MUST_CHECK int coord_election_list(struct coord *c, const char *name,
                                         const struct coord_call *call, coord_queue_cb cb,
                                         void *arg);
COORD_MUST_CHECK int coord_election_list_sync(struct coord *c, const char *name,
                                              const struct coord_call *call,
                                              struct coord_queue **ret_queue);

struct coord_observer;

/* leader NULL: there is none now. Called first with what is found, then at each change of the
 * leader or of its value; a value that was replaced at once may be skipped, the last one never is.
 * error is 0 but in the last call, which no other follows: COORD_ECLOSED, or what the servers
 * refused with. */
typedef void (*coord_observe_cb)(struct coord *c, int error, const struct coord_queue_entry *leader,
                                 void *arg);

/* Follow an election without standing in it. No session is needed.
 * Ownership: *ret_observer is the caller's until coord_observer_stop, or until cb was told an
 * error. Errors: as coord_watch. */
COORD_MUST_CHECK int coord_election_observe(struct coord *c, const char *name, coord_observe_cb cb,
                                            void *arg, struct coord_observer **ret_observer);
/* Stop following: no call comes after this (threaded, from another thread: one may be under way).
 * Ownership: o is freed; NULL is accepted. Errors: none. */
void coord_observer_stop(struct coord_observer *o);

#ifdef __cplusplus
}
#endif
#endif
