/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.c: deal seeds to processes and add up what they came to. An assertion of the code under test ends one
 * process; its seed and last events are printed, and another goes on with the rest of its share. Threads: none.
 */
#include "tests/service/batch.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "tests/service/world.h"

#define REPLAY_ONE_IN 100
#define FAILURES_MAX  20 /* of one process, then it stops */

struct tally {
    uint64_t next;    /* position in the batch of the seed to run next */
    uint64_t current; /* seed */
    uint64_t passed;
    uint64_t failed;
    uint64_t replayed;
    uint64_t steps;
    uint64_t virtual_ns;
    uint64_t ops;
    uint64_t replies;
    uint64_t messages;
    uint64_t slowest_ns;
    uint64_t slowest_seed;
    struct oracle_counts judged;
    struct marks marks;
};

static struct world *running; /* for the handler below only */

static void on_broken_assertion(int number)
{
    world_leave(); /* whose code ran does not matter any more: the words go to the real terminal */
    if (running != NULL) {
        printf("sim-service: seed %" PRIu64 " ended by signal %d at %.6f s %s\n", running->seed,
               number, (double)running->now / 1e9, running->why);
        trace_dump(&running->trace, stdout, 60);
        knobs_print(&running->k);
        (void)fflush(stdout);
    }
}

static void catch_assertions(void)
{
    struct sigaction sa;
    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_broken_assertion;
    sa.sa_flags = (int)SA_RESETHAND;
    (void)sigaction(SIGABRT, &sa, NULL);
    (void)sigaction(SIGILL, &sa, NULL);
}

static uint64_t total(const struct batch *b)
{
    return b->kept_count + b->count;
}

static uint64_t seed_at(const struct batch *b, uint64_t i)
{
    return i < b->kept_count ? b->kept[i] : b->first + (i - b->kept_count);
}

static void keep_seed(const struct batch *b, uint64_t seed, const char *why)
{
    FILE *f = b->keep != NULL ? fopen(b->keep, "ae") : NULL;
    if (f != NULL) {
        (void)fprintf(f, "%" PRIu64 " %s\n", seed, why);
        (void)fclose(f); /* the report on the terminal has it too */
    }
}

static void print_replay(const struct batch *b, uint64_t seed, const char *why)
{
    printf("sim-service: replay with: %s --seed %" PRIu64, b->program, seed);
    if (b->with_text != NULL) {
        printf(" --with %s", b->with_text);
    }
    if (b->without_text != NULL) {
        printf(" --without %s", b->without_text);
    }
    printf(" --trace   (or: make sim-service SEED=%" PRIu64 " N=1)\n", seed);
    keep_seed(b, seed, why);
    (void)fflush(stdout);
}

static void add_counts(struct oracle_counts *to, const struct oracle_counts *c)
{
    to->applied += c->applied;
    to->changes += c->changes;
    to->writes += c->writes;
    to->reads += c->reads;
    to->events += c->events;
    to->marks += c->marks;
    to->gaps += c->gaps;
    to->repeats += c->repeats;
    to->expired += c->expired;
    to->held += c->held;
    to->woken += c->woken;
    to->folds += c->folds;
    to->services += c->services;
}

static void run_again(const struct batch *b, struct tally *t, const struct world_run *run,
                      struct world_result *r)
{
    struct marks ignored = {0};
    struct world_result again;
    struct world_run quiet = *run;
    quiet.verbose = 0;
    quiet.trace = NULL;
    world_run(&quiet, &ignored, &again);
    t->replayed++;
    if (again.hash != r->hash || again.steps != r->steps) {
        printf("sim-service: seed %" PRIu64 " FAILED: two runs differ (%016" PRIx64 ", %016" PRIx64
               ")\n",
               run->seed, r->hash, again.hash);
        (void)snprintf(r->why, sizeof(r->why), "two runs differ");
        r->failed = true;
    }
    (void)b;
}

static void run_seed(const struct batch *b, struct tally *t, uint64_t seed)
{
    struct world_run run = {.seed = seed,
                            .with = b->with,
                            .without = b->without,
                            .verbose = b->verbose,
                            .trace = b->trace ? stdout : NULL,
                            .record = b->count == 1 ? b->record : NULL,
                            .current = &running};
    struct world_result r;
    t->current = seed;
    world_run(&run, &t->marks, &r);
    if (!r.failed && seed % REPLAY_ONE_IN == 0) {
        run_again(b, t, &run, &r);
    }
    if (b->verbose) {
        printf("  %s hash=%016" PRIx64 " events=%" PRIu64 " virtual=%.1fs calls=%" PRIu64
               " answers=%" PRIu64 " messages=%" PRIu64 " converged=%.3fs applied=%" PRIu64
               " watch events=%" PRIu64 "\n",
               r.failed ? "FAILED" : "ok", r.hash, r.steps, (double)r.virtual_ns / 1e9, r.ops,
               r.replies, r.messages, (double)r.converged_ns / 1e9, r.counts.applied,
               r.counts.events);
    }
    if (r.failed) {
        t->failed++;
        print_replay(b, seed, r.why);
        return;
    }
    t->passed++;
    t->steps += r.steps;
    t->virtual_ns += r.virtual_ns;
    t->ops += r.ops;
    t->replies += r.replies;
    t->messages += r.messages;
    add_counts(&t->judged, &r.counts);
    if (r.converged_ns > t->slowest_ns) {
        t->slowest_ns = r.converged_ns;
        t->slowest_seed = seed;
    }
}

/* The share of one process: every jobs-th seed from t->next on. */
static void run_share(const struct batch *b, struct tally *t)
{
    while (t->next < total(b) && t->failed < FAILURES_MAX) {
        uint64_t seed = seed_at(b, t->next);
        t->next += b->jobs;
        run_seed(b, t, seed);
    }
}

static pid_t start_share(const struct batch *b, struct tally *t)
{
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        catch_assertions();
        run_share(b, t);
        (void)fflush(stdout);
        _exit(0);
    }
    if (pid < 0) {
        perror("sim-service: fork");
        exit(1);
    }
    return pid;
}

static void wait_for_shares(const struct batch *b, struct tally *tallies, pid_t *pids)
{
    uint32_t left = b->jobs;
    while (left > 0) {
        int status = 0;
        pid_t pid = wait(&status);
        for (uint32_t j = 0; j < b->jobs; j++) {
            if (pids[j] != pid) {
                continue;
            }
            if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                left--;
                break;
            }
            struct tally *t = &tallies[j];
            printf("sim-service: seed %" PRIu64 " FAILED: the process ended with status %d\n",
                   t->current, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
            print_replay(b, t->current, "its process ended");
            t->failed++;
            pids[j] = start_share(b, t);
            break;
        }
    }
}

static double seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void add_up(struct tally *sum, const struct tally *t)
{
    sum->passed += t->passed;
    sum->failed += t->failed;
    sum->replayed += t->replayed;
    sum->steps += t->steps;
    sum->virtual_ns += t->virtual_ns;
    sum->ops += t->ops;
    sum->replies += t->replies;
    sum->messages += t->messages;
    add_counts(&sum->judged, &t->judged);
    if (t->slowest_ns > sum->slowest_ns) {
        sum->slowest_ns = t->slowest_ns;
        sum->slowest_seed = t->slowest_seed;
    }
    marks_add(&sum->marks, &t->marks);
}

static int report(const struct batch *b, const struct tally *sum, double took)
{
    const struct oracle_counts *c = &sum->judged;
    if (b->count > 1) {
        marks_print(&sum->marks);
    }
    printf("sim-service: judged: %" PRIu64 " entries, %" PRIu64 " changes, %" PRIu64
           " writes, %" PRIu64 " reads, %" PRIu64 " watch events, %" PRIu64 " marks, %" PRIu64
           " gaps, %" PRIu64 " repeats, %" PRIu64 " expired, %" PRIu64 " held, %" PRIu64
           " woken, %" PRIu64 " listings followed, %" PRIu64 " answers about the service\n",
           c->applied, c->changes, c->writes, c->reads, c->events, c->marks, c->gaps, c->repeats,
           c->expired, c->held, c->woken, c->folds, c->services);
    printf("sim-service: %" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64
           " replayed; %.1f s (%.0f seeds/min); %" PRIu64 " events, %.0f virtual s, %" PRIu64
           " calls, %" PRIu64 " answers, %" PRIu64 " messages; slowest heal %.1f s (seed %" PRIu64
           ")\n",
           sum->passed, sum->failed, sum->replayed, took,
           (double)(sum->passed + sum->failed) * 60 / took, sum->steps,
           (double)sum->virtual_ns / 1e9, sum->ops, sum->replies, sum->messages,
           (double)sum->slowest_ns / 1e9, sum->slowest_seed);
    int missing = b->count >= MARKS_BATCH_MIN ? marks_missing(&sum->marks) : 0;
    return sum->failed > 0 || missing > 0 ? 1 : 0;
}

int batch_run(struct batch *b)
{
    struct tally sum;
    pid_t pids[BATCH_JOBS_MAX];
    memset(&sum, 0, sizeof(sum));
    if (b->jobs > total(b)) {
        b->jobs = (uint32_t)total(b);
    }
    if (b->trace) {
        b->jobs = 1;
    }
    size_t bytes = b->jobs * sizeof(struct tally);
    struct tally *tallies =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tallies == MAP_FAILED) {
        perror("sim-service: mmap");
        return 1;
    }
    double start = seconds();
    for (uint32_t j = 0; j < b->jobs; j++) {
        tallies[j].next = j;
    }
    if (b->trace) {
        catch_assertions();
        run_share(b, &tallies[0]);
    } else {
        for (uint32_t j = 0; j < b->jobs; j++) {
            pids[j] = start_share(b, &tallies[j]);
        }
        wait_for_shares(b, tallies, pids);
    }
    for (uint32_t j = 0; j < b->jobs; j++) {
        add_up(&sum, &tallies[j]);
    }
    int result = report(b, &sum, seconds() - start);
    (void)munmap(tallies, bytes);
    return result;
}
