#include "http2/state.h"

#include "base/error.h"
#include "base/memory.h"

/* ---- one by one ---- */

static struct http2_stream *new_stream(struct http2_session *s)
{
    if (list_is_empty(&s->spare))
        return memory_new_zeroed(sizeof(struct http2_stream));
    struct http2_stream *t = LIST_ITEM(s->spare.next, struct http2_stream, link);
    list_remove(&t->link);
    memset(&t->link, 0, sizeof(*t) - offsetof(struct http2_stream, link));
    return t;
}

struct http2_stream *http2_streams_take(struct http2_session *s, int32_t id)
{
    struct http2_stream *t = new_stream(s);
    if (!t)
        return NULL;
    t->head.all = &s->heads;
    exchange_init(&t->exchange, &exchange_outlet_carrier, &t->outlet, s->loop);
    t->outlet.host = &s->outlets;
    t->id = id;
    s->live_count++;
    list_append(&s->live, &t->link);
    return t;
}

static void free_stream(struct http2_stream *t)
{
    http_head_release(&t->head);
    exchange_outlet_release(&t->outlet);
    exchange_release(&t->exchange);
    memory_free(t);
}

/* Out of its list; kept for the next request. */
static void give_stream(struct http2_session *s, struct http2_stream *t)
{
    list_remove(&t->link);
    list_remove(&t->due);
    exchange_inlet_release(&t->inlet);
    exchange_window_give_back(&t->window, &s->windows);
    http_head_reset(&t->head);
    exchange_outlet_reset(&t->outlet);
    list_prepend(&s->spare, &t->link);
}

void http2_streams_free_spare(struct http2_session *s)
{
    while (!list_is_empty(&s->spare)) {
        struct http2_stream *t = LIST_ITEM(s->spare.next, struct http2_stream, link);
        list_remove(&t->link);
        free_stream(t);
    }
}

static void forget_receiving(struct http2_session *s, const struct http2_stream *t)
{
    if (s->receiving == t)
        s->receiving = NULL;
}

/* on_close, the host's note, and the stream is free again. */
static void finish(struct http2_session *s, struct http2_stream *t, int error)
{
    forget_receiving(s, t);
    if (!t->is_gone && !s->is_broken)
        nghttp2_session_set_stream_user_data(s->machine, t->id, NULL);
    if (t->is_exchange) {
        session_end(&s->session, &t->exchange, error);
    } else if (!t->is_refused) {
        t->is_refused = true;
        session_refuse(&s->session, &t->exchange, error, 0);
    }
    give_stream(s, t);
}

static void finish_live(struct http2_session *s, struct http2_stream *t, int error)
{
    s->live_count--;
    finish(s, t, t->error ? t->error : error);
}

void http2_streams_finish_live(struct http2_session *s, int error)
{
    while (!list_is_empty(&s->live))
        finish_live(s, LIST_ITEM(s->live.next, struct http2_stream, link), error);
}

static void finish_oldest(struct http2_session *s, int error)
{
    struct http2_stream *t = LIST_ITEM(s->finishing.next, struct http2_stream, link);
    finish(s, t, t->error ? t->error : error);
}

/* Both sides are done; what is left is to be written. */
static void await_output(struct http2_session *s, struct http2_stream *t)
{
    s->live_count--;
    list_remove(&t->link);
    list_append(&s->finishing, &t->link);
}

void http2_streams_gone(struct http2_session *s, struct http2_stream *t, int error)
{
    t->is_gone = true;
    forget_receiving(s, t);
    http2_receive_give_up(s, t);
    if (!t->response_sent)
        finish_live(s, t, error);
    else if (t->outlet.is_done)
        await_output(s, t);
}

void http2_streams_finish_written(struct http2_session *s)
{
    while (!list_is_empty(&s->finishing)) {
        struct http2_stream *t = LIST_ITEM(s->finishing.next, struct http2_stream, link);
        if (t->response_end == 0 || t->response_end > s->output.written)
            break;
        finish_oldest(s, ROUTED_OK);
    }
}

void http2_streams_finish_all(struct http2_session *s, int error)
{
    while (!list_is_empty(&s->finishing))
        finish_oldest(s, error);
    http2_streams_finish_live(s, error);
}

/* ---- settling ---- */

static void settle_stream(struct http2_session *s, struct http2_stream *t)
{
    if (t->error && t->is_exchange)
        exchange_close(&t->exchange, t->error);
    if (!s->is_broken)
        http2_receive_deliver_held(s, t);
    exchange_outlet_give_credit(&t->outlet, &t->exchange);
    if (t->is_gone && t->outlet.is_done && t->response_end == 0) {
        await_output(s, t);
        t->response_end = output_end(&s->output);
    }
}

void http2_streams_settle(struct http2_session *s)
{
    while (!list_is_empty(&s->due)) {
        struct http2_stream *t = LIST_ITEM(s->due.next, struct http2_stream, due);
        list_remove(&t->due);
        settle_stream(s, t);
    }
}

void http2_streams_end_input(struct http2_session *s)
{
    struct list_link *next;
    for (struct list_link *l = s->live.next; l != &s->live; l = next) {
        struct http2_stream *t = LIST_ITEM(l, struct http2_stream, link);
        next = l->next;
        if (t->inlet.has_ended || t->inlet.is_done || t->is_gone)
            continue;
        if (!t->is_exchange) {
            finish_live(s, t, ROUTED_ERROR_TRUNCATED);
            continue;
        }
        if (t->exchange.is_tunnel)
            t->inlet.has_ended = true;
        else
            exchange_outlet_fail(&t->exchange, ROUTED_ERROR_TRUNCATED);
        http2_state_is_due(s, t);
    }
}

void http2_streams_cut_blocked(struct http2_session *s)
{
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next) {
        struct http2_stream *t = LIST_ITEM(l, struct http2_stream, link);
        if (!t->outlet.body.size || t->is_gone || t->error)
            continue;
        t->error = ROUTED_ERROR_CLIENT_GONE;
        http2_answer_reset(s, t, NGHTTP2_CANCEL);
    }
}

/* ---- slow readers ---- */

static void start_watch(const struct http2_session *s, struct http2_stream *t)
{
    t->blocked_at = *s->options->now;
    t->sent_before = t->sent;
    t->sent_by_all = s->content_out;
}

/* Progress is what went out: of the stream where its own window is full, else of all, for then it
 * may be the others' turn. */
static bool is_too_slow(const struct http2_session *s, const struct http2_stream *t,
                        milliseconds elapsed)
{
    bool is_window_full = nghttp2_session_get_stream_remote_window_size(s->machine, t->id) <= 0;
    uint64_t progress = is_window_full ? t->sent - t->sent_before : s->content_out - t->sent_by_all;
    return progress * 1000 < elapsed * s->options->limits.send_rate;
}

/* From one look to the next, so that a fast start buys nothing. */
static void check_blocked(struct http2_session *s, struct http2_stream *t)
{
    milliseconds elapsed = *s->options->now - t->blocked_at;
    if (elapsed < s->options->limits.send_grace)
        return;
    if (!is_too_slow(s, t, elapsed)) {
        start_watch(s, t);
        return;
    }
    session_hit(&s->session, offsetof(routed_limits, rate));
    t->error = ROUTED_ERROR_TOO_SLOW;
    t->is_blocked = false;
    http2_answer_reset(s, t, NGHTTP2_CANCEL);
}

/* The output has room, so what is left in a queue waits for the client's window. */
static void note_blocked(struct http2_session *s, struct http2_stream *t)
{
    bool was_blocked = t->is_blocked;
    t->is_blocked = t->outlet.body.size > 0 && !t->is_gone && !t->error;
    if (t->is_blocked && !was_blocked)
        start_watch(s, t);
    else if (t->is_blocked)
        check_blocked(s, t);
}

void http2_streams_cut_slow(struct http2_session *s)
{
    if (s->output.size || s->is_broken)
        return;
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next)
        note_blocked(s, LIST_ITEM(l, struct http2_stream, link));
    http2_streams_settle(s);
}

/* ---- slow uploads ---- */

static size_t count_awaited(const struct http2_session *s)
{
    size_t count = 0;
    for (const struct list_link *l = s->live.next; l != &s->live; l = l->next)
        count += http2_state_is_awaited(LIST_ITEM(l, const struct http2_stream, link));
    return count;
}

static void look_at_arrival(struct http2_session *s, struct http2_stream *t)
{
    if (!http2_state_is_awaited(t) ||
        !exchange_arrival_is_late(&t->arrival, &t->exchange, &s->arrivals, *s->options->now))
        return;
    session_hit(&s->session, offsetof(routed_limits, rate));
    exchange_outlet_fail(&t->exchange, ROUTED_ERROR_TOO_SLOW);
}

void http2_streams_cut_starved(struct http2_session *s)
{
    if (s->session.wait != SESSION_BODY ||
        !exchange_arrivals_are_due(&s->arrivals, *s->options->now))
        return;
    s->arrivals.awaited = count_awaited(s);
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next)
        look_at_arrival(s, LIST_ITEM(l, struct http2_stream, link));
    http2_streams_settle(s);
}

/* ---- what is waited for ---- */

enum session_wait http2_streams_wait(const struct http2_session *s)
{
    bool is_all_tunnels = true, is_blocked = false;
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next) {
        const struct http2_stream *t = LIST_ITEM(l, struct http2_stream, link);
        is_blocked |= t->is_blocked;
        if (t->exchange.is_tunnel)
            continue;
        if (http2_state_is_awaited(t))
            return SESSION_BODY;
        is_all_tunnels = false;
    }
    if (is_blocked)
        return SESSION_WINDOW;
    return is_all_tunnels ? SESSION_TUNNEL : SESSION_ANSWER;
}

bool http2_streams_fail_waiting(struct http2_session *s, int error)
{
    bool any = false;
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next) {
        struct http2_stream *t = LIST_ITEM(l, struct http2_stream, link);
        if (!http2_state_is_awaited(t))
            continue;
        exchange_outlet_fail(&t->exchange, error);
        any = true;
    }
    return any;
}
