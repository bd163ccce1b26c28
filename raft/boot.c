/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.c: a member takes up what its disk holds: snapshot, hard state, log, in this order.
 *
 * The host reads the disk; here it is decided what of it still counts. Three crashes leave parts that
 * do not fit each other, and each has one right answer:
 *   - the snapshot is newer than the log, whose mark was not written: entries that it covers are
 *     skipped; when the log contradicts it, or ends before it, the log is void (and marked so);
 *   - the hard state is older than the log or the snapshot: their term is adopted with the vote free,
 *     for no vote of that term can have left before its hard state was durable;
 *   - the hard state names a commit index that the log has not reached: it is clipped.
 * Beyond that, what the host hands in is validated and refused, never repaired.
 *
 * Thread: the owner of the member. Paper: Raft, Figure 2 "persistent state".
 */
#include "raft/internal.h"

static int boot_snapshot(struct raft *r, const struct raft_event *ev)
{
    const struct raft_snapshot *s = ev->snapshot;
    if (r->boot != RAFT__BOOT_NEW || s == NULL || !raft__config_valid(&s->config) ||
        s->config_index > s->index || (s->index == 0) != (s->term == 0) ||
        s->index > RAFT__INDEX_MAX || s->term > RAFT__TERM_MAX) {
        return RAFT_EINVAL;
    }
    memcpy(&r->snapshot, s, sizeof(*s));
    r->base = r->last = r->commit = r->applied = r->stable = s->index;
    r->base_term = r->last_term = s->term;
    r->persist_next = s->index + 1;
    r->snapshot.config.count -= RAFT_BUG(30) && s->index > 0;
    raft__configs_restore(r, RAFT_BUG(30) ? &r->snapshot : s, 0);
    r->boot = RAFT__BOOT_SNAPSHOT;
    return 0;
}

static int boot_hardstate(struct raft *r, const struct raft_event *ev)
{
    if (r->boot != RAFT__BOOT_SNAPSHOT || ev->hardstate.term > RAFT__TERM_MAX) {
        return RAFT_EINVAL;
    }
    r->term = r->issued_term = r->durable_term = ev->hardstate.term;
    r->vote = r->issued_vote = r->durable_vote = RAFT_BUG(41) ? 0 : ev->hardstate.vote;
    /* Held until the entries are known; BOOT_DONE clips it to them. */
    r->verified = ev->hardstate.commit;
    r->boot = RAFT__BOOT_HARDSTATE;
    return 0;
}

/* Which of count entries from first on belong behind the snapshot. An entry at the snapshot's index
 * that is of another term shows that the whole log belongs to a history that lost. */
static int boot_entries_fit(struct raft *r, const struct raft_event *ev, uint32_t *ret_skip)
{
    if (ev->first > r->last + 1) {
        return 0; /* a gap: they cannot belong to the snapshot */
    }
    uint64_t skip = RAFT_BUG(9) ? 0 : r->last + 1 - ev->first + RAFT_BUG(46);
    if (skip > ev->count) {
        skip = ev->count;
    }
    if (skip > 0 && r->last == r->base && ev->first + skip - 1 == r->base &&
        ev->entries[skip - 1].term != r->base_term) {
        return 0;
    }
    *ret_skip = (uint32_t)skip;
    return 1;
}

static int boot_entries(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    if (r->boot != RAFT__BOOT_HARDSTATE || ev->first == 0 ||
        (ev->count > 0 && ev->entries == NULL)) {
        return RAFT_EINVAL;
    }
    uint32_t skip = 0;
    uint32_t at = 0;
    raft_index first = r->last + 1;
    if (r->mark_install || !boot_entries_fit(r, ev, &skip)) {
        /* Say so on disk before anything is written behind it. */
        r->mark_install = 1;
        skip = ev->count;
    }
    if (ev->count - skip > raft__log_room(r)) {
        return RAFT_EFULL;
    }
    for (uint32_t i = skip; i < ev->count; i++) {
        const struct raft_entry *e = &ev->entries[i];
        raft_index index = r->last + 1;
        if (e->term < r->last_term || e->term == 0 || e->term > RAFT__TERM_MAX) {
            return RAFT_EINVAL;
        }
        raft__log_append(r, e->term, e->bytes, e->type);
        if (e->type != RAFT_ENTRY_CONFIG) {
            continue;
        }
        while (at < ev->configs_count && ev->configs[at].index < index) {
            at++;
        }
        if (at == ev->configs_count || ev->configs[at].index != index ||
            !raft__config_valid(&ev->configs[at].config)) {
            return RAFT_EINVAL;
        }
        raft__configs_push(r, &ev->configs[at]);
    }
    raft__accept(accept, r->term, first, skip, ev->count - skip);
    return 0;
}

/* Nobody has heard a leader when all members begin at once: they would wait for a whole election timeout in
 * vain. A leader that is there makes itself heard within a few heartbeats; until then this member asks for nothing
 * and supports nobody, and whoever asks too early is refused by those who hear the leader. That is courtesy:
 * only a lease rests on patience (read.c). The draw of the wait is used again, so that members differ. Links to all
 * of them end the waiting sooner (raft/election.c). */
static void hurry(struct raft *r)
{
    raft_ns shortest = r->o.election_min * r->o.priority;
    RAFT_INVARIANT(r->wait >= shortest);
    r->patience = raft__min(2 * r->o.heartbeat + r->o.election_min / 8, r->o.election_min);
    r->election_at = raft__after(r->now, r->patience * r->o.priority + (r->wait - shortest) / 2);
}

static int boot_done(struct raft *r)
{
    if (r->boot != RAFT__BOOT_HARDSTATE) {
        return RAFT_EINVAL;
    }
    /* A log or snapshot of a later term than the hard state: no vote of that term can have left,
     * for votes wait for the hard state. Adopt the term with the vote free. */
    if (r->last_term > r->term && !RAFT_BUG(3)) {
        r->term = r->last_term;
        r->vote = 0;
    }
    if (r->last == r->base && r->base > 0) {
        /* The disk may hold older entries only, or none: entries are about to follow the snapshot
         * with a gap, which its mark explains. */
        r->mark_install = 1;
    }
    r->stable = r->last;
    r->persist_next = r->last + 1;
    raft_index commit = raft__min(r->verified, r->last);
    r->verified = 0;
    r->boot = RAFT__BOOT_DONE;
    raft__commit_to(r, commit);
    /* It may have supported a leader just before it went down (lease safety): behave as if that
     * one had been heard now. A member that never knew a term has supported nobody. */
    r->sticky = r->term > 0 || r->o.lease_drift_ppm > 0; /* read.c has the reason for the latter */
    r->sticky = RAFT_BUG(53) ? 0 : r->sticky;
    r->contact = r->now;
    r->patience = r->o.election_min;
    raft__become_follower(r, r->term, 0);
    if (r->o.lease_drift_ppm == 0) {
        hurry(r);
    }
    if (r->damage != 0) {
        raft__repair_begin(r);
    }
    if (r->self != RAFT__NO_SLOT && raft__may_campaign(r) &&
        raft__quorum_has(r, (uint32_t)1 << r->self)) {
        raft__campaign(r, 0); /* alone: nobody to wait for */
    }
    return 0;
}

int raft__boot_step(struct raft *r, const struct raft_event *ev, struct raft_accept *accept)
{
    switch (ev->type) {
    case RAFT_EV_BOOT_SNAPSHOT:
        return boot_snapshot(r, ev);
    case RAFT_EV_BOOT_HARDSTATE:
        return boot_hardstate(r, ev);
    case RAFT_EV_BOOT_ENTRIES:
        return boot_entries(r, ev, accept);
    case RAFT_EV_BOOT_DAMAGE:
        return raft__repair_boot(r, ev);
    case RAFT_EV_BOOT_DONE:
        return boot_done(r);
    default:
        return RAFT_EINVAL;
    }
}
