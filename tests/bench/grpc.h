/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.h: the messages of etcd's v3 interface that the load generator needs, as protocol buffers behind the five
 * bytes that gRPC puts in front. Pure; any thread. HTTP/2 itself is libnghttp2's.
 *
 *   prefix         compressed u8 = 0, length u32 big-endian
 *   field          key varint = number << 3 | type; type 0: varint, type 2: length varint and bytes
 *   Put            1 key, 2 value
 *   Range          1 key, 7 serializable
 *   Txn            1 Compare, 2 RequestOp when it holds; Compare: 2 target (1: create revision), 3 key,
 *                  5 create revision; RequestOp: 2 Put
 *   WatchRequest   1 create: 1 key
 *   TxnResponse    2 succeeded;  WatchResponse   3 created, 4 cancelled, 11 event
 */
#ifndef COORD_TESTS_BENCH_GRPC_H
#define COORD_TESTS_BENCH_GRPC_H

#include "tests/bench/bytes.h"

#define GRPC_PREFIX_BYTES 5

/* Whole messages with their prefix, put at the end of out. */
void grpc_put(struct bytes *out, const char *key, const void *value, size_t n);
void grpc_range(struct bytes *out, const char *key, bool serializable);
/* Put if the key does not exist. */
void grpc_create(struct bytes *out, const char *key, const void *value, size_t n);
void grpc_watch(struct bytes *out, const char *key);

/* The same varint that fields are made of. */
void grpc_put_varint(struct bytes *out, uint64_t v);
/* Return: bytes taken, or 0 when p does not hold a whole one of at most 64 bits. */
size_t grpc_take_varint(const uint8_t *p, size_t n, uint64_t *ret_v);

/* Bytes of the first whole message in p with its prefix; 0 when it is not whole yet; -1 when it is compressed
 * or above 16 MiB. */
int64_t grpc_message(const uint8_t *p, size_t n);

/* What stands in a message, without its prefix, under a field number: how often it occurs, and the last value
 * of a varint (the length of a field of bytes). Return: false when the message is not well formed. */
bool grpc_field(const uint8_t *p, size_t n, unsigned number, unsigned *ret_count, uint64_t *ret_v);

#endif
