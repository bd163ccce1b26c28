/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a snapshot replaces log, configuration and waiting proposals as one, its transfer always
 * comes to an end, and a member boots from whatever a crash left of both.
 * Method: ensembles in memory for transfers; a single core for what a disk may hold at boot.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

static void small_chunks(struct raft_options *o)
{
    o->chunk_bytes = 100;
    o->chunks_inflight_max = 3;
}

/* 1 leads, 3 is down, and what 3 misses is compacted on the others. */
static struct ens *compacted(uint64_t bytes)
{
    struct ens *c = ens_new(3, 13, small_chunks);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_crash(c, 3);
    ck_assert_int_eq(ens_propose(c, 1, 40), 0);
    ens_settle(c);
    ens_snapshot(c, 1, bytes, 0);
    return c;
}

START_TEST(missing_entries_come_as_a_snapshot)
{
    struct ens *c = compacted(1234);
    ens_restart(c, 3);
    ens_run(c, 600 * ENS_MS);
    ck_assert_uint_eq(ens_status(c, 3).snapshot, ens_status(c, 1).snapshot);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_SNAPSHOT], 13);
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_settle(c);
    ens_assert_equal(c);
    ens_crash(c, 3);
    ens_restart(c, 3);
    ens_run(c, 300 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(kept_entries_spare_a_transfer)
{
    struct ens *c = ens_new(3, 13, small_chunks);
    ens_make_leader(c, 1);
    ens_settle(c);
    ens_crash(c, 3);
    ck_assert_int_eq(ens_propose(c, 1, 40), 0);
    ens_settle(c);
    ens_snapshot(c, 1, 500, 40);
    ens_restart(c, 3);
    ens_run(c, 300 * ENS_MS);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_SNAPSHOT], 0);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

static void small_log(struct raft_options *o)
{
    o->log_slots = 64;
}

/* Nothing can be committed, so no newer snapshot comes: what the last one covers must make room. */
START_TEST(kept_entries_give_way_to_new_ones)
{
    struct ens *c = ens_new(3, 13, small_log);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 30), 0);
    ens_settle(c);
    for (raft_id id = 1; id <= 3; id++) {
        ens_snapshot(c, id, 500, 20);
    }
    struct raft_status s = ens_status(c, 1);
    ck_assert_uint_eq(s.first, s.snapshot - 20 + 1);
    ens_crash(c, 2);
    ens_crash(c, 3);
    int accepted = 0;
    while (ens_propose(c, 1, 1) == 0) {
        accepted++;
    }
    s = ens_status(c, 1);
    ck_assert_uint_eq(s.first, s.snapshot + 1);
    ck_assert_int_ge(accepted, 64 - 8);
    ens_restart(c, 2);
    ens_restart(c, 3);
    ens_run(c, 1500 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(window_of_chunks_is_bounded)
{
    struct ens *c = compacted(5000);
    ens_restart(c, 3);
    ens_link(c, 3, 1)->drop_type = RAFT_MSG_SNAPSHOT_REPLY;
    ens_run(c, 600 * ENS_MS);
    ck_assert_uint_eq(ens_node(c, 1)->sent[RAFT_MSG_SNAPSHOT], 1); /* no answer: one chunk */
    ens_link(c, 3, 1)->drop_type = 0;
    ens_run(c, 5000 * (raft_ns)ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bug 31: the receiver dies half-way; and goes on where its host stood is not known: begin again. */
START_TEST(receiver_dies_during_the_transfer)
{
    struct ens *c = compacted(3000);
    ens_restart(c, 3);
    ens_link(c, 1, 3)->delay = 5 * ENS_MS;
    ens_link(c, 3, 1)->delay = 5 * ENS_MS;
    ens_run(c, 400 * ENS_MS);
    ens_crash(c, 3);
    ens_cut(c, 1, 3, 1);
    ens_run(c, 200 * ENS_MS);
    ck_assert_int_eq(ens_propose(c, 1, 3), 0);
    ens_restart(c, 3);
    ens_heal(c, 1, 3, 1);
    ens_run(c, 2000 * (raft_ns)ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(broken_transfer_goes_on_where_it_stood)
{
    struct ens *c = compacted(3000);
    ens_restart(c, 3);
    ens_link(c, 3, 1)->delay = 50 * ENS_MS;
    ens_run(c, 400 * ENS_MS);
    uint64_t sent = ens_node(c, 1)->sent[RAFT_MSG_SNAPSHOT];
    ck_assert_uint_gt(sent, 5);
    ck_assert_uint_lt(sent, 30);
    ens_cut(c, 1, 3, 1);
    ens_run(c, 50 * ENS_MS);
    ens_link(c, 3, 1)->delay = 0;
    ens_heal(c, 1, 3, 1);
    ens_run(c, 400 * ENS_MS);
    ens_assert_equal(c);
    /* 30 chunks; what was under way at the cut and the one that asks go twice, not the rest. */
    ck_assert_uint_le(ens_node(c, 1)->sent[RAFT_MSG_SNAPSHOT], 36);
    ens_free(c);
}
END_TEST

START_TEST(lost_chunks_are_asked_for)
{
    struct ens *c = compacted(3000);
    ens_restart(c, 3);
    ens_link(c, 3, 1)->delay = 10 * ENS_MS;
    ens_run(c, 350 * ENS_MS);
    ens_link(c, 1, 3)->drop_type = RAFT_MSG_SNAPSHOT;
    ens_run(c, 12 * ENS_MS);
    ens_link(c, 1, 3)->drop_type = 0;
    ens_link(c, 3, 1)->delay = 0;
    ens_run(c, 4000 * (raft_ns)ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(rejected_file_is_sent_again)
{
    struct ens *c = compacted(1000);
    ens_node(c, 3)->install_manual = 1;
    ens_restart(c, 3);
    ens_run(c, 400 * ENS_MS);
    ens_install(c, 3, 0);
    ens_settle(c);
    ens_run(c, 800 * ENS_MS);
    ck_assert_uint_ne(ens_node(c, 3)->installing.index, 0);
    ens_install(c, 3, 1);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* While the host loads, the member neither campaigns nor takes entries, however long it takes. */
START_TEST(slow_install_disturbs_nobody)
{
    struct ens *c = compacted(1000);
    ens_node(c, 3)->install_manual = 1;
    ens_restart(c, 3);
    ens_run(c, 400 * ENS_MS);
    ck_assert_uint_ne(ens_node(c, 3)->installing.index, 0);
    ens_crash(c, 2); /* 3 is needed for nothing but would be the only candidate */
    ens_crash(c, 1);
    ens_run(c, 5000 * (raft_ns)ENS_MS);
    ck_assert_int_eq(ens_status(c, 3).role, RAFT_FOLLOWER);
    ens_restart(c, 1);
    ens_restart(c, 2);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 3);
    ck_assert_int_eq(ens_propose(c, leader, 2), 0);
    ens_run(c, 2000 * (raft_ns)ENS_MS);
    ens_install(c, 3, 1);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Bugs 27 and 29: an old leader's tail conflicts with the snapshot; its proposals are told lost. */
START_TEST(snapshot_over_a_conflicting_log)
{
    struct ens *c = ens_new(3, 13, small_chunks);
    ens_make_leader(c, 1);
    ens_settle(c);
    ens_isolate(c, 1, 0);
    raft_index commit = ens_status(c, 1).commit;
    ck_assert_int_eq(ens_propose(c, 1, 60), 0);
    ens_run(c, 3000 * (raft_ns)ENS_MS);
    raft_id leader = ens_leader(c);
    ck_assert_uint_ne(leader, 1);
    ck_assert_int_eq(ens_propose(c, leader, 30), 0);
    ens_settle(c);
    ens_snapshot(c, leader, 700, 0);
    ens_heal_all(c, 0);
    ens_run(c, 1500 * ENS_MS);
    ens_assert_equal(c);
    ck_assert_uint_eq(ens_status(c, 1).snapshot, ens_status(c, leader).snapshot);
    ck_assert_uint_eq(ens_node(c, 1)->drops_count, 1);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].first, commit + 1);
    ck_assert_uint_eq(ens_node(c, 1)->drops[0].last, commit + 60);
    ens_crash(c, 1); /* and the disk agrees: nothing of the tail comes back */
    ens_restart(c, 1);
    ck_assert_uint_eq(ens_status(c, 1).last, ens_status(c, leader).last);
    ens_run(c, 1000 * ENS_MS);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(stale_or_foolish_snapshots_are_refused)
{
    struct ens *c = compacted(100);
    struct raft_status s = ens_status(c, 2);
    struct raft_snapshot snap = c->snapshots[0];
    struct raft_event ev = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &snap, .index = 1};
    snap.index = s.applied + 1;
    ck_assert_int_eq(ens_step(c, 2, ev), RAFT_EINVAL);
    snap.index = s.applied;
    snap.term = s.term + 1;
    ck_assert_int_eq(ens_step(c, 2, ev), RAFT_EINVAL);
    snap.term = s.term;
    snap.config.members[0].roles = RAFT_LEARNER; /* bug 30: not the configuration in force */
    ck_assert_int_eq(ens_step(c, 2, ev), RAFT_EINVAL);
    snap.config.members[0].roles = RAFT_VOTER;
    ck_assert_int_eq(ens_step(c, 2, ev), 0);
    snap.index = s.applied - 1; /* older than the newest: no harm */
    ck_assert_int_eq(ens_step(c, 2, ev), 0);
    ck_assert_uint_eq(ens_status(c, 2).snapshot, s.applied);
    ck_assert_uint_eq(ens_status(c, 2).first, 2);
    ens_free(c);
}
END_TEST

/* --- one core: chunks and boot -------------------------------------------------------------- */

struct lone {
    struct raft *r;
    struct raft_snapshot snap;
};

static int step(struct raft *r, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = 1000;
    int rv = raft_step(r, &ev, accept);
    char why[100] = "";
    ck_assert_msg(raft_check(r, why, sizeof(why)) == 0, "rule %s", why);
    return rv;
}

static struct lone lone_new(raft_index snapshot, raft_term term)
{
    struct lone l;
    struct raft_options o;
    raft_options_init(&o);
    o.id = 2;
    o.log_slots = 64;
    o.chunk_bytes = 100;
    l.r = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    memset(&l.snap, 0, sizeof(l.snap));
    l.snap.index = snapshot;
    l.snap.term = term;
    l.snap.config.count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        l.snap.config.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    ck_assert_int_eq(
        step(l.r, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &l.snap}, NULL),
        0);
    return l;
}

static void boot_rest(struct lone *l, raft_term term, raft_index commit, raft_index first,
                      const raft_term *terms, uint32_t count, struct raft_accept *accept)
{
    struct raft_entry entries[32];
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].term = terms[i];
        entries[i].type = RAFT_ENTRY_COMMAND;
    }
    struct raft_event hard = {.type = RAFT_EV_BOOT_HARDSTATE, .hardstate = {term, 1, commit}};
    ck_assert_int_eq(step(l->r, hard, NULL), 0);
    struct raft_event log = {
        .type = RAFT_EV_BOOT_ENTRIES, .first = first, .entries = entries, .count = count};
    ck_assert_int_eq(step(l->r, log, accept), 0);
    ck_assert_int_eq(step(l->r, (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL), 0);
}

static int has_mark(struct raft *r)
{
    const struct raft_actions *a = raft_poll(r);
    int mark = 0;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        mark |= a->persist[i].kind == RAFT_PERSIST_SNAPMARK;
    }
    raft_done(r);
    return mark;
}

START_TEST(boot_skips_what_the_snapshot_covers)
{
    static const raft_term terms[] = {1, 1, 2, 2, 2, 3};
    struct raft_accept accept = {0, 0, 0, 0};
    struct raft_status s;
    struct lone l = lone_new(7, 2);
    boot_rest(&l, 3, 8, 4, terms, 6, &accept); /* 4 .. 9, the entry at 7 has term 2 */
    raft_status(l.r, &s);
    ck_assert_uint_eq(s.first, 8);
    ck_assert_uint_eq(s.last, 9);
    ck_assert_uint_eq(s.commit, 8);
    ck_assert_uint_eq(accept.first, 8);
    ck_assert_uint_eq(accept.skip, 4);
    ck_assert_uint_eq(accept.count, 2);
    ck_assert_int_eq(has_mark(l.r), 0);
    free(l.r);
}
END_TEST

START_TEST(boot_voids_a_log_that_contradicts_the_snapshot)
{
    static const raft_term terms[] = {1, 1, 1, 1, 1, 1};
    struct raft_accept accept = {0, 0, 0, 0};
    struct raft_status s;
    struct lone l = lone_new(7, 2);
    boot_rest(&l, 2, 9, 4, terms, 6, &accept);
    raft_status(l.r, &s);
    ck_assert_uint_eq(s.last, 7);
    ck_assert_uint_eq(s.commit, 7);
    ck_assert_uint_eq(accept.count, 0);
    ck_assert_int_eq(has_mark(l.r), 1);
    free(l.r);
}
END_TEST

START_TEST(boot_with_a_log_that_ends_early)
{
    static const raft_term terms[] = {1, 1};
    struct raft_accept accept = {0, 0, 0, 0};
    struct raft_status s;
    struct lone l = lone_new(7, 2);
    boot_rest(&l, 1, 2, 1, terms, 2, &accept);
    raft_status(l.r, &s);
    ck_assert_uint_eq(s.last, 7);
    ck_assert_uint_eq(s.term, 2); /* adopted from the snapshot, with the vote free */
    ck_assert_uint_eq(s.vote, 0);
    ck_assert_int_eq(has_mark(l.r), 1);
    free(l.r);
}
END_TEST

START_TEST(boot_clips_the_commit_index)
{
    static const raft_term terms[] = {1, 1};
    struct raft_status s;
    struct lone l = lone_new(0, 0);
    boot_rest(&l, 1, 50, 1, terms, 2, NULL);
    raft_status(l.r, &s);
    ck_assert_uint_eq(s.commit, 2);
    ck_assert_uint_eq(s.vote, 1);
    ck_assert_int_eq(step(l.r, (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL), RAFT_EINVAL);
    ck_assert_int_eq(step(l.r, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = 9}, NULL),
                     RAFT_EINVAL);
    free(l.r);
}
END_TEST

START_TEST(boot_order_is_enforced)
{
    struct lone l = lone_new(0, 0);
    struct raft_event again = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &l.snap};
    ck_assert_int_eq(step(l.r, again, NULL), RAFT_EINVAL);
    ck_assert_int_eq(step(l.r, (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL), RAFT_EINVAL);
    ck_assert_int_eq(step(l.r, (struct raft_event){.type = RAFT_EV_TICK}, NULL), RAFT_EINVAL);
    free(l.r);
}
END_TEST

/* Chunks that no correct sender makes are counted and ignored. */
START_TEST(nonsense_chunks_are_ignored)
{
    static const struct raft_msg base = {.type = RAFT_MSG_SNAPSHOT,
                                         .from = 1,
                                         .to = 2,
                                         .count = 100,
                                         .term = 5,
                                         .seq = 1,
                                         .index = 40,
                                         .log_term = 4,
                                         .snap_id = 9,
                                         .total = 300};
    struct lone l = lone_new(0, 0);
    struct raft_config_at config = {0, l.snap.config};
    struct raft_status s;
    boot_rest(&l, 1, 0, 1, NULL, 0, NULL);
    for (int kind = 0; kind < 8; kind++) {
        struct raft_msg m = base;
        struct raft_event ev = {
            .type = RAFT_EV_RECV, .msg = &m, .configs = &config, .configs_count = 1};
        m.offset = kind == 0 ? 300 : kind == 1 ? UINT64_MAX - 10 : 0;
        m.count = kind == 2 ? 301 : kind == 3 ? 0 : 100;
        m.flags = kind == 4 ? RAFT_FLAG_LAST : 0;
        m.snap_id = kind == 5 ? 0 : 9;
        m.log_term = kind == 6 ? 6 : 4;
        ev.configs_count = kind == 7 ? 0 : 1;
        ck_assert_int_eq(step(l.r, ev, NULL), 0);
        const struct raft_actions *a = raft_poll(l.r);
        ck_assert_ptr_null(a->snap_chunk);
        raft_done(l.r);
        raft_status(l.r, &s);
        ck_assert_uint_eq(s.ignored, (uint64_t)kind + 1);
    }
    struct raft_event good = {
        .type = RAFT_EV_RECV, .msg = &base, .configs = &config, .configs_count = 1};
    ck_assert_int_eq(step(l.r, good, NULL), 0);
    ck_assert_ptr_nonnull(raft_poll(l.r)->snap_chunk);
    raft_done(l.r);
    free(l.r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_snapshot");
    TCase *t = tcase_create("transfer");
    tcase_add_test(t, missing_entries_come_as_a_snapshot);
    tcase_add_test(t, kept_entries_spare_a_transfer);
    tcase_add_test(t, kept_entries_give_way_to_new_ones);
    tcase_add_test(t, window_of_chunks_is_bounded);
    tcase_add_test(t, receiver_dies_during_the_transfer);
    tcase_add_test(t, broken_transfer_goes_on_where_it_stood);
    tcase_add_test(t, lost_chunks_are_asked_for);
    tcase_add_test(t, rejected_file_is_sent_again);
    tcase_add_test(t, slow_install_disturbs_nobody);
    tcase_add_test(t, snapshot_over_a_conflicting_log);
    tcase_add_test(t, stale_or_foolish_snapshots_are_refused);
    tcase_add_test(t, nonsense_chunks_are_ignored);
    suite_add_tcase(s, t);
    t = tcase_create("boot");
    tcase_add_test(t, boot_skips_what_the_snapshot_covers);
    tcase_add_test(t, boot_voids_a_log_that_contradicts_the_snapshot);
    tcase_add_test(t, boot_with_a_log_that_ends_early);
    tcase_add_test(t, boot_clips_the_commit_index);
    tcase_add_test(t, boot_order_is_enforced);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
