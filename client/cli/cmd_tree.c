/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_tree.c: create, get, set, delete, exists, stat, ls, sync: one request each (a delete -r of what is too
 * large for one: several).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/ask.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"

/* A subtree that is too large to go as one: nodes below this many go as one, and pages that somebody else
 * spoils are tried this often. More nodes than a path can have components, so that each page has some that
 * are whole. */
#define DELETE_PAGE          1000
#define DELETE_CONFLICTS_MAX 100

static void show_created(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        ask_show_change(cli, r);
    } else {
        printf("%s\n", r->path);
    }
}

int cmd_create(struct cli *cli, int argc, char **argv)
{
    bool ephemeral = false, sequential = false, parents = false, container = false, ttl = false;
    struct coord_call call = cli->call;
    const struct arg table[] = {
        {"ephemeral", 'e', ARG_FLAG, &ephemeral, NULL},
        {"sequential", 's', ARG_FLAG, &sequential, NULL},
        {"parents", 'p', ARG_FLAG, &parents, NULL},
        {"container", 0, ARG_FLAG, &container, NULL},
        {"ttl", 0, ARG_DURATION, &call.ttl_ms, &ttl},
    };
    struct args a;
    int rc = args_parse(argc, argv, table, 5, false, 1, 2, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if ((ephemeral ? 1 : 0) + (container ? 1 : 0) + (ttl ? 1 : 0) > 1) {
        return cli_usage("create", "--ephemeral, --container and --ttl exclude each other");
    }
    if (ttl && call.ttl_ms == 0) {
        return cli_usage("create", "--ttl: 0s is no time to live");
    }
    call.flags = (ephemeral ? COORD_EPHEMERAL : 0u) | (sequential ? COORD_SEQUENTIAL : 0u) |
                 (parents ? COORD_PARENTS : 0u) | (container ? COORD_CONTAINER : 0u) |
                 (ttl ? COORD_TTL : 0u);

    const void *data = NULL;
    size_t bytes = 0;
    char *owned = NULL;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    if (!ask_data(a.count > 1 ? a.values[1] : NULL, &data, &bytes, &owned)) {
        return EXIT_OTHER;
    }
    rc = cli_open(cli, &c);
    if (rc == EXIT_DONE) {
        int error = coord_create_sync(c, a.values[0], data, bytes, &call, &r);
        rc = ask_finish(cli, c, "create", a.values[0], error, r, show_created);
        if (error == COORD_ENONODE && cli->format != FORMAT_JSON) {
            fputs("  the node above it is missing; create -p makes what is missing\n", stderr);
        }
        if (error == COORD_EBADPATH && cli_path_problem(a.values[0]) == NULL && sequential &&
            cli->format != FORMAT_JSON) {
            fputs("  with the number behind it a name has at most 255, a path 1024 bytes\n",
                  stderr);
        }
    }
    free(owned);
    return rc;
}

static void show_value(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", r->path);
        json_bytes(&j, "value", r->data, r->data_bytes);
        output_stat_json(&j, &r->stat);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    output_value(cli, r->data, r->data_bytes);
    (void)fflush(stdout); /* so that the note comes behind; main checks stdout */
    output_receipt_note(cli, r);
}

static void show_stat(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", r->path);
        output_stat_json(&j, &r->stat);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    output_stat_table(&r->stat);
    (void)fflush(stdout); /* as above */
    output_receipt_note(cli, r);
}

static void show_revision(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_number(&j, "revision", r->revision);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    printf("%" PRIu64 "\n", r->revision);
}

int cmd_get(struct cli *cli, int argc, char **argv)
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
    int error = coord_get_sync(c, a.values[0], &cli->call, &r);
    return ask_finish(cli, c, "get", a.values[0], error, r, show_value);
}

int cmd_stat(struct cli *cli, int argc, char **argv)
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
    int error = coord_stat_sync(c, a.values[0], &cli->call, &r);
    return ask_finish(cli, c, "stat", a.values[0], error, r, show_stat);
}

int cmd_sync(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, NULL, 0, false, 0, 0, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_sync_sync(c, &cli->call, &r);
    return ask_finish(cli, c, "sync", "", error, r, show_revision);
}

int cmd_exists(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct coord *c = NULL;
    bool exists = false;
    int rc = args_parse(argc, argv, NULL, 0, false, 1, 1, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    int error = coord_exists_sync(c, a.values[0], &cli->call, &exists);
    rc = ask_finish(cli, c, "exists", a.values[0], error, NULL, NULL);
    if (rc == EXIT_DONE && cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", a.values[0]);
        json_bool(&j, "exists", exists);
        json_end(&j);
    }
    return rc != EXIT_DONE ? rc : (exists ? EXIT_DONE : EXIT_NO_NODE);
}

int cmd_set(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    int rc = args_parse(argc, argv, table, 2, false, 2, 2, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = ask_condition_flags(&given);

    const void *data = NULL;
    size_t bytes = 0;
    char *owned = NULL;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    if (!ask_data(a.values[1], &data, &bytes, &owned)) {
        return EXIT_OTHER;
    }
    rc = cli_open(cli, &c);
    if (rc == EXIT_DONE) {
        int error = coord_set_sync(c, a.values[0], data, bytes, &call, &r);
        rc = ask_finish(cli, c, "set", a.values[0], error, r, ask_show_change);
    }
    free(owned);
    return rc;
}

/* Does the page end inside the subtree of this entry, so that more of it may be on the next one? */
static bool goes_on(const struct coord_reply *page, const struct coord_entry *e)
{
    const char *last = page->entries[page->entries_count - 1].name;
    size_t n = strlen(e->name);
    return page->more && strncmp(last, e->name, n) == 0 && (last[n] == '\0' || last[n] == '/');
}

/* Delete what is whole on a page of path's subtree, as one. Return: 0 or an error, *ret_r its reply. */
static int delete_page(struct cli *cli, struct coord *c, const char *path,
                       const struct coord_reply *page, struct coord_reply **ret_r)
{
    struct coord_txn *t = coord_txn_new();
    char child[COORD_PATH_MAX + 1];

    /* Path order puts a parent before its children: walk backwards. */
    for (size_t i = page->entries_count; i > 0; i--) {
        const struct coord_entry *e = &page->entries[i - 1];
        (void)snprintf(child, sizeof child, "%s/%s", strcmp(path, "/") == 0 ? "" : path, e->name);
        if (!goes_on(page, e)) {
            (void)coord_txn_delete(t, COORD_THEN, child, NULL); /* an error is kept */
        }
    }
    int error = coord_txn_commit_sync(c, t, &cli->call, ret_r);
    coord_txn_free(t);
    return error;
}

/* Delete what is below path, page by page. Return: 0 or an error, *ret_r its reply. */
static int delete_below(struct cli *cli, struct coord *c, const char *path,
                        struct coord_reply **ret_r)
{
    struct coord_call call = cli->call;
    int conflicts = 0; /* in a row: somebody else makes or deletes nodes there */

    call.flags = COORD_RECURSIVE;
    call.limit = DELETE_PAGE;
    call.consistency = COORD_LINEARIZABLE;
    for (;;) {
        struct coord_reply *page = NULL;
        coord_reply_free(*ret_r);
        *ret_r = NULL;
        int error = coord_list_sync(c, path, &call, &page);
        if (error != 0 || page->entries_count == 0) {
            *ret_r = page;
            return error;
        }
        error = delete_page(cli, c, path, page, ret_r);
        coord_reply_free(page);
        bool conflict = error == COORD_ENONODE || error == COORD_ENOTEMPTY;
        conflicts = conflict ? conflicts + 1 : 0;
        if (error != 0 && (!conflict || conflicts == DELETE_CONFLICTS_MAX)) {
            return error;
        }
    }
}

/* Before a subtree goes: do the conditions hold now? The deletion of its root checks them again.
 * Return: 0 or an error, *ret_r its reply. */
static int check_conditions(struct coord *c, const char *path, const struct coord_call *call,
                            struct coord_reply **ret_r)
{
    struct coord_call latest = *call;

    if (call->conditions == 0) {
        return 0;
    }
    latest.consistency = COORD_LINEARIZABLE;
    int error = coord_stat_sync(c, path, &latest, ret_r);
    if (error != 0) {
        return error;
    }
    const struct coord_stat *s = &(*ret_r)->stat;
    bool hold =
        ((call->conditions & COORD_IF_VERSION) == 0 || s->version == call->version) &&
        ((call->conditions & COORD_IF_MODIFIED) == 0 || s->modify_revision == call->modified);
    coord_reply_free(*ret_r);
    *ret_r = NULL;
    return hold ? 0 : COORD_ECONDITION;
}

/* Delete a subtree that is too large for one request. Return: as above. */
static int delete_pages(struct cli *cli, struct coord *c, const char *path,
                        const struct coord_call *call, struct coord_reply **ret_r)
{
    struct coord_call last = *call;
    int error = check_conditions(c, path, call, ret_r);

    if (error == 0) {
        error = delete_below(cli, c, path, ret_r);
    }
    if (error != 0) {
        return error;
    }
    coord_reply_free(*ret_r);
    *ret_r = NULL;
    last.flags = 0;
    return coord_delete_sync(c, path, &last, ret_r);
}

int cmd_delete(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct ask_conditions given = {false, false};
    bool recursive = false;
    const struct arg table[] = {
        {"recursive", 'r', ARG_FLAG, &recursive, NULL},
        ASK_CONDITION_ARGS(call, given),
    };
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, table, 3, false, 1, 1, &a);
    if (rc == EXIT_DONE && strcmp(a.values[0], "/") == 0 && cli->options.prefix == NULL) {
        return cli_usage(argv[0], "/ cannot be deleted; name what stands below it");
    }
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = ask_condition_flags(&given);
    call.flags = recursive ? COORD_RECURSIVE : 0;
    int error = coord_delete_sync(c, a.values[0], &call, &r);
    if (recursive && error == COORD_ELIMIT) {
        fprintf(stderr,
                "coordctl: delete %s: too many nodes to go as one; they are deleted page by page\n",
                a.values[0]);
        coord_reply_free(r);
        r = NULL;
        error = delete_pages(cli, c, a.values[0], &call, &r);
    }
    return ask_finish(cli, c, argv[0], a.values[0], error, r, ask_show_change);
}

static void show_entry(const struct cli *cli, const struct coord_entry *e, bool with_stats)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "name", e->name);
        if (e->has_stat) {
            output_stat_json(&j, &e->stat);
        }
        json_end(&j);
    } else if (with_stats && e->has_stat) {
        char when[48];
        printf("%-10s v%-6" PRIu64 " %8" PRIu64 " B %6" PRIu64 " children  %s  %s\n",
               output_kind(e->stat.kind), e->stat.version, e->stat.data_bytes, e->stat.children,
               output_time(e->stat.modified_ms, when, sizeof when), e->name);
    } else {
        printf("%s\n", e->name);
    }
}

static void show_count(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", r->path);
        json_number(&j, "count", r->count);
        output_receipt_json(&j, r);
        json_end(&j);
        return;
    }
    printf("%" PRIu64 "\n", r->count);
    (void)fflush(stdout); /* so that the note comes behind; main checks stdout */
    output_receipt_note(cli, r);
}

/* How many names there are, without the names. Closes the handle. */
static int list_count(struct cli *cli, struct coord *c, const char *path, struct coord_call *call)
{
    struct coord_reply *r = NULL;
    call->flags |= COORD_COUNT_ONLY;
    int error = coord_list_sync(c, path, call, &r);
    return ask_finish(cli, c, "ls", path, error, r, show_count);
}

int cmd_ls(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    bool detail = false, recursive = false, limited = false, count = false;
    uint64_t limit = 0;
    const struct arg table[] = {
        {"long", 'l', ARG_FLAG, &detail, NULL},     {"recursive", 'r', ARG_FLAG, &recursive, NULL},
        {"limit", 0, ARG_NUMBER, &limit, &limited}, {"after", 0, ARG_TEXT, &call.after, NULL},
        {"count", 0, ARG_FLAG, &count, NULL},
    };
    char after[COORD_PATH_MAX + 1];
    struct args a;
    struct coord *c = NULL;
    int rc = args_parse(argc, argv, table, 5, false, 1, 1, &a);
    if (rc == EXIT_DONE && count && (detail || limited || call.after != NULL)) {
        return cli_usage("ls", "--count goes with --recursive only");
    }
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.flags = (detail ? COORD_WITH_STATS : 0u) | (recursive ? COORD_RECURSIVE : 0u);
    if (count) {
        return list_count(cli, c, a.values[0], &call);
    }
    for (bool more = !limited || limit > 0; more;) {
        struct coord_reply *r = NULL;
        call.limit = limited ? limit : 0;
        int error = coord_list_sync(c, a.values[0], &call, &r);
        if (error != 0) {
            return ask_finish(cli, c, "ls", a.values[0], error, r, NULL);
        }
        for (size_t i = 0; i < r->entries_count; i++) {
            show_entry(cli, &r->entries[i], detail);
        }
        limit -= limited ? r->entries_count : 0;
        more = r->more && r->entries_count > 0 && (!limited || limit > 0);
        if (more) {
            (void)snprintf(after, sizeof after, "%s", r->entries[r->entries_count - 1].name);
            call.after = after;
        } else {
            (void)fflush(stdout); /* so that the note comes behind */
            output_receipt_note(cli, r);
        }
        coord_reply_free(r);
    }
    cli_close(c);
    return EXIT_DONE;
}
