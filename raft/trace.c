/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.c: records of what happened, as numbers; whoever wants text formats it outside.
 *
 * Thread: the owner of the member. A full array drops further records of the round: a trace informs,
 * nothing may depend on it.
 */
#include "raft/internal.h"

void raft__trace_keep(struct raft *r, enum raft_trace_code code, struct raft__note note)
{
    if (r->trace_count == RAFT__TRACE_MAX) {
        return;
    }
    struct raft_trace *t = &r->trace[r->trace_count++];
    t->code = (uint32_t)code;
    t->peer = note.peer;
    t->a = note.a;
    t->b = note.b;
    t->c = note.c;
}

const char *raft_trace_name(uint32_t code)
{
    switch (code) {
#define X(name, value, text) \
    case value:              \
        return #name;
        RAFT_TRACE_CODES(X)
#undef X
    default:
        return "UNKNOWN";
    }
}
