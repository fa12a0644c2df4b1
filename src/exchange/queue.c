#include "exchange/queue.h"

#include "base/memory.h"
#include <routed/error.h>

#define FIRST_CAPACITY 4

void exchange_queue_release(struct exchange_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        slice_release(&q->slices[q->first + i]);
    memory_free(q->slices);
    *q = (struct exchange_queue){0};
}

void exchange_queue_reset(struct exchange_queue *q)
{
    if (q->capacity > FIRST_CAPACITY) {
        exchange_queue_release(q);
        return;
    }
    for (size_t i = 0; i < q->count; i++)
        slice_release(&q->slices[q->first + i]);
    q->first = q->count = q->size = 0;
}

static bool make_room(struct exchange_queue *q)
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

int exchange_queue_append(struct exchange_queue *q, struct slice slice)
{
    if (!make_room(q)) {
        slice_release(&slice);
        return ROUTED_ERROR_MEMORY;
    }
    q->slices[q->first + q->count++] = slice;
    q->size += slice.size;
    return ROUTED_OK;
}

struct slice exchange_queue_take(struct exchange_queue *q, size_t max)
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
