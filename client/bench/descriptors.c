/* SPDX-License-Identifier: Apache-2.0 */
/*
 * descriptors.c: see descriptors.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include "client/bench/descriptors.h"
#include "client/cli/cli.h"

#define OWN \
    32u /* standard streams, event descriptors, the handle that prepares, what /proc is read with */

int descriptors_need(uint64_t count)
{
    struct rlimit limit;
    uint64_t needed = count + OWN;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) {
        return EXIT_DONE; /* not known: what is missing will say so itself */
    }
    limit.rlim_cur = limit.rlim_max;
    if (limit.rlim_max < needed || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        fprintf(stderr,
                "coordctl bench: so many connections need %" PRIu64
                " descriptors, and the system allows %" PRIu64 " (ulimit -Hn)\n",
                needed, (uint64_t)limit.rlim_max);
        return EXIT_OTHER;
    }
    return EXIT_DONE;
}
