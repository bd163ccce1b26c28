/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saver.c: see saver.h. The format stands in snapshot.c.
 *
 * Two orders are merged: that of the state as it is now, and that of the images. Why the result is the state
 * at revision R, when the saver was made:
 *   - A node is younger than R exactly when its create_revision is above R, a session when its id is: neither
 *     is ever changed, and a node put back by a rollback or made again by a rename has the right one. What is
 *     younger is passed over.
 *   - Whatever else stands now at a place that has no image has not changed since R: the store tells of every
 *     change before it is made (store_guard), the machine of every change of a session, and the first time
 *     that something older than R and ahead of the cursor is named there, an image is kept.
 *   - What stood at R and is gone was told of as well, so its image stands at its place.
 *   - A change that is taken back leaves an image that says the same as what stands there.
 *   - The rest of a record that was begun, or of an image, is kept apart from the node or session (rest.h).
 *
 * Invariants
 *   1. Images stand only at places ahead of the cursor, at most one each.
 *   2. Between two steps the cursor is a place and what is left of the record there, not a pointer into the
 *      tree: any change of it may come between.
 *   3. Until the last session is given, rest included, no body of an answer is given back.
 */
#include "server/machine/saver.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/machine/images.h"
#include "server/machine/machine_internal.h"
#include "server/machine/rest.h"
#include "server/machine/snapshot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PIECE_BYTES  (16u << 10) /* of a long record: then `over` is asked */
#define ASK_RECORDS  8u          /* likewise; so many cost a few microseconds, rarely 20 ... */
#define RECORD_BYTES 2048u       /* ... as do so many bytes for each of them */

enum saver_phase { SAVER_SESSIONS = 1, SAVER_NODES, SAVER_DONE };

struct machine_saver {
    struct machine *m; /* told by it; NULL: nothing changes while it runs */
    const struct machine_state *state;
    struct machine_sink sink;
    XXH3_state_t *hash; /* NULL: the bytes go elsewhere */
    uint64_t revision;
    uint64_t sessions; /* still to come, by the head */
    uint64_t nodes;    /* likewise */
    uint64_t bytes;
    uint64_t records;
    enum saver_phase phase;
    int error;
    struct images images;
    struct rest rest; /* of the record at the cursor */
    bool late;        /* the pool keeps bodies for it */

    bool (*over)(void *arg);
    void *over_arg;
    uint32_t credit;      /* records until it is asked again */
    uint64_t until;       /* where the step under way ends: records ... */
    uint64_t bytes_until; /* ... and bytes */

    uint64_t session_at; /* the last one passed */
    bool begun;          /* a node was passed: the last one stands, or stood, at path */
    uint32_t path_bytes;
    uint8_t path[COORD_PATH_BYTES_MAX];

    /* Of the step under way: the walk, and the path of the node met last. */
    struct store_walk walk;
    uint32_t live_bytes;
    uint8_t live[COORD_PATH_BYTES_MAX];
    uint16_t ends[STORE_DEPTH_MAX + 1]; /* where the path of its ancestor at a depth ends */
};

/* --- keeping what changes ---------------------------------------------------------------------- */

/* A sink that writes into an image. */
static void image_put(void *arg, const void *bytes, size_t len)
{
    struct image *i = arg;
    size_t at = i->place.path.len + (size_t)i->record_bytes;
    assert(sizeof(*i) + at + len <= i->room_bytes);
    memcpy(i->bytes + at, bytes, len);
    i->record_bytes += (uint32_t)len;
}

static bool is_ahead(const struct machine_saver *s, const struct place *p)
{
    if (s->error != 0 || s->phase == SAVER_DONE) {
        return false;
    }
    if (p->session != 0) {
        return s->phase == SAVER_SESSIONS && p->session > s->session_at;
    }
    const struct place at = {0, {s->path, s->path_bytes}};
    return !s->begun || place_compare(p, &at) > 0;
}

static void keep_node(struct machine_saver *s, const struct znode *node)
{
    char path[COORD_PATH_BYTES_MAX];
    struct coord_node_stat stat;
    struct image *image = NULL;
    uint32_t depth = 0;
    store_stat(node, &stat);
    if (stat.create_revision > s->revision) {
        return;
    }
    size_t len = store_path(node, path);
    const struct place p = {0, {(const uint8_t *)path + 1, (uint32_t)len - 1}};
    if (!is_ahead(s, &p) || images_has(&s->images, &p)) {
        return;
    }
    for (size_t i = 0; i < len && len > 1; i++) {
        depth += path[i] == '/';
    }
    struct coord_bytes data = store_data(node);
    uint64_t small = data.len > REST_DATA_MIN ? 0 : data.len;
    s->error = images_add(&s->images, &p, snapshot_node_bytes_max(node) + small, &image);
    if (s->error != 0) {
        return;
    }
    const struct machine_sink into = {image, image_put};
    (void)snapshot_put_node(&into, node, depth); /* as many as the image says */
    if (small > 0) {
        image_put(image, data.data, data.len);
    } else if (data.len > 0) {
        s->error = rest_data(&image->rest, s->state->pool, data);
        images_charge(&s->images, image, data.len);
    }
}

static void keep_session(struct machine_saver *s, uint64_t id)
{
    const struct place p = {id, {NULL, 0}};
    struct image *image = NULL;
    if (id > s->revision || !is_ahead(s, &p) || images_has(&s->images, &p)) {
        return;
    }
    const struct session *session = sessions_find(s->state->sessions, id);
    assert(session != NULL);
    s->error = images_add(&s->images, &p, SNAPSHOT_SESSION_BYTES, &image);
    if (s->error == 0) {
        const struct machine_sink into = {image, image_put};
        (void)snapshot_put_session(&into, session); /* likewise */
        s->error = rest_answers(&image->rest, &session->answers);
        images_charge(&s->images, image, session->answers.count * sizeof(struct answer));
    }
}

static void guard_node(void *arg, const struct znode *node)
{
    struct machine *m = arg;
    for (uint32_t i = 0; i < m->savers_count; i++) {
        keep_node(m->savers[i], node);
    }
}

void machine_session_guard(struct machine *m, uint64_t id)
{
    for (uint32_t i = 0; i < m->savers_count; i++) {
        keep_session(m->savers[i], id);
    }
}

static void guard_owned(void *arg, const struct store_owned *owned)
{
    machine_session_guard(arg, owned->owner);
}

/* --- going on ---------------------------------------------------------------------------------- */

static void spend(struct machine_saver *s, uint64_t cost)
{
    s->credit -= cost < s->credit ? (uint32_t)cost : s->credit;
}

/* Is the step over? What was done since it was asked last cost as much as so many records. */
static bool step_over(struct machine_saver *s, uint64_t cost)
{
    if (s->records >= s->until || s->bytes >= s->bytes_until) {
        return true;
    }
    spend(s, cost);
    if (s->over == NULL || s->credit > 0) {
        return false;
    }
    s->credit = ASK_RECORDS;
    return s->over(s->over_arg);
}

/* Give what is left of the record at the cursor. Return: false when the step ended before. */
static bool rest_step(struct machine_saver *s)
{
    while (rest_any(&s->rest)) {
        uint64_t room = s->bytes < s->bytes_until ? s->bytes_until - s->bytes : 0;
        uint64_t given = rest_give(&s->rest, &s->sink, room < PIECE_BYTES ? room : PIECE_BYTES);
        s->bytes += given;
        if (step_over(s, 1 + given / RECORD_BYTES) && rest_any(&s->rest)) {
            return false;
        }
    }
    return true;
}

/* The first image takes its place in what comes out. */
static void pass_image(struct machine_saver *s, struct image *i)
{
    s->sink.put(s->sink.arg, image_record(i), i->record_bytes);
    s->bytes += i->record_bytes;
    s->rest = i->rest;
    memset(&i->rest, 0, sizeof(i->rest));
    images_drop_first(&s->images);
    spend(s, 1); /* the heap's share */
}

/* Data that fit into this step are given at once: nothing can change before it ends. */
static void pass_data(struct machine_saver *s, struct coord_bytes data)
{
    if (data.len > REST_DATA_MIN &&
        (data.len > PIECE_BYTES || s->bytes + data.len > s->bytes_until) && s->m != NULL) {
        s->error = rest_data(&s->rest, s->state->pool, data);
    } else if (data.len > 0) {
        s->sink.put(s->sink.arg, data.data, data.len);
        s->bytes += data.len;
        spend(s, data.len / RECORD_BYTES);
    }
}

/* Pass one session. Return: false when there was none. */
static bool session_step(struct machine_saver *s)
{
    const struct session *live = sessions_next(s->state->sessions, s->session_at);
    struct image *image = images_first(&s->images);
    if (image != NULL && image->place.session == 0) {
        image = NULL;
    }
    if (live == NULL && image == NULL) {
        return false;
    }
    if (image != NULL && (live == NULL || image->place.session <= live->id)) {
        s->session_at = image->place.session;
        pass_image(s, image);
        s->sessions--;
        return true;
    }
    s->session_at = live->id;
    if (live->id <= s->revision) {
        s->bytes += snapshot_put_session(&s->sink, live);
        s->error = rest_answers(&s->rest, &live->answers);
        s->sessions--;
    }
    return true;
}

/* Begin the walk behind the place where the last step ended. */
static void walk_resume(struct machine_saver *s)
{
    uint32_t depth = 0;
    store_walk_begin(&s->walk, store_root(s->state->store), true,
                     (struct coord_bytes){s->path, s->path_bytes});
    memcpy(s->live, s->path, s->path_bytes);
    s->live_bytes = s->path_bytes;
    s->ends[0] = 0;
    for (uint32_t i = 0; i <= s->path_bytes; i++) {
        if (i == s->path_bytes ? i > 0 : s->path[i] == '/') {
            s->ends[++depth] = (uint16_t)i;
        }
    }
}

/* The next node of the walk; its path is in s->live. */
static const struct znode *walk_next(struct machine_saver *s, uint32_t *ret_depth)
{
    const struct znode *node = store_walk_next(&s->walk, ret_depth);
    if (node == NULL) {
        return NULL;
    }
    struct coord_bytes name = store_name(node);
    uint32_t at = s->ends[*ret_depth - 1];
    if (at > 0) {
        s->live[at++] = '/';
    }
    assert(at + name.len <= sizeof(s->live));
    memcpy(s->live + at, name.data, name.len);
    s->live_bytes = at + name.len;
    s->ends[*ret_depth] = (uint16_t)s->live_bytes;
    return node;
}

static void pass_node(struct machine_saver *s, const struct znode *node, uint32_t depth)
{
    struct coord_node_stat stat;
    store_stat(node, &stat);
    if (stat.create_revision <= s->revision) {
        s->bytes += snapshot_put_node(&s->sink, node, depth);
        pass_data(s, store_data(node));
        s->nodes--;
    }
}

static void set_path(struct machine_saver *s, const uint8_t *path, uint32_t bytes)
{
    memcpy(s->path, path, bytes);
    s->path_bytes = bytes;
}

/* "/" is always there, and older than every saver; the walk does not meet it. */
static void root_step(struct machine_saver *s)
{
    struct image *image = images_first(&s->images);
    if (image != NULL && image->place.session == 0 && image->place.path.len == 0) {
        pass_image(s, image);
        s->nodes--;
    } else {
        pass_node(s, store_root(s->state->store), 0);
    }
    s->begun = true;
    set_path(s, s->live, 0);
}

/* Pass nodes until the step is over. Return: false when there are no more. */
static bool nodes_step(struct machine_saver *s)
{
    if (!s->begun) {
        root_step(s);
        s->records++;
    }
    walk_resume(s);
    uint32_t depth = 0;
    const struct znode *live = walk_next(s, &depth);
    while (rest_step(s) && s->error == 0 && !step_over(s, 1)) {
        struct image *image = images_first(&s->images);
        if (live == NULL && image == NULL) {
            return false;
        }
        int order = image == NULL ? 1 : -1;
        if (live != NULL && image != NULL) {
            const struct place p = {0, {s->live, s->live_bytes}};
            order = place_compare(&image->place, &p);
        }
        if (order <= 0) {
            set_path(s, image->place.path.data, image->place.path.len);
            pass_image(s, image);
            s->nodes--;
        } else {
            pass_node(s, live, depth);
        }
        s->records++;
        if (order >= 0) { /* the one of s->live was passed */
            set_path(s, s->live, s->live_bytes);
            live = walk_next(s, &depth);
        }
    }
    return true;
}

static void sessions_step(struct machine_saver *s)
{
    while (s->phase == SAVER_SESSIONS && s->error == 0 && !step_over(s, 1)) {
        s->records++;
        if (!session_step(s)) {
            s->phase = SAVER_NODES;
        } else if (!rest_step(s)) {
            return;
        }
    }
}

/* From here on, bodies of answers are nothing to this saver. */
static void late_end(struct machine_saver *s)
{
    if (s->late) {
        pool_late_end(s->state->pool);
        s->late = false;
    }
}

int machine_saver_step(struct machine_saver *s, uint32_t records, uint64_t bytes)
{
    s->until = s->records + records;
    s->bytes_until = s->bytes + bytes;
    s->credit = ASK_RECORDS;
    if (s->error != 0) {
        return s->error;
    }
    if (!rest_step(s)) {
        return 1;
    }
    sessions_step(s);
    if (s->phase == SAVER_NODES) {
        late_end(s);
        if (!step_over(s, 0) && !nodes_step(s)) {
            s->phase = SAVER_DONE;
            s->error = s->sessions == 0 && s->nodes == 0 ? 0 : COORD_EPROTO;
        }
        if (s->m != NULL) {
            pool_late_some(s->state->pool);
        }
    }
    if (s->error != 0) {
        return s->error;
    }
    return s->phase == SAVER_DONE ? 0 : 1;
}

void machine_saver_ask(struct machine_saver *s, bool (*over)(void *arg), void *arg)
{
    s->over = over;
    s->over_arg = arg;
}

/* --- life -------------------------------------------------------------------------------------- */

static void hash_put(void *arg, const void *bytes, size_t len)
{
    (void)XXH3_64bits_update(arg, bytes, len); /* fails only without a state */
}

static struct machine_saver *saver_create(const struct machine_state *st,
                                          const struct machine_sink *sink)
{
    struct machine_saver *s = malloc(sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    memset(s, 0,
           offsetof(struct machine_saver, path)); /* the rest is large, and set before it is read */
    s->state = st;
    s->revision = st->revision;
    s->sessions = sessions_count(st->sessions);
    s->nodes = store_nodes(st->store);
    s->phase = SAVER_SESSIONS;
    images_init(&s->images);
    if (sink != NULL) {
        s->sink = *sink;
    } else {
        s->hash = XXH3_createState();
        if (s->hash == NULL) {
            free(s);
            return NULL;
        }
        (void)XXH3_64bits_reset(s->hash); /* fails only without a state */
        s->sink = (struct machine_sink){s->hash, hash_put};
    }
    s->bytes = snapshot_put_head(&s->sink, st);
    return s;
}

int machine_saver_create(struct machine *m, const struct machine_sink *sink,
                         struct machine_saver **ret_s)
{
    if (m->savers_count == MACHINE_SAVERS_MAX) {
        return COORD_EBUSY;
    }
    struct machine_saver *s = saver_create(&m->state, sink);
    if (s == NULL) {
        return COORD_ENOMEM;
    }
    s->m = m;
    s->late = true;
    pool_late_begin(m->state.pool);
    m->savers[m->savers_count++] = s;
    m->guard = (struct store_guard){m, guard_node, guard_owned};
    store_guard_set(m->state.store, &m->guard);
    *ret_s = s;
    return 0;
}

void machine_saver_destroy(struct machine_saver *s)
{
    if (s == NULL) {
        return;
    }
    struct machine *m = s->m;
    for (uint32_t i = 0; m != NULL && i < m->savers_count; i++) {
        if (m->savers[i] == s) {
            m->savers[i] = m->savers[--m->savers_count];
            break;
        }
    }
    if (m != NULL && m->savers_count == 0) {
        store_guard_set(m->state.store, NULL);
    }
    (void)XXH3_freeState(s->hash); /* cannot fail */
    late_end(s);
    rest_finish(&s->rest);
    images_finish(&s->images);
    free(s);
}

void machine_saver_info(const struct machine_saver *s, struct machine_saver_info *ret_i)
{
    uint64_t late = s->late ? pool_late_bytes(s->state->pool) : 0;
    *ret_i = (struct machine_saver_info){.revision = s->revision,
                                         .bytes = s->bytes,
                                         .records = s->records,
                                         .images = s->images.count,
                                         .images_bytes = s->images.bytes + late};
}

uint64_t machine_saver_digest(const struct machine_saver *s)
{
    assert(s->hash != NULL);
    return XXH3_64bits_digest(s->hash);
}

/* --- in one piece ------------------------------------------------------------------------------ */

/* Nothing changes while it runs, so it needs no ear at the machine. Return: NULL when memory is out. */
static struct machine_saver *save_whole(const struct machine *m, const struct machine_sink *sink)
{
    struct machine_saver *s = saver_create(&m->state, sink);
    int rc = s == NULL ? COORD_ENOMEM : machine_saver_step(s, UINT32_MAX, UINT64_MAX / 2);
    for (; rc == 1; rc = machine_saver_step(s, UINT32_MAX, UINT64_MAX / 2)) {
    }
    assert(s == NULL || rc == 0);
    return s;
}

struct gather {
    struct coord_buf *buf;
    bool failed;
};

static void gather_put(void *arg, const void *bytes, size_t len)
{
    struct gather *g = arg;
    if (!g->failed && coord_buf_append(&g->buf, bytes, len) != 0) {
        g->failed = true;
    }
}

struct coord_buf *machine_save(const struct machine *m)
{
    struct gather g = {coord_buf_create(SNAPSHOT_HEAD_BYTES), false};
    const struct machine_sink sink = {&g, gather_put};
    struct machine_saver *s = g.buf == NULL ? NULL : save_whole(m, &sink);
    if (s == NULL || g.failed) {
        coord_buf_unref(g.buf);
        g.buf = NULL;
    }
    machine_saver_destroy(s);
    return g.buf;
}

uint64_t machine_digest(const struct machine *m)
{
    struct machine_saver *s = save_whole(m, NULL);
    assert(s != NULL);
    uint64_t digest = machine_saver_digest(s);
    machine_saver_destroy(s);
    return digest;
}
