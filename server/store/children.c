/* SPDX-License-Identifier: Apache-2.0 */
/*
 * children.c: the B+tree of a node's children.
 *
 * Shape: a leaf starts with 4 slots and grows by half until CHILDREN_LEAF_MAX, then it gives half of what
 * makes the difference to a neighbour under the same parent that has room, or splits. A split at the right
 * edge leaves the left node full, since names made by counting arrive in order; any other split halves, and
 * names that arrive in order between others fill what it left behind by giving. A node that falls below a
 * quarter joins a neighbour under the same parent when both fit into three quarters.
 *
 * Separators are not copies of names but pointers to the smallest node of each subtree (mins), which
 * remove keeps exact, so an index entry costs 8 bytes whatever the length of the names. There are no
 * links between leaves: a cursor at the end of its leaf seeks the successor from the root, once per
 * leaf.
 *
 * Insert takes all memory it needs before its first change.
 */
#include "server/store/children.h"

#include <assert.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/children_internal.h"
#include "server/store/pool.h"
#include "server/store/znode.h"

#define LEAF_FIRST      4u
#define GIFT_ROOM_MIN   (CHILDREN_LEAF_MAX / 8u)
#define SPARSE(max)     ((max) / 4u)
#define JOINED_MAX(max) ((max)*3u / 4u)

/* The way from the root to a leaf: node[0] is the root, at[i] the kid taken in node[i]. */
struct way {
    struct inner *node[CHILDREN_HEIGHT_MAX];
    uint32_t at[CHILDREN_HEIGHT_MAX];
    uint32_t inners;
    struct children_leaf *leaf;
};

/* What a split needs, taken in advance. */
struct spare {
    struct children_leaf *leaf;
    struct inner *inners[CHILDREN_HEIGHT_MAX];
    uint32_t inners_count;
};

static size_t leaf_bytes(uint32_t cap)
{
    return sizeof(struct children_leaf) + (size_t)cap * sizeof(struct znode *);
}

int children_name_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    size_t common = a_bytes < b_bytes ? a_bytes : b_bytes;
    int order = memcmp(a, b, common);
    if (order != 0) {
        return order;
    }
    return (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int compare_node(const struct znode *node, const char *name, size_t name_bytes)
{
    return children_name_compare(node->name, node->name_bytes, name, name_bytes);
}

/* How many of the ascending items come before name (or are name, when `through`). The last one is
 * looked at first, as names often arrive in order. */
static uint32_t rank(struct znode *const *items, uint32_t count, const char *name,
                     size_t name_bytes, bool through)
{
    int bound = through ? 1 : 0;
    uint32_t low = 0;
    uint32_t high = count;
    if (count > 0 && compare_node(items[count - 1], name, name_bytes) < bound) {
        return count;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (compare_node(items[mid], name, name_bytes) < bound) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void way_find(const struct children *c, const char *name, size_t name_bytes,
                     struct way *ret_way)
{
    assert(c->height > 0);
    assert(c->height <= CHILDREN_HEIGHT_MAX);
    void *at = c->root;
    ret_way->inners = c->height - 1u;
    for (uint32_t i = 0; i < ret_way->inners; i++) {
        struct inner *n = at;
        uint32_t r = rank(n->mins, n->count, name, name_bytes, true);
        ret_way->node[i] = n;
        ret_way->at[i] = r > 0 ? r - 1 : 0;
        at = n->kids[ret_way->at[i]];
    }
    ret_way->leaf = at;
}

/* Make mins along the way exact again after the leaf's first item changed. */
static void way_refresh(const struct way *w)
{
    for (uint32_t i = w->inners; i > 0; i--) {
        struct inner *n = w->node[i - 1];
        uint32_t at = w->at[i - 1];
        n->mins[at] = node_min(n->kids[at], i == w->inners);
        if (at != 0) {
            return;
        }
    }
}

/* Where the pointer to the leaf at the end of the way stands. */
static void **leaf_slot(struct children *c, const struct way *w)
{
    return w->inners == 0 ? &c->root : &w->node[w->inners - 1]->kids[w->at[w->inners - 1]];
}

static struct children_leaf *leaf_create(struct pool *p, uint32_t cap)
{
    struct children_leaf *l = pool_alloc(p, leaf_bytes(cap));
    if (l != NULL) {
        l->count = 0;
        l->cap = (uint16_t)cap;
        l->reserved = 0;
    }
    return l;
}

/* Give the leaf in the slot an array of another size. Return: false when memory is out. */
static bool leaf_resize(void **slot, struct pool *p, uint32_t cap)
{
    struct children_leaf *from = *slot;
    struct children_leaf *to = leaf_create(p, cap);
    if (to == NULL) {
        return false;
    }
    assert(from->count <= cap);
    to->count = from->count;
    memcpy(to->items, from->items, from->count * sizeof(from->items[0]));
    pool_free(p, from, leaf_bytes(from->cap));
    *slot = to;
    return true;
}

static uint32_t leaf_cap_above(uint32_t cap)
{
    cap += cap / 2;
    return cap > CHILDREN_LEAF_MAX ? CHILDREN_LEAF_MAX : cap;
}

static void leaf_put(struct children_leaf *l, uint32_t pos, struct znode *node)
{
    assert(l->count < l->cap);
    memmove(&l->items[pos + 1], &l->items[pos], (l->count - pos) * sizeof(l->items[0]));
    l->items[pos] = node;
    l->count++;
}

static void inner_put(struct inner *n, uint32_t pos, struct znode *min, void *kid)
{
    assert(n->count < CHILDREN_INNER_MAX);
    memmove(&n->mins[pos + 1], &n->mins[pos], (n->count - pos) * sizeof(n->mins[0]));
    memmove(&n->kids[pos + 1], &n->kids[pos], (n->count - pos) * sizeof(n->kids[0]));
    n->mins[pos] = min;
    n->kids[pos] = kid;
    n->count++;
}

static void inner_take(struct inner *n, uint32_t pos)
{
    assert(pos < n->count);
    n->count--;
    memmove(&n->mins[pos], &n->mins[pos + 1], (n->count - pos) * sizeof(n->mins[0]));
    memmove(&n->kids[pos], &n->kids[pos + 1], (n->count - pos) * sizeof(n->kids[0]));
}

static void spare_release(struct pool *p, struct spare *sp)
{
    if (sp->leaf != NULL) {
        pool_free(p, sp->leaf, leaf_bytes(sp->leaf->cap));
    }
    for (uint32_t i = 0; i < sp->inners_count; i++) {
        pool_free(p, sp->inners[i], sizeof(struct inner));
    }
}

/* A leaf, an inner node for each full ancestor in a row, and one for a new root when all are full.
 * Return: 0 or COORD_ENOMEM. */
static int spare_take(struct pool *p, const struct way *w, uint32_t leaf_cap, struct spare *ret_sp)
{
    uint32_t need = 0;
    while (need < w->inners && w->node[w->inners - 1 - need]->count == CHILDREN_INNER_MAX) {
        need++;
    }
    if (need == w->inners) {
        need++;
    }
    memset(ret_sp, 0, sizeof(*ret_sp));
    assert(need < CHILDREN_HEIGHT_MAX);
    ret_sp->leaf = leaf_create(p, leaf_cap);
    if (ret_sp->leaf == NULL) {
        return COORD_ENOMEM;
    }
    while (ret_sp->inners_count < need) {
        struct inner *n = pool_alloc(p, sizeof(*n));
        if (n == NULL) {
            spare_release(p, ret_sp);
            return COORD_ENOMEM;
        }
        ret_sp->inners[ret_sp->inners_count++] = n;
    }
    return 0;
}

/* Split a full inner node around position pos, where a kid is put. */
static void inner_split(struct inner *left, struct inner *right, uint32_t pos, bool edge,
                        struct znode *min, void *kid)
{
    bool append = edge && pos == CHILDREN_INNER_MAX;
    uint32_t keep = append ? CHILDREN_INNER_MAX : CHILDREN_INNER_MAX / 2;
    right->count = CHILDREN_INNER_MAX - keep;
    right->reserved = 0;
    memcpy(right->mins, &left->mins[keep], right->count * sizeof(left->mins[0]));
    memcpy(right->kids, &left->kids[keep], right->count * sizeof(left->kids[0]));
    left->count = keep;
    if (pos > keep || append) {
        inner_put(right, pos - keep, min, kid);
    } else {
        inner_put(left, pos, min, kid);
    }
}

/* Move the items from `keep` on to the right, and put node at position pos of both together. */
static void leaf_split(struct children_leaf *left, struct children_leaf *right, uint32_t keep,
                       uint32_t pos, struct znode *node)
{
    right->count = (uint16_t)(left->count - keep);
    memcpy(right->items, &left->items[keep], right->count * sizeof(left->items[0]));
    left->count = (uint16_t)keep;
    if (pos > keep || right->count == 0) {
        leaf_put(right, pos - keep, node);
    } else {
        leaf_put(left, pos, node);
    }
}

/* Does the way end at the right edge of the tree? */
static bool way_at_edge(const struct way *w)
{
    for (uint32_t i = 0; i < w->inners; i++) {
        if (w->at[i] + 1 != w->node[i]->count) {
            return false;
        }
    }
    return true;
}

/* Put `right`, whose smallest item is min, behind the subtree that the way takes at each level. */
static void way_grow(struct children *c, struct way *w, struct spare *sp, void *right)
{
    bool is_leaf = true;
    bool edge = way_at_edge(w);
    for (uint32_t i = w->inners; i > 0; i--) {
        struct inner *n = w->node[i - 1];
        struct znode *min = node_min(right, is_leaf);
        if (n->count < CHILDREN_INNER_MAX) {
            inner_put(n, w->at[i - 1] + 1, min, right);
            return;
        }
        struct inner *half = sp->inners[--sp->inners_count];
        inner_split(n, half, w->at[i - 1] + 1, edge, min, right);
        right = half;
        is_leaf = false;
    }
    struct inner *root = sp->inners[--sp->inners_count];
    root->count = 0;
    root->reserved = 0;
    inner_put(root, 0, node_min(c->root, is_leaf), c->root);
    inner_put(root, 1, node_min(right, is_leaf), right);
    c->root = root;
    c->height++;
}

/* Insert into a full leaf. append: behind all others. */
static int insert_split(struct children *c, struct pool *p, struct way *w, uint32_t pos,
                        struct znode *node, bool append)
{
    struct spare sp;
    uint32_t keep = append ? w->leaf->count : w->leaf->count / 2u;
    uint32_t cap = append ? LEAF_FIRST : leaf_cap_above(w->leaf->count - keep);
    int rc = spare_take(p, w, cap, &sp);
    if (rc != 0) {
        return rc;
    }
    struct children_leaf *right = sp.leaf;
    leaf_split(w->leaf, right, keep, pos, node);
    way_refresh(w);
    way_grow(c, w, &sp, right);
    assert(sp.inners_count == 0);
    return 0;
}

/* How many items a full leaf should give to kid `to` of n: half the difference. 0: there is none, or not room
 * enough for it to pay. */
static uint32_t gift(const struct inner *n, uint32_t to)
{
    if (to >= n->count) {
        return 0;
    }
    uint32_t room = CHILDREN_LEAF_MAX - ((const struct children_leaf *)n->kids[to])->count;
    return room < GIFT_ROOM_MIN ? 0 : room / 2;
}

/* The leaf in the slot, with room for more items. Return: NULL when memory is out. */
static struct children_leaf *leaf_widen(void **slot, struct pool *p, uint32_t more)
{
    struct children_leaf *l = *slot;
    uint32_t cap = l->cap;
    while (cap < l->count + more) {
        cap = leaf_cap_above(cap);
    }
    return cap == l->cap || leaf_resize(slot, p, cap) ? *slot : NULL;
}

/* The first `some` items of the full leaf go to the neighbour before it; then node is put at position pos of both
 * together, counted from the full one's first. */
static void give_left(struct children_leaf *left, struct children_leaf *full, uint32_t some,
                      uint32_t pos, struct znode *node)
{
    uint32_t had = left->count;
    memcpy(&left->items[had], full->items, some * sizeof(full->items[0]));
    left->count = (uint16_t)(had + some);
    full->count = (uint16_t)(full->count - some);
    memmove(full->items, &full->items[some], full->count * sizeof(full->items[0]));
    if (pos < some) {
        leaf_put(left, had + pos, node);
    } else {
        leaf_put(full, pos - some, node);
    }
}

/* The last `some` likewise to the neighbour behind it. */
static void give_right(struct children_leaf *full, struct children_leaf *right, uint32_t some,
                       uint32_t pos, struct znode *node)
{
    uint32_t keep = full->count - some;
    memmove(&right->items[some], right->items, right->count * sizeof(right->items[0]));
    memcpy(right->items, &full->items[keep], some * sizeof(full->items[0]));
    right->count = (uint16_t)(right->count + some);
    full->count = (uint16_t)keep;
    if (pos > keep) {
        leaf_put(right, pos - keep, node);
    } else {
        leaf_put(full, pos, node);
    }
}

/* Insert into a full leaf by giving some of it to a neighbour. Return: false with nothing changed when none has
 * room, or memory is out. */
static bool insert_give(const struct way *w, struct pool *p, uint32_t pos, struct znode *node)
{
    if (w->inners == 0) {
        return false;
    }
    struct inner *n = w->node[w->inners - 1];
    uint32_t at = w->at[w->inners - 1];
    uint32_t left = at == 0 ? 0 : gift(n, at - 1);
    uint32_t right = gift(n, at + 1);
    uint32_t some = left >= right ? left : right;
    uint32_t to = left >= right ? at - 1 : at + 1;
    struct children_leaf *l = some == 0 ? NULL : leaf_widen(&n->kids[to], p, some + 1);
    if (l == NULL) {
        return false;
    }
    if (to < at) {
        give_left(l, w->leaf, some, pos, node);
        n->mins[at] = w->leaf->items[0];
    } else {
        give_right(w->leaf, l, some, pos, node);
        n->mins[to] = l->items[0];
        way_refresh(w);
    }
    return true;
}

/* A leaf to begin with. Return: 0 or COORD_ENOMEM. */
static int root_reserve(struct children *c, struct pool *p)
{
    if (c->height == 0) {
        c->root = leaf_create(p, LEAF_FIRST);
        if (c->root == NULL) {
            return COORD_ENOMEM;
        }
        c->height = 1;
    }
    return 0;
}

/* Names often come one beside the other: put node into the leaf where the last one went, when it belongs between
 * two of its items and there is room. Return: whether it was put. */
static bool insert_near(struct children *c, struct znode *node, const struct children_near *near)
{
    struct children_leaf *l = near->leaf;
    if (near->tree != c || l->count == l->cap) {
        return false;
    }
    uint32_t pos = rank(l->items, l->count, node->name, node->name_bytes, false);
    if (pos == 0 || pos == l->count) {
        return false;
    }
    assert(compare_node(l->items[pos], node->name, node->name_bytes) != 0);
    leaf_put(l, pos, node);
    c->count++;
    return true;
}

/* Put node at position pos of the leaf at the end of the way. */
static int insert_at(struct children *c, struct pool *p, struct way *w, uint32_t pos,
                     struct znode *node)
{
    if (w->leaf->count == CHILDREN_LEAF_MAX) {
        bool append = pos == CHILDREN_LEAF_MAX && way_at_edge(w);
        int rc =
            !append && insert_give(w, p, pos, node) ? 0 : insert_split(c, p, w, pos, node, append);
        c->count += rc == 0;
        return rc;
    }
    if (w->leaf->count == w->leaf->cap) {
        void **slot = leaf_slot(c, w);
        if (!leaf_resize(slot, p, leaf_cap_above(w->leaf->cap))) {
            return COORD_ENOMEM;
        }
        w->leaf = *slot;
    }
    leaf_put(w->leaf, pos, node);
    if (pos == 0) {
        way_refresh(w);
    }
    c->count++;
    return 0;
}

int children_insert(struct children *c, struct pool *p, struct znode *node,
                    struct children_near *near)
{
    struct way w;
    if (insert_near(c, node, near)) {
        return 0;
    }
    *near = (struct children_near){0};
    if (root_reserve(c, p) != 0) {
        return COORD_ENOMEM;
    }
    way_find(c, node->name, node->name_bytes, &w);
    uint32_t pos = rank(w.leaf->items, w.leaf->count, node->name, node->name_bytes, false);
    assert(pos == w.leaf->count ||
           compare_node(w.leaf->items[pos], node->name, node->name_bytes) != 0);
    bool full = w.leaf->count == CHILDREN_LEAF_MAX;
    int rc = insert_at(c, p, &w, pos, node);
    if (rc == 0 && !full) {
        *near = (struct children_near){c, w.leaf};
    }
    return rc;
}

/* To the last leaf. */
static void way_last(const struct children *c, struct way *ret_way)
{
    void *at = c->root;
    assert(c->height > 0);
    ret_way->inners = c->height - 1u;
    for (uint32_t i = 0; i < ret_way->inners; i++) {
        struct inner *n = at;
        ret_way->node[i] = n;
        ret_way->at[i] = n->count - 1;
        at = n->kids[n->count - 1];
    }
    ret_way->leaf = at;
}

int children_append(struct children *c, struct pool *p, struct znode *node)
{
    struct way w;
    if (root_reserve(c, p) != 0) {
        return COORD_ENOMEM;
    }
    way_last(c, &w);
    return insert_at(c, p, &w, w.leaf->count, node);
}

struct znode *children_pop(struct children *c, struct pool *p)
{
    struct way w;
    if (c->count == 0) {
        return NULL;
    }
    way_last(c, &w);
    struct znode *last = w.leaf->items[--w.leaf->count];
    c->count--;
    if (w.leaf->count > 0) {
        return last;
    }
    pool_free(p, w.leaf, leaf_bytes(w.leaf->cap));
    for (uint32_t i = w.inners; i > 0; i--) {
        if (--w.node[i - 1]->count > 0) {
            return last;
        }
        pool_free(p, w.node[i - 1], sizeof(struct inner));
    }
    c->root = NULL;
    c->height = 0;
    return last;
}

static bool leaves_join(struct pool *p, struct inner *n, uint32_t i)
{
    struct children_leaf *a = n->kids[i];
    struct children_leaf *b = n->kids[i + 1];
    uint32_t sum = (uint32_t)a->count + b->count;
    if (sum > JOINED_MAX(CHILDREN_LEAF_MAX) ||
        (sum > a->cap && !leaf_resize(&n->kids[i], p, sum))) {
        return false;
    }
    a = n->kids[i];
    memcpy(&a->items[a->count], b->items, b->count * sizeof(b->items[0]));
    a->count = (uint16_t)sum;
    pool_free(p, b, leaf_bytes(b->cap));
    return true;
}

static bool inners_join(struct pool *p, const struct inner *n, uint32_t i)
{
    struct inner *a = n->kids[i];
    struct inner *b = n->kids[i + 1];
    if (a->count + b->count > JOINED_MAX(CHILDREN_INNER_MAX)) {
        return false;
    }
    memcpy(&a->mins[a->count], b->mins, b->count * sizeof(b->mins[0]));
    memcpy(&a->kids[a->count], b->kids, b->count * sizeof(b->kids[0]));
    a->count += b->count;
    pool_free(p, b, sizeof(*b));
    return true;
}

/* Join kids i and i + 1 of n into the left one when they fit. Return: true when joined. */
static bool kids_join(struct pool *p, struct inner *n, uint32_t i, bool leaves)
{
    bool joined = leaves ? leaves_join(p, n, i) : inners_join(p, n, i);
    if (joined) {
        inner_take(n, i + 1);
    }
    return joined;
}

/* Kid `at` of n lost an item: drop it when empty, join it with a neighbour when sparse. */
static void kid_settle(struct pool *p, struct inner *n, uint32_t at, bool leaf)
{
    void *kid = n->kids[at];
    uint32_t left = leaf ? ((struct children_leaf *)kid)->count : ((struct inner *)kid)->count;
    if (left == 0) {
        pool_free(p, kid,
                  leaf ? leaf_bytes(((struct children_leaf *)kid)->cap) : sizeof(struct inner));
        inner_take(n, at);
        return;
    }
    n->mins[at] = node_min(kid, leaf);
    if (left >= SPARSE(leaf ? CHILDREN_LEAF_MAX : CHILDREN_INNER_MAX)) {
        return;
    }
    if (at + 1 < n->count && kids_join(p, n, at, leaf)) {
        return;
    }
    if (at > 0) {
        (void)kids_join(p, n, at - 1, leaf); /* when it does not fit, the kid stays sparse */
    }
}

/* Take levels with a single kid, or none, off the top. */
static void root_settle(struct children *c, struct pool *p)
{
    while (c->height > 1 && ((struct inner *)c->root)->count <= 1) {
        struct inner *n = c->root;
        bool none = n->count == 0;
        c->root = none ? NULL : n->kids[0];
        c->height = none ? 0 : (uint8_t)(c->height - 1);
        pool_free(p, n, sizeof(*n));
    }
    if (c->height == 1 && ((struct children_leaf *)c->root)->count == 0) {
        pool_free(p, c->root, leaf_bytes(((struct children_leaf *)c->root)->cap));
        c->root = NULL;
        c->height = 0;
    }
}

void children_remove(struct children *c, struct pool *p, const struct znode *node)
{
    struct way w;
    way_find(c, node->name, node->name_bytes, &w);
    uint32_t pos = rank(w.leaf->items, w.leaf->count, node->name, node->name_bytes, false);
    assert(pos < w.leaf->count);
    assert(w.leaf->items[pos] == node);
    w.leaf->count--;
    memmove(&w.leaf->items[pos], &w.leaf->items[pos + 1],
            (w.leaf->count - pos) * sizeof(w.leaf->items[0]));
    if (w.leaf->cap > LEAF_FIRST && w.leaf->count <= w.leaf->cap / 2) {
        /* Without memory it stays as large as it is. */
        (void)leaf_resize(leaf_slot(c, &w), p, w.leaf->cap * 3u / 4u);
    }
    for (uint32_t i = w.inners; i > 0; i--) {
        kid_settle(p, w.node[i - 1], w.at[i - 1], i == w.inners);
    }
    root_settle(c, p);
    c->count--;
}

void children_clear(struct children *c, struct pool *p)
{
    /* Depth first, with the way as the stack: free a node once its last kid is gone. */
    struct inner *node[CHILDREN_HEIGHT_MAX];
    uint32_t depth = 0;
    void *at = c->root;
    while (c->height > 0) {
        if (depth + 1u < c->height) {
            node[depth++] = at;
        } else {
            pool_free(p, at, leaf_bytes(((struct children_leaf *)at)->cap));
            while (depth > 0 && node[depth - 1]->count == 0) {
                pool_free(p, node[--depth], sizeof(struct inner));
            }
            if (depth == 0) {
                break;
            }
        }
        at = node[depth - 1]->kids[--node[depth - 1]->count];
    }
    memset(c, 0, sizeof(*c));
}

void children_seek(const struct children *c, const char *name, size_t name_bytes, bool beyond,
                   struct children_cursor *ret_cur)
{
    if (c->height == 0) {
        ret_cur->leaf = NULL;
        ret_cur->pos = 0;
        return;
    }
    struct way w;
    way_find(c, name, name_bytes, &w);
    ret_cur->leaf = w.leaf;
    ret_cur->pos = rank(w.leaf->items, w.leaf->count, name, name_bytes, beyond);
    if (ret_cur->pos < w.leaf->count) {
        return;
    }
    /* Behind the last of this leaf: the first of the next one. */
    uint32_t i = w.inners;
    while (i > 0 && w.at[i - 1] + 1 == w.node[i - 1]->count) {
        i--;
    }
    if (i == 0) {
        ret_cur->leaf = NULL;
        return;
    }
    const void *at = w.node[i - 1]->kids[w.at[i - 1] + 1];
    for (; i < w.inners; i++) {
        at = ((const struct inner *)at)->kids[0];
    }
    ret_cur->leaf = at;
    ret_cur->pos = 0;
}

void children_first(const struct children *c, struct children_cursor *ret_cur)
{
    children_seek(c, "", 0, false, ret_cur);
}

struct znode *children_next(const struct children *c, struct children_cursor *cur)
{
    if (cur->leaf == NULL) {
        return NULL;
    }
    assert(cur->pos < cur->leaf->count);
    struct znode *node = cur->leaf->items[cur->pos++];
    if (cur->pos == cur->leaf->count) {
        if (c->height == 1) {
            cur->leaf = NULL;
        } else {
            children_seek(c, node->name, node->name_bytes, true, cur);
        }
    }
    return node;
}

struct znode *children_find(const struct children *c, const char *name, size_t name_bytes)
{
    struct children_cursor cur;
    children_seek(c, name, name_bytes, false, &cur);
    if (cur.leaf == NULL || compare_node(cur.leaf->items[cur.pos], name, name_bytes) != 0) {
        return NULL;
    }
    return cur.leaf->items[cur.pos];
}
