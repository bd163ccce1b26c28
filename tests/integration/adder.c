/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adder.c: increments, and a look at several numbers at one moment, for tests that kill members meanwhile.
 *
 *   adder increment SERVERS PATH UNTIL JOURNAL   increments by 1, a few at a time, until the file UNTIL exists;
 *                                                each sum goes to JOURNAL
 *   adder audit SERVERS TOTAL UNTIL PATH...      reads all PATHs in one transaction, again and again, until the
 *                                                file UNTIL exists; fails when they do not add up to TOTAL
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <coord/coord.h>

#define FLYING 4

static struct coord *open_servers(const char *servers)
{
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";

    coord_options_init(&o);
    o.servers = servers;
    o.name = "adder";
    o.request_timeout_ms = 60000; /* longer than any election here: exactly-once hides the rest */
    o.session_timeout_ms = 30000;
    if (coord_open(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "adder: %s\n", why);
        exit(EXIT_FAILURE);
    }
    return c;
}

/* --- increment --------------------------------------------------------------------------------- */

struct work {
    const char *path;
    FILE *journal;
    const char *until;
    uint64_t flying; /* without an answer */
    bool failed;
};

static void added(struct coord *c, const struct coord_reply *reply, void *arg);

static void send_more(struct coord *c, struct work *w)
{
    while (w->flying < FLYING && !w->failed && access(w->until, F_OK) != 0) {
        int rc = coord_increment(c, w->path, 1, NULL, added, w);
        if (rc != 0) {
            fprintf(stderr, "adder: %s\n", coord_strerror(rc));
            w->failed = true;
            return;
        }
        w->flying++;
    }
}

static void added(struct coord *c, const struct coord_reply *reply, void *arg)
{
    struct work *w = arg;

    w->flying--;
    if (reply->error != 0) {
        fprintf(stderr, "adder: %s: %s\n", coord_errname(reply->error), reply->text);
        w->failed = true;
    } else {
        fprintf(w->journal, "%" PRId64 "\n", reply->value);
    }
    send_more(c, w);
}

static int increment_all(char **argv)
{
    struct work w = {.path = argv[3], .until = argv[4], .journal = fopen(argv[5], "w")};

    if (w.journal == NULL) {
        perror(argv[5]);
        return EXIT_FAILURE;
    }
    struct coord *c = open_servers(argv[2]);
    send_more(c, &w);
    while (w.flying > 0) {
        struct pollfd p = {.fd = coord_fd(c), .events = coord_events(c)};
        (void)poll(&p, 1, coord_timeout_ms(c));
        if (coord_dispatch(c) != 0) {
            w.failed = true;
            break;
        }
    }
    coord_close(c);
    if (fclose(w.journal) != 0) {
        perror(argv[5]);
        w.failed = true;
    }
    return w.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* --- audit ------------------------------------------------------------------------------------- */

static int audit(int argc, char **argv)
{
    struct coord *c = open_servers(argv[2]);
    struct coord_txn *t = coord_txn_new();
    int64_t total = strtoll(argv[3], NULL, 10);
    unsigned long looks = 0;
    int rc = 0;

    for (int i = 5; i < argc; i++) {
        (void)coord_txn_get(t, COORD_THEN, argv[i]); /* an error is kept for the commit */
    }
    while (rc == 0 && access(argv[4], F_OK) != 0) {
        struct coord_reply *r = NULL;
        int64_t sum = 0;
        rc = coord_txn_commit_sync(c, t, NULL, &r);
        for (size_t i = 0; rc == 0 && i < r->results_count; i++) {
            sum += strtoll(r->results[i].data, NULL, 10);
        }
        if (rc != 0) {
            fprintf(stderr, "adder: %s\n", r != NULL ? r->text : coord_strerror(rc));
        } else if (sum != total) {
            fprintf(stderr, "adder: the sum is %" PRId64 " at revision %" PRIu64 "\n", sum,
                    r->revision);
            rc = EXIT_FAILURE;
        }
        coord_reply_free(r);
        looks++;
    }
    printf("%lu looks\n", looks);
    coord_txn_free(t);
    coord_close(c);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "increment") == 0) {
        return increment_all(argv);
    }
    if (argc >= 6 && strcmp(argv[1], "audit") == 0) {
        return audit(argc, argv);
    }
    fprintf(stderr, "usage: adder increment SERVERS PATH UNTIL JOURNAL\n"
                    "       adder audit SERVERS TOTAL UNTIL PATH...\n");
    return 2;
}
