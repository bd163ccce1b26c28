/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned.c: what one owner has, a page at a time and in path order, for people. The list itself is in the order
 * of creation; a page is the smallest paths behind a given one, found in one pass with a heap of the page's
 * size, so that no page sorts all of it.
 *
 * Leaves to others: the list (node.c), its end (modify.c).
 *
 * Invariant: nodes of the list have no children and different paths, so path order is total.
 */
#include <assert.h>
#include <string.h>
#include "server/store/store.h"
#include "server/store/store_internal.h"
#include "server/store/znode.h"

struct path {
    char bytes[COORD_PATH_BYTES_MAX];
    size_t len;
};

static void path_of(const struct znode *node, struct path *ret_p)
{
    ret_p->len = store_path(node, ret_p->bytes);
}

/* Bytes, but the end of a name comes before anything that goes on: the order of a walk. */
static int path_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t least = a_len < b_len ? a_len : b_len;
    size_t i = 0;
    while (i < least && a[i] == b[i]) {
        i++;
    }
    /* '/' stands for the end of a name, and no name has a byte as low as the 1 it gets here. */
    int x = i == a_len ? 0 : a[i] == '/' ? 1 : (unsigned char)a[i] + 1;
    int y = i == b_len ? 0 : b[i] == '/' ? 1 : (unsigned char)b[i] + 1;
    return x - y;
}

/* Paths of two nodes. */
static int node_compare(const struct znode *a, const struct znode *b)
{
    struct path pa;
    struct path pb;
    path_of(a, &pa);
    path_of(b, &pb);
    return path_compare(pa.bytes, pa.len, pb.bytes, pb.len);
}

/* Let heap[i] sink to its place; the largest path stands on top. */
static void sink(const struct znode **heap, uint32_t count, uint32_t i)
{
    const struct znode *node = heap[i];
    for (uint32_t below = 2 * i + 1; below < count; below = 2 * i + 1) {
        if (below + 1 < count && node_compare(heap[below + 1], heap[below]) > 0) {
            below++;
        }
        if (node_compare(node, heap[below]) >= 0) {
            break;
        }
        heap[i] = heap[below];
        i = below;
    }
    heap[i] = node;
}

static void heap_to_order(const struct znode **heap, uint32_t count)
{
    for (uint32_t left = count; left > 1; left--) {
        const struct znode *largest = heap[0];
        heap[0] = heap[left - 1];
        heap[left - 1] = largest;
        sink(heap, left - 1, 0);
    }
}

uint32_t store_owned_page(const struct store_owned *owned, struct coord_bytes after,
                          const struct znode **out, uint32_t max, bool *ret_more)
{
    uint32_t count = 0;
    struct path top;
    *ret_more = false;
    assert(max > 0);
    for (const struct znode *at = owned->first; at != NULL; at = znode_extra(at)->owned_next) {
        struct path p;
        path_of(at, &p);
        if (after.len > 0 &&
            path_compare(p.bytes, p.len, (const char *)after.data, after.len) <= 0) {
            continue;
        }
        if (count < max) {
            out[count++] = at;
            for (uint32_t i = count == max ? max / 2 : 0; i > 0; i--) {
                sink(out, count, i - 1); /* the page is full: from now on it is a heap */
            }
        } else {
            *ret_more = true;
            if (path_compare(p.bytes, p.len, top.bytes, top.len) > 0) {
                continue;
            }
            out[0] = at;
            sink(out, count, 0);
        }
        if (count == max) {
            path_of(out[0], &top);
        }
    }
    for (uint32_t i = count < max ? count / 2 : 0; i > 0; i--) {
        sink(out, count, i - 1);
    }
    heap_to_order(out, count);
    return count;
}
