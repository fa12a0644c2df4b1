/* http2/heap.h: the memory that nghttp2 asks for, counted for one session; the blocks come from
 * what the worker keeps (base/spare.h).
 *
 * nghttp2 (seen in 1.52) frees a DATA frame that it goes on using when the queue of streams cannot
 * grow. So a resize that fails is served once from a reserve, and the session, which sees
 * is_exhausted, ends the connection without calling it again. */
#ifndef HTTP2_HEAP_H
#define HTTP2_HEAP_H

#include "base/spare.h"
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>

struct http2_heap {
    struct spare *spare;
    size_t held;       /* bytes, with what it costs to count them; the reserve not */
    void *reserve;     /* NULL once used */
    bool is_exhausted; /* it was */
};

/* ROUTED_OK or ROUTED_ERROR_MEMORY. */
int http2_heap_init(struct http2_heap *heap, struct spare *spare);
void http2_heap_release(struct http2_heap *heap);

/* What nghttp2_session_server_new3 wants; `heap` outlives the session. */
nghttp2_mem http2_heap_allocator(struct http2_heap *heap);

#endif
