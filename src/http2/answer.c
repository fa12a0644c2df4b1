#include "http2/state.h"

#include "base/error.h"
#include "base/memory.h"

/* ---- what the exchange's outlet asks for ---- */

static void wake(void *session, struct exchange *x)
{
    struct http2_session *s = session;
    http2_state_is_due(s, http2_state_stream(x));
    session_wake(&s->session);
}

void http2_answer_reset(struct http2_session *s, struct http2_stream *t, uint32_t code)
{
    t->outlet.is_done = true;
    http2_receive_give_up(s, t);
    if (!t->is_gone && !s->is_broken &&
        nghttp2_submit_rst_stream(s->machine, NGHTTP2_FLAG_NONE, t->id, code))
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
    wake(s, &t->exchange);
}

static void cut(void *session, struct exchange *x, int error)
{
    struct http2_stream *t = http2_state_stream(x);
    uint32_t code = error_entry(error)->http2;
    t->error = error;
    http2_answer_reset(session, t, code == NGHTTP2_NO_ERROR ? NGHTTP2_INTERNAL_ERROR : code);
}

static void give_up(void *session, struct exchange *x, int error)
{
    struct http2_stream *t = http2_state_stream(x);
    t->error = error;
    http2_receive_give_up(session, t);
}

static void resume(void *session, struct exchange *x, bool is_first)
{
    struct http2_session *s = session;
    struct http2_stream *t = http2_state_stream(x);
    (void)is_first;
    if (!t->is_deferred || t->is_gone || s->is_broken)
        return;
    t->is_deferred = false;
    if (nghttp2_session_resume_data(s->machine, t->id) == NGHTTP2_ERR_NOMEM)
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
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
static size_t put_fields(struct http2_session *s, const struct http2_stream *t, size_t count,
                         const struct field_list *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *f = &fields->items[i];
        if (!exchange_outlet_leaves_out(&t->exchange, f))
            s->lines[count++] = (nghttp2_nv){.name = (uint8_t *)f->text.data,
                                             .value = (uint8_t *)f->value.data,
                                             .namelen = f->text.size,
                                             .valuelen = f->value.size};
    }
    return count;
}

static ssize_t on_read(nghttp2_session *machine, int32_t id, uint8_t *out, size_t max,
                       uint32_t *flags, nghttp2_data_source *source, void *user);

static int submit(void *session, struct exchange *x, const struct exchange_outlet_head *head)
{
    struct http2_session *s = session;
    struct http2_stream *t = http2_state_stream(x);
    nghttp2_data_provider content = {.read_callback = on_read};
    if (t->is_gone || s->is_broken)
        return ROUTED_OK;
    if (s->heap.is_exhausted || !reserve_lines(s, head->added.count + head->fields->count))
        return ROUTED_ERROR_MEMORY;
    size_t count = put_fields(s, t, 0, &head->added);
    count = put_fields(s, t, count, head->fields);
    int failed = head->is_final ? nghttp2_submit_response(s->machine, t->id, s->lines, count,
                                                          x->suppress_content ? NULL : &content)
                                : nghttp2_submit_headers(s->machine, NGHTTP2_FLAG_NONE, t->id, NULL,
                                                         s->lines, count, NULL);
    return failed ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

void http2_answer_init(struct http2_session *s)
{
    s->outlets = (struct exchange_outlet_host){.submit = submit,
                                               .resume = resume,
                                               .cut = cut,
                                               .give_up = give_up,
                                               .wake = wake,
                                               .session = s,
                                               .date = s->options->date,
                                               .alt_svc = &s->options->alt_svc};
}

/* ---- what nghttp2 asks for ---- */

static int submit_trailers(struct http2_session *s, const struct http2_stream *t)
{
    if (!reserve_lines(s, t->outlet.trailers.count))
        return ROUTED_ERROR_MEMORY;
    size_t count = put_fields(s, t, 0, &t->outlet.trailers);
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
    size_t size = t->outlet.body.size < max ? t->outlet.body.size : max;
    if (size == 0 && !t->outlet.is_done) {
        t->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (size == t->outlet.body.size && t->outlet.is_done) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (t->outlet.trailers.count) {
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
    t->outlet.uncredited += size;
    t->sent += size;
    s->content_out += size;
    if (size)
        http2_state_is_due(s, t);
    while (size) {
        struct slice slice = exchange_queue_take(&t->outlet.body, size);
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
