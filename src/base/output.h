/* base/output.h: what waits to be written: copied bytes and slices, in order.
 *
 * Heads and small bodies are copied one behind the other, so that a small response, or several
 * that were pipelined, leave as one contiguous span. Larger bodies are kept as the slices they
 * came in. Memory is kept for the next bytes; output_rest gives it back. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "base/buffer.h"
#include "base/slice.h"

#define OUTPUT_COPY_MAX 2048 /* bodies up to this size are copied */

/* Copied bytes with the slice that comes after them. */
struct output_piece {
    size_t copied;
    struct slice slice;
};

struct output {
    struct buffer bytes; /* all copied bytes, in order */
    struct output_piece *pieces;
    size_t first;
    size_t count; /* pieces in use, from `first` */
    size_t capacity;
    size_t tail;      /* copied bytes after the last piece */
    size_t size;      /* all bytes that wait */
    uint64_t written; /* all bytes that ever left */
};

/* Drops everything and frees it. The zeroed struct is an empty output. */
void output_release(struct output *o);
/* Frees the memory of an empty output. */
void output_rest(struct output *o);
/* Gives the memory of an empty output to one that has none. */
void output_hand_on(struct output *from, struct output *to);

static inline bool output_has_memory(const struct output *o)
{
    return o->bytes.data || o->pieces;
}

/* Room for up to `size` bytes, or NULL; commit tells how many were used. */
uint8_t *output_reserve(struct output *o, size_t size);
void output_commit(struct output *o, size_t size);
/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int output_copy(struct output *o, struct span bytes);
/* Takes the slice, on failure too. */
int output_append(struct output *o, struct slice slice);

/* Where the bytes queued last end, counted from the first ever written. */
static inline uint64_t output_end(const struct output *o)
{
    return o->written + o->size;
}

/* Up to `max` spans from the front; valid until anything is queued, consumed or released. */
size_t output_spans(const struct output *o, struct span *out, size_t max);
/* `size` bytes from the front were written. */
void output_consume(struct output *o, size_t size);

#endif
