/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_session.c: when sessions may end, who may write for them, and what is removed by itself.
 *
 *   E1  no write of a session that has ended takes effect (that its nodes go with it: oracle_model.c)
 *   E2  from the sending of the last keep-alive that was answered, from each attachment and from each write
 *       that was answered, at least the timeout passes until the session is given up; clocks of the client
 *       and of the leader may each be off by the drift
 *   E4  a keep-alive that succeeds was sent while the session was open
 *   X1  it was confirmed by a leader after it was sent: its receipt shows all that was applied before
 *   E5  what came through an older attachment has no effect
 *   E7  a session is called gone only when it is
 *   C1  only a container that has lost its last child goes by itself, or a ttl node that is old enough and has
 *       none
 */
#include "tests/service/oracle_int.h"

#define MS UINT64_C(1000000)

static uint64_t lease_of(const struct oracle *o, const struct oracle_session *s)
{
    uint64_t ns = s->timeout_ms * MS;
    return ns - ns / 1000000 * 2 * o->options.drift_ppm;
}

static uint64_t alive_at(struct oracle *o, const struct oracle_session *s)
{
    uint64_t opened = o->truth[s->opened].at;
    return s->alive_at > opened ? s->alive_at : opened;
}

/* --- the log -------------------------------------------------------------------------------------- */

static const char *expired_judge(struct oracle *o, uint64_t revision,
                                 const struct oracle_session *s, uint64_t at)
{
    uint64_t since = alive_at(o, s);
    o->counts.expired++;
    if (at < since + lease_of(o, s)) {
        return oracle__fail(
            o,
            "E2: session %llu is given up at index %llu, %llu ms after it was alive; its timeout "
            "is %llu ms",
            (unsigned long long)s->id, (unsigned long long)revision,
            (unsigned long long)((at - since) / MS), (unsigned long long)s->timeout_ms);
    }
    return NULL;
}

static const char *expire_judge(struct oracle *o, const struct oracle_applied *a,
                                const struct oracle_entry *e, uint64_t at)
{
    for (uint32_t i = 0; i + 16 <= e->body.len; i += 16) {
        const struct oracle_session *s = oracle__session(o, oracle__u64(e->body.data + i));
        if (s != NULL && s->ended == 0 && s->epoch == oracle__u64(e->body.data + i + 8)) {
            ORACLE_TRY(expired_judge(o, a->revision, s, at));
        }
    }
    return NULL;
}

/* How many children of a node go in the same entry, before it. */
static uint64_t gone_with(const struct oracle_applied *a, uint32_t before, struct coord_bytes path)
{
    uint64_t gone = 0;
    for (uint32_t i = 0; i < before; i++) {
        const struct coord_bytes p = a->changes[i].path;
        gone += p.len > 1 && oracle__same(oracle__parent_path(p), path);
    }
    return gone;
}

static const char *reap_judge(struct oracle *o, const struct oracle_applied *a,
                              const struct oracle_entry *e)
{
    uint64_t time_ms = e->time_ms > o->tree.time_ms ? e->time_ms : o->tree.time_ms;
    for (uint32_t i = 0; i < a->changes_count; i++) {
        const struct coord_change *c = &a->changes[i];
        const struct oracle_version *v = oracle__now(oracle__node(&o->tree, c->path));
        struct oracle_version then = v == NULL ? (struct oracle_version){.exists = false} : *v;
        then.stat.children -= gone_with(a, i, c->path);
        if (c->kind != COORD_CHANGE_DELETED || v == NULL || !oracle__is_due(&then, time_ms)) {
            return oracle__fail(o, "C1: index %llu removes %.*s, which must stay (%llu children)",
                                (unsigned long long)a->revision, ORACLE_PATH(c->path),
                                (unsigned long long)then.stat.children);
        }
    }
    return NULL;
}

static const char *request_judge(struct oracle *o, const struct oracle_applied *a,
                                 const struct oracle_entry *e)
{
    const struct oracle_session *s = oracle__session(o, e->session);
    if (e->session == 0 || a->changes_count == 0) {
        return NULL;
    }
    if (s == NULL || s->ended != 0) {
        return oracle__fail(o,
                            "E1: index %llu: a write of session %llu takes effect, which is over",
                            (unsigned long long)a->revision, (unsigned long long)e->session);
    }
    if (s->epoch != e->epoch) {
        return oracle__fail(
            o,
            "E5: index %llu: a write of session %llu through its attachment %llu takes effect, "
            "the newest is %llu",
            (unsigned long long)a->revision, (unsigned long long)e->session,
            (unsigned long long)e->epoch, (unsigned long long)s->epoch);
    }
    return NULL;
}

const char *oracle__session_applied(struct oracle *o, const struct oracle_applied *a,
                                    const struct oracle_entry *e, uint64_t at)
{
    struct oracle_session *s;
    switch (e->kind) {
    case ORACLE_EXPIRE:
        return expire_judge(o, a, e, at);
    case ORACLE_REAP:
        return reap_judge(o, a, e);
    case ORACLE_REQUEST:
        return request_judge(o, a, e);
    case ORACLE_ATTACH:
        s = oracle__session(o, e->session);
        if (s != NULL && a->error == 0) {
            s->alive_at = at;
        }
        return NULL;
    default:
        return NULL;
    }
}

/* --- clients -------------------------------------------------------------------------------------- */

/* It was proven that the session was known as alive at `sent_at`. */
static const char *alive(struct oracle *o, struct oracle_session *s, uint64_t sent_at)
{
    if (s->ended != 0 && s->expired) {
        uint64_t end = o->truth[s->ended].at;
        if (end < sent_at + lease_of(o, s)) {
            return oracle__fail(
                o,
                "E2: session %llu was given up at index %llu, %lld ms after the sending of what "
                "was answered; its timeout is %llu ms",
                (unsigned long long)s->id, (unsigned long long)s->ended,
                (long long)(end - sent_at) / (long long)MS, (unsigned long long)s->timeout_ms);
        }
    }
    if (sent_at > s->alive_at) {
        s->alive_at = sent_at;
    }
    return NULL;
}

const char *oracle_alive(struct oracle *o, uint64_t client, uint64_t session, uint64_t sent_at,
                         uint64_t revision)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_session *s = oracle__session(o, session);
    const struct oracle_truth *next = revision == 0 ? NULL : oracle__truth(o, revision + 1);
    if (next != NULL && next->at < sent_at) {
        return oracle__fail(
            o,
            "X1: client %llu: a keep-alive is answered from %llu, %llu was applied before "
            "it was sent",
            (unsigned long long)client, (unsigned long long)revision,
            (unsigned long long)revision + 1);
    }
    if (s == NULL || (s->ended != 0 && o->truth[s->ended].at < sent_at)) {
        return oracle__fail(o, "E4: client %llu: a keep-alive of session %llu succeeds, which %s",
                            (unsigned long long)client, (unsigned long long)session,
                            s == NULL ? "never was" : "had ended before it was sent");
    }
    return alive(o, s, sent_at);
}

const char *oracle_session_gone(struct oracle *o, uint64_t client, uint64_t session, uint64_t at)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    const struct oracle_session *s = oracle__session(o, session);
    (void)at;
    if (s != NULL && s->ended == 0) {
        return oracle__fail(o, "E7: client %llu is told that session %llu is gone, it is open",
                            (unsigned long long)client, (unsigned long long)session);
    }
    return NULL;
}

const char *oracle__session_write(struct oracle *o, const struct oracle_pending *p,
                                  const struct oracle_reply *r)
{
    struct oracle_session *s = oracle__session(o, p->c.session);
    if (s == NULL || r->result == NULL || r->result->error != 0 ||
        p->q.op == COORD_OP_SESSION_OPEN) {
        return NULL;
    }
    return alive(o, s, p->at);
}
