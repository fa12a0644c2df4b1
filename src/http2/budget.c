#include "http2/budget.h"

#include <nghttp2/nghttp2.h>
#include <routed/error.h>

/* A client gives window back for the stream and for the connection. */
#define UPDATES_A_FRAME 2
#define UPDATES_MAX     10000

static int take(struct bucket *b, const struct bucket_rate *rate, milliseconds now, int error)
{
    return bucket_take(b, rate, now) ? ROUTED_OK : error;
}

static int take_glitch(struct http2_budget *b, const struct http2_limits *limits, milliseconds now)
{
    return take(&b->glitches, &limits->glitches, now, ROUTED_ERROR_HTTP2_GLITCHES);
}

void http2_budget_init(struct http2_budget *b, const struct http2_limits *limits, milliseconds now)
{
    *b = (struct http2_budget){
        .resets = bucket_full(&limits->resets, now),
        .glitches = bucket_full(&limits->glitches, now),
        .small_data = bucket_full(&limits->small_data, now),
    };
}

static int take_data(struct http2_budget *b, const struct http2_limits *limits, milliseconds now,
                     const struct http2_frame *frame)
{
    bool is_first = b->first_data > 0;
    if (is_first)
        b->first_data--;
    if (frame->flags & NGHTTP2_FLAG_END_STREAM)
        return ROUTED_OK;
    if (frame->size == 0)
        return take_glitch(b, limits, now);
    if (frame->size < limits->small_data_below && !is_first)
        return take(&b->small_data, &limits->small_data, now, ROUTED_ERROR_HTTP2_SMALL_FRAMES);
    return ROUTED_OK;
}

int http2_budget_take_frame(struct http2_budget *b, const struct http2_limits *limits,
                            milliseconds now, const struct http2_frame *frame)
{
    switch (frame->type) {
    case NGHTTP2_DATA:
        return take_data(b, limits, now, frame);
    case NGHTTP2_HEADERS:
        b->carried += frame->size;
        b->continuations = 0;
        if (!(frame->flags & NGHTTP2_FLAG_END_STREAM) && b->first_data < limits->streams_max)
            b->first_data++;
        return ROUTED_OK;
    case NGHTTP2_CONTINUATION:
        b->carried += frame->size;
        return ++b->continuations > limits->continuations_max ? ROUTED_ERROR_HTTP2_CONTINUATIONS
                                                              : ROUTED_OK;
    case NGHTTP2_RST_STREAM:
        return http2_budget_take_reset(b, limits, now);
    case NGHTTP2_WINDOW_UPDATE:
        if (b->updates == 0)
            return take_glitch(b, limits, now);
        b->updates--;
        return ROUTED_OK;
    default:
        return take_glitch(b, limits, now);
    }
}

int http2_budget_take_reset(struct http2_budget *b, const struct http2_limits *limits,
                            milliseconds now)
{
    return take(&b->resets, &limits->resets, now, ROUTED_ERROR_HTTP2_RESETS);
}

void http2_budget_sent(struct http2_budget *b, size_t content)
{
    b->carried += content;
    if (b->updates < UPDATES_MAX)
        b->updates += UPDATES_A_FRAME;
}

bool http2_budget_is_low(const struct http2_budget *b, const struct http2_limits *limits)
{
    return bucket_is_low(&b->resets, &limits->resets);
}

bool http2_budget_is_overhead(const struct http2_budget *b, const struct http2_limits *limits,
                              uint64_t received)
{
    return received / limits->overhead_share > b->carried + limits->overhead_slack;
}
