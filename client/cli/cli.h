/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h: what the commands of coordctl share: the global options, the table of commands, how results,
 * errors and exit codes are told.
 *
 * Data goes to stdout, everything else to stderr. A command is one function that gets its arguments
 * and returns an exit code.
 */
#ifndef COORD_CLI_CLI_H
#define COORD_CLI_CLI_H

#include <stdio.h>
#include <coord/coord.h>

enum cli_exit {
    EXIT_DONE = 0,
    EXIT_OTHER = 1,
    EXIT_USAGE = 2,
    EXIT_NO_NODE = 3,
    EXIT_CONDITION = 4,
    EXIT_NO_QUORUM = 5,
    EXIT_TIMED_OUT = 6,
    EXIT_DENIED = 7,
    EXIT_LOST = 8
};

enum cli_format { FORMAT_TABLE = 0, FORMAT_JSON = 1, FORMAT_RAW = 2 };

/* The global options, after environment and command line. */
struct cli {
    struct coord_options options;
    struct coord_call call; /* consistency and timeout of single requests */
    enum cli_format format;
    const char
        *servers_from; /* how options.servers and .prefix were given, for what is wrong with them */
    const char *prefix_from;
};

struct command {
    const char *name;
    const char *usage;   /* arguments, as in "get PATH" */
    const char *summary; /* one line */
    const char *help;    /* options and an example; shown by --help */
    int (*run)(struct cli *cli, int argc, char **argv); /* argv[0] is the command's name */
};

extern const struct command cli_commands[]; /* ends with a NULL name */

/* The command, or NULL. cli_nearest gives the one with the most similar name, NULL when none is similar. */
const struct command *cli_find(const char *name);
const struct command *cli_nearest(const char *name);

/* Say on stderr what is wrong with the arguments of a command, and how it is used.
 * Return: EXIT_USAGE. */
int cli_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The exit code for an error of libcoord; 0 for 0. */
int cli_exit_code(int error);

/* Tell an error on stderr (or as a JSON object there): `what` is what was tried.
 * reply: with its text and quorum detail, may be NULL. Return: the exit code. */
int cli_fail(const struct cli *cli, const char *what, int error, const struct coord_reply *reply);

/* The same; when the path is not valid and the reply does not say why, which rule it breaks. */
int cli_fail_path(const struct cli *cli, const char *what, const char *path, int error,
                  const struct coord_reply *reply);

/* Which rule a path breaks, as far as a person is likely to break it; NULL: none of these. */
const char *cli_path_problem(const char *path);

/* The same for calls that return no reply: without a quorum the server is asked for the detail. */
int cli_fail_asking(const struct cli *cli, struct coord *c, const char *what, int error);

/* Open a loop-driven handle with the global options. On error says so.
 * Return: 0 or an exit code; *ret_c is the caller's on 0. */
int cli_open(struct cli *cli, struct coord **ret_c);

#define CLI_ADDRESS_BYTES_MAX 280
/* The next address of a list "a:1,b:2"; *rest moves on. Return: false at the end. */
bool cli_next_address(const char **rest, char *address, size_t n);

/* End the session, if one was opened, so that nothing waits for its timeout; then close. */
void cli_close(struct coord *c);

#endif
