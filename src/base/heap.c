#include "base/heap.h"

#include "base/memory.h"
#include "base/spare.h"
#include <routed/error.h>
#include <stdalign.h>
#include <string.h>

/* In front of each block. */
struct size_note {
    alignas(max_align_t) size_t size;
};

/* Queues of as many streams as a client may open on one connection need less. */
#define RESERVE_SIZE 2048

int heap_keep_reserve(struct heap *heap)
{
    heap->reserve = memory_new(RESERVE_SIZE);
    return heap->reserve ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void heap_release(struct heap *heap)
{
    memory_free(heap->reserve);
    heap->reserve = NULL;
}

static void *note_size(struct heap *heap, struct size_note *note, size_t size)
{
    if (!note)
        return NULL;
    note->size = size;
    heap->held += size;
    return note + 1;
}

static void *take(struct heap *heap, size_t size)
{
    return heap->spare ? spare_take(heap->spare, size) : memory_new(size);
}

void *heap_new(size_t size, void *user)
{
    struct heap *heap = user;
    size_t whole = size + sizeof(struct size_note);
    return whole < size ? NULL : note_size(heap, take(heap, whole), whole);
}

void *heap_new_zeroed(size_t count, size_t size, void *user)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *block = heap_new(count * size, user);
    if (block)
        memset(block, 0, count * size);
    return block;
}

void heap_free(void *block, void *user)
{
    struct heap *heap = user;
    if (!block)
        return;
    struct size_note *note = (struct size_note *)block - 1;
    heap->held -= note->size;
    if (heap->spare)
        spare_give(heap->spare, note, note->size);
    else
        memory_free(note);
}

static void *resize_from_reserve(struct heap *heap, struct size_note *old, size_t whole)
{
    struct size_note *note = heap->reserve;
    if (!note || whole > RESERVE_SIZE)
        return NULL;
    heap->reserve = NULL;
    heap->is_exhausted = true;
    void *block = note_size(heap, note, whole);
    if (!old)
        return block;
    memcpy(block, old + 1, (old->size < whole ? old->size : whole) - sizeof(*old));
    heap_free(old + 1, heap);
    return block;
}

void *heap_resize(void *block, size_t size, void *user)
{
    struct heap *heap = user;
    size_t whole = size + sizeof(struct size_note);
    if (whole < size)
        return NULL;
    if (!block) {
        block = heap_new(size, user);
        return block ? block : resize_from_reserve(heap, NULL, whole);
    }
    struct size_note *note = (struct size_note *)block - 1;
    size_t before = note->size;
    struct size_note *moved = memory_resize(note, heap->spare ? spare_capacity(whole) : whole);
    if (!moved)
        return resize_from_reserve(heap, note, whole);
    heap->held -= before;
    return note_size(heap, moved, whole);
}
