/* SPDX-License-Identifier: Apache-2.0 */
/*
 * list.h: a circular doubly linked list whose links live in its members. A zeroed link is in no list.
 * Threads: none; owned by the loop thread.
 */
#ifndef COORD_SERVER_NODE_LIST_H
#define COORD_SERVER_NODE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct node_link {
    struct node_link *next;
    struct node_link *prev;
};

#define NODE_CONTAINER(link, type, field) ((type *)(void *)((char *)(link)-offsetof(type, field)))

static inline void node__list_init(struct node_link *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool node__list_empty(const struct node_link *head)
{
    return head->next == head;
}

static inline bool node__link_in(const struct node_link *link)
{
    return link->next != NULL;
}

/* Add at the end; nothing when the link is in a list already. */
static inline void node__list_add(struct node_link *head, struct node_link *link)
{
    if (link->next != NULL) {
        return;
    }
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* Nothing when it is in no list. */
static inline void node__list_remove(struct node_link *link)
{
    if (link->next == NULL) {
        return;
    }
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->next = NULL;
    link->prev = NULL;
}

/* Move all members of `from` to the end of `to`. */
static inline void node__list_join(struct node_link *to, struct node_link *from)
{
    if (node__list_empty(from)) {
        return;
    }
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    node__list_init(from);
}

#endif
