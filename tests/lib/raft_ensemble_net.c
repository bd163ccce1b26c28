/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raft_ensemble_net.c: network and time of the ensemble; see raft_ensemble.h.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble_private.h"

struct ens_node *ens_node(struct ens *c, raft_id id)
{
    ck_assert(id >= 1 && id <= c->count);
    return &c->nodes[id - 1];
}

struct raft_status ens_status(struct ens *c, raft_id id)
{
    struct raft_status s;
    raft_status(ens_node(c, id)->raft, &s);
    return s;
}

struct ens_link *ens_link(struct ens *c, raft_id from, raft_id to)
{
    return &c->links[from - 1][to - 1];
}

/* --- messages ------------------------------------------------------------------------------- */

static void free_packet(struct ens_packet *p)
{
    free(p->entries);
    free(p->values);
    free(p);
}

static void attach_entries(struct ens *c, struct ens_node *n, struct ens_packet *p)
{
    p->entries = calloc(p->msg.count + 1, sizeof(*p->entries));
    p->values = calloc(p->msg.count + 1, sizeof(*p->values));
    for (uint32_t i = 0; i < p->msg.count; i++) {
        raft_index index = p->msg.index + 1 + i;
        const struct raft_entry *e = raft_entry_at(n->raft, index);
        ck_assert_ptr_nonnull(e);
        p->entries[i] = *e;
        p->values[i] = n->log.values[index];
        if (e->type == RAFT_ENTRY_CONFIG) {
            ck_assert_uint_lt(p->configs_count, RAFT_CONFIGS_MAX);
            struct raft_config_at *at = &p->configs[p->configs_count++];
            at->index = index;
            at->config = c->configs[p->values[i] - ENS_CONFIG_VALUE];
        }
    }
    n->sent_entries += p->msg.count;
}

static void enqueue(struct ens *c, struct ens_packet *p)
{
    ck_assert_uint_lt(c->queue_count, ENS_QUEUE_MAX);
    c->sent[p->msg.type]++;
    c->queue[c->queue_count++] = p;
}

void ens_send(struct ens *c, struct ens_node *n, const struct raft_send *s)
{
    const struct raft_msg *m = &s->msg;
    ck_assert_uint_eq(m->from, n->id);
    n->sent[m->type]++;
    if (m->to < 1 || m->to > c->count) {
        return;
    }
    const struct ens_link *link = ens_link(c, m->from, m->to);
    if (link->cut || link->drop_type == m->type) {
        return;
    }
    struct ens_packet *p = calloc(1, sizeof(*p));
    p->msg = *m;
    p->at = c->now + link->delay;
    if (m->type == RAFT_MSG_APPEND) {
        attach_entries(c, n, p);
    } else if (m->type == RAFT_MSG_SNAPSHOT) {
        const struct raft_snapshot *snap = &c->snapshots[m->snap_id - 1];
        p->configs[0] = (struct raft_config_at){snap->config_index, snap->config};
        p->configs_count = 1;
    }
    if (c->hold_type == m->type && (c->hold_from == 0 || c->hold_from == m->from)) {
        ck_assert_uint_lt(c->held_count, 64);
        c->held[c->held_count++] = p;
        return;
    }
    enqueue(c, p);
}

static void deliver(struct ens *c, struct ens_packet *p)
{
    struct ens_node *n = ens_node(c, p->msg.to);
    if (n->raft != NULL && !ens_link(c, p->msg.from, p->msg.to)->cut) {
        struct raft_event ev = {.type = RAFT_EV_RECV,
                                .msg = &p->msg,
                                .entries = p->entries,
                                .count = p->msg.count,
                                .configs = p->configs,
                                .configs_count = p->configs_count};
        int rv = ens_event(c, n, &ev, p->values);
        ck_assert(rv == 0 || rv == RAFT_EFAULTED);
        if (rv == 0) {
            ens_actions(c, n);
        }
    }
    free_packet(p);
}

void ens_inject(struct ens *c, const struct raft_msg *m, raft_term term)
{
    struct ens_packet *p = calloc(1, sizeof(*p));
    p->msg = *m;
    if (m->type == RAFT_MSG_APPEND) {
        p->entries = calloc(m->count + 1, sizeof(*p->entries));
        p->values = calloc(m->count + 1, sizeof(*p->values));
        for (uint32_t i = 0; i < m->count; i++) {
            p->entries[i].term = term;
            p->entries[i].type = RAFT_ENTRY_COMMAND;
            p->values[i] = ++c->next_value;
        }
    }
    deliver(c, p);
}

/* The first packet in order that may arrive by now. Return: NULL when none. */
static struct ens_packet *next_packet(struct ens *c)
{
    for (uint32_t i = 0; i < c->queue_count; i++) {
        struct ens_packet *p = c->queue[i];
        if (p->at <= c->now) {
            c->queue_count--;
            memmove(c->queue + i, c->queue + i + 1, (c->queue_count - i) * sizeof(c->queue[0]));
            return p;
        }
    }
    return NULL;
}

void ens_settle(struct ens *c)
{
    struct ens_packet *p;
    int budget = 200000;
    while ((p = next_packet(c)) != NULL) {
        ck_assert_msg(budget-- > 0, "the network never gets quiet");
        deliver(c, p);
    }
}

void ens_drain(struct ens *c)
{
    for (uint32_t i = 0; i < c->queue_count; i++) {
        free_packet(c->queue[i]);
    }
    for (uint32_t i = 0; i < c->held_count; i++) {
        free_packet(c->held[i]);
    }
    c->queue_count = c->held_count = 0;
}

void ens_hold(struct ens *c, raft_id from, uint32_t type)
{
    c->hold_from = from;
    c->hold_type = type;
}

void ens_release(struct ens *c)
{
    for (uint32_t i = 0; i < c->held_count; i++) {
        c->held[i]->at = c->now;
        enqueue(c, c->held[i]);
    }
    c->held_count = 0;
    c->hold_type = 0;
}

/* --- time ----------------------------------------------------------------------------------- */

/* The next moment at which something is due. */
static raft_ns next_moment(struct ens *c)
{
    raft_ns at = UINT64_MAX;
    for (uint32_t i = 0; i < c->count; i++) {
        raft_ns due = c->nodes[i].raft == NULL ? UINT64_MAX : raft_deadline(c->nodes[i].raft);
        at = due < at ? due : at;
    }
    for (uint32_t i = 0; i < c->queue_count; i++) {
        at = c->queue[i]->at < at ? c->queue[i]->at : at;
    }
    return at;
}

static void tick_due(struct ens *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct ens_node *n = &c->nodes[i];
        for (int again = 0; n->raft != NULL && raft_deadline(n->raft) <= c->now; again++) {
            ck_assert_msg(again < 100, "member %u: a deadline that no tick moves", n->id);
            (void)ens_step(c, n->id, (struct raft_event){.type = RAFT_EV_TICK});
        }
    }
}

void ens_run(struct ens *c, raft_ns ns)
{
    raft_ns end = c->now + ns;
    ens_settle(c);
    for (raft_ns at = next_moment(c); at <= end; at = next_moment(c)) {
        c->now = at > c->now ? at : c->now;
        ens_settle(c);
        tick_due(c);
        ens_settle(c);
    }
    c->now = end;
}

raft_id ens_leader(struct ens *c)
{
    raft_id leader = 0;
    raft_term term = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        struct ens_node *n = &c->nodes[i];
        if (n->raft == NULL) {
            continue;
        }
        struct raft_status s = ens_status(c, n->id);
        if (s.role == RAFT_LEADER && s.term > term) {
            leader = n->id;
            term = s.term;
        }
    }
    return leader;
}

raft_id ens_elect(struct ens *c)
{
    for (int i = 0; i < 3000; i++) {
        raft_id id = ens_leader(c);
        if (id != 0 && ens_status(c, id).leader_ready) {
            ens_settle(c);
            return id;
        }
        ens_run(c, 10 * ENS_MS);
    }
    ck_abort_msg("nobody was elected within 30 s");
    return 0;
}

void ens_make_leader(struct ens *c, raft_id id)
{
    (void)ens_step(c, id, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    ck_assert_int_eq(ens_status(c, id).role, RAFT_LEADER);
}

/* --- links ---------------------------------------------------------------------------------- */

static void tell_link(struct ens *c, raft_id id, raft_id peer, int up)
{
    if (ens_node(c, id)->raft != NULL) {
        struct raft_event ev = {.type = RAFT_EV_PEER_LINK, .peer = peer, .value = up != 0};
        (void)ens_step(c, id, ev);
    }
}

static void set_link(struct ens *c, raft_id a, raft_id b, int up, int tell)
{
    ens_link(c, a, b)->cut = !up;
    ens_link(c, b, a)->cut = !up;
    if (tell) {
        tell_link(c, a, b, up);
        tell_link(c, b, a, up);
    }
}

void ens_cut(struct ens *c, raft_id a, raft_id b, int tell)
{
    set_link(c, a, b, 0, tell);
}

void ens_heal(struct ens *c, raft_id a, raft_id b, int tell)
{
    set_link(c, a, b, 1, tell);
}

void ens_isolate(struct ens *c, raft_id id, int tell)
{
    for (uint32_t i = 1; i <= c->count; i++) {
        if (i != id) {
            ens_cut(c, id, i, tell);
        }
    }
}

void ens_heal_all(struct ens *c, int tell)
{
    for (uint32_t a = 1; a <= c->count; a++) {
        for (uint32_t b = a + 1; b <= c->count; b++) {
            ens_heal(c, a, b, tell);
        }
    }
    ens_settle(c);
}

void ens_slow(struct ens *c, raft_ns delay)
{
    for (uint32_t a = 1; a <= c->count; a++) {
        for (uint32_t b = 1; b <= c->count; b++) {
            ens_link(c, a, b)->delay = delay;
        }
    }
}

/* --- members -------------------------------------------------------------------------------- */

struct raft_config ens_config(uint32_t voters, uint32_t learners)
{
    struct raft_config c;
    memset(&c, 0, sizeof(c));
    for (uint32_t i = 0; i < 32; i++) {
        if (((voters | learners) >> i & 1) != 0) {
            c.members[c.count].id = i + 1;
            c.members[c.count++].roles = (voters >> i & 1) != 0 ? RAFT_VOTER : RAFT_LEARNER;
        }
    }
    return c;
}

int ens_change(struct ens *c, raft_id id, uint32_t voters, uint32_t learners)
{
    struct raft_config target = ens_config(voters, learners);
    return ens_step(c, id, (struct raft_event){.type = RAFT_EV_PROPOSE_CONFIG, .config = &target});
}

static int stands_at(const struct raft_status *s, const struct raft_config *wanted)
{
    int same = s->config <= s->commit && s->peers_count == wanted->count;
    for (uint32_t i = 0; same && i < wanted->count; i++) {
        same = s->peers[i].id == wanted->members[i].id &&
               s->peers[i].roles == wanted->members[i].roles;
    }
    return same;
}

void ens_await_config(struct ens *c, uint32_t voters, uint32_t learners)
{
    struct raft_config wanted = ens_config(voters, learners);
    for (int i = 0; i < 1000; i++) {
        raft_id id = ens_leader(c);
        if (id != 0) {
            struct raft_status s = ens_status(c, id);
            if (s.leader_ready && stands_at(&s, &wanted)) {
                return;
            }
        }
        ens_run(c, 10 * ENS_MS);
    }
    ck_abort_msg("the change did not come about within 10 s");
}

void ens_run_until_joint(struct ens *c, raft_id id)
{
    for (int i = 0; i < 3000 && !ens_status(c, id).joint; i++) {
        ens_run(c, ENS_MS);
    }
    ck_assert_int_eq(ens_status(c, id).joint, 1);
}

uint32_t ens_roles(struct ens *c, raft_id id, raft_id of)
{
    struct raft_status s = ens_status(c, id);
    for (uint32_t i = 0; i < s.peers_count; i++) {
        if (s.peers[i].id == of) {
            return s.peers[i].roles;
        }
    }
    return 0;
}

/* --- reads and comparison ------------------------------------------------------------------- */

int ens_read(struct ens *c, raft_id id, uint64_t cookie)
{
    return ens_step(c, id, (struct raft_event){.type = RAFT_EV_READ, .cookie = cookie});
}

int ens_read_result(struct ens *c, raft_id id, uint64_t cookie, raft_index *ret_index)
{
    const struct ens_node *n = ens_node(c, id);
    for (uint32_t i = 0; i < n->reads_count; i++) {
        if (n->reads[i].cookie == cookie) {
            if (ret_index != NULL) {
                *ret_index = n->reads[i].index;
            }
            return (int)n->reads[i].result;
        }
    }
    return 0;
}

void ens_assert_equal(struct ens *c)
{
    raft_id leader = ens_leader(c);
    for (uint32_t i = 0; i < c->count; i++) {
        struct ens_node *n = &c->nodes[i];
        if (n->raft == NULL || (leader != 0 && ens_roles(c, leader, n->id) == 0)) {
            continue;
        }
        struct raft_status s = ens_status(c, n->id);
        ck_assert_msg(n->applied == c->committed,
                      "member %u applied %lu of %lu: role %d term %lu leader %u last %lu fault %s",
                      n->id, n->applied, c->committed, (int)s.role, s.term, s.leader, s.last,
                      s.fault == NULL ? "none" : s.fault);
        ck_assert_uint_eq(ens_status(c, n->id).last, c->committed);
        for (raft_index k = 1; k <= n->applied; k++) {
            ck_assert_uint_eq(n->values[k], c->committed_value[k]);
        }
    }
}
