/* base/list.h: an intrusive doubly linked ring. A head is a link of its own; a link that is in
 * no list points at itself or is zero. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_link {
    struct list_link *next;
    struct list_link *previous;
};

static inline void list_init(struct list_link *l)
{
    l->next = l->previous = l;
}

static inline bool list_is_empty(const struct list_link *head)
{
    return head->next == head || head->next == NULL;
}

static inline bool list_is_linked(const struct list_link *l)
{
    return l->next && l->next != l;
}

static inline void list_append(struct list_link *head, struct list_link *l)
{
    l->previous = head->previous;
    l->next = head;
    head->previous->next = l;
    head->previous = l;
}

static inline void list_prepend(struct list_link *head, struct list_link *l)
{
    list_append(head->next, l);
}

/* Harmless for a link that is in no list. */
static inline void list_remove(struct list_link *l)
{
    if (!list_is_linked(l))
        return;
    l->previous->next = l->next;
    l->next->previous = l->previous;
    list_init(l);
}

/* The struct that holds a link. */
#define LIST_ITEM(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
