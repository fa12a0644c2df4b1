#include "http3/state.h"

#include "base/error.h"
#include "base/memory.h"

/* RFC 9114 section 5.2: at least a round trip between the two GOAWAY frames. */
#define FAREWELL_MS 1000

/* ---- failures ---- */

void http3_session_break(struct http3_session *s, int error, uint64_t code)
{
    if (s->failure || s->is_over)
        return;
    s->failure = error;
    s->failure_code = code;
}

/* ---- settling ---- */

static void settle_failure(struct http3_session *s)
{
    s->is_over = s->is_broken = true;
    session_fault(&s->session, SPAN("https"), HTTP_3, s->failure);
    http3_streams_finish_live(s, s->failure);
}

static void queue_farewell(struct http3_session *s, enum http3_farewell farewell)
{
    s->farewell = farewell;
    s->noticed_at = *s->options->now;
    s->is_silent = false;
    int failed = farewell == HTTP3_FAREWELL_NOTICE ? nghttp3_conn_submit_shutdown_notice(s->machine)
                                                   : nghttp3_conn_shutdown(s->machine);
    if (failed)
        http3_session_break(s, ROUTED_ERROR_MEMORY, NGHTTP3_H3_INTERNAL_ERROR);
}

static void settle_shut(struct http3_session *s)
{
    bool is_idle = s->live_count == 0 && list_is_empty(&s->finishing);
    if (!s->is_started)
        s->is_over = is_idle;
    else if (s->farewell == HTTP3_FAREWELL_NONE && !is_idle)
        queue_farewell(s, HTTP3_FAREWELL_NOTICE);
    else if (s->farewell != HTTP3_FAREWELL_LAST &&
             (is_idle || s->was_noticed ||
              *s->options->now >= clock_after(s->noticed_at, FAREWELL_MS)))
        queue_farewell(s, HTTP3_FAREWELL_LAST);
    else if (s->farewell == HTTP3_FAREWELL_LAST && is_idle && s->is_silent)
        s->is_over = true;
}

static void settle(struct http3_session *s)
{
    http3_streams_settle(s);
    if (s->is_over || (!s->failure && !s->is_shut))
        return;
    if (!s->failure)
        settle_shut(s);
    if (s->failure)
        settle_failure(s);
    http3_streams_settle(s);
}

/* ---- what the connection sees ---- */

static enum session_wait wait_of(const struct http3_session *s)
{
    if (s->is_over)
        return SESSION_FINISHED;
    if (!s->was_greeted)
        return SESSION_HEAD;
    if (s->live_count)
        return http3_streams_wait(s);
    return list_is_empty(&s->finishing) ? SESSION_IDLE : SESSION_WINDOW;
}

/* The second GOAWAY does not wait for ever for the acknowledgement of the first. */
static milliseconds next_due(const struct http3_session *s)
{
    bool is_noticing = s->farewell == HTTP3_FAREWELL_NOTICE && !s->was_noticed && !s->is_over;
    return is_noticing ? clock_after(s->noticed_at, FAREWELL_MS) : CLOCK_NEVER;
}

static bool is_settled(const struct http3_session *s)
{
    return list_is_empty(&s->due) && !s->failure && !s->is_shut;
}

/* The application may have acted since the last call. */
void http3_session_enter(struct http3_session *s)
{
    if (s->session.inside++ == 0 && !is_settled(s))
        settle(s);
}

int http3_session_leave(struct http3_session *s)
{
    if (s->session.inside == 1) {
        http3_receive_cut_starved(s);
        if (!is_settled(s))
            settle(s);
        s->session.wait = wait_of(s);
        s->session.due = next_due(s);
    }
    s->session.inside--;
    return s->failure;
}

uint64_t http3_session_streams_allowed(const struct http3_session *s)
{
    return s->options->limits.streams_max + s->streams_closed;
}

uint64_t http3_session_close_code(const struct http3_session *s)
{
    return s->failure ? s->failure_code : NGHTTP3_H3_NO_ERROR;
}

/* ---- endings ---- */

static void session_fail(struct session *base, int error)
{
    struct http3_session *s = http3_state_of(base);
    http3_session_enter(s);
    if (s->session.wait == SESSION_WINDOW && s->live_count)
        http3_streams_cut_slow(s);
    else if (s->session.wait != SESSION_BODY || !http3_streams_fail_waiting(s, error))
        http3_session_break(s, error, error_entry(error)->http3);
    http3_session_leave(s);
}

static void session_shut(struct session *base)
{
    struct http3_session *s = http3_state_of(base);
    http3_session_enter(s);
    s->is_shut = true;
    http3_session_leave(s);
}

static void session_abort(struct session *base, int error)
{
    struct http3_session *s = http3_state_of(base);
    http3_session_enter(s);
    s->is_over = s->is_broken = true;
    http3_streams_finish_live(s, error);
    http3_session_leave(s);
}

/* A sign of life is QUIC's matter (RFC 9000 section 10.1.2). */
static bool session_probe(struct session *base)
{
    (void)base;
    return false;
}

/* ---- memory ---- */

static void session_rest(struct session *base)
{
    struct http3_session *s = http3_state_of(base);
    http_cookies_release(&s->heads.cookies);
    if (s->instructions.queue.size == 0)
        http3_instructions_release(s);
    memory_free(s->lines);
    s->lines = NULL;
    s->lines_capacity = 0;
    http3_streams_free_spare(s);
}

static void session_free(struct session *base)
{
    struct http3_session *s = http3_state_of(base);
    session_abort(base, ROUTED_ERROR_CLOSED);
    http3_streams_drop_finishing(s);
    session_rest(base);
    http3_machine_close(s);
    memory_free(s);
}

static const struct session_ops ops = {
    .fail = session_fail,
    .shut = session_shut,
    .abort = session_abort,
    .probe = session_probe,
    .rest = session_rest,
    .free = session_free,
};

struct session *http3_session_base(struct http3_session *s)
{
    return &s->session;
}

static void init(struct http3_session *s, const struct http3_session_options *options)
{
    const struct http3_limits *limits = &options->limits;
    s->options = options;
    s->arrivals.rate = options->limits.send_rate;
    s->arrivals.grace = options->limits.send_grace;
    list_init(&s->live);
    list_init(&s->finishing);
    list_init(&s->due);
    list_init(&s->spare);
    http3_answer_init(s);
    s->resets = bucket_full(&limits->resets, *options->now);
    s->glitches = bucket_full(&limits->glitches, *options->now);
    s->small_data = bucket_full(&limits->small_data, *options->now);
    s->heads.limits = &limits->head;
    s->windows = (struct exchange_windows){.session = &s->session,
                                           .now = options->now,
                                           .first = limits->stream_window,
                                           .left = limits->upload_growth};
    s->control_stream = s->instructions.stream = s->latest_stream = -1;
    s->push_end = UINT64_MAX;
    s->is_silent = true;
}

struct http3_session *http3_session_new(const struct http3_session_options *options,
                                        const struct session_host *host,
                                        const struct http3_transport *transport, struct loop *loop)
{
    struct http3_session *s = memory_new_zeroed(sizeof(*s));
    if (!s)
        return NULL;
    init(s, options);
    session_init(&s->session, &ops, host, SESSION_HEAD);
    s->transport = *transport;
    s->loop = loop;
    if (http3_machine_open(s)) {
        http3_machine_close(s);
        memory_free(s);
        return NULL;
    }
    s->idle_memory = s->heap.held;
    return s;
}
