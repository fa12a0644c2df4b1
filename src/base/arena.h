/* base/arena.h: many small allocations with one end, such as the head of a message.
 *
 * Memory comes in chunks; arena_reset keeps the first chunk, so that a keep-alive connection
 * allocates nothing per request; arena_release gives everything back. One owner, one thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"
#include <stdalign.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    uint8_t *next; /* of the current chunk: what is free, */
    size_t left;   /* and how much that is */
};

#define ARENA_EMPTY ((struct arena){NULL, NULL, NULL, 0})

/* arena_new where the current chunk has no room. */
void *arena_grow(struct arena *a, size_t size);

/* Aligned for any type; NULL when there is no memory. */
static inline void *arena_new(struct arena *a, size_t size)
{
    size_t alignment = alignof(max_align_t);
    size_t taken = (size + alignment - 1) & ~(alignment - 1);
    if (taken < size || taken > a->left || !a->next)
        return arena_grow(a, size);
    void *result = a->next;
    a->next += taken;
    a->left -= taken;
    return result;
}

/* A copy of the bytes; .data is NULL when there was no memory and s.size > 0. */
struct span arena_copy(struct arena *a, struct span s);
/* The same, NUL-terminated; NULL when there was no memory. */
char *arena_text(struct arena *a, struct span s);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#endif
