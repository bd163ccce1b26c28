/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the oracle's model of the tree agrees with the real state machine in everything, and notices any
 * difference. Method: long random histories of every operation run through the real machine and are told to the
 * oracle: entries, answers, reads of now and of earlier revisions. Nothing may be said. Then the same with
 * one outcome changed in one detail: it must be named.
 */
#include <stdio.h>
#include "tests/unit/test_service_oracle_rig.h"

static uint64_t seed_state;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

struct text {
    char s[64];
};

static struct coord_bytes random_path(struct text *t)
{
    static const char *const names[] = {"a", "b", "a-b", "c"};
    size_t at = 0;
    uint64_t depth = 1 + rnd(3);
    for (uint64_t i = 0; i < depth; i++) {
        at += (size_t)snprintf(t->s + at, sizeof(t->s) - at, "/%s", names[rnd(4)]);
    }
    if (rnd(12) == 0) {
        (void)snprintf(t->s, sizeof(t->s), "/a/b%010u", (unsigned)rnd(4));
    }
    return str(rnd(60) == 0 ? "/" : t->s);
}

static struct coord_bytes random_data(struct text *t)
{
    uint64_t kind = rnd(8);
    (void)snprintf(t->s, sizeof(t->s), kind < 5 ? "%d" : "v%d", (int)rnd(2000) - 1000);
    return kind == 7 ? (struct coord_bytes){NULL, 0} : str(kind == 6 ? "" : t->s);
}

static uint32_t create_flags(void)
{
    static const uint32_t kinds[] = {0,
                                     0,
                                     0,
                                     COORD_F_EPHEMERAL,
                                     COORD_F_CONTAINER,
                                     COORD_F_TTL,
                                     COORD_F_TTL | COORD_F_CONTAINER};
    uint32_t flags = kinds[rnd(7)];
    flags |= rnd(4) == 0 ? (uint32_t)COORD_F_SEQUENTIAL : 0;
    return flags | (rnd(3) > 0 ? (uint32_t)COORD_F_PARENTS : 0);
}

static void conditions(struct rig *r, struct coord_request *q)
{
    q->expect_version = rnd(8) == 0 ? (int64_t)rnd(3) : COORD_VERSION_ANY;
    q->expect_modified = rnd(10) == 0 ? r->f.revision - rnd(5) : 0;
    q->expect_created = rnd(10) == 0 ? r->f.revision - rnd(9) : 0;
}

/* A write on one node, or on a subtree. p, d: room for its texts. */
static struct coord_request random_write(struct rig *r, struct text p[2], struct text *d, bool txn)
{
    static const enum coord_op ops[] = {
        COORD_OP_CREATE, COORD_OP_CREATE, COORD_OP_CREATE, COORD_OP_SET,       COORD_OP_SET,
        COORD_OP_DELETE, COORD_OP_DELETE, COORD_OP_RENAME, COORD_OP_INCREMENT, COORD_OP_QUOTA};
    struct coord_request q = {.op = ops[rnd(txn ? 9 : 10)]};
    q.path = random_path(&p[0]);
    q.to = random_path(&p[1]);
    q.data = random_data(d);
    conditions(r, &q);
    if (q.op == COORD_OP_CREATE) {
        q.flags = create_flags();
        q.ttl_ms = (q.flags & COORD_F_TTL) != 0 ? 1 + rnd(1000) : 0;
    } else if (q.op == COORD_OP_DELETE) {
        q.flags = rnd(2) == 0 ? (uint32_t)COORD_DELETE_RECURSIVE : 0;
    }
    q.delta = (int64_t)rnd(100) - 50;
    q.quota_nodes = rnd(4) == 0 && q.path.len > 1 ? 4 + rnd(30) : 0;
    q.quota_bytes = rnd(4) == 0 && q.path.len > 1 ? 20 + rnd(200) : 0;
    return q;
}

static uint32_t random_ops(struct rig *r, struct coord_buf **out)
{
    uint32_t count = (uint32_t)rnd(4);
    for (uint32_t i = 0; i < count; i++) {
        struct text p[2];
        struct text d;
        struct coord_request q = random_write(r, p, &d, true);
        if (rnd(4) == 0) {
            q.op = rnd(2) == 0 ? COORD_OP_GET : COORD_OP_EXISTS;
        }
        ck_assert_int_eq(coord_txn_op_encode(&q, out), 0);
    }
    return count;
}

static struct coord_items items(uint32_t count, const struct coord_buf *b)
{
    struct coord_items i = {.count = count};
    if (b != NULL) {
        i.raw = (struct coord_bytes){b->data, b->len};
    }
    return i;
}

static const char *random_txn(struct rig *r)
{
    struct coord_buf *b[3] = {NULL, NULL, NULL};
    uint32_t ifs = (uint32_t)rnd(3);
    struct coord_request q = {.op = COORD_OP_TXN};
    for (uint32_t i = 0; i < ifs; i++) {
        struct text p;
        struct text d;
        struct coord_if c = {.kind = (enum coord_when)(1 + rnd(9)), .path = random_path(&p)};
        c.number = rnd(2) == 0 ? rnd(3) : rnd(r->f.revision + 1);
        c.data = c.kind == COORD_WHEN_VALUE ? random_data(&d) : (struct coord_bytes){NULL, 0};
        ck_assert_int_eq(coord_if_encode(&c, &b[0]), 0);
    }
    uint32_t thens = random_ops(r, &b[1]);
    uint32_t elses = random_ops(r, &b[2]);
    q.ifs = items(ifs, b[0]);
    q.thens = items(thens, b[1]);
    q.elses = items(elses, b[2]);
    const char *said = rig_write(r, q);
    for (int i = 0; i < 3; i++) {
        coord_buf_unref(b[i]);
    }
    return said;
}

static struct coord_request random_read(struct text *p)
{
    static const enum coord_op ops[] = {COORD_OP_GET,  COORD_OP_EXISTS, COORD_OP_STAT,
                                        COORD_OP_LIST, COORD_OP_LIST,   COORD_OP_USAGE};
    struct coord_request q = {
        .op = ops[rnd(6)], .path = random_path(p), .level = COORD_LEVEL_LOCAL};
    if (q.op == COORD_OP_LIST) {
        q.flags = (uint32_t)rnd(16);
        q.limit = rnd(3) == 0 ? 1 + rnd(5) : 0;
        q.after = rnd(3) == 0 ? str("a") : (struct coord_bytes){NULL, 0};
        q.path = rnd(3) == 0 ? str("/") : q.path;
    }
    return q;
}

/* An answer that is given later. */
static struct {
    struct text p;
    struct coord_request q;
    struct coord_result res;
    struct coord_buf *reply;
} kept;

static const char *random_reads(struct rig *r)
{
    if (kept.reply != NULL) {
        const char *said = rig_answer(r, rig_call(r, &kept.q), &kept.res);
        coord_buf_unref(kept.reply);
        kept.reply = NULL;
        if (said != NULL) {
            return said;
        }
    }
    kept.q = random_read(&kept.p);
    rig_read(r, &kept.q);
    if (rnd(2) == 0) {
        kept.res = r->f.res;
        kept.res.receipt.age_ms = UINT64_MAX;
        kept.reply = coord_buf_ref(r->f.reply);
        return NULL;
    }
    uint64_t call = rig_call(r, &kept.q);
    return rig_answer(r, call, &r->f.res);
}

static const char *random_session(struct rig *r)
{
    uint8_t secret[COORD_SECRET_BYTES];
    const struct coord_request q = {.op = COORD_OP_SESSION_CLOSE};
    const char *said = NULL;
    fixture_secret(rnd(5) == 0 ? 8 : 7, secret);
    switch (rnd(4)) {
    case 3:
        said = rig_write(
            r, (struct coord_request){.op = COORD_OP_SESSION_END,
                                      .session = rnd(4) == 0 ? r->session + 1 : r->session});
        break;
    case 0:
        r->now += 60000 * RIG_MS;
        said = rig_expire(r);
        break;
    case 1:
        said = rig_write(r, q);
        break;
    default:
        (void)fixture_apply(&r->f, (struct entry){.kind = ENTRY_ATTACH, .session = r->session},
                            NULL, 0, secret, sizeof(secret));
        said = rig_tell(r);
        r->epoch = r->f.o.attached_epoch != 0 ? r->f.o.attached_epoch : r->epoch;
        return said;
    }
    if (said == NULL) {
        rig_session(r, 5000);
        r->number = 0;
    }
    return said;
}

/* Under its old number, with its old answer. */
static const char *repeat(struct rig *r)
{
    const struct coord_request q = {.op = r->last_op,
                                    .number = r->number,
                                    .path = str("/a"),
                                    .to = str("/b"),
                                    .expect_version = COORD_VERSION_ANY};
    return r->number == 0 || q.op == 0 || r->session == 0 ? NULL : rig_apply(r, &q);
}

static uint32_t reaped;

/* What a leader finds to be removed, some time later. */
static const char *reap(struct rig *r)
{
    static uint8_t body[64 * 1024];
    struct machine_reap_found found;
    r->f.time_ms += rnd(300);
    const struct machine_reap_ask ask = {.time_ms = r->f.time_ms + rnd(500),
                                         .since = r->f.revision,
                                         .nodes_max = 64,
                                         .bytes_max = sizeof(body),
                                         .out = body};
    machine_reap_collect(r->f.m, &ask, &found);
    (void)fixture_apply(&r->f, (struct entry){.kind = ENTRY_REAP}, NULL, 0, body, found.bytes);
    reaped += r->f.o.changes_count;
    return rig_tell(r);
}

/* Other limits from now on. */
static const char *limits(struct rig *r, bool low)
{
    uint8_t body[MACHINE_LIMITS_BYTES];
    struct machine_limits l;
    machine_limits_init(&l);
    if (low) {
        l.data_bytes = 3 + (uint32_t)rnd(10);
        l.sessions = 1 + (uint32_t)rnd(5);
        l.answers = 1 + (uint32_t)rnd(40);
        l.txn_operations = 1 + (uint32_t)rnd(4);
        l.subtree_nodes = 1 + (uint32_t)rnd(10);
        l.list_entries = 1 + (uint32_t)rnd(9);
        l.store_bytes = 1000 + rnd(30000);
    }
    machine_limits_encode(&l, body);
    (void)fixture_apply(&r->f, (struct entry){.kind = ENTRY_LIMITS}, NULL, 0, body, sizeof(body));
    return rig_tell(r);
}

static const char *step(struct rig *r)
{
    struct text p[2];
    struct text d;
    uint64_t kind = rnd(100);
    if (kind < 3) {
        return random_session(r);
    }
    if (kind < 5) {
        return repeat(r);
    }
    if (kind < 25) {
        return random_txn(r);
    }
    if (kind < 50) {
        return random_reads(r);
    }
    if (kind < 53) {
        return reap(r);
    }
    if (kind == 53 && rnd(6) == 0) {
        return limits(r, rnd(4) > 0);
    }
    if (kind == 53) {
        machine_skip(r->f.m, ++r->f.revision);
        const struct oracle_applied a = {.member = 1, .revision = r->f.revision};
        return oracle_applied(r->o, &a, r->now);
    }
    struct coord_request q = random_write(r, p, &d, false);
    return rig_write(r, q);
}

static void run(struct rig *r, uint64_t seed, int steps)
{
    seed_state = seed * 0x9e3779b97f4a7c15u + 1;
    rig_open(r);
    rig_session(r, 5000);
    for (int i = 0; i < steps; i++) {
        RIG_OK(step(r));
    }
    RIG_OK(limits(r, false));
}

static void end(struct rig *r)
{
    coord_buf_unref(kept.reply);
    kept.reply = NULL;
    rig_close(r);
}

START_TEST(test_agrees)
{
    struct rig r;
    struct oracle_counts c;
    run(&r, (uint64_t)_i + 1, 3000);
    oracle_counts(r.o, &c);
    ck_assert_uint_gt(reaped, 5);
    ck_assert_uint_gt(c.writes, 700);
    ck_assert_uint_gt(c.reads, 300);
    ck_assert_uint_gt(c.changes, 250);
    ck_assert_uint_gt(c.repeats, 5);
    ck_assert_uint_gt(c.expired, 3);
    end(&r);
}
END_TEST

/* One detail of one outcome is another. */
enum detail { KIND, PATH, VERSION, CREATED, VALUE, PREVIOUS, FEWER, MORE, ERROR, BODY, DETAILS };

START_TEST(test_notices)
{
    struct rig r;
    struct coord_change c[3];
    struct coord_buf *body = NULL;
    run(&r, 77, 300);
    struct coord_request q = {.op = COORD_OP_CREATE, .number = ++r.number, .path = str("/new")};
    RIG_OK(rig_write(
        &r, (struct coord_request){.op = COORD_OP_CREATE, .path = str("/new"), .data = str("1")}));
    q = (struct coord_request){.op = COORD_OP_SET,
                               .number = ++r.number,
                               .path = str("/new"),
                               .data = str("2"),
                               .expect_version = COORD_VERSION_ANY};
    (void)rig_call(&r, &q);
    (void)fixture_request(&r.f, r.session, r.epoch, &q);
    ck_assert_uint_eq(r.f.o.changes_count, 1);
    c[0] = r.f.o.changes[0];
    c[1] = c[0];
    r.f.o.changes = c;
    body = coord_buf_copy(r.f.o.body->data, r.f.o.body->len);
    switch ((enum detail)_i) {
    case KIND:
        c[0].kind = COORD_CHANGE_CREATED;
        break;
    case PATH:
        c[0].path = str("/old");
        break;
    case VERSION:
        c[0].version++;
        break;
    case CREATED:
        c[0].create_revision--;
        break;
    case VALUE:
        c[0].value = str("3");
        break;
    case PREVIOUS:
        c[0].previous = str("0");
        break;
    case FEWER:
        r.f.o.changes_count = 0;
        break;
    case MORE:
        r.f.o.changes_count = 2;
        break;
    case ERROR:
        r.f.o.error = COORD_ECONDITION;
        break;
    default:
        body->data[body->len - 1] ^= 1;
        r.f.o.body = body;
        break;
    }
    RIG_BREAKS("M1", rig_tell(&r));
    coord_buf_unref(body);
    end(&r);
}
END_TEST

/* One field of one answer is another. */
START_TEST(test_notices_reads)
{
    struct rig r;
    run(&r, 78, 300);
    RIG_OK(rig_write(
        &r, (struct coord_request){.op = COORD_OP_CREATE, .path = str("/new"), .data = str("1")}));
    RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_CREATE, .path = str("/new/x")}));
    struct coord_request q = {.op = COORD_OP_GET, .path = str("/new")};
    q.op = _i >= 14 ? COORD_OP_LIST : q.op;
    q.op = _i == 16 ? COORD_OP_USAGE : _i == 17 ? COORD_OP_EXISTS : q.op;
    rig_read(&r, &q);
    struct coord_result res = r.f.res;
    uint64_t *numbers[] = {
        &res.stat.create_revision, &res.stat.modify_revision, &res.stat.child_revision,
        &res.stat.version,         &res.stat.child_version,   &res.stat.acl_version,
        &res.stat.created_ms,      &res.stat.modified_ms,     &res.stat.owner,
        &res.stat.ttl_ms,          &res.stat.data_bytes,      &res.stat.children};
    if (_i < 12) {
        (*numbers[_i])++;
    } else if (_i == 12) {
        res.data = str("2");
    } else if (_i == 13) {
        res.error = COORD_ENONODE;
    } else if (_i == 14) {
        res.count++;
    } else if (_i == 15) {
        res.more = true;
    } else {
        res.usage.nodes++;
        res.exists = false;
    }
    uint64_t call = rig_call(&r, &q);
    RIG_BREAKS("M3", rig_answer(&r, call, &res));
    end(&r);
}
END_TEST

/* A member that is behind cuts its pages by the limits that it knows. */
START_TEST(test_older_limits)
{
    struct rig r;
    struct coord_request q = {.op = COORD_OP_LIST, .path = str("/"), .level = COORD_LEVEL_LOCAL};
    run(&r, 79, 0);
    for (int i = 0; i < 12; i++) {
        RIG_OK(rig_write(&r, (struct coord_request){.op = COORD_OP_CREATE,
                                                    .path = str("/s"),
                                                    .flags = COORD_F_SEQUENTIAL}));
    }
    RIG_OK(limits(&r, true)); /* at most nine entries */
    rig_read(&r, &q);
    ck_assert(r.f.res.more);
    struct coord_result res = r.f.res;
    struct coord_buf *reply = coord_buf_ref(r.f.reply);
    res.receipt.age_ms = UINT64_MAX;
    RIG_OK(limits(&r, false));
    uint64_t call = rig_call(&r, &q);
    RIG_OK(rig_answer(&r, call, &res));
    res.receipt.revision = r.f.revision;
    call = rig_call(&r, &q);
    RIG_BREAKS("M3", rig_answer(&r, call, &res));
    coord_buf_unref(reply);
    end(&r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("service oracle: model");
    TCase *t = tcase_create("model");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, test_agrees, 0, 6);
    tcase_add_loop_test(t, test_notices, 0, DETAILS);
    tcase_add_loop_test(t, test_notices_reads, 0, 18);
    tcase_add_test(t, test_older_limits);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
