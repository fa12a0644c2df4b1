/* base/spare.h: blocks that were given back, for the next who asks.
 *
 * A library such as nghttp2 asks for a few small blocks with every request. They come in classes of
 * 64 bytes; what is larger is not kept. One thread. */
#ifndef SPARE_H
#define SPARE_H

#include <stddef.h>

#define SPARE_CLASS     64
#define SPARE_BLOCK_MAX 1024
#define SPARE_MAX       1048576 /* bytes kept */

struct spare_block;

struct spare {
    struct spare_block *blocks[SPARE_BLOCK_MAX / SPARE_CLASS];
    size_t held; /* bytes; the zeroed struct holds none */
};

/* Frees all that is kept; it may be filled again. */
void spare_release(struct spare *p);

/* At least `size` bytes, which is above zero; NULL: no memory. */
void *spare_take(struct spare *p, size_t size);
/* `size` as it was asked for. */
void spare_give(struct spare *p, void *block, size_t size);

/* How large a block for `size` bytes is. */
static inline size_t spare_capacity(size_t size)
{
    size_t whole = (size + SPARE_CLASS - 1) / SPARE_CLASS * SPARE_CLASS;
    return size <= SPARE_BLOCK_MAX ? whole : size;
}

#endif
