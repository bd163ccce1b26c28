/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cond.c: what `expect`, `until`, `never` and `always` can ask.
 *
 * Numbers are compared with an operator before them (=, !=, <, <=, >, >=; none is =). What is asked of
 * a member is what its core says of itself, but for `disk`, which is what its disk is known to hold.
 * Threads: none.
 */
#include "tests/script/script.h"

#include <inttypes.h>
#include <string.h>

struct ask {
    struct run *r;
    const char *const *v; /* words behind the name of the condition */
    int count;
    struct text *seen;
};

static int malformed(struct ask *a)
{
    run_bad(a->r, "a condition that is not understood");
    return -1;
}

/* "[op] number" against value. */
static int compare(struct ask *a, int at, uint64_t value)
{
    static const char *const ops[] = {"=", "!=", "<", "<=", ">", ">="};
    const char *op = "=";
    uint64_t want = 0;
    text_add(a->seen, "it is %" PRIu64, value);
    if (at + 2 == a->count) {
        op = a->v[at++];
    }
    if (at + 1 != a->count) {
        return malformed(a);
    }
    if (strcmp(a->v[at], "none") != 0 && !word_number(a->v[at], &want)) {
        return malformed(a);
    }
    const int holds[] = {value == want, value != want, value<want, value <= want, value> want,
                         value >= want};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        if (strcmp(op, ops[i]) == 0) {
            return holds[i];
        }
    }
    return malformed(a);
}

/* The member named by word `at`. */
static struct node *member(struct ask *a, int at)
{
    raft_id id = 0;
    if (at >= a->count || !word_id(a->v[at], &id)) {
        (void)malformed(a);
        return NULL;
    }
    return run_node(a->r, id);
}

/* ------------------------------------------------------------------------------------------- */
/* Roles                                                                                         */

/* The leader of the latest term among those that have a process. */
static struct node *newest_leader(struct run *r)
{
    struct node *best = NULL;
    for (raft_id id = 1; id <= r->k.nodes; id++) {
        struct node *n = &r->w->nodes[id];
        if (n->state == HOST_UP && n->st.role == RAFT_LEADER &&
            (best == NULL || n->st.term > best->st.term)) {
            best = n;
        }
    }
    return best;
}

static int ask_leader(struct ask *a)
{
    struct node *l = newest_leader(a->r);
    text_add(a->seen, "leader is %u", l != NULL ? l->id : 0);
    if (a->count == 1 && strcmp(a->v[0], "any") == 0) {
        return l != NULL;
    }
    if (a->count == 1 && strcmp(a->v[0], "none") == 0) {
        return l == NULL;
    }
    uint32_t set = 0;
    if (a->count != 1 || !word_members(a->v[0], &set)) {
        return malformed(a);
    }
    return l != NULL && (set >> l->id & 1) != 0;
}

static const char *role_of(const struct node *n)
{
    if (n->state != HOST_UP) {
        static const char *const names[] = {[HOST_DOWN] = "down",
                                            [HOST_UP] = "up",
                                            [HOST_OUT] = "out",
                                            [HOST_ABSENT] = "absent",
                                            [HOST_GONE] = "gone"};
        return names[n->state];
    }
    return role_name(n->st.role);
}

static int ask_role(struct ask *a)
{
    struct node *n = member(a, 0);
    if (n == NULL || a->count != 2) {
        return malformed(a);
    }
    text_add(a->seen, "it is %s", role_of(n));
    return strcmp(a->v[1], role_of(n)) == 0;
}

/* ------------------------------------------------------------------------------------------- */
/* Numbers of a member                                                                           */

static uint64_t field(const struct node *n, const char *name, int *ret_known)
{
    const struct raft_status *st = &n->st;
    const struct {
        const char *name;
        uint64_t value;
    } fields[] = {
        {"term", st->term},
        {"voted", st->vote},
        {"knows", st->leader},
        {"first", st->first},
        {"last", st->last},
        {"last-term", elog_term(&n->log, elog_last(&n->log))},
        {"commit", st->commit},
        {"applied", n->machine.applied},
        {"stable", st->stable},
        {"snapshot", st->snapshot},
        {"transfer", st->transfer_to},
        {"ready", st->leader_ready != 0},
        {"repairing", st->repairing != 0},
        {"joint", st->joint != 0},
        {"config-at", st->config},
        {"lease", st->lease_until > 0},
        {"life", n->boot},
        {"open-reads", n->reads_open},
        {"open-proposals", n->pend.count},
        {"installing", n->install.active != 0},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (strcmp(name, fields[i].name) == 0) {
            *ret_known = 1;
            return fields[i].value;
        }
    }
    *ret_known = 0;
    return 0;
}

static int ask_disk(struct ask *a)
{
    struct node *n = member(a, 0);
    if (n == NULL || a->count < 3) {
        return malformed(a);
    }
    const struct image *im = &n->durable;
    const char *what = a->v[1];
    uint64_t value = strcmp(what, "term") == 0        ? im->term
                     : strcmp(what, "vote") == 0      ? im->vote
                     : strcmp(what, "commit") == 0    ? im->commit
                     : strcmp(what, "snapshot") == 0  ? im->snap_index
                     : strcmp(what, "last") == 0      ? elog_last(&im->log)
                     : strcmp(what, "last-term") == 0 ? elog_term(&im->log, elog_last(&im->log))
                                                      : UINT64_MAX;
    return value == UINT64_MAX ? malformed(a) : compare(a, 2, value);
}

/* What a leader believes of a peer. */
static int ask_peer(struct ask *a)
{
    struct node *n = member(a, 0);
    raft_id id = 0;
    if (n == NULL || a->count < 4 || !word_id(a->v[1], &id)) {
        return malformed(a);
    }
    for (uint32_t i = 0; i < n->st.peers_count; i++) {
        const struct raft_peer_status *p = &n->st.peers[i];
        if (p->id == id) {
            uint64_t value = strcmp(a->v[2], "match") == 0    ? p->match
                             : strcmp(a->v[2], "next") == 0   ? p->next
                             : strcmp(a->v[2], "active") == 0 ? (uint64_t)(p->active != 0)
                                                              : UINT64_MAX;
            return value == UINT64_MAX ? malformed(a) : compare(a, 3, value);
        }
    }
    text_add(a->seen, "no such peer");
    return 0;
}

/* ------------------------------------------------------------------------------------------- */
/* Logs                                                                                          */

/* The terms of the entries in the log, runs of equal ones as first..last:term. */
static void describe_log(const struct node *n, struct text *t)
{
    raft_index i = n->log.base + 1;
    raft_index last = elog_last(&n->log);
    const char *gap = "";
    if (i > last) {
        text_add(t, "empty");
    }
    while (i <= last) {
        raft_index end = i;
        raft_term term = elog_term(&n->log, i);
        while (end < last && elog_term(&n->log, end + 1) == term) {
            end++;
        }
        if (end == i) {
            text_add(t, "%s%" PRIu64 ":%" PRIu64, gap, i, term);
        } else {
            text_add(t, "%s%" PRIu64 "..%" PRIu64 ":%" PRIu64, gap, i, end, term);
        }
        gap = " ";
        i = end + 1;
    }
}

static int ask_log(struct ask *a)
{
    struct node *n = member(a, 0);
    struct text have = {0};
    struct text want = {0};
    if (n == NULL || a->count < 2) {
        return malformed(a);
    }
    describe_log(n, &have);
    for (int i = 1; i < a->count; i++) {
        text_add(&want, "%s%s", i > 1 ? " " : "", a->v[i]);
    }
    text_add(a->seen, "it is %s", have.data);
    int equal = strcmp(have.data, want.data) == 0;
    text_free(&have);
    text_free(&want);
    return equal;
}

/* The same log, hash by hash, at its end. */
static int ask_equal(struct ask *a)
{
    uint32_t set = 0;
    struct node *first = NULL;
    if (a->count != 1 || !word_members(a->v[0], &set)) {
        return malformed(a);
    }
    for (raft_id id = 1; id <= a->r->k.nodes; id++) {
        struct node *n = &a->r->w->nodes[id];
        if ((set >> id & 1) == 0) {
            continue;
        }
        first = first == NULL ? n : first;
        raft_index last = elog_last(&n->log);
        if (last != elog_last(&first->log) ||
            elog_chain(&n->log, last) != elog_chain(&first->log, last) ||
            n->machine.chain != first->machine.chain) {
            text_add(a->seen, "members %u and %u differ", first->id, id);
            return 0;
        }
    }
    return 1;
}

/* One leader, everybody follows it, has its whole log and has applied it. */
static int ask_settled(struct ask *a)
{
    struct node *l = newest_leader(a->r);
    if (l == NULL) {
        text_add(a->seen, "no leader");
        return 0;
    }
    uint32_t set = (1U << SIM_SLOTS) - 2;
    if (a->count > 0 && !word_members(a->v[0], &set)) {
        return malformed(a);
    }
    for (raft_id id = 1; id <= a->r->k.nodes; id++) {
        const struct node *n = &a->r->w->nodes[id];
        if ((set >> id & 1) == 0 || (n->state != HOST_UP && a->count == 0)) {
            continue;
        }
        if (n->state != HOST_UP || n->st.leader != l->id || n->machine.applied != l->st.last ||
            n->st.stable != l->st.last) {
            text_add(a->seen, "member %u follows %u, has applied %" PRIu64 " of %" PRIu64, id,
                     n->st.leader, n->machine.applied, l->st.last);
            return 0;
        }
    }
    return 1;
}

/* ------------------------------------------------------------------------------------------- */
/* Configurations                                                                                */

static void describe_config(const struct raft_config *c, struct text *t)
{
    static const struct {
        uint32_t role;
        const char *name;
    } roles[] = {{RAFT_VOTER, "voters="},    {RAFT_VOTER_OLD, "old="}, {RAFT_LEARNER, "learners="},
                 {RAFT_PROMOTE, "promote="}, {RAFT_DEMOTE, "demote="}, {RAFT_REMOVE, "remove="}};
    const char *gap = "";
    for (size_t k = 0; k < sizeof(roles) / sizeof(roles[0]); k++) {
        const char *before = roles[k].name;
        for (uint32_t i = 0; i < c->count; i++) {
            if ((c->members[i].roles & roles[k].role) != 0) {
                text_add(t, "%s%s%u", before == roles[k].name ? gap : "", before, c->members[i].id);
                before = ",";
                gap = " ";
            }
        }
    }
}

/* The configuration in force at a member, the newest of its log. */
static int ask_config(struct ask *a)
{
    struct node *n = member(a, 0);
    struct text have = {0};
    struct text want = {0};
    if (n == NULL || a->count < 2) {
        return malformed(a);
    }
    if (n->state != HOST_UP) {
        return 0;
    }
    const struct raft_config_at *c = raft_config_at(n->raft, n->st.last);
    text_add(&have, "%s", "");
    if (c != NULL) {
        describe_config(&c->config, &have);
    }
    for (int i = 1; i < a->count; i++) {
        text_add(&want, "%s%s", i > 1 ? " " : "", a->v[i]);
    }
    text_add(a->seen, "it is %s", have.data);
    int equal = strcmp(have.data, want.data) == 0;
    text_free(&have);
    text_free(&want);
    return equal;
}

/* ------------------------------------------------------------------------------------------- */
/* Load and network                                                                              */

static int ask_read(struct ask *a)
{
    uint64_t cookie = 0;
    struct world *w = a->r->w;
    if (a->count != 2 || !word_number(a->v[0], &cookie)) {
        return malformed(a);
    }
    if (cookie == 0 || cookie > w->client.reads_count) {
        text_add(a->seen, "there is no such read");
        return 0;
    }
    const struct read *rd = &w->client.reads[cookie];
    const char *is = rd->done ? "served" : rd->answered ? "answered" : "open";
    text_add(a->seen, "it is %s", is);
    return strcmp(is, a->v[1]) == 0;
}

static int ask_proposal(struct ask *a)
{
    static const char *const names[] = {"none", "refused", "open", "committed", "dropped", "lost"};
    uint64_t id = 0;
    struct world *w = a->r->w;
    if (a->count != 2 || !word_number(a->v[0], &id)) {
        return malformed(a);
    }
    const char *is = id >= 1 && id <= w->client.proposals_count
                         ? names[w->client.proposals[id].state]
                         : names[0];
    text_add(a->seen, "it is %s", is);
    return strcmp(is, a->v[1]) == 0;
}

/* held 1>2 TYPE [op] n */
static int ask_held(struct ask *a)
{
    uint32_t from = 0;
    uint32_t to = 0;
    uint32_t types = ALL_TYPES;
    int both = 0;
    if (a->count < 3 || !word_link(a->v[0], &from, &to, &both) || !word_types(a->v[1], &types)) {
        return malformed(a);
    }
    uint64_t held = run_count_held(a->r, from, to, types);
    held += both ? run_count_held(a->r, to, from, types) : 0;
    return compare(a, 2, held);
}

/* files 1 wal [op] n */
static int count_file(void *arg, const char *name)
{
    (void)name;
    ++*(uint64_t *)arg;
    return 0;
}

static int ask_files(struct ask *a)
{
    struct node *n = member(a, 0);
    uint64_t count = 0;
    if (n == NULL || a->count < 3) {
        return malformed(a);
    }
    const struct raft_fs *fs = sim_disk_fs(n->disk);
    (void)fs->list(fs->ctx, a->v[1], count_file, &count); /* no folder: no files */
    return compare(a, 2, count);
}

/* committed [op] n: of the whole group, as the checkers know it */
static int ask_committed(struct ask *a)
{
    return compare(a, 0, a->r->w->ledger.committed);
}

int cond_holds(struct run *r, const char *const *words, int count, struct text *seen)
{
    static const struct {
        const char *name;
        int (*ask)(struct ask *a);
    } asks[] = {
        {"leader", ask_leader},       {"role", ask_role},         {"disk", ask_disk},
        {"peer", ask_peer},           {"log", ask_log},           {"equal", ask_equal},
        {"config", ask_config},       {"settled", ask_settled},   {"read", ask_read},
        {"held", ask_held},           {"proposal", ask_proposal}, {"files", ask_files},
        {"committed", ask_committed},
    };
    run_start(r);
    struct ask a = {.r = r, .v = words + 1, .count = count - 1, .seen = seen};
    if (count < 1 || r->w == NULL) {
        return malformed(&a);
    }
    for (size_t i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        if (strcmp(words[0], asks[i].name) == 0) {
            return asks[i].ask(&a);
        }
    }
    struct node *n = count >= 3 ? member(&a, 0) : NULL;
    int known = 0;
    if (n == NULL) {
        return malformed(&a);
    }
    uint64_t value = field(n, words[0], &known);
    if (!known) {
        return malformed(&a);
    }
    return n->state == HOST_UP ? compare(&a, 1, value) : 0;
}
