/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: a configuration as the payload of a CONFIG entry.
 *
 *   offset  bytes
 *        0   4  members, at most 15
 *        4   4  version: 1
 *        8   8  of each of 15 members: id u32, roles u32 (enum raft_member_role); zero beyond the count
 *      128      end; a host may pad, or write more of its own behind it
 *
 * Little-endian. Every configuration has one encoding, so logs of members are equal byte for byte.
 * Thread: any. Paper: Raft section 6.
 */
#include <string.h>
#include <coord/raft_storage.h>
#include "raft/config.h"
#include "raft/storage/bytes.h"
#include "raft/storage/must.h"

#define CONFIG_VERSION 1u
#define CONFIG_HEAD    8u
#define CONFIG_MEMBER  8u

_Static_assert(CONFIG_HEAD + RAFT_NODES_MAX * CONFIG_MEMBER == RAFT_CONFIG_BYTES,
               "a full configuration fills its encoding");

void raft_config_encode(const struct raft_config *c, void *buf)
{
    uint8_t *out = buf;
    MUST(c->count <= RAFT_NODES_MAX);
    memset(out, 0, RAFT_CONFIG_BYTES);
    put_u32(out, c->count);
    put_u32(out + 4, CONFIG_VERSION);
    for (uint32_t i = 0; i < c->count; i++) {
        put_u32(out + CONFIG_HEAD + CONFIG_MEMBER * i, c->members[i].id);
        put_u32(out + CONFIG_HEAD + CONFIG_MEMBER * i + 4, c->members[i].roles);
    }
}

int raft_config_decode(const void *buf, size_t len, struct raft_config *ret_c)
{
    const uint8_t *in = buf;
    struct raft_config c;
    if (in == NULL || len < RAFT_CONFIG_BYTES || get_u32(in + 4) != CONFIG_VERSION) {
        return RAFT_STORE_ECORRUPT;
    }
    memset(&c, 0, sizeof(c));
    c.count = get_u32(in);
    for (uint32_t i = 0; i < RAFT_NODES_MAX; i++) {
        uint32_t id = get_u32(in + CONFIG_HEAD + CONFIG_MEMBER * i);
        uint32_t roles = get_u32(in + CONFIG_HEAD + CONFIG_MEMBER * i + 4);
        if (i >= c.count && (id | roles) != 0) {
            return RAFT_STORE_ECORRUPT;
        }
        c.members[i].id = id;
        c.members[i].roles = roles;
    }
    if (!raft__config_valid(&c)) {
        return RAFT_STORE_ECORRUPT;
    }
    *ret_c = c;
    return 0;
}
