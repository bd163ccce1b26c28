/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_sessions.c: sessions ls, show and end.
 *
 * Only the leader knows when a session was heard of and through which member, and only that member the
 * address of its client. So ls and show ask the leader, and show the member too; when the leader is not to be
 * reached, or a consistency other than linearizable is asked for, whoever answers tells what it knows.
 * Reading opens no session itself, which would only show up in the list.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/ask.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"

/* --- whom to ask ------------------------------------------------------------------------------- */

/* A handle without a session. address: of one server alone, NULL: any of -s. */
static int open_for_reading(const struct cli *cli, const char *address, struct coord **ret_c)
{
    struct cli one = *cli;

    one.options.session = COORD_SESSIONS_OFF;
    if (address != NULL) {
        one.options.servers = address;
    }
    return cli_open(&one, ret_c);
}

static const char *address_of(const struct coord_server_status *s, uint32_t member)
{
    for (uint32_t i = 0; s != NULL && i < s->members_count; i++) {
        if (s->members[i].id == member && s->members[i].client_address[0] != '\0') {
            return s->members[i].client_address;
        }
    }
    return NULL;
}

/* Open a handle to the leader if it can be had, else to any server. *ret_status, the caller's to free, may be
 * NULL. Return: EXIT_DONE or an exit code (said). */
static int open_leader(struct cli *cli, struct coord **ret_c, struct coord_reply **ret_status)
{
    struct coord *c = NULL;
    struct coord *leader = NULL;
    struct coord_reply *ready = NULL;
    struct coord_call brief = cli->call;
    bool current =
        cli->call.consistency == COORD_DEFAULT || cli->call.consistency == COORD_LINEARIZABLE;
    int rc = open_for_reading(cli, NULL, &c);

    *ret_status = NULL;
    if (rc != EXIT_DONE || !current) {
        *ret_c = c;
        return rc;
    }
    int error = coord_status_sync(c, &cli->call, ret_status);
    const struct coord_server_status *s = error == 0 ? (*ret_status)->status : NULL;
    const char *address = s != NULL ? address_of(s, s->leader) : NULL;
    brief.fail_fast = true;
    if (address != NULL && s->member != s->leader &&
        open_for_reading(cli, address, &leader) == EXIT_DONE) {
        if (coord_status_sync(leader, &brief, &ready) == 0) {
            coord_close(c);
            c = leader;
        } else {
            coord_close(leader);
        }
        coord_reply_free(ready);
    }
    *ret_c = c;
    return EXIT_DONE;
}

/* The address of the session's client, as the member knows it that it is attached to. */
static void ask_address(const struct cli *cli, const struct coord_server_status *s,
                        const struct coord_session_entry *e, char *address, size_t n)
{
    const char *server = address_of(s, e->member);
    struct coord_call local = {.timeout_ms = cli->call.timeout_ms,
                               .consistency = COORD_LOCAL,
                               .fail_fast = true,
                               .limit = 1};
    struct coord_reply *r = NULL;
    struct coord *c = NULL;

    address[0] = '\0';
    if (e->address != NULL) {
        (void)snprintf(address, n, "%s", e->address);
    } else if (server != NULL && open_for_reading(cli, server, &c) == EXIT_DONE) {
        if (coord_session_show_sync(c, e->session, &local, &r) == 0 && r->sessions_count == 1 &&
            r->sessions[0].address != NULL) {
            (void)snprintf(address, n, "%s", r->sessions[0].address);
        }
        coord_reply_free(r);
        coord_close(c);
    }
}

/* --- telling ----------------------------------------------------------------------------------- */

static void entry_json(const struct coord_session_entry *e, const char *address,
                       const struct coord_reply *r)
{
    struct json j = json_begin(stdout);

    json_number(&j, "session", e->session);
    json_number(&j, "timeout_ms", e->timeout_ms);
    json_number(&j, "ephemerals", e->ephemerals);
    json_number(&j, "attached_revision", e->attached_revision);
    if (e->member != 0) {
        json_number(&j, "member", e->member);
    }
    if (e->idle_ms != COORD_IDLE_UNKNOWN) {
        json_number(&j, "idle_ms", e->idle_ms);
    }
    if (address != NULL && address[0] != '\0') {
        json_text(&j, "address", address);
    }
    if (r != NULL) {
        output_receipt_json(&j, r);
    }
    json_end(&j);
}

static const char *idle_text(uint64_t idle_ms, char *buf, size_t n)
{
    return idle_ms == COORD_IDLE_UNKNOWN ? "-" : output_age(idle_ms, buf, n);
}

static void entry_row(const struct coord_session_entry *e)
{
    char timeout[32], idle[32], member[16];

    (void)snprintf(member, sizeof member, e->member != 0 ? "%" PRIu32 : "-", e->member);
    printf("%-12" PRIu64 " %10s %10" PRIu64 " %6s %10s  %s\n", e->session,
           output_age(e->timeout_ms, timeout, sizeof timeout), e->ephemerals, member,
           idle_text(e->idle_ms, idle, sizeof idle), e->address != NULL ? e->address : "-");
}

/* --- ls ---------------------------------------------------------------------------------------- */

static int list_all(struct cli *cli, struct coord *c, uint64_t after, uint64_t limit)
{
    struct coord_call call = cli->call;
    bool limited = limit > 0;
    bool first = true;

    for (bool more = true; more; first = false) {
        struct coord_reply *r = NULL;
        call.limit = limit;
        int error = coord_sessions_sync(c, after, &call, &r);
        if (error != 0) {
            return ask_finish(cli, c, "sessions ls", "", error, r, NULL);
        }
        if (first && cli->format != FORMAT_JSON) {
            printf("%-12s %10s %10s %6s %10s  %s\n", "session", "timeout", "ephemerals", "member",
                   "idle", "address");
        }
        for (size_t i = 0; i < r->sessions_count; i++) {
            if (cli->format == FORMAT_JSON) {
                entry_json(&r->sessions[i], r->sessions[i].address, NULL);
            } else {
                entry_row(&r->sessions[i]);
            }
            after = r->sessions[i].session;
        }
        limit -= limited ? r->sessions_count : 0;
        more = r->more && r->sessions_count > 0 && (!limited || limit > 0);
        if (!more) {
            (void)fflush(stdout); /* so that the note comes behind; main checks stdout */
            output_receipt_note(cli, r);
        }
        coord_reply_free(r);
    }
    coord_close(c);
    return EXIT_DONE;
}

/* --- show -------------------------------------------------------------------------------------- */

static void show_head(const struct cli *cli, const struct coord_reply *r, const char *address)
{
    const struct coord_session_entry *e = &r->sessions[0];
    char text[32];

    if (cli->format == FORMAT_JSON) {
        entry_json(e, address, r);
        return;
    }
    printf("session          %" PRIu64 " (%016" PRIx64 " in logs)\n", e->session, e->session);
    printf("timeout          %s\n", output_age(e->timeout_ms, text, sizeof text));
    printf("last heard       %s%s\n", idle_text(e->idle_ms, text, sizeof text),
           e->idle_ms != COORD_IDLE_UNKNOWN ? " ago" : "");
    (void)snprintf(text, sizeof text, e->member != 0 ? "%" PRIu32 : "-", e->member);
    printf("member           %s\n", text);
    printf("address          %s\n", address[0] != '\0' ? address : "-");
    printf("attached         revision %" PRIu64 "\n", e->attached_revision);
    printf("ephemerals       %" PRIu64 "\n", e->ephemerals);
}

static void show_path(const struct cli *cli, const char *path)
{
    if (cli->format != FORMAT_JSON) {
        printf("  %s\n", path);
        return;
    }
    struct json j = json_begin(stdout);
    json_text(&j, "path", path);
    json_end(&j);
}

static int show_one(struct cli *cli, struct coord *c, const struct coord_reply *status, uint64_t id)
{
    struct coord_call call = cli->call;
    char after[COORD_PATH_MAX + 1];
    char address[300];
    bool first = true;

    for (bool more = true; more; first = false) {
        struct coord_reply *r = NULL;
        int error = coord_session_show_sync(c, id, &call, &r);
        if (error == 0 && r->sessions_count != 1) {
            error = COORD_EPROTO;
        }
        if (error != 0) {
            return ask_finish(cli, c, "sessions show", "", error, r, NULL);
        }
        if (first) {
            ask_address(cli, status != NULL ? status->status : NULL, &r->sessions[0], address,
                        sizeof address);
            show_head(cli, r, address);
        }
        for (size_t i = 0; i < r->entries_count; i++) {
            show_path(cli, r->entries[i].name);
        }
        more = r->more && r->entries_count > 0;
        if (more) {
            (void)snprintf(after, sizeof after, "%s", r->entries[r->entries_count - 1].name);
            call.after = after;
        } else {
            (void)fflush(stdout); /* so that the note comes behind; main checks stdout */
            output_receipt_note(cli, r);
        }
        coord_reply_free(r);
    }
    coord_close(c);
    return EXIT_DONE;
}

/* --- end --------------------------------------------------------------------------------------- */

static void show_end(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_number(&j, "revision", r->revision);
        json_number(&j, "count", r->count);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    printf("ended, with %" PRIu64 " ephemeral node%s\n", r->count, r->count == 1 ? "" : "s");
}

static int end_one(struct cli *cli, uint64_t id)
{
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = cli_open(cli, &c);

    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_session_end_sync(c, id, &cli->call, &r);
    return ask_finish(cli, c, "sessions end", "", error, r, show_end);
}

/* --- the command ------------------------------------------------------------------------------- */

/* Decimal, or as logs write it behind "0x". */
static bool read_id(const char *text, uint64_t *ret_id)
{
    char *end = NULL;

    if (text[0] == '0' && text[1] == 'x' && strlen(text) <= 18 &&
        strspn(text + 2, "0123456789abcdef") == strlen(text + 2)) {
        *ret_id = strtoull(text, &end, 16);
        return *end == '\0' && text[2] != '\0';
    }
    return args_number(text, ret_id);
}

int cmd_sessions(struct cli *cli, int argc, char **argv)
{
    uint64_t limit = 0, id = 0;
    bool limited = false;
    const char *after = NULL;
    const struct arg table[] = {{"limit", 0, ARG_NUMBER, &limit, &limited},
                                {"after", 0, ARG_TEXT, &after, NULL}};
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *status = NULL;
    int rc = args_parse(argc, argv, table, 2, false, 0, 2, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    const char *what = a.count > 0 ? a.values[0] : "ls";
    bool ls = strcmp(what, "ls") == 0;
    bool show = strcmp(what, "show") == 0;
    if (!ls && !show && strcmp(what, "end") != 0) {
        return cli_usage("sessions", "'%s' is none of ls, show and end", what);
    }
    if (ls ? a.count > 1 : a.count != 2) {
        return cli_usage("sessions", ls ? "ls names no session" : "which session?");
    }
    if (!ls && (limited || after != NULL)) {
        return cli_usage("sessions", "--limit and --after go with ls only");
    }
    const char *number = ls ? after : a.values[1];
    if (number != NULL && number[0] == '0' && number[1] >= '0' && number[1] <= '9') {
        /* As a decimal number it could be that of another session. */
        return cli_usage("sessions", "'%s': the digits that logs show stand behind 0x", number);
    }
    if (number != NULL && !read_id(number, &id)) {
        return cli_usage("sessions", "'%s' is no session", number);
    }
    if (limited && limit == 0) {
        return EXIT_DONE;
    }
    if (!ls && !show) {
        return end_one(cli, id);
    }
    rc = open_leader(cli, &c, &status);
    if (rc == EXIT_DONE) {
        rc = ls ? list_all(cli, c, id, limit) : show_one(cli, c, status, id);
    }
    coord_reply_free(status);
    return rc;
}
