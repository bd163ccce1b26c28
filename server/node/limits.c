/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.c: which limits this member wants, which are in force, and the one entry that a leader makes of
 * the difference.
 *
 * The limits that take part in what the state machine decides are a part of its state (server/machine).
 * Each member's file says some too; the leader's file wins: a leader that has applied an entry of its own
 * term knows what is in force, and if its file says something else, it proposes a LIMITS entry, once in
 * that term. Members whose files differ make one entry for each change of leaders between them and no
 * more; what a member has told its clients may be outdated then until they connect again, and they are
 * judged by what is in force all the same.
 *
 * What follows here from limits that changed: the length of frames that the host lets through, and of
 * those that carry events. All else asks the machine each time.
 *
 * Invariants
 *   1. At most one LIMITS entry is proposed in a term.
 *   2. A member whose file differs says so once for each leader, when that leader has had the time to
 *      put its own in force.
 */
#include "server/node/internal.h"

#include <stdio.h>
#include <string.h>

#define LIST_BYTES 160u /* of the names in a log line */

void node__limits_init(struct node *n)
{
    n->limits.check_at = NODE_NEVER;
    n->limits.told = *machine_limits(n->machine);
    n->limits.changed = n->applied; /* with a snapshot it is not known when */
    node__limits_follow(n);
}

void node__limits_regime(struct node *n)
{
    n->limits.check_at = n->st.leader == 0 ? NODE_NEVER : n->now + 2 * node__window(n);
}

uint32_t node__limits_differ(const struct node *n)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        count += machine_limits_get(&n->o.machine, i) !=
                 machine_limits_get(machine_limits(n->machine), i);
    }
    return count;
}

void node__limits_tell(const struct node *n, struct coord_limits *ret)
{
    const struct machine_limits *l = machine_limits(n->machine);
    *ret = (struct coord_limits){.frame_bytes = l->frame_bytes,
                                 .data_bytes = l->data_bytes,
                                 .outstanding = n->o.outstanding_max,
                                 .watches = n->o.watch.per_connection,
                                 .session_min_ms = l->session_min_ms,
                                 .session_max_ms = l->session_max_ms,
                                 .list_entries = l->list_entries,
                                 .txn_operations = l->txn_operations,
                                 .subtree_nodes = l->subtree_nodes,
                                 .list_bytes = l->list_bytes,
                                 .sessions = l->sessions,
                                 .answers = l->answers,
                                 .answers_bytes = l->answers_bytes,
                                 .store_bytes = l->store_bytes,
                                 .outstanding_bytes = n->o.conn_bytes_max,
                                 .connections = n->o.connections_max,
                                 .connections_per_address = n->o.connections_per_address_max,
                                 .output_bytes = n->o.output_bytes_max,
                                 .watch_output_bytes = n->o.watch_output_bytes_max,
                                 .history_events = n->o.watch.history_events,
                                 .history_bytes = n->o.watch.history_bytes};
}

/* "name=a -> b" of each that differs, as far as there is room. */
static void describe(const struct machine_limits *a, const struct machine_limits *b,
                     char out[LIST_BYTES])
{
    size_t at = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < MACHINE_LIMITS_COUNT; i++) {
        unsigned long long from = machine_limits_get(a, i);
        unsigned long long to = machine_limits_get(b, i);
        if (from == to) {
            continue;
        }
        int n = snprintf(out + at, LIST_BYTES - at, "%s%s=%llu -> %llu", at == 0 ? "" : ", ",
                         machine_limits_name(i), from, to);
        if (n < 0 || (size_t)n >= LIST_BYTES - at) {
            (void)snprintf(out + (at < LIST_BYTES - 5 ? at : LIST_BYTES - 5), 5, " ...");
            return;
        }
        at += (size_t)n;
    }
}

void node__limits_follow(struct node *n)
{
    const struct machine_limits *now = machine_limits(n->machine);
    if (n->env.frame_limit != NULL) {
        n->env.frame_limit(n->env.ctx, now->frame_bytes);
    }
    watch_frame_limit(n->hub, now->frame_bytes);
    if (!machine_limits_equal(&n->limits.told, now)) {
        char list[LIST_BYTES];
        describe(&n->limits.told, now, list);
        n->limits.told = *now;
        n->limits.changed = n->applied;
        node__log(n, NODE_LOG_INFO, "limits changed: revision=%llu %s",
                  (unsigned long long)n->applied, list);
    }
}

/* Does this member's file differ from what the leader's has put in force? */
static void check(struct node *n)
{
    char list[LIST_BYTES];
    n->limits.check_at = NODE_NEVER;
    if (node__limits_differ(n) == 0) {
        return;
    }
    describe(&n->o.machine, machine_limits(n->machine), list);
    node__log(
        n, NODE_LOG_WARN,
        "limits differ: member=%u its file says otherwise than leader=%u, whose limits are in "
        "force: %s",
        n->o.raft.id, n->st.leader, list);
}

static bool propose(struct node *n)
{
    struct entry e = {.kind = ENTRY_LIMITS, .body_bytes = MACHINE_LIMITS_BYTES};
    raft_index index = 0;
    struct coord_buf *b = coord_buf_create(ENTRY_HEADER_BYTES + MACHINE_LIMITS_BYTES);
    if (b == NULL) {
        return false;
    }
    entry_header_encode(&e, b->data);
    machine_limits_encode(&n->o.machine, b->data + ENTRY_HEADER_BYTES);
    b->len = ENTRY_HEADER_BYTES + MACHINE_LIMITS_BYTES;
    if (node__propose_now(n, b, &index) != 0) {
        coord_buf_unref(b);
        return false;
    }
    n->again = true;
    return true;
}

void node__limits_run(struct node *n)
{
    if (n->now >= n->limits.check_at) {
        check(n);
    }
    if (!node__is_leader(n) || !n->st.leader_ready || n->leaving || node__diverged(n) ||
        n->applied_term != n->st.term || n->limits.term == n->st.term) {
        return;
    }
    /* Where the log has no room the next run tries again: whatever makes room causes one. */
    if (node__limits_differ(n) == 0 || propose(n)) {
        n->limits.term = n->st.term;
    }
}
