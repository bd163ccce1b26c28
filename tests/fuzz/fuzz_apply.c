/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no sequence of entries, well formed or not, crashes the state machine, breaks the tree, makes
 * two members differ, or leads to a state that cannot be saved and loaded (bad input I7, I9, I12; T1,
 * T2, T5).
 * Method: the same entries go to two machines, one of which is now and then replaced by a fresh one
 * loaded from the other's saved state. After each entry outcomes, digests and the tree's own check are
 * compared, and the answer is decoded as a client would.
 * Input: commands of one byte each, with their arguments behind them.
 */
#include "protocol/buf.h"
#include "server/machine/machine_internal.h"
#include "tests/fuzz/fuzz.h"

#define ENTRIES_MAX     400
#define ENTRY_BYTES_MAX 4096
#define REVISION_MAX    (UINT64_C(1) << 62)

struct run {
    struct fuzz_input in;
    struct machine_limits limits;
    struct machine *m;
    struct machine *twin;
    uint64_t revision;
    uint64_t time_ms;
    uint64_t sessions[4]; /* opened last */
    uint32_t opened;
    size_t len; /* of the last entry */
    uint8_t entry[ENTRY_BYTES_MAX];
};

/* --- the two machines ------------------------------------------------------------------------ */

static void check_state(const struct machine *m)
{
    const char *wrong = store_check(m->state.store);
    FUZZ_CHECK(wrong == NULL, wrong);
}

static void check_same(const struct run *r)
{
    FUZZ_CHECK(machine_digest(r->m) == machine_digest(r->twin), "equal entries, equal states");
    check_state(r->m);
    check_state(r->twin);
}

static int bytes_equal(const struct coord_bytes *a, const struct coord_bytes *b)
{
    return a->len == b->len && (a->data == NULL) == (b->data == NULL) &&
           (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static int changes_equal(const struct coord_change *a, const struct coord_change *b)
{
    return a->kind == b->kind && a->version == b->version &&
           a->create_revision == b->create_revision && bytes_equal(&a->path, &b->path) &&
           a->has_value == b->has_value && a->has_previous == b->has_previous &&
           bytes_equal(&a->value, &b->value) && bytes_equal(&a->previous, &b->previous);
}

static void check_outcomes(const struct machine_outcome *a, const struct machine_outcome *b)
{
    FUZZ_CHECK(a->origin == b->origin && a->cookie == b->cookie && a->op == b->op, "heads");
    FUZZ_CHECK(a->error == b->error && a->session == b->session, "errors");
    FUZZ_CHECK(a->attached_epoch == b->attached_epoch && a->ended_count == b->ended_count, "ends");
    FUZZ_CHECK((a->body == NULL) == (b->body == NULL), "bodies");
    FUZZ_CHECK(a->body == NULL || (a->body->len == b->body->len &&
                                   memcmp(a->body->data, b->body->data, a->body->len) == 0),
               "bodies");
    FUZZ_CHECK(a->changes_count == b->changes_count, "changes");
    for (uint32_t i = 0; i < a->changes_count; i++) {
        FUZZ_CHECK(changes_equal(&a->changes[i], &b->changes[i]), "changes");
    }
}

/* What the client gets can be read by it. The answer may be that of another operation, which a client
 * that breaks the rules sent under the same number. */
static void check_answer(const struct machine_outcome *o)
{
    static const enum coord_op ops[] = {COORD_OP_EVENT /* o->op */, COORD_OP_CREATE, COORD_OP_SET,
                                        COORD_OP_DELETE, COORD_OP_SESSION_CLOSE};
    const struct coord_receipt receipt = {.member = 1, .role = 4};
    struct coord_buf *frame = NULL;
    struct coord_result res;
    char why[128] = "";
    FUZZ_CHECK(o->error <= 0 && o->error > -64, "an error of a server");
    FUZZ_CHECK(o->error == 0 || o->changes_count == 0, "what failed changes nothing");
    if (o->body == NULL) {
        return;
    }
    struct coord_bytes body = {o->body->data, o->body->len};
    FUZZ_CHECK(coord_reply_join(1, o->error, &receipt, body, &frame) == 0, "a reply");
    int readable = 0;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]) && !readable; i++) {
        enum coord_op op = i == 0 ? o->op : ops[i];
        readable =
            coord_result_decode(op, frame->data + COORD_FRAME_HEADER_BYTES,
                                frame->len - COORD_FRAME_HEADER_BYTES, &res, why, sizeof(why)) == 0;
    }
    FUZZ_CHECK(readable, why);
    FUZZ_CHECK(res.error == o->error, "the error arrives");
    coord_buf_unref(frame);
}

static void apply(struct run *r)
{
    struct machine_outcome a;
    struct machine_outcome b;
    r->revision++;
    machine_apply(r->m, r->revision, r->entry, r->len, &a);
    machine_apply(r->twin, r->revision, r->entry, r->len, &b);
    check_outcomes(&a, &b);
    check_answer(&a);
    check_same(r);
    if (a.op == COORD_OP_SESSION_OPEN && a.error == 0 && a.session != 0) {
        r->sessions[r->opened++ % 4] = a.session;
    }
}

/* A member that was away: from a snapshot. */
static void replace_twin(struct run *r)
{
    char why[200] = "";
    struct coord_buf *saved = machine_save(r->m);
    struct machine *fresh = machine_create(&r->limits);
    FUZZ_CHECK(saved != NULL && fresh != NULL, "memory");
    FUZZ_CHECK(machine_load(fresh, saved->data, saved->len, why, sizeof(why)) == 0, why);
    struct coord_buf *again = machine_save(fresh);
    FUZZ_CHECK(again != NULL && again->len == saved->len &&
                   memcmp(again->data, saved->data, saved->len) == 0,
               "loaded and saved are the same bytes");
    coord_buf_unref(saved);
    coord_buf_unref(again);
    machine_destroy(r->twin);
    r->twin = fresh;
    check_same(r);
}

/* --- entries --------------------------------------------------------------------------------- */

static struct coord_bytes path(struct run *r)
{
    static const char *const paths[] = {
        "/",       "/a",   "/b",       "/a/b",   "/a/c", "/a/b/c", "/a/b/d", "/a/b/c/d",
        "/b/seq-", "/b/x", "/b/x/y/z", "/coord", "/e/",  "/é",     "/a/é",   "/a/b-0000000001",
    };
    uint8_t which = fuzz_u8(&r->in);
    struct coord_bytes p;
    if (which < 240) {
        p.data = (const uint8_t *)paths[which % 16];
        p.len = (uint32_t)strlen(paths[which % 16]);
        return p;
    }
    p.len = (uint32_t)fuzz_bytes(&r->in, fuzz_u8(&r->in), &p.data);
    return p;
}

static uint64_t session(struct run *r)
{
    uint8_t which = fuzz_u8(&r->in);
    return which < 128 ? 0 : which < 250 ? r->sessions[which % 4] : fuzz_near(&r->in, r->revision);
}

static void head(struct run *r, enum entry_kind kind, size_t body_bytes)
{
    struct entry e = {.kind = kind, .origin = 1, .cookie = r->revision};
    uint8_t how = fuzz_u8(&r->in);
    e.session = kind == ENTRY_OPEN || kind == ENTRY_EXPIRE || kind == ENTRY_LIMITS ? 0 : session(r);
    struct machine_session s = {0};
    (void)machine_session_get(r->m, e.session, &s); /* none: epoch 0 */
    e.epoch = (how & 15) == 15 ? fuzz_near(&r->in, s.epoch) : s.epoch;
    r->time_ms = how >= 240 ? fuzz_near(&r->in, r->time_ms) : r->time_ms + (how >> 4) * 1000;
    e.time_ms = r->time_ms;
    e.body_bytes = (uint32_t)body_bytes;
    entry_header_encode(&e, r->entry);
    r->len = ENTRY_HEADER_BYTES + body_bytes;
}

static void raw_entry(struct run *r)
{
    const uint8_t *bytes;
    r->len = fuzz_bytes(&r->in, fuzz_u8(&r->in), &bytes);
    memcpy(r->entry, bytes, r->len);
}

static void raw_body(struct run *r)
{
    const uint8_t *bytes;
    enum entry_kind kind = (enum entry_kind)(1 + fuzz_u8(&r->in) % ENTRY_LIMITS);
    size_t len = fuzz_bytes(&r->in, fuzz_u8(&r->in), &bytes);
    memcpy(r->entry + ENTRY_HEADER_BYTES, bytes, len);
    head(r, kind, len);
}

/* Put the encoding of q behind `before` bytes of the body. */
static size_t put_request(struct run *r, const struct coord_request *q, size_t before)
{
    struct coord_buf *b = NULL;
    FUZZ_CHECK(coord_request_encode(q, &b) == 0, "a request");
    size_t len = b->len - COORD_FRAME_HEADER_BYTES;
    FUZZ_CHECK(ENTRY_HEADER_BYTES + before + len <= sizeof(r->entry), "requests are small");
    memcpy(r->entry + ENTRY_HEADER_BYTES + before, b->data + COORD_FRAME_HEADER_BYTES, len);
    coord_buf_unref(b);
    return before + len;
}

static void request(struct run *r)
{
    static const enum coord_op ops[] = {
        COORD_OP_CREATE, COORD_OP_CREATE, COORD_OP_SESSION_END,   COORD_OP_SET,
        COORD_OP_DELETE, COORD_OP_DELETE, COORD_OP_SESSION_CLOSE, COORD_OP_GET};
    uint8_t what = fuzz_u8(&r->in);
    struct coord_request q = {.op = ops[what & 7], .expect_version = COORD_VERSION_ANY};
    q.number = 1 + fuzz_u8(&r->in) % 16;
    q.acked = what >> 5;
    if ((what & 16) != 0) {
        q.number = fuzz_near(&r->in, q.number);
        q.acked = fuzz_near(&r->in, q.number);
    }
    q.path = path(r);
    if (q.op == COORD_OP_CREATE) {
        uint8_t flags = fuzz_u8(&r->in);
        q.flags = flags & 31;
        q.ttl_ms = (flags & COORD_F_TTL) != 0 ? 5000 : 0;
        if (flags >= 224) {
            q.ttl_ms = fuzz_near(&r->in, 5000);
        }
    } else if (q.op == COORD_OP_SESSION_END) {
        q.session = session(r);
    } else if ((what & 8) != 0) {
        q.expect_version = (int64_t)(fuzz_near(&r->in, 1) >> 1);
        q.expect_modified = fuzz_near(&r->in, 0);
        q.expect_created = fuzz_near(&r->in, 0);
    }
    uint8_t data = fuzz_u8(&r->in);
    if (data > 0) {
        q.data.len = (uint32_t)fuzz_bytes(&r->in, (data - 1u) % 80, &q.data.data);
    }
    head(r, ENTRY_REQUEST, put_request(r, &q, 0));
}

static void open_session(struct run *r)
{
    struct coord_request q = {.number = 1, .op = COORD_OP_SESSION_OPEN};
    q.timeout_ms = fuzz_near(&r->in, 10000);
    memset(r->entry + ENTRY_HEADER_BYTES, 7, COORD_SECRET_BYTES);
    head(r, ENTRY_OPEN, put_request(r, &q, COORD_SECRET_BYTES));
}

static void attach(struct run *r)
{
    memset(r->entry + ENTRY_HEADER_BYTES, fuzz_u8(&r->in) == 255 ? 8 : 7, COORD_SECRET_BYTES);
    head(r, ENTRY_ATTACH, COORD_SECRET_BYTES);
}

static void expire(struct run *r)
{
    size_t pairs = fuzz_u8(&r->in) % 5;
    for (size_t i = 0; i < pairs; i++) {
        uint64_t pair[2] = {session(r), 0};
        struct machine_session s = {0};
        (void)machine_session_get(r->m, pair[0], &s); /* none: epoch 0 */
        pair[1] = fuzz_near(&r->in, s.epoch);
        memcpy(r->entry + ENTRY_HEADER_BYTES + i * sizeof(pair), pair, sizeof(pair));
    }
    head(r, ENTRY_EXPIRE, pairs * 16);
}

/* What a leader would propose whose clock is ahead, and whose state may be that of some entries ago; or
 * candidates of any kind. */
static void reap(struct run *r)
{
    uint8_t what = fuzz_u8(&r->in);
    uint8_t *body = r->entry + ENTRY_HEADER_BYTES;
    if (what < 128) {
        struct machine_reap_found found;
        const struct machine_reap_ask ask = {.time_ms = r->time_ms + what * 100u,
                                             .since = fuzz_near(&r->in, r->revision),
                                             .also = fuzz_near(&r->in, r->revision),
                                             .nodes_max = 1 + what % 3,
                                             .bytes_max = sizeof(r->entry) - ENTRY_HEADER_BYTES,
                                             .out = body};
        machine_reap_collect(r->m, &ask, &found);
        head(r, ENTRY_REAP, found.bytes);
        return;
    }
    size_t len = 0;
    for (uint32_t i = what % 4; i > 0; i--) {
        struct coord_bytes p = path(r);
        uint64_t created = fuzz_near(&r->in, r->revision);
        memcpy(body + len, &created, sizeof(created));
        body[len + 8] = (uint8_t)p.len;
        body[len + 9] = 0;
        memcpy(body + len + 10, p.data, p.len);
        len += 10 + p.len;
    }
    head(r, ENTRY_REAP, len);
}

/* The limits of the run, one of them anything. */
static void limits(struct run *r)
{
    uint32_t at = fuzz_u8(&r->in) % MACHINE_LIMITS_COUNT;
    machine_limits_encode(machine_limits(r->m), r->entry + ENTRY_HEADER_BYTES);
    uint64_t value = fuzz_near(&r->in, machine_limits_get(machine_limits(r->m), at));
    memcpy(r->entry + ENTRY_HEADER_BYTES + (size_t)at * 8, &value, sizeof(value));
    head(r, ENTRY_LIMITS, MACHINE_LIMITS_BYTES);
}

/* --- reading --------------------------------------------------------------------------------- */

static void read_state(struct run *r)
{
    static const enum coord_op ops[] = {COORD_OP_GET, COORD_OP_EXISTS, COORD_OP_STAT,
                                        COORD_OP_LIST};
    struct coord_request q = {.number = 1};
    struct coord_result res;
    struct coord_buf *frame = NULL;
    uint8_t what = fuzz_u8(&r->in);
    q.op = ops[what & 3];
    q.flags = what >> 5;
    q.limit = fuzz_near(&r->in, 2);
    q.path = path(r);
    q.after = path(r);
    if ((what & 4) != 0 && q.after.len > 0) {
        q.after.data++; /* a name rather than a path */
        q.after.len--;
    }
    int rc = machine_read(r->m, &q, &res);
    FUZZ_CHECK(rc == res.error, "one answer");
    res.number = 1;
    FUZZ_CHECK(coord_result_encode(q.op, &res, &frame) == 0, "that can be sent");
    coord_buf_unref(frame);
}

static void command(struct run *r)
{
    uint8_t what = fuzz_u8(&r->in) % 16;
    void (*const make[])(struct run *) = {raw_entry, raw_body, open_session, attach, expire};
    if (what < 5) {
        make[what](r);
        apply(r);
    } else if (what == 5) {
        replace_twin(r);
    } else if (what == 6 || what == 7) {
        read_state(r);
    } else if (what == 8) {
        uint64_t next = fuzz_near(&r->in, r->revision + 1);
        if (next > r->revision && next < REVISION_MAX) {
            r->revision = next;
            machine_skip(r->m, next);
            machine_skip(r->twin, next);
        }
    } else if (what == 10) {
        reap(r);
        apply(r);
    } else if (what == 15) {
        limits(r);
        apply(r);
    } else if (what == 9 && r->len > 0) {
        apply(r); /* the same again, as after a retry */
    } else {
        request(r);
        apply(r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct run r;
    memset(&r, 0, sizeof(r));
    r.in = (struct fuzz_input){bytes, len};
    r.time_ms = 1700000000000;
    machine_limits_init(&r.limits);
    r.limits.data_bytes = 64;
    r.limits.sessions = 3;
    r.limits.answers = 3;
    r.limits.list_entries = 4;
    r.limits.list_bytes = 200;
    r.m = machine_create(&r.limits);
    r.twin = machine_create(&r.limits);
    FUZZ_CHECK(r.m != NULL && r.twin != NULL, "memory");
    for (int i = 0; i < ENTRIES_MAX && r.in.left > 0; i++) {
        command(&r);
    }
    replace_twin(&r);
    machine_destroy(r.m);
    machine_destroy(r.twin);
    return 0;
}
