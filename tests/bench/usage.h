/* SPDX-License-Identifier: Apache-2.0 */
/* usage.h: reading what Linux says of CPU time. Pure; any thread. */
#ifndef COORD_TESTS_BENCH_USAGE_H
#define COORD_TESTS_BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>

/* User and system ticks in the text of /proc/PID/stat. Return: whether it could be read. */
bool usage_parse_stat(const char *text, uint64_t *ret_ticks);

/* Ticks in which any core of the machine was busy, in the text of /proc/stat; waiting for disks is idle.
 * Return: whether it could be read. */
bool usage_parse_machine(const char *text, uint64_t *ret_ticks);

#endif
