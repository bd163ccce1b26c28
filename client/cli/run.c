/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: see run.h.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fcntl.h>
#include "client/cli/run.h"

enum { EXIT_FORK = 125, EXIT_NOT_RUNNABLE = 126, EXIT_NOT_FOUND = 127 };

bool run_init(struct run *r, struct coord *c)
{
    sigset_t set;

    memset(r, 0, sizeof *r);
    r->c = c;
    r->orphan_signal = SIGKILL;
    (void)sigemptyset(&set); /* these four cannot fail with valid signals */
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &set, &r->before);
    r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signals < 0) {
        perror("coordctl: signalfd");
        return false;
    }
    return true;
}

void run_finish(struct run *r)
{
    (void)close(r->signals); /* only read from */
    (void)sigprocmask(SIG_SETMASK, &r->before, NULL);
}

static void read_signals(struct run *r)
{
    struct signalfd_siginfo info;

    while (read(r->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            r->child_changed = true;
        } else {
            r->stopped_by = (int)info.ssi_signo;
        }
    }
}

int run_turn(struct run *r, int timeout_ms)
{
    struct pollfd fds[2] = {{.fd = coord_fd(r->c), .events = POLLIN},
                            {.fd = r->signals, .events = POLLIN}};
    int due = coord_timeout_ms(r->c);

    if (due >= 0 && (timeout_ms < 0 || due < timeout_ms)) {
        timeout_ms = due;
    }
    if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR) {
        return COORD_ESYSTEM;
    }
    read_signals(r);
    int rc = coord_dispatch(r->c);
    return rc > 0 ? COORD_ECLOSED : rc;
}

/* In the child: become a group, take the terminal, run. Never returns; an errno goes to the pipe. */
static void child_exec(const struct run *r, char *const *argv, const char *const *environment,
                       bool terminal, int report, pid_t guard)
{
    (void)setpgid(0, 0); /* the parent does the same; one of the two is first */
    /* If its guard is killed, nobody stops the command in time any more: it ends with the guard. What it has
     * started itself goes on; that is what the fencing token is for. */
    if (prctl(PR_SET_PDEATHSIG, r->orphan_signal) != 0 || getppid() != guard) {
        _exit(EXIT_FORK);
    }
    if (terminal) {
        /* SIGTTOU is what a background group gets for this call; it is blocked meanwhile. */
        sigset_t ttou;
        (void)sigemptyset(&ttou);
        (void)sigaddset(&ttou, SIGTTOU);
        (void)sigprocmask(SIG_BLOCK, &ttou, NULL);
        (void)tcsetpgrp(STDIN_FILENO, getpid()); /* without a terminal it still runs */
    }
    for (; *environment != NULL; environment++) {
        if (putenv((char *)(uintptr_t)*environment) != 0) {
            _exit(EXIT_FORK);
        }
    }
    struct sigaction plain = {.sa_handler = SIG_DFL};
    (void)sigaction(SIGPIPE, &plain, NULL);
    (void)sigprocmask(SIG_SETMASK, &r->before, NULL);
    (void)execvp(argv[0], argv);
    int error = errno;
    (void)!write(report, &error, sizeof error); /* the exit code tells it as well */
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE);
}

int child_start(struct run *r, char *const *argv, const char *const *environment,
                struct child *ret_child)
{
    struct child child = {.has_terminal = isatty(STDIN_FILENO) != 0};
    int report[2];
    int error = 0;

    if (pipe2(report, O_CLOEXEC) != 0) {
        perror("coordctl: pipe");
        return EXIT_FORK;
    }
    (void)fflush(stdout); /* else the child would write it too; main checks stdout at the end */
    pid_t guard = getpid();
    child.pid = fork();
    if (child.pid == 0) {
        child_exec(r, argv, environment, child.has_terminal, report[1], guard);
    }
    (void)close(report[1]);
    if (child.pid < 0) {
        perror("coordctl: fork");
        (void)close(report[0]);
        return EXIT_FORK;
    }
    (void)setpgid(child.pid, child.pid); /* fails when the child was first: the same result */
    ssize_t n = read(report[0], &error, sizeof error);
    (void)close(report[0]);
    if (n == (ssize_t)sizeof error) {
        fprintf(stderr, "coordctl: %s: %s\n", argv[0], strerror(error));
        (void)waitpid(child.pid, NULL, 0);
        child_finish(&child);
        return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
    }
    *ret_child = child;
    return 0;
}

void child_signal(const struct child *child, int sig)
{
    if (child->pid > 0 && !child->ended) {
        (void)kill(-child->pid, sig); /* fails only when the group is gone */
    }
}

bool child_poll(struct child *child)
{
    int status = 0;

    if (!child->ended && waitpid(child->pid, &status, WNOHANG) == child->pid) {
        child->ended = true;
        child->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return child->ended;
}

void child_finish(struct child *child)
{
    sigset_t ttou, before;

    if (!child->has_terminal) {
        return;
    }
    (void)sigemptyset(&ttou);
    (void)sigaddset(&ttou, SIGTTOU);
    (void)sigprocmask(SIG_BLOCK, &ttou, &before);
    (void)tcsetpgrp(STDIN_FILENO, getpgrp()); /* nothing to do when the terminal is gone */
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    child->has_terminal = false;
}
