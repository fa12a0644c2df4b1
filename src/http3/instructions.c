#include "http3/state.h"

#include <routed/error.h>

/* Our decoder stream (RFC 9204 section 4.4). nghttp3 begins it with its type and has nothing more
 * to say on it: what follows are the instructions of our own decoder. They are taken from it when
 * the last ones are in packets, so that those that wait are joined; nghttp3 bounds how many may. */

#define BLOCK_SIZE 512

/* In the block that is filled up before there is another. Nobody has a part of it when nothing is
 * queued. */
static uint8_t *find_room(struct http3_instructions *i, size_t size)
{
    if (i->queue.size == 0)
        i->filled = 0;
    if (!i->block || block_capacity(i->block) - i->filled < size) {
        block_release(i->block);
        i->block = block_new(size < BLOCK_SIZE ? BLOCK_SIZE : size);
        i->filled = 0;
    }
    return i->block ? block_data(i->block) + i->filled : NULL;
}

static int collect(struct http3_session *s)
{
    struct http3_instructions *i = &s->instructions;
    size_t size = nghttp3_qpack_decoder_get_decoder_streamlen(s->decoder);
    if (!size)
        return ROUTED_OK;
    uint8_t *room = find_room(i, size);
    if (!room)
        return ROUTED_ERROR_MEMORY;
    nghttp3_buf out = {.begin = room, .end = room + size, .pos = room, .last = room};
    nghttp3_qpack_decoder_write_decoder(s->decoder, &out);
    i->filled += size;
    return exchange_queue_append(&i->queue, slice_of_block(i->block, i->filled - size, size));
}

void http3_instructions_release(struct http3_session *s)
{
    exchange_queue_release(&s->instructions.queue);
    block_release(s->instructions.block);
    s->instructions.block = NULL;
}

struct span http3_instructions_next(struct http3_session *s)
{
    struct http3_instructions *i = &s->instructions;
    if (!i->has_type || i->is_window_full)
        return SPAN_EMPTY;
    if (i->sent == i->queue.size && collect(s)) {
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
        return SPAN_EMPTY;
    }
    size_t pending = i->queue.size - i->sent;
    if (!pending)
        return SPAN_EMPTY;
    const struct slice *last = &i->queue.slices[i->queue.first + i->queue.count - 1];
    return span_after(slice_span(*last), last->size - pending);
}

size_t http3_instructions_sent(struct http3_session *s, size_t bytes)
{
    struct http3_instructions *i = &s->instructions;
    if (!i->has_type) {
        i->has_type = bytes > 0;
        return bytes;
    }
    i->sent += bytes;
    return 0;
}

size_t http3_instructions_acknowledged(struct http3_session *s, size_t bytes)
{
    struct http3_instructions *i = &s->instructions;
    size_t type = bytes && !i->is_type_acknowledged;
    i->is_type_acknowledged |= type;
    for (size_t left = bytes - type; left;) {
        struct slice slice = exchange_queue_take(&i->queue, left);
        left -= slice.size;
        i->sent -= slice.size;
        slice_release(&slice);
    }
    return type;
}
