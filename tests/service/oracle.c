/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle.c: life of an oracle, its memory, its verdict, and the road of a call and of its reply through
 * the files that judge.
 */
#include "tests/service/oracle_int.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- memory ------------------------------------------------------------------------------------- */

#define CHUNK_BYTES ((size_t)256 * 1024)

struct oracle_chunk {
    struct oracle_chunk *next;
    size_t used;
    size_t bytes;
    max_align_t room[];
};

void *oracle__alloc(struct oracle *o, size_t bytes)
{
    struct oracle_chunk *c = o->chunks;
    bytes = (bytes + 15) & ~(size_t)15;
    if (c == NULL || c->bytes - c->used < bytes) {
        size_t room = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        c = calloc(1, sizeof(*c) + room);
        assert(c != NULL);
        c->bytes = room;
        c->next = o->chunks;
        o->chunks = c;
    }
    void *p = (uint8_t *)c->room + c->used;
    c->used += bytes;
    return p;
}

void *oracle__grow(struct oracle *o, void *array, uint32_t count, uint32_t *cap, size_t bytes)
{
    if (count < *cap) {
        return array;
    }
    uint32_t larger = *cap == 0 ? 4 : *cap * 2;
    void *p = oracle__alloc(o, larger * bytes);
    if (count > 0) {
        memcpy(p, array, count * bytes);
    }
    *cap = larger;
    return p;
}

struct coord_bytes oracle__keep(struct oracle *o, struct coord_bytes b)
{
    if (b.data == NULL) {
        return b;
    }
    uint8_t *p = oracle__alloc(o, (size_t)b.len + 1);
    if (b.len > 0) {
        memcpy(p, b.data, b.len);
    }
    return (struct coord_bytes){p, b.len};
}

uint64_t oracle__u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

bool oracle__same(struct coord_bytes a, struct coord_bytes b)
{
    return (a.data == NULL) == (b.data == NULL) && a.len == b.len &&
           (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

uint64_t oracle__hash(const void *bytes, size_t len, uint64_t seed)
{
    const uint8_t *p = bytes;
    uint64_t h = seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) {
        h = (h ^ p[i]) * 0x100000001b3u;
    }
    return h ^ (h >> 29);
}

/* --- life --------------------------------------------------------------------------------------- */

void oracle_options_init(struct oracle_options *o)
{
    *o = (struct oracle_options){.limits = {.data_bytes = 1u << 20,
                                            .session_min_ms = 2000,
                                            .session_max_ms = 60000,
                                            .sessions = 200000,
                                            .answers = 4096,
                                            .answers_bytes = 8u << 20,
                                            .txn_operations = 1024,
                                            .subtree_nodes = 10000,
                                            .list_entries = 10000,
                                            .list_bytes = 3u << 20,
                                            .frame_bytes = 4u << 20,
                                            .store_bytes = 2ull << 30}};
}

struct oracle *oracle_create(const struct oracle_options *options)
{
    struct oracle *o = calloc(1, sizeof(*o));
    assert(o != NULL);
    o->options = *options;
    oracle__tree_init(o);
    return o;
}

void oracle_destroy(struct oracle *o)
{
    if (o == NULL) {
        return;
    }
    while (o->chunks != NULL) {
        struct oracle_chunk *next = o->chunks->next;
        free(o->chunks);
        o->chunks = next;
    }
    free(o->truth);
    coord_buf_unref(o->body);
    free(o);
}

const char *oracle_verdict(const struct oracle *o)
{
    return o->verdict[0] == '\0' ? NULL : o->verdict;
}

void oracle_counts(const struct oracle *o, struct oracle_counts *ret_c)
{
    *ret_c = o->counts;
}

const char *oracle__fail(struct oracle *o, const char *format, ...)
{
    if (o->verdict[0] == '\0') {
        va_list ap;
        va_start(ap, format);
        (void)vsnprintf(o->verdict, sizeof(o->verdict), format, ap);
        va_end(ap);
    }
    return o->verdict;
}

/* --- clients ------------------------------------------------------------------------------------ */

struct oracle_client *oracle__client(struct oracle *o, uint64_t id)
{
    for (uint32_t i = 0; i < o->clients_count; i++) {
        if (o->clients[i].id == id) {
            return &o->clients[i];
        }
    }
    o->clients =
        oracle__grow(o, o->clients, o->clients_count, &o->clients_cap, sizeof(o->clients[0]));
    struct oracle_client *c = &o->clients[o->clients_count++];
    *c = (struct oracle_client){.id = id};
    return c;
}

static struct oracle_pending **call_bucket(struct oracle *o, uint64_t call)
{
    return &o->calls[oracle__hash(&call, sizeof(call), 0) % ORACLE_BUCKETS];
}

/* Everything of a request that outlives the caller's. */
static struct coord_request request_keep(struct oracle *o, const struct coord_request *q)
{
    struct coord_request r = *q;
    r.client = (struct coord_bytes){NULL, 0};
    r.secret = (struct coord_bytes){NULL, 0};
    r.path = oracle__keep(o, q->path);
    r.data = oracle__keep(o, q->data);
    r.after = oracle__keep(o, q->after);
    r.to = oracle__keep(o, q->to);
    r.ifs.raw = oracle__keep(o, q->ifs.raw);
    r.thens.raw = oracle__keep(o, q->thens.raw);
    r.elses.raw = oracle__keep(o, q->elses.raw);
    return r;
}

const char *oracle_call(struct oracle *o, const struct oracle_call *c, uint64_t at)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_pending *p = oracle__alloc(o, sizeof(*p));
    struct oracle_pending **bucket = call_bucket(o, c->call);
    p->c = *c;
    p->q = request_keep(o, c->q);
    p->c.q = &p->q;
    p->at = at;
    p->truth_then = o->newest;
    p->client_then = oracle__client(o, c->client)->seen;
    p->bucket_next = *bucket;
    *bucket = p;
    if (coord_op_kind(p->q.op) == COORD_KIND_WRITE) {
        p->print = oracle__fingerprint(&p->q);
        oracle__once_called(o, p);
    }
    return NULL;
}

static void seen(struct oracle *o, uint64_t client, uint64_t revision)
{
    struct oracle_client *c = oracle__client(o, client);
    if (revision > c->seen) {
        c->seen = revision;
    }
}

const char *oracle_reply(struct oracle *o, const struct oracle_reply *r, uint64_t at)
{
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    struct oracle_pending *p = *call_bucket(o, r->call);
    while (p != NULL && p->c.call != r->call) {
        p = p->bucket_next;
    }
    if (p == NULL || p->done) {
        return oracle__fail(o, "X7: client %llu: call %llu is answered %s",
                            (unsigned long long)r->client, (unsigned long long)r->call,
                            p == NULL ? "and was never made" : "twice");
    }
    p->done = true;
    if (r->session != 0) {
        p->c.session = r->session;
        p->c.number = r->number;
    }
    const struct coord_result *res = r->result;
    if (res != NULL && res->receipt.revision > o->newest) {
        return oracle__fail(o, "M2: call %llu is answered from revision %llu, applied is %llu",
                            (unsigned long long)r->call, (unsigned long long)res->receipt.revision,
                            (unsigned long long)o->newest);
    }
    enum coord_op_kind kind = coord_op_kind(p->q.op);
    if (res != NULL) {
        ORACLE_TRY(oracle__watch_judge(o, p, r));
        ORACLE_TRY(oracle__time_judge(o, p, r, at));
    }
    if (kind == COORD_KIND_WRITE) {
        ORACLE_TRY(oracle__once_judge(o, p, r));
        ORACLE_TRY(oracle__session_write(o, p, r));
    } else if (kind == COORD_KIND_READ && res != NULL) {
        ORACLE_TRY(oracle__read_judge(o, p, res));
    }
    if (res != NULL) {
        seen(o, r->client, res->receipt.revision);
    }
    return NULL;
}

const char *oracle_end(struct oracle *o, bool quiet, uint64_t at)
{
    (void)at;
    if (o->verdict[0] != '\0') {
        return o->verdict;
    }
    return quiet ? oracle__watch_end(o) : NULL;
}
