#include "http2/heap.h"

#include "base/memory.h"
#include <stdalign.h>
#include <string.h>

/* In front of each block. */
struct size_note {
    alignas(max_align_t) size_t size;
};

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
    size_t whole = size + sizeof(struct size_note);
    return whole < size ? NULL : note_size(user, memory_new(whole), whole);
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
    memory_free(note);
}

static void *heap_resize(void *block, size_t size, void *user)
{
    struct http2_heap *heap = user;
    size_t whole = size + sizeof(struct size_note);
    if (!block)
        return heap_new(size, user);
    if (whole < size)
        return NULL;
    struct size_note *note = (struct size_note *)block - 1;
    size_t before = note->size;
    struct size_note *moved = memory_resize(note, whole);
    if (!moved)
        return NULL;
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
