/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: `mc`: search all scopes, or some (--scenario NAME); first see that the checker can fail.
 * --long searches the larger ones too.
 *
 * Exit: 0 all rules hold, 1 a rule is broken (with the shortest way to it), 2 misuse.
 */
#include "tests/mc/mc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct {
    const struct mc_scope *scopes;
    const unsigned *count;
} lists[] = {
    {mc_scopes, &mc_scopes_count},
    {mc_scopes_change, &mc_scopes_change_count},
    {mc_scopes_long, &mc_scopes_long_count},
};
#define LISTS_DEFAULT 2u
#define LISTS_ALL     3u

/* All scopes that were searched. */
static struct {
    uint64_t states;
    uint64_t transitions;
    unsigned depth;
    unsigned scopes;
    double seconds;
} total;

static long peak_mib(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u); /* cannot fail for SELF */
    return u.ru_maxrss / 1024;
}

static void report(const struct mc_scope *s, const struct mc_result *r)
{
    (void)printf("%-22s %9" PRIu64 " states %10" PRIu64 " steps, depth %2u, %6.2f s, "
                 "%u members, %" PRIu64 " core runs%s\n",
                 s->name, r->states, r->transitions, r->depth, r->seconds, mc_members_count(),
                 mc_outcomes_count(), r->complete ? "" : ", bounded");
    if (mc_tally.cuts + mc_tally.losses > 0) {
        (void)printf("%14s%" PRIu64 " events out of bounds, %" PRIu64
                     " messages lost for a full network\n",
                     "", mc_tally.cuts, mc_tally.losses);
    }
    (void)fflush(stdout);
    total.states += r->states;
    total.transitions += r->transitions;
    total.depth = r->depth > total.depth ? r->depth : total.depth;
    total.seconds += r->seconds;
    total.scopes++;
}

/* Return: 0, or 1 when a rule is broken. */
static int search(const struct mc_scope *s, struct mc_result *r, int verbose)
{
    mc_search(s, r);
    report(s, r);
    if (!r->complete && s->states_max == 0) {
        (void)printf("%s does not end: members talk without end, or it is too large\n", s->name);
        return 1;
    }
    if (r->missed != 0 && r->broken == NULL) {
        (void)printf("%s never reaches goals 0x%x: it proves nothing\n", s->name, r->missed);
        return 1;
    }
    if (r->broken == NULL) {
        if (verbose) {
            mc_show(s, r); /* how it begins */
        }
        return 0;
    }
    (void)printf("BROKEN in %s: %s\n", s->name, r->broken);
    mc_show(s, r);
    return 1;
}

static int twins(const struct mc_scope *s, uint64_t seed)
{
    const char *differ = mc_twins(s, 60, seed);
    if (differ != NULL) {
        (void)printf("self-test: canonical form in %s: %s\n", s->name, differ);
    }
    return differ != NULL;
}

/* The checker must find what is wrong, and its canonical form must not be. */
static int self_test(struct mc_result *r, int verbose)
{
    int failed = 0;
    for (unsigned list = 0; list < LISTS_ALL; list++) {
        for (unsigned i = 0; i < *lists[list].count; i++) {
            failed |= twins(&lists[list].scopes[i], 1 + i);
        }
    }
    for (unsigned i = 0; i < mc_mutants_count; i++) {
        const struct mc_scope *s = &mc_mutants[i];
        mc_search(s, r);
        (void)fflush(stdout);
        (void)printf("self-test: %-14s %s after %" PRIu64 " states, depth %u, %.2f s: %s\n",
                     s->name, r->broken == NULL ? "NOT FOUND" : "found", r->states, r->depth,
                     r->seconds, r->broken == NULL ? s->what : r->broken);
        if (verbose && r->broken != NULL) {
            mc_show(s, r);
        }
        failed |= r->broken == NULL;
    }
    (void)fflush(stdout);
    return failed;
}

static void usage(void)
{
    (void)printf("mc [--verbose] [--long] [--self-test] [--scenario NAME]...\n");
    for (unsigned list = 0; list < LISTS_ALL; list++) {
        for (unsigned i = 0; i < *lists[list].count; i++) {
            const struct mc_scope *s = &lists[list].scopes[i];
            (void)printf("  %-22s %s\n", s->name, s->what);
        }
    }
}

/* 1 when `group` is the scope's name or the part of it before a dash. */
static int named(const struct mc_scope *s, const char *group)
{
    size_t n = strlen(group);
    return strncmp(s->name, group, n) == 0 && (s->name[n] == '\0' || s->name[n] == '-');
}

/* Search the scopes of a group in the first lists, all when it is NULL.
 * Return: 0, 1 broken, 2 no such group. */
static int search_group(const char *group, unsigned count, struct mc_result *r, int verbose)
{
    int found = 0;
    for (unsigned list = 0; list < count; list++) {
        for (unsigned i = 0; i < *lists[list].count; i++) {
            const struct mc_scope *s = &lists[list].scopes[i];
            if (group != NULL && !named(s, group)) {
                continue;
            }
            found = 1;
            if (search(s, r, verbose) != 0) {
                return 1;
            }
        }
    }
    return found ? 0 : 2;
}

int main(int argc, char **argv)
{
    struct mc_result *r = mc_alloc(sizeof(*r));
    int failed = 0;
    int verbose = 0;
    int chosen = 0;
    unsigned count = LISTS_DEFAULT;
    for (int i = 1; i < argc && !failed; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = 1;
        } else if (strcmp(argv[i], "--long") == 0) {
            count = LISTS_ALL;
        } else if (strcmp(argv[i], "--self-test") == 0) {
            failed = self_test(r, verbose);
            chosen = 1;
        } else if (strcmp(argv[i], "--scenario") == 0 && i + 1 < argc) {
            failed = search_group(argv[++i], LISTS_ALL, r, verbose);
            chosen = 1;
        } else {
            failed = 2;
        }
    }
    if (!chosen && !failed) {
        failed = self_test(r, verbose) != 0 ? 1 : search_group(NULL, count, r, verbose);
    }
    if (failed == 2) {
        usage();
    } else {
        (void)printf("%u scopes: %" PRIu64 " states %" PRIu64
                     " steps, depth up to %u, %.0f s of one core\n",
                     total.scopes, total.states, total.transitions, total.depth, total.seconds);
        (void)printf("%s; peak memory %ld MiB\n", failed ? "FAILED" : "all rules hold", peak_mib());
    }
    mc_members_reset(&mc_scopes[0]);
    free(r);
    return failed;
}
