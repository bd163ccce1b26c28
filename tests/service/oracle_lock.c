/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_lock.c: locks as those see them who hold them. A client holds a lock from being told so until it is
 * told that it lost it, gives it up, or its own clock says that its lease is over, whichever comes first.
 *
 *   K1  the tokens of those who hold a lock, one after the other, grow; each is the create revision of a
 *       node below the lock
 *   K2  nobody is told that it holds a lock while another still may think so (with K6: whoever loses its
 *       lock is told before that)
 *   K4  who holds it stood in front: no node below the lock is in front of its own
 *   K5  the end of one wakes one waiter
 */
#include "tests/service/oracle_int.h"

#include <string.h>

#define ULL(x) ((unsigned long long)(x))

struct stand {
    uint64_t client;
    uint64_t token; /* 0: not in line yet */
    bool held;
    uint64_t until;
};

/* Who was told of the end of a node. */
struct woken {
    struct woken *next;
    struct coord_bytes ended;
    uint64_t revision;
    uint64_t client;
};

struct lock {
    struct lock *next;
    struct coord_bytes path;
    uint64_t token;      /* of the last holder */
    struct woken *woken; /* the newest first */
    uint32_t count;
    uint32_t cap;
    struct stand *stands;
};

struct oracle_locks {
    struct lock *first;
};

static struct lock *lock_of(struct oracle *o, const char *path)
{
    const struct coord_bytes b = {(const uint8_t *)path, (uint32_t)strlen(path)};
    if (o->locks == NULL) {
        o->locks = oracle__alloc(o, sizeof(*o->locks));
    }
    for (struct lock *l = o->locks->first; l != NULL; l = l->next) {
        if (oracle__same(l->path, b)) {
            return l;
        }
    }
    struct lock *l = oracle__alloc(o, sizeof(*l));
    l->path = oracle__keep(o, b);
    l->next = o->locks->first;
    o->locks->first = l;
    return l;
}

static struct stand *stand_of(struct oracle *o, struct lock *l, uint64_t client)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->stands[i].client == client) {
            return &l->stands[i];
        }
    }
    l->stands = oracle__grow(o, l->stands, l->count, &l->cap, sizeof(l->stands[0]));
    l->stands[l->count] = (struct stand){.client = client};
    return &l->stands[l->count++];
}

const char *oracle_lock_asked(struct oracle *o, uint64_t client, const char *lock, uint64_t at)
{
    struct stand *s = stand_of(o, lock_of(o, lock), client);
    (void)at;
    s->held = false;
    s->token = 0;
    return oracle_verdict(o);
}

const char *oracle_lock_queued(struct oracle *o, uint64_t client, const char *lock, uint64_t token,
                               uint64_t at)
{
    (void)at;
    stand_of(o, lock_of(o, lock), client)->token = token;
    return oracle_verdict(o);
}

/* Another one who may think that it holds the lock. */
static const struct stand *other_holder(const struct lock *l, uint64_t client, uint64_t at)
{
    for (uint32_t i = 0; i < l->count; i++) {
        if (l->stands[i].client != client && l->stands[i].held && l->stands[i].until > at) {
            return &l->stands[i];
        }
    }
    return NULL;
}

static const char *overlap(struct oracle *o, const struct lock *l, uint64_t client,
                           const struct stand *other, uint64_t at)
{
    return oracle__fail(o, "K2: client %llu holds %.*s, client %llu does for %llu us more",
                        ULL(client), ORACLE_PATH(l->path), ULL(other->client),
                        ULL((other->until - at) / 1000));
}

/* Was a node below the lock created at `token`, and is none in front of it now? Nodes in front never come
 * back, as numbers are not used again; so a later state than the client's only shows fewer. */
static const char *line_judge(struct oracle *o, const struct lock *l, uint64_t client,
                              uint64_t token)
{
    const struct oracle_node *top = oracle__node(&o->tree, l->path);
    const struct oracle_node *front = NULL;
    const struct oracle_node *own = NULL;
    uint32_t first;
    uint32_t end;
    if (top == NULL || token == 0 || token > o->newest) {
        return oracle__fail(o, "K1: client %llu holds %.*s with token %llu, which no node has",
                            ULL(client), ORACLE_PATH(l->path), ULL(token));
    }
    oracle__below(&o->tree, top, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct oracle_node *n = o->tree.sorted[i];
        const struct oracle_version *made = oracle__version(n, token);
        const struct oracle_version *now = oracle__now(n);
        if (n->parent != top) {
            continue;
        }
        own = made != NULL && made->stat.create_revision == token ? n : own;
        if (now != NULL && now->stat.create_revision < token) {
            front = n; /* the order of the numbers is that of the making */
        }
    }
    if (own == NULL) {
        return oracle__fail(o, "K1: client %llu holds %.*s with token %llu, which no node has",
                            ULL(client), ORACLE_PATH(l->path), ULL(token));
    }
    if (front != NULL) {
        return oracle__fail(o, "K4: client %llu holds %.*s by %.*s, in front is %.*s", ULL(client),
                            ORACLE_PATH(l->path), ORACLE_PATH(own->path), ORACLE_PATH(front->path));
    }
    return NULL;
}

const char *oracle_lock_held(struct oracle *o, uint64_t client, const char *lock, uint64_t token,
                             uint64_t until, uint64_t at)
{
    struct lock *l = lock_of(o, lock);
    struct stand *s = stand_of(o, l, client);
    const struct stand *other = other_holder(l, client, at);
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    o->counts.held++;
    if (other != NULL && until > at) {
        return overlap(o, l, client, other, at);
    }
    if (token <= l->token) {
        return oracle__fail(o, "K1: client %llu holds %.*s with token %llu, the last was %llu",
                            ULL(client), ORACLE_PATH(l->path), ULL(token), ULL(l->token));
    }
    if (s->token != 0 && s->token != token) {
        return oracle__fail(o,
                            "K1: client %llu stood in line with token %llu, holds %.*s with %llu",
                            ULL(client), ULL(s->token), ORACLE_PATH(l->path), ULL(token));
    }
    ORACLE_TRY(line_judge(o, l, client, token));
    l->token = token;
    s->token = token;
    s->held = true;
    s->until = until;
    return NULL;
}

const char *oracle_lock_until(struct oracle *o, uint64_t client, uint64_t until, uint64_t at)
{
    for (struct lock *l = o->locks == NULL ? NULL : o->locks->first; l != NULL; l = l->next) {
        for (uint32_t i = 0; i < l->count; i++) {
            struct stand *s = &l->stands[i];
            const struct stand *other = other_holder(l, client, at);
            if (s->client != client || !s->held) {
                continue;
            }
            if (other != NULL && until > at && o->verdict[0] == '\0') {
                return overlap(o, l, client, other, at);
            }
            s->until = until;
        }
    }
    return oracle_verdict(o);
}

/* Does it wait: is its place in line still there? One whose session was given up may hear of things later. */
static bool stands(const struct oracle *o, const struct lock *l, uint64_t token, uint64_t revision)
{
    const struct oracle_node *top = oracle__node(&o->tree, l->path);
    uint32_t first;
    uint32_t end;
    if (top == NULL || token == 0) {
        return false;
    }
    oracle__below(&o->tree, top, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct oracle_version *v = oracle__version(o->tree.sorted[i], revision);
        if (v != NULL && v->stat.create_revision == token) {
            return true;
        }
    }
    return false;
}

const char *oracle_lock_woken(struct oracle *o, uint64_t client, const char *lock,
                              struct coord_bytes ended, uint64_t revision, uint64_t at)
{
    struct lock *l = lock_of(o, lock);
    (void)at;
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    if (!stands(o, l, stand_of(o, l, client)->token, revision)) {
        return NULL;
    }
    o->counts.woken++;
    for (const struct woken *w = l->woken; w != NULL; w = w->next) {
        if (w->revision == revision && oracle__same(w->ended, ended) && w->client != client) {
            return oracle__fail(o, "K5: the end of %.*s at %llu wakes clients %llu and %llu",
                                ORACLE_PATH(ended), ULL(revision), ULL(w->client), ULL(client));
        }
    }
    struct woken *w = oracle__alloc(o, sizeof(*w));
    *w = (struct woken){l->woken, oracle__keep(o, ended), revision, client};
    l->woken = w;
    return NULL;
}

const char *oracle_lock_ended(struct oracle *o, uint64_t client, const char *lock, uint64_t at)
{
    struct stand *s = stand_of(o, lock_of(o, lock), client);
    (void)at;
    s->held = false;
    s->token = 0;
    return oracle_verdict(o);
}
