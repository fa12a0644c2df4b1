/* exchange/queue.h: response content of one stream that waits for its turn, as slices in order. */
#ifndef EXCHANGE_QUEUE_H
#define EXCHANGE_QUEUE_H

#include "base/slice.h"

struct exchange_queue {
    struct slice *slices;
    size_t first;
    size_t count; /* slices in use, from `first` */
    size_t capacity;
    size_t size; /* bytes in all of them */
};

/* Drops everything. The zeroed struct is an empty queue. */
void exchange_queue_release(struct exchange_queue *q);
/* Drops everything and keeps a little memory. */
void exchange_queue_reset(struct exchange_queue *q);
/* Takes the slice, on failure too. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int exchange_queue_append(struct exchange_queue *q, struct slice slice);
/* Up to `max` bytes from the front, as a slice that the caller holds; the queue is not empty. */
struct slice exchange_queue_take(struct exchange_queue *q, size_t max);

#endif
