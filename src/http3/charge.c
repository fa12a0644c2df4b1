#include "http3/state.h"

#include <routed/error.h>

void http3_charge_reset(struct http3_session *s, struct http3_stream *t)
{
    const struct bucket_rate *rate = &s->options->limits.resets;
    if (t && t->is_charged)
        return;
    if (t)
        t->is_charged = true;
    if (!bucket_take(&s->resets, rate, *s->options->now))
        http3_session_break(s, ROUTED_ERROR_HTTP2_RESETS, NGHTTP3_H3_EXCESSIVE_LOAD);
    else if (bucket_is_low(&s->resets, rate))
        s->is_shut = true;
}

void http3_charge_glitch(struct http3_session *s)
{
    if (!bucket_take(&s->glitches, &s->options->limits.glitches, *s->options->now))
        http3_session_break(s, ROUTED_ERROR_HTTP2_GLITCHES, NGHTTP3_H3_EXCESSIVE_LOAD);
}

void http3_charge_unknown(struct http3_session *s, uint64_t size)
{
    http3_charge_glitch(s);
    if (size > HTTP3_UNKNOWN_SIZE_MAX)
        http3_session_break(s, ROUTED_ERROR_BUDGET, NGHTTP3_H3_EXCESSIVE_LOAD);
}

bool http3_charge_is_over_memory(const struct http3_session *s)
{
    const struct http3_limits *limits = &s->options->limits;
    uint64_t allowed = s->session.bytes_in * limits->memory_share + limits->memory_slack +
                       s->stream_most * HTTP3_STREAM_COST + s->idle_memory;
    return s->heap.held + http_heads_memory(&s->heads) + s->held_memory > allowed;
}
