/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what the client says of a write is what became of it, whatever happened on the way: applied at
 * most once ever; DONE: once; FAILED and NOT_APPLIED: never, not even later; UNKNOWN: at most once.
 * Every request completes exactly once, and a session's writes apply in the order they were made. Who waits
 * for a quorum is told of none, and of doubt, only when its time is over. No more connections begin than are
 * allowed (invariant 8 of core.h).
 * Method: a client core against a model of an ensemble that follows docs/protocol.md (sessions,
 * numbers, acked, attachments) and breaks everything it may: connections at any byte, answers after
 * the write was applied, refusals, doubt, writes that apply late, sessions that end. One seed a run.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/convert.h"
#include "client/core/core.h"
#include "client/core/mem.h"
#include "protocol/buf.h"

#define MS         1000000ull
#define WRITES     120
#define INBOX_MAX  512
#define SESSIONS   64
#define NUMBERS    4096
#define LINKS      8192
#define FAIL_EVERY 7 /* each so manieth write is one that the state machine refuses */

/* A request at the servers. */
struct item {
    enum coord_op op;
    uint64_t number;
    uint64_t acked;
    uint64_t session; /* of the attachment it came through, 0 none */
    uint64_t epoch;
    uint64_t named; /* HELLO: the session */
    uint32_t write; /* CREATE: which */
};

struct session {
    bool alive;
    uint64_t epoch;
    uint64_t acked;
    int8_t answer[NUMBERS]; /* by number: 0 none, 1 applied, 2 refused for good */
    uint32_t last;          /* the newest write applied, plus 1 */
};

static struct {
    uint64_t seed;
    uint64_t now;
    struct coord__core *core;
    struct coord__arena arena;
    uint64_t link;
    uint64_t attached; /* session of the link */
    uint64_t epoch;    /* at which it was attached */
    bool greeted;
    bool calm; /* nothing breaks any more */
    struct item inbox[INBOX_MAX];
    size_t inbox_count;
    struct item limbo[INBOX_MAX]; /* may still be applied */
    size_t limbo_count;
    struct session sessions[SESSIONS];
    uint64_t sessions_count;
    uint64_t revision;
    int applied[WRITES];
    int told[WRITES];
    uint64_t id[WRITES];
    bool refused[WRITES]; /* at least once: it may be overtaken */
    enum coord_outcome outcome[WRITES];
    int reads;
    int reads_told;
    struct coord_buf *out;
    uint32_t servers;
    uint64_t pace_ns; /* four connections for each server in this */
    uint64_t begun[LINKS];
    size_t links;
} m;

static uint64_t draw(uint64_t below)
{
    m.seed ^= m.seed << 13;
    m.seed ^= m.seed >> 7;
    m.seed ^= m.seed << 17;
    return m.seed % below;
}

/* True in one of n cases, while things may break. */
static bool mishap(uint64_t n)
{
    return !m.calm && draw(n) == 0;
}

static void take_told(void);

/* --- the ensemble ------------------------------------------------------------------------------ */

/* Apply a write, if it still may be. Return: its answer: 1 applied, 2 refused for good, 0 ignored. */
static int apply(const struct item *it)
{
    struct session *s = &m.sessions[it->session];
    ck_assert_uint_lt(it->number, NUMBERS);
    if (!s->alive || s->epoch != it->epoch) {
        return 0;
    }
    if (s->answer[it->number] != 0) {
        return s->answer[it->number];
    }
    if (it->number <= s->acked) {
        return 0;
    }
    m.revision++;
    if (it->write % FAIL_EVERY == 0) {
        s->answer[it->number] = 2;
        return 2;
    }
    m.applied[it->write]++;
    ck_assert_msg(m.applied[it->write] == 1, "write %u is applied twice", it->write);
    /* What was refused once is tried again elsewhere and may be overtaken; nothing else is. */
    ck_assert_msg(it->write + 1 > s->last || m.refused[it->write], "write %u comes late",
                  it->write);
    s->last = it->write + 1 > s->last ? it->write + 1 : s->last;
    s->answer[it->number] = 1;
    return 1;
}

static void into_limbo(const struct item *it)
{
    if (it->op == COORD_OP_CREATE && it->session != 0 && m.limbo_count < INBOX_MAX) {
        m.limbo[m.limbo_count++] = *it;
    }
}

/* Apply the oldest in limbo: it is in the log, in the order of its connection. */
static void commit_one(void)
{
    if (m.limbo_count > 0) {
        (void)apply(&m.limbo[0]);
        m.limbo_count--;
        memmove(m.limbo, m.limbo + 1, m.limbo_count * sizeof(m.limbo[0]));
    }
}

/* The log goes on: what is in limbo is before what comes now, or is not in it at all. */
static void settle_limbo(void)
{
    for (uint64_t n = draw(m.limbo_count + 1); n > 0; n--) {
        commit_one();
    }
    m.limbo_count = 0;
}

/* What a broken connection brought: its first so many requests go into the log. */
static void lose_link(void)
{
    size_t kept = m.inbox_count > 0 ? (size_t)draw(m.inbox_count + 1) : 0;
    for (size_t i = 0; i < kept; i++) {
        into_limbo(&m.inbox[i]);
    }
    m.inbox_count = 0;
    m.link = 0;
    m.greeted = false;
    m.attached = 0;
}

static void cut(void)
{
    uint64_t link = m.link;
    lose_link();
    coord__core_lost(m.core, link, "cut", m.now);
}

/* The server says why, and what became of nothing. */
static void last_word(void)
{
    static const int errors[] = {COORD_EMOVED, COORD_ESHUTDOWN, COORD_EBADREQUEST};
    uint64_t link = m.link;
    struct coord_result res = {.error = errors[draw(3)]};
    res.text = (struct coord_bytes){(const uint8_t *)"the last word", 13};
    m.out->len = 0;
    ck_assert_int_eq(coord_result_encode(COORD_OP_STATUS, &res, &m.out), 0);
    coord__core_bytes(m.core, link, m.out->data, m.out->len, m.now);
    take_told();
    ck_assert_uint_ne(coord__core_link(m.core).id, link);
    ck_assert_ptr_nonnull(strstr(coord__core_why(m.core), "the last word"));
    lose_link();
}

static void reply(const struct item *it, struct coord_result *res)
{
    res->number = it->number;
    res->receipt.member = 1;
    res->receipt.revision = m.revision;
    res->receipt.level = COORD_LEVEL_LINEARIZABLE;
    m.out->len = 0;
    ck_assert_int_eq(coord_result_encode(it->op, res, &m.out), 0);
    size_t len = m.out->len;
    if (mishap(40)) {
        size_t part = (size_t)draw(len);
        coord__core_bytes(m.core, m.link, m.out->data, part, m.now);
        cut();
        return;
    }
    coord__core_bytes(m.core, m.link, m.out->data, len, m.now);
}

static void reply_error(const struct item *it, int error)
{
    struct coord_result res = {.error = error};
    reply(it, &res);
}

static void serve_hello(const struct item *it)
{
    struct coord_result res = {.version = COORD_PROTOCOL_VERSION, .member = 1};
    res.limits = (struct coord_limits){.frame_bytes = 1u << 20,
                                       .data_bytes = 1u << 20,
                                       .outstanding = 1 + draw(16),
                                       .watches = 10,
                                       .session_min_ms = 1,
                                       .session_max_ms = 60000,
                                       .list_entries = 10,
                                       .txn_operations = 1024,
                                       .subtree_nodes = 10000};
    if (it->named != 0) {
        struct session *s = &m.sessions[it->named];
        if (mishap(5)) {
            reply_error(it, COORD_ENOQUORUM);
            return;
        }
        res.session_state = COORD_SESSION_GONE;
        settle_limbo();
        if (s->alive) {
            s->epoch = ++m.revision; /* what came through older attachments is void */
            m.attached = it->named;
            m.epoch = s->epoch;
            res.session_state = COORD_SESSION_RESUMED;
        }
    }
    m.greeted = true;
    reply(it, &res);
}

static void serve_open(const struct item *it)
{
    static const uint8_t secret[COORD_SECRET_BYTES] = {9};
    struct coord_result res = {.timeout_ms = 3000};
    if (mishap(4)) {
        reply_error(it, draw(2) == 0 ? COORD_ENOQUORUM : COORD_EINDOUBT);
        return;
    }
    ck_assert_uint_lt(m.sessions_count + 1, SESSIONS);
    uint64_t id = ++m.sessions_count;
    m.sessions[id].alive = true;
    m.sessions[id].epoch = ++m.revision;
    m.attached = id;
    m.epoch = m.sessions[id].epoch;
    res.session = id;
    res.secret = (struct coord_bytes){secret, sizeof(secret)};
    reply(it, &res);
}

static void serve_write(const struct item *it)
{
    struct coord_result res = {.path = {(const uint8_t *)"/x", 2}};
    struct session *s = &m.sessions[it->session];
    ck_assert_uint_ne(it->session, 0);
    if (!s->alive) {
        reply_error(it, COORD_EEXPIRED);
        return;
    }
    if (mishap(8)) {
        m.refused[it->write] = true;
        reply_error(it, draw(4) == 0 ? COORD_ESHUTDOWN : COORD_ENOQUORUM);
        return;
    }
    if (mishap(10)) {
        m.refused[it->write] = true;
        into_limbo(it);
        reply_error(it, COORD_EINDOUBT);
        return;
    }
    if (mishap(30)) {
        m.refused[it->write] = true;
        reply_error(it, COORD_EBUSY);
        return;
    }
    settle_limbo();
    int answer = apply(it);
    if (mishap(8)) {
        cut();
        return;
    }
    if (answer == 0) {
        reply_error(it, COORD_EBADREQUEST);
    } else if (answer == 2) {
        reply_error(it, COORD_EEXISTS);
    } else {
        reply(it, &res);
    }
}

static void serve_one(void)
{
    struct item it = m.inbox[0];
    m.inbox_count--;
    memmove(m.inbox, m.inbox + 1, m.inbox_count * sizeof(m.inbox[0]));
    if (it.op != COORD_OP_HELLO) {
        it.session = m.attached;
        it.epoch = m.epoch;
        struct session *s = &m.sessions[m.attached];
        s->acked = m.attached != 0 && it.acked > s->acked ? it.acked : s->acked;
    }
    switch (it.op) {
    case COORD_OP_HELLO:
        serve_hello(&it);
        break;
    case COORD_OP_SESSION_OPEN:
        serve_open(&it);
        break;
    case COORD_OP_CREATE:
        serve_write(&it);
        break;
    case COORD_OP_PING:
        reply_error(&it, !m.sessions[m.attached].alive ? COORD_EEXPIRED
                         : mishap(3)                   ? COORD_ENOQUORUM
                                                       : 0);
        break;
    default:
        reply_error(&it, mishap(6) ? COORD_ENOQUORUM : COORD_ENONODE);
        break;
    }
}

/* --- the client -------------------------------------------------------------------------------- */

static void take_frames(void)
{
    const uint8_t *bytes;
    size_t len = coord__core_output(m.core, &bytes);
    size_t at = 0;
    while (at < len && m.link != 0 && m.inbox_count < INBOX_MAX) {
        struct coord_request q;
        int64_t size = coord_frame_size(bytes + at, len - at, 1u << 20);
        ck_assert_int_gt(size, 0);
        ck_assert_int_eq(coord_request_decode(bytes + at + 4, (size_t)size - 4, &q, NULL, 0), 0);
        struct item it = {.op = q.op, .number = q.number, .acked = q.acked, .named = q.session};
        ck_assert_uint_lt(q.acked, q.number);
        if (q.op == COORD_OP_CREATE) {
            it.write = (uint32_t)strtoul((const char *)q.path.data + 1, NULL, 10);
            it.session = m.attached;
            it.epoch = m.epoch;
        }
        m.inbox[m.inbox_count++] = it;
        at += (size_t)size;
    }
    if (len > 0) {
        coord__core_sent(m.core, len);
    }
}

static void check_patience(const struct coord__out *out)
{
    const struct coord__request *r = out->request;
    if (r->wait_quorum && (out->error == COORD_ENOQUORUM || out->error == COORD_EINDOUBT)) {
        ck_assert_msg(m.now >= r->deadline, "request %llu is told %s before its time",
                      (unsigned long long)r->id, coord_errname(out->error));
    }
}

static void take_told(void)
{
    struct coord__out out;
    while (coord__core_next(m.core, &out)) {
        if (out.kind != COORD__OUT_REPLY) {
            continue;
        }
        check_patience(&out);
        ck_assert_int_ne(out.error, COORD_EPROTO); /* the ensemble speaks no nonsense */
        if (out.request->q.op == COORD_OP_GET) {
            m.reads_told++;
        } else {
            uint32_t write = (uint32_t)(uintptr_t)out.request->arg;
            m.told[write]++;
            ck_assert_msg(m.told[write] == 1, "write %u completes twice", write);
            m.outcome[write] = out.outcome;
        }
        coord__core_release(m.core, out.request);
    }
}

static void make_write(uint32_t n)
{
    char path[16];
    int len = snprintf(path, sizeof(path), "/%u", n);
    struct coord_request q = {.op = COORD_OP_CREATE};
    q.path = (struct coord_bytes){(const uint8_t *)path, (uint32_t)len};
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    ck_assert_ptr_nonnull(r);
    r->arg = (void *)(uintptr_t)n;
    r->wait_quorum = draw(3) == 0;
    ck_assert_int_eq(coord__core_submit(m.core, r, 200 + (uint32_t)draw(3000), m.now), 0);
    m.id[n] = r->id;
}

static void make_read(void)
{
    struct coord_request q = {.op = COORD_OP_GET, .path = {(const uint8_t *)"/r", 2}};
    q.level = draw(2) == 0 ? COORD_LEVEL_LOCAL : COORD_LEVEL_LINEARIZABLE;
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    ck_assert_ptr_nonnull(r);
    r->wait_quorum = draw(3) == 0;
    ck_assert_int_eq(coord__core_submit(m.core, r, 500, m.now), 0);
    m.reads++;
}

/* In any time no more than six for each server, and what that time brings. */
static void check_pace(void)
{
    for (size_t i = 0; i < m.links; i++) {
        uint64_t span = m.now - m.begun[i];
        uint64_t most = 6 * m.servers + 4 * m.servers * span / m.pace_ns + 1;
        ck_assert_msg(m.links - i <= most, "%zu connections in %llu ms, at most %llu are allowed",
                      m.links - i, (unsigned long long)(span / MS), (unsigned long long)most);
    }
}

static void follow_link(void)
{
    struct coord__link_wish wish = coord__core_link(m.core);
    if (wish.id == m.link) {
        return;
    }
    lose_link();
    if (wish.id == 0) {
        return;
    }
    ck_assert_uint_lt(m.links, LINKS);
    m.begun[m.links++] = m.now;
    check_pace();
    if (mishap(4)) {
        coord__core_lost(m.core, wish.id, "refused", m.now);
        return;
    }
    m.link = wish.id;
    coord__core_connected(m.core, wish.id, m.now);
}

static void step(void)
{
    m.now += draw(m.calm ? 20 : 60) * MS;
    coord__core_tick(m.core, m.now);
    take_told();
    follow_link();
    take_frames();
    for (uint64_t n = draw(4); n > 0 && m.inbox_count > 0 && m.link != 0; n--) {
        serve_one();
        take_told();
        if (coord__core_link(m.core).id != m.link) {
            lose_link();
        }
    }
    if (draw(3) == 0) {
        commit_one();
    }
    if (m.link != 0 && mishap(30)) {
        cut();
    }
    if (m.link != 0 && mishap(30)) {
        last_word();
    }
    if (mishap(120) && m.sessions_count > 0) {
        m.sessions[m.sessions_count].alive = false;
    }
    take_told();
}

static void judge(void)
{
    int unknown = 0;
    for (uint32_t n = 0; n < WRITES; n++) {
        ck_assert_msg(m.told[n] == 1, "write %u is told %d times", n, m.told[n]);
        bool fails = n % FAIL_EVERY == 0;
        switch (m.outcome[n]) {
        case COORD_OUTCOME_DONE:
            ck_assert_msg(m.applied[n] == 1 && !fails, "write %u is DONE, applied %d", n,
                          m.applied[n]);
            break;
        case COORD_OUTCOME_FAILED:
            ck_assert_msg(fails, "write %u is FAILED", n);
            break;
        case COORD_OUTCOME_NOT_APPLIED:
            ck_assert_msg(m.applied[n] == 0, "write %u is NOT_APPLIED, but was", n);
            break;
        default:
            unknown++;
            /* A late answer may have taught more. */
            if (coord__core_outcome(m.core, m.id[n]) == COORD_OUTCOME_DONE) {
                ck_assert_int_eq(m.applied[n], 1);
            }
            break;
        }
    }
    ck_assert_int_eq(m.reads, m.reads_told);
    ck_assert_int_lt(unknown, WRITES); /* a run in which nothing is known shows nothing */
}

START_TEST(outcomes_are_true)
{
    struct coord__core_options o = {.servers_count = 3,
                                    .name = "model",
                                    .session_timeout_ms = 3000,
                                    .connect_timeout_ms = 300,
                                    .backoff_min_ms = 5,
                                    .backoff_max_ms = 100,
                                    .in_order = true};
    memset(&m, 0, sizeof(m));
    m.seed = ((uint64_t)_i + 1) * 0x9e3779b97f4a7c15u;
    m.now = 1000 * MS;
    o.servers_count = 1 + (uint32_t)draw(3);
    o.backoff_max_ms = _i % 2 == 0 ? 100 : 1000;
    m.servers = o.servers_count;
    m.pace_ns = o.backoff_max_ms * MS;
    o.seed = draw(UINT64_MAX);
    m.out = coord_buf_create(1024);
    ck_assert_int_eq(coord__core_create(&o, m.now, &m.core), 0);
    uint32_t made = 0;
    for (int i = 0; i < 100000 && made < WRITES; i++) {
        for (uint64_t n = draw(3); n > 0 && made < WRITES; n--) {
            make_write(made++);
        }
        if (draw(3) == 0) {
            make_read();
        }
        step();
    }
    m.calm = true;
    for (int i = 0; i < 500; i++) {
        step();
    }
    judge();
    coord__core_close(m.core, m.now);
    take_told();
    coord__core_destroy(m.core);
    coord_buf_unref(m.out);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("client_model");
    TCase *t = tcase_create("outcomes");
    tcase_add_loop_test(t, outcomes_are_true, 0, 250);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
