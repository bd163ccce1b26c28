/* SPDX-License-Identifier: Apache-2.0 */
/*
 * follower.c: APPEND and HEARTBEAT as they arrive (Raft 5.3, Figure 2, receiver's rules).
 *
 * `verified` is the index through which this log is known to agree with the leader of this term: the
 * end of the last APPEND that matched. Only that much is ever acknowledged or taken as committed; the
 * own last index proves nothing, for an unchecked tail of an older term may stand there. What is
 * acknowledged is also durable: min(verified, stable). A reply repeats the number of the newest
 * APPEND accepted; in `hint` it carries `verified`, so that the leader knows what needs no second
 * sending though it is not durable yet.
 *
 * The leader's side is replication.c. Thread: the owner of the member. Invariants:
 *   1. verified is 0 at the beginning of a term and never falls within it, but by truncation.
 *   2. The log is cut only at an entry that is proven to conflict and is not committed.
 *   3. A conflict at or below the commit index stops the member; it is never cut, never a crash.
 */
#include "raft/internal.h"

/* The configuration carried by the entry at index. Return: NULL when the host did not decode it. */
static const struct raft_config_at *config_of(const struct raft_event *ev, raft_index index)
{
    for (uint32_t i = 0; i < ev->configs_count; i++) {
        if (ev->configs[i].index == index && raft__config_valid(&ev->configs[i].config)) {
            return &ev->configs[i];
        }
    }
    return NULL;
}

/* Could a correct leader have sent this? */
static int append_sane(const struct raft_event *ev)
{
    const struct raft_msg *m = ev->msg;
    raft_term before = m->log_term;
    if (m->count != ev->count || (m->count > 0 && ev->entries == NULL) ||
        m->index > UINT64_MAX - m->count ||
        ((m->index == 0) != (m->log_term == 0) && !RAFT_BUG(24)) || m->log_term > m->term) {
        return 0;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        const struct raft_entry *e = &ev->entries[i];
        if (e->term < before || e->term == 0 || e->type < RAFT_ENTRY_NOOP ||
            e->type > RAFT_ENTRY_CONFIG) {
            return 0;
        }
        if (e->type == RAFT_ENTRY_CONFIG && config_of(ev, m->index + 1 + i) == NULL) {
            return 0;
        }
        before = e->term;
    }
    return before <= m->term;
}

/* The entry before the new ones is not here: say where the logs may meet, the largest own index
 * whose term is not later than the leader's there (both sides skip whole terms this way). */
static void refuse(struct raft *r, const struct raft_msg *m)
{
    raft_index hint = r->base;
    (void)raft__log_find(r, raft__min(m->index, r->last), m->log_term, &hint);
    hint = raft__max(hint, r->commit); /* what is committed is in every leader's log */
    r->nack_due = 1;
    r->nack_seq = m->seq;
    r->nack_index = m->index;
    r->nack_hint = hint;
    r->nack_hint_term = raft__log_term(r, hint);
}

/* How many of the first entries are here already. Return: 0, or -1 when one contradicts a committed
 * entry. */
static int match_entries(const struct raft *r, const struct raft_event *ev, uint32_t *ret_same)
{
    const struct raft_msg *m = ev->msg;
    uint32_t i = 0;
    if (m->index < r->base) {
        uint64_t below = r->base - m->index; /* committed and compacted: the same by Raft 5.4.3 */
        if (below <= m->count && ev->entries[below - 1].term != r->base_term) {
            return -1;
        }
        i = below < m->count ? (uint32_t)below : m->count;
    }
    while (i < m->count && m->index + 1 + i <= r->last && !RAFT_BUG(20) &&
           !(RAFT_BUG(10) && m->index + 1 + i > r->commit)) {
        raft_index index = m->index + 1 + i;
        if (raft__entry(r, index)->term != ev->entries[i].term) {
            /* All configurations of a log but the last are committed somewhere (membership.c). */
            if (index <= r->commit || index <= r->configs[0].index) {
                return -1;
            }
            break;
        }
        i++;
    }
    *ret_same = i;
    return 0;
}

/* Is there a place for e? A full disk keeps a reserve for entries without a payload: the first of a
 * leader must be committed before it can even serve reads. */
static int fits(const struct raft *r, const struct raft_entry *e)
{
    return !r->disk_full || e->bytes == 0;
}

/* Append entries[same ..] as far as there is room, after cutting what conflicts. Configurations always
 * have room: the stack forgets old ones (membership.c).
 * Return: how many. */
static uint32_t take_entries(struct raft *r, const struct raft_event *ev, uint32_t same,
                             struct raft_accept *accept)
{
    const struct raft_msg *m = ev->msg;
    raft_index first = m->index + 1 + same;
    uint32_t taken = 0;
    if (same == m->count || !fits(r, &ev->entries[same])) {
        return 0;
    }
    if (first <= r->last) {
        raft__log_truncate(r, first);
    }
    RAFT_INVARIANT(r->last + 1 == first);
    uint32_t room = raft__log_room(r);
    while (same + taken < m->count && taken < room) {
        const struct raft_entry *e = &ev->entries[same + taken];
        if (!fits(r, e)) {
            break;
        }
        raft__log_append(r, e->term, e->bytes, e->type);
        if (e->type == RAFT_ENTRY_CONFIG) {
            raft__configs_push(r, config_of(ev, r->last));
        }
        taken++;
    }
    raft__accept(accept, m->term, first, same, taken);
    return taken;
}

void raft__handle_append(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    const struct raft_msg *m = ev->msg;
    uint32_t same = 0;
    int fits_anywhere = RAFT_BUG(26) || (RAFT_BUG(24) && m->log_term == 0);
    if (!append_sane(ev)) {
        r->ignored++;
        return;
    }
    if (raft__rx_installing(r)) {
        return; /* the log is about to be replaced */
    }
    if (m->index > r->last && !fits_anywhere) {
        refuse(r, m);
        return;
    }
    if (m->index >= r->base && !fits_anywhere && raft__log_term(r, m->index) != m->log_term) {
        if (m->index <= r->commit) {
            raft__fail(r, RAFT__FAULT_DIVERGENCE);
            return;
        }
        refuse(r, m);
        return;
    }
    if (match_entries(r, ev, &same) != 0) {
        raft__fail(r, RAFT__FAULT_DIVERGENCE);
        return;
    }
    uint32_t taken = take_entries(r, ev, same, accept);
    raft_index end = raft__max(m->index + same + taken, r->commit);
    r->verified = raft__max(r->verified, end);
    RAFT_INVARIANT(r->verified <= r->last);
    r->ack_seq = m->seq > r->ack_seq ? m->seq : r->ack_seq;
    r->ack_due |= taken == 0 || same + taken < m->count;
    raft__commit_to(r, raft__min(m->commit, RAFT_BUG(17) ? r->last : r->verified));
}

void raft__handle_heartbeat(struct raft *r, const struct raft_msg *m)
{
    if (!raft__rx_installing(r)) {
        raft__commit_to(r, raft__min(m->commit, RAFT_BUG(17) ? r->last : r->verified));
    }
    if (m->seq > r->beat_seq) {
        r->beat_seq = m->seq; /* number 0 only tells the commit index and wants no answer */
    }
}

/* What may be said to be durable here of the leader's log. */
static raft_index durable_match(const struct raft *r)
{
    return raft__term_durable(r) ? raft__min(r->verified, RAFT_BUG(39) ? r->last : r->stable) : 0;
}

static void say_progress(struct raft *r, struct raft_msg *m, raft_seq seq)
{
    m->seq = seq;
    m->index = durable_match(r);
    m->hint = r->verified;
    m->flags = raft__io_stalled(r) || r->disk_full || raft__repairing(r) ? RAFT_FLAG_STALLED : 0;
    m->flags |= r->waits ? RAFT_FLAG_WAITS : 0;
}

static void send_ack(struct raft *r)
{
    raft_index match = durable_match(r);
    if (r->ack_seq == 0 || !raft__term_durable(r) || (!r->ack_due && match <= r->ack_sent)) {
        return;
    }
    struct raft_send *s = raft__send(r, RAFT_MSG_APPEND_REPLY, r->leader);
    if (s != NULL) {
        say_progress(r, &s->msg, r->ack_seq);
        r->ack_sent = match;
        r->ack_due = 0;
    }
}

static void send_nack(struct raft *r)
{
    if (!r->nack_due) {
        return;
    }
    struct raft_send *s = raft__send(r, RAFT_MSG_APPEND_REPLY, r->leader);
    if (s != NULL) {
        s->msg.flags = RAFT_FLAG_REJECT;
        s->msg.seq = r->nack_seq;
        s->msg.index = r->nack_index;
        s->msg.hint = r->nack_hint;
        s->msg.hint_term = r->nack_hint_term;
        r->nack_due = 0;
    }
}

static void send_beat(struct raft *r)
{
    if (r->beat_seq == 0) {
        return;
    }
    struct raft_send *s = raft__send(r, RAFT_MSG_HEARTBEAT_REPLY, r->leader);
    if (s != NULL) {
        say_progress(r, &s->msg, r->beat_seq);
        r->beat_seq = 0;
    }
}

void raft__follower_round(struct raft *r)
{
    if (r->role != RAFT_FOLLOWER || r->leader == 0) {
        return;
    }
    send_ack(r);
    send_nack(r);
    send_beat(r);
}
