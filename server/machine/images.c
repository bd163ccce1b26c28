/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.c: see images.h. A binary heap of pointers, least place first, beside a hash index of the same
 * images. Images come in the order of changes and leave in the order of the format; a sorted tree would keep
 * more order than anybody asks for.
 */
#include "server/machine/images.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>

#define HEAP_FIRST 64u

/* Path order by bytes: a slash ends a component, so it comes before whatever goes on with a name. */
static int path_compare(struct coord_bytes a, struct coord_bytes b)
{
    uint32_t common = a.len < b.len ? a.len : b.len;
    uint32_t i = 0;
    while (i < common && a.data[i] == b.data[i]) {
        i++;
    }
    if (i == common) {
        return (a.len > b.len) - (a.len < b.len);
    }
    int x = a.data[i] == '/' ? 0 : a.data[i];
    int y = b.data[i] == '/' ? 0 : b.data[i];
    return x - y;
}

int place_compare(const struct place *a, const struct place *b)
{
    if (a->session != b->session) {
        /* 0, a node, comes behind all sessions. */
        return a->session - 1 < b->session - 1 ? -1 : 1;
    }
    return a->session != 0 ? 0 : path_compare(a->path, b->path);
}

static uint32_t place_hash(const struct place *p)
{
    return p->session != 0 ? slots_hash_u64(p->session, 1) : slots_hash(p->path.data, p->path.len);
}

static bool match(const void *item, const void *key)
{
    return place_compare(&((const struct image *)item)->place, key) == 0;
}

void images_init(struct images *im)
{
    memset(im, 0, sizeof(*im));
    slots_init(&im->index);
}

void images_finish(struct images *im)
{
    for (size_t i = 0; i < im->count; i++) {
        free(im->heap[i]);
    }
    free(im->heap);
    slots_finish(&im->index);
    memset(im, 0, sizeof(*im));
}

bool images_has(const struct images *im, const struct place *place)
{
    return im->count > 0 && slots_find(&im->index, place_hash(place), match, place) != NULL;
}

/* Room for one more. Return: false when memory is out. */
static bool reserve(struct images *im)
{
    if (im->count == im->cap) {
        size_t cap = im->cap == 0 ? HEAP_FIRST : im->cap * 2;
        struct image **heap = realloc(im->heap, cap * sizeof(struct image *));
        if (heap == NULL) {
            return false;
        }
        im->heap = heap;
        im->cap = cap;
    }
    return slots_reserve(&im->index) == 0;
}

static bool before(const struct images *im, size_t a, size_t b)
{
    return place_compare(&im->heap[a]->place, &im->heap[b]->place) < 0;
}

static void swap(struct images *im, size_t a, size_t b)
{
    struct image *x = im->heap[a];
    im->heap[a] = im->heap[b];
    im->heap[b] = x;
}

int images_add(struct images *im, const struct place *place, uint64_t record_bytes_max,
               struct image **ret_image)
{
    uint64_t bytes = sizeof(struct image) + place->path.len + record_bytes_max;
    assert(!images_has(im, place));
    if (bytes > UINT32_MAX || !reserve(im)) {
        return COORD_ENOMEM;
    }
    struct image *image = malloc((size_t)bytes);
    if (image == NULL) {
        return COORD_ENOMEM;
    }
    image->place = (struct place){place->session, {image->bytes, place->path.len}};
    image->record_bytes = 0;
    image->room_bytes = (uint32_t)bytes;
    if (place->path.len > 0) {
        memcpy(image->bytes, place->path.data, place->path.len);
    }
    slots_add(&im->index, place_hash(place), image);
    im->bytes += bytes;
    size_t at = im->count++;
    im->heap[at] = image;
    for (; at > 0 && before(im, at, (at - 1) / 2); at = (at - 1) / 2) {
        swap(im, at, (at - 1) / 2);
    }
    *ret_image = image;
    return 0;
}

const struct image *images_first(const struct images *im)
{
    return im->count == 0 ? NULL : im->heap[0];
}

void images_drop_first(struct images *im)
{
    assert(im->count > 0);
    struct image *first = im->heap[0];
    slots_remove(&im->index, place_hash(&first->place), first);
    im->bytes -= first->room_bytes;
    free(first);
    im->heap[0] = im->heap[--im->count];
    for (size_t at = 0;;) {
        size_t least = at;
        for (size_t kid = 2 * at + 1; kid <= 2 * at + 2 && kid < im->count; kid++) {
            least = before(im, kid, least) ? kid : least;
        }
        if (least == at) {
            break;
        }
        swap(im, at, least);
        at = least;
    }
}

const uint8_t *image_record(const struct image *i)
{
    return i->bytes + i->place.path.len;
}
