/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c: a job that must not run twice at once.
 *
 *   lock SERVERS NAME JOURNAL [TIMES]
 *
 * Takes the lock NAME, does its work, lets go, TIMES times (default 1). The work is two lines in the file
 * JOURNAL, which stands for the thing that the lock protects. Each line carries the fencing token: a real
 * resource refuses a token lower than the highest it has seen, which makes even a process harmless that was
 * stopped while it held the lock and goes on long after.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <coord/recipes.h>

/* The protected work, in steps. Between steps it asks whether it still holds the lock: a question to this
 * machine's clock, not to the network. Return: 0 when all of it was done. */
static int work(const struct coord_lock *lock, uint64_t token, const char *journal)
{
    static const char *const steps[] = {"begin", "end"};

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        if (!coord_lock_held(lock)) {
            fprintf(stderr, "lock: no longer certain to hold the lock, stopping at '%s'\n",
                    steps[i]);
            return -1;
        }
        FILE *f = fopen(journal, "a");
        if (f == NULL) {
            perror(journal);
            return -1;
        }
        fprintf(f, "%s %" PRIu64 "\n", steps[i], token);
        if (fclose(f) != 0) {
            perror(journal);
            return -1;
        }
    }
    return 0;
}

static int one_turn(struct coord *c, const char *name, const char *journal)
{
    struct coord_lock_options o;
    struct coord_lock *lock = NULL;
    uint64_t token = 0;

    coord_lock_options_init(&o);
    o.wait_ms = 30000;
    int rc = coord_lock_acquire_sync(c, name, &o, &lock, &token);
    if (rc != 0) {
        fprintf(stderr, "lock: %s: %s\n", name, coord_strerror(rc));
        return -1;
    }
    printf("holding %s with token %" PRIu64 "\n", name, token);
    int worked = work(lock, token, journal);
    rc = coord_lock_release_sync(lock);
    if (rc != 0) {
        fprintf(stderr, "lock: releasing %s: %s\n", name, coord_strerror(rc));
    }
    return worked;
}

int main(int argc, char **argv)
{
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";
    int rc = EXIT_SUCCESS;

    if (argc < 4) {
        fprintf(stderr, "usage: lock SERVERS NAME JOURNAL [TIMES]\n");
        return 2;
    }
    coord_options_init(&o);
    o.servers = argv[1];
    o.name = "example-lock";
    /* Threaded: the session is kept alive however long the work computes. */
    if (coord_open_threaded(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "lock: %s\n", why);
        return EXIT_FAILURE;
    }
    unsigned long times = argc > 4 ? strtoul(argv[4], NULL, 10) : 1;
    for (unsigned long i = 0; i < times && rc == EXIT_SUCCESS; i++) {
        if (one_turn(c, argv[2], argv[3]) != 0) {
            rc = EXIT_FAILURE;
        }
    }
    /* Ending the session says goodbye at once; without it the servers wait for its timeout. */
    if (coord_session_close_sync(c, NULL) != 0) {
        fprintf(stderr, "lock: the session ends by its timeout\n");
    }
    coord_close(c);
    return rc;
}
