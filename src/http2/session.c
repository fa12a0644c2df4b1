#include "http2/state.h"

#include "base/error.h"
#include "base/memory.h"

/* RFC 9113 section 6.8: at least a round trip between the two GOAWAY frames. */
#define FAREWELL_MS 1000

/* ---- settling ---- */

void http2_session_break(struct http2_session *s, int error, uint32_t code)
{
    if (s->failure)
        return;
    s->failure = error;
    s->failure_code = code;
}

int http2_session_charge_reset(struct http2_session *s)
{
    int error = http2_budget_take_reset(&s->budget, &s->options->limits, *s->options->now);
    if (error)
        http2_session_break(s, error, NGHTTP2_ENHANCE_YOUR_CALM);
    return error;
}

static void begin_close(struct http2_session *s, int error)
{
    s->phase = HTTP2_CLOSING;
    http2_streams_finish_live(s, error);
}

static void settle_failure(struct http2_session *s)
{
    http2_machine_give_up(s);
    session_fault(&s->session, s->options->scheme, HTTP_2, s->failure);
    begin_close(s, s->failure);
}

/* nghttp2 has said its last word, unless an application is still to end what was sent whole. */
static void settle_machine_end(struct http2_session *s)
{
    for (struct list_link *l = s->live.next; l != &s->live; l = l->next)
        if (!LIST_ITEM(l, struct http2_stream, link)->is_gone) {
            s->is_broken = true;
            begin_close(s, ROUTED_ERROR_FRAMING);
            return;
        }
    if (s->live_count == 0)
        begin_close(s, ROUTED_OK);
}

static void say_last_farewell(struct http2_session *s)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(s->machine);
    s->farewell = HTTP2_FAREWELL_LAST;
    if (nghttp2_submit_goaway(s->machine, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0))
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
}

static void give_notice(struct http2_session *s)
{
    s->farewell = HTTP2_FAREWELL_NOTICE;
    s->noticed_at = *s->options->now;
    if (nghttp2_submit_shutdown_notice(s->machine) ||
        nghttp2_submit_ping(s->machine, NGHTTP2_FLAG_NONE, NULL))
        http2_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP2_INTERNAL_ERROR);
}

static milliseconds last_farewell_due(const struct http2_session *s)
{
    return clock_after(s->noticed_at, FAREWELL_MS);
}

static void settle_shut(struct http2_session *s)
{
    bool is_idle = s->live_count == 0;
    if (s->farewell == HTTP2_FAREWELL_NONE && !is_idle)
        give_notice(s);
    else if (s->farewell != HTTP2_FAREWELL_LAST &&
             (is_idle || s->was_noticed || *s->options->now >= last_farewell_due(s)))
        say_last_farewell(s);
    if (s->farewell == HTTP2_FAREWELL_LAST && is_idle)
        s->phase = list_is_empty(&s->finishing) && !s->was_noticed ? HTTP2_OVER : HTTP2_CLOSING;
}

/* Once the client has seen the notice it opens no more streams. Until then the budget goes on to
 * count, so that a client that does not listen gets to know why it is cut. */
static void settle_low_budget(struct http2_session *s)
{
    if (s->farewell == HTTP2_FAREWELL_NONE)
        give_notice(s);
    else if (s->was_noticed)
        s->is_shut = true;
}

/* The client ended its direction: what it has not sent will never come. */
static void settle_input_end(struct http2_session *s)
{
    http2_streams_end_input(s);
    http2_streams_settle(s);
    if (s->live_count == 0)
        s->phase = HTTP2_CLOSING;
}

static void settle_open(struct http2_session *s)
{
    if (!s->failure && http2_budget_is_low(&s->budget, &s->options->limits))
        settle_low_budget(s);
    if (s->failure)
        settle_failure(s);
    else if (http2_machine_is_done(s))
        settle_machine_end(s);
    else if (s->input_ended)
        settle_input_end(s);
    else if (s->is_shut)
        settle_shut(s);
}

static void settle(struct http2_session *s)
{
    http2_streams_settle(s);
    if (s->phase == HTTP2_OPEN)
        settle_open(s);
    http2_streams_finish_written(s);
    if (s->phase == HTTP2_CLOSING && s->output.size == 0 && !http2_machine_wants_write(s))
        s->phase = s->input_ended ? HTTP2_OVER : HTTP2_LINGERING;
}

/* ---- what the connection sees ---- */

static enum session_wait wait_of(const struct http2_session *s)
{
    if (s->phase == HTTP2_OVER)
        return SESSION_FINISHED;
    if (s->phase == HTTP2_LINGERING)
        return SESSION_LINGER;
    if (s->phase == HTTP2_CLOSING)
        return SESSION_ANSWER;
    if (!s->was_greeted || http2_frames_is_in_block(&s->frames))
        return SESSION_HEAD;
    if (s->live_count)
        return http2_streams_wait(s);
    return list_is_empty(&s->finishing) ? SESSION_IDLE : SESSION_ANSWER;
}

static milliseconds due_of(const struct http2_session *s)
{
    bool is_due =
        s->phase == HTTP2_OPEN && s->is_shut && s->farewell == HTTP2_FAREWELL_NOTICE && !s->failure;
    return is_due ? last_farewell_due(s) : CLOCK_NEVER;
}

/* The application may have acted since the last call. */
static void enter(struct http2_session *s)
{
    if (s->session.inside++ == 0)
        settle(s);
}

static void leave(struct http2_session *s)
{
    if (s->session.inside == 1) {
        settle(s);
        s->session.wait = wait_of(s);
        s->session.due = due_of(s);
        s->session.wants_input = s->phase != HTTP2_OVER;
    }
    s->session.inside--;
}

static size_t session_feed(struct session *base, struct block *block, struct span bytes)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    if (s->phase == HTTP2_OPEN && bytes.size) {
        s->input = block;
        s->input_size = bytes.size;
        http2_machine_feed(s, bytes);
        s->input = NULL;
        s->input_size = 0;
    }
    s->session.bytes_in += bytes.size;
    leave(s);
    return bytes.size;
}

static void session_feed_end(struct session *base)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    s->input_ended = true;
    leave(s);
}

/* What leaves the queues of streams gives them credit; an application that sends more at once
 * fills the same write. */
static void pull(struct http2_session *s)
{
    size_t before;
    do {
        before = s->output.size;
        http2_machine_pull(s);
        http2_streams_settle(s);
    } while (s->output.size != before && s->output.size < HTTP2_OUTPUT_TURN);
}

static size_t session_drain(struct session *base, struct span *out, size_t max)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    http2_streams_cut_starved(s);
    pull(s);
    http2_streams_cut_slow(s);
    if (s->input_ended && s->output.size == 0)
        http2_streams_cut_blocked(s);
    if (s->output.size == 0) /* what was cut has left RST_STREAM to be sent */
        pull(s);
    leave(s);
    return output_spans(&s->output, out, max);
}

static void session_drained(struct session *base, size_t bytes)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    output_consume(&s->output, bytes);
    leave(s);
}

/* ---- endings ---- */

static void session_fail(struct session *base, int error)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    if (s->phase != HTTP2_OPEN)
        s->phase = HTTP2_OVER;
    else if (s->session.wait == SESSION_WINDOW)
        http2_streams_cut_slow(s);
    else if (s->session.wait != SESSION_BODY || !http2_streams_fail_waiting(s, error))
        http2_session_break(s, error, error_entry(error)->http2);
    leave(s);
}

static void session_shut(struct session *base)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    s->is_shut = true;
    leave(s);
}

static void session_abort(struct session *base, int error)
{
    struct http2_session *s = http2_state_of(base);
    enter(s);
    s->phase = HTTP2_OVER;
    s->is_broken = true;
    output_release(&s->output);
    http2_streams_finish_all(s, error);
    leave(s);
}

/* One PING at a time. */
static bool session_probe(struct session *base)
{
    struct http2_session *s = http2_state_of(base);
    bool is_queued = false;
    enter(s);
    if (s->phase == HTTP2_OPEN && !s->is_probed && !s->is_broken)
        is_queued = nghttp2_submit_ping(s->machine, NGHTTP2_FLAG_NONE, NULL) == 0;
    s->is_probed |= is_queued;
    leave(s);
    return is_queued;
}

/* ---- memory ---- */

static void session_rest(struct session *base)
{
    struct http2_session *s = http2_state_of(base);
    output_rest(&s->output);
    http_cookies_release(&s->heads.cookies);
    memory_free(s->lines);
    s->lines = NULL;
    s->lines_capacity = 0;
    http2_streams_free_spare(s);
}

static void session_free(struct session *base)
{
    struct http2_session *s = http2_state_of(base);
    session_abort(base, ROUTED_ERROR_CLOSED);
    session_rest(base);
    http2_machine_close(s);
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

struct session *http2_session_new(const struct http2_session_options *options,
                                  const struct session_host *host, struct loop *loop)
{
    struct http2_session *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return NULL;
    session_init(&s->session, &ops, host, SESSION_HEAD);
    s->options = options;
    s->arrivals.rate = options->limits.send_rate;
    s->arrivals.grace = options->limits.send_grace;
    s->loop = loop;
    s->heads.limits = &options->limits.head;
    s->windows = (struct exchange_windows){.session = &s->session,
                                           .now = options->now,
                                           .first = options->limits.stream_window,
                                           .left = options->limits.upload_growth};
    list_init(&s->live);
    list_init(&s->finishing);
    list_init(&s->due);
    list_init(&s->spare);
    http2_answer_init(s);
    http2_budget_init(&s->budget, &options->limits, *options->now);
    if (http2_machine_open(s)) {
        http2_machine_close(s);
        memory_free(s);
        return NULL;
    }
    s->idle_memory = s->heap.held;
    return &s->session;
}
