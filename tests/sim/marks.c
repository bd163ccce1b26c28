/* SPDX-License-Identifier: Apache-2.0 */
/*
 * marks.c: add up, print and judge the counters of marks.h.
 */
#include "tests/sim/marks.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
    const char *name;
    int must;
    const char *text;
} mark_table[MARK_END] = {
#define X(name, must, text) {#name, must, text},
    SIM_MARKS(X)
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
    printf("marks:\n");
    for (int i = 0; i < MARK_END; i++) {
        printf("  %-24s %10" PRIu64 "  %s\n", mark_table[i].name, m->hits[i], mark_table[i].text);
    }
}

int marks_missing(const struct marks *m)
{
    int missing = 0;
    for (int i = 0; i < MARK_END; i++) {
        if (mark_table[i].must && m->hits[i] == 0) {
            printf("sim: mark never hit: %s (%s)\n", mark_table[i].name, mark_table[i].text);
            missing++;
        }
    }
    return missing;
}
