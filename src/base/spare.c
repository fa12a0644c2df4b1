#include "base/spare.h"

#include "base/memory.h"

/* Its first bytes while it is not in use. */
struct spare_block {
    struct spare_block *next;
};

#define CLASS_COUNT (SPARE_BLOCK_MAX / SPARE_CLASS)

static size_t class_of(size_t size)
{
    return (size - 1) / SPARE_CLASS;
}

void spare_release(struct spare *p)
{
    for (size_t i = 0; i < CLASS_COUNT; i++) {
        while (p->blocks[i]) {
            struct spare_block *block = p->blocks[i];
            p->blocks[i] = block->next;
            memory_free(block);
        }
    }
    p->held = 0;
}

void *spare_take(struct spare *p, size_t size)
{
    size_t capacity = spare_capacity(size);
    size_t class = class_of(size);
    if (class >= CLASS_COUNT || !p->blocks[class])
        return memory_new(capacity);
    struct spare_block *block = p->blocks[class];
    p->blocks[class] = block->next;
    p->held -= capacity;
    return block;
}

void spare_give(struct spare *p, void *block, size_t size)
{
    size_t capacity = spare_capacity(size);
    size_t class = class_of(size);
    if (class >= CLASS_COUNT || p->held + capacity > SPARE_MAX) {
        memory_free(block);
        return;
    }
    struct spare_block *spare = block;
    spare->next = p->blocks[class];
    p->blocks[class] = spare;
    p->held += capacity;
}
