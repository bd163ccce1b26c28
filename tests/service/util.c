/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util.c: the memory that tests/sim/util.h promises, for a program that links the server as well: its arena and
 * that of tests/sim/util.c have the same names. Running out ends the program. Threads: any.
 */
#include "tests/sim/util.h"

#include <stdio.h>
#include <stdlib.h>

void *sim_realloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes != 0 ? bytes : 1);
    if (q == NULL) {
        (void)fprintf(stderr, "sim-service: out of memory\n");
        abort();
    }
    return q;
}

void *sim_alloc(size_t bytes)
{
    void *p = calloc(1, bytes != 0 ? bytes : 1);
    if (p == NULL) {
        (void)fprintf(stderr, "sim-service: out of memory\n");
        abort();
    }
    return p;
}
