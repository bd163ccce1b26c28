/* SPDX-License-Identifier: Apache-2.0 */
/*
 * forward.c: the stream of writes from a follower to the leader, both ends.
 *
 * A stream is the follower's cookies from `start` on, in order; a message stands for the cookies
 * [from, to), and cookies without an entry in it are void. The leader takes a message when `from` is
 * what it has, skips what it has already, and answers a gap with FORWARD_AGAIN{next}; the follower then
 * sends everything from there once more. So a broken link, a full queue or a lost message costs time,
 * but no write twice and none out of order, sessions or not.
 *
 * Invariants
 *   1. A stream belongs to one term; the leader takes nothing that was forwarded in another. It ends
 *      early when writes of it are to be sent anew (after a snapshot was installed).
 *   2. Within a stream a cookie is queued by the leader at most once.
 *   3. Every cookie of a message that was taken is queued or refused; where there is no room for another
 *      write, or refusal, taking ends, and the rest is asked for again when there is.
 *
 *   follower, sent_count > 0 and nothing heard for a while: an empty message at `to` asks whether
 *   there is a gap (node__forward_timers). FORWARD_AGAIN{to} in answer says that there is none.
 */
#include "server/node/internal.h"

#include <string.h>
#include "server/mutant.h"

/* --- the follower's end --------------------------------------------------------------------- */

static uint64_t probe_interval(const struct node *n)
{
    return n->o.raft.election_min / 2;
}

/* Send one message for the cookies [from, to) with the entries of `count` requests, which are in
 * n->parts[1 ..]; n->metas[i].bytes are their sizes. */
static void send_stream(struct node *n, uint64_t from, uint64_t to, uint32_t count)
{
    const struct writes *w = &n->writes;
    uint32_t sizes[NODE_BATCH_ENTRIES];
    struct peer_forward f = {.term = w->stream_term,
                             .nonce = w->nonce,
                             .stream = w->stream,
                             .start = w->stream_start,
                             .from = from,
                             .to = to,
                             .count = count};
    sizes[0] = 0; /* of a message without entries nothing is read, which compilers do not see */
    for (uint32_t i = 0; i < count; i++) {
        sizes[i] = n->parts[1 + i]->len;
    }
    struct coord_buf *head = peer_forward_encode(&f, sizes);
    if (head == NULL) {
        return; /* as if the network had lost it: the probe finds the gap */
    }
    struct coord_buf *joined = count > 1 ? node__parts_join(n, 1, count, 0) : NULL;
    uint32_t pieces = joined != NULL ? 1 : count;
    n->parts[0] = head;
    n->parts[1] = joined != NULL ? joined : n->parts[1];
    n->env.peer_send(n->env.ctx, n->st.leader, n->parts, 1 + pieces);
    coord_buf_unref(joined);
    coord_buf_unref(head);
}

/* Send the stream again from cookie `from` on. */
static void send_again(struct node *n, uint64_t from)
{
    struct writes *w = &n->writes;
    uint64_t cookie = from;
    node__scratch(n, NODE_BATCH_ENTRIES);
    do {
        uint32_t count = 0;
        uint64_t bytes = 0;
        uint64_t first = cookie;
        for (; cookie < w->stream_next && count < NODE_BATCH_ENTRIES && bytes < NODE_BATCH_BYTES;
             cookie++) {
            struct request *r = node__write_find(n, cookie);
            if (r != NULL && r->stage == REQUEST_SENT) {
                n->parts[1 + count++] = r->entry;
                bytes += r->entry->len;
            }
        }
        send_stream(n, first, cookie, count);
    } while (cookie < w->stream_next);
    w->probe_at = n->now + probe_interval(n);
}

void node__forward_run(struct node *n)
{
    struct writes *w = &n->writes;
    struct peer *leader = node__peer(n, n->st.leader);
    if (leader == NULL || !leader->link_up) {
        return; /* what is not sent is never in doubt */
    }
    if (w->stream_start != 0 && w->stream_term != n->st.term) {
        w->stream_start = 0; /* a stream belongs to one term */
        w->again_from = 0;
        w->probe_at = NODE_NEVER;
    }
    node__scratch(n, NODE_BATCH_ENTRIES);
    while (w->queue_count > 0) {
        uint32_t count = 0;
        uint64_t bytes = 0;
        size_t taken = 0;
        uint64_t to = 0;
        if (w->stream_start == 0) {
            w->stream_start = w->stream_next = node__queue_at(w, 0)->cookie;
            w->stream_term = n->st.term;
            w->stream++;
        }
        for (; taken < w->queue_count && count < NODE_BATCH_ENTRIES && bytes < NODE_BATCH_BYTES;
             taken++) {
            struct queued *item = node__queue_at(w, taken);
            NODE_ASSERT(item->entry == NULL);
            NODE_ASSERT(item->cookie >= w->stream_next && item->cookie >= to);
            struct request *r = node__write_find(n, item->cookie);
            to = item->cookie + 1;
            if (r != NULL) {
                node__write_mark_sent(n, r);
                n->parts[1 + count++] = r->entry;
                bytes += r->entry->len;
            }
        }
        uint64_t from = w->stream_next;
        w->stream_next = to;
        node__queue_pop(n, taken);
        send_stream(n, from, to, count);
    }
    if (w->probe_at == NODE_NEVER) {
        w->probe_at = n->now + probe_interval(n);
    }
}

void node__forward_timers(struct node *n)
{
    struct writes *w = &n->writes;
    bool idle = w->stream_start == 0 || w->stream_term != n->st.term || n->st.leader == 0;
    if (w->again_from != 0 && !idle) {
        send_again(n, w->again_from);
    }
    w->again_from = 0;
    if (n->now < w->probe_at) {
        return;
    }
    if (idle || w->sent_count == 0) {
        w->probe_at = NODE_NEVER;
        return;
    }
    w->probe_at = n->now + probe_interval(n);
    if (n->now - w->progress_at < probe_interval(n)) {
        return; /* answers come: nothing is missing in between */
    }
    node__scratch(n, 1);
    send_stream(n, w->stream_next, w->stream_next, 0);
}

void node__forward_link_up(struct node *n, raft_id peer)
{
    if (peer == n->st.leader && n->writes.stream_start != 0 && n->writes.sent_count > 0) {
        n->writes.probe_at = n->now;
        n->writes.progress_at = 0;
    }
}

void node__forward_again(struct node *n, const struct peer_notice *m)
{
    struct writes *w = &n->writes;
    if (m->nonce != w->nonce || w->stream_start == 0 || m->a != w->stream ||
        m->term != w->stream_term || m->term != n->st.term || m->b < w->stream_start ||
        m->b > w->stream_next) {
        return;
    }
    if (m->b == w->stream_next) {
        w->taken_at = n->now; /* nothing is missing: it waits for its turn there */
        return;
    }
    if (w->again_from == 0 || m->b < w->again_from) {
        w->again_from = m->b;
    }
}

void node__forward_refused(struct node *n, const struct peer_notice *m)
{
    if (m->nonce != n->writes.nonce || m->term != n->writes.sent_term) {
        return;
    }
    struct request *r = node__write_find(n, m->a);
    if (r != NULL && r->stage == REQUEST_SENT) {
        node__write_end(n, r, -(int)m->b);
    }
}

/* --- the leader's end ----------------------------------------------------------------------- */

static void notify(struct node *n, raft_id peer, const struct peer_notice *m)
{
    struct coord_buf *b = peer_notice_encode(m);
    if (b != NULL) {
        node__peer_send(n, peer, b);
    }
    coord_buf_unref(b);
}

void node__forward_refuse(struct node *n, raft_id peer, uint64_t cookie, int error)
{
    struct peer *p = node__peer(n, peer);
    NODE_ASSERT(p != NULL);
    notify(n, peer,
           &(struct peer_notice){.kind = PEER_FORWARD_REFUSED,
                                 .term = n->st.term,
                                 .nonce = p->nonce,
                                 .a = cookie,
                                 .b = (uint64_t)-error});
}

/* The stream has come here up to cookie `next`. */
static void say_next(struct node *n, const struct peer *p, const struct peer_forward *f,
                     uint64_t next)
{
    notify(n, p->id,
           &(struct peer_notice){.kind = PEER_FORWARD_AGAIN,
                                 .term = n->st.term,
                                 .nonce = f->nonce,
                                 .a = f->stream,
                                 .b = next});
}

/* Which part of the stream is here? Return: false when the message is of no use. */
static bool follow_stream(struct node *n, struct peer *p, const struct peer_forward *f)
{
    bool known = p->nonce == f->nonce && p->stream == f->stream;
    if (p->nonce == f->nonce && f->stream < p->stream) {
        return false; /* left over from an earlier stream */
    }
    if (!known && f->from == f->start) {
        p->nonce = f->nonce;
        p->stream = f->stream;
        p->next = f->start;
        p->again_at = 0;
        return true;
    }
    uint64_t next = known ? p->next : f->start;
    if (known && f->from <= next) {
        if (f->count == 0 && f->from == next) {
            say_next(n, p, f, next); /* it asked whether all has come */
        }
        return true;
    }
    if (n->now >= p->again_at && n->writes.foreign_bytes <= NODE_FOREIGN_BYTES / 2) {
        p->again_at = n->now + n->o.raft.heartbeat / 4;
        say_next(n, p, f, next);
    }
    return false;
}

/* May a member forward such an entry? Only what its clients asked for. */
static bool entry_allowed(const struct peer *p, const uint8_t *bytes, uint32_t len,
                          struct entry *ret_e)
{
    return entry_decode(bytes, len, ret_e) && ret_e->origin == p->id &&
           (ret_e->kind == ENTRY_REQUEST || ret_e->kind == ENTRY_OPEN ||
            ret_e->kind == ENTRY_ATTACH);
}

/* Return: false when it cannot be taken, nor its sender be told so now: it is asked for again. */
static bool take_entry(struct node *n, struct peer *p, const uint8_t *bytes, uint32_t len)
{
    struct entry e;
    if (!entry_allowed(p, bytes, len, &e)) {
        node__log_fault(n, "forwarded write refused: peer=%u bytes=%u is no entry of its clients",
                        p->id, len);
        return true;
    }
    if (e.cookie < p->next && !SERVER_BUG(27)) {
        return true; /* taken before */
    }
    if (n->outbox_count == NODE_OUTBOX_MAX || n->writes.foreign_bytes + len > NODE_FOREIGN_BYTES) {
        p->next = e.cookie;
        return false;
    }
    struct coord_buf *copy = coord_buf_copy(bytes, len);
    if (copy == NULL || node__write_foreign(n, p->id, e.cookie, copy) != 0) {
        node__forward_refuse(n, p->id, e.cookie, COORD_EBUSY); /* out of memory */
        return true;
    }
    if (e.session != 0) {
        node__sessions_heard(n, e.session, p->id);
    }
    return true;
}

void node__forward_receive(struct node *n, struct peer *p, struct coord_buf *buf)
{
    struct peer_forward f;
    if (!peer_forward_decode(buf->data, buf->len, &f)) {
        node__log_fault(n, "malformed FORWARD: peer=%u bytes=%u", p->id, buf->len);
        return;
    }
    if (!node__is_leader(n) || f.term != n->st.term || !follow_stream(n, p, &f)) {
        return;
    }
    const uint8_t *at = f.entries;
    for (uint32_t i = 0; i < f.count; i++) {
        uint32_t bytes = peer_forward_size(&f, i);
        if (!take_entry(n, p, at, bytes)) {
            return;
        }
        at += bytes;
    }
    if (f.to > p->next) {
        p->next = f.to;
    }
}
