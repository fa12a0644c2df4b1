#include "http3/state.h"

#include "base/error.h"

/* ---- content ---- */

static void grant(struct http3_session *s, struct http3_stream *t, size_t bytes)
{
    if (bytes && !t->input_has_ended && !t->is_gone && !s->is_over)
        s->transport.grant_stream(s->transport.transport, t->id, bytes);
}

/* What the application took, and more where the window is what the client waits for. */
static void grant_taken(struct http3_session *s, struct http3_stream *t, size_t bytes)
{
    grant(s, t, bytes);
    if (!t->input_has_ended)
        grant(s, t, exchange_window_take(&t->window, &s->windows, &t->inlet, bytes));
}

void http3_receive_give_up(struct http3_session *s, struct http3_stream *t)
{
    grant(s, t, exchange_inlet_give_up(&t->inlet));
}

static void deliver_end(struct http3_session *s, struct http3_stream *t)
{
    struct field_list trailers;
    t->inlet.is_done = true;
    int error = http_head_read_trailers(&t->head, &t->exchange.arena, &trailers);
    if (!error)
        error = exchange_deliver_end(&t->exchange, trailers.count ? &trailers : NULL);
    if (error == ROUTED_ERROR_TRAILER)
        http3_request_is_malformed(s, t, NGHTTP3_H3_MESSAGE_ERROR);
    else if (error)
        exchange_outlet_fail(&t->exchange, error);
}

void http3_receive_deliver_held(struct http3_session *s, struct http3_stream *t)
{
    size_t taken = 0;
    int error = exchange_inlet_deliver(&t->inlet, &t->exchange, &taken);
    grant_taken(s, t, taken);
    if (error)
        exchange_outlet_fail(&t->exchange, error);
    else if (exchange_inlet_is_at_end(&t->inlet, &t->exchange))
        deliver_end(s, t);
}

static void receive_content(struct http3_session *s, struct http3_stream *t, struct span bytes)
{
    size_t taken = 0;
    s->arrivals.received += bytes.size;
    int error = exchange_inlet_receive(&t->inlet, &t->exchange, s->options->limits.head.content_max,
                                       NULL, bytes, &taken);
    grant_taken(s, t, taken);
    if (error)
        exchange_outlet_fail(&t->exchange, error);
}

/* ---- slow uploads ---- */

static void look_at_arrival(struct http3_session *s, struct http3_stream *t)
{
    if (t->wait != HTTP3_WAIT_BODY ||
        !exchange_arrival_is_late(&t->arrival, &t->exchange, &s->arrivals, *s->options->now))
        return;
    session_hit(&s->session, offsetof(routed_limits, rate));
    exchange_outlet_fail(&t->exchange, ROUTED_ERROR_TOO_SLOW);
}

void http3_receive_cut_starved(struct http3_session *s)
{
    if (s->is_over || !s->waits[HTTP3_WAIT_BODY] ||
        !exchange_arrivals_are_due(&s->arrivals, *s->options->now))
        return;
    s->arrivals.awaited = s->waits[HTTP3_WAIT_BODY];
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next)
        look_at_arrival(s, LIST_ITEM(l, struct http3_stream, link));
}

/* ---- frames ---- */

static void refuse_frame(struct http3_session *s)
{
    http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_FRAME_UNEXPECTED);
}

/* DATA frames under the limit, but for the first of each request and the last. */
static void charge_data(struct http3_session *s, struct http3_stream *t, bool is_last)
{
    const struct http3_limits *limits = &s->options->limits;
    bool is_first = !t->data_begun;
    t->data_begun = t->outlet.continued = true;
    if (is_last)
        return;
    if (t->frames.left == 0)
        http3_charge_glitch(s);
    else if (!is_first && t->frames.left < limits->small_data_below &&
             !bucket_take(&s->small_data, &limits->small_data, *s->options->now))
        http3_session_break(s, ROUTED_ERROR_HTTP2_SMALL_FRAMES, NGHTTP3_H3_EXCESSIVE_LOAD);
}

/* What was declared; a tunnel's bytes are no content (RFC 9114 section 4.4). */
static int64_t declared_length(const struct http3_stream *t)
{
    const struct http_request *request = &t->exchange.request;
    return request->upgrade == HTTP_UPGRADE_NONE ? request->content_length : HTTP_LENGTH_UNKNOWN;
}

static void begin_data(struct http3_session *s, struct http3_stream *t, bool is_last)
{
    int64_t declared = declared_length(t);
    if (t->expects != HTTP3_EXPECTS_CONTENT) {
        refuse_frame(s);
        return;
    }
    charge_data(s, t, is_last);
    if (declared != HTTP_LENGTH_UNKNOWN && t->frames.left > (uint64_t)declared - t->announced)
        http3_request_is_malformed(s, t, NGHTTP3_H3_MESSAGE_ERROR);
    else
        t->announced += t->frames.left;
}

static void begin_headers(struct http3_session *s, struct http3_stream *t)
{
    bool is_tunnel = t->exchange.request.upgrade != HTTP_UPGRADE_NONE;
    if (t->expects == HTTP3_EXPECTS_END || (t->expects == HTTP3_EXPECTS_CONTENT && is_tunnel))
        refuse_frame(s);
    else
        http3_request_begin_section(s, t);
}

static void begin_frame(struct http3_session *s, struct http3_stream *t, bool is_last)
{
    uint64_t type = t->frames.type;
    if (type == HTTP3_FRAME_DATA)
        begin_data(s, t, is_last);
    else if (type == HTTP3_FRAME_HEADERS)
        begin_headers(s, t);
    else if (type == HTTP3_FRAME_CANCEL_PUSH || type == HTTP3_FRAME_SETTINGS ||
             type == HTTP3_FRAME_PUSH_PROMISE || type == HTTP3_FRAME_GOAWAY ||
             type == HTTP3_FRAME_MAX_PUSH_ID || type == HTTP3_FRAME_PRIORITY_UPDATE ||
             type == HTTP3_FRAME_PRIORITY_UPDATE_PUSH || http3_frames_is_http2(type))
        refuse_frame(s);
    else
        http3_charge_unknown(s, t->frames.left);
}

/* A section that waits for the client's table keeps its rest waiting, and what stands behind it. */
static void receive_section(struct http3_session *s, struct http3_stream *t, struct span payload,
                            struct span *behind)
{
    struct span rest = http3_request_add_section(s, t, payload);
    grant(s, t, payload.size - rest.size);
    if (s->failure || !http3_state_is_waiting(t))
        return;
    t->frames.left += rest.size;
    http3_qpack_hold(s, t, span_of(rest.data, rest.size + behind->size));
    *behind = SPAN_EMPTY;
}

static void receive_payload(struct http3_session *s, struct http3_stream *t, struct span payload,
                            struct span *behind)
{
    if (t->frames.type == HTTP3_FRAME_DATA)
        receive_content(s, t, payload);
    else if (t->frames.type == HTTP3_FRAME_HEADERS)
        receive_section(s, t, payload, behind);
    else
        grant(s, t, payload.size);
}

static void receive_frames(struct http3_session *s, struct http3_stream *t, struct span bytes,
                           bool ends)
{
    struct span payload;
    enum http3_part part;
    size_t size = bytes.size;
    while (!s->failure && !t->is_ignored &&
           (part = http3_frames_next(&t->frames, &bytes, &payload)) != HTTP3_PART_NONE) {
        if (part == HTTP3_PART_HEAD) {
            grant(s, t, size - bytes.size);
            begin_frame(s, t, ends && t->frames.left == bytes.size);
        } else {
            receive_payload(s, t, payload, &bytes);
        }
        if (!s->failure && !t->is_ignored && t->frames.left == 0 &&
            t->frames.type == HTTP3_FRAME_HEADERS)
            http3_request_end_section(s, t, ends && bytes.size == 0);
        size = bytes.size;
    }
    grant(s, t, size);
}

/* ---- the end ---- */

static void receive_end(struct http3_session *s, struct http3_stream *t)
{
    int64_t declared = declared_length(t);
    if (!http3_frames_is_between(&t->frames))
        http3_session_break(s, ROUTED_ERROR_FRAMING, NGHTTP3_H3_FRAME_ERROR);
    else if (t->expects == HTTP3_EXPECTS_HEAD)
        http3_request_is_malformed(s, t, NGHTTP3_H3_REQUEST_INCOMPLETE);
    else if (declared != HTTP_LENGTH_UNKNOWN && t->announced != (uint64_t)declared)
        http3_request_is_malformed(s, t, NGHTTP3_H3_MESSAGE_ERROR);
    else
        t->inlet.has_ended = true;
    if (t->inlet.has_ended)
        http3_receive_deliver_held(s, t);
}

static void receive(struct http3_session *s, struct http3_stream *t, struct span bytes)
{
    receive_frames(s, t, bytes, t->input_has_ended);
    if (!t->input_has_ended || s->failure || t->is_ignored || http3_state_is_waiting(t))
        return;
    t->is_read = true;
    receive_end(s, t);
}

void http3_receive(struct http3_session *s, int64_t id, struct span bytes, bool ends)
{
    struct http3_stream *t = http3_streams_find(s, id);
    if (!t)
        t = http3_streams_take(s, id);
    if (!t) {
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
        return;
    }
    t->input_has_ended |= ends;
    http3_state_is_due(s, t);
    if (http3_state_is_waiting(t))
        http3_qpack_hold(s, t, bytes);
    else
        receive(s, t, bytes);
}

void http3_receive_resume(struct http3_session *s, struct http3_stream *t, struct span held)
{
    http3_state_is_due(s, t);
    receive(s, t, held);
}
