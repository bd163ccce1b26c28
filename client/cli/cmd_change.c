/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_change.c: incr, mv, quota, du: one request each, but for a quota of which only one bound is named: that
 * reads the other first.
 */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/ask.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"

static void show_sum(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", r->path);
        json_signed(&j, "value", r->value);
        json_number(&j, "revision", r->revision);
        output_stat_json(&j, &r->stat);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    printf("%" PRId64 "\n", r->value);
}

/* "-3" would be taken for an option: put the dashes in front of it that end those. */
static bool is_negative(const char *text)
{
    return text[0] == '-' && isdigit((unsigned char)text[1]);
}

int cmd_incr(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    const char *text = argc > 2 && is_negative(argv[argc - 1]) ? argv[argc - 1] : NULL;
    int64_t delta = 1;
    int rc = args_parse(text != NULL ? argc - 1 : argc, argv, table, 2, false, 1,
                        text != NULL ? 1 : 2, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    text = a.count > 1 ? a.values[1] : text;
    if (text != NULL && !args_signed(text, &delta)) {
        return cli_usage("incr", "'%s' is not a number of 64 bits", text);
    }
    rc = cli_open(cli, &c);
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = ask_condition_flags(&given);
    int error = coord_increment_sync(c, a.values[0], delta, &call, &r);
    return ask_finish(cli, c, "incr", a.values[0], error, r, show_sum);
}

int cmd_mv(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, table, 2, false, 2, 2, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = ask_condition_flags(&given);
    int error = coord_rename_sync(c, a.values[0], a.values[1], &call, &r);
    char both[2 * COORD_PATH_MAX + 8]; /* either may be the one that is not there, is there, ... */
    (void)snprintf(both, sizeof both, "mv %s", a.values[0]);
    const char *broken = cli_path_problem(a.values[0]) != NULL ? a.values[0] : a.values[1];
    if (error == COORD_EBADPATH) {
        return ask_finish(cli, c, "mv", broken, error, r, NULL);
    }
    return ask_finish(cli, c, both, a.values[1], error, r, ask_show_change);
}

/* --- usage and quotas -------------------------------------------------------------------------- */

static void show_bound(uint64_t used, const char *unit, uint64_t bound)
{
    printf("%-8s %" PRIu64, unit, used);
    if (bound != 0) {
        printf(" of %" PRIu64, bound);
    }
    putchar('\n');
}

static void show_usage(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", r->path);
        json_number(&j, "nodes", r->usage.nodes);
        json_number(&j, "bytes", r->usage.bytes);
        json_number(&j, "quota_nodes", r->usage.quota_nodes);
        json_number(&j, "quota_bytes", r->usage.quota_bytes);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    show_bound(r->usage.nodes, "nodes", r->usage.quota_nodes);
    show_bound(r->usage.bytes, "bytes", r->usage.quota_bytes);
    (void)fflush(stdout); /* so that the note comes behind; main checks stdout */
    output_receipt_note(cli, r);
}

int cmd_du(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, NULL, 0, false, 1, 1, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_usage_sync(c, a.values[0], &cli->call, &r);
    return ask_finish(cli, c, "du", a.values[0], error, r, show_usage);
}

/* What the command line says of a quota. */
struct bounds {
    bool has_nodes;
    bool has_bytes;
    uint64_t nodes;
    uint64_t bytes;
};

#define BOUND_MAX (UINT64_C(1) << 62) /* docs/protocol.md, quota: below this */

/* "nodes=N" or "bytes=N". Return: EXIT_DONE or EXIT_USAGE. */
static int read_bound(const char *text, struct bounds *b)
{
    if (strncmp(text, "nodes=", 6) == 0 && args_number(text + 6, &b->nodes) &&
        b->nodes < BOUND_MAX) {
        b->has_nodes = true;
        return EXIT_DONE;
    }
    if (strncmp(text, "bytes=", 6) == 0 && args_bytes(text + 6, &b->bytes) &&
        b->bytes < BOUND_MAX) {
        b->has_bytes = true;
        return EXIT_DONE;
    }
    return cli_usage("quota", "'%s' is neither nodes=N nor bytes=N with N below 2^62", text);
}

/* The bound that was not named is what it is now. Return: as coord_usage_sync. */
static int fill_bounds(struct coord *c, const char *path, const struct coord_call *call,
                       struct bounds *b, struct coord_reply **ret_r)
{
    struct coord_call newest = *call;
    newest.consistency = COORD_LINEARIZABLE;
    int error = coord_usage_sync(c, path, &newest, ret_r);
    if (error == 0) {
        b->nodes = b->has_nodes ? b->nodes : (*ret_r)->usage.quota_nodes;
        b->bytes = b->has_bytes ? b->bytes : (*ret_r)->usage.quota_bytes;
    }
    return error;
}

int cmd_quota(struct cli *cli, int argc, char **argv)
{
    bool clear = false;
    const struct arg table[] = {{"clear", 0, ARG_FLAG, &clear, NULL}};
    struct bounds b = {false, false, 0, 0};
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int error = 0;
    int rc = args_parse(argc, argv, table, 1, false, 1, 3, &a);
    for (int i = 1; rc == EXIT_DONE && i < a.count; i++) {
        rc = read_bound(a.values[i], &b);
    }
    bool change = clear || b.has_nodes || b.has_bytes;
    if (rc == EXIT_DONE && clear && (b.has_nodes || b.has_bytes)) {
        return cli_usage("quota", "--clear stands alone");
    }
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (!clear && !(b.has_nodes && b.has_bytes)) {
        error = fill_bounds(c, a.values[0], &cli->call, &b, &r);
    }
    if (error == 0 && change) {
        coord_reply_free(r);
        r = NULL;
        error = coord_quota_sync(c, a.values[0], b.nodes, b.bytes, &cli->call, &r);
    }
    return ask_finish(cli, c, "quota", a.values[0], error, r, show_usage);
}
