/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.c: what a healed world must come to, step by step, and the judgement of the recording.
 *
 *   SETTLE    everybody runs; the load goes on a moment, then every call is answered
 *   PROBE     every client writes and reads afresh; all members hold the same state; nobody's ephemerals and
 *             sessions are left
 *   FAREWELL  all clients close; no session is left anywhere, all members are equal
 *
 * Each step has time without end only as long as it makes progress: LIMIT_NS each. Threads: one.
 */
#include "tests/service/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "client/verify/parse.h"
#include "client/verify/verify.h"
#include "server/machine/machine.h"
#include "tests/sim/util.h"

#define LOOK_NS  (100 * SVC_MS)
#define CALM_NS  (500 * SVC_MS) /* the load goes on after the healing */
#define LIMIT_NS (30 * SVC_SEC)
#define BUDGET   20000u /* states of one search */

/* Have all members applied the same, and is it the same? */
static bool members_equal(struct world *w)
{
    uint64_t revision = 0;
    uint64_t digest = 0;
    raft_id first = 0;
    for (raft_id id = 1; id <= w->k.members; id++) {
        struct machine_stats s;
        struct raft_status st;
        const struct node *n = w->members[id].node;
        if (w->members[id].out) {
            continue;
        }
        if (n == NULL) {
            return false;
        }
        machine_stats(node_machine(n), &s);
        raft_status(node_raft(n), &st);
        if (s.revision != st.last || (first != 0 && s.revision != revision) ||
            w->members[id].repairing) {
            return false;
        }
        uint64_t mine = machine_digest(node_machine(n));
        if (first != 0 && mine != digest) {
            world_fail(w, "T1: members %u and %u differ at revision %" PRIu64, first, id, revision);
            return false;
        }
        first = first == 0 ? id : first;
        revision = s.revision;
        digest = mine;
        JUDGE(w, oracle_member_digest(w->oracle, id, revision, digest));
    }
    return true;
}

/* Only live clients have sessions, and all they have are theirs. */
static bool sessions_settled(struct world *w, uint32_t *ret_count)
{
    struct machine_session s = {0};
    raft_id id = w->members[1].out ? 2 : 1; /* at most one is */
    const struct machine *m = node_machine(w->members[id].node);
    *ret_count = 0;
    while (machine_session_next(m, s.id, &s)) {
        bool owned = false;
        for (uint32_t i = 0; i < w->k.clients; i++) {
            const struct actor *a = &w->actors[i];
            owned = owned || (a->c != NULL && coord_session_id(a->c) == s.id);
        }
        if (!owned) {
            return false;
        }
        ++*ret_count;
    }
    return true;
}

static bool clients_idle(const struct world *w)
{
    for (uint32_t i = 0; i < w->k.clients; i++) {
        const struct actor *a = &w->actors[i];
        if (a->c == NULL || a->under_way > 0 || !owner_idle(a)) {
            return false;
        }
    }
    return true;
}

static bool watches_ready(const struct world *w)
{
    for (uint32_t i = 0; i < w->k.clients; i++) {
        for (uint32_t j = 0; j < ACTOR_WATCHES; j++) {
            const struct watcher *x = &w->actors[i].watches[j];
            if (x->used && !x->ready) {
                return false;
            }
        }
    }
    return true;
}

static void enter(struct world *w, enum phase phase)
{
    w->phase = phase;
    w->phase_at = w->now;
    world_trace(w, TR_PHASE, 'w', 0, phase, 0, 0, 0, NULL);
}

static void probe_all(struct world *w)
{
    for (uint32_t i = 0; i < w->k.clients; i++) {
        work_probe(&w->actors[i]);
    }
}

static const char *late_words(const struct world *w, char *text, size_t n)
{
    size_t at = 0;
    for (uint32_t i = 0; i < w->k.clients; i++) {
        const struct actor *a = &w->actors[i];
        int k = snprintf(text + at, n - at, " c%u:%s%u/%s", i, a->c == NULL ? "down " : "",
                         a->under_way, owner_idle(a) ? "" : "owner");
        at += k > 0 && (size_t)k < n - at ? (size_t)k : 0;
    }
    for (raft_id id = 1; id <= w->k.members; id++) {
        struct raft_status st = {0};
        if (w->members[id].node != NULL) {
            raft_status(node_raft(w->members[id].node), &st);
        }
        int k = snprintf(text + at, n - at, " n%u:role %u term %llu commit %llu last %llu", id,
                         (unsigned)st.role, (unsigned long long)st.term,
                         (unsigned long long)st.commit, (unsigned long long)st.last);
        at += k > 0 && (size_t)k < n - at ? (size_t)k : 0;
    }
    return text;
}

static bool probed(struct world *w)
{
    for (uint32_t i = 0; i < w->k.clients; i++) {
        const struct actor *a = &w->actors[i];
        if (!a->probed_read || !a->probed_write) {
            return false;
        }
    }
    return true;
}

static void look_probe(struct world *w)
{
    uint32_t sessions = 0;
    if (!clients_idle(w) || !members_equal(w) || !sessions_settled(w, &sessions)) {
        return;
    }
    if (!probed(w)) {
        probe_all(w); /* a limit may have refused one: EBUSY, a session that had just expired */
        w->probes++;
        return;
    }
    if (!watches_ready(w)) {
        return;
    }
    w->converged_ns = w->now - w->healed_at;
    MARK(w, CONVERGED);
    enter(w, PHASE_QUIET);
}

static void look_farewell(struct world *w)
{
    uint32_t sessions = 0;
    if (members_equal(w) && sessions_settled(w, &sessions)) {
        enter(w, PHASE_DONE);
    }
}

void check_look(struct world *w)
{
    char text[700];
    switch (w->phase) {
    case PHASE_SETTLE:
        if (w->now > w->healed_at + CALM_NS) {
            enter(w, PHASE_PROBE);
            probe_all(w);
        }
        break;
    case PHASE_PROBE:
        look_probe(w);
        break;
    case PHASE_QUIET:
        /* Watches get their last progress mark each second; a ttl node may still be due. */
        if (w->quiet_revision != w->hooks_applied) {
            w->quiet_revision = w->hooks_applied;
            w->quiet_at = w->now;
        }
        if (w->now > w->quiet_at + 3 * SVC_SEC) {
            JUDGE(w, oracle_end(w->oracle, true, w->now));
            for (uint32_t i = 0; i < w->k.clients && !w->failed; i++) {
                client_end(&w->actors[i], CLIENT_CLOSE);
            }
            enter(w, PHASE_FAREWELL);
        }
        break;
    case PHASE_FAREWELL:
        look_farewell(w);
        break;
    default:
        return;
    }
    if (w->now > w->phase_at + LIMIT_NS && w->phase >= PHASE_PROBE && w->phase != PHASE_DONE) {
        world_fail(w, "R14: the healed world does not come to rest in phase %d:%s", w->phase,
                   late_words(w, text, sizeof(text)));
        return;
    }
    world_later(w, LOOK_NS, (struct ev){.kind = SE_LOOK});
}

/* --- the recording ------------------------------------------------------------------------------- */

static char *load(const struct world *w, size_t *ret_len)
{
    off_t end = lseek(w->record_fd, 0, SEEK_END);
    char *text = sim_alloc((size_t)end + 1);
    if (end < 0 || pread(w->record_fd, text, (size_t)end, 0) != end) {
        abort();
    }
    *ret_len = (size_t)end;
    return text;
}

void check_keep(struct world *w, const char *file)
{
    size_t len = 0;
    char *text = load(w, &len);
    FILE *f = fopen(file, "we");
    if (f == NULL || fwrite(text, 1, len, f) != len || fclose(f) != 0) {
        perror(file);
    }
    free(text);
}

void check_history(struct world *w)
{
    char why[256] = "";
    struct verify_report r;
    struct verify_plan *plan = NULL;
    struct verify_text words = {0};
    const struct verify_options o = {.empty = true, .budget = BUDGET};
    size_t len = 0;
    char *text = load(w, &len);
    struct verify_history *h = verify_history_create();
    if (h == NULL || verify_parse(h, 0, text, len, why, sizeof(why)) != 0 ||
        verify_history_finish(h, 0, why, sizeof(why)) != 0) {
        world_fail(w, "the recording is not well formed: %s", why);
        verify_history_destroy(h);
        free(text);
        return;
    }
    if (verify_check(h, &o, &r, &plan) != 0) {
        abort(); /* memory */
    }
    /* It allows clocks a hundredth; the oracle judges ages with what they have. */
    bool by_clocks = w->k.wild && r.cause == VERIFY_CAUSE_AGE;
    if (r.verdict == VERIFY_VIOLATION && !by_clocks) {
        verify_explain(h, &r, &words);
        (void)fprintf(stdout, "%s\n",
                      words.at); /* all of it: the verdict has room for a sentence */
        world_fail(w, "X1: not linearizable at %s: %.300s", r.object, words.at);
    }
    w->undecided = r.undecided;
    verify_text_finish(&words);
    verify_report_finish(&r);
    verify_plan_destroy(plan);
    verify_history_destroy(h);
    free(text);
}
