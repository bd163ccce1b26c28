/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transfer.c: money that is always somewhere, and never twice.
 *
 *   transfer SERVERS FROM TO AMOUNT [TIMES]
 *
 * Moves AMOUNT from the node FROM to the node TO, whose data are numbers, TIMES times (default 1). Both change at
 * one moment or neither does, whatever happens to servers and to this program; and FROM does not fall below zero,
 * however many programs do this at once: the transaction holds only while FROM is at the version whose balance
 * was looked at. When somebody else was faster its else branch brings the balance to look at next.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <coord/coord.h>

struct account {
    uint64_t version;
    int64_t balance;
};

static struct account account_of(const void *data, const struct coord_stat *stat)
{
    /* Data is followed by a NUL; a node without data counts as empty. */
    return (struct account){.version = stat->version,
                            .balance = data != NULL ? strtoll(data, NULL, 10) : 0};
}

static int complain(const char *what, int error, const struct coord_reply *r)
{
    fprintf(stderr, "transfer: %s: %s\n", what, r != NULL ? r->text : coord_strerror(error));
    return error;
}

/* One attempt while FROM is as seen. Return: 0 and whether it was done, with *seen brought up to date
 * when not; or an error. */
static int attempt(struct coord *c, char *const *argv, int64_t amount, struct account *seen,
                   bool *ret_done)
{
    struct coord_reply *r = NULL;
    struct coord_txn *t = coord_txn_new();

    /* What goes wrong here is kept in t, and told by the commit. */
    (void)coord_txn_if_version(t, argv[2], seen->version);
    (void)coord_txn_increment(t, COORD_THEN, argv[2], -amount, NULL);
    (void)coord_txn_increment(t, COORD_THEN, argv[3], amount, NULL);
    (void)coord_txn_get(t, COORD_ELSE, argv[2]);
    int rc = coord_txn_commit_sync(c, t, NULL, &r);
    coord_txn_free(t);
    if (rc != 0) {
        (void)complain("the transfer", rc, r);
    } else {
        *ret_done = r->branch == COORD_THEN;
        if (!*ret_done) {
            *seen = account_of(r->results[0].data, &r->results[0].stat);
        }
    }
    coord_reply_free(r);
    return rc;
}

static int transfer(struct coord *c, char *const *argv, int64_t amount)
{
    struct coord_reply *r = NULL;
    int rc = coord_get_sync(c, argv[2], NULL, &r);
    if (rc != 0) {
        rc = complain(argv[2], rc, r);
        coord_reply_free(r);
        return rc;
    }
    struct account seen = account_of(r->data, &r->stat);
    coord_reply_free(r);
    bool done = false;
    while (rc == 0 && !done) {
        if (seen.balance < amount) {
            printf("only %" PRId64 " left\n", seen.balance);
            return COORD_ECONDITION;
        }
        rc = attempt(c, argv, amount, &seen, &done);
    }
    return rc;
}

int main(int argc, char **argv)
{
    struct coord_options o;
    struct coord *c = NULL;
    char why[256] = "";
    unsigned long done = 0;
    int rc = 0;

    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: transfer SERVERS FROM TO AMOUNT [TIMES]\n");
        return 2;
    }
    int64_t amount = strtoll(argv[4], NULL, 10);
    unsigned long times = argc > 5 ? strtoul(argv[5], NULL, 10) : 1;
    if (amount <= 0) {
        fprintf(stderr, "transfer: '%s' is no amount\n", argv[4]);
        return 2;
    }
    coord_options_init(&o);
    o.servers = argv[1];
    o.name = "example-transfer";
    o.request_timeout_ms = 30000; /* a failover hides in it: repeated writes are applied once */
    if (coord_open(&o, &c, why, sizeof why) != 0) {
        fprintf(stderr, "transfer: %s\n", why);
        return EXIT_FAILURE;
    }
    while (done < times && rc == 0) {
        rc = transfer(c, argv, amount);
        done += rc == 0 ? 1 : 0;
    }
    printf("%lu transfers of %" PRId64 " from %s to %s\n", done, amount, argv[2], argv[3]);
    if (coord_session_close_sync(c, NULL) != 0) {
        fprintf(stderr, "transfer: the session ends by its timeout\n");
    }
    coord_close(c);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
