/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no order of events breaks a rule, and a healed ensemble always comes to agree.
 * Method: seeded random walks over an ensemble in memory: proposals, reads, cuts, delays, losses,
 * crashes, slow disks, snapshots, transfers, changes of membership; the harness checks the rules after
 * every event. Then everything is healed and must settle on one log and one configuration within 10 s of
 * its time. A failing walk is repeated by its number (the loop index of the test).
 */
#include <check.h>
#include <stdlib.h>
#include "tests/lib/raft_ensemble.h"

struct walk {
    struct ens *c;
    uint64_t rng;
    uint64_t cookies;
    int changing;          /* members come and go */
    int lease;             /* leaders answer most reads by their lease, if they can */
    raft_index floor[256]; /* committed when read number k began */
    raft_id asked[256];
};

static uint64_t dice(struct walk *w, uint64_t sides)
{
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 7;
    w->rng ^= w->rng << 17;
    return (w->rng >> 11) % sides;
}

static raft_id anyone(struct walk *w)
{
    return (raft_id)(1 + dice(w, w->c->count));
}

static int up(struct walk *w, raft_id id)
{
    return ens_node(w->c, id)->raft != NULL;
}

static void read_somewhere(struct walk *w)
{
    raft_id id = anyone(w);
    if (!up(w, id) || w->cookies >= 255 || ens_node(w->c, id)->reads_count >= 250) {
        return;
    }
    uint64_t cookie = ++w->cookies;
    w->floor[cookie] = w->c->committed;
    w->asked[cookie] = id;
    uint64_t value = w->lease && dice(w, 4) != 0;
    struct raft_event ev = {.type = RAFT_EV_READ, .cookie = cookie, .value = value};
    (void)ens_step(w->c, id, ev);
}

static void snapshot_somewhere(struct walk *w)
{
    raft_id id = anyone(w);
    struct ens_node *n = ens_node(w->c, id);
    if (!up(w, id) || w->c->snapshots_count >= 60 || n->installing.index != 0) {
        return;
    }
    if (n->applied > ens_status(w->c, id).snapshot) {
        raft_index keep = dice(w, 3);
        ens_snapshot(w->c, id, 1 + dice(w, 5000), keep < n->applied ? keep : 0);
    }
}

static void toggle_member(struct walk *w)
{
    raft_id id = anyone(w);
    if (up(w, id)) {
        ens_crash(w->c, id);
    } else {
        ens_restart(w->c, id);
    }
}

static void disturb_link(struct walk *w)
{
    raft_id a = anyone(w);
    raft_id b = anyone(w);
    int tell = (int)dice(w, 2);
    if (a == b) {
        return;
    }
    switch (dice(w, 6)) {
    case 0:
        ens_cut(w->c, a, b, tell);
        break;
    case 1:
        ens_link(w->c, a, b)->cut = 1;
        break;
    case 2:
        ens_link(w->c, a, b)->delay = dice(w, 60) * ENS_MS;
        break;
    case 3:
        ens_link(w->c, a, b)->drop_type = (uint32_t)dice(w, RAFT_MSG_TYPE_END);
        break;
    default:
        ens_link(w->c, a, b)->drop_type = 0;
        ens_link(w->c, a, b)->delay = 0;
        ens_heal(w->c, a, b, tell);
        break;
    }
}

static void disturb_disk(struct walk *w)
{
    raft_id id = anyone(w);
    struct ens_node *n = ens_node(w->c, id);
    if (!up(w, id)) {
        return;
    }
    if (dice(w, 3) == 0) {
        n->disk_manual = !n->disk_manual;
    }
    ens_disk(w->c, id, n->disk_manual ? (uint32_t)dice(w, 4) : RAFT_IO_MAX);
}

static void propose_somewhere(struct walk *w)
{
    raft_id id = dice(w, 3) == 0 ? anyone(w) : ens_leader(w->c);
    if (id != 0 && up(w, id) && w->c->next_value < 2500) {
        (void)ens_propose_bytes(w->c, id, 1 + (uint32_t)dice(w, 12), (uint32_t)dice(w, 600));
    }
}

/* Anybody may be asked for anything; most is refused. */
static void change_somewhere(struct walk *w)
{
    raft_id id = dice(w, 4) == 0 ? anyone(w) : ens_leader(w->c);
    uint32_t all = ((uint32_t)1 << w->c->count) - 1;
    uint32_t voters = (uint32_t)dice(w, all) + 1;
    uint32_t learners = (uint32_t)dice(w, all + 1) & ~voters;
    if (id != 0 && up(w, id) && w->c->configs_count < ENS_CONFIGS_MAX - 60) {
        (void)ens_change(w->c, id, voters, learners);
    }
}

static void one_step(struct walk *w)
{
    raft_id id = anyone(w);
    switch (dice(w, w->changing ? 26 : 24)) {
    case 24:
    case 25:
        change_somewhere(w);
        break;
    case 0:
        toggle_member(w);
        break;
    case 1:
    case 2:
    case 3:
        disturb_link(w);
        break;
    case 4:
    case 5:
    case 6:
        disturb_disk(w);
        break;
    case 7:
        snapshot_somewhere(w);
        break;
    case 8:
        if (up(w, id)) {
            (void)ens_step(w->c, id, (struct raft_event){.type = RAFT_EV_TRANSFER});
        }
        break;
    case 9:
        if (up(w, id)) {
            (void)ens_step(w->c, id, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        }
        break;
    case 10:
    case 11:
        read_somewhere(w);
        break;
    case 12:
        ens_run(w->c, dice(w, 800) * ENS_MS);
        break;
    case 13:
    case 14:
    case 15:
        ens_run(w->c, dice(w, 30) * ENS_MS);
        break;
    default:
        propose_somewhere(w);
        if (dice(w, 2) == 0) {
            ens_settle(w->c);
        }
        break;
    }
}

static void heal(struct walk *w)
{
    struct ens *c = w->c;
    for (raft_id id = 1; id <= c->count; id++) {
        ens_node(c, id)->disk_manual = 0;
        for (raft_id to = 1; to <= c->count; to++) {
            *ens_link(c, id, to) = (struct ens_link){0, 0, 0};
        }
        if (!up(w, id)) {
            ens_restart(c, id);
        }
        ens_disk(c, id, RAFT_IO_MAX);
    }
    ens_heal_all(c, 1);
}

static void check_reads(struct walk *w)
{
    for (uint64_t cookie = 1; cookie <= w->cookies; cookie++) {
        raft_index index = 0;
        int result = ens_read_result(w->c, w->asked[cookie], cookie, &index);
        if (result == RAFT_READ_OK) {
            ck_assert_msg(index >= w->floor[cookie], "read %lu got %lu, committed was %lu", cookie,
                          index, w->floor[cookie]);
        }
    }
}

static void small(struct raft_options *o)
{
    o->chunk_bytes = 700;
    o->msg_entries_max = 16;
    o->msg_bytes_max = 3000;
    o->inflight_msgs_max = 4;
    o->inflight_bytes_max = 6000;
    o->log_slots = 4096;
}

/* Every member writes within its rounds. */
static void small_sync(struct raft_options *o)
{
    small(o);
    o->sync_writes = 1;
}

/* Nobody is left between two configurations. */
static void check_settled(struct ens *c, raft_id leader)
{
    struct raft_status s = ens_status(c, leader);
    ck_assert_int_eq(s.joint, 0);
    ck_assert_uint_le(s.config, s.commit);
    for (uint32_t i = 0; i < s.peers_count; i++) {
        ck_assert_msg(s.peers[i].roles == RAFT_VOTER || s.peers[i].roles == RAFT_LEARNER,
                      "member %u has roles %u", s.peers[i].id, s.peers[i].roles);
    }
}

static void small_with_lease(struct raft_options *o)
{
    small(o);
    o->link_hint = 0;
    o->lease_drift_ppm = 500;
}

/* members: of the first configuration; more: who may join. */
static void walk_as(uint32_t members, uint32_t more, uint64_t seed,
                    void (*tweak)(struct raft_options *))
{
    struct walk w = {.c = ens_new(members, seed, tweak),
                     .rng = seed * 2654435761u + 99,
                     .changing = more > 0,
                     .lease = tweak == small_with_lease};
    for (uint32_t i = 0; i < more; i++) {
        (void)ens_join(w.c, tweak);
    }
    for (int i = 0; i < 700; i++) {
        one_step(&w);
    }
    check_reads(&w);
    heal(&w);
    ens_run(w.c, 6000 * (raft_ns)ENS_MS);
    raft_id leader = ens_elect(w.c);
    ck_assert_int_eq(ens_propose(w.c, leader, 3), 0);
    ens_run(w.c, 4000 * (raft_ns)ENS_MS);
    check_reads(&w);
    check_settled(w.c, leader);
    ens_assert_equal(w.c);
    ens_free(w.c);
}

static void walk(uint32_t members, uint32_t more, uint64_t seed)
{
    walk_as(members, more, seed, small);
}

START_TEST(members_that_write_at_once)
{
    walk_as(1 + (uint32_t)_i % 5, (uint32_t)_i % 3, (uint64_t)_i + 1, small_sync);
}
END_TEST

START_TEST(members_come_and_go)
{
    walk(1 + (uint32_t)_i % 4, 2 + (uint32_t)_i % 3, (uint64_t)_i + 1);
}
END_TEST

START_TEST(three_members)
{
    walk(3, 0, (uint64_t)_i + 1);
}
END_TEST

START_TEST(five_members)
{
    walk(5, 0, (uint64_t)_i + 1);
}
END_TEST

START_TEST(two_members)
{
    walk(2, 0, (uint64_t)_i + 1);
}
END_TEST

START_TEST(one_member)
{
    walk(1, 0, (uint64_t)_i + 1);
}
END_TEST

START_TEST(reads_by_lease)
{
    walk_as(2 + (uint32_t)_i % 4, _i % 3 == 0 ? 2 : 0, (uint64_t)_i + 1, small_with_lease);
}
END_TEST

int main(int argc, char **argv)
{
    int walks = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 12;
    Suite *s = suite_create("raft_chaos");
    TCase *t = tcase_create("walks");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, three_members, 0, walks);
    tcase_add_loop_test(t, five_members, 0, walks);
    tcase_add_loop_test(t, two_members, 0, walks / 2);
    tcase_add_loop_test(t, one_member, 0, walks / 4);
    tcase_add_loop_test(t, members_that_write_at_once, 0, walks);
    tcase_add_loop_test(t, members_come_and_go, 0, walks);
    tcase_add_loop_test(t, reads_by_lease, 0, walks);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
