/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: keep, hash and print the records of trace.h. Nothing is formatted before somebody looks.
 */
#include "tests/sim/trace.h"

#include "tests/sim/rng.h"

#include <inttypes.h>

static const char *const msg_names[RAFT_MSG_TYPE_END] = {
    [RAFT_MSG_PREVOTE] = "PREVOTE",
    [RAFT_MSG_PREVOTE_REPLY] = "PREVOTE_REPLY",
    [RAFT_MSG_VOTE] = "VOTE",
    [RAFT_MSG_VOTE_REPLY] = "VOTE_REPLY",
    [RAFT_MSG_APPEND] = "APPEND",
    [RAFT_MSG_APPEND_REPLY] = "APPEND_REPLY",
    [RAFT_MSG_HEARTBEAT] = "HEARTBEAT",
    [RAFT_MSG_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
    [RAFT_MSG_SNAPSHOT] = "SNAPSHOT",
    [RAFT_MSG_SNAPSHOT_REPLY] = "SNAPSHOT_REPLY",
    [RAFT_MSG_TIMEOUT_NOW] = "TIMEOUT_NOW",
    [RAFT_MSG_READ] = "READ",
    [RAFT_MSG_READ_REPLY] = "READ_REPLY",
};

/* The words before each of the five numbers; NULL: the number is not shown. */
static const struct {
    const char *name;
    const char *words[5];
} kinds[] = {
    [TR_SEND] = {"send", {"n", "term", "index", "commit", "seq"}},
    [TR_RECV] = {"recv", {"n", "term", "index", "commit", "seq"}},
    [TR_LOST] = {"lost", {"n", "term", "index", "why", "seq"}},
    [TR_TICK] = {"tick", {NULL}},
    [TR_ROLE] = {"ROLE", {"role", "term", "leader", "commit", "last"}},
    [TR_PERSIST] = {"persist", {"kind", "io_seq", "term/first", "vote/count", "commit/compact"}},
    [TR_WRITE] = {"write", {"ops", "result", "io_seq", NULL}},
    [TR_IO_DONE] = {"io-done", {"io_seq", NULL}},
    [TR_IO_FAIL] = {"IO-FAILED", {NULL}},
    [TR_PROPOSE] = {"propose", {"result", "term", "first", "count", NULL}},
    [TR_READ] = {"read", {"cookie", "floor", NULL}},
    [TR_ANSWER] = {"answer", {"cookie", "result", "index", NULL}},
    [TR_DROP] = {"DROP", {"first", "last", "term", NULL}},
    [TR_COMMIT] = {"commit", {"index", "chain", NULL}},
    [TR_APPLIED] = {"applied", {"index", NULL}},
    [TR_SNAP_BEGIN] = {"snap-begin", {"index", "term", NULL}},
    [TR_SNAP_TAKEN] = {"snap-taken", {"index", "term", "bytes", NULL}},
    [TR_CHUNK] = {"chunk", {"snap_id", "offset", "bytes", "total", NULL}},
    [TR_INSTALL] = {"INSTALL", {"index", "term", "result", NULL}},
    [TR_INSTALL_BEGIN] = {"install", {"index", "term", NULL}},
    [TR_BOOT] = {"BOOT", {"health", "term", "vote", "snapshot", "last"}},
    [TR_CRASH] = {"CRASH", {"how", NULL}},
    [TR_LINK] = {"link", {"up", NULL}},
    [TR_FAULT] = {"FAULT", {"number", "class", "on", "x", "y"}},
    [TR_ROT] = {"ROT", {"kind", "file", "offset", "bytes", "from"}},
    [TR_CONFIG] = {"change", {"result", "voters", "learners", "index", NULL}},
    [TR_MEMBERS] = {"MEMBERS", {"index", "voters", "old", "learners", "marked"}},
    [TR_PHASE] = {"PHASE", {"phase", NULL}},
};

static void print_record(const struct trace_rec *rec, FILE *to)
{
    const uint64_t numbers[5] = {rec->a, rec->b, rec->c, rec->d, rec->e};
    fprintf(to, "%6" PRIu64 ".%06" PRIu64 " n%u %-10s", rec->at / 1000000000,
            rec->at / 1000 % 1000000, rec->node, kinds[rec->kind].name);
    if (rec->peer != 0) {
        fprintf(to, " %s n%u", rec->kind == TR_RECV ? "<-" : "->", rec->peer);
    }
    if (rec->msg_type != 0 && rec->msg_type < RAFT_MSG_TYPE_END) {
        fprintf(to, " %s%s%s%s%s", msg_names[rec->msg_type],
                rec->msg_flags & RAFT_FLAG_REJECT ? " reject" : "",
                rec->msg_flags & RAFT_FLAG_TRANSFER ? " transfer" : "",
                rec->msg_flags & RAFT_FLAG_STALLED ? " stalled" : "",
                rec->msg_flags & RAFT_FLAG_LAST ? " last" : "");
    }
    for (int i = 0; i < 5 && kinds[rec->kind].words[i] != NULL; i++) {
        fprintf(to, " %s=%" PRId64, kinds[rec->kind].words[i], (int64_t)numbers[i]);
    }
    fprintf(to, "\n");
}

void trace_add(struct trace *t, const struct trace_rec *rec)
{
    uint64_t h = t->hash;
    h = rng_mix(h ^ rec->at);
    h = rng_mix(h ^ ((uint64_t)rec->kind << 32 | (uint64_t)rec->node << 24 |
                     (uint64_t)rec->peer << 16 | (uint64_t)rec->msg_type << 8 | rec->msg_flags));
    h = rng_mix(h ^ (rec->a * 3 + rec->b * 5 + rec->c * 7 + rec->d * 11 + rec->e * 13));
    t->hash = h;
    t->ring[t->count++ % TRACE_KEPT] = *rec;
    if (t->live != NULL) {
        print_record(rec, t->live);
    }
    if (t->watch != NULL) {
        t->watch(t->watch_arg, rec);
    }
}

void trace_dump(const struct trace *t, FILE *to, uint64_t n)
{
    uint64_t kept = t->count < TRACE_KEPT ? t->count : TRACE_KEPT;
    uint64_t from = t->count - (n < kept ? n : kept);
    for (uint64_t i = from; i < t->count; i++) {
        print_record(&t->ring[i % TRACE_KEPT], to);
    }
}
