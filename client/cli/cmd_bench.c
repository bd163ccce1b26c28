/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_bench.c: bench: the face of client/bench.
 */
#include <stdlib.h>
#include "client/bench/fan.h"
#include "client/bench/idle.h"
#include "client/bench/load.h"
#include "client/bench/plan.h"
#include "client/bench/targets.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"

int cmd_bench(struct cli *cli, int argc, char **argv)
{
    struct plan plan;
    int rc = plan_parse(argc, argv, &plan);

    if (rc == EXIT_DONE && (plan.wire || plan.mode != PLAN_LOAD)) {
        rc = targets_need(cli->options.servers);
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    switch (plan.mode) {
    case PLAN_LOAD:
        return load_run(cli, &plan);
    case PLAN_WATCH:
        return fan_run(cli, &plan);
    case PLAN_IDLE:
        return idle_run(cli, &plan);
    }
    abort(); /* not reached: the switch is complete */
}
