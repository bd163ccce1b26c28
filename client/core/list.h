/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: doubly linked lists whose links live in their members.
 *
 * Invariants
 *   1. A head that is empty, and a link in no list, point at themselves.
 *   2. Removing needs no head; removing what is in no list does nothing.
 * Thread: that of the list's owner.
 */
#ifndef COORD_CLIENT_CORE_LIST_H
#define COORD_CLIENT_CORE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct coord__list {
    struct coord__list *next;
    struct coord__list *prev;
};

/* The struct that holds a link. */
#define COORD__ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void coord__list_init(struct coord__list *l)
{
    l->next = l;
    l->prev = l;
}

static inline bool coord__list_empty(const struct coord__list *l)
{
    return l->next == l;
}

static inline void coord__list_insert(struct coord__list *prev, struct coord__list *link)
{
    link->prev = prev;
    link->next = prev->next;
    prev->next->prev = link;
    prev->next = link;
}

static inline void coord__list_append(struct coord__list *head, struct coord__list *link)
{
    coord__list_insert(head->prev, link);
}

static inline void coord__list_prepend(struct coord__list *head, struct coord__list *link)
{
    coord__list_insert(head, link);
}

static inline void coord__list_remove(struct coord__list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    coord__list_init(link);
}

/* Move all of `from` in front of the members of `to`. */
static inline void coord__list_splice_front(struct coord__list *to, struct coord__list *from)
{
    if (coord__list_empty(from)) {
        return;
    }
    from->prev->next = to->next;
    to->next->prev = from->prev;
    to->next = from->next;
    from->next->prev = to;
    coord__list_init(from);
}

#endif
