/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_wire.c: encode and decode the messages between members. The format stands in peer_wire.h.
 *
 * Invariant: a decoder reads no byte beyond len and trusts no count before it has compared it with the
 * bytes that are there.
 */
#include "server/node/peer_wire.h"

#include <string.h>
#include "server/node/invariant.h"

#define HEAD_BYTES   8u
#define NOTICE_BYTES 40u
#define TOUCH_BYTES  40u

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static void put64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t get64(const uint8_t *p)
{
    return (uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32;
}

static struct coord_buf *begin(enum peer_kind kind, size_t bytes)
{
    struct coord_buf *b = coord_buf_create(bytes);
    if (b == NULL) {
        return NULL;
    }
    memset(b->data, 0, bytes);
    b->data[0] = (uint8_t)kind;
    b->data[1] = PEER_WIRE_VERSION;
    b->len = (uint32_t)bytes;
    return b;
}

enum peer_kind peer_kind_of(const uint8_t *bytes, size_t len)
{
    if (len < HEAD_BYTES || bytes[1] != PEER_WIRE_VERSION || bytes[0] == 0 ||
        bytes[0] >= PEER_KIND_END) {
        return (enum peer_kind)0;
    }
    return (enum peer_kind)bytes[0];
}

/* --- configurations ------------------------------------------------------------------------- */

uint32_t peer_config_encode(const struct raft_config *c, uint8_t *out)
{
    NODE_ASSERT(c->count <= RAFT_NODES_MAX);
    put32(out, c->count);
    put32(out + 4, 0);
    for (uint32_t i = 0; i < c->count; i++) {
        put32(out + PEER_CONFIG_HEAD + i * PEER_CONFIG_MEMBER, c->members[i].id);
        put32(out + PEER_CONFIG_HEAD + i * PEER_CONFIG_MEMBER + 4, c->members[i].roles);
    }
    return PEER_CONFIG_HEAD + c->count * PEER_CONFIG_MEMBER;
}

uint32_t peer_config_decode(const uint8_t *bytes, size_t len, struct raft_config *ret_c)
{
    if (len < PEER_CONFIG_HEAD) {
        return 0;
    }
    uint32_t count = get32(bytes);
    if (count > RAFT_NODES_MAX || len < PEER_CONFIG_HEAD + (size_t)count * PEER_CONFIG_MEMBER) {
        return 0;
    }
    memset(ret_c, 0, sizeof(*ret_c));
    ret_c->count = count;
    for (uint32_t i = 0; i < count; i++) {
        ret_c->members[i].id = get32(bytes + PEER_CONFIG_HEAD + i * PEER_CONFIG_MEMBER);
        ret_c->members[i].roles = get32(bytes + PEER_CONFIG_HEAD + i * PEER_CONFIG_MEMBER + 4);
    }
    return PEER_CONFIG_HEAD + count * PEER_CONFIG_MEMBER;
}

/* --- RAFT ----------------------------------------------------------------------------------- */

static void put_msg(uint8_t *p, const struct raft_msg *m)
{
    p[8] = m->type;
    p[9] = m->flags;
    put32(p + 12, m->from);
    put32(p + 16, m->to);
    put32(p + 20, m->count);
    put64(p + 24, m->term);
    put64(p + 32, m->seq);
    put64(p + 40, m->index);
    put64(p + 48, m->log_term);
    put64(p + 56, m->commit);
    put64(p + 64, m->hint);
    put64(p + 72, m->hint_term);
    put64(p + 80, m->snap_id);
    put64(p + 88, m->offset);
    put64(p + 96, m->total);
}

static void get_msg(const uint8_t *p, struct raft_msg *m)
{
    memset(m, 0, sizeof(*m));
    m->type = p[8];
    m->flags = p[9];
    m->from = get32(p + 12);
    m->to = get32(p + 16);
    m->count = get32(p + 20);
    m->term = get64(p + 24);
    m->seq = get64(p + 32);
    m->index = get64(p + 40);
    m->log_term = get64(p + 48);
    m->commit = get64(p + 56);
    m->hint = get64(p + 64);
    m->hint_term = get64(p + 72);
    m->snap_id = get64(p + 80);
    m->offset = get64(p + 88);
    m->total = get64(p + 96);
}

void peer_metas_encode(const struct raft_entry *metas, uint32_t count, uint8_t *out)
{
    for (uint32_t i = 0; i < count; i++, out += PEER_META_BYTES) {
        put64(out, metas[i].term);
        put32(out + 8, metas[i].bytes);
        put32(out + 12, metas[i].type);
    }
}

struct coord_buf *peer_raft_encode(const struct raft_msg *msg, const struct raft_entry *metas,
                                   const struct raft_config_at *config)
{
    size_t bytes = PEER_RAFT_BYTES;
    uint32_t count = msg->type == RAFT_MSG_APPEND && metas != NULL ? msg->count : 0;
    if (msg->type == RAFT_MSG_APPEND) {
        bytes += (size_t)count * PEER_META_BYTES;
    } else if (msg->type == RAFT_MSG_SNAPSHOT) {
        NODE_ASSERT(config != NULL);
        bytes += 8 + PEER_CONFIG_HEAD + (size_t)config->config.count * PEER_CONFIG_MEMBER;
    }
    struct coord_buf *b = begin(PEER_RAFT, bytes);
    if (b == NULL) {
        return NULL;
    }
    put_msg(b->data, msg);
    uint8_t *p = b->data + PEER_RAFT_BYTES;
    if (msg->type == RAFT_MSG_APPEND) {
        peer_metas_encode(metas, count, p);
    } else if (msg->type == RAFT_MSG_SNAPSHOT) {
        put64(p, config->index);
        (void)peer_config_encode(&config->config, p + 8); /* the room was made for it above */
    }
    return b;
}

uint32_t peer_raft_entries(const uint8_t *bytes, size_t len)
{
    if (len < PEER_RAFT_BYTES || bytes[8] != RAFT_MSG_APPEND) {
        return 0;
    }
    uint32_t count = get32(bytes + 20);
    if (count > PEER_ENTRIES_MAX || count > (len - PEER_RAFT_BYTES) / PEER_META_BYTES) {
        return 0;
    }
    return count;
}

/* The descriptions and payloads behind an APPEND. */
static bool decode_append(const uint8_t *bytes, size_t len, struct raft_entry *metas,
                          struct peer_raft *m)
{
    uint32_t count = peer_raft_entries(bytes, len);
    if (count != m->msg.count) {
        return false;
    }
    const uint8_t *p = bytes + PEER_RAFT_BYTES;
    const uint8_t *payload = p + (size_t)count * PEER_META_BYTES;
    size_t room = len - PEER_RAFT_BYTES - (size_t)count * PEER_META_BYTES;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++, p += PEER_META_BYTES) {
        metas[i] = (struct raft_entry){
            .term = get64(p), .bytes = get32(p + 8), .type = p[12], .reserved = {0, 0, 0}};
        if (metas[i].bytes > room - at) {
            return false;
        }
        if (metas[i].type == RAFT_ENTRY_CONFIG) {
            if (m->configs_count == RAFT_CONFIGS_MAX) {
                return false;
            }
            struct raft_config_at *c = &m->configs[m->configs_count++];
            c->index = m->msg.index + 1 + i;
            if (peer_config_decode(payload + at, metas[i].bytes, &c->config) != metas[i].bytes) {
                return false;
            }
        } else if (metas[i].type != RAFT_ENTRY_COMMAND && metas[i].type != RAFT_ENTRY_NOOP) {
            return false;
        }
        at += metas[i].bytes;
    }
    m->payload = payload;
    m->payload_bytes = (uint32_t)room;
    return at == room;
}

static bool decode_snapshot(const uint8_t *bytes, size_t len, struct peer_raft *m)
{
    const size_t head = PEER_RAFT_BYTES + 8;
    if (len < head) {
        return false;
    }
    m->configs[0].index = get64(bytes + PEER_RAFT_BYTES);
    uint32_t used = peer_config_decode(bytes + head, len - head, &m->configs[0].config);
    if (used == 0) {
        return false;
    }
    m->configs_count = 1;
    m->payload = bytes + head + used;
    m->payload_bytes = (uint32_t)(len - head - used);
    return m->payload_bytes == m->msg.count;
}

bool peer_raft_decode(const uint8_t *bytes, size_t len, struct raft_entry *metas,
                      struct peer_raft *ret_m)
{
    if (peer_kind_of(bytes, len) != PEER_RAFT || len < PEER_RAFT_BYTES || len > UINT32_MAX) {
        return false;
    }
    memset(ret_m, 0, sizeof(*ret_m));
    get_msg(bytes, &ret_m->msg);
    if (ret_m->msg.type == 0 || ret_m->msg.type >= RAFT_MSG_TYPE_END) {
        return false;
    }
    if (ret_m->msg.type == RAFT_MSG_APPEND) {
        return decode_append(bytes, len, metas, ret_m);
    }
    if (ret_m->msg.type == RAFT_MSG_SNAPSHOT) {
        return decode_snapshot(bytes, len, ret_m);
    }
    return len == PEER_RAFT_BYTES;
}

/* --- FORWARD -------------------------------------------------------------------------------- */

struct coord_buf *peer_forward_encode(const struct peer_forward *f, const uint32_t *sizes)
{
    NODE_ASSERT(f->count <= PEER_ENTRIES_MAX);
    NODE_ASSERT(f->from <= f->to);
    struct coord_buf *b = begin(PEER_FORWARD, PEER_FORWARD_BYTES + (size_t)f->count * 4);
    if (b == NULL) {
        return NULL;
    }
    put64(b->data + 8, f->term);
    put64(b->data + 16, f->nonce);
    put64(b->data + 24, f->stream);
    put64(b->data + 32, f->start);
    put64(b->data + 40, f->from);
    put64(b->data + 48, f->to);
    put32(b->data + 56, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        put32(b->data + PEER_FORWARD_BYTES + (size_t)i * 4, sizes[i]);
    }
    return b;
}

bool peer_forward_decode(const uint8_t *bytes, size_t len, struct peer_forward *ret_f)
{
    if (peer_kind_of(bytes, len) != PEER_FORWARD || len < PEER_FORWARD_BYTES || len > UINT32_MAX) {
        return false;
    }
    struct peer_forward f = {.term = get64(bytes + 8),
                             .nonce = get64(bytes + 16),
                             .stream = get64(bytes + 24),
                             .start = get64(bytes + 32),
                             .from = get64(bytes + 40),
                             .to = get64(bytes + 48),
                             .count = get32(bytes + 56),
                             .sizes = bytes + PEER_FORWARD_BYTES};
    if (f.start > f.from || f.from > f.to || f.count > PEER_ENTRIES_MAX ||
        f.count > (len - PEER_FORWARD_BYTES) / 4) {
        return false;
    }
    size_t head = PEER_FORWARD_BYTES + (size_t)f.count * 4;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < f.count; i++) {
        sum += peer_forward_size(&f, i);
    }
    if (sum != len - head) {
        return false;
    }
    f.entries = bytes + head;
    f.entries_bytes = (uint32_t)sum;
    *ret_f = f;
    return true;
}

uint32_t peer_forward_size(const struct peer_forward *f, uint32_t i)
{
    NODE_ASSERT(i < f->count);
    return get32(f->sizes + (size_t)i * 4);
}

/* --- notices -------------------------------------------------------------------------------- */

struct coord_buf *peer_notice_encode(const struct peer_notice *n)
{
    struct coord_buf *b = begin(n->kind, NOTICE_BYTES);
    if (b == NULL) {
        return NULL;
    }
    put64(b->data + 8, n->term);
    put64(b->data + 16, n->nonce);
    put64(b->data + 24, n->a);
    put64(b->data + 32, n->b);
    return b;
}

bool peer_notice_decode(const uint8_t *bytes, size_t len, struct peer_notice *ret_n)
{
    enum peer_kind kind = peer_kind_of(bytes, len);
    if (len != NOTICE_BYTES || (kind != PEER_FORWARD_AGAIN && kind != PEER_FORWARD_REFUSED &&
                                kind != PEER_TOUCHED && kind != PEER_DIGEST)) {
        return false;
    }
    *ret_n = (struct peer_notice){.kind = kind,
                                  .term = get64(bytes + 8),
                                  .nonce = get64(bytes + 16),
                                  .a = get64(bytes + 24),
                                  .b = get64(bytes + 32)};
    /* An error is one of the table's numbers; what a peer says must not become "success". */
    if (kind == PEER_FORWARD_REFUSED) {
        return ret_n->b > 0 && ret_n->b < 64;
    }
    return kind != PEER_DIGEST || ret_n->a > 0;
}

/* --- TOUCH ---------------------------------------------------------------------------------- */

struct coord_buf *peer_touch_encode(const struct peer_touch *t, const uint64_t *sessions)
{
    NODE_ASSERT(t->count <= PEER_SESSIONS_MAX);
    struct coord_buf *b = begin(PEER_TOUCH, TOUCH_BYTES + (size_t)t->count * 8);
    if (b == NULL) {
        return NULL;
    }
    put64(b->data + 8, t->term);
    put64(b->data + 16, t->nonce);
    put64(b->data + 24, t->round);
    put32(b->data + 32, t->count);
    put32(b->data + 36, t->hurry);
    for (uint32_t i = 0; i < t->count; i++) {
        put64(b->data + TOUCH_BYTES + (size_t)i * 8, sessions[i]);
    }
    return b;
}

bool peer_touch_decode(const uint8_t *bytes, size_t len, struct peer_touch *ret_t)
{
    if (peer_kind_of(bytes, len) != PEER_TOUCH || len < TOUCH_BYTES) {
        return false;
    }
    uint32_t count = get32(bytes + 32);
    if (count > PEER_SESSIONS_MAX || len != TOUCH_BYTES + (size_t)count * 8) {
        return false;
    }
    *ret_t = (struct peer_touch){.term = get64(bytes + 8),
                                 .nonce = get64(bytes + 16),
                                 .round = get64(bytes + 24),
                                 .count = count,
                                 .hurry = get32(bytes + 36) == 1,
                                 .sessions = bytes + TOUCH_BYTES};
    return true;
}

uint64_t peer_touch_session(const struct peer_touch *t, uint32_t i)
{
    NODE_ASSERT(i < t->count);
    return get64(t->sessions + (size_t)i * 8);
}
