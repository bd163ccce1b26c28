/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hooks.c: what the oracle hears. The linker puts these functions in front of those of the state machine and of
 * the client core (--wrap, see the Makefile), so that nothing in the product knows of it; each does what it
 * stands for and tells what happened. Threads: one.
 *
 *   machine_apply, machine_skip, machine_replace what each member does at each index
 *   coord__core_submit, coord__core_next         each call, and its end
 *   coord_request_encode                         under which number and in which session it is sent
 *   coord__session_ponged                        keep-alives that were acknowledged
 *   coord__core_watch, _unwatch, coord__watch_*  watches
 *   coord__record_*                              the recording gets the world's own time
 */
#include "tests/service/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/core_int.h"
#include "client/shell/handle.h"
#include "client/shell/record.h"
#include "server/machine/machine.h"
#include "tests/sim/util.h"

/* NOLINTBEGIN: the linker demands these names */
void __real_machine_apply(struct machine *m, uint64_t revision, const uint8_t *bytes, size_t len,
                          struct machine_outcome *ret_o);
void __wrap_machine_apply(struct machine *m, uint64_t revision, const uint8_t *bytes, size_t len,
                          struct machine_outcome *ret_o);
void __real_machine_skip(struct machine *m, uint64_t revision);
void __wrap_machine_skip(struct machine *m, uint64_t revision);
void __real_machine_replace(struct machine *m, struct machine_loader *l);
void __wrap_machine_replace(struct machine *m, struct machine_loader *l);
int __real_coord__core_submit(struct coord__core *k, struct coord__request *r, uint32_t timeout_ms,
                              uint64_t now);
int __wrap_coord__core_submit(struct coord__core *k, struct coord__request *r, uint32_t timeout_ms,
                              uint64_t now);
bool __real_coord__core_next(struct coord__core *k, struct coord__out *ret_out);
bool __wrap_coord__core_next(struct coord__core *k, struct coord__out *ret_out);
int __real_coord_request_encode(const struct coord_request *q, struct coord_buf **out);
int __wrap_coord_request_encode(const struct coord_request *q, struct coord_buf **out);
void __real_coord__session_ponged(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res);
void __wrap_coord__session_ponged(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res);
int __real_coord__core_watch(struct coord__core *k, struct coord__watch *w, uint64_t now);
int __wrap_coord__core_watch(struct coord__core *k, struct coord__watch *w, uint64_t now);
int __real_coord__core_unwatch(struct coord__core *k, uint64_t id, uint64_t now);
int __wrap_coord__core_unwatch(struct coord__core *k, uint64_t id, uint64_t now);
void __real_coord__watch_answered(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res);
void __wrap_coord__watch_answered(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res);
int __real_coord__watch_event(struct coord__core *k, const struct coord_event *ev,
                              struct coord__out *ret_out);
int __wrap_coord__watch_event(struct coord__core *k, const struct coord_event *ev,
                              struct coord__out *ret_out);
int __real_coord__record_open(const char *file, uint64_t now, struct coord__recorder **ret_rec);
int __wrap_coord__record_open(const char *file, uint64_t now, struct coord__recorder **ret_rec);
void __real_coord__record_call(struct coord__recorder *rec, const struct coord__request *r,
                               uint64_t now);
void __wrap_coord__record_call(struct coord__recorder *rec, const struct coord__request *r,
                               uint64_t now);
void __real_coord__record_reply(struct coord__recorder *rec, const struct coord__out *out,
                                uint64_t session, uint64_t now);
void __wrap_coord__record_reply(struct coord__recorder *rec, const struct coord__out *out,
                                uint64_t session, uint64_t now);
void __real_coord__record_watch(struct coord__recorder *rec, const struct coord__watch *w,
                                uint64_t now);
void __wrap_coord__record_watch(struct coord__recorder *rec, const struct coord__watch *w,
                                uint64_t now);
void __real_coord__record_event(struct coord__recorder *rec, const struct coord__out *out,
                                enum coord_watch_event_state told, uint64_t now);
void __wrap_coord__record_event(struct coord__recorder *rec, const struct coord__out *out,
                                enum coord_watch_event_state told, uint64_t now);
void __real_coord__record_state(struct coord__recorder *rec, enum coord_state state,
                                uint64_t session, uint64_t now);
void __wrap_coord__record_state(struct coord__recorder *rec, enum coord_state state,
                                uint64_t session, uint64_t now);
void __real_coord__record_close(struct coord__recorder *rec, const char *how, uint64_t now);
void __wrap_coord__record_close(struct coord__recorder *rec, const char *how, uint64_t now);
/* NOLINTEND */

#define CALL_OF(a, id) ((a)->client << 32 | (id))

/* A call under way: what it was sent as. */
struct sent {
    struct sent *next;
    uint64_t call;
    uint64_t session;
    uint64_t number;
    uint64_t until; /* of the client's clock: its time is over */
    bool write;
    bool patient; /* it waits for a quorum */
};

/* A write by (session, number) whose fate its client does not know, or who proposed it first. */
struct fate {
    struct fate *next;
    uint64_t session;
    uint64_t number;
    bool applied;
    bool unsure;
    uint32_t origin;
    raft_term term;
};

#define FATES 4096

struct hooks {
    struct sent *sent;
    struct fate *fates[FATES];
    struct watch_seen {
        struct watch_seen *next;
        uint64_t client;
        uint64_t id; /* of the core */
        uint64_t serial;
        uint64_t revision;
        uint64_t conn; /* last armed on */
        bool once;
        bool ended;
        struct coord_buf *path;
    } * watches;
    uint64_t serial;
};

void hooks_begin(struct world *w)
{
    w->hooks = sim_alloc(sizeof(*w->hooks));
}

static void fates_count(struct world *w, struct fate *f)
{
    if (f->unsure && f->applied) {
        MARK(w, IN_DOUBT_APPLIED);
    } else if (f->unsure) {
        MARK(w, IN_DOUBT_NOT);
    }
}

void hooks_finish(struct world *w)
{
    struct hooks *h = w->hooks;
    for (uint32_t i = 0; i < FATES; i++) {
        while (h->fates[i] != NULL) {
            struct fate *f = h->fates[i];
            h->fates[i] = f->next;
            fates_count(w, f);
            free(f);
        }
    }
    while (h->sent != NULL) {
        struct sent *s = h->sent;
        h->sent = s->next;
        free(s);
    }
    while (h->watches != NULL) {
        struct watch_seen *s = h->watches;
        h->watches = s->next;
        coord_buf_unref(s->path);
        free(s);
    }
    free(h);
}

static struct fate *fate_of(struct hooks *h, uint64_t session, uint64_t number)
{
    struct fate **at = &h->fates[rng_mix(session * 31 + number) % FATES];
    for (struct fate *f = *at; f != NULL; f = f->next) {
        if (f->session == session && f->number == number) {
            return f;
        }
    }
    struct fate *f = sim_alloc(sizeof(*f));
    f->session = session;
    f->number = number;
    f->next = *at;
    *at = f;
    return f;
}

/* --- members ------------------------------------------------------------------------------------- */

/* Only the first member that applies an index counts for the marks. */
static void notice(struct world *w, const struct entry *e, const struct machine_outcome *o)
{
    uint64_t number = 0;
    uint64_t op = 0;
    if (e->kind == ENTRY_EXPIRE && o->ended_count > 0) {
        MARK(w, SESSION_EXPIRED);
        if (o->changes_count > 0) {
            MARK(w, EXPIRED_WITH_NODES);
        }
    }
    if (o->error == COORD_EMOVED) {
        MARK(w, MOVED);
    } else if (o->error == COORD_EBUSY || o->error == COORD_ELIMIT) {
        MARK(w, BUSY);
    } else if (o->error == COORD_EQUOTA) {
        MARK(w, QUOTA_HIT);
    }
    if (e->kind != ENTRY_REQUEST || e->session == 0 ||
        coord_request_peek(e->body, e->body_bytes, &number, &op) != 0) {
        return;
    }
    struct fate *f = fate_of(w->hooks, e->session, number);
    if (f->applied) {
        MARK(w, REPEATED);
        if (f->origin != e->origin) {
            MARK(w, REPEATED_ELSEWHERE);
        }
        if (f->term != w->leader_term) {
            MARK(w, REPEATED_NEW_LEADER);
        }
        return;
    }
    f->applied = true;
    f->origin = e->origin;
    f->term = w->leader_term;
}

static bool applying; /* machine_apply calls machine_skip */

void __wrap_machine_apply(struct machine *m, uint64_t revision, const uint8_t *bytes, size_t len,
                          struct machine_outcome *ret_o)
{
    struct member *member = world_member();
    applying = true;
    __real_machine_apply(m, revision, bytes, len, ret_o);
    applying = false;
    if (member == NULL) {
        return;
    }
    struct world *w = member->w;
    const struct oracle_applied a = {.member = member->id,
                                     .revision = revision,
                                     .bytes = bytes,
                                     .len = len,
                                     .error = ret_o->error,
                                     .body = ret_o->body,
                                     .changes_count = ret_o->changes_count,
                                     .changes = ret_o->changes,
                                     .ended_count = ret_o->ended_count,
                                     .ended = ret_o->ended};
    world_trace(w, TR_APPLY, 'n', member->id, revision, (uint64_t)(int64_t)ret_o->error,
                ret_o->changes_count, ret_o->ended_count, NULL);
    struct entry e;
    if (revision > w->hooks_applied && entry_decode(bytes, len, &e)) {
        w->hooks_applied = revision;
        notice(w, &e, ret_o);
    }
    JUDGE(w, oracle_applied(w->oracle, &a, w->now));
}

void __wrap_machine_skip(struct machine *m, uint64_t revision)
{
    struct member *member = world_member();
    __real_machine_skip(m, revision);
    if (member != NULL && !applying) {
        const struct oracle_applied a = {.member = member->id, .revision = revision};
        JUDGE(member->w, oracle_applied(member->w->oracle, &a, member->w->now));
    }
}

static void notice_install(struct member *m, uint64_t revision)
{
    struct world *w = m->w;
    for (raft_id from = 1; from <= w->k.members; from++) {
        if (w->chunk_lost[from][m->id].index == revision) {
            MARK(w, INSTALLED_AFTER_LOSS);
        }
    }
    if (m->beyond_log) {
        MARK(w, BROUGHT_BACK);
        m->beyond_log = false;
    }
    if (m->repairing) {
        MARK(w, REPAIRED_BY_SNAPSHOT);
    }
}

void __wrap_machine_replace(struct machine *m, struct machine_loader *l)
{
    struct member *member = world_member();
    __real_machine_replace(m, l);
    if (member == NULL) {
        return;
    }
    struct world *w = member->w;
    struct machine_stats s;
    machine_stats(m, &s);
    world_trace(w, TR_STATE, 'n', member->id, s.revision, 0, 0, 0, NULL);
    if (member->node != NULL) { /* at boot member.c tells it */
        notice_install(member, s.revision);
        JUDGE(w, oracle_member_state(w->oracle, member->id, s.revision, machine_digest(m), w->now));
    }
}

/* --- calls --------------------------------------------------------------------------------------- */

int __wrap_coord__core_submit(struct coord__core *k, struct coord__request *r, uint32_t timeout_ms,
                              uint64_t now)
{
    struct actor *a = world_actor();
    if (a == NULL) {
        return __real_coord__core_submit(k, r, timeout_ms, now);
    }
    struct world *w = a->w;
    const struct oracle_call c = {.client = a->client,
                                  .call = CALL_OF(a, coord__core_requests(k) + 1),
                                  .session = coord__core_session(k),
                                  .q = &r->q};
    struct sent *s = sim_alloc(sizeof(*s));
    s->call = c.call;
    s->write = coord_op_kind(r->q.op) == COORD_KIND_WRITE;
    s->patient = r->wait_quorum;
    s->until = now + timeout_ms * SVC_MS;
    s->next = w->hooks->sent;
    w->hooks->sent = s;
    if (!a->ended) {
        /* Before it is submitted: that may send it at once. */
        JUDGE(w, oracle_call(w->oracle, &c, w->now));
        world_trace(w, TR_CALL, 'c', a->index, c.call & UINT32_MAX, r->q.op, r->q.level, 0, NULL);
    }
    if (r->q.op == COORD_OP_SESSION_CLOSE) {
        client_closes_session(a);
    }
    int err = __real_coord__core_submit(k, r, timeout_ms, now);
    if (err == 0 && r->id != (c.call & UINT32_MAX)) {
        world_fail(w, "the simulator guessed the number of a request wrong");
    }
    if (err != 0) {
        w->hooks->sent = s->next;
        free(s);
        const struct oracle_reply reply = {
            .client = a->client, .call = c.call, .error = err, .error_class = COORD_NOT_APPLIED};
        if (!a->ended) {
            JUDGE(w, oracle_reply(w->oracle, &reply, w->now));
        }
    } else {
        w->ops++;
    }
    return err;
}

static struct sent *find_sent(struct world *w, uint64_t call)
{
    for (struct sent *s = w->hooks->sent; s != NULL; s = s->next) {
        if (s->call == call) {
            return s;
        }
    }
    return NULL;
}

int __wrap_coord_request_encode(const struct coord_request *q, struct coord_buf **out)
{
    struct actor *a = world_actor();
    if (a != NULL && a->c != NULL && !a->w->judging) {
        /* pump.c encodes the q of a request. */
        const struct coord__request *r = COORD__ENTRY(q, struct coord__request, q);
        if (q->op == COORD_OP_PING) {
            a->ping_sent = a->w->now;
        }
        struct sent *s = r->role == COORD__USER ? find_sent(a->w, CALL_OF(a, r->id)) : NULL;
        if (s != NULL) {
            s->number = q->number;
            s->session = coord__core_session(a->c->core);
        }
    }
    return __real_coord_request_encode(q, out);
}

static enum coord_error_class class_of(enum coord_outcome outcome)
{
    switch (outcome) {
    case COORD_OUTCOME_FAILED:
        return COORD_FAILED;
    case COORD_OUTCOME_NOT_APPLIED:
        return COORD_NOT_APPLIED;
    default:
        return COORD_UNKNOWN;
    }
}

static void mark_reply(struct world *w, const struct coord__out *out, enum coord_op op)
{
    switch (out->error) {
    case COORD_ENOQUORUM:
        MARK(w, NO_QUORUM);
        break;
    case COORD_ETOOSTALE:
        MARK(w, TOO_STALE);
        break;
    case COORD_ENOSPACE:
        MARK(w, NO_SPACE);
        break;
    case 0:
        if (op == COORD_OP_TXN) {
            MARK(w, TXN_DONE);
        } else if (op == COORD_OP_RENAME && out->result != NULL && out->result->count > 1) {
            MARK(w, TREE_MOVED);
        } else if (op == COORD_OP_DELETE && out->result != NULL && out->result->count > 1) {
            MARK(w, TREE_DELETED);
        }
        break;
    default:
        if (op == COORD_OP_TXN && out->outcome == COORD_OUTCOME_FAILED) {
            MARK(w, TXN_REFUSED);
        }
        break;
    }
}

static bool same_path(const struct coord_buf *a, struct coord_bytes b)
{
    return a->len == b.len && memcmp(a->data, b.data, b.len) == 0;
}

/* What follows from an answer for the watches of its client, and for its places in line. */
static void notice_answer(struct actor *a, const struct coord_request *q,
                          const struct coord_result *res)
{
    const uint32_t whole = COORD_LIST_RECURSIVE | COORD_LIST_STATS;
    struct world *w = a->w;
    if (res == NULL || res->error != 0) {
        return;
    }
    if (q->op == COORD_OP_STATUS && res->status.lease_rounds > 0) {
        MARK(w, LEASE_READS);
    }
    if (q->op == COORD_OP_CREATE) {
        owner_queued(a, q->path, res->stat.create_revision);
    }
    if (q->op != COORD_OP_LIST || (q->flags & (whole | COORD_LIST_COUNT)) != whole ||
        q->after.len > 0) {
        return;
    }
    for (struct watch_seen *s = w->hooks->watches; s != NULL; s = s->next) {
        if (s->client == a->client && !s->ended && same_path(s->path, q->path)) {
            JUDGE(w, oracle_watch_listed(w->oracle, s->serial, res, res->receipt.revision, w->now));
        }
    }
}

/* Who waits for a quorum is refused for want of one only when its time is over; without a session, also when it is in
 * doubt. */
static void judge_patience(struct actor *a, const struct sent *s, const struct coord__out *out)
{
    struct world *w = a->w;
    bool refused = out->error == COORD_ENOQUORUM || out->error == COORD_EINDOUBT;
    bool once = s->write && a->c->core->o.policy == COORD_SESSIONS_OFF &&
                out->outcome == COORD_OUTCOME_UNKNOWN;
    if (!s->patient) {
        return;
    }
    if (refused && !once && client_now(a) < s->until) {
        world_fail(w,
                   "P1: client %u: request %llu waits for a quorum and is told %s before its time",
                   a->index, (unsigned long long)out->request->id, coord_errname(out->error));
    } else if (refused && !once) {
        MARK(w, PATIENT_REFUSED);
    } else if (out->error == 0 && out->request->refused != 0) {
        MARK(w, PATIENT_SERVED);
        if (out->request->unsure) {
            MARK(w, PATIENT_DOUBT_ENDED);
        }
    }
}

static void replied(struct actor *a, const struct coord__out *out)
{
    struct world *w = a->w;
    uint64_t call = CALL_OF(a, out->request->id);
    struct sent **at = &w->hooks->sent;
    while (*at != NULL && (*at)->call != call) {
        at = &(*at)->next;
    }
    struct sent *s = *at;
    if (s == NULL) {
        world_fail(w, "client %u is answered twice, or was never asked: %llu", a->index,
                   (unsigned long long)out->request->id);
        return;
    }
    *at = s->next;
    if (!a->ended) {
        judge_patience(a, s, out);
    }
    bool unknown = out->outcome == COORD_OUTCOME_UNKNOWN;
    if (s->write && unknown && s->number != 0 && s->session != 0) {
        fate_of(w->hooks, s->session, s->number)->unsure = true;
    }
    uint64_t conn = a->c != NULL && a->conn != 0 && out->result != NULL ? a->conn : 0;
    int error = out->error;
    if (out->result != NULL && out->request->decided) {
        error = out->result->error;
    }
    const struct oracle_reply r = {.client = a->client,
                                   .call = call,
                                   .session = s->session,
                                   .number = s->number,
                                   .error = error,
                                   .error_class = class_of(out->outcome),
                                   .result = out->result,
                                   .conn = conn};
    free(s);
    if (a->ended) {
        return;
    }
    w->replies++;
    mark_reply(w, out, out->request->q.op);
    world_trace(w, TR_REPLY, 'c', a->index, out->request->id, (uint64_t)(int64_t)out->error,
                out->outcome, out->result != NULL ? out->result->receipt.revision : 0, NULL);
    JUDGE(w, oracle_reply(w->oracle, &r, w->now));
    notice_answer(a, &out->request->q, out->result);
}

/* Where its session is attached now. */
static void notice_session(struct actor *a, const struct coord__core *k)
{
    uint32_t member = 0;
    uint32_t server = 0;
    uint64_t session = coord__core_session(k);
    if (session != 0 && coord__core_ready(k, &member, &server) && k->link.attached) {
        if (a->session == session && a->last_member != 0 && a->last_member != member) {
            MARK(a->w, RESUMED_ELSEWHERE);
        }
        a->last_member = member;
    }
    a->session = session != 0 ? session : a->session;
}

bool __wrap_coord__core_next(struct coord__core *k, struct coord__out *ret_out)
{
    struct actor *a = world_actor();
    bool any = __real_coord__core_next(k, ret_out);
    if (a == NULL) {
        return any;
    }
    if (any && ret_out->kind == COORD__OUT_REPLY) {
        replied(a, ret_out);
    }
    if (any && ret_out->kind == COORD__OUT_WATCH && ret_out->event == COORD_WATCH_ENDED) {
        for (struct watch_seen *s = a->w->hooks->watches; s != NULL; s = s->next) {
            if (s->client == a->client && s->id == ret_out->watch->id && !s->ended) {
                s->ended = true;
                if (!a->ended) {
                    JUDGE(a->w, oracle_unwatch(a->w->oracle, s->serial, a->w->now));
                }
            }
        }
    }
    notice_session(a, k);
    return any;
}

void __wrap_coord__session_ponged(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res)
{
    struct actor *a = world_actor();
    if (a != NULL && !a->ended && res->error == 0 && k->link.attached) {
        JUDGE(a->w, oracle_alive(a->w->oracle, a->client, coord__core_session(k), a->ping_sent,
                                 res->receipt.revision));
    }
    __real_coord__session_ponged(k, r, res);
}

/* --- watches ------------------------------------------------------------------------------------- */

static struct watch_seen *find_watch(const struct actor *a, uint64_t id)
{
    for (struct watch_seen *s = a->w->hooks->watches; s != NULL; s = s->next) {
        if (s->client == a->client && s->id == id) {
            return s;
        }
    }
    return NULL;
}

int __wrap_coord__core_watch(struct coord__core *k, struct coord__watch *w, uint64_t now)
{
    struct actor *a = world_actor();
    if (a == NULL) {
        return __real_coord__core_watch(k, w, now);
    }
    struct hooks *h = a->w->hooks;
    struct watch_seen *s = sim_alloc(sizeof(*s));
    s->client = a->client;
    s->id = k->last_watch + 1;
    s->serial = ++h->serial;
    s->revision = w->q.revision;
    s->once = (w->q.flags & COORD_WATCH_ONCE) != 0;
    s->path = coord_buf_copy(w->q.path.data, w->q.path.len);
    s->next = h->watches;
    h->watches = s;
    if (!a->ended) {
        JUDGE(a->w, oracle_watch(a->w->oracle, a->client, s->serial, &w->q, a->w->now));
    }
    int err = __real_coord__core_watch(k, w, now);
    if (err != 0) {
        s->ended = true;
        if (!a->ended) {
            JUDGE(a->w, oracle_unwatch(a->w->oracle, s->serial, a->w->now));
        }
    } else if (w->id != s->id) {
        world_fail(a->w, "the simulator guessed the number of a watch wrong");
    }
    return err;
}

int __wrap_coord__core_unwatch(struct coord__core *k, uint64_t id, uint64_t now)
{
    struct actor *a = world_actor();
    int err = __real_coord__core_unwatch(k, id, now);
    struct watch_seen *s = a != NULL && err == 0 ? find_watch(a, id) : NULL;
    if (s != NULL && !s->ended) {
        s->ended = true;
        if (!a->ended) {
            JUDGE(a->w, oracle_unwatch(a->w->oracle, s->serial, a->w->now));
        }
    }
    return err;
}

void __wrap_coord__watch_answered(struct coord__core *k, const struct coord__request *r,
                                  const struct coord_result *res)
{
    struct actor *a = world_actor();
    struct watch_seen *s = a != NULL ? find_watch(a, r->q.watch) : NULL;
    if (s != NULL && !s->ended && !a->ended && res->error == 0) {
        if (s->conn != 0 && s->conn != a->conn) {
            MARK(a->w, WATCH_RESUMED);
        }
        if (res->gap) {
            MARK(a->w, WATCH_GAP);
        }
        s->conn = a->conn;
        world_trace(a->w, TR_WATCH, 'c', a->index, s->serial, res->gap ? 101 : 100, res->revision,
                    0, NULL);
        JUDGE(a->w, oracle_watch_armed(a->w->oracle, s->serial, a->conn, res->revision, res->gap,
                                       a->w->now));
        s->revision = res->revision > s->revision ? res->revision : s->revision;
    }
    __real_coord__watch_answered(k, r, res);
}

/* A place in line is told by its own watch that the one in front is gone. */
static void notice_ends(struct actor *a, const struct watch_seen *s, const struct coord_event *ev)
{
    struct coord_bytes cursor = ev->changes_raw;
    struct coord_change c;
    while (ev->state == COORD_EVENT_CHANGES && coord_change_next(&cursor, &c) == 1) {
        if (c.kind == COORD_CHANGE_DELETED && same_path(s->path, c.path)) {
            owner_woken(a, c.path, ev->revision);
        }
    }
}

int __wrap_coord__watch_event(struct coord__core *k, const struct coord_event *ev,
                              struct coord__out *ret_out)
{
    struct actor *a = world_actor();
    struct watch_seen *s = a != NULL ? find_watch(a, ev->watch) : NULL;
    int rv = __real_coord__watch_event(k, ev, ret_out);
    if (s == NULL || s->ended || a->ended || rv == 2 ||
        (ev->state != COORD_EVENT_GAP && ev->revision <= s->revision) ||
        (rv == 0 && ev->state != COORD_EVENT_PROGRESS)) {
        return rv;
    }
    s->revision = ev->revision > s->revision ? ev->revision : s->revision;
    world_trace(a->w, TR_WATCH, 'c', a->index, s->serial, ev->state, ev->revision,
                ev->changes_count, NULL);
    if (ev->state == COORD_EVENT_GAP) {
        MARK(a->w, WATCH_GAP);
        if (a->conn != 0 && a->w->streams[a->conn]->was_behind) {
            MARK(a->w, GAP_AFTER_BEHIND);
        }
    } else if (s->once && ev->state == COORD_EVENT_CHANGES) {
        MARK(a->w, WATCH_ONCE_FIRED);
    }
    JUDGE(a->w, oracle_watch_event(a->w->oracle, s->serial, ev->state, ev->revision,
                                   ev->changes_raw, a->w->now));
    notice_ends(a, s, ev);
    return rv;
}

void hooks_conn_ended(struct actor *a)
{
    struct world *w = a->w;
    if (a->conn != 0) {
        JUDGE(w, oracle_conn_ended(w->oracle, a->conn, w->now));
        a->conn = 0;
    }
}

void hooks_client_ended(struct actor *a)
{
    struct world *w = a->w;
    hooks_conn_ended(a);
    for (struct watch_seen *s = w->hooks->watches; s != NULL; s = s->next) {
        if (s->client == a->client && !s->ended) {
            s->ended = true;
            JUDGE(w, oracle_unwatch(w->oracle, s->serial, w->now));
        }
    }
    for (struct sent *s = w->hooks->sent; s != NULL; s = s->next) {
        if (s->call >> 32 == a->client && s->write && s->number != 0 && s->session != 0) {
            fate_of(w->hooks, s->session, s->number)->unsure = true;
        }
    }
}

/* --- the recording ------------------------------------------------------------------------------- */

static uint64_t true_time(uint64_t now)
{
    const struct actor *a = world_actor();
    return a != NULL ? a->w->now : now;
}

int __wrap_coord__record_open(const char *file, uint64_t now, struct coord__recorder **ret_rec)
{
    return __real_coord__record_open(file, true_time(now), ret_rec);
}

void __wrap_coord__record_call(struct coord__recorder *rec, const struct coord__request *r,
                               uint64_t now)
{
    __real_coord__record_call(rec, r, true_time(now));
}

void __wrap_coord__record_reply(struct coord__recorder *rec, const struct coord__out *out,
                                uint64_t session, uint64_t now)
{
    __real_coord__record_reply(rec, out, session, true_time(now));
}

void __wrap_coord__record_watch(struct coord__recorder *rec, const struct coord__watch *w,
                                uint64_t now)
{
    __real_coord__record_watch(rec, w, true_time(now));
}

void __wrap_coord__record_event(struct coord__recorder *rec, const struct coord__out *out,
                                enum coord_watch_event_state told, uint64_t now)
{
    __real_coord__record_event(rec, out, told, true_time(now));
}

void __wrap_coord__record_state(struct coord__recorder *rec, enum coord_state state,
                                uint64_t session, uint64_t now)
{
    __real_coord__record_state(rec, state, session, true_time(now));
}

void __wrap_coord__record_close(struct coord__recorder *rec, const char *how, uint64_t now)
{
    __real_coord__record_close(rec, how, true_time(now));
}
