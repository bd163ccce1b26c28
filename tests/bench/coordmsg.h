/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coordmsg.h: the frames of coord's own protocol (docs/protocol.md) that the load generator needs, written and
 * read with as little work as those of the other systems. Pure; any thread. tests/unit/test_bench.c holds
 * them against the codec of protocol/.
 */
#ifndef COORD_TESTS_BENCH_COORDMSG_H
#define COORD_TESTS_BENCH_COORDMSG_H

#include "tests/bench/bytes.h"

/* What every request begins with. acked: answers up to this number were seen. */
struct coordmsg_head {
    uint64_t number;
    uint64_t acked;
};

/* A reply, or an event (number 0: `code` is its state). */
struct coordmsg_reply {
    uint64_t number;
    uint64_t code;  /* a reply's error, 0 success */
    uint64_t watch; /* an event's */
};

#define COORDMSG_EEXISTS 5

/* Whole frames put at the end of out. */
void coordmsg_hello(struct bytes *out, uint64_t number);
void coordmsg_open(struct bytes *out, struct coordmsg_head h, uint64_t timeout_ms);
void coordmsg_close(struct bytes *out, struct coordmsg_head h);
void coordmsg_ping(struct bytes *out, struct coordmsg_head h);
void coordmsg_create(struct bytes *out, struct coordmsg_head h, const char *path, const void *data,
                     size_t n);
void coordmsg_set(struct bytes *out, struct coordmsg_head h, const char *path, const void *data,
                  size_t n);
/* linearizable: level 0, else local. */
void coordmsg_get(struct bytes *out, struct coordmsg_head h, const char *path, bool linearizable);
/* All kinds of changes of the node itself, with their values. */
void coordmsg_watch(struct bytes *out, struct coordmsg_head h, uint64_t watch, const char *path);

/* Bytes of the first whole frame in p, its length field included; 0 when it is not whole yet; -1 when its
 * length cannot be right. */
int64_t coordmsg_frame(const uint8_t *p, size_t n);

/* Read the front of a frame's body. Return: whether it is a message. */
bool coordmsg_take(const uint8_t *p, size_t n, struct coordmsg_reply *ret_r);

#endif
