/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_rig.c: see client_rig.h.
 *
 * Leaves to others: what is right (the tests).
 * Thread: one.
 */
#include "tests/lib/client_rig.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

void rig_options(struct coord__core_options *o, uint32_t servers)
{
    memset(o, 0, sizeof(*o));
    o->servers_count = servers;
    o->name = "rig";
    o->session_timeout_ms = 10000;
    o->connect_timeout_ms = 2000;
    o->backoff_min_ms = 20;
    o->backoff_max_ms = 1000;
    o->in_order = true;
    o->seed = 12345;
}

void rig_init(struct rig *r, const struct coord__core_options *o)
{
    memset(r, 0, sizeof(*r));
    r->now = 1000 * RIG_MS;
    r->epoch = 100;
    ck_assert_int_eq(coord__core_create(o, r->now, &r->core), 0);
}

void rig_finish(struct rig *r)
{
    coord__core_close(r->core, r->now);
    rig_run(r);
    coord__core_destroy(r->core);
    coord__arena_finish(&r->arena);
    r->core = NULL;
}

/* --- what comes out --------------------------------------------------------------------------- */

static void note_reply(struct rig *r, struct rig_told *t, const struct coord__out *out)
{
    struct coord_reply *reply = coord__convert_reply(out, &r->arena);
    ck_assert_ptr_nonnull(reply);
    if (r->reply != NULL) {
        r->reply(reply, r->reply_arg);
    }
    t->id = reply->request;
    t->error = reply->error;
    t->outcome = reply->outcome;
    t->revision = reply->revision;
    t->has_no_quorum = reply->no_quorum != NULL;
    t->needed = t->has_no_quorum ? reply->no_quorum->needed : 0;
    (void)snprintf(t->text, sizeof(t->text), "%s", reply->text);
    (void)snprintf(t->path, sizeof(t->path), "%s", reply->path);
    (void)snprintf(t->data, sizeof(t->data), "%s",
                   reply->data != NULL ? (const char *)reply->data : "");
    coord__core_release(r->core, out->request);
}

static void note_watch(struct rig *r, struct rig_told *t, const struct coord__out *out)
{
    struct coord_watch_event event;
    ck_assert(coord__convert_event(out, &r->arena, &event));
    t->id = event.watch;
    t->event = event.state;
    t->revision = event.revision;
    t->error = event.error;
    t->changes = event.changes_count;
    if (event.changes_count > 0) {
        (void)snprintf(t->path, sizeof(t->path), "%s", event.changes[0].path);
    }
    if (event.state == COORD_WATCH_ENDED) {
        coord__watch_free(out->watch);
    }
}

static void keep_items(struct coord_items *items, uint8_t out[RIG_ITEMS_BYTES])
{
    if (items->raw.len > RIG_ITEMS_BYTES) {
        items->raw = (struct coord_bytes){NULL, 0};
    } else if (items->raw.len > 0) {
        memcpy(out, items->raw.data, items->raw.len);
        items->raw.data = out;
    }
}

static void take_output(struct rig *r)
{
    const uint8_t *bytes;
    size_t len = coord__core_output(r->core, &bytes);
    size_t at = 0;
    while (at < len) {
        int64_t size = coord_frame_size(bytes + at, len - at, 1u << 30);
        char why[128] = "";
        ck_assert_int_gt(size, 0);
        ck_assert_uint_lt(r->sent_count, RIG_LOG_MAX);
        struct rig_sent *s = &r->sent[r->sent_count++];
        int err =
            coord_request_decode(bytes + at + COORD_FRAME_HEADER_BYTES,
                                 (size_t)size - COORD_FRAME_HEADER_BYTES, &s->q, why, sizeof(why));
        ck_assert_msg(err == 0, "the core sent nonsense: %s", why);
        s->bytes = (uint32_t)size;
        (void)snprintf(s->path, sizeof(s->path), "%.*s", (int)s->q.path.len,
                       s->q.path.data != NULL ? (const char *)s->q.path.data : "");
        (void)snprintf(s->data, sizeof(s->data), "%.*s", (int)s->q.data.len,
                       s->q.data.data != NULL ? (const char *)s->q.data.data : "");
        (void)snprintf(s->to, sizeof(s->to), "%.*s", (int)s->q.to.len,
                       s->q.to.data != NULL ? (const char *)s->q.to.data : "");
        keep_items(&s->q.ifs, s->ifs);
        keep_items(&s->q.thens, s->thens);
        keep_items(&s->q.elses, s->elses);
        at += (size_t)size;
    }
    if (len > 0) {
        coord__core_sent(r->core, len);
    }
}

static void take_told(struct rig *r)
{
    struct coord__out out;
    while (coord__core_next(r->core, &out)) {
        ck_assert_uint_lt(r->told_count, RIG_LOG_MAX);
        struct rig_told *t = &r->told[r->told_count++];
        memset(t, 0, sizeof(*t));
        t->kind = out.kind;
        if (out.kind == COORD__OUT_REPLY) {
            note_reply(r, t, &out);
        } else if (out.kind == COORD__OUT_STATE) {
            t->state = out.state;
        } else if (out.kind == COORD__OUT_WATCH) {
            note_watch(r, t, &out);
        } else {
            t->id = out.timer->id;
            t->error = out.error;
            coord__free(out.timer);
        }
        coord__arena_clear(&r->arena);
    }
}

/* As the shell does: everything that is due. A core that is always due would keep a processor
 * busy. */
void rig_run(struct rig *r)
{
    int turns = 0;
    do {
        if (coord__core_deadline(r->core) <= r->now) {
            coord__core_tick(r->core, r->now);
        }
        take_told(r);
        if (coord__core_link(r->core).id != r->link) {
            r->link = 0; /* the shell would close it */
        }
        take_output(r);
        ck_assert_msg(turns++ < 100, "the core is never done");
    } while (coord__core_deadline(r->core) <= r->now);
}

void rig_pass(struct rig *r, uint64_t ms)
{
    uint64_t end = r->now + ms * RIG_MS;
    rig_run(r);
    while (r->now < end) {
        uint64_t at = coord__core_deadline(r->core);
        r->now = at < end ? at : end;
        coord__core_tick(r->core, r->now);
        rig_run(r);
    }
}

/* --- the connection --------------------------------------------------------------------------- */

uint32_t rig_connect(struct rig *r)
{
    coord__core_tick(r->core, r->now);
    rig_run(r);
    for (int i = 0; i < 100 && coord__core_link(r->core).id == 0; i++) {
        rig_pass(r, 100);
    }
    struct coord__link_wish wish = coord__core_link(r->core);
    ck_assert_uint_ne(wish.id, 0);
    ck_assert_uint_ne(wish.id, r->link);
    r->link = wish.id;
    r->server = wish.server;
    coord__core_connected(r->core, r->link, r->now);
    rig_run(r);
    return wish.server;
}

uint32_t rig_greet(struct rig *r, enum coord_session_state state)
{
    uint32_t server = rig_connect(r);
    struct coord_result res = {.version = COORD_PROTOCOL_VERSION, .member = server + 1};
    res.limits.frame_bytes = 1u << 22;
    res.limits.data_bytes = 1u << 20;
    res.limits.outstanding = 1024;
    res.limits.watches = 10000;
    res.limits.txn_operations = 1024;
    res.session_state = state;
    rig_answer(r, rig_expect(r, COORD_OP_HELLO), &res);
    return server;
}

void rig_break(struct rig *r, const char *why)
{
    uint64_t link = coord__core_link(r->core).id;
    ck_assert_uint_ne(link, 0);
    r->link = 0;
    coord__core_lost(r->core, link, why, r->now);
    rig_run(r);
}

void rig_session(struct rig *r, uint64_t timeout_ms)
{
    static const uint8_t secret[COORD_SECRET_BYTES] = "0123456789abcde";
    uint64_t id = rig_create(r, "/first", 0, 5000);
    if (r->link == 0) {
        (void)rig_greet(r, COORD_SESSION_NONE);
    }
    struct coord_result res = {.session = 77, .timeout_ms = timeout_ms};
    res.secret.data = secret;
    res.secret.len = sizeof(secret);
    rig_answer(r, rig_expect(r, COORD_OP_SESSION_OPEN), &res);
    struct coord_result created = {.error = 0};
    created.path.data = (const uint8_t *)"/first";
    created.path.len = 6;
    rig_answer(r, rig_expect(r, COORD_OP_CREATE), &created);
    while (r->told_at < r->told_count && r->told[r->told_at].kind == COORD__OUT_STATE) {
        r->told_at++;
    }
    (void)rig_reply(r, id, 0);
}

/* --- answers ---------------------------------------------------------------------------------- */

struct rig_sent *rig_expect(struct rig *r, enum coord_op op)
{
    rig_run(r);
    ck_assert_msg(r->sent_at < r->sent_count, "%s was not sent", coord_op_name(op));
    struct rig_sent *s = &r->sent[r->sent_at++];
    ck_assert_msg(s->q.op == op, "%s was sent instead of %s", coord_op_name(s->q.op),
                  coord_op_name(op));
    return s;
}

void rig_expect_nothing(struct rig *r)
{
    rig_run(r);
    ck_assert_msg(r->sent_at == r->sent_count, "%s was sent",
                  coord_op_name(r->sent[r->sent_at].q.op));
}

void rig_bytes(struct rig *r, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    size_t step = r->split != 0 ? r->split : len;
    for (size_t done = 0; done < len; done += step) {
        size_t n = len - done < step ? len - done : step;
        coord__core_bytes(r->core, r->link, at + done, n, r->now);
        rig_run(r);
    }
}

struct coord_buf *rig_frame(struct rig *r, const struct rig_sent *s, struct coord_result *res)
{
    struct coord_buf *out = NULL;
    res->number = s->q.number;
    res->receipt.member = r->server + 1;
    res->receipt.role = 4;
    res->receipt.term = 3;
    res->receipt.revision = r->epoch;
    res->receipt.level = s->q.level;
    ck_assert_int_eq(coord_result_encode(s->q.op, res, &out), 0);
    return out;
}

void rig_answer(struct rig *r, const struct rig_sent *s, struct coord_result *res)
{
    struct coord_buf *out = rig_frame(r, s, res);
    rig_bytes(r, out->data, out->len);
    coord_buf_unref(out);
}

void rig_answer_error(struct rig *r, const struct rig_sent *s, int error)
{
    struct coord_result res = {.error = error};
    rig_answer(r, s, &res);
}

void rig_answer_no_quorum(struct rig *r, const struct rig_sent *s, int error)
{
    struct coord_result res = {.error = error, .has_no_quorum = true};
    res.text.data = (const uint8_t *)"1 of 3 members reachable";
    res.text.len = 24;
    res.no_quorum.reachable_count = 1;
    res.no_quorum.reachable[0] = r->server + 1;
    res.no_quorum.needed = 2;
    rig_answer(r, s, &res);
}

void rig_event(struct rig *r, uint64_t watch, uint64_t revision, enum coord_watch_state state,
               const char *path)
{
    struct coord_change change = {.kind = COORD_CHANGE_CHANGED, .version = 1, .create_revision = 1};
    struct coord_event ev = {.watch = watch, .revision = revision, .state = state};
    struct coord_buf *out = NULL;
    if (path != NULL) {
        change.path.data = (const uint8_t *)path;
        change.path.len = (uint32_t)strlen(path);
        ev.changes = &change;
        ev.changes_count = 1;
    }
    ck_assert_int_eq(coord_event_encode(&ev, &out), 0);
    rig_bytes(r, out->data, out->len);
    coord_buf_unref(out);
}

void rig_last_word(struct rig *r, int error, const char *text)
{
    const struct rig_sent none = {.q = {.op = COORD_OP_STATUS}}; /* number 0 */
    struct coord_result res = {.error = error};
    res.text.data = (const uint8_t *)text;
    res.text.len = (uint32_t)strlen(text);
    rig_answer(r, &none, &res);
}

/* --- requests --------------------------------------------------------------------------------- */

uint64_t rig_submit(struct rig *r, struct coord_request *q, uint32_t timeout_ms, bool fail_fast)
{
    struct coord__request *req = coord__request_create(COORD__USER, q);
    ck_assert_ptr_nonnull(req);
    req->fail_fast = fail_fast;
    req->wait_quorum = r->wait_quorum;
    ck_assert_int_eq(coord__core_submit(r->core, req, timeout_ms, r->now), 0);
    return req->id;
}

static void set_path(struct coord_request *q, const char *path)
{
    q->path.data = (const uint8_t *)path;
    q->path.len = (uint32_t)strlen(path);
    q->expect_version = COORD_VERSION_ANY;
}

uint64_t rig_create(struct rig *r, const char *path, uint32_t flags, uint32_t timeout_ms)
{
    struct coord_request q = {.op = COORD_OP_CREATE, .flags = flags};
    set_path(&q, path);
    q.data.data = (const uint8_t *)"data";
    q.data.len = 4;
    return rig_submit(r, &q, timeout_ms, false);
}

uint64_t rig_get(struct rig *r, const char *path, enum coord_level level, uint32_t timeout_ms)
{
    struct coord_request q = {.op = COORD_OP_GET, .level = level};
    set_path(&q, path);
    return rig_submit(r, &q, timeout_ms, false);
}

uint64_t rig_op(struct rig *r, enum coord_op op, uint32_t timeout_ms)
{
    struct coord_request q = {.op = op};
    return rig_submit(r, &q, timeout_ms, false);
}

uint64_t rig_watch(struct rig *r, const char *path, uint32_t flags, uint64_t revision)
{
    struct coord_request q = {.op = COORD_OP_WATCH, .flags = flags, .revision = revision};
    set_path(&q, path);
    q.kinds = 7;
    struct coord__watch *w = coord__watch_create(&q);
    ck_assert_ptr_nonnull(w);
    w->progress = true;
    ck_assert_int_eq(coord__core_watch(r->core, w, r->now), 0);
    return w->id;
}

/* --- what was told ---------------------------------------------------------------------------- */

static const struct rig_told *next_told(struct rig *r, enum coord__out_kind kind)
{
    rig_run(r);
    ck_assert_msg(r->told_at < r->told_count, "nothing was told");
    const struct rig_told *t = &r->told[r->told_at++];
    ck_assert_msg(t->kind == kind, "told kind %d (error %d, state %s) instead of %d", (int)t->kind,
                  t->error, coord_state_name(t->state), (int)kind);
    return t;
}

const struct rig_told *rig_reply(struct rig *r, uint64_t id, int error)
{
    const struct rig_told *t = next_told(r, COORD__OUT_REPLY);
    ck_assert_uint_eq(t->id, id);
    ck_assert_msg(t->error == error, "error %s instead of %s", coord_errname(t->error),
                  coord_errname(error));
    return t;
}

const struct rig_told *rig_state(struct rig *r, enum coord_state state)
{
    const struct rig_told *t = next_told(r, COORD__OUT_STATE);
    ck_assert_msg(t->state == state, "state %s instead of %s", coord_state_name(t->state),
                  coord_state_name(state));
    return t;
}

const struct rig_told *rig_watch_event(struct rig *r, uint64_t watch,
                                       enum coord_watch_event_state event)
{
    const struct rig_told *t = next_told(r, COORD__OUT_WATCH);
    ck_assert_uint_eq(t->id, watch);
    ck_assert_int_eq(t->event, event);
    return t;
}

void rig_told_nothing(struct rig *r)
{
    rig_run(r);
    ck_assert_msg(r->told_at == r->told_count, "something was told: kind %d, error %d, state %s",
                  (int)r->told[r->told_at].kind, r->told[r->told_at].error,
                  coord_state_name(r->told[r->told_at].state));
}
