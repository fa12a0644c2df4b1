/* base/buffer.h: one growable queue of bytes: append at the tail, consume at the head.
 *
 * An empty buffer holds no memory after buffer_release and none before the first append. Spans
 * of a buffer last until its next append, consume or release. One owner, one thread. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/span.h"

struct buffer {
    uint8_t *data;
    size_t head; /* consumed */
    size_t tail; /* filled */
    size_t capacity;
};

#define BUFFER_EMPTY ((struct buffer){NULL, 0, 0, 0})

static inline size_t buffer_size(const struct buffer *b)
{
    return b->tail - b->head;
}

static inline struct span buffer_span(const struct buffer *b)
{
    return (struct span){b->data ? b->data + b->head : NULL, b->tail - b->head};
}

/* Frees the memory; the buffer is empty and usable afterwards. */
void buffer_release(struct buffer *b);

/* Room for `size` more bytes at the tail, or NULL. What is written there counts after
 * buffer_commit. */
uint8_t *buffer_reserve(struct buffer *b, size_t size);
void buffer_commit(struct buffer *b, size_t size);

/* ROUTED_OK or ROUTED_ERROR_MEMORY; on failure the buffer is as it was. */
int buffer_append(struct buffer *b, const void *data, size_t size);
int buffer_append_span(struct buffer *b, struct span s);
int buffer_append_text(struct buffer *b, const char *text);
int buffer_append_decimal(struct buffer *b, uint64_t value);

/* Drops bytes at the head; an emptied buffer keeps its memory. */
void buffer_consume(struct buffer *b, size_t size);

/* Drops everything, keeps the memory. */
static inline void buffer_clear(struct buffer *b)
{
    b->head = b->tail = 0;
}

#endif
