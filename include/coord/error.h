/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h: every error of the service and of its client, in one table.
 *
 * The class says what a caller may conclude about a write that was answered with the error:
 *   NOT_APPLIED  it did not happen and will not; safe to try again by hand
 *   FAILED       the ensemble decided on it: the answer is final
 *   UNKNOWN      it may or may not have happened
 * On the wire an error is its positive number (docs/protocol.md); 0 is success.
 */
#ifndef COORD_ERROR_H
#define COORD_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum coord_error_class { COORD_NOT_APPLIED = 1, COORD_FAILED = 2, COORD_UNKNOWN = 3 };

/* X(name, number, class, text). Numbers 1..63 come from servers, 64.. from the library itself.
 * A number is never used again for something else. */
#define COORD_ERRORS(X)                                                                    \
    X(ENOQUORUM, 1, NOT_APPLIED, "no quorum: a majority of the members cannot be reached") \
    X(EINDOUBT, 2, UNKNOWN, "the quorum was lost while the write was under way")           \
    X(ETOOSTALE, 3, NOT_APPLIED, "this member's data is older than the read allows")       \
    X(ENONODE, 4, FAILED, "no such node")                                                  \
    X(EEXISTS, 5, FAILED, "the node exists already")                                       \
    X(ECONDITION, 6, FAILED, "the node is not at the expected version or revision")        \
    X(ENOTEMPTY, 7, FAILED, "the node has children")                                       \
    X(EEPHEMERAL, 8, FAILED, "an ephemeral node cannot have children")                     \
    X(EBADPATH, 9, NOT_APPLIED, "the path is not valid")                                   \
    X(EBADREQUEST, 10, NOT_APPLIED, "the request is not well formed")                      \
    X(ETOOBIG, 11, NOT_APPLIED, "the request or its answer is larger than the limit")      \
    X(EEXPIRED, 12, UNKNOWN, "the session has expired")                                    \
    X(EMOVED, 13, NOT_APPLIED, "the session has moved to a newer connection")              \
    X(ENOSESSION, 14, NOT_APPLIED, "the request needs a session")                          \
    X(EAUTH, 15, NOT_APPLIED, "the session secret does not match")                         \
    X(EBUSY, 16, NOT_APPLIED, "too much is under way; try again")                          \
    X(ENOSPACE, 17, NOT_APPLIED, "the disk or the store is full")                          \
    X(ELIMIT, 18, NOT_APPLIED, "a limit is reached")                                       \
    X(EDENIED, 19, NOT_APPLIED, "not allowed")                                             \
    X(EVERSION, 20, NOT_APPLIED, "the protocol versions do not match")                     \
    X(ERESERVED, 21, FAILED, "the path is reserved for the service")                       \
    X(ESHUTDOWN, 22, NOT_APPLIED, "this member is shutting down")                          \
    X(EQUOTA, 23, FAILED, "a quota is reached")                                            \
    X(EINSIDE, 24, FAILED, "a node cannot be moved below itself")                          \
    X(ENOTNUMBER, 25, FAILED, "the data is no decimal number, or the sum is out of range") \
    X(EABORTED, 26, NOT_APPLIED, "another operation of the transaction failed")            \
    X(ESTOREFULL, 27, FAILED, "the store is at its high-water mark and must not grow")     \
    X(EGONE, 28, FAILED, "there is no such session")                                       \
    X(EINVAL, 64, NOT_APPLIED, "an argument is not valid")                                 \
    X(ENOMEM, 65, NOT_APPLIED, "out of memory")                                            \
    X(ETIMEOUT, 66, UNKNOWN, "no answer within the time allowed")                          \
    X(ECONNECT, 67, NOT_APPLIED, "no server could be reached")                             \
    X(ECLOSED, 68, UNKNOWN, "the handle was closed")                                       \
    X(EDEADLK, 69, NOT_APPLIED, "a blocking call from inside a callback")                  \
    X(EFORKED, 70, NOT_APPLIED, "the handle belongs to the parent process")                \
    X(EPROTO, 71, UNKNOWN, "the server's answer is not well formed")                       \
    X(ELOST, 72, FAILED, "the lock or the leadership is lost")                             \
    X(ESYSTEM, 73, UNKNOWN, "a call of the operating system failed")                       \
    X(ECANCELED, 74, UNKNOWN, "the request was cancelled")                                 \
    X(EAGAIN, 75, NOT_APPLIED, "not now: held by another")

enum coord_error {
    COORD_OK = 0,
#define X(name, number, cls, text) COORD_##name = -(number),
    COORD_ERRORS(X)
#undef X
};

/* The text, the name ("ENOQUORUM") and the class of an error. Unknown numbers get "unknown error",
 * "EUNKNOWN" and COORD_UNKNOWN; 0 gets "success", "OK" and 0.
 * Ownership: static. Errors: none. Thread: any. Return: never NULL. */
const char *coord_strerror(int error);
const char *coord_errname(int error);
int coord_errclass(int error);

#ifdef __cplusplus
}
#endif
#endif
