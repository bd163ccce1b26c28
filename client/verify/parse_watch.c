/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parse_watch.c: W and V records: what clients watched, and what they were told.
 *
 *   W CLIENT WATCH TIME path=PATH depth=N kinds=N from=N
 *   V CLIENT WATCH TIME STATE rev=N [error=NAME] [ch=KIND;PATH;VERSION;CREATED[;VALUE]]... [more=1]
 *
 * Thread: none; one at a time.
 */
#include "client/verify/parse_int.h"

#define ALL_KINDS (COORD_CREATED | COORD_CHANGED | COORD_DELETED)

/* What both begin with, behind the client. */
static int head(struct verify_parser *p, struct verify_slice client, uint32_t *ret_client,
                uint64_t *ret_watch, uint64_t *ret_at)
{
    struct verify_slice watch, at;
    int err = verify_parse_client(p, client, ret_client);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &watch) ||
        !verify_words_digits(watch, 10, ret_watch) || !verify_words_next(&p->rest, ' ', &at)) {
        return err < 0 ? err : verify_parse_wrong(p, "not a watch:", client);
    }
    return verify_parse_time(p, at, *ret_client, ret_at);
}

static int small_number(struct verify_parser *p, struct verify_slice s, uint64_t most,
                        uint32_t *ret_n)
{
    uint64_t n;
    if (!verify_words_digits(s, 10, &n) || n > most) {
        return verify_parse_wrong(p, "not such a number:", s);
    }
    *ret_n = (uint32_t)n;
    return 0;
}

static int watch_key(struct verify_parser *p, struct verify_watch *w, struct verify_slice key,
                     struct verify_slice v)
{
    uint64_t n;
    if (verify_words_equal(key, "path")) {
        return verify_parse_path(p, v, &w->path);
    }
    if (verify_words_equal(key, "depth")) {
        return small_number(p, v, COORD_WATCH_SUBTREE, &w->depth);
    }
    if (verify_words_equal(key, "kinds")) {
        return small_number(p, v, ALL_KINDS, &w->kinds);
    }
    return verify_words_equal(key, "from") ? verify_parse_number(p, v, &n) /* for people */
                                           : verify_parse_wrong(p, "unknown argument", key);
}

int verify_parse_watch(struct verify_parser *p, struct verify_slice client)
{
    struct verify_watch w = {.path = VERIFY_NOWHERE,
                             .kinds = ALL_KINDS,
                             .first = VERIFY_NOWHERE,
                             .last = VERIFY_NOWHERE};
    struct verify_slice one, key, value;
    int err = head(p, client, &w.client, &w.id, &w.asked);
    while (err == 0 && verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value)
                  ? watch_key(p, &w, key, value)
                  : verify_parse_wrong(p, "unknown argument", one);
    }
    if (err == 0 && w.path == VERIFY_NOWHERE) {
        return verify_parse_wrong(p, "a watch without a path:", client);
    }
    err = err < 0 ? err : verify_watch_add(p->h, &w);
    return err == COORD_EEXISTS ? verify_parse_wrong(p, "this watch was recorded before:", client)
                                : err;
}

/* "KIND;PATH;VERSION;CREATED[;VALUE]" */
static int one_change(struct verify_parser *p, struct verify_slice s, struct verify_event *e)
{
    struct verify_change c = {.value = VERIFY_VALUE_UNKNOWN};
    struct verify_slice whole = s, f[4];
    uint32_t at;
    for (int i = 0; i < 4; i++) {
        if (!verify_words_next(&s, ';', &f[i])) {
            return verify_parse_wrong(p, "not a change:", whole);
        }
    }
    int err = small_number(p, f[0], COORD_DELETED, &c.kind);
    if (err == 0 && c.kind != COORD_CREATED && c.kind != COORD_CHANGED && c.kind != COORD_DELETED) {
        return verify_parse_wrong(p, "no kind of change:", whole);
    }
    err = err < 0 ? err : verify_parse_path(p, f[1], &c.path);
    err = err < 0 ? err : verify_parse_number(p, f[2], &c.version);
    err = err < 0 ? err : verify_parse_number(p, f[3], &c.created);
    if (err == 0 && verify_words_next(&s, ';', &f[0])) {
        err = verify_parse_value(p, f[0], &c.value);
    }
    err = err < 0 ? err : verify_change_add(p->h, &c, &at);
    if (err == 0) {
        e->changes = e->changes_count == 0 ? at : e->changes;
        e->changes_count++;
    }
    return err;
}

static int told_key(struct verify_parser *p, struct verify_event *e, struct verify_slice key,
                    struct verify_slice v)
{
    int error;
    if (verify_words_equal(key, "rev")) {
        return verify_parse_number(p, v, &e->revision);
    }
    if (verify_words_equal(key, "ch")) {
        return one_change(p, v, e);
    }
    if (verify_words_equal(key, "more")) {
        e->more = true;
        return 0;
    }
    bool known = verify_words_equal(key, "error") && verify_words_error(v, &error);
    return known ? 0 : verify_parse_wrong(p, "unknown word about a watch", key);
}

static bool state_named(struct verify_slice s, uint32_t *ret_state)
{
    static const char *const names[] = {"", "ready", "changes", "progress", "gap", "ended"};
    for (uint32_t i = COORD_WATCH_READY; i <= COORD_WATCH_ENDED; i++) {
        if (verify_words_equal(s, names[i])) {
            *ret_state = i;
            return true;
        }
    }
    return false;
}

int verify_parse_told(struct verify_parser *p, struct verify_slice client)
{
    struct verify_event e = {.revision = VERIFY_UNKNOWN};
    struct verify_slice state, one, key, value;
    uint32_t who;
    uint64_t id;
    int err = head(p, client, &who, &id, &e.at);
    if (err < 0 || !verify_words_next(&p->rest, ' ', &state) || !state_named(state, &e.state)) {
        return err < 0 ? err : verify_parse_wrong(p, "a watch is told no such thing:", client);
    }
    while (err == 0 && verify_words_next(&p->rest, ' ', &one)) {
        err = verify_words_split(one, &key, &value)
                  ? told_key(p, &e, key, value)
                  : verify_parse_wrong(p, "unknown word about a watch", one);
    }
    if (err == 0 && e.revision == VERIFY_UNKNOWN) {
        return verify_parse_wrong(p, "a watch is told without a revision:", client);
    }
    uint32_t watch = verify_watch_find(p->h, who, id);
    /* One that was there before the recording began is not looked at. */
    return err < 0 || watch == VERIFY_NOWHERE ? err : verify_event_add(p->h, watch, &e);
}
