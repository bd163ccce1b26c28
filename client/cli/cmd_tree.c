/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_tree.c: create, get, set, delete, exists, stat, ls, sync: one request each (delete -r: several).
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"

/* Read standard input to its end. Return: false when memory is out or reading fails (said). */
static bool read_stdin(char **ret_data, size_t *ret_bytes)
{
    size_t room = 65536, n = 0;
    char *data = malloc(room);

    while (data != NULL) {
        n += fread(data + n, 1, room - n, stdin);
        if (n < room) {
            break;
        }
        char *more = realloc(data, room * 2);
        if (more == NULL) {
            free(data);
        }
        data = more;
        room *= 2;
    }
    if (data == NULL || ferror(stdin)) {
        fprintf(stderr, "coordctl: standard input could not be read\n");
        free(data);
        return false;
    }
    *ret_data = data;
    *ret_bytes = n;
    return true;
}

/* The DATA argument: NULL is no value, "-" standard input. *ret_owned is to be freed. */
static bool read_data(const char *arg, const void **ret_data, size_t *ret_bytes, char **ret_owned)
{
    *ret_owned = NULL;
    if (arg != NULL && strcmp(arg, "-") == 0) {
        if (!read_stdin(ret_owned, ret_bytes)) {
            return false;
        }
        *ret_data = *ret_owned;
        return true;
    }
    *ret_data = arg;
    *ret_bytes = arg != NULL ? strlen(arg) : 0;
    return true;
}

/* What commands do with a reply: print it. Called only on success. */
typedef void (*show)(const struct cli *cli, const struct coord_reply *r);

/* Tell the error or show the reply, and clean up. Return: the exit code. */
static int finish(struct cli *cli, struct coord *c, const char *command, const char *path,
                  int error, struct coord_reply *r, show how)
{
    char what[COORD_PATH_MAX + 32];
    int rc = EXIT_DONE;

    if (error != 0) {
        (void)snprintf(what, sizeof what, "%s%s%s", command, path[0] != '\0' ? " " : "", path);
        rc = r == NULL && error == COORD_ENOQUORUM ? cli_fail_asking(cli, c, what, error)
                                                   : cli_fail_path(cli, what, path, error, r);
    } else if (how != NULL) {
        how(cli, r);
    }
    coord_reply_free(r);
    cli_close(c);
    return rc;
}

static void show_change(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format != FORMAT_JSON) {
        return;
    }
    struct json j = json_begin(stdout);
    json_text(&j, "path", r->path);
    json_number(&j, "revision", r->revision);
    if (r->has_stat) {
        output_stat_json(&j, &r->stat);
    }
    output_receipt_json(&j, r);
    json_end(&j);
}

static void show_created(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        show_change(cli, r);
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
    if (!read_data(a.count > 1 ? a.values[1] : NULL, &data, &bytes, &owned)) {
        return EXIT_OTHER;
    }
    rc = cli_open(cli, &c);
    if (rc == EXIT_DONE) {
        int error = coord_create_sync(c, a.values[0], data, bytes, &call, &r);
        rc = finish(cli, c, "create", a.values[0], error, r, show_created);
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
    return finish(cli, c, "get", a.values[0], error, r, show_value);
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
    return finish(cli, c, "stat", a.values[0], error, r, show_stat);
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
    return finish(cli, c, "sync", "", error, r, show_revision);
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
    rc = finish(cli, c, "exists", a.values[0], error, NULL, NULL);
    if (rc == EXIT_DONE && cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "path", a.values[0]);
        json_bool(&j, "exists", exists);
        json_end(&j);
    }
    return rc != EXIT_DONE ? rc : (exists ? EXIT_DONE : EXIT_NO_NODE);
}

/* The conditions that set and delete share. */
struct conditions {
    bool by_version;
    bool by_revision;
};

#define CONDITION_ARGS(call, given)                                          \
    {"version", 0, ARG_NUMBER, &(call).version, &(given).by_version},        \
    {                                                                        \
        "if-revision", 0, ARG_NUMBER, &(call).modified, &(given).by_revision \
    }

static uint32_t condition_flags(const struct conditions *given)
{
    return (given->by_version ? COORD_IF_VERSION : 0u) |
           (given->by_revision ? COORD_IF_MODIFIED : 0u);
}

int cmd_set(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct conditions given = {false, false};
    const struct arg table[] = {CONDITION_ARGS(call, given)};
    struct args a;
    int rc = args_parse(argc, argv, table, 2, false, 2, 2, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = condition_flags(&given);

    const void *data = NULL;
    size_t bytes = 0;
    char *owned = NULL;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    if (!read_data(a.values[1], &data, &bytes, &owned)) {
        return EXIT_OTHER;
    }
    rc = cli_open(cli, &c);
    if (rc == EXIT_DONE) {
        int error = coord_set_sync(c, a.values[0], data, bytes, &call, &r);
        rc = finish(cli, c, "set", a.values[0], error, r, show_change);
    }
    free(owned);
    return rc;
}

/* Delete what is below path, deepest first, page by page. Return: 0 or an error, *ret_r its reply. */
static int delete_below(struct cli *cli, struct coord *c, const char *path,
                        struct coord_reply **ret_r)
{
    struct coord_call call = cli->call;
    char child[COORD_PATH_MAX + 1];
    bool more = true;
    int error = 0;

    call.flags = COORD_RECURSIVE;
    call.consistency = COORD_LINEARIZABLE;
    while (more && error == 0) {
        struct coord_reply *list = NULL;
        error = coord_list_sync(c, path, &call, &list);
        if (error != 0) {
            *ret_r = list;
            return error;
        }
        more = list->more;
        /* Path order puts a parent before its children: walk backwards. */
        for (size_t i = list->entries_count; i > 0 && error == 0; i--) {
            (void)snprintf(child, sizeof child, "%s/%s", strcmp(path, "/") == 0 ? "" : path,
                           list->entries[i - 1].name);
            coord_reply_free(*ret_r);
            *ret_r = NULL;
            error = coord_delete_sync(c, child, &cli->call, ret_r);
            /* Gone already, or its children are on the next page. */
            if (error == COORD_ENONODE || (error == COORD_ENOTEMPTY && more)) {
                error = 0;
            }
        }
        coord_reply_free(list);
    }
    return error;
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

int cmd_delete(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    struct conditions given = {false, false};
    bool recursive = false;
    const struct arg table[] = {
        {"recursive", 'r', ARG_FLAG, &recursive, NULL},
        CONDITION_ARGS(call, given),
    };
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int error = 0;
    int rc = args_parse(argc, argv, table, 3, false, 1, 1, &a);
    if (rc == EXIT_DONE && strcmp(a.values[0], "/") == 0 && cli->options.prefix == NULL) {
        /* It would fail in the end too, but only after everything below was gone. */
        return cli_usage("delete", "/ cannot be deleted; name what stands below it");
    }
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.conditions = condition_flags(&given);
    if (recursive) {
        error = check_conditions(c, a.values[0], &call, &r);
    }
    if (recursive && error == 0) {
        error = delete_below(cli, c, a.values[0], &r);
    }
    if (error == 0) {
        coord_reply_free(r);
        r = NULL;
        error = coord_delete_sync(c, a.values[0], &call, &r);
    }
    return finish(cli, c, "delete", a.values[0], error, r, show_change);
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

int cmd_ls(struct cli *cli, int argc, char **argv)
{
    struct coord_call call = cli->call;
    bool detail = false, recursive = false, limited = false;
    uint64_t limit = 0;
    const struct arg table[] = {
        {"long", 'l', ARG_FLAG, &detail, NULL},
        {"recursive", 'r', ARG_FLAG, &recursive, NULL},
        {"limit", 0, ARG_NUMBER, &limit, &limited},
        {"after", 0, ARG_TEXT, &call.after, NULL},
    };
    char after[COORD_PATH_MAX + 1];
    struct args a;
    struct coord *c = NULL;
    int rc = args_parse(argc, argv, table, 4, false, 1, 1, &a);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    call.flags = (detail ? COORD_WITH_STATS : 0u) | (recursive ? COORD_RECURSIVE : 0u);
    for (bool more = !limited || limit > 0; more;) {
        struct coord_reply *r = NULL;
        call.limit = limited ? limit : 0;
        int error = coord_list_sync(c, a.values[0], &call, &r);
        if (error != 0) {
            return finish(cli, c, "ls", a.values[0], error, r, NULL);
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
