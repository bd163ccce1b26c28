/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_watch.c: each watch as one stream, over all its connections, against the changes of the log.
 *
 * seen is the revision up to which a watch was told everything; whatever matches behind it is still owed. So
 *   an event at R must be behind seen (W1, W2), with nothing owed in between (W3), and hold exactly what
 *   matches at R, in its order, values included (W4, W7); a mark at R says that nothing is owed up to R (W6);
 *   a reply from R on the same connection says so too (W8); a gap at R forgives everything up to R.
 */
#include "tests/service/oracle_int.h"

#define ULL(x) ((unsigned long long)(x))

static struct oracle_watch *find(struct oracle *o, uint64_t id)
{
    for (uint32_t i = o->watches_count; i > 0; i--) {
        if (o->watches[i - 1]->id == id) {
            return o->watches[i - 1];
        }
    }
    return NULL;
}

const char *oracle_watch(struct oracle *o, uint64_t client, uint64_t watch,
                         const struct coord_request *q, uint64_t at)
{
    (void)at;
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    o->watches = oracle__grow(o, o->watches, o->watches_count, &o->watches_cap,
                              sizeof(struct oracle_watch *));
    struct oracle_watch *w = oracle__alloc(o, sizeof(*w));
    o->watches[o->watches_count++] = w;
    w->id = watch;
    w->client = client;
    w->q = *q;
    w->q.path = oracle__keep(o, q->path);
    w->started = q->revision > 0;
    w->seen = q->revision;
    return NULL;
}

/* What is below /coord is the service's own; no entry says what happens there. */
static bool is_foreign(const struct oracle_watch *w)
{
    return coord_path_reserved((const char *)w->q.path.data, w->q.path.len);
}

uint64_t oracle__watch_owed(struct oracle *o, struct oracle_watch *w, uint64_t to)
{
    uint64_t at = w->clear > w->seen ? w->clear : w->seen;
    for (at++; at <= to && at <= o->newest; at++) {
        const struct oracle_truth *t = &o->truth[at];
        for (uint32_t i = 0; i < t->changes_count; i++) {
            if (oracle__watch_wants(w, &t->changes[i])) {
                return at;
            }
        }
        w->clear = at;
    }
    return 0;
}

static void told(struct oracle_watch *w, uint64_t revision)
{
    w->started = true;
    w->seen = revision > w->seen ? revision : w->seen;
}

static const char *unknown(struct oracle *o, uint64_t watch)
{
    return oracle__fail(o, "W3: watch %llu was never made", ULL(watch));
}

const char *oracle_watch_armed(struct oracle *o, uint64_t watch, uint64_t conn, uint64_t revision,
                               bool gap, uint64_t at)
{
    struct oracle_watch *w = find(o, watch);
    (void)at;
    if (o->verdict[0] != '\0' || w == NULL) {
        return w == NULL ? unknown(o, watch) : o->verdict;
    }
    if (w->ended) {
        return NULL;
    }
    w->armed = true;
    w->conn = conn;
    if (revision > o->newest) {
        return oracle__fail(o, "W6: watch %llu begins at %llu, applied is %llu", ULL(watch),
                            ULL(revision), ULL(o->newest));
    }
    uint64_t left = w->started && !gap ? oracle__watch_owed(o, w, revision) : 0;
    if (left != 0) {
        return oracle__fail(o, "W3: watch %llu goes on behind %llu, it was not told of %llu",
                            ULL(watch), ULL(revision), ULL(left));
    }
    if (gap) {
        o->counts.gaps++;
        w->folding = false;
    }
    told(w, revision);
    return NULL;
}

/* --- events --------------------------------------------------------------------------------------- */

static const char *value_difference(const struct oracle_watch *w, const struct oracle_change *want,
                                    const struct coord_change *got)
{
    bool value = (w->q.flags & COORD_WATCH_VALUE) != 0 && want->kind != COORD_CHANGE_DELETED;
    bool previous = (w->q.flags & COORD_WATCH_PREVIOUS) != 0 && want->kind != COORD_CHANGE_CREATED;
    if (got->has_value != value || got->has_previous != previous) {
        return "which values it has";
    }
    if (value && !oracle__same(want->value, got->value)) {
        return "value";
    }
    if (previous && !oracle__same(want->previous, got->previous)) {
        return "previous value";
    }
    if (want->version != got->version) {
        return "version";
    }
    return want->create_revision != got->create_revision ? "create revision" : NULL;
}

/* The change of t at or behind *inout_at that the watch wants; NULL none. */
static const struct oracle_change *next_wanted(const struct oracle_watch *w,
                                               const struct oracle_truth *t, uint32_t *inout_at)
{
    for (uint32_t i = *inout_at; i < t->changes_count; i++) {
        if (oracle__watch_wants(w, &t->changes[i])) {
            *inout_at = i + 1;
            return &t->changes[i];
        }
    }
    return NULL;
}

static const char *content_judge(struct oracle *o, const struct oracle_watch *w, uint64_t revision,
                                 struct coord_bytes changes)
{
    const struct oracle_truth *t = oracle__truth(o, revision);
    struct coord_change got;
    uint32_t at = 0;
    while (coord_change_next(&changes, &got) == 1) {
        const struct oracle_change *want = next_wanted(w, t, &at);
        if (want == NULL || want->kind != got.kind || !oracle__same(want->path, got.path)) {
            return oracle__fail(o, "W4: watch %llu at %llu: %.*s (kind %d) %s", ULL(w->id),
                                ULL(revision), ORACLE_PATH(got.path), (int)got.kind,
                                want == NULL ? "was not to be told" : "is not what comes next");
        }
        const char *why = value_difference(w, want, &got);
        if (why != NULL) {
            return oracle__fail(o, "W7: watch %llu at %llu: %.*s: %s is wrong", ULL(w->id),
                                ULL(revision), ORACLE_PATH(got.path), why);
        }
    }
    const struct oracle_change *left = next_wanted(w, t, &at);
    if (left != NULL) {
        return oracle__fail(o, "W4: watch %llu at %llu: %.*s is missing", ULL(w->id), ULL(revision),
                            ORACLE_PATH(left->path));
    }
    return NULL;
}

static const char *changes_judge(struct oracle *o, struct oracle_watch *w, uint64_t revision,
                                 struct coord_bytes changes)
{
    o->counts.events++;
    if (is_foreign(w)) {
        told(w, revision);
        return NULL;
    }
    if ((w->q.flags & COORD_WATCH_ONCE) != 0 && w->fired) {
        return oracle__fail(o, "W9: watch %llu fires again at %llu", ULL(w->id), ULL(revision));
    }
    if (w->started && revision <= w->seen) {
        return oracle__fail(o, "%s: watch %llu is told of %llu, it was told of %llu before",
                            revision == w->seen ? "W2" : "W1", ULL(w->id), ULL(revision),
                            ULL(w->seen));
    }
    uint64_t left = w->started ? oracle__watch_owed(o, w, revision - 1) : 0;
    if (left != 0) {
        return oracle__fail(o, "W3: watch %llu is told of %llu and was not told of %llu",
                            ULL(w->id), ULL(revision), ULL(left));
    }
    ORACLE_TRY(content_judge(o, w, revision, changes));
    oracle__fold(o, w, oracle__truth(o, revision));
    w->fired = true;
    w->ended = (w->q.flags & COORD_WATCH_ONCE) != 0;
    told(w, revision);
    return NULL;
}

const char *oracle_watch_event(struct oracle *o, uint64_t watch, enum coord_watch_state state,
                               uint64_t revision, struct coord_bytes changes, uint64_t at)
{
    struct oracle_watch *w = find(o, watch);
    (void)at;
    if (o->verdict[0] != '\0' || w == NULL) {
        return w == NULL ? unknown(o, watch) : o->verdict;
    }
    if (revision == 0 || revision > o->newest) {
        return oracle__fail(o, "W6: watch %llu is told of %llu, applied is %llu", ULL(watch),
                            ULL(revision), ULL(o->newest));
    }
    if (state == COORD_EVENT_CHANGES) {
        return changes_judge(o, w, revision, changes);
    }
    if (w->ended) {
        return NULL;
    }
    if (state == COORD_EVENT_GAP) {
        o->counts.gaps++;
        w->folding = false;
        told(w, revision);
        return NULL;
    }
    uint64_t left = w->started ? oracle__watch_owed(o, w, revision) : 0;
    if (left != 0 || (w->started && revision < w->seen)) {
        return oracle__fail(o, "W6: watch %llu has a mark at %llu, %s %llu", ULL(watch),
                            ULL(revision),
                            left != 0 ? "it was not told of" : "it was told before of",
                            ULL(left != 0 ? left : w->seen));
    }
    told(w, revision);
    o->counts.marks++;
    return w->listed <= revision ? oracle__fold_judge(o, w, revision) : NULL;
}

const char *oracle_unwatch(struct oracle *o, uint64_t watch, uint64_t at)
{
    struct oracle_watch *w = find(o, watch);
    (void)at;
    if (w != NULL) {
        w->ended = true;
        w->armed = false;
    }
    return oracle_verdict(o);
}

const char *oracle_conn_ended(struct oracle *o, uint64_t conn, uint64_t at)
{
    (void)at;
    for (uint32_t i = 0; i < o->watches_count; i++) {
        if (o->watches[i]->conn == conn) {
            o->watches[i]->armed = false;
        }
    }
    return oracle_verdict(o);
}

/* --- replies, the end ----------------------------------------------------------------------------- */

const char *oracle__watch_judge(struct oracle *o, const struct oracle_pending *p,
                                const struct oracle_reply *r)
{
    const uint64_t shown = r->result->receipt.revision;
    for (uint32_t i = 0; r->conn != 0 && i < o->watches_count; i++) {
        struct oracle_watch *w = o->watches[i];
        if (!w->armed || w->ended || w->conn != r->conn) {
            continue;
        }
        uint64_t left = oracle__watch_owed(o, w, shown);
        if (left != 0) {
            return oracle__fail(
                o,
                "W8: call %llu (%s) is answered from %llu before watch %llu is told "
                "of %llu",
                ULL(p->c.call), coord_op_name(p->q.op), ULL(shown), ULL(w->id), ULL(left));
        }
    }
    return NULL;
}

const char *oracle__watch_end(struct oracle *o)
{
    for (uint32_t i = 0; i < o->watches_count; i++) {
        struct oracle_watch *w = o->watches[i];
        uint64_t left = w->armed && !w->ended ? oracle__watch_owed(o, w, o->newest) : 0;
        if (left != 0) {
            return oracle__fail(o, "W3: watch %llu was never told of %llu", ULL(w->id), ULL(left));
        }
        if (w->armed && !w->ended) {
            ORACLE_TRY(oracle__fold_judge(o, w, o->newest));
        }
    }
    return NULL;
}
