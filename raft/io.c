/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.c: persist actions under way: their numbers, and what their completion proves.
 *
 * Every persist action gets the next io_seq. The host carries them out in order and completes them
 * cumulatively, so "durable through N" can be neither out of order nor ambiguous. Each one remembers
 * through which index its completion makes the log durable. When entries are superseded before their
 * write has completed, that index is clipped: the completion of the old write never speaks for the
 * new entries at the same index (rule D1, the "ABA" of asynchronous appends).
 *
 * The durability gates (rule D2) rest on three facts kept here: durable_term and durable_vote, the
 * hard state the disk has; stable, the log the disk has.
 *
 * Thread: the owner of the member. Invariants:
 *   1. io_done + io_count == io_seq; numbers in the ring are consecutive.
 *   2. stable <= last; stable < persist_next unless a snapshot's mark is under way.
 *   3. A hard state never names a commit index beyond what is issued before it: after a crash
 *      between the two, the entries there would not be the committed ones.
 */
#include "raft/internal.h"

static struct raft__io *io_at(struct raft *r, uint32_t position)
{
    return &r->io[(r->io_head + position) % RAFT_IO_MAX];
}

_Static_assert((RAFT_IO_MAX & (RAFT_IO_MAX - 1)) == 0, "the modulus above is a mask");

/* Begin the next action; the caller fills in what its kind needs. */
static struct raft_persist *issue(struct raft *r, uint32_t n, enum raft_persist_kind kind,
                                  raft_index last)
{
    RAFT_INVARIANT(r->io_count < RAFT_IO_MAX);
    RAFT_INVARIANT(n < RAFT__PERSIST_MAX);
    if (r->io_count == 0) {
        r->io_head = 0; /* the same few cache lines again and again */
    }
    struct raft__io *io = io_at(r, r->io_count++);
    io->seq = ++r->io_seq;
    io->kind = kind;
    io->last = last;
    io->term = r->term;
    io->vote = r->vote;
    io->at = r->now;
    struct raft_persist *p = &r->persist[n]; /* field by field: see message_at in raft.c */
    p->io_seq = io->seq;
    p->kind = kind;
    p->vote = 0;
    p->term = 0;
    p->commit = 0;
    p->first = 0;
    p->count = 0;
    p->compact = 0;
    return p;
}

static uint32_t issue_hardstate(struct raft *r, uint32_t n)
{
    if (r->term == r->issued_term && r->vote == r->issued_vote) {
        return n;
    }
    struct raft_persist *p = issue(r, n, RAFT_PERSIST_HARDSTATE, 0);
    p->term = r->term;
    p->vote = r->vote;
    p->commit = raft__min(r->commit, r->persist_next - 1);
    r->issued_term = r->term;
    r->issued_vote = r->vote;
    return n + 1;
}

static uint32_t issue_entries(struct raft *r, uint32_t n)
{
    if (r->persist_next > r->last) {
        return n;
    }
    struct raft_persist *p = issue(r, n, RAFT_PERSIST_ENTRIES, r->last);
    p->term = r->term;
    p->first = r->persist_next;
    p->count = (uint32_t)(r->last - r->persist_next + 1);
    r->persist_next = r->last + 1;
    return n + 1;
}

static uint32_t issue_taken(struct raft *r, uint32_t n)
{
    raft__log_compact(r, r->compact_to);
    struct raft_persist *p = issue(r, n, RAFT_PERSIST_SNAPMARK, 0);
    p->term = r->snapshot.term;
    p->first = r->snapshot.index;
    p->compact = r->base;
    r->mark_taken = 0;
    r->compact_to = 0;
    return n + 1;
}

/* The mark of an installed snapshot: the log begins at it. When the disk was far behind, a newer one
 * may have been taken since, but the entries that follow this mark begin after the base. */
static uint32_t issue_install(struct raft *r, uint32_t n)
{
    struct raft_persist *p = issue(r, n, RAFT_PERSIST_SNAPMARK, r->base);
    p->term = r->base_term;
    p->first = r->base;
    p->compact = r->base;
    r->mark_install = 0;
    return n + 1;
}

uint32_t raft__io_issue(struct raft *r)
{
    uint32_t n = 0;
    int marks = (r->mark_install | r->mark_taken) != 0;
    if (r->persist_next > r->last && !marks && r->term == r->issued_term &&
        r->vote == r->issued_vote) {
        return 0; /* often: the disk has been told everything */
    }
    if (RAFT_IO_MAX - r->io_count < RAFT__PERSIST_MAX) {
        return 0; /* the disk is far behind: what waits leaves as one batch later */
    }
    if (!marks && r->term == r->issued_term && r->vote == r->issued_vote) {
        return issue_entries(r, 0); /* and mostly the rest */
    }
    if (r->mark_install) {
        n = issue_install(r, n); /* before the hard state, which may count on it: invariant 3 */
    }
    n = RAFT_BUG(3) ? n : issue_hardstate(r, n);
    raft_index first = r->persist_next;
    n = issue_entries(r, n);
    n = RAFT_BUG(3) ? issue_hardstate(r, n) : n;
    if (r->mark_taken && r->compact_to < first) {
        n = issue_taken(r, n);
    } else if (r->mark_taken) {
        r->more = 1; /* the host still needs to see the entries of this round: in the next */
    }
    return n;
}

int raft__io_complete(struct raft *r, uint64_t seq)
{
    if (seq > r->io_seq) {
        return RAFT_EINVAL;
    }
    while (r->io_count > 0 && r->io[r->io_head].seq <= seq) {
        const struct raft__io *io = &r->io[r->io_head];
        if (RAFT_BUG(2) && io->seq != r->io_done + 1) {
            /* a completion is that of one write */
        } else if (io->kind == RAFT_PERSIST_HARDSTATE) {
            r->durable_term = io->term;
            r->durable_vote = io->vote;
        } else {
            r->stable = raft__max(r->stable, io->last);
        }
        r->io_head = (r->io_head + 1) % RAFT_IO_MAX;
        r->io_count--;
    }
    r->io_done = raft__max(r->io_done, seq);
    RAFT_INVARIANT(r->stable <= r->last);
    RAFT_INVARIANT(r->io_done + r->io_count == r->io_seq);
    return 0;
}

void raft__io_clip(struct raft *r, raft_index from)
{
    RAFT_INVARIANT(from > 0);
    for (uint32_t i = 0; i < r->io_count; i++) {
        struct raft__io *io = io_at(r, i);
        io->last = RAFT_BUG(1) ? io->last : raft__min(io->last, from - 1);
    }
    r->stable = raft__min(r->stable, from - 1);
    r->persist_next = raft__min(r->persist_next, from);
}
