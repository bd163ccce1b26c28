/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: whatever a connection between members carries is decoded or refused, within its bytes; what is
 * accepted can be said again and means the same.
 * Method: decode as every kind of message and as a handshake; read all that the result points to;
 * encode and compare. Input: the body of a frame.
 */
#include "server/node/peer_wire.h"
#include "server/shell/handshake.h"
#include "tests/fuzz/fuzz.h"

static volatile uint64_t sum; /* so that reading what was decoded is not left out */

static void read_all(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        sum += p[i];
    }
}

/* Fields that are zero in this version are not looked at by a decoder: compare what was understood. */
static void check_raft_again(const struct coord_buf *head, const struct peer_raft *m)
{
    static struct raft_entry metas[PEER_ENTRIES_MAX];
    struct peer_raft again;
    FUZZ_CHECK(head != NULL, "memory");
    size_t len = (size_t)head->len + m->payload_bytes;
    uint8_t *bytes = malloc(len);
    FUZZ_CHECK(bytes != NULL, "memory");
    memcpy(bytes, head->data, head->len);
    if (m->payload_bytes > 0) {
        memcpy(bytes + head->len, m->payload, m->payload_bytes);
    }
    FUZZ_CHECK(peer_raft_decode(bytes, len, metas, &again), "said again it is understood");
    FUZZ_CHECK(memcmp(&again.msg, &m->msg, sizeof(m->msg)) == 0, "as the same");
    FUZZ_CHECK(again.payload_bytes == m->payload_bytes, "payload");
    FUZZ_CHECK(again.configs_count == m->configs_count &&
                   memcmp(again.configs, m->configs, sizeof(m->configs)) == 0,
               "and configurations");
    free(bytes);
}

static void raft_message(const uint8_t *bytes, size_t len)
{
    static struct raft_entry metas[PEER_ENTRIES_MAX];
    struct peer_raft m;
    uint32_t n = peer_raft_entries(bytes, len);
    FUZZ_CHECK(n <= PEER_ENTRIES_MAX && n <= len / PEER_META_BYTES, "entries that are there");
    if (!peer_raft_decode(bytes, len, metas, &m)) {
        return;
    }
    FUZZ_CHECK(m.msg.type > 0 && m.msg.type < RAFT_MSG_TYPE_END, "a type");
    FUZZ_CHECK(m.msg.type != RAFT_MSG_APPEND || m.msg.count == n, "as many as were announced");
    FUZZ_CHECK(m.configs_count <= RAFT_CONFIGS_MAX, "configurations");
    read_all(m.payload, m.payload_bytes);
    uint64_t payload = 0;
    for (uint32_t i = 0; i < n; i++) {
        payload += metas[i].bytes;
    }
    FUZZ_CHECK(m.msg.type != RAFT_MSG_APPEND || payload == m.payload_bytes, "payloads");
    FUZZ_CHECK(m.msg.type != RAFT_MSG_SNAPSHOT || m.configs_count == 1, "its configuration");
    for (uint32_t i = 0; i < m.configs_count; i++) {
        FUZZ_CHECK(m.configs[i].config.count <= RAFT_NODES_MAX, "members");
    }
    struct coord_buf *b = peer_raft_encode(&m.msg, metas, &m.configs[0]);
    check_raft_again(b, &m);
    coord_buf_unref(b);
}

static void forward(const uint8_t *bytes, size_t len)
{
    static uint32_t sizes[PEER_ENTRIES_MAX];
    struct peer_forward f;
    if (!peer_forward_decode(bytes, len, &f)) {
        return;
    }
    uint64_t total = 0;
    FUZZ_CHECK(f.count <= PEER_ENTRIES_MAX, "entries");
    for (uint32_t i = 0; i < f.count; i++) {
        sizes[i] = peer_forward_size(&f, i);
        total += sizes[i];
    }
    FUZZ_CHECK(total == f.entries_bytes, "sizes");
    FUZZ_CHECK(f.start <= f.from && f.from <= f.to, "cookies");
    read_all(f.entries, f.entries_bytes);
    struct coord_buf *b = peer_forward_encode(&f, sizes);
    FUZZ_CHECK(b != NULL && (size_t)b->len + f.entries_bytes == len, "said again it is as long");
    FUZZ_CHECK(memcmp(b->data + 8, bytes + 8, 52) == 0, "and the same");
    coord_buf_unref(b);
}

static void touch(const uint8_t *bytes, size_t len)
{
    struct peer_touch t;
    if (!peer_touch_decode(bytes, len, &t)) {
        return;
    }
    FUZZ_CHECK(t.count <= PEER_SESSIONS_MAX, "sessions");
    for (uint32_t i = 0; i < t.count; i++) {
        sum += peer_touch_session(&t, i);
    }
}

static void notice(const uint8_t *bytes, size_t len)
{
    struct peer_notice n;
    if (!peer_notice_decode(bytes, len, &n)) {
        return;
    }
    struct coord_buf *b = peer_notice_encode(&n);
    FUZZ_CHECK(b != NULL && b->len == len && memcmp(b->data + 8, bytes + 8, 32) == 0,
               "said again it is the same");
    coord_buf_unref(b);
}

static void greeting(const uint8_t *bytes, size_t len)
{
    struct handshake h;
    struct handshake again;
    char why[200];
    if (handshake_decode(bytes, len, &h) != 0) {
        return;
    }
    FUZZ_CHECK(memchr(h.text, 0, sizeof(h.text)) != NULL, "a string");
    struct coord_buf *b = handshake_encode(&h);
    FUZZ_CHECK(b != NULL && handshake_decode(b->data, b->len, &again) == 0, "said again");
    FUZZ_CHECK(again.kind == h.kind && again.from == h.from && again.to == h.to &&
                   again.cluster == h.cluster && strcmp(again.text, h.text) == 0,
               "it is the same");
    coord_buf_unref(b);
    struct handshake ours = {.kind = HANDSHAKE_WELCOME, .version = HANDSHAKE_VERSION, .from = 1};
    memset(why, 'x', sizeof(why));
    int rc = handshake_check(&ours, &h, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct raft_config c;
    int kind = (int)peer_kind_of(bytes, len);
    FUZZ_CHECK(kind >= 0 && kind < PEER_KIND_END, "a kind");
    raft_message(bytes, len);
    forward(bytes, len);
    touch(bytes, len);
    notice(bytes, len);
    greeting(bytes, len);
    uint32_t read = peer_config_decode(bytes, len, &c);
    if (read > 0) {
        uint8_t out[PEER_CONFIG_BYTES_MAX];
        FUZZ_CHECK(read <= len && peer_config_encode(&c, out) == read, "a configuration");
        FUZZ_CHECK(memcmp(out + 8, bytes + 8, read - 8) == 0, "is the same again");
    }
    return 0;
}
