/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Goal: the parts of the store that the tests of the machine do not reach by themselves: its containers at
 * sizes where they change shape, deep trees, walks, and the order of what an owner leaves behind.
 * Method: each container against a plain array of what must be in it, with its own check after each step.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/arena.h"
#include "server/store/children.h"
#include "server/store/pool.h"
#include "server/store/slots.h"
#include "server/store/slots_fill.h"
#include "server/store/store.h"
#include "server/store/znode.h"

static uint64_t seed_state = 0x853c49e6748fea9b;

static uint64_t rnd(uint64_t below)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state % below;
}

static struct coord_bytes str(const char *s)
{
    return (struct coord_bytes){(const uint8_t *)s, s == NULL ? 0 : (uint32_t)strlen(s)};
}

/* --- pool -------------------------------------------------------------------------------------- */

START_TEST(pool_objects_do_not_overlap_and_come_back)
{
    enum { OBJECTS = 6000 };
    static uint8_t *object[OBJECTS];
    static size_t bytes[OBJECTS];
    struct pool *p = pool_create();
    uint64_t empty = pool_bytes(p);
    for (int round = 0; round < 40000; round++) {
        size_t i = rnd(OBJECTS);
        if (object[i] != NULL) {
            uint8_t fill = (uint8_t)(i * 7 + bytes[i]);
            size_t same = 0;
            while (same < bytes[i] && object[i][same] == fill) {
                same++;
            }
            ck_assert_uint_eq(same, bytes[i]);
            pool_free(p, object[i], bytes[i]);
            object[i] = NULL;
            continue;
        }
        bytes[i] = rnd(10) == 0 ? 1 + rnd(5000) : 1 + rnd(200);
        object[i] = pool_alloc(p, bytes[i]);
        ck_assert_ptr_nonnull(object[i]);
        ck_assert_uint_eq((uintptr_t)object[i] % 8, 0);
        memset(object[i], (int)(uint8_t)(i * 7 + bytes[i]), bytes[i]);
    }
    ck_assert_uint_gt(pool_bytes(p), empty);
    for (size_t i = 0; i < OBJECTS; i++) {
        pool_free(p, object[i], bytes[i]);
    }
    ck_assert_uint_eq(pool_bytes(p), empty);
    pool_free(p, NULL, 0);
    pool_destroy(p);
    pool_destroy(NULL);
}
END_TEST

/* What is held, or given up late, is there until nobody reads it any more. */
START_TEST(pool_keeps_for_readers_what_owners_free)
{
    enum { COUNT = 100, BYTES = 5000 };
    struct pool *p = pool_create();
    uint8_t *large = pool_alloc(p, BYTES);
    uint8_t *small[COUNT];
    memset(large, 'h', BYTES);
    uint64_t before = pool_bytes(p);
    ck_assert(pool_hold(p, large, BYTES));
    ck_assert(pool_hold(p, large, BYTES));
    pool_free(p, large, BYTES);
    pool_unhold(p, large);
    ck_assert_uint_eq(pool_bytes(p), before);
    ck_assert_int_eq(large[BYTES - 1], 'h');
    pool_unhold(p, large);
    ck_assert_uint_eq(pool_bytes(p), 0);
    large = pool_alloc(p, BYTES);
    ck_assert(pool_hold(p, large, BYTES));
    pool_unhold(p, large); /* its owner has it still */
    pool_late_begin(p);
    pool_late_begin(p);
    for (int i = 0; i < COUNT; i++) {
        small[i] = pool_alloc(p, 40);
        memset(small[i], i, 40);
    }
    before = pool_bytes(p);
    for (int i = 0; i < COUNT; i++) {
        pool_free_late(p, small[i], 40);
    }
    pool_free_late(p, NULL, 0);
    pool_late_end(p);
    pool_late_some(p);
    ck_assert_uint_eq(pool_late_bytes(p), COUNT * 40);
    ck_assert_uint_eq(pool_bytes(p), before);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(small[i][39], i);
    }
    pool_late_end(p);
    pool_free_late(p, large, BYTES); /* nobody reads: at once, and some of the others */
    ck_assert_uint_lt(pool_late_bytes(p), COUNT * 40);
    ck_assert_uint_gt(pool_late_bytes(p), 0);
    while (pool_late_bytes(p) > 0) {
        pool_late_some(p);
    }
    ck_assert_uint_eq(pool_bytes(p), 0);
    pool_destroy(p);
}
END_TEST

START_TEST(pool_slabs_serve_another_size_next)
{
    enum { COUNT = 20000 };
    static void *object[COUNT];
    struct pool *p = pool_create();
    uint64_t most = 0;
    for (size_t bytes = 24; bytes <= 1024; bytes += 200) {
        for (size_t i = 0; i < COUNT; i++) {
            object[i] = pool_alloc(p, bytes);
        }
        most = pool_bytes(p) > most ? pool_bytes(p) : most;
        for (size_t i = 0; i < COUNT; i++) {
            pool_free(p, object[i], bytes);
        }
        ck_assert_uint_eq(pool_bytes(p), 0);
    }
    ck_assert_uint_gt(most, (uint64_t)COUNT * 1000);
    pool_destroy(p);
}
END_TEST

/* --- arena ------------------------------------------------------------------------------------- */

START_TEST(arena_keeps_what_it_gave_until_reset)
{
    struct arena a;
    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        char *kept[500];
        for (int i = 0; i < 500; i++) {
            char text[2000];
            int n = snprintf(text, sizeof(text), "%d:%*d", round, 1 + (i * 31) % 1500, i);
            kept[i] = arena_copy(&a, text, (size_t)n + 1);
            ck_assert_ptr_nonnull(kept[i]);
            ck_assert_uint_eq((uintptr_t)kept[i] % 8, 0);
        }
        ck_assert_ptr_nonnull(arena_alloc(&a, 300000));
        ck_assert_ptr_nonnull(arena_copy(&a, NULL, 0));
        for (int i = 0; i < 500; i++) {
            char text[2000];
            (void)snprintf(text, sizeof(text), "%d:%*d", round, 1 + (i * 31) % 1500, i);
            ck_assert_str_eq(kept[i], text);
        }
        arena_reset(&a);
    }
    arena_finish(&a);
}
END_TEST

/* --- slots ------------------------------------------------------------------------------------- */

struct item {
    uint32_t hash;
    uint32_t key;
    bool in;
};

static bool item_match(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint32_t *)key;
}

/* mask: bits of the hash that are left, so that few bits make many collisions. */
static void slots_against_array(uint32_t hash_mask, uint32_t rounds)
{
    enum { ITEMS = 5000 };
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct slots s;
    uint64_t count = 0;
    uint32_t bad = 0;
    slots_init(&s);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        items[i].hash = (slots_hash(&i, sizeof(i)) & hash_mask) | 2;
    }
    for (uint32_t round = 0; round < rounds; round++) {
        bool growing = round / (rounds / 4) % 2 == 0;
        struct item *it = &items[rnd(ITEMS)];
        if (!it->in && rnd(4) < (growing ? 3 : 1)) {
            ck_assert_int_eq(slots_reserve(&s), 0);
            slots_add(&s, it->hash, it);
            it->in = true;
            count++;
        } else if (it->in && rnd(4) < (growing ? 1 : 3)) {
            slots_remove(&s, it->hash, it);
            it->in = false;
            count--;
        }
        const struct item *probe = &items[rnd(ITEMS)];
        bad += s.count != count;
        bad += slots_find(&s, probe->hash, item_match, &probe->key) != (probe->in ? probe : NULL);
    }
    ck_assert_uint_eq(bad, 0);
    for (uint32_t i = 0; i < ITEMS; i++) {
        ck_assert_ptr_eq(slots_find(&s, items[i].hash, item_match, &items[i].key),
                         items[i].in ? &items[i] : NULL);
        if (items[i].in) {
            slots_remove(&s, items[i].hash, &items[i]);
        }
    }
    ck_assert_uint_eq(s.count, 0);
    ck_assert_uint_lt(slots_bytes(&s), 4096); /* it shrinks again */
    slots_finish(&s);
    free(items);
}

START_TEST(slots_find_what_was_added)
{
    static const uint32_t masks[] = {0xffffffff, 0xffff0000, 0x7fe, 0xfc000000};
    slots_against_array(masks[_i], 40000);
}
END_TEST

START_TEST(slots_presized_do_not_move)
{
    enum { ITEMS = 10000 };
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct slots s;
    uint32_t bad = 0;
    slots_init(&s);
    ck_assert_int_eq(slots_presize(&s, ITEMS), 0);
    uint64_t cap = s.now.cap;
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        items[i].hash = slots_hash(&i, sizeof(i));
        bad += slots_reserve(&s) != 0;
        slots_add(&s, items[i].hash, &items[i]);
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        bad += slots_find(&s, items[i].hash, item_match, &i) != &items[i];
    }
    ck_assert_uint_eq(bad, 0);
    ck_assert_uint_eq(s.now.cap, cap);
    ck_assert_uint_eq(s.old.cap, 0);
    ck_assert_int_eq(slots_presize(&(struct slots){0}, UINT64_MAX), COORD_ENOMEM);
    slots_finish(&s);
    free(items);
}
END_TEST

START_TEST(slots_filled_have_every_item)
{
    enum { ITEMS = 300000 };
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct slots s;
    uint32_t bad = 0;
    slots_init(&s);
    ck_assert_int_eq(slots_presize(&s, ITEMS), 0);
    struct slots_fill *f = slots_fill_create(&s);
    ck_assert_ptr_nonnull(f);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        /* Some parts of the table get all that they can hold, others a few. */
        items[i].hash = slots_hash(&i, sizeof(i)) | (i % 64 == 0 ? 0xff000000 : 0);
        slots_fill_add(f, items[i].hash, &items[i]);
    }
    slots_fill_end(f);
    ck_assert_uint_eq(s.count, ITEMS);
    for (uint32_t i = 0; i < ITEMS; i++) {
        bad += slots_find(&s, items[i].hash, item_match, &i) != &items[i];
    }
    ck_assert_uint_eq(bad, 0);
    slots_fill_destroy(slots_fill_create(&s)); /* with nothing given, nothing happens */
    slots_fill_end(NULL);
    slots_finish(&s);
    free(items);
}
END_TEST

START_TEST(slots_never_pay_for_all_items_at_once)
{
    enum { ITEMS = 60000 };
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct slots s;
    uint64_t moves = 0;
    uint32_t bad = 0;
    slots_init(&s);
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].hash = slots_hash(&i, sizeof(i));
        bad += slots_reserve(&s) != 0;
        bool was_moving = s.old.cap != 0;
        uint64_t moved = s.moved;
        slots_add(&s, items[i].hash, &items[i]);
        if (s.old.cap != 0) {
            moves++;
            bad += was_moving && s.moved - moved > 64;
        }
    }
    ck_assert_uint_eq(bad, 0);
    ck_assert_uint_gt(moves, 100);
    slots_finish(&s);
    free(items);
}
END_TEST

/* --- children ---------------------------------------------------------------------------------- */

enum { KIDS = 40000 };
static struct znode *kid[KIDS];
static bool kid_in[KIDS];

static void kids_create(struct pool *p, const char *format)
{
    for (uint32_t i = 0; i < KIDS; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), format, i);
        kid[i] = pool_alloc(p, offsetof(struct znode, name) + (size_t)n);
        memset(kid[i], 0, offsetof(struct znode, name));
        memcpy(kid[i]->name, name, (size_t)n);
        kid[i]->name_bytes = (uint8_t)n;
        kid_in[i] = false;
    }
}

/* All that are in, in order, and each found by its name. */
static void kids_compare(const struct children *c)
{
    struct children_cursor cur;
    const char *wrong = children_check(c);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    children_first(c, &cur);
    uint32_t misplaced = 0;
    for (uint32_t i = 0; i < KIDS; i++) {
        misplaced += kid_in[i] && children_next(c, &cur) != kid[i];
    }
    ck_assert_uint_eq(misplaced, 0);
    ck_assert_ptr_null(children_next(c, &cur));
}

START_TEST(children_stay_in_order_through_growth_and_decline)
{
    struct pool *p = pool_create();
    struct children c = {0};
    struct children_near near = {0};
    uint32_t count = 0;
    uint32_t bad = 0; /* a ck_assert in the inner loop would cost more than what it checks */
    kids_create(p, "kid-%05u");
    uint64_t before = pool_bytes(p);
    for (uint32_t round = 0; round < 8; round++) {
        bool growing = round % 2 == 0;
        for (uint32_t step = 0; step < 50000; step++) {
            /* Every other round in order, so that right edges are met; the rest at random. */
            uint32_t i = round % 4 < 2 ? step % KIDS : (uint32_t)rnd(KIDS);
            if (growing && !kid_in[i]) {
                bad += children_insert(&c, p, kid[i], &near) != 0;
                count++;
                kid_in[i] = true;
            } else if (!growing && kid_in[i] && (round != 3 || i % 100 != 0)) {
                children_remove(&c, p, kid[i]);
                near = (struct children_near){0};
                count--;
                kid_in[i] = false;
            }
            bad += c.count != count;
            if (step % 5000 == 0) {
                kids_compare(&c);
            }
        }
        kids_compare(&c);
        ck_assert_uint_eq(bad, 0);
        ck_assert(!growing || c.height >= 3);
    }
    for (uint32_t i = 0; i < KIDS; i++) {
        if (kid_in[i]) {
            children_remove(&c, p, kid[i]);
        }
    }
    ck_assert_uint_eq(c.count, 0);
    ck_assert_uint_eq(c.height, 0);
    ck_assert_ptr_null(c.root);
    ck_assert_uint_eq(pool_bytes(p), before);
    for (uint32_t i = 0; i < KIDS; i++) {
        pool_free(p, kid[i], offsetof(struct znode, name) + kid[i]->name_bytes);
    }
    pool_destroy(p);
}
END_TEST

START_TEST(children_are_removed_from_either_end_and_cleared)
{
    struct pool *p = pool_create();
    struct children c = {0};
    struct children_near near = {0};
    kids_create(p, "%05u");
    uint64_t before = pool_bytes(p);
    for (uint32_t i = KIDS; i > 0; i--) { /* descending: always at the left edge */
        ck_assert_int_eq(children_insert(&c, p, kid[i - 1], &near), 0);
        kid_in[i - 1] = true;
    }
    kids_compare(&c);
    uint32_t low = 0;
    uint32_t high = KIDS;
    while (high - low > 10000) {
        uint32_t i = rnd(2) == 0 ? low++ : --high;
        children_remove(&c, p, kid[i]);
        kid_in[i] = false;
    }
    kids_compare(&c);
    children_clear(&c, p);
    ck_assert_uint_eq(pool_bytes(p), before);
    ck_assert_uint_eq(c.count, 0);
    children_clear(&c, p);
    for (uint32_t i = 0; i < KIDS; i++) {
        pool_free(p, kid[i], offsetof(struct znode, name) + kid[i]->name_bytes);
    }
    pool_destroy(p);
}
END_TEST

START_TEST(children_seek_finds_the_first_not_before)
{
    struct pool *p = pool_create();
    struct children c = {0};
    struct children_near near = {0};
    struct children_cursor cur;
    uint32_t bad = 0;
    kids_create(p, "%05u");
    for (uint32_t i = 0; i < KIDS; i += 2) {
        bad += children_insert(&c, p, kid[i], &near) != 0;
        kid_in[i] = true;
    }
    for (uint32_t i = 0; i < KIDS - 2; i++) {
        char name[16];
        int n = snprintf(name, sizeof(name), "%05u", i);
        children_seek(&c, name, (size_t)n, false, &cur);
        bad += children_next(&c, &cur) != kid[i + i % 2];
        children_seek(&c, name, (size_t)n, true, &cur);
        bad += children_next(&c, &cur) != kid[i % 2 == 0 ? i + 2 : i + 1];
        bad += children_find(&c, name, (size_t)n) != (kid_in[i] ? kid[i] : NULL);
    }
    ck_assert_uint_eq(bad, 0);
    children_seek(&c, "99999", 5, false, &cur);
    ck_assert_ptr_null(children_next(&c, &cur));
    children_clear(&c, p);
    for (uint32_t i = 0; i < KIDS; i++) {
        pool_free(p, kid[i], offsetof(struct znode, name) + kid[i]->name_bytes);
    }
    pool_destroy(p);
}
END_TEST

/* Names counted without leading zeros arrive in order, but between others; those of many clients a little out of
 * order. What is compared: an index entry of 8 bytes, and a quarter more. */
START_TEST(children_counted_between_others_fill_their_leaves)
{
    enum { DISORDER = 32 };
    struct pool *p = pool_create();
    struct children c = {0};
    struct children_near near = {0};
    uint32_t bad = 0;
    kids_create(p, "f0-%u");
    uint64_t before = pool_bytes(p);
    for (uint32_t i = 0; i < KIDS; i++) {
        uint32_t far = KIDS - i < DISORDER ? KIDS - i : DISORDER;
        uint32_t j = i + (_i == 0 ? 0 : (uint32_t)rnd(far));
        struct znode *next = kid[j];
        kid[j] = kid[i];
        kid[i] = next;
        bad += children_insert(&c, p, next, &near) != 0;
    }
    ck_assert_uint_eq(bad, 0);
    ck_assert_uint_eq(c.count, KIDS);
    const char *wrong = children_check(&c);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    ck_assert_uint_lt(pool_bytes(p) - before, (uint64_t)KIDS * sizeof(void *) * 5 / 4);
    children_clear(&c, p);
    ck_assert_uint_eq(pool_bytes(p), before);
    for (uint32_t i = 0; i < KIDS; i++) {
        pool_free(p, kid[i], offsetof(struct znode, name) + kid[i]->name_bytes);
    }
    pool_destroy(p);
}
END_TEST

START_TEST(names_compare_by_bytes_then_length)
{
    ck_assert_int_lt(children_name_compare("a", 1, "b", 1), 0);
    ck_assert_int_lt(children_name_compare("a", 1, "ab", 2), 0);
    ck_assert_int_gt(children_name_compare("b", 1, "ab", 2), 0);
    ck_assert_int_gt(children_name_compare("\xc3\xa4", 2, "z", 1), 0);
    ck_assert_int_eq(children_name_compare("abc", 3, "abc", 3), 0);
    ck_assert_int_lt(children_name_compare("", 0, "a", 1), 0);
}
END_TEST

/* --- the tree ---------------------------------------------------------------------------------- */

struct tree {
    struct pool *pool;
    struct store *store;
    uint64_t revision;
};

static void tree_open(struct tree *t)
{
    t->pool = pool_create();
    t->store = store_create_empty(t->pool);
    t->revision = 0;
    ck_assert_ptr_nonnull(t->store);
}

static void tree_close(struct tree *t)
{
    const char *wrong = store_check(t->store);
    ck_assert_msg(wrong == NULL, "%s", wrong);
    store_destroy(t->store);
    ck_assert_uint_eq(pool_bytes(t->pool), 0);
    pool_destroy(t->pool);
}

static struct znode *tree_create(struct tree *t, const char *path, struct store_owned *owned)
{
    struct store_create_args a = {.path = str(path),
                                  .kind =
                                      owned == NULL ? COORD_NODE_PERSISTENT : COORD_NODE_EPHEMERAL,
                                  .parents = true,
                                  .owned = owned};
    struct znode *node = NULL;
    uint64_t sequence;
    store_begin(t->store, ++t->revision, 1);
    ck_assert_int_eq(store_create(t->store, &a, &node, &sequence), 0);
    return node;
}

START_TEST(the_deepest_tree_that_a_path_allows)
{
    struct tree t;
    char path[COORD_PATH_BYTES_MAX + 1];
    char back[COORD_PATH_BYTES_MAX];
    tree_open(&t);
    for (size_t i = 0; i < COORD_PATH_BYTES_MAX; i++) {
        path[i] = i % 2 == 0 ? '/' : 'x';
    }
    path[COORD_PATH_BYTES_MAX] = '\0';
    struct znode *deepest = tree_create(&t, path, NULL);
    ck_assert_uint_eq(store_nodes(t.store), 1 + COORD_PATH_BYTES_MAX / 2);
    ck_assert_ptr_eq(store_find(t.store, str(path)), deepest);
    ck_assert_uint_eq(store_path(deepest, back), COORD_PATH_BYTES_MAX);
    ck_assert_mem_eq(back, path, COORD_PATH_BYTES_MAX);
    static struct store_walk w;
    uint32_t depth = 0;
    uint32_t met = 0;
    store_walk_begin(&w, store_root(t.store), true, str(NULL));
    while (store_walk_next(&w, &depth) != NULL) {
        ck_assert_uint_eq(depth, ++met);
    }
    ck_assert_uint_eq(met, COORD_PATH_BYTES_MAX / 2);
    store_walk_begin(&w, store_root(t.store), true, str(path + 1));
    ck_assert_ptr_null(store_walk_next(&w, &depth));
    tree_close(&t);
}
END_TEST

START_TEST(a_path_is_not_mistaken_for_another)
{
    struct tree t;
    tree_open(&t);
    const char *there[] = {"/a/b", "/ab/c", "/a/bb", "/b/a"};
    const char * not [] = {"/a/c", "/ab", "/b", "/a/b/c", "/b/b", "/aa/b", "/ab/b"};
    for (size_t i = 0; i < 4; i++) {
        tree_create(&t, there[i], NULL);
    }
    for (size_t i = 0; i < 4; i++) {
        char path[COORD_PATH_BYTES_MAX];
        const struct znode *node = store_find(t.store, str(there[i]));
        ck_assert_ptr_nonnull(node);
        ck_assert_uint_eq(store_path(node, path), strlen(there[i]));
        ck_assert_mem_eq(path, there[i], strlen(there[i]));
    }
    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++) {
        bool is_parent = strcmp(not [i], "/ab") == 0 || strcmp(not [i], "/b") == 0;
        ck_assert_int_eq(store_find(t.store, str(not [i])) != NULL, is_parent);
    }
    tree_close(&t);
}
END_TEST

START_TEST(what_an_owner_leaves_goes_in_path_order)
{
    struct tree t;
    struct store_owned owned = {.owner = 1};
    struct store_owned other = {.owner = 2};
    tree_open(&t);
    for (uint32_t i = 0; i < 3000; i++) {
        char path[64];
        (void)snprintf(path, sizeof(path), "/d%u/%u", (i * 7) % 13, (i * 7919) % 3000);
        tree_create(&t, path, i % 3 == 0 ? &other : &owned);
    }
    ck_assert_uint_eq(owned.count, 2000);
    store_begin(t.store, ++t.revision, 1);
    ck_assert_int_eq(store_delete_owned(t.store, &owned), 0);
    uint32_t count;
    const struct coord_change *c = store_changes(t.store, &count);
    ck_assert_uint_eq(count, 2000);
    for (uint32_t i = 1; i < count; i++) {
        const struct coord_bytes a = c[i - 1].path;
        const struct coord_bytes b = c[i].path;
        /* Names here are all digits and letters: bytes with '/' lowest is path order. */
        size_t n = a.len < b.len ? a.len : b.len;
        size_t at = 0;
        while (at < n && a.data[at] == b.data[at]) {
            at++;
        }
        ck_assert(at == n ? a.len < b.len
                          : a.data[at] == '/' || (b.data[at] != '/' && a.data[at] < b.data[at]));
        ck_assert_ptr_null(store_find(t.store, b));
    }
    ck_assert_uint_eq(owned.count, 0);
    ck_assert_ptr_null(owned.first);
    ck_assert_uint_eq(other.count, 1000);
    ck_assert_int_eq(store_delete_owned(t.store, &owned), 0);
    tree_close(&t);
}
END_TEST

START_TEST(the_sequence_grows_past_ten_digits_and_ends)
{
    static const struct {
        uint64_t sequence;
        const char *path;
        int error;
    } row[] = {{9999999999, "/p/n-9999999999", 0},
               {10000000000, "/p/n-10000000000", 0},
               {STORE_COUNTER_MAX - 1, "/p/n-4611686018427387903", 0},
               {STORE_COUNTER_MAX, NULL, COORD_ELIMIT}};
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        struct tree t;
        tree_open(&t);
        /* A parent that had many children, all of them gone. */
        struct store_restore_args r = {.parent = store_root(t.store),
                                       .path = str("/p"),
                                       .sequence = row[i].sequence,
                                       .stat = {.create_revision = 1,
                                                .modify_revision = 1,
                                                .child_revision = 1,
                                                .child_version = 2 * row[i].sequence}};
        struct znode *node = NULL;
        ck_assert_int_eq(store_restore(t.store, &r, &node), 0);
        store_restore_end(t.store);
        struct store_create_args a = {.path = str("/p/n-"), .sequential = true};
        uint64_t sequence = 0;
        t.revision = 1;
        store_begin(t.store, ++t.revision, 1);
        ck_assert_int_eq(store_create(t.store, &a, &node, &sequence), row[i].error);
        if (row[i].error == 0) {
            char path[COORD_PATH_BYTES_MAX];
            ck_assert_uint_eq(sequence, row[i].sequence);
            ck_assert_uint_eq(store_path(node, path), strlen(row[i].path));
            ck_assert_mem_eq(path, row[i].path, strlen(row[i].path));
        }
        store_destroy(t.store);
        pool_destroy(t.pool);
    }
}
END_TEST

START_TEST(old_data_stays_until_the_next_change_begins)
{
    struct tree t;
    struct znode *node = NULL;
    tree_open(&t);
    tree_create(&t, "/a", NULL);
    const struct store_condition any = {.version = COORD_VERSION_ANY};
    store_begin(t.store, ++t.revision, 1);
    ck_assert_int_eq(store_set(t.store, str("/a"), str("first"), &any, &node), 0);
    store_begin(t.store, ++t.revision, 1);
    /* Several changes of one node in one revision, as a transaction makes them. */
    ck_assert_int_eq(store_set(t.store, str("/a"), str("second"), &any, &node), 0);
    ck_assert_int_eq(store_set(t.store, str("/a"), str("third!"), &any, &node), 0);
    ck_assert_int_eq(store_delete(t.store, str("/a"), &any), 0);
    uint32_t count;
    const struct coord_change *c = store_changes(t.store, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_mem_eq(c[0].previous.data, "first", 5);
    ck_assert_mem_eq(c[0].value.data, "second", 6);
    ck_assert_mem_eq(c[1].previous.data, "second", 6);
    ck_assert_mem_eq(c[1].value.data, "third!", 6);
    ck_assert_mem_eq(c[2].previous.data, "third!", 6);
    tree_close(&t);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("store");
    TCase *c = tcase_create("containers");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, pool_objects_do_not_overlap_and_come_back);
    tcase_add_test(c, pool_keeps_for_readers_what_owners_free);
    tcase_add_test(c, pool_slabs_serve_another_size_next);
    tcase_add_test(c, arena_keeps_what_it_gave_until_reset);
    tcase_add_loop_test(c, slots_find_what_was_added, 0, 4);
    tcase_add_test(c, slots_presized_do_not_move);
    tcase_add_test(c, slots_filled_have_every_item);
    tcase_add_test(c, slots_never_pay_for_all_items_at_once);
    tcase_add_test(c, children_stay_in_order_through_growth_and_decline);
    tcase_add_test(c, children_are_removed_from_either_end_and_cleared);
    tcase_add_test(c, children_seek_finds_the_first_not_before);
    tcase_add_loop_test(c, children_counted_between_others_fill_their_leaves, 0, 2);
    tcase_add_test(c, names_compare_by_bytes_then_length);
    suite_add_tcase(s, c);
    TCase *t = tcase_create("tree");
    tcase_add_test(t, the_deepest_tree_that_a_path_allows);
    tcase_add_test(t, a_path_is_not_mistaken_for_another);
    tcase_add_test(t, what_an_owner_leaves_goes_in_path_order);
    tcase_add_test(t, the_sequence_grows_past_ten_digits_and_ends);
    tcase_add_test(t, old_data_stays_until_the_next_change_begins);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(suite());
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
