/* SPDX-License-Identifier: Apache-2.0 */
/* test_node_wire.c
 * Goal: the messages between members survive the way to bytes and back, and no bytes at all make a
 * decoder read too far, accept a lie about a count, or crash a member.
 * Method: round trips of every kind; every truncation of them; random and bit-flipped bytes, to the
 * decoders and to a running ensemble; buffers are exactly as long as the message so that the sanitizer
 * sees a read beyond. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include "server/node/map.h"
#include "server/node/peer_wire.h"
#include "tests/lib/node_cluster.h"

static uint64_t rng = 7;

static uint64_t rnd(void)
{
    uint64_t z = (rng += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The message and payload in one block of exactly their size. */
static uint8_t *joined(const struct coord_buf *head, const void *payload, size_t bytes,
                       size_t *ret_len)
{
    uint8_t *all = malloc(head->len + bytes);
    ck_assert_ptr_nonnull(all);
    memcpy(all, head->data, head->len);
    if (bytes > 0) {
        memcpy(all + head->len, payload, bytes);
    }
    *ret_len = head->len + bytes;
    return all;
}

static struct raft_msg sample_msg(uint8_t type)
{
    return (struct raft_msg){.type = type,
                             .flags = 3,
                             .from = 70000,
                             .to = 2,
                             .term = 3,
                             .seq = UINT64_MAX,
                             .index = 5,
                             .log_term = 6,
                             .commit = 7,
                             .hint = 8,
                             .hint_term = 9,
                             .snap_id = 10,
                             .offset = 11,
                             .total = 12};
}

static const struct raft_config two = {2, {{1, RAFT_VOTER}, {2, RAFT_LEARNER}}};

/* An APPEND with a command, a noop and a configuration. */
static uint8_t *sample_append(size_t *ret_len)
{
    struct raft_msg m = sample_msg(RAFT_MSG_APPEND);
    uint8_t payload[3 + PEER_CONFIG_BYTES_MAX] = {'a', 'b', 'c'};
    uint32_t config_bytes = peer_config_encode(&two, payload + 3);
    struct raft_entry metas[3] = {{1, 3, RAFT_ENTRY_COMMAND, {0, 0, 0}},
                                  {2, 0, RAFT_ENTRY_NOOP, {0, 0, 0}},
                                  {3, config_bytes, RAFT_ENTRY_CONFIG, {0, 0, 0}}};
    m.count = 3;
    struct coord_buf *head = peer_raft_encode(&m, metas, NULL);
    uint8_t *all = joined(head, payload, 3 + config_bytes, ret_len);
    coord_buf_unref(head);
    return all;
}

static uint8_t *sample_snapshot(size_t *ret_len)
{
    struct raft_msg m = sample_msg(RAFT_MSG_SNAPSHOT);
    struct raft_config_at at = {4, two};
    m.count = 5;
    struct coord_buf *head = peer_raft_encode(&m, NULL, &at);
    uint8_t *all = joined(head, "chunk", 5, ret_len);
    coord_buf_unref(head);
    return all;
}

static uint8_t *sample_forward(size_t *ret_len)
{
    static const uint32_t sizes[2] = {4, 6};
    struct peer_forward f = {
        .term = 1, .nonce = 2, .stream = 3, .start = 4, .from = 5, .to = 9, .count = 2};
    struct coord_buf *head = peer_forward_encode(&f, sizes);
    uint8_t *all = joined(head, "0123456789", 10, ret_len);
    coord_buf_unref(head);
    return all;
}

static uint8_t *sample_touch(size_t *ret_len)
{
    static const uint64_t sessions[3] = {5, 6, UINT64_MAX};
    struct peer_touch t = {.term = 1, .nonce = 2, .round = 3, .count = 3};
    struct coord_buf *b = peer_touch_encode(&t, sessions);
    uint8_t *all = joined(b, NULL, 0, ret_len);
    coord_buf_unref(b);
    return all;
}

static uint8_t *sample_notice(size_t *ret_len)
{
    struct peer_notice m = {.kind = PEER_FORWARD_REFUSED, .term = 1, .nonce = 2, .a = 3, .b = 16};
    struct coord_buf *b = peer_notice_encode(&m);
    uint8_t *all = joined(b, NULL, 0, ret_len);
    coord_buf_unref(b);
    return all;
}

/* What any receiver does with bytes. Return: whether some decoder accepted them. */
static bool decode_any(const uint8_t *bytes, size_t len)
{
    struct peer_raft m;
    struct peer_forward f;
    struct peer_touch t;
    struct peer_notice n;
    struct raft_entry *metas = calloc(peer_raft_entries(bytes, len) + 1, sizeof(metas[0]));
    bool ok = peer_raft_decode(bytes, len, metas, &m);
    free(metas);
    if (peer_forward_decode(bytes, len, &f)) {
        ok = true;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < f.count; i++) {
            sum += peer_forward_size(&f, i);
        }
        ck_assert_uint_eq(sum, f.entries_bytes);
    }
    if (peer_touch_decode(bytes, len, &t)) {
        ok = true;
        for (uint32_t i = 0; i < t.count; i++) {
            (void)peer_touch_session(&t, i);
        }
    }
    return peer_notice_decode(bytes, len, &n) || ok;
}

START_TEST(raft_messages_survive)
{
    for (uint8_t type = 1; type < RAFT_MSG_TYPE_END; type++) {
        struct raft_msg m = sample_msg(type);
        struct raft_config_at at = {4, two};
        struct peer_raft got;
        struct coord_buf *b = peer_raft_encode(&m, NULL, &at);
        ck_assert_uint_eq(peer_kind_of(b->data, b->len), PEER_RAFT);
        ck_assert(peer_raft_decode(b->data, b->len, NULL, &got));
        ck_assert_mem_eq(&got.msg, &m, sizeof(m));
        coord_buf_unref(b);
    }
}
END_TEST

START_TEST(entries_and_configurations_survive)
{
    size_t len;
    uint8_t *all = sample_append(&len);
    struct raft_entry metas[3];
    struct peer_raft m;
    ck_assert_uint_eq(peer_raft_entries(all, len), 3);
    ck_assert(peer_raft_decode(all, len, metas, &m));
    ck_assert_uint_eq(metas[0].term, 1);
    ck_assert_uint_eq(metas[0].bytes, 3);
    ck_assert_uint_eq(metas[2].type, RAFT_ENTRY_CONFIG);
    ck_assert_mem_eq(m.payload, "abc", 3);
    ck_assert_uint_eq(m.configs_count, 1);
    ck_assert_uint_eq(m.configs[0].index, 5 + 3);
    ck_assert_mem_eq(&m.configs[0].config, &two, sizeof(two));
    free(all);
    all = sample_snapshot(&len);
    ck_assert(peer_raft_decode(all, len, NULL, &m));
    ck_assert_uint_eq(m.configs_count, 1);
    ck_assert_uint_eq(m.configs[0].index, 4);
    ck_assert_uint_eq(m.payload_bytes, 5);
    ck_assert_mem_eq(m.payload, "chunk", 5);
    free(all);
}
END_TEST

START_TEST(the_rest_survives)
{
    size_t len;
    struct peer_forward f;
    struct peer_touch t;
    struct peer_notice n;
    uint8_t *all = sample_forward(&len);
    ck_assert(peer_forward_decode(all, len, &f));
    ck_assert_uint_eq(f.stream, 3);
    ck_assert_uint_eq(f.from, 5);
    ck_assert_uint_eq(f.to, 9);
    ck_assert_uint_eq(peer_forward_size(&f, 1), 6);
    ck_assert_mem_eq(f.entries, "0123456789", 10);
    free(all);
    all = sample_touch(&len);
    ck_assert(peer_touch_decode(all, len, &t));
    ck_assert_uint_eq(t.round, 3);
    ck_assert_uint_eq(peer_touch_session(&t, 2), UINT64_MAX);
    free(all);
    all = sample_notice(&len);
    ck_assert(peer_notice_decode(all, len, &n));
    ck_assert_int_eq(n.kind, PEER_FORWARD_REFUSED);
    ck_assert_uint_eq(n.b, 16);
    all[32] = 0; /* "refused, successfully" */
    ck_assert(!peer_notice_decode(all, len, &n));
    free(all);
}
END_TEST

typedef uint8_t *(*sample)(size_t *ret_len);
static const sample samples[] = {sample_append, sample_snapshot, sample_forward, sample_touch,
                                 sample_notice};

START_TEST(every_truncation_is_refused)
{
    for (size_t k = 0; k < sizeof(samples) / sizeof(samples[0]); k++) {
        size_t len;
        uint8_t *all = samples[k](&len);
        ck_assert(decode_any(all, len));
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *part = malloc(cut + (cut == 0));
            memcpy(part, all, cut);
            ck_assert(!decode_any(part, cut));
            free(part);
        }
        uint8_t *longer = malloc(len + 1);
        memcpy(longer, all, len);
        longer[len] = 0;
        ck_assert(!decode_any(longer, len + 1));
        free(longer);
        free(all);
    }
}
END_TEST

START_TEST(damaged_bytes_are_no_harm)
{
    for (int i = 0; i < 20000; i++) {
        size_t len;
        uint8_t *all = samples[rnd() % 5](&len);
        for (uint64_t flips = 1 + rnd() % 8; flips > 0; flips--) {
            all[rnd() % len] = (uint8_t)rnd();
        }
        (void)decode_any(all, len);
        free(all);
    }
}
END_TEST

START_TEST(a_member_survives_hostile_peers)
{
    struct cluster_options o;
    cluster_options_init(&o, 3);
    struct cluster *cl = cluster_create(&o);
    raft_id leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    ck_assert_uint_ne(leader, 0);
    struct cluster_client *c = client_connect(cl, leader);
    ck_assert_int_eq(client_hello(c), 0);
    for (int i = 0; i < 3000; i++) {
        size_t len;
        uint8_t *all = samples[rnd() % 5](&len);
        if (all[0] == PEER_RAFT) {
            all[12] = (uint8_t)cluster_other(cl, leader);
            all[13] = all[14] = all[15] = 0;
            /* Of an old term: a member may say anything in its own name, but terms that never were
             * would only show that raft believes its members. */
            memset(all + 24, 0, 8);
            all[24] = (uint8_t)(rnd() % 2);
        }
        size_t from = all[0] == PEER_RAFT ? 32 : 8;
        for (uint64_t flips = rnd() % 6; flips > 0; flips--) {
            all[from + rnd() % (len - from)] ^= (uint8_t)rnd();
        }
        struct coord_buf *b = coord_buf_copy(all, len);
        free(all);
        node_peer_frame(cluster_node(cl, leader), cluster_other(cl, leader), b, cluster_now(cl));
        if (i % 50 == 0) {
            cluster_run(cl, CLUSTER_MS);
        }
    }
    ck_assert_int_eq(client_create(c, "/alive", "", 0), 0);
    ck_assert_uint_ge(cluster_log_count(cl, leader, "malformed"), 1);
    ck_assert_uint_le(cluster_log_count(cl, leader, "malformed"), 200);
    cluster_destroy(cl);
}
END_TEST

/* A FORWARD with one CREATE of path, as a follower would send it. */
static struct coord_buf *forward_of(raft_id from, raft_id origin, uint64_t term, uint64_t cookie,
                                    const char *path)
{
    struct coord_request q = {
        .op = COORD_OP_CREATE, .number = 1, .path = bytes_of(path), .flags = 0};
    struct coord_buf *frame = NULL;
    uint8_t entry[512];
    ck_assert_int_eq(coord_request_encode(&q, &frame), 0);
    uint32_t bytes = frame->len - COORD_FRAME_HEADER_BYTES;
    struct entry e = {
        .kind = ENTRY_REQUEST, .origin = origin, .cookie = cookie, .body_bytes = bytes};
    entry_header_encode(&e, entry);
    memcpy(entry + ENTRY_HEADER_BYTES, frame->data + COORD_FRAME_HEADER_BYTES, bytes);
    uint32_t size = (uint32_t)ENTRY_HEADER_BYTES + bytes;
    struct peer_forward f = {.term = term,
                             .nonce = 1000 + from,
                             .stream = 1,
                             .start = cookie,
                             .from = cookie,
                             .to = cookie + 1,
                             .count = 1};
    struct coord_buf *b = peer_forward_encode(&f, &size);
    ck_assert_int_eq(coord_buf_append(&b, entry, size), 0);
    coord_buf_unref(frame);
    return b;
}

/* Only in its own term, only for the sender's clients, only once. */
START_TEST(the_leader_takes_forwards_with_care)
{
    struct cluster_options o;
    cluster_options_init(&o, 3);
    struct cluster *cl = cluster_create(&o);
    raft_id leader = cluster_wait_leader(cl, 10 * CLUSTER_S);
    raft_id other = cluster_other(cl, leader);
    struct raft_status st;
    raft_status(node_raft(cluster_node(cl, leader)), &st);
    struct node *n = cluster_node(cl, leader);
    struct cluster_client *c = client_connect(cl, leader);
    ck_assert_int_eq(client_hello(c), 0);
    uint64_t now = cluster_now(cl);
    node_peer_frame(n, other, forward_of(other, other, st.term - 1, 5, "/old"), now);
    node_peer_frame(n, other, forward_of(other, other, st.term + 1, 5, "/new"), now);
    node_peer_frame(n, other, forward_of(other, leader, st.term, 5, "/foreign"), now);
    cluster_run(cl, 50 * CLUSTER_MS);
    ck_assert_int_eq(client_get(c, "/old", ""), COORD_ENONODE);
    ck_assert_int_eq(client_get(c, "/new", ""), COORD_ENONODE);
    ck_assert_int_eq(client_get(c, "/foreign", ""), COORD_ENONODE);
    ck_assert_uint_eq(cluster_log_count(cl, leader, "forwarded write refused"), 1);
    raft_id third = 6 - leader - other;
    now = cluster_now(cl);
    node_peer_frame(n, third, forward_of(third, third, st.term, 5, "/good"), now);
    node_peer_frame(n, third, forward_of(third, third, st.term, 5, "/twice"), now);
    cluster_run(cl, 50 * CLUSTER_MS);
    ck_assert_int_eq(client_get(c, "/good", ""), 0);
    ck_assert_int_eq(client_get(c, "/twice", ""), COORD_ENONODE);
    cluster_destroy(cl);
}
END_TEST

START_TEST(the_map_is_a_map)
{
    enum { KEYS = 500 };
    struct node_map m = {0};
    static int values[KEYS];
    bool in[KEYS] = {false};
    size_t count = 0;
    for (int i = 0; i < 20000; i++) {
        size_t k = rnd() % KEYS;
        ck_assert(node__map_get(&m, k * 64) == (in[k] ? &values[k] : NULL));
        if (in[k]) {
            ck_assert_ptr_eq(node__map_remove(&m, k * 64), &values[k]);
            count--;
        } else {
            ck_assert_int_eq(node__map_put(&m, k * 64, &values[k]), 0);
            count++;
        }
        in[k] = !in[k];
        ck_assert_uint_eq(m.count, count);
    }
    size_t cursor = 0;
    size_t seen = 0;
    while (node__map_next(&m, &cursor) != NULL) {
        seen++;
    }
    ck_assert_uint_eq(seen, count);
    node__map_release(&m);
    ck_assert_ptr_null(node__map_get(&m, 1));
    ck_assert_ptr_null(node__map_remove(&m, 1));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node_wire");
    TCase *t = tcase_create("bytes");
    tcase_set_timeout(t, 20);
    tcase_add_test(t, raft_messages_survive);
    tcase_add_test(t, entries_and_configurations_survive);
    tcase_add_test(t, the_rest_survives);
    tcase_add_test(t, every_truncation_is_refused);
    tcase_add_test(t, damaged_bytes_are_no_harm);
    tcase_add_test(t, a_member_survives_hostile_peers);
    tcase_add_test(t, the_leader_takes_forwards_with_care);
    tcase_add_test(t, the_map_is_a_map);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
