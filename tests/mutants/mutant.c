/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutant.c: which known bug is switched on (raft/mutant.h). Part of libcoord-raft in VARIANT=mutants only,
 * so that every test program of that build can be told by its environment: RAFT_MUTANT=20.
 *
 * Thread: set once, before main.
 */
#include "raft/mutant.h"

#include <stdio.h>
#include <stdlib.h>

int raft__mutant;

__attribute__((constructor)) static void choose(void)
{
    const char *text = getenv("RAFT_MUTANT");
    char *end = NULL;
    if (text == NULL) {
        return;
    }
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 0 || n > 999) {
        (void)fprintf(stderr, "RAFT_MUTANT=%s is no number of a mutant\n", text);
        _Exit(2);
    }
    raft__mutant = (int)n;
}
