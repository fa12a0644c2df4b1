#include "front/connection.h"

#include "base/limits.h"
#include "base/memory.h"
#include "front/request.h"
#include "http1/session.h"

/* One read a turn, so that no client keeps the others waiting. Short reads are copied where they
 * become content: a byte must not pin a block. */
#define COPY_BELOW     16384
#define SPANS_MAX      SOCKET_GATHER
#define WRITES_A_TURN  16
#define PROBE_AFTER_MS 40

static void front_connection_run(struct front_connection *c);

static struct loop *loop_of(const struct front_connection *c)
{
    return c->worker->loop;
}

static milliseconds now_of(const struct front_connection *c)
{
    return loop_now(c->worker->loop);
}

static const routed_limits *limits_of(const struct front_connection *c)
{
    return &c->worker->shared->limits;
}

/* ---- input ---- */

/* Feeds what was held back earlier; true when nothing is left of it. */
static bool feed_held(struct front_connection *c)
{
    struct span bytes = buffer_span(&c->held);
    if (bytes.size == 0)
        return true;
    if (!c->session->wants_input)
        return false;
    buffer_consume(&c->held, c->session->ops->feed(c->session, NULL, bytes));
    if (buffer_size(&c->held))
        return false;
    buffer_release(&c->held);
    return true;
}

static void feed_fresh(struct front_connection *c, struct block *block, size_t size)
{
    struct span bytes = span_of(block_data(block), size);
    struct block *shared = size >= COPY_BELOW ? block : NULL;
    metric_add(&c->worker->metrics, FRONT_BYTES_READ, size);
    size_t taken = c->session->ops->feed(c->session, shared, bytes);
    if (taken < size && buffer_append_span(&c->held, span_after(bytes, taken)) != ROUTED_OK)
        c->session->ops->abort(c->session, ROUTED_ERROR_MEMORY);
}

static void end_input(struct front_connection *c)
{
    c->input_ended = true;
    c->session->ops->feed_end(c->session);
}

static bool can_read(const struct front_connection *c)
{
    return c->is_readable && !c->input_ended && c->session->wants_input;
}

/* Lingering (RFC 9112 section 9.6): late input is read and dropped, so that the client can read
 * our last answer before it learns of the close. */
static void discard_input(struct front_connection *c, struct block *block)
{
    ssize_t count = socket_read(c->handle.fd, block_data(block), FRONT_READ_SIZE);
    if (count == 0 || count == SOCKET_DEAD)
        c->session->wait = SESSION_FINISHED;
    else if (count == SOCKET_AGAIN)
        c->is_readable = false;
}

static void read_input(struct front_connection *c)
{
    struct block *block = front_worker_read_block(c->worker);
    if (!block) {
        c->session->ops->abort(c->session, ROUTED_ERROR_MEMORY);
        return;
    }
    if (c->session->wait == SESSION_LINGER) {
        discard_input(c, block);
        return;
    }
    ssize_t count = socket_read(c->handle.fd, block_data(block), FRONT_READ_SIZE);
    if (count > 0) {
        /* A short read emptied the socket: the next bytes raise a new edge. The end does too,
         * unless its edge was part of this one. */
        if (count < FRONT_READ_SIZE && !c->peer_ended)
            c->is_readable = false;
        feed_fresh(c, block, (size_t)count);
    } else if (count == 0) {
        end_input(c);
    } else if (count == SOCKET_AGAIN) {
        c->is_readable = false;
    } else {
        c->session->ops->abort(c->session, ROUTED_ERROR_CLIENT_GONE);
    }
}

static void take_input(struct front_connection *c)
{
    if (c->session->wait == SESSION_LINGER)
        buffer_release(&c->held);
    if (feed_held(c) && (can_read(c) || (c->is_readable && c->session->wait == SESSION_LINGER)))
        read_input(c);
}

/* ---- output ---- */

static size_t sum(const struct span *spans, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += spans[i].size;
    return total;
}

/* True when everything is written. */
static bool give_output(struct front_connection *c)
{
    struct session *s = c->session;
    struct span spans[SPANS_MAX];
    for (int i = 0; i < WRITES_A_TURN && !c->is_blocked; i++) {
        size_t count = s->ops->drain(s, spans, SPANS_MAX);
        if (count == 0)
            return true;
        ssize_t written = socket_write_spans(c->handle.fd, spans, count);
        if (written == SOCKET_DEAD) {
            s->ops->abort(s, ROUTED_ERROR_CLIENT_GONE);
            return true;
        }
        c->is_blocked = written < 0 || (size_t)written < sum(spans, count);
        if (written > 0) {
            metric_add(&c->worker->metrics, FRONT_BYTES_WRITTEN, (uint64_t)written);
            c->written += (uint64_t)written;
            s->ops->drained(s, (size_t)written);
        }
    }
    return s->ops->drain(s, spans, 1) == 0;
}

/* ---- deadlines ---- */

static void note_wait(struct front_connection *c)
{
    struct session *s = c->session;
    if (s->wait == c->wait && s->requests == c->wait_requests)
        return;
    bool was_idle = c->wait == SESSION_IDLE;
    c->wait = s->wait;
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

static milliseconds wait_deadline(const struct front_connection *c)
{
    const routed_limits *limits = limits_of(c);
    switch (c->wait) {
    case SESSION_IDLE: {
        milliseconds idle = clock_after(c->wait_since, limits->idle_timeout);
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
    milliseconds output = pace_deadline(&c->output, limits_of(c));
    if (output < due)
        due = output;
    return c->probe_at < due ? c->probe_at : due;
}

/* The timer is only ever moved forward: a deadline that went further away is found when the old
 * one fires, so a request on a busy connection costs no timer. */
static void set_timer(struct front_connection *c)
{
    milliseconds due = deadline(c);
    if (due != CLOCK_NEVER && (!loop_timer_is_set(&c->timer) || due < c->timer.due))
        loop_timer_set(loop_of(c), &c->timer, due);
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
    const routed_limits *limits = limits_of(c);
    switch (c->wait) {
    case SESSION_IDLE:
        if (now >= clock_after(c->wait_since, limits->idle_timeout))
            front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, idle_timeout));
        else
            front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, connection_lifetime));
        c->session->ops->shut(c->session);
        break;
    case SESSION_HEAD:
        fail(c, ROUTED_ERROR_REQUEST_TIMEOUT, offsetof(routed_limits, header_timeout));
        break;
    case SESSION_WINDOW:
        c->wait_since = now;
        c->session->ops->fail(c->session, ROUTED_ERROR_TOO_SLOW);
        break;
    case SESSION_LINGER:
        front_metrics_hit(&c->worker->metrics, offsetof(routed_limits, linger_timeout));
        c->session->wait = SESSION_FINISHED;
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
    c->session->ops->abort(c->session, ROUTED_ERROR_TOO_SLOW);
}

static void on_timer(struct loop_timer *t)
{
    struct front_connection *c = LIST_ITEM(t, struct front_connection, timer);
    milliseconds now = now_of(c);
    if (now >= c->probe_at) {
        c->probe_at = CLOCK_NEVER;
        c->session->ops->probe(c->session);
    }
    check_wait(c, now);
    check_paces(c, now);
    front_connection_run(c);
}

/* ---- the heart ---- */

/* A client that closed and one that ended its direction look the same, until something is sent
 * to it: docs/decisions/0003-client-gone.md. */
static void expect_sign_of_life(struct front_connection *c)
{
    bool is_answering = c->wait == SESSION_ANSWER || c->wait == SESSION_BODY;
    if (c->peer_ended && is_answering && !c->was_probed) {
        c->was_probed = true;
        c->probe_at = now_of(c) + PROBE_AFTER_MS;
    }
}

static void end_output(struct front_connection *c)
{
    if (c->output_ended)
        return;
    c->output_ended = true;
    socket_end(c->handle.fd);
}

/* True when the connection is over. */
static bool is_done(struct front_connection *c, bool is_written)
{
    if (c->session->wait == SESSION_FINISHED && is_written)
        return true;
    if (c->session->wait == SESSION_LINGER && is_written)
        end_output(c);
    return false;
}

/* Bytes wait, in our hands or in the socket's, that the session would take now. */
static bool has_more_to_do(const struct front_connection *c, bool is_written)
{
    if (!is_written && !c->is_blocked)
        return true;
    if (c->session->wait == SESSION_LINGER)
        return c->is_readable;
    return c->session->wants_input && (buffer_size(&c->held) || can_read(c));
}

static void front_connection_run(struct front_connection *c)
{
    c->is_running = true;
    front_worker_tell_date(c->worker);
    take_input(c);
    bool is_written = give_output(c);
    c->is_running = false;
    if (is_done(c, is_written)) {
        front_connection_close(c, ROUTED_ERROR_CLIENT_GONE);
        return;
    }
    note_wait(c);
    note_paces(c, is_written);
    expect_sign_of_life(c);
    set_timer(c);
    if (has_more_to_do(c, is_written))
        loop_task_defer(loop_of(c), &c->task);
}

/* ---- events ---- */

static void on_socket(struct loop_handle *h, unsigned events)
{
    struct front_connection *c = LIST_ITEM(h, struct front_connection, handle);
    if (events & LOOP_HUNG_UP) {
        front_connection_close(c, ROUTED_ERROR_CLIENT_GONE);
        return;
    }
    if (events & LOOP_HALF_CLOSED)
        c->peer_ended = true;
    if (events & (LOOP_READABLE | LOOP_HALF_CLOSED))
        c->is_readable = true;
    if (events & LOOP_WRITABLE)
        c->is_blocked = false;
    front_connection_run(c);
}

static void on_task(struct loop_task *t)
{
    front_connection_run(LIST_ITEM(t, struct front_connection, task));
}

static void on_ready(void *host)
{
    struct front_connection *c = host;
    if (!c->is_running)
        loop_task_defer(loop_of(c), &c->task);
}

/* ---- life ---- */

static void init_members(struct front_connection *c, struct front_worker *w, int fd,
                         const struct socket_address *peer, uint64_t address_key)
{
    c->worker = w;
    c->handle = (struct loop_handle){.fd = fd, .on_ready = on_socket};
    loop_task_init(&c->task, on_task);
    loop_timer_init(&c->timer, on_timer);
    c->address_key = address_key;
    c->peer_text_size = (uint8_t)socket_address_text(peer, c->peer_text);
    c->peer_port = socket_address_port(peer);
    c->opened_at = c->wait_since = loop_now(w->loop);
    c->probe_at = CLOCK_NEVER;
    c->wait = SESSION_IDLE;
    list_append(&w->connections, &c->link);
    front_worker_connection_idle(w, c);
    metric_add(&w->metrics, FRONT_CONNECTIONS_ACCEPTED, 1);
    metric_add(&w->metrics, FRONT_CONNECTIONS_OPEN, 1);
    metric_add(&w->metrics, FRONT_CONNECTIONS_IDLE, 1);
}

struct front_connection *front_connection_open(struct front_worker *w, int fd,
                                               const struct socket_address *peer,
                                               uint64_t address_key)
{
    struct front_connection *c = memory_new_zeroed(sizeof(*c));
    struct session_host host = {.on_exchange = front_request_begin,
                                .on_exchange_end = front_request_end,
                                .on_ready = on_ready,
                                .on_refused = front_request_refused,
                                .host = c};
    struct session *session = c ? http1_session_new(&w->http1, &host, w->loop) : NULL;
    if (!session) {
        memory_free(c);
        socket_close(fd);
        front_worker_connection_closed(w, address_key);
        return NULL;
    }
    c->session = session;
    init_members(c, w, fd, peer, address_key);
    if (loop_watch(w->loop, &c->handle) != ROUTED_OK) {
        c->handle.fd = -1;
        socket_close(fd);
        front_connection_close(c, ROUTED_ERROR_SYSTEM);
        return NULL;
    }
    set_timer(c);
    return c;
}

void front_connection_shut(struct front_connection *c)
{
    c->session->ops->shut(c->session);
    loop_task_defer(loop_of(c), &c->task);
}

static void close_socket(struct front_connection *c)
{
    if (c->handle.fd < 0)
        return;
    loop_forget(loop_of(c), &c->handle);
    if (c->session->reset)
        socket_reset_on_close(c->handle.fd);
    socket_close(c->handle.fd);
}

void front_connection_close(struct front_connection *c, int error)
{
    struct front_worker *w = c->worker;
    c->is_running = true; /* nobody needs a turn any more */
    c->session->ops->abort(c->session, error);
    close_socket(c);
    c->session->ops->free(c->session);
    loop_task_cancel(&c->task);
    loop_timer_clear(w->loop, &c->timer);
    buffer_release(&c->held);
    list_remove(&c->link);
    list_remove(&c->idle_link);
    metric_subtract(&w->metrics, FRONT_CONNECTIONS_OPEN, 1);
    if (c->wait == SESSION_IDLE)
        metric_subtract(&w->metrics, FRONT_CONNECTIONS_IDLE, 1);
    front_worker_connection_closed(w, c->address_key);
    memory_free(c);
}
