/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the rules of watch.h, one test each (testing.md W1-W5, W7, W9). Method: changes are made by hand
 * and published; the sink keeps every frame, which is decoded as a client would.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/watch/history.h"
#include "server/watch/watch.h"

#define FRAMES_MAX 4096
#define ALL_KINDS  7

static struct {
    uint64_t conn;
    struct coord_buf *frame;
} got[FRAMES_MAX];
static size_t got_count;
static uint64_t slow_conn; /* it reads nothing; 0 none */

static bool sink(void *arg, uint64_t conn, struct coord_buf *frames)
{
    ck_assert_ptr_eq(arg, got);
    ck_assert_uint_lt(got_count, FRAMES_MAX);
    if (conn == slow_conn) {
        return false;
    }
    got[got_count].conn = conn;
    got[got_count].frame = coord_buf_ref(frames);
    got_count++;
    return true;
}

static void forget(void)
{
    for (size_t i = 0; i < got_count; i++) {
        coord_buf_unref(got[i].frame);
    }
    got_count = 0;
}

static struct watch_hub *hub_create(const struct watch_limits *l)
{
    struct watch_limits defaults;
    watch_limits_init(&defaults);
    struct watch_hub *h = watch_hub_create(l == NULL ? &defaults : l, sink, got);
    ck_assert_ptr_nonnull(h);
    return h;
}

static void hub_close(struct watch_hub *h)
{
    forget();
    watch_hub_destroy(h);
}

static struct coord_bytes str(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, s == NULL ? 0 : (uint32_t)strlen(s)};
}

static bool is(struct coord_bytes b, const char *s)
{
    return b.data != NULL && b.len == strlen(s) && memcmp(b.data, s, b.len) == 0;
}

static struct coord_request watch_on(uint64_t number, const char *path, enum coord_depth depth)
{
    return (struct coord_request){.op = COORD_OP_WATCH,
                                  .watch = number,
                                  .path = str(path),
                                  .depth = depth,
                                  .kinds = ALL_KINDS};
}

static void add(struct watch_hub *h, uint64_t conn, const struct coord_request *q, uint64_t now)
{
    uint64_t from = 12345;
    bool gap = true;
    ck_assert_int_eq(watch_add(h, conn, q, now, &from, &gap), 0);
    ck_assert_uint_eq(from, now);
    ck_assert(!gap);
}

static struct coord_change change(enum coord_change_kind kind, const char *path)
{
    return (struct coord_change){.kind = kind,
                                 .path = str(path),
                                 .version = 3,
                                 .create_revision = 2,
                                 .has_value = kind != COORD_CHANGE_DELETED,
                                 .value = str("new"),
                                 .has_previous = kind != COORD_CHANGE_CREATED,
                                 .previous = str("old")};
}

static void publish(struct watch_hub *h, uint64_t revision, enum coord_change_kind kind,
                    const char *path)
{
    struct coord_change c = change(kind, path);
    watch_publish(h, revision, &c, 1);
}

static struct coord_event event_at(size_t i)
{
    struct coord_event ev;
    char why[128] = "";
    ck_assert_uint_lt(i, got_count);
    const struct coord_buf *b = got[i].frame;
    ck_assert_int_eq(coord_frame_size(b->data, b->len, UINT32_MAX), b->len);
    ck_assert_msg(coord_event_decode(b->data + 4, b->len - 4, &ev, why, sizeof(why)) == 0, "%s",
                  why);
    return ev;
}

/* The i-th frame is for conn and watch, at revision, with these paths (NULL ends them). */
static void expect(size_t i, uint64_t conn, uint64_t number, uint64_t revision,
                   const char *const *paths)
{
    struct coord_event ev = event_at(i);
    struct coord_change c;
    ck_assert_uint_eq(got[i].conn, conn);
    ck_assert_uint_eq(ev.watch, number);
    ck_assert_uint_eq(ev.revision, revision);
    ck_assert_int_eq(ev.state, COORD_EVENT_CHANGES);
    for (; *paths != NULL; paths++) {
        ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 1);
        ck_assert_msg(is(c.path, *paths), "%.*s, not %s", (int)c.path.len,
                      (const char *)c.path.data, *paths);
    }
    ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 0);
}

static void expect_one(size_t i, uint64_t conn, uint64_t number, uint64_t revision,
                       const char *path)
{
    const char *paths[] = {path, NULL};
    expect(i, conn, number, revision, paths);
}

static void expect_state(size_t i, uint64_t conn, uint64_t number, uint64_t revision,
                         enum coord_watch_state state)
{
    struct coord_event ev = event_at(i);
    ck_assert_uint_eq(got[i].conn, conn);
    ck_assert_uint_eq(ev.watch, number);
    ck_assert_uint_eq(ev.revision, revision);
    ck_assert_int_eq(ev.state, state);
    ck_assert_uint_eq(ev.changes_count, 0);
}

/* --- who is told ------------------------------------------------------------------------------- */

START_TEST(depth_decides_which_paths)
{
    static const struct {
        const char *watched;
        enum coord_depth depth;
        const char *changed;
        bool told;
    } row[] = {
        {"/a", COORD_DEPTH_NODE, "/a", true},
        {"/a", COORD_DEPTH_NODE, "/a/b", false},
        {"/a", COORD_DEPTH_NODE, "/ab", false},
        {"/a", COORD_DEPTH_NODE, "/", false},
        {"/a", COORD_DEPTH_CHILDREN, "/a", true},
        {"/a", COORD_DEPTH_CHILDREN, "/a/b", true},
        {"/a", COORD_DEPTH_CHILDREN, "/a/b/c", false},
        {"/a", COORD_DEPTH_CHILDREN, "/ab", false},
        {"/a", COORD_DEPTH_CHILDREN, "/ab/c", false},
        {"/a", COORD_DEPTH_SUBTREE, "/a", true},
        {"/a", COORD_DEPTH_SUBTREE, "/a/b", true},
        {"/a", COORD_DEPTH_SUBTREE, "/a/b/c/d", true},
        {"/a", COORD_DEPTH_SUBTREE, "/ab", false},
        {"/a", COORD_DEPTH_SUBTREE, "/ab/c", false},
        {"/a", COORD_DEPTH_SUBTREE, "/", false},
        {"/", COORD_DEPTH_NODE, "/", true},
        {"/", COORD_DEPTH_NODE, "/a", false},
        {"/", COORD_DEPTH_CHILDREN, "/a", true},
        {"/", COORD_DEPTH_CHILDREN, "/a/b", false},
        {"/", COORD_DEPTH_SUBTREE, "/a/b", true},
        {"/", COORD_DEPTH_SUBTREE, "/", true},
        {"/a/b", COORD_DEPTH_SUBTREE, "/a", false},
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct watch_hub *h = hub_create(NULL);
        struct coord_request q = watch_on(7, row[i].watched, row[i].depth);
        add(h, 1, &q, 10);
        publish(h, 11, COORD_CHANGE_CHANGED, row[i].changed);
        ck_assert_msg((got_count == 1) == row[i].told, "%s depth %d, change of %s", row[i].watched,
                      row[i].depth, row[i].changed);
        /* A replay of the same tells the same. */
        size_t live = got_count;
        uint64_t from;
        bool gap;
        q.revision = 10;
        q.watch = 8;
        ck_assert_int_eq(watch_add(h, 1, &q, 11, &from, &gap), 0);
        ck_assert_uint_eq(got_count, 2 * live);
        hub_close(h);
    }
}
END_TEST

START_TEST(kinds_decide_which_changes)
{
    static const enum coord_change_kind kinds[] = {COORD_CHANGE_CREATED, COORD_CHANGE_CHANGED,
                                                   COORD_CHANGE_DELETED};
    struct watch_hub *h = hub_create(NULL);
    uint64_t revision = 10;
    for (uint32_t set = 0; set <= ALL_KINDS; set++) {
        struct coord_request q = watch_on(set, "/a", COORD_DEPTH_NODE);
        q.kinds = set;
        add(h, 1, &q, 10);
    }
    for (size_t k = 0; k < 3; k++) {
        publish(h, ++revision, kinds[k], "/a");
        ck_assert_uint_eq(got_count, 4); /* half of the sets hold it */
        for (size_t i = 0; i < got_count; i++) {
            struct coord_event ev = event_at(i);
            struct coord_change c;
            ck_assert((ev.watch & (uint64_t)kinds[k]) != 0);
            ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 1);
            ck_assert_int_eq(c.kind, kinds[k]);
        }
        forget();
    }
    hub_close(h);
}
END_TEST

START_TEST(values_are_sent_when_asked)
{
    static const enum coord_change_kind kinds[] = {COORD_CHANGE_CREATED, COORD_CHANGE_CHANGED,
                                                   COORD_CHANGE_DELETED};
    struct watch_hub *h = hub_create(NULL);
    for (uint32_t flags = 0; flags < 4; flags++) {
        struct coord_request q = watch_on(flags, "/a", COORD_DEPTH_NODE);
        q.flags = flags;
        add(h, 1, &q, 10);
    }
    for (size_t k = 0; k < 3; k++) {
        publish(h, 11 + k, kinds[k], "/a");
        ck_assert_uint_eq(got_count, 4);
        for (size_t i = 0; i < 4; i++) {
            struct coord_event ev = event_at(i);
            struct coord_change c;
            ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 1);
            ck_assert_uint_eq(c.version, 3);
            ck_assert_uint_eq(c.create_revision, 2);
            bool value = (ev.watch & COORD_WATCH_VALUE) != 0 && kinds[k] != COORD_CHANGE_DELETED;
            bool previous =
                (ev.watch & COORD_WATCH_PREVIOUS) != 0 && kinds[k] != COORD_CHANGE_CREATED;
            ck_assert_int_eq(c.has_value, value);
            ck_assert_int_eq(c.has_previous, previous);
            ck_assert(!value || is(c.value, "new"));
            ck_assert(!previous || is(c.previous, "old"));
        }
        forget();
    }
    hub_close(h);
}
END_TEST

START_TEST(changes_of_a_revision_arrive_together_and_in_order)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request sub = watch_on(1, "/a", COORD_DEPTH_SUBTREE);
    struct coord_request node = watch_on(2, "/a/c", COORD_DEPTH_NODE);
    struct coord_request other = watch_on(3, "/z", COORD_DEPTH_SUBTREE);
    add(h, 1, &sub, 10);
    add(h, 1, &node, 10);
    add(h, 2, &other, 10);
    struct coord_change c[] = {
        change(COORD_CHANGE_CREATED, "/a"), change(COORD_CHANGE_CREATED, "/a/c"),
        change(COORD_CHANGE_CREATED, "/b"), change(COORD_CHANGE_CHANGED, "/a/c"),
        change(COORD_CHANGE_CREATED, "/a/b")};
    watch_publish(h, 11, c, 5);
    ck_assert_uint_eq(got_count, 2);
    const char *in_a[] = {"/a", "/a/c", "/a/c", "/a/b", NULL};
    const char *in_c[] = {"/a/c", "/a/c", NULL};
    expect(0, 1, 1, 11, in_a);
    expect(1, 1, 2, 11, in_c);
    watch_publish(h, 12, NULL, 0);
    ck_assert_uint_eq(got_count, 2);
    hub_close(h);
}
END_TEST

START_TEST(a_thousand_watchers_share_the_encoding)
{
    struct watch_hub *h = hub_create(NULL);
    for (uint64_t conn = 1; conn <= 1000; conn++) {
        struct coord_request q = watch_on(5, "/a", COORD_DEPTH_NODE);
        q.flags = COORD_WATCH_VALUE;
        add(h, conn, &q, 10);
    }
    publish(h, 11, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        ck_assert_ptr_eq(got[i].frame, got[0].frame);
        ck_assert_uint_eq(got[i].conn, i + 1);
    }
    expect_one(999, 1000, 5, 11, "/a");
    hub_close(h);
}
END_TEST

START_TEST(frames_differ_in_nothing_but_the_number)
{
    static const uint64_t numbers[] = {
        0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, UINT64_MAX - 1, UINT64_MAX};
    const size_t count = sizeof(numbers) / sizeof(numbers[0]);
    for (size_t first = 0; first < count; first++) {
        struct watch_hub *h = hub_create(NULL);
        for (size_t i = 0; i < count; i++) {
            struct coord_request q =
                watch_on(numbers[(first + i) % count], "/a", COORD_DEPTH_SUBTREE);
            q.flags = COORD_WATCH_VALUE;
            add(h, 1, &q, 10);
        }
        struct coord_change c = change(COORD_CHANGE_CREATED, "/a/b");
        watch_publish(h, 11, &c, 1);
        ck_assert_uint_eq(got_count, count);
        c.has_previous = false;
        for (size_t i = 0; i < count; i++) {
            struct coord_event ev = {.watch = numbers[(first + i) % count],
                                     .revision = 11,
                                     .changes_count = 1,
                                     .changes = &c};
            struct coord_buf *want = NULL;
            ck_assert_int_eq(coord_event_encode(&ev, &want), 0);
            ck_assert_uint_eq(got[i].frame->len, want->len);
            ck_assert_mem_eq(got[i].frame->data, want->data, want->len);
            coord_buf_unref(want);
        }
        hub_close(h);
    }
}
END_TEST

/* --- registering ------------------------------------------------------------------------------- */

START_TEST(a_number_in_use_is_replaced)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    add(h, 1, &q, 10);
    add(h, 2, &q, 10); /* another connection's number is another watch */
    q.path = str("/b");
    add(h, 1, &q, 10);
    ck_assert_uint_eq(watch_count(h), 2);
    publish(h, 11, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 1);
    expect_one(0, 2, 1, 11, "/a");
    publish(h, 12, COORD_CHANGE_CHANGED, "/b");
    ck_assert_uint_eq(got_count, 2);
    expect_one(1, 1, 1, 12, "/b");
    hub_close(h);
}
END_TEST

START_TEST(removed_watches_are_told_nothing)
{
    struct watch_hub *h = hub_create(NULL);
    for (uint64_t conn = 1; conn <= 3; conn++) {
        for (uint64_t n = 1; n <= 3; n++) {
            struct coord_request q = watch_on(n, "/a", COORD_DEPTH_NODE);
            add(h, conn, &q, 10);
        }
    }
    ck_assert(watch_remove(h, 1, 2));
    ck_assert(!watch_remove(h, 1, 2));
    ck_assert(!watch_remove(h, 9, 1));
    watch_remove_conn(h, 2);
    watch_remove_conn(h, 2);
    ck_assert_uint_eq(watch_count(h), 5);
    publish(h, 11, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_ne(got[i].conn, 2);
        ck_assert(got[i].conn != 1 || event_at(i).watch != 2);
    }
    hub_close(h);
}
END_TEST

START_TEST(watches_per_connection_are_limited)
{
    struct watch_limits l;
    uint64_t from;
    bool gap;
    watch_limits_init(&l);
    l.per_connection = 2;
    struct watch_hub *h = hub_create(&l);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    add(h, 1, &q, 10);
    q.watch = 2;
    add(h, 1, &q, 10);
    q.watch = 3;
    ck_assert_int_eq(watch_add(h, 1, &q, 10, &from, &gap), COORD_ELIMIT);
    add(h, 2, &q, 10);
    q.watch = 2;
    add(h, 1, &q, 10); /* replacing is not one more */
    ck_assert(watch_remove(h, 1, 1));
    q.watch = 3;
    add(h, 1, &q, 10);
    ck_assert_uint_eq(watch_count(h), 3);
    hub_close(h);
}
END_TEST

START_TEST(once_means_one_event)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_SUBTREE);
    q.flags = COORD_WATCH_ONCE;
    add(h, 1, &q, 10);
    add(h, 2, &q, 10);
    struct coord_request ever = watch_on(2, "/a", COORD_DEPTH_SUBTREE);
    add(h, 1, &ever, 10);
    publish(h, 11, COORD_CHANGE_CHANGED, "/b");
    ck_assert_uint_eq(got_count, 0);
    watch_progress(h, 11);
    ck_assert_uint_eq(got_count, 3); /* progress is not its event */
    forget();
    struct coord_change c[] = {change(COORD_CHANGE_CHANGED, "/a/1"),
                               change(COORD_CHANGE_CHANGED, "/a/2")};
    watch_publish(h, 12, c, 2);
    ck_assert_uint_eq(got_count, 3);
    ck_assert_uint_eq(watch_count(h), 1);
    forget();
    publish(h, 13, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 1);
    expect_one(0, 1, 2, 13, "/a");
    forget();
    /* What was missed counts: it fires at once, and only for the first revision of it. */
    uint64_t from;
    bool gap;
    q.revision = 11;
    ck_assert_int_eq(watch_add(h, 3, &q, 13, &from, &gap), 0);
    ck_assert_uint_eq(got_count, 1);
    ck_assert_uint_eq(event_at(0).revision, 12);
    ck_assert_uint_eq(event_at(0).changes_count, 2);
    ck_assert_uint_eq(watch_count(h), 1);
    hub_close(h);
}
END_TEST

START_TEST(the_future_cannot_be_watched_from)
{
    struct watch_hub *h = hub_create(NULL);
    uint64_t from;
    bool gap;
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    q.revision = 11;
    ck_assert_int_eq(watch_add(h, 1, &q, 10, &from, &gap), COORD_ETOOSTALE);
    ck_assert_uint_eq(watch_count(h), 0);
    q.revision = 10;
    ck_assert_int_eq(watch_add(h, 1, &q, 10, &from, &gap), 0);
    ck_assert_uint_eq(from, 10);
    ck_assert(!gap);
    ck_assert_uint_eq(got_count, 0);
    hub_close(h);
}
END_TEST

/* --- resuming ---------------------------------------------------------------------------------- */

START_TEST(what_was_missed_is_replayed)
{
    struct watch_hub *h = hub_create(NULL);
    uint64_t from = 0;
    bool gap = true;
    publish(h, 5, COORD_CHANGE_CREATED, "/a");
    struct coord_change c[] = {change(COORD_CHANGE_CHANGED, "/a"),
                               change(COORD_CHANGE_CHANGED, "/other"),
                               change(COORD_CHANGE_CREATED, "/a/b")};
    watch_publish(h, 7, c, 3);
    publish(h, 8, COORD_CHANGE_CHANGED, "/other");
    publish(h, 9, COORD_CHANGE_DELETED, "/a/b");
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_SUBTREE);
    q.revision = 5;
    q.flags = COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS;
    ck_assert_int_eq(watch_add(h, 1, &q, 9, &from, &gap), 0);
    ck_assert_uint_eq(from, 5);
    ck_assert(!gap);
    ck_assert_uint_eq(got_count, 2);
    const char *seven[] = {"/a", "/a/b", NULL};
    expect(0, 1, 1, 7, seven);
    expect_one(1, 1, 1, 9, "/a/b");
    struct coord_event ev = event_at(0);
    struct coord_change first;
    ck_assert_int_eq(coord_change_next(&ev.changes_raw, &first), 1);
    ck_assert(is(first.value, "new") && is(first.previous, "old"));
    publish(h, 10, COORD_CHANGE_CHANGED, "/a"); /* and goes on, each once */
    ck_assert_uint_eq(got_count, 3);
    expect_one(2, 1, 1, 10, "/a");
    hub_close(h);
}
END_TEST

START_TEST(absent_and_empty_values_survive_the_history)
{
    struct watch_hub *h = hub_create(NULL);
    uint64_t from;
    bool gap;
    struct coord_change c = change(COORD_CHANGE_CHANGED, "/a");
    c.value = str(NULL);
    c.previous = str("");
    watch_publish(h, 5, &c, 1);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    q.revision = 4;
    q.flags = COORD_WATCH_VALUE | COORD_WATCH_PREVIOUS;
    ck_assert_int_eq(watch_add(h, 1, &q, 5, &from, &gap), 0);
    struct coord_event ev = event_at(0);
    ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 1);
    ck_assert(c.has_value && c.value.data == NULL);
    ck_assert(c.has_previous && is(c.previous, ""));
    hub_close(h);
}
END_TEST

START_TEST(history_is_bounded_and_says_so)
{
    struct watch_limits l;
    watch_limits_init(&l);
    l.history_events = 4;
    struct watch_hub *h = hub_create(&l);
    struct coord_change two[] = {change(COORD_CHANGE_CHANGED, "/a"),
                                 change(COORD_CHANGE_CHANGED, "/a/x")};
    for (uint64_t r = 11; r <= 13; r++) { /* six changes: the two of 11 had to go */
        watch_publish(h, r, two, 2);
    }
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    uint64_t from;
    bool gap;
    q.revision = 10;
    ck_assert_int_eq(watch_add(h, 1, &q, 13, &from, &gap), 0);
    ck_assert(gap);
    ck_assert_uint_eq(from, 13);
    ck_assert_uint_eq(got_count, 0);
    q.revision = 11;
    ck_assert_int_eq(watch_add(h, 1, &q, 13, &from, &gap), 0);
    ck_assert(!gap);
    ck_assert_uint_eq(from, 11);
    ck_assert_uint_eq(got_count, 2);
    forget();
    /* A revision with more changes than the history holds leaves none. */
    struct coord_change five[5];
    for (size_t i = 0; i < 5; i++) {
        five[i] = change(COORD_CHANGE_CHANGED, "/b");
    }
    watch_publish(h, 14, five, 5);
    q.revision = 13;
    ck_assert_int_eq(watch_add(h, 1, &q, 14, &from, &gap), 0);
    ck_assert(gap);
    q.revision = 14;
    ck_assert_int_eq(watch_add(h, 1, &q, 14, &from, &gap), 0);
    ck_assert(!gap);
    publish(h, 15, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 1);
    hub_close(h);
}
END_TEST

START_TEST(history_is_bounded_in_bytes)
{
    static uint8_t value[100000];
    struct watch_limits l;
    watch_limits_init(&l);
    l.history_bytes = 1000000;
    struct watch_hub *h = hub_create(&l);
    for (uint64_t r = 1; r <= 40; r++) {
        struct coord_change c = change(COORD_CHANGE_CREATED, "/a");
        c.value = (struct coord_bytes){value, sizeof(value)};
        watch_publish(h, r, &c, 1);
    }
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    uint64_t from;
    bool gap;
    q.revision = 30;
    ck_assert_int_eq(watch_add(h, 1, &q, 40, &from, &gap), 0);
    ck_assert(gap);
    q.revision = 31; /* nine of a little over 100,000 */
    ck_assert_int_eq(watch_add(h, 1, &q, 40, &from, &gap), 0);
    ck_assert(!gap);
    ck_assert_uint_eq(got_count, 9);
    hub_close(h);
}
END_TEST

START_TEST(no_history_means_gap_from_anywhere_before)
{
    struct watch_limits l;
    watch_limits_init(&l);
    l.history_events = 0;
    struct watch_hub *h = hub_create(&l);
    uint64_t from;
    bool gap;
    publish(h, 5, COORD_CHANGE_CHANGED, "/a");
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    q.revision = 4;
    ck_assert_int_eq(watch_add(h, 1, &q, 5, &from, &gap), 0);
    ck_assert(gap);
    ck_assert_uint_eq(got_count, 0);
    hub_close(h);
}
END_TEST

START_TEST(history_holds_whole_revisions_within_its_bounds)
{
    static uint8_t value[400000];
    struct history h;
    uint64_t newest = 0;
    history_init(&h, 50, 1000000);
    for (uint32_t round = 0; round < 2000; round++) {
        struct coord_change c[7];
        uint32_t count = 1 + round * 31 % 7;
        uint32_t bytes = round % 97 == 0 ? (uint32_t)sizeof(value) : round * 7919 % 3000;
        for (uint32_t i = 0; i < count; i++) {
            c[i] = change(COORD_CHANGE_CREATED, "/a");
            c[i].version = i;
            c[i].value = (struct coord_bytes){value, i == 0 ? bytes : 5};
        }
        newest += 1 + round % 3;
        history_add(&h, newest, c, count);
        ck_assert_uint_le(h.count, 50);
        ck_assert_uint_le(h.bytes, 1000000);
        ck_assert_uint_ge(h.count, count);
        uint64_t last = h.floor;
        uint64_t version = 0;
        for (uint32_t i = 0; i < h.count; i++) {
            uint64_t revision = history_at(&h, i, &c[0]);
            version = revision > last ? 0 : version + 1;
            if (revision <= h.floor || revision < last || c[0].version != version) {
                ck_abort_msg("change %u of revision %u is out of place", i, (unsigned)revision);
            }
            last = revision;
        }
        ck_assert_uint_eq(last, newest);
        ck_assert_uint_eq(history_seek(&h, h.floor), 0);
        ck_assert_uint_eq(history_seek(&h, newest), h.count);
    }
    ck_assert_uint_gt(h.floor, 0);
    history_reset(&h, 9999999);
    ck_assert_uint_eq(h.count, 0);
    ck_assert_uint_eq(h.bytes, 0);
    history_finish(&h);
}
END_TEST

/* --- gaps and progress ------------------------------------------------------------------------- */

START_TEST(a_revision_too_long_for_a_frame_is_a_gap)
{
    static uint8_t value[3000];
    struct watch_limits l;
    watch_limits_init(&l);
    l.frame_bytes = 4000;
    struct watch_hub *h = hub_create(&l);
    struct coord_request with = watch_on(1, "/a", COORD_DEPTH_SUBTREE);
    struct coord_request without = watch_on(2, "/a", COORD_DEPTH_SUBTREE);
    struct coord_request once = watch_on(3, "/a", COORD_DEPTH_SUBTREE);
    with.flags = COORD_WATCH_VALUE;
    once.flags = COORD_WATCH_VALUE | COORD_WATCH_ONCE;
    add(h, 1, &with, 10);
    add(h, 1, &without, 10);
    add(h, 2, &once, 10);
    struct coord_change c[] = {change(COORD_CHANGE_CREATED, "/a/1"),
                               change(COORD_CHANGE_CREATED, "/a/2")};
    c[0].value = (struct coord_bytes){value, sizeof(value)};
    c[1].value = c[0].value;
    watch_publish(h, 11, c, 2);
    ck_assert_uint_eq(got_count, 3);
    const char *both[] = {"/a/1", "/a/2", NULL};
    for (size_t i = 0; i < 3; i++) {
        struct coord_event ev = event_at(i);
        if (ev.watch == 2) {
            expect(i, 1, 2, 11, both);
        } else {
            expect_state(i, ev.watch == 1 ? 1 : 2, ev.watch, 11, COORD_EVENT_GAP);
        }
    }
    ck_assert_uint_eq(watch_count(h), 3); /* the one-shot was told of no change yet */
    forget();
    watch_publish(h, 12, c, 1);
    ck_assert_uint_eq(got_count, 3);
    ck_assert_uint_eq(watch_count(h), 2);
    hub_close(h);
}
END_TEST

START_TEST(no_frame_is_ever_longer_than_the_limit)
{
    static uint8_t value[5000];
    struct watch_limits l;
    watch_limits_init(&l);
    l.frame_bytes = 4000;
    size_t changes = 0;
    size_t gaps = 0;
    for (uint32_t len = 3900; len < 4100; len++) {
        struct watch_hub *h = hub_create(&l);
        struct coord_request small = watch_on(1, "/a", COORD_DEPTH_NODE);
        struct coord_request large = watch_on(UINT64_MAX, "/a", COORD_DEPTH_NODE);
        small.flags = COORD_WATCH_VALUE;
        large.flags = COORD_WATCH_VALUE;
        add(h, 1, &small, 10);
        add(h, 1, &large, 10);
        struct coord_change c = change(COORD_CHANGE_CREATED, "/a");
        c.value = (struct coord_bytes){value, len};
        watch_publish(h, 11, &c, 1);
        ck_assert_uint_eq(got_count, 2);
        for (size_t i = 0; i < 2; i++) {
            ck_assert_uint_le(got[i].frame->len - COORD_FRAME_HEADER_BYTES, l.frame_bytes);
            changes += event_at(i).state == COORD_EVENT_CHANGES;
            gaps += event_at(i).state == COORD_EVENT_GAP;
        }
        hub_close(h);
    }
    ck_assert_uint_gt(changes, 50);
    ck_assert_uint_gt(gaps, 50);
}
END_TEST

START_TEST(idle_watches_get_progress)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request idle = watch_on(1, "/idle", COORD_DEPTH_NODE);
    struct coord_request busy = watch_on(2, "/busy", COORD_DEPTH_NODE);
    add(h, 1, &idle, 10);
    add(h, 1, &busy, 10);
    publish(h, 11, COORD_CHANGE_CHANGED, "/busy");
    forget();
    watch_progress(h, 12);
    ck_assert_uint_eq(got_count, 1);
    expect_state(0, 1, 1, 12, COORD_EVENT_PROGRESS);
    forget();
    watch_progress(h, 13);
    ck_assert_uint_eq(got_count, 2); /* the busy one was idle since the last mark, too */
    expect_state(0, 1, 1, 13, COORD_EVENT_PROGRESS);
    expect_state(1, 1, 2, 13, COORD_EVENT_PROGRESS);
    forget();
    watch_progress(h, 13); /* nothing new to say */
    ck_assert_uint_eq(got_count, 0);
    hub_close(h);
}
END_TEST

START_TEST(after_a_reset_everybody_has_a_gap)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    struct coord_request once = watch_on(2, "/b", COORD_DEPTH_NODE);
    uint64_t from;
    bool gap;
    once.flags = COORD_WATCH_ONCE;
    publish(h, 9, COORD_CHANGE_CHANGED, "/a");
    add(h, 1, &q, 10);
    add(h, 1, &once, 10);
    watch_reset(h, 100);
    ck_assert_uint_eq(got_count, 2);
    expect_state(0, 1, 1, 100, COORD_EVENT_GAP);
    expect_state(1, 1, 2, 100, COORD_EVENT_GAP);
    ck_assert_uint_eq(watch_count(h), 2);
    forget();
    q.watch = 3;
    q.revision = 99;
    ck_assert_int_eq(watch_add(h, 1, &q, 100, &from, &gap), 0);
    ck_assert(gap);
    q.revision = 100;
    ck_assert_int_eq(watch_add(h, 1, &q, 100, &from, &gap), 0);
    ck_assert(!gap);
    publish(h, 101, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 2);
    publish(h, 102, COORD_CHANGE_CHANGED,
            "/b"); /* a gap is no change: the one-shot fires still, once */
    publish(h, 103, COORD_CHANGE_CHANGED, "/b");
    ck_assert_uint_eq(got_count, 3);
    ck_assert_uint_eq(watch_count(h), 2);
    hub_close(h);
}
END_TEST

START_TEST(who_does_not_read_is_told_one_gap)
{
    struct watch_hub *h = hub_create(NULL);
    struct coord_request q = watch_on(1, "/a", COORD_DEPTH_NODE);
    struct coord_request quiet = watch_on(2, "/quiet", COORD_DEPTH_NODE);
    struct coord_request once = watch_on(3, "/a", COORD_DEPTH_NODE);
    once.flags = COORD_WATCH_ONCE;
    for (uint64_t conn = 1; conn <= 2; conn++) {
        add(h, conn, &q, 10);
        add(h, conn, &quiet, 10);
    }
    add(h, 1, &once, 10);
    slow_conn = 1;
    for (uint64_t revision = 11; revision <= 15; revision++) {
        publish(h, revision, COORD_CHANGE_CHANGED, "/a");
    }
    watch_progress(h, 15);
    ck_assert_uint_eq(got_count, 6); /* the other connection's: 5 events, and one progress */
    for (size_t i = 0; i < got_count; i++) {
        ck_assert_uint_eq(got[i].conn, 2);
    }
    forget();
    /* Whatever is handed over meanwhile: nothing goes to it before it has caught up. */
    slow_conn = 0;
    publish(h, 16, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 1);
    forget();
    watch_catch_up(h, 2, 16); /* it had nothing to catch up with */
    ck_assert_uint_eq(got_count, 0);
    watch_catch_up(h, 1, 16);
    ck_assert_uint_eq(got_count, 2); /* not the one that missed nothing */
    expect_state(0, 1, 3, 16, COORD_EVENT_GAP);
    expect_state(1, 1, 1, 16, COORD_EVENT_GAP);
    watch_catch_up(h, 1, 16);
    ck_assert_uint_eq(got_count, 2);
    publish(h, 17, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 5); /* the one-shot too: a gap was no change */
    publish(h, 18, COORD_CHANGE_CHANGED, "/a");
    ck_assert_uint_eq(got_count, 7);
    hub_close(h);
}
END_TEST

START_TEST(who_stops_reading_while_catching_up_goes_on_later)
{
    struct watch_hub *h = hub_create(NULL);
    for (uint64_t number = 1; number <= 3; number++) {
        struct coord_request q = watch_on(number, "/a", COORD_DEPTH_NODE);
        add(h, 1, &q, 10);
    }
    slow_conn = 1;
    publish(h, 11, COORD_CHANGE_CHANGED, "/a");
    watch_catch_up(h, 1, 11); /* still not */
    ck_assert_uint_eq(got_count, 0);
    watch_reset(h, 20);
    struct coord_request again = watch_on(2, "/a", COORD_DEPTH_NODE);
    again.revision = 20;
    uint64_t from = 0;
    bool gap = true;
    ck_assert_int_eq(watch_add(h, 1, &again, 20, &from, &gap),
                     0); /* begins anew: it missed nothing */
    slow_conn = 0;
    watch_catch_up(h, 1, 20);
    ck_assert_uint_eq(got_count, 2);
    expect_state(0, 1, 3, 20, COORD_EVENT_GAP);
    expect_state(1, 1, 1, 20, COORD_EVENT_GAP);
    hub_close(h);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("watch");
    TCase *told = tcase_create("who is told");
    tcase_add_test(told, depth_decides_which_paths);
    tcase_add_test(told, kinds_decide_which_changes);
    tcase_add_test(told, values_are_sent_when_asked);
    tcase_add_test(told, changes_of_a_revision_arrive_together_and_in_order);
    tcase_add_test(told, a_thousand_watchers_share_the_encoding);
    tcase_add_test(told, frames_differ_in_nothing_but_the_number);
    suite_add_tcase(s, told);
    TCase *reg = tcase_create("registering");
    tcase_add_test(reg, a_number_in_use_is_replaced);
    tcase_add_test(reg, removed_watches_are_told_nothing);
    tcase_add_test(reg, watches_per_connection_are_limited);
    tcase_add_test(reg, once_means_one_event);
    tcase_add_test(reg, the_future_cannot_be_watched_from);
    suite_add_tcase(s, reg);
    TCase *resume = tcase_create("resuming");
    tcase_add_test(resume, what_was_missed_is_replayed);
    tcase_add_test(resume, absent_and_empty_values_survive_the_history);
    tcase_add_test(resume, history_is_bounded_and_says_so);
    tcase_add_test(resume, history_is_bounded_in_bytes);
    tcase_add_test(resume, history_holds_whole_revisions_within_its_bounds);
    tcase_add_test(resume, no_history_means_gap_from_anywhere_before);
    suite_add_tcase(s, resume);
    TCase *gaps = tcase_create("gaps and progress");
    tcase_add_test(gaps, a_revision_too_long_for_a_frame_is_a_gap);
    tcase_add_test(gaps, no_frame_is_ever_longer_than_the_limit);
    tcase_add_test(gaps, idle_watches_get_progress);
    tcase_add_test(gaps, after_a_reset_everybody_has_a_gap);
    tcase_add_test(gaps, who_does_not_read_is_told_one_gap);
    tcase_add_test(gaps, who_stops_reading_while_catching_up_goes_on_later);
    suite_add_tcase(s, gaps);
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
