/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h: reading command lines: the global options in front of the command, and the options of a
 * command from a table. Mistakes are told on stderr and name the argument.
 */
#ifndef COORD_CLI_ARGS_H
#define COORD_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include "client/cli/cli.h"

enum arg_kind {
    ARG_FLAG,     /* out: bool */
    ARG_TEXT,     /* out: const char * */
    ARG_NUMBER,   /* out: uint64_t */
    ARG_REVISION, /* out: uint64_t, not 0 */
    ARG_DURATION  /* out: uint64_t, milliseconds, of "500ms", "10s", "2m", "1h" */
};

struct arg {
    const char *name; /* long form, without the dashes */
    char letter;      /* short form, or 0 */
    enum arg_kind kind;
    void *out;   /* keeps its value when the option is not given */
    bool *given; /* set when it is; may be NULL */
};

/* What is left of a command line. */
struct args {
    int count;     /* positional arguments */
    char **values; /* argv's own, reordered */
    int run_count; /* arguments behind "--" */
    char **run;
};

/* Read argv (argv[0] is the command's name). dashes_run: what follows "--" is a command to run, else more
 * positional arguments. min, max: how many positional ones there may be.
 * Return: EXIT_DONE, or EXIT_USAGE with a message. */
int args_parse(int argc, char **argv, const struct arg *table, int table_count, bool dashes_run,
               int min, int max, struct args *ret_args);

/* Read the global options and the environment into *ret_cli; *ret_first becomes the index of the command in
 * argv (argc: none), -1 for --help, -2 for --version. Return: as above. */
int args_global(struct cli *ret_cli, int argc, char **argv, int *ret_first);

/* "500ms" -> 500. Return: false when it is not a duration. */
bool args_duration(const char *text, uint64_t *ret_ms);
/* Decimal with a sign or none, nothing behind. Return: false otherwise, or when out of range. */
bool args_signed(const char *text, int64_t *ret_n);
/* "100", "64KiB", "5MiB", "1GiB" -> bytes. Return: false otherwise, or when out of range. */
bool args_bytes(const char *text, uint64_t *ret_bytes);
/* Decimal, no sign, nothing behind. Return: false otherwise, or when out of range. */
bool args_number(const char *text, uint64_t *ret_n);

#endif
