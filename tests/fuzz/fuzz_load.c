/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the saved state of the machine is loaded, or refused with the machine as it was; a state that
 * was accepted is one that can be worked on (bad input I14).
 * Method: load; save, which gives the same bytes; read, write, and end every session.
 * Input: a byte, and a saved state. An even byte: the length in its head is set right first (version 1)
 * or zeroed (later ones).
 */
#include "protocol/buf.h"
#include "server/machine/machine_internal.h"
#include "server/machine/snapshot.h"
#include "tests/fuzz/fuzz.h"

#define BODY_BYTES_MAX 2048
#define STEPS_MAX      100

static void check_tree(const struct machine *m)
{
    const char *wrong = store_check(m->state.store);
    FUZZ_CHECK(wrong == NULL, wrong);
}

static int apply(struct machine *m, uint64_t revision, struct entry *e, const void *body,
                 size_t len)
{
    static uint8_t bytes[ENTRY_HEADER_BYTES + BODY_BYTES_MAX];
    struct machine_outcome o;
    FUZZ_CHECK(len <= BODY_BYTES_MAX, "bodies are small");
    e->body_bytes = (uint32_t)len;
    entry_header_encode(e, bytes);
    memcpy(bytes + ENTRY_HEADER_BYTES, body, len);
    machine_apply(m, revision, bytes, ENTRY_HEADER_BYTES + len, &o);
    check_tree(m);
    return o.error;
}

static int write_node(struct machine *m, uint64_t revision, enum coord_op op,
                      struct coord_bytes path)
{
    struct coord_buf *b = NULL;
    struct coord_request q = {.number = 1,
                              .op = op,
                              .path = path,
                              .expect_version = COORD_VERSION_ANY,
                              .flags = COORD_F_SEQUENTIAL};
    struct entry e = {.kind = ENTRY_REQUEST, .origin = 1};
    FUZZ_CHECK(coord_request_encode(&q, &b) == 0, "a request");
    int rc = apply(m, revision, &e, b->data + COORD_FRAME_HEADER_BYTES,
                   b->len - COORD_FRAME_HEADER_BYTES);
    coord_buf_unref(b);
    return rc;
}

/* List the first nodes; write below and to each of them. */
static void use_nodes(struct machine *m, uint64_t *revision)
{
    static char paths[STEPS_MAX][COORD_PATH_BYTES_MAX + 2];
    static uint32_t lens[STEPS_MAX];
    struct coord_request q = {.number = 1,
                              .op = COORD_OP_LIST,
                              .path = {(const uint8_t *)"/", 1},
                              .flags = COORD_LIST_STATS | COORD_LIST_DATA | COORD_LIST_RECURSIVE};
    struct coord_result res;
    int rc = machine_read(m, &q, &res);
    FUZZ_CHECK(rc == 0 || rc == COORD_ETOOBIG, "\"/\" can be listed");
    uint32_t n = res.entries_count < STEPS_MAX ? res.entries_count : STEPS_MAX;
    for (uint32_t i = 0; i < n; i++) {
        paths[i][0] = '/';
        memcpy(paths[i] + 1, res.entries[i].name.data, res.entries[i].name.len);
        lens[i] = res.entries[i].name.len + 1;
    }
    for (uint32_t i = 0; i < n && *revision < UINT64_MAX - 4; i++) {
        struct coord_bytes path = {(const uint8_t *)paths[i], lens[i]};
        FUZZ_CHECK(write_node(m, ++*revision, COORD_OP_SET, path) != COORD_ENONODE, "it is there");
        (void)write_node(m, ++*revision, COORD_OP_DELETE, path); /* may have children */
        if (path.len + 2 <= COORD_PATH_BYTES_MAX) {
            memcpy(paths[i] + lens[i], "/n", 2);
            path.len += 2;
            (void)write_node(m, ++*revision, COORD_OP_CREATE, path); /* may be gone, or ephemeral */
        }
    }
}

static void end_sessions(struct machine *m, uint64_t *revision)
{
    struct machine_session s;
    for (int i = 0; i < STEPS_MAX && *revision < UINT64_MAX - 4; i++) {
        if (!machine_session_next(m, 0, &s)) {
            return;
        }
        uint64_t pair[2] = {s.id, s.epoch};
        struct entry e = {.kind = ENTRY_EXPIRE};
        FUZZ_CHECK(apply(m, ++*revision, &e, pair, sizeof(pair)) == 0, "an expiry");
        FUZZ_CHECK(!machine_session_get(m, s.id, &s), "the session is over");
    }
}

/* The same bytes in two pieces are judged as they are at once. */
static void load_pieces(const uint8_t *state, size_t n, size_t first, int want)
{
    struct machine_loader *l = machine_loader_create(n);
    FUZZ_CHECK(l != NULL, "memory");
    first = n == 0 ? 0 : first % n;
    int rc = machine_loader_feed(l, state, first);
    rc = rc != 0 ? rc : machine_loader_feed(l, state + first, n - first);
    rc = rc != 0 ? rc : machine_loader_end(l);
    FUZZ_CHECK(rc == want, "pieces make no difference");
    machine_loader_destroy(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0) {
        return 0;
    }
    char why[100];
    struct machine_limits limits;
    machine_limits_init(&limits);
    struct machine *m = machine_create(&limits);
    size_t n = len - 1;
    uint8_t *state = malloc(n + (n == 0));
    FUZZ_CHECK(m != NULL && state != NULL, "memory");
    memcpy(state, bytes + 1, n);
    for (size_t i = 0; i < 8 && n >= SNAPSHOT_HEAD_BYTES && bytes[0] % 2 == 0; i++) {
        state[16 + i] = (uint8_t)(state[8] == 1 ? (uint64_t)n >> (8 * i) : 0);
    }
    uint64_t before = machine_digest(m);
    memset(why, 'x', sizeof(why));
    int rc = machine_load(m, state, n, why, sizeof(why));
    FUZZ_CHECK(rc == 0 || rc == COORD_EPROTO, "no other answer");
    load_pieces(state, n, bytes[0] * 7u, rc);
    check_tree(m);
    if (rc == 0) {
        struct coord_buf *saved = machine_save(m);
        bool first = state[8] == SNAPSHOT_VERSION_MIN; /* saved again in the form of today */
        FUZZ_CHECK(saved != NULL && saved->len == n + (first ? MACHINE_LIMITS_BYTES : 0),
                   "what was accepted is as long as what would be saved");
        FUZZ_CHECK(first || memcmp(saved->data, state, n) == 0,
                   "what was accepted is what would be saved");
        coord_buf_unref(saved);
        struct machine_stats stats;
        machine_stats(m, &stats);
        use_nodes(m, &stats.revision);
        end_sessions(m, &stats.revision);
    } else {
        FUZZ_CHECK(memchr(why, 0, sizeof(why)) != NULL, "the reason is a string");
        FUZZ_CHECK(machine_digest(m) == before, "a refusal changes nothing");
    }
    free(state);
    machine_destroy(m);
    return 0;
}
