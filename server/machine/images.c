/* SPDX-License-Identifier: Apache-2.0 */
/*
 * images.c: see images.h. Images come in the order of changes, anywhere in the order of the format, and leave
 * from its front. They stand in runs of up to IMAGES_RUN, the runs in order, but within one they are only
 * sorted when the first is asked for, or when it is full and becomes two. So an image that comes costs a search
 * among the runs, whose upper steps stay in the caches, and one that leaves costs a share of one short sort. A
 * heap needs some 34 comparisons for each that leaves when there are 100,000, nearly all of them with
 * memory that is far away.
 *
 * Invariants
 *   1. An entry's pivot stands in its run, but that of the first entry may have left.
 *   2. No image of a run comes before its pivot, but in the first; none comes behind the pivot of the next.
 */
#include "server/machine/images.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <coord/error.h>

#define RUNS_FIRST 16u

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
    for (size_t i = im->runs_head; i < im->runs_head + im->runs_count; i++) {
        struct images_run *run = im->runs[i].run;
        for (uint32_t k = run->head; k < run->end; k++) {
            rest_finish(&run->items[k]->rest);
            free(run->items[k]);
        }
        free(run);
    }
    free(im->runs);
    slots_finish(&im->index);
    memset(im, 0, sizeof(*im));
}

bool images_has(const struct images *im, const struct place *place)
{
    return im->count > 0 && slots_find(&im->index, place_hash(place), match, place) != NULL;
}

/* --- runs -------------------------------------------------------------------------------------- */

static int run_compare(const void *a, const void *b)
{
    const struct image *x = *(struct image *const *)a;
    const struct image *y = *(struct image *const *)b;
    return place_compare(&x->place, &y->place);
}

static void run_sort(struct images_run *run)
{
    if (run->sorted) {
        return;
    }
    for (uint32_t i = run->head; i < run->end; i++) {
        __builtin_prefetch(run->items[i]);
        __builtin_prefetch(run->items[i]->bytes);
    }
    qsort(run->items + run->head, run->end - run->head, sizeof(run->items[0]), run_compare);
    run->sorted = true;
}

/* Room for one more entry. Return: false when memory is out. */
static bool runs_reserve(struct images *im)
{
    if (im->runs_head + im->runs_count < im->runs_cap) {
        return true;
    }
    if (im->runs_head > im->runs_count) {
        memmove(im->runs, im->runs + im->runs_head, im->runs_count * sizeof(im->runs[0]));
        im->runs_head = 0;
        return true;
    }
    size_t cap = im->runs_cap == 0 ? RUNS_FIRST : im->runs_cap * 2;
    struct images_entry *runs = realloc(im->runs, cap * sizeof(runs[0]));
    if (runs == NULL) {
        return false;
    }
    im->runs = runs;
    im->runs_cap = cap;
    return true;
}

static struct images_run *run_create(void)
{
    struct images_run *run = malloc(sizeof(*run));
    if (run != NULL) {
        run->head = 0;
        run->end = 0;
        run->sorted = true;
    }
    return run;
}

/* Put a run behind the entry at `at`, or make it the first of all. */
static void run_put(struct images *im, size_t at, struct images_run *run)
{
    struct images_entry *to = im->runs + at;
    size_t behind = im->runs_head + im->runs_count - at;
    memmove(to + 1, to, behind * sizeof(to[0]));
    *to = (struct images_entry){run->end > 0 ? run->items[0] : NULL, run};
    im->runs_count++;
}

/* The entry in whose run the place belongs, of at least one. */
static size_t run_of(const struct images *im, const struct place *place)
{
    size_t low =
        im->runs_head; /* its pivot is not asked: what comes before all others goes there */
    size_t high = im->runs_head + im->runs_count;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (place_compare(&im->runs[mid].pivot->place, place) <= 0) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

/* A full run becomes two. Return: false when memory is out. */
static bool run_split(struct images *im, size_t at)
{
    struct images_run *run = im->runs[at].run;
    struct images_run *upper = run_create();
    if (upper == NULL) {
        return false;
    }
    run_sort(run);
    uint32_t kept = (run->end - run->head) / 2;
    upper->end = run->end - run->head - kept;
    memcpy(upper->items, run->items + run->head + kept, upper->end * sizeof(upper->items[0]));
    run->end = run->head + kept;
    run_put(im, at + 1, upper);
    return true;
}

/* Room for one more, of this place. Return: the run for it, or NULL when memory is out. */
static struct images_run *run_reserve(struct images *im, const struct place *place)
{
    if (!runs_reserve(im) || slots_reserve(&im->index) != 0) {
        return NULL;
    }
    if (im->runs_count == 0) {
        struct images_run *first = run_create();
        if (first == NULL) {
            return NULL;
        }
        im->runs_head = 0;
        run_put(im, 0, first);
        return first;
    }
    size_t at = run_of(im, place);
    struct images_run *run = im->runs[at].run;
    if (run->end == IMAGES_RUN && run->head > 0) {
        run->end -= run->head;
        memmove(run->items, run->items + run->head, run->end * sizeof(run->items[0]));
        run->head = 0;
    }
    if (run->end == IMAGES_RUN) {
        if (!run_split(im, at)) {
            return NULL;
        }
        at = run_of(im, place);
    }
    return im->runs[at].run;
}

/* Sorted runs that are being emptied stay sorted, the others wait for their time. */
static void run_add(struct images_run *run, struct image *image)
{
    uint32_t at = run->end++;
    if (run->sorted && run->head == 0) {
        run->sorted = at == 0;
    }
    for (; run->sorted && at > run->head &&
           place_compare(&run->items[at - 1]->place, &image->place) > 0;
         at--) {
        run->items[at] = run->items[at - 1];
    }
    run->items[at] = image;
}

/* --- images ------------------------------------------------------------------------------------ */

int images_add(struct images *im, const struct place *place, uint64_t record_bytes_max,
               struct image **ret_image)
{
    uint64_t bytes = sizeof(struct image) + place->path.len + record_bytes_max;
    assert(!images_has(im, place));
    struct image *image = bytes > UINT32_MAX ? NULL : malloc((size_t)bytes);
    struct images_run *run = image == NULL ? NULL : run_reserve(im, place);
    if (run == NULL) {
        free(image);
        return COORD_ENOMEM;
    }
    image->place = (struct place){place->session, {image->bytes, place->path.len}};
    memset(&image->rest, 0, sizeof(image->rest));
    image->rest_bytes = 0;
    image->record_bytes = 0;
    image->room_bytes = (uint32_t)bytes;
    if (place->path.len > 0) {
        memcpy(image->bytes, place->path.data, place->path.len);
    }
    slots_add(&im->index, place_hash(place), image);
    im->bytes += bytes;
    im->count++;
    run_add(run, image);
    *ret_image = image;
    return 0;
}

void images_charge(struct images *im, struct image *image, uint64_t bytes)
{
    image->rest_bytes += bytes;
    im->bytes += bytes;
}

struct image *images_first(struct images *im)
{
    if (im->count == 0) {
        return NULL;
    }
    struct images_run *run = im->runs[im->runs_head].run;
    run_sort(run);
    return run->items[run->head];
}

void images_drop_first(struct images *im)
{
    struct image *first = images_first(im);
    assert(first != NULL);
    struct images_run *run = im->runs[im->runs_head].run;
    slots_remove(&im->index, place_hash(&first->place), first);
    im->bytes -= first->room_bytes + first->rest_bytes;
    im->count--;
    if (++run->head == run->end) {
        free(run);
        im->runs_head++;
        im->runs_count--;
    }
    rest_finish(&first->rest);
    free(first);
}

const uint8_t *image_record(const struct image *i)
{
    return i->bytes + i->place.path.len;
}
