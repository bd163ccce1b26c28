/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication.c: the leader's messages to its followers and their answers (Raft 5.3, 5.4.2).
 *
 * Entries travel in APPEND, one message per peer and round, split only by size. HEARTBEAT is apart:
 * it is answered without any disk, so it carries the contact rule (CheckQuorum), read rounds and the
 * commit index to those who get no APPEND in the same round. Its answer repeats how far the follower
 * verified its log, which reveals a lost APPEND at the next beat.
 *
 * States of a peer: progress.c. The follower's side: follower.c.
 * Thread: the owner of the member. Invariants:
 *   1. Only entries of this term are committed by counting; older ones follow along (Raft 5.4.2).
 *   2. Every voter counts with what it has on disk, this member included.
 *   3. No reply moves match beyond the own last entry, or backwards, but for the refusal of a probe
 *      that asked for what was acknowledged before: then the peer has lost it.
 */
#include "raft/internal.h"

raft_seq raft__next_seq(struct raft *r)
{
    uint32_t newest = (r->samples_head + r->samples_count - 1) % RAFT__SAMPLES;
    r->seq++;
    if (r->samples_count > 0 && r->now - r->samples[newest].at < r->o.election_min / 32) {
        return r->seq; /* counts as sent when the sample was: a little early, never late */
    }
    if (r->samples_count == RAFT__SAMPLES) {
        r->samples_head = (r->samples_head + 1) % RAFT__SAMPLES;
        r->samples_count--;
    }
    uint32_t at = (r->samples_head + r->samples_count++) % RAFT__SAMPLES;
    r->samples[at].seq = r->seq;
    r->samples[at].at = r->now;
    return r->seq;
}

/* --- commit --------------------------------------------------------------------------------- */

static raft_index durable_at(const struct raft *r, uint32_t slot, raft_index own)
{
    if (slot != r->self) {
        return r->peers[slot].match;
    }
    return RAFT_BUG(11) ? r->last : own;
}

/* Through where a quorum of any size holds the log on disk, this member through own. */
static raft_index durable_on_any_quorum(const struct raft *r, raft_index own)
{
    uint64_t durable[RAFT_NODES_MAX];
    for (uint32_t i = 0; i < r->peers_count; i++) {
        durable[i] = durable_at(r, i, own);
    }
    return raft__quorum_value(r, durable);
}

/* The same, with a shorter way for three voters: most groups, most of the time. What two of them have. */
static raft_index durable_on_quorum(const struct raft *r, raft_index own)
{
    uint32_t two = r->voters & (r->voters - 1); /* all but the first; none when there is none */
    uint32_t one = two & (two - 1);
    if (r->voters_old != 0 || one == 0 || (one & (one - 1)) != 0) {
        return durable_on_any_quorum(r, own);
    }
    raft_index a = durable_at(r, (uint32_t)__builtin_ctz(r->voters), own);
    raft_index b = durable_at(r, (uint32_t)__builtin_ctz(two), own);
    raft_index c = durable_at(r, (uint32_t)__builtin_ctz(one), own);
    raft_index low = raft__min(a, b);
    return raft__max(low, raft__min(c, raft__max(a, b)));
}

void raft__advance_commit(struct raft *r)
{
    RAFT_INVARIANT(r->role == RAFT_LEADER);
    raft_index to = durable_on_quorum(r, r->stable);
    if (to <= r->commit || (raft__log_term(r, to) != r->term && !RAFT_BUG(16))) {
        return;
    }
    for (raft_index i = r->commit + 1; i <= to; i++) {
        r->uncommitted_bytes -= raft__entry(r, i)->bytes;
    }
    raft__commit_to(r, to);
    if (!r->leader_ready) {
        r->leader_ready = 1;
        raft__reads_ready(r);
    }
}

int raft__commit_awaits_disk(const struct raft *r)
{
    return durable_on_quorum(r, r->last) > r->commit;
}

/* --- answers -------------------------------------------------------------------------------- */

void raft__peer_agrees(struct raft *r, struct raft__peer *p, raft_index match, raft_index verified)
{
    if (raft__peer_match(r, p, match) && match > r->commit) {
        raft__advance_commit(r);
    }
    if (p->state == RAFT__PROBE && verified + 1 >= p->next) {
        raft__window_cut(r, p, verified);
        raft__peer_replicate(r, p, verified + 1);
    } else if (p->state == RAFT__SNAPSHOT && p->match >= p->snap_index) {
        raft__peer_replicate(r, p, raft__max(p->match, verified) + 1);
    }
}

/* The peer has seen everything sent to it, and yet knows to agree only through verified: the rest is
 * lost or was not taken; or it restarted and compares anew, without which it commits nothing. */
static void peer_misses(struct raft *r, struct raft__peer *p, raft_index verified, raft_ns retry_at)
{
    if (p->state == RAFT__REPLICATE && verified + 1 < p->next) {
        raft_index next = raft__max(verified, p->match) + 1;
        raft__window_cut(r, p, next - 1);
        raft__peer_probe(r, p, next, retry_at);
    }
}

/* The peer has no such entry before the new ones: step back to where the logs may meet. */
static void peer_refuses(struct raft *r, struct raft__peer *p, const struct raft_msg *m)
{
    raft_index meet = 0;
    if (p->state == RAFT__SNAPSHOT || (m->index < p->match && !RAFT_BUG(20)) ||
        m->hint > m->index || m->index > r->last ||
        (p->state == RAFT__PROBE && m->index + 1 != p->next)) {
        r->ignored += p->state != RAFT__SNAPSHOT;
        return;
    }
    if ((p->state == RAFT__PROBE && m->index == p->match) || RAFT_BUG(20)) {
        p->match = 0; /* asked for after it was acknowledged: lost since, by damage. Begin anew */
    }
    raft_index next = r->base; /* compacted here: leads to a snapshot */
    if (raft__log_find(r, m->hint, m->hint_term, &meet)) {
        next = meet + 1 + RAFT_BUG(22);
    }
    next = raft__max(next, 1);
    /* Refused where it had just agreed: it takes nothing now (no room). No hurry either. */
    int again = p->state == RAFT__REPLICATE && next == p->stream_from;
    raft__window_cut(r, p, p->match);
    raft__peer_probe(r, p, next,
                     again && !RAFT_BUG(59) ? raft__after(r->now, raft__retry_ns(r)) : r->now);
}

void raft__handle_append_reply(struct raft *r, struct raft__peer *p, const struct raft_msg *m)
{
    if (r->role != RAFT_LEADER || p == NULL || m->seq > r->seq || m->seq == 0) {
        r->ignored++;
        return;
    }
    raft__contact(r, p, m);
    if (m->seq < p->min_seq && !RAFT_BUG(20)) {
        return; /* an answer to a view that is given up */
    }
    if ((m->flags & RAFT_FLAG_REJECT) != 0 && !RAFT_BUG(19)) {
        peer_refuses(r, p, m);
        return;
    }
    if (m->index > r->last || m->hint > r->last || (m->index > m->hint && !RAFT_BUG(19))) {
        r->ignored++;
        return;
    }
    raft__peer_agrees(r, p, m->index, m->hint);
    if (m->seq >= p->append_seq) {
        /* Received, but not taken as a whole: it is short of room. No hurry. */
        peer_misses(r, p, m->hint, raft__after(r->now, raft__retry_ns(r)));
    }
}

void raft__handle_heartbeat_reply(struct raft *r, const struct raft_msg *m)
{
    struct raft__peer *p = raft__peer_find(r, m->from);
    if (r->role != RAFT_LEADER || p == NULL || m->seq > r->seq || m->seq == 0 ||
        m->index > r->last || m->hint > r->last || m->index > m->hint) {
        r->ignored++;
        return;
    }
    raft__contact(r, p, m);
    if (m->seq < p->min_seq) {
        return;
    }
    if (p->state == RAFT__PROBE && r->now < p->retry_at && m->hint < p->stream_from &&
        m->index <= p->match) {
        return; /* back where streaming began, as when it took nothing: the next attempt waits its time */
    }
    raft__peer_agrees(r, p, m->index, m->hint);
    if (m->seq <= p->append_seq) {
        return;
    }
    /* This beat left after the last APPEND; what it does not know of is probably lost. */
    peer_misses(r, p, m->hint, r->now);
    if (p->state == RAFT__PROBE && p->append_seq >= p->min_seq) {
        p->retry_at = r->now;
    }
}

/* --- requests ------------------------------------------------------------------------------- */

struct limits {
    uint32_t entries;
    uint64_t bytes;
    int one_may_exceed;
};

/* Send what follows p->next - 1, as far as the limits go. Return: 1, or 0 when the round is full. */
static int send_append(struct raft *r, struct raft__peer *p, const struct limits *limits)
{
    struct raft_send *s = raft__send(r, RAFT_MSG_APPEND, p->id);
    if (s == NULL) {
        return 0;
    }
    raft_index at = p->next;
    uint64_t bytes = 0;
    uint32_t count = 0;
    uint32_t configs = 0;
    while (at <= r->last && count < limits->entries) {
        uint64_t more = raft__entry(r, at)->bytes;
        configs += raft__entry(r, at)->type == RAFT_ENTRY_CONFIG;
        if (configs > RAFT__MSG_CONFIGS) {
            break;
        }
        if (bytes + more > limits->bytes && (count > 0 || !limits->one_may_exceed)) {
            break;
        }
        bytes += more;
        count++;
        at++;
    }
    s->bytes = bytes;
    s->msg.count = count;
    s->msg.seq = raft__next_seq(r);
    s->msg.index = p->next - 1;
    s->msg.log_term = RAFT_BUG(24) && p->next - 1 == r->base ? 0 : raft__log_term(r, p->next - 1);
    s->msg.commit = r->commit;
    p->append_seq = s->msg.seq;
    p->appended = 1;
    p->sent_commit = raft__max(p->sent_commit, raft__min(r->commit, p->next - 1 + count));
    p->tell_at = RAFT__NEVER;
    return 1;
}

/* 1 when there is a snapshot file to send. */
static int have_file(const struct raft *r)
{
    return r->snapshot.snap_id != 0 && r->snapshot.bytes > 0;
}

static void send_probe(struct raft *r, struct raft__peer *p)
{
    const struct limits few = {(uint32_t)raft__min(RAFT__PROBE_ENTRIES, r->o.msg_entries_max),
                               raft__min(RAFT__PROBE_BYTES, r->o.msg_bytes_max), 0};
    const struct limits none = {0, 0, 0};
    if (r->now < p->retry_at) {
        return;
    }
    if (p->link == RAFT__LINK_DOWN || (p->next <= r->base && !have_file(r)) ||
        (RAFT_BUG(23) && r->last == r->base)) {
        p->retry_at = raft__after(r->now, raft__retry_ns(r));
        return;
    }
    if (p->next <= r->base) {
        raft__peer_snapshot(r, p);
        return;
    }
    int small = r->last - (p->next - 1) <= few.entries;
    if (send_append(r, p, small ? &few : &none)) {
        p->retry_at = raft__after(r->now, raft__retry_ns(r));
    }
}

static void send_entries(struct raft *r, struct raft__peer *p)
{
    if (p->retry_at == RAFT__NEVER && p->match < r->last) {
        p->retry_at = raft__after(r->now, raft__retry_ns(r));
    }
    while (p->next <= r->last && raft__window_open(r, p)) {
        if (p->next <= r->base) {
            raft__peer_probe(r, p, p->next, r->now); /* compacted meanwhile */
            return;
        }
        const struct limits full = {r->o.msg_entries_max, r->o.msg_bytes_max, 1};
        if (!send_append(r, p, &full)) {
            return;
        }
        const struct raft_send *s = &r->sends[r->sends_count - 1];
        p->next += RAFT_BUG(26) ? r->last + 1 - p->next : s->msg.count;
        raft__window_add(r, p, p->next - 1, s->bytes);
    }
}

/* HEARTBEAT, numbered when an answer is wanted. Return: 1, or 0 when the round is full. */
static int send_beat(struct raft *r, struct raft__peer *p, int numbered)
{
    struct raft_send *s = raft__send(r, RAFT_MSG_HEARTBEAT, p->id);
    if (s == NULL) {
        return 0;
    }
    s->msg.seq = numbered ? raft__next_seq(r) : 0;
    s->msg.commit = r->commit;
    p->sent_commit = raft__max(p->sent_commit, raft__commit_for(r, p));
    p->tell_at = RAFT__NEVER;
    return 1;
}

/* No message of this round told the peer what is committed: it hears it now when somebody there waits, or
 * else with the next one, after commit_delay at the latest. When the round is full, in the next. */
static void tell_commit(struct raft *r, struct raft__peer *p)
{
    raft_index commit = raft__commit_for(r, p);
    if (p->sent_commit >= commit) {
        p->tell_at = RAFT__NEVER;
        return;
    }
    raft_ns latest = RAFT_BUG(63) ? RAFT__NEVER : raft__after(r->now, r->o.commit_delay);
    p->tell_at = latest < p->tell_at ? latest : p->tell_at;
    int waits = p->waits || p->sent_commit < raft__min(p->awaits, commit);
    if ((waits && !RAFT_BUG(63)) || r->now >= p->tell_at) {
        (void)send_beat(r, p, 0);
    }
}

static void peer_round(struct raft *r, struct raft__peer *p)
{
    p->appended = 0;
    if (p->state == RAFT__REPLICATE && r->now >= p->retry_at) {
        raft__peer_probe(r, p, p->next, r->now); /* silence for too long: ask where it is */
    }
    if (p->state == RAFT__PROBE) {
        send_probe(r, p);
    } else if (p->state == RAFT__REPLICATE) {
        send_entries(r, p);
    }
    if (p->state == RAFT__SNAPSHOT) {
        raft__send_chunks(r, p);
    }
    if (p->beat_due) {
        p->beat_due = !send_beat(r, p, 1);
    } else if (!p->appended) {
        tell_commit(r, p);
    }
}

void raft__leader_round(struct raft *r)
{
    if (r->reads_count > 0 && raft__reads_want_round(r)) {
        uint32_t voters = r->voters | r->voters_old;
        r->round_seq = r->seq;
        for (uint32_t i = 0; i < r->peers_count; i++) {
            r->peers[i].beat_due |= voters >> i & 1;
        }
    }
    for (uint32_t i = 0; i < r->peers_count; i++) {
        if (i != r->self) {
            peer_round(r, &r->peers[i]);
        }
    }
    if (r->transfer_to != 0) {
        raft__transfer_round(r);
    }
}
