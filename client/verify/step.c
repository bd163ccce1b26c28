/* SPDX-License-Identifier: Apache-2.0 */
/*
 * step.c: what operations do to a model, and which answers they allow: docs/consistency.md and the
 * service's rules written down once more, from the client's side, without a look at the servers. Here:
 * set, delete, what goes by itself, transactions.
 *
 * An operation without an answer makes its change and shows nothing.
 *
 * Leaves to others: creates (create.c), reads (read.c), comparing with what is known (know.c).
 * Thread: none; one at a time.
 */
#include "client/verify/know.h"

/* --- set, delete ------------------------------------------------------------------------------- */

/* All conditions hold of a node that is there. */
static bool conditions_hold(struct verify_model *m, const struct verify_action *a)
{
    uint32_t i = verify_model_cell(m, VERIFY_NODE, a->path);
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    bool fits =
        ((a->conditions & COORD_IF_VERSION) == 0 || verify_learn(&c.version, a->version)) &&
        ((a->conditions & COORD_IF_MODIFIED) == 0 || verify_learn(&c.modified, a->modified)) &&
        ((a->conditions & COORD_IF_CREATED) == 0 || verify_learn(&c.created, a->created));
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

static bool set_node(struct verify_model *m, const struct verify_step *s, uint32_t value)
{
    const struct verify_action *a = s->a;
    uint32_t i = verify_model_cell(m, VERIFY_NODE, a->path);
    if (i == VERIFY_NOWHERE) {
        return true;
    }
    struct verify_cell c = m->cells[i];
    if (s->answered && a->has_stat) {
        if (a->stat.version == 0 || !verify_learn(&c.version, a->stat.version - 1)) {
            return false;
        }
    }
    c.version = verify_plus(c.version, 1);
    c.modified = s->answered && a->has_stat ? a->stat.modified : s->token;
    c.value = value;
    verify_model_put(m, i, &c);
    return true;
}

static bool step_set(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error == COORD_ENONODE) {
        return verify_seen(m, a->path, false);
    }
    if (s->answered && a->error == COORD_ECONDITION) {
        return verify_seen(m, a->path, true) && conditions_fail(m, a);
    }
    if (s->answered && a->error != 0) {
        return true;
    }
    return verify_seen(m, a->path, true) && conditions_hold(m, a) && set_node(m, s, a->value) &&
           (!s->answered || !a->has_stat || verify_seen_stat(m, a->path, &a->stat));
}

/* The number before is that behind less delta; without an answer any. */
static bool step_increment(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error != 0) {
        return step_set(m, s);
    }
    uint32_t value = s->answered ? a->got : VERIFY_VALUE_UNKNOWN;
    return verify_seen(m, a->path, true) && conditions_hold(m, a) &&
           (!s->answered || verify_seen_value(m, a->path, a->value)) && set_node(m, s, value) &&
           (!s->answered || !a->has_stat || verify_seen_stat(m, a->path, &a->stat));
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
    (void)verify_seen(m, path, true); /* nothing says otherwise */
}

static bool step_rename(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    if (s->answered && a->error != 0) {
        return true; /* which of two paths it is about is not said */
    }
    if (!verify_seen(m, a->path, true) || !conditions_hold(m, a) ||
        !verify_seen(m, a->made, false) || !verify_seen(m, verify_parent_of(m, a->made), true)) {
        return false;
    }
    put_below(m, a->path, VERIFY_ABSENT);
    arrive(m, a->made, s->answered && a->has_stat ? a->stat.created : s->token);
    verify_count_children(m, verify_parent_of(m, a->path), 0, VERIFY_UNKNOWN);
    verify_count_children(m, verify_parent_of(m, a->made), 0, VERIFY_UNKNOWN);
    return !s->answered || !a->has_stat || verify_seen_stat(m, a->made, &a->stat);
}

static bool step_delete(struct verify_model *m, const struct verify_step *s)
{
    const struct verify_action *a = s->a;
    uint32_t kids = verify_model_cell(m, VERIFY_KIDS, a->path);
    if (s->answered && a->error == COORD_ENONODE) {
        return verify_seen(m, a->path, false);
    }
    if (s->answered && a->error == COORD_ECONDITION) {
        return verify_seen(m, a->path, true) && conditions_fail(m, a);
    }
    if (s->answered && a->error == COORD_ENOTEMPTY) {
        return verify_seen(m, a->path, true) && conditions_hold(m, a) &&
               (kids == VERIFY_NOWHERE || m->cells[kids].owner != 0);
    }
    if (s->answered && a->error != 0) {
        return true;
    }
    if (!verify_seen(m, a->path, true) || !conditions_hold(m, a)) {
        return false;
    }
    if ((a->flags & COORD_RECURSIVE) != 0) {
        put_below(m, a->path, VERIFY_ABSENT);
        verify_count_children(m, verify_parent_of(m, a->path), -1, s->token);
        return true;
    }
    if (!verify_no_children(m, a->path)) {
        return false;
    }
    if (kids != VERIFY_NOWHERE) {
        struct verify_cell c = m->cells[kids];
        if (!verify_learn(&c.owner, 0)) {
            return false;
        }
    }
    verify_disappear(m, a->path);
    verify_count_children(m, verify_parent_of(m, a->path), -1, s->token);
    return true;
}

/* --- what goes by itself ----------------------------------------------------------------------- */

/* A node that its session, its emptiness or its age may take away: s->session is the owner, 0 for
 * the other two; VERIFY_UNKNOWN: any. */
static bool step_vanish(struct verify_model *m, const struct verify_step *s)
{
    uint32_t path = s->a->path;
    enum verify_presence was = VERIFY_MAYBE;
    if ((s->a->flags & COORD_SEQUENTIAL) != 0) { /* its name is not known */
        verify_count_children(m, verify_parent_of(m, path), 0, VERIFY_UNKNOWN);
        return true;
    }
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
    verify_disappear(m, path);
    verify_count_children(m, verify_parent_of(m, path), was == VERIFY_PRESENT ? -1 : 0,
                          VERIFY_UNKNOWN);
    return true;
}

/* The session is over by now, and with it what it owned. */
static bool step_close(struct verify_model *m, const struct verify_step *s)
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
            verify_disappear(m, path);
            verify_count_children(m, verify_parent_of(m, path), -1, s->token);
        } else if (maybe) {
            c = verify_cell_blank(VERIFY_MAYBE);
            verify_model_put(m, i, &c);
            verify_count_children(m, verify_parent_of(m, path), 0, VERIFY_UNKNOWN);
        }
    }
    return true;
}

/* --- transactions ------------------------------------------------------------------------------ */

static bool step_action(struct verify_model *m, const struct verify_step *s)
{
    switch (s->a->kind) {
    case VERIFY_CREATE:
        return verify_step_create(m, s);
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
        return verify_step_read(m, s);
    }
}

/* The condition holds; what it says becomes known. */
static bool condition_holds(struct verify_model *m, const struct verify_condition *q)
{
    if (q->kind == VERIFY_IF_ABSENT || q->kind == VERIFY_IF_EXISTS) {
        m->blind = m->blind || verify_model_cell(m, VERIFY_NODE, q->path) == VERIFY_NOWHERE;
        return verify_seen(m, q->path, q->kind == VERIFY_IF_EXISTS);
    }
    if (q->kind == VERIFY_IF_HELD) {
        m->blind = true; /* which child is the first is not followed */
        return verify_seen(m, q->path, true);
    }
    enum verify_role role = q->kind == VERIFY_IF_CHILDREN ? VERIFY_KIDS : VERIFY_NODE;
    uint32_t i = verify_model_cell(m, role, q->path);
    if (!verify_seen(m, q->path, true)) {
        return false;
    }
    if (i == VERIFY_NOWHERE) {
        m->blind = true;
        return true;
    }
    if (q->kind == VERIFY_IF_VALUE) {
        return verify_seen_value(m, q->path, q->value);
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
    bool fits = verify_learn(field, q->number);
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
    struct verify_step s = {.answered = op->returned != VERIFY_NEVER,
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
    struct verify_step s = {.a = &op->act,
                            .answered = op->returned != VERIFY_NEVER,
                            .token = exact ? op->revision : VERIFY_UNKNOWN,
                            .session = op->session};
    return step_action(m, &s);
}
