/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writes.c: writes of this member's clients from their frame to the log: entry, queue, proposal, and
 * what becomes of them when leadership changes. forward.c carries them to another leader.
 *
 * A write is QUEUED, then SENT in some term t (proposed here as leader of t, or forwarded to the leader
 * of t, which proposes it in t or never). It ends in one of these ways:
 *   applied    its entry, found by origin and cookie, is applied here: answered
 *   lost       an entry of a later term than t is applied here and its own was not before: entries of
 *              t that are not before that one can never be committed (Raft's log matching and leader
 *              completeness), so it is lost for certain and goes back to the queue
 *   unsure     a snapshot took the place of entries not seen: it may be inside (node__writes_unsure)
 *   refused    by the leader before proposing (no space), or by noquorum.c when time is over
 *
 * Invariants
 *   1. All SENT writes were sent in the same term, sent_term; nothing is sent in a later one while any
 *      is SENT. So writes of a session are in the log in the order in which they came.
 *   2. The queue holds own cookies in ascending order, those sent again included.
 *   3. A cookie never stands for two requests, restarts of the member included (random start).
 */
#include "server/node/internal.h"

#include <stdlib.h>
#include <string.h>

#define QUEUE_MIN   64u
#define PENDING_MIN 64u

/* --- cookies -------------------------------------------------------------------------------- */

static struct request **pending_slot(const struct writes *w, uint64_t cookie)
{
    return &w->pending[cookie & (w->pending_slots - 1)];
}

static int pending_grow(struct writes *w)
{
    size_t slots = w->pending_slots * 2;
    struct request **bigger = calloc(slots, sizeof(bigger[0]));
    if (bigger == NULL) {
        return COORD_ENOMEM;
    }
    for (uint64_t cookie = w->base; cookie != w->next; cookie++) {
        bigger[cookie & (slots - 1)] = *pending_slot(w, cookie);
    }
    free(w->pending);
    w->pending = bigger;
    w->pending_slots = slots;
    return 0;
}

struct request *node__write_find(const struct node *n, uint64_t cookie)
{
    const struct writes *w = &n->writes;
    if (cookie < w->base || cookie >= w->next) {
        return NULL;
    }
    return *pending_slot(w, cookie);
}

void node__write_forget(struct node *n, struct request *r)
{
    struct writes *w = &n->writes;
    NODE_ASSERT(node__write_find(n, r->cookie) == r);
    if (r->stage == REQUEST_SENT) {
        NODE_ASSERT(w->sent_count > 0);
        w->sent_count--;
    }
    *pending_slot(w, r->cookie) = NULL;
    while (w->base != w->next && *pending_slot(w, w->base) == NULL) {
        w->base++;
    }
}

/* --- the queue ------------------------------------------------------------------------------ */

struct queued *node__queue_at(struct writes *w, size_t i)
{
    NODE_ASSERT(i < w->queue_count);
    return &w->queue[(w->queue_head + i) & (w->queue_slots - 1)];
}

static int queue_room(struct writes *w)
{
    if (w->queue_count < w->queue_slots) {
        return 0;
    }
    size_t slots = w->queue_slots * 2;
    struct queued *bigger = calloc(slots, sizeof(bigger[0]));
    if (bigger == NULL) {
        return COORD_ENOMEM;
    }
    for (size_t i = 0; i < w->queue_count; i++) {
        bigger[i] = *node__queue_at(w, i);
    }
    free(w->queue);
    w->queue = bigger;
    w->queue_slots = slots;
    w->queue_head = 0;
    return 0;
}

static int queue_push(struct writes *w, struct queued item)
{
    int rv = queue_room(w);
    if (rv == 0) {
        w->queue[(w->queue_head + w->queue_count) & (w->queue_slots - 1)] = item;
        w->queue_count++;
    }
    return rv;
}

void node__queue_pop(struct node *n, size_t count)
{
    struct writes *w = &n->writes;
    NODE_ASSERT(count <= w->queue_count);
    for (size_t i = 0; i < count; i++) {
        struct queued *item = node__queue_at(w, i);
        if (item->entry != NULL) {
            w->foreign_bytes -= item->entry->len;
            coord_buf_unref(item->entry);
            item->entry = NULL;
        }
    }
    w->queue_head = (w->queue_head + count) & (w->queue_slots - 1);
    w->queue_count -= count;
}

int node__writes_init(struct node *n)
{
    struct writes *w = &n->writes;
    uint64_t seed[2];
    n->env.random(n->env.ctx, seed, sizeof(seed));
    w->nonce = seed[0] | 1;
    w->base = w->next = (seed[1] >> 2) | 1; /* never reaches the end of its range */
    w->queue_slots = QUEUE_MIN;
    w->pending_slots = PENDING_MIN;
    w->queue = calloc(w->queue_slots, sizeof(w->queue[0]));
    w->pending = calloc(w->pending_slots, sizeof(w->pending[0]));
    w->probe_at = NODE_NEVER;
    return w->queue == NULL || w->pending == NULL ? COORD_ENOMEM : 0;
}

void node__writes_release(struct node *n)
{
    struct writes *w = &n->writes;
    if (w->queue != NULL) {
        node__queue_pop(n, w->queue_count);
    }
    free(w->queue);
    free(w->pending);
    *w = (struct writes){0};
}

/* --- making entries ------------------------------------------------------------------------- */

/* The entry of a HELLO or SESSION_OPEN begins its body with the secret. */
static struct coord_buf *with_secret(const struct request *r, const uint8_t *secret,
                                     struct entry *e)
{
    const uint8_t *rest = r->entry->data + ENTRY_HEADER_BYTES;
    uint32_t rest_bytes = e->kind == ENTRY_OPEN ? r->entry->len - (uint32_t)ENTRY_HEADER_BYTES : 0;
    e->body_bytes = COORD_SECRET_BYTES + rest_bytes;
    struct coord_buf *b = coord_buf_create((size_t)ENTRY_HEADER_BYTES + e->body_bytes);
    if (b == NULL) {
        return NULL;
    }
    memcpy(b->data + ENTRY_HEADER_BYTES, secret, COORD_SECRET_BYTES);
    memcpy(b->data + ENTRY_HEADER_BYTES + COORD_SECRET_BYTES, rest, rest_bytes);
    b->len = ENTRY_HEADER_BYTES + e->body_bytes;
    return b;
}

static int make_entry(struct node *n, struct request *r)
{
    struct entry e = {.kind = ENTRY_REQUEST,
                      .origin = n->o.raft.id,
                      .cookie = r->cookie,
                      .session = r->conn->session,
                      .epoch = r->conn->epoch,
                      .body_bytes = r->entry->len - (uint32_t)ENTRY_HEADER_BYTES};
    struct coord_buf *made = NULL;
    if (r->q.op == COORD_OP_SESSION_OPEN) {
        uint8_t secret[COORD_SECRET_BYTES];
        n->env.random(n->env.ctx, secret, sizeof(secret));
        e.kind = ENTRY_OPEN;
        e.session = e.epoch = 0;
        made = with_secret(r, secret, &e);
        explicit_bzero(secret, sizeof(secret));
    } else if (r->q.op == COORD_OP_HELLO) {
        e.kind = ENTRY_ATTACH;
        e.session = r->q.session;
        e.epoch = 0;
        made = with_secret(r, r->q.secret.data, &e);
    }
    if (e.kind != ENTRY_REQUEST) {
        if (made == NULL) {
            return COORD_ENOMEM;
        }
        coord_buf_unref(r->entry);
        r->entry = made;
    }
    entry_header_encode(&e, r->entry->data);
    return 0;
}

void node__write_submit(struct node *n, struct request *r)
{
    struct writes *w = &n->writes;
    r->stage = REQUEST_HELD; /* until it stands in the queue */
    r->cookie = w->next;
    int rv = w->next - w->base == w->pending_slots ? pending_grow(w) : 0;
    if (rv == 0) {
        rv = make_entry(n, r);
    }
    if (rv == 0) {
        rv = queue_push(w, (struct queued){.cookie = r->cookie});
    }
    if (rv != 0) {
        node__answer_error(n, r, rv, NULL);
        if (r->q.op == COORD_OP_HELLO || r->q.op == COORD_OP_SESSION_OPEN) {
            node__conn_close(n, r->conn, "out of memory"); /* others wait behind it */
        }
        return;
    }
    *pending_slot(w, r->cookie) = r;
    w->next++;
    r->stage = REQUEST_QUEUED;
    n->again = true;
}

int node__write_foreign(struct node *n, raft_id peer, uint64_t cookie, struct coord_buf *entry)
{
    struct writes *w = &n->writes;
    uint64_t bytes = entry->len;
    NODE_ASSERT(w->foreign_bytes + bytes <= NODE_FOREIGN_BYTES);
    int rv = queue_push(w, (struct queued){.entry = entry, .peer = peer, .cookie = cookie});
    if (rv != 0) {
        coord_buf_unref(entry);
        return rv;
    }
    w->foreign_bytes += bytes;
    return 0;
}

void node__writes_drop_foreign(struct node *n)
{
    struct writes *w = &n->writes;
    size_t kept = 0;
    for (size_t i = 0; i < w->queue_count; i++) {
        struct queued item = *node__queue_at(w, i);
        if (item.entry != NULL) {
            w->foreign_bytes -= item.entry->len;
            coord_buf_unref(item.entry);
        } else {
            *node__queue_at(w, kept++) = item;
        }
    }
    w->queue_count = kept;
}

/* --- sending -------------------------------------------------------------------------------- */

void node__write_mark_sent(struct node *n, struct request *r)
{
    struct writes *w = &n->writes;
    NODE_ASSERT(r->stage == REQUEST_QUEUED);
    NODE_ASSERT(w->sent_count == 0 || w->sent_term == n->st.term);
    r->stage = REQUEST_SENT;
    r->shared = true;
    r->sent_at = n->now;
    w->sent_count++;
    w->sent_term = n->st.term;
}

/* The entry of the i-th queued write, ready to be proposed; NULL when it is void by now. Borrowed. */
static struct coord_buf *proposable(struct node *n, struct queued *item)
{
    if (item->entry != NULL) {
        entry_stamp(item->entry->data, n->wall_ms);
        return item->entry;
    }
    struct request *r = node__write_find(n, item->cookie);
    if (r == NULL) {
        return NULL;
    }
    if (r->shared) {
        /* It was sent before: others may still read those bytes. */
        struct coord_buf *copy = node__must_alloc(coord_buf_copy(r->entry->data, r->entry->len));
        coord_buf_unref(r->entry);
        r->entry = copy;
        r->shared = false;
    }
    entry_stamp(r->entry->data, n->wall_ms);
    return r->entry;
}

/* One step for the first writes of the queue. metas and bufs hold `count` of them; items[i] says which
 * place in the queue each has. */
struct batch {
    uint32_t count;
    size_t taken; /* queue places, void ones included */
    uint64_t bytes;
    struct raft_entry metas[NODE_BATCH_ENTRIES];
    struct coord_buf *bufs[NODE_BATCH_ENTRIES];
    size_t places[NODE_BATCH_ENTRIES];
};

static void gather(struct node *n, struct batch *b, uint32_t count_max)
{
    struct writes *w = &n->writes;
    b->count = 0;
    b->taken = 0;
    b->bytes = 0;
    while (b->taken < w->queue_count && b->count < count_max && b->bytes < NODE_BATCH_BYTES) {
        struct coord_buf *entry = proposable(n, node__queue_at(w, b->taken));
        if (entry != NULL) {
            b->metas[b->count] =
                (struct raft_entry){.bytes = entry->len, .type = RAFT_ENTRY_COMMAND};
            b->bufs[b->count] = entry;
            b->places[b->count++] = b->taken;
            b->bytes += entry->len;
        }
        b->taken++;
    }
}

/* Clients of `peer` wait for the entry at index: their member is to hear at once that it is committed. */
static void awaited(struct node *n, raft_id peer, raft_index index)
{
    struct raft_event ev = {.type = RAFT_EV_WAITS, .peer = peer, .index = index};
    (void)node__step(n, &ev, NULL); /* only a faulted member refuses it */
}

static void accepted(struct node *n, const struct batch *b, const struct raft_accept *accept)
{
    NODE_ASSERT(accept->count == b->count && accept->skip == 0);
    raft_id from = 0; /* who forwarded the entry before this one; entries of one come in rows */
    node__payloads_cut(&n->log, accept->first);
    for (uint32_t i = 0; i < b->count; i++) {
        struct queued *item = node__queue_at(&n->writes, b->places[i]);
        node__payloads_put(&n->log, accept->first + i, coord_buf_ref(b->bufs[i]));
        if (item->entry == NULL) {
            struct request *r = node__write_find(n, item->cookie);
            NODE_ASSERT(r != NULL);
            node__write_mark_sent(n, r);
        }
        raft_id peer = item->entry == NULL ? 0 : item->peer;
        if (from != 0 && from != peer) {
            awaited(n, from, accept->first + i - 1);
        }
        from = peer;
    }
    if (from != 0) {
        awaited(n, from, accept->first + b->count - 1);
    }
    node__queue_pop(n, b->taken);
}

/* The disk is nearly full: refuse the first write of the queue. */
static void refuse_first(struct node *n, int error)
{
    struct queued *item = node__queue_at(&n->writes, 0);
    struct request *r = item->entry == NULL ? node__write_find(n, item->cookie) : NULL;
    if (item->entry != NULL) {
        node__forward_refuse(n, item->peer, item->cookie, error);
    } else if (r != NULL) {
        node__write_end(n, r, error);
    }
    node__queue_pop(n, 1);
}

static void propose(struct node *n)
{
    struct batch b;
    uint32_t count_max = NODE_BATCH_ENTRIES;
    while (n->writes.queue_count > 0 && count_max > 0) {
        struct raft_accept accept = {0, 0, 0, 0};
        uint32_t most = node__pace_proposals(n, count_max);
        if (most == 0) {
            return; /* the log would be full before its snapshot is: they wait for that */
        }
        gather(n, &b, most);
        if (b.count == 0) {
            node__queue_pop(n, b.taken);
            continue;
        }
        struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = b.metas, .count = b.count};
        int rv = node__step(n, &ev, &accept);
        if (rv == 0) {
            NODE_ASSERT(accept.term == n->st.term);
            accepted(n, &b, &accept);
        } else if (rv == RAFT_EFULL) {
            count_max = b.count / 2; /* fewer may fit; none: wait until something is committed */
        } else if (rv == RAFT_ENOSPACE && n->outbox_count == NODE_OUTBOX_MAX) {
            n->again = true; /* who forwarded it could not be told: after what is there has left */
            return;
        } else if (rv == RAFT_ENOSPACE) {
            refuse_first(n, COORD_ENOSPACE);
        } else {
            return; /* no leader any more, or handing over: they wait for the next one */
        }
    }
}

void node__writes_run(struct node *n)
{
    struct writes *w = &n->writes;
    if (w->queue_count == 0 || (w->sent_count > 0 && w->sent_term != n->st.term)) {
        return;
    }
    if (node__is_leader(n)) {
        propose(n);
    } else if (n->st.leader != 0) {
        node__forward_run(n);
    }
}

int node__propose_now(struct node *n, struct coord_buf *entry, raft_index *ret_index)
{
    struct raft_accept accept = {0, 0, 0, 0};
    struct raft_entry meta = {.bytes = entry->len, .type = RAFT_ENTRY_COMMAND};
    struct raft_event ev = {.type = RAFT_EV_PROPOSE, .entries = &meta, .count = 1};
    entry_stamp(entry->data, n->wall_ms);
    int rv = node__step(n, &ev, &accept);
    if (rv != 0) {
        return rv;
    }
    NODE_ASSERT(accept.count == 1);
    node__payloads_cut(&n->log, accept.first);
    node__payloads_put(&n->log, accept.first, entry);
    *ret_index = accept.first;
    return 0;
}

/* --- loss ----------------------------------------------------------------------------------- */

/* Every SENT write back to the front of the queue. session_only: leave the others SENT. */
static void requeue(struct node *n, bool session_only)
{
    struct writes *w = &n->writes;
    for (uint64_t cookie = w->next; cookie != w->base && w->sent_count > 0;) {
        struct request *r = *pending_slot(w, --cookie);
        if (r == NULL || r->stage != REQUEST_SENT) {
            continue;
        }
        if (session_only && r->conn->session == 0) {
            continue; /* a HELLO too: a second attachment would throw its own connection out */
        }
        if (queue_room(w) != 0) {
            (void)node__must_alloc(NULL);
        }
        w->queue_head = (w->queue_head - 1) & (w->queue_slots - 1);
        w->queue_count++;
        *node__queue_at(w, 0) = (struct queued){.cookie = cookie};
        r->stage = REQUEST_QUEUED;
        w->sent_count--;
        n->again = true;
    }
}

void node__writes_lost(struct node *n)
{
    if (n->writes.sent_count > 0) {
        node__log(n, NODE_LOG_INFO, "writes sent again: count=%llu lost_in_term=%llu",
                  (unsigned long long)n->writes.sent_count,
                  (unsigned long long)n->writes.sent_term);
        requeue(n, false);
    }
    NODE_ASSERT(n->writes.sent_count == 0);
}

void node__writes_doubt(struct node *n)
{
    const struct writes *w = &n->writes;
    for (uint64_t cookie = w->base; cookie < w->next && w->sent_count > 0; cookie++) {
        struct request *r = node__write_find(n, cookie);
        if (r != NULL && r->stage == REQUEST_SENT) {
            r->unsure = true;
        }
    }
}

void node__writes_unsure(struct node *n)
{
    struct writes *w = &n->writes;
    requeue(n, true);
    w->stream_start = 0; /* what is sent again gets a stream of its own */
    for (uint64_t cookie = w->base; cookie < w->next && w->sent_count > 0; cookie++) {
        struct request *r = node__write_find(n, cookie);
        if (r != NULL && r->stage == REQUEST_SENT) {
            node__write_end(n, r, COORD_EINDOUBT);
        }
    }
}
