#include "http1/session.h"

#include "base/memory.h"
#include "http1/state.h"

/* ---- turns ---- */

struct http1_turn *http1_session_take_turn(struct http1_session *s)
{
    struct http1_turn *t = http1_spare_take_turn(s->options->spare);
    if (!t)
        return NULL;
    memset(&t->link, 0, sizeof(*t) - offsetof(struct http1_turn, link));
    exchange_init(&t->exchange, &http1_answer_carrier, s, s->loop);
    return t;
}

/* on_close, the host's note, and the turn is free again. */
static void finish_turn(struct http1_session *s, struct http1_turn *t, int error)
{
    session_end(&s->session, &t->exchange, error);
    http1_spare_give_turn(s->options->spare, t);
}

static struct http1_turn *oldest_finishing(const struct http1_session *s)
{
    return list_is_empty(&s->finishing) ? NULL
                                        : LIST_ITEM(s->finishing.next, struct http1_turn, link);
}

static void finish_oldest(struct http1_session *s, int error)
{
    struct http1_turn *t = oldest_finishing(s);
    list_remove(&t->link);
    s->finishing_count--;
    finish_turn(s, t, t->error ? t->error : error);
}

/* ---- settling ---- */

void http1_session_begin_close(struct http1_session *s)
{
    s->phase = HTTP1_CLOSING;
    s->drop_left = s->options->linger_max;
}

/* The response is complete and the request is not: is the rest small enough to be read? */
static void weigh_unread_content(struct http1_session *s, struct http1_turn *t)
{
    bool is_small = t->is_chunked || (uint64_t)t->content_left <= s->drop_left;
    if (!t->exchange.is_tunnel && t->is_persistent && is_small)
        return;
    t->exchange.is_unread = !is_small;
    t->request_done = true;
    t->is_persistent = false;
}

static void settle_current(struct http1_session *s)
{
    struct http1_turn *t = s->current;
    if (t->error)
        exchange_close(&t->exchange, t->error);
    if (t->response_done && !t->request_done)
        weigh_unread_content(s, t);
    if (!t->response_done || !t->request_done)
        return;
    s->current = NULL;
    t->response_end = output_end(&s->output);
    list_append(&s->finishing, &t->link);
    s->finishing_count++;
    if (s->phase == HTTP1_OPEN && (!t->is_persistent || s->is_shut))
        http1_session_begin_close(s);
}

/* The client ended its direction, and all that it sent has been looked at. */
static void settle_input_end(struct http1_session *s)
{
    struct http1_turn *t = s->current;
    if (!t && s->phase == HTTP1_OPEN && http1_state_has_head(s))
        http1_receive_refuse(s, ROUTED_ERROR_TRUNCATED);
    if (!t || s->phase != HTTP1_OPEN) {
        s->phase = HTTP1_OVER;
    } else if (!t->request_done) {
        t->request_done = true;
        if (t->exchange.is_tunnel)
            exchange_deliver_end(&t->exchange, NULL);
        else
            http1_answer_fail(s, t, ROUTED_ERROR_TRUNCATED);
        settle_current(s);
    }
}

void http1_session_settle(struct http1_session *s)
{
    if (s->current)
        settle_current(s);
    if (s->input_ended && !s->is_held)
        settle_input_end(s);
    for (struct http1_turn *t = oldest_finishing(s); t && t->response_end <= s->output.written;
         t = oldest_finishing(s))
        finish_oldest(s, ROUTED_OK);
    if (s->phase == HTTP1_CLOSING && s->output.size == 0)
        s->phase = s->input_ended ? HTTP1_OVER : HTTP1_LINGERING;
}

/* ---- what the connection sees ---- */

static enum session_wait wait_of(const struct http1_session *s)
{
    const struct http1_turn *t = s->current;
    if (s->phase == HTTP1_OVER)
        return SESSION_FINISHED;
    if (s->phase == HTTP1_LINGERING)
        return SESSION_LINGER;
    if (t && t->exchange.is_tunnel)
        return SESSION_TUNNEL;
    if (t)
        return !t->request_done && http1_receive_is_open(s) ? SESSION_BODY : SESSION_ANSWER;
    if (s->finishing_count || s->phase == HTTP1_CLOSING)
        return SESSION_ANSWER;
    return http1_state_has_head(s) ? SESSION_HEAD : SESSION_IDLE;
}

bool http1_session_wants_input(const struct http1_session *s)
{
    return http1_receive_is_open(s) || (!s->is_held && s->current && s->current->request_done);
}

/* The application may have ended a response since the last call. */
static void enter(struct http1_session *s)
{
    if (s->session.inside++ == 0)
        http1_session_settle(s);
}

static void leave(struct http1_session *s)
{
    if (s->session.inside == 1) {
        http1_session_settle(s);
        s->session.wait = wait_of(s);
        s->session.wants_input = http1_session_wants_input(s);
        if (s->session.wait == SESSION_IDLE && output_has_memory(&s->output))
            http1_spare_return_output(s->options->spare, &s->output);
    }
    s->session.inside--;
}

static size_t session_feed(struct session *base, struct block *block, struct span bytes)
{
    struct http1_session *s = http1_state_of(base);
    struct span rest = bytes;
    enter(s);
    s->is_held = true;
    http1_receive_feed(s, block, &rest);
    s->is_held = rest.size > 0;
    s->session.bytes_in += bytes.size - rest.size;
    leave(s);
    return bytes.size - rest.size;
}

static void session_feed_end(struct session *base)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    s->input_ended = true;
    leave(s);
}

static size_t session_drain(struct session *base, struct span *out, size_t max)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    leave(s);
    return output_spans(&s->output, out, max);
}

/* What is still queued of a response is at most what the whole output holds. */
static void return_credit(struct http1_session *s, struct http1_turn *t)
{
    size_t left = t->queued < s->output.size ? t->queued : s->output.size;
    size_t credit = t->queued - left;
    t->queued = left;
    if (credit)
        exchange_writable(&t->exchange, credit);
}

static void session_drained(struct session *base, size_t bytes)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    output_consume(&s->output, bytes);
    if (s->current)
        return_credit(s, s->current);
    leave(s);
}

/* ---- endings ---- */

/* A client that sends nothing is not answered: it would take the answer for that of its next
 * request. */
static bool is_silent_end(int error)
{
    return error == ROUTED_ERROR_REQUEST_TIMEOUT || error == ROUTED_ERROR_TOO_SLOW ||
           error == ROUTED_ERROR_TIMEOUT;
}

static void session_fail(struct session *base, int error)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    struct http1_turn *t = s->current; /* not before: it may have settled only now */
    if (s->phase != HTTP1_OPEN) {
        s->phase = HTTP1_OVER;
    } else if (t) {
        bool was_read = t->request_done;
        t->request_done = true;
        if (!was_read)
            t->is_persistent = false;
        http1_answer_fail(s, t, error);
    } else if (!http1_state_has_head(s) && is_silent_end(error)) {
        s->phase = HTTP1_OVER;
    } else {
        http1_receive_refuse(s, error);
    }
    leave(s);
}

static void session_shut(struct session *base)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    s->is_shut = true;
    if (s->phase == HTTP1_OPEN && !s->current && !http1_state_has_head(s))
        s->phase = HTTP1_OVER;
    leave(s);
}

/* A response that only the close would end, and not all of it went out. */
static bool is_cut_unseen(const struct http1_session *s)
{
    const struct http1_turn *t = s->current;
    if (!t && !list_is_empty(&s->finishing))
        t = LIST_ITEM(s->finishing.previous, struct http1_turn, link);
    return t && t->response_begun && t->coding == HTTP1_CODING_CLOSE &&
           (!t->response_done || s->output.size);
}

static void session_abort(struct session *base, int error)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    struct http1_turn *t = s->current; /* not before: it may have settled only now */
    s->session.reset |= is_cut_unseen(s);
    s->phase = HTTP1_OVER;
    s->current = NULL;
    output_release(&s->output);
    while (!list_is_empty(&s->finishing))
        finish_oldest(s, error);
    if (t)
        finish_turn(s, t, t->error ? t->error : error);
    leave(s);
}

static bool session_probe(struct session *base)
{
    struct http1_session *s = http1_state_of(base);
    enter(s);
    bool queued = http1_answer_probe(s);
    leave(s);
    return queued;
}

/* ---- memory ---- */

static void session_rest(struct session *base)
{
    struct http1_session *s = http1_state_of(base);
    output_rest(&s->output);
    if (s->current || s->finishing_count || http1_state_has_head(s))
        return;
    if (s->incoming && s->incoming->parser.phase == HTTP1_PARSER_START) {
        http1_spare_give_turn(s->options->spare, s->incoming);
        s->incoming = NULL;
    }
    http1_line_release(&s->line);
}

static void session_free(struct session *base)
{
    struct http1_session *s = http1_state_of(base);
    session_abort(base, ROUTED_ERROR_CLOSED);
    http1_line_release(&s->line);
    http1_spare_give_turn(s->options->spare, s->incoming);
    memory_free(s);
}

static const struct session_ops ops = {
    .feed = session_feed,
    .feed_end = session_feed_end,
    .drain = session_drain,
    .drained = session_drained,
    .fail = session_fail,
    .shut = session_shut,
    .abort = session_abort,
    .probe = session_probe,
    .rest = session_rest,
    .free = session_free,
};

struct session *http1_session_new(const struct http1_session_options *options,
                                  const struct session_host *host, struct loop *loop)
{
    struct http1_session *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return NULL;
    session_init(&s->session, &ops, host, SESSION_IDLE);
    s->options = options;
    s->loop = loop;
    list_init(&s->finishing);
    return &s->session;
}
