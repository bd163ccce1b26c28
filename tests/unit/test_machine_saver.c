/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a state that is saved in slices while entries are applied is, byte for byte, the state as it was when
 * the saver began (saver.h). Method: random operations of every kind (creates, sets, deletes of one node and of
 * subtrees, renames, quotas, transactions that fail half-way, sessions that open, move, answer, close and
 * expire) between slices of a few records; what comes out is compared with what machine_save gave at the
 * start. Two savers that began at different revisions run at once. Large data and many answers are cut within
 * and changed while half of them is given. The images alone are compared with a sorted array.
 */
#include <stdio.h>
#include "server/machine/images.h"
#include "server/machine/machine_internal.h"
#include "server/machine/saver.h"
#include "tests/unit/test_machine_fixture.h"

#define PATH_ROOM 96
#define OWNERS    6

static uint64_t seed_state;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

static void seed_set(uint64_t seed)
{
    seed_state = seed * 2654435761u + 88172645463325252ull;
    for (int i = 0; i < 5; i++) {
        (void)rnd(2);
    }
}

/* --- random entries ---------------------------------------------------------------------------- */

struct owner {
    uint64_t id; /* 0: none */
    uint64_t epoch;
    uint64_t next;
    uint64_t acked;
    enum coord_op last; /* operation of the last number */
    uint8_t secret;
};

struct run {
    struct fixture f;
    struct owner owner[OWNERS];
};

/* Few names, so that operations meet; some sort before '/' ends a name, some behind. */
static void random_path(char out[PATH_ROOM])
{
    static const char *const names[] = {"a", "a!", "a-b", "b", "n-0000000000", "zz", "\xc3\xa4"};
    size_t depth = 1 + rnd(4);
    size_t at = 0;
    for (size_t i = 0; i < depth; i++) {
        at += (size_t)snprintf(out + at, PATH_ROOM - at, "/%s", names[rnd(7)]);
    }
}

static struct coord_request random_change(char path[PATH_ROOM], char to[PATH_ROOM])
{
    static const uint32_t kinds[] = {0, 0, 0, COORD_F_CONTAINER, COORD_F_TTL};
    static char large[5001]; /* more than is copied aside */
    memset(large, 'v', sizeof(large) - 1);
    const char *const values[] = {NULL, "", "1", "22", "a longer value than the others", large};
    struct coord_request q = {.number = 1, .expect_version = COORD_VERSION_ANY};
    random_path(path);
    random_path(to);
    q.path = str(path);
    q.data = str(values[rnd(rnd(4) == 0 ? 6 : 5)]);
    switch (rnd(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        q.op = COORD_OP_CREATE;
        q.expect_version = 0;
        q.flags = kinds[rnd(5)];
        q.flags |= rnd(2) == 0 ? COORD_F_PARENTS : 0;
        q.flags |= rnd(4) == 0 ? COORD_F_SEQUENTIAL : 0;
        q.ttl_ms = (q.flags & COORD_F_TTL) != 0 ? 5000 : 0;
        break;
    case 4:
    case 5:
    case 6:
        q.op = COORD_OP_SET;
        q.path = rnd(8) == 0 ? str("/") : q.path;
        break;
    case 7:
    case 8:
        q.op = COORD_OP_DELETE;
        q.flags = rnd(3) == 0 ? COORD_DELETE_RECURSIVE : 0;
        break;
    case 9:
        q.op = COORD_OP_RENAME;
        q.to = str(to);
        break;
    case 10:
        q.op = COORD_OP_INCREMENT;
        q.delta = 3;
        break;
    default:
        q.op = COORD_OP_QUOTA;
        q.path = rnd(8) == 0 ? str("/") : q.path;
        q.quota_nodes = rnd(2) == 0 ? 0 : 50 + rnd(50);
        q.quota_bytes = rnd(2) == 0 ? 0 : 500;
    }
    return q;
}

/* Some operations in one entry; often the last one fails, and all are taken back. */
static void apply_txn(struct run *r)
{
    char path[6][PATH_ROOM];
    char to[6][PATH_ROOM];
    struct coord_buf *thens = NULL;
    struct coord_request q = {.number = 1, .op = COORD_OP_TXN};
    uint32_t count = 1 + (uint32_t)rnd(5);
    for (uint32_t i = 0; i < count; i++) {
        struct coord_request op = random_change(path[i], to[i]);
        op.number = 0;
        if (op.op == COORD_OP_QUOTA) {
            op.op = COORD_OP_SET;
        }
        ck_assert_int_eq(coord_txn_op_encode(&op, &thens), 0);
        q.thens.count++;
    }
    if (rnd(2) == 0) {
        struct coord_request fails = {.op = COORD_OP_DELETE,
                                      .path = str("/not/there/at/all"),
                                      .expect_version = COORD_VERSION_ANY};
        ck_assert_int_eq(coord_txn_op_encode(&fails, &thens), 0);
        q.thens.count++;
    }
    q.thens.raw = (struct coord_bytes){thens->data, thens->len};
    (void)fixture_request(&r->f, 0, 0, &q);
    coord_buf_unref(thens);
}

static void apply_in_session(struct run *r, struct owner *o)
{
    char path[PATH_ROOM];
    char to[PATH_ROOM];
    struct coord_request q = random_change(path, to);
    if (rnd(3) == 0) {
        q = (struct coord_request){.op = COORD_OP_CREATE,
                                   .path = str(path),
                                   .data = str("mine"),
                                   .flags =
                                       COORD_F_EPHEMERAL | (rnd(2) == 0 ? COORD_F_SEQUENTIAL : 0)};
    }
    if (rnd(10) == 0 && o->next > 1) {
        q.number = o->next - 1; /* again: the first answer, or an error when it was acknowledged */
        q.op = o->last;
        q.to = str(to);
        q.flags = 0;
        q.ttl_ms = 0;
    } else {
        q.number = o->next++;
        o->last = q.op;
    }
    if (rnd(4) == 0) {
        o->acked = o->next < 2 ? 0 : o->next - 2;
    }
    q.acked = o->acked < q.number ? o->acked : 0;
    (void)fixture_request(&r->f, o->id, o->epoch, &q);
}

static void apply_session(struct run *r)
{
    struct owner *o = &r->owner[rnd(OWNERS)];
    if (o->id == 0) {
        o->secret = (uint8_t)(1 + rnd(200));
        o->id = fixture_session(&r->f, o->secret, 5000);
        o->epoch = o->id;
        o->next = 1;
        o->acked = 0;
        return;
    }
    switch (rnd(12)) {
    case 0: {
        struct coord_request q = {
            .number = o->next, .acked = o->acked, .op = COORD_OP_SESSION_CLOSE};
        ck_assert_int_eq(fixture_request(&r->f, o->id, o->epoch, &q), 0);
        o->id = 0;
        break;
    }
    case 1: {
        uint64_t pair[] = {o->id, o->epoch};
        (void)fixture_expire(&r->f, pair, 1);
        o->id = 0;
        break;
    }
    case 2:
        ck_assert_int_eq(fixture_attach(&r->f, o->id, o->secret), 0);
        o->epoch = r->f.revision;
        break;
    default:
        apply_in_session(r, o);
    }
}

static void apply_some(struct run *r, uint64_t count)
{
    char path[PATH_ROOM];
    char to[PATH_ROOM];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t which = rnd(10);
        if (which < 6) {
            struct coord_request q = random_change(path, to);
            (void)fixture_request(&r->f, 0, 0, &q); /* most refusals are of interest as well */
        } else if (which < 7) {
            apply_txn(r);
        } else if (which < 9) {
            apply_session(r);
        } else {
            machine_skip(r->f.m, ++r->f.revision);
        }
    }
}

/* --- savers ------------------------------------------------------------------------------------ */

static void gather(void *arg, const void *bytes, size_t len)
{
    ck_assert_int_eq(coord_buf_append(arg, bytes, len), 0);
}

/* A saver under way and what it is to give. */
struct job {
    struct machine_saver *saver;
    struct coord_buf *want;
    struct coord_buf *got;
    uint64_t digest;
    bool hashed;
};

static void job_begin(struct job *j, struct fixture *f, bool hashed)
{
    *j = (struct job){.want = machine_save(f->m), .digest = machine_digest(f->m), .hashed = hashed};
    j->got = coord_buf_create(64);
    const struct machine_sink sink = {&j->got, gather};
    ck_assert_int_eq(machine_saver_create(f->m, hashed ? NULL : &sink, &j->saver), 0);
}

static void job_end(struct job *j, uint64_t seed)
{
    struct machine_saver_info info;
    machine_saver_info(j->saver, &info);
    ck_assert_uint_eq(info.images, 0);
    ck_assert_uint_eq(info.images_bytes, 0);
    ck_assert_uint_eq(info.bytes, j->want->len);
    if (j->hashed) {
        ck_assert_uint_eq(machine_saver_digest(j->saver), j->digest);
    } else {
        ck_assert_uint_eq(j->got->len, j->want->len);
        ck_assert_msg(memcmp(j->got->data, j->want->data, j->want->len) == 0,
                      "seed %llu: not the state of the start", (unsigned long long)seed);
    }
    machine_saver_destroy(j->saver);
    coord_buf_unref(j->want);
    coord_buf_unref(j->got);
    j->saver = NULL;
}

/* Return: true while there is more. */
static bool job_step(struct job *j, uint64_t seed)
{
    if (j->saver == NULL) {
        return false;
    }
    int rc = rnd(3) == 0 ? machine_saver_step(j->saver, 100, 1 + rnd(300))
                         : machine_saver_step(j->saver, 1 + (uint32_t)rnd(6), 1 << 20);
    ck_assert_int_ge(rc, 0);
    if (rc == 0) {
        job_end(j, seed);
    }
    return rc != 0;
}

START_TEST(what_comes_out_is_the_state_of_the_start)
{
    for (uint64_t seed = (uint64_t)_i * 60; seed < (uint64_t)_i * 60 + 60; seed++) {
        static struct run r;
        struct job a;
        struct job b = {.saver = NULL};
        memset(&r, 0, sizeof(r));
        seed_set(seed);
        fixture_open(&r.f, NULL);
        apply_some(&r, 20 + rnd(400));
        job_begin(&a, &r.f, rnd(2) == 0);
        uint64_t between = 1 + rnd(12);
        uint64_t second = rnd(20);
        bool more = true;
        for (uint64_t i = 0; more; i++) {
            if (i == second) {
                job_begin(&b, &r.f, rnd(2) == 0);
            }
            apply_some(&r, rnd(between));
            more = job_step(&a, seed);
            more = job_step(&b, seed) || more;
        }
        ck_assert_ptr_null(store_check(r.f.m->state.store));
        fixture_close(&r.f);
    }
}
END_TEST

/* Every operation on each of a few nodes, in the middle of a walk at each place. */
START_TEST(each_change_at_each_place_is_kept_from_the_copy)
{
    static const char *const paths[] = {"/", "/a", "/a/x", "/a/x/y", "/a-b", "/b", "/b/e", "/c"};
    for (uint32_t steps = 0; steps < 12; steps++) {
        for (uint32_t op = 0; op < 6; op++) {
            for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
                struct fixture f;
                struct job j;
                fixture_open(&f, NULL);
                uint64_t s = fixture_session(&f, 3, 5000);
                do_create(&f, "/a/x/y", "1", COORD_F_PARENTS);
                do_create(&f, "/a-b", NULL, 0);
                do_create(&f, "/b", "2", 0);
                do_create_in(&f, s, 1, "/b/e", COORD_F_EPHEMERAL);
                do_create(&f, "/c", "3", 0);
                job_begin(&j, &f, false);
                int rc = steps == 0 ? 1 : machine_saver_step(j.saver, steps, 1 << 20);
                struct coord_request q = {.number = 1,
                                          .path = str(paths[p]),
                                          .data = str("7"),
                                          .expect_version = COORD_VERSION_ANY,
                                          .to = str("/moved"),
                                          .delta = 1,
                                          .quota_nodes = 100};
                static const enum coord_op ops[] = {COORD_OP_SET,    COORD_OP_DELETE,
                                                    COORD_OP_RENAME, COORD_OP_INCREMENT,
                                                    COORD_OP_QUOTA,  COORD_OP_SESSION_CLOSE};
                q.op = ops[op];
                q.flags = q.op == COORD_OP_DELETE ? COORD_DELETE_RECURSIVE : 0;
                if (q.op == COORD_OP_SESSION_CLOSE) {
                    q.number = 2;
                    (void)fixture_request(&f, s, s, &q);
                } else {
                    (void)fixture_request(&f, 0, 0, &q); /* some are refused: nothing changes */
                }
                do_create(&f, "/a", "again", 0);
                do_create(&f, "/a/new", "again", COORD_F_PARENTS);
                do_set(&f, paths[p], "twice");
                while (rc == 1) {
                    rc = machine_saver_step(j.saver, 1, 1 << 20);
                }
                ck_assert_int_eq(rc, 0);
                job_end(&j, steps);
                fixture_close(&f);
            }
        }
    }
}
END_TEST

START_TEST(a_slice_is_as_long_as_it_was_told)
{
    struct fixture f;
    struct job j;
    struct machine_saver_info info;
    char path[32];
    fixture_open(&f, NULL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        do_create(&f, path, "0123456789", 0);
    }
    job_begin(&j, &f, false);
    for (uint64_t records = 100; records <= 1000; records += 100) {
        ck_assert_int_eq(machine_saver_step(j.saver, 100, UINT32_MAX), 1);
        machine_saver_info(j.saver, &info);
        ck_assert_uint_eq(info.records, records);
    }
    ck_assert_int_eq(machine_saver_step(j.saver, 100, UINT32_MAX), 0);
    job_end(&j, 0);
    job_begin(&j, &f, false);
    machine_saver_info(j.saver, &info);
    uint64_t before = info.bytes; /* the head and the limits are there from the beginning */
    for (int rc = 1; rc == 1;) {
        rc = machine_saver_step(j.saver, UINT32_MAX, 1000);
        machine_saver_info(j.saver, &info);
        ck_assert_uint_le(info.bytes - before, 1000 + 100);
        before = info.bytes;
    }
    job_end(&j, 0);
    fixture_close(&f);
}
END_TEST

static bool count_down(void *arg)
{
    uint32_t *left = arg;
    return (*left)-- <= 1;
}

/* Who is asked may end a step early, and hears the question every few records; what comes out is the same. */
START_TEST(a_slice_ends_when_the_one_who_is_asked_says_so)
{
    struct fixture f;
    struct job j;
    struct machine_saver_info info;
    char path[32];
    uint32_t steps = 0;
    fixture_open(&f, NULL);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "/n%d", i);
        do_create(&f, path, "0123456789", 0);
    }
    job_begin(&j, &f, false);
    uint64_t before = 0;
    for (int rc = 1; rc == 1; steps++) {
        uint32_t left = 1 + steps % 3;
        uint32_t most = 8 * left;
        machine_saver_ask(j.saver, count_down, &left);
        rc = machine_saver_step(j.saver, UINT32_MAX, UINT32_MAX);
        ck_assert_int_ge(rc, 0);
        machine_saver_info(j.saver, &info);
        ck_assert_uint_gt(info.records, before);
        ck_assert_uint_le(info.records - before, most);
        before = info.records;
    }
    ck_assert_uint_gt(steps, 1000 / 24);
    job_end(&j, 0);
    fixture_close(&f);
}
END_TEST

#define LARGE_BYTES 300000u

static void do_large(struct fixture *f, enum coord_op op, const char *path, char with)
{
    static uint8_t data[LARGE_BYTES];
    memset(data, with, sizeof(data));
    struct coord_request q = {.number = 1,
                              .op = op,
                              .path = str(path),
                              .data = {data, sizeof(data)},
                              .expect_version = op == COORD_OP_SET ? COORD_VERSION_ANY : 0};
    ck_assert_int_eq(fixture_request(f, 0, 0, &q), 0);
}

/* A step, which gives no more than it was told and the head of a record. */
static int step_bounded(struct job *j, uint64_t bytes)
{
    struct machine_saver_info before;
    struct machine_saver_info after;
    machine_saver_info(j->saver, &before);
    int rc = machine_saver_step(j->saver, UINT32_MAX, bytes);
    machine_saver_info(j->saver, &after);
    ck_assert_uint_le(after.bytes - before.bytes, bytes + 1200);
    return rc;
}

/* No step gives much more than it was told, and what becomes of the node meanwhile does not matter. */
START_TEST(large_data_is_cut_within_and_kept_without_a_copy)
{
    for (int steps = 0; steps < 12; steps++) {
        struct fixture f;
        struct job a;
        struct job b;
        fixture_open(&f, NULL);
        do_large(&f, COORD_OP_CREATE, "/a", '1');
        do_large(&f, COORD_OP_CREATE, "/b", '2');
        do_create(&f, "/c", "x", 0);
        job_begin(&a, &f, false);
        job_begin(&b, &f, true);
        int rc = 1;
        for (int i = 0; rc == 1; i++) {
            if (i == steps) {
                do_large(&f, COORD_OP_SET, "/a", '3');
                do_large(&f, COORD_OP_SET, "/b", '4');
                do_large(&f, COORD_OP_SET, "/b", '5');
                do_delete(&f, "/a");
                do_large(&f, COORD_OP_CREATE, "/a", '6');
            }
            rc = step_bounded(&a, 70000);
        }
        ck_assert_int_eq(rc, 0);
        job_end(&a, (uint64_t)steps);
        while (step_bounded(&b, 70000) == 1) {
        }
        job_end(&b, (uint64_t)steps);
        fixture_close(&f);
    }
}
END_TEST

/* The same for the answers of a session: acknowledged, added to, closed, while some of them are given. */
START_TEST(answers_are_cut_within_and_kept_without_a_copy)
{
    static const uint8_t body[3000];
    for (int steps = 0; steps < 24; steps++) {
        struct fixture f;
        struct job a;
        struct job b;
        fixture_open(&f, NULL);
        uint64_t id[2] = {fixture_session(&f, 3, 5000), fixture_session(&f, 4, 5000)};
        for (int i = 0; i < 2; i++) {
            struct session *s = sessions_find(f.m->state.sessions, id[i]);
            f.m->state.sessions_bytes -= machine_session_bytes(s);
            for (uint64_t n = 2; n < 90; n++) {
                const struct coord_bytes give = {body, n % 5 == 0 ? 0 : (uint32_t)(n * 33)};
                const int error = n % 5 == 0 ? COORD_ENONODE : 0;
                ck_assert_int_eq(answers_put(&s->answers, f.m->state.pool, n, error, give), 0);
            }
            f.m->state.sessions_bytes += machine_session_bytes(s);
        }
        job_begin(&a, &f, false);
        job_begin(&b, &f, true);
        int rc = 1;
        for (int i = 0; rc == 1; i++) {
            if (i == steps) {
                struct coord_request q = {.number = 200,
                                          .acked = 50,
                                          .op = COORD_OP_SET,
                                          .path = str("/"),
                                          .data = str("1"),
                                          .expect_version = COORD_VERSION_ANY};
                ck_assert_int_eq(fixture_request(&f, id[0], id[0], &q), 0);
                ck_assert_int_eq(fixture_request(&f, id[1], id[1], &q), 0);
                q = (struct coord_request){
                    .number = 201, .acked = 60, .op = COORD_OP_SESSION_CLOSE};
                ck_assert_int_eq(fixture_request(&f, id[1], id[1], &q), 0);
            }
            rc = step_bounded(&a, 12000);
        }
        ck_assert_int_eq(rc, 0);
        job_end(&a, (uint64_t)steps);
        while (step_bounded(&b, 12000) == 1) {
        }
        job_end(&b, (uint64_t)steps);
        fixture_close(&f);
    }
}
END_TEST

/* Only what is older, ahead, and changed for the first time costs memory; all of it is given back. */
START_TEST(what_is_kept_is_bounded_by_the_state)
{
    struct fixture f;
    struct job j;
    struct machine_saver_info info;
    char path[32];
    fixture_open(&f, NULL);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/n%02d", i);
        do_create(&f, path, "0123456789", 0);
    }
    job_begin(&j, &f, false);
    ck_assert_int_eq(machine_saver_step(j.saver, 52, UINT32_MAX),
                     1); /* no session, "/", 50 nodes */
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 100; i++) {
            (void)snprintf(path, sizeof(path), "/n%02d", i);
            do_set(&f, path, "other");
        }
        do_create(&f, "/n99/young", "x", COORD_F_SEQUENTIAL);
    }
    machine_saver_info(j.saver, &info);
    ck_assert_uint_eq(info.images, 50);
    ck_assert_uint_lt(info.images_bytes, 50 * 256);
    while (machine_saver_step(j.saver, 7, UINT32_MAX) == 1) {
    }
    job_end(&j, 0);
    fixture_close(&f);
}
END_TEST

START_TEST(no_more_savers_than_allowed_and_an_abandoned_one_leaves_nothing)
{
    struct fixture f;
    struct machine_saver *s[MACHINE_SAVERS_MAX + 1];
    fixture_open(&f, NULL);
    do_create(&f, "/a", "x", 0);
    for (int i = 0; i < MACHINE_SAVERS_MAX; i++) {
        ck_assert_int_eq(machine_saver_create(f.m, NULL, &s[i]), 0);
    }
    ck_assert_int_eq(machine_saver_create(f.m, NULL, &s[MACHINE_SAVERS_MAX]), COORD_EBUSY);
    do_set(&f, "/a", "y");
    machine_saver_destroy(s[0]);
    do_set(&f, "/a", "z");
    ck_assert_int_eq(machine_saver_create(f.m, NULL, &s[0]), 0);
    for (int i = 0; i < MACHINE_SAVERS_MAX; i++) {
        machine_saver_destroy(s[i]);
    }
    machine_saver_destroy(NULL);
    do_delete(&f, "/a");
    fixture_close(&f);
}
END_TEST

/* --- images ------------------------------------------------------------------------------------ */

START_TEST(images_come_back_in_order)
{
    enum { COUNT = 500 };
    struct images im;
    char path[COUNT][PATH_ROOM];
    uint64_t left = 0;
    seed_set(7);
    images_init(&im);
    ck_assert_ptr_null(images_first(&im));
    for (int i = 0; i < COUNT; i++) {
        struct place p = {rnd(3) == 0 ? 1 + rnd(50) : 0, {NULL, 0}};
        struct image *image;
        if (p.session == 0) {
            random_path(path[i]);
            p.path =
                (struct coord_bytes){(const uint8_t *)path[i] + 1, (uint32_t)strlen(path[i]) - 1};
        }
        if (!images_has(&im, &p)) {
            ck_assert_int_eq(images_add(&im, &p, 4, &image), 0);
            ck_assert(images_has(&im, &p));
            left++;
        }
    }
    struct place last = {0, {NULL, 0}};
    uint8_t last_path[PATH_ROOM];
    for (uint64_t n = 0; n < left; n++) {
        const struct image *image = images_first(&im);
        struct place now = image->place;
        ck_assert(n == 0 || place_compare(&last, &now) < 0);
        ck_assert(n == 0 || place_compare(&now, &last) > 0);
        last = now;
        memcpy(last_path, now.path.data, now.path.len);
        last.path.data = last_path;
        images_drop_first(&im);
        ck_assert(!images_has(&im, &last));
    }
    ck_assert_uint_eq(im.count, 0);
    ck_assert_uint_eq(im.bytes, 0);
    images_finish(&im);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine_saver");
    TCase *t = tcase_create("saver");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, what_comes_out_is_the_state_of_the_start, 0, 10);
    tcase_add_test(t, each_change_at_each_place_is_kept_from_the_copy);
    tcase_add_test(t, a_slice_is_as_long_as_it_was_told);
    tcase_add_test(t, a_slice_ends_when_the_one_who_is_asked_says_so);
    tcase_add_test(t, large_data_is_cut_within_and_kept_without_a_copy);
    tcase_add_test(t, answers_are_cut_within_and_kept_without_a_copy);
    tcase_add_test(t, what_is_kept_is_bounded_by_the_state);
    tcase_add_test(t, no_more_savers_than_allowed_and_an_abandoned_one_leaves_nothing);
    tcase_add_test(t, images_come_back_in_order);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
