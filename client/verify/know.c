/* SPDX-License-Identifier: Apache-2.0 */
/*
 * know.c: see know.h. An answer is compared field by field: a field that is known must be equal, one
 * that is not known becomes known.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/know.h"

static bool learn_kind(uint8_t *known, uint64_t seen)
{
    if (seen == VERIFY_UNKNOWN || *known == seen) {
        return true;
    }
    bool was_unknown = *known == VERIFY_KIND_UNKNOWN;
    *known = (uint8_t)seen;
    return was_unknown;
}

/* Do something with each cell that is there: cell i, with a copy c to change and put back. */
bool verify_learn_presence(struct verify_model *m, uint32_t i, bool there)
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
bool verify_seen(struct verify_model *m, uint32_t path, bool there)
{
    return verify_learn_presence(m, verify_model_cell(m, VERIFY_NODE, path), there) &&
           verify_learn_presence(m, verify_model_cell(m, VERIFY_KIDS, path), there) &&
           verify_learn_presence(m, verify_model_cell(m, VERIFY_KID, path), there);
}

bool verify_seen_value(struct verify_model *m, uint32_t path, uint32_t value)
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
bool verify_seen_stat(struct verify_model *m, uint32_t path, const struct verify_stat *s)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[i];
        bool fits = verify_learn(&c.version, s->version) && verify_learn(&c.created, s->created) &&
                    verify_learn(&c.modified, s->modified) && verify_learn(&c.owner, s->owner) &&
                    learn_kind(&c.kind, s->kind);
        /* Until the first set both are the revision of the create. */
        fits = fits && (c.version != 0 || (verify_learn(&c.modified, c.created) &&
                                           verify_learn(&c.created, c.modified)));
        if (!fits || (c.value != VERIFY_VALUE_UNKNOWN && s->data_bytes != VERIFY_UNKNOWN &&
                      s->data_bytes != m->h->values[c.value].bytes)) {
            return false;
        }
        verify_model_put(m, i, &c);
    }
    i = verify_model_cell(m, VERIFY_KIDS, path);
    if (i != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[i];
        if (!verify_learn(&c.owner, s->children) || !verify_learn(&c.version, s->child_version) ||
            !verify_learn(&c.modified, s->child_revision)) {
            return false;
        }
        verify_model_put(m, i, &c);
    }
    return true;
}

/* --- parents and children ---------------------------------------------------------------------- */

/* All children of path, as far as they are held, are not there. */
bool verify_no_children(struct verify_model *m, uint32_t path)
{
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, path);
    if (kids == VERIFY_NOWHERE) {
        return true;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->places[i].role == VERIFY_KID && verify_parent_of(m, m->places[i].path) == path &&
            !verify_learn_presence(m, i, false)) {
            return false;
        }
    }
    return true;
}

/* A child came (by 1) or went (by -1), or may have (by 0). */
void verify_count_children(struct verify_model *m, uint32_t parent, int by, uint64_t token)
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
        c.owner = by > 0 ? verify_plus(c.owner, 1) : verify_plus(c.owner, UINT64_MAX);
        c.version = verify_plus(c.version, 1);
        c.created = by > 0 ? verify_plus(c.created, 1) : c.created;
    }
    verify_model_put(m, i, &c);
}

/* A node comes into being, of which no cell says that it is there. */
void verify_appear(struct verify_model *m, uint32_t path, const struct verify_cell *node)
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

void verify_disappear(struct verify_model *m, uint32_t path)
{
    const struct verify_cell blank = verify_cell_blank(VERIFY_ABSENT);
    for (int role = VERIFY_NODE; role <= VERIFY_KID; role++) {
        uint32_t i = verify_model_cell(m, (enum verify_role)role, path);
        if (i != VERIFY_NOWHERE) {
            verify_model_put(m, i, &blank);
        }
    }
}
