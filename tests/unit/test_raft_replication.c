/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: logs come to agree, cheaply; what is committed stays; what is not durable is not claimed.
 * Method: ensembles in memory, with disks that finish when told, messages held back, altered or made
 * up. The numbers in comments are those of the bugs that others shipped (see raft/README.md's rules).
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_ensemble.h"

static struct ens *led_by_1(uint32_t members, void (*tweak)(struct raft_options *))
{
    struct ens *c = ens_new(members, 11, tweak);
    ens_make_leader(c, 1);
    return c;
}

static uint64_t all_sent(struct ens *c, uint32_t type)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        n += c->nodes[i].sent[type];
    }
    return n;
}

START_TEST(entries_reach_everybody)
{
    struct ens *c = led_by_1((uint32_t)_i + 1, NULL);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(ens_propose(c, 1, (uint32_t)i % 7 + 1), 0);
        ens_settle(c);
        ens_assert_equal(c); /* at once: followers learn of the commit without a timer */
    }
    ens_free(c);
}
END_TEST

/* Proposals of one round leave as one message to each follower and one write. */
START_TEST(one_message_and_one_write_for_a_batch)
{
    struct ens *c = led_by_1(3, NULL);
    ens_settle(c);
    uint64_t appends = all_sent(c, RAFT_MSG_APPEND);
    ck_assert_int_eq(ens_propose(c, 1, 256), 0);
    ens_settle(c);
    ck_assert_uint_eq(all_sent(c, RAFT_MSG_APPEND), appends + 2);
    ens_free(c);
}
END_TEST

static void slots_few(struct raft_options *o)
{
    o->msg_entries_max = 10;
    o->msg_bytes_max = 1000;
    o->inflight_msgs_max = 3;
    o->inflight_bytes_max = 2500;
}

START_TEST(window_bounds_what_is_under_way)
{
    struct ens *c = led_by_1(3, slots_few);
    ens_settle(c);
    ens_node(c, 2)->disk_manual = 1;
    uint64_t before = ens_node(c, 1)->sent_entries;
    ens_crash(c, 3);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(ens_propose_bytes(c, 1, 10, 100), 0);
    }
    ens_settle(c);
    /* 3 messages of 10 entries to each of two followers */
    ck_assert_uint_eq(ens_node(c, 1)->sent_entries - before, 60);
    ens_node(c, 2)->disk_manual = 0;
    ens_disk(c, 2, RAFT_IO_MAX);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 2).commit, ens_status(c, 1).last);
    ens_free(c);
}
END_TEST

START_TEST(an_entry_larger_than_a_message_goes_alone)
{
    struct ens *c = led_by_1(3, slots_few);
    ck_assert_int_eq(ens_propose_bytes(c, 1, 3, 5000), 0);
    ck_assert_int_eq(ens_propose_bytes(c, 1, 3, 10), 0);
    ens_settle(c);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 1: a write that completes late speaks for what it wrote, not for what replaced it. */
START_TEST(old_write_does_not_credit_new_entries)
{
    struct ens *c = ens_new(3, 4, NULL);
    ens_node(c, 2)->disk_manual = 1;
    struct raft_msg m = {
        .type = RAFT_MSG_APPEND, .from = 1, .to = 2, .term = 2, .seq = 1, .count = 2};
    ens_inject(c, &m, 2);
    m.from = 3;
    m.term = 3;
    ens_inject(c, &m, 3);
    m.from = 1;
    m.term = 4;
    ens_inject(c, &m, 2); /* the same index and term as the first, other entries */
    ck_assert_uint_eq(ens_status(c, 2).last, 2);
    ens_disk(c, 2, 2); /* hard state of term 2 and the first two entries */
    ck_assert_uint_eq(ens_status(c, 2).stable, 0);
    ens_disk(c, 2, 2);
    ck_assert_uint_eq(ens_status(c, 2).stable, 0);
    ck_assert_uint_eq(ens_node(c, 2)->sent[RAFT_MSG_APPEND_REPLY], 0);
    ens_disk(c, 2, 2);
    ck_assert_uint_eq(ens_status(c, 2).stable, 2);
    ck_assert_uint_eq(ens_node(c, 2)->sent[RAFT_MSG_APPEND_REPLY], 1);
    ens_free(c);
}
END_TEST

/* Bug 11. */
START_TEST(single_voter_commits_only_from_disk)
{
    struct ens *c = ens_new(1, 4, NULL);
    ens_node(c, 1)->disk_manual = 1;
    raft_index commit = ens_status(c, 1).commit;
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ck_assert_uint_eq(ens_status(c, 1).commit, commit);
    ens_disk(c, 1, 1);
    ck_assert_uint_eq(ens_status(c, 1).commit, commit + 3);
    ens_free(c);
}
END_TEST

START_TEST(group_commits_without_the_leaders_disk)
{
    struct ens *c = led_by_1(3, NULL);
    ens_node(c, 1)->disk_manual = 1;
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 1).commit, ens_status(c, 1).last);
    ck_assert_uint_lt(ens_status(c, 1).stable, ens_status(c, 1).last);
    ens_free(c);
}
END_TEST

/* Bug 16, Raft figure 8: an older entry on a majority is not committed by counting. */
START_TEST(old_entry_on_a_quorum_waits_for_an_own_one)
{
    struct ens *c = led_by_1(3, NULL);
    raft_index before = ens_status(c, 1).commit;
    ens_isolate(c, 1, 0);
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_crash(c, 1);
    ens_restart(c, 1);
    ens_heal_all(c, 0);
    ens_hold(c, 0, RAFT_MSG_APPEND_REPLY);
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_HEARTBEAT_REPLY;
    ens_link(c, 3, 1)->drop_type = RAFT_MSG_HEARTBEAT_REPLY;
    c->now += 600 * ENS_MS; /* boot contact is over everywhere */
    ens_make_leader(c, 1);
    raft_index own = ens_status(c, 1).last;
    ck_assert_uint_eq(own, before + 2);
    ens_release(c); /* refusals: the followers miss the old entry too */
    ens_hold(c, 0, RAFT_MSG_APPEND_REPLY);
    ens_settle(c);
    /* Let both followers say that they hold the old entry, but not yet the leader's own. */
    for (uint32_t i = 0; i < c->held_count; i++) {
        if ((c->held[i]->msg.flags & RAFT_FLAG_REJECT) == 0 && c->held[i]->msg.index == own) {
            c->held[i]->msg.index = own - 1;
            c->held[i]->msg.hint = own - 1;
        }
    }
    ens_release(c);
    ens_hold(c, 0, RAFT_MSG_APPEND_REPLY);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 1).peers[1].match, own - 1);
    ck_assert_uint_eq(ens_status(c, 1).peers[2].match, own - 1);
    ck_assert_uint_le(ens_status(c, 1).commit, before);
    ens_release(c);
    ens_run(c, 400 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 1).commit, own);
    ens_free(c);
}
END_TEST

/* Bug 17: a heartbeat's commit index is no statement about a tail that was never compared. */
START_TEST(unverified_tail_is_not_committed)
{
    struct ens *c = led_by_1(3, NULL);
    ens_isolate(c, 2, 0);
    ens_isolate(c, 1, 0);
    ck_assert_int_eq(ens_propose(c, 1, 4), 0); /* a tail that only 1 has */
    raft_index commit = ens_status(c, 1).commit;
    raft_index last = ens_status(c, 1).last;
    ens_link(c, 2, 1)->cut = 0;
    struct raft_msg m = {.type = RAFT_MSG_HEARTBEAT,
                         .from = 2,
                         .to = 1,
                         .term = ens_status(c, 1).term + 1,
                         .seq = 1,
                         .commit = last};
    ens_inject(c, &m, 0);
    ck_assert_uint_eq(ens_status(c, 1).leader, 2);
    ck_assert_uint_eq(ens_status(c, 1).commit, commit);
    /* An empty APPEND that matches before the tail verifies no more than that. */
    m.type = RAFT_MSG_APPEND;
    m.seq = 2;
    m.index = commit;
    m.log_term = raft_entry_at(ens_node(c, 1)->raft, commit)->term;
    ens_inject(c, &m, 0);
    ck_assert_uint_eq(ens_status(c, 1).commit, commit);
    ck_assert_uint_eq(ens_status(c, 1).last, last);
    ens_free(c);
}
END_TEST

/* Bug 20: a refusal that arrives late does not take the leader's view back. */
START_TEST(late_refusal_is_ignored)
{
    struct ens *c = led_by_1(3, NULL);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_APPEND;
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_link(c, 1, 2)->drop_type = 0;
    ens_hold(c, 2, RAFT_MSG_APPEND_REPLY);
    ck_assert_int_eq(ens_propose(c, 1, 1), 0); /* has a gap before it: refused */
    ens_settle(c);
    ck_assert_uint_eq(c->held_count, 1);
    ck_assert_uint_eq(c->held[0]->msg.flags & RAFT_FLAG_REJECT, RAFT_FLAG_REJECT);
    struct ens_packet *late = c->held[0];
    c->held_count = 0;
    c->hold_type = 0;
    ens_run(c, 400 * ENS_MS);
    ens_assert_equal(c);
    raft_index next = ens_status(c, 1).peers[1].next;
    uint64_t appends = ens_node(c, 1)->sent[RAFT_MSG_APPEND];
    c->queue[c->queue_count++] = late;
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 1).peers[1].next, next);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_APPEND], appends);
    ens_free(c);
}
END_TEST

/* Two logs that part early, with many terms on both sides, meet after few questions. */
START_TEST(long_conflicts_are_skipped_by_terms)
{
    struct ens *c = ens_new(3, 21, NULL);
    for (raft_id id = 1; id <= 3; id++) {
        ens_crash(c, id);
    }
    for (uint32_t i = 1; i <= 300; i++) {
        /* Same through 20; then 1 has terms 2, 2, .. 4, 4, .. and 2 has 3, 3, .. 5, 5, .. */
        raft_term step = i <= 20 ? 0 : (i - 20) / 40;
        for (raft_id id = 1; id <= 3; id++) {
            struct ens_node *n = ens_node(c, id);
            raft_term term = i <= 20 ? 1 : 2 + 2 * step + (id != 1);
            n->disk.entries[i] = (struct raft_entry){.term = term, .type = RAFT_ENTRY_COMMAND};
            n->disk.values[i] = i * 100 + term;
            n->disk.last = id == 3 ? 20 : i;
            n->disk_term = 30;
        }
    }
    for (raft_id id = 1; id <= 3; id++) {
        ens_restart(c, id);
    }
    c->now += 600 * ENS_MS;
    ens_make_leader(c, 2);
    ens_settle(c);
    ens_assert_equal(c);
    /* 1 has 7 terms to unlearn: about one question for each, never one for each entry. */
    ck_assert_uint_le(ens_node(c, 2)->sent[RAFT_MSG_APPEND], 24);
    ens_free(c);
}
END_TEST

START_TEST(lost_append_is_noticed_by_the_next_beat)
{
    struct ens *c = led_by_1(3, NULL);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_APPEND;
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_link(c, 1, 2)->drop_type = 0;
    ens_run(c, 60 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(lost_acknowledgement_is_made_up_for)
{
    struct ens *c = led_by_1(2, NULL);
    ens_link(c, 2, 1)->drop_type = RAFT_MSG_APPEND_REPLY;
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    uint64_t entries = ens_node(c, 1)->sent_entries;
    ens_run(c, 110 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 1).commit, ens_status(c, 1).last);
    ck_assert_uint_eq(ens_node(c, 1)->sent_entries, entries); /* nothing was sent twice */
    ens_free(c);
}
END_TEST

/* A follower whose disk is slow is asked how it is, but not sent everything again. */
START_TEST(slow_follower_gets_nothing_twice)
{
    struct ens *c = led_by_1(3, NULL);
    ens_settle(c);
    uint64_t entries = ens_node(c, 1)->sent_entries;
    ens_node(c, 2)->disk_manual = 1;
    ck_assert_int_eq(ens_propose(c, 1, 50), 0);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_node(c, 1)->sent_entries, entries + 100);
    ens_disk(c, 2, RAFT_IO_MAX);
    ens_run(c, 100 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 1).peers[1].match, ens_status(c, 1).last);
    ens_free(c);
}
END_TEST

START_TEST(lost_proposals_are_reported)
{
    struct ens *c = led_by_1(3, NULL);
    ens_isolate(c, 1, 0);
    raft_index last = ens_status(c, 1).last;
    raft_term term = ens_status(c, 1).term;
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 1);
    ens_heal_all(c, 0);
    ens_run(c, 1000 * ENS_MS);
    ck_assert_uint_eq(ens_node(c, 1)->drops_count, 1);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].first, last + 1);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].last, last + 3);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].term, term);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(contradicting_leader_stops_the_member)
{
    struct ens *c = led_by_1(3, NULL);
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_settle(c);
    raft_term term = ens_status(c, 2).term;
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 3,
                         .to = 2,
                         .term = term + 1,
                         .seq = 1,
                         .index = 1,
                         .log_term = 1,
                         .count = 1};
    ens_inject(c, &m, term + 1);
    ck_assert_int_eq(ens_status(c, 2).role, RAFT_FAULTED);
    ck_assert_ptr_nonnull(ens_status(c, 2).fault);
    struct raft_event ev = {.type = RAFT_EV_TICK, .now = c->now};
    ck_assert_int_eq(raft_step(ens_node(c, 2)->raft, &ev, NULL), RAFT_EFAULTED);
    ck_assert_uint_eq(raft_deadline(ens_node(c, 2)->raft), UINT64_MAX);
    ens_free(c);
}
END_TEST

/* A replayed first APPEND after the log was compacted appends nothing anywhere. */
START_TEST(replay_from_before_the_base_changes_nothing)
{
    struct ens *c = led_by_1(3, NULL);
    ens_settle(c);
    ck_assert_int_eq(ens_propose(c, 1, 30), 0);
    ens_settle(c);
    ens_snapshot(c, 2, 1000, 0);
    struct raft_status before = ens_status(c, 2);
    ck_assert_uint_eq(before.first, before.last + 1);
    struct raft_msg m = {
        .type = RAFT_MSG_APPEND, .from = 1, .to = 2, .term = before.term, .seq = 1, .count = 1};
    ens_inject(c, &m, before.term);
    struct raft_status after = ens_status(c, 2);
    ck_assert_uint_eq(after.last, before.last);
    ck_assert_int_eq(after.role, RAFT_FOLLOWER);
    ens_free(c);
}
END_TEST

static void bytes_few(struct raft_options *o)
{
    o->uncommitted_bytes_max = 1000;
    o->log_slots = 64;
}

static void slots_many(struct raft_options *o)
{
    o->log_slots = 2048;
}

/* Leaders that come and go without committing anything take a slot each; what is left for them grows
 * with the log. */
START_TEST(proposals_leave_slots_to_leaders)
{
    struct ens *c = led_by_1(3, slots_many);
    ens_settle(c);
    ens_isolate(c, 1, 0);
    while (ens_propose_bytes(c, 1, 1, 1) == 0) {
        ck_assert_uint_lt(ens_status(c, 1).last, 2048);
    }
    ck_assert_uint_eq(ens_status(c, 1).last, 2048 - 2048 / 64);
    ens_free(c);
}
END_TEST

START_TEST(proposals_are_refused_when_there_is_no_room)
{
    struct ens *c = led_by_1(3, bytes_few);
    ens_settle(c);
    ck_assert_int_eq(ens_propose(c, 2, 1), RAFT_ENOTLEADER);
    ens_isolate(c, 1, 0);
    ck_assert_int_eq(ens_propose_bytes(c, 1, 1, 5000), 0); /* one may exceed */
    ck_assert_int_eq(ens_propose_bytes(c, 1, 1, 1), RAFT_EFULL);
    ens_heal_all(c, 0);
    ens_run(c, 200 * ENS_MS);
    ck_assert_int_eq(ens_propose_bytes(c, 1, 1, 1), 0);
    ck_assert_int_eq(ens_propose_bytes(c, 1, 60, 1), RAFT_EFULL); /* slots */
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_DISK, .value = 0});
    ck_assert_int_eq(ens_propose(c, 1, 1), RAFT_ENOSPACE);
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_DISK, .value = 1});
    ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    ens_settle(c);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A follower without room takes nothing, says so, and catches up when there is room. */
START_TEST(full_follower_catches_up_later)
{
    struct ens *c = led_by_1(3, NULL);
    ens_settle(c);
    raft_index last = ens_status(c, 2).last;
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_DISK, .value = 0});
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 2000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_status(c, 2).last, last);
    ck_assert_uint_eq(ens_status(c, 1).commit, last + 20);
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_DISK, .value = 1});
    ens_run(c, 600 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

static void one_entry_a_message(struct raft_options *o)
{
    o->msg_entries_max = 1;
}

/* What it refused is offered again at the pace of retries, not of heartbeats with a window each. */
START_TEST(full_follower_is_left_in_peace)
{
    struct ens *c = led_by_1(3, one_entry_a_message);
    ens_settle(c);
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_DISK, .value = 0});
    ck_assert_int_eq(ens_propose(c, 1, 40), 0);
    ens_run(c, 500 * ENS_MS);
    uint64_t before = c->sent[RAFT_MSG_APPEND];
    ens_run(c, 2000 * (raft_ns)ENS_MS);
    const struct raft_options *o = &ens_node(c, 1)->options;
    uint64_t retries = 2000 * (raft_ns)ENS_MS / (o->election_min / 2) + 1;
    ck_assert_uint_le(c->sent[RAFT_MSG_APPEND] - before, retries * (o->inflight_msgs_max + 2));
    (void)ens_step(c, 2, (struct raft_event){.type = RAFT_EV_DISK, .value = 1});
    ens_run(c, 600 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 15: heartbeats need no disk, but a leader does. */
START_TEST(leader_with_a_stalled_disk_yields)
{
    struct ens *c = led_by_1(3, NULL);
    ens_run(c, 200 * ENS_MS);
    ens_node(c, 1)->disk_manual = 1;
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_run(c, 700 * ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_gt(leader, 1);
    ck_assert_int_eq(ens_propose(c, leader, 3), 0);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    ck_assert_uint_eq(ens_leader(c), leader);
    ens_node(c, 1)->disk_manual = 0;
    ens_disk(c, 1, RAFT_IO_MAX);
    ens_run(c, 1000 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(leader_with_a_stalled_disk_and_no_heir_steps_down)
{
    struct ens *c = led_by_1(2, NULL);
    ens_run(c, 200 * ENS_MS);
    ens_node(c, 1)->disk_manual = 1;
    ens_node(c, 2)->disk_manual = 1;
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_run(c, 2500 * (raft_ns)ENS_MS);
    ck_assert_int_ne(ens_status(c, 1).role, RAFT_LEADER);
    ens_free(c);
}
END_TEST

START_TEST(failed_write_is_final)
{
    struct ens *c = led_by_1(3, NULL);
    struct ens_node *n = ens_node(c, 2);
    struct raft_event ev = {.type = RAFT_EV_IO_FAILED, .now = c->now};
    ck_assert_int_eq(raft_step(n->raft, &ev, NULL), 0);
    ck_assert_int_eq(ens_status(c, 2).role, RAFT_FAULTED);
    const struct raft_actions *a = raft_poll(n->raft);
    ck_assert_uint_eq(a->sends_count, 0);
    ck_assert_uint_eq(a->persist_count, 0);
    ck_assert_int_eq(a->state_changed, 1);
    raft_done(n->raft);
    ens_free(c);
}
END_TEST

/* Bug 23: nothing new is written, yet a member that missed a compacted log is brought up. */
START_TEST(idle_group_catches_up_a_returning_member)
{
    struct ens *c = led_by_1(3, NULL);
    ens_crash(c, 3);
    ck_assert_int_eq(ens_propose(c, 1, 40), 0);
    ens_settle(c);
    ens_snapshot(c, 1, 1000, 0);
    ens_snapshot(c, 2, 1000, 0);
    ens_restart(c, 3);
    ens_run(c, 700 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A member that restarts without its links noticing still learns the commit index while idle. */
START_TEST(restarted_member_commits_while_idle)
{
    struct ens *c = led_by_1(3, NULL);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_run(c, 100 * ENS_MS);
    ens_crash(c, 3);
    ens_restart(c, 3);
    ens_run(c, 110 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* What is idle stays quiet: heartbeats and their answers, nothing else. */
START_TEST(idle_group_only_beats)
{
    struct ens *c = led_by_1(3, NULL);
    ens_run(c, 1000 * ENS_MS);
    uint64_t appends = all_sent(c, RAFT_MSG_APPEND);
    uint64_t beats = all_sent(c, RAFT_MSG_HEARTBEAT);
    ens_run(c, 1000 * ENS_MS);
    ck_assert_uint_eq(all_sent(c, RAFT_MSG_APPEND), appends);
    ck_assert_uint_le(all_sent(c, RAFT_MSG_HEARTBEAT) - beats, 42);
    ens_free(c);
}
END_TEST

static TCase *agreement(void)
{
    TCase *t = tcase_create("agreement");
    tcase_add_loop_test(t, entries_reach_everybody, 0, 5);
    tcase_add_test(t, one_message_and_one_write_for_a_batch);
    tcase_add_test(t, window_bounds_what_is_under_way);
    tcase_add_test(t, an_entry_larger_than_a_message_goes_alone);
    tcase_add_test(t, old_entry_on_a_quorum_waits_for_an_own_one);
    tcase_add_test(t, unverified_tail_is_not_committed);
    tcase_add_test(t, late_refusal_is_ignored);
    tcase_add_test(t, long_conflicts_are_skipped_by_terms);
    tcase_add_test(t, lost_append_is_noticed_by_the_next_beat);
    tcase_add_test(t, lost_acknowledgement_is_made_up_for);
    tcase_add_test(t, lost_proposals_are_reported);
    tcase_add_test(t, contradicting_leader_stops_the_member);
    tcase_add_test(t, replay_from_before_the_base_changes_nothing);
    tcase_add_test(t, idle_group_catches_up_a_returning_member);
    tcase_add_test(t, restarted_member_commits_while_idle);
    tcase_add_test(t, idle_group_only_beats);
    return t;
}

static TCase *disks(void)
{
    TCase *t = tcase_create("disks");
    tcase_add_test(t, old_write_does_not_credit_new_entries);
    tcase_add_test(t, single_voter_commits_only_from_disk);
    tcase_add_test(t, group_commits_without_the_leaders_disk);
    tcase_add_test(t, slow_follower_gets_nothing_twice);
    tcase_add_test(t, proposals_are_refused_when_there_is_no_room);
    tcase_add_test(t, proposals_leave_slots_to_leaders);
    tcase_add_test(t, full_follower_catches_up_later);
    tcase_add_test(t, full_follower_is_left_in_peace);
    tcase_add_test(t, leader_with_a_stalled_disk_yields);
    tcase_add_test(t, leader_with_a_stalled_disk_and_no_heir_steps_down);
    tcase_add_test(t, failed_write_is_final);
    return t;
}

int main(void)
{
    Suite *s = suite_create("raft_replication");
    suite_add_tcase(s, agreement());
    suite_add_tcase(s, disks());
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
