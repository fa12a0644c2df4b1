/* http2/spare.h: blocks that nghttp2 gave back, for the sessions of one worker to use again.
 *
 * nghttp2 asks for a few small blocks with every request. They come in classes of 64 bytes; what is
 * larger is not kept. One thread. */
#ifndef HTTP2_SPARE_H
#define HTTP2_SPARE_H

#include <stddef.h>

#define HTTP2_SPARE_CLASS     64
#define HTTP2_SPARE_BLOCK_MAX 1024
#define HTTP2_SPARE_MAX       262144 /* bytes kept */

struct http2_spare_block;

struct http2_spare {
    struct http2_spare_block *blocks[HTTP2_SPARE_BLOCK_MAX / HTTP2_SPARE_CLASS];
    size_t held; /* bytes; the zeroed struct holds none */
};

/* Frees all that is kept; it may be filled again. */
void http2_spare_release(struct http2_spare *p);

/* At least `size` bytes, which is above zero; NULL: no memory. */
void *http2_spare_take(struct http2_spare *p, size_t size);
/* `size` as it was asked for. */
void http2_spare_give(struct http2_spare *p, void *block, size_t size);

/* How large a block for `size` bytes is. */
static inline size_t http2_spare_capacity(size_t size)
{
    size_t whole = (size + HTTP2_SPARE_CLASS - 1) / HTTP2_SPARE_CLASS * HTTP2_SPARE_CLASS;
    return size <= HTTP2_SPARE_BLOCK_MAX ? whole : size;
}

#endif
