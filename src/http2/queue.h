/* http2/queue.h: response content of one stream that waits for its turn, as slices in order. */
#ifndef HTTP2_QUEUE_H
#define HTTP2_QUEUE_H

#include "base/slice.h"

struct http2_queue {
    struct slice *slices;
    size_t first;
    size_t count; /* slices in use, from `first` */
    size_t capacity;
    size_t size; /* bytes in all of them */
};

/* Drops everything. The zeroed struct is an empty queue. */
void http2_queue_release(struct http2_queue *q);
/* Drops everything and keeps a little memory. */
void http2_queue_reset(struct http2_queue *q);
/* Takes the slice, on failure too. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http2_queue_append(struct http2_queue *q, struct slice slice);
/* Up to `max` bytes from the front, as a slice that the caller holds; the queue is not empty. */
struct slice http2_queue_take(struct http2_queue *q, size_t max);

#endif
