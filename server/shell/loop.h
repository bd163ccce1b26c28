/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h: runs one member: the event loop, the threads beside it and the node in the middle, from the
 * opening of the ports to the orderly end. Thread: main's.
 */
#ifndef COORD_SERVER_SHELL_LOOP_H
#define COORD_SERVER_SHELL_LOOP_H

#include "server/shell/conf.h"

/* Run until SIGTERM or SIGINT.
 * file: of the configuration, read again for the log level on SIGHUP; NULL: there is none.
 * started: called once the ports are open and the member runs; may be NULL.
 * Errors: what keeps the member from starting is logged in one line.
 * Return: the exit code: 0 after an orderly end, 1 otherwise. */
int loop_main(const struct conf *c, const char *file, void (*started)(const struct conf *c));

#endif
