/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what a correct tree tells is never called a violation: parents that are made on the way at any depth, subtrees
 * that go as one, transactions that tie nodes together, nodes that go by themselves, with answers lost here and there;
 * and a wrong number of children, or a wrong name, is found.
 * Method: a small concrete tree of this file is used by several clients at random moments; what they were told is the
 * history, judged with and without "nothing was there before". Then one answer is falsified.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/verify/parse.h"
#include "client/verify/verify.h"

#define CLIENTS_MAX 6
#define OPS_MAX     260
#define PATHS       15
#define MS          1000000ull

static const char *const paths[PATHS] = {"/",      "/a",       "/b",         "/c",       "/a/x",
                                         "/a/y",   "/b/x",     "/a/x/m",     "/a/x/n",   "/a/y/m",
                                         "/b/x/m", "/a/x/m/z", "/a/x/m/z/q", "/a/y/m/z", "/c/e"};
static const int parents[PATHS] = {-1, 0, 0, 0, 1, 1, 2, 4, 4, 5, 6, 7, 11, 9, 3};
/* Paths without anything below, where nodes of sessions may be. */
static const int leaves[] = {8, 10, 12, 13, 14};

enum kind { CREATE, SET, DELETE, TXN, GET, STAT, EXISTS, LIST, VANISH, END };

struct node {
    bool there;
    uint64_t created, modified, child_revision, version, child_version, children, owner;
    int kind; /* enum coord_stat_kind */
    int value;
};

struct tree {
    struct node node[PATHS];
};

/* A create, set or delete: a request of its own or a part of a transaction. */
struct part {
    enum kind kind;
    int path, value;
    int flags; /* of the create, the delete, the list */
    int error;
    struct node seen;
};

struct op {
    enum kind kind;
    int client;
    uint64_t call, ret, point, session;
    bool lost, applied;
    uint64_t revision;
    int error;
    struct part part;      /* what is not a transaction */
    int condition;         /* TXN: this path is absent */
    struct part branch[4]; /* TXN: two of then, two of else */
    bool otherwise;        /* the second branch */
    bool listed[PATHS];
    struct tree *at; /* LIST: what it lists */
};

static struct op ops[OPS_MAX];
static struct tree shown[OPS_MAX];
static int count;
static bool curt;
static uint64_t revision;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * 2685821657736338717ull >> 33) % below;
}

/* --- a tree -------------------------------------------------------------------------------------- */

static bool within(int inner, int outer)
{
    while (inner > outer) { /* parents come first */
        inner = parents[inner];
    }
    return inner == outer;
}

static void came_or_went(struct tree *t, int path, int by)
{
    struct node *p = &t->node[parents[path]];
    p->children += (uint64_t)by;
    p->child_version++;
    p->child_revision = revision;
}

static void appear(struct tree *t, int path, int kind, uint64_t owner, int value)
{
    t->node[path] = (struct node){.there = true,
                                  .created = revision,
                                  .modified = revision,
                                  .child_revision = revision,
                                  .owner = owner,
                                  .kind = kind,
                                  .value = value};
    came_or_went(t, path, 1);
}

static void disappear(struct tree *t, int path)
{
    for (int i = path; i < PATHS; i++) {
        if (within(i, path)) {
            t->node[i] = (struct node){0};
        }
    }
    came_or_went(t, path, -1);
}

static int create(struct tree *t, const struct part *p, uint64_t session)
{
    int chain[PATHS];
    int depth = 0;
    for (int at = parents[p->path]; !t->node[at].there; at = parents[at]) {
        chain[depth++] = at;
    }
    if (t->node[p->path].there) {
        return COORD_EEXISTS;
    }
    if (depth > 0 && (p->flags & COORD_PARENTS) == 0) {
        return COORD_ENONODE;
    }
    while (depth > 0) {
        appear(t, chain[--depth], COORD_STAT_PERSISTENT, 0, -1);
    }
    bool ephemeral = (p->flags & COORD_EPHEMERAL) != 0;
    bool container = (p->flags & COORD_CONTAINER) != 0;
    int kind = ephemeral                     ? COORD_STAT_EPHEMERAL
               : container                   ? COORD_STAT_CONTAINER
               : (p->flags & COORD_TTL) != 0 ? COORD_STAT_TTL
                                             : COORD_STAT_PERSISTENT;
    appear(t, p->path, kind, ephemeral ? session : 0, p->value);
    return 0;
}

static void change(struct tree *t, struct part *p, uint64_t session)
{
    struct node *n = &t->node[p->path];
    if (p->kind == CREATE) {
        p->error = create(t, p, session);
    } else if (!n->there) {
        p->error = COORD_ENONODE;
    } else if (p->kind == SET) {
        n->version++;
        n->modified = revision;
        n->value = p->value;
    } else if (n->children > 0 && (p->flags & COORD_RECURSIVE) == 0) {
        p->error = COORD_ENOTEMPTY;
    } else {
        disappear(t, p->path);
    }
    p->seen = *n;
}

/* All or none. */
static void transaction(struct tree *t, struct op *op)
{
    const struct tree before = *t;
    op->otherwise = t->node[op->condition].there;
    for (int i = 0; i < 2 && op->error == 0; i++) {
        struct part *p = &op->branch[2 * (int)op->otherwise + i];
        change(t, p, op->session);
        op->error = p->error;
    }
    if (op->error != 0) {
        *t = before;
    }
}

static void read_node(const struct tree *t, struct op *op)
{
    op->part.seen = t->node[op->part.path];
    op->error = op->part.seen.there || op->kind == EXISTS ? 0 : COORD_ENONODE;
    bool deep = (op->part.flags & COORD_RECURSIVE) != 0;
    for (int i = 1; i < PATHS; i++) {
        bool below =
            deep ? i != op->part.path && within(i, op->part.path) : parents[i] == op->part.path;
        op->listed[i] = below && t->node[i].there;
    }
}

static void end_session(struct tree *t, uint64_t session)
{
    for (int i = 1; i < PATHS; i++) {
        if (t->node[i].there && t->node[i].owner == session) {
            disappear(t, i);
        }
    }
}

/* A ttl node without children may go whenever it likes, a container once it had one. */
static void vanish(struct tree *t, int path)
{
    const struct node *n = &t->node[path];
    bool may =
        n->kind == COORD_STAT_TTL || (n->kind == COORD_STAT_CONTAINER && n->child_version > 0);
    if (n->there && may && n->children == 0) {
        disappear(t, path);
    }
}

static void happen(struct tree *t, struct op *op)
{
    if (op->kind >= GET && op->kind <= LIST) {
        read_node(t, op);
    } else if (op->applied) {
        revision++;
        if (op->kind == TXN) {
            transaction(t, op);
        } else if (op->kind == END) {
            end_session(t, op->session);
        } else if (op->kind == VANISH) {
            vanish(t, op->part.path);
        } else {
            change(t, &op->part, op->session);
            op->error = op->part.error;
        }
    }
    op->revision = revision;
}

/* --- a run --------------------------------------------------------------------------------------- */

struct shape {
    int ops, clients, lost_percent;
    int txn_percent; /* few: what they tie together is searched as one, and holds what they name only */
    bool odd;        /* nodes that go by themselves */
    bool curt;       /* no receipts: nothing says in which order to look */
};

static struct part make_part(enum kind kind, const struct shape *shape)
{
    struct part p = {.kind = kind, .path = 1 + (int)draw(PATHS - 1), .value = (int)draw(1000)};
    if (kind == CREATE) {
        p.flags = draw(3) != 0 ? COORD_PARENTS : 0;
        if (shape->odd && draw(4) == 0) {
            p.path = leaves[draw(sizeof(leaves) / sizeof(leaves[0]))];
            p.flags |= COORD_EPHEMERAL;
        } else if (shape->odd && draw(4) == 0) {
            p.flags |= draw(2) == 0 ? COORD_TTL : COORD_CONTAINER;
        }
    } else if (kind == DELETE && draw(2) == 0) {
        p.flags = COORD_RECURSIVE;
    } else if (kind >= STAT) {
        p.path = (int)draw(PATHS) / (int)(1 + draw(3)); /* the upper ones more often */
        p.flags = kind == LIST && draw(2) == 0 ? COORD_RECURSIVE : 0;
        p.flags |= kind == LIST && draw(2) == 0 ? COORD_WITH_STATS : 0;
    }
    return p;
}

static void make_op(struct op *op, const struct shape *shape, uint64_t *clock)
{
    static const enum kind mix[] = {CREATE, CREATE, CREATE, CREATE, DELETE, DELETE, SET,
                                    TXN,    GET,    STAT,   STAT,   LIST,   LIST,   EXISTS};
    op->kind = mix[draw(sizeof(mix) / sizeof(mix[0]))];
    if (shape->odd && draw(12) == 0) {
        op->kind = VANISH;
    } else if (draw(100) < (uint64_t)shape->txn_percent) {
        op->kind = TXN;
    }
    op->part = make_part(op->kind, shape);
    op->condition = 1 + (int)draw(PATHS - 1);
    for (int i = 0; i < 4; i++) {
        op->branch[i] = make_part((enum kind)draw(3), shape);
    }
    op->call = *clock + draw(3 * MS);
    op->point = op->call + 1 + draw(4 * MS);
    op->ret = op->point + 1 + draw(4 * MS);
    *clock = op->ret + 1;
    op->lost = op->kind <= TXN && draw(100) < (uint64_t)shape->lost_percent;
    if (op->lost && draw(3) == 0) {
        op->point += draw(60 * MS); /* long after anybody waits for it */
    }
    op->applied = !op->lost || draw(2) == 0;
}

static int by_point(const void *pa, const void *pb)
{
    const struct op *a = pa;
    const struct op *b = pb;
    return a->point < b->point ? -1 : a->point > b->point;
}

static void make_world(const struct shape *shape)
{
    uint64_t clock[CLIENTS_MAX];
    uint64_t session[CLIENTS_MAX];
    struct tree t = {.node = {{.there = true}}};
    memset(ops, 0, sizeof(ops));
    revision = 3;
    curt = shape->curt;
    for (int c = 0; c < shape->clients; c++) {
        clock[c] = 100 * MS;
        session[c] = 100 + 100 * (uint64_t)c;
    }
    for (count = 0; count < shape->ops; count++) {
        struct op *op = &ops[count];
        op->client = (int)draw((uint64_t)shape->clients);
        op->session = session[op->client];
        make_op(op, shape, &clock[op->client]);
        if (shape->odd && draw(25) == 0) { /* nothing of it comes later */
            op->kind = END;
            op->lost = false;
            op->applied = true;
            op->point += 70 * MS;
            session[op->client]++;
        }
    }
    qsort(ops, (size_t)count, sizeof(ops[0]), by_point);
    for (int i = 0; i < count; i++) {
        happen(&t, &ops[i]);
        shown[i] = t;
        ops[i].at = &shown[i];
    }
}

/* --- as text ------------------------------------------------------------------------------------- */

static void add_stat(struct verify_text *t, const struct node *n)
{
    verify_text_add(t,
                    "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%d:%" PRIu64
                    ":-:-:%" PRIu64,
                    n->created, n->modified, n->child_revision, n->version, n->child_version,
                    n->kind, n->owner, n->children);
}

static const char *name_of(enum kind kind)
{
    static const char *const names[] = {"create", "set",  "delete", "txn",
                                        "get",    "stat", "exists", "list"};
    return names[kind];
}

static void add_part(struct verify_text *t, const struct part *p, char sep)
{
    verify_text_add(t, "%s%cpath=%s", name_of(p->kind), sep, paths[p->path]);
    if (p->kind == CREATE || p->kind == SET) {
        verify_text_add(t, "%cdata=s:%d", sep, p->value);
    }
    if (p->flags != 0) {
        verify_text_add(t, "%cflags=%d", sep, p->flags);
    }
}

static void add_call(struct verify_text *t, const struct op *op, int number)
{
    verify_text_add(t, "C %x %d %" PRIu64 " ", op->client + 1, number, op->call);
    if (op->kind != TXN) {
        add_part(t, &op->part, ' ');
    } else {
        verify_text_add(t, "txn if=absent;%s", paths[op->condition]);
        for (int i = 0; i < 4; i++) {
            verify_text_add(t, " %s=", i < 2 ? "then" : "else");
            add_part(t, &op->branch[i], ';');
        }
    }
    verify_text_add(t, "\n");
}

static void add_part_result(struct verify_text *t, const struct part *p, char sep)
{
    if (p->kind == CREATE) {
        verify_text_add(t, "%cpath=%s", sep, paths[p->path]);
    }
    if (p->kind == CREATE || p->kind == SET) {
        verify_text_add(t, "%cstat=", sep);
        add_stat(t, &p->seen);
    }
}

static void add_txn_result(struct verify_text *t, const struct op *op)
{
    bool failed = false;
    verify_text_add(t, " branch=%s", op->otherwise ? "else" : "then");
    for (int i = 0; i < 2; i++) {
        const struct part *p = &op->branch[2 * (int)op->otherwise + i];
        verify_text_add(t, " r=%s", failed ? "-" : coord_errname(p->error));
        failed = failed || p->error != 0;
        if (op->error == 0) {
            add_part_result(t, p, ';');
        }
    }
}

static void add_list(struct verify_text *t, const struct op *op)
{
    static const int order[PATHS] = {0, 1, 4, 7, 11, 12, 8, 5, 9, 13, 2, 6, 10, 3, 14};
    size_t top = op->part.path == 0 ? 1 : strlen(paths[op->part.path]) + 1;
    for (int k = 0; k < PATHS; k++) {
        int i = order[k];
        if (!op->listed[i]) {
            continue;
        }
        verify_text_add(t, " e=%s", paths[i] + top);
        if ((op->part.flags & COORD_WITH_STATS) != 0) {
            verify_text_add(t, "||");
            add_stat(t, &op->at->node[i]);
        }
    }
}

static void add_reply(struct verify_text *t, const struct op *op, int number)
{
    verify_text_add(t, "R %x %d %" PRIu64 " %s %s session=%" PRIu64, op->client + 1, number,
                    op->ret, coord_errname(op->error), op->error == 0 ? "done" : "failed",
                    op->session);
    if (!curt) {
        verify_text_add(t, " rcpt=1:1:%" PRIu64 ":9:1", op->revision);
    }
    if (!curt && op->kind <= TXN && (op->kind == TXN || op->error == 0)) {
        verify_text_add(t, " rev=%" PRIu64, op->revision);
    }
    if (op->kind == TXN) {
        add_txn_result(t, op);
    } else if (op->error == 0 && op->kind <= DELETE) {
        add_part_result(t, &op->part, ' ');
    } else if (op->error == 0 && op->kind == EXISTS) {
        verify_text_add(t, " exists=%d", op->part.seen.there ? 1 : 0);
    } else if (op->error == 0) {
        verify_text_add(t, " stat=");
        add_stat(t, &op->part.seen);
        if (op->kind == LIST) {
            add_list(t, op);
        }
    }
    verify_text_add(t, "\n");
}

static void to_text(struct verify_text *t)
{
    for (int i = 0; i < count; i++) {
        if (ops[i].kind == VANISH || ops[i].kind == END) {
            continue;
        }
        add_call(t, &ops[i], i);
        if (!ops[i].lost) {
            add_reply(t, &ops[i], i);
        }
    }
}

/* --- judging ------------------------------------------------------------------------------------- */

static enum verify_verdict judge(bool empty, char *words, size_t bytes)
{
    struct verify_text t = {0};
    struct verify_text say = {0};
    struct verify_report r;
    struct verify_plan *plan = NULL;
    char why[256] = "";
    const struct verify_options o = {.empty = empty};
    to_text(&t);
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, t.at, t.len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    ck_assert_int_eq(verify_check(h, &o, &r, &plan), 0);
    enum verify_verdict verdict = r.verdict;
    verify_explain(h, &r, &say);
    (void)snprintf(words, bytes, "%s", say.at != NULL ? say.at : "");
    if (verdict == VERIFY_VIOLATION && getenv("VERIFY_DUMP") != NULL) {
        fprintf(stderr, "%s\n%s\n", t.at, say.at);
    }
    verify_text_finish(&say);
    verify_text_finish(&t);
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    verify_history_destroy(h);
    return verdict;
}

START_TEST(what_a_correct_tree_says_is_accepted)
{
    const char *more = getenv("VERIFY_WORLDS"); /* for a longer look */
    uint64_t worlds = more != NULL ? strtoull(more, NULL, 10) : 300;
    uint64_t undecided = 0;
    char words[2000];
    for (uint64_t i = 0; i < worlds; i++) {
        seed = (i + 1 + 1000000 * (uint64_t)_i) * 0x9e3779b97f4a7c15ull | 1;
        const struct shape shape = {.ops = 15 + (int)draw(draw(3) == 0 ? 120 : 40),
                                    .clients = 2 + (int)draw(CLIENTS_MAX - 1),
                                    .lost_percent = (int)draw(16),
                                    .txn_percent = (int)draw(10),
                                    .odd = _i % 2 != 0,
                                    .curt = _i % 4 >= 2};
        make_world(&shape);
        for (int empty = 0; empty < 2; empty++) {
            enum verify_verdict verdict = judge(empty != 0, words, sizeof(words));
            undecided += verdict == VERIFY_UNDECIDED;
            ck_assert_msg(verdict != VERIFY_VIOLATION, "round %d world %" PRIu64 "%s: %s", _i, i,
                          empty != 0 ? ", empty" : "", words);
        }
    }
    if (getenv("VERIFY_SPEED") != NULL) {
        fprintf(stderr, "round %d: %" PRIu64 " of %" PRIu64 " undecided\n", _i, undecided, worlds);
    }
    ck_assert_uint_le(undecided, worlds / 50);
}
END_TEST

/* One more or one less child than there is; of a parent whose children nobody changed nothing is judged. */
static bool miscount(void)
{
    for (int tries = 0; tries < 200; tries++) {
        struct op *op = &ops[draw((uint64_t)count)];
        if (op->kind == STAT && op->error == 0 && op->part.path != 0 &&
            op->part.seen.child_version > 0) {
            op->part.seen.children += op->part.seen.children > 0 && draw(2) == 0 ? UINT64_MAX : 1;
            return true;
        }
    }
    return false;
}

/* A name too many, or one too few. */
static bool misname(void)
{
    for (int tries = 0; tries < 200; tries++) {
        struct op *op = &ops[draw((uint64_t)count)];
        int path = 1 + (int)draw(PATHS - 1);
        if (op->kind == LIST && op->error == 0 && (op->part.flags & COORD_WITH_STATS) == 0 &&
            parents[path] == op->part.path) {
            op->listed[path] = !op->listed[path];
            return true;
        }
    }
    return false;
}

/* A parent that is there is called missing. */
static bool miss(void)
{
    for (int tries = 0; tries < 200; tries++) {
        struct op *op = &ops[draw((uint64_t)count)];
        if (op->kind == GET && op->error == 0 && op->part.path != 0) {
            op->error = COORD_ENONODE;
            return true;
        }
    }
    return false;
}

static bool (*const lies[])(void) = {miscount, misname, miss};
#define LIES ((int)(sizeof(lies) / sizeof(lies[0])))

START_TEST(a_lie_about_a_tree_is_found)
{
    char words[2000];
    int told = 0;
    for (uint64_t i = 0; i < 100; i++) {
        seed = (i + 77) * 0x9e3779b97f4a7c15ull | 1;
        const struct shape shape = {.ops = 90, .clients = 4, .txn_percent = 3};
        make_world(&shape);
        if (lies[_i]()) {
            told++;
            ck_assert_msg(judge(true, words, sizeof(words)) == VERIFY_VIOLATION,
                          "world %" PRIu64 ": not found", i);
            ck_assert_uint_gt(strlen(words), 40);
        }
    }
    ck_assert_int_gt(told, 40);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify_tree");
    TCase *tc = tcase_create("accepted");
    tcase_set_timeout(tc, getenv("VERIFY_WORLDS") != NULL ? 3000 : 60);
    tcase_add_loop_test(tc, what_a_correct_tree_says_is_accepted, 0, 4);
    suite_add_tcase(s, tc);
    tc = tcase_create("found");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_lie_about_a_tree_is_found, 0, LIES);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
