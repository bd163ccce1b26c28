/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.c: worlds to begin a search from, so that it need not spend its depth on the first election.
 *
 * Each start is a list of ordinary actions, taken by the same code as the search and checked by the
 * same rules; a trace that is printed begins with them. What they use is not counted.
 * Thread: one.
 */
#include "tests/mc/mc.h"

#include <string.h>

struct start {
    const struct mc_scope *s;
    struct mc_world *w;
    struct mc_result *result;
    const char *broken;
    uint32_t keep; /* bit t: messages of type t stay in the network */
    uint8_t deaf;  /* bit i: messages to member i + 1 are lost */
    uint8_t slow;  /* bit i: messages to member i + 1 stay in the network */
    int joint;     /* stop when member 1 has appended a joint configuration */
};

static int act(struct start *t, enum mc_kind kind, unsigned node, uint32_t argument)
{
    struct mc_action a = {(uint8_t)kind, (uint8_t)node, argument};
    if (t->broken != NULL || t->result->steps_count == MC_STEPS_MAX) {
        return 0;
    }
    if (!mc_world_apply(t->s, t->w, &a, &t->broken)) {
        return 0;
    }
    t->result->steps[t->result->steps_count++] = a;
    return 1;
}

static void lose(struct start *t, unsigned at)
{
    t->w->net_count--;
    memmove(t->w->net + at, t->w->net + at + 1, (t->w->net_count - at) * sizeof(t->w->net[0]));
    t->w->net[t->w->net_count] = 0;
}

/* Deliver the first message that may be. Return: 0 when there is none. */
static int deliver_one(struct start *t)
{
    for (unsigned i = 0; i < t->w->net_count; i++) {
        uint32_t number = t->w->net[i];
        const struct raft_msg *m = &mc_msg_at(number)->head;
        if ((t->keep >> m->type & 1) != 0 || (t->slow >> (m->to - 1) & 1) != 0) {
            continue;
        }
        if ((t->deaf >> (m->to - 1) & 1) != 0 || !act(t, MC_RECV, m->to - 1, number)) {
            lose(t, i);
        }
        return 1;
    }
    return 0;
}

static int is_joint(const struct mc_world *w)
{
    return mc_config_at(mc_view_at(w->member[0])->config)->old != 0;
}

/* Deliver and write until nothing is left to do. */
static void settle(struct start *t)
{
    int busy = 1;
    while (busy && t->broken == NULL && !(t->joint && is_joint(t->w))) {
        busy = deliver_one(t);
        for (unsigned i = 0; i < t->s->nodes; i++) {
            while (mc_view_at(t->w->member[i])->writes_count > 0 && act(t, MC_WRITTEN, i, 1)) {
                busy = 1;
            }
        }
    }
}

static void lead(struct start *t)
{
    for (unsigned i = 1; i < t->s->nodes; i++) {
        if (mc_view_at(t->w->member[i])->loyal) {
            (void)act(t, MC_ELAPSE, i, 0); /* to whom it may have heard before it started */
        }
    }
    (void)act(t, MC_TICK, 0, 0);
    settle(t);
    if (mc_view_at(t->w->member[0])->commit == 0 && t->broken == NULL) {
        t->broken = "the start has no leader";
    }
}

/* Members 1 and 2 go on without 3, take a snapshot, and find out that 3 needs it. */
static void leave_behind(struct start *t)
{
    t->deaf = 4;
    (void)act(t, MC_PROPOSE, 0, 10);
    settle(t);
    (void)act(t, MC_SNAP, 0, 0);
    settle(t);
    t->deaf = 0;
    t->keep = (uint32_t)1 << RAFT_MSG_SNAPSHOT;
    (void)act(t, MC_TICK, 0, 0);
    settle(t);
}

/* Member 1 writes entries that reach nobody, with a change of members where the scope has one, and
 * nobody feels bound to it any more. */
static void diverge(struct start *t)
{
    t->deaf = 6;
    (void)act(t, MC_PROPOSE, 0, 10);
    if (t->s->targets[0][0] != 0) {
        (void)act(t, MC_CONFIG, 0, 0);
    } else {
        (void)act(t, MC_PROPOSE, 0, 11);
    }
    settle(t);
    (void)act(t, MC_ELAPSE, 1, 0);
    (void)act(t, MC_ELAPSE, 2, 0);
}

/* Member 1 proposes, member 3 alone has it on disk when member 1 crashes. */
static void forget(struct start *t)
{
    t->deaf = 2;
    (void)act(t, MC_PROPOSE, 0, 10);
    while (deliver_one(t)) {
    }
    (void)act(t, MC_WRITTEN, 2, 1);
    (void)act(t, MC_CRASH, 0, 0);
    (void)act(t, MC_START, 0, 0);
    (void)act(t, MC_ELAPSE, 0, 0);
    t->deaf = 7;
    settle(t);
    t->deaf = 0;
}

/* Member 1 is asked for other members. */
static void change(struct start *t, int joint)
{
    unsigned voters = mc_config_at(MC_CONFIG_FIRST)->voters;
    t->joint = joint;
    t->slow = joint ? 0 : (uint8_t)~voters;
    (void)act(t, MC_CONFIG, 0, 0);
    settle(t);
    if (joint && !is_joint(t->w) && t->broken == NULL) {
        t->broken = "the start never comes to a joint configuration";
    }
}

/* Member 2 leads then, commits, and compacts what the former leader would need. */
static void fork_off(struct start *t)
{
    diverge(t);
    t->deaf = 1;
    (void)act(t, MC_TICK, 1, 0);
    settle(t);
    (void)act(t, MC_SNAP, 1, 0);
    settle(t);
    t->deaf = 0;
    t->keep = (uint32_t)1 << RAFT_MSG_SNAPSHOT;
    for (int beats = 0; beats < 4 && t->w->net_count == 0; beats++) {
        (void)act(t, MC_TICK, 1, 0); /* finds out that member 1 needs it */
        settle(t);
    }
}

const char *mc_world_start(const struct mc_scope *s, struct mc_world *ret_world,
                           struct mc_result *result)
{
    struct start t = {.s = s, .w = ret_world, .result = result};
    memset(ret_world, 0, sizeof(*ret_world));
    for (unsigned i = 0; i < s->nodes; i++) {
        ret_world->member[i] = mc_member_fresh(i + 1);
    }
    for (unsigned i = 0; i < s->nodes; i++) {
        (void)act(&t, MC_START, i, 0);
    }
    if (s->start != MC_FRESH) {
        lead(&t);
    }
    if (s->start == MC_BEHIND) {
        leave_behind(&t);
    } else if (s->start == MC_DIVERGED) {
        diverge(&t);
    } else if (s->start == MC_FORGOTTEN) {
        forget(&t);
    } else if (s->start == MC_LEARNING || s->start == MC_JOINT) {
        change(&t, s->start == MC_JOINT);
    } else if (s->start == MC_FORKED) {
        fork_off(&t);
    }
    memset(ret_world->used, 0, sizeof(ret_world->used));
    result->start_count = result->steps_count;
    return t.broken;
}
