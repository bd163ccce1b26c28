/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c: the closed loop. Each lane keeps `outstanding` requests under way; an answer is followed at once by the
 * next request, so the servers set the pace. Also prepares the keys that are set and read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "tests/bench/load.h"

#define PREPARE_S       60.0
#define PREPARE_AT_ONCE 64

/* What the callbacks of the phase under way need; one load a process. */
static struct {
    uint64_t wanted, sent, done; /* of the preparation */
    bool measuring;
    uint64_t ops, errors;
    uint64_t again; /* of a fill: refused, and sent again */
    uint64_t to_ns; /* when the last of a fixed number of operations was answered */
} run;

void shot_at_key(struct load *ld, struct shot *s, enum shot_kind kind, uint64_t i)
{
    s->kind = kind;
    s->linearizable = ld->o.linearizable;
    s->value = ld->value;
    s->value_bytes = ld->o.value_bytes;
    /* Keys of other sizes are other keys: what is read has the size asked for. */
    (void)snprintf(s->path, sizeof s->path, "/bench/k%" PRIu64 "-%" PRIu64, ld->o.value_bytes, i);
}

/* --- preparation ------------------------------------------------------------------------------- */

static int prepare_next(struct load *ld)
{
    struct shot *s = load_shot(ld);

    if (s == NULL || run.sent > run.wanted) {
        if (s != NULL) {
            load_give_back(ld, s);
        }
        return -1;
    }
    if (run.sent == 0) {
        shot_at_key(ld, s, SHOT_CREATE, 0);
        (void)snprintf(s->path, sizeof s->path, "/bench");
    } else {
        shot_at_key(ld, s, SHOT_CREATE, run.sent - 1);
    }
    run.sent++;
    return lane_shoot(&ld->lanes[0], s);
}

static void prepared(struct load *ld, struct shot *s, enum load_result result)
{
    run.done++;
    run.errors += result == RESULT_FAILED ? 1 : 0;
    load_give_back(ld, s);
    (void)prepare_next(ld); /* nothing is left to send, or the lane broke, which is counted */
}

static void looked(struct load *ld, struct shot *s, enum load_result result)
{
    run.done++;
    run.errors += result != RESULT_DONE ? 1 : 0;
    load_give_back(ld, s);
}

/* Every server has the last key: a read that may not be stale is asked of each, so that local reads find all. */
static int prepare_everywhere(struct load *ld, uint64_t keys)
{
    size_t lanes = ld->lanes_count < ld->o.servers_count ? ld->lanes_count : ld->o.servers_count;

    ld->on_done = looked;
    run.done = 0;
    ld->now_ns = load_clock();
    for (size_t i = 0; i < lanes; i++) {
        struct shot *s = load_shot(ld);
        if (s == NULL) {
            return -1;
        }
        shot_at_key(ld, s, SHOT_GET, keys - 1);
        s->linearizable = true;
        if (lane_shoot(&ld->lanes[i], s) != 0 || lane_flush(&ld->lanes[i]) != 0) {
            return -1;
        }
    }
    return load_until(ld, &run.done, lanes, PREPARE_S, "every server has the keys");
}

int run_prepare(struct load *ld, uint64_t keys)
{
    struct lane *first = &ld->lanes[0];

    ld->on_done = prepared;
    run.wanted = keys;
    ld->now_ns = load_clock();
    /* The parent alone: its children need it. */
    (void)prepare_next(ld); /* a lane that breaks is counted */
    (void)lane_flush(first);
    if (load_until(ld, &run.done, 1, PREPARE_S, "/bench is made") != 0) {
        return -1;
    }
    for (int i = 1; i < PREPARE_AT_ONCE && prepare_next(ld) == 0; i++) {
    }
    (void)lane_flush(first); /* a lane that breaks is counted */
    if (load_until(ld, &run.done, keys + 1, PREPARE_S, "the keys are made") != 0 ||
        (keys > 0 && prepare_everywhere(ld, keys) != 0)) {
        return -1;
    }
    if (run.errors != 0) {
        fprintf(stderr, "%s: %" PRIu64 " keys could not be made\n", load_wire.system, run.errors);
        return -1;
    }
    return 0;
}

/* --- the loop ---------------------------------------------------------------------------------- */

static void aim(struct load *ld, struct shot *s)
{
    enum shot_kind kind = SHOT_SET;

    if (ld->o.op == LOAD_CREATE) {
        shot_at_key(ld, s, SHOT_CREATE, 0);
        (void)snprintf(s->path, sizeof s->path, "/bench/%s%" PRIx64 "-%" PRIu64, ld->o.prefix,
                       ld->o.ops != 0 ? 0 : ld->run_id, ld->next_name++);
        return;
    }
    if (ld->o.op == LOAD_GET ||
        (ld->o.op == LOAD_MIXED && load_random(ld) % 100 < ld->o.read_percent)) {
        kind = SHOT_GET;
    }
    shot_at_key(ld, s, kind, load_random(ld) % ld->o.keys);
}

static void answered(struct load *ld, struct shot *s, enum load_result result)
{
    struct lane *l = s->lane;

    if (ld->o.blind && result == RESULT_FAILED && !ld->stopping) {
        /* All nodes are to be there in the end; a server that is behind may ask for patience. */
        run.again++;
        (void)lane_shoot(l, s); /* a lane that breaks is counted */
        return;
    }
    /* A write in doubt that was sent again may find its own node. */
    bool done = result == RESULT_DONE || (ld->o.blind && result == RESULT_EXISTS);
    if (run.measuring) {
        run.ops += done ? 1 : 0;
        run.errors += done ? 0 : 1;
        histogram_add(&ld->histogram, ld->now_ns - s->start_ns);
        if (ld->o.ops != 0 && run.ops + run.errors >= ld->o.ops) {
            run.to_ns = ld->now_ns;
            run.measuring = false;
            ld->stopping = true;
        }
    }
    if (ld->stopping) {
        load_give_back(ld, s);
        return;
    }
    aim(ld, s);
    (void)lane_shoot(l, s); /* a lane that breaks is counted */
}

static int turns_until(struct load *ld, uint64_t end_ns)
{
    for (uint64_t now = load_clock(); now < end_ns && !ld->stopping; now = load_clock()) {
        uint64_t left = end_ns - now;
        if (load_turn(ld, left < NS_PER_S ? left : NS_PER_S) != 0) {
            return -1;
        }
    }
    return 0;
}

static int start(struct load *ld)
{
    ld->now_ns = load_clock();
    for (uint64_t d = 0; d < ld->o.outstanding; d++) {
        for (size_t i = 0; i < ld->lanes_count; i++) {
            struct shot *s = load_shot(ld);
            if (s == NULL) {
                return -1;
            }
            aim(ld, s);
            if (lane_shoot(&ld->lanes[i], s) != 0) {
                return -1;
            }
        }
    }
    for (size_t i = 0; i < ld->lanes_count; i++) {
        if (lane_flush(&ld->lanes[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

int run_closed(struct load *ld)
{
    struct usage from, to;

    ld->on_done = answered;
    if (start(ld) != 0) {
        fprintf(stderr, "%s: the load could not be started\n", load_wire.system);
        return -1;
    }
    if (turns_until(ld, load_clock() + (uint64_t)(ld->o.warmup * 1e9)) != 0) {
        return -1;
    }
    usage_take(&ld->o, &from);
    run.errors = 0;
    run.measuring = true;
    uint64_t secs_ns = (uint64_t)(ld->o.secs * 1e9);
    if (turns_until(ld, from.at_ns + secs_ns) != 0) {
        return -1;
    }
    run.measuring = false;
    usage_take(&ld->o, &to);
    if (run.to_ns != 0) {
        to.at_ns = run.to_ns;
    }
    if (ld->o.blind) {
        printf("again=%" PRIu64 " ", run.again);
    }
    report(ld, &from, &to, run.ops, run.errors);
    if (run.errors != 0) {
        fprintf(stderr, "%s: %" PRIu64 " operations failed, the first with error %" PRId64 "\n",
                load_wire.system, run.errors, ld->first_error);
    }
    return run.errors == 0 && run.ops > 0 ? 0 : -1;
}
