/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c: see loader.h. Bytes become records here: how long the next one is shows in its first bytes, and
 * what a piece ends within is kept until the rest has come. The records themselves are load.c's.
 *
 *   HEAD -> LIMITS (not in version 1) -> SESSIONS, each followed by its answers -> NODES -> DONE
 *
 * Invariants
 *   1. Every record is given to load.c whole; only machine_loader_end gives it one that is cut short, to hear
 *      what is wrong with it.
 *   2. The new state stands beside the machine's until it is whole.
 */
#include "server/machine/loader.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/machine/bytes.h"
#include "server/machine/load.h"
#include "server/machine/snapshot.h"

/* --- records ----------------------------------------------------------------------------------- */

/* Bytes of the node that begins at rec, of which its fixed part is there. */
static uint64_t node_bytes(const uint8_t *rec)
{
    uint64_t bytes = (uint64_t)SNAPSHOT_NODE_BYTES + rec[4] + bytes_get_u32(rec + 5);
    bytes += (rec[3] & SNAPSHOT_HAD_CHILD) != 0 ? 24 : 0;
    bytes += rec[2] == COORD_NODE_EPHEMERAL || rec[2] == COORD_NODE_TTL ? 8 : 0;
    bytes += (rec[3] & SNAPSHOT_HAS_QUOTA) != 0 ? 16 : 0;
    return bytes;
}

/* Bytes of the record that begins at rec, as far as the `have` bytes there tell: when it is more than that,
 * ask again with so many. */
static uint64_t record_bytes(const struct machine_loader *l, const uint8_t *rec, size_t have)
{
    switch (l->phase) {
    case LOAD_HEAD:
        return SNAPSHOT_HEAD_BYTES;
    case LOAD_LIMITS:
        return MACHINE_LIMITS_BYTES;
    case LOAD_SESSIONS:
        if (l->answers == 0) {
            return SNAPSHOT_SESSION_BYTES;
        }
        return have < SNAPSHOT_ANSWER_BYTES
                   ? SNAPSHOT_ANSWER_BYTES
                   : SNAPSHOT_ANSWER_BYTES + (uint64_t)bytes_get_u32(rec + 12);
    case LOAD_NODES:
        return have < SNAPSHOT_NODE_BYTES ? SNAPSHOT_NODE_BYTES : node_bytes(rec);
    case LOAD_DONE:
        break;
    }
    return 1; /* whatever comes is too much */
}

/* Go on to what follows the record just taken. */
static int phase_next(struct machine_loader *l)
{
    if (l->phase == LOAD_HEAD) {
        l->phase = l->version == SNAPSHOT_VERSION_MIN ? LOAD_SESSIONS : LOAD_LIMITS;
    } else if (l->phase == LOAD_LIMITS) {
        l->phase = LOAD_SESSIONS;
    }
    if (l->phase == LOAD_SESSIONS && l->sessions == 0 && l->answers == 0) {
        l->phase = LOAD_NODES;
    } else if (l->phase == LOAD_NODES && l->nodes == 0) {
        l->phase = LOAD_DONE;
        return load_close(l);
    }
    return 0;
}

static int record_take(struct machine_loader *l)
{
    int rc = 0;
    switch (l->phase) {
    case LOAD_HEAD:
        rc = load_head(l);
        break;
    case LOAD_LIMITS:
        rc = load_limits(l);
        break;
    case LOAD_SESSIONS:
        if (l->answers > 0) {
            rc = load_answer(l);
            l->answers--;
        } else {
            rc = load_session(l);
            l->sessions--;
        }
        if (rc == 0 && l->answers == 0) {
            l->state.sessions_bytes += machine_session_bytes(l->session);
        }
        break;
    case LOAD_NODES:
        rc = load_node(l, !l->rooted);
        l->rooted = true;
        l->nodes--;
        break;
    case LOAD_DONE:
        rc = load_refuse(l, "bytes follow the last node");
        break;
    }
    return rc == 0 ? phase_next(l) : rc;
}

/* One record, or the beginning of one. */
static int record_give(struct machine_loader *l, const uint8_t *rec, size_t len)
{
    l->start = rec;
    l->p = rec;
    l->end = rec + len;
    l->error = record_take(l);
    if (l->error == 0) {
        assert(l->p == l->end);
        l->passed += len;
    } else {
        l->passed += (uint64_t)(l->p - l->start);
    }
    return l->error;
}

/* --- pieces ------------------------------------------------------------------------------------ */

static int carry_add(struct machine_loader *l, const uint8_t *bytes, size_t len)
{
    if (l->carry_bytes + len > l->carry_room) {
        size_t room = (l->carry_bytes + len) * 2;
        uint8_t *carry = realloc(l->carry, room);
        if (carry == NULL) {
            l->error = COORD_ENOMEM;
            return l->error;
        }
        l->carry = carry;
        l->carry_room = room;
    }
    memcpy(l->carry + l->carry_bytes, bytes, len);
    l->carry_bytes += len;
    return 0;
}

/* Complete the record that the last piece ended within. *inout_bytes moves past what that takes. */
static int carry_complete(struct machine_loader *l, const uint8_t **inout_bytes, size_t *inout_len)
{
    while (l->carry_bytes > 0 && *inout_len > 0) {
        uint64_t missing = record_bytes(l, l->carry, l->carry_bytes) - l->carry_bytes;
        size_t some = missing < *inout_len ? (size_t)missing : *inout_len;
        if (carry_add(l, *inout_bytes, some) != 0) {
            return l->error;
        }
        *inout_bytes += some;
        *inout_len -= some;
        if (record_bytes(l, l->carry, l->carry_bytes) == l->carry_bytes) {
            size_t len = l->carry_bytes;
            l->carry_bytes = 0;
            if (record_give(l, l->carry, len) != 0) {
                return l->error;
            }
        }
    }
    return 0;
}

int machine_loader_feed(struct machine_loader *l, const uint8_t *bytes, size_t len)
{
    if (l->error != 0 || carry_complete(l, &bytes, &len) != 0) {
        return l->error;
    }
    while (len > 0) {
        uint64_t need = record_bytes(l, bytes, len);
        if (need > len) {
            return carry_add(l, bytes, len);
        }
        if (record_give(l, bytes, (size_t)need) != 0) {
            return l->error;
        }
        bytes += need;
        len -= (size_t)need;
    }
    return 0;
}

int machine_loader_end(struct machine_loader *l)
{
    if (l->error == 0 && l->phase != LOAD_DONE) {
        static const uint8_t nothing[1];
        size_t len = l->carry_bytes;
        l->carry_bytes = 0;
        if (record_give(l, len == 0 ? nothing : l->carry, len) == 0) {
            l->error = load_refuse(l, "the bytes end between two records");
        }
    }
    if (l->error == 0 && l->version == SNAPSHOT_VERSION_MIN && l->said_bytes != l->passed) {
        l->error = load_refuse(l, "the length in the head is not that of the bytes");
    }
    if (l->error == 0) {
        store_restore_end(l->state.store);
    }
    return l->error;
}

/* --- life -------------------------------------------------------------------------------------- */

struct machine_loader *machine_loader_create(uint64_t bytes_max)
{
    struct machine_loader *l = malloc(sizeof(*l));
    if (l == NULL) {
        return NULL;
    }
    memset(l, 0, offsetof(struct machine_loader, level));
    l->bytes_max = bytes_max;
    l->phase = LOAD_HEAD;
    if (machine_state_init(&l->state) != 0) {
        free(l);
        return NULL;
    }
    return l;
}

void machine_loader_destroy(struct machine_loader *l)
{
    if (l == NULL) {
        return;
    }
    machine_state_finish(&l->state);
    free(l->carry);
    free(l);
}

bool machine_loader_failed(const struct machine_loader *l)
{
    return l->error != 0;
}

void machine_loader_why(const struct machine_loader *l, char *why, size_t why_bytes)
{
    if (why != NULL && why_bytes > 0) {
        (void)snprintf(why, why_bytes, "%s, at byte %" PRIu64,
                       l->wrong == NULL ? "out of memory" : l->wrong,
                       l->passed); /* cut short when there is no room */
    }
}

uint64_t machine_loader_revision(const struct machine_loader *l)
{
    return l->state.revision;
}

void machine_replace(struct machine *m, struct machine_loader *l)
{
    assert(l->error == 0);
    assert(l->phase == LOAD_DONE);
    assert(m->savers_count == 0);
    machine_state_finish(&m->state);
    m->state = l->state;
    memset(&l->state, 0, sizeof(l->state));
}

int machine_loader_read(const uint8_t *bytes, size_t len, struct machine_loader **ret_l, char *why,
                        size_t why_bytes)
{
    struct machine_loader *l = machine_loader_create(len);
    int rc = l == NULL ? COORD_ENOMEM : machine_loader_feed(l, bytes, len);
    if (rc == 0) {
        rc = machine_loader_end(l);
    }
    if (rc == 0) {
        *ret_l = l;
        return 0;
    }
    if (l != NULL) {
        machine_loader_why(l, why, why_bytes);
    }
    machine_loader_destroy(l);
    return rc;
}

int machine_load(struct machine *m, const uint8_t *bytes, size_t len, char *why, size_t why_bytes)
{
    struct machine_loader *l = NULL;
    int rc = machine_loader_read(bytes, len, &l, why, why_bytes);
    if (rc == 0) {
        machine_replace(m, l);
    }
    machine_loader_destroy(l);
    return rc;
}
