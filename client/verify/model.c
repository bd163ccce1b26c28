/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.c: the cells of a model: loading, changing, hashing, undoing. What operations do to them is
 * in step.c.
 *
 * The hash of a state is the XOR of a hash of each cell's number and content, in two independent
 * words: a change costs two hashes of one cell, whatever the size of the state. Two states are taken
 * for equal when 128 bits are equal.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/model.h"

#include <assert.h>
#include <string.h>
#include "client/core/mem.h"

struct verify_cell verify_cell_blank(enum verify_presence presence)
{
    return (struct verify_cell){VERIFY_UNKNOWN,     VERIFY_UNKNOWN,       VERIFY_UNKNOWN,
                                VERIFY_UNKNOWN,     VERIFY_VALUE_UNKNOWN, (uint8_t)presence,
                                VERIFY_KIND_UNKNOWN};
}

struct verify_model *verify_model_create(const struct verify_history *h)
{
    struct verify_model *m = coord__alloc(sizeof(*m));
    if (m == NULL) {
        return NULL;
    }
    m->h = h;
    for (int role = 0; role < 3; role++) {
        m->slot[role] = coord__alloc((h->paths_count + 1) * sizeof(*m->slot[role]));
        if (m->slot[role] == NULL) {
            verify_model_destroy(m);
            return NULL;
        }
    }
    return m;
}

void verify_model_destroy(struct verify_model *m)
{
    if (m == NULL) {
        return;
    }
    for (int role = 0; role < 3; role++) {
        coord__free(m->slot[role]);
    }
    coord__free(m->cells);
    coord__free(m->places);
    coord__free(m->undo);
    coord__free(m);
}

/* splitmix64's finish: spreads every bit over all. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

/* Put the cell's part of the hash in, or take it out again. */
static void hash_toggle(struct verify_model *m, uint32_t i)
{
    const struct verify_cell *c = &m->cells[i];
    const uint64_t words[5] = {c->version, c->created, c->modified, c->owner,
                               (uint64_t)c->value << 16 | (uint64_t)c->presence << 8 | c->kind};
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15ull + 1;
    uint64_t y = ~x;
    for (int w = 0; w < 5; w++) {
        x = mix(x ^ words[w]);
        y = mix(y + words[w] * 0xd6e8feb86659fd93ull);
    }
    m->hash[0] ^= x;
    m->hash[1] ^= y;
}

bool verify_is_reserved(const char *path)
{
    const size_t n = sizeof("/coord") - 1;
    return strncmp(path, "/coord", n) == 0 && (path[n] == 0 || path[n] == '/');
}

int verify_model_load(struct verify_model *m, const struct verify_place *places, uint32_t count,
                      bool empty)
{
    for (uint32_t i = 0; i < m->count; i++) {
        m->slot[m->places[i].role][m->places[i].path] = 0;
    }
    m->count = 0;
    m->undo_count = 0;
    m->hash[0] = 0;
    m->hash[1] = 0;
    m->out_of_memory = false;
    for (uint32_t i = 0; i < count; i++) {
        if (!verify_room((void **)&m->cells, i, &m->cells_cap, sizeof(*m->cells)) ||
            !verify_room((void **)&m->places, i, &m->places_cap, sizeof(*m->places))) {
            return COORD_ENOMEM;
        }
        bool root = places[i].path == 0 && places[i].role != VERIFY_KID;
        bool theirs = verify_is_reserved(m->h->paths[places[i].path].text);
        m->places[i] = places[i];
        m->cells[i] = verify_cell_blank(root               ? VERIFY_PRESENT
                                        : empty && !theirs ? VERIFY_ABSENT
                                                           : VERIFY_MAYBE);
        m->slot[places[i].role][places[i].path] = i + 1;
        m->count++;
        hash_toggle(m, i);
    }
    return 0;
}

static bool same(const struct verify_cell *a, const struct verify_cell *b)
{
    return a->version == b->version && a->created == b->created && a->modified == b->modified &&
           a->owner == b->owner && a->value == b->value && a->presence == b->presence &&
           a->kind == b->kind;
}

void verify_model_put(struct verify_model *m, uint32_t cell, const struct verify_cell *to)
{
    assert(cell < m->count);
    if (same(&m->cells[cell], to)) {
        return;
    }
    if (!verify_room((void **)&m->undo, m->undo_count, &m->undo_cap, sizeof(*m->undo))) {
        m->out_of_memory = true;
        return;
    }
    m->undo[m->undo_count++] = (struct verify_undo){cell, m->cells[cell]};
    hash_toggle(m, cell);
    m->cells[cell] = *to;
    hash_toggle(m, cell);
}

void verify_model_undo(struct verify_model *m, uint32_t mark)
{
    assert(mark <= m->undo_count);
    while (m->undo_count > mark) {
        const struct verify_undo *u = &m->undo[--m->undo_count];
        hash_toggle(m, u->cell);
        m->cells[u->cell] = u->before;
        hash_toggle(m, u->cell);
    }
}

int verify_name_compare(const char *a, const char *b)
{
    while (*a == *b && *a != 0) {
        a++;
        b++;
    }
    /* Names have no control characters, so 1 stands before all of them, and the end before that. */
    unsigned x = *a == '/' ? 1 : (unsigned char)*a;
    unsigned y = *b == '/' ? 1 : (unsigned char)*b;
    return x < y ? -1 : x > y;
}
