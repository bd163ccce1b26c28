/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the newest configuration in the log is in force, always, and majorities are counted right.
 * Method: one core; configurations come by APPEND, go by truncation, are replaced by a snapshot.
 * Majorities are compared with a count by hand over all sets of slots.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "raft/internal.h"

static struct raft *r;
static struct raft_snapshot snap;

static int step(struct raft_event ev)
{
    struct raft_accept accept;
    ev.now = 1000;
    int rv = raft_step(r, &ev, &accept);
    char why[100] = "";
    ck_assert_msg(raft_check(r, why, sizeof(why)) == 0, "rule %s", why);
    return rv;
}

static struct raft_config config_of(uint32_t count, uint32_t roles)
{
    struct raft_config c;
    memset(&c, 0, sizeof(c));
    c.count = count;
    for (uint32_t i = 0; i < count; i++) {
        c.members[i].id = i + 1;
        c.members[i].roles = roles;
    }
    return c;
}

static void setup(void)
{
    struct raft_options o;
    raft_options_init(&o);
    o.id = 2;
    o.log_slots = 64;
    r = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    memset(&snap, 0, sizeof(snap));
    snap.config = config_of(3, RAFT_VOTER);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &snap}),
                     0);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE}), 0);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
}

static void teardown(void)
{
    free(r);
}

/* APPEND of `count` entries after `previous`; the one at `at` (0: none) is configuration c. */
static void append(raft_term term, raft_index previous, uint32_t count, raft_index at,
                   struct raft_config c)
{
    struct raft_entry entries[16];
    struct raft_config_at config = {at, c};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 1,
                         .to = 2,
                         .term = term,
                         .seq = 1,
                         .count = count,
                         .index = previous};
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].term = term;
        entries[i].type =
            previous + 1 + i == at ? (uint8_t)RAFT_ENTRY_CONFIG : (uint8_t)RAFT_ENTRY_COMMAND;
    }
    if (previous > 0) {
        m.log_term = raft_entry_at(r, previous)->term;
    }
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_RECV,
                                              .msg = &m,
                                              .entries = entries,
                                              .count = count,
                                              .configs = &config,
                                              .configs_count = at != 0}),
                     0);
}

static uint32_t members(void)
{
    struct raft_status s;
    raft_status(r, &s);
    return s.peers_count;
}

START_TEST(in_force_from_append_and_gone_by_truncation)
{
    append(2, 0, 5, 3, config_of(4, RAFT_VOTER));
    ck_assert_uint_eq(members(), 4);
    ck_assert_uint_eq(raft_config_at(r, 2)->config.count, 3);
    ck_assert_uint_eq(raft_config_at(r, 3)->config.count, 4);
    ck_assert_uint_eq(raft_config_at(r, 5)->index, 3);
    append(2, 5, 2, 7, config_of(5, RAFT_VOTER));
    ck_assert_uint_eq(members(), 5);
    append(3, 4, 1, 0, config_of(0, 0)); /* cuts 5 .. 7 */
    ck_assert_uint_eq(members(), 4);
    append(4, 1, 1, 0, config_of(0, 0)); /* cuts 2 .. 5 */
    ck_assert_uint_eq(members(), 3);
    ck_assert_ptr_null(raft_config_at(r, 9));
}
END_TEST

/* Bug 28: a snapshot whose log is discarded takes the later, uncommitted configuration along. */
START_TEST(snapshot_replaces_a_later_configuration)
{
    append(2, 0, 9, 8, config_of(5, RAFT_VOTER));
    ck_assert_uint_eq(members(), 5);
    struct raft_config_at config = {0, config_of(3, RAFT_VOTER)};
    struct raft_msg m = {.type = RAFT_MSG_SNAPSHOT,
                         .flags = RAFT_FLAG_LAST,
                         .from = 1,
                         .to = 2,
                         .term = 4,
                         .seq = 1,
                         .count = 100,
                         .index = 5,
                         .log_term = 3, /* the own entry there has term 2 */
                         .snap_id = 1,
                         .total = 100};
    struct raft_event ev = {
        .type = RAFT_EV_RECV, .msg = &m, .configs = &config, .configs_count = 1};
    ck_assert_int_eq(step(ev), 0);
    ck_assert_ptr_nonnull(raft_poll(r)->snap_chunk);
    raft_done(r);
    ck_assert_int_eq(
        step((struct raft_event){.type = RAFT_EV_SNAP_STORED, .snap_id = 1, .offset = 100}), 0);
    struct raft_snapshot install = *raft_poll(r)->snap_install;
    raft_done(r);
    ck_assert_int_eq(
        step((struct raft_event){.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &install}), 0);
    ck_assert_uint_eq(members(), 3);
    ck_assert_uint_eq(raft_config_at(r, 5)->index, 0);
    struct raft_status s;
    raft_status(r, &s);
    ck_assert_uint_eq(s.last, 5);
    ck_assert_uint_eq(s.commit, 5);
}
END_TEST

START_TEST(snapshot_keeps_what_follows_and_its_configuration)
{
    append(2, 0, 9, 8, config_of(5, RAFT_VOTER));
    struct raft_snapshot s = {.index = 5, .term = 2, .config = config_of(3, RAFT_VOTER)};
    ck_assert_int_eq(raft__log_restore(r, &s), 1);
    ck_assert_uint_eq(members(), 5);
    ck_assert_uint_eq(r->configs_count, 2);
    ck_assert_uint_eq(r->last, 9);
}
END_TEST

static struct raft_status status(void)
{
    struct raft_status s;
    raft_status(r, &s);
    return s;
}

/* Configurations at every index as far as they fit: the stack is full, nothing of it is applied. */
static void fill(void)
{
    for (raft_index i = 1; i < RAFT_CONFIGS_MAX; i++) {
        append(2, i - 1, 1, i, config_of(i % 2 == 0 ? 3 : 4, RAFT_VOTER));
    }
    ck_assert_uint_eq(r->configs_count, RAFT_CONFIGS_MAX);
}

static void heartbeat(raft_term term, raft_index commit)
{
    struct raft_msg m = {
        .type = RAFT_MSG_HEARTBEAT, .from = 1, .to = 2, .term = term, .seq = 9, .commit = commit};
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_RECV, .msg = &m}), 0);
}

/* A follower takes every configuration, and forgets the oldest; what it forgot is committed somewhere,
 * though it knows nothing of that. */
START_TEST(more_configurations_than_fit_are_taken)
{
    fill();
    for (raft_index i = RAFT_CONFIGS_MAX; i < 20; i++) {
        append(2, i - 1, 1, i, config_of(i % 2 == 0 ? 3 : 4, RAFT_VOTER));
    }
    ck_assert_uint_eq(status().last, 19);
    ck_assert_uint_eq(status().commit, 0);
    ck_assert_uint_eq(members(), 4);
    ck_assert_ptr_null(raft_config_at(r, 19 - RAFT_CONFIGS_MAX));
    for (raft_index i = 20 - RAFT_CONFIGS_MAX; i < 20; i++) {
        ck_assert_uint_eq(raft_config_at(r, i)->index, i);
        ck_assert_uint_eq(raft_config_at(r, i)->config.count, i % 2 == 0 ? 3 : 4);
    }
}
END_TEST

START_TEST(the_last_configuration_may_conflict_though_the_stack_is_full)
{
    fill();
    raft_index last = RAFT_CONFIGS_MAX - 1;
    append(3, last - 1, 1, last, config_of(9, RAFT_VOTER));
    ck_assert_uint_eq(status().last, last);
    ck_assert_uint_eq(members(), 9);
    ck_assert_uint_eq(raft_entry_at(r, last)->term, 3);
}
END_TEST

/* Begin anew with a log of `count` CONFIG entries on the disk, of which it knows none to be committed. */
static void boot_with(uint32_t count)
{
    struct raft_entry entries[64];
    struct raft_config_at configs[64];
    struct raft_options o = r->o;
    r = raft_init(r, raft_size(&o), &o);
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].term = 2;
        entries[i].type = RAFT_ENTRY_CONFIG;
        configs[i] = (struct raft_config_at){i + 1, config_of(3 + i % 2, RAFT_VOTER)};
    }
    struct raft_event log = {.type = RAFT_EV_BOOT_ENTRIES,
                             .first = 1,
                             .entries = entries,
                             .count = count,
                             .configs = configs,
                             .configs_count = count};
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &snap}),
                     0);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE}), 0);
    ck_assert_int_eq(step(log), 0);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
}

START_TEST(a_log_with_more_configurations_than_fit_boots)
{
    boot_with(20);
    ck_assert_uint_eq(status().last, 20);
    ck_assert_uint_eq(members(), 4);
    ck_assert_ptr_null(raft_config_at(r, 20 - RAFT_CONFIGS_MAX));
    ck_assert_uint_eq(raft_config_at(r, 13)->index, 13);
    /* Only the last of them can be uncommitted, and cut. */
    append(3, 19, 1, 0, config_of(0, 0));
    ck_assert_uint_eq(status().last, 20);
    ck_assert_uint_eq(members(), 3);
    append(3, 20, 1, 21, config_of(5, RAFT_VOTER));
    ck_assert_uint_eq(members(), 5);
}
END_TEST

/* A leader that contradicts a configuration with others behind it contradicts what is committed. */
START_TEST(a_cut_below_what_is_remembered_stops_the_member)
{
    boot_with(20);
    struct raft_entry e = {.term = 3, .type = RAFT_ENTRY_COMMAND};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 1,
                         .to = 2,
                         .term = 3,
                         .seq = 1,
                         .count = 1,
                         .index = 9,
                         .log_term = 2};
    ck_assert_int_eq(
        step((struct raft_event){.type = RAFT_EV_RECV, .msg = &m, .entries = &e, .count = 1}), 0);
    ck_assert_int_eq(status().role, RAFT_FAULTED);
    ck_assert_ptr_nonnull(status().fault);
}
END_TEST

/* A snapshot between them: those after it fill the stack, so it is not among them itself. */
START_TEST(a_snapshot_before_a_full_stack)
{
    boot_with(20);
    struct raft_snapshot s = {
        .index = 5, .term = 2, .config_index = 5, .config = config_of(3, RAFT_VOTER)};
    ck_assert_int_eq(raft__log_restore(r, &s), 1);
    raft__commit_to(r, 5);
    ck_assert_uint_eq(r->configs_count, RAFT_CONFIGS_MAX);
    ck_assert_uint_eq(members(), 4);
    ck_assert_ptr_null(raft_config_at(r, 5));
    ck_assert_uint_eq(raft_config_at(r, 13)->index, 13);
    ck_assert_int_eq(raft_check(r, NULL, 0), 0);
}
END_TEST

/* The configuration a snapshot was begun with may be forgotten when it is done. */
START_TEST(a_slow_snapshot_is_taken_all_the_same)
{
    fill();
    heartbeat(2, 7);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_APPLIED, .index = 2}), 0);
    struct raft_snapshot s = {.index = 2, .term = 2, .config_index = 2, .snap_id = 1, .bytes = 9};
    s.config = raft_config_at(r, 2)->config;
    struct raft_snapshot wrong = s;
    wrong.config = config_of(4, RAFT_VOTER);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_SNAP_TAKEN, .snapshot = &wrong}),
                     RAFT_EINVAL);
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_APPLIED, .index = 7}), 0);
    for (raft_index i = 8; i < 12; i++) {
        append(2, i - 1, 1, i, config_of(i % 2 == 0 ? 3 : 4, RAFT_VOTER));
    }
    ck_assert_ptr_null(raft_config_at(r, 2));
    ck_assert_int_eq(
        step((struct raft_event){.type = RAFT_EV_SNAP_TAKEN, .snapshot = &s, .index = 2}), 0);
    (void)raft_poll(r);
    raft_done(r);
    (void)raft_poll(r);
    raft_done(r);
    ck_assert_uint_eq(status().first, 3);
    ck_assert_int_eq(raft_check(r, NULL, 0), 0);
}
END_TEST

/* Places and marks: each set of bits that makes no sense is refused. */
START_TEST(roles_that_make_sense)
{
    static const uint32_t plain[] = {
        RAFT_VOTER,   RAFT_VOTER | RAFT_REMOVE,    RAFT_VOTER | RAFT_DEMOTE,
        RAFT_LEARNER, RAFT_LEARNER | RAFT_PROMOTE, RAFT_LEARNER | RAFT_REMOVE};
    static const uint32_t joint[] = {RAFT_VOTER,
                                     RAFT_VOTER | RAFT_VOTER_OLD,
                                     RAFT_VOTER_OLD,
                                     RAFT_VOTER_OLD | RAFT_REMOVE,
                                     RAFT_VOTER_OLD | RAFT_DEMOTE,
                                     RAFT_LEARNER,
                                     RAFT_LEARNER | RAFT_REMOVE};
    for (uint32_t roles = 0; roles < 128; roles++) {
        int fits_plain = 0;
        int fits_joint = 0;
        for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
            fits_plain |= plain[i] == roles;
        }
        for (size_t i = 0; i < sizeof(joint) / sizeof(joint[0]); i++) {
            fits_joint |= joint[i] == roles;
        }
        struct raft_config c = config_of(2, RAFT_VOTER);
        c.members[1].roles = roles;
        int alone = (roles & RAFT_VOTER_OLD) != 0 ? fits_joint : fits_plain;
        ck_assert_msg(raft__config_valid(&c) == alone, "roles %u", roles);
        c.members[0].roles = RAFT_VOTER | RAFT_VOTER_OLD;
        ck_assert_msg(raft__config_valid(&c) == fits_joint, "roles %u, joint", roles);
    }
}
END_TEST

START_TEST(undecoded_or_broken_configurations_are_not_taken)
{
    struct raft_status s;
    struct raft_config bad = config_of(3, RAFT_VOTER);
    bad.members[2].id = 1; /* not ascending */
    append(2, 0, 1, 1, bad);
    raft_status(r, &s);
    ck_assert_uint_eq(s.last, 0);
    ck_assert_uint_eq(s.ignored, 1);
    append(2, 0, 1, 1, config_of(3, 64)); /* unknown role */
    raft_status(r, &s);
    ck_assert_uint_eq(s.last, 0);
    ck_assert_uint_eq(s.ignored, 2);
}
END_TEST

static uint32_t bits(uint32_t slots)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < 32; i++) {
        n += slots >> i & 1;
    }
    return n;
}

START_TEST(majorities_match_a_count_by_hand)
{
    uint64_t seed = 88172645463325252u;
    for (uint32_t voters = 0; voters < 64; voters++) {
        for (uint32_t old = 0; old < 64; old++) {
            r->voters = voters;
            r->voters_old = old;
            r->peers_count = 6;
            uint64_t values[RAFT_NODES_MAX];
            for (uint32_t i = 0; i < 6; i++) {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                values[i] = seed % 7;
            }
            uint64_t best = 0;
            for (uint64_t v = 1; v < 8; v++) {
                uint32_t have = 0;
                for (uint32_t i = 0; i < 6; i++) {
                    have |= (uint32_t)(values[i] >= v) << i;
                }
                int enough = bits(have & voters) * 2 > bits(voters) &&
                             (old == 0 || bits(have & old) * 2 > bits(old));
                ck_assert_int_eq(raft__quorum_has(r, have), enough);
                best = enough ? v : best;
            }
            ck_assert_uint_eq(raft__quorum_value(r, values), best);
        }
    }
}
END_TEST

/* While joint, neither half can commit alone. */
START_TEST(joint_majority_needs_both_halves)
{
    r->voters = 0x07;     /* 1 2 3 */
    r->voters_old = 0x1c; /* 3 4 5 */
    ck_assert_int_eq(raft__quorum_has(r, 0x07), 0);
    ck_assert_int_eq(raft__quorum_has(r, 0x1c), 0);
    ck_assert_int_eq(raft__quorum_has(r, 0x0d), 1); /* 1 3 4 */
    uint64_t values[RAFT_NODES_MAX] = {9, 9, 9, 0, 0};
    ck_assert_uint_eq(raft__quorum_value(r, values), 0);
}
END_TEST

START_TEST(who_may_campaign)
{
    struct raft_config c = config_of(3, RAFT_VOTER);
    ck_assert_int_eq(raft__may_campaign(r), 1);
    c.members[1].roles = RAFT_LEARNER;
    append(2, 0, 3, 2, c);
    ck_assert_int_eq(raft__may_campaign(r), 1); /* not known to be committed: may */
    struct raft_msg m = {
        .type = RAFT_MSG_HEARTBEAT, .from = 1, .to = 2, .term = 2, .seq = 2, .commit = 3};
    ck_assert_int_eq(step((struct raft_event){.type = RAFT_EV_RECV, .msg = &m}), 0);
    ck_assert_int_eq(raft__may_campaign(r), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_config");
    TCase *t = tcase_create("stack");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, in_force_from_append_and_gone_by_truncation);
    tcase_add_test(t, snapshot_replaces_a_later_configuration);
    tcase_add_test(t, snapshot_keeps_what_follows_and_its_configuration);
    tcase_add_test(t, more_configurations_than_fit_are_taken);
    tcase_add_test(t, the_last_configuration_may_conflict_though_the_stack_is_full);
    tcase_add_test(t, a_log_with_more_configurations_than_fit_boots);
    tcase_add_test(t, a_cut_below_what_is_remembered_stops_the_member);
    tcase_add_test(t, a_snapshot_before_a_full_stack);
    tcase_add_test(t, a_slow_snapshot_is_taken_all_the_same);
    tcase_add_test(t, roles_that_make_sense);
    tcase_add_test(t, undecoded_or_broken_configurations_are_not_taken);
    tcase_add_test(t, majorities_match_a_count_by_hand);
    tcase_add_test(t, joint_majority_needs_both_halves);
    tcase_add_test(t, who_may_campaign);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
