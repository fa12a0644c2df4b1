#include "http3/frames.h"

static void begin_number(struct http3_number *n, uint8_t first)
{
    *n = (struct http3_number){
        .value = first & 0x3f, .left = (uint8_t)(http3_number_size(first) - 1), .has_begun = true};
}

bool http3_number_read(struct http3_number *n, struct span *bytes)
{
    while (bytes->size && (!n->has_begun || n->left)) {
        uint8_t byte = bytes->data[0];
        *bytes = span_after(*bytes, 1);
        if (!n->has_begun) {
            begin_number(n, byte);
        } else {
            n->value = n->value << 8 | byte;
            n->left--;
        }
    }
    bool is_complete = n->has_begun && n->left == 0;
    if (is_complete)
        n->has_begun = false;
    return is_complete;
}

static enum http3_part take_payload(struct http3_frames *f, struct span *bytes,
                                    struct span *payload)
{
    if (bytes->size == 0)
        return HTTP3_PART_NONE;
    size_t size = f->left < bytes->size ? (size_t)f->left : bytes->size;
    *payload = span_part(*bytes, 0, size);
    *bytes = span_after(*bytes, size);
    f->left -= size;
    return HTTP3_PART_PAYLOAD;
}

enum http3_part http3_frames_next(struct http3_frames *f, struct span *bytes, struct span *payload)
{
    if (f->left)
        return take_payload(f, bytes, payload);
    if (!f->has_type) {
        if (!http3_number_read(&f->number, bytes))
            return HTTP3_PART_NONE;
        f->type = f->number.value;
        f->has_type = true;
    }
    if (!http3_number_read(&f->number, bytes))
        return HTTP3_PART_NONE;
    f->left = f->number.value;
    f->has_type = false;
    return HTTP3_PART_HEAD;
}

bool http3_frames_is_between(const struct http3_frames *f)
{
    return !f->number.has_begun && !f->has_type && f->left == 0;
}

bool http3_frames_is_http2(uint64_t type)
{
    return type == 0x02 || type == 0x06 || type == 0x08 || type == 0x09;
}
