/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_bench.c: bench: a load of one kind on many connections of one thread, its throughput and latency.
 *
 * Closed loop: each connection keeps `outstanding` requests under way; latency counts from the call. Open loop
 * (--rate): requests become due at a fixed pace whatever the servers do, and latency counts from when each was
 * due, so that a stall is seen by all that had to wait for it (no coordinated omission).
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "client/cli/args.h"
#include "client/cli/cli.h"
#include "client/cli/commands.h"
#include "client/cli/histogram.h"
#include "client/cli/json.h"

#define NS_PER_S        1000000000ull
#define EVENTS_PER_TURN 64
#define VALUE_BYTES_MAX (1024 * 1024)

enum bench_op { BENCH_SET, BENCH_CREATE, BENCH_GET, BENCH_MIXED };

struct bench;

/* One connection. */
struct lane {
    struct bench *bench;
    struct coord *c;
    uint32_t under_way;
    bool set_up; /* its session is open */
};

/* One request under way; from a free list. */
struct shot {
    struct lane *lane;
    struct shot *next_free;
    uint64_t due_ns; /* latency counts from here */
};

struct bench {
    struct cli *cli;
    /* what was asked */
    const char *op_text;
    enum bench_op op;
    uint64_t read_percent;
    uint64_t conns, outstanding, value_bytes, keys, secs, warmup, ops, rate;
    /* the state */
    struct lane *lanes;
    struct shot *shots, *free_shots;
    char *value;
    int epoll;
    uint64_t random;
    uint64_t next_name; /* of CREATE, unique in this run */
    uint64_t run_id;
    uint64_t under_way;
    uint64_t next_due_ns; /* open loop */
    bool stopping;
    bool measuring;
    /* the result */
    uint64_t measure_from_ns, measure_to_ns;
    uint64_t done, errors;
    int first_error;
    struct histogram histogram; /* microseconds */
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* xorshift64*: picks keys; nothing depends on its quality. */
static uint64_t next_random(struct bench *b)
{
    b->random ^= b->random >> 12;
    b->random ^= b->random << 25;
    b->random ^= b->random >> 27;
    return b->random * 2685821657736338717ull;
}

static void fire(struct lane *lane, uint64_t due_ns);

static void on_reply(struct coord *c, const struct coord_reply *r, void *arg)
{
    struct shot *s = arg;
    struct lane *lane = s->lane;
    struct bench *b = lane->bench;

    (void)c; /* the lane has it */
    lane->under_way--;
    b->under_way--;
    if (b->measuring && !b->stopping) {
        uint64_t now = now_ns();
        b->done += r->error == 0 ? 1 : 0;
        b->errors += r->error == 0 ? 0 : 1;
        histogram_add(&b->histogram, (now - s->due_ns) / 1000);
        if (b->ops != 0 && b->done + b->errors >= b->ops) {
            b->measure_to_ns = now;
            b->stopping = true;
        }
    }
    if (r->error != 0 && b->first_error == 0 && r->error != COORD_ECLOSED) {
        b->first_error = r->error;
    }
    s->next_free = b->free_shots;
    b->free_shots = s;
    if (!b->stopping && b->rate == 0) {
        fire(lane, 0);
    }
}

/* Make one request of the asked kind. */
static int request(struct lane *lane, struct shot *s)
{
    struct bench *b = lane->bench;
    char path[64];
    bool read =
        b->op == BENCH_GET || (b->op == BENCH_MIXED && next_random(b) % 100 < b->read_percent);

    if (b->op == BENCH_CREATE) {
        (void)snprintf(path, sizeof path, "/bench/c%" PRIx64 "-%" PRIu64, b->run_id,
                       b->next_name++);
        return coord_create(lane->c, path, b->value, b->value_bytes, &b->cli->call, on_reply, s);
    }
    (void)snprintf(path, sizeof path, "/bench/k%" PRIu64, next_random(b) % b->keys);
    if (read) {
        return coord_get(lane->c, path, &b->cli->call, on_reply, s);
    }
    return coord_set(lane->c, path, b->value, b->value_bytes, &b->cli->call, on_reply, s);
}

/* Send one request on a lane. due_ns 0: due now. */
static void fire(struct lane *lane, uint64_t due_ns)
{
    struct bench *b = lane->bench;
    struct shot *s = b->free_shots;

    if (s == NULL) {
        return; /* as many as asked for are under way */
    }
    s->lane = lane;
    s->due_ns = due_ns != 0 ? due_ns : now_ns();
    int rc = request(lane, s);
    if (rc != 0) {
        b->errors += b->measuring ? 1 : 0;
        b->first_error = b->first_error != 0 ? b->first_error : rc;
        b->stopping = true; /* refused here, so it would be refused for ever */
        return;
    }
    b->free_shots = s->next_free;
    lane->under_way++;
    b->under_way++;
}

/* Open loop: fire what has become due, on the lane with the least under way. */
static void fire_due(struct bench *b, uint64_t now)
{
    uint64_t gap = NS_PER_S / b->rate;

    while (b->next_due_ns <= now && b->free_shots != NULL && !b->stopping) {
        struct lane *best = &b->lanes[0];
        for (uint64_t i = 1; i < b->conns; i++) {
            best = b->lanes[i].under_way < best->under_way ? &b->lanes[i] : best;
        }
        fire(best, b->next_due_ns);
        b->next_due_ns += gap > 0 ? gap : 1;
    }
}

/* Wait and dispatch the lanes that have something to do. Return: 0 or an error. */
static int turn(struct bench *b, int timeout_ms)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(b->epoll, events, EVENTS_PER_TURN, timeout_ms);

    for (int i = 0; i < n; i++) {
        struct lane *lane = events[i].data.ptr;
        int rc = coord_dispatch(lane->c);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

/* --- preparation ------------------------------------------------------------------------------- */

static int make_node(struct bench *b, struct coord *c, const char *path, const void *value,
                     size_t bytes)
{
    struct coord_reply *r = NULL;
    int error = coord_create_sync(c, path, value, bytes, &b->cli->call, &r);
    int rc = EXIT_DONE;

    if (error != 0 && error != COORD_EEXISTS) {
        rc = cli_fail(b->cli, path, error, r);
    }
    coord_reply_free(r);
    return rc;
}

static void on_prepared(struct coord *c, const struct coord_reply *r, void *arg)
{
    struct bench *b = arg;

    (void)c; /* the caller has it */
    b->under_way--;
    if (r->error != 0 && r->error != COORD_EEXISTS && b->first_error == 0) {
        b->first_error = r->error;
    }
}

/* /bench and its keys, many at a time. */
static int prepare_nodes(struct bench *b)
{
    struct coord *c = b->lanes[0].c;
    char path[64];
    int rc = make_node(b, c, "/bench", NULL, 0);

    for (uint64_t i = 0; rc == EXIT_DONE && b->op != BENCH_CREATE && i < b->keys;) {
        while (i < b->keys && b->under_way < 256) {
            (void)snprintf(path, sizeof path, "/bench/k%" PRIu64, i++);
            int error =
                coord_create(c, path, b->value, b->value_bytes, &b->cli->call, on_prepared, b);
            if (error != 0) {
                return cli_fail(b->cli, path, error, NULL);
            }
            b->under_way++;
        }
        while (b->under_way > 0 && turn(b, 100) == 0) {
        }
        if (b->first_error != 0) {
            rc = cli_fail(b->cli, "preparing /bench", b->first_error, NULL);
        }
    }
    return rc;
}

/* Lane i talks to server i modulo their number first, and to the others if that one fails. */
static char *servers_from(const char *all, uint64_t first)
{
    size_t len = strlen(all), count = 1, at = 0;
    char *out = malloc(len + 2);

    for (size_t i = 0; i < len; i++) {
        count += all[i] == ',' ? 1 : 0;
    }
    for (uint64_t skip = first % count; skip > 0; skip--) {
        at += strcspn(all + at, ",") + 1;
    }
    if (out != NULL) {
        (void)snprintf(out, len + 2, "%s%s%.*s", all + at, at > 0 ? "," : "",
                       (int)(at > 0 ? at - 1 : 0), all);
    }
    return out;
}

static int open_lane(struct bench *b, uint64_t i)
{
    struct cli one = *b->cli;
    struct lane *lane = &b->lanes[i];
    const char *all = b->cli->options.servers;
    char *servers = servers_from(all != NULL ? all : "127.0.0.1:7410", i);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = lane};

    if (servers == NULL) {
        return EXIT_OTHER;
    }
    lane->bench = b;
    one.options.servers = servers;
    one.options.in_order = true;
    int rc = cli_open(&one, &lane->c);
    free(servers);
    if (rc == EXIT_DONE && epoll_ctl(b->epoll, EPOLL_CTL_ADD, coord_fd(lane->c), &ev) != 0) {
        perror("coordctl: epoll_ctl");
        rc = EXIT_OTHER;
    }
    if (rc == EXIT_DONE && b->op != BENCH_GET) {
        int error = coord_session_open_sync(lane->c, &b->cli->call);
        rc = error != 0 ? cli_fail(b->cli, "opening a session", error, NULL) : EXIT_DONE;
    }
    return rc;
}

static int set_up(struct bench *b)
{
    uint64_t shots = b->conns * b->outstanding;

    b->lanes = calloc(b->conns, sizeof *b->lanes);
    b->shots = calloc(shots, sizeof *b->shots);
    b->value = malloc(b->value_bytes > 0 ? b->value_bytes : 1);
    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (b->lanes == NULL || b->shots == NULL || b->value == NULL || b->epoll < 0) {
        fprintf(stderr, "coordctl: no memory for the load\n");
        return EXIT_OTHER;
    }
    memset(b->value, 'x', b->value_bytes);
    for (uint64_t i = 0; i < shots; i++) {
        b->shots[i].next_free = b->free_shots;
        b->free_shots = &b->shots[i];
    }
    b->run_id = now_ns();
    b->random = b->run_id | 1;
    for (uint64_t i = 0; i < b->conns; i++) {
        int rc = open_lane(b, i);
        if (rc != EXIT_DONE) {
            return rc;
        }
    }
    return prepare_nodes(b);
}

static void tear_down(struct bench *b)
{
    b->stopping = true;
    for (uint64_t i = 0; b->lanes != NULL && i < b->conns; i++) {
        coord_close(b->lanes[i].c);
    }
    if (b->epoll >= 0) {
        (void)close(b->epoll);
    }
    free(b->lanes);
    free(b->shots);
    free(b->value);
}

/* --- the run ----------------------------------------------------------------------------------- */

static int run_until(struct bench *b, uint64_t end_ns)
{
    for (uint64_t now = now_ns(); now < end_ns && !b->stopping; now = now_ns()) {
        uint64_t next = end_ns;
        if (b->rate != 0) {
            fire_due(b, now);
            next = b->next_due_ns < end_ns ? b->next_due_ns : end_ns;
        }
        int wait_ms = next > now ? (int)((next - now) / 1000000) : 0;
        int rc = turn(b, wait_ms);
        if (rc != 0) {
            return cli_fail(b->cli, "bench", rc, NULL);
        }
    }
    return EXIT_DONE;
}

static void report(const struct bench *b)
{
    static const struct {
        const char *key;
        double share;
    } marks[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}};
    double seconds = (double)(b->measure_to_ns - b->measure_from_ns) / 1e9;
    double rate = seconds > 0 ? (double)b->done / seconds : 0;

    if (b->cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "op", b->op_text);
        json_number(&j, "conns", b->conns);
        json_number(&j, "outstanding", b->outstanding);
        json_number(&j, "value", b->value_bytes);
        json_real(&j, "secs", seconds);
        json_number(&j, "ops", b->done);
        json_real(&j, "ops_s", rate);
        for (size_t i = 0; i < 4; i++) {
            json_number(&j, marks[i].key, histogram_at(&b->histogram, marks[i].share));
        }
        json_number(&j, "max_us", b->histogram.max);
        json_number(&j, "errors", b->errors);
        json_end(&j);
        return;
    }
    printf("%s: %" PRIu64 " connections x %" PRIu64 " outstanding, %" PRIu64
           "-byte values, %.1f s\n",
           b->op_text, b->conns, b->outstanding, b->value_bytes, seconds);
    printf("  %" PRIu64 " operations, %.0f a second, %" PRIu64 " errors\n", b->done, rate,
           b->errors);
    printf("  latency in microseconds: ");
    for (size_t i = 0; i < 4; i++) {
        printf("%.*s %" PRIu64 "  ", (int)strlen(marks[i].key) - 3, marks[i].key,
               histogram_at(&b->histogram, marks[i].share));
    }
    printf("max %" PRIu64 "\n", b->histogram.max);
}

static int run(struct bench *b)
{
    uint64_t start = now_ns();

    b->next_due_ns = start;
    for (uint64_t i = 0; b->rate == 0 && i < b->conns * b->outstanding; i++) {
        fire(&b->lanes[i % b->conns], 0);
    }
    int rc = run_until(b, start + b->warmup * NS_PER_S);
    b->measuring = true;
    b->measure_from_ns = now_ns();
    if (rc == EXIT_DONE) {
        rc = run_until(b, b->ops != 0 ? UINT64_MAX : b->measure_from_ns + b->secs * NS_PER_S);
    }
    if (b->measure_to_ns == 0) {
        b->measure_to_ns = now_ns();
    }
    if (rc != EXIT_DONE) {
        return rc;
    }
    report(b);
    if (b->first_error != 0) {
        (void)cli_fail(b->cli, "the first error", b->first_error, NULL);
    }
    return b->errors == 0 && b->first_error == 0 ? EXIT_DONE : cli_exit_code(b->first_error);
}

static int parse_op(struct bench *b)
{
    if (strcmp(b->op_text, "set") == 0) {
        b->op = BENCH_SET;
    } else if (strcmp(b->op_text, "create") == 0) {
        b->op = BENCH_CREATE;
    } else if (strcmp(b->op_text, "get") == 0) {
        b->op = BENCH_GET;
    } else if (strncmp(b->op_text, "mixed:", 6) == 0 &&
               args_number(b->op_text + 6, &b->read_percent) && b->read_percent <= 100) {
        b->op = BENCH_MIXED;
    } else {
        return cli_usage("bench", "--op: '%s' is not set, create, get or mixed:PERCENT",
                         b->op_text);
    }
    return EXIT_DONE;
}

static int check_range(const char *name, uint64_t value, uint64_t min, uint64_t max)
{
    if (value < min || value > max) {
        return cli_usage("bench", "--%s: %" PRIu64 " is not between %" PRIu64 " and %" PRIu64, name,
                         value, min, max);
    }
    return EXIT_DONE;
}

static int check_ranges(const struct bench *b)
{
    int rc = check_range("conns", b->conns, 1, 20000);

    rc = rc != EXIT_DONE ? rc : check_range("outstanding", b->outstanding, 1, 4096);
    rc = rc != EXIT_DONE ? rc : check_range("value", b->value_bytes, 0, VALUE_BYTES_MAX);
    rc = rc != EXIT_DONE ? rc : check_range("keys", b->keys, 1, 10000000);
    rc = rc != EXIT_DONE ? rc : check_range("secs", b->secs, 1, 86400);
    rc = rc != EXIT_DONE ? rc : check_range("warmup", b->warmup, 0, 3600);
    return rc != EXIT_DONE ? rc : check_range("rate", b->rate, 0, 10000000);
}

int cmd_bench(struct cli *cli, int argc, char **argv)
{
    struct args a;
    struct bench *b = calloc(1, sizeof *b);

    if (b == NULL) {
        return EXIT_OTHER;
    }
    *b = (struct bench){.cli = cli,
                        .op_text = "set",
                        .conns = 16,
                        .outstanding = 1,
                        .value_bytes = 100,
                        .keys = 1000,
                        .secs = 10,
                        .warmup = 1,
                        .epoll = -1};
    const struct arg table[] = {
        {"op", 0, ARG_TEXT, &b->op_text, NULL},
        {"conns", 0, ARG_NUMBER, &b->conns, NULL},
        {"outstanding", 0, ARG_NUMBER, &b->outstanding, NULL},
        {"value", 0, ARG_NUMBER, &b->value_bytes, NULL},
        {"keys", 0, ARG_NUMBER, &b->keys, NULL},
        {"secs", 0, ARG_NUMBER, &b->secs, NULL},
        {"warmup", 0, ARG_NUMBER, &b->warmup, NULL},
        {"ops", 0, ARG_NUMBER, &b->ops, NULL},
        {"rate", 0, ARG_NUMBER, &b->rate, NULL},
    };
    int rc = args_parse(argc, argv, table, 9, false, 0, 0, &a);
    rc = rc != EXIT_DONE ? rc : parse_op(b);
    rc = rc != EXIT_DONE ? rc : check_ranges(b);
    rc = rc != EXIT_DONE ? rc : set_up(b);
    rc = rc != EXIT_DONE ? rc : run(b);
    tear_down(b);
    free(b);
    return rc;
}
