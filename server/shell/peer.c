/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer.c: see peer.h. The set of links: finding a peer, queueing messages, cutting and mending, and
 * telling the host when a link is up. The two sides of a link are peer_out.c and peer_in.c.
 */
#include "server/shell/peer_set.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "server/shell/clock.h"

#define PEER_PARTS_MAX 65536 /* of one message: no more than the core's msg_entries_max and a few */

struct peer *peer_find(struct peer_set *s, raft_id id)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->peers[i].id == id) {
            return &s->peers[i];
        }
    }
    return NULL;
}

void peer_self(const struct peer_set *s, enum handshake_kind kind, raft_id to,
               struct handshake *ret_h)
{
    *ret_h = (struct handshake){.kind = kind,
                                .version = HANDSHAKE_VERSION,
                                .from = s->o.conf->id,
                                .to = to,
                                .cluster = conf_cluster_id(s->o.conf),
                                .members = conf_members_hash(s->o.conf),
                                .lease_ms = conf_lease_ms(s->o.conf),
                                .incarnation = s->o.incarnation};
}

void peer_link_update(struct peer *p, const char *why)
{
    bool up = p->state == PEER_OUT_READY && p->in != NULL && p->in->incarnation == p->incarnation;
    if (up == p->up) {
        return;
    }
    p->up = up;
    p->set->told = true;
    if (up) {
        log_write(CONF_LOG_DEBUG, "link to member %u at %s is up", (unsigned)p->id, p->name);
    } else {
        log_write(CONF_LOG_INFO, "link to member %u at %s is down: %s", (unsigned)p->id, p->name,
                  why);
    }
    p->set->o.host.link(p->set->o.host.ctx, p->id, up);
}

void peer_set_send(struct peer_set *s, raft_id peer, struct coord_buf *const *parts, uint32_t count)
{
    struct peer *p = peer_find(s, peer);
    uint8_t header[FRAME_PEER_HEADER_BYTES];
    assert(count <= PEER_PARTS_MAX);
    if (p == NULL || !p->up || p->broken) {
        return;
    }
    int64_t bytes = frame_peer_header(parts, count, PEER_FRAME_BYTES_MAX, header);
    if (bytes < 0 || p->out.bytes + (uint64_t)bytes > PEER_QUEUE_BYTES_MAX ||
        outq_reserve(&p->out, count + 1) < 0) {
        uint32_t kept = 0;
        p->dropped++;
        if (log_limit_pass(&p->complaints, PEER_LINES_PER_WINDOW, clock_mono_ns(), &kept)) {
            log_write(CONF_LOG_WARN,
                      "message to member %u dropped: %" PRId64 " bytes, %" PRIu64
                      " bytes queued, %" PRIu64 " dropped so far",
                      (unsigned)p->id, bytes, p->out.bytes, p->dropped);
        }
        return;
    }
    /* Room was reserved: none of these can fail. */
    (void)outq_head(&p->out, header, sizeof(header));
    for (uint32_t i = 0; i < count; i++) {
        (void)outq_buf(&p->out, parts[i]);
    }
    p->dirty = true;
}

void peer_set_cut(struct peer_set *s, const raft_id *peers, uint32_t count)
{
    for (uint32_t i = 0; i < s->count; i++) {
        s->cut_wanted[i] = NULL;
        for (uint32_t j = 0; j < count; j++) {
            if (peers[j] == s->peers[i].id) {
                s->cut_wanted[i] = "cut on request";
            }
        }
    }
    s->cut_changed = true;
}

void peer_set_leave(struct peer_set *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        s->cut_wanted[i] = "cut, as this member has stopped";
    }
    s->cut_changed = true;
}

static void peer_cut_apply(struct peer *p, const char *cut)
{
    if (p->cut == cut) {
        return;
    }
    p->cut = cut;
    log_write(CONF_LOG_WARN, "link to member %u is %s", (unsigned)p->id,
              cut != NULL ? cut : "mended on request");
    if (cut != NULL) {
        peer_out_close(p, cut);
        if (p->in != NULL) {
            peer_in_close(p->in, cut);
        }
    } else {
        peer_out_retry(p, 0);
    }
}

bool peer_set_flush(struct peer_set *s)
{
    s->told = false;
    for (uint32_t i = 0; i < s->count && s->cut_changed; i++) {
        peer_cut_apply(&s->peers[i], s->cut_wanted[i]);
    }
    s->cut_changed = false;
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->peers[i].dirty && !s->peers[i].blocked) {
            peer_out_flush(&s->peers[i]);
        }
    }
    return s->told;
}

bool peer_set_sweep(struct peer_set *s, uint64_t now)
{
    s->told = false;
    for (uint32_t i = 0; i < s->count; i++) {
        peer_out_sweep(&s->peers[i], now);
    }
    peer_in_sweep(s, now);
    return s->told;
}

bool peer_set_stats(const struct peer_set *s, raft_id peer, struct peer_stats *ret_stats)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->peers[i].id == peer) {
            *ret_stats = (struct peer_stats){.up = s->peers[i].up,
                                             .dropped = s->peers[i].dropped,
                                             .queued_bytes = s->peers[i].out.bytes};
            return true;
        }
    }
    return false;
}

int peer_set_create(const struct peer_options *o, struct peer_set **ret_s)
{
    struct peer_set *s = calloc(1, sizeof(*s));
    if (s == NULL || resolver_create(&s->resolver) < 0) {
        free(s);
        return -ENOMEM;
    }
    s->o = *o;
    s->listener = -1;
    s->rng = o->incarnation | 1;
    for (size_t i = 0; i < sizeof(s->ins) / sizeof(s->ins[0]); i++) {
        s->ins[i].set = s;
        s->ins[i].fd = -1;
    }
    for (uint32_t i = 0; i < o->conf->members_count; i++) {
        const struct conf_member *m = &o->conf->members[i];
        if (m->id == o->conf->id) {
            continue;
        }
        struct peer *p = &s->peers[s->count++];
        p->set = s;
        p->place = i;
        p->id = m->id;
        p->address = m->peer;
        conf_address_format(&m->peer, p->name, sizeof(p->name));
        peer_out_init(p);
    }
    *ret_s = s;
    return 0;
}

int peer_set_begin(struct peer_set *s, int listener)
{
    int rc = peer_in_begin(s, listener);
    for (uint32_t i = 0; i < s->count && rc == 0; i++) {
        peer_out_retry(&s->peers[i], 0);
    }
    return rc;
}

static void nobody_link(void *ctx, raft_id peer, bool up)
{
    (void)ctx, (void)peer, (void)up;
}

void peer_set_destroy(struct peer_set *s)
{
    if (s == NULL) {
        return;
    }
    s->o.host.link = nobody_link;
    for (uint32_t i = 0; i < s->count; i++) {
        s->peers[i].cut = "over"; /* nobody connects any more */
        peer_out_close(&s->peers[i], "shutting down");
    }
    for (size_t i = 0; i < sizeof(s->ins) / sizeof(s->ins[0]); i++) {
        if (s->ins[i].fd >= 0) {
            peer_in_close(&s->ins[i], "shutting down");
        }
    }
    if (s->listener >= 0) {
        (void)event_del(&s->acceptable);
        (void)close(s->listener);
    }
    resolver_destroy(s->resolver);
    free(s);
}
