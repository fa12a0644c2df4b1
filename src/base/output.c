#include "base/output.h"

#include "base/memory.h"
#include <routed/error.h>

#define FIRST_CAPACITY 8

void output_release(struct output *o)
{
    for (size_t i = 0; i < o->count; i++)
        slice_release(&o->pieces[o->first + i].slice);
    o->first = o->count = o->tail = o->size = 0;
    buffer_clear(&o->bytes);
    output_rest(o);
}

void output_rest(struct output *o)
{
    if (o->size)
        return;
    buffer_release(&o->bytes);
    memory_free(o->pieces);
    o->pieces = NULL;
    o->capacity = 0;
}

void output_hand_on(struct output *from, struct output *to)
{
    to->bytes = from->bytes;
    to->pieces = from->pieces;
    to->capacity = from->capacity;
    from->bytes = BUFFER_EMPTY;
    from->pieces = NULL;
    from->capacity = 0;
}

uint8_t *output_reserve(struct output *o, size_t size)
{
    return buffer_reserve(&o->bytes, size);
}

void output_commit(struct output *o, size_t size)
{
    buffer_commit(&o->bytes, size);
    o->tail += size;
    o->size += size;
}

int output_copy(struct output *o, struct span bytes)
{
    int error = buffer_append_span(&o->bytes, bytes);
    if (error)
        return error;
    o->tail += bytes.size;
    o->size += bytes.size;
    return ROUTED_OK;
}

static bool make_room(struct output *o)
{
    if (o->first + o->count < o->capacity)
        return true;
    if (o->first) {
        memmove(o->pieces, o->pieces + o->first, o->count * sizeof(*o->pieces));
        o->first = 0;
        return true;
    }
    size_t capacity = o->capacity ? o->capacity * 2 : FIRST_CAPACITY;
    struct output_piece *grown = memory_resize(o->pieces, capacity * sizeof(struct output_piece));
    if (!grown)
        return false;
    o->pieces = grown;
    o->capacity = capacity;
    return true;
}

int output_append(struct output *o, struct slice slice)
{
    if (slice.size <= OUTPUT_COPY_MAX) {
        int error = output_copy(o, slice_span(slice));
        slice_release(&slice);
        return error;
    }
    if (!make_room(o)) {
        slice_release(&slice);
        return ROUTED_ERROR_MEMORY;
    }
    o->pieces[o->first + o->count++] = (struct output_piece){o->tail, slice};
    o->tail = 0;
    o->size += slice.size;
    return ROUTED_OK;
}

size_t output_spans(const struct output *o, struct span *out, size_t max)
{
    struct span copied = buffer_span(&o->bytes);
    size_t count = 0;
    for (size_t i = 0; i < o->count && count < max; i++) {
        const struct output_piece *piece = &o->pieces[o->first + i];
        if (piece->copied) {
            out[count++] = span_of(copied.data, piece->copied);
            copied = span_after(copied, piece->copied);
        }
        if (count < max)
            out[count++] = slice_span(piece->slice);
        else
            return count;
    }
    if (o->tail && count < max)
        out[count++] = span_of(copied.data, o->tail);
    return count;
}

/* Takes from the front piece; returns how much. */
static size_t consume_piece(struct output *o, size_t size)
{
    struct output_piece *piece = &o->pieces[o->first];
    size_t copied = size < piece->copied ? size : piece->copied;
    buffer_consume(&o->bytes, copied);
    piece->copied -= copied;
    size_t sliced = size - copied < piece->slice.size ? size - copied : piece->slice.size;
    piece->slice.data += sliced;
    piece->slice.size -= sliced;
    if (piece->slice.size == 0) {
        slice_release(&piece->slice);
        o->first = --o->count ? o->first + 1 : 0;
    }
    return copied + sliced;
}

void output_consume(struct output *o, size_t size)
{
    o->size -= size;
    o->written += size;
    while (size && o->count)
        size -= consume_piece(o, size);
    buffer_consume(&o->bytes, size);
    o->tail -= size;
}
