#include "http2/order.h"

#include <nghttp2/nghttp2.h>

static uint64_t *word_of(struct http2_order *o, uint32_t stream)
{
    return &o->ended[stream / 2 % HTTP2_ORDER_KEPT / 64];
}

static uint64_t bit_of(uint32_t stream)
{
    return (uint64_t)1 << (stream / 2 % 64);
}

static bool is_remembered(const struct http2_order *o, uint32_t stream)
{
    return stream <= o->newest && o->newest - stream < 2 * HTTP2_ORDER_KEPT;
}

static bool has_ended(struct http2_order *o, uint32_t stream)
{
    return is_remembered(o, stream) && (*word_of(o, stream) & bit_of(stream));
}

/* Opening a stream closes those below it that were never open. */
static void open(struct http2_order *o, uint32_t stream)
{
    if (stream > o->newest + 2) {
        o->skipped_from = o->newest + 1;
        o->skipped_to = stream - 1;
    }
    if (stream - o->newest >= 2 * HTTP2_ORDER_KEPT)
        memset(o->ended, 0, sizeof(o->ended));
    else
        for (uint32_t s = o->newest + 2; s <= stream; s += 2)
            *word_of(o, s) &= ~bit_of(s);
    o->newest = stream;
}

static uint32_t take_headers(struct http2_order *o, uint32_t stream)
{
    if (has_ended(o, stream))
        return NGHTTP2_STREAM_CLOSED;
    if (o->skipped_from && stream >= o->skipped_from && stream <= o->skipped_to)
        return NGHTTP2_PROTOCOL_ERROR;
    if (stream > o->newest)
        open(o, stream);
    return NGHTTP2_NO_ERROR;
}

static void end(struct http2_order *o, uint32_t stream)
{
    if (is_remembered(o, stream))
        *word_of(o, stream) |= bit_of(stream);
}

uint32_t http2_order_take(struct http2_order *o, const struct http2_frame *frame)
{
    uint32_t code = NGHTTP2_NO_ERROR;
    if (frame->type == NGHTTP2_PRIORITY && frame->stream == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    if (frame->stream % 2 == 0)
        return NGHTTP2_NO_ERROR;
    if (frame->type == NGHTTP2_HEADERS)
        code = take_headers(o, frame->stream);
    else if (frame->type == NGHTTP2_DATA && has_ended(o, frame->stream))
        code = NGHTTP2_STREAM_CLOSED;
    else if (frame->type == NGHTTP2_PRIORITY && frame->depends_on == frame->stream)
        code = NGHTTP2_PROTOCOL_ERROR;
    bool is_data = frame->type == NGHTTP2_HEADERS || frame->type == NGHTTP2_DATA;
    if (frame->type == NGHTTP2_RST_STREAM || (is_data && (frame->flags & NGHTTP2_FLAG_END_STREAM)))
        end(o, frame->stream);
    return code;
}
