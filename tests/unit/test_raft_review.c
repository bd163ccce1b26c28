/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: orders of events that are rare but possible neither stop a member nor make it say what is not
 * so: a snapshot that is complete only after its leader is gone, answers to requests of an earlier
 * leadership, a disk that is far behind, a follower that comes back with less.
 * Method: most tests hold one core alone and play its peers and its disk by hand, so that every order
 * of events can be had; the last ones use the ensemble of tests/lib/raft_ensemble.h.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "raft/internal.h"
#include "tests/lib/raft_ensemble.h"
#include "tests/lib/raft_lone.h"

#define MS ENS_MS

/* Member 1 of 3, and what its last round of actions held. */
struct solo {
    struct raft *raft;
    raft_ns now;
    uint64_t io_seq; /* the newest write it asked for */
    struct raft_persist persist[8];
    uint32_t persist_count;
    struct raft_send sends[256];
    uint32_t sends_count;
    struct raft_drop drops[64];
    uint32_t drops_count;
    struct raft_msg chunk; /* type 0: none */
    raft_index install;    /* 0: none */
};

static int step(struct solo *s, struct raft_event ev)
{
    return lone_step(s->raft, s->now, ev);
}

/* Carry out one round: remember what it says, complete nothing. */
static void poll_once(struct solo *s)
{
    const struct raft_actions *a = raft_poll(s->raft);
    s->persist_count = a->persist_count;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        const struct raft_persist *p = &a->persist[i];
        s->persist[i] = *p;
        s->io_seq = p->io_seq;
        for (uint32_t k = 0; p->kind == RAFT_PERSIST_ENTRIES && k < p->count; k++) {
            ck_assert_ptr_nonnull(raft_entry_at(s->raft, p->first + k));
        }
    }
    s->sends_count = a->sends_count;
    memcpy(s->sends, a->sends, a->sends_count * sizeof(a->sends[0]));
    s->drops_count = a->drops_count;
    memcpy(s->drops, a->drops, a->drops_count * sizeof(a->drops[0]));
    s->chunk.type = 0;
    if (a->snap_chunk != NULL) {
        s->chunk = *a->snap_chunk;
    }
    s->install = a->snap_install != NULL ? a->snap_install->index : 0;
    raft_done(s->raft);
}

static void disk_done(struct solo *s)
{
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = s->io_seq}), 0);
    poll_once(s);
}

static void receive(struct solo *s, struct raft_msg m)
{
    m.to = 1;
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_RECV, .msg = &m}), 0);
}

/* count entries of term `term` after `previous` from leader `from`. */
static void append(struct solo *s, struct raft_msg m, uint32_t count, raft_term term)
{
    struct raft_entry entries[64];
    ck_assert_uint_le(count, 64);
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].term = term;
        entries[i].type = RAFT_ENTRY_COMMAND;
        entries[i].bytes = 8;
    }
    m.type = RAFT_MSG_APPEND;
    m.to = 1;
    m.count = count;
    struct raft_event ev = {.type = RAFT_EV_RECV, .msg = &m, .entries = entries, .count = count};
    ck_assert_int_eq(step(s, ev), 0);
}

/* A chunk of a snapshot at (index, log_term) of file 7. */
static void chunk(struct solo *s, struct raft_msg m)
{
    struct raft_config_at at = {.index = 0, .config = lone_three};
    m.type = RAFT_MSG_SNAPSHOT;
    m.to = 1;
    m.snap_id = m.snap_id == 0 ? 7 : m.snap_id;
    m.flags = m.offset + m.count == m.total ? RAFT_FLAG_LAST : 0;
    struct raft_event ev = {
        .type = RAFT_EV_RECV, .msg = &m, .count = m.count, .configs = &at, .configs_count = 1};
    ck_assert_int_eq(step(s, ev), 0);
}

static void stored(struct solo *s, uint64_t offset)
{
    struct raft_event ev = {.type = RAFT_EV_SNAP_STORED, .snap_id = 7, .offset = offset};
    ck_assert_int_eq(step(s, ev), 0);
}

static struct raft_snapshot snapshot_at(raft_index index, raft_term term, uint64_t snap_id)
{
    struct raft_snapshot s;
    memset(&s, 0, sizeof(s));
    s.index = index;
    s.term = term;
    s.config = lone_three;
    s.snap_id = snap_id;
    s.bytes = 100;
    return s;
}

static void installed(struct solo *s, raft_index index, raft_term term)
{
    struct raft_snapshot snap = snapshot_at(index, term, 7);
    struct raft_event ev = {.type = RAFT_EV_SNAP_INSTALLED, .snapshot = &snap};
    ck_assert_int_eq(step(s, ev), 0);
}

/* Boot with a first configuration and `count` entries of term 1 after it. */
static struct solo *solo_new(uint32_t count, uint32_t log_slots)
{
    static uint64_t boots; /* each boot has a seed of its own */
    struct solo *s = calloc(1, sizeof(*s));
    struct raft_options o;
    struct raft_snapshot first = {.config = lone_three};
    struct raft_entry entries[64];
    memset(entries, 0, sizeof(entries));
    for (uint32_t i = 0; i < count; i++) {
        entries[i].term = 1;
        entries[i].type = RAFT_ENTRY_COMMAND;
    }
    raft_options_init(&o);
    o.id = 1;
    o.rng_seed = 3 + boots++;
    o.log_slots = log_slots;
    o.disk_stall = 3600 * 1000 * (raft_ns)MS;
    s->now = 1000 * (raft_ns)MS;
    s->raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    ck_assert_ptr_nonnull(s->raft);
    (void)step(s, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &first});
    (void)step(
        s, (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE, .hardstate = {.term = count > 0}});
    (void)step(s,
               (struct raft_event){
                   .type = RAFT_EV_BOOT_ENTRIES, .first = 1, .entries = entries, .count = count});
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
    poll_once(s);
    return s;
}

static void solo_free(struct solo *s)
{
    free(s->raft);
    free(s);
}

static struct raft_status status(const struct solo *s)
{
    struct raft_status st;
    raft_status(s->raft, &st);
    return st;
}

static const struct raft_msg *sent(const struct solo *s, uint32_t type)
{
    for (uint32_t i = 0; i < s->sends_count; i++) {
        if (s->sends[i].msg.type == type) {
            return &s->sends[i].msg;
        }
    }
    return NULL;
}

/* Let the election timer fire and collect pre-votes; the own vote is not on disk yet. */
static void stand(struct solo *s)
{
    s->now += 2000 * (raft_ns)MS;
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_TICK}), 0);
    poll_once(s);
    const struct raft_msg *ask = sent(s, RAFT_MSG_PREVOTE);
    ck_assert_ptr_nonnull(ask);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_PREVOTE_REPLY, .from = 3, .term = ask->term, .seq = ask->seq});
    ck_assert_int_eq(status(s).role, RAFT_CANDIDATE);
    poll_once(s);
}

static void grant(struct solo *s)
{
    const struct raft_msg *ask = sent(s, RAFT_MSG_VOTE);
    ck_assert_ptr_nonnull(ask);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_VOTE_REPLY, .from = 3, .term = ask->term, .seq = ask->seq});
}

/* The file of a snapshot becomes complete while this member, whose log has all of it, stands for
 * election. It must not lead with a state that is being replaced. */
START_TEST(election_is_won_while_a_snapshot_loads)
{
    struct solo *s = solo_new(10, 64);
    chunk(s,
          (struct raft_msg){
              .from = 2, .term = 1, .seq = 9, .index = 8, .log_term = 1, .count = 5, .total = 5});
    poll_once(s);
    ck_assert_uint_eq(s->chunk.type, RAFT_MSG_SNAPSHOT);
    stand(s);
    disk_done(s);
    ck_assert_ptr_nonnull(sent(s, RAFT_MSG_VOTE));
    struct raft_send asked[2];
    memcpy(asked, s->sends, sizeof(asked));
    stored(s, 5);
    poll_once(s);
    ck_assert_uint_eq(s->install, 8);
    memcpy(s->sends, asked, sizeof(asked));
    s->sends_count = 2;
    grant(s);
    ck_assert_int_eq(status(s).role, RAFT_FOLLOWER);
    installed(s, 8, 1);
    poll_once(s);
    disk_done(s);
    ck_assert_uint_eq(status(s).commit, 8);
    ck_assert_uint_eq(status(s).last, 10);
    stand(s);
    disk_done(s);
    grant(s);
    ck_assert_int_eq(status(s).role, RAFT_LEADER);
    solo_free(s);
}
END_TEST

/* Requests are numbered per term. A chunk that the same leader sent in an earlier term must not be
 * answered with its number in this one: the leader would take it for the answer to a new request,
 * and confirm reads by it. */
START_TEST(chunk_of_an_earlier_leadership_is_not_answered)
{
    struct solo *s = solo_new(0, 64);
    chunk(s, (struct raft_msg){.from = 2,
                               .term = 1,
                               .seq = 500,
                               .index = 8,
                               .log_term = 1,
                               .count = 5,
                               .total = _i == 0 ? 10 : 5});
    poll_once(s);
    disk_done(s);
    receive(s, (struct raft_msg){.type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 5, .seq = 1});
    poll_once(s);
    disk_done(s);
    stored(s, 5);
    poll_once(s);
    ck_assert_ptr_null(sent(s, RAFT_MSG_SNAPSHOT_REPLY));
    if (_i == 1) {
        ck_assert_uint_eq(s->install, 8);
        installed(s, 8, 1);
        poll_once(s);
        disk_done(s);
        ck_assert_ptr_null(sent(s, RAFT_MSG_SNAPSHOT_REPLY));
    }
    /* Sent again, it is answered by its own number. */
    chunk(s, (struct raft_msg){.from = 2,
                               .term = 5,
                               .seq = 2,
                               .index = 8,
                               .log_term = 1,
                               .count = 5,
                               .total = _i == 0 ? 10 : 5});
    poll_once(s);
    ck_assert_ptr_nonnull(sent(s, RAFT_MSG_SNAPSHOT_REPLY));
    ck_assert_uint_eq(sent(s, RAFT_MSG_SNAPSHOT_REPLY)->seq, 2);
    ck_assert_uint_eq(sent(s, RAFT_MSG_SNAPSHOT_REPLY)->offset, 5);
    solo_free(s);
}
END_TEST

/* Own proposals that a snapshot covers leave the log without being applied here: they are reported
 * lost even though the log after the snapshot is kept. */
START_TEST(snapshot_over_own_proposals_reports_them)
{
    struct solo *s = solo_new(0, 64);
    struct raft_entry entries[3];
    struct raft_accept accept;
    stand(s);
    disk_done(s);
    grant(s);
    ck_assert_int_eq(status(s).role, RAFT_LEADER);
    memset(entries, 0, sizeof(entries));
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .now = s->now, .entries = entries, .count = 3};
    ck_assert_int_eq(raft_step(s->raft, &ev, &accept), 0);
    ck_assert_uint_eq(accept.first, 2);
    poll_once(s);
    disk_done(s);
    raft_term term = status(s).term;
    chunk(s, (struct raft_msg){.from = 2,
                               .term = term + 1,
                               .seq = 9,
                               .index = 3,
                               .log_term = term,
                               .count = 5,
                               .total = 5});
    poll_once(s);
    stored(s, 5);
    poll_once(s);
    ck_assert_uint_eq(s->install, 3);
    installed(s, 3, term);
    poll_once(s);
    ck_assert_uint_eq(status(s).last, 4);
    ck_assert_uint_eq(s->drops_count, 1);
    ck_assert_uint_eq(s->drops[0].first, 2);
    ck_assert_uint_eq(s->drops[0].last, 3);
    ck_assert_uint_eq(s->drops[0].term, term);
    /* What comes after the snapshot is reported once when it goes. */
    append(s,
           (struct raft_msg){.from = 2, .term = term + 1, .seq = 10, .index = 3, .log_term = term},
           1, term + 1);
    poll_once(s);
    ck_assert_uint_eq(s->drops_count, 1);
    ck_assert_uint_eq(s->drops[0].first, 4);
    ck_assert_uint_eq(s->drops[0].last, 4);
    solo_free(s);
}
END_TEST

/* Entries one by one, each a write of its own, until no further write is begun.
 * Return: the last entry. */
static raft_index fill_disk(struct solo *s)
{
    raft_index last = 0;
    do {
        raft_index before = last++;
        append(s,
               (struct raft_msg){
                   .from = 2, .term = 1, .seq = last, .index = before, .log_term = before > 0},
               1, 1);
        poll_once(s);
    } while (s->persist_count > 0);
    return last;
}

/* The disk is so far behind that the mark of an installed snapshot waits, and meanwhile a newer
 * snapshot is taken: the mark must still be the one that the entries written next follow. */
START_TEST(install_mark_waits_while_a_newer_snapshot_is_taken)
{
    struct solo *s = solo_new(0, 1024);
    raft_index last = fill_disk(s);
    raft_index at = last + 50;
    struct raft_msg m = {
        .from = 2, .term = 1, .seq = last + 1, .index = at, .log_term = 1, .count = 5, .total = 5};
    chunk(s, m);
    poll_once(s);
    stored(s, 5);
    poll_once(s);
    installed(s, at, 1);
    poll_once(s);
    ck_assert_uint_eq(s->persist_count, 0);
    append(s,
           (struct raft_msg){
               .from = 2, .term = 1, .seq = at, .index = at, .log_term = 1, .commit = at + 10},
           10, 1);
    poll_once(s);
    ck_assert_uint_eq(status(s).commit, at + 10);
    (void)step(s, (struct raft_event){.type = RAFT_EV_APPLIED, .index = at + 10});
    struct raft_snapshot newer = snapshot_at(at + 8, 1, 8);
    struct raft_event taken = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &newer, .index = at + 4};
    ck_assert_int_eq(step(s, taken), 0);
    poll_once(s);
    ck_assert_uint_eq(s->persist_count, 0);
    disk_done(s);
    ck_assert_uint_ge(s->persist_count, 2);
    ck_assert_int_eq(s->persist[0].kind, RAFT_PERSIST_SNAPMARK);
    ck_assert_uint_eq(s->persist[0].first, at);
    ck_assert_int_eq(s->persist[1].kind, RAFT_PERSIST_ENTRIES);
    ck_assert_uint_eq(s->persist[1].first, at + 1);
    disk_done(s);
    disk_done(s);
    ck_assert_uint_eq(status(s).stable, at + 10);
    ck_assert_uint_eq(status(s).first, at + 5);
    solo_free(s);
}
END_TEST

/* Entries that wait for a slow disk may be committed, applied and within a snapshot already. The host
 * can still ask for what it is told to write (poll_once does), and the mark follows. */
START_TEST(entries_to_write_are_not_compacted_yet)
{
    struct solo *s = solo_new(0, 1024);
    raft_index last = fill_disk(s);
    receive(s,
            (struct raft_msg){
                .type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 1, .seq = last + 1, .commit = last});
    poll_once(s);
    (void)step(s, (struct raft_event){.type = RAFT_EV_APPLIED, .index = last});
    struct raft_snapshot snap = snapshot_at(last, 1, 8);
    struct raft_event taken = {.type = RAFT_EV_SNAP_TAKEN, .snapshot = &snap, .index = last};
    ck_assert_int_eq(step(s, taken), 0);
    (void)step(s, (struct raft_event){.type = RAFT_EV_IO_DONE, .io_seq = s->io_seq});
    int marked = 0;
    for (int i = 0; i < 3; i++) {
        poll_once(s);
        for (uint32_t k = 0; k < s->persist_count; k++) {
            marked |= s->persist[k].kind == RAFT_PERSIST_SNAPMARK;
        }
    }
    ck_assert_int_eq(marked, 1);
    ck_assert_uint_eq(status(s).first, last + 1);
    solo_free(s);
}
END_TEST

/* The commit index in a hard state speaks of the log as the writes before it leave it: a crash right
 * after it must not find other entries there. */
START_TEST(hard_state_does_not_run_ahead_of_an_install)
{
    struct solo *s = solo_new(10, 64);
    chunk(s,
          (struct raft_msg){
              .from = 2, .term = 3, .seq = 1, .index = 8, .log_term = 2, .count = 5, .total = 5});
    poll_once(s);
    disk_done(s);
    stored(s, 5);
    poll_once(s);
    installed(s, 8, 2);
    receive(s, (struct raft_msg){.type = RAFT_MSG_HEARTBEAT, .from = 3, .term = 4, .seq = 1});
    poll_once(s);
    int marked = 0;
    for (uint32_t i = 0; i < s->persist_count; i++) {
        marked |= s->persist[i].kind == RAFT_PERSIST_SNAPMARK;
        if (s->persist[i].kind == RAFT_PERSIST_HARDSTATE) {
            ck_assert_msg(marked || s->persist[i].commit == 0, "commit %lu before the mark",
                          s->persist[i].commit);
        }
    }
    ck_assert_int_eq(marked, 1);
    solo_free(s);
}
END_TEST

/* A leader that lies about its snapshot may spoil this member's log, but does not bring it down. */
START_TEST(snapshot_against_verified_entries_is_survived)
{
    struct solo *s = solo_new(10, 64);
    append(s, (struct raft_msg){.from = 2, .term = 2, .seq = 1, .index = 10, .log_term = 1}, 0, 1);
    poll_once(s);
    disk_done(s);
    chunk(s,
          (struct raft_msg){
              .from = 2, .term = 2, .seq = 2, .index = 8, .log_term = 2, .count = 5, .total = 5});
    poll_once(s);
    stored(s, 5);
    poll_once(s);
    installed(s, 8, 2);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_HEARTBEAT, .from = 2, .term = 2, .seq = 3, .commit = 10});
    poll_once(s);
    ck_assert_uint_eq(status(s).commit, 8);
    solo_free(s);
}
END_TEST

/* No term of a peer makes the own next one begin again at 0. */
START_TEST(absurd_term_is_ignored)
{
    struct solo *s = solo_new(1, 64);
    receive(s,
            (struct raft_msg){.type = RAFT_MSG_HEARTBEAT, .from = 2, .term = UINT64_MAX, .seq = 3});
    receive(s, (struct raft_msg){.type = RAFT_MSG_PREVOTE_REPLY,
                                 .flags = RAFT_FLAG_REJECT,
                                 .from = 2,
                                 .term = UINT64_MAX});
    ck_assert_uint_eq(status(s).term, 1);
    stand(s);
    ck_assert_uint_eq(status(s).term, 2);
    solo_free(s);
}
END_TEST

/* Campaigns are numbered; a pre-vote for one of an earlier life of this member, which stands in the
 * same term, is none for this one: without a live majority the term must stay as it is. */
START_TEST(pre_vote_for_an_earlier_life_counts_for_nothing)
{
    struct solo *s = solo_new(1, 64);
    s->now += 2000 * (raft_ns)MS;
    (void)step(s, (struct raft_event){.type = RAFT_EV_TICK});
    poll_once(s);
    struct raft_msg ask = *sent(s, RAFT_MSG_PREVOTE);
    solo_free(s);
    s = solo_new(1, 64);
    s->now += 2000 * (raft_ns)MS;
    (void)step(s, (struct raft_event){.type = RAFT_EV_TICK});
    ck_assert_int_eq(status(s).role, RAFT_PRECANDIDATE);
    receive(s, (struct raft_msg){
                   .type = RAFT_MSG_PREVOTE_REPLY, .from = 3, .term = ask.term, .seq = ask.seq});
    ck_assert_int_eq(status(s).role, RAFT_PRECANDIDATE);
    ck_assert_uint_eq(status(s).term, 1);
    solo_free(s);
}
END_TEST

/* A late chunk of a snapshot that its leader has given up does not undo the transfer of the next. */
START_TEST(late_chunk_does_not_undo_a_newer_transfer)
{
    struct solo *s = solo_new(0, 64);
    struct raft_msg now = {
        .from = 2, .term = 1, .seq = 20, .index = 9, .log_term = 1, .count = 5, .total = 10};
    struct raft_msg late = {.from = 2,
                            .term = 1,
                            .seq = 10,
                            .index = 8,
                            .log_term = 1,
                            .count = 5,
                            .total = 10,
                            .snap_id = 6};
    chunk(s, now);
    poll_once(s);
    stored(s, 5);
    poll_once(s);
    disk_done(s);
    chunk(s, late);
    poll_once(s);
    now.seq = 21;
    now.offset = 5;
    chunk(s, now);
    poll_once(s);
    ck_assert_uint_eq(s->chunk.offset, 5);
    stored(s, 10);
    poll_once(s);
    ck_assert_uint_eq(s->install, 9);
    solo_free(s);
}
END_TEST

/* Alone but for a configuration under way that leaves this member out: booting is no occasion to count
 * a slot that it does not have. */
START_TEST(boot_outside_the_newest_configuration)
{
    struct raft_options o;
    struct raft_snapshot first = {.config = {.count = 1, .members = {{1, RAFT_VOTER}}}};
    struct raft_config_at without = {.index = 1,
                                     .config = {.count = 1, .members = {{2, RAFT_VOTER}}}};
    struct raft_entry entry = {.term = 1, .type = RAFT_ENTRY_CONFIG};
    struct solo *s = calloc(1, sizeof(*s));
    raft_options_init(&o);
    o.id = 1;
    s->now = 1000 * (raft_ns)MS;
    s->raft = raft_init(malloc(raft_size(&o)), raft_size(&o), &o);
    (void)step(s, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &first});
    (void)step(s, (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE, .hardstate = {.term = 1}});
    struct raft_event boot = {.type = RAFT_EV_BOOT_ENTRIES,
                              .first = 1,
                              .entries = &entry,
                              .count = 1,
                              .configs = &without,
                              .configs_count = 1};
    ck_assert_int_eq(step(s, boot), 0);
    ck_assert_int_eq(step(s, (struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
    ck_assert_int_eq(status(s).role, RAFT_FOLLOWER);
    solo_free(s);
}
END_TEST

/* A follower restarts in an idle group, so fast that nobody saw its link break: it must learn what is
 * committed without anybody proposing anything. */
START_TEST(restart_in_an_idle_group_catches_up)
{
    struct ens *c = ens_new(3, 11, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 3);
    ens_restart(c, 3);
    ens_run(c, 1000 * (raft_ns)MS);
    ck_assert_uint_eq(ens_leader(c), 1);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* A follower whose damaged log was cut below what it had acknowledged is filled again by the same
 * leader, without a storm of messages. */
START_TEST(follower_that_lost_entries_is_filled_again)
{
    struct ens *c = ens_new(3, 12, NULL);
    ens_make_leader(c, 1);
    ck_assert_int_eq(ens_propose(c, 1, 10), 0);
    ens_run(c, 200 * MS);
    ens_crash(c, 3);
    ens_node(c, 3)->disk.last = 5;
    ens_node(c, 3)->disk_commit = 0;
    ens_link(c, 1, 3)->delay = MS;
    ens_restart(c, 3);
    uint64_t before = ens_node(c, 1)->sent[RAFT_MSG_APPEND];
    if (_i == 1) {
        ck_assert_int_eq(ens_propose(c, 1, 1), 0);
    }
    ens_run(c, 1000 * (raft_ns)MS);
    ck_assert_uint_le(ens_node(c, 1)->sent[RAFT_MSG_APPEND] - before, 20);
    ens_assert_equal(c);
    ens_free(c);
}
END_TEST

/* Own proposals of more terms than there are ranges in one round: the last range covers the rest. */
START_TEST(drops_of_more_terms_than_fit_are_merged)
{
    enum { TERMS = RAFT__DROPS_MAX + 7 };
    struct solo *s = solo_new(0, 1024);
    struct raft *r = s->raft;
    for (raft_term t = 1; t <= TERMS; t++) {
        raft__log_append(r, t, 8, RAFT_ENTRY_COMMAND);
    }
    r->own_first = 3;
    r->own_last = TERMS;
    raft__log_truncate(r, 2);
    ck_assert_uint_eq(r->drops_count, RAFT__DROPS_MAX);
    for (uint32_t i = 0; i + 1 < RAFT__DROPS_MAX; i++) {
        ck_assert_uint_eq(r->drops[i].first, 3 + i);
        ck_assert_uint_eq(r->drops[i].last, 3 + i);
        ck_assert_uint_eq(r->drops[i].term, 3 + i);
    }
    ck_assert_uint_eq(r->drops[RAFT__DROPS_MAX - 1].first, RAFT__DROPS_MAX + 2);
    ck_assert_uint_eq(r->drops[RAFT__DROPS_MAX - 1].last, TERMS);
    ck_assert_uint_eq(r->drops[RAFT__DROPS_MAX - 1].term, 0);
    /* And before them, in the same round. */
    r->own_first = 1;
    r->own_last = 1;
    raft__log_truncate(r, 1);
    ck_assert_uint_eq(r->drops_count, RAFT__DROPS_MAX);
    ck_assert_uint_eq(r->drops[RAFT__DROPS_MAX - 1].first, 1);
    ck_assert_uint_eq(r->drops[RAFT__DROPS_MAX - 1].last, TERMS);
    solo_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_review");
    TCase *t = tcase_create("orders");
    tcase_add_test(t, election_is_won_while_a_snapshot_loads);
    tcase_add_loop_test(t, chunk_of_an_earlier_leadership_is_not_answered, 0, 2);
    tcase_add_test(t, snapshot_over_own_proposals_reports_them);
    tcase_add_test(t, install_mark_waits_while_a_newer_snapshot_is_taken);
    tcase_add_test(t, entries_to_write_are_not_compacted_yet);
    tcase_add_test(t, hard_state_does_not_run_ahead_of_an_install);
    tcase_add_test(t, snapshot_against_verified_entries_is_survived);
    tcase_add_test(t, absurd_term_is_ignored);
    tcase_add_test(t, pre_vote_for_an_earlier_life_counts_for_nothing);
    tcase_add_test(t, late_chunk_does_not_undo_a_newer_transfer);
    tcase_add_test(t, boot_outside_the_newest_configuration);
    tcase_add_test(t, restart_in_an_idle_group_catches_up);
    tcase_add_loop_test(t, follower_that_lost_entries_is_filled_again, 0, 2);
    tcase_add_test(t, drops_of_more_terms_than_fit_are_merged);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
