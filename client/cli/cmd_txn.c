/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_txn.c: txn: a transaction written as lines, and what became of it.
 *
 *   if CONDITION PATH [ARGUMENT]        one condition
 *   then OPERATION ARGUMENTS...         one operation, as the command of that name takes them
 *   else OPERATION ARGUMENTS...
 *
 * Leaves to others: everything about the operations (libcoord), the words of a line's mistakes that commands
 * make too (args.c).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"
#include "client/cli/ask.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/output.h"

#define WORDS_MAX 16 /* of a line; no operation takes more */

/* A line, split. words[argc] is NULL. */
struct line {
    const char *file;
    unsigned number;
    int count;
    char *words[WORDS_MAX + 1];
};

/* Say what is wrong with a line. Return: EXIT_USAGE. */
static int bad_line(const struct line *l, const char *what, const char *word)
{
    fprintf(stderr, "coordctl txn: %s, line %u: ", l->file, l->number);
    fprintf(stderr, what, word);
    fputs("\n       coordctl txn --help tells how lines look\n", stderr);
    return EXIT_USAGE;
}

/* --- words ------------------------------------------------------------------------------------- */

/* The inside of "..." at *at, which is moved behind it, in place. Return: false when it does not end, or for
 * an unknown escape. */
static bool unquote(char **at)
{
    char *to = *at;
    char *from = *at + 1;

    for (; *from != '"'; from++) {
        if (*from == '\0') {
            return false;
        }
        if (*from == '\\') {
            static const char letters[] = "\"\\nt";
            static const char meanings[] = "\"\\\n\t";
            const char *which = from[1] != '\0' ? strchr(letters, *++from) : NULL;
            if (which == NULL) {
                return false;
            }
            *to++ = meanings[which - letters];
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    *at = from + 1;
    return true;
}

/* Split text in place. Return: EXIT_DONE, or EXIT_USAGE (said). */
static int split(char *text, struct line *l)
{
    l->count = 0;
    for (char *at = text + strspn(text, " \t\r"); *at != '\0'; at += strspn(at, " \t\r")) {
        if (l->count == WORDS_MAX) {
            return bad_line(l, "too many words%s", "");
        }
        l->words[l->count++] = at;
        if (*at == '"') {
            if (!unquote(&at)) {
                return bad_line(l, "a \" without its end, or a backslash before %s",
                                "something else than \", \\, n or t");
            }
        } else {
            at += strcspn(at, " \t\r");
        }
        if (*at != '\0' && strchr(" \t\r", *at) == NULL) {
            return bad_line(l, "no blank behind a \"%s", "");
        }
        if (*at != '\0') {
            *at++ = '\0';
        }
    }
    l->words[l->count] = NULL;
    return EXIT_DONE;
}

/* --- conditions -------------------------------------------------------------------------------- */

typedef int (*plain_if)(struct coord_txn *t, const char *path);
typedef int (*number_if)(struct coord_txn *t, const char *path, uint64_t number);

/* The directory of a lock that is called by its name. Return: false when it is too long. */
static bool lock_directory(const char *name, char out[COORD_PATH_MAX + 1])
{
    int n = snprintf(out, COORD_PATH_MAX + 1, "%s%s", name[0] == '/' ? "" : "/locks/", name);
    return n > 0 && n <= COORD_PATH_MAX;
}

static int add_number_if(struct coord_txn *t, const struct line *l, number_if add, int *ret_error)
{
    char directory[COORD_PATH_MAX + 1];
    const char *path = l->words[2];
    uint64_t number = 0;
    bool is_lock = add == coord_txn_if_held;

    if (l->count != 4) {
        return bad_line(l, "if %s takes a path and a number", l->words[1]);
    }
    if (!args_number(l->words[3], &number)) {
        return bad_line(l, "'%s' is not a number", l->words[3]);
    }
    if (number == 0 && (is_lock || add == coord_txn_if_modified || add == coord_txn_if_created)) {
        return bad_line(l, "if %s takes a revision, a number from 1", l->words[1]);
    }
    if (is_lock && !lock_directory(path, directory)) {
        return bad_line(l, "the name of a lock is too long%s", "");
    }
    *ret_error = add(t, is_lock ? directory : path, number);
    return EXIT_DONE;
}

static int add_value_if(struct coord_txn *t, const struct line *l, int *ret_error)
{
    if (l->count != 3 && l->count != 4) {
        return bad_line(l, "if value takes a path and at most one value%s", "");
    }
    const char *data = l->words[3]; /* NULL: no value */
    *ret_error = coord_txn_if_value(t, l->words[2], data, data != NULL ? strlen(data) : 0);
    return EXIT_DONE;
}

/* Return: an exit code, when EXIT_DONE *ret_error tells what the library says. */
static int add_condition(struct coord_txn *t, const struct line *l, int *ret_error)
{
    static const struct {
        const char *word;
        plain_if plain;
        number_if number;
    } kinds[] = {
        {"exists", coord_txn_if_exists, NULL},   {"absent", coord_txn_if_absent, NULL},
        {"version", NULL, coord_txn_if_version}, {"modified", NULL, coord_txn_if_modified},
        {"created", NULL, coord_txn_if_created}, {"children", NULL, coord_txn_if_children},
        {"owner", NULL, coord_txn_if_owner},     {"held", NULL, coord_txn_if_held},
    };
    const char *word = l->count > 1 ? l->words[1] : "";

    if (strcmp(word, "value") == 0) {
        return add_value_if(t, l, ret_error);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(word, kinds[i].word) != 0) {
            continue;
        }
        if (kinds[i].number != NULL) {
            return add_number_if(t, l, kinds[i].number, ret_error);
        }
        if (l->count != 3) {
            return bad_line(l, "if %s takes a path", word);
        }
        *ret_error = kinds[i].plain(t, l->words[2]);
        return EXIT_DONE;
    }
    return bad_line(l, "there is no condition '%s'", word);
}

/* --- operations -------------------------------------------------------------------------------- */

/* An operation on its way: its words (words[0] its name) and where it goes. */
struct op {
    struct coord_txn *t;
    enum coord_branch branch;
    int argc;
    char **argv;
    int error; /* what the library says */
};

static int add_create(struct op *o)
{
    bool ephemeral = false, sequential = false, parents = false, container = false, ttl = false;
    struct coord_call call = {0};
    const struct arg table[] = {
        {"ephemeral", 'e', ARG_FLAG, &ephemeral, NULL},
        {"sequential", 's', ARG_FLAG, &sequential, NULL},
        {"parents", 'p', ARG_FLAG, &parents, NULL},
        {"container", 0, ARG_FLAG, &container, NULL},
        {"ttl", 0, ARG_DURATION, &call.ttl_ms, &ttl},
    };
    struct args a;
    int rc = args_parse(o->argc, o->argv, table, 5, false, 1, 2, &a);
    if (rc == EXIT_DONE && ephemeral) {
        rc = cli_usage("create", "--ephemeral: the node would be gone when this command ends");
    } else if (rc == EXIT_DONE && container && ttl) {
        rc = cli_usage("create", "--container and --ttl exclude each other");
    } else if (rc == EXIT_DONE && ttl && call.ttl_ms == 0) {
        rc = cli_usage("create", "--ttl: 0s is no time to live");
    }
    if (rc == EXIT_DONE) {
        const char *data = a.count > 1 ? a.values[1] : NULL;
        call.flags = (sequential ? COORD_SEQUENTIAL : 0u) | (parents ? COORD_PARENTS : 0u) |
                     (container ? COORD_CONTAINER : 0u) | (ttl ? COORD_TTL : 0u);
        o->error = coord_txn_create(o->t, o->branch, a.values[0], data,
                                    data != NULL ? strlen(data) : 0, &call);
    }
    return rc;
}

static int add_set(struct op *o)
{
    struct coord_call call = {0};
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    int rc = args_parse(o->argc, o->argv, table, 2, false, 2, 2, &a);
    if (rc == EXIT_DONE) {
        call.conditions = ask_condition_flags(&given);
        o->error =
            coord_txn_set(o->t, o->branch, a.values[0], a.values[1], strlen(a.values[1]), &call);
    }
    return rc;
}

static int add_delete(struct op *o)
{
    struct coord_call call = {0};
    struct ask_conditions given = {false, false};
    bool recursive = false;
    const struct arg table[] = {{"recursive", 'r', ARG_FLAG, &recursive, NULL},
                                ASK_CONDITION_ARGS(call, given)};
    struct args a;
    int rc = args_parse(o->argc, o->argv, table, 3, false, 1, 1, &a);
    if (rc == EXIT_DONE) {
        call.conditions = ask_condition_flags(&given);
        call.flags = recursive ? COORD_RECURSIVE : 0;
        o->error = coord_txn_delete(o->t, o->branch, a.values[0], &call);
    }
    return rc;
}

static int add_incr(struct op *o)
{
    struct coord_call call = {0};
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    int64_t delta = 1;
    /* A negative number is no option: it is taken away before the options are read. */
    bool own =
        o->argc > 2 && o->argv[o->argc - 1][0] == '-' && args_signed(o->argv[o->argc - 1], &delta);
    int rc = args_parse(o->argc - (own ? 1 : 0), o->argv, table, 2, false, 1, own ? 1 : 2, &a);
    if (rc == EXIT_DONE && a.count > 1 && !args_signed(a.values[1], &delta)) {
        rc = cli_usage("incr", "'%s' is not a number of 64 bits", a.values[1]);
    }
    if (rc == EXIT_DONE) {
        call.conditions = ask_condition_flags(&given);
        o->error = coord_txn_increment(o->t, o->branch, a.values[0], delta, &call);
    }
    return rc;
}

static int add_mv(struct op *o)
{
    struct coord_call call = {0};
    struct ask_conditions given = {false, false};
    const struct arg table[] = {ASK_CONDITION_ARGS(call, given)};
    struct args a;
    int rc = args_parse(o->argc, o->argv, table, 2, false, 2, 2, &a);
    if (rc == EXIT_DONE) {
        call.conditions = ask_condition_flags(&given);
        o->error = coord_txn_rename(o->t, o->branch, a.values[0], a.values[1], &call);
    }
    return rc;
}

static int add_read(struct op *o)
{
    static const struct {
        const char *word;
        int (*add)(struct coord_txn *t, enum coord_branch branch, const char *path);
    } reads[] = {{"get", coord_txn_get}, {"exists", coord_txn_exists}, {"stat", coord_txn_stat}};
    struct args a;
    int rc = args_parse(o->argc, o->argv, NULL, 0, false, 1, 1, &a);
    for (size_t i = 0; rc == EXIT_DONE && i < sizeof reads / sizeof reads[0]; i++) {
        if (strcmp(o->argv[0], reads[i].word) == 0) {
            o->error = reads[i].add(o->t, o->branch, a.values[0]);
        }
    }
    return rc;
}

static int add_operation(struct coord_txn *t, struct line *l, int *ret_error)
{
    static const struct {
        const char *word;
        int (*add)(struct op *o);
    } operations[] = {{"create", add_create}, {"set", add_set},     {"rm", add_delete},
                      {"delete", add_delete}, {"incr", add_incr},   {"mv", add_mv},
                      {"get", add_read},      {"exists", add_read}, {"stat", add_read}};
    struct op o = {.t = t,
                   .branch = strcmp(l->words[0], "then") == 0 ? COORD_THEN : COORD_ELSE,
                   .argc = l->count - 1,
                   .argv = l->words + 1};
    const char *word = l->count > 1 ? l->words[1] : "";

    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
        if (strcmp(word, operations[i].word) == 0) {
            int rc = operations[i].add(&o);
            if (rc != EXIT_DONE) {
                fprintf(stderr, "       in %s, line %u\n", l->file, l->number);
            }
            *ret_error = o.error;
            return rc;
        }
    }
    return bad_line(l, "there is no operation '%s'", word);
}

/* The path of a line that the library did not take: the first word that breaks a rule. Return: EXIT_USAGE. */
static int bad_path(const struct line *l)
{
    char text[COORD_PATH_MAX + 128];

    for (int i = 2; i < l->count; i++) {
        const char *problem = cli_path_problem(l->words[i]);
        if (l->words[i][0] != '-' && problem != NULL) {
            (void)snprintf(text, sizeof text, "%s: the path is not valid: %s", l->words[i],
                           problem);
            return bad_line(l, "%s", text);
        }
    }
    return bad_line(l, "%s", coord_strerror(COORD_EBADPATH));
}

/* --- the text ---------------------------------------------------------------------------------- */

static int add_line(struct coord_txn *t, struct line *l)
{
    int error = 0;
    int rc = EXIT_DONE;

    if (strcmp(l->words[0], "if") == 0) {
        rc = add_condition(t, l, &error);
    } else if (strcmp(l->words[0], "then") == 0 || strcmp(l->words[0], "else") == 0) {
        rc = add_operation(t, l, &error);
    } else {
        rc = bad_line(l, "'%s' is neither if, then nor else", l->words[0]);
    }
    if (rc == EXIT_DONE && error == COORD_EBADPATH) {
        return bad_path(l);
    }
    if (rc == EXIT_DONE && error != 0) {
        (void)bad_line(l, "%s", coord_strerror(error));
        rc = cli_exit_code(error);
    }
    return rc;
}

/* All lines of text, which is taken apart. */
static int add_text(struct coord_txn *t, const char *file, char *text, size_t bytes)
{
    struct line l = {.file = file};
    int rc = EXIT_DONE;

    if (memchr(text, '\0', bytes) != NULL) {
        fprintf(stderr, "coordctl txn: %s holds a zero byte\n", file);
        return EXIT_USAGE;
    }
    for (char *at = text; rc == EXIT_DONE && at < text + bytes;) {
        char *end = at + strcspn(at, "\n");
        bool last = *end == '\0';
        *end = '\0';
        l.number++;
        if (at[strspn(at, " \t\r")] != '#') {
            rc = split(at, &l);
            rc = rc == EXIT_DONE && l.count > 0 ? add_line(t, &l) : rc;
        }
        at = last ? text + bytes : end + 1;
    }
    return rc;
}

/* Read FILE, or standard input for NULL or "-", into t. Return: an exit code. */
static int read_script(struct coord_txn *t, const char *file)
{
    bool from_stdin = file == NULL || strcmp(file, "-") == 0;
    const char *name = from_stdin ? "standard input" : file;
    FILE *in = from_stdin ? stdin : fopen(file, "re");
    char *data = NULL;
    size_t bytes = 0;

    if (in == NULL) {
        fprintf(stderr, "coordctl txn: %s: %s\n", file, strerror(errno));
        return EXIT_OTHER;
    }
    bool whole = ask_read(in, name, &data, &bytes);
    if (!from_stdin) {
        (void)fclose(in); /* only read from */
    }
    char *text = whole ? realloc(data, bytes + 1) : NULL;
    if (text == NULL) {
        free(data);
        return EXIT_OTHER;
    }
    text[bytes] = '\0';
    int rc = add_text(t, name, text, bytes);
    free(text);
    return rc;
}

/* --- the answer -------------------------------------------------------------------------------- */

static const char *branch_name(enum coord_branch branch)
{
    return branch == COORD_THEN ? "then" : "else";
}

static void show_result_json(const struct coord_txn_result *o, size_t number)
{
    struct json j = json_begin(stdout);
    json_number(&j, "operation", number);
    json_text(&j, "name", o->operation);
    json_text(&j, "path", o->path);
    json_text(&j, "error", coord_errname(o->error));
    if (o->error == 0 && strcmp(o->operation, "get") == 0) {
        json_bytes(&j, "value", o->data, o->data_bytes);
    } else if (o->error == 0 && strcmp(o->operation, "increment") == 0) {
        json_signed(&j, "value", o->value);
    } else if (o->error == 0 && strcmp(o->operation, "exists") == 0) {
        json_bool(&j, "exists", o->exists);
    }
    if (o->count > 0) {
        json_number(&j, "count", o->count);
    }
    if (o->has_stat) {
        output_stat_json(&j, &o->stat);
    }
    json_end(&j);
}

static void show_result(const struct cli *cli, const struct coord_txn_result *o)
{
    printf("%s %s", o->operation, o->path);
    if (o->error != 0) {
        printf(": %s\n", o->error == COORD_EABORTED ? "not applied" : coord_strerror(o->error));
    } else if (strcmp(o->operation, "get") == 0) {
        fputs(": ", stdout);
        output_value(cli, o->data, o->data_bytes);
    } else if (strcmp(o->operation, "increment") == 0) {
        printf(": %" PRId64 "\n", o->value);
    } else if (strcmp(o->operation, "exists") == 0) {
        printf(": %s\n", o->exists ? "yes" : "no");
    } else if (o->count > 0) {
        printf(": %" PRIu64 " node%s\n", o->count, o->count == 1 ? "" : "s");
    } else {
        printf(": version %" PRIu64 "\n", o->stat.version);
    }
}

/* What was decided, also when an operation failed. */
static void show_decision(const struct cli *cli, const struct coord_reply *r)
{
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "branch", branch_name(r->branch));
        json_number(&j, "revision", r->revision);
        json_number(&j, "operations", r->results_count);
        json_number(&j, "failed", r->failed);
        output_receipt_json(&j, r);
        json_end(&j);
    } else {
        printf("%s\n", branch_name(r->branch));
    }
    for (size_t i = 0; i < r->results_count; i++) {
        if (cli->format == FORMAT_JSON) {
            show_result_json(&r->results[i], i + 1);
        } else {
            show_result(cli, &r->results[i]);
        }
    }
}

int cmd_txn(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;
    int rc = args_parse(argc, argv, NULL, 0, false, 0, 1, &a);
    if (rc != EXIT_DONE) {
        return rc;
    }
    struct coord_txn *t = coord_txn_new();
    rc = t == NULL ? cli_fail(cli, "txn", COORD_ENOMEM, NULL)
                   : read_script(t, a.count > 0 ? a.values[0] : NULL);
    if (rc == EXIT_DONE) {
        rc = cli_open(cli, &c);
    }
    if (rc == EXIT_DONE) {
        int error = coord_txn_commit_sync(c, t, &cli->call, &r);
        bool decided = r != NULL && r->branch != COORD_NEITHER;
        if (decided) {
            show_decision(cli, r);
        }
        rc = decided && error == 0 && r->branch == COORD_ELSE ? EXIT_CONDITION : EXIT_DONE;
        int told = ask_finish(cli, c, "txn", "", error, r, NULL);
        rc = told != EXIT_DONE ? told : rc;
    }
    coord_txn_free(t);
    return rc;
}
