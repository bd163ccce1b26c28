/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c: names of directories and nodes of the recipes.
 *
 *   /locks/NAME/0123456789abcdef-0000000042
 *               |                 the servers' sequence number: the order of the queue
 *               16 random digits: whose node it is, when the answer to its making was lost
 *
 * Leaves to others: whether a path is valid (the call that uses it).
 * Thread: any.
 */
#include "client/recipes/place.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int coord__recipe_dir(const char *base, const char *name, char dir[COORD_PATH_MAX + 1])
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len == 0 || len > COORD__RECIPE_NAME_MAX) {
        return COORD_EINVAL;
    }
    int n = snprintf(dir, COORD_PATH_MAX + 1, "%s%s", name[0] == '/' ? "" : base, name);
    return n < 0 || n > COORD_PATH_MAX || strcmp(dir, "/") == 0 ? COORD_EBADPATH : 0;
}

bool coord__recipe_join(char out[COORD_PATH_MAX + 1], const char *dir, const char *name)
{
    int n = snprintf(out, COORD_PATH_MAX + 1, "%s/%s", dir, name);
    if (n < 0 || n > COORD_PATH_MAX) {
        out[0] = 0;
        return false;
    }
    return true;
}

void coord__recipe_id(char id[COORD__RECIPE_ID_BYTES + 1])
{
    static _Atomic uint64_t counter;
    uint64_t random = 0;
    uint64_t turn = atomic_fetch_add(&counter, 1);
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
        struct timespec t = {0, 0};
        (void)clock_gettime(CLOCK_REALTIME, &t); /* it differs, and that is all that is needed */
        random = ((uint64_t)t.tv_sec << 30 ^ (uint64_t)t.tv_nsec) * 0x9e3779b97f4a7c15ull ^
                 (uint64_t)getpid() << 32 ^ turn;
    }
    (void)snprintf(id, COORD__RECIPE_ID_BYTES + 1, "%016llx-", (unsigned long long)random);
}

bool coord__recipe_sequence(const char *name, uint64_t *ret_sequence)
{
    size_t len = strlen(name);
    uint64_t sequence = 0;
    if (len < COORD__RECIPE_ID_BYTES + 10 || name[COORD__RECIPE_ID_BYTES - 1] != '-') {
        return false;
    }
    for (const char *at = name + COORD__RECIPE_ID_BYTES; *at != 0; at++) {
        if (*at < '0' || *at > '9' || sequence > (UINT64_MAX - 9) / 10) {
            return false;
        }
        sequence = sequence * 10 + (uint64_t)(*at - '0');
    }
    *ret_sequence = sequence;
    return true;
}
