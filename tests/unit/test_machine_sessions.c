/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the rules of sessions, ephemerals and exactly-once (machine.h 2, 3, 4; testing.md E1, E6, X5).
 * Method: entries as the node makes them, among them stale, repeated and late ones.
 */
#include <stdio.h>
#include "tests/unit/test_machine_fixture.h"

/* --- life of a session ------------------------------------------------------------------------- */

START_TEST(a_session_is_opened_with_a_clamped_timeout)
{
    const struct {
        uint64_t asked;
        uint64_t granted;
    } row[] = {{0, 2000}, {1999, 2000}, {5000, 5000}, {60001, 60000}, {UINT64_MAX, 60000}};
    struct fixture f;
    fixture_open(&f, NULL);
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint64_t id = fixture_session(&f, (uint8_t)(10 + i), row[i].asked);
        ck_assert_uint_eq(id, f.revision);
        ck_assert_uint_eq(f.o.session, id);
        ck_assert_uint_eq(f.o.attached_epoch, id);
        ck_assert_uint_eq(f.o.attached_timeout_ms, row[i].granted);
        ck_assert_uint_eq(f.res.session, id);
        ck_assert_uint_eq(f.res.timeout_ms, row[i].granted);
        uint8_t secret[COORD_SECRET_BYTES];
        fixture_secret((uint8_t)(10 + i), secret);
        ck_assert_uint_eq(f.res.secret.len, sizeof(secret));
        ck_assert_mem_eq(f.res.secret.data, secret, sizeof(secret));
    }
    fixture_close(&f);
}
END_TEST

START_TEST(too_many_sessions_are_refused)
{
    struct machine_limits l;
    struct fixture f;
    machine_limits_init(&l);
    l.sessions = 2;
    fixture_open(&f, &l);
    uint64_t first = fixture_session(&f, 1, 5000);
    ck_assert_uint_ne(fixture_session(&f, 2, 5000), 0);
    ck_assert_uint_eq(fixture_session(&f, 3, 5000), 0);
    ck_assert_int_eq(f.o.error, COORD_ELIMIT);
    ck_assert_uint_eq(f.o.attached_epoch, 0);
    struct coord_request q = {.number = 1, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, first, first, &q), 0);
    ck_assert_uint_ne(fixture_session(&f, 4, 5000), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(sessions_are_met_in_order_of_id)
{
    struct fixture f;
    uint64_t ids[40];
    fixture_open(&f, NULL);
    for (size_t i = 0; i < 40; i++) {
        ids[i] = fixture_session(&f, 1, 5000 + i);
    }
    for (size_t i = 0; i < 40; i++) {
        if (i % 4 != 3) {
            uint64_t pair[] = {ids[i], ids[i]};
            fixture_expire(&f, pair, 1);
        }
    }
    struct machine_session s = {0};
    size_t met = 0;
    for (uint64_t after = 0; machine_session_next(f.m, after, &s); after = s.id) {
        ck_assert_uint_eq(s.id, ids[4 * met + 3]);
        ck_assert_uint_eq(s.timeout_ms, 5000 + 4 * met + 3);
        met++;
    }
    ck_assert_uint_eq(met, 10);
    ck_assert(machine_session_next(f.m, ids[0], &s)); /* after one that is gone */
    ck_assert_uint_eq(s.id, ids[3]);
    ck_assert(!machine_session_get(f.m, ids[0], &s));
    ck_assert(machine_session_get(f.m, ids[7], &s));
    ck_assert_uint_eq(s.id, ids[7]);
    fixture_close(&f);
}
END_TEST

START_TEST(attach_needs_the_secret_and_moves_the_epoch)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    struct machine_session info;
    ck_assert_int_eq(fixture_attach(&f, s, 8), COORD_EAUTH);
    ck_assert_uint_eq(f.o.attached_epoch, 0);
    ck_assert(machine_session_get(f.m, s, &info));
    ck_assert_uint_eq(info.epoch, s);
    ck_assert_int_eq(fixture_attach(&f, s + 100, 7), COORD_EEXPIRED);
    ck_assert_int_eq(fixture_attach(&f, s, 7), 0);
    ck_assert_uint_eq(f.o.session, s);
    ck_assert_uint_eq(f.o.attached_epoch, f.revision);
    ck_assert_uint_eq(f.o.attached_timeout_ms, 5000);
    ck_assert_ptr_null(f.o.body);
    ck_assert(machine_session_get(f.m, s, &info));
    ck_assert_uint_eq(info.epoch, f.revision);
    /* Each byte of the secret counts. */
    for (size_t i = 0; i < COORD_SECRET_BYTES; i++) {
        uint8_t secret[COORD_SECRET_BYTES];
        fixture_secret(7, secret);
        secret[i] ^= 1;
        struct entry e = {.kind = ENTRY_ATTACH, .session = s};
        ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, secret, sizeof(secret)), COORD_EAUTH);
    }
    struct entry e = {.kind = ENTRY_ATTACH, .session = s};
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, "short", 5), COORD_EBADREQUEST);
    fixture_close(&f);
}
END_TEST

START_TEST(requests_of_an_older_attachment_are_refused)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 7, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/a", 0), 0);
    ck_assert_int_eq(fixture_attach(&f, s, 7), 0);
    uint64_t epoch = f.o.attached_epoch;
    ck_assert_int_eq(do_create_in(&f, s, 2, "/b", 0), COORD_EMOVED); /* epoch is still s there */
    ck_assert_uint_eq(f.o.changes_count, 0);
    ck_assert(!exists(&f, "/b"));
    /* Not even a repeated one is answered there; through the new attachment it is. */
    ck_assert_int_eq(do_create_in(&f, s, 1, "/a", 0), COORD_EMOVED);
    struct coord_request q = {.number = 1, .op = COORD_OP_CREATE, .path = str("/a")};
    ck_assert_int_eq(fixture_request(&f, s, epoch, &q), 0);
    ck_assert_uint_eq(f.o.changes_count, 0);
    /* A refused number was not used up. */
    q.number = 2;
    q.path = str("/b");
    ck_assert_int_eq(fixture_request(&f, s, epoch, &q), 0);
    ck_assert(exists(&f, "/b"));
    fixture_close(&f);
}
END_TEST

START_TEST(unknown_and_closed_sessions_are_expired)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create_in(&f, 99, 1, "/a", 0), COORD_EEXPIRED);
    uint64_t s = fixture_session(&f, 7, 5000);
    struct coord_request q = {.number = 1, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, s, s, &q), 0);
    ck_assert_uint_eq(f.o.ended_count, 1);
    ck_assert_uint_eq(f.o.ended[0], s);
    ck_assert_int_eq(fixture_request(&f, s, s, &q), COORD_EEXPIRED); /* never applied anew */
    ck_assert_uint_eq(f.o.ended_count, 0);
    ck_assert_int_eq(do_create_in(&f, s, 2, "/a", COORD_F_EPHEMERAL), COORD_EEXPIRED);
    ck_assert_int_eq(fixture_attach(&f, s, 7), COORD_EEXPIRED);
    ck_assert(!exists(&f, "/a"));
    fixture_close(&f);
}
END_TEST

/* --- ephemerals -------------------------------------------------------------------------------- */

START_TEST(ephemerals_need_a_session_and_have_no_children)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/e", NULL, COORD_F_EPHEMERAL), COORD_ENOSESSION);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/e", COORD_F_EPHEMERAL), 0);
    ck_assert_uint_eq(f.res.stat.owner, s);
    ck_assert_int_eq(do_create(&f, "/e/child", NULL, 0), COORD_EEPHEMERAL);
    struct machine_session info;
    ck_assert(machine_session_get(f.m, s, &info));
    ck_assert_uint_eq(info.ephemerals, 1);
    ck_assert_int_eq(do_delete(&f, "/e"), 0);
    ck_assert(machine_session_get(f.m, s, &info));
    ck_assert_uint_eq(info.ephemerals, 0);
    fixture_close(&f);
}
END_TEST

/* Three sessions with ephemerals, made out of order and partly deleted. */
static void some_ephemerals(struct fixture *f, uint64_t ids[3])
{
    const char *paths[] = {"/z", "/a/y", "/a-b", "/a/x/w", "/m", "/n", "/a/v"};
    do_create(f, "/a/x", NULL, COORD_F_PARENTS);
    for (size_t i = 0; i < 3; i++) {
        ids[i] = fixture_session(f, (uint8_t)i, 5000);
    }
    for (size_t i = 0; i < 7; i++) {
        size_t who = i < 4 ? 0 : i < 6 ? 1 : 2;
        ck_assert_int_eq(do_create_in(f, ids[who], i + 1, paths[i], COORD_F_EPHEMERAL), 0);
    }
}

START_TEST(closing_deletes_all_ephemerals_in_path_order_in_one_revision)
{
    struct fixture f;
    uint64_t ids[3];
    fixture_open(&f, NULL);
    some_ephemerals(&f, ids);
    struct coord_request q = {.number = 9, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, ids[0], ids[0], &q), 0);
    const char *gone[] = {"/a/x/w", "/a/y", "/a-b", "/z"};
    ck_assert_uint_eq(f.o.changes_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_int_eq(f.o.changes[i].kind, COORD_CHANGE_DELETED);
        ck_assert(is(f.o.changes[i].path, gone[i]));
        ck_assert(!exists(&f, gone[i]));
    }
    ck_assert_uint_eq(stat_of(&f, "/a/x").child_revision, f.revision);
    ck_assert_uint_eq(stat_of(&f, "/").child_revision, f.revision);
    ck_assert(exists(&f, "/m") && exists(&f, "/n") && exists(&f, "/a/v"));
    fixture_close(&f);
}
END_TEST

START_TEST(expire_ends_only_sessions_not_attached_since)
{
    struct fixture f;
    uint64_t ids[3];
    struct machine_session info;
    fixture_open(&f, NULL);
    some_ephemerals(&f, ids);
    ck_assert_int_eq(fixture_attach(&f, ids[1], 1), 0);
    uint64_t pairs[] = {ids[2], ids[2], ids[1], ids[1], ids[0], ids[0], ids[0], ids[0], 9999, 9999};
    ck_assert_int_eq(fixture_expire(&f, pairs, 5), 0);
    ck_assert_uint_eq(f.o.ended_count, 2);
    ck_assert_uint_eq(f.o.ended[0], ids[2]);
    ck_assert_uint_eq(f.o.ended[1], ids[0]);
    ck_assert_uint_eq(f.o.changes_count, 5);
    ck_assert(is(f.o.changes[0].path, "/a/v"));
    ck_assert(is(f.o.changes[4].path, "/z"));
    ck_assert(!machine_session_get(f.m, ids[0], &info));
    ck_assert(machine_session_get(f.m, ids[1], &info));
    ck_assert(exists(&f, "/m") && exists(&f, "/n") && !exists(&f, "/a/v"));
    ck_assert_ptr_null(f.o.body);
    struct entry e = {.kind = ENTRY_EXPIRE};
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, "123456789", 9), COORD_EBADREQUEST);
    ck_assert_int_eq(fixture_apply(&f, e, NULL, 0, NULL, 0), 0);
    fixture_close(&f);
}
END_TEST

/* --- ended by an operator ----------------------------------------------------------------------- */

/* SESSION_END of `which`, in a session (0: none). */
static int do_end(struct fixture *f, uint64_t session, uint64_t number, uint64_t which)
{
    struct coord_request q = {.number = number, .op = COORD_OP_SESSION_END, .session = which};
    return fixture_request(f, session, session, &q);
}

START_TEST(any_session_can_be_ended)
{
    struct fixture f;
    struct machine_session info;
    uint64_t ids[3];
    fixture_open(&f, NULL);
    some_ephemerals(&f, ids);
    ck_assert(machine_session_get(f.m, ids[0], &info));
    uint64_t owned = info.ephemerals;
    ck_assert_int_eq(do_end(&f, 0, 1, ids[0]), 0);
    ck_assert_uint_eq(f.res.count, owned);
    ck_assert_uint_eq(f.res.revision, f.revision);
    ck_assert_uint_eq(f.o.changes_count, owned);
    ck_assert_uint_eq(f.o.ended_count, 1);
    ck_assert_uint_eq(f.o.ended[0], ids[0]);
    ck_assert(!machine_session_get(f.m, ids[0], &info));
    ck_assert_int_eq(do_end(&f, 0, 1, ids[0]), COORD_EGONE);
    ck_assert_int_eq(do_end(&f, 0, 1, 0), COORD_EGONE);
    ck_assert_int_eq(do_end(&f, 0, 1, UINT64_MAX), COORD_EGONE);
    ck_assert_uint_eq(f.o.changes_count + f.o.ended_count, 0);
    ck_assert_int_eq(do_create_in(&f, ids[0], 90, "/late", 0), COORD_EEXPIRED);
    ck_assert_int_eq(fixture_attach(&f, ids[0], 1), COORD_EEXPIRED);
    fixture_close(&f);
}
END_TEST

START_TEST(an_end_is_answered_once_and_alike)
{
    struct fixture f;
    uint64_t ids[3];
    fixture_open(&f, NULL);
    some_ephemerals(&f, ids);
    uint64_t mine = fixture_session(&f, 9, 5000);
    ck_assert_int_eq(do_end(&f, mine, 1, ids[1]), 0);
    uint64_t count = f.res.count;
    uint64_t revision = f.res.revision;
    ck_assert_int_eq(do_end(&f, mine, 1, ids[1]), 0); /* sent again: the first answer */
    ck_assert_uint_eq(f.res.count, count);
    ck_assert_uint_eq(f.res.revision, revision);
    ck_assert_uint_eq(f.o.ended_count, 0);
    ck_assert_int_eq(do_end(&f, mine, 2, ids[1]), COORD_EGONE);
    fixture_close(&f);
}
END_TEST

START_TEST(a_session_can_end_itself)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    do_create_in(&f, s, 1, "/e", COORD_F_EPHEMERAL);
    ck_assert_int_eq(do_end(&f, s, 2, s), 0);
    ck_assert_uint_eq(f.res.count, 1);
    ck_assert(!exists(&f, "/e"));
    ck_assert_int_eq(do_end(&f, s, 2, s), COORD_EEXPIRED);
    fixture_close(&f);
}
END_TEST

/* --- what one owns ----------------------------------------------------------------------------- */

/* All pages of what s owns, of so many paths each, joined by blanks. */
static const char *owned_paths(struct fixture *f, uint64_t s, uint64_t page, uint64_t total)
{
    static char all[1 << 16];
    char after[COORD_PATH_BYTES_MAX + 1] = "";
    size_t used = 0;
    all[0] = '\0';
    for (bool more = true; more;) {
        struct coord_request q = {
            .op = COORD_OP_SESSIONS, .session = s, .limit = page, .after = str(after)};
        struct coord_result res = {.error = 0};
        ck_assert_int_eq(machine_session_paths(f->m, &q, &res), 0);
        ck_assert_uint_eq(res.count, total);
        ck_assert_uint_le(res.entries_count, page);
        for (uint32_t i = 0; i < res.entries_count; i++) {
            const struct coord_bytes *name = &res.entries[i].name;
            used += (size_t)snprintf(all + used, sizeof(all) - used, "%.*s ", (int)name->len,
                                     (const char *)name->data);
            (void)snprintf(after, sizeof(after), "%.*s", (int)name->len, (const char *)name->data);
        }
        more = res.more;
        ck_assert(!more || res.entries_count == page);
    }
    return all;
}

START_TEST(what_it_owns_is_told_in_path_order)
{
    struct fixture f;
    static const char *const paths[] = {"/b/x", "/a-b", "/a/k", "/zz", "/a/b", "/a!", "/b"};
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create(&f, "/a", NULL, 0), 0);
    ck_assert_str_eq(owned_paths(&f, s, 5, 0), "");
    for (uint32_t i = 0; i < 7; i++) {
        int want = i == 0 ? COORD_ENONODE : 0;
        ck_assert_int_eq(do_create_in(&f, s, i + 1, paths[i], COORD_F_EPHEMERAL), want);
    }
    for (uint64_t page = 1; page <= 8; page++) {
        ck_assert_str_eq(owned_paths(&f, s, page, 6), "/a/b /a/k /a! /a-b /b /zz ");
    }
    fixture_close(&f);
}
END_TEST

/* Against a sort of all of them. */
START_TEST(pages_of_many_are_complete)
{
    struct fixture f;
    char path[32];
    char want[1 << 16];
    size_t used = 0;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    for (uint32_t i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "/n%03u", (i * 389) % 1000);
        ck_assert_int_eq(do_create_in(&f, s, i + 1, path, COORD_F_EPHEMERAL), 0);
        used += (size_t)snprintf(want + used, sizeof(want) - used, "/n%03u ", i);
    }
    static const uint64_t pages[] = {7, 100, 999, 1000};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_str_eq(owned_paths(&f, s, pages[i], 1000), want);
    }
    fixture_close(&f);
}
END_TEST

/* --- exactly once ------------------------------------------------------------------------------ */

START_TEST(a_repeated_number_gets_the_first_answer_bit_for_bit)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/n-", COORD_F_SEQUENTIAL), 0);
    struct coord_buf *first = coord_buf_copy(f.o.body->data, f.o.body->len);
    do_create_in(&f, s, 2, "/other", 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/n-", COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(f.o.changes_count, 0);
    ck_assert_uint_eq(f.o.body->len, first->len);
    ck_assert_mem_eq(f.o.body->data, first->data, first->len);
    ck_assert_uint_eq(stat_of(&f, "/").children, 2);
    coord_buf_unref(first);
    /* The repetition is known by its number, whatever else it says. */
    ck_assert_int_eq(do_create_in(&f, s, 1, "/quite-another", 0), 0);
    ck_assert(is(f.res.path, "/n-0000000000"));
    ck_assert(!exists(&f, "/quite-another"));
    fixture_close(&f);
}
END_TEST

START_TEST(errors_are_answers_too)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/p/x", 0), COORD_ENONODE);
    do_create(&f, "/p", NULL, 0);
    ck_assert_int_eq(do_create_in(&f, s, 1, "/p/x", 0), COORD_ENONODE);
    ck_assert(!exists(&f, "/p/x"));
    ck_assert_int_eq(do_create_in(&f, s, 2, "/p/x", 0), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(numbers_may_arrive_out_of_order)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 7, "/seven", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 3, "/three", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 5, "/five", 0), 0);
    ck_assert_int_eq(do_create_in(&f, s, 7, "/x", 0), 0);
    ck_assert(is(f.res.path, "/seven"));
    ck_assert_int_eq(do_create_in(&f, s, 3, "/x", 0), 0);
    ck_assert(is(f.res.path, "/three"));
    ck_assert_int_eq(do_create_in(&f, s, 5, "/x", 0), 0);
    ck_assert(is(f.res.path, "/five"));
    ck_assert(!exists(&f, "/x"));
    fixture_close(&f);
}
END_TEST

static int create_acked(struct fixture *f, uint64_t s, uint64_t number, uint64_t acked,
                        const char *path)
{
    struct coord_request q = {
        .number = number, .acked = acked, .op = COORD_OP_CREATE, .path = str(path)};
    return fixture_request(f, s, s, &q);
}

START_TEST(acknowledged_numbers_are_never_applied_again)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(create_acked(&f, s, 1, 0, "/a"), 0);
    ck_assert_int_eq(create_acked(&f, s, 2, 0, "/b"), 0);
    ck_assert_int_eq(create_acked(&f, s, 4, 1, "/d"), 0);
    do_delete(&f, "/a");
    ck_assert_int_eq(create_acked(&f, s, 1, 0, "/a"), COORD_EBADREQUEST);
    ck_assert(!exists(&f, "/a"));
    ck_assert_int_eq(create_acked(&f, s, 2, 0, "/x"), 0); /* not acknowledged: repeated */
    ck_assert(is(f.res.path, "/b"));
    /* The mark moves over numbers that were never used for writes, and does not go back. */
    ck_assert_int_eq(create_acked(&f, s, 9, 8, "/i"), 0);
    ck_assert_int_eq(create_acked(&f, s, 8, 0, "/x"), COORD_EBADREQUEST);
    ck_assert_int_eq(create_acked(&f, s, 10, 3, "/j"), 0);
    ck_assert_int_eq(create_acked(&f, s, 7, 3, "/x"), COORD_EBADREQUEST);
    /* Nobody has seen the answer to what is being asked. */
    ck_assert_int_eq(create_acked(&f, s, 11, 11, "/x"), COORD_EBADREQUEST);
    ck_assert_int_eq(create_acked(&f, s, 12, UINT64_MAX, "/x"), COORD_EBADREQUEST);
    ck_assert_int_eq(create_acked(&f, s, 12, 0, "/l"), 0);
    ck_assert(!exists(&f, "/x"));
    fixture_close(&f);
}
END_TEST

START_TEST(answers_kept_are_bounded)
{
    struct machine_limits l;
    struct fixture f;
    char path[16];
    machine_limits_init(&l);
    l.answers = 10;
    fixture_open(&f, &l);
    uint64_t s = fixture_session(&f, 1, 5000);
    for (uint64_t i = 1; i <= 10; i++) {
        (void)snprintf(path, sizeof(path), "/%u", (unsigned)i);
        ck_assert_int_eq(create_acked(&f, s, i, 0, path), 0);
    }
    ck_assert_int_eq(create_acked(&f, s, 11, 0, "/11"), COORD_EBUSY);
    ck_assert(!exists(&f, "/11"));
    ck_assert_int_eq(create_acked(&f, s, 4, 0, "/x"), 0); /* repetitions go through */
    ck_assert(is(f.res.path, "/4"));
    /* EBUSY was not kept as the answer: the same number works once there is room. */
    ck_assert_int_eq(create_acked(&f, s, 11, 1, "/11"), 0);
    ck_assert_int_eq(create_acked(&f, s, 12, 1, "/12"), COORD_EBUSY);
    struct coord_request q = {.number = 13, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, s, s, &q), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(sessions_do_not_share_numbers)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t a = fixture_session(&f, 1, 5000);
    uint64_t b = fixture_session(&f, 2, 5000);
    ck_assert_int_eq(do_create_in(&f, a, 1, "/a", 0), 0);
    ck_assert_int_eq(do_create_in(&f, b, 1, "/b", 0), 0);
    ck_assert(is(f.res.path, "/b"));
    /* Without a session there is no exactly-once: the same number is another request. */
    ck_assert_int_eq(do_create(&f, "/c", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/c", NULL, 0), COORD_EEXISTS);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("machine: sessions");
    TCase *life = tcase_create("life");
    tcase_add_test(life, a_session_is_opened_with_a_clamped_timeout);
    tcase_add_test(life, too_many_sessions_are_refused);
    tcase_add_test(life, sessions_are_met_in_order_of_id);
    tcase_add_test(life, attach_needs_the_secret_and_moves_the_epoch);
    tcase_add_test(life, requests_of_an_older_attachment_are_refused);
    tcase_add_test(life, unknown_and_closed_sessions_are_expired);
    suite_add_tcase(s, life);
    TCase *owned = tcase_create("ephemerals");
    tcase_add_test(owned, ephemerals_need_a_session_and_have_no_children);
    tcase_add_test(owned, closing_deletes_all_ephemerals_in_path_order_in_one_revision);
    tcase_add_test(owned, expire_ends_only_sessions_not_attached_since);
    tcase_add_test(owned, any_session_can_be_ended);
    tcase_add_test(owned, an_end_is_answered_once_and_alike);
    tcase_add_test(owned, a_session_can_end_itself);
    tcase_add_test(owned, what_it_owns_is_told_in_path_order);
    tcase_add_test(owned, pages_of_many_are_complete);
    suite_add_tcase(s, owned);
    TCase *once = tcase_create("exactly once");
    tcase_add_test(once, a_repeated_number_gets_the_first_answer_bit_for_bit);
    tcase_add_test(once, errors_are_answers_too);
    tcase_add_test(once, numbers_may_arrive_out_of_order);
    tcase_add_test(once, acknowledged_numbers_are_never_applied_again);
    tcase_add_test(once, answers_kept_are_bounded);
    tcase_add_test(once, sessions_do_not_share_numbers);
    suite_add_tcase(s, once);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
