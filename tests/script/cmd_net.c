/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_net.c: messages. LINK is FROM>TO in one direction, A-B in both; members are 1,2,3 or *.
 * TYPES is a list like APPEND,VOTE or *, and may be left out for all.
 *
 *   cut LINK | cut A             nothing leaves on it any more, silently; A: on all links of A
 *   heal [LINK | A]              it does again
 *   break LINK                   the connection breaks: both ends are told, what is under way is lost
 *   hold LINK [TYPES]            keep what arrives from now on
 *   deliver LINK [TYPES] [xN]    hand over N (1) of what is held, oldest first; waits 5 ms for it
 *   lose LINK [TYPES] [xN|all]   throw N (1) of what is held away
 *   release [LINK [TYPES]]       hold, drop and copy no more, and hand over everything that is held
 *   drop next LINK TYPES [xN]    lose the next N (1) that arrive; `drop LINK TYPES`: all from now on
 *   copy next LINK TYPES [xN]    the next N (1) arrive, and a copy of each is held
 *
 * Threads: none.
 */
#include "tests/script/script.h"

#include <string.h>

#define ARRIVE_NS (5 * SIM_MS) /* what is to be delivered may still be on its way */

struct target {
    uint32_t from;
    uint32_t to;
    uint32_t types;
    uint32_t times;
    int both;
    int timed; /* times was given */
};

/* Words `at`.. : LINK [TYPES] [xN]. Return: 1, or 0 with run_bad. */
static int read_target(struct run *r, const struct words *ws, int at, struct target *ret)
{
    struct target t = {.types = ALL_TYPES, .times = 1};
    int good = at < ws->count && word_link(ws->v[at], &t.from, &t.to, &t.both);
    at++;
    if (good && at < ws->count && word_types(ws->v[at], &t.types)) {
        at++;
    }
    if (good && at < ws->count && word_times(ws->v[at], &t.times)) {
        t.timed = 1;
        at++;
    }
    if (!good || at != ws->count) {
        run_bad(r, "%s LINK [TYPES] [xN]", ws->v[0]);
        return 0;
    }
    *ret = t;
    run_start(r);
    return 1;
}

static void add_rule(struct run *r, enum rule_kind kind, const struct target *t, uint32_t left)
{
    for (int way = 0; way <= t->both; way++) {
        if (r->rules_count == RULES_MAX) {
            run_bad(r, "more than %d rules", RULES_MAX);
            return;
        }
        r->w->rough_network = 1; /* what was held back may come in a burst */
        r->rules[r->rules_count++] = (struct rule){.kind = kind,
                                                   .from = way ? t->to : t->from,
                                                   .to = way ? t->from : t->to,
                                                   .types = t->types,
                                                   .left = left};
    }
}

static void set_cuts(struct run *r, uint32_t from, uint32_t to, uint8_t value)
{
    for (raft_id a = 1; a <= r->k.nodes; a++) {
        for (raft_id b = 1; b <= r->k.nodes; b++) {
            if (a != b && (from >> a & 1) != 0 && (to >> b & 1) != 0) {
                r->w->net.cut[a][b] = value;
            }
        }
    }
}

static void cut_or_heal(struct run *r, const struct words *ws, uint8_t value)
{
    uint32_t from = UINT32_MAX;
    uint32_t to = UINT32_MAX;
    int both = 1;
    run_start(r);
    if (ws->count == 2 && word_members(ws->v[1], &from)) {
        to = UINT32_MAX;
    } else if (!(ws->count == 1 && value == 0) &&
               !(ws->count == 2 && word_link(ws->v[1], &from, &to, &both))) {
        run_bad(r, "%s LINK or MEMBER", ws->v[0]);
        return;
    }
    set_cuts(r, from, to, value);
    if (both) {
        set_cuts(r, to, from, value);
    }
}

static void break_links(struct run *r, const struct words *ws)
{
    struct target t;
    if (!read_target(r, ws, 1, &t)) {
        return;
    }
    for (raft_id a = 1; a <= r->k.nodes; a++) {
        for (raft_id b = 1; b <= r->k.nodes; b++) {
            if (a != b && (t.from >> a & 1) != 0 && (t.to >> b & 1) != 0) {
                net_break(r->w, a, b);
            }
        }
    }
}

static void deliver(struct run *r, const struct words *ws, int lose)
{
    struct target t;
    if (!read_target(r, ws, 1, &t)) {
        return;
    }
    uint32_t (*act)(struct run *, uint32_t, uint32_t, uint32_t, uint32_t) =
        lose ? run_lose : run_deliver;
    uint32_t done = 0;
    uint64_t limit = r->w->now + ARRIVE_NS;
    for (int more = 1; more && done < t.times && !run_over(r);) {
        done += act(r, t.from, t.to, t.types, t.times - done);
        if (t.both && done < t.times) {
            done += act(r, t.to, t.from, t.types, t.times - done);
        }
        more = t.times != UINT32_MAX && done < t.times && run_event(r, limit);
    }
    if (done < t.times && t.times != UINT32_MAX && r->mode != RUN_SWEEP) {
        run_fail(r, "'%s': only %u such messages are held", r->line->text, done);
    }
}

static void release(struct run *r, const struct words *ws)
{
    struct target t = {.from = UINT32_MAX, .to = UINT32_MAX, .types = ALL_TYPES};
    if (ws->count > 1 && !read_target(r, ws, 1, &t)) {
        return;
    }
    run_start(r);
    size_t kept = 0;
    for (size_t i = 0; i < r->rules_count; i++) {
        struct rule *rule = &r->rules[i];
        int way = (rule->from & ~t.from) == 0 && (rule->to & ~t.to) == 0;
        int back = t.both && (rule->from & ~t.to) == 0 && (rule->to & ~t.from) == 0;
        if (way || back) {
            rule->types &= ~t.types;
        }
        if (rule->types != 0) {
            r->rules[kept++] = *rule;
        }
    }
    r->rules_count = kept;
    (void)run_deliver(r, t.from, t.to, t.types, UINT32_MAX);
    if (t.both) {
        (void)run_deliver(r, t.to, t.from, t.types, UINT32_MAX);
    }
}

/* drop | copy [next] LINK TYPES [xN] */
static void rule_command(struct run *r, const struct words *ws, enum rule_kind kind)
{
    struct target t;
    int next = ws->count > 1 && strcmp(ws->v[1], "next") == 0;
    if (read_target(r, ws, next ? 2 : 1, &t)) {
        add_rule(r, kind, &t, next ? t.times : UINT32_MAX);
    }
}

int cmd_net(struct run *r, const struct words *ws)
{
    static const struct {
        const char *name;
        enum rule_kind kind;
    } rules[] = {{"hold", RULE_HOLD}, {"drop", RULE_DROP}, {"copy", RULE_COPY}};
    const char *cmd = ws->v[0];
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (strcmp(cmd, rules[i].name) == 0) {
            rule_command(r, ws, rules[i].kind);
            return 1;
        }
    }
    if (strcmp(cmd, "cut") == 0 || strcmp(cmd, "heal") == 0) {
        cut_or_heal(r, ws, cmd[0] == 'c');
    } else if (strcmp(cmd, "break") == 0) {
        break_links(r, ws);
    } else if (strcmp(cmd, "deliver") == 0 || strcmp(cmd, "lose") == 0) {
        deliver(r, ws, cmd[0] == 'l');
    } else if (strcmp(cmd, "release") == 0) {
        release(r, ws);
    } else {
        return 0;
    }
    return 1;
}
