/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: saved states are equal for equal states and complete; no bytes, as a saved state or as an entry,
 * bring the machine down or into a state that cannot be (machine.h 1; faults.md I12, I14).
 * Method: cut and mutate saved states at every byte; mutate entries of every kind. What is accepted must
 * save to the very bytes that were loaded, and pass the checks of the store.
 */
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "server/machine/snapshot.h"
#include "tests/unit/test_machine_fixture.h"

#define BODY_AT  (SNAPSHOT_HEAD_BYTES + MACHINE_LIMITS_BYTES) /* sessions, then nodes */
#define NODES_AT BODY_AT                                      /* without sessions */

static uint64_t seed_state = 88172645463325252ull;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

/* A state in which every part of the format occurs. */
static void fill(struct fixture *f)
{
    do_create(f, "/a/b/c", "data", COORD_F_PARENTS);
    do_create(f, "/a/empty", "", 0);
    do_create(f, "/a-b", "x", 0);
    do_create(f, "/con", NULL, COORD_F_CONTAINER);
    do_create(f, "/ttl/below", NULL, COORD_F_PARENTS);
    do_create(f, "/ttl2", NULL, COORD_F_TTL);
    do_create(f, "/ttl2/below", NULL, 0);
    do_delete(f, "/a/b/c");
    do_set(f, "/a", "set");
    do_set(f, "/", "root");
    uint64_t s = fixture_session(f, 3, 5000);
    uint64_t t = fixture_session(f, 4, 6000);
    fixture_session(f, 5, 7000);
    fixture_attach(f, t, 4);
    do_create_in(f, s, 1, "/e1", COORD_F_EPHEMERAL);
    do_create_in(f, s, 4, "/a/e2", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL);
    do_create_in(f, s, 3, "/none/x", 0);
    struct coord_request q = {.number = 9, .acked = 2, .op = COORD_OP_CREATE, .path = str("/last")};
    fixture_request(f, s, s, &q);
}

static struct machine *empty_machine(void)
{
    struct machine_limits l;
    machine_limits_init(&l);
    return machine_create(&l);
}

START_TEST(a_loaded_state_is_the_saved_one_and_goes_on_alike)
{
    struct fixture f;
    struct fixture g;
    char why[128];
    fixture_open(&f, NULL);
    fixture_open(&g, NULL);
    fill(&f);
    do_create(&g, "/to-be-replaced", "x", 0);
    struct coord_buf *saved = machine_save(f.m);
    ck_assert_int_eq(machine_load(g.m, saved->data, saved->len, why, sizeof(why)), 0);
    g.revision = f.revision;
    g.time_ms = f.time_ms;
    ck_assert(!exists(&g, "/to-be-replaced"));
    ck_assert_uint_eq(machine_digest(f.m), machine_digest(g.m));
    struct machine_stats a;
    struct machine_stats b;
    machine_stats(f.m, &a);
    machine_stats(g.m, &b);
    ck_assert_mem_eq(&a, &b, sizeof(a));
    /* Counters, marks and kept answers came along. */
    uint64_t s;
    struct machine_session info;
    ck_assert(machine_session_next(g.m, 0, &info));
    s = info.id;
    ck_assert_uint_eq(info.ephemerals, 2);
    ck_assert_int_eq(do_create_in(&g, s, 4, "/again", 0), 0);
    ck_assert(is(g.res.path, "/a/e20000000002"));
    ck_assert_int_eq(do_create_in(&g, s, 3, "/again", 0), COORD_ENONODE);
    ck_assert_int_eq(do_create_in(&g, s, 2, "/again", 0), COORD_EBADREQUEST);
    ck_assert_int_eq(do_create(&g, "/a/n", NULL, COORD_F_SEQUENTIAL), 0);
    ck_assert_uint_eq(g.res.sequence, 3);
    ck_assert_int_eq(fixture_attach(&g, s, 3), 0);
    uint64_t pair[] = {s, g.revision};
    ck_assert_int_eq(fixture_expire(&g, pair, 1), 0);
    ck_assert_uint_eq(g.o.changes_count, 2);
    ck_assert(is(g.o.changes[0].path, "/a/e20000000002"));
    ck_assert(is(g.o.changes[1].path, "/e1"));
    coord_buf_unref(saved);
    fixture_close(&f);
    fixture_close(&g);
}
END_TEST

START_TEST(the_format_is_what_is_written_down)
{
    /* An empty machine at revision 5: head, limits and one node, byte for byte. */
    static const uint8_t want[NODES_AT + SNAPSHOT_NODE_BYTES] = {
        'c',  'o',  'o', 'r', 'd', 's', 't', 0,
        2,    0,    0,   0,   0,   0,   0,   0, /* magic, version */
        0,    0,    0,   0,   0,   0,   0,   0,
        5,    0,    0,   0,   0,   0,   0,   0, /* zero, revision */
        0,    0,    0,   0,   0,   0,   0,   0,
        0,    0,    0,   0,   0,   0,   0,   0, /* time, sessions */
        1,    0,    0,   0,   0,   0,   0,   0, /* nodes */
        0,    0,    16,  0,   0,   0,   0,   0,
        0xd0, 7,    0,   0,   0,   0,   0,   0, /* data, min */
        0x60, 0xea, 0,   0,   0,   0,   0,   0,
        0x40, 0x0d, 3,   0,   0,   0,   0,   0, /* max, sessions */
        0,    16,   0,   0,   0,   0,   0,   0,
        0,    0,    128, 0,   0,   0,   0,   0, /* answers, bytes */
        0,    4,    0,   0,   0,   0,   0,   0,
        0x10, 0x27, 0,   0,   0,   0,   0,   0, /* txn, subtree */
        0x10, 0x27, 0,   0,   0,   0,   0,   0,
        0,    0,    48,  0,   0,   0,   0,   0, /* list */
        0,    0,    64,  0,   0,   0,   0,   0,
        0,    0,    0,   128, 0,   0,   0,   0}; /* frame, store */
    struct machine *m = empty_machine();
    machine_skip(m, 5);
    struct coord_buf *saved = machine_save(m);
    ck_assert_uint_eq(saved->len, sizeof(want));
    ck_assert_mem_eq(saved->data, want, sizeof(want));
    coord_buf_unref(saved);
    machine_destroy(m);
}
END_TEST

START_TEST(the_digest_sees_every_part)
{
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    uint64_t seen[8];
    size_t n = 0;
    seen[n++] = machine_digest(f.m);
    uint64_t s = fixture_session(&f, 1, 5000);
    seen[n++] = machine_digest(f.m);
    do_create_in(&f, s, 1, "/none/x", 0); /* changes an answer only */
    seen[n++] = machine_digest(f.m);
    do_set(&f, "/a", "set"); /* the same data */
    seen[n++] = machine_digest(f.m);
    machine_skip(f.m, ++f.revision);
    seen[n++] = machine_digest(f.m);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            ck_assert_uint_ne(seen[i], seen[j]);
        }
    }
    fixture_close(&f);
}
END_TEST

START_TEST(the_digest_is_the_same_everywhere)
{
    /* Whatever the compiler, the optimisation, the allocator. It changes only with the format
     * and with what replies hold, of which kept answers are made. */
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    ck_assert_uint_eq(machine_digest(f.m), 11424883469853452956ull);
    fixture_close(&f);
}
END_TEST

/* Load bytes that may be bad into m. When they are accepted, all must be well. */
static bool try_load(struct machine *m, const uint8_t *bytes, size_t len)
{
    char why[128] = "";
    uint64_t before = machine_digest(m);
    int rc = machine_load(m, bytes, len, why, sizeof(why));
    if (rc != 0) {
        ck_assert_int_eq(rc, COORD_EPROTO);
        ck_assert_uint_gt(strlen(why), 0);
        ck_assert_uint_eq(machine_digest(m), before);
        return false;
    }
    ck_assert_ptr_null(store_check(m->state.store));
    struct coord_buf *again = machine_save(m);
    ck_assert_uint_eq(again->len, len);
    ck_assert_mem_eq(again->data, bytes, len);
    coord_buf_unref(again);
    return true;
}

/* As the first version wrote it: without the limits, and with the length of the whole in its head. */
static void to_version_1(struct coord_buf *b)
{
    uint8_t *rest = b->data + SNAPSHOT_HEAD_BYTES;
    b->len -= MACHINE_LIMITS_BYTES;
    memmove(rest, rest + MACHINE_LIMITS_BYTES, b->len - SNAPSHOT_HEAD_BYTES);
    b->data[8] = SNAPSHOT_VERSION_MIN;
    b->data[16] = (uint8_t)b->len;
    b->data[17] = (uint8_t)(b->len >> 8);
}

START_TEST(a_cut_state_is_refused)
{
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    struct coord_buf *saved = machine_save(f.m);
    struct coord_buf *old = coord_buf_copy(saved->data, saved->len);
    to_version_1(old);
    struct machine *m = empty_machine();
    for (size_t len = 0; len < saved->len; len++) {
        uint8_t *cut = malloc(len + 1); /* so that a sanitizer sees the end */
        memcpy(cut, saved->data, len);
        uint8_t *exact = realloc(cut, len == 0 ? 1 : len);
        ck_assert(!try_load(m, exact, len));
        free(exact);
        if (len >= SNAPSHOT_HEAD_BYTES && len < old->len) { /* with a head that agrees */
            exact = malloc(len);
            memcpy(exact, old->data, len);
            exact[16] = (uint8_t)len;
            exact[17] = (uint8_t)(len >> 8);
            ck_assert(!try_load(m, exact, len));
            free(exact);
        }
    }
    uint8_t *longer = malloc(saved->len + 1);
    memcpy(longer, saved->data, saved->len);
    longer[saved->len] = 0;
    uint32_t len = saved->len + 1;
    ck_assert(!try_load(m, longer, len));
    memcpy(longer, old->data, old->len);
    longer[old->len] = 0;
    len = old->len + 1;
    longer[16] = (uint8_t)len;
    longer[17] = (uint8_t)(len >> 8);
    ck_assert(!try_load(m, longer, len));
    free(longer);
    coord_buf_unref(old);
    ck_assert(try_load(m, saved->data, saved->len));
    coord_buf_unref(saved);
    machine_destroy(m);
    fixture_close(&f);
}
END_TEST

/* In pieces of one size, as a file's chunks come. Return: what the loader says in the end. */
static int load_pieces(const uint8_t *bytes, size_t len, size_t piece, struct machine_loader **ret)
{
    struct machine_loader *l = machine_loader_create(len);
    int rc = 0;
    for (size_t at = 0; at < len && rc == 0; at += piece) {
        size_t some = len - at < piece ? len - at : piece;
        uint8_t *exact =
            malloc(some); /* so that a sanitizer sees the end, and what is kept of it */
        memcpy(exact, bytes + at, some);
        rc = machine_loader_feed(l, exact, some);
        free(exact);
    }
    *ret = l;
    return rc == 0 ? machine_loader_end(l) : rc;
}

START_TEST(a_state_loads_in_pieces_of_any_size)
{
    struct fixture f;
    struct machine_loader *l;
    fixture_open(&f, NULL);
    fill(&f);
    struct coord_buf *saved = machine_save(f.m);
    for (size_t piece = 1; piece <= saved->len; piece += piece < 400 ? 1 : 97) {
        struct machine *m = empty_machine();
        ck_assert_int_eq(load_pieces(saved->data, saved->len, piece, &l), 0);
        ck_assert_uint_eq(machine_loader_revision(l), f.revision);
        machine_replace(m, l);
        ck_assert_ptr_null(store_check(m->state.store));
        ck_assert_uint_eq(machine_digest(m), machine_digest(f.m));
        machine_loader_destroy(l);
        machine_destroy(m);
    }
    coord_buf_unref(saved);
    fixture_close(&f);
}
END_TEST

/* The same words as for all of it at once, wherever the pieces end. */
START_TEST(a_bad_state_is_refused_in_pieces_as_at_once)
{
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    struct coord_buf *saved = machine_save(f.m);
    struct machine *m = empty_machine();
    for (int i = 0; i < 500; i++) {
        char whole[128] = "";
        char pieces[128] = "";
        struct machine_loader *l;
        size_t at = rnd(saved->len);
        size_t len = i % 2 == 0 ? saved->len : rnd(saved->len);
        uint8_t was = saved->data[at];
        saved->data[at] = (uint8_t)rnd(256);
        int want = machine_load(m, saved->data, len, whole, sizeof(whole));
        int got = load_pieces(saved->data, len, 1 + rnd(200), &l);
        ck_assert_int_eq(got, want);
        if (got != 0) {
            machine_loader_why(l, pieces, sizeof(pieces));
            ck_assert_str_eq(pieces, whole);
            ck_assert_int_eq(machine_loader_feed(l, saved->data, 1), got); /* for good */
        }
        machine_loader_destroy(l);
        saved->data[at] = was;
    }
    coord_buf_unref(saved);
    machine_destroy(m);
    fixture_close(&f);
}
END_TEST

START_TEST(what_version_1_wrote_is_read)
{
    struct fixture f;
    char why[128];
    fixture_open(&f, NULL);
    fill(&f);
    struct coord_buf *saved = machine_save(f.m);
    struct machine *m = empty_machine();
    to_version_1(saved);
    ck_assert_msg(machine_load(m, saved->data, saved->len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_uint_eq(machine_digest(m), machine_digest(f.m));
    coord_buf_unref(saved);
    machine_destroy(m);
    fixture_close(&f);
}
END_TEST

START_TEST(a_mutated_state_is_refused_or_whole)
{
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff, '/'};
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    struct coord_buf *saved = machine_save(f.m);
    uint8_t *bytes = malloc(saved->len);
    size_t refused = 0;
    struct machine *m = empty_machine();
    for (size_t at = 0; at < saved->len; at++) {
        for (size_t v = 0; v < sizeof(values) + 2; v++) {
            memcpy(bytes, saved->data, saved->len);
            bytes[at] = v < sizeof(values)    ? values[v]
                        : v == sizeof(values) ? (uint8_t)(bytes[at] + 1)
                                              : (uint8_t)(bytes[at] - 1);
            refused += !try_load(m, bytes, saved->len);
        }
    }
    for (int i = 0; i < 3000; i++) {
        memcpy(bytes, saved->data, saved->len);
        for (uint64_t n = 1 + rnd(4); n > 0; n--) {
            bytes[rnd(saved->len)] = (uint8_t)rnd(256);
        }
        refused += !try_load(m, bytes, saved->len);
    }
    ck_assert_uint_gt(refused, saved->len * 3);
    free(bytes);
    coord_buf_unref(saved);
    machine_destroy(m);
    fixture_close(&f);
}
END_TEST

/* --- single rules of the format ---------------------------------------------------------------- */

/* "/", "/a" and "/b", without data; "/a" stands behind the counters of "/", "/b" behind it. */
static struct coord_buf *two_nodes(void)
{
    struct fixture f;
    fixture_open(&f, NULL);
    do_create(&f, "/a", NULL, 0);
    do_create(&f, "/b", NULL, 0);
    struct coord_buf *saved = machine_save(f.m);
    fixture_close(&f);
    return saved;
}

START_TEST(rules_of_the_format_are_kept)
{
    const size_t root = NODES_AT;
    const size_t counters = root + SNAPSHOT_NODE_BYTES;
    const size_t a = counters + 24;
    const size_t b = a + SNAPSHOT_NODE_BYTES + 1;
    const struct {
        const char *what;
        size_t at;
        uint8_t value;
    } row[] = {
        {"magic", 0, 'C'},
        {"version", 8, 3},
        {"no version", 8, 0},
        {"a limit of nothing", SNAPSHOT_HEAD_BYTES + 2, 0},
        {"a limit beyond its range", SNAPSHOT_HEAD_BYTES + 7, 1},
        {"zero", 12, 1},
        {"bytes", 16, 1},
        {"sessions", 40, 1},
        {"nodes: one fewer", 48, 2},
        {"nodes: one more", 48, 4},
        {"depth of the root", root, 1},
        {"kind of the root", root + 2, COORD_NODE_CONTAINER},
        {"unknown flag", a + 3, 4},
        {"unknown kind", a + 2, 4},
        {"ephemeral without owner", a + 2, COORD_NODE_EPHEMERAL},
        {"ttl without one", a + 2, COORD_NODE_TTL},
        {"depth too deep", a, 2},
        {"below the first", b, 2},
        {"second root", b, 0},
        {"not in order", a + SNAPSHOT_NODE_BYTES, 'c'},
        {"twice the same", a + SNAPSHOT_NODE_BYTES, 'b'},
        {"a slash in a name", b + SNAPSHOT_NODE_BYTES, '/'},
        {"a dot for a name", b + SNAPSHOT_NODE_BYTES, '.'},
        {"a control byte", b + SNAPSHOT_NODE_BYTES, 0x7f},
        {"not UTF-8", b + SNAPSHOT_NODE_BYTES, 0xff},
        {"creates", counters, 3},
        {"creates and deletes", counters + 8, 3},
        {"fewer than creates", counters + 8, 1},
        {"last change before a child", counters + 16, 1},
        {"last change after now", counters + 16, 3},
        {"created after now", b + 9, 3},
        {"created before there was anything", a + 9, 0},
        {"modified before created", b + 17, 1},
        {"modified but never set", a + 17, 2},
        {"created after modified", a + 33, 0xff},
        {"modified after now", b + 41, 0xff},
    };
    struct coord_buf *good = two_nodes();
    struct machine *m = empty_machine();
    ck_assert(try_load(m, good->data, good->len));
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint8_t was = good->data[row[i].at];
        ck_assert_msg(was != row[i].value, "row %s changes nothing", row[i].what);
        good->data[row[i].at] = row[i].value;
        ck_assert_msg(!try_load(m, good->data, good->len), "accepted: %s", row[i].what);
        good->data[row[i].at] = was;
    }
    coord_buf_unref(good);
    machine_destroy(m);
}
END_TEST

START_TEST(ephemerals_are_counted_with_their_own_session)
{
    struct fixture f;
    fixture_open(&f, NULL);
    uint64_t a = fixture_session(&f, 1, 5000);
    uint64_t b = fixture_session(&f, 2, 5000);
    do_create_in(&f, a, 2, "/a1", COORD_F_EPHEMERAL);
    do_create_in(&f, a, 3, "/a2", COORD_F_EPHEMERAL);
    do_create_in(&f, b, 2, "/b1", COORD_F_EPHEMERAL);
    struct coord_buf *saved = machine_save(f.m);
    struct machine *m = empty_machine();
    ck_assert(try_load(m, saved->data, saved->len));
    /* The sum stays right. The second session is the last before "/". */
    uint8_t *of_a = saved->data + BODY_AT + 48;
    uint8_t *of_b = NULL;
    for (uint8_t *p = of_a; p + 8 < saved->data + saved->len && of_b == NULL; p++) {
        of_b = p[-48] == b && p[-40] == b && p[0] == 1 ? p : NULL;
    }
    ck_assert_ptr_nonnull(of_b);
    *of_a = 1;
    *of_b = 2;
    ck_assert(!try_load(m, saved->data, saved->len));
    *of_a = 3;
    *of_b = 0;
    ck_assert(!try_load(m, saved->data, saved->len));
    *of_a = 2;
    *of_b = 1;
    ck_assert(try_load(m, saved->data, saved->len));
    coord_buf_unref(saved);
    machine_destroy(m);
    fixture_close(&f);
}
END_TEST

/* --- entries ----------------------------------------------------------------------------------- */

static void check_machine(struct fixture *f)
{
    char why[128] = "";
    ck_assert_ptr_null(store_check(f->m->state.store));
    struct coord_buf *saved = machine_save(f->m);
    struct machine *m = empty_machine();
    int rc = machine_load(m, saved->data, saved->len, why, sizeof(why));
    ck_assert_msg(rc == 0, "a state that was reached does not load: %s", why);
    ck_assert_uint_eq(machine_digest(m), machine_digest(f->m));
    machine_destroy(m);
    coord_buf_unref(saved);
}

/* Apply bytes that may be anything, from memory of exactly that size. */
static void apply_bytes(struct fixture *f, const uint8_t *bytes, size_t len)
{
    struct machine_outcome o;
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    memcpy(exact, bytes, len);
    machine_apply(f->m, ++f->revision, exact, len, &o);
    free(exact);
    /* What is told stays valid without the entry. */
    size_t sum = 0;
    for (uint32_t i = 0; i < o.changes_count; i++) {
        sum += o.changes[i].path.data[o.changes[i].path.len - 1];
        ck_assert_int_eq(
            coord_path_check((const char *)o.changes[i].path.data, o.changes[i].path.len, NULL, 0),
            0);
    }
    ck_assert(o.changes_count == 0 || sum > 0);
    ck_assert(o.error <= 0);
    ck_assert(o.error == 0 || (o.changes_count == 0 && o.body != NULL));
}

START_TEST(random_bytes_are_applied_without_effect)
{
    struct fixture f;
    fixture_open(&f, NULL);
    fill(&f);
    uint8_t bytes[200];
    for (int i = 0; i < 20000; i++) {
        size_t len = rnd(sizeof(bytes) + 1);
        for (size_t j = 0; j < len; j++) {
            bytes[j] = (uint8_t)rnd(256);
        }
        apply_bytes(&f, bytes, len);
    }
    struct machine_stats st;
    machine_stats(f.m, &st);
    ck_assert_uint_eq(st.revision, f.revision);
    ck_assert_uint_eq(st.nodes, 13);
    check_machine(&f);
    fixture_close(&f);
}
END_TEST

/* Entries of every kind, as a start for mutations. */
static size_t samples(struct coord_buf *out[16])
{
    struct fixture f;
    size_t n = 0;
    fixture_open(&f, NULL);
#define KEEP(call) ((void)(call), out[n++] = coord_buf_ref(f.entry))
    KEEP(do_create(&f, "/a/b/c", "data", COORD_F_PARENTS));
    KEEP(do_create(&f, "/a/n-", "", COORD_F_SEQUENTIAL));
    KEEP(do_set(&f, "/a", "set"));
    KEEP(do_delete(&f, "/a/b/c"));
    KEEP(do_create(&f, "/t", NULL, COORD_F_TTL));
    uint64_t s = fixture_session(&f, 3, 5000);
    out[n++] = coord_buf_ref(f.entry);
    KEEP(do_create_in(&f, s, 1, "/e", COORD_F_EPHEMERAL));
    KEEP(do_create_in(&f, s, 2, "/f", COORD_F_EPHEMERAL | COORD_F_SEQUENTIAL));
    KEEP(fixture_attach(&f, s, 3));
    uint64_t pairs[] = {s, s, s, f.revision};
    KEEP(fixture_expire(&f, pairs, 2));
    struct coord_request q = {.number = 9, .acked = 2, .op = COORD_OP_SESSION_CLOSE};
    KEEP(fixture_request(&f, s, s, &q));
#undef KEEP
    fixture_close(&f);
    return n;
}

START_TEST(mutated_entries_leave_a_state_that_can_be)
{
    struct coord_buf *entry[16];
    size_t count = samples(entry);
    struct fixture f;
    fixture_open(&f, NULL);
    for (int i = 0; i < 60000; i++) {
        const struct coord_buf *e = entry[rnd(count)];
        uint8_t bytes[512];
        size_t len = e->len;
        ck_assert_uint_le(len, sizeof(bytes));
        memcpy(bytes, e->data, len);
        for (uint64_t n = rnd(3); n > 0; n--) {
            bytes[rnd(len)] = rnd(2) == 0 ? (uint8_t)rnd(256) : (uint8_t)rnd(8);
        }
        if (rnd(20) == 0) {
            len = rnd(len + 1);
        }
        memset(bytes + 37, 0, 3); /* the time, which would soon stand at its end */
        apply_bytes(&f, bytes, len);
        if (i % 4096 == 0) {
            check_machine(&f);
        }
    }
    check_machine(&f);
    for (size_t i = 0; i < count; i++) {
        coord_buf_unref(entry[i]);
    }
    fixture_close(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("machine: snapshot");
    TCase *c = tcase_create("states");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_loaded_state_is_the_saved_one_and_goes_on_alike);
    tcase_add_test(c, the_format_is_what_is_written_down);
    tcase_add_test(c, the_digest_sees_every_part);
    tcase_add_test(c, the_digest_is_the_same_everywhere);
    tcase_add_test(c, a_cut_state_is_refused);
    tcase_add_test(c, a_state_loads_in_pieces_of_any_size);
    tcase_add_test(c, a_bad_state_is_refused_in_pieces_as_at_once);
    tcase_add_test(c, what_version_1_wrote_is_read);
    tcase_add_test(c, a_mutated_state_is_refused_or_whole);
    tcase_add_test(c, rules_of_the_format_are_kept);
    tcase_add_test(c, ephemerals_are_counted_with_their_own_session);
    suite_add_tcase(s, c);
    TCase *e = tcase_create("entries");
    tcase_set_timeout(e, 60);
    tcase_add_test(e, random_bytes_are_applied_without_effect);
    tcase_add_test(e, mutated_entries_leave_a_state_that_can_be);
    suite_add_tcase(s, e);
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
