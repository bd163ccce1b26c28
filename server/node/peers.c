/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peers.c: messages from and to the other members: raft's own, and the dispatch of the rest to
 * forward.c, touch.c and digest.c. The bytes are those of peer_wire.h.
 *
 * Invariant: what a peer sends changes nothing but through raft_step or the checks of the file that
 * handles it; bytes that are not a message are logged (rate bounded) and dropped.
 */
#include "server/node/internal.h"

#include <string.h>

void node__peer_send(struct node *n, raft_id peer, struct coord_buf *one)
{
    if (n->outbox_count < NODE_OUTBOX_MAX) {
        n->outbox[n->outbox_count++] =
            (struct kept_message){.peer = peer, .buf = coord_buf_ref(one)};
    }
}

void node__peers_flush(struct node *n)
{
    for (uint32_t i = 0; i < n->outbox_count; i++) {
        struct coord_buf *parts[1] = {n->outbox[i].buf};
        n->env.peer_send(n->env.ctx, n->outbox[i].peer, parts, 1);
        coord_buf_unref(parts[0]);
    }
    n->outbox_count = 0;
}

struct coord_buf *node__parts_join(struct node *n, uint32_t from, uint32_t count, uint32_t room)
{
    size_t bytes = room;
    for (uint32_t i = from; i < from + count; i++) {
        if (n->parts[i]->len > NODE_COPY_BYTES) {
            return NULL;
        }
        bytes += n->parts[i]->len;
    }
    struct coord_buf *b = coord_buf_create(bytes);
    if (b == NULL) {
        return NULL;
    }
    b->len = room;
    for (uint32_t i = from; i < from + count; i++) {
        memcpy(b->data + b->len, n->parts[i]->data, n->parts[i]->len);
        b->len += n->parts[i]->len;
    }
    return b;
}

static void send_encoded(struct node *n, const struct raft_msg *m, uint32_t parts)
{
    struct coord_buf *head = peer_raft_encode(m, n->metas, NULL);
    if (head == NULL) {
        return; /* as if the network had lost it */
    }
    n->parts[0] = head;
    n->env.peer_send(n->env.ctx, m->to, n->parts, parts);
    coord_buf_unref(head);
}

/* Entries first .. first + count - 1 into n->metas and n->parts[1 ..]. Return: parts, one for a head included. */
static uint32_t append_gather(struct node *n, raft_index first, uint32_t count)
{
    uint32_t parts = 1;
    node__scratch(n, count);
    for (uint32_t i = 0; i < count; i++) {
        raft_index index = first + i;
        const struct raft_entry *meta = raft_entry_at(n->raft, index);
        struct coord_buf *payload =
            index < n->log.kept ? node__recall_get(n, index) : node__payloads_get(&n->log, index);
        NODE_ASSERT(meta != NULL);
        NODE_ASSERT(meta->bytes == (payload == NULL ? 0 : payload->len));
        n->metas[i] = *meta;
        if (payload != NULL) {
            n->parts[parts++] = payload;
        }
    }
    return parts;
}

/* What is gathered, as one buffer that all peers are sent. Return: NULL when the payloads are too large for
 * that, or memory is out. */
static struct coord_buf *append_join(struct node *n, uint32_t count, uint32_t parts)
{
    struct coord_buf *b = node__parts_join(n, 1, parts - 1, count * PEER_META_BYTES);
    if (b != NULL) {
        peer_metas_encode(n->metas, count, b->data);
    }
    return b;
}

void node__append_forget(struct node *n)
{
    coord_buf_unref(n->appended.buf);
    n->appended.buf = NULL;
}

void node__append_send(struct node *n, const struct raft_msg *m)
{
    raft_index first = m->index + 1;
    bool same =
        n->appended.buf != NULL && n->appended.first == first && n->appended.count == m->count;
    if (!same) {
        uint32_t parts = append_gather(n, first, m->count);
        node__append_forget(n);
        n->appended.buf = parts > 1 ? append_join(n, m->count, parts) : NULL;
        n->appended.first = first;
        n->appended.count = m->count;
        if (n->appended.buf == NULL) {
            send_encoded(n, m, parts);
            return;
        }
    }
    struct coord_buf *head = peer_raft_encode(m, NULL, NULL);
    if (head != NULL) { /* else as if the network had lost it */
        struct coord_buf *both[2] = {head, n->appended.buf};
        n->env.peer_send(n->env.ctx, m->to, both, 2);
        coord_buf_unref(head);
    }
}

void node__raft_send(struct node *n, const struct raft_send *s)
{
    if (s->msg.type == RAFT_MSG_SNAPSHOT) {
        node__snapshot_send(n, s);
    } else if (node__recall_wanted(n, &s->msg)) {
        node__recall_add(n, &s->msg);
    } else if (s->msg.type == RAFT_MSG_APPEND) {
        node__append_send(n, &s->msg);
    } else {
        node__scratch(n, 0);
        send_encoded(n, &s->msg, 1);
    }
}

/* The payloads of the entries that raft took. */
static void keep_payloads(struct node *n, const struct peer_raft *m, const struct raft_accept *a)
{
    const uint8_t *at = m->payload;
    if (a->count == 0) {
        return;
    }
    node__payloads_cut(&n->log, a->first);
    for (uint32_t i = 0; i < a->skip; i++) {
        at += n->metas[i].bytes;
    }
    for (uint32_t i = a->skip; i < a->skip + a->count; i++) {
        struct coord_buf *b = NULL;
        if (n->metas[i].bytes > 0) {
            b = node__must_alloc(coord_buf_copy(at, n->metas[i].bytes));
        }
        node__payloads_put(&n->log, a->first + (i - a->skip), b);
        at += n->metas[i].bytes;
    }
}

void node__raft_receive(struct node *n, struct peer *p, const struct coord_buf *buf,
                        struct peer_raft *ret_m)
{
    struct raft_accept accept = {0, 0, 0, 0};
    node__scratch(n, peer_raft_entries(buf->data, buf->len));
    if (!peer_raft_decode(buf->data, buf->len, n->metas, ret_m) || ret_m->msg.from != p->id) {
        node__log_fault(n, "malformed RAFT message: peer=%u bytes=%u", p->id, buf->len);
        ret_m->msg.type = 0;
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_RECV,
                            .msg = &ret_m->msg,
                            .entries = n->metas,
                            .count = ret_m->msg.count,
                            .configs = ret_m->configs,
                            .configs_count = ret_m->configs_count};
    int rv = node__step(n, &ev, &accept);
    if (rv == 0) {
        keep_payloads(n, ret_m, &accept);
    }
}

static void receive_rest(struct node *n, struct peer *p, struct coord_buf *buf)
{
    struct peer_touch t;
    struct peer_notice m;
    enum peer_kind kind = peer_kind_of(buf->data, buf->len);
    if (kind == PEER_FORWARD) {
        node__forward_receive(n, p, buf);
    } else if (kind == PEER_TOUCH && peer_touch_decode(buf->data, buf->len, &t)) {
        node__touch_receive(n, p, &t);
    } else if (!peer_notice_decode(buf->data, buf->len, &m)) {
        node__log_fault(n, "malformed message: peer=%u bytes=%u", p->id, buf->len);
    } else if (kind == PEER_TOUCHED) {
        node__touched_receive(n, p, &m);
    } else if (kind == PEER_FORWARD_AGAIN) {
        node__forward_again(n, &m);
    } else if (kind == PEER_DIGEST) {
        node__digest_receive(n, p, &m);
    } else {
        node__forward_refused(n, &m);
    }
}

void node_peer_frame(struct node *n, raft_id peer, struct coord_buf *buf, uint64_t now)
{
    struct peer *p = node__peer(n, peer);
    n->now = now > n->now ? now : n->now;
    if (p == NULL || n->fault[0] != '\0') {
        coord_buf_unref(buf);
        return;
    }
    p->heard = n->now;
    if (peer_kind_of(buf->data, buf->len) != PEER_RAFT) {
        receive_rest(n, p, buf);
    } else if (buf->len > 8 && buf->data[8] == RAFT_MSG_SNAPSHOT) {
        node__chunk_receive(n, peer, buf); /* one per poll: raft asks for its bytes there */
        return;
    } else {
        struct peer_raft m;
        node__raft_receive(n, p, buf, &m);
    }
    coord_buf_unref(buf);
}

void node_peer_link(struct node *n, raft_id peer, bool up, uint64_t now)
{
    struct peer *p = node__peer(n, peer);
    n->now = now > n->now ? now : n->now;
    if (p == NULL) {
        return;
    }
    if (p->link_up != up) {
        node__log(n, NODE_LOG_INFO, "link %s: peer=%u term=%llu", up ? "up" : "down", peer,
                  (unsigned long long)n->st.term);
    }
    p->link_up = up;
    struct raft_event ev = {.type = RAFT_EV_PEER_LINK, .peer = peer, .value = up ? 1 : 0};
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
    if (up) {
        node__forward_link_up(n, peer);
        node__digest_link_up(n, peer);
    }
}
