/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: which words of a leader make a damaged member whole, and which answers end its doubt about its
 * own vote (raft/repair.c): those of before the crash, of another term, or of too few do not.
 * Method: one core alone whose peers and disk are played by hand, so that every order of messages can be
 * had. Whole groups: test_raft_repair.c.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"
#include "tests/lib/raft_lone.h"

#define MS ENS_MS

/* ------------------------------------------------------------------------------------------- */
/* One core alone                                                                                */

/* Member 1 of 3. */
struct solo {
    struct raft *raft;
    raft_ns now;
    uint64_t io_seq;
    struct raft_persist hardstate;              /* the last one */
    struct raft_msg said[RAFT_MSG_TYPE_END][2]; /* the last of each type to 2 and to 3 */
    uint32_t count[RAFT_MSG_TYPE_END];
};

static const struct raft_config four = {
    .count = 4, .members = {{1, RAFT_VOTER}, {2, RAFT_VOTER}, {3, RAFT_VOTER}, {4, RAFT_VOTER}}};

static int step(struct solo *s, struct raft_event ev)
{
    return lone_step(s->raft, s->now, ev);
}

static void poll_all(struct solo *s)
{
    int more = 1;
    while (more) {
        const struct raft_actions *a = raft_poll(s->raft);
        for (uint32_t i = 0; i < a->persist_count; i++) {
            s->io_seq = a->persist[i].io_seq;
            if (a->persist[i].kind == RAFT_PERSIST_HARDSTATE) {
                s->hardstate = a->persist[i];
            }
        }
        for (uint32_t i = 0; i < a->sends_count; i++) {
            const struct raft_msg *m = &a->sends[i].msg;
            s->said[m->type][m->to == 3] = *m;
            s->count[m->type]++;
        }
        more = a->more;
        raft_done(s->raft);
    }
}

static void hear(struct solo *s, const struct raft_msg *m, const struct raft_entry *entries)
{
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_RECV,
                                                 .msg = m,
                                                 .entries = entries,
                                                 .count = m->count}),
                     0);
    poll_all(s);
}

static void on_disk(struct solo *s)
{
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = s->io_seq}), 0);
    poll_all(s);
}

static void pass(struct solo *s, raft_ns ns)
{
    s->now += ns;
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_TICK}), 0);
    poll_all(s);
}

static int is_repairing(const struct solo *s)
{
    struct raft_status st;
    raft_status(s->raft, &st);
    return st.repairing;
}

/* Boots in term 4 with entries 1 .. 5 of it, and this damage. */
static struct solo solo_new(uint32_t damage, const struct raft_config *config)
{
    struct solo s = {.now = 1000 * MS};
    struct raft_options o;
    struct raft_entry entries[5];
    struct raft_snapshot none = {.config = *config};
    raft_options_init(&o);
    o.id = 1;
    o.rng_seed = 77;
    o.log_slots = 1024;
    s.raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    ck_assert_ptr_nonnull(s.raft);
    for (int i = 0; i < 5; i++) {
        entries[i] = (struct raft_entry){.term = 4, .bytes = 8, .type = RAFT_ENTRY_COMMAND};
    }
    struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &none};
    ck_assert_int_eq(step(&s, ev), 0);
    ev = (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE, .hardstate = {.term = 4}};
    ck_assert_int_eq(step(&s, ev), 0);
    ev = (struct raft_event){
        .type = RAFT_EV_BOOT_ENTRIES, .first = 1, .entries = entries, .count = 5};
    ck_assert_int_eq(step(&s, ev), 0);
    ev = (struct raft_event){
        .type = RAFT_EV_BOOT_DAMAGE, .value = damage, .index = 8, .hardstate = {.term = 4}};
    ck_assert_int_eq(step(&s, ev), 0);
    ck_assert_int_eq(step(&s, (struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
    poll_all(&s);
    return s;
}

/* An APPEND of member 2 in term 4: count entries behind index. */
static void append(struct solo *s, raft_seq seq, raft_index index, uint32_t count)
{
    struct raft_entry entries[8];
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct raft_entry){.term = 4, .bytes = 8, .type = RAFT_ENTRY_COMMAND};
    }
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 2,
                         .to = 1,
                         .count = count,
                         .term = 4,
                         .seq = seq,
                         .index = index,
                         .log_term = index > 0 ? 4 : 0,
                         .commit = 5};
    hear(s, &m, entries);
}

/* Member 2's answer to a READ: its commit and the end of its log. */
static void read_reply(struct solo *s, uint64_t number, raft_index commit, raft_index last)
{
    struct raft_msg m = {.type = RAFT_MSG_READ_REPLY,
                         .from = 2,
                         .to = 1,
                         .term = 4,
                         .seq = number,
                         .index = commit,
                         .hint = last};
    hear(s, &m, NULL);
}

START_TEST(whole_only_through_the_end_of_the_leaders_log)
{
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &lone_three);
    append(&s, 10, 5, 0);
    const struct raft_msg *ask = &s.said[RAFT_MSG_READ][0];
    ck_assert_uint_eq(ask->type, RAFT_MSG_READ);
    /* Committed is 5, which it has. But it may have acknowledged 6 and 7 before. */
    read_reply(&s, ask->seq, 5, 7);
    ck_assert(is_repairing(&s));
    append(&s, 11, 5, 1);
    on_disk(&s);
    ck_assert(is_repairing(&s));
    append(&s, 12, 6, 1);
    ck_assert(is_repairing(&s)); /* not on disk */
    on_disk(&s);
    ck_assert(!is_repairing(&s));
    free(s.raft);
}
END_TEST

/* What the leader said before the crash proves nothing about what it holds now. */
START_TEST(words_from_before_the_crash_prove_nothing)
{
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &lone_three);
    append(&s, 10, 5, 2); /* held up on the network since, like */
    on_disk(&s);
    uint64_t number = s.said[RAFT_MSG_READ][0].seq;
    ck_assert_uint_ne(number, 0);
    read_reply(&s, number - 1, 5, 7); /* this answer to an earlier life, */
    read_reply(&s, number + 1, 5, 7); /* or to one whose numbers went further */
    ck_assert(is_repairing(&s));
    read_reply(&s, number, 5, 7);
    ck_assert(!is_repairing(&s));
    free(s.raft);
}
END_TEST

START_TEST(a_refusal_is_no_answer)
{
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &lone_three);
    append(&s, 10, 5, 0);
    struct raft_msg m = {.type = RAFT_MSG_READ_REPLY,
                         .flags = RAFT_FLAG_REJECT,
                         .from = 2,
                         .to = 1,
                         .term = 4,
                         .seq = s.said[RAFT_MSG_READ][0].seq,
                         .hint = 5};
    hear(&s, &m, NULL);
    ck_assert(is_repairing(&s));
    uint32_t asked = s.count[RAFT_MSG_READ];
    for (raft_seq beat = 11; beat < 31; beat++) { /* it asks again while the leader goes on */
        append(&s, beat, 5, 0);
        pass(&s, 50 * MS);
    }
    ck_assert_uint_gt(s.count[RAFT_MSG_READ], asked);
    read_reply(&s, s.said[RAFT_MSG_READ][0].seq, 5, 5);
    ck_assert(!is_repairing(&s));
    free(s.raft);
}
END_TEST

/* The end that the leader of one term named does not hold for the next. */
START_TEST(a_new_leader_is_asked_anew)
{
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &lone_three);
    append(&s, 10, 5, 0);
    read_reply(&s, s.said[RAFT_MSG_READ][0].seq, 5, 6);
    struct raft_entry noop = {.term = 5, .type = RAFT_ENTRY_NOOP};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 3,
                         .to = 1,
                         .count = 1,
                         .term = 5,
                         .seq = 1,
                         .index = 5,
                         .log_term = 4,
                         .commit = 5};
    hear(&s, &m, &noop);
    on_disk(&s);
    ck_assert(is_repairing(&s)); /* has 6, but not that leader's word */
    pass(&s, 600 * MS);
    m = (struct raft_msg){.type = RAFT_MSG_HEARTBEAT, .from = 3, .to = 1, .term = 5, .seq = 2};
    hear(&s, &m, NULL);
    const struct raft_msg *ask = &s.said[RAFT_MSG_READ][1];
    ck_assert_uint_eq(ask->to, 3);
    m = (struct raft_msg){.type = RAFT_MSG_READ_REPLY,
                          .from = 3,
                          .to = 1,
                          .term = 5,
                          .seq = ask->seq,
                          .index = 6,
                          .hint = 6};
    hear(&s, &m, NULL);
    ck_assert(!is_repairing(&s));
    free(s.raft);
}
END_TEST

/* A reply to the question for terms. */
static void tell_term(struct solo *s, raft_id from, raft_term term, uint64_t number,
                      raft_index config, uint8_t flags)
{
    struct raft_msg m = {.type = RAFT_MSG_PREVOTE_REPLY,
                         .flags = flags,
                         .from = from,
                         .to = 1,
                         .term = term,
                         .seq = number,
                         .index = config};
    hear(s, &m, NULL);
}

START_TEST(in_doubt_it_is_deaf_and_asks_all)
{
    const uint8_t told = RAFT_FLAG_REJECT | RAFT_FLAG_ASK;
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &lone_three);
    const struct raft_msg *to_two = &s.said[RAFT_MSG_PREVOTE][0];
    const struct raft_msg *to_three = &s.said[RAFT_MSG_PREVOTE][1];
    ck_assert_uint_eq(to_two->flags, RAFT_FLAG_ASK);
    ck_assert_uint_eq(to_three->flags, RAFT_FLAG_ASK);
    append(&s, 10, 5, 1);
    struct raft_msg beat = {.type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 4, .seq = 11};
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_APPEND_REPLY] + s.count[RAFT_MSG_HEARTBEAT_REPLY], 0);

    tell_term(&s, 2, 6, to_two->seq, 0, told);
    tell_term(&s, 3, 5, to_three->seq - 1, 0, told);         /* of an earlier boot */
    tell_term(&s, 3, 5, to_three->seq, 0, RAFT_FLAG_ASK);    /* a grant: nobody sends that */
    tell_term(&s, 3, 5, to_three->seq, 0, RAFT_FLAG_REJECT); /* the answer to a campaign */
    tell_term(&s, 2, 6, to_two->seq, 0, told);               /* the same one again */
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_HEARTBEAT_REPLY], 0);
    uint32_t before = s.count[RAFT_MSG_PREVOTE];
    pass(&s, 600 * MS);
    ck_assert_uint_eq(s.count[RAFT_MSG_PREVOTE], before + 1); /* only who is missing */

    tell_term(&s, 3, 5, to_three->seq, 0, told);
    ck_assert(is_repairing(&s)); /* the entries are still lost */
    ck_assert_uint_eq(s.hardstate.term, 6);
    ck_assert_uint_eq(s.hardstate.vote, 1);
    beat.term = 6;
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_HEARTBEAT_REPLY], 1);
    free(s.raft);
}
END_TEST

/* In the very term that it learns it may have voted: nobody gets that vote. */
START_TEST(the_term_it_learns_is_closed_for_it)
{
    const uint8_t told = RAFT_FLAG_REJECT | RAFT_FLAG_ASK;
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &lone_three);
    uint64_t number = s.said[RAFT_MSG_PREVOTE][0].seq;
    tell_term(&s, 2, 6, number, 0, told);
    tell_term(&s, 3, 6, number, 0, told);
    on_disk(&s);
    struct raft_entry noop = {.term = 6, .type = RAFT_ENTRY_NOOP};
    struct raft_msg m = {.type = RAFT_MSG_APPEND,
                         .from = 2,
                         .to = 1,
                         .count = 1,
                         .term = 6,
                         .seq = 1,
                         .index = 5,
                         .log_term = 4,
                         .commit = 5};
    hear(&s, &m, &noop);
    on_disk(&s);
    m = (struct raft_msg){.type = RAFT_MSG_READ_REPLY,
                          .from = 2,
                          .to = 1,
                          .term = 6,
                          .seq = s.said[RAFT_MSG_READ][0].seq,
                          .index = 6,
                          .hint = 6};
    hear(&s, &m, NULL);
    ck_assert(!is_repairing(&s)); /* whole, and free to vote from the next term on */
    m = (struct raft_msg){.type = RAFT_MSG_VOTE,
                          .flags = RAFT_FLAG_TRANSFER,
                          .from = 3,
                          .to = 1,
                          .term = 6,
                          .seq = 1,
                          .index = 100,
                          .log_term = 6};
    hear(&s, &m, NULL);
    on_disk(&s);
    ck_assert_uint_eq(s.said[RAFT_MSG_VOTE_REPLY][1].flags, RAFT_FLAG_REJECT);
    m.term = 7;
    hear(&s, &m, NULL);
    on_disk(&s);
    ck_assert_uint_eq(s.said[RAFT_MSG_VOTE_REPLY][1].flags, 0);
    ck_assert_uint_eq(s.said[RAFT_MSG_VOTE_REPLY][1].term, 7);
    free(s.raft);
}
END_TEST

/* A voter that knows a newer configuration knows of voters that cannot be asked. */
START_TEST(an_outdated_configuration_keeps_the_doubt)
{
    const uint8_t told = RAFT_FLAG_REJECT | RAFT_FLAG_ASK;
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &lone_three);
    uint64_t number = s.said[RAFT_MSG_PREVOTE][0].seq;
    tell_term(&s, 2, 6, number, 0, told);
    tell_term(&s, 3, 9, number, 12, told);
    struct raft_msg beat = {.type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 9, .seq = 3};
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_HEARTBEAT_REPLY], 0);
    free(s.raft);
}
END_TEST

START_TEST(all_of_four_are_asked)
{
    const uint8_t told = RAFT_FLAG_REJECT | RAFT_FLAG_ASK;
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &four);
    uint64_t number = s.said[RAFT_MSG_PREVOTE][0].seq;
    tell_term(&s, 2, 4, number, 0, told);
    tell_term(&s, 3, 4, number, 0, told); /* a quorum with itself: not enough */
    struct raft_msg beat = {.type = RAFT_MSG_HEARTBEAT, .from = 2, .to = 1, .term = 4, .seq = 3};
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_HEARTBEAT_REPLY], 0);
    tell_term(&s, 4, 4, number, 0, told);
    hear(&s, &beat, NULL);
    ck_assert_uint_eq(s.count[RAFT_MSG_HEARTBEAT_REPLY], 1);
    free(s.raft);
}
END_TEST

/* The question changes nothing at the one that is asked. */
START_TEST(a_question_has_no_effect)
{
    struct solo s = solo_new(RAFT_DAMAGE_TAIL, &lone_three);
    pass(&s, 3000 * MS); /* ready to grant pre-votes */
    struct raft_msg ask = {.type = RAFT_MSG_PREVOTE,
                           .flags = RAFT_FLAG_ASK,
                           .from = 2,
                           .to = 1,
                           .term = 9,
                           .seq = 5,
                           .index = 1000,
                           .log_term = 8};
    uint64_t before = raft_hash(s.raft);
    hear(&s, &ask, NULL);
    ck_assert_uint_eq(raft_hash(s.raft), before);
    const struct raft_msg *reply = &s.said[RAFT_MSG_PREVOTE_REPLY][0];
    ck_assert_uint_eq(reply->flags, RAFT_FLAG_REJECT | RAFT_FLAG_ASK);
    ck_assert_uint_eq(reply->term, 4);
    ck_assert_uint_eq(reply->seq, 5);
    free(s.raft);
}
END_TEST

/* For two election waits only a log that reaches the cut tail gets the vote. */
START_TEST(a_cut_tail_asks_for_a_log_that_reaches_it)
{
    struct solo s = solo_new(RAFT_DAMAGE_TAIL, &lone_three); /* the tail reached 8 of term 4 */
    struct raft_msg vote = {.type = RAFT_MSG_VOTE,
                            .flags = RAFT_FLAG_TRANSFER,
                            .from = 3,
                            .to = 1,
                            .term = 5,
                            .seq = 1,
                            .index = 7,
                            .log_term = 4};
    pass(&s, _i == 2 ? 2001 * MS : 1 * MS);
    vote.index = _i == 1 ? 8 : 7;
    hear(&s, &vote, NULL);
    on_disk(&s);
    ck_assert_uint_eq(s.said[RAFT_MSG_VOTE_REPLY][1].flags, _i == 0 ? RAFT_FLAG_REJECT : 0);
    free(s.raft);
}
END_TEST

START_TEST(what_is_no_damage_is_refused)
{
    struct raft_options o;
    raft_options_init(&o);
    o.id = 1;
    struct raft *r = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    struct raft_snapshot none = {.config = lone_three};
    struct raft_event damage = {.type = RAFT_EV_BOOT_DAMAGE, .value = RAFT_DAMAGE_HOLE};
    struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &none};
    ck_assert_int_eq(raft_step(r, &ev, NULL), 0);
    ck_assert_int_eq(raft_step(r, &damage, NULL), RAFT_EINVAL); /* too early */
    ev = (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE};
    ck_assert_int_eq(raft_step(r, &ev, NULL), 0);
    damage.value = 0;
    ck_assert_int_eq(raft_step(r, &damage, NULL), RAFT_EINVAL);
    damage.value = 8;
    ck_assert_int_eq(raft_step(r, &damage, NULL), RAFT_EINVAL);
    damage.value = RAFT_DAMAGE_HOLE;
    damage.index = UINT64_MAX;
    ck_assert_int_eq(raft_step(r, &damage, NULL), RAFT_EINVAL);
    ev = (struct raft_event){.type = RAFT_EV_BOOT_DONE};
    ck_assert_int_eq(raft_step(r, &ev, NULL), 0);
    damage.index = 0;
    ck_assert_int_eq(raft_step(r, &damage, NULL), RAFT_EINVAL); /* too late */
    free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft repair alone");
    TCase *solo = tcase_create("solo");
    tcase_add_test(solo, whole_only_through_the_end_of_the_leaders_log);
    tcase_add_test(solo, words_from_before_the_crash_prove_nothing);
    tcase_add_test(solo, a_refusal_is_no_answer);
    tcase_add_test(solo, a_new_leader_is_asked_anew);
    tcase_add_test(solo, in_doubt_it_is_deaf_and_asks_all);
    tcase_add_test(solo, the_term_it_learns_is_closed_for_it);
    tcase_add_test(solo, an_outdated_configuration_keeps_the_doubt);
    tcase_add_test(solo, all_of_four_are_asked);
    tcase_add_test(solo, a_question_has_no_effect);
    tcase_add_loop_test(solo, a_cut_tail_asks_for_a_log_that_reaches_it, 0, 3);
    tcase_add_test(solo, what_is_no_damage_is_refused);
    suite_add_tcase(s, solo);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
