/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_fold.c: W5: an application that lists once and then only follows the events knows, at every mark,
 * exactly the nodes there are. Folds the events as they came over the listing and compares with the model.
 * For watches of a whole subtree and all kinds of changes; others cannot know.
 */
#include "tests/service/oracle_int.h"

#include <string.h>

struct oracle_folded {
    struct coord_bytes path;
    uint64_t create_revision;
    uint64_t version;
};

bool oracle__watch_wants(const struct oracle_watch *w, const struct oracle_change *c)
{
    const struct coord_bytes top = w->q.path;
    if ((w->q.kinds & (uint32_t)c->kind) == 0) {
        return false;
    }
    if (oracle__same(c->path, top)) {
        return true;
    }
    if (w->q.depth == COORD_DEPTH_NODE || c->path.len <= top.len || c->path.len == 1) {
        return false;
    }
    if (w->q.depth == COORD_DEPTH_CHILDREN) {
        return oracle__same(oracle__parent_path(c->path), top);
    }
    return top.len == 1 ||
           (c->path.data[top.len] == '/' && memcmp(c->path.data, top.data, top.len) == 0);
}

static bool can_fold(const struct oracle_watch *w)
{
    const uint32_t all = COORD_CHANGE_CREATED | COORD_CHANGE_CHANGED | COORD_CHANGE_DELETED;
    return w->q.depth == COORD_DEPTH_SUBTREE && w->q.kinds == all;
}

static void add(struct oracle *o, struct oracle_watch *w, const struct oracle_folded *f)
{
    w->folded = oracle__grow(o, w->folded, w->folded_count, &w->folded_cap, sizeof(*f));
    w->folded[w->folded_count++] = *f;
}

void oracle__fold(struct oracle *o, struct oracle_watch *w, const struct oracle_truth *t)
{
    for (uint32_t i = 0; w->folding && i < t->changes_count; i++) {
        const struct oracle_change *c = &t->changes[i];
        uint32_t at = 0;
        if (!oracle__watch_wants(w, c)) {
            continue;
        }
        while (at < w->folded_count && !oracle__same(w->folded[at].path, c->path)) {
            at++;
        }
        const struct oracle_folded f = {c->path, c->create_revision, c->version};
        if (c->kind == COORD_CHANGE_DELETED && at < w->folded_count) {
            w->folded[at] = w->folded[--w->folded_count];
        } else if (at < w->folded_count) {
            w->folded[at] = f;
        } else if (c->kind != COORD_CHANGE_DELETED) {
            add(o, w, &f);
        }
    }
}

static const struct oracle_folded *folded_of(const struct oracle_watch *w, struct coord_bytes path)
{
    for (uint32_t i = 0; i < w->folded_count; i++) {
        if (oracle__same(w->folded[i].path, path)) {
            return &w->folded[i];
        }
    }
    return NULL;
}

const char *oracle__fold_judge(struct oracle *o, struct oracle_watch *w, uint64_t revision)
{
    const struct oracle_node *top = oracle__node(&o->tree, w->q.path);
    uint32_t first = 0;
    uint32_t end = 0;
    uint32_t count = 0;
    if (!w->folding) {
        return NULL;
    }
    o->counts.folds++;
    if (top != NULL) {
        oracle__below(&o->tree, top, &first, &end);
        first--;
    }
    for (uint32_t i = first; i < end; i++) {
        const struct oracle_node *n = o->tree.sorted[i];
        const struct oracle_version *v = oracle__version(n, revision);
        const struct oracle_folded *f = v == NULL ? NULL : folded_of(w, n->path);
        if (v != NULL && (f == NULL || f->version != v->stat.version ||
                          f->create_revision != v->stat.create_revision)) {
            return oracle__fail(o, "W5: watch %llu at %llu: listing and events say %s of %.*s",
                                (unsigned long long)w->id, (unsigned long long)revision,
                                f == NULL ? "nothing" : "another version", ORACLE_PATH(n->path));
        }
        count += v != NULL;
    }
    if (count != w->folded_count) {
        return oracle__fail(
            o, "W5: watch %llu at %llu: listing and events make %u nodes, there are %u",
            (unsigned long long)w->id, (unsigned long long)revision, w->folded_count, count);
    }
    return NULL;
}

const char *oracle_watch_listed(struct oracle *o, uint64_t watch, const struct coord_result *list,
                                uint64_t revision, uint64_t at)
{
    struct oracle_watch *w = NULL;
    struct coord_bytes cursor = list->entries_raw;
    struct coord_list_entry e;
    (void)at;
    for (uint32_t i = 0; i < o->watches_count; i++) {
        w = o->watches[i]->id == watch ? o->watches[i] : w;
    }
    /* An application skips events up to the listing's revision that come behind it, this does not: then
     * the listing is not used. */
    if (o->verdict[0] != '\0' || w == NULL || !can_fold(w) || list->error != 0 || list->more ||
        revision < w->seen || oracle__watch_owed(o, w, revision) != 0) {
        return oracle_verdict(o);
    }
    w->folded_count = 0;
    w->folding = true;
    w->listed = revision;
    add(o, w, &(struct oracle_folded){w->q.path, list->stat.create_revision, list->stat.version});
    while (coord_list_next(&cursor, &e) == 1) {
        char path[2 * COORD_PATH_BYTES_MAX + 2];
        uint32_t top = w->q.path.len == 1 ? 0 : w->q.path.len;
        if (!e.has_stat) {
            w->folding = false;
            return NULL;
        }
        memcpy(path, w->q.path.data, top);
        path[top] = '/';
        memcpy(path + top + 1, e.name.data, e.name.len);
        const struct coord_bytes whole = {(const uint8_t *)path, top + 1 + e.name.len};
        add(o, w,
            &(struct oracle_folded){oracle__keep(o, whole), e.stat.create_revision,
                                    e.stat.version});
    }
    return NULL;
}
