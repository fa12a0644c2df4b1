/* base/slice.h: body bytes that travel socket -> exchange -> bridge -> socket without copies.
 *
 * A slice is a view of a reference-counted block. Who holds a slice holds one reference; passing
 * a slice by value to a function that says "takes" passes that reference on. Counts are atomic:
 * slices of one block may live on several threads, one slice on one thread at a time. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/span.h"

struct block; /* the counted memory behind slices */

struct slice {
    struct block *block; /* NULL: empty, or static bytes that nobody counts */
    const uint8_t *data;
    size_t size;
};

#define SLICE_EMPTY ((struct slice){NULL, NULL, 0})

/* Bytes that outlive every user, such as literals. */
static inline struct slice slice_static(struct span s)
{
    return (struct slice){NULL, s.data, s.size};
}

static inline struct span slice_span(struct slice s)
{
    return span_of(s.data, s.size);
}

/* A fresh block of `capacity` bytes with one reference, or NULL. */
struct block *block_new(size_t capacity);
uint8_t *block_data(struct block *b);
size_t block_capacity(const struct block *b);
void block_retain(struct block *b);
void block_release(struct block *b); /* NULL is allowed */
/* True when the caller's reference is the only one: the block may be written again. */
bool block_is_unshared(const struct block *b);

/* A slice of part of a block; takes a reference of its own. */
struct slice slice_of_block(struct block *b, size_t from, size_t size);
/* A slice with a copy of the bytes; .data is NULL when there was no memory and size > 0. */
struct slice slice_copy(struct span s);
/* The same, for copies that are mostly done with before the next one is made: up to this size they
 * are made in *spare, while nobody keeps the last one that was. NULL before the first; one
 * thread's; whoever holds it releases it in the end. */
#define SLICE_SPARE_SIZE 1024
struct slice slice_copy_spare(struct block **spare, struct span s);
/* Another reference to the same bytes. */
struct slice slice_retain(struct slice s);
/* Gives the reference back and empties the slice. */
void slice_release(struct slice *s);
/* The first `size` bytes as a slice of their own (own reference); `s` keeps the rest. */
struct slice slice_take(struct slice *s, size_t size);

#endif
