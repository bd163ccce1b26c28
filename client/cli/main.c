/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: coordctl, the command line of coord. Reads the global options and hands over to a command.
 */
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"

static void print_help(FILE *out)
{
    fputs("usage: coordctl [OPTIONS] COMMAND [ARGUMENTS]\n\nOptions\n"
          "  -s, --servers LIST      host:port,...          COORDCTL_SERVERS (default "
          "127.0.0.1:7410)\n"
          "  -n, --namespace PATH    put before every path  COORDCTL_NAMESPACE\n"
          "  -o, --output FORMAT     table, json or raw     COORDCTL_OUTPUT\n"
          "  --consistency LEVEL     linearizable, session, bounded:500ms or local  "
          "COORDCTL_CONSISTENCY\n"
          "  --timeout DURATION      for one request (default 5s)  COORDCTL_TIMEOUT\n"
          "  --help, --version\n\nCommands\n",
          out);
    for (const struct command *c = cli_commands; c->name != NULL; c++) {
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    }
    fputs("\n`coordctl COMMAND --help` tells the arguments and an example.\n"
          "Exit codes: 0 done, 1 other error, 2 usage, 3 no such node, 4 condition failed or "
          "already\n"
          "exists, 5 no quorum or unavailable, 6 timed out, 7 not allowed, 8 lock or leadership "
          "lost;\n"
          "125..127 as `env` for commands run.\n",
          out);
}

static int wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return 1;
        }
    }
    return 0;
}

/* The command of that name; says so when there is none. */
static const struct command *command_named(const char *name)
{
    const struct command *c = cli_find(name);

    if (c == NULL) {
        const struct command *near = cli_nearest(name);
        fprintf(stderr, "coordctl: there is no command '%s'; %s%s%s\n", name,
                near != NULL ? "did you mean '" : "coordctl --help lists them",
                near != NULL ? near->name : "", near != NULL ? "'?" : "");
    }
    return c;
}

static int print_command_help(const struct command *c)
{
    printf("%s: %s\n\nusage: coordctl %s\n\n%s", c->name, c->summary, c->usage, c->help);
    return EXIT_DONE;
}

static int run_command(struct cli *cli, int argc, char **argv)
{
    const struct command *c = NULL;

    if (strcmp(argv[0], "help") == 0 && argc == 1) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "help") == 0) {
        c = command_named(argv[1]);
        return c != NULL ? print_command_help(c) : EXIT_USAGE;
    }
    c = command_named(argv[0]);
    if (c == NULL) {
        return EXIT_USAGE;
    }
    return wants_help(argc, argv) ? print_command_help(c) : c->run(cli, argc, argv);
}

int main(int argc, char **argv)
{
    struct cli cli;
    int first = 0;
    int rc = args_global(&cli, argc, argv, &first);
    if (rc != EXIT_DONE) {
        return rc;
    }
    if (first == -1) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (first == -2) {
        printf("coordctl %s\n", COORD_VERSION);
        return EXIT_DONE;
    }
    if (first >= argc) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    /* A closed pipe is an error of the write that meets it, not the end of a lock holder. */
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail with these arguments */
    rc = run_command(&cli, argc - first, argv + first);
    if (fflush(stdout) != 0 && rc == EXIT_DONE) {
        perror("coordctl: writing the output");
        rc = EXIT_OTHER;
    }
    return rc;
}
