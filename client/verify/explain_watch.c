/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_watch.c: what a watch was told wrongly, in words: a sentence, then the event and the one before it.
 *
 *     the watch of /p and all below was told of revision 12 and then of 15, but not of #1: /p/a changed at 13.
 *
 *       watch 3 of client 3f01, asked for at 0.120 ms: /p and all below; created, changed, deleted
 *              1.203 ms  revision 12: /p/b created
 *              4.100 ms  revision 15: /p/b deleted   <--
 *
 * Thread: none; one at a time.
 */
#include "client/verify/verify.h"

#include <inttypes.h>

#define CHANGES_SHOWN 8u

static const char *const depths[] = {"", " and its children", " and all below"};

static double ms(const struct verify_history *h, uint64_t at)
{
    return at >= h->origin ? (double)(at - h->origin) / 1e6 : -((double)(h->origin - at) / 1e6);
}

static const char *kind_name(uint32_t kind)
{
    return kind == COORD_CREATED ? "created" : kind == COORD_CHANGED ? "changed" : "deleted";
}

static void add_change(const struct verify_history *h, const struct verify_change *c,
                       struct verify_text *t)
{
    verify_text_add(t, "%s %s", h->paths[c->path].text, kind_name(c->kind));
    if (c->value != VERIFY_VALUE_UNKNOWN) {
        verify_text_add(t, " ");
        verify_describe_value(h, c->value, t);
    }
}

static void add_event(const struct verify_history *h, uint32_t event, bool wrong,
                      struct verify_text *t)
{
    static const char *const words[] = {"", "ready at ", "", "nothing up to ", "gap up to ", ""};
    const struct verify_event *e = &h->events[event];
    verify_text_add(t, "  %12.3f ms  %srevision %" PRIu64, ms(h, e->at), words[e->state],
                    e->revision);
    for (uint32_t i = 0; i < e->changes_count && i < CHANGES_SHOWN; i++) {
        verify_text_add(t, i == 0 ? ": " : ", ");
        add_change(h, &h->changes[e->changes + i], t);
    }
    verify_text_add(t, "%s%s\n", e->more || e->changes_count > CHANGES_SHOWN ? ", ..." : "",
                    wrong ? "   <--" : "");
}

static void add_watch(const struct verify_history *h, const struct verify_report *r,
                      struct verify_text *t)
{
    const struct verify_watch *w = &h->watches[r->watch];
    const char *sep = "";
    verify_text_add(t, "  watch %" PRIu64 " of client %.6s, asked for at %.3f ms: %s%s; ", w->id,
                    h->clients[w->client].name, ms(h, w->asked), h->paths[w->path].text,
                    depths[w->depth]);
    for (uint32_t kind = COORD_CREATED; kind <= COORD_DELETED; kind *= 2) {
        if ((w->kinds & kind) != 0) {
            verify_text_add(t, "%s%s", sep, kind_name(kind));
            sep = ", ";
        }
    }
    verify_text_add(t, "\n");
    if (r->before != VERIFY_NOWHERE) {
        add_event(h, r->before, false, t);
    }
    add_event(h, r->event, true, t);
}

static void add_sentence(const struct verify_history *h, const struct verify_report *r,
                         struct verify_text *t)
{
    const struct verify_watch *w = &h->watches[r->watch];
    const struct verify_event *e = &h->events[r->event];
    uint64_t before = r->before != VERIFY_NOWHERE ? h->events[r->before].revision : 0;
    verify_text_add(t, "the watch of %s%s was told ", h->paths[w->path].text, depths[w->depth]);
    switch (r->cause) {
    case VERIFY_CAUSE_WATCH_ORDER:
        verify_text_add(t, "of revision %" PRIu64 " behind revision %" PRIu64 ".", e->revision,
                        before);
        break;
    case VERIFY_CAUSE_WATCH_LOST:
        verify_text_add(t,
                        "all up to revision %" PRIu64 ", and then all up to %" PRIu64
                        ", but not of #1, of revision %" PRIu64 ": ",
                        before, e->revision, r->items[0].op->revision);
        add_change(h, &r->change, t);
        verify_text_add(t, ".");
        break;
    case VERIFY_CAUSE_WATCH_SCOPE:
        add_change(h, &r->change, t);
        verify_text_add(t, ", which it had not asked for.");
        break;
    case VERIFY_CAUSE_WATCH_WRONG:
        add_change(h, &r->change, t);
        verify_text_add(t, " at revision %" PRIu64 ", but that revision is #1's%s.", e->revision,
                        r->items[0].op->called > e->at ? ", which was sent later"
                                                       : ", which does no such thing");
        break;
    default:
        add_change(h, &r->change, t);
        verify_text_add(t,
                        " at revision %" PRIu64 ", which no recorded operation can have done. (Was "
                        "there a client that was not recorded?)",
                        e->revision);
        break;
    }
}

void verify_explain_watch(const struct verify_history *h, const struct verify_report *r,
                          struct verify_text *t)
{
    add_sentence(h, r, t);
    verify_text_add(t, "\n\n");
    add_watch(h, r, t);
}
