#include "http3/state.h"

#include "base/decimal.h"
#include "base/error.h"
#include "exchange/fallback.h"

#define ADDED_LINES 3 /* :status, date, content-length */

/* Outside the connection's calls nobody settles: the connection has to come and look. */
static void wake(struct http3_session *s, struct http3_stream *t)
{
    http3_state_is_due(s, t);
    if (!s->inside)
        s->session.host.on_ready(s->session.host.host);
}

/* ---- ends ---- */

/* Resets that the application caused are not the client's; nor is what says that its content is not
 * needed. */
static bool is_caused_by_client(uint64_t code)
{
    return code != NGHTTP3_H3_NO_ERROR && code != NGHTTP3_H3_INTERNAL_ERROR;
}

void http3_answer_stop(struct http3_session *s, struct http3_stream *t, uint64_t code)
{
    t->is_ignored = true;
    http3_qpack_abandon(s, t);
    if (t->is_stopped || t->input_has_ended || t->is_gone || s->is_broken)
        return;
    t->is_stopped = true;
    s->transport.stop(s->transport.transport, t->id, code);
}

void http3_answer_reset(struct http3_session *s, struct http3_stream *t, uint64_t code)
{
    bool is_first = !t->is_reset;
    t->response_done = true;
    http3_receive_give_up(s, t);
    http3_answer_stop(s, t, code);
    t->is_reset = true;
    if (is_first && !t->is_gone && !s->is_broken) {
        nghttp3_conn_shutdown_stream_write(s->machine, t->id);
        s->transport.reset(s->transport.transport, t->id, code);
        if (is_caused_by_client(code))
            http3_charge_reset(s, t);
    }
    wake(s, t);
}

/* The client must see that the response is not complete. */
static void cut(struct http3_session *s, struct http3_stream *t, int error)
{
    uint64_t code = error_entry(error)->http3;
    t->error = error;
    http3_answer_reset(s, t, code == NGHTTP3_H3_NO_ERROR ? NGHTTP3_H3_INTERNAL_ERROR : code);
}

static int queue_failed(struct http3_session *s, struct http3_stream *t)
{
    cut(s, t, ROUTED_ERROR_MEMORY);
    return ROUTED_ERROR_MEMORY;
}

/* ---- heads ---- */

struct response_head {
    uint16_t status;
    const struct field_list *fields;
    int64_t length; /* or HTTP_LENGTH_UNKNOWN */
    bool is_final;
};

static int submit(struct http3_session *s, struct http3_stream *t, const struct response_head *head,
                  size_t count)
{
    const nghttp3_data_reader content = {.read_data = http3_send_on_read};
    if (!head->is_final)
        return nghttp3_conn_submit_info(s->machine, t->id, s->lines, count);
    return nghttp3_conn_submit_response(s->machine, t->id, s->lines, count,
                                        t->exchange.suppress_content ? NULL : &content);
}

static int queue_head(struct http3_session *s, struct http3_stream *t,
                      const struct response_head *head)
{
    char status[DECIMAL_MAX], length[DECIMAL_MAX];
    size_t count = 0;
    if (t->is_gone || t->is_reset || s->is_broken)
        return ROUTED_OK;
    if (!http3_send_reserve_lines(s, head->fields->count + ADDED_LINES))
        return ROUTED_ERROR_MEMORY;
    s->lines[count++] =
        http3_send_line(SPAN(":status"), span_of(status, decimal_write(status, head->status)));
    if (s->options->date && head->is_final)
        s->lines[count++] =
            http3_send_line(SPAN("date"), span_of(s->options->date, HTTP_DATE_SIZE));
    count = http3_send_put_fields(s, t, count, head->fields);
    if (head->length != HTTP_LENGTH_UNKNOWN && head->status != 204)
        s->lines[count++] = http3_send_line(
            SPAN("content-length"), span_of(length, decimal_write(length, (uint64_t)head->length)));
    s->is_silent = false;
    return submit(s, t, head, count) ? ROUTED_ERROR_MEMORY : ROUTED_OK;
}

static int queue_continue(struct http3_session *s, struct http3_stream *t)
{
    struct response_head head = {
        .status = 100, .fields = &FIELD_LIST_EMPTY, .length = HTTP_LENGTH_UNKNOWN};
    t->continued = true;
    return queue_head(s, t, &head);
}

static int on_inform(struct exchange *x, const struct http_response *response)
{
    struct http3_session *s = http3_state_session(x);
    struct http3_stream *t = http3_state_stream(x);
    struct response_head head = {
        .status = response->status, .fields = &response->fields, .length = HTTP_LENGTH_UNKNOWN};
    if (response->status == 100)
        t->continued = true;
    if (queue_head(s, t, &head))
        return queue_failed(s, t);
    wake(s, t);
    return ROUTED_OK;
}

static int begin_response(struct http3_session *s, struct http3_stream *t, uint16_t status,
                          const struct field_list *fields, int64_t length)
{
    struct response_head head = {
        .status = status, .fields = fields, .length = length, .is_final = true};
    t->response_begun = true;
    return queue_head(s, t, &head);
}

static int on_respond(struct exchange *x, const struct http_response *response, int64_t length)
{
    struct http3_session *s = http3_state_session(x);
    struct http3_stream *t = http3_state_stream(x);
    if (exchange_is_false_tunnel(x, response->status)) {
        x->is_failed = true;
        http3_answer_fail(s, t, ROUTED_ERROR_UNSUPPORTED);
        return ROUTED_ERROR_UNSUPPORTED;
    }
    uint16_t status = x->is_tunnel ? 200 : response->status;
    if (begin_response(s, t, status, &response->fields, length))
        return queue_failed(s, t);
    wake(s, t);
    return ROUTED_OK;
}

/* ---- content ---- */

/* From now on the client's progress is watched. */
static void content_begins_to_wait(struct http3_session *s, struct http3_stream *t)
{
    t->waits_since = *s->options->now;
    t->acknowledged_before = t->acknowledged;
    t->acknowledged_elsewhere = s->acknowledged;
}

static int append(struct http3_session *s, struct http3_stream *t, struct slice slice)
{
    if (t->body.size == 0)
        content_begins_to_wait(s, t);
    return http2_queue_append(&t->body, slice);
}

static int on_send(struct exchange *x, struct slice body)
{
    struct http3_session *s = http3_state_session(x);
    struct http3_stream *t = http3_state_stream(x);
    if (t->response_done || t->is_gone) {
        slice_release(&body);
        return ROUTED_ERROR_CLOSED;
    }
    if (append(s, t, body))
        return queue_failed(s, t);
    http3_send_resume(s, t);
    wake(s, t);
    return ROUTED_OK;
}

static int copy_trailers(struct http3_stream *t, const struct field_list *trailers)
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
    struct http3_session *s = http3_state_session(x);
    struct http3_stream *t = http3_state_stream(x);
    if (t->response_done)
        return ROUTED_ERROR_CLOSED;
    if (copy_trailers(t, trailers))
        return queue_failed(s, t);
    t->response_done = true;
    http3_send_resume(s, t);
    wake(s, t);
    return ROUTED_OK;
}

/* ---- failures ---- */

static int answer_error(struct http3_session *s, struct http3_stream *t, int error)
{
    struct exchange *x = &t->exchange;
    struct exchange_fallback fallback;
    exchange_fallback_make(&fallback, x, error);
    t->response_done = true;
    if (begin_response(s, t, x->status, &fallback.fields, fallback.length))
        return ROUTED_ERROR_MEMORY;
    if (x->suppress_content)
        return ROUTED_OK;
    int failed = append(s, t, slice_static(fallback.text));
    return failed ? failed : append(s, t, slice_static(SPAN("\n")));
}

void http3_answer_fail(struct http3_session *s, struct http3_stream *t, int error)
{
    bool can_answer = !t->response_begun && error_status(error) != 0;
    t->error = error;
    http3_receive_give_up(s, t);
    if (!t->response_done && (!can_answer || answer_error(s, t, error)))
        cut(s, t, error);
    wake(s, t);
}

static void on_fail(struct exchange *x, int error)
{
    http3_answer_fail(http3_state_session(x), http3_state_stream(x), error);
}

/* ---- credit ---- */

static void on_grant(struct exchange *x, size_t bytes)
{
    struct http3_session *s = http3_state_session(x);
    struct http3_stream *t = http3_state_stream(x);
    (void)bytes; /* the exchange keeps the sum */
    if (x->request.expects_continue && !t->continued && !t->data_begun && !t->response_begun &&
        queue_continue(s, t)) {
        queue_failed(s, t);
        return;
    }
    wake(s, t);
}

const struct exchange_carrier http3_answer_carrier = {
    .inform = on_inform,
    .respond = on_respond,
    .send = on_send,
    .end = on_end,
    .fail = on_fail,
    .grant = on_grant,
};
