/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_truth.c: what members applied. The first to apply an index makes it the truth, which is then judged
 * by itself (oracle_once.c, oracle_session.c, oracle_model_entry.c); every other member must do the same.
 *
 * Rule R5: a member's indices follow each other without a hole, from the state it began with; nobody's state is
 * of an index that was never applied; all do the same at an index and hold the same state behind it.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct oracle_truth *oracle__truth(struct oracle *o, uint64_t revision)
{
    return revision == 0 || revision > o->newest ? NULL : &o->truth[revision];
}

static struct oracle_member *member_of(struct oracle *o, uint32_t id)
{
    for (uint32_t i = 0; i < o->members_count; i++) {
        if (o->members[i].id == id) {
            return &o->members[i];
        }
    }
    assert(o->members_count < sizeof(o->members) / sizeof(o->members[0]));
    struct oracle_member *m = &o->members[o->members_count++];
    *m = (struct oracle_member){.id = id};
    return m;
}

const char *oracle_member_digest(struct oracle *o, uint32_t member, uint64_t revision,
                                 uint64_t digest)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_truth *t = oracle__truth(o, revision);
    if (t == NULL || digest == 0) {
        return NULL;
    }
    if (t->digest == 0) {
        t->digest = digest;
    }
    if (t->digest != digest) {
        return oracle__fail(o, "R5: member %u has state %016llx behind index %llu, others %016llx",
                            member, (unsigned long long)digest, (unsigned long long)revision,
                            (unsigned long long)t->digest);
    }
    return NULL;
}

const char *oracle_member_state(struct oracle *o, uint32_t member, uint64_t revision,
                                uint64_t digest, uint64_t at)
{
    (void)at;
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_member *m = member_of(o, member);
    if (revision > o->newest) {
        return oracle__fail(o,
                            "R5: member %u takes the state of %llu, nobody applied more than %llu",
                            member, (unsigned long long)revision, (unsigned long long)o->newest);
    }
    if (m->running && revision < m->revision) {
        return oracle__fail(o, "R5: member %u goes back from %llu to %llu", member,
                            (unsigned long long)m->revision, (unsigned long long)revision);
    }
    m->running = true;
    m->revision = revision;
    return oracle_member_digest(o, member, revision, digest);
}

const char *oracle_member_ended(struct oracle *o, uint32_t member, uint64_t at)
{
    (void)at;
    member_of(o, member)->running = false;
    return oracle_verdict(o);
}

/* Everything that was done, as one number. */
static uint64_t sign_of(const struct oracle_applied *a)
{
    uint64_t h = oracle__hash(a->bytes, a->bytes == NULL ? 0 : a->len, 1);
    h = oracle__hash(&a->error, sizeof(a->error), h);
    if (a->body != NULL) {
        h = oracle__hash(a->body->data, a->body->len, h);
    }
    for (uint32_t i = 0; i < a->changes_count; i++) {
        const struct coord_change *c = &a->changes[i];
        const uint64_t n[4] = {(uint64_t)c->kind, c->version, c->create_revision, c->value.len};
        h = oracle__hash(n, sizeof(n), h);
        h = oracle__hash(c->path.data, c->path.len, h);
        h = c->value.data == NULL ? h : oracle__hash(c->value.data, c->value.len, h);
        h = c->previous.data == NULL ? h : oracle__hash(c->previous.data, c->previous.len, h);
    }
    return oracle__hash(a->ended, a->ended_count * sizeof(a->ended[0]), h);
}

static struct oracle_truth *truth_add(struct oracle *o, uint64_t revision)
{
    if (revision >= o->truth_cap) {
        uint64_t cap = o->truth_cap == 0 ? 1024 : o->truth_cap * 2;
        struct oracle_truth *t = realloc(o->truth, (size_t)cap * sizeof(*t));
        assert(t != NULL);
        memset(t + o->truth_cap, 0, (size_t)(cap - o->truth_cap) * sizeof(*t));
        o->truth = t;
        o->truth_cap = cap;
    }
    o->newest = revision;
    return &o->truth[revision];
}

/* The first member to apply an index. */
static const char *truth_new(struct oracle *o, const struct oracle_applied *a, uint64_t at)
{
    struct oracle_entry e = {.kind = ORACLE_NONE};
    struct oracle_truth *t = truth_add(o, a->revision);
    if (a->bytes != NULL) {
        oracle__entry_decode(a->bytes, a->len, &e);
    }
    *t = (struct oracle_truth){.at = at,
                               .member = a->member,
                               .sign = sign_of(a),
                               .kind = e.kind,
                               .session = e.session,
                               .error = a->error};
    if (e.has_q) {
        t->number = e.q.number;
        t->op = e.q.op;
        t->print = oracle__fingerprint(&e.q);
    }
    if (a->body != NULL) {
        t->body = oracle__keep(o, (struct coord_bytes){a->body->data, a->body->len});
    }
    t->changes_count = a->changes_count;
    o->counts.applied++;
    o->counts.changes += a->changes_count;
    if (a->bytes != NULL) {
        ORACLE_TRY(oracle__once_applied(o, a->revision, t, &e));
        ORACLE_TRY(oracle__session_applied(o, a, &e, at));
    }
    return oracle__model_apply(o, a, &e, t);
}

const char *oracle_applied(struct oracle *o, const struct oracle_applied *a, uint64_t at)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_member *m = member_of(o, a->member);
    m->running = true;
    if (a->revision != m->revision + 1) {
        return oracle__fail(o, "R5: member %u applies %llu behind %llu", a->member,
                            (unsigned long long)a->revision, (unsigned long long)m->revision);
    }
    m->revision = a->revision;
    if (a->revision > o->newest) {
        return truth_new(o, a, at);
    }
    const struct oracle_truth *t = &o->truth[a->revision];
    if (t->sign != sign_of(a)) {
        return oracle__fail(
            o,
            "R5: member %u does something else at %llu (error %d, %u changes) than %u did (%d, %u)",
            a->member, (unsigned long long)a->revision, a->error, a->changes_count, t->member,
            t->error, t->changes_count);
    }
    return NULL;
}
