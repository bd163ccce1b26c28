/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c: connections between clients and members as streams of bytes: in pieces, delayed, bounded in what
 * is under way, broken in the middle. The member's end frames with the shipped reader (server/shell/frame.c)
 * and holds back, pauses and closes as server/shell/conn.c does.
 *
 * Of each direction: pieces fly, then lie in the inbox until the receiver reads. Threads: one.
 */
#include "tests/service/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/shell/frame.h"
#include "tests/service/sys.h"
#include "tests/sim/util.h"

#define CONNECT_LOST_NS (30 * SVC_SEC) /* a call that nobody answers */
/* As in server/shell/conn.c. */
#define HELLO_NS       (5 * SVC_SEC)
#define PROGRESS_NS    (5 * SVC_SEC)
#define PROGRESS_BYTES (5 * 1024)
#define DRAIN_NS       (5 * SVC_SEC)
#define OVER_MAX       3 /* times that something is added to what is full already */

static uint32_t under_way(const struct half *h)
{
    return h->flying + h->len;
}

static struct stream *stream_of(struct world *w, uint64_t id)
{
    return id >= 1 && id <= w->streams_count ? w->streams[id] : NULL;
}

static bool apart(const struct stream *s)
{
    return s->w->apart[s->actor->index][s->member];
}

static struct member *end_of(const struct stream *s)
{
    struct member *m = &s->w->members[s->member];
    return m->node != NULL && m->boot == s->boot ? m : NULL;
}

/* --- pieces -------------------------------------------------------------------------------------- */

static void later(struct stream *s, int dir, uint64_t at)
{
    world_at(s->w, at, (struct ev){.kind = SE_STREAM, .a = (uint64_t)dir, .p = s});
}

static void put_piece(struct stream *s, int dir, const uint8_t *bytes, uint32_t len, bool end)
{
    struct half *h = &s->half[dir];
    if (h->closed) {
        return; /* the other end will see the end, and nothing behind it */
    }
    struct stream_piece *p = sim_alloc(sizeof(*p) + len);
    h->closed = end;
    uint64_t at = s->w->now + world_latency(s->w);
    p->at = at < h->last_at ? h->last_at : at;
    p->len = len;
    p->end = end;
    if (len > 0) {
        memcpy(p->bytes, bytes, len);
    }
    h->last_at = p->at;
    h->flying += len;
    if (h->last == NULL) {
        h->first = p;
    } else {
        h->last->next = p;
    }
    h->last = p;
    later(s, dir, p->at);
}

static void drop_pieces(struct half *h)
{
    while (h->first != NULL) {
        struct stream_piece *p = h->first;
        h->first = p->next;
        free(p);
    }
    h->last = NULL;
    h->flying = 0;
}

static void inbox_add(struct half *h, const uint8_t *bytes, uint32_t len)
{
    if (h->head + h->len + len > h->cap) {
        if (h->len > 0) {
            memmove(h->inbox, h->inbox + h->head, h->len);
        }
        h->head = 0;
        if (h->len + len > h->cap) {
            h->cap = (h->len + len) * 2 + 256;
            h->inbox = sim_realloc(h->inbox, h->cap);
        }
    }
    memcpy(h->inbox + h->head + h->len, bytes, len);
    h->len += len;
}

static uint32_t inbox_take(struct half *h, uint8_t *bytes, uint32_t len)
{
    uint32_t n = len < h->len ? len : h->len;
    memcpy(bytes, h->inbox + h->head, n);
    h->head += n;
    h->len -= n;
    return n;
}

/* How many of len bytes one call takes. */
static uint32_t portion(struct stream *s, uint32_t len)
{
    uint32_t most = s->w->k.pieces;
    if (most == 0 || len <= 1) {
        return len;
    }
    uint32_t n = 1 + (uint32_t)rng_below(&s->w->rng_net, most);
    return n < len ? n : len;
}

/* --- the member's end ---------------------------------------------------------------------------- */

/* The member is told that the connection is over. */
static void member_closed(struct stream *s)
{
    struct member *m = end_of(s);
    if (!s->member_end) {
        return;
    }
    s->member_end = false;
    if (m != NULL) {
        m->conns--;
        node_conn_closed(m->node, s->id, member_now(m));
    }
}

/* The member's end is gone: what it sent still arrives, then the end. */
static void member_ended(struct stream *s)
{
    s->closing = false;
    s->out_len = 0;
    drop_pieces(&s->half[UP]);
    s->half[UP].ended = true;
    put_piece(s, DOWN, NULL, 0, true);
}

static void flush(struct stream *s)
{
    struct half *h = &s->half[DOWN];
    while (s->out_len > 0 && under_way(h) < s->w->k.window) {
        uint32_t room = s->w->k.window - under_way(h);
        uint32_t n = portion(s, s->out_len < room ? s->out_len : room);
        if (n < s->out_len && n < room && s->w->k.pieces < 50) {
            n = s->out_len < room ? s->out_len : room; /* cut by the reader instead */
        }
        put_piece(s, DOWN, s->out + s->out_head, n, false);
        s->out_head += n;
        s->out_len -= n;
    }
    if (s->out_len == 0 && s->closing) {
        member_ended(s);
    }
    struct member *m = end_of(s);
    bool lags = s->behind && s->out_len > s->w->k.output_behind / 2;
    if (s->full && s->member_end && m != NULL && s->out_len < s->w->k.output_high && !lags) {
        s->full = false;
        s->behind = false;
        node_conn_drained(m->node, s->id, member_now(m));
        m->again = true;
    }
}

static int deliver(void *arg, struct coord_buf *buf)
{
    struct stream *s = arg;
    struct member *m = end_of(s);
    node_conn_frame(m->node, s->id, buf, member_now(m));
    return 0;
}

static bool may_read(const struct stream *s)
{
    return s->member_end && !s->paused && s->out_len < s->w->k.output_high &&
           (s->half[UP].len > 0 || s->half[UP].ended);
}

static void pump(struct stream *s)
{
    static uint8_t scratch[FRAME_SCRATCH_BYTES];
    struct member *m = end_of(s);
    bool took = false;
    if (s->out_len > 0 || s->full || s->closing) {
        flush(s);
    }
    while (m != NULL && may_read(s)) {
        ssize_t n = frame_read(&s->reader, sys_member_fd(s), scratch, deliver, s);
        took = true;
        if (n == FRAME_ETOOBIG) {
            world_fail(s->w, "a client sent a frame that is too large");
            return;
        }
        if (n < 0) {
            member_closed(s);
        }
    }
    if (took && s->client_end && s->actor->socket != 0) {
        client_poke(s->actor); /* it may have room to send again */
    }
}

int64_t stream_member_readv(struct stream *s, const struct iovec *iov, int count)
{
    struct half *h = &s->half[UP];
    uint32_t most = portion(s, h->len);
    int64_t got = 0;
    if (h->len == 0) {
        if (h->ended) {
            return 0;
        }
        errno = EAGAIN;
        return -1;
    }
    for (int i = 0; i < count && most > 0; i++) {
        uint32_t want = iov[i].iov_len < most ? (uint32_t)iov[i].iov_len : most;
        uint32_t n = inbox_take(h, iov[i].iov_base, want);
        most -= n;
        got += n;
    }
    return got;
}

void stream_member_pump(struct member *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->streams_count; i++) {
        struct stream *s = m->streams[i];
        pump(s);
        if (s->member_end || s->closing) {
            m->streams[kept++] = s;
        }
    }
    m->streams_count = kept;
}

/* What waits is what conn_full allows, an answer, what conn_behind allows, and the events of one revision; each
 * of the two may be as large as a frame. */
static void judge_bound(struct stream *s, uint32_t more)
{
    const struct knobs *k = &s->w->k;
    s->over = s->out_len >= k->output_behind ? s->over + 1 : 0;
    if (s->over > OVER_MAX) {
        world_fail(s->w, "N1: member %u adds %u bytes to %u that client %u does not read",
                   s->member, more, s->out_len, s->actor->index);
    }
}

void stream_member_send(struct member *m, uint64_t conn, struct coord_buf *frames)
{
    struct stream *s = stream_of(m->w, conn);
    if (s == NULL || !s->member_end) {
        world_fail(m->w, "member %u sends to a connection that is closed", m->id);
        return;
    }
    if (s->overflow) {
        return;
    }
    judge_bound(s, frames->len);
    if (s->out_len + frames->len > m->w->k.output_max && s->out_len > 0) {
        s->overflow = true;
        MARK(m->w, SLOW_CLIENT_CLOSED);
        stream_reset(s);
        return;
    }
    if (s->out_head + s->out_len + frames->len > s->out_cap) {
        if (s->out_len > 0) {
            memmove(s->out, s->out + s->out_head, s->out_len);
        }
        s->out_head = 0;
        if (s->out_len + frames->len > s->out_cap) {
            s->out_cap = (s->out_len + frames->len) * 2 + 512;
            s->out = sim_realloc(s->out, s->out_cap);
        }
    }
    memcpy(s->out + s->out_head + s->out_len, frames->data, frames->len);
    s->out_len += frames->len;
    flush(s);
}

void stream_member_close(struct member *m, uint64_t conn, const char *why)
{
    struct stream *s = stream_of(m->w, conn);
    if (s == NULL || !s->member_end) {
        world_fail(m->w, "member %u closes a connection twice", m->id);
        return;
    }
    world_trace(m->w, TR_CLOSED, 'n', m->id, conn, m->id, 0, 0, why);
    s->member_end = false;
    m->conns--;
    s->closing = true;
    s->closing_at = m->w->now;
    flush(s);
}

void stream_member_pause(struct member *m, uint64_t conn, bool paused)
{
    struct stream *s = stream_of(m->w, conn);
    if (s == NULL || s->paused == paused) {
        world_fail(m->w, "member %u pauses a connection twice", m->id);
        return;
    }
    s->paused = paused;
    s->progress_at = paused ? s->progress_at : 0; /* none could be made while nobody read */
    if (paused) {
        MARK(m->w, BACK_PRESSURE);
    } else {
        member_poke(m); /* what lies in the inbox is read in the next turn */
    }
}

bool stream_member_full(struct member *m, uint64_t conn)
{
    struct stream *s = stream_of(m->w, conn);
    if (s == NULL || !s->member_end || s->out_len < m->w->k.output_high) {
        return false;
    }
    s->full = true;
    return true;
}

bool stream_member_behind(struct member *m, uint64_t conn)
{
    struct stream *s = stream_of(m->w, conn);
    if (s == NULL || !s->member_end || s->overflow || s->out_len < m->w->k.output_behind) {
        return false;
    }
    s->full = true;
    s->behind = s->was_behind = true;
    MARK(m->w, WATCHER_BEHIND);
    return true;
}

void stream_member_limit(struct member *m, uint32_t bytes)
{
    m->frame_bytes = bytes;
    for (uint32_t i = 0; i < m->streams_count; i++) {
        m->streams[i]->reader.body_bytes_max = bytes;
    }
}

void stream_member_died(struct member *m, bool told)
{
    for (uint32_t i = 0; i < m->streams_count; i++) {
        struct stream *s = m->streams[i];
        s->member_end = false;
        s->closing = false;
        s->out_len = 0;
        drop_pieces(&s->half[UP]);
        s->half[UP].ended = true;
        if (told && s->client_end) {
            put_piece(s, DOWN, NULL, 0, true);
        }
    }
    m->streams_count = 0;
}

/* Return: nothing came on it for too long. */
static bool is_stuck(struct stream *s)
{
    uint64_t now = s->w->now;
    if (s->closing) {
        return now > s->closing_at + DRAIN_NS;
    }
    if (!s->member_end || s->paused || s->out_len >= s->w->k.output_high) {
        return false;
    }
    if (s->reader.frames == 0 && now > s->opened_at + HELLO_NS) {
        return true;
    }
    if (!frame_inside(&s->reader)) {
        s->progress_at = 0;
        return false;
    }
    if (s->progress_at == 0 || s->reader.bytes - s->progress_bytes >= PROGRESS_BYTES) {
        s->progress_at = now;
        s->progress_bytes = s->reader.bytes;
    }
    return now > s->progress_at + PROGRESS_NS;
}

void stream_member_sweep(struct member *m)
{
    struct world *w = m->w;
    world_enter_member(m);
    for (uint32_t i = 0; i < m->streams_count && m->paused_until <= w->now; i++) {
        struct stream *s = m->streams[i];
        if (is_stuck(s)) {
            MARK(w, STUCK_CLIENT_CLOSED);
            member_closed(s);
            member_ended(s);
        }
    }
    world_leave();
    member_poke(m);
    world_later(w, SVC_SEC, (struct ev){.kind = SE_SWEEP, .node = (uint8_t)m->id, .boot = m->boot});
}

/* --- making -------------------------------------------------------------------------------------- */

struct stream *stream_connect(struct actor *a, raft_id member)
{
    struct world *w = a->w;
    if (w->streams_count + 1 >= WORLD_STREAMS) {
        world_fail(w, "more than %u connections", WORLD_STREAMS);
        return NULL;
    }
    struct stream *s = sim_alloc(sizeof(*s));
    s->w = w;
    s->id = ++w->streams_count;
    s->actor = a;
    s->member = member;
    s->client_end = true;
    w->streams[s->id] = s;
    world_later(w, 2 * world_latency(w), (struct ev){.kind = SE_CONNECT, .p = s});
    return s;
}

void stream_made(struct world *w, struct stream *s)
{
    struct member *m = &w->members[s->member];
    char source[64];
    if (!s->client_end || s->connected || s->refused) {
        return; /* gone meanwhile, or a second call for the same */
    }
    if (apart(s)) {
        world_later(w, CONNECT_LOST_NS, (struct ev){.kind = SE_CONNECT, .p = s});
        return;
    }
    if (m->node == NULL || m->leaving) {
        s->refused = true;
        s->error = ECONNREFUSED;
        world_trace(w, TR_CONNECT, 'c', s->actor->index, s->id, s->member, 0, 0, NULL);
        client_poke(s->actor);
        return;
    }
    if (m->paused_until > w->now) {
        /* The system takes the call; the process learns of it when it goes on. Told late, told at all. */
        world_at(w, m->paused_until, (struct ev){.kind = SE_CONNECT, .p = s});
        return;
    }
    s->connected = true;
    s->boot = m->boot;
    s->member_end = true;
    s->opened_at = w->now;
    s->reader = (struct frame_reader){.header_bytes = FRAME_CLIENT_HEADER_BYTES,
                                      .head_room = ENTRY_HEADER_BYTES,
                                      .body_bytes_max = w->k.node.machine.frame_bytes};
    if (m->streams_count == MEMBER_STREAMS_MAX) {
        world_fail(w, "member %u has too many connections", m->id);
        return;
    }
    m->streams[m->streams_count++] = s;
    m->conns++;
    world_trace(w, TR_CONNECT, 'c', s->actor->index, s->id, s->member, 1, 0, NULL);
    (void)snprintf(source, sizeof(source), "client-%u:%llu", s->actor->index,
                   (unsigned long long)s->id);
    world_enter_member(m);
    node_conn_open(m->node, s->id, source, member_now(m));
    world_leave();
    member_poke(m);
    client_poke(s->actor);
}

/* --- arrivals ------------------------------------------------------------------------------------ */

/* What is due goes into the inbox. Return: something did. */
static bool arrive(struct stream *s, int dir)
{
    struct half *h = &s->half[dir];
    bool any = false;
    while (h->first != NULL && h->first->at <= s->w->now) {
        struct stream_piece *p = h->first;
        h->first = p->next;
        h->last = h->first == NULL ? NULL : h->last;
        h->flying -= p->len;
        if (p->end) {
            h->ended = true;
        } else {
            inbox_add(h, p->bytes, p->len);
        }
        free(p);
        any = true;
    }
    return any;
}

void stream_event(struct world *w, const struct ev *e)
{
    struct stream *s = e->p;
    int dir = (int)e->a;
    if (apart(s) || (dir == DOWN && s->silent)) {
        return; /* held: it goes on when they reach each other again */
    }
    if (!arrive(s, dir)) {
        return;
    }
    if (dir == DOWN) {
        if (s->client_end) {
            client_poke(s->actor);
        }
        return;
    }
    struct member *m = end_of(s);
    (void)w;
    if (m != NULL) {
        member_poke(m);
    }
}

void stream_resume_all(struct world *w, raft_id member, uint32_t actor)
{
    for (uint32_t i = 1; i <= w->streams_count; i++) {
        struct stream *s = w->streams[i];
        if (s == NULL || (member != 0 && s->member != member) ||
            (actor != UINT32_MAX && s->actor->index != actor)) {
            continue;
        }
        if (s->half[UP].first != NULL) {
            later(s, UP, w->now);
        }
        if (s->half[DOWN].first != NULL) {
            later(s, DOWN, w->now);
        }
        if (!s->connected && !s->refused && s->client_end) {
            world_later(w, world_latency(w), (struct ev){.kind = SE_CONNECT, .p = s});
        }
    }
}

/* --- the client's end ---------------------------------------------------------------------------- */

static bool is_deaf(const struct stream *s)
{
    return s->actor->deaf_until > s->w->now;
}

bool stream_client_readable(const struct stream *s)
{
    if (is_deaf(s)) {
        return false;
    }
    return s->refused || s->error != 0 ||
           (s->connected && (s->half[DOWN].len > 0 || s->half[DOWN].ended));
}

bool stream_client_writable(const struct stream *s)
{
    return s->refused || s->error != 0 ||
           (s->connected && (s->half[UP].ended || under_way(&s->half[UP]) < s->w->k.window));
}

int64_t stream_client_read(struct stream *s, uint8_t *bytes, size_t len)
{
    struct half *h = &s->half[DOWN];
    if (is_deaf(s)) {
        errno = EAGAIN;
        return -1;
    }
    if (h->len > 0) {
        uint32_t want = portion(s, h->len < len ? h->len : (uint32_t)len);
        if (s->actor->slow && want > 64) {
            want = 64;
        }
        uint32_t n = inbox_take(h, bytes, want);
        struct member *m = end_of(s);
        if (m != NULL && (s->out_len > 0 || s->full || s->closing)) {
            member_poke(m); /* there is room for what it has to send */
        }
        return n;
    }
    if (s->error != 0) {
        errno = s->error;
        return -1;
    }
    if (h->ended) {
        return 0;
    }
    errno = EAGAIN;
    return -1;
}

int64_t stream_client_write(struct stream *s, const uint8_t *bytes, size_t len)
{
    struct half *h = &s->half[UP];
    if (s->error != 0 || h->ended || !s->client_end) {
        errno = s->error != 0 ? s->error : EPIPE;
        return -1;
    }
    uint32_t room = s->w->k.window > under_way(h) ? s->w->k.window - under_way(h) : 0;
    if (room == 0) {
        errno = EAGAIN;
        return -1;
    }
    uint32_t n = portion(s, len < room ? (uint32_t)len : room);
    put_piece(s, UP, bytes, n, false);
    return n;
}

void stream_client_close(struct stream *s, bool silent)
{
    if (!s->client_end) {
        return;
    }
    s->client_end = false;
    s->silent = silent;
    drop_pieces(&s->half[DOWN]);
    s->half[DOWN].len = 0;
    if (s->connected && !silent) {
        put_piece(s, UP, NULL, 0, true);
    }
}

void stream_reset(struct stream *s)
{
    struct world *w = s->w;
    if (!s->connected || s->error != 0) {
        return;
    }
    world_trace(w, TR_CLOSED, 'c', s->actor->index, s->id, s->member, 1, 0, NULL);
    /* Of what was under way a part still arrives. */
    for (int dir = UP; dir <= DOWN; dir++) {
        struct half *h = &s->half[dir];
        struct stream_piece **at = &h->first;
        while (*at != NULL && rng_chance(&w->rng_net, 500)) {
            at = &(*at)->next;
        }
        struct stream_piece *rest = *at;
        *at = NULL;
        while (rest != NULL) {
            struct stream_piece *p = rest;
            rest = p->next;
            h->flying -= p->len;
            free(p);
        }
        h->last = h->first;
        while (h->last != NULL && h->last->next != NULL) {
            h->last = h->last->next;
        }
    }
    put_piece(s, UP, NULL, 0, true);
    if (s->client_end) {
        put_piece(s, DOWN, NULL, 0, true);
    }
    s->out_len = 0;
}

void streams_finish(struct world *w)
{
    for (uint32_t i = 1; i <= w->streams_count; i++) {
        struct stream *s = w->streams[i];
        drop_pieces(&s->half[UP]);
        drop_pieces(&s->half[DOWN]);
        free(s->half[UP].inbox);
        free(s->half[DOWN].inbox);
        frame_clear(&s->reader);
        free(s->out);
        free(s);
    }
}
