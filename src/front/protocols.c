#include "front/protocols.h"

#include <stdio.h>

#define ADVERTISED_SECONDS 86400

static size_t bounded(uint64_t limit)
{
    return limit > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)limit;
}

static uint32_t bounded_word(uint64_t limit)
{
    return limit > INT32_MAX ? INT32_MAX : (uint32_t)limit;
}

/* A rate without a limit is none that a client could miss. */
static uint32_t rate_of(const routed_limits *limits)
{
    return limits->rate == ROUTED_NO_LIMIT ? 0 : bounded_word(limits->rate);
}

/* With what windows begin with it makes no more than HTTP/2 can tell (RFC 9113 section 6.9.1). */
static size_t bounded_growth(uint64_t limit)
{
    return limit > INT32_MAX / 2 ? INT32_MAX / 2 : (size_t)limit;
}

static struct http1_session_options http1_options(struct front_worker *w, struct span scheme)
{
    const routed_limits *limits = &w->shared->limits;
    return (struct http1_session_options){
        .limits = {.request_line_max = bounded(limits->request_line),
                   .field_line_max = bounded(limits->field_line),
                   .fields_bytes_max = bounded(limits->fields_bytes),
                   .fields_count_max = bounded(limits->fields_count),
                   .chunk_extension_max = bounded(limits->chunk_extension),
                   .chunk_extensions_max = bounded(limits->chunk_extensions),
                   .chunk_overhead_max = bounded(limits->chunk_overhead),
                   .content_max = (int64_t)bounded(limits->content)},
        .pipeline_depth = bounded(limits->pipelined),
        .linger_max = bounded(limits->unread_content),
        .response_window = bounded(limits->window),
        .scheme = scheme,
        .spare = &w->http1_spare,
        .date = w->date};
}

/* HTTP/3 tells clients of it in a number of 62 bits (RFC 9114 section 7.2.4.1). */
static size_t bounded_section(uint64_t limit)
{
    const uint64_t most = (UINT64_C(1) << 62) - 1;
    return bounded(limit < most ? limit : most);
}

static struct http_head_limits head_limits(const routed_limits *limits, uint64_t fields_count_hard)
{
    return (struct http_head_limits){.target_max = bounded(limits->request_line),
                                     .field_max = bounded(limits->field_line),
                                     .fields_count_max = bounded(limits->fields_count),
                                     .fields_count_hard = bounded(fields_count_hard),
                                     .fields_bytes_max = bounded_section(limits->fields_bytes),
                                     .content_max = (int64_t)bounded(limits->content)};
}

static struct http2_session_options http2_options(struct front_worker *w, struct span scheme)
{
    const routed_limits *limits = &w->shared->limits;
    struct http2_session_options options = HTTP2_SESSION_OPTIONS_DEFAULT;
    struct http2_limits *own = &options.limits;
    own->head = head_limits(limits, limits->http2_fields_count);
    own->streams_max = bounded_word(limits->http2_streams);
    own->resets.burst = bounded_word(limits->http2_resets);
    own->glitches.burst = bounded_word(limits->http2_glitches);
    own->small_data.burst = bounded_word(limits->http2_small_frames);
    own->continuations_max = bounded_word(limits->http2_continuations);
    own->overhead_slack = bounded(limits->http2_overhead);
    own->upload_growth = bounded_growth(limits->upload_growth);
    own->send_rate = rate_of(limits);
    own->send_grace = bounded_word(limits->rate_grace);
    options.scheme = scheme;
    options.response_window = bounded(limits->window);
    options.date = w->date;
    options.now = &w->now;
    options.spare = &w->blocks;
    return options;
}

/* A table without room for an entry is none. */
static uint32_t table_size(uint64_t limit)
{
    return limit < HTTP3_TABLE_ENTRY ? 0 : bounded_word(limit);
}

static struct http3_session_options http3_options(struct front_worker *w)
{
    const routed_limits *limits = &w->shared->limits;
    struct http3_session_options options = HTTP3_SESSION_OPTIONS_DEFAULT;
    struct http3_limits *own = &options.limits;
    own->head = head_limits(limits, limits->http3_fields_count);
    own->streams_max = bounded_word(limits->http3_streams);
    own->stream_window = bounded_word(limits->http3_stream_window);
    own->connection_window = bounded_word(limits->http3_connection_window);
    own->table_max = table_size(limits->http3_table);
    own->blocked_max = bounded_word(limits->http3_blocked_streams);
    own->answer_table_max = table_size(limits->http3_answer_table);
    own->resets.burst = bounded_word(limits->http3_resets);
    own->glitches.burst = bounded_word(limits->http3_glitches);
    own->small_data.burst = bounded_word(limits->http3_small_frames);
    own->send_rate = rate_of(limits);
    own->send_grace = bounded_word(limits->rate_grace);
    own->upload_growth = bounded_growth(limits->upload_growth);
    own->unacknowledged_max = bounded(limits->http3_unacknowledged);
    options.response_window = bounded(limits->window);
    options.date = w->date;
    options.now = &w->now;
    options.spare = &w->blocks;
    return options;
}

void front_protocols_init(struct front_worker *w)
{
    w->http1 = http1_options(w, SPAN("http"));
    w->http1.has_http2 = w->shared->has_http2;
    w->https1 = http1_options(w, SPAN("https"));
    w->http2 = http2_options(w, SPAN("http"));
    w->https2 = http2_options(w, SPAN("https"));
    w->http3 = http3_options(w);
}

static void tell(struct front_worker *w, const char *text)
{
    w->https1.alt_svc = w->https2.alt_svc = span_from(text);
}

void front_protocols_advertise(struct front_worker *w, uint16_t port)
{
    snprintf(w->alt_svc, sizeof(w->alt_svc), "h3=\":%u\"; ma=%d", (unsigned)port,
             ADVERTISED_SECONDS);
    if (!w->shared->quic_state)
        tell(w, w->alt_svc);
}

void front_protocols_follow(struct front_worker *w)
{
    enum front_quic_state state = atomic_load_explicit(w->shared->quic_state, memory_order_relaxed);
    if (state == w->quic_told || !*w->alt_svc)
        return;
    w->quic_told = state;
    tell(w, state == FRONT_QUIC_UP ? w->alt_svc : state == FRONT_QUIC_LOST ? "clear" : "");
}
