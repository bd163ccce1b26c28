/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h: the event base that coordd's sockets and timers hang on, set up for one thread. Apart from the
 * loop itself only tests use it, which turn it by hand. Thread: the loop's.
 */
#ifndef COORD_SERVER_SHELL_BASE_H
#define COORD_SERVER_SHELL_BASE_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

/* Ownership: end it with base_destroy. Return: NULL when memory is out. */
struct event_base *base_create(void);
void base_destroy(struct event_base *base);

/* Handle what is ready; when nothing is and sleep is set, wait for something first. */
void base_turn(struct event_base *base, bool sleep);
/* Handle what is ready, waiting for it at most wait_ms. */
void base_turn_within(struct event_base *base, uint32_t wait_ms);

#endif
