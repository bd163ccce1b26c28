/* SPDX-License-Identifier: Apache-2.0 */
/* options.c: see options.h. What the configuration does not name keeps the node's defaults. */
#include "server/shell/options.h"

#include "server/shell/clock.h"

/* Entries that the core must be able to hold: those since the older of the snapshots kept, which are twice
 * as many each while the state is large (server/node/cadence.c), and those that come while the next one is
 * written. */
static uint32_t log_slots(uint64_t snapshot_entries)
{
    uint64_t wanted = snapshot_entries * 5;
    uint32_t slots = 262144;
    while (slots < wanted) {
        slots *= 2;
    }
    return slots;
}

void options_fill(const struct conf *c, uint64_t rng_seed, struct node_options *ret_o)
{
    struct node_options *o = ret_o;
    node_options_init(o);
    o->raft.id = c->id;
    o->raft.rng_seed = rng_seed;
    o->raft.election_min = c->election_ns;
    o->raft.election_max = 2 * c->election_ns;
    o->raft.heartbeat = c->heartbeat_ns;
    o->raft.commit_delay =
        c->heartbeat_ns / 16; /* 3 ms by default, for members where nobody waits */
    o->raft.disk_stall = c->election_ns;
    o->raft.log_slots = log_slots(c->snapshot_entries);

    if (c->lease) {
        o->raft.lease_drift_ppm = (uint32_t)c->clock_drift_ppm;
        o->raft.link_hint = 0; /* patience that a broken link ends is none (raft/read.c) */
    }

    o->machine.data_bytes = (uint32_t)c->request_bytes;
    o->machine.session_min_ms = c->session_min_ns / CLOCK_NS_PER_MS;
    o->machine.session_max_ms = c->session_max_ns / CLOCK_NS_PER_MS;
    o->machine.sessions = (uint32_t)c->sessions;
    o->machine.answers = (uint32_t)c->answers;
    o->machine.answers_bytes = (uint32_t)c->answers_bytes;
    o->machine.txn_operations = (uint32_t)c->operations;
    o->machine.subtree_nodes = (uint32_t)c->subtree;
    o->machine.list_entries = (uint32_t)c->list_entries;
    o->machine.list_bytes = (uint32_t)c->list_bytes;
    o->machine.frame_bytes = (uint32_t)c->frame_bytes;
    o->machine.store_bytes = c->store_bytes;
    o->watch.per_connection = (uint32_t)c->watches;
    o->watch.history_events = (uint32_t)c->history_events;
    o->watch.history_bytes = c->history_bytes;
    o->watch.frame_bytes = (uint32_t)c->frame_bytes;

    o->cluster = c->cluster;
    o->members_count = c->members_count;
    for (uint32_t i = 0; i < c->members_count; i++) {
        struct node_member *m = &o->members[i];
        *m = (struct node_member){.id = c->members[i].id};
        if (c->members[i].peer.port != 0) {
            conf_address_format(&c->members[i].peer, m->peer_address, sizeof(m->peer_address));
        }
        conf_address_format(&c->members[i].client, m->client_address, sizeof(m->client_address));
    }
    o->outstanding_max = (uint32_t)c->outstanding;
    o->conn_bytes_max = c->outstanding_bytes;
    o->connections_max = c->connections;
    o->connections_per_address_max = c->connections_per_address;
    o->output_bytes_max = c->output_bytes;
    o->watch_output_bytes_max = c->watch_output_bytes;
    o->snapshot_entries = c->snapshot_entries;
    o->snapshot_bytes = c->snapshot_bytes;
    o->digest_entries = c->compare_entries;
    o->log_memory_bytes = c->log_memory_bytes;
    o->lab = c->lab;
}
