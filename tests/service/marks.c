/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.c: see marks.h. Threads: none.
 */
#include "tests/service/marks.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    int must;
    const char *name;
    const char *text;
} table[MARK_END] = {
#define X(name, must, text) {must, #name, text},
    SVC_MARKS(X)
#undef X
};

void marks_add(struct marks *to, const struct marks *from)
{
    for (int i = 0; i < MARK_END; i++) {
        to->hits[i] += from->hits[i];
    }
}

void marks_print(const struct marks *m)
{
    for (int i = 0; i < MARK_END; i++) {
        printf("  %10" PRIu64 "  %s\n", m->hits[i], table[i].text);
    }
}

int marks_missing(const struct marks *m)
{
    int missing = 0;
    for (int i = 0; i < MARK_END; i++) {
        if (table[i].must && m->hits[i] == 0) {
            printf("sim-service: FAILED: never met in this batch: %s (%s)\n", table[i].name,
                   table[i].text);
            missing++;
        }
    }
    return missing;
}
