/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.c: how long until one request succeeds, from now or from the kill -9 of a server. An attempt is a new
 * connection, the system's own handshake, and one request; it is given up after the same limit with every
 * system, and the next one goes to the next server of the list.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>
#include "tests/bench/load.h"

#define PAUSE_MS 2 /* after an attempt that was refused at once */

static struct {
    bool answered, succeeded;
} attempt;

static void answered(struct load *ld, struct shot *s, enum load_result result)
{
    attempt.answered = true;
    attempt.succeeded = result == RESULT_DONE;
    load_give_back(ld, s);
}

/* Return: whether the attempt goes on. */
static bool step(struct load *ld, struct lane *l, uint64_t deadline_ns, bool *shot_at)
{
    uint64_t now = load_clock();

    if (l->state == LANE_BROKEN || attempt.answered || now >= deadline_ns) {
        return false;
    }
    if (l->state == LANE_READY && !*shot_at) {
        struct shot *s = load_shot(ld);
        *shot_at = true;
        if (s == NULL) {
            return false;
        }
        shot_at_key(ld, s, ld->o.keys == 0 ? SHOT_GET : SHOT_SET, 0);
        ld->now_ns = now;
        return lane_shoot(l, s) == 0 && lane_flush(l) == 0;
    }
    (void)load_turn(ld, deadline_ns - now); /* lanes may break here */
    return true;
}

static bool one_attempt(struct load *ld, size_t server)
{
    struct lane *l = &ld->lanes[0];
    uint64_t deadline = load_clock() + ld->o.limit_ms * NS_PER_MS;
    bool shot_at = false;

    attempt.answered = false;
    attempt.succeeded = false;
    if (lane_open(ld, 0, server) == 0) {
        while (step(ld, l, deadline, &shot_at)) {
        }
    }
    if (attempt.succeeded) {
        return true; /* it stays open, and leaves with load_close_all */
    }
    lane_close(l);
    return false;
}

int run_attempt(struct load *ld)
{
    uint64_t start = load_clock(), end = start + (uint64_t)(ld->o.secs * 1e9);
    uint64_t attempts = 0;
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000};

    ld->on_done = answered;
    ld->stopping = true; /* lanes breaking is what this is about */
    if (ld->o.kill_pid != 0 && kill((pid_t)ld->o.kill_pid, SIGKILL) != 0) {
        perror("kill");
        return -1;
    }
    start = load_clock();
    while (load_clock() < end) {
        size_t server = attempts % ld->o.servers_count;
        uint64_t began = load_clock();
        attempts++;
        if (one_attempt(ld, server)) {
            printf("system=%s op=%s limit_ms=%" PRIu64 " first_ms=%.2f attempts=%" PRIu64 "\n",
                   load_wire.system, ld->o.op_text, ld->o.limit_ms,
                   (double)(load_clock() - start) / 1e6, attempts);
            return 0;
        }
        if (load_clock() - began < PAUSE_MS * NS_PER_MS) {
            (void)nanosleep(&pause, NULL); /* shorter is fine */
        }
    }
    fprintf(stderr, "%s: no request succeeded in %.1f s\n", load_wire.system, ld->o.secs);
    return -1;
}
