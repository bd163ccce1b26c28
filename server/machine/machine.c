/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.c: the life of the state machine and the plain questions to it. Entries are applied in
 * apply.c, reads answered in read.c, the state saved and loaded in snapshot.c.
 */
#include "server/machine/machine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/machine_internal.h"

int machine_state_init(struct machine_state *ret_st)
{
    memset(ret_st, 0, sizeof(*ret_st));
    ret_st->pool = pool_create();
    if (ret_st->pool != NULL) {
        ret_st->store = store_create_empty(ret_st->pool);
        ret_st->sessions = sessions_create(ret_st->pool);
    }
    if (ret_st->store == NULL || ret_st->sessions == NULL) {
        machine_state_finish(ret_st);
        return COORD_ENOMEM;
    }
    return 0;
}

void machine_state_finish(struct machine_state *st)
{
    store_destroy(st->store);
    sessions_destroy(st->sessions);
    pool_destroy(st->pool);
    memset(st, 0, sizeof(*st));
}

struct machine *machine_create(const struct machine_limits *l)
{
    struct machine *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    arena_init(&m->read_paths);
    if (machine_state_init(&m->state) != 0) {
        free(m);
        return NULL;
    }
    m->state.limits = *l;
    return m;
}

void machine_destroy(struct machine *m)
{
    if (m == NULL) {
        return;
    }
    assert(m->savers_count == 0);
    machine_state_finish(&m->state);
    coord_buf_unref(m->body);
    coord_buf_unref(m->results);
    arena_finish(&m->read_paths);
    free(m->entries);
    free(m->ended);
    free(m);
}

static void session_describe(const struct session *s, struct machine_session *ret_s)
{
    *ret_s = (struct machine_session){
        .id = s->id,
        .epoch = s->epoch,
        .timeout_ms = s->timeout_ms,
        .ephemerals = s->owned.count,
    };
}

bool machine_session_get(const struct machine *m, uint64_t id, struct machine_session *ret_s)
{
    const struct session *s = sessions_find(m->state.sessions, id);
    if (s == NULL) {
        return false;
    }
    session_describe(s, ret_s);
    return true;
}

bool machine_session_next(const struct machine *m, uint64_t after, struct machine_session *ret_s)
{
    const struct session *s = sessions_next(m->state.sessions, after);
    if (s == NULL) {
        return false;
    }
    session_describe(s, ret_s);
    return true;
}

void machine_stats(const struct machine *m, struct machine_stats *ret_s)
{
    *ret_s = (struct machine_stats){
        .revision = m->state.revision,
        .time_ms = m->state.time_ms,
        .nodes = store_nodes(m->state.store),
        .data_bytes = store_data_bytes(m->state.store),
        .sessions = sessions_count(m->state.sessions),
        .store_bytes = machine_tree_bytes(&m->state) + m->state.sessions_bytes,
    };
}

bool machine_quota(const struct machine *m, struct coord_bytes path, struct coord_usage *ret_usage)
{
    const struct znode *node = store_find(m->state.store, path);
    if (node == NULL) {
        return false;
    }
    machine_usage(node, ret_usage);
    return ret_usage->quota_nodes != 0 || ret_usage->quota_bytes != 0;
}

const struct coord_bytes *machine_quotas_touched(const struct machine *m, uint32_t *ret_count)
{
    return store_quotas_touched(m->state.store, ret_count);
}

void machine_skip(struct machine *m, uint64_t revision)
{
    assert(revision > m->state.revision);
    m->state.revision = revision;
}
