/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.c: see args.h. The only place that turns text into numbers and durations.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/cli/args.h"

#define MS_MAX (1000ull * 60 * 60 * 24 * 365)

bool args_number(const char *text, uint64_t *ret_n)
{
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *ret_n = n;
    return true;
}

bool args_signed(const char *text, int64_t *ret_n)
{
    bool negative = text[0] == '-';
    uint64_t n = 0;

    if (!args_number(text + (negative || text[0] == '+' ? 1 : 0), &n) ||
        n > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *ret_n = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

/* Read "VALUE" and the unit behind it. Return: false when there is no number. */
static bool number_and_unit(const char *text, uint64_t *ret_value, const char **ret_unit)
{
    char digits[24];
    size_t n = strspn(text, "0123456789");

    if (n == 0 || n >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = '\0';
    *ret_unit = text + n;
    return args_number(digits, ret_value);
}

bool args_bytes(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        int shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    const char *unit = NULL;
    uint64_t value = 0;

    if (!number_and_unit(text, &value, &unit)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            if (value > UINT64_MAX >> units[i].shift) {
                return false;
            }
            *ret_bytes = value << units[i].shift;
            return true;
        }
    }
    return false;
}

bool args_duration(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
    const char *unit = NULL;
    uint64_t value = 0;

    if (!number_and_unit(text, &value, &unit)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            if (value > MS_MAX / units[i].ms) {
                return false;
            }
            *ret_ms = value * units[i].ms;
            return true;
        }
    }
    return false;
}

/* The names of the global options, to recognise them where they do not belong. */
static const struct arg global_names[] = {
    {"servers", 's', ARG_TEXT, NULL, NULL},   {"namespace", 'n', ARG_TEXT, NULL, NULL},
    {"output", 'o', ARG_TEXT, NULL, NULL},    {"consistency", 0, ARG_TEXT, NULL, NULL},
    {"timeout", 0, ARG_DURATION, NULL, NULL},
};
#define GLOBALS_COUNT ((int)(sizeof global_names / sizeof global_names[0]))

/* Put the text of an option where its table row says. */
static int store(const char *command, const struct arg *a, const char *text)
{
    switch (a->kind) {
    case ARG_FLAG:
        *(bool *)a->out = true;
        break;
    case ARG_TEXT:
        *(const char **)a->out = text;
        break;
    case ARG_NUMBER:
        if (!args_number(text, a->out)) {
            return cli_usage(command, "--%s: '%s' is not a number", a->name, text);
        }
        break;
    case ARG_REVISION:
        if (!args_number(text, a->out) || *(uint64_t *)a->out == 0) {
            return cli_usage(command, "--%s: '%s' is not a revision, a number from 1", a->name,
                             text);
        }
        break;
    case ARG_DURATION:
        if (!args_duration(text, a->out)) {
            return cli_usage(command, "--%s: '%s' is not a duration such as 500ms, 10s, 2m or 1h",
                             a->name, text);
        }
        break;
    }
    if (a->given != NULL) {
        *a->given = true;
    }
    return EXIT_DONE;
}

/* The table row for "--name", "--name=value" or "-n"; *ret_value is what follows '='. */
static const struct arg *lookup(const struct arg *table, int count, const char *word,
                                const char **ret_value)
{
    *ret_value = NULL;
    for (int i = 0; i < count; i++) {
        size_t n = strlen(table[i].name);
        if (word[1] != '-' && table[i].letter != 0 && word[1] == table[i].letter &&
            word[2] == '\0') {
            return &table[i];
        }
        if (word[1] == '-' && strncmp(word + 2, table[i].name, n) == 0 &&
            (word[2 + n] == '\0' || word[2 + n] == '=')) {
            *ret_value = word[2 + n] == '=' ? word + 3 + n : NULL;
            return &table[i];
        }
    }
    return NULL;
}

/* Several letters behind one dash, as in "-lr": each must be a flag. Nothing is set unless all are.
 * Return: false when the word is no such bundle. */
static bool bundle(const char *command, const struct arg *table, int count, const char *word)
{
    char one[3] = "-";
    const char *value = NULL;

    if (word[1] == '-' || word[1] == '\0' || word[2] == '\0') {
        return false;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (const char *letter = word + 1; *letter != '\0'; letter++) {
            one[1] = *letter;
            const struct arg *a = lookup(table, count, one, &value);
            if (a == NULL || a->kind != ARG_FLAG) {
                return false;
            }
            if (pass == 1) {
                (void)store(command, a, ""); /* a flag cannot fail */
            }
        }
    }
    return true;
}

/* Say that a command has no such option, and what was probably meant. Return: EXIT_USAGE. */
static int unknown_option(const char *command, const char *word)
{
    const char *value = NULL;

    if (lookup(global_names, GLOBALS_COUNT, word, &value) != NULL) {
        return cli_usage(command, "%s stands in front of the command: coordctl %s ... %s ...", word,
                         word, command);
    }
    if (word[1] >= '0' && word[1] <= '9') {
        return cli_usage(
            command, "unknown option '%s'; a value that begins with '-' stands behind --", word);
    }
    return cli_usage(command, "unknown option '%s'", word);
}

/* One option at argv[*i]; moves *i over a value of its own. seen: rows of the table that had a value. */
static int option(int argc, char **argv, int *i, const struct arg *table, int count, uint64_t *seen)
{
    const char *value = NULL;
    const struct arg *a = lookup(table, count, argv[*i], &value);

    if (a == NULL) {
        return bundle(argv[0], table, count, argv[*i]) ? EXIT_DONE
                                                       : unknown_option(argv[0], argv[*i]);
    }
    if (a->kind != ARG_FLAG && value == NULL) {
        if (*i + 1 >= argc) {
            return cli_usage(argv[0], "--%s needs a value", a->name);
        }
        value = argv[++*i];
    }
    if (a->kind == ARG_FLAG && value != NULL) {
        return cli_usage(argv[0], "--%s takes no value", a->name);
    }
    uint64_t row = UINT64_C(1) << (a - table);
    if (a->kind != ARG_FLAG && (*seen & row) != 0) {
        return cli_usage(argv[0], "--%s is given twice", a->name); /* only one would count */
    }
    *seen |= row;
    return store(argv[0], a, value);
}

int args_parse(int argc, char **argv, const struct arg *table, int table_count, bool dashes_run,
               int min, int max, struct args *ret_args)
{
    struct args out = {.values = argv + 1};
    uint64_t seen = 0;
    int i = 1;

    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            int rc = option(argc, argv, &i, table, table_count, &seen);
            if (rc != EXIT_DONE) {
                return rc;
            }
        } else {
            out.values[out.count++] = argv[i];
        }
    }
    i++; /* over the dashes, or past the end */
    if (dashes_run && i < argc) {
        out.run = argv + i;
        out.run_count = argc - i;
    } else if (dashes_run && i == argc) {
        return cli_usage(argv[0], "no command behind '--'");
    }
    for (; !dashes_run && i < argc; i++) {
        out.values[out.count++] = argv[i];
    }
    if (out.count < min) {
        return cli_usage(argv[0], "an argument is missing");
    }
    if (out.count > max) {
        return cli_usage(argv[0], "unexpected argument '%s'", out.values[max]);
    }
    *ret_args = out;
    return EXIT_DONE;
}

/* --- global options ---------------------------------------------------------------------------- */

struct globals {
    const char *servers;
    const char *prefix;
    const char *format;
    const char *consistency;
    uint64_t timeout_ms;
    const char *timeout_from;
    bool help;
    bool version;
};

static int bad(const char *what, const char *text, const char *expected)
{
    fprintf(stderr, "coordctl: %s: '%s' is not %s\n", what, text, expected);
    return EXIT_USAGE;
}

/* The name to call a global option by: the variable when its value came from there. */
static const char *source(const char *text, const char *variable, const char *option)
{
    return text == getenv(variable) ? variable : option;
}

static int set_consistency(struct cli *cli, const char *text)
{
    static const char expected[] = "linearizable, session, bounded:500ms (any duration) or local";
    const char *what = source(text, "COORDCTL_CONSISTENCY", "--consistency");

    if (strcmp(text, "linearizable") == 0) {
        cli->call.consistency = COORD_LINEARIZABLE;
    } else if (strcmp(text, "session") == 0) {
        cli->call.consistency = COORD_SESSION;
    } else if (strcmp(text, "local") == 0) {
        cli->call.consistency = COORD_LOCAL;
    } else if (strncmp(text, "bounded:", 8) == 0) {
        cli->call.consistency = COORD_BOUNDED;
        if (!args_duration(text + 8, &cli->call.bound_ms)) {
            return bad(what, text, expected);
        }
    } else {
        return bad(what, text, expected);
    }
    return EXIT_DONE;
}

static int set_format(struct cli *cli, const char *text)
{
    if (strcmp(text, "table") == 0) {
        cli->format = FORMAT_TABLE;
    } else if (strcmp(text, "json") == 0) {
        cli->format = FORMAT_JSON;
    } else if (strcmp(text, "raw") == 0) {
        cli->format = FORMAT_RAW;
    } else {
        return bad(source(text, "COORDCTL_OUTPUT", "--output"), text, "table, json or raw");
    }
    return EXIT_DONE;
}

/* The options in front of the command; leaves *i at the command. */
static int read_globals(int argc, char **argv, struct globals *g, int *i)
{
    const struct arg table[] = {
        {"servers", 's', ARG_TEXT, &g->servers, NULL},
        {"namespace", 'n', ARG_TEXT, &g->prefix, NULL},
        {"output", 'o', ARG_TEXT, &g->format, NULL},
        {"consistency", 0, ARG_TEXT, &g->consistency, NULL},
        {"timeout", 0, ARG_DURATION, &g->timeout_ms, NULL},
        {"help", 'h', ARG_FLAG, &g->help, NULL},
        {"version", 'V', ARG_FLAG, &g->version, NULL},
    };
    int count = (int)(sizeof table / sizeof table[0]);

    for (; *i < argc && argv[*i][0] == '-' && argv[*i][1] != '\0'; (*i)++) {
        const char *value = NULL;
        const struct arg *a = lookup(table, count, argv[*i], &value);
        if (a == NULL) {
            fprintf(stderr, "coordctl: unknown option '%s'; coordctl --help lists them\n",
                    argv[*i]);
            return EXIT_USAGE;
        }
        if (a->kind != ARG_FLAG && value == NULL && *i + 1 >= argc) {
            fprintf(stderr, "coordctl: --%s needs a value\n", a->name);
            return EXIT_USAGE;
        }
        if (a->kind == ARG_DURATION) {
            const char *text = value != NULL ? value : argv[++*i];
            if (!args_duration(text, a->out)) {
                return bad("--timeout", text, "a duration such as 500ms or 5s");
            }
            g->timeout_from = "--timeout";
        } else {
            const char *text = a->kind == ARG_FLAG ? "" : (value != NULL ? value : argv[++*i]);
            (void)store("", a, text); /* flags and text cannot fail */
        }
    }
    return EXIT_DONE;
}

static int apply_globals(struct cli *cli, const struct globals *g)
{
    int rc = EXIT_DONE;

    if (g->servers != NULL) {
        cli->options.servers = g->servers;
    }
    if (g->timeout_ms == 0 || g->timeout_ms > 3600000) {
        fprintf(stderr, "coordctl: %s: %" PRIu64 "ms is not between 1ms and 1h\n", g->timeout_from,
                g->timeout_ms);
        return EXIT_USAGE;
    }
    cli->options.prefix = g->prefix;
    cli->servers_from = source(g->servers, "COORDCTL_SERVERS", "--servers");
    cli->prefix_from = source(g->prefix, "COORDCTL_NAMESPACE", "--namespace");
    cli->options.name = "coordctl";
    cli->options.request_timeout_ms = (uint32_t)g->timeout_ms;
    cli->call.timeout_ms = (uint32_t)g->timeout_ms;
    cli->call.fail_fast = true;
    if (g->format != NULL) {
        rc = set_format(cli, g->format);
    }
    if (rc == EXIT_DONE && g->consistency != NULL) {
        rc = set_consistency(cli, g->consistency);
    }
    return rc;
}

int args_global(struct cli *ret_cli, int argc, char **argv, int *ret_first)
{
    const char *timeout = getenv("COORDCTL_TIMEOUT");
    struct globals g = {
        .servers = getenv("COORDCTL_SERVERS"),
        .prefix = getenv("COORDCTL_NAMESPACE"),
        .format = getenv("COORDCTL_OUTPUT"),
        .consistency = getenv("COORDCTL_CONSISTENCY"),
        .timeout_ms = 5000,
        .timeout_from = timeout != NULL ? "COORDCTL_TIMEOUT" : "--timeout",
    };
    int first = 1;

    memset(ret_cli, 0, sizeof *ret_cli);
    coord_options_init(&ret_cli->options);
    if (timeout != NULL && !args_duration(timeout, &g.timeout_ms)) {
        return bad("COORDCTL_TIMEOUT", timeout, "a duration such as 500ms or 5s");
    }
    int rc = read_globals(argc, argv, &g, &first);
    if (rc != EXIT_DONE) {
        return rc;
    }
    *ret_first = g.help ? -1 : (g.version ? -2 : first);
    return g.help || g.version ? EXIT_DONE : apply_globals(ret_cli, &g);
}
