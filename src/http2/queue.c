#include "http2/queue.h"

#include "base/memory.h"
#include <routed/error.h>

#define FIRST_CAPACITY 4

void http2_queue_release(struct http2_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        slice_release(&q->slices[q->first + i]);
    memory_free(q->slices);
    *q = (struct http2_queue){0};
}

void http2_queue_reset(struct http2_queue *q)
{
    if (q->capacity > FIRST_CAPACITY) {
        http2_queue_release(q);
        return;
    }
    for (size_t i = 0; i < q->count; i++)
        slice_release(&q->slices[q->first + i]);
    q->first = q->count = q->size = 0;
}

static bool make_room(struct http2_queue *q)
{
    if (q->first + q->count < q->capacity)
        return true;
    if (q->first) {
        memmove(q->slices, q->slices + q->first, q->count * sizeof(*q->slices));
        q->first = 0;
        return true;
    }
    size_t capacity = q->capacity ? q->capacity * 2 : FIRST_CAPACITY;
    struct slice *grown = memory_resize(q->slices, capacity * sizeof(struct slice));
    if (!grown)
        return false;
    q->slices = grown;
    q->capacity = capacity;
    return true;
}

int http2_queue_append(struct http2_queue *q, struct slice slice)
{
    if (!make_room(q)) {
        slice_release(&slice);
        return ROUTED_ERROR_MEMORY;
    }
    q->slices[q->first + q->count++] = slice;
    q->size += slice.size;
    return ROUTED_OK;
}

struct slice http2_queue_take(struct http2_queue *q, size_t max)
{
    struct slice *front = &q->slices[q->first];
    struct slice taken;
    if (front->size <= max) {
        taken = *front;
        q->first = --q->count ? q->first + 1 : 0;
    } else {
        taken = slice_take(front, max);
    }
    q->size -= taken.size;
    return taken;
}
