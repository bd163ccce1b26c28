/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.h: bench --sessions: many sessions that do nothing but stay alive, each on a lean connection of its own: how fast
 * they are opened, what keeping them costs the servers (CPU, log entries, memory), how long a ping takes, how many are
 * lost.
 */
#ifndef COORD_BENCH_IDLE_H
#define COORD_BENCH_IDLE_H

#include "client/bench/plan.h"
#include "client/cli/cli.h"

/* Return: an exit code. */
int idle_run(struct cli *cli, const struct plan *plan);

#endif
