/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: `mc`: search all scopes, or one (--scenario NAME); first see that the checker can fail.
 *
 * Exit: 0 all rules hold, 1 a rule is broken (with the shortest way to it), 2 misuse.
 */
#include "tests/mc/mc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static long peak_mib(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_SELF, &u); /* cannot fail for SELF */
    return u.ru_maxrss / 1024;
}

static void report(const struct mc_scope *s, const struct mc_result *r)
{
    (void)printf("%-18s %9" PRIu64 " states %10" PRIu64 " steps, depth %2u, %6.2f s, "
                 "%u members, %" PRIu64 " core runs%s\n",
                 s->name, r->states, r->transitions, r->depth, r->seconds, mc_members_count(),
                 mc_outcomes_count(), r->complete ? "" : ", bounded");
    if (mc_tally.cuts + mc_tally.losses > 0) {
        (void)printf("%14s%" PRIu64 " events out of bounds, %" PRIu64
                     " messages lost for a full network\n",
                     "", mc_tally.cuts, mc_tally.losses);
    }
    (void)fflush(stdout);
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

/* The checker must find what is wrong, and its canonical form must not be. */
static int self_test(struct mc_result *r, int verbose)
{
    int failed = 0;
    for (unsigned i = 0; i < mc_scopes_count; i++) {
        const char *differ = mc_twins(&mc_scopes[i], 60, 1 + i);
        if (differ != NULL) {
            (void)printf("self-test: canonical form in %s: %s\n", mc_scopes[i].name, differ);
            failed = 1;
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
    (void)printf("mc [--self-test] [--verbose] [--scenario NAME]...\n");
    for (unsigned i = 0; i < mc_scopes_count; i++) {
        (void)printf("  %-18s %s\n", mc_scopes[i].name, mc_scopes[i].what);
    }
}

/* 1 when `group` is the scope's name or the part of it before a dash. */
static int named(const struct mc_scope *s, const char *group)
{
    size_t n = strlen(group);
    return strncmp(s->name, group, n) == 0 && (s->name[n] == '\0' || s->name[n] == '-');
}

/* Search the scopes of a group, all when it is NULL. Return: 0, 1 broken, 2 no such group. */
static int search_group(const char *group, struct mc_result *r, int verbose)
{
    int found = 0;
    for (unsigned i = 0; i < mc_scopes_count; i++) {
        if (group != NULL && !named(&mc_scopes[i], group)) {
            continue;
        }
        found = 1;
        if (search(&mc_scopes[i], r, verbose) != 0) {
            return 1;
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
    for (int i = 1; i < argc && !failed; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            verbose = 1;
        } else if (strcmp(argv[i], "--self-test") == 0) {
            failed = self_test(r, verbose);
            chosen = 1;
        } else if (strcmp(argv[i], "--scenario") == 0 && i + 1 < argc) {
            failed = search_group(argv[++i], r, verbose);
            chosen = 1;
        } else {
            failed = 2;
        }
    }
    if (!chosen && !failed) {
        failed = self_test(r, verbose) != 0 ? 1 : search_group(NULL, r, verbose);
    }
    if (failed == 2) {
        usage();
    } else {
        (void)printf("%s; peak memory %ld MiB\n", failed ? "FAILED" : "all rules hold", peak_mib());
    }
    mc_members_reset(&mc_scopes[0]);
    free(r);
    return failed;
}
