/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.c: the tree of znodes: finding, creating, setting and deleting one node at a time. Walks over
 * many nodes stand in walk.c, putting back what was saved in restore.c.
 *
 * A node is found by the hash of its whole path; a hit is verified by comparing the names of the node
 * and its ancestors with the path from its end. "/" is not in the index.
 *
 * Data that is replaced or deleted is kept until the next store_begin, so that the changes told to
 * watches can point at it: nothing is copied for them but paths.
 */
#include "server/store/store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>
#include "server/store/store_internal.h"
#include "server/store/znode.h"

#define SEQUENCE_DIGITS_MIN 10u
#define SEQUENCE_DIGITS_MAX 20u

/* --- lifetime ---------------------------------------------------------------------------------- */

struct store *store_create_empty(struct pool *p)
{
    struct store *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->pool = p;
    slots_init(&s->index);
    arena_init(&s->paths);
    s->root = pool_alloc(p, offsetof(struct znode, name));
    if (s->root == NULL) {
        free(s);
        return NULL;
    }
    memset(s->root, 0, offsetof(struct znode, name));
    s->root->absent = 1;
    s->nodes = 1;
    return s;
}

void store_node_free(struct store *s, struct znode *node)
{
    if (node->extra != NULL) {
        children_clear(&node->extra->children, s->pool);
        pool_free(s->pool, node->extra, sizeof(*node->extra));
    }
    pool_free(s->pool, node, offsetof(struct znode, name) + node->name_bytes);
}

static void dead_release(struct store *s)
{
    for (uint32_t i = 0; i < s->dead_count; i++) {
        pool_free(s->pool, s->dead[i].data, s->dead[i].bytes);
    }
    s->dead_count = 0;
}

void store_destroy(struct store *s)
{
    if (s == NULL) {
        return;
    }
    struct znode *at = s->root;
    for (;;) {
        while (at->extra != NULL && at->extra->children.count > 0) {
            struct children_cursor cur;
            children_first(&at->extra->children, &cur);
            at = children_next(&at->extra->children, &cur);
        }
        struct znode *parent = at->parent;
        if (parent != NULL) {
            children_remove(&parent->extra->children, s->pool, at);
        }
        pool_free(s->pool, at->data, at->data_bytes);
        store_node_free(s, at);
        if (parent == NULL) {
            break;
        }
        at = parent;
    }
    dead_release(s);
    slots_finish(&s->index);
    arena_finish(&s->paths);
    free(s->changes);
    free(s->dead);
    free(s);
}

void store_begin(struct store *s, uint64_t revision, uint64_t time_ms)
{
    assert(revision > s->revision);
    assert(time_ms >= s->time_ms);
    s->revision = revision;
    s->time_ms = time_ms;
    s->changes_count = 0;
    dead_release(s);
    arena_reset(&s->paths);
}

/* --- finding ----------------------------------------------------------------------------------- */

static bool path_match(const void *item, const void *key)
{
    const struct znode *node = item;
    const struct coord_bytes *path = key;
    size_t end = path->len;
    for (; node->parent != NULL; node = node->parent) {
        size_t n = node->name_bytes;
        if (end < n + 1 || path->data[end - n - 1] != '/' ||
            memcmp(path->data + end - n, node->name, n) != 0) {
            return false;
        }
        end -= n + 1;
    }
    return end == 0;
}

static struct znode *find_hashed(const struct store *s, struct coord_bytes path, uint32_t hash)
{
    return slots_find(&s->index, hash, path_match, &path);
}

struct znode *store_find(const struct store *s, struct coord_bytes path)
{
    if (path.len == 1 && path.data[0] == '/') {
        return s->root;
    }
    return find_hashed(s, path, slots_hash(path.data, path.len));
}

struct znode *store_root(const struct store *s)
{
    return s->root;
}

static struct coord_bytes path_of_parent(struct coord_bytes path)
{
    return (struct coord_bytes){path.data,
                                (uint32_t)coord_path_parent_len((const char *)path.data, path.len)};
}

/* --- what happened ----------------------------------------------------------------------------- */

/* Room for one more change and one more piece of dead data. Return: false when memory is out. */
static bool changes_reserve(struct store *s)
{
    if (s->changes_count == s->changes_cap) {
        uint32_t cap = s->changes_cap == 0 ? 16 : s->changes_cap * 2;
        struct coord_change *to = realloc(s->changes, (size_t)cap * sizeof(*to));
        if (to == NULL) {
            return false;
        }
        s->changes = to;
        s->changes_cap = cap;
    }
    if (s->dead_count == s->dead_cap) {
        uint32_t cap = s->dead_cap == 0 ? 16 : s->dead_cap * 2;
        struct store_dead *to = realloc(s->dead, (size_t)cap * sizeof(*to));
        if (to == NULL) {
            return false;
        }
        s->dead = to;
        s->dead_cap = cap;
    }
    return true;
}

/* Tell a change of a node as it is now. changes_reserve was called. path stays valid as changes do. */
static struct coord_change *change_add(struct store *s, enum coord_change_kind kind,
                                       struct coord_bytes path, const struct znode *node)
{
    assert(s->changes_count < s->changes_cap);
    struct coord_change *c = &s->changes[s->changes_count++];
    memset(c, 0, sizeof(*c));
    c->kind = kind;
    c->path = path;
    c->version = node->version;
    c->create_revision = node->create_revision;
    return c;
}

static void data_bury(struct store *s, uint8_t *data, uint32_t bytes)
{
    if (data != NULL) {
        assert(s->dead_count < s->dead_cap);
        s->dead[s->dead_count++] = (struct store_dead){data, bytes};
    }
}

static bool path_keep(struct store *s, struct coord_bytes path, struct coord_bytes *ret_kept)
{
    uint8_t *copy = arena_copy(&s->paths, path.data, path.len);
    *ret_kept = (struct coord_bytes){copy, path.len};
    return copy != NULL;
}

const struct coord_change *store_changes(const struct store *s, uint32_t *ret_count)
{
    *ret_count = s->changes_count;
    return s->changes;
}

/* --- creating ---------------------------------------------------------------------------------- */

struct znode *store_node_create(struct store *s, struct coord_bytes name, struct coord_bytes data)
{
    assert(name.len <= COORD_NAME_BYTES_MAX);
    struct znode *node = pool_alloc(s->pool, offsetof(struct znode, name) + name.len);
    if (node == NULL) {
        return NULL;
    }
    memset(node, 0, offsetof(struct znode, name));
    memcpy(node->name, name.data, name.len);
    node->name_bytes = (uint8_t)name.len;
    node->absent = data.data == NULL;
    if (data.data != NULL && data.len > 0) {
        node->data = pool_alloc(s->pool, data.len);
        if (node->data == NULL) {
            store_node_free(s, node);
            return NULL;
        }
        memcpy(node->data, data.data, data.len);
        node->data_bytes = data.len;
    }
    return node;
}

struct znode_extra *store_node_extra(struct store *s, struct znode *node)
{
    if (node->extra == NULL) {
        node->extra = pool_alloc(s->pool, sizeof(*node->extra));
        if (node->extra != NULL) {
            memset(node->extra, 0, sizeof(*node->extra));
            node->extra->child_revision = node->create_revision;
        }
    }
    return node->extra;
}

void store_owned_link(struct store_owned *owned, struct znode *node)
{
    struct znode_extra *x = node->extra;
    x->owned = owned;
    x->owned_prev = owned->last;
    x->owned_next = NULL;
    if (owned->last != NULL) {
        owned->last->extra->owned_next = node;
    } else {
        owned->first = node;
    }
    owned->last = node;
    owned->count++;
}

static void owned_unlink(struct znode *node)
{
    struct znode_extra *x = node->extra;
    struct store_owned *owned = x->owned;
    assert(owned->count > 0);
    if (x->owned_prev != NULL) {
        x->owned_prev->extra->owned_next = x->owned_next;
    } else {
        owned->first = x->owned_next;
    }
    if (x->owned_next != NULL) {
        x->owned_next->extra->owned_prev = x->owned_prev;
    } else {
        owned->last = x->owned_prev;
    }
    owned->count--;
    x->owned = NULL;
}

int store_node_place(struct store *s, struct znode *parent, struct znode *node,
                     struct coord_bytes path)
{
    struct znode_extra *x = store_node_extra(s, parent);
    if (x == NULL || slots_reserve(&s->index) != 0) {
        return COORD_ENOMEM;
    }
    int rc = children_insert(&x->children, s->pool, node);
    if (rc != 0) {
        return rc;
    }
    node->parent = parent;
    slots_add(&s->index, slots_hash(path.data, path.len), node);
    s->nodes++;
    s->data_bytes += node->data_bytes;
    s->name_bytes += node->name_bytes;
    return 0;
}

struct coord_bytes store_path_name(struct coord_bytes path, size_t parent_len)
{
    size_t from = parent_len == 1 ? 1 : parent_len + 1;
    return (struct coord_bytes){path.data + from, (uint32_t)(path.len - from)};
}

/* Create one node under a parent that may have it. */
static int create_under(struct store *s, struct znode *parent, const struct store_create_args *a,
                        struct coord_bytes path, struct znode **ret_node)
{
    struct coord_bytes kept;
    if (!changes_reserve(s) || !path_keep(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    struct znode *node = store_node_create(s, store_path_name(path, parent_len), a->data);
    if (node == NULL) {
        return COORD_ENOMEM;
    }
    node->kind = (uint8_t)a->kind;
    node->create_revision = s->revision;
    node->modify_revision = s->revision;
    node->created_ms = s->time_ms;
    node->modified_ms = s->time_ms;
    if ((a->ttl_ms > 0 || a->owned != NULL) && store_node_extra(s, node) == NULL) {
        pool_free(s->pool, node->data, node->data_bytes);
        store_node_free(s, node);
        return COORD_ENOMEM;
    }
    int rc = store_node_place(s, parent, node, kept);
    if (rc != 0) {
        pool_free(s->pool, node->data, node->data_bytes);
        store_node_free(s, node);
        return rc;
    }
    if (a->ttl_ms > 0) {
        node->extra->ttl_ms = a->ttl_ms;
    }
    if (a->owned != NULL) {
        store_owned_link(a->owned, node);
    }
    parent->extra->sequence++;
    parent->extra->child_version++;
    parent->extra->child_revision = s->revision;
    struct coord_change *c = change_add(s, COORD_CHANGE_CREATED, kept, node);
    c->has_value = true;
    c->value = store_data(node);
    *ret_node = node;
    return 0;
}

/* The nearest ancestor there is. *ret_path_len: bytes of its path. */
static struct znode *nearest(const struct store *s, struct coord_bytes path, size_t *ret_path_len)
{
    struct coord_bytes at = path;
    struct znode *node = NULL;
    while (node == NULL) {
        at = path_of_parent(at);
        assert(at.len > 0);
        node = store_find(s, at);
    }
    *ret_path_len = at.len;
    return node;
}

/* Create what is missing between the node at path[0, have) and the parent of path. */
static int create_parents(struct store *s, struct coord_bytes path, size_t have,
                          struct znode **inout_parent)
{
    static const struct store_create_args plain = {.kind = COORD_NODE_PERSISTENT};
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    while (have < parent_len) {
        have = have == 1 ? 0 : have;
        do {
            have++;
        } while (path.data[have] != '/');
        struct coord_bytes step = {path.data, (uint32_t)have};
        int rc = create_under(s, *inout_parent, &plain, step, inout_parent);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* path with the number behind it, at least ten digits. Return: 0 or COORD_EBADPATH. */
static int sequence_path(struct coord_bytes path, uint64_t number,
                         uint8_t out[COORD_PATH_BYTES_MAX], struct coord_bytes *ret_path)
{
    uint8_t digits[SEQUENCE_DIGITS_MAX];
    uint32_t count = 0;
    while (number > 0 || count < SEQUENCE_DIGITS_MIN) {
        digits[count++] = (uint8_t)('0' + number % 10);
        number /= 10;
    }
    size_t parent_len = coord_path_parent_len((const char *)path.data, path.len);
    if (path.len + count > COORD_PATH_BYTES_MAX ||
        store_path_name(path, parent_len).len + count > COORD_NAME_BYTES_MAX) {
        return COORD_EBADPATH;
    }
    memcpy(out, path.data, path.len);
    for (uint32_t i = 0; i < count; i++) {
        out[path.len + i] = digits[count - 1 - i];
    }
    *ret_path = (struct coord_bytes){out, path.len + count};
    return 0;
}

int store_create(struct store *s, const struct store_create_args *a, struct znode **ret_node,
                 uint64_t *ret_sequence)
{
    assert((a->kind == COORD_NODE_EPHEMERAL) == (a->owned != NULL));
    assert((a->kind == COORD_NODE_TTL) == (a->ttl_ms > 0));
    if (a->path.len == 1) {
        return COORD_EEXISTS;
    }
    size_t have;
    struct znode *parent = nearest(s, a->path, &have);
    bool direct = have == coord_path_parent_len((const char *)a->path.data, a->path.len);
    if (parent->kind == COORD_NODE_EPHEMERAL) {
        return COORD_EEPHEMERAL;
    }
    if (!direct && !a->parents) {
        return COORD_ENONODE;
    }
    uint64_t number = direct ? store_sequence(parent) : 0;
    if (store_sequence(parent) >= STORE_COUNTER_MAX) {
        return COORD_ELIMIT;
    }
    uint8_t numbered[COORD_PATH_BYTES_MAX];
    struct coord_bytes path = a->path;
    if (a->sequential) {
        int rc = sequence_path(a->path, number, numbered, &path);
        if (rc != 0) {
            return rc;
        }
    }
    if (direct && store_find(s, path) != NULL) {
        return COORD_EEXISTS;
    }
    int rc = create_parents(s, path, have, &parent);
    if (rc == 0) {
        rc = create_under(s, parent, a, path, ret_node);
    }
    if (rc == 0) {
        *ret_sequence = a->sequential ? number : 0;
    }
    return rc;
}

/* --- setting and deleting ---------------------------------------------------------------------- */

static int condition_check(const struct znode *node, const struct store_condition *cond)
{
    if (cond->version != COORD_VERSION_ANY &&
        (cond->version < 0 || (uint64_t)cond->version != node->version)) {
        return COORD_ECONDITION;
    }
    if (cond->modified != 0 && cond->modified != node->modify_revision) {
        return COORD_ECONDITION;
    }
    if (cond->created != 0 && cond->created != node->create_revision) {
        return COORD_ECONDITION;
    }
    return 0;
}

int store_set(struct store *s, struct coord_bytes path, struct coord_bytes data,
              const struct store_condition *cond, struct znode **ret_node)
{
    struct znode *node = store_find(s, path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    int rc = condition_check(node, cond);
    if (rc != 0) {
        return rc;
    }
    struct coord_bytes kept;
    if (!changes_reserve(s) || !path_keep(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    uint32_t bytes = data.data == NULL ? 0 : data.len;
    uint8_t *copy = NULL;
    if (bytes > 0) {
        copy = pool_alloc(s->pool, bytes);
        if (copy == NULL) {
            return COORD_ENOMEM;
        }
        memcpy(copy, data.data, bytes);
    }
    struct coord_bytes previous = store_data(node);
    data_bury(s, node->data, node->data_bytes);
    s->data_bytes += bytes;
    s->data_bytes -= node->data_bytes;
    node->data = copy;
    node->data_bytes = bytes;
    node->absent = data.data == NULL;
    node->version++;
    node->modify_revision = s->revision;
    node->modified_ms = s->time_ms;
    struct coord_change *c = change_add(s, COORD_CHANGE_CHANGED, kept, node);
    c->has_value = true;
    c->value = store_data(node);
    c->has_previous = true;
    c->previous = previous;
    *ret_node = node;
    return 0;
}

/* Delete a node without children. path is its own. */
static int node_delete(struct store *s, struct znode *node, struct coord_bytes path)
{
    struct coord_bytes kept;
    if (!changes_reserve(s) || !path_keep(s, path, &kept)) {
        return COORD_ENOMEM;
    }
    struct coord_change *c = change_add(s, COORD_CHANGE_DELETED, kept, node);
    c->has_previous = true;
    c->previous = store_data(node);
    struct znode_extra *x = node->parent->extra;
    children_remove(&x->children, s->pool, node);
    x->child_version++;
    x->child_revision = s->revision;
    slots_remove(&s->index, slots_hash(path.data, path.len), node);
    s->nodes--;
    s->data_bytes -= node->data_bytes;
    s->name_bytes -= node->name_bytes;
    data_bury(s, node->data, node->data_bytes);
    if (node->kind == COORD_NODE_EPHEMERAL) {
        owned_unlink(node);
    }
    store_node_free(s, node);
    return 0;
}

int store_delete(struct store *s, struct coord_bytes path, const struct store_condition *cond)
{
    struct znode *node = store_find(s, path);
    if (node == NULL) {
        return COORD_ENONODE;
    }
    if (node == s->root) {
        return COORD_ERESERVED;
    }
    int rc = condition_check(node, cond);
    if (rc != 0) {
        return rc;
    }
    if (node->extra != NULL && node->extra->children.count > 0) {
        return COORD_ENOTEMPTY;
    }
    return node_delete(s, node, path);
}

static uint32_t depth_of(const struct znode *node)
{
    uint32_t depth = 0;
    for (; node->parent != NULL; node = node->parent) {
        depth++;
    }
    return depth;
}

/* Path order, for nodes that have no children. */
static int owned_compare(const void *pa, const void *pb)
{
    const struct znode *a = *(struct znode *const *)pa;
    const struct znode *b = *(struct znode *const *)pb;
    uint32_t depth_a = depth_of(a);
    uint32_t depth_b = depth_of(b);
    for (; depth_a > depth_b; depth_a--) {
        a = a->parent;
    }
    for (; depth_b > depth_a; depth_b--) {
        b = b->parent;
    }
    while (a->parent != b->parent) {
        a = a->parent;
        b = b->parent;
    }
    return children_name_compare(a->name, a->name_bytes, b->name, b->name_bytes);
}

int store_delete_owned(struct store *s, struct store_owned *owned)
{
    if (owned->count == 0) {
        return 0;
    }
    size_t count = (size_t)owned->count;
    struct znode **nodes = malloc(count * sizeof(nodes[0]));
    if (nodes == NULL) {
        return COORD_ENOMEM;
    }
    size_t n = 0;
    for (struct znode *at = owned->first; at != NULL; at = at->extra->owned_next) {
        nodes[n++] = at;
    }
    assert(n == count);
    qsort(nodes, count, sizeof(nodes[0]), owned_compare);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        char path[COORD_PATH_BYTES_MAX];
        size_t len = store_path(nodes[i], path);
        rc = node_delete(s, nodes[i], (struct coord_bytes){(const uint8_t *)path, (uint32_t)len});
    }
    free(nodes);
    return rc;
}
