/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fan.c: see fan.h. One write at a time: the next is sent when everybody was told of the last and the writer was
 * answered (or when it is due, with --rate). Every watcher counts as told when its event was taken from its socket by
 * this thread, so the time it takes this side to read them all is part of what is told.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/bench/clock.h"
#include "client/bench/fan.h"
#include "client/bench/cpu.h"
#include "client/bench/descriptors.h"
#include "client/bench/histogram.h"
#include "client/bench/load.h"
#include "client/bench/pace.h"
#include "client/bench/report.h"
#include "client/bench/wire.h"

#define TURN_NS        (20 * BENCH_NS_PER_MS)
#define CONNECTING_MAX 256u

struct fan {
    struct cli *cli;
    const struct plan *plan;
    struct wire_set set;
    struct wire *wires; /* plan->conns of watchers, then the writer */
    char path[COORD_PATH_BYTES_MAX + 1];
    uint64_t started, up, watching;
    uint64_t sent_ns, first_ns, last_ns, acked_ns; /* of the write under way; 0: not yet */
    uint64_t told;                                 /* watchers */
    bool measuring;
    uint64_t from_ns, progress_ns; /* of what is measured; progress was told then */
    uint64_t writes, gaps, surplus;
    int error;
    struct histogram *first, *last, *ack; /* nanoseconds */
    struct cpu_servers servers;
    double servers_cpu, own_cpu, seconds;
};

static void on_up(struct wire *w)
{
    struct fan *f = w->owner;

    f->up++;
}

static void on_down(struct wire *w, int error)
{
    struct fan *f = w->owner;

    f->error = f->error != 0 ? f->error : error;
}

static void on_reply(struct wire *w, void *tag, const struct wire_reply *r)
{
    struct fan *f = w->owner;

    (void)tag;
    if (r->error != 0) {
        f->error = f->error != 0 ? f->error : r->error;
    } else if (r->op == COORD_OP_WATCH) {
        f->watching++;
    } else {
        f->acked_ns = r->now_ns;
    }
}

static void on_event(struct wire *w, const uint8_t *body, size_t bytes, uint64_t now_ns)
{
    struct fan *f = w->owner;
    struct coord_event ev;
    char why[128];
    int rc = coord_event_decode(body, bytes, &ev, why, sizeof why);

    if (rc != 0) {
        f->error = rc;
        return;
    }
    if (ev.state == COORD_EVENT_PROGRESS) {
        return;
    }
    f->gaps += ev.state == COORD_EVENT_GAP ? 1 : 0;
    f->surplus += f->told == f->plan->watchers ? 1 : 0;
    f->first_ns = f->told == 0 ? now_ns : f->first_ns;
    f->last_ns = now_ns;
    f->told++;
}

static const struct wire_handlers handlers = {on_up, on_down, on_reply, on_event};

/* --- setting up ---------------------------------------------------------------------------------- */

static uint64_t deadline(const struct fan *f)
{
    return bench_now() + f->cli->call.timeout_ms * BENCH_NS_PER_MS;
}

/* Watches of connection i. */
static uint64_t watches_of(const struct fan *f, uint64_t i)
{
    return f->plan->watchers / f->plan->conns + (i < f->plan->watchers % f->plan->conns ? 1 : 0);
}

static int connect_all(struct fan *f)
{
    uint64_t count = f->plan->conns + 1, give_up = deadline(f);

    while (f->up < count && f->error == 0) {
        while (f->started < count && f->started - f->up < CONNECTING_MAX && f->error == 0) {
            struct wire *w = &f->wires[f->started];
            if (!wire_init(w, &f->set, (uint32_t)f->started, (uint32_t)watches_of(f, f->started),
                           f)) {
                return COORD_ENOMEM;
            }
            f->started++;
            f->error = wire_connect(w);
        }
        int rc = wire_set_turn(&f->set, TURN_NS);
        if (rc < 0 || bench_now() > give_up) {
            return rc < 0 ? rc : COORD_ETIMEOUT;
        }
    }
    return f->error;
}

static int watch_all(struct fan *f)
{
    uint64_t give_up = deadline(f);

    for (uint64_t i = 0; i < f->plan->conns; i++) {
        for (uint64_t k = 1; k <= watches_of(f, i); k++) {
            struct coord_request q = {.op = COORD_OP_WATCH,
                                      .watch = k,
                                      .path = {(const uint8_t *)f->path, (uint32_t)strlen(f->path)},
                                      .depth = COORD_DEPTH_NODE,
                                      .kinds = COORD_CHANGE_CHANGED};
            int rc = wire_send(&f->wires[i], &q, NULL);
            if (rc != 0) {
                return rc;
            }
        }
    }
    while (f->watching < f->plan->watchers && f->error == 0) {
        int rc = wire_set_turn(&f->set, TURN_NS);
        if (rc < 0 || bench_now() > give_up) {
            return rc < 0 ? rc : COORD_ETIMEOUT;
        }
    }
    return f->error;
}

static int set_up(struct fan *f)
{
    const char *prefix = f->cli->options.prefix;
    struct coord *c = NULL;
    struct coord_reply *r = NULL;

    (void)snprintf(f->path, sizeof f->path, "%s/bench/fan",
                   prefix != NULL && strcmp(prefix, "/") != 0 ? prefix : "");
    if (cli_open(f->cli, &c) != EXIT_DONE) {
        return COORD_EINVAL;
    }
    int error = coord_create_sync(c, "/bench/fan", "x", 1, &f->cli->call, &r);
    error = error == COORD_EEXISTS ? 0 : error;
    coord_reply_free(r);
    coord_close(c);
    error = error != 0 ? error : connect_all(f);
    return error != 0 ? error : watch_all(f);
}

/* --- the run ------------------------------------------------------------------------------------- */

/* One write, until everybody knows. */
static int write_once(struct fan *f, const char *value)
{
    struct coord_request q = {.op = COORD_OP_SET,
                              .path = {(const uint8_t *)f->path, (uint32_t)strlen(f->path)},
                              .data = {(const uint8_t *)value, (uint32_t)f->plan->value_min},
                              .expect_version = COORD_VERSION_ANY};
    uint64_t give_up = deadline(f);

    f->told = 0;
    f->acked_ns = 0;
    f->sent_ns = bench_now();
    int rc = wire_send(&f->wires[f->plan->conns], &q, NULL);
    while (rc >= 0 && f->error == 0 && (f->told < f->plan->watchers || f->acked_ns == 0)) {
        rc = wire_set_turn(&f->set, TURN_NS);
        if (rc >= 0 && bench_now() > give_up) {
            rc = COORD_ETIMEOUT;
        }
    }
    if (rc < 0 || f->error != 0) {
        return rc < 0 ? rc : f->error;
    }
    if (f->measuring) {
        f->writes++;
        histogram_add(f->first, f->first_ns - f->sent_ns);
        histogram_add(f->last, f->last_ns - f->sent_ns);
        histogram_add(f->ack, f->acked_ns - f->sent_ns);
    }
    return 0;
}

/* Write until then, or until so many were written. */
static int write_until(struct fan *f, const char *value, uint64_t end_ns, uint64_t writes_max)
{
    struct pace pace;
    uint64_t due = 0;
    int rc = 0;

    pace_init(&pace, bench_now(), f->plan->rate != 0 ? f->plan->rate : 1);
    while (rc >= 0 && bench_now() < end_ns && (writes_max == 0 || f->writes < writes_max)) {
        uint64_t now = bench_now();
        if (f->measuring && report_due(&f->progress_ns, now)) {
            report_line("%4.0f s  %" PRIu64 " writes  the last told: p99 %8.0f us ",
                        (double)(now - f->from_ns) / 1e9, f->writes,
                        (double)histogram_at(f->last, 0.99) / 1000);
        }
        if (f->plan->rate != 0 && !pace_take(&pace, now, &due)) {
            rc = wire_set_turn(&f->set, pace_due(&pace) - now);
            continue;
        }
        rc = write_once(f, value);
    }
    return rc < 0 ? rc : 0;
}

static int run(struct fan *f)
{
    const struct plan *p = f->plan;
    char *value = malloc(p->value_min + 1);

    if (value == NULL) {
        return COORD_ENOMEM;
    }
    memset(value, 'x', p->value_min + 1);
    int rc = write_until(f, value, bench_now() + p->warmup * BENCH_NS_PER_S, 0);
    double cpu = cpu_seconds(&f->servers), own = cpu_own_seconds();
    f->from_ns = f->progress_ns = bench_now();
    f->measuring = true;
    uint64_t end =
        p->ops != 0 && !p->secs_given ? UINT64_MAX : f->from_ns + p->secs * BENCH_NS_PER_S;
    rc = rc != 0 ? rc : write_until(f, value, end, p->ops);
    report_progress_end();
    f->seconds = (double)(bench_now() - f->from_ns) / 1e9;
    double cpu_end = cpu_seconds(&f->servers);
    f->servers_cpu = f->servers.count > 0 && cpu >= 0 && cpu_end >= 0 ? cpu_end - cpu : -1;
    f->own_cpu = cpu_own_seconds() - own;
    free(value);
    return rc;
}

static void report(const struct fan *f)
{
    const struct plan *p = f->plan;

    if (f->cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, "op", "watch");
        json_number(&j, "watchers", p->watchers);
        json_number(&j, "conns", p->conns);
        json_number(&j, "value", p->value_min);
        json_real(&j, "secs", f->seconds);
        json_number(&j, "writes", f->writes);
        json_number(&j, "gaps", f->gaps);
        json_number(&j, "surplus", f->surplus);
        report_latency_json(&j, "ack_", f->ack);
        report_latency_json(&j, "first_", f->first);
        report_latency_json(&j, "last_", f->last);
        if (f->servers_cpu >= 0) {
            json_decimal(&j, "server_cpu_s", f->servers_cpu, 2);
        }
        json_decimal(&j, "client_cpu_s", f->own_cpu, 2);
        json_end(&j);
        return;
    }
    printf("watch: %" PRIu64 " watchers on %" PRIu64 " connections, %" PRIu64 " writes in %.1f s\n",
           p->watchers, p->conns, f->writes, f->seconds);
    printf("  microseconds from sending a write until\n  the writer was answered:    ");
    report_latency_text(f->ack);
    printf("  the first watcher was told: ");
    report_latency_text(f->first);
    printf("  the last watcher was told:  ");
    report_latency_text(f->last);
    if (f->servers_cpu >= 0) {
        printf("  CPU of %zu local servers: %.2f s\n", f->servers.count, f->servers_cpu);
    }
    printf("  CPU of this client: %.2f s\n", f->own_cpu);
}

int fan_run(struct cli *cli, const struct plan *plan)
{
    struct fan *f = calloc(1, sizeof *f);
    struct plan p = *plan;
    int rc = f != NULL ? descriptors_need(plan->conns + 1) : EXIT_OTHER;

    rc = rc != EXIT_DONE ? rc : load_prepare(cli, plan);

    if (rc != EXIT_DONE) {
        free(f);
        return rc;
    }
    p.conns = p.conns < p.watchers ? p.conns : p.watchers;
    f->cli = cli;
    f->plan = &p;
    f->set.epoll = -1;
    f->wires = calloc(p.conns + 1, sizeof *f->wires);
    f->first = calloc(1, sizeof *f->first);
    f->last = calloc(1, sizeof *f->last);
    f->ack = calloc(1, sizeof *f->ack);
    (void)cpu_find(cli->options.servers, &f->servers); /* what is not found is not told */
    int error = f->wires != NULL && f->first != NULL && f->last != NULL && f->ack != NULL &&
                        wire_set_init(&f->set, cli->options.servers, &handlers)
                    ? 0
                    : COORD_ENOMEM;
    f->set.sources = (uint32_t)p.sources;
    error = error != 0 ? error : set_up(f);
    error = error != 0 ? error : run(f);
    if (error == 0) {
        report(f);
    } else {
        rc = cli_fail(cli, "watching", error, NULL);
    }
    for (uint64_t i = 0; i < f->started; i++) {
        wire_finish(&f->wires[i]);
    }
    wire_set_finish(&f->set);
    free(f->wires);
    free(f->first);
    free(f->last);
    free(f->ack);
    free(f);
    return rc;
}
