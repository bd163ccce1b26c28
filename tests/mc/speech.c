/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speech.c: the rules that are checked at one member by looking at its core, its host and its disk.
 *
 *   S1  What leaves is on disk as the table at the top of raft.h demands.
 *   S2  A vote once spoken of stays on disk until a later term is; so does what was acknowledged in
 *       a term. Across crashes: both are noted beside the disk, not in the core.
 *   S3  What the core believes durable is on disk.
 *   S4  Term and commit index never fall, the vote of a term never changes, within one life.
 *   S5  The core's log is the host's log. A member never stops itself: no disk fails in this model.
 *
 * raft_check, the core's own list, runs after each event (host.c). Thread: one.
 */
#include "tests/mc/mc.h"

static void promise(struct mc_run *run, const struct raft_msg *m, raft_id vote)
{
    struct mc_member *n = run->m;
    if (n->disk.term != m->term || n->disk.vote != vote) {
        mc_broken(run, "S1: a vote is spoken of that is not on disk");
    }
    if (n->promise_term == m->term && n->promise_vote != vote) {
        mc_broken(run, "S2: two votes in one term");
    }
    n->promise_term = (uint8_t)m->term;
    n->promise_vote = (uint8_t)vote;
}

static void acknowledge(struct mc_run *run, const struct raft_msg *m)
{
    struct mc_member *n = run->m;
    if (m->index == 0) {
        return;
    }
    if (n->disk.term < m->term) {
        mc_broken(run, "S1: entries are acknowledged in a term that is not on disk");
        return;
    }
    if (m->index > n->log.last) {
        mc_broken(run, "S1: entries are acknowledged that are not in the log");
        return;
    }
    mc_chain held = mc_chain_prefix(n->log.chain[n->log.last], (unsigned)m->index);
    if (mc_disk_prefix(&n->disk, (unsigned)m->index) != held) {
        mc_broken(run, "S1: entries are acknowledged that are not on disk");
    }
    if (n->ack_term != m->term || n->ack_index < m->index) {
        n->ack_term = (uint8_t)m->term;
        n->ack_index = (uint8_t)m->index;
        n->ack_chain = held;
    }
}

void mc_check_speech(struct mc_run *run, const struct raft_msg *m)
{
    struct raft_status s;
    int rejects = (m->flags & RAFT_FLAG_REJECT) != 0;
    raft_status(mc_core(run->m), &s);
    if (m->from != run->m->id || m->to == run->m->id) {
        mc_broken(run, "a message has the wrong sender");
    }
    switch (m->type) {
    case RAFT_MSG_APPEND:
    case RAFT_MSG_HEARTBEAT:
    case RAFT_MSG_SNAPSHOT:
    case RAFT_MSG_TIMEOUT_NOW:
        if (s.role != RAFT_LEADER || s.term != m->term ||
            (run->m->disk.term < m->term && !run->scope->no_speech)) {
            mc_broken(run, "S1: a member speaks as the leader that it is not");
        }
        break;
    case RAFT_MSG_VOTE:
        if (!run->scope->no_speech) {
            promise(run, m, run->m->id);
        }
        break;
    case RAFT_MSG_VOTE_REPLY:
        if (!rejects && !run->scope->no_speech) {
            promise(run, m, m->to);
        }
        break;
    case RAFT_MSG_SNAPSHOT_REPLY:
        if (m->offset < 2) {
            break; /* of a chunk: promises nothing. Files of this model have two */
        }
        if (!rejects && mc_chain_prefix(run->m->log.chain[run->m->log.last], (unsigned)m->index) !=
                            (mc_chain)m->snap_id) {
            mc_broken(run, "S1: a snapshot is acknowledged that the log does not contain");
        }
        /* fallthrough */
    case RAFT_MSG_APPEND_REPLY:
    case RAFT_MSG_HEARTBEAT_REPLY:
        if (!rejects && !run->scope->no_speech) {
            acknowledge(run, m);
        }
        break;
    default:
        break;
    }
}

/* S2, and forget what a later term on disk has made void. */
static void check_promises(struct mc_run *run)
{
    struct mc_member *n = run->m;
    const struct mc_disk *d = &n->disk;
    if (d->term < n->promise_term ||
        (d->term == n->promise_term && n->promise_term > 0 && d->vote != n->promise_vote)) {
        mc_broken(run, "S2: a vote that was spoken of is gone");
    }
    if (n->ack_term > 0 && d->term < n->ack_term) {
        mc_broken(run, "S2: a term that was spoken of is gone");
    }
    if (n->ack_term > 0 && d->term == n->ack_term &&
        mc_disk_prefix(d, n->ack_index) != n->ack_chain) {
        mc_broken(run, "S2: entries that were acknowledged are gone");
    }
    if (d->term > n->promise_term) {
        n->promise_term = n->promise_vote = 0;
    }
    if (d->term > n->ack_term) {
        n->ack_term = n->ack_index = 0;
        n->ack_chain = 0;
    }
}

static void check_log(struct mc_run *run, const struct raft_status *s)
{
    const struct mc_member *m = run->m;
    for (raft_index i = s->first; i <= s->last; i++) {
        const struct raft_entry *e = raft_entry_at(mc_core_of(m), i);
        const struct mc_link *l = mc_chain_at(m->log.chain[i]);
        if (i <= m->log.base || e == NULL || e->term != l->term || e->type != l->type) {
            mc_broken(run, "S5: core and host hold different entries");
            return;
        }
    }
    if (s->commit > s->last || s->applied != m->applied || m->applied > s->commit) {
        mc_broken(run, "S5: core and host disagree about what is applied");
    }
}

void mc_check_member(struct mc_run *run, const struct raft_status *before)
{
    const struct mc_member *m = run->m;
    struct raft_status s;
    if (!run->scope->no_speech) {
        check_promises(run);
    }
    if (!m->up) {
        return;
    }
    raft_status(mc_core_of(m), &s);
    if (s.role == RAFT_FAULTED) {
        mc_broken(run, s.fault);
        return;
    }
    if (before->id != 0 && (s.term < before->term || s.commit < before->commit)) {
        mc_broken(run, "S4: a term or a commit index fell");
    }
    if (before->id != 0 && s.term == before->term && before->vote != 0 && s.vote != before->vote) {
        mc_broken(run, "S4: a vote changed within its term");
    }
    if (!run->scope->no_speech && s.term < m->promise_term) {
        mc_broken(run, "S2: a member forgot the term it voted in");
    }
    check_log(run, &s);
    if (!run->scope->no_speech && run->out->broken == NULL && s.stable > 0 &&
        mc_disk_prefix(&m->disk, (unsigned)s.stable) !=
            mc_chain_prefix(m->log.chain[m->log.last], (unsigned)s.stable)) {
        mc_broken(run, "S3: the core believes durable what is not on disk");
    }
}
