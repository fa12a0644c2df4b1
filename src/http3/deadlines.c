#include "http3/deadlines.h"

#include "base/memory.h"
#include <routed/error.h>

#define START_SIZE 64

int http3_deadlines_reserve(struct http3_deadlines *d, size_t count)
{
    size_t capacity = d->capacity ? d->capacity : START_SIZE;
    while (capacity < count)
        capacity *= 2;
    if (capacity == d->capacity)
        return ROUTED_OK;
    struct http3_deadline **items = memory_resize(d->items, capacity * sizeof(*items));
    if (!items)
        return ROUTED_ERROR_MEMORY;
    d->items = items;
    d->capacity = capacity;
    return ROUTED_OK;
}

void http3_deadlines_release(struct http3_deadlines *d)
{
    memory_free(d->items);
}

static void place(struct http3_deadlines *d, struct http3_deadline *item, size_t at)
{
    d->items[at - 1] = item;
    item->place = at;
}

static void rise(struct http3_deadlines *d, struct http3_deadline *item)
{
    size_t at = item->place;
    for (; at > 1 && d->items[at / 2 - 1]->at > item->at; at /= 2)
        place(d, d->items[at / 2 - 1], at);
    place(d, item, at);
}

static void sink(struct http3_deadlines *d, struct http3_deadline *item)
{
    size_t at = item->place;
    for (size_t child; (child = 2 * at) <= d->count; at = child) {
        if (child < d->count && d->items[child]->at < d->items[child - 1]->at)
            child++;
        if (d->items[child - 1]->at >= item->at)
            break;
        place(d, d->items[child - 1], at);
    }
    place(d, item, at);
}

static void take_out(struct http3_deadlines *d, struct http3_deadline *item)
{
    struct http3_deadline *last = d->items[--d->count];
    if (last != item) {
        place(d, last, item->place);
        rise(d, last);
        sink(d, last);
    }
    item->place = 0;
}

void http3_deadlines_set(struct http3_deadlines *d, struct http3_deadline *item, nanoseconds at)
{
    item->at = at;
    if (at == CLOCK_NEVER) {
        if (item->place)
            take_out(d, item);
        return;
    }
    if (!item->place)
        place(d, item, ++d->count);
    rise(d, item);
    sink(d, item);
}

struct http3_deadline *http3_deadlines_first(const struct http3_deadlines *d)
{
    return d->count ? d->items[0] : NULL;
}
