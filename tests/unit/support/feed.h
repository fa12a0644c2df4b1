/* Input of sessions, in exactly sized heap copies, so that a read beyond it is caught. */
#ifndef UNIT_SUPPORT_FEED_H
#define UNIT_SUPPORT_FEED_H

#include "base/slice.h"
#include "exchange/session.h"
#include <stdlib.h>
#include <string.h>

/* Returns what the session took. */
static inline size_t feed_copy(struct session *s, struct span bytes, bool from_block)
{
    size_t taken;
    if (from_block) {
        struct block *block = block_new(bytes.size);
        memcpy(block_data(block), bytes.data, bytes.size);
        taken = s->ops->feed(s, block, span_of(block_data(block), bytes.size));
        block_release(block);
    } else {
        uint8_t *copy = malloc(bytes.size);
        memcpy(copy, bytes.data, bytes.size);
        taken = s->ops->feed(s, NULL, span_of(copy, bytes.size));
        free(copy);
    }
    return taken;
}

#endif
