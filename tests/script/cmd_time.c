/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_time.c: time passes, and what is then the case.
 *
 *   run 500ms                     let time pass
 *   until CONDITION [within 5s]   run until it holds; a failure when it does not in time (10 s)
 *   expect CONDITION              it holds now
 *   never CONDITION for 2s        it holds at no event of that time
 *   always CONDITION for 2s       it holds at every event of that time
 *
 * In a sweep nothing is asked for: expect passes, until only waits (at most 2 s), never and always let
 * the time pass. Threads: none.
 */
#include "tests/script/script.h"

#include <string.h>

#define WAIT_NS       (10 * SIM_SEC)
#define SWEEP_WAIT_NS (2 * SIM_SEC)

/* A trailing "within 5s" or "for 2s". Return: how many words are the condition. */
static int split_time(const struct words *ws, const char *word, uint64_t *ret_ns)
{
    int count = ws->count - 1;
    if (count >= 3 && strcmp(ws->v[ws->count - 2], word) == 0 &&
        word_duration(ws->v[ws->count - 1], ret_ns)) {
        count -= 2;
    }
    return count;
}

static int asks(struct run *r, const struct words *ws, int count, struct text *seen)
{
    text_clear(seen);
    return cond_holds(r, ws->v + 1, count, seen);
}

static void until(struct run *r, const struct words *ws)
{
    uint64_t ns = WAIT_NS;
    struct text seen = {0};
    int count = split_time(ws, "within", &ns);
    run_start(r);
    if (r->mode == RUN_SWEEP && ns > SWEEP_WAIT_NS) {
        ns = SWEEP_WAIT_NS;
    }
    uint64_t limit = r->w->now + ns;
    int more = 1;
    while (!run_over(r)) {
        if (asks(r, ws, count, &seen) != 0) {
            break; /* or it makes no sense */
        }
        if (!more && r->mode != RUN_SWEEP) {
            run_fail(r, "'%s': not in time: %s", r->line->text, seen.data ? seen.data : "");
        }
        if (!more) {
            break;
        }
        more = run_event(r, limit);
    }
    text_free(&seen);
}

static void expect(struct run *r, const struct words *ws)
{
    struct text seen = {0};
    if (r->mode != RUN_SWEEP && asks(r, ws, ws->count - 1, &seen) == 0) {
        run_fail(r, "'%s': %s", r->line->text, seen.data ? seen.data : "it is not so");
    }
    text_free(&seen);
}

static void throughout(struct run *r, const struct words *ws, int wanted)
{
    uint64_t ns = 0;
    struct text seen = {0};
    int count = split_time(ws, "for", &ns);
    run_start(r);
    if (ns == 0) {
        run_bad(r, "never|always CONDITION for TIME");
        return;
    }
    if (r->mode == RUN_SWEEP) {
        run_for(r, ns);
        return;
    }
    uint64_t limit = r->w->now + ns;
    int more = 1;
    while (!run_over(r) && more) {
        int holds = asks(r, ws, count, &seen);
        if (holds >= 0 && holds != wanted) {
            run_fail(r, "'%s': %s", r->line->text, seen.data ? seen.data : "");
        }
        more = !run_over(r) && run_event(r, limit);
    }
    text_free(&seen);
}

int cmd_time(struct run *r, const struct words *ws)
{
    const char *cmd = ws->v[0];
    if (strcmp(cmd, "run") == 0) {
        uint64_t ns = 0;
        if (ws->count != 2 || !word_duration(ws->v[1], &ns)) {
            run_bad(r, "run TIME");
            return 1;
        }
        run_for(r, ns);
        return 1;
    }
    if (strcmp(cmd, "until") == 0) {
        until(r, ws);
        return 1;
    }
    if (strcmp(cmd, "expect") == 0) {
        expect(r, ws);
        return 1;
    }
    if (strcmp(cmd, "never") == 0 || strcmp(cmd, "always") == 0) {
        throughout(r, ws, cmd[0] == 'a');
        return 1;
    }
    return 0;
}
