/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_error.c: the texts of storage errors, and the end of a broken invariant.
 *
 * Thread: any.
 */
#include "raft/storage/must.h"

#include <coord/raft_storage.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *raft_store_strerror(int error)
{
    switch (error) {
#define X(name, value, text) \
    case RAFT_STORE_##name:  \
        return text;
        RAFT_STORE_ERRORS(X)
#undef X
    case 0:
        return "success";
    default:
        break;
    }
    const char *text = error < 0 && error > -1000 ? strerrordesc_np(-error) : NULL;
    return text != NULL ? text : "unknown storage error";
}

void raft__must_fail(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: this must hold: %s\n", file, line, condition);
    abort();
}
