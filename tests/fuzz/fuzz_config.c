/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the payload of a CONFIG entry, from a peer or from the disk, is a configuration or refused.
 * Method: what is decoded keeps the rules of a configuration; encoded again it is the same bytes; cut
 * short it is refused.
 * Input: the payload; what is shorter is also read behind a valid head, so that members are reached.
 */
#include <coord/raft_storage.h>
#include "tests/fuzz/fuzz.h"

static void check_member(const struct raft_config *c, uint32_t i)
{
    const uint32_t known =
        RAFT_VOTER | RAFT_VOTER_OLD | RAFT_LEARNER | RAFT_PROMOTE | RAFT_DEMOTE | RAFT_REMOVE;
    const uint32_t roles = c->members[i].roles;
    FUZZ_CHECK(c->members[i].id > (i == 0 ? 0 : c->members[i - 1].id), "ids ascend");
    FUZZ_CHECK((roles & (RAFT_VOTER | RAFT_VOTER_OLD | RAFT_LEARNER)) != 0, "a place");
    FUZZ_CHECK((roles & ~known) == 0, "known roles");
    FUZZ_CHECK((roles & RAFT_LEARNER) == 0 || (roles & (RAFT_VOTER | RAFT_VOTER_OLD)) == 0,
               "a learner does not vote");
}

static void decode(const uint8_t *bytes, size_t len)
{
    struct raft_config c;
    struct raft_config untouched;
    uint8_t again[RAFT_CONFIG_BYTES];
    memset(&c, 0x5a, sizeof(c));
    memcpy(&untouched, &c, sizeof(c));
    int rc = raft_config_decode(bytes, len, &c);
    if (rc != 0) {
        FUZZ_CHECK(rc == RAFT_STORE_ECORRUPT, "decoded or corrupt");
        FUZZ_CHECK(memcmp(&c, &untouched, sizeof(c)) == 0, "a refusal writes nothing");
        return;
    }
    FUZZ_CHECK(len >= RAFT_CONFIG_BYTES && c.count <= RAFT_NODES_MAX, "whole");
    for (uint32_t i = 0; i < c.count; i++) {
        check_member(&c, i);
    }
    raft_config_encode(&c, again);
    FUZZ_CHECK(memcmp(again, bytes, sizeof(again)) == 0, "one encoding for each configuration");
    FUZZ_CHECK(raft_config_decode(bytes, RAFT_CONFIG_BYTES - 1, &c) == RAFT_STORE_ECORRUPT, "cut");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    uint8_t headed[RAFT_CONFIG_BYTES] = {0, 0, 0, 0, 1};
    decode(bytes, len);
    if (len > 0 && len < RAFT_CONFIG_BYTES - 8) {
        headed[0] = bytes[0];
        memcpy(headed + 8, bytes + 1, len - 1);
        decode(headed, sizeof(headed));
    }
    return 0;
}
