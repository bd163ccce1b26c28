/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_watch.c: watch: changes as lines, as JSON, or as runs of a command.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <sys/wait.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"
#include "client/cli/run.h"

struct watching {
    const struct cli *cli;
    struct run *run;
    char *const *command; /* NULL: print */
    uint64_t left;        /* changes until the end; 0: no end */
    bool counted;
    bool ended;
    int error;
    int exit_code;
};

static const char *kind_name(uint32_t kind)
{
    return kind == COORD_CREATED ? "created" : kind == COORD_CHANGED ? "changed" : "deleted";
}

static void print_change(const struct watching *w, uint64_t revision,
                         const struct coord_watch_change *change)
{
    if (w->cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_number(&j, "revision", revision);
        json_text(&j, "kind", kind_name(change->kind));
        json_text(&j, "path", change->path);
        json_number(&j, "version", change->version);
        if (change->has_value) {
            json_bytes(&j, "value", change->value, change->value_bytes);
        }
        json_end(&j);
    } else {
        printf("%" PRIu64 " %s %s ", revision, kind_name(change->kind), change->path);
        output_value(w->cli, change->has_value ? change->value : NULL,
                     change->has_value ? change->value_bytes : 0);
    }
    (void)fflush(stdout); /* for whoever reads along; main checks stdout at the end */
}

/* The value as the command's standard input: a memory file, so that nothing can block. */
static int value_file(const struct coord_watch_change *change)
{
    FILE *f = tmpfile();

    if (f == NULL) {
        return -1;
    }
    if (change->has_value && change->value_bytes > 0) {
        (void)fwrite(change->value, 1, change->value_bytes, f); /* fflush tells */
    }
    int fd = fflush(f) == 0 ? fcntl(fileno(f), F_DUPFD_CLOEXEC, 0) : -1;
    (void)fclose(f); /* fd stays */
    if (fd >= 0) {
        (void)lseek(fd, 0, SEEK_SET); /* a regular file */
    }
    return fd;
}

/* Run the command for one change and wait for it. */
static void run_for_change(struct watching *w, uint64_t revision,
                           const struct coord_watch_change *change)
{
    char kind[32], path[COORD_PATH_MAX + 16], number[48], version[48];
    struct child child;
    int input = value_file(change);
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);

    (void)snprintf(kind, sizeof kind, "COORD_KIND=%s", kind_name(change->kind));
    (void)snprintf(path, sizeof path, "COORD_PATH=%s", change->path);
    (void)snprintf(number, sizeof number, "COORD_REVISION=%" PRIu64, revision);
    (void)snprintf(version, sizeof version, "COORD_VERSION=%" PRIu64, change->version);
    const char *const environment[] = {kind, path, number, version, NULL};
    if (input < 0 || dup2(input, STDIN_FILENO) < 0) {
        perror("coordctl: a file for the value");
        w->exit_code = EXIT_OTHER;
    } else {
        w->exit_code = child_start(w->run, w->command, environment, &child);
        if (w->exit_code == 0) {
            (void)waitpid(child.pid, NULL, 0); /* what it thinks of the change is its own affair */
        }
    }
    if (saved >= 0) {
        (void)dup2(saved, STDIN_FILENO); /* both are open */
        (void)close(saved);
    }
    if (input >= 0) {
        (void)close(input);
    }
}

static void on_event(struct coord *c, const struct coord_watch_event *event, void *arg)
{
    struct watching *w = arg;

    (void)c; /* the loop has it */
    if (event->state == COORD_WATCH_ENDED) {
        w->ended = true;
        w->error = event->error;
    } else if (event->state == COORD_WATCH_GAP) {
        fprintf(stderr, "coordctl: changes before revision %" PRIu64 " are lost; read again\n",
                event->revision);
    }
    for (size_t i = 0; i < event->changes_count; i++) {
        if ((w->counted && w->left == 0) || w->exit_code != 0) {
            return;
        }
        if (w->command != NULL) {
            run_for_change(w, event->revision, &event->changes[i]);
        } else {
            print_change(w, event->revision, &event->changes[i]);
        }
        w->left -= w->counted ? 1 : 0;
    }
}

/* "created,deleted" -> a set. Return: false when a word is none of the kinds. */
static bool parse_kinds(const char *text, uint32_t *ret_kinds)
{
    static const uint32_t kinds[] = {COORD_CREATED, COORD_CHANGED, COORD_DELETED};
    uint32_t set = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        uint32_t found = 0;
        for (size_t i = 0; i < 3; i++) {
            if (strlen(kind_name(kinds[i])) == n && strncmp(text, kind_name(kinds[i]), n) == 0) {
                found = kinds[i];
            }
        }
        if (found == 0) {
            return false;
        }
        set |= found;
        text += n + (text[n] == ',' ? 1 : 0);
    }
    *ret_kinds = set;
    return set != 0;
}

static int watch_loop(struct cli *cli, struct coord *c, const char *path,
                      const struct coord_watch_options *o, struct watching *w)
{
    int error = coord_watch(c, path, o, on_event, w, NULL);

    while (error == 0 && !w->ended && w->run->stopped_by == 0 && w->exit_code == 0 &&
           !(w->counted && w->left == 0)) {
        error = run_turn(w->run, -1);
    }
    error = error != 0 ? error : w->error;
    if (error == 0) {
        return w->exit_code;
    }
    char what[COORD_PATH_MAX + 16];
    (void)snprintf(what, sizeof what, "watch %s", path);
    return cli_fail_path(cli, what, path, error, NULL);
}

/* A revision that is yet to come would be waited for without a word. Return: an exit code. */
static int check_from(struct cli *cli, struct coord *c, uint64_t from)
{
    struct coord_reply *r = NULL;
    bool known =
        from != 0 && coord_sync_sync(c, &cli->call, &r) == 0; /* else the watch will tell */
    uint64_t newest = known ? r->revision : from;

    coord_reply_free(r);
    return from <= newest
               ? EXIT_DONE
               : cli_usage("watch",
                           "--from: there is no revision %" PRIu64 " yet, the newest is %" PRIu64,
                           from, newest);
}

int cmd_watch(struct cli *cli, int argc, char **argv)
{
    struct coord_watch_options o = {.with_value = true};
    struct watching w = {.cli = cli};
    bool children = false, recursive = false;
    const char *kinds = NULL;
    const struct arg table[] = {
        {"children", 'c', ARG_FLAG, &children, NULL},
        {"recursive", 'r', ARG_FLAG, &recursive, NULL},
        {"from", 0, ARG_REVISION, &o.from_revision, NULL}, /* 0 would mean: from now */
        {"kinds", 0, ARG_TEXT, &kinds, NULL},
        {"count", 0, ARG_NUMBER, &w.left, &w.counted},
    };
    struct args a;
    struct coord *c = NULL;
    struct run r;
    int rc = args_parse(argc, argv, table, 5, true, 1, 1, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (kinds != NULL && !parse_kinds(kinds, &o.kinds)) {
        return cli_usage("watch", "--kinds: '%s' is not a list of created, changed, deleted",
                         kinds);
    }
    o.depth = recursive ? COORD_WATCH_SUBTREE : children ? COORD_WATCH_CHILDREN : COORD_WATCH_NODE;
    rc = cli_open(cli, &c);
    if (rc != EXIT_DONE) {
        return rc;
    }
    rc = check_from(cli, c, o.from_revision);
    if (rc != EXIT_DONE || !run_init(&r, c)) {
        coord_close(c);
        return rc != EXIT_DONE ? rc : EXIT_OTHER;
    }
    w.run = &r;
    w.command = a.run;
    rc = watch_loop(cli, c, a.values[0], &o, &w);
    cli_close(c);
    run_finish(&r);
    return rc;
}
