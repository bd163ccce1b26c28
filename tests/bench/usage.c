/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage.c: see usage.h. Fields of /proc/PID/stat are separated by spaces; the second, the name in parentheses, may
 * hold anything; the 14th and 15th are the ticks. The first line of /proc/stat is `cpu` and ticks of: user, nice, system, idle, waiting
 * for disks, interrupts, soft interrupts, stolen by the host (and two that are counted in the first two already).
 */
#include <stdlib.h>
#include <string.h>
#include "tests/bench/usage.h"

#define FIELDS_TO_UTIME 11 /* behind the state, which follows the name in parentheses */

bool usage_parse_stat(const char *text, uint64_t *ret_ticks)
{
    const char *at = strrchr(text, ')'); /* a name may hold anything */
    char *end;

    if (at == NULL || at[1] != ' ' || at[2] == '\0') {
        return false;
    }
    at += 3;
    for (int i = 0; i < FIELDS_TO_UTIME - 1; i++) {
        at = strchr(at + 1, ' ');
        if (at == NULL) {
            return false;
        }
    }
    uint64_t user = strtoull(at, &end, 10);
    if (end == at) {
        return false;
    }
    at = end;
    uint64_t system = strtoull(at, &end, 10);
    if (end == at) {
        return false;
    }
    *ret_ticks = user + system;
    return true;
}

bool usage_parse_machine(const char *text, uint64_t *ret_ticks)
{
    enum { FIELDS = 8, IDLE = 3, DISK = 4 };
    uint64_t busy = 0;
    char *end;

    if (strncmp(text, "cpu ", 4) != 0) {
        return false;
    }
    const char *at = text + 4;
    for (int i = 0; i < FIELDS; i++) {
        uint64_t ticks = strtoull(at, &end, 10);
        if (end == at) {
            return false;
        }
        busy += i == IDLE || i == DISK ? 0 : ticks;
        at = end;
    }
    *ret_ticks = busy;
    return true;
}
