/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_status.c: status (each server of -s by itself) and partition (every member of the ensemble).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"
#include "client/cli/run.h"

bool cli_next_address(const char **rest, char *address, size_t n)
{
    while (**rest == ',' || **rest == ' ') {
        (*rest)++;
    }
    size_t len = strcspn(*rest, ", ");
    if (len == 0 || len >= n) {
        return false;
    }
    memcpy(address, *rest, len);
    address[len] = '\0';
    *rest += len;
    return true;
}

/* A handle for one address alone, without a session. */
static int open_one(const struct cli *cli, const char *address, struct coord **ret_c)
{
    struct cli one = *cli;

    one.options.servers = address;
    one.options.session = COORD_SESSIONS_OFF;
    return cli_open(&one, ret_c);
}

/* --- status ------------------------------------------------------------------------------------ */

static void row_json(const char *address, const struct coord_server_status *s)
{
    struct json j = json_begin(stdout);

    json_number(&j, "id", s->member);
    json_text(&j, "role", coord_role_name(s->role));
    json_number(&j, "term", s->term);
    json_number(&j, "leader", s->leader);
    json_number(&j, "commit", s->commit);
    json_number(&j, "applied", s->applied);
    json_number(&j, "reachable", s->reachable);
    json_number(&j, "needed", s->needed);
    json_number(&j, "members", s->members_count);
    json_text(&j, "address", address);
    json_number(&j, "no_quorum_ms", s->no_quorum_ms);
    json_number(&j, "snapshot", s->snapshot);
    json_number(&j, "log_first", s->log_first);
    json_number(&j, "log_last", s->log_last);
    json_number(&j, "sessions", s->sessions);
    json_number(&j, "nodes", s->nodes);
    json_number(&j, "watches", s->watches);
    json_number(&j, "connections", s->connections);
    json_number(&j, "uptime_ms", s->uptime_ms);
    json_number(&j, "store_bytes", s->store_bytes);
    json_number(&j, "limits_differ", s->limits_differ);
    json_bool(&j, "lease", s->lease);
    json_number(&j, "lease_rounds", s->lease_rounds);
    json_bool(&j, "lab", s->lab);
    json_text(&j, "cluster", s->cluster);
    json_text(&j, "version", s->version);
    json_bool(&j, "repairing", s->fault != NULL && s->role != COORD_ROLE_FAULTED);
    if (s->fault != NULL) {
        json_text(&j, "fault", s->fault);
    }
    json_end(&j);
}

static void row_table(const char *address, const struct coord_server_status *s)
{
    char age[32], leader[16];

    (void)snprintf(leader, sizeof leader, s->leader != 0 ? "%" PRIu32 : "none", s->leader);
    printf("%-4" PRIu32 " %-12s %6" PRIu64 " %6s %10" PRIu64 " %10" PRIu64 "  %" PRIu32
           " of %-" PRIu32 "     %s",
           s->member, coord_role_name(s->role), s->term, leader, s->commit, s->applied,
           s->reachable, s->members_count, address);
    if (s->no_quorum_ms != 0) {
        printf("  NO QUORUM for %s (%" PRIu32 " needed)",
               output_age(s->no_quorum_ms, age, sizeof age), s->needed);
    }
    if (s->limits_differ != 0) {
        printf("  limits differ from the leader's: %" PRIu64, s->limits_differ);
    }
    if (s->fault != NULL) {
        printf(s->role == COORD_ROLE_FAULTED ? "  FAULT: %s" : "  %s", s->fault);
    }
    putchar('\n');
}

/* Why a server did not answer, without the address that stands beside it. */
static const char *reason(const char *address, int error, const struct coord_reply *r)
{
    const char *text = r != NULL && r->text[0] != '\0' ? r->text : coord_strerror(error);
    size_t n = strlen(address);

    return strncmp(text, address, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* Which member has this address, by what another one says: its id as text, "-" for nobody. */
static const char *member_at(const struct coord_server_status *known, const char *address,
                             char id[16])
{
    (void)snprintf(id, 16, "-");
    for (uint32_t i = 0; known != NULL && i < known->members_count; i++) {
        if (strcmp(known->members[i].client_address, address) == 0) {
            (void)snprintf(id, 16, "%" PRIu32, known->members[i].id);
        }
    }
    return id;
}

static void row_missing(const struct cli *cli, const char *address,
                        const struct coord_server_status *known, int error,
                        const struct coord_reply *r)
{
    char id[16];

    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "address", address);
        json_text(&j, "error", coord_errname(error));
        json_text(&j, "text", reason(address, error, r));
        json_end(&j);
        return;
    }
    printf("%-4s %-12s %6s %6s %10s %10s  %-9s  %s  %s\n", member_at(known, address, id),
           "unreachable", "-", "-", "-", "-", "-", address, reason(address, error, r));
}

/* One row. Return: 0 or an exit code. */
static int status_row(struct cli *cli, const char *address, const struct coord_server_status *known)
{
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = open_one(cli, address, &c);

    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_status_sync(c, &cli->call, &r);
    if (error != 0) {
        row_missing(cli, address, known, error, r);
    } else if (cli->format == FORMAT_JSON) {
        row_json(address, r->status);
    } else {
        row_table(address, r->status);
    }
    coord_reply_free(r);
    coord_close(c);
    return cli_exit_code(error);
}

static int status_all(struct cli *cli)
{
    char address[CLI_ADDRESS_BYTES_MAX];
    const char *rest = cli->options.servers;
    int answered = 0, rc = EXIT_DONE;
    struct coord *all = NULL;
    struct coord_reply *one_of_them = NULL;

    /* A mistake anywhere in the list is told before the first row. */
    rc = cli_open(cli, &all);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (cli->format != FORMAT_JSON) {
        if (coord_status_sync(all, &cli->call, &one_of_them) != 0) {
            coord_reply_free(one_of_them); /* then nobody knows the others */
            one_of_them = NULL;
        }
        printf("%-4s %-12s %6s %6s %10s %10s  %-9s  %s\n", "id", "role", "term", "leader", "commit",
               "applied", "reachable", "address");
    }
    while (cli_next_address(&rest, address, sizeof address)) {
        int one = status_row(cli, address, one_of_them != NULL ? one_of_them->status : NULL);
        if (one == EXIT_USAGE) {
            rc = one;
            answered = 0;
            break;
        }
        answered += one == EXIT_DONE ? 1 : 0;
        rc = one != EXIT_DONE ? one : rc;
    }
    coord_reply_free(one_of_them);
    coord_close(all);
    return answered > 0 ? EXIT_DONE : rc;
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    bool again = false;
    const struct arg table[] = {{"watch", 'w', ARG_FLAG, &again, NULL}};
    struct args a;
    int rc = args_parse(argc, argv, table, 1, false, 0, 0, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (cli->options.servers == NULL || cli->options.servers[0] == '\0') {
        return cli_usage("status", "no servers are named");
    }
    rc = status_all(cli);
    while (again && rc != EXIT_USAGE) {
        (void)poll(NULL, 0, 1000); /* a signal ends the program, as it should */
        putchar('\n');
        rc = status_all(cli);
        (void)fflush(stdout); /* main checks stdout at the end */
    }
    return rc;
}

/* --- partition --------------------------------------------------------------------------------- */

/* Groups of members: group[i] of the i-th member, 0 while it is not named. */
struct groups {
    const struct coord_server_status *status;
    int group[COORD_STATUS_MEMBERS_MAX];
    bool heal;
};

static int find_member(const struct coord_server_status *s, uint64_t id)
{
    for (uint32_t i = 0; i < s->members_count; i++) {
        if (s->members[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

/* Read "1 / 2,3" into groups; every member exactly once. */
static int parse_groups(const char *text, struct groups *g)
{
    int current = 1;
    char digits[16];

    while (*text != '\0') {
        size_t n = strspn(text, "0123456789");
        uint64_t id = 0;
        if (n == 0 && strchr("/, ", *text) != NULL) {
            current += *text == '/' ? 1 : 0;
            text++;
            continue;
        }
        if (n == 0 || n >= sizeof digits) {
            return cli_usage("partition", "'%.*s' is not the id of a member",
                             (int)strcspn(text, "/, "), text);
        }
        memcpy(digits, text, n);
        digits[n] = '\0';
        int i = args_number(digits, &id) ? find_member(g->status, id) : -1;
        if (i < 0) {
            return cli_usage("partition", "there is no member %s", digits);
        }
        if (g->group[i] != 0) {
            return cli_usage("partition", "member %s is named twice", digits);
        }
        g->group[i] = current;
        text += n;
    }
    for (uint32_t i = 0; i < g->status->members_count; i++) {
        if (g->group[i] == 0) {
            return cli_usage("partition", "member %" PRIu32 " is in no group",
                             g->status->members[i].id);
        }
    }
    return current > 1 ? EXIT_DONE
                       : cli_usage("partition", "two groups at least, separated by '/'");
}

/* Tell one member which links to cut. */
static int cut_one(struct cli *cli, const struct groups *g, uint32_t i)
{
    const struct coord_server_member *m = &g->status->members[i];
    uint32_t cut[COORD_STATUS_MEMBERS_MAX];
    uint32_t count = 0;
    char what[64];
    struct coord *c = NULL;
    struct coord_reply *r = NULL;

    for (uint32_t k = 0; k < g->status->members_count; k++) {
        if (!g->heal && g->group[k] != g->group[i]) {
            cut[count++] = g->status->members[k].id;
        }
    }
    int rc = open_one(cli, m->client_address, &c);
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_partition_sync(c, cut, count, &cli->call, &r);
    if (error != 0) {
        (void)snprintf(what, sizeof what, "partition: member %" PRIu32, m->id);
        rc = cli_fail(cli, what, error, r);
    }
    coord_reply_free(r);
    coord_close(c);
    return rc;
}

static int partition_all(struct cli *cli, const struct coord_server_status *s, const char *text)
{
    struct groups g = {.status = s, .heal = strcmp(text, "heal") == 0};
    int rc = g.heal ? EXIT_DONE : parse_groups(text, &g);

    if (rc != EXIT_DONE) {
        return rc;
    }
    for (uint32_t i = 0; i < s->members_count; i++) {
        int one = cut_one(cli, &g, i);
        rc = one != EXIT_DONE ? one : rc;
    }
    if (rc == EXIT_DONE && cli->format != FORMAT_JSON) {
        puts(g.heal ? "every link is mended" : "the links between the groups are cut");
    }
    return rc;
}

int cmd_partition(struct cli *cli, int argc, char **argv)
{
    char text[512] = "";
    size_t used = 0;
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, NULL, 0, false, 1, 64, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    for (int i = 0; i < a.count && used < sizeof text; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "",
                                 a.values[i]);
    }
    rc = cli_open(cli, &c);
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_status_sync(c, &cli->call, &r);
    rc = error != 0 ? cli_fail(cli, "partition", error, r) : partition_all(cli, r->status, text);
    coord_reply_free(r);
    coord_close(c);
    return rc;
}
