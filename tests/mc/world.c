/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.c: members and messages together: what may happen next, and what comes of it.
 *
 * The network keeps every message until it is delivered, in no order. A message that is never
 * delivered is a lost one, so loss needs no choice of its own and no bound. Two reductions, both
 * exact for what is checked here (rules about what is reached, not about what must happen):
 *
 *   - A delivery that changes nothing is not a step: the world without that message can do nothing
 *     that the world with it cannot.
 *   - A reply that its receiver ignores is removed once the receiver's disk is in a later term:
 *     whatever the receiver goes through, it will not come back to the term of the reply.
 *
 * Thread: one.
 */
#include "tests/mc/mc.h"

#include <string.h>

struct mc_tally mc_tally;

/* --- the network ---------------------------------------------------------------------------- */

static unsigned link_of(uint32_t message)
{
    const struct raft_msg *m = &mc_msg_at(message)->head;
    return m->from * 8 + m->to;
}

/* Kept by number, or in order of links and of sending. */
static void net_add(const struct mc_scope *s, struct mc_world *w, uint32_t message)
{
    if (w->net_count == MC_NET_MAX) {
        mc_tally.losses++;
        return;
    }
    unsigned at = w->net_count++;
    while (at > 0 &&
           (s->ordered ? link_of(w->net[at - 1]) > link_of(message) : w->net[at - 1] > message)) {
        w->net[at] = w->net[at - 1];
        at--;
    }
    w->net[at] = message;
}

static void net_remove(struct mc_world *w, unsigned at)
{
    w->net_count--;
    memmove(w->net + at, w->net + at + 1, (w->net_count - at) * sizeof(w->net[0]));
    w->net[w->net_count] = 0;
}

/* 1 when the receiver will ignore it, whatever happens: its disk is in a later term, and the core
 * does ignore it as it stands. */
static int is_void(const struct mc_world *w, uint32_t number)
{
    const struct raft_msg *m = &mc_msg_at(number)->head;
    uint32_t to = w->member[m->to - 1];
    const struct mc_view *v = mc_view_at(to);
    int late = 0;
    switch (m->type) {
    case RAFT_MSG_PREVOTE_REPLY:
        late = m->term <= v->disk_term;
        break;
    case RAFT_MSG_VOTE_REPLY:
    case RAFT_MSG_APPEND_REPLY:
    case RAFT_MSG_HEARTBEAT_REPLY:
    case RAFT_MSG_SNAPSHOT_REPLY:
    case RAFT_MSG_READ_REPLY:
    case RAFT_MSG_TIMEOUT_NOW:
        late = m->term < v->disk_term;
        break;
    default:
        break;
    }
    return late && v->up && !v->unpolled && mc_event(to, MC_RECV, number)->same;
}

static void net_purge(struct mc_world *w)
{
    unsigned i = 0;
    while (i < w->net_count) {
        if (is_void(w, w->net[i])) {
            net_remove(w, i);
        } else {
            i++;
        }
    }
}

/* --- choices -------------------------------------------------------------------------------- */

struct choices {
    const struct mc_scope *s;
    const struct mc_world *w;
    struct mc_action *list;
    unsigned count;
};

static int left(const struct choices *c, enum mc_budget b)
{
    return c->w->used[b] < c->s->budget[b];
}

static void add(struct choices *c, enum mc_kind kind, unsigned node, uint32_t argument)
{
    if (c->count == MC_ACTIONS_MAX) {
        mc_die("more choices than the list holds");
    }
    c->list[c->count++] = (struct mc_action){(uint8_t)kind, (uint8_t)node, argument};
}

static int allowed(uint8_t mask, unsigned node)
{
    return mask == 0 || (mask >> node & 1) != 0;
}

static void time_choices(struct choices *c, unsigned i, const struct mc_view *v)
{
    if (mc_timed(c->s) && !v->due) {
        if (left(c, MC_B_CAMPAIGN) && allowed(c->s->may_timeout, i)) {
            add(c, MC_CAMPAIGN, i, 0);
        }
        return;
    }
    if (v->role == RAFT_LEADER) {
        if (left(c, MC_B_BEAT)) {
            add(c, MC_TICK, i, 0);
        }
        if (left(c, MC_B_PAUSE)) {
            add(c, MC_PAUSE, i, 0);
        }
        return;
    }
    if (left(c, MC_B_TIMEOUT) && allowed(c->s->may_timeout, i)) {
        add(c, MC_TICK, i, 0);
    }
    if (left(c, MC_B_CAMPAIGN) && allowed(c->s->may_timeout, i)) {
        add(c, MC_CAMPAIGN, i, 0);
    }
    if (v->loyal && left(c, MC_B_ELAPSE)) {
        add(c, MC_ELAPSE, i, 0);
    }
}

static void disk_choices(struct choices *c, unsigned i, const struct mc_view *v)
{
    if (v->writes_count > 0) {
        add(c, MC_WRITTEN, i, 1);
    }
    if (v->writes_count > 1) {
        add(c, MC_WRITTEN, i, v->writes_count);
    }
    if (v->install) {
        add(c, MC_INSTALL, i, 0);
    }
    if (v->install && left(c, MC_B_REJECT)) {
        add(c, MC_REJECT, i, 0);
    }
    if (v->applied > v->snap_index && left(c, MC_B_SNAP)) {
        add(c, MC_SNAP, i, 0);
        if (v->applied > 1) {
            add(c, MC_SNAP, i, 1);
        }
    }
    for (unsigned lost = !c->s->rot_vote; left(c, MC_B_ROT) && allowed(c->s->may_rot, i) &&
                                          lost <= (unsigned)v->disk.log.last - v->disk.log.base;
         lost++) {
        add(c, MC_ROT, i, lost);
    }
    if (!left(c, MC_B_CRASH) || !allowed(c->s->may_crash, i)) {
        return;
    }
    for (unsigned k = 0; k <= v->records; k++) {
        add(c, MC_CRASH, i, k);
        if (v->install) {
            add(c, MC_CRASH, i, k | 256u);
        }
    }
}

static void client_choices(struct choices *c, unsigned i, const struct mc_view *v)
{
    if (v->role == RAFT_LEADER && left(c, MC_B_PROPOSE) && allowed(c->s->may_propose, i)) {
        add(c, MC_PROPOSE, i, c->w->used[MC_B_PROPOSE] + 1u);
    }
    if (left(c, MC_B_READ) && allowed(c->s->may_read, i)) {
        add(c, MC_READ, i, c->w->used[MC_B_READ] + 1u);
    }
    if (v->role == RAFT_LEADER && left(c, MC_B_CONFIG)) {
        add(c, MC_CONFIG, i, c->w->used[MC_B_CONFIG]);
    }
    for (unsigned to = 0; to < c->s->nodes; to++) {
        if (to == i) {
            continue;
        }
        if (v->role == RAFT_LEADER && left(c, MC_B_TRANSFER)) {
            add(c, MC_TRANSFER, i, to + 1);
        }
        if (left(c, MC_B_LINK)) {
            add(c, MC_LINK_DOWN, i, to + 1);
            add(c, MC_LINK_UP, i, to + 1);
        }
    }
}

static void message_choices(struct choices *c, uint32_t number)
{
    const struct raft_msg *m = &mc_msg_at(number)->head;
    unsigned to = m->to - 1;
    add(c, MC_RECV, to, number);
    if (left(c, MC_B_DUP)) {
        add(c, MC_RECV_DUP, to, number);
    }
    if (left(c, MC_B_HOLD) && m->type != RAFT_MSG_SNAPSHOT) {
        add(c, MC_RECV_HOLD, to, number);
    }
    if (left(c, MC_B_LOSE)) {
        add(c, MC_LOSE, to, number);
    }
}

static void net_choices(struct choices *c)
{
    const struct mc_world *w = c->w;
    for (unsigned i = 0; i < w->net_count; i++) {
        unsigned to = mc_msg_at(w->net[i])->head.to - 1;
        int same = i > 0 && w->net[i] == w->net[i - 1];
        int waits = i > 0 && c->s->ordered && link_of(w->net[i]) == link_of(w->net[i - 1]);
        if (same || !mc_view_at(w->member[to])->up) {
            continue;
        }
        if (!waits) {
            message_choices(c, w->net[i]);
        } else if (left(c, MC_B_OVERTAKE)) {
            add(c, MC_RECV_EARLY, to, w->net[i]);
        }
    }
}

unsigned mc_world_actions(const struct mc_scope *s, const struct mc_world *w,
                          struct mc_action *ret_actions)
{
    struct choices c = {s, w, ret_actions, 0};
    net_choices(&c);
    if (mc_timed(s) && left(&c, MC_B_PASS)) {
        add(&c, MC_PASS, 0, 0);
    }
    for (unsigned i = 0; i < s->nodes; i++) {
        const struct mc_view *v = mc_view_at(w->member[i]);
        if (!v->up) {
            add(&c, MC_START, i, 0);
            continue;
        }
        if (v->unpolled) {
            add(&c, MC_POLL, i, 0);
        }
        time_choices(&c, i, v);
        disk_choices(&c, i, v);
        client_choices(&c, i, v);
    }
    return c.count;
}

/* --- steps ---------------------------------------------------------------------------------- */

/* What an action uses up; MC_BUDGETS for nothing. */
static enum mc_budget price(const struct mc_world *w, const struct mc_action *a)
{
    switch (a->kind) {
    case MC_TICK:
        return mc_view_at(w->member[a->node])->role == RAFT_LEADER ? MC_B_BEAT : MC_B_TIMEOUT;
    case MC_PAUSE:
        return MC_B_PAUSE;
    case MC_ELAPSE:
        return MC_B_ELAPSE;
    case MC_PASS:
        return MC_B_PASS;
    case MC_CAMPAIGN:
        return MC_B_CAMPAIGN;
    case MC_CRASH:
        return MC_B_CRASH;
    case MC_ROT:
        return MC_B_ROT;
    case MC_RECV_DUP:
        return MC_B_DUP;
    case MC_RECV_HOLD:
        return MC_B_HOLD;
    case MC_RECV_EARLY:
        return MC_B_OVERTAKE;
    case MC_LOSE:
        return MC_B_LOSE;
    case MC_PROPOSE:
        return MC_B_PROPOSE;
    case MC_READ:
        return MC_B_READ;
    case MC_TRANSFER:
        return MC_B_TRANSFER;
    case MC_CONFIG:
        return MC_B_CONFIG;
    case MC_SNAP:
        return MC_B_SNAP;
    case MC_REJECT:
        return MC_B_REJECT;
    case MC_LINK_UP:
    case MC_LINK_DOWN:
        return MC_B_LINK;
    default:
        return MC_BUDGETS;
    }
}

static void net_take(struct mc_world *w, uint32_t message)
{
    for (unsigned i = 0; i < w->net_count; i++) {
        if (w->net[i] == message) {
            net_remove(w, i);
            return;
        }
    }
}

static uint32_t config_goals(const struct mc_view *before, const struct mc_view *v)
{
    uint32_t g = 0;
    if (!v->up || !before->up) {
        return 0;
    }
    const struct mc_config *c = mc_config_at(v->config);
    int votes = ((c->voters | c->old) >> (v->id - 1) & 1) != 0;
    g |= (uint32_t)(v->role == RAFT_LEADER && c->old != 0) << MC_G_JOINT;
    g |= (uint32_t)(v->config_index > 0 && v->commit >= v->config_index && c->old == 0 &&
                    c->promote == 0)
         << MC_G_CHANGED;
    g |= (uint32_t)(before->role == RAFT_LEADER && v->role != RAFT_LEADER && !votes)
         << MC_G_CUT_OFF;
    g |= (uint32_t)(v->config_index < before->config_index) << MC_G_FELL_BACK;
    return g;
}

static void note_goals(const struct mc_world *w, const struct mc_view *before,
                       const struct mc_action *a, const struct mc_outcome *out)
{
    const struct mc_view *v = mc_view_at(out->member);
    int leads = v->up && v->role == RAFT_LEADER;
    uint32_t g = 0;
    g |= (uint32_t)(leads && before->role != RAFT_LEADER) << MC_G_ELECTED;
    g |= (uint32_t)(leads && before->role == RAFT_LEADER && v->commit > before->commit &&
                    mc_chain_at(v->log.chain[v->commit])->term == v->term)
         << MC_G_COMMITTED;
    g |=
        (uint32_t)(v->up && before->up &&
                   !mc_chain_within(before->log.chain[before->log.last], v->log.chain[v->log.last]))
        << MC_G_TRUNCATED;
    g |= (uint32_t)(a->kind == MC_START && v->boots > 1) << MC_G_RESTARTED;
    g |= (uint32_t)(leads && v->term > 0 && w->used[MC_B_TRANSFER] > 0 &&
                    before->role != RAFT_LEADER)
         << MC_G_TRANSFERRED;
    g |= (uint32_t)(a->kind == MC_INSTALL) << MC_G_INSTALLED;
    g |= (uint32_t)(w->used[MC_B_PROPOSE] > 0 && v->commit > before->commit &&
                    mc_chain_at(v->log.chain[v->commit])->type == RAFT_ENTRY_COMMAND &&
                    mc_chain_at(v->log.chain[v->commit])->value == 1)
         << MC_G_PROPOSED;
    g |= (uint32_t)(before->role == RAFT_LEADER && v->up && !leads && v->term == before->term)
         << MC_G_STALLED;
    g |= config_goals(before, v);
    g |= (uint32_t)(before->repairing && v->up && !v->repairing) << MC_G_REPAIRED;
    for (unsigned i = 0; i < out->answers_count; i++) {
        if (out->answers[i].result == RAFT_READ_OK) {
            g |= (uint32_t)1 << (leads ? MC_G_READ : MC_G_READ_FOLLOWER);
            g |= (uint32_t)(a->kind == MC_READ && leads) << MC_G_LEASE;
        }
    }
    mc_tally.goals |= g;
}

/* A message leaves the network without an effect. */
static int pass_over(const struct mc_scope *s, struct mc_world *w, const struct mc_action *a)
{
    int blocks = s->ordered && (a->kind == MC_RECV || a->kind == MC_RECV_EARLY);
    if (!blocks && a->kind != MC_LOSE) {
        return 0;
    }
    net_take(w, a->argument);
    if (price(w, a) != MC_BUDGETS) {
        w->used[price(w, a)]++;
    }
    return 1;
}

static int pass_time(const struct mc_scope *s, struct mc_world *w, const char **ret_broken)
{
    for (unsigned i = 0; i < s->nodes && *ret_broken == NULL; i++) {
        if (mc_view_at(w->member[i])->up) {
            const struct mc_outcome *out = mc_event(w->member[i], MC_PASS, s->rate[i]);
            *ret_broken = out->broken;
            w->member[i] = out->member;
        }
    }
    w->used[MC_B_PASS]++;
    return 1;
}

int mc_world_apply(const struct mc_scope *s, struct mc_world *w, const struct mc_action *a,
                   const char **ret_broken)
{
    if (a->kind == MC_LOSE) {
        return pass_over(s, w, a);
    }
    if (a->kind == MC_PASS) {
        return pass_time(s, w, ret_broken);
    }
    enum mc_budget b = price(w, a);
    uint32_t number = w->member[a->node];
    const struct mc_outcome *out = mc_event(number, (enum mc_kind)a->kind, a->argument);
    if (out->broken != NULL) {
        *ret_broken = out->broken;
        return 1;
    }
    if (out->same || out->cut) {
        mc_tally.cuts += out->cut;
        return out->same && pass_over(s, w, a);
    }
    if (a->kind == MC_RECV || a->kind == MC_RECV_HOLD || a->kind == MC_RECV_EARLY) {
        net_take(w, a->argument);
    }
    if (a->kind == MC_READ) {
        w->read_state[a->argument - 1] = 1;
        w->read_floor[a->argument - 1] = mc_chain_at(mc_committed(w))->index;
    }
    if (b != MC_BUDGETS) {
        w->used[b]++;
    }
    w->member[a->node] = out->member;
    for (unsigned i = 0; i < out->sends_count; i++) {
        net_add(s, w, out->sends[i]);
    }
    net_purge(w);
    note_goals(w, mc_view_at(number), a, out); /* views move while mc_event runs */
    *ret_broken = mc_rules(s, w, a->node, out);
    return 1;
}
