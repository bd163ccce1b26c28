/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a round that was empty stays so until something happens, and still says what is committed; an
 * event wakes it. Method: a group of one, whose every step can be foreseen.
 */
#include <check.h>
#include <stdlib.h>
#include <coord/raft.h>

struct one {
    void *mem;
    struct raft *r;
    raft_ns now;
};

static int give(struct one *o, struct raft_event ev, struct raft_accept *accept)
{
    ev.now = ++o->now;
    return raft_step(o->r, &ev, accept);
}

/* Carry out rounds until one is empty, writes being durable at once. Return: the last commit index. */
static raft_index settle(struct one *o)
{
    for (int i = 0; i < 100; i++) {
        const struct raft_actions *a = raft_poll(o->r);
        raft_index commit = a->commit;
        uint64_t seq = a->persist_count > 0 ? a->persist[a->persist_count - 1].io_seq : 0;
        int empty = seq == 0 && !a->more && !a->state_changed && a->reads_count == 0;
        raft_done(o->r);
        if (empty) {
            return commit;
        }
        if (seq != 0) {
            struct raft_event done = {.type = RAFT_EV_IO_DONE, .io_seq = seq};
            ck_assert_int_eq(give(o, done, NULL), 0);
        }
    }
    ck_abort_msg("it never comes to rest");
    return 0;
}

static void setup(struct one *o)
{
    struct raft_options options;
    struct raft_snapshot first = {.index = 0};
    first.config.count = 1;
    first.config.members[0] = (struct raft_member){7, RAFT_VOTER};
    raft_options_init(&options);
    options.id = 7;
    options.log_slots = 64;
    *o = (struct one){.mem = malloc(raft_size(&options))};
    ck_assert_ptr_nonnull(o->mem);
    o->r = raft_init(o->mem, raft_size(&options), &options);
    ck_assert_ptr_nonnull(o->r);
    struct raft_event ev = {.type = RAFT_EV_BOOT_SNAPSHOT, .snapshot = &first};
    ck_assert_int_eq(give(o, ev, NULL), 0);
    ck_assert_int_eq(give(o, (struct raft_event){.type = RAFT_EV_BOOT_HARDSTATE}, NULL), 0);
    ck_assert_int_eq(give(o, (struct raft_event){.type = RAFT_EV_BOOT_DONE}, NULL), 0);
}

static void expect_rest(struct one *o, raft_index commit)
{
    for (int i = 0; i < 3; i++) {
        const struct raft_actions *a = raft_poll(o->r);
        ck_assert_uint_eq(a->commit, commit);
        ck_assert_uint_eq(a->persist_count, 0);
        ck_assert_uint_eq(a->sends_count, 0);
        ck_assert_uint_eq(a->reads_count, 0);
        ck_assert_int_eq(a->state_changed, 0);
        ck_assert_int_eq(a->more, 0);
        raft_done(o->r);
    }
}

START_TEST(rest_still_says_what_is_committed)
{
    struct one o;
    struct raft_accept accept;
    const struct raft_entry entry = {.bytes = 5};
    setup(&o);
    ck_assert_uint_eq(settle(&o), 1); /* the leader's own first entry */
    expect_rest(&o, 1);
    for (raft_index i = 2; i < 10; i++) {
        struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = &entry, .count = 1};
        ck_assert_int_eq(give(&o, ev, &accept), 0);
        ck_assert_uint_eq(accept.first, i);
        ck_assert_uint_eq(settle(&o), i);
        expect_rest(&o, i);
    }
    free(o.mem);
}
END_TEST

START_TEST(an_event_between_poll_and_done_is_not_missed)
{
    struct one o;
    struct raft_accept accept;
    const struct raft_entry entry = {.bytes = 5};
    setup(&o);
    (void)settle(&o);
    const struct raft_actions *a = raft_poll(o.r);
    ck_assert_uint_eq(a->persist_count, 0);
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = &entry, .count = 1};
    ck_assert_int_eq(give(&o, ev, &accept), 0);
    raft_done(o.r);
    a = raft_poll(o.r);
    ck_assert_uint_eq(a->persist_count, 1);
    ck_assert_uint_eq(a->persist[0].first, 2);
    raft_done(o.r);
    free(o.mem);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("raft_poll");
    TCase *t = tcase_create("rest");
    tcase_add_test(t, rest_still_says_what_is_committed);
    tcase_add_test(t, an_event_between_poll_and_done_is_not_missed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
