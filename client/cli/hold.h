/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.h: what `lock` and `elect` have in common: get it, run a command while it is held or wait to be
 * interrupted, see to it that the command is stopped before anybody else could be given it, and let go.
 */
#ifndef COORD_CLI_HOLD_H
#define COORD_CLI_HOLD_H

#include "client/cli/args.h"
#include "client/cli/cli.h"

enum hold_kind { HOLD_LOCK, HOLD_ELECTION };

enum on_lost {
    ON_LOST_TERM, /* SIGTERM, then SIGKILL */
    ON_LOST_KILL,
    ON_LOST_STOP /* SIGSTOP; SIGCONT when the lease turns out to go on */
};

struct hold_request {
    enum hold_kind kind;
    const char *name;
    uint32_t wait_ms;  /* COORD_WAIT_FOREVER, COORD_TRY or milliseconds */
    const char *value; /* of a candidate or label of a lock; NULL none */
    enum on_lost on_lost;
    char *const *run; /* NULL: hold until interrupted */
};

/* Return: an exit code. */
int hold(struct cli *cli, const struct hold_request *q);

#endif
