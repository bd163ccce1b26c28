/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fanout.c: how soon the last of many watchers is told. Watchers are spread evenly over all lanes but the last, which
 * writes. A round: all watches are set (again, where a watch tells one change only); one set is sent; the round's
 * figure is the time from sending it until the last watcher was told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/bench/load.h"

#define ROUND_S   20.0
#define WATCH_KEY 0

static struct {
    uint64_t armed, told, written, failed;
    uint64_t sent_ns, last_ns;
    struct histogram each; /* nanoseconds until any watcher was told */
} fan;

static void answered(struct load *ld, struct shot *s, enum load_result result)
{
    fan.failed += result != RESULT_DONE ? 1 : 0;
    if (s->kind == SHOT_WATCH) {
        fan.armed++;
    } else {
        fan.written++;
    }
    load_give_back(ld, s);
}

static void told(struct load *ld, struct lane *l)
{
    (void)l; /* any watcher's counts alike */
    fan.told++;
    fan.last_ns = ld->now_ns - fan.sent_ns;
    histogram_add(&fan.each, fan.last_ns);
}

static int shoot(struct load *ld, struct lane *l, enum shot_kind kind)
{
    struct shot *s = load_shot(ld);

    if (s == NULL) {
        return -1;
    }
    shot_at_key(ld, s, kind, WATCH_KEY);
    return lane_shoot(l, s);
}

static int arm(struct load *ld)
{
    size_t lanes = ld->lanes_count - 1;

    fan.armed = 0;
    ld->now_ns = load_clock();
    for (uint64_t w = 0; w < ld->o.watchers; w++) {
        if (shoot(ld, &ld->lanes[w % lanes], SHOT_WATCH) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < lanes; i++) {
        if (lane_flush(&ld->lanes[i]) != 0) {
            return -1;
        }
    }
    return load_until(ld, &fan.armed, ld->o.watchers, ROUND_S, "all watches are set");
}

static int one_round(struct load *ld)
{
    struct lane *writer = &ld->lanes[ld->lanes_count - 1];

    fan.told = 0;
    fan.written = 0;
    ld->now_ns = load_clock();
    fan.sent_ns = ld->now_ns;
    if (shoot(ld, writer, SHOT_SET) != 0 || lane_flush(writer) != 0) {
        return -1;
    }
    if (load_until(ld, &fan.told, ld->o.watchers, ROUND_S, "all watchers are told") != 0 ||
        load_until(ld, &fan.written, 1, ROUND_S, "the write is answered") != 0) {
        return -1;
    }
    histogram_add(&ld->histogram, fan.last_ns);
    return 0;
}

int run_fanout(struct load *ld)
{
    struct usage from, to;

    ld->on_done = answered;
    ld->on_told = told;
    if (!load_wire.watch_once && arm(ld) != 0) {
        return -1;
    }
    usage_take(&ld->o, &from);
    for (uint64_t r = 0; r < ld->o.rounds; r++) {
        if ((load_wire.watch_once && arm(ld) != 0) || one_round(ld) != 0) {
            return -1;
        }
    }
    usage_take(&ld->o, &to);
    printf("watchers=%" PRIu64 " rounds=%" PRIu64 " any_p50_us=%.1f ", ld->o.watchers, ld->o.rounds,
           (double)histogram_at(&fan.each, 0.5) / 1e3);
    report(ld, &from, &to, ld->o.watchers * ld->o.rounds, fan.failed);
    return fan.failed == 0 ? 0 : -1;
}
