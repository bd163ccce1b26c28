/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slowsync.c: a disk whose every sync takes some milliseconds longer. A shared object for LD_PRELOAD: fdatasync and fsync
 * sleep SLOWSYNC_MS milliseconds and then do what they always do.
 *
 * Thread: any; the calling thread sleeps, as it would for a slow disk.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_fn)(int fd);

static void wait_for_it(void)
{
    const char *text = getenv("SLOWSYNC_MS");
    long ms = text != NULL ? strtol(text, NULL, 10) : 0;
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&ts, NULL); /* interrupted: a little faster this time */
}

/* The real function of that name: the next one after this object's. */
static sync_fn real(const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    sync_fn fn = NULL;

    memcpy(&fn, &symbol, sizeof fn); /* C has no cast from an object's to a function's address */
    return fn;
}

int fdatasync(int fd)
{
    wait_for_it();
    return real("fdatasync")(fd);
}

int fsync(int fd)
{
    wait_for_it();
    return real("fsync")(fd);
}
