/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.c: what a leader knows of each follower's log, and how freely it may send to it.
 *
 *   PROBE      unknown where the logs meet: one APPEND at a time, repeated by timer
 *   REPLICATE  they meet: everything from next on is streamed, within the window
 *   SNAPSHOT   what it needs is compacted: chunks of the snapshot go instead
 *
 *              accepted                      refused, lost, link changed, silence
 *   PROBE ----------------> REPLICATE    REPLICATE ----------------> PROBE
 *     |    needs compacted entries    SNAPSHOT -- installed --> REPLICATE
 *     +------------------------------> SNAPSHOT -- refused, link changed, silence --> PROBE
 *
 * Rule D3: requests are numbered; entering PROBE or SNAPSHOT sets min_seq, and replies to older
 * requests say nothing about progress, so a late reply never moves a newer view.
 *
 * Thread: the owner of the member. Invariants, for each peer while this member leads:
 *   1. match < next <= last + 1.
 *   2. Liveness: what is not known to be at the peer (match < last) is covered by a timer
 *      (retry_at is set), whatever the state: there is always a next attempt.
 *   3. The window holds what was sent and is neither known durable there nor known lost; it is
 *      empty in SNAPSHOT. inflight_bytes is its sum.
 */
#include "raft/internal.h"

static void window_clear(struct raft__peer *p)
{
    p->inflight_head = 0;
    p->inflight_count = 0;
    p->inflight_bytes = RAFT_BUG(25) ? p->inflight_bytes : 0;
}

void raft__peer_reset(struct raft *r, struct raft__peer *p, raft_index next)
{
    p->match = 0;
    p->next = next;
    p->min_seq = RAFT_BUG(21) ? 0 : r->seq + 1;
    p->append_seq = 0;
    p->acked_seq = 0;
    p->contact = 0;
    p->sent_commit = 0;
    p->waits = 0;
    p->awaits = 0;
    p->tell_at = RAFT__NEVER;
    p->stream_from = 0;
    p->stalled = 0;
    p->beat_due = 0;
    p->snap_id = 0;
    p->snap_index = 0;
    p->snap_open = 0;
    p->state = RAFT__PROBE;
    p->retry_at = r->now;
    raft__round_begin(r, p);
    window_clear(p);
}

void raft__peer_probe(struct raft *r, struct raft__peer *p, raft_index next, raft_ns retry_at)
{
    raft__trace(r, RAFT_TRACE_PROBE, (struct raft__note){.peer = p->id, .a = next, .b = p->match});
    p->state = RAFT__PROBE;
    p->next = raft__max(next, p->match + 1);
    p->min_seq = r->seq + 1;
    p->retry_at = retry_at;
    r->quiet = 0; /* within a round: the probe may have to wait for the next */
}

void raft__peer_replicate(struct raft *r, struct raft__peer *p, raft_index next)
{
    raft__trace(r, RAFT_TRACE_REPLICATE,
                (struct raft__note){.peer = p->id, .a = next, .b = p->match});
    p->state = RAFT__REPLICATE;
    p->next = raft__max(next, p->match + 1);
    p->stream_from = p->next;
    p->retry_at = p->match < r->last ? raft__after(r->now, raft__retry_ns(r)) : RAFT__NEVER;
    RAFT_INVARIANT(p->next <= r->last + 1);
}

void raft__peer_snapshot(struct raft *r, struct raft__peer *p)
{
    RAFT_INVARIANT(r->snapshot.snap_id != 0);
    raft__trace(r, RAFT_TRACE_SNAPSHOT,
                (struct raft__note){.peer = p->id, .a = r->snapshot.index, .b = p->next});
    p->state = RAFT__SNAPSHOT;
    p->min_seq = r->seq + 1;
    p->snap_id = r->snapshot.snap_id;
    p->snap_index = r->snapshot.index;
    p->snap_term = r->snapshot.term;
    p->snap_total = r->snapshot.bytes;
    p->snap_next = p->snap_acked = 0;
    p->snap_open = 0;
    p->retry_at = RAFT_BUG(31) ? RAFT__NEVER : raft__after(r->now, 2 * r->o.election_max);
    window_clear(p);
}

int raft__peer_match(struct raft *r, struct raft__peer *p, raft_index index)
{
    RAFT_INVARIANT(index <= r->last);
    struct raft__inflight *w = raft__window(r, p);
    if (index <= p->match) {
        return 0;
    }
    p->match = index;
    p->next = raft__max(p->next, index + 1);
    while (p->inflight_count > 0 && w[p->inflight_head].last <= index) {
        p->inflight_bytes -= w[p->inflight_head].bytes;
        p->inflight_head =
            p->inflight_head + 1 == r->o.inflight_msgs_max ? 0 : p->inflight_head + 1;
        p->inflight_count--;
    }
    if (p->state == RAFT__REPLICATE) {
        p->retry_at = p->match < r->last ? raft__after(r->now, raft__retry_ns(r)) : RAFT__NEVER;
    }
    return 1;
}

void raft__window_cut(struct raft *r, struct raft__peer *p, raft_index accepted)
{
    struct raft__inflight *w = raft__window(r, p);
    while (p->inflight_count > 0) {
        uint32_t at = p->inflight_head + p->inflight_count - 1;
        at = at >= r->o.inflight_msgs_max ? at - r->o.inflight_msgs_max : at;
        if (w[at].last <= accepted) {
            return;
        }
        p->inflight_bytes -= w[at].bytes;
        p->inflight_count--;
    }
}

void raft__peer_link(struct raft *r, struct raft__peer *p, int up)
{
    p->link = up ? RAFT__LINK_UP : RAFT__LINK_DOWN;
    if (r->role != RAFT_LEADER || (RAFT_BUG(31) && p->state == RAFT__SNAPSHOT)) {
        return;
    }
    /* Whatever was under way is lost with the connection, or was before this one. */
    raft_ns retry = up ? r->now : raft__after(r->now, raft__retry_ns(r));
    window_clear(p);
    raft__peer_probe(r, p, p->match > 0 ? p->match + 1 : p->next, retry);
    p->beat_due |= (uint32_t)(up != 0);
}
