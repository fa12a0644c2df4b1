#include "http1/state.h"

#include "base/error.h"
#include "exchange/fallback.h"
#include "http1/response.h"

#define UPGRADE_REQUIRED 426

static struct http1_session *session_of(const struct exchange *x)
{
    return x->carrier_state;
}

static void wake(struct http1_session *s)
{
    if (!s->session.inside)
        s->session.wants_input = http1_session_wants_input(s);
    session_wake(&s->session);
}

/* The client must see that the response is not complete. What is queued still goes out. */
static void cut(struct http1_session *s, struct http1_turn *t, int error)
{
    if (!t->error)
        t->error = error;
    t->request_done = t->response_done = true;
    t->is_persistent = false;
    s->phase = HTTP1_OVER;
    s->session.reset |= t->coding == HTTP1_CODING_CLOSE && t->response_begun;
    wake(s);
}

/* Half a message cannot be taken back from the output. */
static int queue_failed(struct http1_session *s, struct http1_turn *t)
{
    cut(s, t, ROUTED_ERROR_MEMORY);
    return ROUTED_ERROR_MEMORY;
}

/* ---- heads ---- */

static int queue_head(struct http1_session *s, const struct http1_response_head *head)
{
    uint8_t *room = output_reserve(&s->output, http1_response_bound(head));
    if (!room)
        return ROUTED_ERROR_MEMORY;
    output_commit(&s->output, http1_response_write(room, head));
    return ROUTED_OK;
}

static int queue_continue(struct http1_session *s)
{
    return output_copy(&s->output, SPAN("HTTP/1.1 100 Continue\r\n\r\n"));
}

static int on_inform(struct exchange *x, const struct http_response *response)
{
    struct http1_session *s = session_of(x);
    struct http1_turn *t = http1_state_turn(x);
    struct http1_response_head head = {.status = response->status, .fields = &response->fields};
    if (response->status == 100)
        t->continued = true;
    if (queue_head(s, &head))
        return queue_failed(s, t);
    wake(s);
    return ROUTED_OK;
}

/* RFC 9112 section 6.3 for responses. */
static void choose_framing(struct http1_turn *t, int64_t length, struct http1_response_head *head)
{
    const struct exchange *x = &t->exchange;
    if (x->is_tunnel || head->status == 204)
        return;
    if (length != HTTP_LENGTH_UNKNOWN) {
        head->framing = HTTP1_FRAMING_LENGTH;
        head->length = length;
    } else if (x->suppress_content) {
        return;
    } else if (x->request.protocol == HTTP_1_1) {
        head->framing = HTTP1_FRAMING_CHUNKED;
        t->coding = HTTP1_CODING_CHUNKED;
    } else {
        t->coding = HTTP1_CODING_CLOSE;
        t->is_persistent = false;
    }
}

/* A client that was not told to continue may send its content or not: after a final answer only
 * the close makes clear what comes next (RFC 9110 section 10.1.1). */
static bool is_content_in_doubt(const struct http1_turn *t)
{
    return t->exchange.request.expects_continue && !t->continued && !t->content_begun;
}

/* 426 says what to upgrade to (RFC 9110 section 15.5.22). */
static enum http1_connection choose_connection(const struct http1_turn *t, uint16_t status)
{
    if (t->exchange.is_tunnel)
        return HTTP1_CONNECTION_UPGRADE;
    if (!t->is_persistent)
        return HTTP1_CONNECTION_CLOSE;
    if (status == UPGRADE_REQUIRED && t->exchange.request.protocol != HTTP_1_0)
        return HTTP1_CONNECTION_UPGRADE;
    return t->exchange.request.protocol == HTTP_1_0 ? HTTP1_CONNECTION_KEEP_ALIVE
                                                    : HTTP1_CONNECTION_SILENT;
}

static int begin_response(struct http1_session *s, struct http1_turn *t, uint16_t status,
                          const struct field_list *fields, int64_t length)
{
    struct http1_response_head head = {
        .status = status, .fields = fields, .date = s->options->date};
    if (s->options->alt_svc.size && !field_list_find_text(fields, SPAN("alt-svc")))
        head.alt_svc = s->options->alt_svc;
    if (s->is_shut || t->exchange.close_after || is_content_in_doubt(t))
        t->is_persistent = false;
    choose_framing(t, length, &head);
    head.connection = choose_connection(t, status);
    t->response_begun = true;
    return queue_head(s, &head);
}

static int on_respond(struct exchange *x, const struct http_response *response, int64_t length)
{
    struct http1_session *s = session_of(x);
    struct http1_turn *t = http1_state_turn(x);
    if (x->is_tunnel) {
        t->request_done = false;
        t->is_persistent = false;
    }
    if (begin_response(s, t, response->status, &response->fields, length))
        return queue_failed(s, t);
    wake(s);
    return ROUTED_OK;
}

/* ---- content ---- */

static int queue_chunk_size(struct http1_session *s, struct http1_turn *t, uint64_t size)
{
    uint8_t *room = output_reserve(&s->output, HTTP1_CHUNK_SIZE_MAX);
    if (!room)
        return ROUTED_ERROR_MEMORY;
    output_commit(&s->output, http1_response_write_chunk_size(room, size));
    t->zero_pending = false;
    return ROUTED_OK;
}

static int queue_chunk(struct http1_session *s, struct http1_turn *t, struct slice body)
{
    if (queue_chunk_size(s, t, body.size)) {
        slice_release(&body);
        return ROUTED_ERROR_MEMORY;
    }
    int error = output_append(&s->output, body);
    return error ? error : output_copy(&s->output, SPAN("\r\n"));
}

static int on_send(struct exchange *x, struct slice body)
{
    struct http1_session *s = session_of(x);
    struct http1_turn *t = http1_state_turn(x);
    if (t->response_done) {
        slice_release(&body);
        return ROUTED_ERROR_CLOSED;
    }
    t->queued += body.size;
    int error = t->coding == HTTP1_CODING_CHUNKED ? queue_chunk(s, t, body)
                                                  : output_append(&s->output, body);
    if (error)
        return queue_failed(s, t);
    wake(s);
    return ROUTED_OK;
}

static int queue_last_chunk(struct http1_session *s, struct http1_turn *t,
                            const struct field_list *trailers)
{
    if (queue_chunk_size(s, t, 0))
        return ROUTED_ERROR_MEMORY;
    if (trailers && trailers->count) {
        uint8_t *room = output_reserve(&s->output, http1_response_trailers_bound(trailers));
        if (!room)
            return ROUTED_ERROR_MEMORY;
        output_commit(&s->output, http1_response_write_trailers(room, trailers));
    }
    return output_copy(&s->output, SPAN("\r\n"));
}

static int on_end(struct exchange *x, const struct field_list *trailers)
{
    struct http1_session *s = session_of(x);
    struct http1_turn *t = http1_state_turn(x);
    if (t->response_done)
        return ROUTED_ERROR_CLOSED;
    if (t->coding == HTTP1_CODING_CHUNKED && queue_last_chunk(s, t, trailers))
        return queue_failed(s, t);
    t->response_done = true;
    wake(s);
    return ROUTED_OK;
}

/* ---- failures ---- */

int http1_answer_error(struct http1_session *s, struct http1_turn *t, int error)
{
    const struct error_entry *entry = error_entry(error);
    struct exchange *x = &t->exchange;
    struct exchange_fallback fallback;
    exchange_fallback_make(&fallback, x, error);
    if (entry->reach == ERROR_REACH_CONNECTION ||
        (!t->request_done && t->content_left > (int64_t)s->options->linger_max))
        t->is_persistent = false;
    if (begin_response(s, t, x->status, &fallback.fields, fallback.length))
        return ROUTED_ERROR_MEMORY;
    t->response_done = true;
    if (x->suppress_content)
        return ROUTED_OK;
    int failed = output_copy(&s->output, fallback.text);
    return failed ? failed : output_copy(&s->output, SPAN("\n"));
}

void http1_answer_fail(struct http1_session *s, struct http1_turn *t, int error)
{
    t->error = error;
    if (t->response_done) {
        t->is_persistent = false;
    } else if (t->response_begun || error_status(error) == 0) {
        cut(s, t, error);
        return;
    } else if (http1_answer_error(s, t, error)) {
        cut(s, t, error);
        return;
    }
    wake(s);
}

static void on_fail(struct exchange *x, int error)
{
    http1_answer_fail(session_of(x), http1_state_turn(x), error);
}

/* ---- credit ---- */

static void on_grant(struct exchange *x, size_t bytes)
{
    (void)bytes; /* the exchange keeps the sum */
    struct http1_session *s = session_of(x);
    struct http1_turn *t = http1_state_turn(x);
    if (is_content_in_doubt(t) && !t->response_begun && !t->request_done) {
        t->continued = true;
        if (queue_continue(s)) {
            cut(s, t, ROUTED_ERROR_MEMORY);
            return;
        }
    }
    wake(s);
}

const struct exchange_carrier http1_answer_carrier = {
    .inform = on_inform,
    .respond = on_respond,
    .send = on_send,
    .end = on_end,
    .fail = on_fail,
    .grant = on_grant,
};

/* ---- signs of life ---- */

/* Any HTTP/1.1 client must accept a 100 that it did not ask for (RFC 9110 section 15.2), and a
 * chunk size may begin with zeros (RFC 9112 section 7.1): one for each chunk. */
bool http1_answer_probe(struct http1_session *s)
{
    struct http1_turn *t = s->current;
    if (!t || s->phase != HTTP1_OPEN || t->response_done ||
        t->exchange.request.protocol != HTTP_1_1)
        return false;
    if (!t->response_begun) {
        t->continued = true;
        return queue_continue(s) == ROUTED_OK;
    }
    if (t->coding != HTTP1_CODING_CHUNKED || t->zero_pending)
        return false;
    t->zero_pending = true;
    return output_copy(&s->output, SPAN("0")) == ROUTED_OK;
}
