#include "front/patience.h"

#include "base/limits.h"
#include "front/connection.h"

static milliseconds now_of(const struct front_connection *c)
{
    return loop_now(c->worker->loop);
}

static const routed_limits *limits_of(const struct front_connection *c)
{
    return &c->worker->shared->limits;
}

static void note_wait(struct front_connection *c)
{
    struct session *s = c->session;
    enum session_wait wait = front_connection_wait(c);
    if (wait == c->wait && s->requests == c->wait_requests)
        return;
    bool was_idle = c->wait == SESSION_IDLE;
    c->wait = wait;
    c->wait_requests = s->requests;
    c->wait_since = now_of(c);
    if (c->wait == SESSION_BODY)
        pace_start(&c->input, c->wait_since, s->bytes_in);
    else
        pace_stop(&c->input);
    list_remove(&c->idle_link);
    if (c->wait == SESSION_IDLE)
        front_worker_connection_idle(c->worker, c);
    if (was_idle != (c->wait == SESSION_IDLE))
        metric_add(&c->worker->metrics, FRONT_CONNECTIONS_IDLE, was_idle ? (uint64_t)0 - 1 : 1);
}

static void note_paces(struct front_connection *c, bool is_written)
{
    pace_note(&c->input, now_of(c), c->session->bytes_in);
    if (is_written) {
        pace_stop(&c->output);
        return;
    }
    pace_start(&c->output, now_of(c), c->written);
    pace_note(&c->output, now_of(c), c->written);
}

static uint64_t idle_limit(const struct front_connection *c)
{
    const routed_limits *limits = limits_of(c);
    return c->is_http2 ? limits->http2_idle_timeout : limits->idle_timeout;
}

static milliseconds wait_deadline(const struct front_connection *c)
{
    const routed_limits *limits = limits_of(c);
    if (c->greeting == FRONT_GREETING_TLS)
        return clock_after(c->opened_at, limits->handshake_timeout);
    if (buffer_size(&c->held) && c->wait == SESSION_IDLE) /* part of a preface */
        return clock_after(c->wait_since, limits->header_timeout);
    switch (c->wait) {
    case SESSION_IDLE: {
        milliseconds idle = clock_after(c->wait_since, idle_limit(c));
        milliseconds life = clock_after(c->opened_at, limits->connection_lifetime);
        return idle < life ? idle : life;
    }
    case SESSION_HEAD:
        return clock_after(c->wait_since, limits->header_timeout);
    case SESSION_BODY:
        return pace_deadline(&c->input, limits);
    case SESSION_LINGER:
        return clock_after(c->wait_since, limits->linger_timeout);
    case SESSION_WINDOW:
        return clock_after(c->wait_since, limits->stall_timeout);
    case SESSION_ANSWER:
    case SESSION_TUNNEL:
    case SESSION_FINISHED:
        break;
    }
    return CLOCK_NEVER;
}

static milliseconds deadline(const struct front_connection *c)
{
    milliseconds due = wait_deadline(c);
    if (c->session->due < due)
        due = c->session->due;
    milliseconds output = pace_deadline(&c->output, limits_of(c));
    if (output < due)
        due = output;
    return c->probe_at < due ? c->probe_at : due;
}

/* The timer is only ever moved forward: a deadline that went further away is found when the old
 * one fires, so a request on a busy connection costs no timer. */
void front_patience_set(struct front_connection *c)
{
    milliseconds due = deadline(c);
    if (due != CLOCK_NEVER && (!loop_timer_is_set(&c->timer) || due < c->timer.due))
        loop_timer_set(c->worker->loop, &c->timer, due);
}

static void fail(struct front_connection *c, int error, size_t limit)
{
    front_metrics_hit(&c->worker->metrics, limit);
    c->session->ops->fail(c->session, error);
}

static void check_wait(struct front_connection *c, milliseconds now)
{
    if (now < wait_deadline(c))
        return;
    if (c->greeting == FRONT_GREETING_TLS) {
        front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, handshake_timeout));
        front_connection_abort(c, ROUTED_ERROR_REQUEST_TIMEOUT);
        return;
    }
    switch (c->wait) {
    case SESSION_IDLE:
        if (buffer_size(&c->held))
            front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, header_timeout));
        else if (now >= clock_after(c->wait_since, idle_limit(c)))
            front_metrics_hit(&c->worker->metrics, c->is_http2
                                                       ? offsetof(routed_limits, http2_idle_timeout)
                                                       : offsetof(routed_limits, idle_timeout));
        else
            front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, connection_lifetime));
        c->session->ops->shut(c->session);
        break;
    case SESSION_HEAD:
        fail(c, ROUTED_ERROR_REQUEST_TIMEOUT, offsetof(routed_limits, header_timeout));
        break;
    case SESSION_WINDOW: /* the session knows which of its streams are too slow */
        c->wait_since = now;
        c->session->ops->fail(c->session, ROUTED_ERROR_TOO_SLOW);
        break;
    case SESSION_LINGER:
        front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, linger_timeout));
        c->has_lingered = true;
        break;
    default:
        break;
    }
}

static void check_paces(struct front_connection *c, milliseconds now)
{
    const routed_limits *limits = limits_of(c);
    enum pace_verdict verdict = pace_check(&c->input, now, c->session->bytes_in, limits);
    if (verdict != PACE_GOOD)
        fail(c, verdict == PACE_SLOW ? ROUTED_ERROR_TOO_SLOW : ROUTED_ERROR_REQUEST_TIMEOUT,
             verdict == PACE_SLOW ? offsetof(routed_limits, rate)
                                  : offsetof(routed_limits, stall_timeout));
    verdict = pace_check(&c->output, now, c->written, limits);
    if (verdict == PACE_GOOD)
        return;
    front_metrics_hit(&c->worker->metrics, verdict == PACE_SLOW
                                               ? offsetof(routed_limits, rate)
                                               : offsetof(routed_limits, stall_timeout));
    front_connection_abort(c, ROUTED_ERROR_TOO_SLOW);
}

/* Even where the socket takes nothing, so that the same moment is not due again. */
static void remind(struct session *s)
{
    struct span unused;
    s->ops->drain(s, &unused, 1);
}

void front_patience_note(struct front_connection *c, bool is_written)
{
    note_wait(c);
    note_paces(c, is_written);
}

void front_patience_check(struct front_connection *c)
{
    milliseconds now = now_of(c);
    if (now >= c->probe_at) {
        c->probe_at = CLOCK_NEVER;
        c->session->ops->probe(c->session);
    }
    if (now >= c->session->due)
        remind(c->session);
    check_wait(c, now);
    check_paces(c, now);
}
