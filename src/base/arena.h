/* base/arena.h: many small allocations with one end, such as the head of a message.
 *
 * Memory comes in chunks; arena_reset keeps the first chunk, so that a keep-alive connection
 * allocates nothing per request; arena_release gives everything back. One owner, one thread. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *first;
    struct arena_chunk *current;
    size_t used; /* of the current chunk */
};

#define ARENA_EMPTY ((struct arena){NULL, NULL, 0})

/* Aligned for any type; NULL when there is no memory. */
void *arena_new(struct arena *a, size_t size);
/* A copy of the bytes; .data is NULL when there was no memory and s.size > 0. */
struct span arena_copy(struct arena *a, struct span s);
/* The same, NUL-terminated; NULL when there was no memory. */
char *arena_text(struct arena *a, struct span s);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#endif
