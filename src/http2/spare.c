#include "http2/spare.h"

#include "base/memory.h"

/* Its first bytes while it is not in use. */
struct http2_spare_block {
    struct http2_spare_block *next;
};

#define CLASS_COUNT (HTTP2_SPARE_BLOCK_MAX / HTTP2_SPARE_CLASS)

static size_t class_of(size_t size)
{
    return (size - 1) / HTTP2_SPARE_CLASS;
}

void http2_spare_release(struct http2_spare *p)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        while (p->blocks[i]) {
            struct http2_spare_block *block = p->blocks[i];
            p->blocks[i] = block->next;
            memory_free(block);
        }
    }
    p->held = 0;
}

void *http2_spare_take(struct http2_spare *p, size_t size)
{
    size_t capacity = http2_spare_capacity(size);
    size_t class = class_of(size);
    if (class >= CLASS_COUNT || !p->blocks[class])
        return memory_new(capacity);
    struct http2_spare_block *block = p->blocks[class];
    p->blocks[class] = block->next;
    p->held -= capacity;
    return block;
}

void http2_spare_give(struct http2_spare *p, void *block, size_t size)
{
    size_t capacity = http2_spare_capacity(size);
    size_t class = class_of(size);
    if (class >= CLASS_COUNT || p->held + capacity > HTTP2_SPARE_MAX) {
        memory_free(block);
        return;
    }
    struct http2_spare_block *spare = block;
    spare->next = p->blocks[class];
    p->blocks[class] = spare;
    p->held += capacity;
}
