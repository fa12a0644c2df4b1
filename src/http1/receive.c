#include "http1/state.h"

#include "base/error.h"

/* ---- heads ---- */

static bool may_begin(const struct http1_session *s)
{
    return s->finishing_count < s->options->pipeline_depth &&
           s->output.size <= s->options->response_window;
}

static struct http1_turn *begin_turn(struct http1_session *s)
{
    struct http1_turn *t = http1_session_take_turn(s);
    if (!t)
        return NULL;
    t->exchange.request.scheme = s->options->scheme;
    http1_spare_lend_output(s->options->spare, &s->output);
    http1_parser_init(&t->parser, &s->options->limits);
    s->incoming = t;
    return t;
}

static bool is_invalid_preface(const struct http1_session *s, const struct http1_turn *t)
{
    return s->options->has_http2 && s->session.requests == 0 && t->parser.is_foreign;
}

void http1_receive_refuse(struct http1_session *s, int error)
{
    struct http1_turn *t = s->incoming ? s->incoming : begin_turn(s);
    uint16_t status = error_status(error);
    s->incoming = NULL;
    http1_session_begin_close(s);
    http1_line_release(&s->line);
    if (!t) {
        s->phase = HTTP1_OVER;
        return;
    }
    t->is_persistent = false;
    if (is_invalid_preface(s, t))
        status = 0;
    else if (status == 0 || http1_answer_error(s, t, error))
        s->phase = HTTP1_OVER;
    session_refuse(&s->session, &t->exchange, error, status);
    http1_spare_give_turn(s->options->spare, t);
}

/* The end of content that is known to be empty or that was read. */
static void end_content(struct http1_turn *t, const struct field_list *trailers)
{
    if (t->exchange.is_tunnel || t->request_done)
        return;
    t->request_done = true;
    if (!t->content_dropped)
        exchange_deliver_end(&t->exchange, trailers && trailers->count ? trailers : NULL);
}

static void begin_exchange(struct http1_session *s, bool has_more)
{
    struct http1_turn *t = s->incoming;
    struct exchange *x = &t->exchange;
    s->incoming = NULL;
    s->current = t;
    s->drop_left = s->options->linger_max;
    t->is_persistent = t->parser.is_persistent;
    t->is_chunked = http1_parser_is_chunked(&t->parser);
    t->content_left = t->is_chunked ? 0 : x->request.content_length;
    t->content_begun = has_more;
    if (t->is_chunked)
        http1_chunked_init(&t->chunked, t->parser.allowance);
    session_begin(&s->session, x, s->options->response_window);
    if (x->request.content_length == 0)
        end_content(t, NULL);
}

static void receive_head(struct http1_session *s, struct span *bytes)
{
    struct http1_turn *t = s->incoming ? s->incoming : begin_turn(s);
    if (!t) {
        http1_receive_refuse(s, ROUTED_ERROR_MEMORY);
        return;
    }
    struct exchange *x = &t->exchange;
    int error =
        http1_parser_feed(&t->parser, &s->line, &s->options->limits, &x->request, &x->arena, bytes);
    if (error)
        http1_receive_refuse(s, error);
    else if (t->parser.phase == HTTP1_PARSER_DONE)
        begin_exchange(s, bytes->size > 0);
}

/* ---- content ---- */

static struct slice slice_of_input(struct block *block, struct span bytes)
{
    if (!block)
        return slice_copy(bytes);
    return slice_of_block(block, (size_t)(bytes.data - block_data(block)), bytes.size);
}

/* The response is complete: nobody wants the rest of the request. */
static bool is_dropping(const struct http1_turn *t)
{
    return t->response_done && !t->request_done;
}

static size_t credit_of(const struct http1_turn *t)
{
    return t->exchange.request_credit > 0 ? (size_t)t->exchange.request_credit : 0;
}

/* Drops from the budget; without budget the request is given up. */
static size_t drop(struct http1_session *s, struct http1_turn *t, size_t size)
{
    if (size > s->drop_left) {
        t->exchange.is_unread = true;
        t->request_done = true;
        t->is_persistent = false;
        size = s->drop_left;
    }
    s->drop_left -= size;
    return size;
}

static void fail_content(struct http1_session *s, struct http1_turn *t, int error)
{
    t->request_done = true;
    http1_answer_fail(s, t, error);
    t->is_persistent = false;
}

/* Hands on up to `available` bytes from the front of `bytes`, as far as credit goes; returns how
 * many were taken. */
static size_t pass_on(struct http1_session *s, struct http1_turn *t, struct block *block,
                      struct span *bytes, size_t available)
{
    size_t size = available;
    if (is_dropping(t)) {
        t->content_dropped = true;
        size = drop(s, t, size);
    } else {
        size = size < credit_of(t) ? size : credit_of(t);
        if (size == 0)
            return 0;
        struct slice slice = slice_of_input(block, span_of(bytes->data, size));
        int error = slice.data ? exchange_deliver(&t->exchange, slice) : ROUTED_ERROR_MEMORY;
        if (error)
            fail_content(s, t, error);
    }
    *bytes = span_after(*bytes, size);
    return size;
}

static void receive_measured(struct http1_session *s, struct http1_turn *t, struct block *block,
                             struct span *bytes)
{
    size_t available = bytes->size;
    if ((uint64_t)t->content_left < available)
        available = (size_t)t->content_left;
    t->content_left -= (int64_t)pass_on(s, t, block, bytes, available);
    if (t->content_left == 0)
        end_content(t, NULL);
}

static void receive_chunked(struct http1_session *s, struct http1_turn *t, struct block *block,
                            struct span *bytes)
{
    struct http1_chunked *c = &t->chunked;
    size_t before = bytes->size;
    int error = http1_chunked_feed(c, &s->line, &s->options->limits, &t->exchange.arena, bytes);
    if (!error && is_dropping(t))
        drop(s, t, before - bytes->size);
    if (error)
        fail_content(s, t, error);
    else if (c->state == HTTP1_CHUNKED_DATA && bytes->size)
        http1_chunked_taken(c, pass_on(s, t, block, bytes, http1_chunked_available(c, *bytes)));
    else if (c->state == HTTP1_CHUNKED_END)
        end_content(t, &c->trailers);
}

/* ---- what the input is ---- */

bool http1_receive_is_open(const struct http1_session *s)
{
    const struct http1_turn *t = s->current;
    if (s->phase != HTTP1_OPEN)
        return true;
    if (!t)
        return may_begin(s);
    if (t->request_done)
        return t->response_done; /* over as soon as it is settled */
    if (is_dropping(t) || (t->is_chunked && t->chunked.state != HTTP1_CHUNKED_DATA))
        return true;
    return credit_of(t) > 0;
}

/* After the last request: up to linger_max bytes more, so that the client gets to read its
 * answer before a reset could destroy it. */
static void discard(struct http1_session *s, struct span *bytes)
{
    size_t size = bytes->size < s->drop_left ? bytes->size : s->drop_left;
    s->drop_left -= size;
    if (size < bytes->size && s->phase == HTTP1_LINGERING)
        s->phase = HTTP1_OVER;
    *bytes = span_after(*bytes, bytes->size);
}

void http1_receive_feed(struct http1_session *s, struct block *block, struct span *bytes)
{
    while (bytes->size && http1_receive_is_open(s)) {
        struct http1_turn *t = s->current;
        if (s->phase != HTTP1_OPEN) {
            discard(s, bytes);
        } else if (!t) {
            receive_head(s, bytes);
        } else {
            t->content_begun = true;
            if (t->exchange.is_tunnel)
                pass_on(s, t, block, bytes, bytes->size);
            else if (t->is_chunked)
                receive_chunked(s, t, block, bytes);
            else
                receive_measured(s, t, block, bytes);
        }
        http1_session_settle(s);
    }
}
