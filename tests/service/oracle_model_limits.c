/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oracle_model_limits.c: the limits that the model decides by, and those that an older state had: a member that is
 * behind answers by them.
 */
#include "tests/service/oracle_int.h"

/* Numbers in the order of struct oracle_limits. */
static void take_limits(struct oracle *o, const struct oracle_entry *e)
{
    const uint8_t *at = e->body.data;
    o->options.limits = (struct oracle_limits){.data_bytes = (uint32_t)oracle__u64(at),
                                               .session_min_ms = oracle__u64(at + 8),
                                               .session_max_ms = oracle__u64(at + 16),
                                               .sessions = (uint32_t)oracle__u64(at + 24),
                                               .answers = (uint32_t)oracle__u64(at + 32),
                                               .answers_bytes = (uint32_t)oracle__u64(at + 40),
                                               .txn_operations = (uint32_t)oracle__u64(at + 48),
                                               .subtree_nodes = (uint32_t)oracle__u64(at + 56),
                                               .list_entries = (uint32_t)oracle__u64(at + 64),
                                               .list_bytes = (uint32_t)oracle__u64(at + 72),
                                               .frame_bytes = (uint32_t)oracle__u64(at + 80),
                                               .store_bytes = oracle__u64(at + 88)};
}

static void limits_note(struct oracle *o, uint64_t revision)
{
    o->limits = oracle__grow(o, o->limits, o->limits_count, &o->limits_cap, sizeof(o->limits[0]));
    o->limits[o->limits_count++] = (struct oracle_limits_since){revision, o->options.limits};
}

const struct oracle_limits *oracle__limits_at(const struct oracle *o, uint64_t revision)
{
    uint32_t i = o->limits_count;
    while (i > 1 && o->limits[i - 1].revision > revision) {
        i--;
    }
    return i == 0 ? &o->options.limits : &o->limits[i - 1].limits;
}

int oracle__limits_apply(struct oracle *o, const struct oracle_entry *e, int error)
{
    if (e->body.len != 96) {
        return COORD_EBADREQUEST;
    }
    if (error == 0) {
        if (o->limits_count == 0) {
            limits_note(o, 0); /* what was before */
        }
        take_limits(o, e);
        limits_note(o, o->tree.revision);
    }
    return error;
}
