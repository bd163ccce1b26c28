/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h: what happened in a world: the last lines are kept for a failure report, and all of them flow
 * into one rolling hash by which two runs of a seed are compared. A record is a few numbers and perhaps
 * some words; nothing is formatted before somebody looks. Threads: none.
 */
#ifndef COORD_TESTS_SERVICE_TRACE_H
#define COORD_TESTS_SERVICE_TRACE_H

#include <stdint.h>
#include <stdio.h>

#define TRACE_KEPT       1024 /* a power of two */
#define TRACE_WORDS_KEPT 88

/* X(name, text, words in front of the numbers) */
#define SVC_TRACE(X)                                           \
    X(BOOT, "BOOT", "term", "snapshot", "first", "count")      \
    X(END, "END", "how", "", "", "")                           \
    X(LOG, "log", "", "", "", "")                              \
    X(APPLY, "apply", "revision", "error", "changes", "ended") \
    X(STATE, "STATE", "revision", "", "", "")                  \
    X(MESSAGE, "message", "to", "bytes", "fate", "")           \
    X(WRITE, "write", "ops", "result", "io_seq", "")           \
    X(SNAP, "snapshot", "job", "index", "result", "")          \
    X(ROOM, "ROOM", "room", "", "", "")                        \
    X(ROT, "ROT", "kind", "file", "offset", "bytes")           \
    X(LINK, "link", "peer", "up", "", "")                      \
    X(FAULT, "FAULT", "x", "y", "", "")                        \
    X(PHASE, "PHASE", "phase", "", "", "")                     \
    X(CONNECT, "connect", "stream", "member", "result", "")    \
    X(CLOSED, "closed", "stream", "member", "error", "")       \
    X(OPEN, "OPEN", "life", "", "", "")                        \
    X(CALL, "call", "id", "op", "level", "")                   \
    X(REPLY, "reply", "id", "error", "outcome", "revision")    \
    X(CSTATE, "STATE", "state", "session", "", "")             \
    X(WATCH, "watch", "watch", "state", "revision", "changes") \
    X(OWNER, "owner", "what", "error", "token", "")

enum trace_kind {
#define X(name, text, a, b, c, d) TR_##name,
    SVC_TRACE(X)
#undef X
        TR_END_OF_KINDS
};

struct trace_rec {
    uint64_t at;
    uint8_t kind;
    char who; /* 'n' member, 'c' client, 'w' world */
    uint8_t which;
    uint64_t v[4];
    char words[TRACE_WORDS_KEPT]; /* cut; all of them are in the hash */
};

struct trace {
    uint64_t hash;
    uint64_t count;
    FILE *live; /* every record is printed here too; NULL: no */
    struct trace_rec ring[TRACE_KEPT];
};

/* Keep one record. words: may be NULL. Return: none. */
void trace_add(struct trace *t, const struct trace_rec *rec, const char *words);
/* Print the last n records. Return: none. */
void trace_dump(const struct trace *t, FILE *to, uint64_t n);

#endif
