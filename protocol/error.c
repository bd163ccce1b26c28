/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.c: text, name and class of every error, generated from the one table in coord/error.h.
 *
 * Leaves to others: what an error means for a retry (client), which one is answered (server).
 * Thread: any; only constant data.
 * Invariant: 1. every number of the table is 1 or more, so that 0 stays success.
 */
#include <coord/error.h>

#include <assert.h>
#include <stddef.h>

#define X(name, number, cls, text)                                            \
    _Static_assert((number) >= 1, "an error number is positive on the wire"); \
    _Static_assert(COORD_##cls >= COORD_NOT_APPLIED && COORD_##cls <= COORD_UNKNOWN, "a class");
COORD_ERRORS(X)
#undef X

const char *coord_strerror(int error)
{
    switch (error) {
    case COORD_OK:
        return "success";
#define X(name, number, cls, text) \
    case COORD_##name:             \
        return text;
        COORD_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}

const char *coord_errname(int error)
{
    switch (error) {
    case COORD_OK:
        return "OK";
#define X(name, number, cls, text) \
    case COORD_##name:             \
        return #name;
        COORD_ERRORS(X)
#undef X
    default:
        return "EUNKNOWN";
    }
}

int coord_errclass(int error)
{
    switch (error) {
    case COORD_OK:
        return 0;
#define X(name, number, cls, text) \
    case COORD_##name:             \
        return COORD_##cls;
        COORD_ERRORS(X)
#undef X
    default:
        /* A number this build does not know may come from a newer server: assume the worst. */
        return COORD_UNKNOWN;
    }
}
