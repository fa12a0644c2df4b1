#include "http2/frames.h"

/* RFC 9113 section 6. */
#define TYPE_HEADERS      0x01
#define TYPE_PRIORITY     0x02
#define TYPE_CONTINUATION 0x09
#define FLAG_END_HEADERS  0x04

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)(bytes[0] & 0x7f) << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           bytes[3];
}

static uint32_t payload_size(const struct http2_frames *f)
{
    return (uint32_t)f->head[0] << 16 | (uint32_t)f->head[1] << 8 | f->head[2];
}

/* Of the bytes that say what the frame is. */
static size_t wanted_size(const struct http2_frames *f)
{
    bool is_priority = f->head_size >= HTTP2_FRAME_HEAD && f->head[3] == TYPE_PRIORITY;
    return is_priority && payload_size(f) >= 4 ? HTTP2_FRAME_HEAD + 4 : HTTP2_FRAME_HEAD;
}

/* False when the bytes end before it is whole. */
static bool read_head(struct http2_frames *f, struct span *bytes)
{
    while (f->head_size < wanted_size(f)) {
        size_t size = smaller(wanted_size(f) - f->head_size, bytes->size);
        if (size == 0)
            return false;
        memcpy(f->head + f->head_size, bytes->data, size);
        *bytes = span_after(*bytes, size);
        f->head_size = (uint8_t)(f->head_size + size);
    }
    return true;
}

bool http2_frames_next(struct http2_frames *f, struct span *bytes, struct http2_frame *frame)
{
    size_t skipped = smaller(f->skip, bytes->size);
    *bytes = span_after(*bytes, skipped);
    f->skip -= skipped;
    if (f->skip)
        return false;
    if (!read_head(f, bytes))
        return false;
    bool has_more = f->head_size > HTTP2_FRAME_HEAD;
    *frame = (struct http2_frame){.size = payload_size(f),
                                  .type = f->head[3],
                                  .flags = f->head[4],
                                  .stream = number_at(f->head + 5),
                                  .depends_on = has_more ? number_at(f->head + 9) : 0,
                                  .looked_at = f->head_size};
    f->skip = frame->size - (f->head_size - (size_t)HTTP2_FRAME_HEAD);
    f->head_size = 0;
    f->is_field_frame = frame->type == TYPE_HEADERS || frame->type == TYPE_CONTINUATION;
    f->in_block = f->is_field_frame && !(frame->flags & FLAG_END_HEADERS);
    return true;
}
