/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c: what a create does to a model, and which answers it allows: parents that are made,
 * numbers, kinds, and creates whose answer, and so whose name, is not known.
 *
 * Thread: none; one at a time.
 */
#include <assert.h>
#include <string.h>
#include "client/verify/know.h"

#define DEPTH_MAX (COORD_PATH_MAX / 2 + 1)

/* An ancestor that a create with COORD_PARENTS makes if it is missing. */
static bool make_parent(struct verify_model *m, uint32_t path, uint64_t token)
{
    static const int roles[3] = {VERIFY_KID, VERIFY_NODE, VERIFY_KIDS};
    enum verify_presence was = VERIFY_MAYBE;
    for (int i = 0; i < 3 && was == VERIFY_MAYBE; i++) {
        uint32_t cell = verify_model_cell(m, (enum verify_role)roles[i], path);
        was = cell != VERIFY_NOWHERE ? (enum verify_presence)m->cells[cell].presence : was;
    }
    if (was == VERIFY_ABSENT) {
        struct verify_cell node = {.created = token,
                                   .modified = token,
                                   .value = VERIFY_VALUE_NONE,
                                   .presence = VERIFY_PRESENT,
                                   .kind = COORD_STAT_PERSISTENT};
        if (!verify_no_children(m, path)) {
            return false;
        }
        verify_appear(m, path, &node);
        verify_count_children(m, verify_parent_of(m, path), 1, token);
        return true;
    }
    if (was == VERIFY_MAYBE) {
        verify_count_children(m, verify_parent_of(m, path), 0, VERIFY_UNKNOWN);
    }
    return verify_seen(m, path, true);
}

static bool make_parents(struct verify_model *m, uint32_t path, uint64_t token)
{
    uint32_t chain[DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t at = verify_parent_of(m, path);
         at != 0 && at != VERIFY_NOWHERE && depth < DEPTH_MAX; at = verify_parent_of(m, at)) {
        chain[depth++] = at;
    }
    while (depth > 0) { /* from the top */
        if (!make_parent(m, chain[--depth], token)) {
            return false;
        }
    }
    return true;
}

static uint64_t kind_of(uint32_t flags)
{
    if ((flags & COORD_EPHEMERAL) != 0) {
        return COORD_STAT_EPHEMERAL;
    }
    if ((flags & COORD_CONTAINER) != 0) {
        return COORD_STAT_CONTAINER;
    }
    return (flags & COORD_TTL) != 0 ? COORD_STAT_TTL : COORD_STAT_PERSISTENT;
}

/* The parent of a node that is being created is there and may have children. */
static bool parent_serves(struct verify_model *m, const struct verify_step *s, uint32_t path)
{
    uint32_t parent = verify_parent_of(m, path);
    bool there = (s->a->flags & COORD_PARENTS) != 0 ? make_parents(m, path, s->token)
                                                    : verify_seen(m, parent, true);
    uint32_t i = verify_model_cell(m, VERIFY_NODE, parent);
    return there && (i == VERIFY_NOWHERE || m->cells[i].kind != COORD_STAT_EPHEMERAL);
}

/* The number a sequential node got is the parent's counter. */
static bool sequence_fits(struct verify_model *m, const struct verify_step *s, uint32_t parent)
{
    uint32_t i = verify_model_cell(m, VERIFY_KIDS, parent);
    if (i == VERIFY_NOWHERE || !s->a->has_sequence || (s->a->flags & COORD_SEQUENTIAL) == 0) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    bool fits = verify_learn(&c.created, s->a->sequence);
    verify_model_put(m, i, &c);
    return fits;
}

/* Is a number that was told the one it must be? */
static bool is(uint64_t told, uint64_t must)
{
    return told == VERIFY_UNKNOWN || told == must;
}

static bool create_at(struct verify_model *m, const struct verify_step *s, uint32_t path)
{
    const struct verify_action *a = s->a;
    uint64_t kind = kind_of(a->flags);
    struct verify_cell node = {.created = s->token,
                               .modified = s->token,
                               .value = a->value,
                               .presence = VERIFY_PRESENT,
                               .kind = (uint8_t)kind};
    if (kind == COORD_STAT_EPHEMERAL) {
        node.owner = VERIFY_UNKNOWN;
    }
    if (s->answered && a->has_stat) {
        bool fits = is(a->stat.version, 0) && is(a->stat.children, 0) && is(a->stat.kind, kind) &&
                    is(a->stat.modified, a->stat.created) &&
                    is(a->stat.data_bytes, m->h->values[a->value].bytes) &&
                    (kind == COORD_STAT_EPHEMERAL || is(a->stat.owner, 0));
        node.created = a->stat.created;
        node.modified = a->stat.modified;
        node.owner = kind == COORD_STAT_EPHEMERAL ? a->stat.owner : 0;
        if (!fits) {
            return false;
        }
    }
    uint32_t parent = verify_parent_of(m, path);
    if (!parent_serves(m, s, path) || !sequence_fits(m, s, parent) ||
        !verify_seen(m, path, false) || !verify_no_children(m, path)) {
        return false;
    }
    verify_appear(m, path, &node);
    verify_count_children(m, parent, 1, node.created);
    return true;
}

/* Make a numbered node that is one of several names: it may be there now. */
static void may_appear(struct verify_model *m, const struct verify_step *s,
                       const struct verify_cell *node)
{
    uint32_t parent = verify_parent_of(m, s->a->path);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct verify_cell maybe = verify_cell_blank(VERIFY_MAYBE);
        uint8_t presence = m->cells[i].presence;
        if (verify_parent_of(m, m->places[i].path) != parent || m->places[i].role == VERIFY_KIDS ||
            !verify_path_numbered(m->h, s->a->path, m->places[i].path)) {
            continue;
        }
        if (m->places[i].role == VERIFY_KID && presence == VERIFY_ABSENT) {
            verify_model_put(m, i, &maybe);
        } else if (m->places[i].role == VERIFY_NODE && presence != VERIFY_PRESENT) {
            verify_model_put(m, i, node->kind == COORD_STAT_PERSISTENT ? node : &maybe);
        }
    }
}

/* A sequential create whose answer is lost: the name is the counter's, or, while that is not known, any
 * that fits. One that nobody ever saw may be gone again, if it is of a kind that goes by itself. */
static bool create_numbered(struct verify_model *m, const struct verify_step *s)
{
    uint32_t parent = verify_parent_of(m, s->a->path);
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, parent);
    struct verify_cell node = {.created = s->token,
                               .modified = s->token,
                               .value = s->a->value,
                               .presence = VERIFY_PRESENT,
                               .kind = (uint8_t)kind_of(s->a->flags)};
    node.owner = node.kind == COORD_STAT_EPHEMERAL ? VERIFY_UNKNOWN : 0;
    bool stays = node.kind == COORD_STAT_PERSISTENT;
    if (!parent_serves(m, s, s->a->path)) {
        return false;
    }
    uint64_t number = kids != VERIFY_NOWHERE ? m->cells[kids].created : VERIFY_UNKNOWN;
    if (number == VERIFY_UNKNOWN) {
        may_appear(m, s, &node);
        verify_count_children(m, parent, stays ? 1 : 0, s->token);
        return true;
    }
    uint32_t path = verify_path_with_number(m->h, s->a->path, number);
    if (path != VERIFY_NOWHERE) {
        if (!verify_seen(m, path, false)) {
            return false;
        }
        verify_appear(m, path, &node);
    }
    verify_count_children(m, parent, stays || path != VERIFY_NOWHERE ? 1 : 0, s->token);
    struct verify_cell c = m->cells[kids];
    c.created = number + 1;
    verify_model_put(m, kids, &c);
    return true;
}

bool verify_step_create(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    bool sequential = (a->flags & COORD_SEQUENTIAL) != 0;
    uint32_t parent = verify_parent_of(m, a->path);
    if (!s->answered || a->error == 0) {
        uint32_t path = s->answered && a->made != VERIFY_NOWHERE ? a->made : a->path;
        return sequential && path == a->path ? create_numbered(m, s) : create_at(m, s, path);
    }
    if (a->error == COORD_EEXISTS) {
        return sequential || verify_seen(m, a->path, true);
    }
    if (a->error == COORD_ENONODE) {
        bool orphan = (a->flags & COORD_PARENTS) != 0 || verify_seen(m, parent, false);
        return orphan && (sequential || verify_seen(m, a->path, false));
    }
    if (a->error == COORD_EEPHEMERAL) {
        uint32_t i = verify_model_cell(m, VERIFY_NODE, parent);
        bool fits = i == VERIFY_NOWHERE || m->cells[i].presence != VERIFY_PRESENT ||
                    m->cells[i].kind == COORD_STAT_EPHEMERAL ||
                    m->cells[i].kind == VERIFY_KIND_UNKNOWN;
        return fits && (sequential || verify_seen(m, a->path, false));
    }
    return true;
}
