/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wake.h: how a worker thread wakes the loop: an eventfd that is written at most once until the loop
 * has looked. The loop watches it edge-triggered and never reads it, so that a wake-up costs one write
 * on the worker's side and nothing on the loop's.
 *
 * Rule: a worker publishes first and calls wake_signal then; the loop calls wake_clear first and looks
 * then. Thread: wake_signal any; the others the loop's.
 */
#ifndef COORD_SERVER_SHELL_WAKE_H
#define COORD_SERVER_SHELL_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>

struct wake {
    int fd;
    _Atomic bool set;
};

/* Return: 0 or a negative errno. */
int wake_init(struct wake *w);
void wake_finish(struct wake *w);
void wake_signal(struct wake *w);
void wake_clear(struct wake *w);

#endif
