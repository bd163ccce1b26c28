/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watchdog.h: stops the process when a thread does not come back from its work: a loop that hangs would
 * look alive to its peers' kernels and to nobody else, and a disk that hangs for ever is no disk.
 *
 * A thread says when it begins and ends a piece of work; the watchdog, a thread of its own, counts how
 * many of its own one-second turns it saw the same piece. Counting turns, not time, keeps it quiet when
 * the whole process was stopped and continued.
 * Thread: watch_begin and watch_end belong to the thread watched, the rest to main.
 */
#ifndef COORD_SERVER_SHELL_WATCHDOG_H
#define COORD_SERVER_SHELL_WATCHDOG_H

#include <stdatomic.h>
#include <stdint.h>

struct watch_mark {
    _Atomic uint64_t piece; /* odd while a piece of work is under way */
};

void watch_begin(struct watch_mark *m);
void watch_end(struct watch_mark *m);

struct watchdog;

struct watchdog_subject {
    const char *what;   /* for the last words */
    uint32_t turns_max; /* seconds */
    struct watch_mark *mark;
};

/* Begin to watch; subjects are copied, their marks must outlive the watchdog.
 * Return: 0 or a negative errno. */
int watchdog_start(const struct watchdog_subject *subjects, uint32_t count,
                   struct watchdog **ret_w);
void watchdog_stop(struct watchdog *w);

#endif
