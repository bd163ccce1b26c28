/* SPDX-License-Identifier: Apache-2.0 */
/*
 * prepare.c: the nodes that a load uses, made before it begins: /bench, /bench/k0 ... with values, and /bench/n0 ... with
 * the number 0 for increment. Those that are there already stay as they are.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include "client/bench/clock.h"
#include "client/bench/load.h"
#include "client/bench/report.h"

#define UNDER_WAY_MAX 512u

struct preparation;

/* One node under way, or to be asked for again. */
struct making {
    struct preparation *p;
    struct making *next;
    uint64_t index;
};

struct preparation {
    struct cli *cli;
    struct coord *c;
    struct pick pick;
    const struct plan *plan;
    const char *value;
    uint64_t under_way, made, told_ns;
    int error;
    struct making makings[UNDER_WAY_MAX], *idle, *again; /* again: the servers were too busy */
};

static void on_made(struct coord *c, const struct coord_reply *r, void *arg)
{
    struct making *m = arg;
    struct preparation *p = m->p;
    struct making **list = r->error == COORD_EBUSY ? &p->again : &p->idle;

    (void)c; /* p has it */
    p->under_way--;
    p->made += r->error != COORD_EBUSY ? 1 : 0;
    m->next = *list;
    *list = m;
    if (r->error != 0 && r->error != COORD_EEXISTS && r->error != COORD_EBUSY && p->error == 0) {
        p->error = r->error;
    }
}

static int turn(struct preparation *p)
{
    struct pollfd fd = {.fd = coord_fd(p->c), .events = coord_events(p->c)};

    (void)poll(&fd, 1, coord_timeout_ms(p->c)); /* interrupted or not, the handle is looked at */
    return coord_dispatch(p->c);
}

/* Ask for node /bench/<kind><index>. Return: 0; COORD_EAGAIN: not now, the library has as many bytes under way as it
 * takes; or an error. */
static int make(struct preparation *p, struct making *m, char kind, bool number)
{
    char path[64];
    size_t bytes = number ? 1 : pick_between(&p->pick, p->plan->value_min, p->plan->value_max);

    (void)snprintf(path, sizeof path, "/bench/%c%" PRIu64, kind, m->index);
    int rc = coord_create(p->c, path, number ? "0" : p->value, bytes, &p->cli->call, on_made, m);
    if (rc == COORD_EBUSY && p->under_way > 0) {
        m->next = p->again;
        p->again = m;
        return COORD_EAGAIN;
    }
    p->under_way += rc == 0 ? 1 : 0;
    return rc;
}

/* Nodes /bench/<kind>0 ... Return: 0 or an error. */
static int make_many(struct preparation *p, char kind, bool number)
{
    uint64_t next = 0;
    int rc = 0;

    while (rc == 0 && p->error == 0 &&
           (next < p->plan->keys || p->under_way > 0 || p->again != NULL)) {
        while (rc == 0 && (p->again != NULL || (p->idle != NULL && next < p->plan->keys))) {
            struct making *m = p->again != NULL ? p->again : p->idle;
            if (m == p->again) {
                p->again = m->next;
            } else {
                p->idle = m->next;
                m->index = next++;
            }
            rc = make(p, m, kind, number);
        }
        rc = rc != 0 && rc != COORD_EAGAIN ? rc : turn(p);
        if (report_due(&p->told_ns, bench_now())) {
            report_line("%" PRIu64 " nodes are there", p->made);
        }
    }
    return rc != 0 ? rc : p->error;
}

int load_prepare(struct cli *cli, const struct plan *plan)
{
    static char value[1024 * 1024];
    static struct preparation p; /* large for a stack */
    struct coord_reply *r = NULL;

    memset(&p, 0, sizeof p);
    p.cli = cli;
    p.plan = plan;
    p.value = value;
    for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
        p.makings[i] = (struct making){.p = &p, .next = p.idle};
        p.idle = &p.makings[i];
    }
    int rc = cli_open(cli, &p.c);

    if (rc != EXIT_DONE) {
        return rc;
    }
    memset(value, 'x', sizeof value);
    p.told_ns = bench_now();
    pick_init(&p.pick, PICK_UNIFORM, 0, 1, plan->seed);
    int error = coord_create_sync(p.c, "/bench", NULL, 0, &cli->call, &r);
    if (error != 0 && error != COORD_EEXISTS) {
        rc = cli_fail(cli, "/bench", error, r);
        error = 0;
    } else {
        error = mix_keys(&plan->mix) && plan->mode == PLAN_LOAD ? make_many(&p, 'k', false) : 0;
        if (error == 0 && plan->mix.weights[BENCH_INCREMENT] > 0) {
            error = make_many(&p, 'n', true);
        }
    }
    report_progress_end();
    coord_reply_free(r);
    rc = error != 0 ? cli_fail(cli, "preparing /bench", error, NULL) : rc;
    coord_close(p.c);
    return rc;
}
