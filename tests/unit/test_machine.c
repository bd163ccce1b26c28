/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: every rule of service.md that the state machine keeps, one test each. Method: entries are made
 * and applied as the node does it, answers decoded as a client does it.
 */
#include <inttypes.h>
#include <stdio.h>
#include "tests/unit/test_machine_fixture.h"

/* --- znodes ------------------------------------------------------------------------------------ */

START_TEST(create_sets_every_field_of_the_stat)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/a", "xyz", 0), 0);
    ck_assert(is(f.res.path, "/a"));
    ck_assert_uint_eq(f.res.sequence, 0);
    struct coord_node_stat s = f.res.stat;
    ck_assert_uint_eq(s.create_revision, 1);
    ck_assert_uint_eq(s.modify_revision, 1);
    ck_assert_uint_eq(s.child_revision, 1);
    ck_assert_uint_eq(s.version, 0);
    ck_assert_uint_eq(s.child_version, 0);
    ck_assert_uint_eq(s.acl_version, 0);
    ck_assert_uint_eq(s.created_ms, f.time_ms);
    ck_assert_uint_eq(s.modified_ms, f.time_ms);
    ck_assert_int_eq(s.kind, COORD_NODE_PERSISTENT);
    ck_assert_uint_eq(s.owner, 0);
    ck_assert_uint_eq(s.ttl_ms, 0);
    ck_assert_uint_eq(s.data_bytes, 3);
    ck_assert_uint_eq(s.children, 0);
    struct coord_node_stat again = stat_of(&f, "/a");
    ck_assert_mem_eq(&again, &s, sizeof(s));
    fixture_close(&f);
}
END_TEST

START_TEST(set_moves_version_and_modify_revision_only)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", "1", 0);
    uint64_t created_ms = f.time_ms;
    ck_assert_int_eq(do_set(&f, "/a", "22"), 0);
    ck_assert_uint_eq(f.res.stat.version, 1);
    ck_assert_int_eq(do_set(&f, "/a", "333"), 0);
    struct coord_node_stat s = f.res.stat;
    ck_assert_uint_eq(s.version, 2);
    ck_assert_uint_eq(s.create_revision, 1);
    ck_assert_uint_eq(s.modify_revision, 3);
    ck_assert_uint_eq(s.child_revision, 1);
    ck_assert_uint_eq(s.created_ms, created_ms);
    ck_assert_uint_eq(s.modified_ms, f.time_ms);
    ck_assert_uint_eq(s.data_bytes, 3);
    fixture_close(&f);
}
END_TEST

START_TEST(children_move_the_childrens_fields_of_the_parent_only)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", NULL, 0);
    do_create(&f, "/a/b", NULL, 0);
    do_create(&f, "/a/c", NULL, 0);
    do_create(&f, "/a/b/deep", NULL, 0);
    do_set(&f, "/a/b", "x");
    struct coord_node_stat s = stat_of(&f, "/a");
    ck_assert_uint_eq(s.children, 2);
    ck_assert_uint_eq(s.child_version, 2);
    ck_assert_uint_eq(s.child_revision, 3);
    ck_assert_uint_eq(s.version, 0);
    ck_assert_uint_eq(s.modify_revision, 1);
    ck_assert_int_eq(do_delete(&f, "/a/c"), 0);
    ck_assert_uint_eq(f.res.revision, 6);
    s = stat_of(&f, "/a");
    ck_assert_uint_eq(s.children, 1);
    ck_assert_uint_eq(s.child_version, 3);
    ck_assert_uint_eq(s.child_revision, 6);
    ck_assert_uint_eq(stat_of(&f, "/").child_version, 1);
    ck_assert_uint_eq(stat_of(&f, "/").child_revision, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(absent_and_empty_data_come_back_as_stored)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/absent", NULL, 0);
    do_create(&f, "/empty", "", 0);
    ck_assert_ptr_null(do_read(&f, COORD_OP_GET, "/absent").data.data);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/empty").data, ""));
    do_set(&f, "/absent", "");
    do_set(&f, "/empty", NULL);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/absent").data, ""));
    ck_assert_ptr_null(do_read(&f, COORD_OP_GET, "/empty").data.data);
    do_set(&f, "/empty", "full");
    ck_assert(is(do_read(&f, COORD_OP_GET, "/empty").data, "full"));
    ck_assert_ptr_null(do_read(&f, COORD_OP_GET, "/").data.data);
    ck_assert_int_eq(do_set(&f, "/", "root"), 0);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/").data, "root"));
    fixture_close(&f);
}
END_TEST

START_TEST(refused_creates_change_nothing)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", "1", 0);
    uint64_t digest_of_stat = stat_of(&f, "/").child_version;
    ck_assert_int_eq(do_create(&f, "/a", "2", 0), COORD_EEXISTS);
    ck_assert_uint_eq(f.o.changes_count, 0);
    ck_assert_int_eq(do_create(&f, "/", NULL, 0), COORD_EEXISTS);
    ck_assert_int_eq(do_create(&f, "/x/y", NULL, 0), COORD_ENONODE);
    ck_assert_int_eq(do_create(&f, "/x/", NULL, 0), COORD_EBADPATH);
    ck_assert_int_eq(do_create(&f, "x", NULL, 0), COORD_EBADPATH);
    ck_assert_int_eq(do_create(&f, "", NULL, 0), COORD_EBADPATH);
    ck_assert_int_eq(do_create(&f, "/x/../y", NULL, COORD_F_PARENTS), COORD_EBADPATH);
    ck_assert_uint_eq(stat_of(&f, "/").child_version, digest_of_stat);
    ck_assert_uint_eq(stat_of(&f, "/").children, 1);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "1"));
    fixture_close(&f);
}
END_TEST

START_TEST(flags_that_contradict_each_other_are_refused)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    const uint32_t bad[] = {COORD_F_EPHEMERAL | COORD_F_CONTAINER, COORD_F_EPHEMERAL | COORD_F_TTL,
                            COORD_F_CONTAINER | COORD_F_TTL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct coord_request q = {.number = i + 1,
                                  .op = COORD_OP_CREATE,
                                  .path = str("/a"),
                                  .flags = bad[i],
                                  .ttl_ms = (bad[i] & COORD_F_TTL) != 0 ? 9 : 0};
        ck_assert_int_eq(fixture_request(&f, s, s, &q), COORD_EBADREQUEST);
    }
    struct coord_request q = {
        .number = 9, .op = COORD_OP_CREATE, .path = str("/a"), .flags = COORD_F_TTL};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), COORD_EBADREQUEST);
    q.flags = 0;
    q.ttl_ms = 10;
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), COORD_EBADREQUEST);
    ck_assert(!exists(&f, "/a"));
    fixture_close(&f);
}
END_TEST

START_TEST(kinds_are_stored)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t s = fixture_session(&f, 1, 5000);
    do_create(&f, "/c", NULL, COORD_F_CONTAINER);
    do_create(&f, "/t", NULL, COORD_F_TTL);
    do_create_in(&f, s, 2, "/e", COORD_F_EPHEMERAL);
    ck_assert_int_eq(stat_of(&f, "/c").kind, COORD_NODE_CONTAINER);
    ck_assert_int_eq(stat_of(&f, "/t").kind, COORD_NODE_TTL);
    ck_assert_uint_eq(stat_of(&f, "/t").ttl_ms, 5000);
    ck_assert_int_eq(stat_of(&f, "/e").kind, COORD_NODE_EPHEMERAL);
    ck_assert_uint_eq(stat_of(&f, "/e").owner, s);
    ck_assert_int_eq(do_create(&f, "/t/child", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/c/child", NULL, 0), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(parents_are_made_in_the_same_revision)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/a/b/c", "x", COORD_F_PARENTS), 0);
    ck_assert_uint_eq(f.o.changes_count, 3);
    const char *paths[] = {"/a", "/a/b", "/a/b/c"};
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert(is(f.o.changes[i].path, paths[i]));
        ck_assert_int_eq(f.o.changes[i].kind, COORD_CHANGE_CREATED);
        ck_assert_uint_eq(stat_of(&f, paths[i]).create_revision, 1);
        ck_assert_uint_eq(stat_of(&f, paths[i]).child_revision, 1);
    }
    ck_assert_uint_eq(stat_of(&f, "/a/b").child_version, 1);
    ck_assert_ptr_null(do_read(&f, COORD_OP_GET, "/a/b").data.data);
    ck_assert_int_eq(do_create(&f, "/a/b/d", NULL, COORD_F_PARENTS), 0);
    ck_assert_uint_eq(f.o.changes_count, 1);
    ck_assert_int_eq(do_create(&f, "/a/b/d", NULL, COORD_F_PARENTS), COORD_EEXISTS);
    uint64_t s = fixture_session(&f, 1, 5000);
    ck_assert_int_eq(do_create_in(&f, s, 2, "/a/e", COORD_F_EPHEMERAL), 0);
    ck_assert_int_eq(do_create(&f, "/a/e/x/y", NULL, COORD_F_PARENTS), COORD_EEPHEMERAL);
    ck_assert(!exists(&f, "/a/e/x"));
    fixture_close(&f);
}
END_TEST

START_TEST(the_sequence_counts_all_creates_and_never_goes_back)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/q", NULL, 0);
    ck_assert_int_eq(do_create(&f, "/q/n-", NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert(is(f.res.path, "/q/n-0000000000"));
    ck_assert_uint_eq(f.res.sequence, 0);
    do_create(&f, "/q/plain", NULL, 0);
    do_create(&f, "/q/n-", NULL, COORD_F_SEQUENTIAL);
    ck_assert(is(f.res.path, "/q/n-0000000002"));
    ck_assert_uint_eq(f.res.sequence, 2);
    do_delete(&f, "/q/n-0000000002");
    do_delete(&f, "/q/plain");
    do_create(&f, "/q/other-", NULL, COORD_F_SEQUENTIAL);
    ck_assert(is(f.res.path, "/q/other-0000000003"));
    /* A refused create gives its number back. */
    ck_assert_int_eq(do_create(&f, "/q/other-0000000003", NULL, 0), COORD_EEXISTS);
    do_create(&f, "/q/n-", NULL, COORD_F_SEQUENTIAL);
    ck_assert_uint_eq(f.res.sequence, 4);
    /* Where the number's name is taken already, that is an error like any other. */
    do_create(&f, "/q/n-0000000006", NULL, 0);
    ck_assert_int_eq(do_create(&f, "/q/n-", NULL, COORD_F_SEQUENTIAL), COORD_EEXISTS);
    do_create(&f, "/q/else", NULL, 0);
    ck_assert_int_eq(do_create(&f, "/q/n-", NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(f.res.sequence, 7);
    ck_assert_int_eq(do_create(&f, "/new/n-", NULL, COORD_F_SEQUENTIAL | COORD_F_PARENTS), 0);
    ck_assert(is(f.res.path, "/new/n-0000000000"));
    fixture_close(&f);
}
END_TEST

START_TEST(a_numbered_name_keeps_to_the_limits_of_names)
{
    struct fixture f;
    char path[300];
    fixture_open(&f, NULL);
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[1 + 245] = '\0';
    ck_assert_int_eq(do_create(&f, path, NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(f.res.path.len, 256);
    path[1 + 245] = 'x';
    path[1 + 246] = '\0';
    ck_assert_int_eq(do_create(&f, path, NULL, COORD_F_SEQUENTIAL), COORD_EBADPATH);
    ck_assert_int_eq(do_create(&f, path, NULL, 0), 0);
    fixture_close(&f);
}
END_TEST

START_TEST(delete_refuses_nodes_with_children_and_the_root)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a/b", NULL, COORD_F_PARENTS);
    ck_assert_int_eq(do_delete(&f, "/a"), COORD_ENOTEMPTY);
    ck_assert_int_eq(do_delete(&f, "/none"), COORD_ENONODE);
    ck_assert_int_eq(do_delete(&f, "/"), COORD_ERESERVED);
    ck_assert_int_eq(do_delete(&f, "/a/b"), 0);
    ck_assert_int_eq(do_delete(&f, "/a"), 0);
    ck_assert_int_eq(do_delete(&f, "/a"), COORD_ENONODE);
    struct machine_stats st;
    machine_stats(f.m, &st);
    ck_assert_uint_eq(st.nodes, 1);
    fixture_close(&f);
}
END_TEST

START_TEST(conditions_decide_over_set_and_delete)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", "0", 0); /* revision 1 */
    do_set(&f, "/a", "1");       /* revision 2, version 1 */
    const struct {
        int64_t version;
        uint64_t modified;
        uint64_t created;
        int error;
    } row[] = {
        {0, 0, 0, COORD_ECONDITION},
        {2, 0, 0, COORD_ECONDITION},
        {-1, 1, 0, COORD_ECONDITION},
        {-1, 0, 2, COORD_ECONDITION},
        {1, 2, 2, COORD_ECONDITION},
        {INT64_MAX, 0, 0, COORD_ECONDITION},
        {1, 2, 1, 0},
    };
    for (size_t op = 0; op < 2; op++) {
        for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
            struct coord_request q = {.number = 1,
                                      .op = op == 0 ? COORD_OP_DELETE : COORD_OP_SET,
                                      .path = str("/a"),
                                      .expect_version = row[i].version,
                                      .expect_modified = row[i].modified,
                                      .expect_created = row[i].created};
            if (op == 0 && row[i].error == 0) {
                continue; /* the last row would delete it: below */
            }
            ck_assert_int_eq(fixture_request(&f, 0, 0, &q), row[i].error);
        }
    }
    ck_assert_uint_eq(stat_of(&f, "/a").version, 2);
    struct coord_request q = {
        .number = 1, .op = COORD_OP_DELETE, .path = str("/a"), .expect_version = 2};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), 0);
    ck_assert(!exists(&f, "/a"));
    fixture_close(&f);
}
END_TEST

START_TEST(what_is_reserved_cannot_be_written)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_create(&f, "/coord", NULL, 0), COORD_ERESERVED);
    ck_assert_int_eq(do_create(&f, "/coord/x", NULL, COORD_F_PARENTS), COORD_ERESERVED);
    ck_assert_int_eq(do_set(&f, "/coord", NULL), COORD_ERESERVED);
    ck_assert_int_eq(do_delete(&f, "/coord/x"), COORD_ERESERVED);
    ck_assert_int_eq(do_create(&f, "/coordinate", NULL, 0), 0);
    ck_assert_int_eq(do_create(&f, "/x/coord", NULL, COORD_F_PARENTS), 0);
    ck_assert_int_eq(do_create(&f, "/coord", NULL, COORD_F_SEQUENTIAL), 0);
    /* Nor read from this tree: what stands there is the member's to say. */
    ck_assert_int_eq(do_read(&f, COORD_OP_EXISTS, "/coord").error, COORD_ERESERVED);
    ck_assert_int_eq(do_read(&f, COORD_OP_LIST, "/coord/x").error, COORD_ERESERVED);
    ck_assert(exists(&f, "/coordinate"));
    ck_assert(exists(&f, "/coord0000000002"));
    fixture_close(&f);
}
END_TEST

START_TEST(data_over_the_limit_is_refused)
{
    struct machine_limits l;
    struct fixture f;
    machine_limits_init(&l);
    l.data_bytes = 4;
    fixture_open(&f, &l);
    ck_assert_int_eq(do_create(&f, "/a", "1234", 0), 0);
    ck_assert_int_eq(do_create(&f, "/b", "12345", 0), COORD_ETOOBIG);
    ck_assert_int_eq(do_set(&f, "/a", "12345"), COORD_ETOOBIG);
    ck_assert(is(do_read(&f, COORD_OP_GET, "/a").data, "1234"));
    ck_assert(!exists(&f, "/b"));
    fixture_close(&f);
}
END_TEST

START_TEST(changes_carry_values_and_previous_ones)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", "one", 0);
    const struct coord_change *c = f.o.changes;
    ck_assert_uint_eq(f.o.changes_count, 1);
    ck_assert(c->has_value && is(c->value, "one") && !c->has_previous);
    ck_assert_uint_eq(c->version, 0);
    ck_assert_uint_eq(c->create_revision, 1);
    do_set(&f, "/a", "two");
    c = f.o.changes;
    ck_assert_int_eq(c->kind, COORD_CHANGE_CHANGED);
    ck_assert(c->has_value && is(c->value, "two") && c->has_previous && is(c->previous, "one"));
    ck_assert_uint_eq(c->version, 1);
    ck_assert_uint_eq(c->create_revision, 1);
    do_delete(&f, "/a");
    c = f.o.changes;
    ck_assert_int_eq(c->kind, COORD_CHANGE_DELETED);
    ck_assert(is(c->path, "/a") && !c->has_value && c->has_previous && is(c->previous, "two"));
    ck_assert_uint_eq(c->version, 1);
    ck_assert_uint_eq(c->create_revision, 1);
    do_create(&f, "/b", NULL, 0);
    ck_assert(f.o.changes->has_value);
    ck_assert_ptr_null(f.o.changes->value.data);
    fixture_close(&f);
}
END_TEST

START_TEST(time_never_goes_back)
{
    struct fixture f;
    struct machine_stats st;
    fixture_open(&f, NULL);
    struct coord_buf *b = NULL;
    struct coord_request q = {.number = 1, .op = COORD_OP_CREATE, .path = str("/a")};
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    struct entry e = {.kind = ENTRY_REQUEST, .time_ms = 5000};
    fixture_apply(&f, e, NULL, 0, b->data + 4, b->len - 4);
    coord_buf_unref(b);
    b = NULL;
    q.path = str("/b");
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    e.time_ms = 3000;
    fixture_apply(&f, e, NULL, 0, b->data + 4, b->len - 4);
    coord_buf_unref(b);
    ck_assert_uint_eq(stat_of(&f, "/b").created_ms, 5000);
    machine_stats(f.m, &st);
    ck_assert_uint_eq(st.time_ms, 5000);
    fixture_close(&f);
}
END_TEST

START_TEST(stats_count_nodes_and_bytes)
{
    struct fixture f;
    struct machine_stats st;
    fixture_open(&f, NULL);
    do_create(&f, "/a/b", "12345", COORD_F_PARENTS);
    do_set(&f, "/a", "123");
    fixture_session(&f, 1, 5000);
    machine_skip(f.m, 77);
    machine_stats(f.m, &st);
    ck_assert_uint_eq(st.nodes, 3);
    ck_assert_uint_eq(st.data_bytes, 8);
    ck_assert_uint_eq(st.sessions, 1);
    ck_assert_uint_eq(st.revision, 77);
    f.revision = 77;
    do_delete(&f, "/a/b");
    machine_stats(f.m, &st);
    ck_assert_uint_eq(st.nodes, 2);
    ck_assert_uint_eq(st.data_bytes, 3);
    ck_assert_uint_eq(st.revision, 78);
    fixture_close(&f);
}
END_TEST

/* --- what is not a write ----------------------------------------------------------------------- */

START_TEST(operations_that_are_no_writes_do_nothing)
{
    struct fixture f;
    fixture_open(&f, NULL);
    for (int op = COORD_OP_EVENT + 1; op < COORD_OP_END; op++) {
        if (op == COORD_OP_CREATE || op == COORD_OP_SET || op == COORD_OP_DELETE ||
            op == COORD_OP_SESSION_CLOSE || op == COORD_OP_TXN || op == COORD_OP_SESSION_END) {
            continue;
        }
        struct coord_request q = {.number = 1,
                                  .op = (enum coord_op)op,
                                  .path = str("/a"),
                                  .to = str("/b"),
                                  .version = 1,
                                  .kinds = 7,
                                  .watch = 1};
        int error = fixture_request(&f, 0, 0, &q);
        bool write = coord_op_kind(q.op) == COORD_KIND_WRITE && op != COORD_OP_SESSION_OPEN;
        ck_assert_int_eq(error, write ? COORD_ENONODE : COORD_EBADREQUEST);
        ck_assert_uint_eq(f.o.changes_count, 0);
    }
    struct coord_request q = {.number = 1, .op = COORD_OP_SESSION_CLOSE};
    ck_assert_int_eq(fixture_request(&f, 0, 0, &q), COORD_ENOSESSION);
    /* All that is left of them is one revision and one time. */
    struct fixture g;
    fixture_open(&g, NULL);
    g.revision = f.revision - 1;
    g.time_ms = f.time_ms - 1;
    ck_assert_int_eq(fixture_request(&g, 0, 0, &q), COORD_ENOSESSION);
    ck_assert_uint_eq(machine_digest(f.m), machine_digest(g.m));
    fixture_close(&g);
    fixture_close(&f);
}
END_TEST

START_TEST(the_outcome_names_who_waits)
{
    struct fixture f;
    fixture_open(&f, NULL);
    struct coord_buf *b = NULL;
    struct coord_request q = {.number = 3, .op = COORD_OP_CREATE, .path = str("/a")};
    ck_assert_int_eq(coord_request_encode(&q, &b), 0);
    struct entry e = {.kind = ENTRY_REQUEST, .origin = 3, .cookie = 0x1122334455667788};
    fixture_apply(&f, e, NULL, 0, b->data + 4, b->len - 4);
    ck_assert_uint_eq(f.o.origin, 3);
    ck_assert_uint_eq(f.o.cookie, 0x1122334455667788);
    ck_assert_int_eq(f.o.op, COORD_OP_CREATE);
    ck_assert_ptr_nonnull(f.o.body);
    coord_buf_unref(b);
    fixture_close(&f);
}
END_TEST

START_TEST(a_reply_that_is_still_held_is_not_overwritten)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", NULL, 0);
    struct coord_buf *held = coord_buf_ref(f.o.body);
    uint8_t before[256];
    ck_assert_uint_le(held->len, sizeof(before));
    memcpy(before, held->data, held->len);
    uint32_t len = held->len;
    do_create(&f, "/completely-different", "x", 0);
    ck_assert_ptr_ne(f.o.body, held);
    ck_assert_uint_eq(held->len, len);
    ck_assert_mem_eq(held->data, before, len);
    coord_buf_unref(held);
    fixture_close(&f);
}
END_TEST

/* --- entries ----------------------------------------------------------------------------------- */

START_TEST(entries_keep_their_format)
{
    static const uint8_t want[ENTRY_HEADER_BYTES] = {
        3,    1,    0,    0,    9,    0,    0, 0, 1, 0, 0, 0, 0, 0, 0, 0x80,
        2,    0,    0,    0,    0,    0,    0, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0};
    struct entry e = {.kind = ENTRY_ATTACH,
                      .origin = 9,
                      .cookie = 0x8000000000000001,
                      .session = 2,
                      .epoch = 3,
                      .time_ms = 0x334455667788,
                      .body_bytes = 5};
    uint8_t bytes[ENTRY_HEADER_BYTES + 5] = {0};
    entry_header_encode(&e, bytes);
    ck_assert_mem_eq(bytes, want, sizeof(want));
    struct entry d;
    ck_assert(entry_decode(bytes, sizeof(bytes), &d));
    ck_assert_int_eq(d.kind, e.kind);
    ck_assert_uint_eq(d.origin, e.origin);
    ck_assert_uint_eq(d.cookie, e.cookie);
    ck_assert_uint_eq(d.session, e.session);
    ck_assert_uint_eq(d.epoch, e.epoch);
    ck_assert_uint_eq(d.time_ms, e.time_ms);
    ck_assert_uint_eq(d.body_bytes, 5);
    ck_assert_ptr_eq(d.body, bytes + ENTRY_HEADER_BYTES);
    entry_stamp(bytes, 12);
    ck_assert(entry_decode(bytes, sizeof(bytes), &d));
    ck_assert_uint_eq(d.time_ms, 12);
    ck_assert_uint_eq(d.epoch, 3);
}
END_TEST

START_TEST(what_is_not_an_entry_is_told_apart)
{
    uint8_t good[ENTRY_HEADER_BYTES + 1] = {0};
    struct entry e = {.kind = ENTRY_REQUEST, .body_bytes = 1};
    struct entry d;
    entry_header_encode(&e, good);
    ck_assert(entry_decode(good, sizeof(good), &d));
    ck_assert(!entry_decode(good, sizeof(good) - 1, &d));
    ck_assert(!entry_decode(good, ENTRY_HEADER_BYTES - 1, &d));
    ck_assert(!entry_decode(good, 0, &d));
    const struct {
        size_t at;
        uint8_t value;
    } bad[] = {{0, 0}, {0, 100}, {1, 0},  {1, 2},  {2, 1},
               {3, 1}, {40, 0},  {40, 2}, {43, 1}, {44, 1}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint8_t copy[sizeof(good)];
        memcpy(copy, good, sizeof(good));
        copy[bad[i].at] = bad[i].value;
        ck_assert_msg(!entry_decode(copy, sizeof(copy), &d), "row %zu", i);
    }
}
END_TEST

/* --- lists ------------------------------------------------------------------------------------- */

static struct coord_result do_list(struct fixture *f, const char *path, const char *after,
                                   uint64_t limit, uint32_t flags)
{
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_LIST,
                              .path = str(path),
                              .after = str(after),
                              .limit = limit,
                              .flags = flags};
    struct coord_result res;
    (void)machine_read(f->m, &q, &res);
    return res;
}

static void expect_names(const struct coord_result *res, const char *const *names, uint32_t count,
                         bool more)
{
    ck_assert_int_eq(res->error, 0);
    ck_assert_uint_eq(res->entries_count, count);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_msg(is(res->entries[i].name, names[i]), "entry %u is %.*s, not %s", i,
                      (int)res->entries[i].name.len, (const char *)res->entries[i].name.data,
                      names[i]);
    }
    ck_assert_int_eq(res->more, more);
}

static void some_tree(struct fixture *f)
{
    const char *paths[] = {"/b", "/a", "/c/x/1", "/c/y", "/a-b", "/a/z", "/a/k"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ck_assert_int_eq(do_create(f, paths[i], paths[i], COORD_F_PARENTS), 0);
    }
}

START_TEST(lists_are_sorted_and_paged)
{
    struct fixture f;
    fixture_open(&f, NULL);
    some_tree(&f);
    const char *all[] = {"a", "a-b", "b", "c"};
    struct coord_result res = do_list(&f, "/", NULL, 0, 0);
    expect_names(&res, all, 4, false);
    ck_assert_uint_eq(res.stat.children, 4);
    ck_assert(!res.entries[0].has_stat && !res.entries[0].has_data);
    res = do_list(&f, "/", NULL, 2, 0);
    expect_names(&res, all, 2, true);
    res = do_list(&f, "/", "a-b", 2, 0);
    expect_names(&res, all + 2, 2, false);
    res = do_list(&f, "/", "a0", 1, 0); /* need not exist */
    expect_names(&res, all + 2, 1, true);
    res = do_list(&f, "/", "c", 0, 0);
    expect_names(&res, NULL, 0, false);
    res = do_list(&f, "/b", NULL, 0, 0);
    expect_names(&res, NULL, 0, false);
    res = do_list(&f, "/none", NULL, 0, 0);
    ck_assert_int_eq(res.error, COORD_ENONODE);
    res = do_list(&f, "/", "", 4, 0);
    expect_names(&res, all, 4, false);
    fixture_close(&f);
}
END_TEST

START_TEST(lists_carry_stats_and_data_when_asked)
{
    struct fixture f;
    fixture_open(&f, NULL);
    some_tree(&f);
    struct coord_result res = do_list(&f, "/", NULL, 0, COORD_LIST_STATS | COORD_LIST_DATA);
    ck_assert(res.entries[0].has_stat && res.entries[0].has_data);
    ck_assert(is(res.entries[0].data, "/a"));
    ck_assert_uint_eq(res.entries[0].stat.children, 2);
    ck_assert_ptr_null(res.entries[3].data.data); /* /c was made as a parent */
    res = do_list(&f, "/", NULL, 0, COORD_LIST_DATA);
    ck_assert(!res.entries[0].has_stat && res.entries[0].has_data);
    fixture_close(&f);
}
END_TEST

START_TEST(recursive_lists_walk_in_path_order_and_resume_anywhere)
{
    struct fixture f;
    fixture_open(&f, NULL);
    some_tree(&f);
    const char *all[] = {"a", "a/k", "a/z", "a-b", "b", "c", "c/x", "c/x/1", "c/y"};
    const uint32_t count = sizeof(all) / sizeof(all[0]);
    struct coord_result res = do_list(&f, "/", NULL, 0, COORD_LIST_RECURSIVE);
    expect_names(&res, all, count, false);
    for (uint32_t i = 0; i < count; i++) {
        res = do_list(&f, "/", all[i], 0, COORD_LIST_RECURSIVE);
        expect_names(&res, all + i + 1, count - i - 1, false);
        res = do_list(&f, "/", all[i], 1, COORD_LIST_RECURSIVE);
        expect_names(&res, all + i + 1, i + 1 < count ? 1 : 0, i + 2 < count);
    }
    /* Behind names that are not there, or not any more. */
    res = do_list(&f, "/", "a/m/deep", 0, COORD_LIST_RECURSIVE);
    expect_names(&res, all + 2, count - 2, false);
    res = do_list(&f, "/", "c/x/0", 0, COORD_LIST_RECURSIVE);
    expect_names(&res, all + 7, 2, false);
    res = do_list(&f, "/", "b/below", 0, COORD_LIST_RECURSIVE);
    expect_names(&res, all + 5, 4, false);
    res = do_list(&f, "/", "zzz", 0, COORD_LIST_RECURSIVE);
    expect_names(&res, NULL, 0, false);
    const char *below[] = {"x", "x/1", "y"};
    res = do_list(&f, "/c", NULL, 0, COORD_LIST_RECURSIVE);
    expect_names(&res, below, 3, false);
    fixture_close(&f);
}
END_TEST

START_TEST(a_page_ends_before_it_is_over_the_limits)
{
    struct machine_limits l;
    struct fixture f;
    machine_limits_init(&l);
    l.list_entries = 3;
    l.list_bytes = 2048;
    fixture_open(&f, &l);
    char data[1001];
    memset(data, 'd', 1000);
    data[1000] = '\0';
    const char *names[] = {"/a", "/b", "/c", "/d", "/e"};
    for (size_t i = 0; i < 5; i++) {
        do_create(&f, names[i], data, 0);
    }
    struct coord_result res = do_list(&f, "/", NULL, 100, 0);
    ck_assert_uint_eq(res.entries_count, 3);
    ck_assert(res.more);
    res = do_list(&f, "/", NULL, 0, COORD_LIST_DATA);
    ck_assert_uint_eq(res.entries_count, 1);
    ck_assert(res.more);
    struct coord_buf *b = NULL;
    ck_assert_int_eq(coord_result_encode(COORD_OP_LIST, &res, &b), 0);
    ck_assert_uint_le(b->len, l.list_bytes);
    coord_buf_unref(b);
    l.list_bytes = 900;
    struct fixture g;
    fixture_open(&g, &l);
    do_create(&g, "/a", data, 0);
    res = do_list(&g, "/", NULL, 0, COORD_LIST_DATA);
    ck_assert_int_eq(res.error, COORD_ETOOBIG);
    fixture_close(&g);
    fixture_close(&f);
}
END_TEST

START_TEST(the_estimate_of_a_page_is_an_upper_bound)
{
    struct machine_limits l;
    struct fixture f;
    machine_limits_init(&l);
    l.list_bytes = 10000;
    fixture_open(&f, &l);
    f.revision = UINT64_MAX / 2; /* the longest numbers */
    f.time_ms = UINT64_MAX / 2;
    for (int i = 0; i < 300; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/node-%03d", i);
        do_create(&f, path, i % 2 == 0 ? path : NULL, 0);
    }
    for (uint32_t flags = 0; flags < 8; flags++) {
        struct coord_result res = do_list(&f, "/", NULL, 0, flags);
        struct coord_buf *b = NULL;
        ck_assert(res.more || res.entries_count == 300);
        ck_assert_int_eq(coord_result_encode(COORD_OP_LIST, &res, &b), 0);
        ck_assert_uint_le(b->len, l.list_bytes);
        coord_buf_unref(b);
    }
    fixture_close(&f);
}
END_TEST

START_TEST(reads_are_checked)
{
    struct fixture f;
    fixture_open(&f, NULL);
    ck_assert_int_eq(do_read(&f, COORD_OP_GET, "/none").error, COORD_ENONODE);
    ck_assert_int_eq(do_read(&f, COORD_OP_STAT, "/none").error, COORD_ENONODE);
    ck_assert(!exists(&f, "/none"));
    ck_assert(exists(&f, "/"));
    ck_assert_int_eq(do_read(&f, COORD_OP_EXISTS, "none").error, COORD_EBADPATH);
    ck_assert_int_eq(do_read(&f, COORD_OP_GET, "//").error, COORD_EBADPATH);
    ck_assert_int_eq(do_read(&f, COORD_OP_SET, "/").error, COORD_EBADREQUEST);
    ck_assert_int_eq(do_read(&f, COORD_OP_SYNC, "/").error, COORD_EBADREQUEST);
    ck_assert_int_eq(do_list(&f, "/", NULL, 0, 16).error, COORD_EBADREQUEST);
    fixture_close(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("machine");
    TCase *nodes = tcase_create("znodes");
    tcase_add_test(nodes, create_sets_every_field_of_the_stat);
    tcase_add_test(nodes, set_moves_version_and_modify_revision_only);
    tcase_add_test(nodes, children_move_the_childrens_fields_of_the_parent_only);
    tcase_add_test(nodes, absent_and_empty_data_come_back_as_stored);
    tcase_add_test(nodes, refused_creates_change_nothing);
    tcase_add_test(nodes, flags_that_contradict_each_other_are_refused);
    tcase_add_test(nodes, kinds_are_stored);
    tcase_add_test(nodes, parents_are_made_in_the_same_revision);
    tcase_add_test(nodes, the_sequence_counts_all_creates_and_never_goes_back);
    tcase_add_test(nodes, a_numbered_name_keeps_to_the_limits_of_names);
    tcase_add_test(nodes, delete_refuses_nodes_with_children_and_the_root);
    tcase_add_test(nodes, conditions_decide_over_set_and_delete);
    tcase_add_test(nodes, what_is_reserved_cannot_be_written);
    tcase_add_test(nodes, data_over_the_limit_is_refused);
    tcase_add_test(nodes, changes_carry_values_and_previous_ones);
    tcase_add_test(nodes, time_never_goes_back);
    tcase_add_test(nodes, stats_count_nodes_and_bytes);
    suite_add_tcase(s, nodes);
    TCase *entries = tcase_create("entries");
    tcase_add_test(entries, operations_that_are_no_writes_do_nothing);
    tcase_add_test(entries, the_outcome_names_who_waits);
    tcase_add_test(entries, a_reply_that_is_still_held_is_not_overwritten);
    tcase_add_test(entries, entries_keep_their_format);
    tcase_add_test(entries, what_is_not_an_entry_is_told_apart);
    suite_add_tcase(s, entries);
    TCase *lists = tcase_create("reads");
    tcase_add_test(lists, lists_are_sorted_and_paged);
    tcase_add_test(lists, lists_carry_stats_and_data_when_asked);
    tcase_add_test(lists, recursive_lists_walk_in_path_order_and_resume_anywhere);
    tcase_add_test(lists, a_page_ends_before_it_is_over_the_limits);
    tcase_add_test(lists, the_estimate_of_a_page_is_an_upper_bound);
    tcase_add_test(lists, reads_are_checked);
    suite_add_tcase(s, lists);
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
