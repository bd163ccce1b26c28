/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c: see clock.h. Any thread. */
#include "server/shell/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static struct timespec clock_read(clockid_t id)
{
    struct timespec ts;
    int rc = clock_gettime(id, &ts);
    assert(rc == 0);
    (void)rc;
    return ts;
}

uint64_t clock_mono_ns(void)
{
    struct timespec ts = clock_read(CLOCK_MONOTONIC);
    return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
    struct timespec ts = clock_read(CLOCK_BOOTTIME);
    return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_wall_ms(void)
{
    struct timespec ts = clock_read(CLOCK_REALTIME);
    return ts.tv_sec < 0 ? 0 : (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / CLOCK_NS_PER_MS;
}

void clock_random(void *out, size_t len)
{
    char *p = out;
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            /* Session secrets and election jitter hang on it: going on without would be worse. */
            perror("coordd: getrandom");
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}
