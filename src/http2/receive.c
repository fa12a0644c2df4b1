#include "http2/state.h"

#include "base/error.h"

/* What a callback returns to make nghttp2 stop at once. */
static int stop(struct http2_session *s, int error)
{
    http2_session_break(s, error, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* nghttp2 looks a stream up at every call; what it tells is mostly of one after the other. */
static struct http2_stream *stream_of(struct http2_session *s, int32_t id)
{
    if (!s->receiving || s->receiving->id != id)
        s->receiving = nghttp2_session_get_stream_user_data(s->machine, id);
    return s->receiving;
}

/* ---- every frame ---- */

/* Budgets were drawn on before (machine.c); this is where answers pile up that the client does not
 * read. */
static int on_begin_frame(nghttp2_session *machine, const nghttp2_frame_hd *hd, void *user)
{
    struct http2_session *s = user;
    s->frame_type = hd->type;
    if (nghttp2_session_get_outbound_queue_size(machine) > s->options->limits.control_max)
        return stop(s, ROUTED_ERROR_BUDGET);
    return 0;
}

/* ---- heads ---- */

static int on_begin_headers(nghttp2_session *machine, const nghttp2_frame *frame, void *user)
{
    struct http2_session *s = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_stream *t = http2_streams_take(s, frame->hd.stream_id);
    if (!t)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    t->exchange.request.scheme = s->options->scheme;
    t->exchange.request.protocol = HTTP_2;
    s->receiving = t;
    return nghttp2_session_set_stream_user_data(machine, t->id, t);
}

/* The fields of all streams and nghttp2's own memory against what the client has paid for. */
static bool is_too_much_memory(const struct http2_session *s)
{
    const struct http2_limits *limits = &s->options->limits;
    uint64_t allowed = (s->session.bytes_in + s->input_size) * limits->memory_share +
                       limits->memory_slack + s->live_count * HTTP2_STREAM_COST + s->idle_memory;
    return s->heap.held + http_heads_memory(&s->heads) > allowed;
}

static int on_header(nghttp2_session *machine, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                     nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = stream_of(s, frame->hd.stream_id);
    (void)machine;
    (void)flags;
    if (!t)
        return 0;
    int error = http_head_add(&t->head, name, value);
    return error ? stop(s, error) : 0;
}

/* Fields that nghttp2 would leave out make the whole request malformed. */
static int on_invalid_header(nghttp2_session *machine, const nghttp2_frame *frame,
                             nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags, void *user)
{
    (void)machine;
    (void)frame;
    (void)name;
    (void)value;
    (void)flags;
    (void)user;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* A malformed request gets no answer but RST_STREAM (RFC 9113 section 8.1.1). */
static int refuse(struct http2_session *s, struct http2_stream *t, int error)
{
    uint16_t status = error_status(error);
    t->is_refused = true;
    t->error = error;
    http2_receive_give_up(s, t);
    if (status == 400 || status == 0) {
        http2_answer_reset(s, t, NGHTTP2_PROTOCOL_ERROR);
        status = 0;
    } else {
        exchange_outlet_fail(&t->exchange, error);
    }
    session_refuse(&s->session, &t->exchange, error, status);
    return http2_session_charge_reset(s);
}

/* Who says nothing about priority gets no stream that waits for another to end. */
static void set_priority(struct http2_session *s, const struct http2_stream *t)
{
    nghttp2_extpri priority = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    if (!t->head.has_priority && !http2_priority_is_noted(&s->priority, t->id))
        nghttp2_session_change_extpri_stream_priority(s->machine, t->id, &priority, 0);
}

static void begin_exchange(struct http2_session *s, struct http2_stream *t)
{
    struct exchange *x = &t->exchange;
    t->is_exchange = true;
    set_priority(s, t);
    session_begin(&s->session, x, s->options->response_window);
    if (x->request.upgrade != HTTP_UPGRADE_NONE && !x->is_tunnel)
        exchange_deliver_end(x, NULL);
}

static int receive_head(struct http2_session *s, struct http2_stream *t, bool ends)
{
    struct exchange *x = &t->exchange;
    int error = http_head_read(&t->head, &x->request, &x->arena, ends);
    if (!error && is_too_much_memory(s)) {
        http_cookies_release(&s->heads.cookies);
        error = ROUTED_ERROR_FIELDS_TOO_LARGE;
    }
    t->inlet.has_ended = ends;
    if (error)
        return refuse(s, t, error);
    begin_exchange(s, t);
    http2_receive_deliver_held(s, t);
    return ROUTED_OK;
}

static int receive_trailers(struct http2_session *s, struct http2_stream *t)
{
    t->inlet.has_ended = true;
    int error = t->head.error;
    if (!error && is_too_much_memory(s))
        error = ROUTED_ERROR_FIELDS_TOO_LARGE;
    if (error && !t->inlet.is_done) {
        exchange_outlet_fail(&t->exchange, error);
        return http2_session_charge_reset(s);
    }
    http2_receive_deliver_held(s, t);
    return ROUTED_OK;
}

/* ---- content ---- */

/* Of the stream. The connection's was given back when the content came: what waits is bounded by
 * the windows of the streams, so that those that stall do not hold up the others. */
static void give_window(struct http2_session *s, const struct http2_stream *t, size_t size)
{
    if (size && !s->is_broken && !t->is_gone)
        nghttp2_session_consume_stream(s->machine, t->id, size);
}

static void widen_window(struct http2_session *s, const struct http2_stream *t)
{
    size_t size = s->windows.first + t->window.growth;
    if (nghttp2_session_set_local_window_size(s->machine, NGHTTP2_FLAG_NONE, t->id, (int32_t)size))
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
}

/* What the application took, and more where the window is what the client waits for. */
static void give_taken(struct http2_session *s, struct http2_stream *t, size_t size)
{
    give_window(s, t, size);
    if (!s->is_broken && !t->is_gone &&
        exchange_window_take(&t->window, &s->windows, &t->inlet, size))
        widen_window(s, t);
}

void http2_receive_give_up(struct http2_session *s, struct http2_stream *t)
{
    give_window(s, t, exchange_inlet_give_up(&t->inlet));
}

static void deliver_end(struct http2_stream *t)
{
    struct field_list trailers;
    t->inlet.is_done = true;
    int error = http_head_read_trailers(&t->head, &t->exchange.arena, &trailers);
    if (!error)
        error = exchange_deliver_end(&t->exchange, trailers.count ? &trailers : NULL);
    if (error)
        exchange_outlet_fail(&t->exchange, error);
}

void http2_receive_deliver_held(struct http2_session *s, struct http2_stream *t)
{
    size_t taken = 0;
    int error = exchange_inlet_deliver(&t->inlet, &t->exchange, &taken);
    give_taken(s, t, taken);
    if (error)
        exchange_outlet_fail(&t->exchange, error);
    else if (exchange_inlet_is_at_end(&t->inlet, &t->exchange))
        deliver_end(t);
}

static void receive_content(struct http2_session *s, struct http2_stream *t, struct span bytes)
{
    size_t taken = 0;
    int error = exchange_inlet_receive(&t->inlet, &t->exchange, s->options->limits.head.content_max,
                                       s->input, bytes, &taken);
    give_taken(s, t, taken);
    if (!http2_state_is_awaited(t))
        exchange_arrival_stop(&t->arrival);
    if (error)
        exchange_outlet_fail(&t->exchange, error);
}

static int on_data_chunk(nghttp2_session *machine, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t size, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = stream_of(s, id);
    (void)flags;
    http2_budget_received(&s->budget, size);
    s->arrivals.received += size;
    nghttp2_session_consume_connection(machine, size);
    if (!t)
        return 0;
    t->outlet.continued = true;
    receive_content(s, t, span_of(data, size));
    return 0;
}

/* ---- complete frames ---- */

static int receive_headers(struct http2_session *s, struct http2_stream *t,
                           const nghttp2_frame *frame)
{
    if (!t)
        return ROUTED_OK;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return receive_trailers(s, t);
    return receive_head(s, t, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
}

static void receive_ping_answer(struct http2_session *s)
{
    s->is_probed = false;
    if (s->farewell == HTTP2_FAREWELL_NOTICE)
        s->was_noticed = true;
}

static void receive_priority_update(struct http2_session *s, const nghttp2_frame *frame)
{
    const nghttp2_ext_priority_update *update = frame->ext.payload;
    if (!stream_of(s, update->stream_id))
        http2_priority_note(&s->priority, update->stream_id);
}

static int on_frame(nghttp2_session *machine, const nghttp2_frame *frame, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = frame->hd.stream_id ? stream_of(s, frame->hd.stream_id) : NULL;
    (void)machine;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        return receive_headers(s, t, frame) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    case NGHTTP2_DATA:
        if (t && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
            t->inlet.has_ended = true;
            http2_receive_deliver_held(s, t);
        }
        break;
    case NGHTTP2_SETTINGS:
        s->was_greeted = true;
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            receive_ping_answer(s);
        break;
    case NGHTTP2_PRIORITY_UPDATE:
        receive_priority_update(s, frame);
        break;
    default:
        break;
    }
    return 0;
}

/* ---- streams that end ---- */

/* Called by nghttp2 for every stream that it forgets, and by no other. */
static int on_stream_close(nghttp2_session *machine, int32_t id, uint32_t code, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = stream_of(s, id);
    if (!t)
        return 0;
    bool is_by_client = s->input_size && s->frame_type == NGHTTP2_RST_STREAM;
    (void)machine;
    (void)code;
    http2_streams_gone(s, t, is_by_client ? ROUTED_ERROR_CLIENT_GONE : ROUTED_ERROR_FRAMING);
    return 0;
}

void http2_receive_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
