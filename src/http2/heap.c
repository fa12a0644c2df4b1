#include "http2/heap.h"

#include "base/memory.h"
#include <routed/error.h>
#include <stdalign.h>
#include <string.h>

/* In front of each block. */
struct size_note {
    alignas(max_align_t) size_t size;
};

/* Queues of as many streams as a client may open need less. */
#define RESERVE_SIZE 2048

int http2_heap_init(struct http2_heap *heap, struct spare *spare)
{
    *heap = (struct http2_heap){.spare = spare, .reserve = memory_new(RESERVE_SIZE)};
    return heap->reserve ? ROUTED_OK : ROUTED_ERROR_MEMORY;
}

void http2_heap_release(struct http2_heap *heap)
{
    memory_free(heap->reserve);
    heap->reserve = NULL;
}

static void *note_size(struct http2_heap *heap, struct size_note *note, size_t size)
{
    if (!note)
        return NULL;
    note->size = size;
    heap->held += size;
    return note + 1;
}

static void *heap_new(size_t size, void *user)
{
    struct http2_heap *heap = user;
    size_t whole = size + sizeof(struct size_note);
    return whole < size ? NULL : note_size(heap, spare_take(heap->spare, whole), whole);
}

static void *heap_new_zeroed(size_t count, size_t size, void *user)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    void *block = heap_new(count * size, user);
    if (block)
        memset(block, 0, count * size);
    return block;
}

static void heap_free(void *block, void *user)
{
    struct http2_heap *heap = user;
    if (!block)
        return;
    struct size_note *note = (struct size_note *)block - 1;
    heap->held -= note->size;
    spare_give(heap->spare, note, note->size);
}

static void *resize_from_reserve(struct http2_heap *heap, struct size_note *old, size_t whole)
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

static void *heap_resize(void *block, size_t size, void *user)
{
    struct http2_heap *heap = user;
    size_t whole = size + sizeof(struct size_note);
    if (whole < size)
        return NULL;
    if (!block) {
        block = heap_new(size, user);
        return block ? block : resize_from_reserve(heap, NULL, whole);
    }
    struct size_note *note = (struct size_note *)block - 1;
    size_t before = note->size;
    struct size_note *moved = memory_resize(note, spare_capacity(whole));
    if (!moved)
        return resize_from_reserve(heap, note, whole);
    heap->held -= before;
    return note_size(heap, moved, whole);
}

nghttp2_mem http2_heap_allocator(struct http2_heap *heap)
{
    return (nghttp2_mem){.mem_user_data = heap,
                         .malloc = heap_new,
                         .free = heap_free,
                         .calloc = heap_new_zeroed,
                         .realloc = heap_resize};
}
