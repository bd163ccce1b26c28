/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rules.c: what must hold between members, after each event at one of them (Raft, Figure 3).
 *
 *   W1  Election safety: a term has one leader, ever, voted for by a quorum of its own newest
 *       configuration.
 *   W2  Log matching: two logs with an entry of one index and term are equal up to it.
 *   W3  Leader completeness: a leader's log holds everything committed in earlier terms.
 *   W4  State machine safety: what is committed is one history; each member's commit index is a
 *       prefix of it, and only a leader moves its end, by an entry of its own term that is on the
 *       disks of a quorum of its newest configuration (of both halves while that is joint).
 *   W5  A read answers with an index not before anything that was committed when it began, and not
 *       beyond what is committed.
 *   W6  What a leader believes durable at a member is on its disk, unless that is in a later term.
 *       (A member whose disk lost something counts as holding what it held until it is whole again:
 *       it votes for nobody, so that nothing can be decided without what it lost. W3 has no exception.)
 *
 *   W7  A reply repeats the number of a request that was made in its term.
 *
 * The history that these rules speak of is part of the world. Thread: one.
 */
#include "tests/mc/mc.h"

mc_chain mc_committed(const struct mc_world *w)
{
    mc_chain longest = 0;
    for (unsigned t = 0; t < MC_TERMS; t++) {
        if (mc_chain_at(w->commit_by[t])->index > mc_chain_at(longest)->index) {
            longest = w->commit_by[t];
        }
    }
    return longest;
}

/* By the configuration that was its newest then, before any entry of its own. Those who moved on to a
 * later term since may have voted. */
static const char *check_elected(const struct mc_scope *s, const struct mc_world *w,
                                 const struct mc_view *v)
{
    unsigned voted = 0;
    unsigned index;
    mc_chain log = v->log.chain[v->log.last];
    while (mc_chain_at(log)->term == v->term) {
        log = mc_chain_at(log)->parent;
    }
    const struct mc_config *newest = mc_config_at(mc_config_on(log, &index));
    for (unsigned i = 0; i < s->nodes; i++) {
        const struct mc_disk *d = &mc_view_at(w->member[i])->disk;
        voted |= (unsigned)((d->damage & RAFT_DAMAGE_VOTE) != 0 || d->term > v->term ||
                            (d->term == v->term && d->vote == v->id))
                 << i;
    }
    return s->no_speech || mc_config_quorum(newest, voted)
               ? NULL
               : "W1: a leader without the votes of a quorum";
}

static const char *check_leader(const struct mc_scope *s, struct mc_world *w,
                                const struct mc_view *v)
{
    if (!v->up || v->role != RAFT_LEADER) {
        return NULL;
    }
    if (w->leader[v->term] != 0 && w->leader[v->term] != v->id) {
        return "W1: two leaders in one term";
    }
    const char *broken = w->leader[v->term] == 0 ? check_elected(s, w, v) : NULL;
    if (broken != NULL) {
        return broken;
    }
    w->leader[v->term] = v->id;
    mc_chain log = v->log.chain[v->log.last];
    for (unsigned t = 0; t < v->term; t++) {
        if (!mc_chain_within(w->commit_by[t], log)) {
            return "W3: a leader lacks what was committed in an earlier term";
        }
    }
    return NULL;
}

/* Prefix numbers include all that came before, so the last common index of equal terms decides. */
static const char *check_matching(const struct mc_view *a, const struct mc_view *b)
{
    unsigned low = a->log.base > b->log.base ? a->log.base : b->log.base;
    unsigned i = a->log.last < b->log.last ? a->log.last : b->log.last;
    for (; i > low; i--) {
        mc_chain x = a->log.chain[i];
        mc_chain y = b->log.chain[i];
        if (x == y) {
            return NULL;
        }
        if (mc_chain_at(x)->term == mc_chain_at(y)->term) {
            return "W2: equal index and term, different logs";
        }
    }
    return NULL;
}

static const char *check_quorum(const struct mc_scope *s, const struct mc_world *w, unsigned config,
                                mc_chain c)
{
    unsigned holders = 0;
    for (unsigned i = 0; i < s->nodes; i++) {
        const struct mc_view *v = mc_view_at(w->member[i]);
        holders |=
            (unsigned)(v->disk.damage != 0 || mc_disk_prefix(&v->disk, mc_chain_at(c)->index) == c)
            << i;
    }
    return mc_config_quorum(mc_config_at(config), holders)
               ? NULL
               : "W4: committed, but not on the disks of a quorum";
}

static const char *check_commit(const struct mc_scope *s, struct mc_world *w,
                                const struct mc_view *v, const struct mc_outcome *out)
{
    mc_chain group = mc_committed(w);
    if (!v->up || v->commit == 0) {
        return NULL;
    }
    mc_chain own = mc_chain_prefix(v->log.chain[v->log.last], v->commit);
    if (mc_chain_within(own, group)) {
        return NULL; /* the leader of an earlier term may learn late what a later one committed */
    }
    if (!mc_chain_within(group, own)) {
        return "W4: two histories are committed";
    }
    if (v->role != RAFT_LEADER) {
        return "W4: a member commits beyond the group without leading it";
    }
    if (mc_chain_at(own)->term != v->term) {
        return "W4: entries of an earlier term are committed by counting";
    }
    w->commit_by[v->term] = own;
    const char *broken = NULL;
    for (unsigned i = 0; i < out->commits_count && broken == NULL && !s->no_speech; i++) {
        const struct mc_commit *c = &out->commits[i];
        broken = check_quorum(s, w, c->config, mc_chain_prefix(own, c->index));
    }
    return broken;
}

static const char *check_match(const struct mc_scope *s, const struct mc_world *w,
                               const struct mc_view *v)
{
    if (!v->up || v->role != RAFT_LEADER || s->no_speech) {
        return NULL;
    }
    for (unsigned i = 0; i < s->nodes; i++) {
        const struct mc_view *peer = mc_view_at(w->member[i]);
        if (v->match[i] == 0 || peer->disk_term > v->term || peer->disk.damage != 0) {
            continue;
        }
        if (v->match[i] > v->log.last ||
            mc_disk_prefix(&peer->disk, v->match[i]) !=
                mc_chain_prefix(v->log.chain[v->log.last], v->match[i])) {
            return "W6: a leader believes durable at a member what is not";
        }
    }
    return NULL;
}

static const char *check_replies(const struct mc_world *w, const struct mc_outcome *out)
{
    for (unsigned i = 0; i < out->sends_count; i++) {
        const struct raft_msg *m = &mc_msg_at(out->sends[i])->head;
        const struct mc_view *to = mc_view_at(w->member[m->to - 1]);
        int replies = m->type == RAFT_MSG_APPEND_REPLY || m->type == RAFT_MSG_HEARTBEAT_REPLY ||
                      m->type == RAFT_MSG_SNAPSHOT_REPLY;
        if (replies && to->role == RAFT_LEADER && to->term == m->term && m->seq > to->seq) {
            return "W7: an answer to what its leader never asked";
        }
    }
    return NULL;
}

static const char *check_answers(struct mc_world *w, const struct mc_outcome *out)
{
    for (unsigned i = 0; i < out->answers_count; i++) {
        const struct mc_answer *a = &out->answers[i];
        unsigned read = a->cookie - 1u;
        if (read >= MC_READS || w->read_state[read] != 1) {
            return "W5: an answer to a read that nobody waits for";
        }
        w->read_state[read] = 2;
        if (a->result == RAFT_READ_OK && a->index < w->read_floor[read]) {
            return "W5: a read misses what was committed when it began";
        }
        if (a->result == RAFT_READ_OK && a->index > mc_chain_at(mc_committed(w))->index) {
            return "W5: a read sees what is not committed";
        }
        w->read_floor[read] = 0;
    }
    return NULL;
}

const char *mc_rules(const struct mc_scope *s, struct mc_world *w, unsigned node,
                     const struct mc_outcome *out)
{
    const struct mc_view *v = mc_view_at(w->member[node]);
    const char *broken = check_commit(s, w, v, out);
    for (unsigned i = 0; i < s->nodes && broken == NULL; i++) {
        const struct mc_view *other = mc_view_at(w->member[i]);
        broken = check_leader(s, w, other);
        broken = broken != NULL ? broken : check_match(s, w, other);
        if (broken == NULL && i != node) {
            broken = check_matching(v, other);
        }
    }
    broken = broken != NULL ? broken : check_replies(w, out);
    return broken != NULL ? broken : check_answers(w, out);
}
