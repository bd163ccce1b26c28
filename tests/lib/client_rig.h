/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_rig.h: a client core with a scripted server at the other end of its connection and a clock
 * that the test moves. Requests are decoded and answers encoded by the real codec.
 *
 * What the core gives out is copied into a log, in order, when rig_run is called; so are the frames
 * it sends, as decoded requests, in rig->sent.
 *
 * Thread: one. Misuse aborts the test.
 */
#ifndef TESTS_CLIENT_RIG_H
#define TESTS_CLIENT_RIG_H

#include "client/core/convert.h"
#include "client/core/core.h"
#include "protocol/buf.h"

#define RIG_MS      1000000ull
#define RIG_LOG_MAX 512

/* A thing the core told. */
struct rig_told {
    enum coord__out_kind kind;
    uint64_t id; /* of the request, or of the watch */
    int error;
    enum coord_outcome outcome;
    char text[160];
    char path[128];
    char data[128];
    uint64_t revision;
    bool has_no_quorum;
    uint32_t needed;
    enum coord_state state;
    enum coord_watch_event_state event;
    size_t changes;
};

#define RIG_ITEMS_BYTES 1024

/* A request the core sent; bytes are copied. Of lists longer than RIG_ITEMS_BYTES only the count. */
struct rig_sent {
    struct coord_request q;
    uint32_t bytes; /* of the frame */
    char path[128];
    char data[128];
    char to[128];
    uint8_t ifs[RIG_ITEMS_BYTES];
    uint8_t thens[RIG_ITEMS_BYTES];
    uint8_t elses[RIG_ITEMS_BYTES];
};

struct rig {
    struct coord__core *core;
    uint64_t now;
    uint64_t link; /* connected, 0 none */
    uint32_t server;
    uint64_t epoch; /* revision of the receipts */
    struct rig_told told[RIG_LOG_MAX];
    size_t told_count;
    size_t told_at; /* looked at so far */
    struct rig_sent sent[RIG_LOG_MAX];
    size_t sent_count;
    size_t sent_at;
    /* Sees each reply before it is noted; NULL: nobody. */
    void (*reply)(const struct coord_reply *reply, void *arg);
    void *reply_arg;
    bool wait_quorum; /* of the requests made from now on */
    size_t split;     /* answers are fed in pieces of so many bytes; 0: whole */
    struct coord__arena arena;
};

/* Options with `servers` servers, session timeout 10 s, connect timeout 2 s, first server first. */
void rig_options(struct coord__core_options *o, uint32_t servers);
void rig_init(struct rig *r, const struct coord__core_options *o);
void rig_finish(struct rig *r);

/* Take everything out of the core. */
void rig_run(struct rig *r);
/* Let time pass, with a tick at the end, or at each of the core's deadlines on the way. */
void rig_pass(struct rig *r, uint64_t ms);

/* Accept the connection the core wishes. Return: its server. */
uint32_t rig_connect(struct rig *r);
/* The same, and answer the hello: state as given. */
uint32_t rig_greet(struct rig *r, enum coord_session_state state);
/* Refuse or break the connection. */
void rig_break(struct rig *r, const char *why);
/* Connect, greet, and answer the opening of session 77 with timeout_ms, made to happen by a write
 * of "/first", which is answered too. */
void rig_session(struct rig *r, uint64_t timeout_ms);

/* The next request sent, which must be `op`. */
struct rig_sent *rig_expect(struct rig *r, enum coord_op op);
void rig_expect_nothing(struct rig *r);
/* Answer it: with success and the fields of res, or with an error. */
void rig_answer(struct rig *r, const struct rig_sent *s, struct coord_result *res);
void rig_answer_error(struct rig *r, const struct rig_sent *s, int error);
/* ENOQUORUM or EINDOUBT with its detail. */
void rig_answer_no_quorum(struct rig *r, const struct rig_sent *s, int error);
void rig_event(struct rig *r, uint64_t watch, uint64_t revision, enum coord_watch_state state,
               const char *path);
/* The server's last word on the connection, which stays until the core gives it up. */
void rig_last_word(struct rig *r, int error, const char *text);
void rig_bytes(struct rig *r, const void *bytes, size_t len);
/* The frame of an answer, for tests that damage it. Ownership: the caller's. */
struct coord_buf *rig_frame(struct rig *r, const struct rig_sent *s, struct coord_result *res);

/* Make requests. Return: the id. */
uint64_t rig_create(struct rig *r, const char *path, uint32_t flags, uint32_t timeout_ms);
uint64_t rig_get(struct rig *r, const char *path, enum coord_level level, uint32_t timeout_ms);
uint64_t rig_op(struct rig *r, enum coord_op op, uint32_t timeout_ms);
uint64_t rig_submit(struct rig *r, struct coord_request *q, uint32_t timeout_ms, bool fail_fast);
uint64_t rig_watch(struct rig *r, const char *path, uint32_t flags, uint64_t revision);

/* The next thing told, which must be of that kind. */
const struct rig_told *rig_reply(struct rig *r, uint64_t id, int error);
const struct rig_told *rig_state(struct rig *r, enum coord_state state);
const struct rig_told *rig_watch_event(struct rig *r, uint64_t watch,
                                       enum coord_watch_event_state event);
void rig_told_nothing(struct rig *r);

#endif
