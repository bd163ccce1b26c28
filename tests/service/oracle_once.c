/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_once.c: does each write take effect as often as its client was told? Knows nothing of the model: it
 * looks at the log, at who asked, and at what the answers said.
 *
 *   X4  in doubt or not, a write takes effect at most as often as it was called
 *   X5  (session, number) takes effect once at most; whatever comes under it again has the first answer
 *   X6  a write that its client took for not applied has no effect, before or after
 *   X7  nothing is in the log that nobody asked for; no call is answered twice (oracle.c)
 *   X1  the index of an answered write is above everything applied before its call
 *   M3  the answer is the one that the log's index gave
 *
 * Writes without a session are known by a fingerprint of everything they ask for. Where several calls share
 * one, the rules hold for all of them together.
 */
#include "tests/service/oracle_int.h"

/* --- keys ----------------------------------------------------------------------------------------- */

struct oracle_key *oracle__key(struct oracle *o, uint64_t session, uint64_t number)
{
    const uint64_t both[2] = {session, number};
    struct oracle_key **bucket = &o->keys[oracle__hash(both, sizeof(both), 4) % ORACLE_BUCKETS];
    struct oracle_key *k = *bucket;
    while (k != NULL && (k->session != session || k->number != number)) {
        k = k->bucket_next;
    }
    if (k == NULL) {
        k = oracle__alloc(o, sizeof(*k));
        k->session = session;
        k->number = number;
        k->bucket_next = *bucket;
        *bucket = k;
    }
    return k;
}

/* Errors that leave no answer behind: nothing was decided about the write. */
static bool is_undecided(int error)
{
    return error == COORD_EMOVED || error == COORD_EBUSY || error == COORD_EEXPIRED ||
           error == COORD_EBADREQUEST;
}

static bool took_effect(const struct oracle_truth *t)
{
    return t->changes_count > 0 || (t->op == COORD_OP_SESSION_OPEN && t->error == 0);
}

/* --- the log -------------------------------------------------------------------------------------- */

static const char *again(struct oracle *o, uint64_t revision, const struct oracle_truth *t,
                         const struct oracle_key *k)
{
    const struct oracle_truth *first = oracle__truth(o, k->first);
    if (t->changes_count > 0) {
        return oracle__fail(o, "X5: session %llu request %llu took effect at %llu and at %llu",
                            (unsigned long long)t->session, (unsigned long long)t->number,
                            (unsigned long long)k->first, (unsigned long long)revision);
    }
    if (first->error != t->error || !oracle__same(first->body, t->body)) {
        return oracle__fail(
            o, "X5: session %llu request %llu: answer %d at %llu, another (%d) at %llu",
            (unsigned long long)t->session, (unsigned long long)t->number, first->error,
            (unsigned long long)k->first, t->error, (unsigned long long)revision);
    }
    return NULL;
}

const char *oracle__once_applied(struct oracle *o, uint64_t revision, struct oracle_truth *t,
                                 const struct oracle_entry *e)
{
    if (!e->has_q) {
        return NULL;
    }
    bool own = e->kind == ORACLE_OPEN || t->session == 0;
    struct oracle_key *print = oracle__key(o, 0, t->print);
    struct oracle_key *k = own ? print : oracle__key(o, t->session, t->number);
    if (took_effect(t) && print->calls == 0 && t->op != COORD_OP_SESSION_CLOSE &&
        t->op != COORD_OP_SESSION_OPEN) {
        return oracle__fail(o, "X7: index %llu (%s %.*s) has what nobody asked for",
                            (unsigned long long)revision, coord_op_name(t->op),
                            ORACLE_PATH(e->q.path));
    }
    t->same_next = k->last;
    k->last = revision;
    if (!own && k->first != 0 && !is_undecided(t->error)) {
        return again(o, revision, t, k);
    }
    if (!own && !is_undecided(t->error)) {
        k->first = revision;
    }
    k->effects += took_effect(t);
    if (k->refused && took_effect(t) && (!own || k->effects >= k->calls)) {
        return oracle__fail(
            o, "X6: index %llu (%s %.*s) carries out what was answered as not applied",
            (unsigned long long)revision, coord_op_name(t->op), ORACLE_PATH(e->q.path));
    }
    if (own && t->op != COORD_OP_SESSION_OPEN && k->effects > k->calls) {
        return oracle__fail(o, "X4: %s %.*s took effect %llu times, was called %llu times",
                            coord_op_name(t->op), ORACLE_PATH(e->q.path),
                            (unsigned long long)k->effects, (unsigned long long)k->calls);
    }
    return NULL;
}

/* --- clients -------------------------------------------------------------------------------------- */

void oracle__once_called(struct oracle *o, const struct oracle_pending *p)
{
    oracle__key(o, 0, p->print)->calls++;
}

/* The index whose answer this is. */
static struct oracle_truth *find_answer(struct oracle *o, const struct oracle_pending *p,
                                        const struct coord_result *res, uint64_t *ret_index)
{
    bool own = p->c.session == 0 || p->q.op == COORD_OP_SESSION_OPEN;
    const struct oracle_key *k =
        own ? oracle__key(o, 0, p->print) : oracle__key(o, p->c.session, p->c.number);
    uint64_t index = own ? k->last : k->first;
    struct coord_buf *b = NULL;
    struct oracle_truth *found = NULL;
    if (coord_body_encode(p->q.op, res, &b) != 0) {
        return NULL;
    }
    while (index != 0 && found == NULL) {
        struct oracle_truth *t = oracle__truth(o, index);
        struct coord_bytes body = {b->data, b->len};
        /* Others may have asked for the same: it is one that was decided while this one waited. */
        bool mine = index > p->truth_then && index <= res->receipt.revision && !t->claimed;
        *ret_index = index;
        if (!own ||
            (mine && t->error == res->error && (t->error != 0 || oracle__same(t->body, body)))) {
            found = t;
        }
        index = t->same_next;
    }
    if (found != NULL &&
        (found->error != res->error ||
         (res->error == 0 && !oracle__same(found->body, (struct coord_bytes){b->data, b->len})))) {
        (void)oracle__fail(
            o, "M3: call %llu (%s %.*s): the answer (%d) is not that of index %llu (%d)",
            (unsigned long long)p->c.call, coord_op_name(p->q.op), ORACLE_PATH(p->q.path),
            res->error, (unsigned long long)*ret_index, found->error);
    }
    coord_buf_unref(b);
    return found;
}

/* Errors of which docs/protocol.md says that the ensemble decided them, and only it can. */
static bool is_decision(int error)
{
    return error == 0 || error == COORD_ENONODE || error == COORD_EEXISTS ||
           error == COORD_ECONDITION || error == COORD_ENOTEMPTY || error == COORD_EEPHEMERAL ||
           error == COORD_EQUOTA || error == COORD_EINSIDE || error == COORD_ENOTNUMBER ||
           error == COORD_ESTOREFULL;
}

static const char *decided(struct oracle *o, const struct oracle_pending *p,
                           const struct coord_result *res)
{
    uint64_t index = 0;
    struct oracle_truth *t = find_answer(o, p, res, &index);
    if (t == NULL) {
        return oracle__fail(o, "X6: call %llu (%s %.*s): answered with %d, and in no index",
                            (unsigned long long)p->c.call, coord_op_name(p->q.op),
                            ORACLE_PATH(p->q.path), res->error);
    }
    if (oracle_verdict(o) != NULL) {
        return oracle_verdict(o);
    }
    t->claimed = p->c.session == 0 && took_effect(t);
    o->counts.writes++;
    if (index <= p->truth_then) {
        return oracle__fail(o,
                            "X1: call %llu took effect at %llu, %llu was applied before its call",
                            (unsigned long long)p->c.call, (unsigned long long)index,
                            (unsigned long long)p->truth_then);
    }
    if (res->receipt.revision < index) {
        return oracle__fail(o, "X3: call %llu took effect at %llu, its receipt says %llu",
                            (unsigned long long)p->c.call, (unsigned long long)index,
                            (unsigned long long)res->receipt.revision);
    }
    return NULL;
}

const char *oracle__once_judge(struct oracle *o, struct oracle_pending *p,
                               const struct oracle_reply *r)
{
    if (r->result != NULL && is_decision(r->result->error) && r->error_class != COORD_UNKNOWN) {
        return decided(o, p, r->result);
    }
    if (r->error_class != COORD_NOT_APPLIED) {
        return NULL;
    }
    bool own = p->c.session == 0 || p->q.op == COORD_OP_SESSION_OPEN;
    struct oracle_key *k =
        own ? oracle__key(o, 0, p->print) : oracle__key(o, p->c.session, p->c.number);
    if (!own && p->c.number == 0) {
        return NULL; /* never sent */
    }
    k->refused = true;
    if (k->effects > 0 && (!own || k->effects >= k->calls)) {
        return oracle__fail(o, "X6: call %llu (%s %.*s): not applied (%d), but it was, at %llu",
                            (unsigned long long)p->c.call, coord_op_name(p->q.op),
                            ORACLE_PATH(p->q.path), r->error, (unsigned long long)k->last);
    }
    return NULL;
}
