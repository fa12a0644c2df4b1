#include "http2/state.h"

#include "base/decimal.h"
#include "base/error.h"
#include "base/memory.h"
#include "exchange/fallback.h"

#define ADDED_LINES 4 /* :status, date, alt-svc, content-length */

/* Outside the connection's calls nobody settles: the connection has to come and look. */
static void wake(struct http2_session *s)
{
    if (!s->inside)
        s->session.host.on_ready(s->session.host.host);
}

/* ---- ends ---- */

void http2_answer_reset(struct http2_session *s, struct http2_stream *t, uint32_t code)
{
    t->response_done = true;
    http2_receive_give_up(s, t);
    if (!t->is_gone && !s->is_broken &&
        nghttp2_submit_rst_stream(s->machine, NGHTTP2_FLAG_NONE, t->id, code))
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
    http2_state_is_due(s, t);
    wake(s);
}

/* The client must see that the response is not complete. */
static void cut(struct http2_session *s, struct http2_stream *t, int error)
{
    uint32_t code = error_entry(error)->http2;
    t->error = error;
    http2_answer_reset(s, t, code == NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : code);
}

static int queue_failed(struct http2_session *s, struct http2_stream *t)
{
    cut(s, t, ROUTED_ERROR_MEMORY);
    return ROUTED_ERROR_MEMORY;
}

/* ---- heads ---- */

static bool reserve_lines(struct http2_session *s, size_t count)
{
    if (count <= s->lines_capacity)
        return true;
    nghttp2_nv *grown = memory_resize(s->lines, count * sizeof(nghttp2_nv));
    if (!grown)
        return false;
    s->lines = grown;
    s->lines_capacity = count;
    return true;
}

/* nghttp2 copies names, in lower case, and values. */
static nghttp2_nv line_of(struct span name, struct span value)
{
    return (nghttp2_nv){.name = (uint8_t *)name.data,
                        .value = (uint8_t *)value.data,
                        .namelen = name.size,
                        .valuelen = value.size,
                        .flags = NGHTTP2_NV_FLAG_NONE};
}

/* RFC 8441 section 5: the key's answer has no meaning here. */
static bool is_left_out(const struct http2_stream *t, const struct field *f)
{
    return t->exchange.is_tunnel && f->name == FIELD_SEC_WEBSOCKET_ACCEPT;
}

static size_t put_fields(struct http2_session *s, const struct http2_stream *t, size_t count,
                         const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++)
        if (!is_left_out(t, &fields->items[i]))
            s->lines[count++] = line_of(fields->items[i].text, fields->items[i].value);
    return count;
}

struct response_head {
    uint16_t status;
    const struct field_list *fields;
    int64_t length; /* or HTTP_LENGTH_UNKNOWN */
    bool is_final;
};

static ssize_t on_read(nghttp2_session *machine, int32_t id, uint8_t *out, size_t max,
                       uint32_t *flags, nghttp2_data_source *source, void *user);

static int submit(struct http2_session *s, struct http2_stream *t, const struct response_head *head,
                  size_t count)
{
    nghttp2_data_provider content = {.read_callback = on_read};
    if (!head->is_final)
        return nghttp2_submit_headers(s->machine, NGHTTP2_FLAG_NONE, t->id, NULL, s->lines, count,
                                      NULL);
    return nghttp2_submit_response(s->machine, t->id, s->lines, count,
                                   t->exchange.suppress_content ? NULL : &content);
}

static int queue_head(struct http2_session *s, struct http2_stream *t,
                      const struct response_head *head)
{
    char status[DECIMAL_MAX], length[DECIMAL_MAX];
    size_t count = 0;
    if (t->is_gone || s->is_broken)
        return ROUTED_OK;
    if (s->heap.is_exhausted || !reserve_lines(s, head->fields->count + ADDED_LINES))
        return ROUTED_ERROR_MEMORY;
    s->lines[count++] =
        line_of(SPAN(":status"), span_of(status, decimal_write(status, head->status)));
    if (s->options->date && head->is_final)
        s->lines[count++] = line_of(SPAN("date"), span_of(s->options->date, HTTP_DATE_SIZE));
    if (head->is_final && s->options->alt_svc.size &&
        !field_list_find_text(head->fields, SPAN("alt-svc")))
        s->lines[count++] = line_of(SPAN("alt-svc"), s->options->alt_svc);
    count = put_fields(s, t, count, head->fields);
    if (head->length != HTTP_LENGTH_UNKNOWN && head->status != 204)
        s->lines[count++] = line_of(SPAN("content-length"),
                                    span_of(length, decimal_write(length, (uint64_t)head->length)));
    return submit(s, t, head, count) ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

static int queue_continue(struct http2_session *s, struct http2_stream *t)
{
    struct response_head head = {
        .status = 100, .fields = &FIELD_LIST_EMPTY, .length = HTTP_LENGTH_UNKNOWN};
    t->continued = true;
    return queue_head(s, t, &head);
}

static int on_inform(struct exchange *x, const struct http_response *response)
{
    struct http2_session *s = http2_state_session(x);
    struct http2_stream *t = http2_state_stream(x);
    struct response_head head = {
        .status = response->status, .fields = &response->fields, .length = HTTP_LENGTH_UNKNOWN};
    if (response->status == 100)
        t->continued = true;
    if (queue_head(s, t, &head))
        return queue_failed(s, t);
    wake(s);
    return ROUTED_OK;
}

static int begin_response(struct http2_session *s, struct http2_stream *t, uint16_t status,
                          const struct field_list *fields, int64_t length)
{
    struct response_head head = {
        .status = status, .fields = fields, .length = length, .is_final = true};
    t->response_begun = true;
    return queue_head(s, t, &head);
}

static int on_respond(struct exchange *x, const struct http_response *response, int64_t length)
{
    struct http2_session *s = http2_state_session(x);
    struct http2_stream *t = http2_state_stream(x);
    if (exchange_is_false_tunnel(x, response->status)) {
        x->is_failed = true;
        http2_answer_fail(s, t, ROUTED_ERROR_UNSUPPORTED);
        return ROUTED_ERROR_UNSUPPORTED;
    }
    uint16_t status = x->is_tunnel ? 200 : response->status;
    if (begin_response(s, t, status, &response->fields, length))
        return queue_failed(s, t);
    http2_state_is_due(s, t);
    wake(s);
    return ROUTED_OK;
}

/* ---- content ---- */

static void resume(struct http2_session *s, struct http2_stream *t)
{
    if (!t->is_deferred || t->is_gone || s->is_broken)
        return;
    t->is_deferred = false;
    if (nghttp2_session_resume_data(s->machine, t->id) == NGHTTP2_ERR_NOMEM)
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
}

static int on_send(struct exchange *x, struct slice body)
{
    struct http2_session *s = http2_state_session(x);
    struct http2_stream *t = http2_state_stream(x);
    if (t->response_done || t->is_gone) {
        slice_release(&body);
        return ROUTED_ERROR_CLOSED;
    }
    if (http2_queue_append(&t->body, body))
        return queue_failed(s, t);
    resume(s, t);
    wake(s);
    return ROUTED_OK;
}

static int copy_trailers(struct http2_stream *t, const struct field_list *trailers)
{
    for (size_t i = 0; trailers && i < trailers->count; i++) {
        const struct field *f = &trailers->items[i];
        if (field_list_append_copy(&t->trailers, &t->exchange.arena, f->text, f->value))
            return ROUTED_ERROR_MEMORY;
    }
    return ROUTED_OK;
}

static int on_end(struct exchange *x, const struct field_list *trailers)
{
    struct http2_session *s = http2_state_session(x);
    struct http2_stream *t = http2_state_stream(x);
    if (t->response_done)
        return ROUTED_ERROR_CLOSED;
    if (copy_trailers(t, trailers))
        return queue_failed(s, t);
    t->response_done = true;
    resume(s, t);
    http2_state_is_due(s, t);
    wake(s);
    return ROUTED_OK;
}

/* ---- failures ---- */

static int answer_error(struct http2_session *s, struct http2_stream *t, int error)
{
    struct exchange *x = &t->exchange;
    struct exchange_fallback fallback;
    exchange_fallback_make(&fallback, x, error);
    t->response_done = true;
    if (begin_response(s, t, x->status, &fallback.fields, fallback.length))
        return ROUTED_ERROR_MEMORY;
    if (x->suppress_content)
        return ROUTED_OK;
    int failed = http2_queue_append(&t->body, slice_static(fallback.text));
    return failed ? failed : http2_queue_append(&t->body, slice_static(SPAN("\n")));
}

void http2_answer_fail(struct http2_session *s, struct http2_stream *t, int error)
{
    bool can_answer = !t->response_begun && error_status(error) != 0;
    t->error = error;
    http2_receive_give_up(s, t);
    if (!t->response_done && (!can_answer || answer_error(s, t, error)))
        cut(s, t, error);
    http2_state_is_due(s, t);
    wake(s);
}

static void on_fail(struct exchange *x, int error)
{
    http2_answer_fail(http2_state_session(x), http2_state_stream(x), error);
}

/* ---- credit ---- */

static void on_grant(struct exchange *x, size_t bytes)
{
    struct http2_session *s = http2_state_session(x);
    struct http2_stream *t = http2_state_stream(x);
    (void)bytes; /* the exchange keeps the sum */
    if (x->request.expects_continue && !t->continued && !t->data_begun && !t->response_begun &&
        queue_continue(s, t)) {
        queue_failed(s, t);
        return;
    }
    http2_state_is_due(s, t);
    wake(s);
}

const struct exchange_carrier http2_answer_carrier = {
    .inform = on_inform,
    .respond = on_respond,
    .send = on_send,
    .end = on_end,
    .fail = on_fail,
    .grant = on_grant,
};

/* ---- what nghttp2 asks for ---- */

static int submit_trailers(struct http2_session *s, const struct http2_stream *t)
{
    if (!reserve_lines(s, t->trailers.count))
        return ROUTED_ERROR_MEMORY;
    size_t count = put_fields(s, t, 0, &t->trailers);
    return nghttp2_submit_trailer(s->machine, t->id, s->lines, count) ? ROUTED_ERROR_MEMORY
                                                                      : ROUTED_OK;
}

/* How much of the content goes into the next frame; on_send_data moves it. */
static ssize_t on_read(nghttp2_session *machine, int32_t id, uint8_t *out, size_t max,
                       uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(machine, id);
    (void)out;
    (void)source;
    if (!t)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (s->output.size >= HTTP2_OUTPUT_TURN)
        return NGHTTP2_ERR_PAUSE;
    size_t size = t->body.size < max ? t->body.size : max;
    if (size == 0 && !t->response_done) {
        t->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size == t->body.size && t->response_done) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (t->trailers.count) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(s, t))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)size;
}

static int on_send_data(nghttp2_session *machine, nghttp2_frame *frame, const uint8_t *head,
                        size_t size, nghttp2_data_source *source, void *user)
{
    struct http2_session *s = user;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(machine, frame->hd.stream_id);
    (void)source;
    if (!t)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (output_copy(&s->output, span_of(head, HTTP2_FRAME_HEAD)))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    http2_budget_sent(&s->budget, size);
    t->uncredited += size;
    t->sent += size;
    if (size)
        http2_state_is_due(s, t);
    while (size) {
        struct slice slice = http2_queue_take(&t->body, size);
        size -= slice.size;
        if (output_append(&s->output, slice))
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

/* ---- what nghttp2 has sent ---- */

/* Resets that the application caused are not the client's; nor is the one that says that its
 * content is not needed. */
static bool is_caused_by_client(uint32_t code)
{
    return code != NGHTTP2_NO_ERROR && code != NGHTTP2_INTERNAL_ERROR;
}

static int on_sent(nghttp2_session *machine, const nghttp2_frame *frame, void *user)
{
    struct http2_session *s = user;
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_RST_STREAM && is_caused_by_client(frame->rst_stream.error_code))
        return http2_session_charge_reset(s) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    if (!ends || (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    struct http2_stream *t = nghttp2_session_get_stream_user_data(machine, frame->hd.stream_id);
    if (!t)
        return 0;
    t->response_sent = true;
    /* RFC 9113 section 8.1: the client need not send the rest. */
    if (!t->inlet.has_ended &&
        nghttp2_submit_rst_stream(machine, NGHTTP2_FLAG_NONE, t->id, NGHTTP2_NO_ERROR))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return 0;
}

void http2_answer_set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
}
