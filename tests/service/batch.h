/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h: many seeds, dealt to a few processes. Threads: none.
 */
#ifndef COORD_TESTS_SERVICE_BATCH_H
#define COORD_TESTS_SERVICE_BATCH_H

#include <stdint.h>

#define BATCH_JOBS_MAX 64
#define BATCH_KEPT_MAX 1000

struct batch {
    const char *program; /* for the replay command */
    uint64_t first;
    uint64_t count;
    uint32_t jobs;
    int verbose;
    int trace;
    uint64_t with;            /* as in struct world_run */
    uint64_t without;         /* likewise */
    const char *with_text;    /* the same for the replay command; NULL: nothing */
    const char *without_text; /* likewise */
    const char *record;       /* the recording of a single seed goes to this file; NULL: not */
    const char *keep;         /* failing seeds are appended to this file; NULL: not */
    uint32_t kept_count;      /* run before the others */
    uint64_t kept[BATCH_KEPT_MAX];
};

/* Run all, print what failed and the sums. Return: the exit code of the program, 0 or 1. */
int batch_run(struct batch *b);

#endif
