/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_hold.c: lock, lock ls, elect, elect ls, elect observe. What they hold with is in hold.c.
 */
#include <inttypes.h>
#include <string.h>
#include <coord/recipes.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/hold.h"
#include "client/cli/output.h"
#include "client/cli/run.h"

static void show_place(const struct cli *cli, const char *place, const struct coord_queue_entry *e)
{
    char when[48];

    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "place", place);
        json_text(&j, "node", e->name);
        json_number(&j, "token", e->token);
        json_number(&j, "session", e->session);
        json_number(&j, "since_ms", e->since_ms);
        json_bytes(&j, "value", e->label, e->label_bytes);
        json_end(&j);
        return;
    }
    printf("%-8s token %" PRIu64 "  session %" PRIu64 "  since %s  ", place, e->token, e->session,
           output_time(e->since_ms, when, sizeof when));
    output_value(cli, e->label, e->label_bytes);
}

/* `lock ls NAME` and `elect ls NAME`. */
static int list_queue(struct cli *cli, enum hold_kind kind, int argc, char **argv)
{
    struct args a;
    struct coord *c = NULL;
    struct coord_queue *queue = NULL;
    int rc = args_parse(argc, argv, NULL, 0, false, 2, 2, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = kind == HOLD_LOCK ? coord_lock_list_sync(c, a.values[1], &cli->call, &queue)
                                  : coord_election_list_sync(c, a.values[1], &cli->call, &queue);
    if (error != 0) {
        rc = cli_fail_asking(cli, c, a.values[1], error);
    } else {
        for (size_t i = 0; i < queue->count; i++) {
            const char *first = kind == HOLD_LOCK ? "holds" : "leads";
            show_place(cli, i == 0 ? first : "waits", &queue->entries[i]);
        }
    }
    coord_queue_free(queue);
    cli_close(c);
    return rc;
}

/* Options that lock and elect share, from the command line into *q. */
static int hold_command(struct cli *cli, enum hold_kind kind, int argc, char **argv)
{
    struct hold_request q = {.kind = kind, .wait_ms = COORD_WAIT_FOREVER};
    uint64_t ttl = cli->options.session_timeout_ms, wait = 0;
    bool waits = false;
    const char *lost = "term";
    const struct arg table[] = {
        {"ttl", 0, ARG_DURATION, &ttl, NULL},
        {"wait", 0, ARG_DURATION, &wait, &waits},
        {"on-lost", 0, ARG_TEXT, &lost, NULL},
        {kind == HOLD_LOCK ? "label" : "value", 0, ARG_TEXT, &q.value, NULL},
    };
    struct args a;
    int rc = args_parse(argc, argv, table, 4, true, 1, 1, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (strcmp(lost, "kill") == 0) {
        q.on_lost = ON_LOST_KILL;
    } else if (strcmp(lost, "stop") == 0) {
        q.on_lost = ON_LOST_STOP;
    } else if (strcmp(lost, "term") != 0) {
        return cli_usage(argv[0], "--on-lost: '%s' is not term, kill or stop", lost);
    }
    if (ttl == 0 || ttl > UINT32_MAX) {
        return cli_usage(argv[0], "--ttl: out of range");
    }
    if (waits) {
        q.wait_ms = wait < COORD_WAIT_FOREVER ? (uint32_t)wait : COORD_WAIT_FOREVER;
    }
    if (a.values[0][0] == '\0') {
        return cli_usage(argv[0], "the name is empty");
    }
    q.name = a.values[0];
    q.run = a.run;
    cli->options.session_timeout_ms = (uint32_t)ttl;
    return hold(cli, &q);
}

int cmd_lock(struct cli *cli, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "ls") == 0) {
        return list_queue(cli, HOLD_LOCK, argc, argv);
    }
    return hold_command(cli, HOLD_LOCK, argc, argv);
}

/* --- observing --------------------------------------------------------------------------------- */

struct observing {
    const struct cli *cli;
    int error;
};

static void on_leader(struct coord *c, int error, const struct coord_queue_entry *leader, void *arg)
{
    struct observing *o = arg;

    (void)c; /* the loop has it */
    o->error = error;
    if (error != 0) {
        return;
    }
    if (leader != NULL) {
        show_place(o->cli, "leads", leader);
    } else if (o->cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "place", "vacant");
        json_end(&j);
    } else {
        puts("nobody leads");
    }
    (void)fflush(stdout); /* for whoever reads along; main checks stdout at the end */
}

static int observe(struct cli *cli, int argc, char **argv)
{
    struct observing o = {.cli = cli};
    struct coord_observer *observer = NULL;
    struct coord *c = NULL;
    struct run r;
    struct args a;
    int rc = args_parse(argc, argv, NULL, 0, false, 2, 2, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (!run_init(&r, c)) {
        coord_close(c);
        return EXIT_OTHER;
    }
    int error = coord_election_observe(c, a.values[1], on_leader, &o, &observer);
    while (error == 0 && o.error == 0 && r.stopped_by == 0) {
        error = run_turn(&r, -1);
    }
    if (error == 0 && o.error == 0) {
        coord_observer_stop(observer);
    } else {
        rc = cli_fail_asking(cli, c, a.values[1], error != 0 ? error : o.error);
    }
    cli_close(c);
    run_finish(&r);
    return rc;
}

int cmd_elect(struct cli *cli, int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "observe") == 0) {
        return observe(cli, argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "ls") == 0) {
        return list_queue(cli, HOLD_ELECTION, argc, argv);
    }
    return hold_command(cli, HOLD_ELECTION, argc, argv);
}
