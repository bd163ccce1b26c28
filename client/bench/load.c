/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load.c: see load.h.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/bench/clock.h"
#include "client/bench/descriptors.h"
#include "client/bench/load.h"
#include "client/bench/report.h"

#define TURN_NS_MAX      (100 * BENCH_NS_PER_MS)
#define LIB_DESCRIPTORS  5u  /* of a handle: its socket, and what it waits with */
#define FIRE_AT_ONCE_MAX 256 /* requests that are due, between two looks at what came back */
#define STUCK_NS         (2 * BENCH_NS_PER_S) /* beyond the time a request may take */

/* --- what a shot asks for ------------------------------------------------------------------------ */

/* text behind `at`, as decimal; snprintf would be a tenth of the whole client. */
static size_t put_number(char *path, size_t at, uint64_t n)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (count > 0) {
        path[at++] = digits[--count];
    }
    path[at] = '\0';
    return at;
}

static size_t put_head(char *path, char kind)
{
    memcpy(path, "/bench/", 7);
    path[7] = kind;
    return 8;
}

static void own_path(const struct shot *s, bool moved, char path[LOAD_PATH_BYTES])
{
    size_t at = put_number(path, put_head(path, 'r'), s->lane->load->run_id);

    path[at++] = '-';
    at = put_number(path, at, s->index);
    path[at++] = moved ? 'b' : 'a';
    path[at] = '\0';
}

void load_path(const struct shot *s, char path[LOAD_PATH_BYTES])
{
    size_t at = 0;

    switch (s->action) {
    case ACTION_CREATE:
    case ACTION_DELETE:
        at = put_number(path, put_head(path, 'c'), s->lane->load->run_id);
        path[at++] = '-';
        (void)put_number(path, at, s->name);
        break;
    case ACTION_CREATE_OWN:
    case ACTION_RENAME:
        own_path(s, s->action == ACTION_RENAME && s->own_moved, path);
        break;
    case ACTION_CREATE_NEXT:
        at = put_number(path, put_head(path, 's'), s->lane->load->run_id);
        path[at++] = '-'; /* the number follows */
        path[at] = '\0';
        break;
    case ACTION_LIST:
    case ACTION_USAGE:
        memcpy(path, "/bench", 7);
        break;
    default:
        (void)put_number(path, put_head(path, s->action == ACTION_INCREMENT ? 'n' : 'k'), s->key);
        break;
    }
}

void load_path2(const struct shot *s, char path[LOAD_PATH_BYTES])
{
    if (s->action == ACTION_RENAME) {
        own_path(s, !s->own_moved, path);
    } else {
        (void)put_number(path, put_head(path, 'k'), s->key2);
    }
}

size_t load_value_bytes(struct load *l)
{
    return (size_t)pick_between(&l->pick, l->plan->value_min, l->plan->value_max);
}

/* --- shots --------------------------------------------------------------------------------------- */

static void park(struct shot *s)
{
    s->next = s->lane->parked;
    s->lane->parked = s;
}

static void refused(struct load *l, int error)
{
    l->errors += l->measuring ? 1 : 0;
    l->first_error = l->first_error != 0 ? l->first_error : error;
    l->stopping = true; /* refused here, so it would be refused for ever */
}

/* Have the transport do it. The shot is under way afterwards, or parked. */
static void act(struct shot *s, enum bench_action action)
{
    struct load *l = s->lane->load;

    s->action = action;
    if (action == ACTION_CREATE) {
        s->name = l->next_name++;
    }
    int rc = l->transport->act(l, s);
    if (rc == 0) {
        l->under_way++;
    } else if (rc == COORD_EAGAIN) {
        park(s);
    } else {
        refused(l, rc);
    }
}

static void begin(struct shot *s, uint64_t due_ns)
{
    struct load *l = s->lane->load;
    const struct bench_op_row *row = NULL;

    s->due_ns = due_ns;
    s->op = mix_pick(&l->plan->mix, &l->pick);
    s->key = pick_key(&l->pick);
    s->key2 = s->op == BENCH_TXN ? pick_key(&l->pick) : 0;
    row = bench_op_row(s->op);
    act(s, s->op == BENCH_RENAME && !s->own_made ? ACTION_CREATE_OWN : row->first);
}

static void push_free(struct load *l, struct shot *s)
{
    s->next = NULL;
    if (l->free_last != NULL) {
        l->free_last->next = s;
    } else {
        l->free_first = s;
    }
    l->free_last = s;
}

static struct shot *pop_free(struct load *l)
{
    struct shot *s = l->free_first;

    if (s != NULL) {
        l->free_first = s->next;
        l->free_last = l->free_first != NULL ? l->free_last : NULL;
    }
    return s;
}

/* What follows an action that was done well. Return: ACTION_NONE when the operation is complete. */
static enum bench_action following(struct shot *s, uint64_t now_ns)
{
    struct load *l = s->lane->load;
    const struct bench_op_row *row = bench_op_row(s->op);
    bool uncounted =
        s->action == ACTION_CREATE_OWN || (row->counts_second && s->action == row->first);

    if (s->action == ACTION_CREATE_OWN) {
        s->own_made = true;
    } else if (s->action == ACTION_RENAME) {
        s->own_moved = !s->own_moved;
    }
    if (uncounted) {
        l->extra += l->measuring ? 1 : 0;
        s->due_ns = l->plan->rate == 0 ? now_ns : s->due_ns;
    }
    if (s->action == ACTION_CREATE_OWN) {
        return row->first;
    }
    return s->action == row->first ? row->second : ACTION_NONE;
}

static void count(struct load *l, const struct shot *s, int error, uint64_t now_ns)
{
    /* An answer that was there before the request was due: the clock was read once for many. */
    uint64_t took = now_ns > s->due_ns ? now_ns - s->due_ns : 0;

    if (error != 0) {
        l->errors++;
    } else {
        l->done++;
        l->done_of[s->op]++;
        series_add(&l->series, now_ns > l->series.last_ns ? now_ns : l->series.last_ns);
    }
    histogram_add(l->all, took);
    if (l->of[s->op] != NULL) {
        histogram_add(l->of[s->op], took);
    }
    if (l->plan->ops != 0 && l->done + l->errors >= l->plan->ops) {
        l->to_ns = now_ns;
        l->stopping = true;
    }
}

void load_done(struct load *l, struct shot *s, int error, uint64_t now_ns)
{
    assert(l->under_way > 0);
    l->under_way--;
    l->ended_ns = now_ns;
    if (error == 0) {
        enum bench_action next = following(s, now_ns);
        if (next != ACTION_NONE && !l->stopping) {
            act(s, next);
            return;
        }
    } else if (l->first_error == 0 && error != COORD_ECLOSED) {
        l->first_error = error;
    }
    if (l->measuring && (!l->stopping || l->draining)) {
        count(l, s, error, now_ns);
    }
    if (s->lane->down) {
        s->action = ACTION_NONE;
        park(s);
    } else if (l->plan->rate != 0 || l->stopping) {
        push_free(l, s);
    } else {
        begin(s, now_ns);
    }
}

void load_up(struct lane *lane)
{
    struct load *l = lane->load;
    struct shot *s = lane->parked;

    lane->down = false;
    lane->parked = NULL;
    while (s != NULL) {
        struct shot *next = s->next;
        if (s->action != ACTION_NONE && !l->stopping) {
            act(s, s->action); /* it was due long ago, and its latency says so */
        } else if (l->plan->rate != 0 || l->stopping) {
            push_free(l, s);
        } else {
            begin(s, bench_now());
        }
        s = next;
    }
}

/* --- the run ------------------------------------------------------------------------------------- */

/* Open loop: send what is due. */
static void fire_due(struct load *l, uint64_t now)
{
    uint64_t due = 0;

    for (int i = 0; i < FIRE_AT_ONCE_MAX && l->free_first != NULL && !l->stopping &&
                    pace_take(&l->pace, now, &due);
         i++) {
        begin(pop_free(l), due);
    }
}

/* A run that ends by a count would never end once nobody is there to be asked: what is under way ends in time, and
 * what waits for its lane does not. */
static bool stuck(const struct load *l, uint64_t now)
{
    return l->measuring && l->plan->ops != 0 &&
           now > l->ended_ns + l->cli->call.timeout_ms * BENCH_NS_PER_MS + STUCK_NS;
}

static int run_until(struct load *l, uint64_t end_ns)
{
    uint64_t told_ns = bench_now(), told_done = l->done, before = told_ns;

    for (uint64_t now = told_ns; now < end_ns && !l->stopping; now = bench_now()) {
        uint64_t next = now + TURN_NS_MAX < end_ns ? now + TURN_NS_MAX : end_ns;
        if (l->plan->rate != 0) {
            fire_due(l, now);
            uint64_t due = pace_due(&l->pace);
            next = l->free_first != NULL && due < next ? due : next;
        }
        int rc = l->transport->turn(l, next > now ? next - now : 0);
        if (rc < 0) {
            return cli_fail(l->cli, "bench", rc, NULL);
        }
        if (l->measuring && report_due(&told_ns, now)) {
            report_progress(l, now, now - before, l->done - told_done);
            before = now;
            told_done = l->done;
        }
        if (stuck(l, now)) {
            l->first_error = l->first_error != 0 ? l->first_error : COORD_ECONNECT;
            l->stopping = true;
        }
    }
    return EXIT_DONE;
}

/* The end of an open loop: what is under way is awaited, and what was due by then but not sent has waited too. */
static int run_out(struct load *l)
{
    uint64_t end = l->to_ns, due = 0;
    uint64_t give_up = end + l->cli->call.timeout_ms * BENCH_NS_PER_MS + BENCH_NS_PER_S;
    int rc = 0;

    while (pace_due(&l->pace) < end && l->free_first != NULL && !l->stopping) {
        fire_due(l, end - 1); /* became due since it was last looked at */
    }
    l->stopping = true;
    l->draining = true;
    while (pace_take(&l->pace, end, &due)) {
        if (due < end) {
            l->unsent++;
            histogram_add(l->all, end - due);
        }
    }
    while (rc >= 0 && l->under_way > 0 && bench_now() < give_up) {
        rc = l->transport->turn(l, TURN_NS_MAX);
    }
    return rc < 0 ? cli_fail(l->cli, "bench", rc, NULL) : EXIT_DONE;
}

static int measure(struct load *l)
{
    double cpu = cpu_seconds(&l->servers), own = cpu_own_seconds();
    bool no_end = l->plan->ops != 0 && !l->plan->secs_given;

    l->measuring = true;
    l->from_ns = bench_now();
    l->ended_ns = l->from_ns;
    if (!series_init(&l->series, l->from_ns)) {
        fputs("coordctl: no memory for the load\n", stderr);
        return EXIT_OTHER;
    }
    int rc = run_until(l, no_end ? UINT64_MAX : l->from_ns + l->plan->secs * BENCH_NS_PER_S);
    l->to_ns = l->to_ns != 0 ? l->to_ns : bench_now();
    double cpu_end = cpu_seconds(&l->servers);
    l->servers_cpu = l->servers.count > 0 && cpu >= 0 && cpu_end >= 0 ? cpu_end - cpu : -1;
    l->own_cpu = cpu_own_seconds() - own;
    if (rc == EXIT_DONE && l->plan->rate != 0 && (l->plan->ops == 0 || !l->stopping)) {
        rc = run_out(l);
    }
    l->measuring = false;
    series_end(&l->series, l->to_ns > l->series.last_ns ? l->to_ns : l->series.last_ns);
    return rc;
}

static int run(struct load *l)
{
    const struct plan *p = l->plan;
    uint64_t now = bench_now(), shots = p->conns * p->outstanding;

    if (p->rate != 0) {
        pace_init(&l->pace, now, p->rate);
    }
    for (uint64_t i = 0; i < shots && !l->stopping; i++) {
        if (p->rate != 0) {
            push_free(l, &l->shots[i]);
        } else {
            begin(&l->shots[i], bench_now());
        }
    }
    int rc = run_until(l, now + p->warmup * BENCH_NS_PER_S);
    rc = rc != EXIT_DONE ? rc : measure(l);
    report_progress_end();
    return rc;
}

static bool allocate(struct load *l)
{
    const struct plan *p = l->plan;
    uint64_t shots = p->conns * p->outstanding;
    bool fine = true;

    l->lanes = calloc(p->conns, sizeof *l->lanes);
    l->shots = calloc(shots, sizeof *l->shots);
    l->value = malloc(p->value_max + 1);
    l->all = calloc(1, sizeof *l->all);
    for (unsigned i = 0; i < BENCH_OPS && mix_count(&p->mix) > 1; i++) {
        l->of[i] = p->mix.weights[i] > 0 ? calloc(1, sizeof *l->all) : NULL;
        fine = fine && (p->mix.weights[i] == 0 || l->of[i] != NULL);
    }
    if (!fine || l->lanes == NULL || l->shots == NULL || l->value == NULL || l->all == NULL) {
        fputs("coordctl: no memory for the load\n", stderr);
        return false;
    }
    memset(l->value, 'x', p->value_max + 1);
    for (uint64_t i = 0; i < shots; i++) {
        l->shots[i].index = (uint32_t)i;
        l->shots[i].lane = &l->lanes[i % p->conns]; /* in turn, so that an open loop spreads */
    }
    for (uint64_t i = 0; i < p->conns; i++) {
        l->lanes[i].load = l;
    }
    return true;
}

void load_destroy(struct load *l)
{
    if (l == NULL) {
        return;
    }
    free(l->lanes);
    free(l->shots);
    free(l->value);
    free(l->all);
    for (unsigned i = 0; i < BENCH_OPS; i++) {
        free(l->of[i]);
    }
    series_finish(&l->series);
    free(l);
}

struct load *load_create(struct cli *cli, const struct plan *plan,
                         const struct transport *transport)
{
    struct load *l = calloc(1, sizeof *l);

    if (l == NULL) {
        return NULL;
    }
    l->cli = cli;
    l->plan = plan;
    l->transport = transport;
    /* Names of created nodes: unlike those of another run beside or before this one. */
    l->run_id = bench_now() ^ ((uint64_t)getpid() << 40);
    pick_init(&l->pick, plan->keys_kind, plan->keys_param, plan->keys,
              plan->seed != 0 ? plan->seed : l->run_id);
    if (!allocate(l)) {
        load_destroy(l);
        return NULL;
    }
    return l;
}

int load_execute(struct load *l)
{
    int rc = l->transport->start(l);

    rc = rc != EXIT_DONE ? rc : run(l);
    l->stopping = true;
    l->measuring = false;
    l->transport->stop(l);
    return rc;
}

int load_run(struct cli *cli, const struct plan *plan)
{
    struct load *l = load_create(cli, plan, plan->wire ? &lane_wire : &lane_lib);
    int rc = l != NULL ? EXIT_DONE : EXIT_OTHER;

    rc = rc != EXIT_DONE ? rc : descriptors_need(plan->conns * (plan->wire ? 1 : LIB_DESCRIPTORS));
    rc = rc != EXIT_DONE || plan->no_prepare ? rc : load_prepare(cli, plan);
    if (rc == EXIT_DONE) {
        (void)cpu_find(cli->options.servers, &l->servers); /* what is not found is not told */
        rc = load_execute(l);
    }
    if (rc == EXIT_DONE) {
        report_load(l);
        rc = l->first_error != 0 ? cli_fail(cli, "the first error", l->first_error, NULL) : rc;
    }
    load_destroy(l);
    return rc;
}
