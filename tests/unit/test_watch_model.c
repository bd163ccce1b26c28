/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: every watch gets exactly filter(changes after its start), once, in order, a revision at a time, or
 * is told GAP (testing.md W1-W5). Method: random changes, registrations, removals and resumptions; a model
 * that scans all watches for each change says which frames must come, and how far history reaches.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "server/watch/watch.h"

#define WATCHES     60
#define REVISIONS   1500
#define CHANGES_MAX 6
#define HISTORY     100u

struct model_watch {
    bool there;
    bool once;
    uint64_t conn;
    uint64_t number;
    char path[32];
    enum coord_depth depth;
    uint32_t kinds;
    uint32_t flags;
};

struct model_revision {
    uint32_t count;
    enum coord_change_kind kind[CHANGES_MAX];
    char path[CHANGES_MAX][32];
    char value[CHANGES_MAX][400];
};

struct frame {
    uint64_t conn;
    struct coord_buf *frame;
};

static struct model_watch watches[WATCHES];
static struct model_revision *log_of; /* by revision */
static uint64_t now;
static struct frame frames[WATCHES * 4 + REVISIONS];
static size_t frames_count;
static uint64_t seed_state;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

static bool sink(void *arg, uint64_t conn, struct coord_buf *buf)
{
    (void)arg;
    ck_assert_uint_lt(frames_count, sizeof(frames) / sizeof(frames[0]));
    frames[frames_count++] = (struct frame){conn, coord_buf_ref(buf)};
    return true;
}

static void random_path(char out[32])
{
    static const char *const names[] = {"a", "b", "ab", "a-"};
    size_t at = 0;
    for (uint64_t depth = rnd(4); depth > 0; depth--) {
        at += (size_t)snprintf(out + at, 32 - at, "/%s", names[rnd(4)]);
    }
    if (at == 0) {
        memcpy(out, "/", 2);
    }
}

/* The filter, said another way than the hub does it. */
static bool wants(const struct model_watch *w, const struct model_revision *r, uint32_t i)
{
    char below[40];
    (void)snprintf(below, sizeof(below), "%s%s", w->path, strcmp(w->path, "/") == 0 ? "" : "/");
    const char *path = r->path[i];
    if ((w->kinds & (uint32_t)r->kind[i]) == 0) {
        return false;
    }
    if (strcmp(path, w->path) == 0) {
        return true;
    }
    if (w->depth == COORD_DEPTH_NODE || strncmp(path, below, strlen(below)) != 0) {
        return false;
    }
    return w->depth == COORD_DEPTH_SUBTREE || strchr(path + strlen(below), '/') == NULL;
}

static bool wants_any(const struct model_watch *w, const struct model_revision *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (wants(w, r, i)) {
            return true;
        }
    }
    return false;
}

/* The frame is that of this revision for this watch, exactly. */
static void check_frame(const struct frame *f, const struct model_watch *w, uint64_t revision)
{
    const struct model_revision *r = &log_of[revision];
    struct coord_event ev;
    struct coord_change c;
    ck_assert_int_eq(coord_event_decode(f->frame->data + 4, f->frame->len - 4, &ev, NULL, 0), 0);
    ck_assert_uint_eq(f->conn, w->conn);
    ck_assert_uint_eq(ev.watch, w->number);
    ck_assert_uint_eq(ev.revision, revision);
    ck_assert_int_eq(ev.state, COORD_EVENT_CHANGES);
    for (uint32_t i = 0; i < r->count; i++) {
        if (!wants(w, r, i)) {
            continue;
        }
        ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 1);
        ck_assert_int_eq(c.kind, r->kind[i]);
        ck_assert_uint_eq(c.path.len, strlen(r->path[i]));
        ck_assert_mem_eq(c.path.data, r->path[i], c.path.len);
        ck_assert_uint_eq(c.version, revision * 10 + i);
        ck_assert_int_eq(c.has_value, (w->flags & COORD_WATCH_VALUE) != 0);
        if (c.has_value) {
            ck_assert_uint_eq(c.value.len, strlen(r->value[i]));
            ck_assert_mem_eq(c.value.data, r->value[i], c.value.len);
        }
    }
    ck_assert_int_eq(coord_change_next(&ev.changes_raw, &c), 0);
}

static void frames_forget(void)
{
    for (size_t i = 0; i < frames_count; i++) {
        coord_buf_unref(frames[i].frame);
    }
    frames_count = 0;
}

static void step_publish(struct watch_hub *h)
{
    struct model_revision *r = &log_of[++now];
    struct coord_change c[CHANGES_MAX];
    r->count = (uint32_t)rnd(rnd(4) == 0 ? CHANGES_MAX + 1 : 2);
    for (uint32_t i = 0; i < r->count; i++) {
        random_path(r->path[i]);
        memset(r->value[i], 'v', sizeof(r->value[i]));
        r->value[i][rnd(sizeof(r->value[i]))] = '\0';
        r->value[i][sizeof(r->value[i]) - 1] = '\0';
        r->kind[i] = (enum coord_change_kind)(1u << rnd(3));
        c[i] = (struct coord_change){
            .kind = r->kind[i],
            .path = {(const uint8_t *)r->path[i], (uint32_t)strlen(r->path[i])},
            .version = now * 10 + i,
            .create_revision = 1,
            .has_value = true,
            .value = {(const uint8_t *)r->value[i], (uint32_t)strlen(r->value[i])}};
    }
    watch_publish(h, now, c, r->count);
    size_t expected = 0;
    for (size_t i = 0; i < WATCHES; i++) {
        struct model_watch *w = &watches[i];
        if (!w->there || !wants_any(w, r)) {
            continue;
        }
        expected++;
        size_t found = 0;
        for (size_t f = 0; f < frames_count; f++) {
            struct coord_event ev;
            (void)coord_event_decode(frames[f].frame->data + 4, frames[f].frame->len - 4, &ev, NULL,
                                     0);
            if (frames[f].conn == w->conn && ev.watch == w->number) {
                check_frame(&frames[f], w, now);
                found++;
            }
        }
        ck_assert_uint_eq(found, 1);
        w->there = !w->once;
    }
    ck_assert_uint_eq(frames_count, expected);
    frames_forget();
}

/* The lowest revision from which the history, bounded in events, still tells all. */
static uint64_t floor_of(void)
{
    uint32_t events = 0;
    uint64_t r = now;
    while (r > 0 && events + log_of[r].count <= HISTORY) {
        events += log_of[r].count;
        r--;
    }
    return r;
}

static void step_add(struct watch_hub *h)
{
    struct model_watch *w = &watches[rnd(WATCHES)];
    size_t slot = (size_t)(w - watches);
    *w = (struct model_watch){.there = true,
                              .once = rnd(4) == 0,
                              .conn = 1 + slot % 5,
                              .number = slot / 5 * (slot % 2 == 0 ? 1 : 1000),
                              .depth = (enum coord_depth)rnd(3),
                              .kinds = (uint32_t)(1 + rnd(7)),
                              .flags = (uint32_t)rnd(2) * COORD_WATCH_VALUE};
    random_path(w->path);
    struct coord_request q = {.op = COORD_OP_WATCH,
                              .watch = w->number,
                              .path = {(const uint8_t *)w->path, (uint32_t)strlen(w->path)},
                              .depth = w->depth,
                              .kinds = w->kinds,
                              .flags = w->flags | (w->once ? COORD_WATCH_ONCE : 0)};
    uint64_t back = rnd(2) == 0 ? rnd(400) : 0;
    q.revision = now > back && back > 0 ? now - back : 0;
    uint64_t from = 0;
    bool gap = false;
    ck_assert_int_eq(watch_add(h, w->conn, &q, now, &from, &gap), 0);
    bool resumes = q.revision > 0 && q.revision >= floor_of();
    ck_assert_int_eq(gap, q.revision > 0 && !resumes);
    ck_assert_uint_eq(from, resumes ? q.revision : now);
    size_t at = 0;
    for (uint64_t r = q.revision + 1; resumes && r <= now && w->there; r++) {
        if (wants_any(w, &log_of[r])) {
            ck_assert_uint_lt(at, frames_count);
            check_frame(&frames[at++], w, r);
            w->there = !w->once;
        }
    }
    ck_assert_uint_eq(at, frames_count);
    frames_forget();
}

static void step_remove(struct watch_hub *h)
{
    struct model_watch *w = &watches[rnd(WATCHES)];
    if (rnd(10) == 0) {
        uint64_t conn = 1 + rnd(5);
        watch_remove_conn(h, conn);
        for (size_t i = 0; i < WATCHES; i++) {
            watches[i].there = watches[i].there && watches[i].conn != conn;
        }
    } else if (w->conn != 0) {
        ck_assert_int_eq(watch_remove(h, w->conn, w->number), w->there);
        w->there = false;
    }
}

START_TEST(watches_get_what_they_asked_for)
{
    struct watch_limits l;
    watch_limits_init(&l);
    l.history_events = HISTORY;
    struct watch_hub *h = watch_hub_create(&l, sink, NULL);
    seed_state = ((uint64_t)_i + 1) * 0x9e3779b97f4a7c15;
    log_of = calloc(REVISIONS + 1, sizeof(*log_of));
    memset(watches, 0, sizeof(watches));
    now = 0;
    while (now < REVISIONS) {
        uint64_t what = rnd(10);
        if (what < 5) {
            step_publish(h);
        } else if (what < 9) {
            step_add(h);
        } else {
            step_remove(h);
        }
        uint64_t there = 0;
        for (size_t i = 0; i < WATCHES; i++) {
            there += watches[i].there;
        }
        ck_assert_uint_eq(watch_count(h), there);
    }
    watch_hub_destroy(h);
    free(log_of);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("watch: model");
    TCase *c = tcase_create("model");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, watches_get_what_they_asked_for, 0, 8);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
