/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: what clients are told by a whole ensemble under faults is linearizable, and every receipt holds.
 * Method: three real nodes in simulated time (tests/lib/node_cluster.h), each client a real client core
 * (client/core) that is recorded by the real recorder; kills, cuts in both and in one direction,
 * pauses, stalled disks, a network that loses, doubles and reorders; clients that die and whose
 * sessions expire. The recording is judged by client/verify. A failure prints the seed and the
 * counterexample; run one with SEED=n, more with ROUNDS=n.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/core/core.h"
#include "client/core/mem.h"
#include "client/shell/record.h"
#include "client/verify/parse.h"
#include "client/verify/verify.h"
#include "tests/lib/node_cluster.h"

enum {
    ACTORS = 6,
    WINDOW = 3, /* requests of one under way */
    STEP_MS = 4,
    CHAOS_S = 12,      /* of faults */
    TIMEOUT_MS = 2500, /* of a request */
    BUDGET = 30000     /* states of a search: one that needs more is counted as undecided */
};

/* A client: a core, and the connection it wishes. */
struct actor {
    struct coord__core *core;
    struct coord__recorder *rec;
    struct cluster_client *conn; /* NULL: none */
    struct cluster_frame *taken; /* the last frame that the core was given */
    uint64_t link;
    uint32_t under_way;
    uint64_t lives;
};

static struct cluster *cl;
static struct actor actors[ACTORS];
static uint64_t rng;
static uint64_t value;
static uint64_t completed;
static uint64_t told;   /* events with changes */
static uint64_t missed; /* of those that lose_events kept back */
static uint64_t parts;
static uint64_t undecided; /* of them */
static char file[64];
static char *text;

static uint64_t rnd(uint64_t below)
{
    rng ^= rng >> 12;
    rng ^= rng << 25;
    rng ^= rng >> 27;
    return (rng * 2685821657736338717ull >> 33) % below;
}

/* --- a client ------------------------------------------------------------------------------------ */

/* Two watches, of which the one or the other is told marks. */
static void actor_watch(struct actor *a)
{
    static const char *const tops[] = {"/", "/d", "/k0", "/d/n1"};
    for (uint32_t i = 0; i < 2; i++) {
        struct coord_request q = {.path = bytes_of(tops[rnd(4)]),
                                  .depth = (enum coord_depth)rnd(3),
                                  .kinds = rnd(3) == 0 ? 1 + (uint32_t)rnd(7) : 7,
                                  .flags = rnd(2) == 0 ? COORD_WATCH_VALUE : 0};
        struct coord__watch *w = coord__watch_create(&q);
        ck_assert_ptr_nonnull(w);
        w->progress = rnd(2) == 0;
        ck_assert_int_eq(coord__core_watch(a->core, w, cluster_now(cl)), 0);
        coord__record_watch(a->rec, w, cluster_now(cl));
    }
}

static void actor_begin(struct actor *a)
{
    const struct coord__core_options o = {.servers_count = 3,
                                          .name = "sim",
                                          .session_timeout_ms = 2000,
                                          .connect_timeout_ms = 500,
                                          .backoff_min_ms = 10,
                                          .backoff_max_ms = 200,
                                          .policy = COORD_SESSIONS_LAZY,
                                          .seed = rnd(UINT32_MAX) + 1};
    uint64_t lives = a->lives;
    memset(a, 0, sizeof(*a));
    a->lives = lives + 1;
    ck_assert_int_eq(coord__core_create(&o, cluster_now(cl), &a->core), 0);
    ck_assert_int_eq(coord__record_open(file, cluster_now(cl), &a->rec), 0);
    actor_watch(a);
}

static void actor_hang_up(struct actor *a)
{
    if (a->conn != NULL) {
        client_close(a->conn);
        a->conn = NULL;
    }
    a->taken = NULL;
}

/* Die without a word: what was recorded but not yet written is lost with it. */
static void actor_die(struct actor *a)
{
    actor_hang_up(a);
    coord__record_close(a->rec, NULL, 0);
    coord__core_destroy(a->core);
    a->core = NULL;
}

static void actor_follow(struct actor *a)
{
    struct coord__link_wish wish = coord__core_link(a->core);
    if (wish.id == a->link) {
        return;
    }
    actor_hang_up(a);
    a->link = wish.id;
    raft_id member = (raft_id)wish.server + 1;
    if (wish.id != 0 && cluster_node(cl, member) == NULL) {
        coord__core_lost(a->core, wish.id, "refused", cluster_now(cl));
    } else if (wish.id != 0) {
        a->conn = client_connect(cl, member);
        coord__core_connected(a->core, wish.id, cluster_now(cl));
    }
}

static void actor_receive(struct actor *a)
{
    if (a->conn == NULL) {
        return;
    }
    uint64_t link = a->link;
    struct cluster_frame *f = a->taken != NULL ? a->taken->next : a->conn->first;
    for (; f != NULL; f = f->next) {
        uint32_t len = f->body->len;
        const uint8_t head[4] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                                 (uint8_t)len};
        a->taken = f;
        coord__core_bytes(a->core, link, head, sizeof(head), cluster_now(cl));
        coord__core_bytes(a->core, link, f->body->data, len, cluster_now(cl));
    }
    if (!a->conn->open) {
        coord__core_lost(a->core, link, "closed", cluster_now(cl));
    }
}

static void actor_drain(struct actor *a)
{
    struct coord__out out;
    while (coord__core_next(a->core, &out)) {
        uint64_t session = coord__core_session(a->core);
        if (out.kind == COORD__OUT_REPLY) {
            coord__record_reply(a->rec, &out, session, cluster_now(cl));
            completed += out.outcome == COORD_OUTCOME_DONE || out.outcome == COORD_OUTCOME_FAILED;
            a->under_way--;
            coord__core_release(a->core, out.request);
        } else if (out.kind == COORD__OUT_STATE) {
            coord__record_state(a->rec, out.state, session, cluster_now(cl));
        } else if (out.kind == COORD__OUT_WATCH) {
            coord__record_event(a->rec, &out, out.event, cluster_now(cl));
            told += out.event == COORD_WATCH_CHANGES;
            ck_assert_int_ne(out.event, COORD_WATCH_ENDED); /* nobody ends one */
        }
    }
}

static void actor_send(struct actor *a)
{
    const uint8_t *bytes;
    size_t len;
    if (a->conn == NULL || !a->conn->open || coord__core_link(a->core).id != a->link) {
        return;
    }
    coord__record_flush(a->rec);
    while ((len = coord__core_output(a->core, &bytes)) > 0) {
        int64_t size = coord_frame_size(bytes, len, UINT32_MAX);
        ck_assert_int_gt(size, 0);
        ck_assert_uint_le((size_t)size, len);
        client_send_raw(a->conn, bytes + COORD_FRAME_HEADER_BYTES,
                        (size_t)size - COORD_FRAME_HEADER_BYTES);
        coord__core_sent(a->core, (size_t)size);
        if (!a->conn->open) {
            return;
        }
    }
}

/* --- what clients ask for ------------------------------------------------------------------------ */

static void choose_read(struct coord_request *q)
{
    static const enum coord_op reads[] = {COORD_OP_GET, COORD_OP_GET, COORD_OP_LIST,
                                          COORD_OP_EXISTS, COORD_OP_STAT};
    q->op = reads[rnd(5)];
    if (rnd(3) == 0) {
        q->level = (enum coord_level)rnd(4);
        q->level_arg = q->level == COORD_LEVEL_BOUNDED ? 200 + rnd(1000) : 0;
    }
    q->flags = q->op == COORD_OP_LIST ? (uint32_t)rnd(8) : 0;
}

static void choose_write(struct coord_request *q)
{
    static const enum coord_op writes[] = {COORD_OP_CREATE, COORD_OP_CREATE, COORD_OP_SET,
                                           COORD_OP_SET,    COORD_OP_SET,    COORD_OP_DELETE};
    q->op = writes[rnd(6)];
    if (q->op != COORD_OP_CREATE && rnd(4) == 0) {
        q->expect_version = (int64_t)rnd(4);
    }
    q->flags = q->op == COORD_OP_CREATE && rnd(3) == 0 ? COORD_F_EPHEMERAL : 0;
}

/* A request at random: registers /k0.. /k2, a parent /d with named and numbered children. */
static void actor_ask(struct actor *a)
{
    char path[64];
    char data[32];
    struct coord_request q = {.expect_version = COORD_VERSION_ANY};
    uint64_t what = rnd(100);
    (void)snprintf(path, sizeof(path), rnd(2) == 0 ? "/k%u" : "/d/n%u", (unsigned)rnd(3));
    if (what < 45) {
        choose_read(&q);
        if (q.op == COORD_OP_LIST || rnd(6) == 0) {
            (void)snprintf(path, sizeof(path), "/d");
        }
    } else if (what < 90) {
        choose_write(&q);
        if (rnd(12) == 0) {
            (void)snprintf(path, sizeof(path), "/d");
            q.op = q.op == COORD_OP_DELETE ? COORD_OP_CREATE : q.op;
            q.flags = 0;
        }
    } else if (what < 98) {
        q.op = COORD_OP_CREATE;
        q.flags = COORD_F_SEQUENTIAL | (rnd(2) == 0 ? COORD_F_EPHEMERAL : 0);
        (void)snprintf(path, sizeof(path), "/d/s");
    } else {
        q.op = what == 98 ? COORD_OP_SYNC : COORD_OP_SESSION_CLOSE;
    }
    if (what < 98) {
        q.path = bytes_of(path);
    }
    if (q.op == COORD_OP_CREATE || q.op == COORD_OP_SET) {
        (void)snprintf(data, sizeof(data), "%llu", (unsigned long long)++value);
        q.data = bytes_of(data);
    }
    struct coord__request *r = coord__request_create(COORD__USER, &q);
    ck_assert_ptr_nonnull(r);
    ck_assert_int_eq(coord__core_submit(a->core, r, TIMEOUT_MS, cluster_now(cl)), 0);
    coord__record_call(a->rec, r, cluster_now(cl));
    a->under_way++;
}

static void actor_step(struct actor *a, bool asks)
{
    if (a->core == NULL) {
        actor_begin(a);
    }
    actor_receive(a);
    actor_drain(a);
    if (asks && a->under_way < WINDOW && rnd(4) == 0) {
        actor_ask(a);
    }
    coord__core_tick(a->core, cluster_now(cl));
    actor_follow(a);
    actor_send(a);
    actor_drain(a);
    actor_follow(a);
}

/* --- faults -------------------------------------------------------------------------------------- */

static raft_id some_member(void)
{
    raft_id leader = cluster_leader(cl);
    raft_id id = leader != 0 && rnd(2) == 0 ? leader : (raft_id)(1 + rnd(3));
    return cluster_node(cl, id) != NULL ? id : cluster_other(cl, id);
}

static void fault(void)
{
    uint64_t which = rnd(9);
    raft_id id = some_member();
    if (which < 6) {
        cluster_disturb(cl, id, rnd(UINT32_MAX));
    } else if (which == 6) {
        actor_die(&actors[rnd(ACTORS)]);
    } else {
        cluster_mend(cl);
    }
}

/* --- a run --------------------------------------------------------------------------------------- */

static size_t load(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    off_t end = lseek(fd, 0, SEEK_END);
    ck_assert_int_gt(end, 0);
    free(text);
    text = malloc((size_t)end + 1);
    ck_assert_ptr_nonnull(text);
    text[end] = 0;
    ck_assert_int_eq(pread(fd, text, (size_t)end, 0), end);
    (void)close(fd);
    return (size_t)end;
}

/* What the check of watches alone says of the text. */
static enum verify_cause judge_watches(size_t len)
{
    char why[256] = "";
    struct verify_report r = {.watch = VERIFY_NOWHERE};
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, text, len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    ck_assert_int_eq(verify_watches(h, true, 0, &r), 0);
    enum verify_cause cause = r.cause;
    verify_report_finish(&r);
    verify_history_destroy(h);
    return cause;
}

/* Had one event not been told: is it missed? Not if nothing was told behind it, or if the answer of its write was lost. */
static void lose_events(size_t len)
{
    for (int tries = 0; tries < 20; tries++) {
        char *at = strstr(text + rnd(len / 2), " changes rev=");
        ck_assert_ptr_nonnull(at);
        while (*at != '\n') {
            at--;
        }
        at[1] = '#';
        missed += judge_watches(len) == VERIFY_CAUSE_WATCH_LOST;
        at[1] = 'V';
    }
    ck_assert_int_eq(judge_watches(len), VERIFY_CAUSE_NONE);
}

static void judge(uint64_t seed)
{
    char why[256] = "";
    struct verify_report r;
    struct verify_plan *plan = NULL;
    struct verify_text words = {0};
    const struct verify_options o = {.empty = true, .budget = BUDGET};
    size_t len = load();
    struct verify_history *h = verify_history_create();
    ck_assert_msg(verify_parse(h, 0, text, len, why, sizeof(why)) == 0, "%s", why);
    ck_assert_int_eq(verify_history_finish(h, 0, why, sizeof(why)), 0);
    ck_assert_int_eq(verify_check(h, &o, &r, &plan), 0);
    verify_explain(h, &r, &words);
    ck_assert_msg(r.verdict != VERIFY_VIOLATION, "seed %llu: VIOLATION at %s: %s",
                  (unsigned long long)seed, r.object, words.at);
    parts += r.parts;
    undecided += r.undecided;
    ck_assert_uint_gt(r.operations, 800); /* a run in which nothing was done shows nothing */
    verify_text_finish(&words);
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    verify_history_destroy(h);
    lose_events(len);
}

static void step_all(bool asks)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        actor_step(&actors[i], asks);
    }
    cluster_run(cl, STEP_MS * CLUSTER_MS);
}

static bool anything_under_way(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        if (actors[i].under_way > 0) {
            return true;
        }
    }
    return false;
}

static void run_seed(uint64_t seed)
{
    struct cluster_options o;
    cluster_options_init(&o, 3);
    rng = seed * 0x9e3779b97f4a7c15ull | 1;
    o.seed = seed;
    o.node.snapshot_entries = 100 + rnd(300);
    o.node.raft.log_slots = 4096;
    o.node.raft.chunk_bytes = 4096;
    if (seed % 2 == 0) {
        o.loss_percent = 3;
        o.duplicate_percent = 3;
        o.reorder_percent = 5;
    }
    (void)snprintf(file, sizeof(file), "/tmp/coord-verify.XXXXXX");
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    (void)close(fd);
    value = completed = told = 0;
    memset(actors, 0, sizeof(actors));
    cl = cluster_create(&o);
    ck_assert_uint_ne(cluster_wait_leader(cl, 30 * CLUSTER_S), 0);
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_hello(c), 0);
    uint64_t calm = cluster_now(cl) + CHAOS_S * CLUSTER_S;
    uint64_t next_fault = cluster_now(cl) + 300 * CLUSTER_MS;
    while (cluster_now(cl) < calm) {
        step_all(true);
        if (cluster_now(cl) >= next_fault) {
            fault();
            next_fault = cluster_now(cl) + (50 + rnd(900)) * CLUSTER_MS;
        }
    }
    cluster_mend(cl);
    uint64_t limit = cluster_now(cl) + 10 * CLUSTER_S;
    while (anything_under_way() && cluster_now(cl) < limit) {
        step_all(false);
    }
    ck_assert_msg(!anything_under_way(), "seed %llu: no answer after the faults",
                  (unsigned long long)seed);
    for (uint32_t i = 0; i < ACTORS; i++) {
        struct actor *a = &actors[i];
        actor_hang_up(a);
        coord__record_close(a->rec, "closed", cluster_now(cl));
        coord__core_destroy(a->core);
    }
    cluster_destroy(cl);
    ck_assert_uint_gt(completed, 500);
    ck_assert_uint_gt(told, 300);
    judge(seed);
    (void)unlink(file);
}

START_TEST(what_is_told_under_faults_is_linearizable)
{
    const char *one = getenv("SEED");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10));
        return;
    }
    for (uint64_t i = 0; i < 3; i++) {
        run_seed((uint64_t)_i * 3 + i + 1);
    }
    free(text);
    text = NULL;
    /* Where many creates and deletes below one parent are lost, what its counters tell can take more than
     * the budget. That must stay the exception: at most one object in a run, of fifty or more. */
    ck_assert_uint_le(undecided, 3);
    ck_assert_uint_gt(parts, 150);
    ck_assert_uint_gt(missed, 30); /* of sixty */
}
END_TEST

int main(void)
{
    Suite *s = suite_create("verify_cluster");
    TCase *tc = tcase_create("faults");
    const char *rounds = getenv("ROUNDS");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, what_is_told_under_faults_is_linearizable, 0,
                        rounds != NULL ? (int)strtol(rounds, NULL, 10) : 3);
    suite_add_tcase(s, tc);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_NORMAL);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
