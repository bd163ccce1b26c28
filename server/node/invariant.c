/* SPDX-License-Identifier: Apache-2.0 */
/* invariant.c: the two ends of a member that must not go on; see invariant.h. */
#include "server/node/invariant.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void node__assert_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "coordd: invariant broken at %s:%d: %s\n", file, line, condition);
    abort();
}

void *node__must_alloc(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "coordd: out of memory where the log cannot wait\n");
        abort();
    }
    return p;
}
