/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_chaos.c
 * Goal: what clients may rely on holds under random faults (testing.md X1, X2, X4, X5, X6, W1-W3):
 *   - a session's numbered writes, retried on other members with the same number, are each applied
 *     exactly once and in the order of their numbers
 *   - a write without session is applied once when answered OK, never when answered with an error that
 *     says so, at most once otherwise
 *   - a linearizable read returns at least the newest value acknowledged before it began
 *   - a watch that is resumed on other members is told every change once, in order
 *   - no answer takes for ever, and all members end up equal
 * Method: three members in simulated time; kills, cuts in both and in one direction, pauses, stalled
 * disks, a network that loses, doubles and reorders messages; actors that are stepped every 5 ms. A
 * failure prints the seed; run one with SEED=n. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/node_cluster.h"

enum {
    SESSIONS = 3,
    OPS = 300,   /* of one session */
    WINDOW = 4,  /* of them outstanding */
    LOOSE = 400, /* writes without session */
    REVISIONS_MAX = 32768,
    STEP_MS = 5,
    PATIENCE_MS = 12000 /* no answer by then: a failure of its own */
};

static struct cluster *cl;
static uint64_t rng;
static uint64_t seed_now;

static uint64_t rnd(uint64_t below)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % below;
}

static raft_id live_member(void)
{
    raft_id id;
    do {
        id = (raft_id)(1 + rnd(3));
    } while (cluster_node(cl, id) == NULL);
    return id;
}

/* --- a session's writer ------------------------------------------------------------------------ */

struct writer {
    uint32_t k;
    struct cluster_client *c;
    uint64_t session;
    uint8_t secret[COORD_SECRET_BYTES];
    uint64_t hello; /* number of the HELLO under way, 0 none */
    uint64_t hello_at;
    uint64_t hellos;
    bool ready;
    uint64_t done; /* ops answered, in order */
    uint64_t sent; /* highest op sent on this connection */
    uint64_t sent_at;
    uint64_t revisions[OPS + 1];
    uint32_t reconnects;
};

static struct writer writers[SESSIONS];

static void writer_reconnect(struct writer *w)
{
    client_close(w->c);
    w->c = client_connect(cl, live_member());
    w->hello = 1000000 + ++w->hellos;
    w->hello_at = cluster_now(cl);
    w->ready = false;
    w->reconnects++;
    struct coord_request q = {.op = COORD_OP_HELLO,
                              .number = w->hello,
                              .version = COORD_PROTOCOL_VERSION,
                              .client = bytes_of("test"),
                              .session = w->session,
                              .secret = {w->secret, sizeof(w->secret)}};
    (void)client_send(w->c, &q);
}

static void writer_hello(struct writer *w)
{
    struct coord_result res;
    if (!w->c->open) {
        writer_reconnect(w);
        return;
    }
    if (!client_has(w->c, w->hello)) {
        ck_assert_msg(cluster_now(cl) - w->hello_at < PATIENCE_MS * CLUSTER_MS,
                      "seed %llu: HELLO without an answer", (unsigned long long)seed_now);
        return;
    }
    int rv = client_wait(w->c, w->hello, COORD_OP_HELLO, &res, 0);
    if (rv != 0) {
        writer_reconnect(w);
        return;
    }
    ck_assert_uint_eq(res.session_state, COORD_SESSION_RESUMED);
    w->ready = true;
    w->sent = w->done;
    w->sent_at = cluster_now(cl);
}

static void writer_send(struct writer *w)
{
    while (w->sent < OPS && w->sent < w->done + WINDOW) {
        char path[64];
        uint64_t op = ++w->sent;
        (void)snprintf(path, sizeof(path), "/s%u/n%06llu", w->k, (unsigned long long)op);
        struct coord_request q = {.op = COORD_OP_CREATE,
                                  .number = op + 10,
                                  .acked = w->done + 10,
                                  .path = bytes_of(path)};
        (void)client_send(w->c, &q);
        w->sent_at = cluster_now(cl);
    }
}

static void writer_step(struct writer *w)
{
    struct coord_result res;
    if (!w->ready) {
        writer_hello(w);
        return;
    }
    while (w->done < w->sent && client_has(w->c, w->done + 1 + 10)) {
        int rv = client_wait(w->c, w->done + 1 + 10, COORD_OP_CREATE, &res, 0);
        if (rv != 0) {
            /* An answer that is final, like EEXISTS, would mean that it was applied before. */
            ck_assert_msg(coord_errclass(rv) != COORD_FAILED, "seed %llu: op %llu of %u: %s",
                          (unsigned long long)seed_now, (unsigned long long)w->done + 1, w->k,
                          coord_errname(rv));
            ck_assert_int_ne(rv, COORD_EEXPIRED);
            writer_reconnect(w);
            return;
        }
        w->revisions[++w->done] = res.stat.create_revision;
        w->sent_at = cluster_now(cl);
    }
    if (!w->c->open || (w->done < OPS && rnd(400) == 0)) {
        writer_reconnect(w); /* also now and then for no reason */
        return;
    }
    ck_assert_msg(w->done == w->sent || cluster_now(cl) - w->sent_at < PATIENCE_MS * CLUSTER_MS,
                  "seed %llu: a write without an answer", (unsigned long long)seed_now);
    writer_send(w);
}

/* --- writes without session --------------------------------------------------------------------- */

enum fate { FATE_NONE, FATE_APPLIED, FATE_REFUSED, FATE_UNKNOWN };

static struct {
    struct cluster_client *c;
    uint64_t number;
    uint64_t at;
    uint32_t count;
    enum fate fates[LOOSE];
} loose;

static void loose_connect(void)
{
    loose.c = client_connect(cl, live_member());
    struct coord_request q = {
        .op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION, .client = bytes_of("test")};
    (void)client_send(loose.c, &q);
    loose.number = 0;
}

static void loose_step(void)
{
    struct coord_result res;
    if (loose.number != 0 && client_has(loose.c, loose.number)) {
        int rv = client_wait(loose.c, loose.number, COORD_OP_CREATE, &res, 0);
        ck_assert_int_ne(rv, COORD_EEXISTS);
        int cls = coord_errclass(rv);
        loose.fates[loose.count++] = rv == 0                    ? FATE_APPLIED
                                     : cls == COORD_NOT_APPLIED ? FATE_REFUSED
                                                                : FATE_UNKNOWN;
        loose.number = 0;
        if (rnd(50) == 0) {
            client_close(loose.c);
        }
    }
    if (!loose.c->open) {
        if (loose.number != 0) {
            loose.fates[loose.count++] = FATE_UNKNOWN;
        }
        loose_connect();
    }
    ck_assert_msg(loose.number == 0 || cluster_now(cl) - loose.at < PATIENCE_MS * CLUSTER_MS,
                  "seed %llu: a loose write without an answer", (unsigned long long)seed_now);
    if (loose.number == 0 && loose.count < LOOSE) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/u/n%06u", loose.count);
        struct coord_request q = {.op = COORD_OP_CREATE, .path = bytes_of(path)};
        loose.number = client_send(loose.c, &q);
        loose.at = cluster_now(cl);
    }
}

/* --- a register: one writer, linearizable readers ------------------------------------------------ */

static struct {
    struct cluster_client *w;
    uint64_t number;
    uint64_t value; /* under way or the last one sent */
    uint64_t acked; /* the newest one acknowledged */
    struct cluster_client *r;
    uint64_t read;
    uint64_t floor; /* acked when the read began */
    uint32_t reads_ok;
    enum coord_level level;
} reg;

static struct cluster_client *connect_somewhere(void)
{
    struct cluster_client *c = client_connect(cl, live_member());
    struct coord_request q = {
        .op = COORD_OP_HELLO, .version = COORD_PROTOCOL_VERSION, .client = bytes_of("test")};
    (void)client_send(c, &q);
    return c;
}

static void register_write(void)
{
    struct coord_result res;
    if (!reg.w->open) {
        reg.w = connect_somewhere();
        reg.number = 0;
    }
    if (reg.number != 0 && client_has(reg.w, reg.number)) {
        if (client_wait(reg.w, reg.number, COORD_OP_SET, &res, 0) == 0) {
            reg.acked = reg.value;
        }
        reg.number = 0;
    }
    if (reg.number == 0) {
        char data[32];
        (void)snprintf(data, sizeof(data), "%llu", (unsigned long long)++reg.value);
        struct coord_request q = {.op = COORD_OP_SET,
                                  .path = bytes_of("/reg"),
                                  .data = bytes_of(data),
                                  .expect_version = COORD_VERSION_ANY};
        reg.number = client_send(reg.w, &q);
    }
}

static void register_read(void)
{
    struct coord_result res;
    if (reg.read != 0 && client_has(reg.r, reg.read)) {
        if (client_wait(reg.r, reg.read, COORD_OP_GET, &res, 0) == 0) {
            char data[32] = "";
            ck_assert_uint_lt(res.data.len, sizeof(data));
            memcpy(data, res.data.data, res.data.len);
            uint64_t got = strtoull(data, NULL, 10);
            ck_assert_msg(got >= reg.floor && got <= reg.value, "seed %llu: read %llu, acked %llu",
                          (unsigned long long)seed_now, (unsigned long long)got,
                          (unsigned long long)reg.floor);
            reg.reads_ok++;
        }
        reg.read = 0;
    }
    if (!reg.r->open || (reg.read == 0 && rnd(20) == 0)) {
        client_close(reg.r);
        reg.r = connect_somewhere();
        reg.read = 0;
    }
    if (reg.read == 0) {
        struct coord_request q = {.op = COORD_OP_GET, .path = bytes_of("/reg")};
        reg.floor = reg.acked;
        reg.read = client_send(reg.r, &q);
    }
}

/* --- a watcher ----------------------------------------------------------------------------------- */

static struct {
    struct cluster_client *c;
    uint32_t taken; /* event frames read of this connection */
    uint64_t seen;
    uint64_t asked; /* seen when this connection's watch was sent */
    uint64_t number;
    bool told[REVISIONS_MAX];
    bool hole[REVISIONS_MAX]; /* said to be lost by GAP */
    uint32_t holes;
} watcher;

/* Everything after `from` and through revision may be missing. */
static void watcher_hole(uint64_t from, uint64_t revision)
{
    ck_assert_uint_lt(revision, REVISIONS_MAX);
    watcher.holes++;
    for (uint64_t i = from + 1; i <= revision; i++) {
        watcher.hole[i] = true;
    }
    if (revision > watcher.seen) {
        watcher.seen = revision;
    }
}

static void watcher_connect(void)
{
    watcher.c = connect_somewhere();
    watcher.taken = 0;
    watcher.asked = watcher.seen;
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = 1,
                              .path = bytes_of("/"),
                              .depth = COORD_DEPTH_SUBTREE,
                              .kinds = COORD_CHANGE_CREATED,
                              .revision = watcher.seen};
    watcher.number = client_send(watcher.c, &q);
}

static void watcher_step(void)
{
    struct coord_event ev;
    struct coord_result res;
    while (client_event(watcher.c, watcher.taken, &ev, NULL)) {
        watcher.taken++;
        if (ev.state == COORD_EVENT_GAP) {
            watcher_hole(watcher.seen, ev.revision);
            continue;
        }
        if (ev.state == COORD_EVENT_PROGRESS) {
            ck_assert_uint_ge(ev.revision, watcher.seen);
            watcher.seen = ev.revision;
            continue;
        }
        ck_assert_msg(ev.revision > watcher.seen, "seed %llu: event %llu after %llu",
                      (unsigned long long)seed_now, (unsigned long long)ev.revision,
                      (unsigned long long)watcher.seen);
        watcher.seen = ev.revision;
        ck_assert_uint_lt(ev.revision, REVISIONS_MAX);
        watcher.told[ev.revision] = true;
    }
    bool refused = false;
    if (watcher.number != 0 && client_has(watcher.c, watcher.number)) {
        refused = client_wait(watcher.c, watcher.number, COORD_OP_WATCH, &res, 0) != 0;
        watcher.number = 0;
        if (!refused && res.gap) {
            watcher_hole(watcher.asked, res.revision);
        }
    }
    if (refused || !watcher.c->open || rnd(300) == 0) {
        client_close(watcher.c);
        watcher_connect();
    }
}

/* --- faults -------------------------------------------------------------------------------------- */

static void fault(void)
{
    raft_id leader = cluster_leader(cl);
    raft_id id = leader != 0 && rnd(2) == 0 ? leader : live_member();
    if (rnd(8) < 6) {
        cluster_disturb(cl, id, rnd(UINT32_MAX));
    } else {
        cluster_mend(cl);
    }
}

/* --- the run ------------------------------------------------------------------------------------- */

static void begin(struct cluster_options *o)
{
    cl = cluster_create(o);
    ck_assert_uint_ne(cluster_wait_leader(cl, 30 * CLUSTER_S), 0);
    memset(writers, 0, sizeof(writers));
    memset(&loose, 0, sizeof(loose));
    memset(&reg, 0, sizeof(reg));
    memset(&watcher, 0, sizeof(watcher));
    struct cluster_client *c = client_connect(cl, 1);
    ck_assert_int_eq(client_hello(c), 0);
    ck_assert_int_eq(client_create(c, "/u", "", 0), 0);
    ck_assert_int_eq(client_create(c, "/reg", "0", 0), 0);
    for (uint32_t k = 0; k < SESSIONS; k++) {
        char path[8];
        struct writer *w = &writers[k];
        (void)snprintf(path, sizeof(path), "/s%u", k);
        ck_assert_int_eq(client_create(c, path, "", 0), 0);
        w->k = k;
        w->c = client_connect(cl, live_member());
        w->session = client_open_session(w->c, 60000, w->secret);
        ck_assert_uint_ne(w->session, 0);
        w->ready = true;
    }
    watcher.seen = 1;
    loose_connect();
    reg.w = connect_somewhere();
    reg.r = connect_somewhere();
    watcher_connect();
}

static bool finished(void)
{
    for (uint32_t k = 0; k < SESSIONS; k++) {
        if (writers[k].done < OPS) {
            return false;
        }
    }
    return loose.count == LOOSE;
}

static void step_all(void)
{
    for (uint32_t k = 0; k < SESSIONS; k++) {
        writer_step(&writers[k]);
    }
    loose_step();
    register_write();
    register_read();
    watcher_step();
    cluster_run(cl, STEP_MS * CLUSTER_MS);
}

static bool node_exists(struct cluster_client *c, const char *path, uint64_t *ret_revision)
{
    struct coord_request q = {.op = COORD_OP_STAT, .path = bytes_of(path)};
    struct coord_result res;
    int rv = client_call(c, &q, &res);
    ck_assert(rv == 0 || rv == COORD_ENONODE);
    if (rv == 0 && ret_revision != NULL) {
        *ret_revision = res.stat.create_revision;
    }
    client_close(c);
    return rv == 0;
}

static struct cluster_client *checker(void)
{
    struct cluster_client *c = client_connect(cl, cluster_leader(cl));
    ck_assert_int_eq(client_hello(c), 0);
    return c;
}

static void check_everything(void)
{
    char path[64];
    for (uint32_t k = 0; k < SESSIONS; k++) {
        for (uint64_t op = 1; op <= OPS; op++) {
            ck_assert_msg(op == 1 || writers[k].revisions[op] > writers[k].revisions[op - 1],
                          "seed %llu: op %llu of %u is out of order", (unsigned long long)seed_now,
                          (unsigned long long)op, k);
            uint64_t at = writers[k].revisions[op];
            ck_assert_msg(watcher.told[at] || watcher.hole[at], "seed %llu: %llu was not told",
                          (unsigned long long)seed_now, (unsigned long long)at);
        }
        (void)snprintf(path, sizeof(path), "/s%u/n%06u", k, OPS / 2);
        uint64_t revision = 0;
        ck_assert(node_exists(checker(), path, &revision));
        ck_assert_uint_eq(revision, writers[k].revisions[OPS / 2]);
    }
    for (uint32_t i = 0; i < LOOSE; i++) {
        (void)snprintf(path, sizeof(path), "/u/n%06u", i);
        bool there = node_exists(checker(), path, NULL);
        ck_assert_msg(loose.fates[i] != FATE_APPLIED || there, "seed %llu: %s was acknowledged",
                      (unsigned long long)seed_now, path);
        ck_assert_msg(loose.fates[i] != FATE_REFUSED || !there, "seed %llu: %s was refused",
                      (unsigned long long)seed_now, path);
    }
}

static void run_seed(uint64_t seed, bool bad_network)
{
    struct cluster_options o;
    cluster_options_init(&o, 3);
    o.seed = rng = seed_now = seed;
    o.node.snapshot_entries = 100 + rnd(300);
    o.node.slice_records = (uint32_t)(1 + rnd(30));
    o.node.digest_entries = 20 + rnd(200);
    o.node.digest_interval_ns = 0;
    o.node.raft.log_slots = 4096;
    o.node.raft.chunk_bytes = 4096;
    if (bad_network) {
        o.loss_percent = 3;
        o.duplicate_percent = 3;
        o.reorder_percent = 5;
    }
    begin(&o);
    uint64_t next_fault = cluster_now(cl) + 200 * CLUSTER_MS;
    uint64_t calm = cluster_now(cl) + 25 * CLUSTER_S;
    while (cluster_now(cl) < calm) {
        step_all();
        if (cluster_now(cl) >= next_fault) {
            fault();
            next_fault = cluster_now(cl) + (50 + rnd(900)) * CLUSTER_MS;
        }
    }
    cluster_mend(cl);
    uint64_t limit = cluster_now(cl) + 60 * CLUSTER_S;
    while (!finished() && cluster_now(cl) < limit) {
        step_all();
    }
    ck_assert_msg(finished(), "seed %llu: no progress after the faults", (unsigned long long)seed);
    client_close(reg.w);
    ck_assert_msg(cluster_wait_equal(cl, 30 * CLUSTER_S), "seed %llu: members differ",
                  (unsigned long long)seed);
    for (int i = 0; i < 100; i++) {
        watcher_step();
        cluster_run(cl, 50 * CLUSTER_MS);
    }
    ck_assert_uint_gt(reg.reads_ok, 100);
    uint32_t agreed = 0;
    for (raft_id k = 1; k <= 3; k++) {
        agreed += cluster_log_count(cl, k, "states agree");
        ck_assert_uint_eq(cluster_log_count(cl, k, "diverged"), 0);
        ck_assert_uint_eq(cluster_log_count(cl, k, "differ"), 0);
    }
    ck_assert_uint_gt(agreed, 0);
    check_everything();
    cluster_destroy(cl);
}

START_TEST(seeds)
{
    const char *one = getenv("SEED");
    uint64_t seed = one != NULL ? strtoull(one, NULL, 10) : 0;
    if (seed != 0) {
        run_seed(seed, seed % 2 == 1);
        return;
    }
    for (uint64_t i = 0; i < 4; i++) {
        seed = (uint64_t)_i * 4 + i + 1;
        run_seed(seed, seed % 2 == 1);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_chaos");
    TCase *t = tcase_create("random faults");
    const char *rounds = getenv("ROUNDS");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, seeds, 0, rounds != NULL ? (int)strtol(rounds, NULL, 10) : 4);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
