/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idle.c: see idle.h.
 *
 * Session i is pinged at i * T/3n, then each T/3 (T its timeout, n sessions), so pings come evenly. A session that is
 * lost is counted and not opened again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "client/bench/clock.h"
#include "client/bench/cpu.h"
#include "client/bench/descriptors.h"
#include "client/bench/histogram.h"
#include "client/bench/idle.h"
#include "client/bench/member.h"
#include "client/bench/pace.h"
#include "client/bench/report.h"
#include "client/bench/wire.h"

#define TURN_NS        (20 * BENCH_NS_PER_MS)
#define CONNECTING_MAX 128u

struct idle {
    struct cli *cli;
    const struct plan *plan;
    struct wire_set set;
    struct wire *wires;
    uint64_t *pinged_ns; /* of each session: the ping under way; 0: none */
    struct pace pings;
    bool measuring;
    uint64_t started, up, lost,
        late; /* sessions; late: pings that were due while the last was under way */
    uint64_t pinged, answered;
    int error;
    uint64_t progress_ns; /* was told then */
    double open_seconds;
    struct histogram *ping; /* nanoseconds */
    struct cpu_servers servers;
    double servers_cpu, own_cpu, seconds, open_cpu;
    struct member_facts before[TARGETS_MAX], after[TARGETS_MAX];
};

static void on_up(struct wire *w)
{
    struct idle *d = w->owner;

    d->up++;
}

static void on_down(struct wire *w, int error)
{
    struct idle *d = w->owner;

    d->error = d->error != 0 ? d->error : error;
    d->lost++;
}

static void on_reply(struct wire *w, void *tag, const struct wire_reply *r)
{
    struct idle *d = w->owner;
    uint64_t *sent = tag;

    if (d->measuring && r->error == 0 && *sent != 0) {
        d->answered++;
        histogram_add(d->ping, r->now_ns > *sent ? r->now_ns - *sent : 0);
    } else if (r->error != 0) {
        d->error = d->error != 0 ? d->error : r->error;
        d->lost += r->body != NULL ? 1 : 0; /* else `down` counts it */
    }
    *sent = 0;
}

static void on_event(struct wire *w, const uint8_t *body, size_t bytes, uint64_t now_ns)
{
    (void)w; /* nothing is watched here */
    (void)body;
    (void)bytes;
    (void)now_ns;
}

static uint64_t third_ms(const struct plan *p)
{
    return p->session_timeout_ms / 3;
}

static const struct wire_handlers handlers = {on_up, on_down, on_reply, on_event};

/* The pings that are due; sessions that are not open yet wait for their next turn. */
static void ping_due(struct idle *d, uint64_t now)
{
    uint64_t due = 0;

    for (int burst = 0; burst < 256; burst++) {
        uint64_t i = d->pings.next % d->plan->sessions;
        struct coord_request q = {.op = COORD_OP_PING, .level_arg = third_ms(d->plan)};
        if (!pace_take(&d->pings, now, &due)) {
            return;
        }
        if (i >= d->started || d->wires[i].state != WIRE_READY) {
            continue;
        }
        if (d->pinged_ns[i] != 0) {
            d->late++;
            continue;
        }
        if (wire_send(&d->wires[i], &q, &d->pinged_ns[i]) == 0) {
            d->pinged_ns[i] = due;
            d->pinged += d->measuring ? 1 : 0;
        }
    }
}

/* Keep all alive until something happens or `end_ns`. */
static int turn(struct idle *d, uint64_t end_ns)
{
    uint64_t now = bench_now();

    ping_due(d, now);
    if (report_due(&d->progress_ns, now)) {
        report_line("%" PRIu64 " of %" PRIu64 " sessions  %" PRIu64 " lost  %" PRIu64 " pings ",
                    d->up, d->plan->sessions, d->lost, d->pinged);
    }
    uint64_t next = pace_due(&d->pings) < end_ns ? pace_due(&d->pings) : end_ns;
    uint64_t wait = next > now ? next - now : 0;
    return wire_set_turn(&d->set, wait < TURN_NS ? wait : TURN_NS);
}

static int open_all(struct idle *d)
{
    const struct plan *p = d->plan;
    uint64_t start = bench_now(), limit = d->cli->call.timeout_ms * BENCH_NS_PER_MS;
    uint64_t give_up = start + limit, due = 0;
    struct pace pace;

    pace_init(&pace, start, p->rate != 0 ? p->rate : 1);
    while (d->up < p->sessions && d->error == 0) {
        uint64_t before = d->up;
        while (d->started < p->sessions && d->started - d->up < CONNECTING_MAX && d->error == 0 &&
               (p->rate == 0 || pace_take(&pace, bench_now(), &due))) {
            struct wire *w = &d->wires[d->started];
            if (!wire_init(w, &d->set, (uint32_t)d->started, 2, d)) {
                return COORD_ENOMEM;
            }
            d->started++;
            d->error = wire_connect(w);
        }
        int rc = turn(d, p->rate != 0 ? pace_due(&pace) : bench_now() + TURN_NS);
        uint64_t now = bench_now();
        give_up = d->up > before ? now + limit : give_up;
        if (rc < 0 || now > give_up) {
            return rc < 0 ? rc : COORD_ETIMEOUT;
        }
    }
    d->open_seconds = (double)(bench_now() - start) / 1e9;
    return d->error;
}

static int rest(struct idle *d, uint64_t seconds)
{
    uint64_t end = bench_now() + seconds * BENCH_NS_PER_S;
    int rc = 0;

    while (rc >= 0 && bench_now() < end) {
        rc = turn(d, end);
    }
    return rc < 0 ? rc : 0;
}

static void ask_members(struct idle *d, struct member_facts *facts)
{
    for (size_t i = 0; i < d->set.targets.count; i++) {
        member_ask(&d->set.targets, i, d->cli->call.timeout_ms, &facts[i]);
        for (size_t k = 0; k < d->servers.count; k++) {
            if (d->servers.ports[k] == ntohs(d->set.targets.addresses[i].sin_port)) {
                facts[i].resident_kib = cpu_resident_kib(&d->servers, k);
            }
        }
    }
}

static int run(struct idle *d)
{
    const struct plan *p = d->plan;
    uint64_t third = third_ms(p);
    uint64_t rate = p->sessions * 1000 / (third > 0 ? third : 1);
    double cpu = cpu_seconds(&d->servers);

    d->progress_ns = bench_now();
    pace_init(&d->pings, d->progress_ns, rate > 0 ? rate : 1);
    int rc = open_all(d);
    d->open_cpu = d->servers.count > 0 && cpu >= 0 ? cpu_seconds(&d->servers) - cpu : -1;
    rc = rc != 0 ? rc : rest(d, p->warmup);
    if (rc != 0) {
        return rc;
    }
    ask_members(d, d->before);
    cpu = cpu_seconds(&d->servers);
    double own = cpu_own_seconds();
    uint64_t from = bench_now();
    d->measuring = true;
    rc = rest(d, p->secs);
    d->seconds = (double)(bench_now() - from) / 1e9;
    double cpu_end = cpu_seconds(&d->servers);
    d->servers_cpu = d->servers.count > 0 && cpu >= 0 && cpu_end >= 0 ? cpu_end - cpu : -1;
    d->own_cpu = cpu_own_seconds() - own;
    ask_members(d, d->after);
    return rc;
}

/* --- telling ------------------------------------------------------------------------------------- */

static void members_json(struct json *j, const struct idle *d)
{
    char key[32];

    json_open(j, "members");
    for (size_t i = 0; i < d->set.targets.count; i++) {
        const struct member_facts *b = &d->before[i], *a = &d->after[i];
        if (!b->known || !a->known) {
            continue;
        }
        (void)snprintf(key, sizeof key, "%" PRIu32, a->id);
        json_open(j, key);
        json_number(j, "sessions", a->sessions);
        json_number(j, "connections", a->connections);
        json_number(j, "log_before", b->log_last);
        json_number(j, "log_after", a->log_last);
        json_number(j, "resident_kib", a->resident_kib);
        json_close(j);
    }
    json_close(j);
}

static void report_json(const struct idle *d)
{
    struct json j = json_begin(stdout);

    json_text(&j, "op", "idle");
    json_number(&j, "sessions", d->plan->sessions);
    json_number(&j, "session_timeout_ms", d->plan->session_timeout_ms);
    json_decimal(&j, "open_secs", d->open_seconds, 3);
    json_real(&j, "opened_s", (double)d->plan->sessions / d->open_seconds);
    json_real(&j, "secs", d->seconds);
    json_number(&j, "pings", d->pinged);
    json_number(&j, "pings_late", d->late);
    json_number(&j, "lost", d->lost);
    report_latency_json(&j, "", d->ping);
    if (d->servers_cpu >= 0) {
        json_decimal(&j, "open_server_cpu_s", d->open_cpu, 2);
        json_decimal(&j, "server_cpu_s", d->servers_cpu, 2);
        json_decimal(&j, "server_cores_percent", d->servers_cpu * 100 / d->seconds, 2);
    }
    json_decimal(&j, "client_cpu_s", d->own_cpu, 2);
    members_json(&j, d);
    json_end(&j);
}

static void report_text(const struct idle *d)
{
    printf("idle: %" PRIu64 " sessions with a timeout of %" PRIu64
           " ms, opened in %.1f s (%.0f a second)\n",
           d->plan->sessions, d->plan->session_timeout_ms, d->open_seconds,
           (double)d->plan->sessions / d->open_seconds);
    printf("  %.1f s: %" PRIu64 " pings, %" PRIu64 " late, %" PRIu64 " sessions lost\n", d->seconds,
           d->pinged, d->late, d->lost);
    printf("  ping in microseconds: ");
    report_latency_text(d->ping);
    if (d->servers_cpu >= 0) {
        printf("  CPU of %zu local servers: %.2f s, %.1f %% of a core\n", d->servers.count,
               d->servers_cpu, d->servers_cpu * 100 / d->seconds);
    }
    printf("  CPU of this client: %.2f s\n", d->own_cpu);
    for (size_t i = 0; i < d->set.targets.count; i++) {
        const struct member_facts *b = &d->before[i], *a = &d->after[i];
        if (b->known && a->known) {
            printf("  member %" PRIu32 ": %" PRIu64 " connections, %" PRIu64
                   " log entries meanwhile, %" PRIu64 " MiB resident\n",
                   a->id, a->connections, a->log_last - b->log_last, a->resident_kib / 1024);
        }
    }
}

static void release(struct idle *d)
{
    for (uint64_t i = 0; i < d->started; i++) {
        wire_finish(&d->wires[i]);
    }
    wire_set_finish(&d->set);
    free(d->wires);
    free(d->pinged_ns);
    free(d->ping);
    free(d);
}

int idle_run(struct cli *cli, const struct plan *plan)
{
    struct idle *d = calloc(1, sizeof *d);
    int rc = EXIT_DONE;

    if (d == NULL) {
        return EXIT_OTHER;
    }
    rc = descriptors_need(plan->sessions);
    if (rc != EXIT_DONE) {
        free(d);
        return rc;
    }
    d->cli = cli;
    d->plan = plan;
    d->set.epoll = -1;
    d->wires = calloc(plan->sessions, sizeof *d->wires);
    d->pinged_ns = calloc(plan->sessions, sizeof *d->pinged_ns);
    d->ping = calloc(1, sizeof *d->ping);
    (void)cpu_find(cli->options.servers, &d->servers); /* what is not found is not told */
    int error = d->wires != NULL && d->pinged_ns != NULL && d->ping != NULL &&
                        wire_set_init(&d->set, cli->options.servers, &handlers)
                    ? 0
                    : COORD_ENOMEM;
    d->set.session = true;
    d->set.session_timeout_ms = plan->session_timeout_ms;
    d->set.sources = (uint32_t)plan->sources;
    error = error != 0 ? error : run(d);
    report_progress_end();
    if (error != 0) {
        fprintf(stderr, "coordctl: %" PRIu64 " of %" PRIu64 " sessions were opened\n", d->up,
                plan->sessions);
        rc = cli_fail(cli, "keeping sessions", error, NULL);
    } else {
        if (cli->format == FORMAT_JSON) {
            report_json(d);
        } else {
            report_text(d);
        }
        rc = d->lost > 0 ? cli_fail(cli, "keeping sessions", d->error, NULL) : EXIT_DONE;
    }
    release(d);
    return rc;
}
