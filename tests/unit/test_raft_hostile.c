/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: nothing that a peer sends can trap the core or break a rule that it can check by itself; a
 * member may at most fault (a leader that contradicts what is committed).
 * Method: one core, thousands of random messages with fields near the ones that matter, mixed with
 * the host's own events; raft_check after each. Also the limits of options, and copies.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <coord/raft.h>

struct noise {
    struct raft *r;
    struct raft_options o;
    uint64_t rng;
    raft_ns now;
    uint64_t io_issued;
    uint64_t chunk_id;
    uint64_t chunk_end;
    struct raft_snapshot install;
    struct raft_msg said; /* the last request, for answers that nearly fit */
    uint32_t faults;
};

static uint64_t dice(struct noise *n, uint64_t sides)
{
    n->rng ^= n->rng << 13;
    n->rng ^= n->rng >> 7;
    n->rng ^= n->rng << 17;
    return (n->rng >> 9) % sides;
}

static int step(struct noise *n, struct raft_event ev)
{
    struct raft_accept accept;
    char why[100] = "";
    ev.now = n->now;
    int rv = raft_step(n->r, &ev, &accept);
    ck_assert_msg(raft_check(n->r, why, sizeof(why)) == 0, "rule %s", why);
    return rv;
}

static struct raft_config members(void)
{
    struct raft_config c;
    memset(&c, 0, sizeof(c));
    c.count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        c.members[i] = (struct raft_member){i + 1, RAFT_VOTER};
    }
    return c;
}

static void boot(struct noise *n)
{
    struct raft_snapshot snap;
    memset(&snap, 0, sizeof(snap));
    snap.config = members();
    n->o.rng_seed = n->rng;
    ck_assert_ptr_nonnull(raft_init(n->r, raft_size(&n->o), &n->o));
    n->io_issued = 0;
    n->chunk_id = 0;
    n->install.index = 0;
    ck_assert_int_eq(step(n, (struct raft_event){.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &snap}),
                     0);
    ck_assert_int_eq(step(n, (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE}), 0);
    ck_assert_int_eq(step(n, (struct raft_event){.type = RAFT_EV_BOOT_DONE}), 0);
}

/* A number that is likely to matter: near one of the member's own, small, or huge. */
static uint64_t number(struct noise *n, uint64_t near)
{
    switch (dice(n, 8)) {
    case 0:
        return dice(n, 4);
    case 1:
        return UINT64_MAX - dice(n, 3);
    case 2:
        return near + dice(n, 20);
    default:
        return near > 2 ? near - 2 + dice(n, 4) : near + dice(n, 2);
    }
}

static void message(struct noise *n)
{
    struct raft_status s;
    struct raft_entry entries[8];
    struct raft_config_at configs[2];
    raft_status(n->r, &s);
    memset(entries, 0, sizeof(entries));
    memset(configs, 0, sizeof(configs));
    struct raft_msg m = {.type = (uint8_t)(dice(n, RAFT_MSG_TYPE_END + 1)),
                         .flags = (uint8_t)dice(n, 16),
                         .from = (raft_id)(dice(n, 5)),
                         .to = dice(n, 30) == 0 ? 9 : 2,
                         .count = (uint32_t)dice(n, 5)};
    m.term = dice(n, 12) == 0 ? number(n, s.term) : s.term + (dice(n, 10) == 0);
    m.term = m.term > s.term + 3 && dice(n, 20) != 0 ? s.term : m.term;
    m.term = m.term > 1000000 ? s.term : m.term;
    m.seq = number(n, n->said.seq + 1);
    m.index = number(n, dice(n, 2) ? s.last : s.commit);
    m.log_term = dice(n, 3) == 0 ? number(n, s.term) : s.term;
    m.commit = number(n, s.last);
    m.hint = number(n, s.last);
    m.hint_term = number(n, s.term);
    m.snap_id = 1 + dice(n, 2);
    m.offset = dice(n, 3) == 0 ? number(n, 100) : n->chunk_end;
    m.total = dice(n, 3) == 0 ? number(n, 300) : 300;
    const struct raft_entry *before = raft_entry_at(n->r, m.index);
    if (before != NULL && dice(n, 4) != 0) {
        m.log_term = before->term;
    }
    for (uint32_t i = 0; i < m.count; i++) {
        entries[i].term = dice(n, 10) == 0 ? number(n, s.term) : m.term;
        entries[i].type = (uint8_t)(dice(n, 30) == 0 ? dice(n, 6) : RAFT_ENTRY_COMMAND);
        entries[i].bytes = (uint32_t)dice(n, 2000);
    }
    configs[0].config = members();
    configs[0].index = m.type == RAFT_MSG_SNAPSHOT ? dice(n, 2) : m.index + 1;
    m.count = m.type == RAFT_MSG_SNAPSHOT ? 100 : m.count;
    (void)step(n, (struct raft_event){.type = RAFT_EV_RECV,
                                      .msg = &m,
                                      .entries = entries,
                                      .count = m.type == RAFT_MSG_SNAPSHOT ? 0 : m.count,
                                      .configs = configs,
                                      .configs_count = 1});
}

/* An answer that grants or accepts what was asked last. */
static void fitting_answer(struct noise *n)
{
    struct raft_msg m = n->said;
    if (m.type == 0 || m.type > RAFT_MSG_SNAPSHOT) {
        return;
    }
    m.from = m.to;
    m.to = 2;
    m.type++; /* each reply follows its request in the enumeration */
    m.index += m.type == RAFT_MSG_APPEND_REPLY ? m.count : 0;
    m.hint = m.index;
    m.flags = dice(n, 8) == 0 ? RAFT_FLAG_REJECT : 0;
    (void)step(n, (struct raft_event){.type = RAFT_EV_RECV, .msg = &m});
}

static void host_event(struct noise *n)
{
    struct raft_entry entries[4];
    memset(entries, 0, sizeof(entries));
    switch (dice(n, 9)) {
    case 0:
        n->now = raft_deadline(n->r) != UINT64_MAX && raft_deadline(n->r) > n->now
                     ? raft_deadline(n->r)
                     : n->now + dice(n, 30000000);
        (void)step(n, (struct raft_event){.type = RAFT_EV_TICK});
        break;
    case 1:
        (void)step(n, (struct raft_event){.type = RAFT_EV_PROPOSE,
                                          .entries = entries,
                                          .count = 1 + (uint32_t)dice(n, 4)});
        break;
    case 2:
        (void)step(n, (struct raft_event){.type = RAFT_EV_READ, .cookie = dice(n, 1000)});
        break;
    case 3:
        (void)step(n, (struct raft_event){.type = RAFT_EV_PEER_LINK,
                                          .peer = (raft_id)dice(n, 5),
                                          .value = dice(n, 2)});
        break;
    case 4:
        (void)step(n, (struct raft_event){.type = RAFT_EV_CAMPAIGN});
        break;
    case 5:
        (void)step(n, (struct raft_event){.type = RAFT_EV_TRANSFER, .peer = (raft_id)dice(n, 4)});
        break;
    case 6:
        if (n->chunk_id != 0) {
            (void)step(n, (struct raft_event){.type = RAFT_EV_SNAP_STORED,
                                              .snap_id = n->chunk_id,
                                              .offset = n->chunk_end});
        }
        break;
    default:
        if (n->io_issued > 0) {
            (void)step(n, (struct raft_event){.type = RAFT_EV_IO_DONE,
                                              .io_seq = n->io_issued - dice(n, 2)});
        }
        break;
    }
}

static void take_actions(struct noise *n)
{
    const struct raft_actions *a = raft_poll(n->r);
    raft_index commit = a->commit;
    for (uint32_t i = 0; i < a->persist_count; i++) {
        n->io_issued = a->persist[i].io_seq;
    }
    for (uint32_t i = 0; i < a->sends_count; i++) {
        ck_assert_uint_ne(a->sends[i].msg.to, 0);
        ck_assert_uint_eq(a->sends[i].msg.from, 2);
        n->said = a->sends[i].msg;
    }
    if (a->snap_chunk != NULL) {
        n->chunk_id = a->snap_chunk->snap_id;
        n->chunk_end = a->snap_chunk->offset + a->snap_chunk->count;
    }
    if (a->snap_install != NULL) {
        n->install = *a->snap_install;
    }
    raft_done(n->r);
    (void)step(n, (struct raft_event){.type = RAFT_EV_APPLIED, .index = commit});
    if (n->install.index != 0) {
        struct raft_event ev = {.type = dice(n, 3) ? RAFT_EV_SNAP_INSTALLED : RAFT_EV_SNAP_REJECTED,
                                .snapshot = &n->install,
                                .snap_id = n->install.snap_id};
        (void)step(n, ev);
        n->install.index = 0;
        n->chunk_end = 0;
    }
}

static void make_room(struct noise *n)
{
    struct raft_status s;
    raft_status(n->r, &s);
    const struct raft_entry *e = raft_entry_at(n->r, s.applied);
    const struct raft_config_at *c = raft_config_at(n->r, s.applied);
    if (s.last - s.first < 30 || e == NULL || c == NULL) {
        return;
    }
    struct raft_snapshot snap = {.index = s.applied,
                                 .term = e->term,
                                 .config_index = c->index,
                                 .config = c->config,
                                 .snap_id = 7,
                                 .bytes = 250};
    (void)step(
        n, (struct raft_event){.type = RAFT_EV_SNAP_TAKEN, .snapshot = &snap, .index = snap.index});
}

START_TEST(random_messages)
{
    struct noise n = {.rng = 77 + (uint64_t)_i * 7919, .now = 1000000000};
    uint32_t led = 0;
    raft_options_init(&n.o);
    n.o.id = 2;
    n.o.log_slots = 64;
    n.o.reads_max = 5;
    n.o.chunk_bytes = 100;
    n.o.inflight_msgs_max = 3;
    n.o.msg_entries_max = 2;
    n.r = malloc(raft_size(&n.o));
    boot(&n);
    for (int i = 0; i < 20000; i++) {
        struct raft_status s;
        if (dice(&n, 3) != 0) {
            message(&n);
        } else {
            host_event(&n);
        }
        if (dice(&n, 3) != 0) {
            take_actions(&n);
            for (uint64_t k = dice(&n, 12); k > 8; k--) {
                fitting_answer(&n);
                take_actions(&n);
            }
        }
        make_room(&n);
        raft_status(n.r, &s);
        led += s.role == RAFT_LEADER;
        if (s.role == RAFT_FAULTED || dice(&n, 3000) == 0) {
            n.faults += s.role == RAFT_FAULTED;
            boot(&n);
        }
    }
    ck_assert_uint_gt(led, 0); /* the walk saw more than a follower */
    free(n.r);
}
END_TEST

START_TEST(options_are_checked)
{
    struct raft_options good, o;
    raft_options_init(&good);
    ck_assert_uint_eq(raft_size(&good), 0); /* no id */
    good.id = 1;
    ck_assert_uint_gt(raft_size(&good), 0);
    o = good, o.heartbeat = o.election_min / 2;
    ck_assert_uint_eq(raft_size(&o), 0);
    o = good, o.election_max = o.election_min - 1;
    ck_assert_uint_eq(raft_size(&o), 0);
    o = good, o.log_slots = 100;
    ck_assert_uint_eq(raft_size(&o), 0);
    o = good, o.inflight_msgs_max = RAFT_INFLIGHT_MAX + 1;
    ck_assert_uint_eq(raft_size(&o), 0);
    o = good, o.priority = 0;
    ck_assert_uint_eq(raft_size(&o), 0);
    o = good, o.chunk_bytes = 0;
    ck_assert_uint_eq(raft_size(&o), 0);
    size_t len = raft_size(&good);
    void *mem = malloc(len);
    ck_assert_ptr_null(raft_init(mem, len - 1, &good));
    ck_assert_ptr_nonnull(raft_init(mem, len, &good));
    free(mem);
}
END_TEST

/* A copy is the member: the same events lead to the same state and the same words. */
START_TEST(copies_have_the_same_future)
{
    struct noise n = {.rng = 4242, .now = 1000000000};
    raft_options_init(&n.o);
    n.o.id = 2;
    n.o.log_slots = 64;
    n.o.rng_seed = 3;
    n.r = malloc(raft_size(&n.o));
    boot(&n);
    for (int round = 0; round < 200; round++) {
        message(&n);
        host_event(&n);
        take_actions(&n);
        struct raft_status s;
        raft_status(n.r, &s);
        if (s.role == RAFT_FAULTED) {
            boot(&n);
        }
        struct noise twin = n;
        twin.r = malloc(raft_size(&n.o));
        raft_copy(twin.r, n.r);
        ck_assert_uint_eq(raft_hash(twin.r), raft_hash(n.r));
        for (int i = 0; i < 10; i++) {
            message(&n);
            host_event(&n);
            message(&twin);
            host_event(&twin);
            ck_assert_uint_eq(raft_hash(twin.r), raft_hash(n.r));
        }
        take_actions(&n);
        free(twin.r);
    }
    free(n.r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_hostile");
    TCase *t = tcase_create("hostile");
    tcase_set_timeout(t, 30);
    tcase_add_loop_test(t, random_messages, 0, 10);
    tcase_add_test(t, options_are_checked);
    tcase_add_test(t, copies_have_the_same_future);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
