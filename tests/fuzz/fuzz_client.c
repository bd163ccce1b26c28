/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: no bytes of a server, in any order with the application's calls, losses of the connection and
 * the passing of time, crash the client, or leave a request or a watch that ends twice or never
 * (bad input I13; X7).
 * Method: the client's core without its shell. The server's side is the input: raw bytes, frames around
 * raw bytes, and answers that fit the oldest request, whole or with one byte spoiled.
 * Input: commands of one byte each, with their arguments behind them.
 */
#include "client/core/convert.h"
#include "client/core/core.h"
#include "protocol/buf.h"
#include "tests/fuzz/fuzz.h"

#define MS        1000000ull
#define IDS_MAX   48
#define SENT_MAX  128u
#define STEPS_MAX 300
#define TURNS_MAX 1000
#define FRAME_MAX (1u << 20)
#define BYTES_MAX 100u

struct run {
    struct fuzz_input in;
    struct coord__core *core;
    struct coord__arena arena;
    uint64_t now;
    uint64_t link; /* connected, 0 none */
    uint64_t requests[IDS_MAX];
    int replies[IDS_MAX];
    uint32_t requests_count;
    uint64_t watches[IDS_MAX];
    int ends[IDS_MAX];
    uint32_t watches_count;
    struct {
        uint64_t number;
        enum coord_op op;
    } sent[SENT_MAX]; /* on this connection, a ring */
    uint32_t sent_first;
    uint32_t sent_end;
};

/* --- what comes out -------------------------------------------------------------------------- */

static void take_reply(struct run *f, const struct coord__out *out)
{
    struct coord_reply *reply = coord__convert_reply(out, &f->arena);
    FUZZ_CHECK(reply != NULL && reply->text != NULL && reply->path != NULL, "a reply");
    FUZZ_CHECK(reply->error <= 0, "an error is negative");
    for (uint32_t i = 0; i < f->requests_count; i++) {
        if (f->requests[i] == reply->request) {
            FUZZ_CHECK(++f->replies[i] == 1, "a request completes once");
        }
    }
    coord__core_release(f->core, out->request);
}

static void take_event(struct run *f, const struct coord__out *out)
{
    struct coord_watch_event event;
    FUZZ_CHECK(coord__convert_event(out, &f->arena, &event), "an event");
    if (event.state != COORD_WATCH_ENDED) {
        return;
    }
    for (uint32_t i = 0; i < f->watches_count; i++) {
        if (f->watches[i] == event.watch) {
            FUZZ_CHECK(++f->ends[i] == 1, "a watch ends once");
        }
    }
    coord__watch_free(out->watch);
}

static void take_told(struct run *f)
{
    struct coord__out out;
    while (coord__core_next(f->core, &out)) {
        if (out.kind == COORD__OUT_REPLY) {
            take_reply(f, &out);
        } else if (out.kind == COORD__OUT_WATCH) {
            take_event(f, &out);
        } else if (out.kind == COORD__OUT_TIMER) {
            coord__free(out.timer);
        }
        coord__arena_clear(&f->arena);
    }
}

static void take_output(struct run *f)
{
    const uint8_t *bytes = NULL;
    size_t len = coord__core_output(f->core, &bytes);
    for (size_t at = 0; at < len;) {
        struct coord_request q;
        char why[128] = "";
        int64_t size = coord_frame_size(bytes + at, len - at, 1u << 30);
        FUZZ_CHECK(size > 0 && (size_t)size <= len - at, "whole frames");
        FUZZ_CHECK(coord_request_decode(bytes + at + COORD_FRAME_HEADER_BYTES,
                                        (size_t)size - COORD_FRAME_HEADER_BYTES, &q, why,
                                        sizeof(why)) == 0,
                   why);
        f->sent[f->sent_end % SENT_MAX].number = q.number;
        f->sent[f->sent_end % SENT_MAX].op = q.op;
        f->sent_end++;
        f->sent_first += f->sent_end - f->sent_first > SENT_MAX;
        at += (size_t)size;
    }
    if (len > 0) {
        coord__core_sent(f->core, len);
    }
}

/* Everything that is due, as a shell does it. */
static void turn(struct run *f)
{
    int turns = 0;
    do {
        FUZZ_CHECK(turns++ < TURNS_MAX, "it comes to rest");
        if (coord__core_deadline(f->core) <= f->now) {
            coord__core_tick(f->core, f->now);
        }
        take_told(f);
        if (coord__core_link(f->core).id != f->link) {
            f->link = 0;
            f->sent_first = f->sent_end;
        }
        if (f->link != 0) {
            take_output(f);
        }
    } while (coord__core_deadline(f->core) <= f->now);
}

/* --- the application ------------------------------------------------------------------------- */

static struct coord_bytes text(struct run *f)
{
    static const char *const texts[] = {"/", "/a", "/a/b", "/w"};
    const char *s = texts[fuzz_u8(&f->in) & 3];
    return (struct coord_bytes){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static void submit(struct run *f)
{
    static const enum coord_op ops[] = {COORD_OP_CREATE, COORD_OP_SET,  COORD_OP_DELETE,
                                        COORD_OP_GET,    COORD_OP_LIST, COORD_OP_EXISTS,
                                        COORD_OP_STATUS, COORD_OP_SYNC};
    uint8_t how = fuzz_u8(&f->in);
    struct coord_request q = {.op = ops[how & 7], .expect_version = COORD_VERSION_ANY};
    q.path = text(f);
    q.level = (enum coord_level)(how >> 3 & 3);
    q.flags = q.op == COORD_OP_LIST ? 7 : how >> 7;
    if (how >= 250) {
        q.op = how & 1 ? COORD_OP_SESSION_CLOSE : COORD_OP_SESSION_OPEN;
        q.timeout_ms = 5000;
    }
    if (f->requests_count == IDS_MAX) {
        return;
    }
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    FUZZ_CHECK(r != NULL, "memory");
    if (coord__core_submit(f->core, r, how & 64 ? 500 : 60000, f->now) != 0) {
        coord__request_free(r);
        return;
    }
    f->requests[f->requests_count++] = r->id;
}

static void watch(struct run *f)
{
    uint8_t how = fuzz_u8(&f->in);
    if (how >= 192 && f->watches_count > 0) {
        (void)coord__core_unwatch(f->core, f->watches[how % f->watches_count],
                                  f->now); /* it may be over */
        return;
    }
    struct coord_request q = {
        .op = COORD_OP_WATCH, .path = text(f), .kinds = 7, .depth = (enum coord_depth)(how % 3)};
    q.flags = how >> 3 & 7;
    q.revision = how & 64 ? 3 : 0;
    struct coord__watch *w = f->watches_count == IDS_MAX ? NULL : coord__watch_create(&q);
    if (w == NULL) {
        return;
    }
    if (coord__core_watch(f->core, w, f->now) != 0) {
        coord__watch_free(w);
        return;
    }
    f->watches[f->watches_count++] = w->id;
}

/* --- the server ------------------------------------------------------------------------------ */

static void feed(struct run *f, const uint8_t *bytes, size_t len)
{
    uint8_t *exact = malloc(len + (len == 0));
    FUZZ_CHECK(exact != NULL, "memory");
    memcpy(exact, bytes, len);
    coord__core_bytes(f->core, f->link, exact, len, f->now);
    free(exact);
}

static void raw(struct run *f, int framed)
{
    uint8_t frame[COORD_FRAME_HEADER_BYTES + BYTES_MAX] = {0};
    const uint8_t *bytes;
    size_t len = fuzz_bytes(&f->in, fuzz_u8(&f->in) % BYTES_MAX, &bytes);
    if (!framed) {
        feed(f, bytes, len);
        return;
    }
    frame[3] = (uint8_t)len;
    memcpy(frame + COORD_FRAME_HEADER_BYTES, bytes, len);
    feed(f, frame, COORD_FRAME_HEADER_BYTES + len);
}

/* In two pieces, one byte of it spoiled, or twice. */
static void feed_frame(struct run *f, struct coord_buf *b)
{
    uint8_t spoil = fuzz_u8(&f->in);
    if (spoil >= 224) {
        uint8_t value = fuzz_u8(&f->in);
        b->data[fuzz_u8(&f->in) % b->len] = value;
    }
    size_t cut = spoil & 1 ? spoil % b->len : b->len;
    feed(f, b->data, cut);
    if (cut < b->len) {
        turn(f);
        if (f->link != 0) {
            feed(f, b->data + cut, b->len - cut);
        }
    }
    coord_buf_unref(b);
}

static void answer(struct run *f)
{
    static const uint8_t secret[COORD_SECRET_BYTES] = {7};
    static const struct coord_list_entry entries[2] = {
        {.name = {(const uint8_t *)"a", 1}},
        {.name = {(const uint8_t *)"b", 1}, .has_stat = true, .has_data = true}};
    if (f->sent_first == f->sent_end) {
        return;
    }
    uint8_t how = fuzz_u8(&f->in);
    uint8_t more = fuzz_u8(&f->in);
    struct coord_result res = {.number = f->sent[f->sent_first % SENT_MAX].number};
    enum coord_op op = f->sent[f->sent_first++ % SENT_MAX].op;
    res.error = how < 128 ? 0 : -(how % 64);
    res.receipt.member = 1 + (more & 3);
    res.receipt.role = 4;
    res.receipt.revision = fuzz_near(&f->in, 5);
    res.has_no_quorum = (how & 32) != 0;
    res.version = COORD_PROTOCOL_VERSION + (more == 255);
    res.member = res.receipt.member;
    res.limits = (struct coord_limits){.frame_bytes = FRAME_MAX,
                                       .data_bytes = 1u << 16,
                                       .outstanding = 1 + how % 16u,
                                       .watches = 4,
                                       .session_min_ms = 1000,
                                       .session_max_ms = 60000,
                                       .list_entries = 100,
                                       .txn_operations = 100,
                                       .subtree_nodes = 1000};
    res.session_state = more >> 2 & 3;
    res.session_state = res.session_state < 3 ? res.session_state : 1;
    res.session = more & 16 ? 5 : more;
    res.secret = (struct coord_bytes){secret, sizeof(secret)};
    res.timeout_ms = more & 32 ? 10000 : fuzz_near(&f->in, 2000);
    res.path = text(f);
    res.entries = entries;
    res.entries_count = more & 1 ? 2 : 0;
    res.more = more >> 6 & 1;
    res.gap = more >> 7;
    res.revision = fuzz_near(&f->in, 7);
    res.status.members_count = more % 4;
    struct coord_buf *b = NULL;
    FUZZ_CHECK(coord_result_encode(op, &res, &b) == 0, "an answer");
    feed_frame(f, b);
}

static void event(struct run *f)
{
    struct coord_change changes[3];
    struct coord_event ev = {.changes = changes};
    struct coord_buf *b = NULL;
    uint8_t how = fuzz_u8(&f->in);
    memset(changes, 0, sizeof(changes));
    ev.watch = f->watches_count == 0 ? how : f->watches[how % f->watches_count];
    ev.watch += how >= 224;
    ev.state = (enum coord_watch_state)(how >> 3 & 3);
    ev.state = ev.state > COORD_EVENT_GAP ? COORD_EVENT_CHANGES : ev.state;
    ev.revision = fuzz_near(&f->in, 9);
    ev.changes_count = ev.state == COORD_EVENT_CHANGES ? how % 4 : 0;
    for (uint32_t i = 0; i < ev.changes_count; i++) {
        changes[i].kind = (enum coord_change_kind)(1 << (how >> 5) % 3);
        changes[i].path = text(f);
        changes[i].has_value = how & 1;
        changes[i].has_previous = how & 2;
    }
    FUZZ_CHECK(coord_event_encode(&ev, &b) == 0, "an event");
    feed_frame(f, b);
}

static void connection(struct run *f)
{
    struct coord__link_wish wish = coord__core_link(f->core);
    if (f->link != 0) {
        coord__core_lost(f->core, f->link, "cut", f->now);
        f->link = 0;
    } else if (wish.id != 0 && fuzz_u8(&f->in) < 240) {
        f->link = wish.id;
        f->sent_first = f->sent_end;
        coord__core_connected(f->core, wish.id, f->now);
    } else if (wish.id != 0) {
        coord__core_lost(f->core, wish.id, "refused", f->now);
    }
}

static void command(struct run *f)
{
    uint8_t what = fuzz_u8(&f->in) % 16;
    if (what < 3) {
        submit(f);
    } else if (what == 3) {
        watch(f);
    } else if (what == 4) {
        f->now += (1u + fuzz_u8(&f->in)) * 20 * MS;
    } else if (f->link == 0 || what == 5) {
        connection(f);
    } else if (what == 6 || what == 7) {
        raw(f, what == 7);
    } else if (what == 8 || what == 9) {
        event(f);
    } else {
        answer(f);
    }
    turn(f);
}

static void begin(struct run *f)
{
    struct coord__core_options o = {.name = "fuzz",
                                    .session_timeout_ms = 10000,
                                    .connect_timeout_ms = 2000,
                                    .backoff_min_ms = 20,
                                    .backoff_max_ms = 1000,
                                    .seed = 5};
    uint8_t how = fuzz_u8(&f->in);
    o.servers_count = 1 + (how & 1);
    o.in_order = how >> 1 & 1;
    o.policy = how & 4 ? COORD_SESSIONS_OFF : (enum coord_session_policy)0;
    FUZZ_CHECK(coord__core_create(&o, f->now, &f->core) == 0, "a core");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct run f;
    memset(&f, 0, sizeof(f));
    f.in = (struct fuzz_input){bytes, len};
    f.now = 1000 * MS;
    begin(&f);
    for (int i = 0; i < STEPS_MAX && f.in.left > 0; i++) {
        command(&f);
    }
    coord__core_close(f.core, f.now);
    take_told(&f);
    for (uint32_t i = 0; i < f.requests_count; i++) {
        FUZZ_CHECK(f.replies[i] == 1, "every request completes");
    }
    for (uint32_t i = 0; i < f.watches_count; i++) {
        FUZZ_CHECK(f.ends[i] == 1, "every watch ends");
    }
    coord__core_destroy(f.core);
    coord__arena_finish(&f.arena);
    return 0;
}
