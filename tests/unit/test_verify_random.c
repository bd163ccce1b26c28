/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: a history that a correct service produced is never called a violation, whatever the mix of
 * operations, levels and lost answers; a wrong answer put into one is found.
 * Method: a small concrete store of this file is run by several clients at random moments; what they
 * were told is the history. Stale reads at weaker levels, sessions that end, sequential nodes, lists
 * and transactions are part of it. Then one answer is falsified in a way that no order can explain.
 * The last case measures how long the checker takes.
 */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "client/verify/parse.h"
#include "client/verify/verify.h"

#define CLIENTS_MAX 12
#define OPS_MAX     1200
#define NODES       48 /* of the store: /p, its fixed and its numbered children, and others */
#define MS          1000000ull
#define NEVER       UINT64_MAX

enum kind { CREATE, SEQUENCE, SET, DELETE, GET, EXISTS, LIST, CLOSE, TXN, KINDS };

struct node {
    bool there;
    uint64_t created, modified, version, owner;
    uint64_t child_revision, child_version, children, sequence;
    int value;
};

struct store {
    struct node node[NODES];
};

struct op {
    enum kind kind;
    int client, node, other;
    uint64_t call, ret, point; /* ns */
    uint64_t session;
    int level; /* 1..4 */
    int value;
    int64_t if_version;
    bool ephemeral;
    bool lost; /* its answer */
    bool applied;
    /* the answer */
    int error;
    uint64_t revision; /* of the change, or of the state read */
    uint64_t age_ms;
    bool else_branch;
    int made;
    struct node seen, seen_other;
    bool listed[NODES];
};

struct world {
    struct op op[OPS_MAX];
    int count;
    struct store history[OPS_MAX * 2 + 2]; /* by revision */
    uint64_t current_until[OPS_MAX * 2 + 2];
    uint64_t revision;
    uint64_t next_value;
};

static struct world w;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return (seed * 2685821657736338717ull >> 33) % below;
}

/* --- the store ----------------------------------------------------------------------------------- */

/* 0 is /p, 1..7 /p/k1.. /p/k7, 8..15 /a8 .. /a15, the rest /p/s0000000000 and so on. */
static bool below_p(int n)
{
    return (n >= 1 && n <= 7) || n >= 16;
}

static void path_of(int n, char out[32])
{
    if (n == 0) {
        (void)snprintf(out, 32, "/p");
    } else if (n <= 7) {
        (void)snprintf(out, 32, "/p/k%d", n);
    } else if (n <= 15) {
        (void)snprintf(out, 32, "/a%d", n);
    } else {
        (void)snprintf(out, 32, "/p/s%010d", n - 16);
    }
}

static void child_changed(struct store *s, int n, uint64_t revision, int by)
{
    if (below_p(n)) {
        s->node[0].child_revision = revision;
        s->node[0].child_version++;
        s->node[0].children += (uint64_t)by;
        s->node[0].sequence += by > 0;
    }
}

static int create(struct store *s, int n, const struct op *op, uint64_t revision)
{
    if (below_p(n) && !s->node[0].there) {
        return COORD_ENONODE;
    }
    if (s->node[n].there) {
        return COORD_EEXISTS;
    }
    s->node[n] = (struct node){.there = true,
                               .created = revision,
                               .modified = revision,
                               .child_revision = revision,
                               .owner = op->ephemeral ? op->session : 0,
                               .value = op->value};
    child_changed(s, n, revision, 1);
    return 0;
}

static int change(struct store *s, const struct op *op, uint64_t revision)
{
    struct node *n = &s->node[op->node];
    if (!n->there) {
        return COORD_ENONODE;
    }
    if (op->if_version >= 0 && (uint64_t)op->if_version != n->version) {
        return COORD_ECONDITION;
    }
    if (op->kind == DELETE && n->children > 0) {
        return COORD_ENOTEMPTY;
    }
    if (op->kind == DELETE) {
        *n = (struct node){0};
        child_changed(s, op->node, revision, -1);
    } else {
        n->version++;
        n->modified = revision;
        n->value = op->value;
    }
    return 0;
}

static void end_session(struct store *s, uint64_t session, uint64_t revision)
{
    for (int i = 0; i < NODES; i++) {
        if (s->node[i].there && s->node[i].owner == session) {
            s->node[i] = (struct node){0};
            child_changed(s, i, revision, -1);
        }
    }
}

/* If both are there set both, else look whether they are. */
static void transaction(struct store *s, struct op *op, uint64_t revision)
{
    struct node *a = &s->node[op->node];
    struct node *b = &s->node[op->other];
    op->else_branch = !(a->there && b->there);
    if (!op->else_branch) {
        a->version++;
        b->version++;
        a->modified = revision;
        b->modified = revision;
        a->value = op->value;
        b->value = op->value;
    }
    op->seen = *a;
    op->seen_other = *b;
}

static void apply(struct store *s, struct op *op, uint64_t revision)
{
    op->made = op->node;
    switch (op->kind) {
    case CREATE:
        op->error = create(s, op->node, op, revision);
        break;
    case SEQUENCE:
        op->made = 16 + (int)s->node[0].sequence;
        op->error = !s->node[0].there   ? COORD_ENONODE
                    : op->made >= NODES ? COORD_EBUSY
                                        : create(s, op->made, op, revision);
        break;
    case CLOSE:
        end_session(s, op->session, revision);
        return;
    case TXN:
        transaction(s, op, revision);
        return;
    default:
        op->error = change(s, op, revision);
        break;
    }
    if (op->error == 0) {
        op->seen = s->node[op->made];
    }
}

static void read_from(const struct store *s, struct op *op)
{
    op->seen = s->node[op->node];
    op->error = s->node[op->node].there || op->kind == EXISTS ? 0 : COORD_ENONODE;
    for (int i = 0; i < NODES; i++) {
        op->listed[i] = s->node[i].there && below_p(i);
    }
}

/* --- a run --------------------------------------------------------------------------------------- */

struct shape {
    int ops, clients, nodes;
    int lost_percent;
    bool plain;   /* sets and gets of one node */
    bool lasting; /* what is made is named, and does not go by itself */
};

static void make_op(struct op *op, const struct shape *shape, int client, uint64_t *clock)
{
    static const enum kind mix[] = {CREATE, CREATE, CREATE, SEQUENCE, SET, SET,  SET,    DELETE,
                                    GET,    GET,    GET,    GET,      GET, LIST, EXISTS, TXN};
    static const enum kind plain[] = {SET, SET, GET, GET};
    memset(op, 0, sizeof(*op));
    op->client = client;
    op->kind = shape->plain ? plain[draw(4)] : mix[draw(16)];
    op->node = shape->plain ? 8 : (int)draw((uint64_t)shape->nodes);
    op->other = (op->node + 1) % shape->nodes;
    op->if_version = draw(5) == 0 ? (int64_t)draw(4) : -1;
    op->ephemeral = draw(3) == 0 && op->node != 0 && (op->kind == CREATE || op->kind == SEQUENCE);
    if (shape->lasting) {
        op->ephemeral = false;
        op->kind = op->kind == SEQUENCE ? CREATE : op->kind;
    }
    op->node = op->kind == SEQUENCE || op->kind == LIST ? 0 : op->node;
    op->value = (int)++w.next_value;
    op->level = op->kind >= GET && op->kind <= LIST && draw(3) == 0 ? 2 + (int)draw(3) : 1;
    op->call = *clock + draw(3 * MS);
    op->point = op->call + 1 + draw(4 * MS);
    op->ret = op->point + 1 + draw(4 * MS);
    *clock = op->ret + 1;
    bool write = op->kind <= DELETE || op->kind == TXN;
    op->lost = write && draw(100) < (uint64_t)shape->lost_percent;
    op->applied = !op->lost || draw(2) == 0;
}

static int by_point(const void *pa, const void *pb)
{
    const struct op *a = pa;
    const struct op *b = pb;
    return a->point < b->point ? -1 : a->point > b->point;
}

/* The revision a weaker read may be served at: any that its level allows. */
static uint64_t weak_revision(const struct op *op, const uint64_t *seen)
{
    uint64_t back = draw(12);
    uint64_t at = w.revision > back ? w.revision - back : 0;
    if (op->level == COORD_SESSION && at < seen[op->client]) {
        at = seen[op->client];
    }
    return at;
}

/* How long before its answer the state of the operation was current, rounded up. */
static uint64_t true_age(const struct op *op)
{
    uint64_t until = w.current_until[op->revision];
    until = until < op->point ? until : op->point;
    return (op->ret - until + MS - 1) / MS;
}

static void note_seen(uint64_t *seen, const struct op *op)
{
    if (op->revision > seen[op->client]) {
        seen[op->client] = op->revision;
    }
}

/* Let all operations happen, in the order of their points. */
static void run_world(void)
{
    static struct store s;
    uint64_t seen[CLIENTS_MAX] = {0};
    memset(&s, 0, sizeof(s));
    w.history[0] = s;
    w.revision = 0;
    memset(w.current_until, 0xff, sizeof(w.current_until));
    for (int i = 0; i < w.count; i++) {
        struct op *op = &w.op[i];
        if (op->kind >= GET && op->kind <= LIST) {
            op->revision = op->level == 1 ? w.revision : weak_revision(op, seen);
            read_from(&w.history[op->revision], op);
        } else if (op->applied) {
            w.current_until[w.revision++] = op->point;
            op->revision = w.revision;
            apply(&s, op, w.revision);
            w.history[w.revision] = s;
        }
        op->age_ms = op->lost ? 0 : true_age(op);
        if (!op->lost) {
            note_seen(seen, op);
        }
    }
}

/* The last thing some clients do: close their session, or die, whose session ends some time later. */
static void end_clients(const struct shape *shape, const uint64_t *clock)
{
    for (int c = 0; c < shape->clients && !shape->plain; c++) {
        struct op *op = &w.op[w.count++];
        memset(op, 0, sizeof(*op));
        op->kind = CLOSE;
        op->client = c;
        op->call = clock[c] + draw(3 * MS);
        op->point = op->call + 1 + draw(4 * MS);
        op->ret = op->point + 1 + draw(4 * MS);
        op->lost = draw(3) == 0;
        op->applied = !op->lost || draw(3) != 0;
        op->level = 1;
        op->session = 100 + (uint64_t)c;
    }
}

static void make_world(const struct shape *shape)
{
    uint64_t clock[CLIENTS_MAX];
    memset(&w.op, 0, sizeof(w.op));
    w.count = 0;
    w.next_value = 0;
    for (int c = 0; c < shape->clients; c++) {
        clock[c] = 100 * MS;
    }
    for (int c = 0; shape->plain && c < 1; c++) { /* what the others work on */
        struct op *op = &w.op[w.count++];
        *op = (struct op){.kind = CREATE, .node = 8, .call = MS, .point = 2 * MS, .ret = 3 * MS};
        op->if_version = -1;
        op->applied = true;
        op->level = 1;
    }
    while (w.count < shape->ops) {
        int c = (int)draw((uint64_t)shape->clients);
        struct op *op = &w.op[w.count++];
        make_op(op, shape, c, &clock[c]);
        op->session = 100 + (uint64_t)c;
    }
    end_clients(shape, clock);
    qsort(w.op, (size_t)w.count, sizeof(w.op[0]), by_point);
    run_world();
}

/* --- as text ------------------------------------------------------------------------------------- */

static void add_stat(struct verify_text *t, const char *key, const struct node *n)
{
    verify_text_add(t,
                    "%sstat=%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%d:%" PRIu64
                    ":0:-:%" PRIu64,
                    key, n->created, n->modified, n->child_revision, n->version, n->child_version,
                    n->owner != 0 ? 1 : 0, n->owner, n->children);
}

static void add_txn(struct verify_text *t, const char *path, const char *other, int value)
{
    verify_text_add(t,
                    " if=exists;%s if=exists;%s then=set;path=%s;data=s:%d "
                    "then=set;path=%s;data=s:%d else=exists;path=%s else=exists;path=%s",
                    path, other, path, value, other, value, path, other);
}

static void add_call(struct verify_text *t, const struct op *op, int number)
{
    static const char *const names[] = {"create", "create", "set",   "delete", "get",
                                        "exists", "list",   "close", "txn"};
    char path[32], other[32];
    path_of(op->node, path);
    path_of(op->other, other);
    verify_text_add(t, "C %x %d %" PRIu64 " %s", op->client + 1, number, op->call, names[op->kind]);
    if (op->kind == TXN) {
        add_txn(t, path, other, op->value);
    } else if (op->kind != CLOSE) {
        verify_text_add(t, " path=%s%s", path, op->kind == SEQUENCE ? "/s" : "");
    }
    if (op->kind <= SET) {
        verify_text_add(t, " data=s:%d", op->value);
    }
    int flags =
        (op->ephemeral ? COORD_EPHEMERAL : 0) | (op->kind == SEQUENCE ? COORD_SEQUENTIAL : 0);
    if (flags != 0) {
        verify_text_add(t, " flags=%d", flags);
    }
    if ((op->kind == SET || op->kind == DELETE) && op->if_version >= 0) {
        verify_text_add(t, " ver=%" PRId64, op->if_version);
    }
    if (op->kind >= GET && op->kind <= LIST) {
        verify_text_add(t, " level=%s", coord_consistency_name((enum coord_consistency)op->level));
    }
    if (op->level == COORD_BOUNDED) {
        verify_text_add(t, " bound=%" PRIu64, op->age_ms);
    }
    verify_text_add(t, "\n");
}

static void add_result(struct verify_text *t, const struct op *op)
{
    char path[32];
    path_of(op->made, path);
    switch (op->kind) {
    case CREATE:
    case SEQUENCE:
        verify_text_add(t, " path=%s", path);
        if (op->kind == SEQUENCE) {
            verify_text_add(t, " seq=%d", op->made - 16);
        }
        add_stat(t, " ", &op->seen);
        break;
    case GET:
        verify_text_add(t, " data=s:%d", op->seen.value);
        add_stat(t, " ", &op->seen);
        break;
    case SET:
        add_stat(t, " ", &op->seen);
        break;
    case EXISTS:
        verify_text_add(t, " exists=%d", op->seen.there ? 1 : 0);
        break;
    case LIST:
        add_stat(t, " ", &op->seen);
        for (int i = 0; i < NODES; i++) {
            if (op->listed[i]) {
                path_of(i, path);
                verify_text_add(t, " e=%s", path + 3);
            }
        }
        break;
    case TXN:
        verify_text_add(t, " branch=%s", op->else_branch ? "else" : "then");
        if (op->else_branch) {
            verify_text_add(t, " r=OK;exists=%d r=OK;exists=%d", op->seen.there,
                            op->seen_other.there);
        } else {
            add_stat(t, " r=OK;", &op->seen);
            add_stat(t, " r=OK;", &op->seen_other);
        }
        break;
    default:
        break;
    }
}

static void add_reply(struct verify_text *t, const struct op *op, int number)
{
    bool write = op->kind <= DELETE || op->kind == CLOSE || op->kind == TXN;
    bool change = write && op->error == 0;
    verify_text_add(
        t, "R %x %d %" PRIu64 " %s %s session=%" PRIu64 " rcpt=1:1:%" PRIu64 ":%" PRIu64 ":%d",
        op->client + 1, number, op->ret, coord_errname(op->error),
        op->error == COORD_EBUSY ? "notapplied"
        : op->error == 0         ? "done"
                                 : "failed",
        op->session, op->revision, op->age_ms, op->level);
    if (change) {
        verify_text_add(t, " rev=%" PRIu64, op->revision);
    }
    if (op->error == 0) {
        add_result(t, op);
    }
    verify_text_add(t, "\n");
}

/* What of an operation is judged. */
enum part { NOTHING, CALL, ALL };

/* part: of each operation; NULL: ALL. */
static void to_text(struct verify_text *t, const enum part *part)
{
    for (int i = 0; i < w.count; i++) {
        enum part p = part != NULL ? part[i] : ALL;
        if (p != NOTHING) {
            add_call(t, &w.op[i], i);
        }
        if (p == ALL && !w.op[i].lost) {
            add_reply(t, &w.op[i], i);
        }
    }
}

/* --- judging ------------------------------------------------------------------------------------- */

struct judgement {
    enum verify_verdict verdict;
    enum verify_cause cause;
    uint64_t states;
    uint32_t items;
    enum part shown[OPS_MAX]; /* in the counterexample: ALL */
    double ms;
    char words[400];
};

static double now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static struct judgement judge_part(const enum part *part, bool empty)
{
    struct verify_text t = {0};
    struct verify_text words = {0};
    struct verify_report r;
    struct verify_plan *plan = NULL;
    struct judgement j = {0};
    const struct verify_options o = {.empty = empty};
    char why[256] = "";
    to_text(&t, part);
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, t.at, t.len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    double from = now_ms();
    ck_assert_int_eq(verify_check(h, &o, &r, &plan), 0);
    j.ms = now_ms() - from;
    j.verdict = r.verdict;
    j.cause = r.cause;
    j.states = r.states;
    j.items = r.items_count;
    for (uint32_t i = 0; i < r.items_count; i++) {
        j.shown[r.items[i].op->request] = ALL;
    }
    verify_explain(h, &r, &words);
    (void)snprintf(j.words, sizeof(j.words), "%s", words.at != NULL ? words.at : "");
    if (r.verdict == VERIFY_VIOLATION && getenv("VERIFY_DUMP") != NULL) {
        fprintf(stderr, "%s\n%s\n", t.at, words.at);
    }
    verify_text_finish(&words);
    verify_text_finish(&t);
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    verify_history_destroy(h);
    return j;
}

static struct judgement judge(void)
{
    return judge_part(NULL, true);
}

START_TEST(what_a_correct_store_says_is_accepted)
{
    const char *more = getenv("VERIFY_WORLDS"); /* for a longer look */
    uint64_t worlds = more != NULL ? strtoull(more, NULL, 10) : 150;
    for (uint64_t i = 0; i < worlds; i++) {
        seed = (i + 1 + 1000000 * (uint64_t)_i) * 0x9e3779b97f4a7c15ull | 1;
        bool small = draw(3) == 0; /* then with many answers lost */
        const struct shape shape = {.ops = 20 + (int)draw(small ? 40 : 180),
                                    .clients = 2 + (int)draw(8),
                                    .nodes = 9 + (int)draw(4),
                                    .lost_percent = (int)draw(small ? 25 : 6)};
        make_world(&shape);
        struct judgement j = judge();
        if (j.ms > 200 && getenv("VERIFY_SPEED") != NULL) {
            fprintf(stderr,
                    "round %d world %" PRIu64 ": %d operations, %d clients, %d %% lost: %.0f ms, "
                    "%" PRIu64 " states\n",
                    _i, i, shape.ops, shape.clients, shape.lost_percent, j.ms, j.states);
        }
        ck_assert_msg(j.verdict == VERIFY_OK, "round %d world %" PRIu64 ": verdict %d: %s", _i, i,
                      (int)j.verdict, j.words);
    }
}
END_TEST

/* --- falsified answers --------------------------------------------------------------------------- */

/* A linearizable read of a node as it was long before, when something else is there now. */
static bool make_stale(void)
{
    for (int tries = 0; tries < 200; tries++) {
        struct op *op = &w.op[draw((uint64_t)w.count)];
        if (op->kind != GET || op->level != 1 || op->revision < 12 || op->error != 0) {
            continue;
        }
        uint64_t from = op->revision;
        while (from > 0 && w.current_until[from - 1] > op->call) {
            from--; /* states while the read was under way */
        }
        for (uint64_t at = from > 1 ? from - 1 : 0; at > 0; at--) {
            const struct node *then = &w.history[at].node[op->node];
            if (then->there && then->modified != w.history[from].node[op->node].modified) {
                op->seen = *then;
                return true;
            }
        }
    }
    return false;
}

/* A name that is there is missing in a list, or one that never was is listed. */
static bool spoil_list(void)
{
    for (int tries = 0; tries < 200; tries++) {
        struct op *op = &w.op[draw((uint64_t)w.count)];
        int n = 1 + (int)draw(7);
        if (op->kind != LIST || op->error != 0) {
            continue;
        }
        bool steady = true; /* while it was under way, or what it is at its revision */
        for (uint64_t at = 0; at <= w.revision; at++) {
            steady = steady && (at > op->revision || w.current_until[at] < op->call ||
                                w.history[at].node[n].there == op->listed[n]);
        }
        op->listed[n] = steady ? !op->listed[n] : op->listed[n];
        if (steady) {
            return true;
        }
    }
    return false;
}

/* An answered write that never happened. */
static bool lose_write(void)
{
    for (int tries = 0; tries < 200; tries++) {
        int i = (int)draw((uint64_t)w.count);
        struct op *op = &w.op[i];
        if (op->kind != SET || op->lost || op->error != 0) {
            continue;
        }
        /* Somebody read it afterwards as it was before. */
        for (int k = i + 1; k < w.count; k++) {
            struct op *r = &w.op[k];
            if (r->kind == GET && r->level == 1 && r->error == 0 && r->node == op->node &&
                r->call > op->ret && r->seen.modified == op->revision) {
                r->seen = w.history[op->revision - 1].node[op->node];
                return true;
            }
        }
    }
    return false;
}

/* A sequence number given twice. */
static bool repeat_number(void)
{
    int first = -1;
    for (int i = 0; i < w.count; i++) {
        struct op *op = &w.op[i];
        if (op->kind == SEQUENCE && !op->lost && op->error == 0) {
            if (first >= 0) {
                op->made = w.op[first].made;
                return true;
            }
            first = i;
        }
    }
    return false;
}

/* A session read behind what its client was told. */
static bool go_back(void)
{
    for (int i = w.count - 1; i > 0; i--) {
        struct op *op = &w.op[i];
        if (op->kind != GET || op->revision < 20 || op->error != 0) {
            continue;
        }
        for (int k = 0; k < i; k++) {
            const struct op *a = &w.op[k];
            if (a->client == op->client && !a->lost && a->ret < op->call && a->revision > 15) {
                op->level = COORD_SESSION;
                op->revision = a->revision - 1;
                op->age_ms = 100000;
                read_from(&w.history[op->revision], op);
                return true;
            }
        }
    }
    return false;
}

/* A receipt that calls an old state young. */
static bool rejuvenate(void)
{
    for (int tries = 0; tries < 400; tries++) {
        struct op *op = &w.op[draw((uint64_t)w.count)];
        if (op->kind < GET || op->kind > LIST || op->revision < 40) {
            continue;
        }
        op->level = COORD_LOCAL;
        op->revision -= 30;
        op->age_ms = 0;
        read_from(&w.history[op->revision], op);
        return true;
    }
    return false;
}

static bool claim_a_revision(void)
{
    int first = -1;
    for (int i = 0; i < w.count; i++) {
        struct op *op = &w.op[i];
        if (op->kind == DELETE && !op->lost && op->error == 0) {
            if (first >= 0) {
                op->revision = w.op[first].revision;
                return true;
            }
            first = i;
        }
    }
    return false;
}

/* A set that says another one had not been before it. */
static bool repeat_version(void)
{
    for (int tries = 0; tries < 400; tries++) {
        struct op *op = &w.op[draw((uint64_t)w.count)];
        if (op->kind == SET && !op->lost && op->error == 0 && op->seen.version > 1) {
            op->seen.version--;
            return true;
        }
    }
    return false;
}

static const struct lie {
    const char *name;
    bool (*tell)(void);
    bool one_node; /* nothing else is needed to see it */
} lies[] = {{"a stale read", make_stale, true},
            {"a wrong list", spoil_list, false},
            {"a lost write", lose_write, true},
            {"a number given twice", repeat_number, false},
            {"a session that goes back", go_back, false},
            {"a wrong age", rejuvenate, false},
            {"a revision used twice", claim_a_revision, false},
            {"a version given twice", repeat_version, true}};
#define LIES ((int)(sizeof(lies) / sizeof(lies[0])))

START_TEST(a_lie_is_found)
{
    int told = 0;
    uint32_t largest = 0;
    for (uint64_t i = 0; i < 60; i++) {
        seed = (i + 77) * 0x9e3779b97f4a7c15ull | 1;
        const struct shape shape = {.ops = 150, .clients = 5, .nodes = 11, .lost_percent = 2};
        make_world(&shape);
        if (!lies[_i].tell()) {
            continue;
        }
        told++;
        struct judgement j = judge();
        ck_assert_msg(j.verdict == VERIFY_VIOLATION, "%s, world %" PRIu64 ": not found",
                      lies[_i].name, i);
        ck_assert_uint_gt(j.items, 0);
        largest = j.items > largest ? j.items : largest;
    }
    ck_assert_int_gt(told, 20);
    if (getenv("VERIFY_SPEED") != NULL) {
        fprintf(stderr, "%-26s told %d times, largest counterexample %u operations\n",
                lies[_i].name, told, largest);
    }
}
END_TEST

/* --- counterexamples ----------------------------------------------------------------------------- */

static bool is_write(const struct op *op)
{
    return op->kind <= DELETE || op->kind == TXN || op->kind == CLOSE;
}

/* Add all writes that were under way when the last of `part` was answered, or never were answered: nobody
 * knows whether they happened. */
static void add_under_way(enum part *part)
{
    uint64_t end = 0;
    for (int i = 0; i < w.count; i++) {
        end = part[i] == ALL && w.op[i].ret > end ? w.op[i].ret : end;
    }
    for (int i = 0; i < w.count; i++) {
        const struct op *op = &w.op[i];
        bool under_way = op->call < end && (op->lost || op->ret > end);
        part[i] = part[i] == NOTHING && is_write(op) && under_way ? CALL : part[i];
    }
}

/* It is a contradiction alone, and nothing that is not shown may be what explains it. */
static void check_stands_alone(const struct judgement *j, const char *what)
{
    enum part part[OPS_MAX];
    memcpy(part, j->shown, sizeof(part));
    struct judgement alone = judge_part(part, false);
    ck_assert_msg(alone.verdict == VERIFY_VIOLATION, "%s: alone it is none: %s", what, j->words);
    add_under_way(part);
    alone = judge_part(part, false);
    ck_assert_msg(alone.verdict == VERIFY_VIOLATION, "%s: what is not shown explains it: %s", what,
                  j->words);
}

/* Each operation is needed: without a read, or without knowing whether a write happened, there is an
 * order. */
static void check_smallest(const struct judgement *j, const char *what)
{
    enum part part[OPS_MAX];
    memcpy(part, j->shown, sizeof(part));
    add_under_way(part);
    for (int i = 0; i < w.count; i++) {
        if (part[i] != ALL) {
            continue;
        }
        part[i] = is_write(&w.op[i]) && w.op[i].error == 0 ? CALL : NOTHING;
        struct judgement less = judge_part(part, false);
        ck_assert_msg(less.verdict != VERIFY_VIOLATION || less.cause != j->cause,
                      "%s: operation %d is not needed: %s", what, i, j->words);
        part[i] = ALL;
    }
}

/* A parent is two objects; what is needed of one may not be for the other. */
static bool shows_parent(const struct judgement *j)
{
    for (int i = 0; i < w.count; i++) {
        if (j->shown[i] == ALL && w.op[i].node == 0) {
            return true;
        }
    }
    return false;
}

START_TEST(a_counterexample_is_one_by_itself)
{
    int told = 0;
    int smallest = 0;
    for (uint64_t i = 0; i < 60 && lies[_i].one_node; i++) {
        char what[80];
        seed = (i + 77) * 0x9e3779b97f4a7c15ull | 1;
        const struct shape shape = {
            .ops = 150, .clients = 5, .nodes = 11, .lost_percent = 2, .lasting = true};
        make_world(&shape);
        if (!lies[_i].tell()) {
            continue;
        }
        struct judgement j = judge_part(NULL, false);
        if (j.verdict == VERIFY_VIOLATION && j.cause == VERIFY_CAUSE_TIME) {
            told++;
            (void)snprintf(what, sizeof(what), "%s, world %" PRIu64, lies[_i].name, i);
            check_stands_alone(&j, what);
            if (!shows_parent(&j)) {
                smallest++;
                check_smallest(&j, what);
            }
        }
    }
    ck_assert(smallest > 20 || !lies[_i].one_node);
    if (getenv("VERIFY_SPEED") != NULL) {
        fprintf(stderr, "%-26s shown %d times, %d of them without a parent\n", lies[_i].name, told,
                smallest);
    }
}
END_TEST

/* --- how long it takes --------------------------------------------------------------------------- */

static const struct {
    struct shape shape;
    bool stale;
} speeds[] = {{{100, 10, 9, 1, true, false}, false},  {{500, 10, 9, 1, true, false}, false},
              {{500, 10, 9, 3, true, false}, false},  {{1000, 10, 9, 1, true, false}, false},
              {{200, 10, 9, 10, true, false}, false}, {{500, 12, 9, 1, true, false}, false},
              {{500, 10, 9, 1, true, false}, true}};
#define SPEEDS ((int)(sizeof(speeds) / sizeof(speeds[0])))

START_TEST(it_takes_milliseconds)
{
    double sum = 0, most = 0;
    uint64_t states = 0;
    int bad = 0, undecided = 0;
    for (uint64_t i = 0; i < 20; i++) {
        seed = (i + 5) * 0x9e3779b97f4a7c15ull | 1;
        make_world(&speeds[_i].shape);
        bool lied = speeds[_i].stale && make_stale();
        struct judgement j = judge();
        sum += j.ms;
        most = j.ms > most ? j.ms : most;
        states = j.states > states ? j.states : states;
        undecided += j.verdict == VERIFY_UNDECIDED;
        bad += j.verdict == VERIFY_VIOLATION;
        ck_assert_int_eq(j.verdict == VERIFY_VIOLATION, lied);
    }
    ck_assert_int_eq(undecided, 0);
    if (getenv("VERIFY_SPEED") != NULL) {
        fprintf(stderr, "| %4d | %2d | %2d %% | %s | %7.1f ms | %7.1f ms | %7" PRIu64 " | %d |\n",
                speeds[_i].shape.ops, speeds[_i].shape.clients, speeds[_i].shape.lost_percent,
                speeds[_i].stale ? "stale" : "-    ", sum / 20, most, states, bad);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify_random");
    TCase *tc = tcase_create("accepted");
    tcase_set_timeout(tc, getenv("VERIFY_WORLDS") != NULL ? 3000 : 60);
    tcase_add_loop_test(tc, what_a_correct_store_says_is_accepted, 0, 4);
    suite_add_tcase(s, tc);
    tc = tcase_create("found");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_lie_is_found, 0, LIES);
    suite_add_tcase(s, tc);
    tc = tcase_create("shown");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_counterexample_is_one_by_itself, 0, LIES);
    suite_add_tcase(s, tc);
    tc = tcase_create("speed");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, it_takes_milliseconds, 0, SPEEDS);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
