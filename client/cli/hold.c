/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hold.c: see hold.h.
 *
 * The rule: when the lease ends, the command is not running any more. The lease is known from this machine's
 * clock alone (coord_*_remaining_ms), so the rule holds with and without a network. A command gets SIGTERM
 * when a quarter of the session timeout is left and SIGKILL shortly before the end.
 */
#include <inttypes.h>
#include <string.h>
#include <coord/recipes.h>
#include "client/cli/hold.h"
#include "client/cli/json.h"
#include "client/cli/run.h"

#define KILL_MARGIN_MS 100

/* A lock or an election, on its way or held. */
struct held {
    enum hold_kind kind;
    struct coord_lock *lock;
    struct coord_election *election;
    bool decided; /* the acquire has ended */
    int error;
    uint64_t token;
    int lost; /* the error it was lost with, 0 while it is not */
};

static void on_lock(struct coord_lock *lock, int error, uint64_t token, void *arg)
{
    struct held *h = arg;
    (void)lock; /* h has it */
    h->decided = true;
    h->error = error;
    h->token = token;
}

static void on_lock_lost(struct coord_lock *lock, int error, void *arg)
{
    (void)lock; /* h has it */
    ((struct held *)arg)->lost = error;
}

static void on_election(struct coord_election *e, int error, uint64_t token, void *arg)
{
    struct held *h = arg;
    (void)e; /* h has it */
    h->decided = true;
    h->error = error;
    h->token = token;
}

static void on_election_stop(struct coord_election *e, int error, void *arg)
{
    (void)e; /* h has it */
    ((struct held *)arg)->lost = error;
}

static int held_begin(struct coord *c, const struct hold_request *q, struct held *h)
{
    size_t bytes = q->value != NULL ? strlen(q->value) : 0;

    memset(h, 0, sizeof *h);
    h->kind = q->kind;
    if (q->kind == HOLD_LOCK) {
        struct coord_lock_options o;
        coord_lock_options_init(&o);
        o.wait_ms = q->wait_ms;
        o.label = q->value;
        o.label_bytes = bytes;
        o.lost = on_lock_lost;
        o.lost_arg = h;
        return coord_lock_acquire(c, q->name, &o, on_lock, h, &h->lock);
    }
    struct coord_election_options o;
    coord_election_options_init(&o);
    o.wait_ms = q->wait_ms;
    o.value = q->value;
    o.value_bytes = bytes;
    o.stop = on_election_stop;
    o.stop_arg = h;
    return coord_election_campaign(c, q->name, &o, on_election, h, &h->election);
}

static int held_end(struct held *h)
{
    return h->kind == HOLD_LOCK ? coord_lock_release_sync(h->lock)
                                : coord_election_resign_sync(h->election);
}

static uint64_t held_remaining(const struct held *h)
{
    return h->kind == HOLD_LOCK ? coord_lock_remaining_ms(h->lock)
                                : coord_election_remaining_ms(h->election);
}

static void held_path(const struct held *h, char *path, size_t n)
{
    int rc = h->kind == HOLD_LOCK ? coord_lock_path(h->lock, path, n)
                                  : coord_election_path(h->election, path, n);
    if (rc != 0) {
        path[0] = '\0';
    }
}

/* --- holding without a command ----------------------------------------------------------------- */

static void announce(const struct cli *cli, const struct hold_request *q, const struct held *h)
{
    char path[COORD_PATH_MAX + 1];

    held_path(h, path, sizeof path);
    if (cli->format == FORMAT_JSON) {
        struct json j = json_begin(stdout);
        json_text(&j, q->kind == HOLD_LOCK ? "lock" : "election", q->name);
        json_number(&j, "token", h->token);
        json_text(&j, "path", path);
        json_end(&j);
    } else {
        printf("%s %s, token %" PRIu64 "\n", q->kind == HOLD_LOCK ? "holding" : "leading", q->name,
               h->token);
    }
    (void)fflush(stdout); /* for whoever reads along; main checks stdout at the end */
}

/* Until a signal or the loss. Return: an exit code. */
static int hold_until_interrupted(struct run *r, const struct held *h)
{
    while (r->stopped_by == 0 && h->lost == 0) {
        int rc = run_turn(r, -1);
        if (rc != 0) {
            return EXIT_OTHER;
        }
    }
    return h->lost != 0 ? EXIT_LOST : EXIT_DONE;
}

/* --- holding for a command --------------------------------------------------------------------- */

/* What was done to the command so far because of the lease. */
enum guard_stage {
    GUARD_CALM,
    GUARD_WARNED, /* SIGTERM sent */
    GUARD_ENDED   /* SIGKILL or SIGSTOP sent */
};

struct guard {
    enum on_lost on_lost;
    enum guard_stage stage;
    uint64_t grace_ms; /* left of the lease when SIGTERM is due */
};

/* Do what the remaining lease demands. Return: milliseconds until the next look. */
static int guard_look(struct guard *g, const struct held *h, const struct child *child)
{
    uint64_t left = h->lost != 0 ? 0 : held_remaining(h);
    bool over = left <= KILL_MARGIN_MS;

    if (over && g->stage != GUARD_ENDED) {
        child_signal(child, g->on_lost == ON_LOST_STOP ? SIGSTOP : SIGKILL);
        g->stage = GUARD_ENDED;
    } else if (!over && g->stage == GUARD_ENDED && g->on_lost == ON_LOST_STOP) {
        child_signal(child, SIGCONT);
        g->stage = GUARD_CALM;
    } else if (g->on_lost == ON_LOST_TERM && g->stage == GUARD_CALM && left <= g->grace_ms) {
        child_signal(child, SIGTERM);
        g->stage = GUARD_WARNED;
    }
    if (g->stage == GUARD_CALM && g->on_lost == ON_LOST_TERM) {
        return (int)(left - g->grace_ms) + 1;
    }
    return g->stage == GUARD_ENDED ? (h->lost != 0 ? -1 : KILL_MARGIN_MS)
                                   : (int)(left - KILL_MARGIN_MS);
}

/* Until the command ends. Return: its exit code, or EXIT_LOST. */
static int guard_command(struct run *r, const struct hold_request *q, const struct held *h,
                         struct child *child)
{
    uint64_t timeout = coord_session_timeout_ms(r->c);
    struct guard g = {.on_lost = q->on_lost, .grace_ms = timeout / 4};

    while (!child_poll(child)) {
        int wait_ms = guard_look(&g, h, child);
        if (h->lost != 0 && q->on_lost == ON_LOST_STOP) {
            fprintf(stderr, "coordctl: %s is lost; its command is stopped, process group %d\n",
                    q->name, (int)child->pid);
            return EXIT_LOST;
        }
        if (run_turn(r, wait_ms) != 0) {
            child_signal(child, SIGKILL);
            return EXIT_OTHER;
        }
        if (r->stopped_by != 0) {
            child_signal(child, r->stopped_by);
            r->stopped_by = 0;
        }
    }
    /* Whatever it left behind in its group must not go on either. */
    child->ended = false;
    child_signal(child, SIGKILL);
    child->ended = true;
    if (h->lost != 0 || g.stage != GUARD_CALM) {
        fprintf(stderr, "coordctl: %s was about to be lost; its command was stopped\n", q->name);
        return EXIT_LOST;
    }
    return child->status;
}

static int hold_for_command(struct run *r, const struct hold_request *q, const struct held *h)
{
    char path[COORD_PATH_MAX + 1];
    char path_variable[COORD_PATH_MAX + 32];
    char token_variable[48];
    struct child child;

    held_path(h, path, sizeof path);
    (void)snprintf(path_variable, sizeof path_variable, "COORD_NODE=%s", path);
    (void)snprintf(token_variable, sizeof token_variable, "COORD_FENCE=%" PRIu64, h->token);
    const char *const environment[] = {token_variable, path_variable, NULL};
    int rc = child_start(r, q->run, environment, &child);
    if (rc != 0) {
        return rc;
    }
    rc = guard_command(r, q, h, &child);
    child_finish(&child);
    return rc;
}

/* --- all of it --------------------------------------------------------------------------------- */

/* It was not got: say why. Return: the exit code. */
static int fail_to_get(const struct cli *cli, struct run *r, const struct hold_request *q,
                       const char *what, int error)
{
    struct coord_reply said = {.text = NULL};
    char text[96];

    if (error != COORD_ETIMEOUT) {
        return cli_fail_asking(cli, r->c, what, error);
    }
    (void)snprintf(text, sizeof text,
                   "not got within %" PRIu32 " ms; `coordctl %s ls` tells who has it", q->wait_ms,
                   q->kind == HOLD_LOCK ? "lock" : "elect");
    said.text = text;
    return cli_fail(cli, what, error, &said);
}

/* Wait for the end of the acquire. Return: EXIT_DONE when it is held, else an exit code. */
static int await_decision(struct cli *cli, struct run *r, const struct hold_request *q,
                          struct held *h)
{
    char what[COORD_PATH_MAX + 32];

    while (!h->decided && r->stopped_by == 0) {
        int rc = run_turn(r, -1);
        if (rc != 0) {
            return cli_fail(cli, q->name, rc, NULL);
        }
    }
    if (!h->decided) {
        return 128 + r->stopped_by; /* as a shell tells it */
    }
    if (h->error != 0) {
        (void)snprintf(what, sizeof what, "%s %s", q->kind == HOLD_LOCK ? "lock" : "elect",
                       q->name);
        return fail_to_get(cli, r, q, what, h->error);
    }
    return EXIT_DONE;
}

static int hold_in_run(struct cli *cli, struct run *r, const struct hold_request *q)
{
    struct held h;
    int rc = held_begin(r->c, q, &h);

    if (rc != 0) {
        return cli_fail(cli, q->name, rc, NULL);
    }
    rc = await_decision(cli, r, q, &h);
    if (rc == EXIT_DONE && q->run != NULL) {
        rc = hold_for_command(r, q, &h);
    } else if (rc == EXIT_DONE) {
        announce(cli, q, &h);
        rc = hold_until_interrupted(r, &h);
        if (rc == EXIT_LOST) {
            fprintf(stderr, "coordctl: %s is lost: %s\n", q->name, coord_strerror(h.lost));
        }
    }
    (void)held_end(&h); /* when it fails, the end of the session frees it */
    return rc;
}

int hold(struct cli *cli, const struct hold_request *q)
{
    struct coord *c = NULL;
    struct run r;
    int rc = cli_open(cli, &c);

    if (rc != EXIT_DONE) {
        return rc;
    }
    if (!run_init(&r, c)) {
        coord_close(c);
        return EXIT_OTHER;
    }
    if (q->on_lost == ON_LOST_STOP) {
        r.orphan_signal =
            SIGSTOP; /* a stopped command stays stopped when this process has said so and ends */
    }
    rc = hold_in_run(cli, &r, q);
    cli_close(c);
    run_finish(&r);
    return rc;
}
