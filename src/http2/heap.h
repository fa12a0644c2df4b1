/* http2/heap.h: the memory that nghttp2 asks for, counted for one session. */
#ifndef HTTP2_HEAP_H
#define HTTP2_HEAP_H

#include <nghttp2/nghttp2.h>
#include <stddef.h>

struct http2_heap {
    size_t held; /* bytes, with what it costs to count them */
};

/* What nghttp2_session_server_new3 wants; `heap` outlives the session. */
nghttp2_mem http2_heap_allocator(struct http2_heap *heap);

#endif
