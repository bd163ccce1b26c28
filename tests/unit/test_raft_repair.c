/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a member whose disk lost what it had promised neither votes nor stands until it cannot break a
 * promise any more, and then it is a full member again by itself (raft/repair.c; faults D8, D12).
 * Method: groups of the ensemble whose disks are cut behind their backs, and one core alone whose
 * peers and disk are played by hand where the order of messages is what matters.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/raft_ensemble.h"

#define MS ENS_MS

/* ------------------------------------------------------------------------------------------- */
/* Groups                                                                                        */

static int repairing(struct ens *c, raft_id id)
{
    return ens_status(c, id).repairing;
}

/* The host has seen the end of the repair and told the log. */
static void told(struct ens *c, raft_id id)
{
    ck_assert(!repairing(c, id));
    ens_node(c, id)->damage = 0;
}

static uint64_t asked_for_votes(struct ens *c, raft_id id)
{
    const struct ens_node *n = ens_node(c, id);
    return n->sent[RAFT_MSG_VOTE] + n->sent[RAFT_MSG_PREVOTE];
}

/* Three members, 1 leads, ten entries are committed everywhere; 3 is down and has lost those after keep. */
static struct ens *hole_at_three(raft_index keep)
{
    struct ens *c = ens_new(3, 7, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_assert_equal(c);
    ens_crash(c, 3);
    ens_rot(c, 3, keep);
    return c;
}

START_TEST(neither_votes_nor_stands)
{
    struct ens *c = hole_at_three(5);
    ens_crash(c, 1);
    ens_restart(c, 3);
    uint64_t before = asked_for_votes(c, 3);
    raft_term term = ens_status(c, 2).term;
    ens_run(c, 10000 * MS);
    ck_assert_uint_eq(ens_status(c, 2).term, term); /* no pre-vote either */
    ck_assert_uint_eq(ens_leader(c), 0);            /* 2 alone is no majority */
    (void)ens_step(c, 3, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ens_settle(c);
    struct raft_status s = ens_status(c, 3);
    struct raft_msg now = {
        .type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .to = 3, .term = s.term, .index = s.last};
    ens_inject(c, &now, 0);
    ens_run(c, 3000 * MS);
    ck_assert_uint_eq(asked_for_votes(c, 3), before);
    ck_assert(repairing(c, 3));
    ck_assert_uint_eq(ens_status(c, 3).vote == 2, 0);

    ens_restart(c, 1); /* somebody who has it all may lead, and refills it */
    (void)ens_elect(c);
    ens_run(c, 1000 * MS);
    ens_assert_equal(c);
    told(c, 3);
    raft_id leader = ens_leader(c);
    ens_crash(c, leader); /* now its vote is needed, and counts */
    (void)ens_elect(c);
    ens_free(c);
}
END_TEST

START_TEST(is_refilled_and_whole_by_itself)
{
    struct ens *c = hole_at_three((raft_index)_i);
    ens_restart(c, 3);
    ck_assert(repairing(c, 3));
    ens_run(c, 1500 * MS);
    ens_assert_equal(c);
    told(c, 3);
    ens_free(c);
}
END_TEST

/* The entries it had acknowledged last are committed by what the leader remembers of that. While the
 * member does not have them again, nobody may be elected without them. */
START_TEST(what_others_count_on_is_not_lost)
{
    struct ens *c = ens_new(5, 3, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 9), 0);
    ens_run(c, 200 * MS);
    for (raft_id id = 2; id <= 5; id++) {
        if (id != 3) {
            ens_cut(c, 1, id, 0);
        }
    }
    ck_assert_int_eq(ens_propose(c, 1, 1), 0); /* on 1 and 3 */
    ens_settle(c);
    raft_index last = ens_status(c, 1).last;
    ck_assert_uint_eq(ens_node(c, 3)->disk.last, last);
    ens_crash(c, 3);
    ens_rot(c, 3, last - 1);
    ens_link(c, 1, 3)->drop_type = RAFT_MSG_APPEND;
    ens_restart(c, 3);
    ens_heal(c, 1, 2, 0);
    ens_run(c, 300 * MS); /* 2 takes it: with what 3 had said that is a quorum */
    ck_assert_uint_eq(ens_status(c, 1).commit, last);
    ens_crash(c, 1);
    ens_crash(c, 2);
    ens_heal_all(c, 0);
    ens_run(c, 10000 * MS);
    ck_assert_uint_eq(ens_leader(c), 0);
    ck_assert(repairing(c, 3));
    ens_restart(c, 2);
    (void)ens_elect(c);
    ens_run(c, 2000 * MS);
    told(c, 3);
    ck_assert_uint_ge(ens_status(c, 3).commit, last);
    ens_free(c);
}
END_TEST

START_TEST(crashes_while_it_is_refilled)
{
    struct ens *c = hole_at_three(2);
    ens_node(c, 3)->disk_manual = 1;
    for (int life = 0; life < 5; life++) {
        ens_restart(c, 3);
        ens_run(c, 700 * MS);
        ck_assert(repairing(c, 3)); /* nothing of it is on disk yet */
        ens_crash(c, 3);
    }
    ens_node(c, 3)->disk_manual = 0;
    ens_restart(c, 3);
    ens_run(c, 1500 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(leader_changes_while_it_is_refilled)
{
    struct ens *c = ens_new(5, 11, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 3);
    ens_rot(c, 3, 4);
    ens_node(c, 3)->disk_manual = 1;
    ens_restart(c, 3);
    ens_run(c, 700 * MS);
    ens_crash(c, 1);
    raft_id leader = ens_elect(c);
    ck_assert_uint_ne(leader, 3);
    ens_node(c, 3)->disk_manual = 0;
    ens_disk(c, 3, 100);
    ens_run(c, 2000 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(is_refilled_by_a_snapshot)
{
    struct ens *c = hole_at_three(5);
    ck_assert_int_eq(ens_propose(c, 1, 20), 0);
    ens_run(c, 200 * MS);
    ens_snapshot(c, 1, 5000, 0);
    ens_settle(c);
    ck_assert_uint_gt(ens_status(c, 1).first, 6);
    ens_restart(c, 3);
    ens_run(c, 3000 * MS);
    told(c, 3);
    ck_assert_uint_gt(ens_node(c, 3)->disk.base, 5);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A leader hands over to nobody who would not stand. */
START_TEST(no_leadership_is_handed_to_it)
{
    struct ens *c = ens_new(3, 7, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 2);
    ens_rot(c, 2, 5);
    ens_link(c, 1, 2)->drop_type = RAFT_MSG_READ_REPLY;
    ens_restart(c, 2);
    ens_run(c, 1000 * MS);
    ck_assert(repairing(c, 2)); /* though it holds as much as 3, and comes before it */
    ck_assert_int_eq(ens_step(c, 1, (struct raft_event){.type = RAFT_EV_TRANSFER}), 0);
    ens_settle(c);
    ens_run(c, 300 * MS);
    ck_assert_uint_eq(ens_leader(c), 3);
    ens_free(c);
}
END_TEST

/* It voted for 2 in the newest term and has forgotten that. The other one that stands in that term must
 * not get its vote, not even while 2 cannot be asked. */
START_TEST(a_forgotten_vote_is_not_given_again)
{
    struct ens *c = hole_at_three(5);
    struct ens_node *n = ens_node(c, 3);
    raft_term term = n->disk_term;
    n->damage |= RAFT_DAMAGE_VOTE;
    n->disk_term = 0;
    n->disk_vote = 0;
    ens_cut(c, 2, 3, 0);
    ens_restart(c, 3);
    ens_run(c, 2000 * MS);
    ck_assert(repairing(c, 3));
    ck_assert_uint_eq(ens_status(c, 3).term, term); /* 1 has told it that much */
    ck_assert_uint_eq(n->disk.last, 5);             /* but it answers no leader yet */
    ck_assert_uint_eq(ens_status(c, 3).leader, 0);

    struct raft_msg vote = {.type = RAFT_MSG_VOTE,
                            .flags = RAFT_FLAG_TRANSFER,
                            .from = 2,
                            .to = 3,
                            .term = term,
                            .index = 1000,
                            .log_term = term};
    ens_inject(c, &vote, 0);
    ens_settle(c);
    ck_assert_uint_eq(ens_status(c, 3).vote, 0);

    ens_heal(c, 2, 3, 0); /* answers late */
    ens_run(c, 300 * MS);
    ck_assert_uint_eq(n->disk_vote, 3); /* its vote of that term, given to nobody else */
    ens_run(c, 1500 * MS);
    told(c, 3);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

START_TEST(two_that_doubt_do_not_believe_each_other)
{
    struct ens *c = hole_at_three(5);
    ens_crash(c, 2);
    ens_rot(c, 2, 5);
    for (raft_id id = 2; id <= 3; id++) {
        ens_node(c, id)->damage |= RAFT_DAMAGE_VOTE;
        ens_node(c, id)->disk_term = 0;
        ens_node(c, id)->disk_vote = 0;
        ens_restart(c, id);
    }
    ens_run(c, 5000 * MS);
    ck_assert_uint_eq(ens_status(c, 2).leader, 0);
    ck_assert_uint_eq(ens_status(c, 3).leader, 0);
    ck_assert(repairing(c, 2) && repairing(c, 3));
    ens_free(c);
}
END_TEST

START_TEST(one_that_is_alone_stays_out)
{
    struct ens *c = ens_new(1, 5, NULL);
    (void)ens_elect(c);
    ck_assert_int_eq(ens_propose(c, 1, 5), 0);
    ens_settle(c);
    ens_crash(c, 1);
    ens_rot(c, 1, 3);
    ens_node(c, 1)->damage |= _i ? RAFT_DAMAGE_VOTE : 0u;
    ens_restart(c, 1);
    ens_run(c, 5000 * MS);
    (void)ens_step(c, 1, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
    ck_assert_uint_eq(ens_leader(c), 0);
    ck_assert(repairing(c, 1));
    ens_free(c);
}
END_TEST

/* A cut tail: careful for two election waits, then as ever. */
START_TEST(a_cut_tail_gives_way)
{
    struct ens *c = ens_new(3, 9, NULL);
    (void)ens_elect(c);
    ck_assert_int_eq(ens_propose(c, ens_leader(c), 4), 0);
    ens_run(c, 200 * MS);
    raft_ns wait = 2 * ens_node(c, 1)->options.election_max;
    for (raft_id id = 1; id <= 3; id++) { /* all disks lied about the same entry */
        ens_crash(c, id);
        ens_node(c, id)->damage = RAFT_DAMAGE_TAIL;
        ens_node(c, id)->damage_index = ens_node(c, id)->disk.last + 1;
        ens_node(c, id)->damage_term = ens_node(c, id)->disk_term;
    }
    for (raft_id id = 1; id <= 3; id++) {
        ens_restart(c, id);
        ck_assert(!repairing(c, id));
    }
    ens_run(c, wait - MS);
    ck_assert_uint_eq(ens_leader(c), 0);
    ens_run(c, 3 * wait);
    ck_assert_uint_ne(ens_leader(c), 0);
    ens_free(c);
}
END_TEST

START_TEST(a_cut_tail_does_not_delay_one_that_is_alone)
{
    struct ens *c = ens_new(1, 5, NULL);
    (void)ens_elect(c);
    ens_crash(c, 1);
    ens_node(c, 1)->damage = RAFT_DAMAGE_TAIL;
    ens_node(c, 1)->damage_index = 100;
    ens_node(c, 1)->damage_term = 9;
    ens_restart(c, 1);
    ck_assert_uint_eq(ens_leader(c), 1);
    ens_free(c);
}
END_TEST

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

static const struct raft_config three = {
    .count = 3, .members = {{1, RAFT_VOTER}, {2, RAFT_VOTER}, {3, RAFT_VOTER}}};
static const struct raft_config four = {
    .count = 4, .members = {{1, RAFT_VOTER}, {2, RAFT_VOTER}, {3, RAFT_VOTER}, {4, RAFT_VOTER}}};

static int step(struct solo *s, struct raft_event ev)
{
    struct raft_accept accept;
    char why[160] = "";
    ev.now = s->now;
    int rv = raft_step(s->raft, &ev, &accept);
    ck_assert_msg(raft_check(s->raft, why, sizeof(why)) == 0, "%s", why);
    return rv;
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
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_HOLE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_VOTE, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_TAIL, &three);
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
    struct solo s = solo_new(RAFT_DAMAGE_TAIL, &three); /* the tail reached 8 of term 4 */
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
    struct raft_snapshot none = {.config = three};
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
    Suite *s = suite_create("raft repair");
    TCase *groups = tcase_create("groups");
    tcase_set_timeout(groups, 60);
    tcase_add_test(groups, neither_votes_nor_stands);
    tcase_add_loop_test(groups, is_refilled_and_whole_by_itself, 0, 10);
    tcase_add_test(groups, what_others_count_on_is_not_lost);
    tcase_add_test(groups, crashes_while_it_is_refilled);
    tcase_add_test(groups, leader_changes_while_it_is_refilled);
    tcase_add_test(groups, is_refilled_by_a_snapshot);
    tcase_add_test(groups, no_leadership_is_handed_to_it);
    tcase_add_test(groups, a_forgotten_vote_is_not_given_again);
    tcase_add_test(groups, two_that_doubt_do_not_believe_each_other);
    tcase_add_loop_test(groups, one_that_is_alone_stays_out, 0, 2);
    tcase_add_test(groups, a_cut_tail_gives_way);
    tcase_add_test(groups, a_cut_tail_does_not_delay_one_that_is_alone);
    suite_add_tcase(s, groups);
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
