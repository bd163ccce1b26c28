/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h: was what these clients were told what a correct service could have told them?
 *
 * Four checks, in this order; the first that fails is reported:
 *   1. by time     each object's operations are ordered between their calls and answers so that a
 *                  simple model gives every answer: linearizability. Revisions are not believed.
 *   2. claims      what receipts and revisions say, against each other and against time: nothing
 *                  answered earlier is missing from a linearizable answer, each change has a revision
 *                  of its own, session reads do not go back, no state is older than its age says,
 *                  no read was served at another level than asked.
 *   3. by revision every answer, of every level, is that of the model at the revision it claims.
 *   4. watches     what each was told is in order, once, made by some write, and nothing is missing.
 *
 * Invariants
 *   1. Nothing here does I/O or reads a clock.
 *   2. VERIFY_VIOLATION is never said of a history that a correct service can have produced, provided
 *      that every client that changed the paths was recorded, and clocks are as stated.
 *   3. VERIFY_OK means that all four checks found nothing. plan.h says what they give up.
 *
 * Thread: none; one at a time.
 */
#ifndef COORD_CLIENT_VERIFY_VERIFY_H
#define COORD_CLIENT_VERIFY_VERIFY_H

#include "client/verify/search.h"
#include "client/verify/text.h"

#define VERIFY_BUDGET_DEFAULT 4000000u /* states: 128 MiB while the table grows */

struct verify_options {
    bool empty;         /* nothing was there before the history */
    const char *within; /* only what is at or below this path; NULL: everything */
    uint64_t budget;    /* states remembered in one search; 0: the default */
};

enum verify_cause {
    VERIFY_CAUSE_NONE = 0,
    VERIFY_CAUSE_TIME,          /* no order explains the answers */
    VERIFY_CAUSE_REVISION,      /* an answer is not that of its revision */
    VERIFY_CAUSE_OLD,           /* told an older revision than was known before it was asked */
    VERIFY_CAUSE_SAME_REVISION, /* two changes claim one revision */
    VERIFY_CAUSE_SESSION,       /* a session read went back */
    VERIFY_CAUSE_AGE,           /* older than the receipt says */
    VERIFY_CAUSE_BOUND,         /* older than was asked for */
    VERIFY_CAUSE_LEVEL,         /* served at another level */
    VERIFY_CAUSE_LIST,          /* a list that is not in order */
    VERIFY_CAUSE_WATCH_ORDER,   /* a watch was told a revision twice, or an older one */
    VERIFY_CAUSE_WATCH_SCOPE,   /* told of what was not asked for */
    VERIFY_CAUSE_WATCH_WRONG,   /* told of another change than was made at that revision */
    VERIFY_CAUSE_WATCH_MADE_UP, /* told of a change that nobody can have made */
    VERIFY_CAUSE_WATCH_LOST     /* not told of a change */
};

struct verify_report {
    enum verify_verdict verdict;
    enum verify_cause cause;
    uint32_t operations;
    uint32_t unanswered; /* writes whose answer is not known */
    uint32_t clients;
    uint32_t parts;     /* searched, each on both axes */
    uint32_t undecided; /* of them, on either axis */
    uint32_t violated;  /* parts without an order, by time */
    uint64_t states;    /* remembered by the largest search */
    /* The smallest counterexample found. */
    struct verify_item *items;
    uint32_t items_count;
    uint32_t culprit; /* in items: the answer that does not fit */
    uint32_t because; /* in items: the one it contradicts, or VERIFY_NOWHERE */
    /* Of check 4; items holds the write in question, if there is one. */
    uint32_t watch;  /* in history->watches; VERIFY_NOWHERE: none */
    uint32_t event;  /* in history->events: the one that does not fit */
    uint32_t before; /* the one before it, or VERIFY_NOWHERE */
    struct verify_change change;
    char object[128]; /* the path it is about */
};

/* Judge a finished history.
 *
 * Ownership: *ret_report is the caller's, for verify_report_finish; it points into *ret_plan, which
 *            is the caller's too, for verify_plan_destroy, after the report.
 * Errors:    COORD_EBADPATH (options.within), COORD_ENOMEM.
 * Return:    0 or negative; nothing is written then. */
int verify_check(struct verify_history *h, const struct verify_options *o,
                 struct verify_report *ret_report, struct verify_plan **ret_plan);
void verify_report_finish(struct verify_report *r);

/* What contradicts, in one sentence, and the operations of the counterexample as a timeline. */
void verify_explain(const struct verify_history *h, const struct verify_report *r,
                    struct verify_text *t);
/* One operation and its answer: "set /k \"4\": ok, version 4, revision 120". */
void verify_describe(const struct verify_history *h, const struct verify_op *op,
                     struct verify_text *t);

/* A value, as short as people like it. */
void verify_describe_value(const struct verify_history *h, uint32_t value, struct verify_text *t);

/* --- for the files of client/verify ------------------------------------------------------------ */

/* explain_watch.c: what a watch was told, for people. */
void verify_explain_watch(const struct verify_history *h, const struct verify_report *r,
                          struct verify_text *t);

/* claims.c: check 2. Fills r when something is wrong. Errors: COORD_ENOMEM. */
int verify_claims(const struct verify_history *h, struct verify_report *r);

/* watches.c: check 4. Fills r when something is wrong. Errors: COORD_ENOMEM. */
int verify_watches(const struct verify_history *h, bool empty, uint32_t within,
                   struct verify_report *r);

/* shrink.c: the smallest history found that has no order either, out of one part. Fills items,
 * culprit and because of r. Errors: COORD_ENOMEM. */
int verify_shrink(const struct verify_plan *p, const struct verify_part *part,
                  enum verify_axis axis, struct verify_search *s, struct verify_report *r);

#endif
