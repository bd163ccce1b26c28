/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal.h: what the files of server/store share and nobody else sees.
 */
#ifndef COORD_SERVER_STORE_STORE_INTERNAL_H
#define COORD_SERVER_STORE_STORE_INTERNAL_H

#include <stdint.h>
#include "protocol/message.h"
#include "server/store/arena.h"
#include "server/store/pool.h"
#include "server/store/slots.h"

/* Data no node holds any more, still pointed at by changes. */
struct store_dead {
    uint8_t *data;
    uint32_t bytes;
};

struct store {
    struct pool *pool;
    struct slots index; /* hash of a path -> node; "/" is not in it */
    struct znode *root;
    uint64_t revision;
    uint64_t time_ms;
    uint64_t nodes;
    uint64_t data_bytes;
    uint64_t name_bytes;
    struct coord_change *changes;
    uint32_t changes_count;
    uint32_t changes_cap;
    uint32_t dead_count;
    uint32_t dead_cap;
    struct store_dead *dead;
    struct arena paths; /* of the changes */
};

#endif
