/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_limits.c: limits: what each server of -s told of its limits when this program connected.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"
#include "client/cli/run.h"

/* Names as in a member's configuration file, for whoever wants to change them there. */
static const struct {
    const char *name;
    size_t offset;
} rows[] = {
#define ROW(name, field)                                  \
    {                                                     \
        name, offsetof(struct coord_server_limits, field) \
    }
    ROW("limits.request", data_bytes),
    ROW("limits.frame", frame_bytes),
    ROW("limits.operations", txn_operations),
    ROW("limits.subtree", subtree_nodes),
    ROW("limits.list_entries", list_entries),
    ROW("limits.list_bytes", list_bytes),
    ROW("limits.store", store_bytes),
    ROW("limits.sessions", sessions),
    ROW("sessions.min", session_min_ms),
    ROW("sessions.max", session_max_ms),
    ROW("limits.answers", answers),
    ROW("limits.answers_bytes", answers_bytes),
    ROW("limits.connections", connections),
    ROW("limits.connections_per_address", connections_per_address),
    ROW("limits.outstanding", outstanding),
    ROW("limits.outstanding_bytes", outstanding_bytes),
    ROW("limits.output", output_bytes),
    ROW("limits.watches", watches),
    ROW("limits.watch_output", watch_output_bytes),
    ROW("limits.history_events", history_events),
    ROW("limits.history_bytes", history_bytes),
#undef ROW
};

static uint64_t value_of(const struct coord_server_limits *l, size_t row)
{
    uint64_t value;
    memcpy(&value, (const char *)l + rows[row].offset, sizeof value);
    return value;
}

static void print(const struct cli *cli, const char *address, const struct coord_server_limits *l)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "address", address);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            json_number(&j, rows[i].name, value_of(l, i));
        }
        json_end(&j);
        return;
    }
    printf("%s\n", address);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *unit = strncmp(rows[i].name, "sessions.", 9) == 0 ? " ms" : "";
        printf("  %-32s %" PRIu64 "%s\n", rows[i].name, value_of(l, i), unit);
    }
}

/* Of the one server that cli names. */
static int limits_one(struct cli *cli, const char *address)
{
    struct cli one = *cli;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    struct coord_server_limits l;
    one.options.servers = address;
    one.options.session = COORD_SESSIONS_OFF;
    int rc = cli_open(&one, &c);
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_status_sync(c, &cli->call, &r); /* any request: then it is connected */
    if (error == 0) {
        error = coord_server_limits(c, &l);
    }
    if (error == 0) {
        print(cli, address, &l);
    } else {
        char
            what[CLI_ADDRESS_BYTES_MAX + 16]; /* a refused connection names the address by itself */
        (void)snprintf(what, sizeof what, "limits%s%s", error == COORD_ECONNECT ? "" : " of ",
                       error == COORD_ECONNECT ? "" : address);
        rc = cli_fail(cli, what, error, r);
    }
    coord_reply_free(r);
    coord_close(c);
    return rc;
}

int cmd_limits(struct cli *cli, int argc, char **argv)
{
    char address[CLI_ADDRESS_BYTES_MAX];
    struct args a;
    int rc = args_parse(argc, argv, NULL, 0, false, 0, 0, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    const char *rest = cli->options.servers;
    if (rest == NULL || rest[0] == '\0') {
        return cli_usage("limits", "no servers are named");
    }
    while (cli_next_address(&rest, address, sizeof address)) {
        int one = limits_one(cli, address);
        rc = one != EXIT_DONE ? one : rc;
    }
    return rc;
}
