/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h: the sizes in the format of saved states and the encoders of its records, shared by snapshot.c
 * (which describes it), saver.c and load.c.
 */
#ifndef COORD_SERVER_MACHINE_SNAPSHOT_H
#define COORD_SERVER_MACHINE_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>
#include "server/machine/saver.h"

#define SNAPSHOT_MAGIC          "coordst"
#define SNAPSHOT_VERSION        2
#define SNAPSHOT_VERSION_MIN    1 /* the oldest that is read */
#define SNAPSHOT_HEAD_BYTES     56
#define SNAPSHOT_SESSION_BYTES  60
#define SNAPSHOT_ANSWER_BYTES   16
#define SNAPSHOT_NODE_BYTES     49
#define SNAPSHOT_NODE_BYTES_MAX (SNAPSHOT_NODE_BYTES + 24 + 8 + 16)

#define SNAPSHOT_HAS_DATA  1
#define SNAPSHOT_HAD_CHILD 2
#define SNAPSHOT_HAS_QUOTA 4
#define SNAPSHOT_FLAGS_ALL (SNAPSHOT_HAS_DATA | SNAPSHOT_HAD_CHILD | SNAPSHOT_HAS_QUOTA)

struct answer;
struct machine_state;
struct session;
struct znode;

/* Each gives the bytes of one part to the sink and returns how many they were. */
uint64_t snapshot_put_head(const struct machine_sink *sink, const struct machine_state *st);
/* A session without its answers, an answer without its body, a node without its data: these follow. */
uint64_t snapshot_put_session(const struct machine_sink *sink, const struct session *s);
uint64_t snapshot_put_answer(const struct machine_sink *sink, const struct answer *a);
uint64_t snapshot_put_node(const struct machine_sink *sink, const struct znode *node,
                           uint32_t depth);

/* Bytes that snapshot_put_node gives at most. */
uint64_t snapshot_node_bytes_max(const struct znode *node);

#endif
