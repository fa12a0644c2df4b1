#include "http2/frames.h"

/* RFC 9113 section 6. */
#define TYPE_HEADERS      0x01
#define TYPE_CONTINUATION 0x09
#define FLAG_END_HEADERS  0x04

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

bool http2_frames_next(struct http2_frames *f, struct span *bytes, struct http2_frame *frame)
{
    size_t skipped = smaller(f->skip, bytes->size);
    *bytes = span_after(*bytes, skipped);
    f->skip -= skipped;
    if (f->skip)
        return false;
    size_t size = smaller(sizeof(f->head) - f->head_size, bytes->size);
    if (size)
        memcpy(f->head + f->head_size, bytes->data, size);
    *bytes = span_after(*bytes, size);
    f->head_size = (uint8_t)(f->head_size + size);
    if (f->head_size < sizeof(f->head))
        return false;
    frame->size = (uint32_t)f->head[0] << 16 | (uint32_t)f->head[1] << 8 | f->head[2];
    frame->type = f->head[3];
    frame->flags = f->head[4];
    frame->stream = (uint32_t)(f->head[5] & 0x7f) << 24 | (uint32_t)f->head[6] << 16 |
                    (uint32_t)f->head[7] << 8 | f->head[8];
    f->skip = frame->size;
    f->is_field_frame = frame->type == TYPE_HEADERS || frame->type == TYPE_CONTINUATION;
    f->in_block = f->is_field_frame && !(frame->flags & FLAG_END_HEADERS);
    f->head_size = 0;
    return true;
}
