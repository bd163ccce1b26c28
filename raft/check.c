/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: every rule that one member can check by looking at itself, and a hash of what it is.
 *
 * The rules, by number (between events; tests call raft_check after each):
 *    1. base <= commit <= last; applied <= commit; snapshot index >= base; log within its slots.
 *    2. Terms never fall along the log, none is 0, none is later than the current term.
 *    3. stable <= last; persist_next <= last + 1; while stable is before the base, a write under way
 *       or an install mark that is due will prove the base.
 *    4. Pending writes have consecutive numbers after io_done; none proves more than the log holds.
 *    5. The durable term is not later than the current one, and in the same term the vote that is
 *       durable is the current one or none.
 *    6. Configurations: they ascend, each but the first stands at a CONFIG entry, and each CONFIG entry
 *       behind the first has one; the first is at or before the base, or stands at one too.
 *    7. The peer table mirrors the newest configuration; lanes are distinct; learners never count.
 *    8. A leader knows itself as leader, is in a durable term with a durable own vote, and its log
 *       ends in its own term.
 *    9. verified <= last, and a follower without a leader acknowledges nothing.
 *   10. Each peer of a leader: match < next <= last + 1, match <= last, the window sums up.
 *   11. Liveness: a peer that is not known to hold everything has a timer that is armed, and the
 *       deadline of this member is not after it.
 *   12. A member that is not leader will look at its election timer; a leader at its next beat.
 *   13. Reads: marks ascend, nothing older than the deadline allows, counts within bounds.
 *   14. A snapshot being received: stored <= accepted <= size.
 *   15. uncommitted_bytes of a leader is what the log says.
 *   16. Own proposals that may be lost are after the commit index.
 *   17. Every configuration is valid: one place and at most one fitting mark for each member.
 *   18. A leader that has an entry of its term committed has at most one configuration that is not.
 *   19. Of a configuration that this leader appended and the one before: the voters are the same, or one is
 *       joint and that half of it are the voters of the other; so their quorums meet.
 *   20. Of members to be promoted only, a leader watches rounds.
 *   21. A member under repair is a follower that has no vote to tell; one whose term is in doubt
 *       follows nobody.
 *   22. A leader has a time for whatever a peer could use of the commit index and was not told, within
 *       commit_delay, and the deadline is not after it. (Once a round was empty: until then it may be about
 *       to be told.)
 */
#include "raft/internal.h"

#define RULE(number, condition, text) \
    do {                              \
        if (!(condition)) {           \
            return #number ": " text; \
        }                             \
    } while (0)

static const char *check_log(const struct raft *r)
{
    raft_term before = r->base_term;
    uint64_t bytes = 0;
    RULE(1, r->base <= r->commit && r->commit <= r->last, "base <= commit <= last");
    RULE(1, r->applied <= r->commit, "applied <= commit");
    RULE(1, r->snapshot.index >= r->base, "the snapshot covers the base");
    RULE(1, r->last - r->base <= r->o.log_slots, "the log fits its slots");
    for (raft_index i = r->base + 1; i <= r->last; i++) {
        const struct raft_entry *e = raft__entry(r, i);
        RULE(2, e->term >= before && e->term > 0, "terms never fall");
        before = e->term;
        bytes += i > r->commit ? e->bytes : 0;
    }
    RULE(2, before == r->last_term, "last term is the term of the last entry");
    RULE(2, before <= r->term || r->boot != RAFT__BOOT_DONE, "no entry of a later term");
    RULE(15, r->role != RAFT_LEADER || bytes == r->uncommitted_bytes, "uncommitted bytes");
    RULE(16, r->own_first == 0 || (r->own_first > r->commit && r->own_last >= r->own_first),
         "own proposals are uncommitted");
    RULE(16, r->own_last <= r->last, "own proposals are in the log");
    return NULL;
}

static const char *check_io(const struct raft *r)
{
    int mark = r->mark_install != 0;
    RULE(3, r->stable <= r->last, "stable <= last");
    RULE(3, r->persist_next <= r->last + 1, "persist_next <= last + 1");
    for (uint32_t i = 0; i < r->io_count; i++) {
        const struct raft__io *io = &r->io[(r->io_head + i) % RAFT_IO_MAX];
        RULE(4, io->seq == r->io_done + 1 + i, "numbers of writes are consecutive");
        RULE(4, io->last <= r->last, "a write proves no more than the log holds");
        mark |= io->last >= r->base;
    }
    RULE(4, r->io_done + r->io_count == r->io_seq, "all writes are accounted for");
    RULE(3, r->stable >= r->base || mark, "the log begins durably, or will");
    RULE(5, r->durable_term <= r->term, "the durable term is not later");
    RULE(5, r->durable_term != r->term || r->durable_vote == 0 || r->durable_vote == r->vote,
         "a durable vote stands");
    return NULL;
}

/* 1 when the same ids have a_role in a as have b_role in b. */
static int same_voters(const struct raft_config *a, uint32_t a_role, const struct raft_config *b,
                       uint32_t b_role)
{
    for (uint32_t i = 0; i < a->count; i++) {
        int there = (raft__roles_in(b, a->members[i].id) & b_role) != 0;
        if (((a->members[i].roles & a_role) != 0) != there) {
            return 0;
        }
    }
    for (uint32_t i = 0; i < b->count; i++) {
        int there = (raft__roles_in(a, b->members[i].id) & a_role) != 0;
        if (((b->members[i].roles & b_role) != 0) != there) {
            return 0;
        }
    }
    return 1;
}

static int is_joint(const struct raft_config *c)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        all |= c->members[i].roles;
    }
    return (all & RAFT_VOTER_OLD) != 0;
}

static int quorums_meet(const struct raft_config *a, const struct raft_config *b)
{
    if (is_joint(a) && is_joint(b)) {
        return 0; /* none is ever appended to the other */
    }
    return same_voters(a, RAFT_VOTER, b, is_joint(b) ? RAFT_VOTER_OLD : RAFT_VOTER);
}

static const char *check_stack(const struct raft *r)
{
    uint32_t open = 0;
    uint32_t entries = 0;
    RULE(6, r->configs_count > 0 && r->configs_count <= RAFT_CONFIGS_MAX, "a configuration");
    raft_index bottom = r->configs[0].index;
    for (uint32_t i = 0; i < r->configs_count; i++) {
        raft_index index = r->configs[i].index;
        RULE(17, raft__config_valid(&r->configs[i].config), "a valid configuration");
        RULE(6, i == 0 || (index > r->base && index > r->configs[i - 1].index), "they ascend");
        RULE(6, index <= r->last, "within the log");
        RULE(6, index <= r->base || raft__entry(r, index)->type == RAFT_ENTRY_CONFIG,
             "at a CONFIG entry");
        open += index > r->commit;
        if (i > 0 && r->role == RAFT_LEADER && raft__entry(r, index)->term == r->term) {
            RULE(19, quorums_meet(&r->configs[i - 1].config, &r->configs[i].config),
                 "quorums of one configuration and the next meet");
        }
    }
    RULE(18, r->role != RAFT_LEADER || !r->leader_ready || open <= 1, "one change at a time");
    for (raft_index i = raft__max(bottom, r->base) + 1; i <= r->last; i++) {
        entries += raft__entry(r, i)->type == RAFT_ENTRY_CONFIG;
    }
    RULE(6, entries + 1 == r->configs_count, "each CONFIG entry has its configuration");
    return NULL;
}

static const char *check_configs(const struct raft *r)
{
    const char *broken = check_stack(r);
    if (broken != NULL) {
        return broken;
    }
    const struct raft_config *top = &raft__config(r)->config;
    uint32_t lanes = 0;
    RULE(7, top->count == r->peers_count, "peers mirror the newest configuration");
    for (uint32_t i = 0; i < r->peers_count; i++) {
        const struct raft__peer *p = &r->peers[i];
        RULE(7, p->id == top->members[i].id && p->roles == top->members[i].roles, "in its order");
        RULE(7, p->lane < RAFT_NODES_MAX && (lanes >> p->lane & 1) == 0, "lanes are distinct");
        RULE(7, (p->id == r->o.id) == (i == r->self), "this member knows its slot");
        RULE(7, (r->voters >> i & 1) == ((p->roles & RAFT_VOTER) != 0), "voters count");
        RULE(7, (r->voters_old >> i & 1) == ((p->roles & RAFT_VOTER_OLD) != 0), "in their half");
        RULE(7, (p->roles & RAFT_LEARNER) == 0 || ((r->voters | r->voters_old) >> i & 1) == 0,
             "learners never count");
        lanes |= (uint32_t)1 << p->lane;
    }
    return NULL;
}

static const char *check_peer(const struct raft *r, const struct raft__peer *p)
{
    const struct raft__inflight *w =
        (const struct raft__inflight *)(const void *)((const char *)r + r->inflight_offset) +
        (size_t)p->lane * r->o.inflight_msgs_max;
    uint64_t bytes = 0;
    raft_index before = p->match;
    RULE(10, p->match < p->next && p->next <= r->last + 1, "match < next <= last + 1");
    RULE(10, p->inflight_count <= r->o.inflight_msgs_max, "the window is bounded");
    for (uint32_t i = 0; i < p->inflight_count; i++) {
        const struct raft__inflight *f = &w[(p->inflight_head + i) % r->o.inflight_msgs_max];
        RULE(10, f->last > before, "the window ascends");
        before = f->last;
        bytes += f->bytes;
    }
    RULE(10, bytes == p->inflight_bytes, "the window sums up");
    RULE(10, p->state != RAFT__SNAPSHOT || p->inflight_count == 0, "no entries with a snapshot");
    RULE(10, p->state >= RAFT__PROBE && p->state <= RAFT__SNAPSHOT, "a known state");
    int held = p->state == RAFT__REPLICATE && p->match == r->last;
    int unsent = p->state == RAFT__REPLICATE && p->next <= r->last && !r->polled;
    RULE(20, (p->roles & RAFT_PROMOTE) != 0 || (p->round_goal | p->round_at | p->caught_up) == 0,
         "rounds are of members to be promoted");
    RULE(20, p->round_goal <= r->last, "a round has a goal in the log");
    RULE(11, held || unsent || p->retry_at != RAFT__NEVER, "a next attempt is certain");
    RULE(11, p->retry_at >= raft_deadline(r), "and the deadline is not after it");
    int told = p->sent_commit >= raft__commit_for(r, p);
    RULE(22, p->tell_at >= raft_deadline(r), "the deadline is not after the time to tell");
    RULE(22, !r->quiet || told || p->tell_at <= raft__after(r->now, r->o.commit_delay),
         "what is committed is told in time");
    return NULL;
}

static const char *check_repair(const struct raft *r)
{
    RULE(17, r->role == RAFT_FOLLOWER && r->grant_to == 0,
         "under repair: a follower without a vote");
    RULE(17, !raft__repair_deaf(r) || (r->damage & RAFT_DAMAGE_HOLE) != 0, "VOTE implies HOLE");
    RULE(17, !raft__repair_deaf(r) || r->leader == 0, "term in doubt: no leader is followed");
    RULE(17, r->repair_term <= r->term, "no word of a later term");
    return NULL;
}

static const char *check_role(const struct raft *r)
{
    RULE(9, r->verified <= r->last || r->boot != RAFT__BOOT_DONE, "verified <= last");
    if (r->role != RAFT_LEADER) {
        RULE(8, r->leader != r->o.id, "only a leader leads");
        RULE(12, r->boot != RAFT__BOOT_DONE || raft_deadline(r) != RAFT__NEVER,
             "the election timer runs");
        return NULL;
    }
    RULE(8, r->leader == r->o.id, "a leader knows itself");
    RULE(8, r->durable_term == r->term && r->durable_vote == r->o.id, "elected durably");
    RULE(8, r->last_term == r->term, "the log ends in the leader's term");
    RULE(12, raft_deadline(r) <= r->beat_at, "the next beat is certain");
    RULE(12, !r->leaving || r->transfer_to != 0, "one that votes no more is about to step down");
    for (uint32_t i = 0; i < r->peers_count; i++) {
        const char *broken = i == r->self ? NULL : check_peer(r, &r->peers[i]);
        if (broken != NULL) {
            return broken;
        }
    }
    return NULL;
}

static const char *check_reads(const struct raft *r)
{
    const struct raft__read *ring =
        (const struct raft__read *)(const void *)((const char *)r + r->reads_offset);
    uint64_t before = 0;
    RULE(13, r->reads_count + r->results_count <= r->o.reads_max, "reads are bounded");
    RULE(13, r->reads_fresh <= r->reads_count, "fresh reads are reads");
    for (uint32_t i = 0; i < r->reads_count - r->reads_fresh; i++) {
        const struct raft__read *read = &ring[(r->reads_head + i) % r->o.reads_max];
        RULE(13, read->mark >= before, "marks ascend");
        RULE(13, raft_deadline(r) <= raft__after(read->at, r->o.election_min), "reads end");
        before = read->mark;
    }
    RULE(14, r->rx.stored <= r->rx.accepted, "stored <= accepted");
    RULE(14, r->rx.phase == RAFT__RX_NONE || r->rx.accepted <= r->rx.snapshot.bytes,
         "no more than the file");
    return NULL;
}

static const char *first_broken(const struct raft *r)
{
    const char *broken;
    if (r->role == RAFT_FAULTED || r->boot == RAFT__BOOT_NEW) {
        return NULL; /* promises nothing any more, or nothing yet */
    }
    if ((broken = check_log(r)) != NULL || (broken = check_configs(r)) != NULL) {
        return broken;
    }
    if (r->boot != RAFT__BOOT_DONE) {
        return NULL;
    }
    if ((broken = check_io(r)) != NULL || (broken = check_role(r)) != NULL) {
        return broken;
    }
    if (raft__repairing(r) && (broken = check_repair(r)) != NULL) {
        return broken;
    }
    return check_reads(r);
}

int raft_check(const struct raft *r, char *why, size_t n)
{
    const char *broken = first_broken(r);
    if (broken == NULL) {
        return 0;
    }
    size_t len = strlen(broken);
    if (why != NULL && n > 0) {
        len = len < n - 1 ? len : n - 1;
        memcpy(why, broken, len);
        why[len] = '\0';
    }
    return -1;
}

/* --- hash ----------------------------------------------------------------------------------- */

/* Mix words of memory into h; bytes is a multiple of 8. */
static uint64_t mix(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *at = data;
    RAFT_INVARIANT(bytes % 8 == 0);
    for (size_t i = 0; i < bytes; i += 8) {
        uint64_t word;
        memcpy(&word, at + i, sizeof(word));
        h = (h ^ word) * 0x9fb21c651e98df25u;
        h ^= h >> 32;
    }
    return h;
}

_Static_assert(offsetof(struct raft, polled) % 8 == 0, "hashed by words");

uint64_t raft_hash(const struct raft *r)
{
    uint64_t h = mix(0x2545f4914f6cdd1du, r, offsetof(struct raft, polled));
    for (raft_index i = r->base + 1; i <= r->last; i++) {
        h = mix(h, raft__entry(r, i), sizeof(struct raft_entry));
    }
    for (uint32_t p = 0; p < r->peers_count; p++) {
        const struct raft__inflight *w =
            (const struct raft__inflight *)(const void *)((const char *)r + r->inflight_offset) +
            (size_t)r->peers[p].lane * r->o.inflight_msgs_max;
        for (uint32_t i = 0; i < r->peers[p].inflight_count; i++) {
            h = mix(h, &w[(r->peers[p].inflight_head + i) % r->o.inflight_msgs_max], sizeof(*w));
        }
    }
    const struct raft__read *ring =
        (const struct raft__read *)(const void *)((const char *)r + r->reads_offset);
    for (uint32_t i = 0; i < r->reads_count; i++) {
        h = mix(h, &ring[(r->reads_head + i) % r->o.reads_max], sizeof(*ring));
    }
    return h;
}
