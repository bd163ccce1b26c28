/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the machine does what a far simpler one does. Method: random requests, attachments, closes and
 * expiries go to the machine and to a model (an array of nodes sorted by path, an array of sessions);
 * each answer, each change and regularly the whole tree are compared. Transactions are run on the model one
 * operation after the other, and a copy of it from before is taken when one fails. Candidates for removal are
 * collected, compared with those of the model, and applied some steps later. Now and then the machine is
 * saved, loaded into a fresh one, and the run goes on with that.
 */
#include <stdio.h>
#include "server/machine/machine_internal.h"
#include "tests/unit/test_machine_fixture.h"

#define NODES_MAX    2000
#define SESSIONS_MAX 12
#define NUMBERS_MAX  64
#define PATH_MAX_    96

struct model_node {
    char path[PATH_MAX_];
    char data[48];
    bool absent;
    struct coord_node_stat stat;
    uint64_t sequence;
};

struct model_session {
    bool open;
    uint64_t id;
    uint64_t epoch;
    uint64_t next; /* number */
    uint64_t acked;
    struct {
        bool kept;
        int error;
        enum coord_op op;
        char path[PATH_MAX_]; /* of a create */
    } answer[NUMBERS_MAX];
};

struct model {
    struct model_node node[NODES_MAX];
    size_t count;
    struct model_session session[SESSIONS_MAX];
    uint64_t revision;
    uint64_t time_ms;
    /* what the last operation changed */
    struct {
        enum coord_change_kind kind;
        char path[PATH_MAX_];
    } change[NODES_MAX];
    size_t changes;
    char created[PATH_MAX_];
    uint64_t sequence;
};

static struct model model;
static uint64_t seed_state;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

/* --- the model --------------------------------------------------------------------------------- */

/* Path order: as bytes, '/' below all others, "/" first. */
static int path_order(const char *a, const char *b)
{
    if (strcmp(a, "/") == 0 || strcmp(b, "/") == 0) {
        return strcmp(a, b);
    }
    for (;; a++, b++) {
        int x = *a == '/' ? 1 : *a == '\0' ? 0 : (unsigned char)*a + 1;
        int y = *b == '/' ? 1 : *b == '\0' ? 0 : (unsigned char)*b + 1;
        if (x != y) {
            return x - y;
        }
        if (x == 0) {
            return 0;
        }
    }
}

static struct model_node *model_find(const char *path)
{
    for (size_t i = 0; i < model.count; i++) {
        if (strcmp(model.node[i].path, path) == 0) {
            return &model.node[i];
        }
    }
    return NULL;
}

static void parent_path(const char *path, char out[PATH_MAX_])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == path ? 1 : (size_t)(slash - path);
    memcpy(out, path, n);
    out[n] = '\0';
}

static void model_change(enum coord_change_kind kind, const char *path)
{
    model.change[model.changes].kind = kind;
    (void)snprintf(model.change[model.changes].path, PATH_MAX_, "%s", path);
    model.changes++;
}

static void data_set(struct model_node *n, const char *data)
{
    n->absent = data == NULL;
    (void)snprintf(n->data, sizeof(n->data), "%s", data == NULL ? "" : data);
    n->stat.data_bytes = strlen(n->data);
}

/* Insert under an existing parent. */
static void model_insert(const char *path, const char *data, enum coord_node_kind kind,
                         uint64_t owner)
{
    char parent[PATH_MAX_];
    parent_path(path, parent);
    size_t at = 0;
    while (at < model.count && path_order(model.node[at].path, path) < 0) {
        at++;
    }
    ck_assert_uint_lt(model.count, NODES_MAX);
    memmove(&model.node[at + 1], &model.node[at], (model.count - at) * sizeof(model.node[0]));
    model.count++;
    struct model_node *n = &model.node[at];
    memset(n, 0, sizeof(*n));
    (void)snprintf(n->path, sizeof(n->path), "%s", path);
    n->stat.create_revision = model.revision;
    n->stat.modify_revision = model.revision;
    n->stat.child_revision = model.revision;
    n->stat.created_ms = model.time_ms;
    n->stat.modified_ms = model.time_ms;
    n->stat.kind = kind;
    n->stat.owner = owner;
    n->stat.ttl_ms = kind == COORD_NODE_TTL ? 5000 : 0;
    data_set(n, data);
    struct model_node *p = model_find(parent);
    p->stat.children++;
    p->stat.child_version++;
    p->stat.child_revision = model.revision;
    p->sequence++;
    model_change(COORD_CHANGE_CREATED, path);
}

static void model_remove(struct model_node *n)
{
    char path[PATH_MAX_];
    char parent[PATH_MAX_];
    memcpy(path, n->path, sizeof(path));
    parent_path(path, parent);
    size_t at = (size_t)(n - model.node);
    memmove(n, n + 1, (model.count - at - 1) * sizeof(*n));
    model.count--;
    struct model_node *p = model_find(parent);
    p->stat.children--;
    p->stat.child_version++;
    p->stat.child_revision = model.revision;
    model_change(COORD_CHANGE_DELETED, path);
}

static bool stands_in(const char *path, const char *top)
{
    size_t len = strlen(top);
    return strncmp(path, top, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* From the last to the first: children before their parents. */
static void model_remove_subtree(const char *top)
{
    char kept[PATH_MAX_];
    (void)snprintf(kept, sizeof(kept), "%s", top);
    for (size_t i = model.count; i > 0; i--) {
        if (stands_in(model.node[i - 1].path, kept)) {
            model_remove(&model.node[i - 1]);
        }
    }
}

static int model_create(const char *asked, const char *data, uint32_t flags, uint64_t owner)
{
    char path[PATH_MAX_ + 24];
    char parent[PATH_MAX_];
    char at[PATH_MAX_];
    if ((flags & COORD_F_EPHEMERAL) != 0 && owner == 0) {
        return COORD_ENOSESSION;
    }
    if (strcmp(asked, "/") == 0) {
        return COORD_EEXISTS;
    }
    parent_path(asked, parent);
    memcpy(at, parent, sizeof(at));
    while (model_find(at) == NULL) {
        char up[PATH_MAX_];
        parent_path(at, up);
        memcpy(at, up, sizeof(at));
    }
    const struct model_node *near = model_find(at);
    if (near->stat.kind == COORD_NODE_EPHEMERAL) {
        return COORD_EEPHEMERAL;
    }
    bool direct = strcmp(at, parent) == 0;
    if (!direct && (flags & COORD_F_PARENTS) == 0) {
        return COORD_ENONODE;
    }
    uint64_t number = direct ? near->sequence : 0;
    (void)snprintf(path, sizeof(path), "%s", asked);
    if ((flags & COORD_F_SEQUENTIAL) != 0) {
        (void)snprintf(path, sizeof(path), "%s%010llu", asked, (unsigned long long)number);
    }
    if (model_find(path) != NULL) {
        return COORD_EEXISTS;
    }
    for (const char *c = asked + 1; *c != '\0'; c++) {
        char step[PATH_MAX_];
        size_t n = (size_t)(c - asked);
        memcpy(step, asked, n);
        step[n] = '\0';
        if (*c == '/' && model_find(step) == NULL) {
            model_insert(step, NULL, COORD_NODE_PERSISTENT, 0);
        }
    }
    enum coord_node_kind kind = (flags & COORD_F_EPHEMERAL) != 0   ? COORD_NODE_EPHEMERAL
                                : (flags & COORD_F_CONTAINER) != 0 ? COORD_NODE_CONTAINER
                                : (flags & COORD_F_TTL) != 0       ? COORD_NODE_TTL
                                                                   : COORD_NODE_PERSISTENT;
    model_insert(path, data, kind, kind == COORD_NODE_EPHEMERAL ? owner : 0);
    (void)snprintf(model.created, sizeof(model.created), "%.95s", path);
    model.sequence = (flags & COORD_F_SEQUENTIAL) != 0 ? number : 0;
    return 0;
}

static int model_condition(const struct model_node *n, const struct coord_request *q)
{
    if ((q->expect_version != COORD_VERSION_ANY &&
         (uint64_t)q->expect_version != n->stat.version) ||
        (q->expect_modified != 0 && q->expect_modified != n->stat.modify_revision) ||
        (q->expect_created != 0 && q->expect_created != n->stat.create_revision)) {
        return COORD_ECONDITION;
    }
    return 0;
}

static int model_rename(const struct coord_request *q, const char *from, const char *to)
{
    static struct model_node moved[NODES_MAX];
    char parent[PATH_MAX_];
    size_t count = 0;
    const struct model_node *n = model_find(from);
    if (n == NULL) {
        return COORD_ENONODE;
    }
    if (n == &model.node[0]) {
        return COORD_ERESERVED;
    }
    if (strcmp(to, from) != 0 && stands_in(to, from)) {
        return COORD_EINSIDE;
    }
    int rc = model_condition(n, q);
    if (rc != 0) {
        return rc;
    }
    if (model_find(to) != NULL) {
        return COORD_EEXISTS;
    }
    parent_path(to, parent);
    const struct model_node *p = model_find(parent);
    if (p == NULL || p->stat.kind == COORD_NODE_EPHEMERAL) {
        return p == NULL ? COORD_ENONODE : COORD_EEPHEMERAL;
    }
    for (size_t i = 0; i < model.count; i++) {
        if (stands_in(model.node[i].path, from)) {
            moved[count++] = model.node[i];
        }
    }
    model_remove_subtree(from);
    for (size_t i = 0; i < count; i++) {
        char path[2 * PATH_MAX_];
        (void)snprintf(path, sizeof(path), "%s%s", to, moved[i].path + strlen(from));
        ck_assert_uint_lt(strlen(path), PATH_MAX_);
        model_insert(path, moved[i].absent ? NULL : moved[i].data, moved[i].stat.kind,
                     moved[i].stat.owner);
    }
    for (size_t i = 0; i < count; i++) {
        char path[2 * PATH_MAX_];
        (void)snprintf(path, sizeof(path), "%s%s", to, moved[i].path + strlen(from));
        struct model_node *now = model_find(path);
        now->sequence = moved[i].sequence;
        now->stat.child_version = 2 * now->sequence - now->stat.children;
    }
    return 0;
}

static void model_end(struct model_session *s)
{
    for (size_t i = 0; i < model.count;) {
        if (model.node[i].stat.owner == s->id) {
            model_remove(&model.node[i]);
        } else {
            i++;
        }
    }
    s->open = false;
}

static int model_write(const struct coord_request *q, const char *path, const char *data,
                       struct model_session *s)
{
    struct model_node *n = model_find(path);
    int rc = 0;
    switch (q->op) {
    case COORD_OP_CREATE:
        return model_create(path, data, q->flags, s == NULL ? 0 : s->id);
    case COORD_OP_SET:
        rc = n == NULL ? COORD_ENONODE : model_condition(n, q);
        if (rc == 0) {
            data_set(n, data);
            n->stat.version++;
            n->stat.modify_revision = model.revision;
            n->stat.modified_ms = model.time_ms;
            model_change(COORD_CHANGE_CHANGED, path);
        }
        return rc;
    case COORD_OP_DELETE:
        if (n == NULL) {
            return COORD_ENONODE;
        }
        if (n == &model.node[0]) {
            return COORD_ERESERVED;
        }
        rc = model_condition(n, q);
        if (rc == 0 && n->stat.children > 0 && q->flags == 0) {
            rc = COORD_ENOTEMPTY;
        }
        if (rc == 0) {
            model_remove_subtree(path);
        }
        return rc;
    case COORD_OP_RENAME:
        return model_rename(q, path, data);
    default:
        model_end(s);
        return 0;
    }
}

/* --- comparing --------------------------------------------------------------------------------- */

static void compare_stat(const struct coord_node_stat *a, const struct coord_node_stat *b,
                         const char *path)
{
    ck_assert_msg(
        a->create_revision == b->create_revision && a->modify_revision == b->modify_revision &&
            a->child_revision == b->child_revision && a->version == b->version &&
            a->child_version == b->child_version && a->created_ms == b->created_ms &&
            a->modified_ms == b->modified_ms && a->kind == b->kind && a->owner == b->owner &&
            a->ttl_ms == b->ttl_ms && a->data_bytes == b->data_bytes &&
            a->children == b->children && a->acl_version == b->acl_version,
        "the stat of %s differs", path);
}

static void compare_changes(const struct fixture *f)
{
    ck_assert_uint_eq(f->o.changes_count, model.changes);
    for (size_t i = 0; i < model.changes; i++) {
        ck_assert_int_eq(f->o.changes[i].kind, model.change[i].kind);
        ck_assert(is(f->o.changes[i].path, model.change[i].path));
    }
}

static void compare_tree(struct fixture *f)
{
    char after[PATH_MAX_] = "";
    size_t i = 1;
    bool more = true;
    compare_stat(&(struct coord_node_stat){0}, &(struct coord_node_stat){0}, "/");
    struct coord_node_stat root = stat_of(f, "/");
    compare_stat(&root, &model.node[0].stat, "/");
    while (more) {
        struct coord_request q = {.op = COORD_OP_LIST,
                                  .path = str("/"),
                                  .after = str(after),
                                  .limit = 1 + rnd(40),
                                  .flags =
                                      COORD_LIST_RECURSIVE | COORD_LIST_STATS | COORD_LIST_DATA};
        struct coord_result res;
        ck_assert_int_eq(machine_read(f->m, &q, &res), 0);
        for (uint32_t e = 0; e < res.entries_count; e++, i++) {
            const struct coord_list_entry *got = &res.entries[e];
            ck_assert_uint_lt(i, model.count);
            const struct model_node *n = &model.node[i];
            ck_assert(is(got->name, n->path + 1));
            compare_stat(&got->stat, &n->stat, n->path);
            ck_assert_int_eq(got->data.data == NULL, n->absent);
            ck_assert(n->absent || is(got->data, n->data));
            (void)snprintf(after, sizeof(after), "%s", n->path + 1);
        }
        more = res.more;
        ck_assert(!more || res.entries_count == q.limit);
    }
    ck_assert_uint_eq(i, model.count);
    const char *wrong = store_check(f->m->state.store);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}

/* E1: an ephemeral exists exactly while its session is open. */
static void compare_sessions(struct fixture *f)
{
    uint64_t open = 0;
    struct machine_stats st;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        const struct model_session *s = &model.session[i];
        struct machine_session got;
        bool there = machine_session_get(f->m, s->id, &got);
        ck_assert_int_eq(there, s->open);
        if (!there) {
            continue;
        }
        uint64_t owned = 0;
        for (size_t n = 0; n < model.count; n++) {
            owned += model.node[n].stat.owner == s->id;
        }
        ck_assert_uint_eq(got.ephemerals, owned);
        ck_assert_uint_eq(got.epoch, s->epoch);
        open++;
    }
    machine_stats(f->m, &st);
    ck_assert_uint_eq(st.sessions, open);
    ck_assert_uint_eq(st.nodes, model.count);
}

/* Save, load into a fresh machine, and go on with that one. */
static void change_machines(struct fixture *f)
{
    char why[128] = "";
    struct machine_limits l;
    machine_limits_init(&l);
    struct coord_buf *saved = machine_save(f->m);
    ck_assert_ptr_nonnull(saved);
    struct machine *fresh = machine_create(&l);
    int rc = machine_load(fresh, saved->data, saved->len, why, sizeof(why));
    ck_assert_msg(rc == 0, "a saved state does not load: %s", why);
    ck_assert_uint_eq(machine_digest(fresh), machine_digest(f->m));
    struct coord_buf *again = machine_save(fresh);
    ck_assert_uint_eq(again->len, saved->len);
    ck_assert_mem_eq(again->data, saved->data, saved->len);
    coord_buf_unref(saved);
    coord_buf_unref(again);
    machine_destroy(f->m);
    f->m = fresh;
}

/* --- steps ------------------------------------------------------------------------------------- */

static void random_path(char out[PATH_MAX_])
{
    static const char *const names[] = {"a", "b", "c", "a-b", "zz", "\xc3\xa4", "a!", "n-"};
    size_t depth = rnd(20) == 0 ? 0 : 1 + rnd(4);
    size_t at = 0;
    for (size_t i = 0; i < depth; i++) {
        at += (size_t)snprintf(out + at, PATH_MAX_ - at, "/%s%s", names[rnd(8)],
                               rnd(3) == 0 ? names[rnd(8)] : "");
    }
    if (at == 0) {
        memcpy(out, "/", 2);
    }
    if (rnd(3) == 0 && model.count > 1) { /* one that exists */
        memcpy(out, model.node[rnd(model.count)].path, PATH_MAX_);
    }
}

/* Paths that a rename may make longer and longer stay below what the model holds. */
static bool may_rename(const char *from, const char *to)
{
    for (size_t i = 0; i < model.count; i++) {
        if (stands_in(model.node[i].path, from) &&
            strlen(model.node[i].path) - strlen(from) + strlen(to) > PATH_MAX_ - 30) {
            return false;
        }
    }
    return true;
}

/* to: another path, for a rename. */
static void random_request(struct coord_request *q, const char *path, const char *data,
                           const char *to)
{
    static const uint32_t kinds[] = {
        0, 0, COORD_F_EPHEMERAL, COORD_F_EPHEMERAL, COORD_F_CONTAINER, COORD_F_TTL};
    uint64_t what = rnd(10);
    *q = (struct coord_request){.path = str(path), .data = str(data)};
    q->op = what < 5 ? COORD_OP_CREATE : what < 7 ? COORD_OP_SET : COORD_OP_DELETE;
    if (what == 7 && may_rename(path, to)) {
        q->op = COORD_OP_RENAME;
        q->to = str(to);
    }
    q->expect_version = COORD_VERSION_ANY;
    if (q->op == COORD_OP_CREATE) {
        q->expect_version = 0;
        q->flags = kinds[rnd(6)] | (rnd(3) == 0 ? COORD_F_SEQUENTIAL : 0) |
                   (rnd(2) == 0 ? COORD_F_PARENTS : 0);
        q->ttl_ms = (q->flags & COORD_F_TTL) != 0 ? 5000 : 0;
        return;
    }
    const struct model_node *n = model_find(path);
    if (q->op == COORD_OP_DELETE && rnd(8) == 0) {
        q->flags = COORD_DELETE_RECURSIVE;
    }
    if (n != NULL && rnd(3) == 0) {
        q->expect_version = (int64_t)(n->stat.version + (rnd(2) == 0 ? 0 : 1));
        q->expect_modified = rnd(2) == 0 ? n->stat.modify_revision : 0;
        q->expect_created = rnd(2) == 0 ? n->stat.create_revision : 0;
    }
}

static void step_begin(const struct fixture *f)
{
    model.revision = f->revision + 1;
    model.time_ms = f->time_ms + 1;
    model.changes = 0;
}

static void step_write(struct fixture *f)
{
    char path[PATH_MAX_];
    char data[40];
    struct coord_request q;
    struct model_session *s = rnd(4) == 0 ? NULL : &model.session[rnd(SESSIONS_MAX)];
    random_path(path);
    (void)snprintf(data, sizeof(data), "%.*s", (int)rnd(30), "abcdefghijklmnopqrstuvwxyz0123456");
    const char *value = rnd(4) == 0 ? NULL : data;
    char to[PATH_MAX_];
    random_path(to);
    random_request(&q, path, value, to);
    if (s != NULL && s->open && s->next == NUMBERS_MAX) {
        q = (struct coord_request){.op = COORD_OP_SESSION_CLOSE};
    }
    step_begin(f);
    bool repeat = s != NULL && s->open && s->next > 1 && rnd(5) == 0;
    q.number = repeat ? 1 + rnd(s->next - 1) : s != NULL && s->open ? s->next++ : 1;
    q.acked = repeat || s == NULL ? 0 : s->acked;
    int want;
    bool had = repeat && s->answer[q.number].kept;
    if (had) { /* with other arguments: only the number counts */
        q.op = s->answer[q.number].op;
        q.flags = 0;
        q.to = str("/elsewhere");
    }
    if (s != NULL && !s->open) {
        want = COORD_EEXPIRED;
    } else if (s != NULL && q.number <= s->acked) {
        want = COORD_EBADREQUEST;
    } else if (had) {
        want = s->answer[q.number].error;
    } else {
        want = model_write(&q, path, q.op == COORD_OP_RENAME ? to : value, s);
    }
    uint64_t id = s == NULL ? 0 : s->id == 0 ? 1000000 : s->id;
    int got = fixture_request(f, id, s == NULL ? 0 : s->epoch, &q);
    ck_assert_msg(got == want, "op %d of %s flags %u: %d, not %d", q.op, path, q.flags, got, want);
    compare_changes(f);
    if (s != NULL && s->open && !repeat) {
        s->answer[q.number].kept = true;
        s->answer[q.number].error = got;
        s->answer[q.number].op = q.op;
        memcpy(s->answer[q.number].path, model.created, PATH_MAX_);
        if (rnd(6) == 0 && s->next < NUMBERS_MAX) {
            s->acked = q.number - 1 > s->acked ? q.number - 1 : s->acked;
        }
    }
    /* The machine learns of the mark with the next request; until then it repeats, as the model does
     * not: make it known at once by a request that does nothing. */
    if (s != NULL && s->open && s->acked > 0 && s->next < NUMBERS_MAX) {
        struct coord_request tell = {.number = s->next,
                                     .acked = s->acked,
                                     .op = COORD_OP_DELETE,
                                     .path = str("/never-there"),
                                     .expect_version = COORD_VERSION_ANY};
        if (got == 0 && q.op == COORD_OP_CREATE && !had) {
            ck_assert(is(f->res.path, model.created));
            ck_assert_uint_eq(f->res.sequence, model.sequence);
            compare_stat(&f->res.stat, &model_find(model.created)->stat, model.created);
        }
        s->answer[s->next].kept = true;
        s->answer[s->next].error = COORD_ENONODE;
        s->answer[s->next].op = COORD_OP_DELETE;
        s->next++;
        ck_assert_int_eq(fixture_request(f, s->id, s->epoch, &tell), COORD_ENONODE);
    } else if (got == 0 && q.op == COORD_OP_CREATE) {
        ck_assert(had ? is(f->res.path, s->answer[q.number].path) : is(f->res.path, model.created));
    }
}

#define TXN_OPS 4

/* A transaction without a session: conditions on nodes that are or are not there, up to four operations a
 * branch. */
static void step_txn(struct fixture *f)
{
    static struct model before;
    static char path[TXN_OPS][PATH_MAX_];
    static char to[TXN_OPS][PATH_MAX_];
    struct coord_request op[TXN_OPS];
    struct coord_buf *ops = NULL;
    struct coord_buf *ifs = NULL;
    struct coord_request txn = {.number = 1, .op = COORD_OP_TXN};
    bool hold = true;
    step_begin(f);
    memcpy(&before, &model, sizeof(before));
    for (uint64_t i = rnd(3); i > 0; i--) {
        char at[PATH_MAX_];
        random_path(at);
        const struct model_node *n = model_find(at);
        struct coord_if c = {.kind = rnd(2) == 0 ? COORD_WHEN_EXISTS : COORD_WHEN_VERSION,
                             .path = str(at),
                             .number = n == NULL || rnd(3) == 0 ? 1 : n->stat.version};
        hold = hold && n != NULL && (c.kind == COORD_WHEN_EXISTS || n->stat.version == c.number);
        ck_assert_int_eq(coord_if_encode(&c, &ifs), 0);
        txn.ifs.count++;
    }
    uint32_t count = (uint32_t)rnd(TXN_OPS + 1);
    uint32_t failed = 0;
    int error = 0;
    for (uint32_t i = 0; i < count; i++) {
        random_path(path[i]);
        random_path(to[i]);
        random_request(&op[i], path[i], "txn", to[i]);
        op[i].flags &= op[i].op == COORD_OP_CREATE ? ~(uint32_t)COORD_F_EPHEMERAL : UINT32_MAX;
        ck_assert_int_eq(coord_txn_op_encode(&op[i], &ops), 0);
        if (failed == 0) { /* each is drawn from the tree that those before it leave */
            error = model_write(&op[i], path[i], op[i].op == COORD_OP_RENAME ? to[i] : "txn", NULL);
            failed = error != 0 ? i + 1 : 0;
        }
    }
    struct coord_items *branch = hold ? &txn.thens : &txn.elses;
    branch->count = count;
    branch->raw = (struct coord_bytes){ops == NULL ? NULL : ops->data, ops == NULL ? 0 : ops->len};
    txn.ifs.raw = (struct coord_bytes){ifs == NULL ? NULL : ifs->data, ifs == NULL ? 0 : ifs->len};
    if (failed != 0) {
        memcpy(&model, &before, sizeof(before));
        model.changes = 0;
    }
    ck_assert_int_eq(fixture_request(f, 0, 0, &txn), 0);
    ck_assert_int_eq(f->res.branch, hold ? COORD_TXN_THEN : COORD_TXN_ELSE);
    ck_assert_uint_eq(f->res.failed, failed);
    ck_assert_uint_eq(f->res.results.count, count);
    struct coord_bytes cursor = f->res.results.raw;
    for (uint32_t i = 0; i < count; i++) {
        enum coord_op of;
        struct coord_result res;
        ck_assert_int_eq(coord_txn_result_next(&cursor, &of, &res), 1);
        ck_assert_int_eq(of, op[i].op);
        int want = failed == 0 ? 0 : failed == i + 1 ? error : COORD_EABORTED;
        ck_assert_int_eq(res.error, want);
    }
    compare_changes(f);
    coord_buf_unref(ops);
    coord_buf_unref(ifs);
}

static void step_session(struct fixture *f)
{
    size_t i = rnd(SESSIONS_MAX);
    struct model_session *s = &model.session[i];
    step_begin(f);
    if (!s->open) {
        memset(s, 0, sizeof(*s));
        s->id = fixture_session(f, (uint8_t)i, 5000);
        s->epoch = s->id;
        s->open = true;
        s->next = 1;
    } else if (rnd(2) == 0) {
        ck_assert_int_eq(fixture_attach(f, s->id, (uint8_t)i), 0);
        s->epoch = f->revision;
    } else {
        bool stale = rnd(2) == 0;
        uint64_t pair[] = {s->id, s->epoch - (stale ? 1 : 0)};
        if (!stale) {
            model_end(s);
        }
        ck_assert_int_eq(fixture_expire(f, pair, 1), 0);
        ck_assert_uint_eq(f->o.ended_count, stale ? 0 : 1);
    }
    compare_changes(f);
}

static bool model_due(const struct model_node *n, uint64_t time_ms)
{
    if (n->stat.kind == COORD_NODE_TTL) {
        return n->stat.children == 0 && time_ms >= n->stat.modified_ms + n->stat.ttl_ms;
    }
    return n->stat.kind == COORD_NODE_CONTAINER && n->sequence > 0 && n->stat.children == 0;
}

/* A REAP entry, with the candidates there were before some other steps: what is due when it is applied goes. */
static void step_reap(struct fixture *f)
{
    static uint8_t body[1 << 18];
    static char due[NODES_MAX][PATH_MAX_];
    static uint64_t created[NODES_MAX];
    struct machine_reap_found found;
    uint32_t count = 0;
    if (rnd(2) == 0) {
        f->time_ms += rnd(4000);
    }
    const struct machine_reap_ask ask = {.time_ms = f->time_ms + rnd(3000),
                                         .since = UINT64_MAX,
                                         .nodes_max = MACHINE_REAP_NODES_MAX,
                                         .bytes_max = sizeof(body),
                                         .out = body};
    for (size_t i = 0; i < model.count; i++) {
        if (model_due(&model.node[i], ask.time_ms)) {
            memcpy(due[count], model.node[i].path, PATH_MAX_);
            created[count++] = model.node[i].stat.create_revision;
        }
    }
    machine_reap_collect(f->m, &ask, &found);
    ck_assert_uint_eq(found.count, count);
    for (uint64_t i = rnd(6); i > 0; i--) {
        step_write(f);
    }
    step_begin(f);
    ck_assert_int_eq(
        fixture_apply(f, (struct entry){.kind = ENTRY_REAP}, NULL, 0, body, found.bytes), 0);
    uint32_t gone = 0;
    for (uint32_t i = 0; i < count; i++) { /* none of them is above another */
        struct model_node *n = model_find(due[i]);
        if (n != NULL && n->stat.create_revision == created[i] && model_due(n, model.time_ms)) {
            model_remove(n);
            gone++;
        }
    }
    ck_assert_uint_eq(f->o.changes_count, gone);
    for (uint32_t i = 0; i < gone; i++) {
        char path[PATH_MAX_] = "";
        ck_assert_uint_lt(f->o.changes[i].path.len, PATH_MAX_);
        memcpy(path, f->o.changes[i].path.data, f->o.changes[i].path.len);
        ck_assert_int_eq(f->o.changes[i].kind, COORD_CHANGE_DELETED);
        ck_assert_ptr_null(model_find(path));
    }
}

static void run(uint64_t seed, uint32_t steps)
{
    struct fixture f;
    fixture_open(&f, NULL);
    seed_state = seed * 0x9e3779b97f4a7c15 + 1;
    memset(&model, 0, sizeof(model));
    memcpy(model.node[0].path, "/", 2);
    model.node[0].absent = true;
    model.count = 1;
    for (uint32_t i = 0; i < steps; i++) {
        if (rnd(25) == 0) {
            step_session(&f);
        } else if (rnd(40) == 0) {
            step_reap(&f);
        } else if (rnd(6) == 0) {
            step_txn(&f);
        } else {
            step_write(&f);
        }
        if (i % 64 == 63) {
            compare_tree(&f);
            compare_sessions(&f);
        }
        if (i % 512 == 511) {
            change_machines(&f);
        }
    }
    compare_tree(&f);
    fixture_close(&f);
}

START_TEST(random_operations_agree_with_the_model)
{
    run((uint64_t)_i + 1, 4000);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("machine: model");
    TCase *c = tcase_create("model");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, random_operations_agree_with_the_model, 0, 10);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
