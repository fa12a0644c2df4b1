/* base/heap.h: the memory that a library asks for, counted for one of its users.
 *
 * nghttp2 and nghttp3 take an allocator of four functions and a pointer; these are the functions,
 * a struct heap the pointer. What they hand out comes from base/memory.h, or from what was given
 * back before (base/spare.h).
 *
 * A library that cannot be trusted where memory ends may have a reserve: a resize that fails is
 * served once from it, and who sees is_exhausted calls the library no more. */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct spare;

struct heap {
    struct spare *spare; /* may be NULL; outlives the heap */
    size_t held;         /* bytes, with what it costs to count them; the reserve not */
    void *reserve;       /* NULL: none, or used */
    bool is_exhausted;   /* it was used */
};

/* The zeroed struct is an empty heap without a reserve. ROUTED_OK or ROUTED_ERROR_MEMORY. */
int heap_keep_reserve(struct heap *heap);
/* The reserve alone; blocks are given back one by one. */
void heap_release(struct heap *heap);

/* As malloc, calloc, free and realloc; the last argument is the struct heap. */
void *heap_new(size_t size, void *heap);
void *heap_new_zeroed(size_t count, size_t size, void *heap);
void heap_free(void *block, void *heap);
void *heap_resize(void *block, size_t size, void *heap);

#endif
