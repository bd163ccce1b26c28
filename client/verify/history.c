/* SPDX-License-Identifier: Apache-2.0 */
/*
 * history.c: see history.h. Tables of numbers by open addressing; nothing is ever removed from them.
 *
 * Several machines: each client's first record says its boot clock and its wall clock at one moment.
 * Times are moved to the wall clock and every operation is widened by half the skew on both ends, so
 * that what is still in order then was in order in truth.
 *
 * Thread: none; one at a time.
 */
#include "client/verify/history.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "client/core/mem.h"

#define TABLE_FIRST 64u

/* --- memory ------------------------------------------------------------------------------------ */

bool verify_room(void **items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap) {
        return true;
    }
    if (*cap > UINT32_MAX / 2) {
        return false;
    }
    uint32_t more = *cap == 0 ? 16 : *cap * 2;
    void *to = coord__realloc(*items, more * size);
    if (to == NULL) {
        return false;
    }
    *items = to;
    *cap = more;
    return true;
}

#define ROOM(h, items) \
    verify_room((void **)&(h)->items, (h)->items##_count, &(h)->items##_cap, sizeof(*(h)->items))

static uint64_t hash_bytes(const char *text, size_t bytes)
{
    uint64_t x = 0xcbf29ce484222325ull; /* FNV-1a: the tables are not under attack */
    for (size_t i = 0; i < bytes; i++) {
        x = (x ^ (uint8_t)text[i]) * 0x100000001b3ull;
    }
    return x ^ x >> 29;
}

static uint64_t hash_pair(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ b * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull;
    return x ^ x >> 31;
}

/* What the entries of a table are compared by. */
struct key {
    const char *text;
    size_t bytes;
    uint64_t a;
    uint64_t b;
};

typedef bool (*same_fn)(const struct verify_history *h, uint32_t number, const struct key *k);
typedef uint64_t (*hash_fn)(const struct verify_history *h, uint32_t number);

static bool table_grow(const struct verify_history *h, struct verify_table *t, hash_fn hash)
{
    uint32_t cap = t->cap == 0 ? TABLE_FIRST : t->cap * 2;
    uint32_t *slots = coord__alloc(cap * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < t->cap; i++) {
        if (t->slots[i] != 0) {
            uint32_t at = (uint32_t)hash(h, t->slots[i] - 1) & (cap - 1);
            while (slots[at] != 0) {
                at = (at + 1) & (cap - 1);
            }
            slots[at] = t->slots[i];
        }
    }
    coord__free(t->slots);
    t->slots = slots;
    t->cap = cap;
    return true;
}

/* Return: the number, or VERIFY_NOWHERE. */
static uint32_t table_find(const struct verify_history *h, const struct verify_table *t,
                           uint64_t hash, same_fn same, const struct key *k)
{
    for (uint32_t at = (uint32_t)hash; t->cap > 0; at++) {
        uint32_t slot = t->slots[at & (t->cap - 1)];
        if (slot == 0) {
            break;
        }
        if (same(h, slot - 1, k)) {
            return slot - 1;
        }
    }
    return VERIFY_NOWHERE;
}

/* Note a number that is not there yet; its item is in place. */
static bool table_add(const struct verify_history *h, struct verify_table *t, hash_fn hash,
                      uint32_t number)
{
    if (t->count * 2 >= t->cap && !table_grow(h, t, hash)) {
        return false;
    }
    uint32_t at = (uint32_t)hash(h, number) & (t->cap - 1);
    while (t->slots[at] != 0) {
        at = (at + 1) & (t->cap - 1);
    }
    t->slots[at] = number + 1;
    t->count++;
    return true;
}

const char *verify_text_keep(struct verify_history *h, const char *text, size_t bytes)
{
    return coord__arena_copy(h->text, text, bytes);
}

/* --- life -------------------------------------------------------------------------------------- */

struct verify_history *verify_history_create(void)
{
    struct verify_history *h = coord__alloc(sizeof(*h));
    if (h == NULL) {
        return NULL;
    }
    h->cut = VERIFY_NEVER;
    h->text = coord__alloc(sizeof(*h->text));
    bool whole = h->text != NULL;
    whole = whole && verify_value_number(h, "?", 1) == VERIFY_VALUE_UNKNOWN;
    whole = whole && verify_value_number(h, "none", 4) == VERIFY_VALUE_NONE;
    whole = whole && verify_path_number(h, "/", 1) == 0;
    if (!whole) {
        verify_history_destroy(h);
        return NULL;
    }
    return h;
}

void verify_history_destroy(struct verify_history *h)
{
    if (h == NULL) {
        return;
    }
    if (h->text != NULL) {
        coord__arena_finish(h->text);
    }
    coord__free(h->text);
    coord__free(h->paths);
    coord__free(h->values);
    coord__free(h->clients);
    coord__free(h->boots);
    coord__free(h->ops);
    coord__free(h->actions);
    coord__free(h->conditions);
    coord__free(h->entries);
    coord__free(h->watches);
    coord__free(h->events);
    coord__free(h->changes);
    coord__free(h->by_watch.slots);
    coord__free(h->by_path.slots);
    coord__free(h->by_value.slots);
    coord__free(h->by_client.slots);
    coord__free(h->by_request.slots);
    coord__free(h);
}

/* --- paths and values -------------------------------------------------------------------------- */

static bool path_same(const struct verify_history *h, uint32_t n, const struct key *k)
{
    const char *text = h->paths[n].text;
    return strncmp(text, k->text, k->bytes) == 0 && text[k->bytes] == 0;
}

static uint64_t path_hash(const struct verify_history *h, uint32_t n)
{
    return hash_bytes(h->paths[n].text, strlen(h->paths[n].text));
}

static bool value_same(const struct verify_history *h, uint32_t n, const struct key *k)
{
    const char *text = h->values[n].text;
    return strncmp(text, k->text, k->bytes) == 0 && text[k->bytes] == 0;
}

static uint64_t value_hash(const struct verify_history *h, uint32_t n)
{
    return hash_bytes(h->values[n].text, strlen(h->values[n].text));
}

/* A path whose parent, if it has one, is known. */
static uint32_t path_add(struct verify_history *h, const char *text, size_t bytes, uint32_t parent)
{
    const char *kept = ROOM(h, paths) ? verify_text_keep(h, text, bytes) : NULL;
    if (kept == NULL) {
        return VERIFY_NOWHERE;
    }
    size_t name = bytes;
    while (name > 0 && kept[name - 1] != '/') {
        name--;
    }
    h->paths[h->paths_count] = (struct verify_path){kept, (uint32_t)name, parent};
    if (!table_add(h, &h->by_path, path_hash, h->paths_count)) {
        return VERIFY_NOWHERE;
    }
    return h->paths_count++;
}

static uint32_t path_find(const struct verify_history *h, const char *text, size_t bytes)
{
    const struct key k = {.text = text, .bytes = bytes};
    return table_find(h, &h->by_path, hash_bytes(text, bytes), path_same, &k);
}

uint32_t verify_path_number(struct verify_history *h, const char *text, size_t bytes)
{
    assert(bytes > 0 && text[0] == '/');
    uint32_t found = path_find(h, text, bytes);
    if (found != VERIFY_NOWHERE || bytes == 1) {
        return found != VERIFY_NOWHERE ? found : path_add(h, text, bytes, VERIFY_NOWHERE);
    }
    uint32_t parent = 0;
    for (size_t end = 1; end <= bytes; end++) { /* each ancestor, from the top */
        if (end < bytes && text[end] != '/') {
            continue;
        }
        uint32_t at = path_find(h, text, end);
        if (at == VERIFY_NOWHERE) {
            at = path_add(h, text, end, parent);
        }
        if (at == VERIFY_NOWHERE) {
            return VERIFY_NOWHERE;
        }
        parent = at;
    }
    return parent;
}

uint32_t verify_path_below(struct verify_history *h, uint32_t path, const char *name)
{
    char text[2 * COORD_PATH_MAX + 8];
    const char *top = path == 0 ? "" : h->paths[path].text;
    int n = snprintf(text, sizeof(text), "%s/%s", top, name);
    if (n < 2 || (size_t)n >= sizeof(text)) {
        return VERIFY_NOWHERE;
    }
    return verify_path_number(h, text, (size_t)n);
}

bool verify_path_within(const struct verify_history *h, uint32_t inner, uint32_t outer)
{
    while (inner != outer && inner != VERIFY_NOWHERE) {
        inner = h->paths[inner].parent;
    }
    return inner == outer;
}

/* How many bytes a value has, by its text. */
static uint64_t value_bytes(const char *text, size_t bytes)
{
    if (bytes >= 2 && text[0] == 'h' && text[1] == ':') {
        return strtoull(text + 2, NULL, 10);
    }
    uint64_t count = 0;
    for (size_t i = 2; i < bytes && text[0] == 's'; i++) {
        i += text[i] == '%' ? 2 : 0;
        count++;
    }
    return count;
}

uint32_t verify_value_number(struct verify_history *h, const char *text, size_t bytes)
{
    const struct key k = {.text = text, .bytes = bytes};
    uint32_t found = table_find(h, &h->by_value, hash_bytes(text, bytes), value_same, &k);
    if (found != VERIFY_NOWHERE) {
        return found;
    }
    const char *kept = ROOM(h, values) ? verify_text_keep(h, text, bytes) : NULL;
    if (kept == NULL) {
        return VERIFY_NOWHERE;
    }
    h->values[h->values_count] = (struct verify_value){kept, value_bytes(kept, bytes)};
    if (!table_add(h, &h->by_value, value_hash, h->values_count)) {
        return VERIFY_NOWHERE;
    }
    return h->values_count++;
}

/* --- clients and operations -------------------------------------------------------------------- */

static bool client_same(const struct verify_history *h, uint32_t n, const struct key *k)
{
    return h->clients[n].id == k->a;
}

static uint64_t client_hash(const struct verify_history *h, uint32_t n)
{
    return hash_pair(h->clients[n].id, 0);
}

uint32_t verify_client_number(struct verify_history *h, uint64_t id)
{
    const struct key k = {.a = id};
    char name[24];
    uint32_t found = table_find(h, &h->by_client, hash_pair(id, 0), client_same, &k);
    if (found != VERIFY_NOWHERE) {
        return found;
    }
    int n = snprintf(name, sizeof(name), "%llx", (unsigned long long)id);
    const char *kept = ROOM(h, clients) ? verify_text_keep(h, name, (size_t)n) : NULL;
    if (kept == NULL) {
        return VERIFY_NOWHERE;
    }
    h->clients[h->clients_count] =
        (struct verify_client){.id = id, .name = kept, .lost_at = VERIFY_NEVER};
    if (!table_add(h, &h->by_client, client_hash, h->clients_count)) {
        return VERIFY_NOWHERE;
    }
    return h->clients_count++;
}

static bool request_same(const struct verify_history *h, uint32_t n, const struct key *k)
{
    return h->ops[n].client == k->a && h->ops[n].request == k->b;
}

static uint64_t request_hash(const struct verify_history *h, uint32_t n)
{
    return hash_pair(h->ops[n].client, h->ops[n].request);
}

uint32_t verify_op_find(const struct verify_history *h, uint32_t client, uint64_t request)
{
    const struct key k = {.a = client, .b = request};
    return table_find(h, &h->by_request, hash_pair(client, request), request_same, &k);
}

int verify_op_add(struct verify_history *h, const struct verify_op *op, uint32_t *ret_op)
{
    if (verify_op_find(h, op->client, op->request) != VERIFY_NOWHERE) {
        return COORD_EEXISTS;
    }
    if (!ROOM(h, ops)) {
        return COORD_ENOMEM;
    }
    h->ops[h->ops_count] = *op;
    if (!table_add(h, &h->by_request, request_hash, h->ops_count)) {
        return COORD_ENOMEM;
    }
    *ret_op = h->ops_count++;
    return 0;
}

int verify_action_add(struct verify_history *h, const struct verify_action *a, uint32_t *ret_first)
{
    if (!ROOM(h, actions)) {
        return COORD_ENOMEM;
    }
    *ret_first = h->actions_count;
    h->actions[h->actions_count++] = *a;
    return 0;
}

int verify_condition_add(struct verify_history *h, const struct verify_condition *c,
                         uint32_t *ret_first)
{
    if (!ROOM(h, conditions)) {
        return COORD_ENOMEM;
    }
    *ret_first = h->conditions_count;
    h->conditions[h->conditions_count++] = *c;
    return 0;
}

int verify_entry_add(struct verify_history *h, const struct verify_entry *e, uint32_t *ret_first)
{
    if (!ROOM(h, entries)) {
        return COORD_ENOMEM;
    }
    *ret_first = h->entries_count;
    h->entries[h->entries_count++] = *e;
    return 0;
}

/* --- watches ----------------------------------------------------------------------------------- */

static bool watch_same(const struct verify_history *h, uint32_t n, const struct key *k)
{
    return h->watches[n].client == k->a && h->watches[n].id == k->b;
}

static uint64_t watch_hash(const struct verify_history *h, uint32_t n)
{
    return hash_pair(h->watches[n].client, h->watches[n].id);
}

uint32_t verify_watch_find(const struct verify_history *h, uint32_t client, uint64_t id)
{
    const struct key k = {.a = client, .b = id};
    return table_find(h, &h->by_watch, hash_pair(client, id), watch_same, &k);
}

int verify_watch_add(struct verify_history *h, const struct verify_watch *w)
{
    if (verify_watch_find(h, w->client, w->id) != VERIFY_NOWHERE) {
        return COORD_EEXISTS;
    }
    if (!ROOM(h, watches)) {
        return COORD_ENOMEM;
    }
    h->watches[h->watches_count] = *w;
    if (!table_add(h, &h->by_watch, watch_hash, h->watches_count)) {
        return COORD_ENOMEM;
    }
    h->watches_count++;
    return 0;
}

int verify_event_add(struct verify_history *h, uint32_t watch, const struct verify_event *e)
{
    struct verify_watch *w = &h->watches[watch];
    if (!ROOM(h, events)) {
        return COORD_ENOMEM;
    }
    h->events[h->events_count] = *e;
    h->events[h->events_count].next = VERIFY_NOWHERE;
    *(w->first == VERIFY_NOWHERE ? &w->first : &h->events[w->last].next) = h->events_count;
    w->last = h->events_count++;
    return 0;
}

int verify_change_add(struct verify_history *h, const struct verify_change *c, uint32_t *ret_first)
{
    if (!ROOM(h, changes)) {
        return COORD_ENOMEM;
    }
    *ret_first = h->changes_count;
    h->changes[h->changes_count++] = *c;
    return 0;
}

/* --- what all ask ------------------------------------------------------------------------------- */

bool verify_kind_reads(enum verify_kind kind)
{
    return kind == VERIFY_GET || kind == VERIFY_EXISTS || kind == VERIFY_STAT ||
           kind == VERIFY_LIST || kind == VERIFY_SYNC;
}

bool verify_path_numbered(const struct verify_history *h, uint32_t asked, uint32_t path)
{
    const char *base = h->paths[asked].text;
    const char *text = h->paths[path].text;
    size_t n = strlen(base);
    return strncmp(base, text, n) == 0 && strlen(text + n) >= 10 &&
           strspn(text + n, "0123456789") == strlen(text + n);
}

uint32_t verify_path_with_number(const struct verify_history *h, uint32_t asked, uint64_t number)
{
    char text[COORD_PATH_MAX + 32];
    int n =
        snprintf(text, sizeof(text), "%s%010llu", h->paths[asked].text, (unsigned long long)number);
    return n > 0 && (size_t)n < sizeof(text) ? path_find(h, text, (size_t)n) : VERIFY_NOWHERE;
}
