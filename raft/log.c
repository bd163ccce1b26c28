/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.c: the log as the core knows it: term, size and type of each entry, in a ring.
 *
 * Payloads, files and writes are the host's; which entries are durable is io.c's; which
 * configurations stand among the entries is membership.c's. Thread: the owner of the member.
 *
 * Invariants (Raft 5.3, Figure 3 "log matching" is kept by follower.c on top of these):
 *   1. base <= commit <= last, and last - base <= log_slots.
 *   2. Terms never fall along the log.
 *   3. Nothing at or below the commit index is ever removed from the tail.
 */
#include "raft/internal.h"

int raft__log_find(const struct raft *r, raft_index hi, raft_term term, raft_index *ret_index)
{
    RAFT_INVARIANT(hi <= r->last);
    if (hi < r->base || r->base_term > term) {
        return 0;
    }
    raft_index low = r->base; /* its term is at most `term`; so is that of the answer */
    while (low < hi) {
        raft_index middle = hi - (hi - low) / 2;
        if (raft__entry(r, middle)->term <= term) {
            low = middle;
        } else {
            hi = middle - 1;
        }
    }
    *ret_index = low;
    return 1;
}

/* The ranges do not fit: the last one covers all that are left, of whatever term. What stands between them
 * was this member's too, so at most the host hears early that something's outcome is unknown. */
static void widen_last(struct raft *r, raft_index low, raft_index end)
{
    struct raft_drop *d = &r->drops[RAFT__DROPS_MAX - 1];
    d->first = raft__min(d->first, low);
    d->last = raft__max(d->last, end);
    d->term = 0;
}

/* Report the own proposals among from .. to as lost, a range for each term. They may yet survive
 * on other members; the host only learns that this log holds them no more. */
static void report_own(struct raft *r, raft_index from, raft_index to)
{
    raft_index low = raft__max(raft__max(from, r->own_first), r->base + 1);
    raft_index end = raft__min(r->own_last, to);
    if (r->own_first == 0 || RAFT_BUG(29)) {
        return;
    }
    while (low <= end) {
        raft_term term = raft__log_term(r, low);
        raft_index high = low;
        (void)raft__log_find(r, end, term, &high);
        if (r->drops_count == RAFT__DROPS_MAX) {
            widen_last(r, low, end);
            break;
        }
        r->drops[r->drops_count].first = low;
        r->drops[r->drops_count].last = high;
        r->drops[r->drops_count].term = term;
        r->drops_count++;
        low = high + 1;
    }
}

/* The entries from .. last go, and with them the own proposals among them. */
static void drop_own(struct raft *r, raft_index from)
{
    report_own(r, from, r->last);
    if (r->own_last < from) {
        return;
    }
    r->own_last = from - 1;
    if (r->own_last < r->own_first) {
        r->own_first = r->own_last = 0;
    }
}

void raft__log_truncate(struct raft *r, raft_index from)
{
    RAFT_INVARIANT(from > r->commit || RAFT_BUG(20));
    RAFT_INVARIANT(from > r->base && from <= r->last);
    raft__trace(r, RAFT_TRACE_TRUNCATE, (struct raft__note){.a = from, .b = r->last});
    drop_own(r, from);
    raft__io_clip(r, from);
    r->last = from - 1;
    r->last_term = raft__log_term(r, r->last);
    r->verified = raft__min(r->verified, r->last);
    raft__configs_truncate(r, from);
}

void raft__log_compact(struct raft *r, raft_index index)
{
    RAFT_INVARIANT(index <= r->snapshot.index);
    RAFT_INVARIANT(index < r->persist_next);
    if (index <= r->base) {
        return;
    }
    raft__trace(r, RAFT_TRACE_COMPACT, (struct raft__note){.a = index, .b = r->base});
    r->base_term = raft__log_term(r, index);
    r->base = index;
    raft__configs_compact(r, index);
}

int raft__log_restore(struct raft *r, const struct raft_snapshot *s)
{
    RAFT_INVARIANT(s->index >= r->commit);
    int keep = s->index >= r->base && s->index <= r->last &&
               (raft__log_term(r, s->index) == s->term || RAFT_BUG(27));
    if (!keep) {
        raft_index from = r->commit + 1;
        if (from <= r->last) {
            drop_own(r, from);
        }
        raft__io_clip(r, from);
        r->last = s->index;
        r->last_term = s->term;
        r->stable = raft__min(r->stable, r->last);
        r->verified = raft__min(r->verified, r->last);
    } else {
        report_own(r, r->commit + 1, s->index); /* the snapshot took their place */
    }
    memcpy(&r->snapshot, s, sizeof(*s));
    r->base = s->index;
    r->base_term = s->term;
    r->persist_next = keep ? raft__max(r->persist_next, s->index + 1) : s->index + 1;
    r->compact_to = 0;
    raft__configs_restore(r, s, keep);
    if (r->own_first != 0 && r->own_last <= s->index) {
        r->own_first = r->own_last = 0;
    }
    RAFT_INVARIANT(r->last >= r->base);
    return keep;
}

void raft__commit_to(struct raft *r, raft_index to)
{
    RAFT_INVARIANT(to <= r->last);
    if (to <= r->commit && !RAFT_BUG(18)) {
        return;
    }
    raft__trace(r, RAFT_TRACE_COMMIT, (struct raft__note){.a = r->commit, .b = to});
    r->commit = to;
    if (r->own_last != 0) {
        if (r->own_last <= to) {
            r->own_first = r->own_last = 0;
        } else {
            r->own_first = raft__max(r->own_first, to + 1);
        }
    }
}
