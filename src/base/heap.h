/* base/heap.h: the memory that a protocol library asks for, counted for one owner: what nghttp2,
 * ngtcp2 and nghttp3 take as their allocator.
 *
 * nghttp2 (seen in 1.52) frees a DATA frame that it goes on using when the queue of streams cannot
 * grow. So a heap may have a reserve, from which a resize that fails is served once; the owner, who
 * sees is_exhausted, ends without calling the library again. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Zeros are a heap without a reserve. */
struct heap {
    size_t held;       /* bytes, with what it costs to count them; the reserve not */
    void *reserve;     /* NULL: none, or used */
    bool is_exhausted; /* it was used */
};

/* Keeps a reserve: ROUTED_OK or ROUTED_ERROR_MEMORY. */
int heap_init(struct heap *heap);
/* Frees the reserve; blocks belong to who asked for them. */
void heap_release(struct heap *heap);

/* The four calls of an allocator; `owner` is a struct heap. NULL: no memory. */
void *heap_new(size_t size, void *owner);
void *heap_new_array(size_t count, size_t size, void *owner); /* zeros */
void *heap_resize(void *block, size_t size, void *owner);
void heap_free(void *block, void *owner);

#endif
