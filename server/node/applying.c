/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applying.c: committed entries into the state machine, and what follows from each: events to watches,
 * sessions, the answer to the client that waits here.
 *
 * For one entry, in this order (node.h invariants 2 and 4):
 *   1. reads of the same connection that came before the write are answered from the state before it
 *   2. machine_apply
 *   3. its changes to the watches, with those of /coord
 *   4. sessions that ended or moved
 *   5. the answer
 *
 * Invariant: entries are applied in the order of their index, each once; `applied` moves before anything
 * is answered, so that every receipt tells a revision that is in the state.
 */
#include "server/mutant.h"
#include "server/node/internal.h"

#define FETCH_BYTES 256u /* of a payload: most are not longer */
#define FETCH_LINE  64u

static void publish(struct node *n, raft_index index, const struct machine_outcome *o)
{
    if (SERVER_BUG(30) && o->ended_count > 0) {
        return;
    }
    if (o->changes_count > 0) {
        watch_publish(n->hub, index, o->changes, o->changes_count);
    }
}

static void answer(struct node *n, struct request *r, const struct machine_outcome *o)
{
    node__reads_fresh(n, r->arrived);
    n->writes.progress_at = n->writes.taken_at = n->now;
    if (r->q.op == COORD_OP_HELLO || r->q.op == COORD_OP_SESSION_OPEN) {
        node__session_answer(n, r, o);
    } else {
        node__answer_body(n, r, o->error, o->body);
    }
}

static void apply_command(struct node *n, raft_index index, const struct coord_buf *buf)
{
    struct machine_outcome o;
    struct request *r = NULL;
    struct entry e;
    bool valid = entry_decode(buf->data, buf->len, &e);
    if (valid && e.origin == n->o.raft.id) {
        r = node__write_find(n, e.cookie);
    }
    if (r != NULL && r->conn->waiting > 0) {
        node__reads_force(n, r->conn, r);
    }
    if (r != NULL && r->stage != REQUEST_SENT) {
        r = NULL; /* it waits to be sent again, and hears then what becomes of it here */
    }
    machine_apply(n->machine, index, buf->data, buf->len, &o);
    n->applied = index;
    if (valid && e.kind == ENTRY_DIGEST) {
        node__digest_applied(n, index);
    }
    node__system_applied(n, buf->data[0] == ENTRY_LIMITS, &o);
    if (!SERVER_BUG(4)) {
        publish(n, index, &o);
    }
    if (buf->data[0] == ENTRY_LIMITS) {
        node__limits_follow(n);
    }
    if (r != NULL && o.attached_epoch == 0 && o.ended_count == 0) {
        answer(n, r, &o);
        if (SERVER_BUG(4)) {
            publish(n, index, &o);
        }
        return;
    }
    if (SERVER_BUG(4)) {
        publish(n, index, &o);
    }
    node__sessions_applied(n, &o, r);
    if (r != NULL && r->stage == REQUEST_SENT) {
        answer(n, r, &o);
    }
}

static void apply_one(struct node *n, raft_index index)
{
    const struct raft_entry *meta = raft_entry_at(n->raft, index);
    NODE_ASSERT(meta != NULL);
    if (n->writes.sent_count > 0 && meta->term > n->writes.sent_term) {
        node__writes_lost(n);
    }
    n->applied_term = meta->term;
    n->snaps.entries++;
    n->digest.entries++;
    if (meta->type != RAFT_ENTRY_COMMAND || meta->bytes == 0) {
        /* One without a byte is no entry of the machine's, and no member proposes it. */
        machine_skip(n->machine, index);
        n->applied = index;
        if (meta->type == RAFT_ENTRY_CONFIG) {
            node__system_config(n, index);
        }
        return;
    }
    struct coord_buf *buf = node__payloads_get(&n->log, index);
    NODE_ASSERT(buf != NULL);
    NODE_ASSERT(buf->len == meta->bytes);
    n->snaps.bytes += buf->len;
    apply_command(n, index, buf);
}

/* Have the first bytes of a payload fetched. Most have waited for others' disks since they came, and while this member
 * slept the caches belonged to somebody else. */
static void fetch_payload(const struct node *n, raft_index index)
{
    const uint8_t *bytes = (const uint8_t *)node__payloads_get(&n->log, index);
    for (size_t at = 0; bytes != NULL && at < FETCH_BYTES; at += FETCH_LINE) {
        __builtin_prefetch(bytes + at);
    }
}

/* Entries through `through` are about to be applied: name those that were not named yet. */
static void look_ahead(struct node *n, raft_index *inout_named, raft_index through)
{
    while (*inout_named < n->commit && *inout_named < through) {
        const struct coord_buf *buf = node__payloads_get(&n->log, ++*inout_named);
        fetch_payload(n, *inout_named + NODE_APPLY_AHEAD);
        if (buf != NULL) {
            machine_ahead(n->machine, buf->data, buf->len);
        }
    }
}

void node__apply(struct node *n)
{
    raft_index before = n->applied;
    raft_index named = n->applied;
    if (n->snaps.loading || n->fault[0] != '\0') {
        return;
    }
    while (n->applied < n->commit && n->apply_entries > 0 && n->apply_bytes > 0) {
        const struct raft_entry *meta = raft_entry_at(n->raft, n->applied + 1);
        NODE_ASSERT(meta != NULL);
        n->apply_entries--;
        n->apply_bytes -= meta->bytes < n->apply_bytes ? meta->bytes : n->apply_bytes;
        look_ahead(n, &named, n->applied + 1 + NODE_APPLY_AHEAD);
        apply_one(n, n->applied + 1);
    }
    if (n->applied == before) {
        return;
    }
    n->applied_at = n->now;
    struct raft_event ev = {.type = RAFT_EV_APPLIED, .index = n->applied};
    int rv = node__step(n, &ev, NULL);
    NODE_ASSERT(rv == 0 || rv == RAFT_EFAULTED);
    if (n->env.log_read != NULL) {
        raft_index on_disk = n->st.stable < n->applied ? n->st.stable : n->applied;
        node__payloads_trim(&n->log, on_disk, n->o.log_memory_bytes);
    }
    node__conns_ready_blocked(n);
    if (n->applied < n->commit) {
        n->again = true;
    }
}
