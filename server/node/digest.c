/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest.c: do the members hold the same state? Every so many entries the leader puts a DIGEST entry into the
 * log. At its revision each member hashes its whole state, in slices and while entries go on being applied
 * (machine/saver.h), and tells the others what came out. Who finds that a majority of the voters agrees on
 * something else has a wrong state and stops serving: a wrong answer is worse than none.
 *
 * Why the state is read again and no sum is kept with each change: a sum that follows the changes says what
 * was written, not what is there now. docs/decisions.md has the costs of both.
 *
 * A diverged member refuses clients with words and closes their connections, takes and sends no snapshots,
 * decides nothing about sessions, and hands leadership over. Its log is as good as any, so it goes on
 * voting, storing and counting for a quorum. It serves again when a snapshot of the leader took the place of
 * its state, or after a restart (docs/operations.md).
 *
 * Nobody waits for anybody: a member that is still busy with an earlier revision leaves one out, a report that
 * is lost is sent again when the link comes back, and what cannot be compared is not.
 *
 * Invariants
 *   1. A state is judged only by reports of the very same revision, made in the same format.
 *   2. Nobody stops unless a majority of all voters agrees with each other.
 */
#include "server/node/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "server/machine/snapshot.h"

/* --- reports -------------------------------------------------------------------------------- */

static const struct digest_report *report_at(const struct digest_reports *r, raft_index index)
{
    for (uint32_t i = 0; i < NODE_DIGESTS_KEPT; i++) {
        if (r->ring[i].index == index) {
            return &r->ring[i];
        }
    }
    return NULL;
}

static void report_keep(struct digest_reports *r, raft_index index, uint64_t value)
{
    r->ring[r->next++ % NODE_DIGESTS_KEPT] = (struct digest_report){.index = index, .value = value};
}

static void tell(struct node *n, raft_id peer, const struct digest_report *report)
{
    const struct peer_notice m = {.kind = PEER_DIGEST,
                                  .term = n->st.term,
                                  .nonce = SNAPSHOT_VERSION,
                                  .a = report->index,
                                  .b = report->value};
    struct coord_buf *b = peer_notice_encode(&m);
    if (b != NULL) { /* else as if the network had lost it */
        node__peer_send(n, peer, b);
        coord_buf_unref(b);
    }
}

/* --- diverged ------------------------------------------------------------------------------- */

const char *node__stopped(const struct node *n)
{
    if (n->fault[0] != '\0') {
        return n->fault;
    }
    return n->digest.diverged[0] != '\0' ? n->digest.diverged : NULL;
}

bool node__diverged(const struct node *n)
{
    return n->digest.diverged[0] != '\0';
}

/* What was sent may be applied yet, by the others; everything else did not happen. */
static void turn_away(struct node *n, struct conn *c)
{
    uint32_t told = 0;
    for (struct request *r = c->head; r != NULL; r = r->next) {
        if (r->stage != REQUEST_DONE) {
            int error = r->stage == REQUEST_SENT ? COORD_EINDOUBT : COORD_ESHUTDOWN;
            node__answer_error(n, r, error, "%s", n->digest.diverged);
            told++;
        }
    }
    node__conn_advance(n, c);
    if (told == 0) {
        node__conn_abandon(n, c, COORD_ESHUTDOWN, n->digest.diverged, "diverged");
    } else {
        node__conn_close(n, c, "diverged");
    }
}

static void stop_serving(struct node *n, raft_index index, uint64_t own, uint64_t others)
{
    struct digest *d = &n->digest;
    (void)snprintf(d->diverged, sizeof(d->diverged),
                   "this member's state differs from that of a majority at revision %" PRIu64
                   " (%016" PRIx64 " here, %016" PRIx64 " there): it needs a restart",
                   index, own, others); /* it fits: the numbers have at most 20 digits */
    node__log(n, NODE_LOG_ERROR,
              "state diverged, not serving: revision=%" PRIu64 " digest=%016" PRIx64
              " majority=%016" PRIx64 " agreed_until=%" PRIu64,
              index, own, others, d->agreed);
    node__saving_abandon(n, "the state is wrong");
    d->transfer_at = n->now;
    for (struct node_link *l = n->all.next; l != &n->all; l = l->next) {
        struct conn *c = NODE_CONTAINER(l, struct conn, all);
        if (c->close_why == NULL) {
            turn_away(n, c);
        }
    }
}

/* --- judging -------------------------------------------------------------------------------- */

/* What the voters said about one revision. */
struct poll {
    uint32_t voters;
    uint32_t reported;
    uint32_t best_count; /* voters that say best_value: the value most of them say */
    uint64_t best_value;
};

/* The report of a member about a revision, NULL when there is none. */
static const struct digest_report *report_of(const struct node *n, raft_id id, raft_index index)
{
    if (id == n->o.raft.id) {
        return report_at(&n->digest.own, index);
    }
    for (uint32_t i = 0; i < n->peers_count; i++) {
        if (n->peers[i].id == id) {
            return report_at(&n->peers[i].digests, index);
        }
    }
    return NULL;
}

static void ask_all(const struct node *n, raft_index index, struct poll *ret_p)
{
    uint64_t values[RAFT_NODES_MAX];
    memset(ret_p, 0, sizeof(*ret_p));
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        if ((n->st.peers[i].roles & RAFT_VOTER) == 0) {
            continue;
        }
        ret_p->voters++;
        const struct digest_report *r = report_of(n, n->st.peers[i].id, index);
        if (r != NULL) {
            values[ret_p->reported++] = r->value;
        }
    }
    for (uint32_t i = 0; i < ret_p->reported; i++) {
        uint32_t count = 0;
        for (uint32_t k = 0; k < ret_p->reported; k++) {
            count += values[k] == values[i];
        }
        if (count > ret_p->best_count) {
            ret_p->best_count = count;
            ret_p->best_value = values[i];
        }
    }
}

/* Say once a revision that somebody's state is another. */
static void name_others(struct node *n, raft_index index, uint64_t own, bool sure)
{
    struct digest *d = &n->digest;
    for (uint32_t i = 0; i < n->peers_count; i++) {
        const struct digest_report *r = report_at(&n->peers[i].digests, index);
        uint64_t bit = UINT64_C(1) << i;
        if (r == NULL || r->value == own) {
            continue;
        }
        if (d->named_index != index) {
            d->named_index = index;
            d->named = 0;
        }
        if ((d->named & bit) == 0) {
            d->named |= bit;
            node__log(n, sure ? NODE_LOG_ERROR : NODE_LOG_WARN,
                      "state of another member differs: peer=%u revision=%" PRIu64
                      " digest=%016" PRIx64 " there=%016" PRIx64,
                      n->peers[i].id, index, own, r->value);
        }
    }
}

static void judge(struct node *n, raft_index index)
{
    struct digest *d = &n->digest;
    const struct digest_report *own = report_at(&d->own, index);
    struct poll p;
    if (own == NULL || node__diverged(n)) {
        return;
    }
    ask_all(n, index, &p);
    uint32_t needed = node__needed(n);
    bool agreed = p.best_count >= needed;
    if (agreed && p.best_value != own->value) {
        stop_serving(n, index, own->value, p.best_value);
        return;
    }
    name_others(n, index, own->value, agreed);
    if (agreed && index > d->agreed) {
        d->agreed = index;
        node__log(n, NODE_LOG_INFO,
                  "states agree: revision=%" PRIu64 " digest=%016" PRIx64 " members=%u", index,
                  own->value, p.best_count);
    }
    bool hopeless = p.best_count + (p.voters - p.reported) < needed;
    if (hopeless && index > d->hopeless) {
        d->hopeless = index;
        node__log(n, NODE_LOG_ERROR,
                  "states differ and no majority agrees: revision=%" PRIu64 " digest=%016" PRIx64,
                  index, own->value);
    }
}

void node__digest_receive(struct node *n, struct peer *p, const struct peer_notice *m)
{
    if (m->nonce != SNAPSHOT_VERSION) {
        return; /* of another version of this program: not to be compared */
    }
    if (report_at(&p->digests, m->a) == NULL) {
        report_keep(&p->digests, m->a, m->b);
        judge(n, m->a);
    }
}

void node__digest_link_up(struct node *n, raft_id peer)
{
    const struct digest_reports *own = &n->digest.own;
    if (own->next > 0) {
        tell(n, peer, &own->ring[(own->next - 1) % NODE_DIGESTS_KEPT]);
    }
}

/* --- hashing -------------------------------------------------------------------------------- */

void node__digest_applied(struct node *n, raft_index index)
{
    struct digest *d = &n->digest;
    d->entries = 0;
    d->due_at = n->now + n->o.digest_interval_ns;
    if (d->saver != NULL || node__diverged(n)) {
        return; /* still busy with an earlier one: this one is left to the others */
    }
    int rc = machine_saver_create(n->machine, NULL, &d->saver);
    if (rc != 0) {
        node__log(n, NODE_LOG_WARN, "state is not compared: revision=%" PRIu64 " error=%s", index,
                  coord_errname(rc));
        return;
    }
    d->index = index;
    d->slice_at = n->now;
}

void node__digest_drop(struct node *n)
{
    machine_saver_destroy(n->digest.saver);
    n->digest.saver = NULL;
}

void node__digest_replaced(struct node *n)
{
    struct digest *d = &n->digest;
    memset(&d->own, 0, sizeof(d->own)); /* they spoke of the state before */
    if (node__diverged(n)) {
        d->diverged[0] = '\0';
        node__log(n, NODE_LOG_INFO, "state replaced, serving again: revision=%" PRIu64, n->applied);
    }
}

static void slice(struct node *n)
{
    struct digest *d = &n->digest;
    int rc = 1;
    d->slice_at = node__slice(n, d->saver, &rc);
    n->sliced = true;
    if (rc == 1) {
        return;
    }
    uint64_t value = rc == 0 ? machine_saver_digest(d->saver) : 0;
    node__digest_drop(n);
    if (rc < 0) {
        node__log(n, NODE_LOG_WARN, "state is not compared: revision=%" PRIu64 " error=%s",
                  d->index, coord_errname(rc));
        return;
    }
    report_keep(&d->own, d->index, value);
    const struct digest_report *own = report_at(&d->own, d->index);
    for (uint32_t i = 0; i < n->peers_count; i++) {
        tell(n, n->peers[i].id, own);
    }
    judge(n, d->index);
}

/* --- asking --------------------------------------------------------------------------------- */

static bool asks(const struct node *n)
{
    const struct digest *d = &n->digest;
    bool under_way = d->proposed > n->applied && d->proposed_term == n->st.term;
    return node__is_leader(n) && n->st.leader_ready && !n->leaving && !node__diverged(n) &&
           n->o.digest_entries > 0 && d->entries >= n->o.digest_entries && d->saver == NULL &&
           !under_way;
}

static void propose(struct node *n)
{
    struct digest *d = &n->digest;
    const struct entry e = {.kind = ENTRY_DIGEST};
    struct coord_buf *b = coord_buf_create(ENTRY_HEADER_BYTES);
    d->due_at = n->now + n->o.digest_interval_ns; /* and when it fails, later */
    if (b == NULL) {
        return;
    }
    entry_header_encode(&e, b->data);
    b->len = ENTRY_HEADER_BYTES;
    if (node__propose_now(n, b, &d->proposed) != 0) {
        coord_buf_unref(b);
        return;
    }
    d->proposed_term = n->st.term;
    n->again = true;
}

/* A diverged member leads nobody for longer than it takes to find another. */
static void hand_over(struct node *n)
{
    if (!node__diverged(n) || !node__is_leader(n) || n->now < n->digest.transfer_at) {
        return;
    }
    struct raft_event ev = {.type = RAFT_EV_TRANSFER, .peer = 0};
    (void)node__step(n, &ev, NULL); /* busy or nobody reachable: again below */
    n->digest.transfer_at = n->now + 2 * n->o.raft.heartbeat;
    n->again = true;
}

void node__digest_run(struct node *n)
{
    struct digest *d = &n->digest;
    if (n->fault[0] != '\0') {
        node__digest_drop(n);
        return;
    }
    if (asks(n) && n->now >= d->due_at) {
        propose(n);
    }
    if (d->saver != NULL && n->now >= d->slice_at && !n->sliced) {
        slice(n);
    }
    hand_over(n);
}

uint64_t node__digest_deadline(const struct node *n)
{
    const struct digest *d = &n->digest;
    uint64_t at = d->saver != NULL ? d->slice_at : NODE_NEVER;
    if (asks(n) && d->due_at < at) {
        at = d->due_at;
    }
    if (node__diverged(n) && node__is_leader(n) && d->transfer_at < at) {
        at = d->transfer_at;
    }
    return at;
}
