#include "front/patience.h"

#include "base/limits.h"

static milliseconds now_of(const struct front_client *c)
{
    return loop_now(c->worker->loop);
}

static const routed_limits *limits_of(const struct front_client *c)
{
    return &c->worker->shared->limits;
}

static void hit(struct front_client *c, size_t limit)
{
    front_metrics_hit(&c->worker->metrics, limit);
}

/* ---- what is waited for ---- */

static void note_wait(struct front_client *c, enum session_wait wait)
{
    struct session *s = c->session;
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
        front_worker_client_idle(c->worker, c);
    if (was_idle != (c->wait == SESSION_IDLE))
        metric_add(&c->worker->metrics, FRONT_CONNECTIONS_IDLE, was_idle ? (uint64_t)0 - 1 : 1);
}

static void note_paces(struct front_client *c, bool is_written)
{
    pace_note(&c->input, now_of(c), c->session->bytes_in);
    if (is_written) {
        pace_stop(&c->output);
        return;
    }
    pace_start(&c->output, now_of(c), c->written);
    pace_note(&c->output, now_of(c), c->written);
}

void front_patience_note(struct front_client *c, enum session_wait wait, bool is_written)
{
    note_wait(c, wait);
    note_paces(c, is_written);
}

/* ---- until when ---- */

static size_t greeting_limit(const struct front_client *c, milliseconds *since)
{
    return c->kind->greeting ? c->kind->greeting(c, since) : 0;
}

static milliseconds idle_deadline(const struct front_client *c)
{
    const routed_limits *limits = limits_of(c);
    milliseconds idle = clock_after(c->wait_since, limit_value(limits, c->idle_limit));
    milliseconds life = clock_after(c->opened_at, limits->connection_lifetime);
    return idle < life ? idle : life;
}

static milliseconds wait_deadline(const struct front_client *c)
{
    const routed_limits *limits = limits_of(c);
    milliseconds since;
    size_t greeting = greeting_limit(c, &since);
    if (greeting)
        return clock_after(since, limit_value(limits, greeting));
    switch (c->wait) {
    case SESSION_IDLE:
        return idle_deadline(c);
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

/* The timer is only ever moved forward: a deadline that went further away is found when the old
 * one fires, so a request on a busy connection costs no timer. */
void front_patience_set(struct front_client *c, milliseconds earlier)
{
    milliseconds due = wait_deadline(c);
    if (c->session->due < due)
        due = c->session->due;
    milliseconds output = pace_deadline(&c->output, limits_of(c));
    if (output < due)
        due = output;
    if (earlier < due)
        due = earlier;
    if (due != CLOCK_NEVER && (!loop_timer_is_set(&c->timer) || due < c->timer.due))
        loop_timer_set(c->worker->loop, &c->timer, due);
}

/* ---- the end of patience ---- */

static void fail(struct front_client *c, int error, size_t limit)
{
    hit(c, limit);
    c->session->ops->fail(c->session, error);
}

static void end_idle(struct front_client *c, milliseconds now)
{
    bool was_idle = now >= clock_after(c->wait_since, limit_value(limits_of(c), c->idle_limit));
    hit(c, was_idle ? c->idle_limit : offsetof(routed_limits, connection_lifetime));
    c->session->ops->shut(c->session);
}

static enum front_verdict check_wait(struct front_client *c, milliseconds now, int *error)
{
    milliseconds since;
    size_t greeting = greeting_limit(c, &since);
    if (now < wait_deadline(c))
        return FRONT_GO_ON;
    if (greeting) {
        hit(c, greeting);
        *error = ROUTED_ERROR_REQUEST_TIMEOUT;
        return FRONT_CUT;
    }
    switch (c->wait) {
    case SESSION_IDLE:
        end_idle(c, now);
        break;
    case SESSION_HEAD:
        fail(c, ROUTED_ERROR_REQUEST_TIMEOUT, offsetof(routed_limits, header_timeout));
        break;
    case SESSION_WINDOW: /* the session knows which of its streams are too slow */
        c->wait_since = now;
        c->session->ops->fail(c->session, ROUTED_ERROR_TOO_SLOW);
        break;
    case SESSION_LINGER:
        hit(c, offsetof(routed_limits, linger_timeout));
        return FRONT_LINGERED;
    default:
        break;
    }
    return FRONT_GO_ON;
}

static size_t limit_of_pace(enum pace_verdict verdict)
{
    return verdict == PACE_SLOW ? offsetof(routed_limits, rate)
                                : offsetof(routed_limits, stall_timeout);
}

static enum front_verdict check_paces(struct front_client *c, milliseconds now, int *error)
{
    const routed_limits *limits = limits_of(c);
    enum pace_verdict verdict = pace_check(&c->input, now, c->session->bytes_in, limits);
    if (verdict != PACE_GOOD)
        fail(c, verdict == PACE_SLOW ? ROUTED_ERROR_TOO_SLOW : ROUTED_ERROR_REQUEST_TIMEOUT,
             limit_of_pace(verdict));
    verdict = pace_check(&c->output, now, c->written, limits);
    if (verdict == PACE_GOOD)
        return FRONT_GO_ON;
    hit(c, limit_of_pace(verdict));
    *error = ROUTED_ERROR_TOO_SLOW;
    return FRONT_CUT;
}

/* Even where the socket takes nothing, so that the same moment is not due again. */
static void remind(struct session *s)
{
    struct span unused;
    if (s->ops->drain)
        s->ops->drain(s, &unused, 1);
}

enum front_verdict front_patience_check(struct front_client *c, int *error)
{
    milliseconds now = now_of(c);
    if (now >= c->session->due)
        remind(c->session);
    enum front_verdict verdict = check_wait(c, now, error);
    if (verdict != FRONT_CUT && check_paces(c, now, error) == FRONT_CUT)
        verdict = FRONT_CUT;
    return verdict;
}
