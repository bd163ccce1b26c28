/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ackwriter.c: writes as fast as it is acknowledged and notes on disk what was, so that a test can kill members
 * meanwhile and look afterwards whether anything acknowledged is missing or anything was done twice.
 *
 *   ackwriter write SERVERS DIRECTORY NAME JOURNAL COUNT     COUNT acknowledged creates DIRECTORY/NAME-<i>, fewer
 *                                                            when SIGTERM ends it, between two of them
 *   ackwriter verify SERVERS DIRECTORY JOURNAL...            every journalled node is there, with its value
 *
 * Half of the writes are increments of a counter node by conditional set: a write that was applied twice, or
 * refused although it was applied, shows as a version that does not fit. The counter's value is its version.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coord/coord.h>

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    stopped = number;
}

static int fail(const char *what, int error, const struct coord_reply *r)
{
    fprintf(stderr, "ackwriter: %s: %s (%s)\n", what, coord_errname(error),
            r != NULL ? r->text : coord_strerror(error));
    return EXIT_FAILURE;
}

static struct coord *open_servers(const char *servers)
{
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";

    coord_options_init(&o);
    o.servers = servers;
    o.name = "ackwriter";
    o.request_timeout_ms = 30000; /* longer than any election here: exactly-once hides the rest */
    o.session_timeout_ms = 30000;
    if (coord_open(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "ackwriter: %s\n", why);
        exit(EXIT_FAILURE);
    }
    return c;
}

/* A create that must succeed: the name is new, so EEXISTS would mean that it was applied twice. */
static int create_one(struct coord *c, const char *path, uint64_t i, FILE *journal)
{
    char value[32];
    struct coord_call call = {.wait_quorum = true};
    struct coord_reply *r = NULL;

    int n = snprintf(value, sizeof value, "%" PRIu64, i);
    int rc = coord_create_sync(c, path, value, (size_t)n, &call, &r);
    if (rc != 0) {
        rc = fail(path, rc, r);
    } else if (fprintf(journal, "%s %s\n", path, value) < 0 || fflush(journal) != 0) {
        perror("journal");
        rc = EXIT_FAILURE;
    }
    coord_reply_free(r);
    return rc;
}

/* The i-th set of the counter, only valid at version i - 1: done twice it fails, skipped the next fails. */
static int count_one(struct coord *c, const char *path, uint64_t i)
{
    struct coord_call call = {
        .wait_quorum = true, .conditions = COORD_IF_VERSION, .version = i - 1};
    char value[32];
    struct coord_reply *r = NULL;

    int n = snprintf(value, sizeof value, "%" PRIu64, i);
    int rc = coord_set_sync(c, path, value, (size_t)n, &call, &r);
    if (rc == 0 && r->stat.version != i) {
        fprintf(stderr, "ackwriter: %s is at version %" PRIu64 " instead of %" PRIu64 "\n", path,
                r->stat.version, i);
        rc = EXIT_FAILURE;
    } else if (rc != 0) {
        rc = fail(path, rc, r);
    }
    coord_reply_free(r);
    return rc;
}

static int write_all(char **argv)
{
    struct coord *c = open_servers(argv[2]);
    FILE *journal = fopen(argv[5], "a");
    uint64_t count = strtoull(argv[6], NULL, 10);
    struct sigaction end = {.sa_handler = stop};
    char path[512], counter[512];
    int rc = EXIT_SUCCESS;

    if (journal == NULL) {
        perror(argv[5]);
        coord_close(c);
        return EXIT_FAILURE;
    }
    (void)sigaction(SIGTERM, &end, NULL);
    (void)snprintf(counter, sizeof counter, "%s/%s-counter", argv[3], argv[4]);
    rc = create_one(c, counter, 0, stdout);
    for (uint64_t i = 1; i <= count && rc == 0 && stopped == 0; i++) {
        (void)snprintf(path, sizeof path, "%s/%s-%" PRIu64, argv[3], argv[4], i);
        rc = create_one(c, path, i, journal);
        rc = rc == 0 ? count_one(c, counter, i) : rc;
    }
    if (fclose(journal) != 0) {
        perror(argv[5]);
        rc = EXIT_FAILURE;
    }
    coord_close(c);
    return rc;
}

static int verify_line(struct coord *c, const char *path, const char *value)
{
    struct coord_call call = {.wait_quorum = true};
    struct coord_reply *r = NULL;
    int rc = coord_get_sync(c, path, &call, &r);

    if (rc != 0) {
        rc = fail(path, rc, r);
    } else if (r->data_bytes != strlen(value) || memcmp(r->data, value, r->data_bytes) != 0) {
        fprintf(stderr, "ackwriter: %s is '%s' instead of '%s'\n", path, (const char *)r->data,
                value);
        rc = EXIT_FAILURE;
    }
    coord_reply_free(r);
    return rc;
}

static int verify_all(int argc, char **argv)
{
    struct coord *c = open_servers(argv[2]);
    unsigned long checked = 0;
    int rc = EXIT_SUCCESS;
    char path[512], value[64];

    for (int i = 4; i < argc && rc == 0; i++) {
        FILE *journal = fopen(argv[i], "r");
        if (journal == NULL) {
            perror(argv[i]);
            rc = EXIT_FAILURE;
            break;
        }
        while (rc == 0 && fscanf(journal, "%511s %63s", path, value) == 2) {
            rc = verify_line(c, path, value);
            checked++;
        }
        fclose(journal);
    }
    printf("%lu acknowledged writes looked at\n", checked);
    coord_close(c);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "write") == 0) {
        return write_all(argv);
    }
    if (argc >= 5 && strcmp(argv[1], "verify") == 0) {
        return verify_all(argc, argv);
    }
    fprintf(stderr, "usage: ackwriter write SERVERS DIRECTORY NAME JOURNAL COUNT\n"
                    "       ackwriter verify SERVERS DIRECTORY JOURNAL...\n");
    return 2;
}
