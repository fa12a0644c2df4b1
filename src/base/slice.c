#include "base/slice.h"

#include "base/memory.h"
#include <stdatomic.h>

struct block {
    atomic_size_t references;
    size_t capacity;
    uint8_t data[];
};

struct block *block_new(size_t capacity)
{
    if (capacity > SIZE_MAX - sizeof(struct block))
        return NULL;
    struct block *b = memory_new(sizeof(*b) + capacity);
    if (!b)
        return NULL;
    atomic_init(&b->references, 1);
    b->capacity = capacity;
    return b;
}

uint8_t *block_data(struct block *b)
{
    return b->data;
}

size_t block_capacity(const struct block *b)
{
    return b->capacity;
}

void block_retain(struct block *b)
{
    atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
}

void block_release(struct block *b)
{
    if (b && atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) == 1)
        memory_free(b);
}

bool block_is_unshared(const struct block *b)
{
    return atomic_load_explicit(&b->references, memory_order_acquire) == 1;
}

struct slice slice_of_block(struct block *b, size_t from, size_t size)
{
    block_retain(b);
    return (struct slice){b, b->data + from, size};
}

struct slice slice_copy(struct span s)
{
    if (s.size == 0)
        return SLICE_EMPTY;
    struct block *b = block_new(s.size);
    if (!b)
        return SLICE_EMPTY;
    memcpy(b->data, s.data, s.size);
    return (struct slice){b, b->data, s.size};
}

struct slice slice_copy_spare(struct block **spare, struct span s)
{
    if (s.size == 0 || s.size > SLICE_SPARE_SIZE)
        return slice_copy(s);
    if (!*spare)
        *spare = block_new(SLICE_SPARE_SIZE);
    if (!*spare || !block_is_unshared(*spare))
        return slice_copy(s);
    memcpy((*spare)->data, s.data, s.size);
    return slice_of_block(*spare, 0, s.size);
}

struct slice slice_retain(struct slice s)
{
    if (s.block)
        block_retain(s.block);
    return s;
}

void slice_release(struct slice *s)
{
    block_release(s->block);
    *s = SLICE_EMPTY;
}

struct slice slice_take(struct slice *s, size_t size)
{
    struct slice front = slice_retain(*s);
    front.size = size;
    s->data += size;
    s->size -= size;
    return front;
}
