/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jute.h: the frames of ZooKeeper's client protocol that the load generator needs. Pure; any thread.
 *
 * A frame is a 32-bit length and that many bytes; all numbers are big-endian; strings and buffers are a
 * 32-bit length (-1: absent) and their bytes.
 *
 *   connect request    version i32 = 0, last zxid seen i64, timeout ms i32, session i64, password buffer
 *   connect response   version i32, timeout ms i32 (0: refused), session i64, password buffer, read-only bool
 *   request            xid i32, type i32, body of the type
 *   response           xid i32, zxid i64, error i32, body of the type
 *   body of create     path, data, ACL: count i32, {rights i32, scheme, id}..., flags i32
 *   body of setData    path, data, version i32 (-1: any)
 *   body of getData,
 *     exists           path, watch bool
 *   body of sync       path
 */
#ifndef COORD_TESTS_BENCH_JUTE_H
#define COORD_TESTS_BENCH_JUTE_H

#include "tests/bench/bytes.h"

enum jute_type {
    JUTE_CREATE = 1,
    JUTE_EXISTS = 3,
    JUTE_GET_DATA = 4,
    JUTE_SET_DATA = 5,
    JUTE_SYNC = 9,
    JUTE_PING = 11,
    JUTE_CLOSE = -11,
};

/* Numbers of requests that are not the client's to choose. */
#define JUTE_XID_EVENT (-1)
#define JUTE_XID_PING  (-2)

#define JUTE_ERROR_EXISTS (-110)

struct jute_response {
    int32_t xid;
    int64_t zxid;
    int32_t error; /* 0: done */
    uint32_t body_bytes;
};

/* Whole frames put at the end of out. */
void jute_connect(struct bytes *out, uint32_t timeout_ms);
void jute_create(struct bytes *out, int32_t xid, const char *path, const void *data, size_t n);
void jute_set(struct bytes *out, int32_t xid, const char *path, const void *data, size_t n);
void jute_read(struct bytes *out, int32_t xid, enum jute_type type, const char *path, bool watch);
void jute_sync(struct bytes *out, int32_t xid, const char *path);
void jute_bare(struct bytes *out, int32_t xid, enum jute_type type); /* ping, close */

/* Bytes of the first whole frame in p, its length field included; 0 when it is not whole yet; -1 when its
 * length is negative or above 16 MiB. */
int64_t jute_frame(const uint8_t *p, size_t n);

/* Read a frame's body, without the length. Return: whether it was long enough. */
bool jute_take_connected(const uint8_t *p, size_t n, int32_t *ret_timeout_ms);
bool jute_take_response(const uint8_t *p, size_t n, struct jute_response *ret_r);

#endif
