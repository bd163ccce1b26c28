/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c: what operations do to a model, and which answers they allow: docs/consistency.md and the
 * service's rules written down once more, from the client's side, without a look at the servers.
 *
 * An answer is compared field by field: a field that is known must be equal, one that is not known
 * becomes known. An operation without an answer makes its change and shows nothing.
 *
 * Thread: none; one at a time.
 */
#include <assert.h>
#include <string.h>
#include "client/verify/model.h"

#define DEPTH_MAX (COORD_PATH_MAX / 2 + 1)

/* One action on its way. */
struct step {
    const struct verify_action *a;
    bool answered;
    uint64_t token; /* revision of the change; VERIFY_UNKNOWN */
    uint64_t session;
};

/* A number that was seen. Return: false when another one is known. */
static bool learn(uint64_t *known, uint64_t seen)
{
    if (seen == VERIFY_UNKNOWN || *known == seen) {
        return true;
    }
    bool was_unknown = *known == VERIFY_UNKNOWN;
    *known = seen;
    return was_unknown;
}

static bool learn_kind(uint8_t *known, uint64_t seen)
{
    if (seen == VERIFY_UNKNOWN || *known == seen) {
        return true;
    }
    bool was_unknown = *known == VERIFY_KIND_UNKNOWN;
    *known = (uint8_t)seen;
    return was_unknown;
}

static uint64_t plus(uint64_t known, uint64_t more)
{
    return known == VERIFY_UNKNOWN ? known : known + more;
}

static uint32_t parent_of(const struct verify_model *m, uint32_t path)
{
    return m->h->paths[path].parent;
}

/* Do something with each cell that is there: cell i, with a copy c to change and put back. */
static bool presence_learn(struct verify_model *m, uint32_t i, bool there)
{
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    if (c.presence == (there ? VERIFY_ABSENT : VERIFY_PRESENT)) {
        return false;
    }
    if (c.presence == VERIFY_MAYBE) {
        c = verify_cell_blank(there ? VERIFY_PRESENT : VERIFY_ABSENT);
        verify_model_put(m, i, &c);
    }
    return true;
}

/* The node was seen to be there, or not. */
static bool seen(struct verify_model *m, uint32_t path, bool there)
{
    return presence_learn(m, verify_model_cell(m, VERIFY_NODE, path), there) &&
           presence_learn(m, verify_model_cell(m, VERIFY_KIDS, path), there) &&
           presence_learn(m, verify_model_cell(m, VERIFY_KID, path), there);
}

static bool seen_value(struct verify_model *m, uint32_t path, uint32_t value)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, path);
    if (i == VERIFY_NOWHERE || value == VERIFY_VALUE_UNKNOWN) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    bool fits = c.value == VERIFY_VALUE_UNKNOWN || c.value == value;
    c.value = value;
    verify_model_put(m, i, &c);
    return fits;
}

/* The stat of a node that is there. */
static bool seen_stat(struct verify_model *m, uint32_t path, const struct verify_stat *s)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[i];
        bool fits = learn(&c.version, s->version) && learn(&c.created, s->created) &&
                    learn(&c.modified, s->modified) && learn(&c.owner, s->owner) &&
                    learn_kind(&c.kind, s->kind);
        /* Until the first set both are the revision of the create. */
        fits = fits &&
               (c.version != 0 || (learn(&c.modified, c.created) && learn(&c.created, c.modified)));
        if (!fits || (c.value != VERIFY_VALUE_UNKNOWN && s->data_bytes != VERIFY_UNKNOWN &&
                      s->data_bytes != m->h->values[c.value].bytes)) {
            return false;
        }
        verify_model_put(m, i, &c);
    }
    i = verify_model_cell(m, VERIFY_KIDS, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[i];
        if (!learn(&c.owner, s->children) || !learn(&c.version, s->child_version) ||
            !learn(&c.modified, s->child_revision)) {
            return false;
        }
        verify_model_put(m, i, &c);
    }
    return true;
}

/* --- parents and children ---------------------------------------------------------------------- */

/* All children of path, as far as they are held, are not there. */
static bool no_children(struct verify_model *m, uint32_t path)
{
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, path);
    if (kids == VERIFY_NOWHERE) {
        return true;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->places[i].role == VERIFY_KID && parent_of(m, m->places[i].path) == path &&
            !presence_learn(m, i, false)) {
            return false;
        }
    }
    return true;
}

/* A child came (by 1) or went (by -1), or may have (by 0). */
static void count_children(struct verify_model *m, uint32_t parent, int by, uint64_t token)
{
    uint32_t i = verify_model_cell(m, VERIFY_KIDS, parent);
    if (i == VERIFY_NOWHERE) {
        return;
    }
    struct verify_cell c = m->cells[i];
    c.modified = token;
    if (by == 0) {
        c.owner = VERIFY_UNKNOWN;
        c.version = VERIFY_UNKNOWN;
        c.created = VERIFY_UNKNOWN;
    } else {
        c.owner = by > 0 ? plus(c.owner, 1) : plus(c.owner, UINT64_MAX);
        c.version = plus(c.version, 1);
        c.created = by > 0 ? plus(c.created, 1) : c.created;
    }
    verify_model_put(m, i, &c);
}

/* A node comes into being, of which no cell says that it is there. */
static void appear(struct verify_model *m, uint32_t path, const struct verify_cell *node)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, path);
    if (i != VERIFY_NOWHERE) {
        verify_model_put(m, i, node);
    }
    i = verify_model_cell(m, VERIFY_KID, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = verify_cell_blank(VERIFY_PRESENT);
        c.owner = node->owner;
        verify_model_put(m, i, &c);
    }
    i = verify_model_cell(m, VERIFY_KIDS, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = {.modified = node->created, .presence = VERIFY_PRESENT};
        c.kind = VERIFY_KIND_UNKNOWN;
        verify_model_put(m, i, &c);
    }
}

static void disappear(struct verify_model *m, uint32_t path)
{
    const struct verify_cell blank = verify_cell_blank(VERIFY_ABSENT);
    for (int role = VERIFY_NODE; role <= VERIFY_KID; role++) {
        uint32_t i = verify_model_cell(m, (enum verify_role)role, path);
        if (i != VERIFY_NOWHERE) {
            verify_model_put(m, i, &blank);
        }
    }
}

/* --- create ------------------------------------------------------------------------------------ */

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
        if (!no_children(m, path)) {
            return false;
        }
        appear(m, path, &node);
        count_children(m, parent_of(m, path), 1, token);
        return true;
    }
    if (was == VERIFY_MAYBE) {
        count_children(m, parent_of(m, path), 0, VERIFY_UNKNOWN);
    }
    return seen(m, path, true);
}

static bool make_parents(struct verify_model *m, uint32_t path, uint64_t token)
{
    uint32_t chain[DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t at = parent_of(m, path); at != 0 && at != VERIFY_NOWHERE && depth < DEPTH_MAX;
         at = parent_of(m, at)) {
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
static bool parent_serves(struct verify_model *m, const struct step *s, uint32_t path)
{
    uint32_t parent = parent_of(m, path);
    bool there = (s->a->flags & COORD_PARENTS) != 0 ? make_parents(m, path, s->token)
                                                    : seen(m, parent, true);
    uint32_t i = verify_model_cell(m, VERIFY_NODE, parent);
    return there && (i == VERIFY_NOWHERE || m->cells[i].kind != COORD_STAT_EPHEMERAL);
}

/* The number a sequential node got is the parent's counter. */
static bool sequence_fits(struct verify_model *m, const struct step *s, uint32_t parent)
{
    uint32_t i = verify_model_cell(m, VERIFY_KIDS, parent);
    if (i == VERIFY_NOWHERE || !s->a->has_sequence || (s->a->flags & COORD_SEQUENTIAL) == 0) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    bool fits = learn(&c.created, s->a->sequence);
    verify_model_put(m, i, &c);
    return fits;
}

/* Is a number that was told the one it must be? */
static bool is(uint64_t told, uint64_t must)
{
    return told == VERIFY_UNKNOWN || told == must;
}

static bool create_at(struct verify_model *m, const struct step *s, uint32_t path)
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
    uint32_t parent = parent_of(m, path);
    if (!parent_serves(m, s, path) || !sequence_fits(m, s, parent) || !seen(m, path, false) ||
        !no_children(m, path)) {
        return false;
    }
    appear(m, path, &node);
    count_children(m, parent, 1, node.created);
    return true;
}

/* A sequential create whose answer is lost: the name is the counter's, or any that fits. */
static bool create_numbered(struct verify_model *m, const struct step *s)
{
    uint32_t parent = parent_of(m, s->a->path);
    struct verify_cell node = {.created = s->token,
                               .modified = s->token,
                               .owner = VERIFY_UNKNOWN,
                               .value = s->a->value,
                               .presence = VERIFY_PRESENT,
                               .kind = (uint8_t)kind_of(s->a->flags)};
    bool transient = node.kind != COORD_STAT_PERSISTENT; /* it may be gone again already */
    if (transient) {
        node = verify_cell_blank(VERIFY_MAYBE);
    }
    if (!parent_serves(m, s, s->a->path)) {
        return false;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        struct verify_cell c = m->cells[i];
        if (parent_of(m, m->places[i].path) != parent || m->places[i].role == VERIFY_KIDS ||
            !verify_path_numbered(m->h, s->a->path, m->places[i].path)) {
            continue;
        }
        if (m->places[i].role == VERIFY_KID && c.presence == VERIFY_ABSENT) {
            c = verify_cell_blank(VERIFY_MAYBE);
            verify_model_put(m, i, &c);
        } else if (m->places[i].role == VERIFY_NODE && c.presence != VERIFY_PRESENT) {
            verify_model_put(m, i, &node);
        }
    }
    count_children(m, parent, transient ? 0 : 1, s->token);
    return true;
}

static bool step_create(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    bool sequential = (a->flags & COORD_SEQUENTIAL) != 0;
    uint32_t parent = parent_of(m, a->path);
    if (!s->answered || a->error == 0) {
        uint32_t path = s->answered && a->made != VERIFY_NOWHERE ? a->made : a->path;
        return sequential && path == a->path ? create_numbered(m, s) : create_at(m, s, path);
    }
    if (a->error == COORD_EEXISTS) {
        return sequential || seen(m, a->path, true);
    }
    if (a->error == COORD_ENONODE) {
        bool orphan = (a->flags & COORD_PARENTS) != 0 || seen(m, parent, false);
        return orphan && (sequential || seen(m, a->path, false));
    }
    if (a->error == COORD_EEPHEMERAL) {
        uint32_t i = verify_model_cell(m, VERIFY_NODE, parent);
        bool fits = i == VERIFY_NOWHERE || m->cells[i].presence != VERIFY_PRESENT ||
                    m->cells[i].kind == COORD_STAT_EPHEMERAL ||
                    m->cells[i].kind == VERIFY_KIND_UNKNOWN;
        return fits && (sequential || seen(m, a->path, false));
    }
    return true;
}

/* --- set, delete ------------------------------------------------------------------------------- */

/* All conditions hold of a node that is there. */
static bool conditions_hold(struct verify_model *m, const struct verify_action *a)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, a->path);
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    bool fits = ((a->conditions & COORD_IF_VERSION) == 0 || learn(&c.version, a->version)) &&
                ((a->conditions & COORD_IF_MODIFIED) == 0 || learn(&c.modified, a->modified)) &&
                ((a->conditions & COORD_IF_CREATED) == 0 || learn(&c.created, a->created));
    verify_model_put(m, i, &c);
    return fits;
}

/* At least one does not. */
static bool conditions_fail(const struct verify_model *m, const struct verify_action *a)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, a->path);
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    const struct verify_cell *c = &m->cells[i];
    return ((a->conditions & COORD_IF_VERSION) != 0 && c->version != a->version) ||
           ((a->conditions & COORD_IF_MODIFIED) != 0 && c->modified != a->modified) ||
           ((a->conditions & COORD_IF_CREATED) != 0 && c->created != a->created);
}

static bool set_node(struct verify_model *m, const struct step *s, uint32_t value)
{
    const struct verify_action *a = s->a;
    uint32_t i = verify_model_cell(m, VERIFY_NODE, a->path);
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    if (s->answered && a->has_stat) {
        if (a->stat.version == 0 || !learn(&c.version, a->stat.version - 1)) {
            return false;
        }
    }
    c.version = plus(c.version, 1);
    c.modified = s->answered && a->has_stat ? a->stat.modified : s->token;
    c.value = value;
    verify_model_put(m, i, &c);
    return true;
}

static bool step_set(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error == COORD_ENONODE) {
        return seen(m, a->path, false);
    }
    if (s->answered && a->error == COORD_ECONDITION) {
        return seen(m, a->path, true) && conditions_fail(m, a);
    }
    if (s->answered && a->error != 0) {
        return true;
    }
    return seen(m, a->path, true) && conditions_hold(m, a) && set_node(m, s, a->value) &&
           (!s->answered || !a->has_stat || seen_stat(m, a->path, &a->stat));
}

/* The number before is that behind less delta; without an answer any. */
static bool step_increment(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error != 0) {
        return step_set(m, s);
    }
    uint32_t value = s->answered ? a->got : VERIFY_VALUE_UNKNOWN;
    return seen(m, a->path, true) && conditions_hold(m, a) &&
           (!s->answered || seen_value(m, a->path, a->value)) && set_node(m, s, value) &&
           (!s->answered || !a->has_stat || seen_stat(m, a->path, &a->stat));
}

/* --- subtrees ---------------------------------------------------------------------------------- */

/* All that is held of path and below it becomes this. */
static void put_below(struct verify_model *m, uint32_t path, enum verify_presence presence)
{
    const struct verify_cell blank = verify_cell_blank(presence);
    for (uint32_t i = 0; i < m->count; i++) {
        if (verify_path_within(m->h, m->places[i].path, path)) {
            verify_model_put(m, i, &blank);
        }
    }
}

/* Where the moved node arrives it is new; what it holds, and what is below it, is not followed. */
static void arrive(struct verify_model *m, uint32_t path, uint64_t token)
{
    put_below(m, path, VERIFY_MAYBE);
    uint32_t i = verify_model_cell(m, VERIFY_NODE, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = verify_cell_blank(VERIFY_MAYBE);
        c.presence = VERIFY_PRESENT;
        c.version = 0;
        c.created = token;
        c.modified = token;
        verify_model_put(m, i, &c);
    }
    (void)seen(m, path, true); /* nothing says otherwise */
}

static bool step_rename(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error != 0) {
        return true; /* which of two paths it is about is not said */
    }
    if (!seen(m, a->path, true) || !conditions_hold(m, a) || !seen(m, a->made, false) ||
        !seen(m, parent_of(m, a->made), true)) {
        return false;
    }
    put_below(m, a->path, VERIFY_ABSENT);
    arrive(m, a->made, s->answered && a->has_stat ? a->stat.created : s->token);
    count_children(m, parent_of(m, a->path), 0, VERIFY_UNKNOWN);
    count_children(m, parent_of(m, a->made), 0, VERIFY_UNKNOWN);
    return !s->answered || !a->has_stat || seen_stat(m, a->made, &a->stat);
}

static bool step_delete(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, a->path);
    if (s->answered && a->error == COORD_ENONODE) {
        return seen(m, a->path, false);
    }
    if (s->answered && a->error == COORD_ECONDITION) {
        return seen(m, a->path, true) && conditions_fail(m, a);
    }
    if (s->answered && a->error == COORD_ENOTEMPTY) {
        return seen(m, a->path, true) && conditions_hold(m, a) &&
               (kids == VERIFY_NOWHERE || m->cells[kids].owner != 0);
    }
    if (s->answered && a->error != 0) {
        return true;
    }
    if (!seen(m, a->path, true) || !conditions_hold(m, a)) {
        return false;
    }
    if ((a->flags & COORD_RECURSIVE) != 0) {
        put_below(m, a->path, VERIFY_ABSENT);
        count_children(m, parent_of(m, a->path), -1, s->token);
        return true;
    }
    if (!no_children(m, a->path)) {
        return false;
    }
    if (kids != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[kids];
        if (!learn(&c.owner, 0)) {
            return false;
        }
    }
    disappear(m, a->path);
    count_children(m, parent_of(m, a->path), -1, s->token);
    return true;
}

/* --- reads ------------------------------------------------------------------------------------- */

/* path relative to the listed one; NULL: it is not among what the list shows. */
static const char *listed_name(const struct verify_model *m, const struct verify_action *a,
                               uint32_t path)
{
    bool deep = (a->flags & COORD_RECURSIVE) != 0;
    if (path == a->path ||
        !(deep ? verify_path_within(m->h, path, a->path) : parent_of(m, path) == a->path)) {
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
        return presence_learn(m, i, true) && seen_value(m, path, e->value) &&
               (!e->has_stat || seen_stat(m, path, &e->stat));
    }
    bool before = verify_name_compare(name, a->after) <= 0;
    bool behind = false;
    if (a->more && a->entries_count > 0) {
        uint32_t last = m->h->entries[a->entries + a->entries_count - 1].path;
        behind = verify_name_compare(name, m->h->paths[last].text + top + 1) > 0;
    }
    return before || behind || presence_learn(m, i, false);
}

static bool step_list(struct verify_model *m, const struct verify_action *a)
{
    if (!seen(m, a->path, true) || (a->has_stat && !seen_stat(m, a->path, &a->stat))) {
        return false;
    }
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, a->path);
    bool whole = a->after[0] == 0 && !a->more && (a->flags & COORD_RECURSIVE) == 0;
    if (kids != VERIFY_NOWHERE && whole) {
        struct verify_cell c = m->cells[kids];
        if (!learn(&c.owner, a->entries_count)) {
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

static bool step_read(struct verify_model *m, const struct step *s)
{
    const struct verify_action *a = s->a;
    if (!s->answered || a->kind == VERIFY_SYNC) {
        return true;
    }
    if (a->kind == VERIFY_EXISTS && a->error == 0) {
        return seen(m, a->path, a->exists);
    }
    if (a->error == COORD_ENONODE) {
        return seen(m, a->path, false);
    }
    if (a->error != 0) {
        return true;
    }
    if (a->kind == VERIFY_LIST) {
        return step_list(m, a);
    }
    return seen(m, a->path, true) && (a->kind != VERIFY_GET || seen_value(m, a->path, a->got)) &&
           (!a->has_stat || seen_stat(m, a->path, &a->stat));
}

/* --- what goes by itself ----------------------------------------------------------------------- */

/* A node that its session, its emptiness or its age may take away: s->session is the owner, 0 for
 * the other two; VERIFY_UNKNOWN: any. */
static bool step_vanish(struct verify_model *m, const struct step *s)
{
    uint32_t path = s->a->path;
    enum verify_presence was = VERIFY_MAYBE;
    for (int role = VERIFY_NODE; role <= VERIFY_KID; role += VERIFY_KID) {
        uint32_t i = verify_model_cell(m, (enum verify_role)role, path);
        if (i == VERIFY_NOWHERE) {
            continue;
        }
        const struct verify_cell *c = &m->cells[i];
        bool other =
            c->owner != VERIFY_UNKNOWN && s->session != VERIFY_UNKNOWN && c->owner != s->session;
        bool stays = role == VERIFY_NODE && c->kind == COORD_STAT_PERSISTENT;
        if (c->presence == VERIFY_ABSENT || other || stays) {
            return false;
        }
        was = (enum verify_presence)c->presence;
    }
    disappear(m, path);
    count_children(m, parent_of(m, path), was == VERIFY_PRESENT ? -1 : 0, VERIFY_UNKNOWN);
    return true;
}

/* The session is over by now, and with it what it owned. */
static bool step_close(struct verify_model *m, const struct step *s)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct verify_cell c = m->cells[i];
        if (m->places[i].role == VERIFY_KIDS || c.presence != VERIFY_PRESENT) {
            continue;
        }
        uint32_t path = m->places[i].path;
        bool maybe = c.owner == VERIFY_UNKNOWN &&
                     (c.kind == VERIFY_KIND_UNKNOWN || c.kind == COORD_STAT_EPHEMERAL);
        if (c.owner == s->session) {
            disappear(m, path);
            count_children(m, parent_of(m, path), -1, s->token);
        } else if (maybe) {
            c = verify_cell_blank(VERIFY_MAYBE);
            verify_model_put(m, i, &c);
            count_children(m, parent_of(m, path), 0, VERIFY_UNKNOWN);
        }
    }
    return true;
}

/* --- transactions ------------------------------------------------------------------------------ */

static bool step_action(struct verify_model *m, const struct step *s)
{
    switch (s->a->kind) {
    case VERIFY_CREATE:
        return step_create(m, s);
    case VERIFY_SET:
        return step_set(m, s);
    case VERIFY_DELETE:
        return step_delete(m, s);
    case VERIFY_INCREMENT:
        return step_increment(m, s);
    case VERIFY_RENAME:
        return step_rename(m, s);
    case VERIFY_CLOSE:
        return step_close(m, s);
    case VERIFY_VANISH:
        return step_vanish(m, s);
    default:
        return step_read(m, s);
    }
}

/* The condition holds; what it says becomes known. */
static bool condition_holds(struct verify_model *m, const struct verify_condition *q)
{
    if (q->kind == VERIFY_IF_ABSENT || q->kind == VERIFY_IF_EXISTS) {
        m->blind = m->blind || verify_model_cell(m, VERIFY_NODE, q->path) == VERIFY_NOWHERE;
        return seen(m, q->path, q->kind == VERIFY_IF_EXISTS);
    }
    if (q->kind == VERIFY_IF_HELD) {
        m->blind = true; /* which child is the first is not followed */
        return seen(m, q->path, true);
    }
    enum verify_role role = q->kind == VERIFY_IF_CHILDREN ? VERIFY_KIDS : VERIFY_NODE;
    uint32_t i = verify_model_cell(m, role, q->path);
    if (!seen(m, q->path, true)) {
        return false;
    }
    if (i == VERIFY_NOWHERE) {
        m->blind = true;
        return true;
    }
    if (q->kind == VERIFY_IF_VALUE) {
        return seen_value(m, q->path, q->value);
    }
    struct verify_cell c = m->cells[i];
    uint64_t *field = &c.owner; /* of KIDS: the number of children */
    if (q->kind == VERIFY_IF_VERSION) {
        field = &c.version;
    } else if (q->kind == VERIFY_IF_MODIFIED) {
        field = &c.modified;
    } else if (q->kind == VERIFY_IF_CREATED) {
        field = &c.created;
    }
    bool fits = learn(field, q->number);
    verify_model_put(m, i, &c);
    return fits;
}

static bool conditions_true(struct verify_model *m, const struct verify_txn *t)
{
    for (uint32_t i = 0; i < t->conditions_count; i++) {
        if (!condition_holds(m, &m->h->conditions[t->conditions + i])) {
            return false;
        }
    }
    return true;
}

/* At least one condition may be false: not all are known to be true. */
static bool conditions_false(struct verify_model *m, const struct verify_txn *t)
{
    uint32_t mark = verify_model_mark(m);
    m->blind = false;
    bool may = conditions_true(m, t);
    bool known = m->undo_count == mark && !m->blind;
    verify_model_undo(m, mark);
    return !may || !known;
}

static bool step_txn(struct verify_model *m, const struct verify_op *op, uint32_t variant)
{
    const struct verify_txn *t = &op->txn;
    struct step s = {.answered = op->returned != VERIFY_NEVER,
                     .token = op->error == 0 ? op->revision : VERIFY_UNKNOWN,
                     .session = op->session};
    uint32_t branch = s.answered ? t->taken : variant;
    uint32_t mark = verify_model_mark(m);
    if (!(branch == 0 ? conditions_true(m, t) : conditions_false(m, t))) {
        return false;
    }
    for (uint32_t i = 0; i < t->branch_count[branch]; i++) {
        s.a = &m->h->actions[t->branch[branch] + i];
        if (s.answered && s.a->error == COORD_ECANCELED) {
            break; /* one before it failed */
        }
        if (!step_action(m, &s)) {
            return false;
        }
    }
    if (s.answered && op->error != 0) {
        verify_model_undo(m, mark); /* nothing of it happened */
    }
    return true;
}

bool verify_model_step(struct verify_model *m, const struct verify_op *op, uint32_t variant)
{
    if (op->act.kind == VERIFY_TXN) {
        return step_txn(m, op, variant);
    }
    /* Of a close only the revision at which it was over by then is known. */
    bool exact = op->outcome == COORD_OUTCOME_DONE && op->act.kind != VERIFY_CLOSE;
    struct step s = {.a = &op->act,
                     .answered = op->returned != VERIFY_NEVER,
                     .token = exact ? op->revision : VERIFY_UNKNOWN,
                     .session = op->session};
    return step_action(m, &s);
}
