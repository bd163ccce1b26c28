/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freshness.c: one client counts a node up; for each server another one reads it there, linearizably. A read
 * that shows less than what was acknowledged before it was sent is stale. Every client holds an ephemeral
 * node: none may be gone at the end, for all of them lived and asked.
 *
 *   freshness SERVERS SECONDS [doubt]     SERVERS: addresses separated by commas, at most 5
 *                                         doubt: a quorum may be missed for a while, so writes may fail
 *
 * Prints what was done; exit 0, or 1 with what went wrong.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <coord/coord.h>

#define SERVERS_MAX 5

static _Atomic uint64_t acknowledged;
static _Atomic bool end;
static _Atomic uint64_t failures;
static bool may_doubt;
static uint64_t doubts; /* of the one who writes */

struct reader {
    const char *server;
    char node[32];
    uint64_t reads;
    uint64_t refused;
};

static struct coord *open_servers(const char *servers, const char *node)
{
    struct coord_options o;
    struct coord_call call = {.flags = COORD_EPHEMERAL};
    struct coord *c = NULL;
    char why[256] = "";

    coord_options_init(&o);
    o.servers = servers;
    o.session_timeout_ms = 5000;
    o.request_timeout_ms = 20000;
    if (coord_open_threaded(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "freshness: %s\n", why);
        exit(EXIT_FAILURE);
    }
    struct coord_reply *r = NULL;
    int rc = coord_create_sync(c, node, "", 0, &call, &r);
    coord_reply_free(r);
    if (rc != 0) {
        fprintf(stderr, "freshness: create %s: %s\n", node, coord_strerror(rc));
        exit(EXIT_FAILURE);
    }
    return c;
}

static void *read_on(void *arg)
{
    struct reader *me = arg;
    struct coord *c = open_servers(me->server, me->node);
    while (!atomic_load(&end)) {
        struct coord_reply *r = NULL;
        uint64_t before = atomic_load(&acknowledged);
        int rc = coord_get_sync(c, "/count", NULL, &r);
        if (rc != 0) {
            me->refused++; /* a server without a quorum may say so */
        } else {
            uint64_t seen = strtoull((const char *)r->data, NULL, 10);
            me->reads++;
            if (seen < before) {
                fprintf(stderr,
                        "freshness: %s answered %" PRIu64 " after %" PRIu64 " was acknowledged\n",
                        me->server, seen, before);
                atomic_fetch_add(&failures, 1);
            }
        }
        coord_reply_free(r);
    }
    coord_close(c);
    return NULL;
}

static void count_up(struct coord *c)
{
    char value[32];
    struct coord_reply *r = NULL;
    uint64_t next = atomic_load(&acknowledged) + 1;
    int n = snprintf(value, sizeof value, "%" PRIu64, next);
    int rc = coord_set_sync(c, "/count", value, (size_t)n, NULL, &r);
    coord_reply_free(r);
    if (rc == 0) {
        atomic_store(&acknowledged, next);
    } else if (may_doubt && coord_errclass(rc) != COORD_FAILED) {
        doubts++; /* no quorum for a while: the value may be there, and is written again */
    } else {
        fprintf(stderr, "freshness: set: %s\n", coord_strerror(rc));
        atomic_fetch_add(&failures, 1);
    }
}

static void must_exist(struct coord *c, const char *node)
{
    bool exists = false;
    int rc = coord_exists_sync(c, node, NULL, &exists);
    if (rc != 0 || !exists) {
        fprintf(stderr, "freshness: %s is gone (%s): a live session was expired\n", node,
                coord_strerror(rc));
        atomic_fetch_add(&failures, 1);
    }
}

int main(int argc, char **argv)
{
    static struct reader readers[SERVERS_MAX];
    pthread_t threads[SERVERS_MAX];
    size_t count = 0;
    may_doubt = argc == 4 && strcmp(argv[3], "doubt") == 0;
    if (argc != 3 && !may_doubt) {
        fprintf(stderr, "usage: freshness SERVERS SECONDS [doubt]\n");
        return 2;
    }
    struct coord *c = open_servers(argv[1], "/alive-writer");
    struct coord_reply *r = NULL;
    int rc = coord_create_sync(c, "/count", "0", 1, NULL, &r);
    coord_reply_free(r);
    if (rc != 0) {
        fprintf(stderr, "freshness: create: %s\n", coord_strerror(rc));
        return EXIT_FAILURE;
    }
    char *servers = strdup(argv[1]);
    char *rest = NULL;
    for (char *s = strtok_r(servers, ",", &rest); s != NULL && count < SERVERS_MAX;
         s = strtok_r(NULL, ",", &rest)) {
        readers[count].server = s;
        (void)snprintf(readers[count].node, sizeof readers[count].node, "/alive-%zu", count);
        if (pthread_create(&threads[count], NULL, read_on, &readers[count]) != 0) {
            perror("pthread_create");
            return EXIT_FAILURE;
        }
        count++;
    }
    time_t until = time(NULL) + strtol(argv[2], NULL, 10);
    while (time(NULL) < until) {
        count_up(c);
    }
    for (size_t i = 0; i < count; i++) {
        must_exist(c, readers[i].node);
    }
    must_exist(c, "/alive-writer");
    atomic_store(&end, true);
    uint64_t reads = 0;
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(threads[i], NULL);
        reads += readers[i].reads;
    }
    printf("%" PRIu64 " writes, %" PRIu64 " without an answer, %" PRIu64 " reads, %" PRIu64
           " failures\n",
           atomic_load(&acknowledged), doubts, reads, atomic_load(&failures));
    coord_close(c);
    free(servers);
    return atomic_load(&failures) == 0 && reads > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
