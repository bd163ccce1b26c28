/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h: what the commands of one request share: reading values, conditions, telling how it ended.
 */
#ifndef COORD_CLI_ASK_H
#define COORD_CLI_ASK_H

#include <stdbool.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"

/* Read a stream to its end. Ownership: *ret_data is the caller's, for free.
 * Return: false when memory is out or reading fails (said). */
bool ask_read(FILE *from, const char *name, char **ret_data, size_t *ret_bytes);

/* The DATA argument: NULL is no value, "-" standard input. *ret_owned is to be freed.
 * Return: false on failure (said). */
bool ask_data(const char *arg, const void **ret_data, size_t *ret_bytes, char **ret_owned);

/* What commands do with a reply: print it. Called only on success. */
typedef void (*ask_show)(const struct cli *cli, const struct coord_reply *r);

/* Tell the error or show the reply (how may be NULL), free it and close c. Return: the exit code. */
int ask_finish(struct cli *cli, struct coord *c, const char *command, const char *path, int error,
               struct coord_reply *r, ask_show how);

/* A write was done: only JSON says so. */
void ask_show_change(const struct cli *cli, const struct coord_reply *r);

/* The conditions that writes share, as rows of a table of options. */
struct ask_conditions {
    bool by_version;
    bool by_revision;
};

#define ASK_CONDITION_ARGS(call, given)                                        \
    {"version", 0, ARG_NUMBER, &(call).version, &(given).by_version},          \
    {                                                                          \
        "if-revision", 0, ARG_REVISION, &(call).modified, &(given).by_revision \
    }

uint32_t ask_condition_flags(const struct ask_conditions *given);

#endif
