#include "base/arena.h"

#include "base/memory.h"

#define CHUNK_SIZE 2048

struct arena_chunk {
    struct arena_chunk *next;
    size_t capacity;
    alignas(max_align_t) uint8_t data[];
};

static void use_chunk(struct arena *a, struct arena_chunk *chunk)
{
    a->current = chunk;
    a->next = chunk ? chunk->data : NULL;
    a->left = chunk ? chunk->capacity : 0;
}

void *arena_grow(struct arena *a, size_t size)
{
    size_t alignment = alignof(max_align_t);
    if (size > SIZE_MAX - alignment - sizeof(struct arena_chunk))
        return NULL;
    size_t needed = (size + alignment - 1) & ~(alignment - 1);
    size_t usual = CHUNK_SIZE - sizeof(struct arena_chunk);
    size_t capacity = needed > usual ? needed : usual;
    struct arena_chunk *chunk = memory_new(sizeof(*chunk) + capacity);
    if (!chunk)
        return NULL;
    chunk->next = NULL;
    chunk->capacity = capacity;
    if (a->current)
        a->current->next = chunk;
    else
        a->first = chunk;
    use_chunk(a, chunk);
    return arena_new(a, size);
}

struct span arena_copy(struct arena *a, struct span s)
{
    uint8_t *copy = arena_new(a, s.size);
    if (!copy)
        return SPAN_EMPTY;
    if (s.size)
        memcpy(copy, s.data, s.size);
    return span_of(copy, s.size);
}

char *arena_text(struct arena *a, struct span s)
{
    char *copy = arena_new(a, s.size + 1);
    if (!copy)
        return NULL;
    if (s.size)
        memcpy(copy, s.data, s.size);
    copy[s.size] = '\0';
    return copy;
}

static void free_after(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        memory_free(chunk);
        chunk = next;
    }
}

void arena_reset(struct arena *a)
{
    if (a->first) {
        free_after(a->first->next);
        a->first->next = NULL;
    }
    use_chunk(a, a->first);
}

void arena_release(struct arena *a)
{
    free_after(a->first);
    *a = ARENA_EMPTY;
}
