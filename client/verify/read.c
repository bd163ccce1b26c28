/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read.c: which answers of reads a model allows. A list shows the names that are there and, within its
 * page, that no others are.
 *
 * Thread: none; one at a time.
 */
#include <string.h>
#include "client/verify/know.h"

/* path relative to the listed one; NULL: it is not among what the list shows. */
static const char *listed_name(const struct verify_model *m, const struct verify_action *a,
                               uint32_t path)
{
    bool deep = (a->flags & COORD_RECURSIVE) != 0;
    if (path == a->path ||
        !(deep ? verify_path_within(m->h, path, a->path) : verify_parent_of(m, path) == a->path)) {
        return NULL;
    }
    size_t top = a->path == 0 ? 0 : strlen(m->h->paths[a->path].text);
    return m->h->paths[path].text + top + 1;
}

static const struct verify_entry *find_entry(const struct verify_model *m,
                                             const struct verify_action *a, const char *name,
                                             size_t top)
{
    uint32_t from = 0;
    uint32_t to = a->entries_count;
    while (from < to) {
        uint32_t mid = from + (to - from) / 2;
        const struct verify_entry *e = &m->h->entries[a->entries + mid];
        int order = verify_name_compare(m->h->paths[e->path].text + top + 1, name);
        if (order == 0) {
            return e;
        }
        from = order < 0 ? mid + 1 : from;
        to = order < 0 ? to : mid;
    }
    return NULL;
}

/* One cell, seen or missed by a list. */
static bool list_cell(struct verify_model *m, const struct verify_action *a, uint32_t i)
{
    uint32_t path = m->places[i].path;
    const char *name = listed_name(m, a, path);
    if (name == NULL) {
        return true;
    }
    size_t top = a->path == 0 ? 0 : strlen(m->h->paths[a->path].text);
    const struct verify_entry *e = find_entry(m, a, name, top);
    if (e != NULL) {
        return verify_learn_presence(m, i, true) && verify_seen_value(m, path, e->value) &&
               (!e->has_stat || verify_seen_stat(m, path, &e->stat));
    }
    bool before = verify_name_compare(name, a->after) <= 0;
    bool behind = false;
    if (a->more && a->entries_count > 0) {
        uint32_t last = m->h->entries[a->entries + a->entries_count - 1].path;
        behind = verify_name_compare(name, m->h->paths[last].text + top + 1) > 0;
    }
    return before || behind || verify_learn_presence(m, i, false);
}

static bool step_list(struct verify_model *m, const struct verify_action *a)
{
    if (!verify_seen(m, a->path, true) ||
        (a->has_stat && !verify_seen_stat(m, a->path, &a->stat))) {
        return false;
    }
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, a->path);
    bool whole = a->after[0] == 0 && !a->more && (a->flags & COORD_RECURSIVE) == 0;
    if (kids != VERIFY_NOWHERE && whole) {
        struct verify_cell c = m->cells[kids];
        if (!verify_learn(&c.owner, a->entries_count)) {
            return false;
        }
        verify_model_put(m, kids, &c);
    }
    bool page_is_empty = a->more && a->entries_count == 0;
    for (uint32_t i = 0; i < m->count && !page_is_empty; i++) {
        if (!list_cell(m, a, i)) {
            return false;
        }
    }
    return true;
}

bool verify_step_read(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    if (!s->answered || a->kind == VERIFY_SYNC) {
        return true;
    }
    if (a->kind == VERIFY_EXISTS && a->error == 0) {
        return verify_seen(m, a->path, a->exists);
    }
    if (a->error == COORD_ENONODE) {
        return verify_seen(m, a->path, false);
    }
    if (a->error != 0) {
        return true;
    }
    if (a->kind == VERIFY_LIST) {
        return step_list(m, a);
    }
    return verify_seen(m, a->path, true) &&
           (a->kind != VERIFY_GET || verify_seen_value(m, a->path, a->got)) &&
           (!a->has_stat || verify_seen_stat(m, a->path, &a->stat));
}
