/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fan.h: bench --watchers: one writer sets a node that many watch; for each write: when the writer was answered, when
 * the first and when the last watcher was told, all from when the write was sent. Lean connections: the watchers are
 * spread over --conns of them, and those over the servers.
 */
#ifndef COORD_BENCH_FAN_H
#define COORD_BENCH_FAN_H

#include "client/bench/plan.h"
#include "client/cli/cli.h"

/* Return: an exit code. */
int fan_run(struct cli *cli, const struct plan *plan);

#endif
