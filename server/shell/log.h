/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h: one line per event to stderr, as text
 *     2026-11-21T08:00:00.123Z INFO  node=1 role changed to leader term=4
 * or as one JSON object with the keys time, level, node and text.
 *
 * Invariants
 *   1. A line is one write(2): lines of two threads never mix.
 *   2. The loop never waits for a reader: when stderr does not take a line at once, the line is dropped
 *      and the next one that gets through carries dropped=n.
 *   3. Control characters and broken UTF-8 of outside text never reach the reader.
 * Thread: any; the settings are made before the threads start, the level may change at any time.
 */
#ifndef COORD_SERVER_SHELL_LOG_H
#define COORD_SERVER_SHELL_LOG_H

#include <stdint.h>
#include "server/shell/conf.h"

/* fd: where lines go, not owned. node: this member's id, 0 while it is not known. */
void log_init(int fd, enum conf_log_level level, enum conf_log_format format, uint32_t node);
void log_level_set(enum conf_log_level level);

/* Write one line; longer than about 900 bytes it is cut. */
__attribute__((format(printf, 2, 3))) void log_write(enum conf_log_level level, const char *format,
                                                     ...);

/* Let through at most `per_window` calls in ten seconds for one kind of event that outsiders can
 * cause at will; the first of a new window tells how many were kept back. */
struct log_limit {
    uint64_t window_ns; /* when the window began */
    uint32_t count;
};
/* Return: 1 when the line may be written. *ret_kept: lines kept back in the window before. */
int log_limit_pass(struct log_limit *l, uint32_t per_window, uint64_t now, uint32_t *ret_kept);

#endif
