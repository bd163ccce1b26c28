/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what belongs to a term ends with it: reads that wait for its leader, numbers of its requests,
 * votes. What is found at boot belongs to the latest term that the disk knows of. Within a term what a
 * follower knows to agree never falls.
 * Method: one core alone; the test plays its peers, its host and its disk, so that a term can end at
 * any moment. After each event raft_check holds.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <coord/raft.h>
#include "tests/lib/raft_lone.h"

#define MS ((raft_ns)1000000)

/* Member 1 of 3, what it asked for and what it said since the last look. */
struct solo {
    struct raft *raft;
    raft_ns now;
    uint64_t io_seq; /* of the newest write */
    struct raft_msg sends[256];
    uint32_t sends_count;
    struct raft_read reads[16];
    uint32_t reads_count;
    struct raft_persist hardstate; /* the newest */
    raft_index install;            /* of the snapshot to be loaded; 0 none */
};

static int step(struct solo *s, struct raft_event ev)
{
    return lone_step(s->raft, s->now, ev);
}

/* Take every action there is; what was said before is forgotten. */
static void rounds(struct solo *s)
{
    int more = 1;
    s->sends_count = s->reads_count = 0;
    while (more) {
        const struct raft_actions *a = raft_poll(s->raft);
        for (uint32_t i = 0; i < a->persist_count; i++) {
            s->io_seq = a->persist[i].io_seq;
            if (a->persist[i].kind == RAFT_PERSIST_HARDSTATE) {
                s->hardstate = a->persist[i];
            }
        }
        for (uint32_t i = 0; i < a->sends_count; i++) {
            s->sends[s->sends_count++] = a->sends[i].msg;
        }
        for (uint32_t i = 0; i < a->reads_count; i++) {
            s->reads[s->reads_count++] = a->reads[i];
        }
        s->install = a->snap_install != NULL ? a->snap_install->index : s->install;
        more = a->more;
        raft_done(s->raft);
    }
}

static void give(struct solo *s, struct raft_event ev)
{
    ck_assert_int_eq(step(s, ev), 0);
    rounds(s);
}

static void receive(struct solo *s, struct raft_msg m)
{
    struct raft_config_at at = {.index = 0, .config = lone_three};
    m.to = 1;
    give(s, (struct raft_event){.type = RAFT_EV_RECV,
                                .msg = &m,
                                .count = m.count,
                                .configs = &at,
                                .configs_count = m.type == RAFT_MSG_SNAPSHOT});
}

static void disk_done(struct solo *s)
{
    give(s, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = s->io_seq});
}

static void read_begins(struct solo *s, uint64_t cookie)
{
    give(s, (struct raft_event){.type = RAFT_EV_READ, .cookie = cookie});
}

static struct raft_status status(const struct solo *s)
{
    struct raft_status st;
    raft_status(s->raft, &st);
    return st;
}

static const struct raft_msg *sent(const struct solo *s, unsigned type)
{
    for (uint32_t i = 0; i < s->sends_count; i++) {
        if (s->sends[i].type == type) {
            return &s->sends[i];
        }
    }
    return NULL;
}

static struct solo *solo_new(void)
{
    struct solo *s = calloc(1, sizeof(*s));
    struct raft_options o;
    raft_options_init(&o);
    o.id = 1;
    o.rng_seed = 5;
    o.log_slots = 64;
    o.disk_stall = 3600 * 1000 * MS;
    s->now = 1000 * MS;
    s->raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    ck_assert_ptr_nonnull(s->raft);
    return s;
}

struct disk {
    raft_index snap_index;
    raft_term snap_term;
    raft_term term;
    raft_id vote;
    raft_term entries_term; /* of two entries behind the snapshot; 0: there are none */
};

static struct solo *boot(struct disk d)
{
    struct solo *s = solo_new();
    struct raft_snapshot snap = {.index = d.snap_index, .term = d.snap_term, .config = lone_three};
    struct raft_entry entries[2];
    memset(entries, 0, sizeof(entries));
    entries[0].term = entries[1].term = d.entries_term;
    entries[0].type = entries[1].type = RAFT_ENTRY_COMMAND;
    snap.snap_id = d.snap_index > 0 ? 7 : 0;
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &snap}),
                     0);
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE,
                                                 .hardstate = {.term = d.term, .vote = d.vote}}),
                     0);
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_BOOT_ENTRIES,
                                                 .first = d.snap_index + 1,
                                                 .entries = entries,
                                                 .count = d.entries_term > 0 ? 2 : 0}),
                     0);
    give(s, (struct raft_event){.type = RAFT_EV_BOOT_DONE});
    return s;
}

static void solo_free(struct solo *s)
{
    free(s->raft);
    free(s);
}

static struct raft_msg beat(raft_id from, raft_term term, raft_seq seq)
{
    return (struct raft_msg){.type = RAFT_MSG_HEARTBEAT, .from = from, .term = term, .seq = seq};
}

/* Ordered by a leader: nobody's loyalty is in its way. */
static struct raft_msg ordered_vote(raft_id from, raft_term term, raft_term log_term)
{
    return (struct raft_msg){.type = RAFT_MSG_VOTE,
                             .flags = RAFT_FLAG_TRANSFER,
                             .from = from,
                             .term = term,
                             .seq = 3,
                             .index = 50,
                             .log_term = log_term};
}

/* Its leader tells it to stand; member 3 votes for it. The own vote must be on disk. */
static void win(struct solo *s, raft_id leader)
{
    struct raft_status st = status(s);
    const struct raft_entry *e = raft_entry_at(s->raft, st.stable);
    receive(s, (struct raft_msg){.type = RAFT_MSG_TIMEOUT_NOW,
                                 .from = leader,
                                 .term = st.term,
                                 .seq = 4,
                                 .index = st.stable,
                                 .log_term = e == NULL ? 0 : e->term});
    disk_done(s);
    const struct raft_msg *ask = sent(s, RAFT_MSG_VOTE);
    ck_assert_ptr_nonnull(ask);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_VOTE_REPLY, .from = 3, .term = ask->term, .seq = ask->seq});
    ck_assert_int_eq(status(s).role, RAFT_LEADER);
}

/* Everything through the last request is durable at member 3 and here. */
static void agree(struct solo *s, raft_seq seq)
{
    disk_done(s);
    struct raft_status st = status(s);
    receive(s, (struct raft_msg){.type = RAFT_MSG_APPEND_REPLY,
                                 .from = 3,
                                 .term = st.term,
                                 .seq = seq,
                                 .index = st.last,
                                 .hint = st.last});
}

/* The newest request of a kind. */
static raft_seq seq_of(const struct solo *s, unsigned type)
{
    const struct raft_msg *m = sent(s, type);
    ck_assert_ptr_nonnull(m);
    return m->seq;
}

/* Member 1 leads, and has committed the first entry of its term. */
static struct solo *leading(void)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, beat(2, 2, 1));
    win(s, 2);
    agree(s, seq_of(s, RAFT_MSG_APPEND));
    ck_assert_int_eq(status(s).leader_ready, 1);
    return s;
}

/* --- reads ---------------------------------------------------------------------------------- */

/* A read waits at a leader that is deposed. Others lead, and commit what it does not know of; then it
 * leads again. The read's index is from its first time: an answer now would miss that. */
START_TEST(read_of_an_earlier_leadership_ends_with_it)
{
    struct solo *s = leading();
    read_begins(s, 77);
    ck_assert_uint_eq(s->reads_count, 0);
    receive(s, ordered_vote(2, 8, 7));
    ck_assert_uint_eq(s->reads_count, 1);
    ck_assert_uint_eq(s->reads[0].cookie, 77);
    ck_assert_int_eq(s->reads[0].result, RAFT_READ_NO_LEADER);
    disk_done(s);
    receive(s, beat(2, 8, 1));
    win(s, 2);
    agree(s, seq_of(s, RAFT_MSG_APPEND));
    s->now += 100 * MS;
    give(s, (struct raft_event){.type = RAFT_EV_TICK});
    raft_seq seq = seq_of(s, RAFT_MSG_HEARTBEAT);
    receive(s, (struct raft_msg){.type = RAFT_MSG_HEARTBEAT_REPLY,
                                 .from = 3,
                                 .term = status(s).term,
                                 .seq = seq + 1});
    ck_assert_uint_eq(s->reads_count, 0);
    solo_free(s);
}
END_TEST

/* A read waits for a leader's answer; then this member leads. The read is not its own by that. */
START_TEST(read_of_a_follower_ends_when_it_leads)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, beat(2, 2, 1));
    disk_done(s);
    read_begins(s, 5);
    ck_assert_ptr_nonnull(sent(s, RAFT_MSG_READ));
    receive(s, (struct raft_msg){.type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .term = 2, .seq = 2});
    ck_assert_int_eq(status(s).role, RAFT_CANDIDATE);
    ck_assert_uint_eq(s->reads_count, 1);
    ck_assert_int_eq(s->reads[0].result, RAFT_READ_NO_LEADER);
    solo_free(s);
}
END_TEST

/* The leader that was asked is gone, and a new one known at once: asking again is worth it. */
START_TEST(read_of_a_follower_ends_with_its_leader)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, beat(2, 2, 1));
    disk_done(s);
    read_begins(s, 5);
    raft_seq number = seq_of(s, RAFT_MSG_READ);
    receive(s, beat(3, 3, 1));
    ck_assert_uint_eq(s->reads_count, 1);
    ck_assert_int_eq(s->reads[0].result, RAFT_READ_RETRY);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_READ_REPLY, .from = 3, .term = 3, .seq = number, .index = 0});
    ck_assert_uint_eq(s->reads_count, 0);
    solo_free(s);
}
END_TEST

/* --- numbers of requests -------------------------------------------------------------------- */

/* The whole file, in one chunk. */
static struct raft_msg chunk(raft_id from, raft_term term, raft_seq seq, raft_index index)
{
    return (struct raft_msg){.type = RAFT_MSG_SNAPSHOT,
                             .flags = RAFT_FLAG_LAST,
                             .from = from,
                             .term = term,
                             .seq = seq,
                             .index = index,
                             .log_term = 1,
                             .count = 9,
                             .total = 9,
                             .snap_id = 7};
}

static void stored(struct solo *s)
{
    give(s, (struct raft_event){.type = RAFT_EV_SNAP_STORED, .snap_id = 7, .offset = 9});
}

static void installed(struct solo *s, raft_index index)
{
    struct raft_snapshot snap = {
        .index = index, .term = 1, .config = lone_three, .snap_id = 7, .bytes = 9};
    give(s, (struct raft_event){.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &snap});
}

/* A leader takes a reply with number n for the answer to its request n, and confirms reads by it.
 * Numbers begin anew in each term: one that was heard in an earlier term must never leave in this. */
static void expect_no_reply(const struct solo *s)
{
    for (uint32_t i = 0; i < s->sends_count; i++) {
        ck_assert_uint_ne(s->sends[i].type, RAFT_MSG_SNAPSHOT_REPLY);
        ck_assert_uint_lt(s->sends[i].seq, 500);
    }
}

/* The same leader leads again while the snapshot is being loaded. */
START_TEST(snapshot_loaded_in_a_later_term_is_not_answered)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, chunk(2, 2, 500, 8));
    stored(s);
    ck_assert_uint_eq(s->install, 8);
    receive(s, beat(2, 3, 1));
    disk_done(s);
    installed(s, 8);
    expect_no_reply(s);
    disk_done(s);
    expect_no_reply(s);
    ck_assert_uint_eq(status(s).commit, 8);
    solo_free(s);
}
END_TEST

/* It is loaded, and its mark on the way to the disk, when the same leader begins a new term. */
START_TEST(snapshot_durable_in_a_later_term_is_not_answered)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, chunk(2, 2, 500, 8));
    stored(s);
    installed(s, 8);
    expect_no_reply(s); /* the mark is not on disk */
    receive(s, beat(2, 3, 1));
    disk_done(s);
    expect_no_reply(s);
    solo_free(s);
}
END_TEST

/* What it offers is here already, but the term is not on disk yet: the answer waits. */
START_TEST(snapshot_that_is_here_is_not_answered_in_a_later_term)
{
    struct solo *s = boot((struct disk){.term = 1, .snap_index = 8, .snap_term = 1});
    disk_done(s);
    receive(s, chunk(2, 2, 500, 8));
    expect_no_reply(s);
    receive(s, beat(2, 3, 1));
    disk_done(s);
    expect_no_reply(s);
    receive(s, chunk(2, 3, 2, 8));
    ck_assert_uint_eq(seq_of(s, RAFT_MSG_SNAPSHOT_REPLY), 2);
    solo_free(s);
}
END_TEST

/* A request of an earlier term is refused in the present one, which its sender may lead by now. Taken
 * for the answer to a request of this term, the refusal would confirm a read, though nothing of it
 * was asked after the read began. */
START_TEST(refusal_of_an_earlier_term_has_no_number)
{
    struct solo *s = boot((struct disk){.term = 1});
    receive(s, beat(2, 3, 1));
    disk_done(s);
    receive(s, beat(2, 2, 500));
    const struct raft_msg *m = sent(s, RAFT_MSG_HEARTBEAT_REPLY);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->term, 3);
    ck_assert_uint_eq(m->flags & RAFT_FLAG_REJECT, RAFT_FLAG_REJECT);
    expect_no_reply(s);
    receive(s, chunk(2, 2, 501, 8));
    m = sent(s, RAFT_MSG_SNAPSHOT_REPLY);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->seq, 0);
    receive(s, (struct raft_msg){.type = RAFT_MSG_APPEND, .from = 2, .term = 2, .seq = 502});
    m = sent(s, RAFT_MSG_APPEND_REPLY);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->seq, 0);
    solo_free(s);
}
END_TEST

/* Somebody asks for votes in a term that is over: it must hear of the present one, and adopts it. */
START_TEST(prevote_for_a_past_term_is_refused_with_the_present_one)
{
    struct solo *s = boot((struct disk){.term = 5});
    s->now += 2000 * MS; /* bound to nobody */
    struct raft_msg m = {.type = RAFT_MSG_PREVOTE, .from = 3, .seq = 9, .index = 50, .log_term = 4};
    for (m.term = 4; m.term <= 6; m.term++) {
        receive(s, m);
        const struct raft_msg *reply = sent(s, RAFT_MSG_PREVOTE_REPLY);
        ck_assert_ptr_nonnull(reply);
        ck_assert_uint_eq(reply->flags & RAFT_FLAG_REJECT, m.term <= 5 ? RAFT_FLAG_REJECT : 0);
        ck_assert_uint_eq(reply->term, m.term <= 5 ? 5 : 6);
        ck_assert_uint_eq(reply->seq, 9);
    }
    ck_assert_uint_eq(status(s).term, 5); /* a pre-vote binds nobody */
    solo_free(s);
}
END_TEST

/* TIMEOUT_NOW of a leader that is not this term's, or for a log that is not here durably, is no order:
 * the election would be lost, and cost a term. */
START_TEST(order_to_stand_is_checked)
{
    struct solo *s = boot((struct disk){.term = 3, .entries_term = 3});
    receive(s, beat(2, 3, 1));
    const struct raft_msg bad[] = {
        {.type = RAFT_MSG_TIMEOUT_NOW, .from = 3, .term = 3, .index = 2, .log_term = 3},
        {.type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .term = 2, .index = 2, .log_term = 3},
        {.type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .term = 3, .index = 3, .log_term = 3},
        {.type = RAFT_MSG_TIMEOUT_NOW, .from = 2, .term = 3, .index = 2, .log_term = 2},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        receive(s, bad[i]);
        ck_assert_int_eq(status(s).role, RAFT_FOLLOWER);
    }
    struct raft_entry entry = {.term = 3, .bytes = 8, .type = RAFT_ENTRY_COMMAND};
    struct raft_msg append = {.type = RAFT_MSG_APPEND,
                              .from = 2,
                              .to = 1,
                              .term = 3,
                              .seq = 2,
                              .index = 2,
                              .log_term = 3,
                              .count = 1};
    give(s,
         (struct raft_event){.type = RAFT_EV_RECV, .msg = &append, .entries = &entry, .count = 1});
    struct raft_msg order = bad[2]; /* the entry is here now, not on the disk */
    receive(s, order);
    ck_assert_int_eq(status(s).role, RAFT_FOLLOWER);
    disk_done(s);
    receive(s, order);
    ck_assert_int_eq(status(s).role, RAFT_CANDIDATE);
    receive(s, order); /* is a candidate already: not once more */
    ck_assert_uint_eq(status(s).term, 4);
    solo_free(s);
}
END_TEST

/* --- within a term ------------------------------------------------------------------------- */

/* An APPEND of leader 2 with `count` entries of the same term. */
static void append(struct solo *s, struct raft_msg m, uint32_t count)
{
    struct raft_entry entries[8];
    memset(entries, 0, sizeof(entries));
    ck_assert_uint_le(count, 8);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct raft_entry){.term = m.term, .bytes = 8, .type = RAFT_ENTRY_COMMAND};
    }
    m.type = RAFT_MSG_APPEND;
    m.from = 2;
    m.to = 1;
    m.count = count;
    give(s,
         (struct raft_event){.type = RAFT_EV_RECV, .msg = &m, .entries = entries, .count = count});
}

/* An APPEND that comes late has fewer entries than are known to agree by now: that stands. */
START_TEST(late_append_takes_nothing_back)
{
    struct solo *s = boot((struct disk){.term = 1});
    append(s, (struct raft_msg){.term = 2, .seq = 2}, 3);
    disk_done(s);
    ck_assert_uint_eq(sent(s, RAFT_MSG_APPEND_REPLY)->index, 3);
    append(s, (struct raft_msg){.term = 2, .seq = 1}, 1);
    const struct raft_msg *reply = sent(s, RAFT_MSG_APPEND_REPLY);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->index, 3);
    ck_assert_uint_eq(reply->hint, 3);
    struct raft_msg m = beat(2, 2, 3);
    m.commit = 3;
    receive(s, m);
    ck_assert_uint_eq(status(s).commit, 3);
    solo_free(s);
}
END_TEST

/* While the host loads a snapshot it stands before its index: the commit index waits. */
START_TEST(commit_waits_while_a_snapshot_is_loaded)
{
    struct solo *s = boot((struct disk){.term = 1});
    struct raft_msg m = beat(2, 2, 9);
    m.commit = 3;
    append(s, (struct raft_msg){.term = 2, .seq = 1}, 3);
    disk_done(s);
    struct raft_msg file = chunk(2, 2, 5, 2);
    file.log_term = 2;
    receive(s, file);
    stored(s);
    ck_assert_uint_eq(s->install, 2);
    receive(s, m);
    ck_assert_uint_eq(status(s).commit, 0);
    struct raft_snapshot snap = {
        .index = 2, .term = 2, .config = lone_three, .snap_id = 7, .bytes = 9};
    give(s, (struct raft_event){.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &snap});
    ck_assert_uint_eq(status(s).commit, 2);
    ck_assert_uint_eq(status(s).last, 3);
    m.seq = 10;
    receive(s, m);
    ck_assert_uint_eq(status(s).commit, 3);
    solo_free(s);
}
END_TEST

/* A leader that has another entry where one is committed here: this member stops, it cuts nothing. */
START_TEST(leader_that_contradicts_what_is_committed_stops_a_member)
{
    struct solo *s = boot((struct disk){.term = 1});
    append(s, (struct raft_msg){.term = 2, .seq = 1, .commit = 2}, 2);
    disk_done(s);
    ck_assert_uint_eq(status(s).commit, 2);
    append(s, (struct raft_msg){.term = 4, .seq = 1, .index = 2, .log_term = 3}, 1);
    ck_assert_int_eq(status(s).role, RAFT_FAULTED);
    ck_assert_uint_eq(status(s).last, 2);
    solo_free(s);
}
END_TEST

/* --- boot ----------------------------------------------------------------------------------- */

/* The disk knows of term 3 by a snapshot or by entries, its hard state is of term 1 with a vote. The
 * member is in term 3, has not voted there, says so on its disk, and votes like anybody. */
static void expect_term_3(struct solo *s)
{
    ck_assert_uint_eq(status(s).term, 3);
    ck_assert_uint_eq(status(s).vote, 0);
    ck_assert_uint_eq(s->hardstate.term, 3);
    ck_assert_uint_eq(s->hardstate.vote, 0);
    receive(s, ordered_vote(3, 3, 3));
    ck_assert_ptr_null(sent(s, RAFT_MSG_VOTE_REPLY));
    ck_assert_uint_eq(s->hardstate.vote, 3);
    disk_done(s);
    const struct raft_msg *m = sent(s, RAFT_MSG_VOTE_REPLY);
    ck_assert_ptr_nonnull(m);
    ck_assert_uint_eq(m->term, 3);
    ck_assert_uint_eq(m->flags & RAFT_FLAG_REJECT, 0);
}

START_TEST(snapshot_of_a_later_term_is_booted_from)
{
    struct solo *s = boot((struct disk){.term = 1, .vote = 2, .snap_index = 8, .snap_term = 3});
    receive(s, ordered_vote(3, 3, 2)); /* behind this member's log */
    const struct raft_msg *reply = sent(s, RAFT_MSG_VOTE_REPLY);
    ck_assert_ptr_nonnull(reply);
    ck_assert_uint_eq(reply->term, 3);
    ck_assert_uint_eq(reply->flags & RAFT_FLAG_REJECT, RAFT_FLAG_REJECT);
    solo_free(s);
}
END_TEST

START_TEST(vote_of_an_earlier_term_is_free_after_boot)
{
    for (int with_log = 0; with_log < 2; with_log++) {
        struct disk d = {.term = 1, .vote = 2};
        if (with_log) {
            d.entries_term = 3;
        } else {
            d.snap_index = 8;
            d.snap_term = 3;
        }
        struct solo *s = boot(d);
        ck_assert_uint_eq(status(s).term, 3);
        expect_term_3(s);
        solo_free(s);
    }
}
END_TEST

/* A hard state as late as the log keeps its vote. */
START_TEST(vote_of_the_same_term_stands_after_boot)
{
    struct solo *s = boot((struct disk){.term = 3, .vote = 2, .entries_term = 3});
    ck_assert_uint_eq(status(s).term, 3);
    ck_assert_uint_eq(status(s).vote, 2);
    solo_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("raft_term");
    TCase *reads = tcase_create("reads");
    tcase_add_test(reads, read_of_an_earlier_leadership_ends_with_it);
    tcase_add_test(reads, read_of_a_follower_ends_when_it_leads);
    tcase_add_test(reads, read_of_a_follower_ends_with_its_leader);
    suite_add_tcase(suite, reads);
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, snapshot_loaded_in_a_later_term_is_not_answered);
    tcase_add_test(numbers, snapshot_durable_in_a_later_term_is_not_answered);
    tcase_add_test(numbers, snapshot_that_is_here_is_not_answered_in_a_later_term);
    tcase_add_test(numbers, refusal_of_an_earlier_term_has_no_number);
    suite_add_tcase(suite, numbers);
    TCase *orders = tcase_create("orders");
    tcase_add_test(orders, prevote_for_a_past_term_is_refused_with_the_present_one);
    tcase_add_test(orders, order_to_stand_is_checked);
    suite_add_tcase(suite, orders);
    TCase *within = tcase_create("within");
    tcase_add_test(within, late_append_takes_nothing_back);
    tcase_add_test(within, commit_waits_while_a_snapshot_is_loaded);
    tcase_add_test(within, leader_that_contradicts_what_is_committed_stops_a_member);
    suite_add_tcase(suite, within);
    TCase *boots = tcase_create("boot");
    tcase_add_test(boots, snapshot_of_a_later_term_is_booted_from);
    tcase_add_test(boots, vote_of_an_earlier_term_is_free_after_boot);
    tcase_add_test(boots, vote_of_the_same_term_stands_after_boot);
    suite_add_tcase(suite, boots);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
