/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h: turning the loop of a loop-driven handle while also looking at signals, and running a command as a
 * child that can be stopped as a whole.
 */
#ifndef COORD_CLI_RUN_H
#define COORD_CLI_RUN_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <coord/coord.h>

/* Signals as events: SIGINT, SIGTERM, SIGHUP and SIGCHLD are blocked and read from a descriptor. */
struct run {
    struct coord *c;
    int signals;        /* signalfd */
    sigset_t before;    /* the mask to give a child */
    int stopped_by;     /* SIGINT, SIGTERM or SIGHUP once it came, else 0 */
    bool child_changed; /* SIGCHLD came; whoever looks clears it */
    int orphan_signal;  /* what a child gets when this process dies under it: SIGKILL by default */
};

/* Return: false on failure (said). */
bool run_init(struct run *r, struct coord *c);
void run_finish(struct run *r);

/* Wait for something at most timeout_ms (-1: for ever), then dispatch the handle.
 * Return: 0, or a negative error of coord_dispatch. */
int run_turn(struct run *r, int timeout_ms);

struct child {
    pid_t pid; /* also its process group; 0 when there is none */
    bool has_terminal;
    bool ended;
    int status; /* exit code as a shell tells it */
};

/* Start argv with the given "NAME=value" strings added to its environment, in a process group of its own
 * that gets the terminal when standard input is one.
 * Return: 0, or the exit code of `env` (125, 126, 127) with the reason said. */
int child_start(struct run *r, char *const *argv, const char *const *environment,
                struct child *ret_child);

/* Send a signal to the child's whole group. */
void child_signal(const struct child *child, int sig);

/* Look whether it has ended, without waiting. Return: child->ended. */
bool child_poll(struct child *child);

/* Take the terminal back. */
void child_finish(struct child *child);

#endif
