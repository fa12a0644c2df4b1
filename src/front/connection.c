#include "front/connection.h"

#include "base/memory.h"
#include "front/greeting.h"
#include "front/patience.h"
#include "front/request.h"
#include "http1/session.h"

/* One read a turn, so that no client keeps the others waiting. Short reads are copied where they
 * become content: a byte must not pin a block. */
#define COPY_BELOW     16384
#define SPANS_MAX      SOCKET_GATHER
#define WRITES_A_TURN  16
#define PROBE_AFTER_MS 40
#define QUIET_AFTER_MS 1000

static void front_connection_run(struct front_connection *c);

static struct loop *loop_of(const struct front_connection *c)
{
    return c->client.worker->loop;
}

static milliseconds now_of(const struct front_connection *c)
{
    return loop_now(c->client.worker->loop);
}

void front_connection_abort(struct front_connection *c, int error)
{
    c->is_dead = true;
    c->client.session->ops->abort(c->client.session, error);
}

enum session_wait front_connection_wait(const struct front_connection *c)
{
    return c->is_turned_away ? SESSION_LINGER : c->client.session->wait;
}

/* ---- input ---- */

/* Feeds what was held back earlier; true when nothing is left of it. */
static bool feed_held(struct front_connection *c)
{
    struct span bytes = buffer_span(&c->held);
    if (bytes.size == 0 || c->greeting != FRONT_GREETING_DONE)
        return true;
    if (!c->client.session->wants_input)
        return false;
    buffer_consume(&c->held, c->client.session->ops->feed(c->client.session, NULL, bytes));
    if (buffer_size(&c->held))
        return false;
    buffer_release(&c->held);
    return true;
}

static void feed_fresh(struct front_connection *c, struct block *block, size_t size)
{
    struct span bytes = span_of(block_data(block), size);
    struct block *shared = size >= COPY_BELOW ? block : NULL;
    metric_add(&c->client.worker->metrics, FRONT_BYTES_READ, size);
    if (c->greeting != FRONT_GREETING_DONE && !front_greeting_first_bytes(c, bytes))
        return;
    size_t taken = c->client.session->ops->feed(c->client.session, shared, bytes);
    if (taken < size && buffer_append_span(&c->held, span_after(bytes, taken)) != ROUTED_OK)
        front_connection_abort(c, ROUTED_ERROR_MEMORY);
}

static void end_input(struct front_connection *c)
{
    c->input_ended = true;
    c->client.session->ops->feed_end(c->client.session);
}

static bool can_read(const struct front_connection *c)
{
    return (c->is_readable || front_transport_has_input(&c->transport)) && !c->input_ended &&
           c->client.session->wants_input;
}

/* Lingering (RFC 9112 section 9.6): late input is read and dropped, so that the client can read
 * our last answer before it learns of the close. */
static void discard_input(struct front_connection *c, struct block *block)
{
    ssize_t count = socket_read(c->handle.fd, block_data(block), FRONT_READ_SIZE);
    if (count == 0 || count == SOCKET_DEAD)
        c->has_lingered = true;
    else if (count == SOCKET_AGAIN)
        c->is_readable = false;
}

/* A short read emptied the socket: the next bytes raise a new edge. The end does too, unless its
 * edge was part of the last one. */
void front_connection_note_read(struct front_connection *c, bool is_drained)
{
    if (is_drained && !c->peer_ended)
        c->is_readable = false;
}

static void read_input(struct front_connection *c)
{
    struct block *block = front_worker_read_block(c->client.worker);
    if (!block) {
        front_connection_abort(c, ROUTED_ERROR_MEMORY);
        return;
    }
    if (front_connection_wait(c) == SESSION_LINGER) {
        discard_input(c, block);
        return;
    }
    bool is_drained;
    ssize_t count = front_transport_read(&c->transport, block_data(block), FRONT_READ_SIZE,
                                         c->client.worker->sealed_block, &is_drained);
    front_connection_note_read(c, is_drained);
    if (count > 0)
        feed_fresh(c, block, (size_t)count);
    else if (count == 0)
        end_input(c);
    else if (count == SOCKET_DEAD)
        front_connection_abort(c, ROUTED_ERROR_CLIENT_GONE);
}

static void take_input(struct front_connection *c)
{
    if (front_connection_wait(c) == SESSION_LINGER)
        buffer_release(&c->held);
    if (c->greeting == FRONT_GREETING_TLS && !front_greeting_shake_hands(c))
        return;
    if (feed_held(c) &&
        (can_read(c) || (c->is_readable && front_connection_wait(c) == SESSION_LINGER)))
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

/* Sealed bytes that the socket did not take yet; true when there are none left. */
static bool flush(struct front_connection *c)
{
    int flushed = front_transport_flush(&c->transport);
    if (flushed == SOCKET_DEAD)
        front_connection_abort(c, ROUTED_ERROR_CLIENT_GONE);
    c->is_blocked = flushed == SOCKET_AGAIN;
    return !c->is_blocked;
}

/* True when everything is written. */
static bool give_output(struct front_connection *c)
{
    struct session *s = c->client.session;
    struct span spans[SPANS_MAX];
    if (!c->is_blocked && !flush(c))
        return false;
    if (now_of(c) >= c->quiet_at)
        front_transport_start_flight(&c->transport);
    for (int i = 0; i < WRITES_A_TURN && !c->is_blocked; i++) {
        size_t count = s->ops->drain(s, spans, SPANS_MAX);
        if (count == 0)
            return flush(c);
        ssize_t written = front_transport_write(&c->transport, spans, count);
        if (written == SOCKET_DEAD) {
            front_connection_abort(c, ROUTED_ERROR_CLIENT_GONE);
            return true;
        }
        c->is_blocked = front_transport_is_full(&c->transport, written, sum(spans, count));
        if (written > 0) {
            metric_add(&c->client.worker->metrics, FRONT_BYTES_WRITTEN, (uint64_t)written);
            c->client.written += (uint64_t)written;
            c->quiet_at = now_of(c) + QUIET_AFTER_MS;
            s->ops->drained(s, (size_t)written);
        }
    }
    return !c->is_blocked && flush(c) && s->ops->drain(s, spans, 1) == 0;
}

/* ---- the heart ---- */

/* A client that closed and one that ended its direction look the same, until something is sent
 * to it: docs/decisions/0003-client-gone.md. */
static void expect_sign_of_life(struct front_connection *c)
{
    bool is_answering = c->client.wait == SESSION_ANSWER || c->client.wait == SESSION_BODY;
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
    front_transport_end(&c->transport);
}

/* True when the connection is over. */
static bool is_done(struct front_connection *c, bool is_written)
{
    if (c->is_dead)
        return true;
    if ((c->client.session->wait == SESSION_FINISHED || c->has_lingered) && is_written)
        return true;
    if (front_connection_wait(c) == SESSION_LINGER && is_written)
        end_output(c);
    return false;
}

/* Bytes wait, in our hands or in the socket's, that the session would take now. */
static bool has_more_to_do(const struct front_connection *c, bool is_written)
{
    if (!is_written && !c->is_blocked)
        return true;
    if (front_connection_wait(c) == SESSION_LINGER || c->greeting == FRONT_GREETING_TLS)
        return c->is_readable;
    bool is_held_for_now = buffer_size(&c->held) && c->greeting == FRONT_GREETING_DONE;
    return c->client.session->wants_input && (is_held_for_now || can_read(c));
}

/* Who was shaking hands when the server began to stop may send the request that it came for. */
static bool may_still_ask(const struct front_connection *c)
{
    return now_of(c) < c->leave_at && !c->input_ended &&
           (c->greeting == FRONT_GREETING_TLS || c->client.session->bytes_in == 0);
}

/* After the read that `shut` asked for. */
static void leave(struct front_connection *c)
{
    if (!c->is_leaving || may_still_ask(c))
        return;
    c->is_leaving = false;
    c->client.session->ops->shut(c->client.session);
}

static milliseconds next_due(const struct front_connection *c)
{
    milliseconds leave_at = c->is_leaving ? c->leave_at : CLOCK_NEVER;
    return c->probe_at < leave_at ? c->probe_at : leave_at;
}

static void front_connection_run(struct front_connection *c)
{
    c->is_running = true;
    front_worker_tell_time(c->client.worker);
    take_input(c);
    leave(c);
    bool is_written = give_output(c);
    c->is_running = false;
    if (is_done(c, is_written)) {
        front_connection_close(c, ROUTED_ERROR_CLIENT_GONE);
        return;
    }
    front_patience_note(&c->client, front_connection_wait(c), is_written);
    expect_sign_of_life(c);
    front_patience_set(&c->client, next_due(c));
    if (has_more_to_do(c, is_written))
        loop_task_defer(loop_of(c), &c->task);
}

/* ---- events ---- */

static void give_sign_of_life(struct front_connection *c)
{
    if (now_of(c) < c->probe_at)
        return;
    c->probe_at = CLOCK_NEVER;
    c->client.session->ops->probe(c->client.session);
}

static void on_timer(struct loop_timer *t)
{
    struct front_connection *c = LIST_ITEM(t, struct front_connection, client.timer);
    int error;
    front_worker_tell_time(c->client.worker);
    give_sign_of_life(c);
    switch (front_patience_check(&c->client, &error)) {
    case FRONT_GO_ON:
        break;
    case FRONT_LINGERED:
        c->has_lingered = true;
        break;
    case FRONT_CUT:
        front_connection_abort(c, error);
        break;
    }
    front_connection_run(c);
}

static void on_socket(struct loop_handle *h, unsigned events)
{
    struct front_connection *c = LIST_ITEM(h, struct front_connection, handle);
    if (events & LOOP_HUNG_UP) {
        c->transport.is_gone = true;
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

static struct front_connection *connection_of(struct front_client *client)
{
    return LIST_ITEM(client, struct front_connection, client);
}

static void on_ready(void *host)
{
    struct front_connection *c = connection_of(host);
    if (!c->is_running)
        loop_task_defer(loop_of(c), &c->task);
}

/* ---- for the worker ---- */

static bool covers(const struct front_client *client, struct span authority)
{
    const struct tls_session *tls =
        LIST_ITEM(client, const struct front_connection, client)->transport.tls;
    return !tls || tls_session_covers(tls, authority);
}

static size_t greeting(const struct front_client *client, milliseconds *since)
{
    const struct front_connection *c = LIST_ITEM(client, const struct front_connection, client);
    *since = client->opened_at;
    if (c->greeting == FRONT_GREETING_TLS)
        return offsetof(routed_limits, handshake_timeout);
    *since = client->wait_since;
    bool is_preface = buffer_size(&c->held) && client->wait == SESSION_IDLE;
    return is_preface ? offsetof(routed_limits, header_timeout) : 0;
}

/* A request may be in the socket before the loop tells of it. */
static bool is_quiet(const struct front_client *client)
{
    return !socket_has_input(LIST_ITEM(client, const struct front_connection, client)->handle.fd);
}

static void rest(struct front_client *client)
{
    client->session->ops->rest(client->session);
    front_transport_rest(&connection_of(client)->transport);
}

static void wake(struct front_client *client)
{
    struct front_connection *c = connection_of(client);
    loop_task_defer(loop_of(c), &c->task);
}

/* What an idle client has sent meanwhile is read first: it may be a request, and with unread input
 * the close would be a reset. A handshake may go on as long as late input is waited for. */
static void shut(struct front_client *client)
{
    struct front_connection *c = connection_of(client);
    bool is_greeting = c->greeting == FRONT_GREETING_TLS;
    bool has_input = client->session->wait == SESSION_IDLE && socket_has_input(c->handle.fd);
    c->is_leaving = is_greeting || has_input;
    if (is_greeting)
        c->leave_at = clock_after(now_of(c), client->worker->shared->limits.linger_timeout);
    if (c->is_leaving)
        c->is_readable = true;
    else
        client->session->ops->shut(client->session);
    wake(client);
}

static void close_client(struct front_client *client, int error)
{
    front_connection_close(connection_of(client), error);
}

static const struct front_client_kind kind = {.covers = covers,
                                              .greeting = greeting,
                                              .is_quiet = is_quiet,
                                              .rest = rest,
                                              .shut = shut,
                                              .wake = wake,
                                              .close = close_client};

/* ---- life ---- */

static void init_members(struct front_connection *c, int fd, const struct socket_address *peer,
                         uint64_t address_key)
{
    c->handle = (struct loop_handle){.fd = fd, .on_ready = on_socket};
    loop_task_init(&c->task, on_task);
    c->probe_at = CLOCK_NEVER;
    c->client.kind = &kind;
    c->client.idle_limit = offsetof(routed_limits, idle_timeout);
    front_client_enter(&c->client, peer, address_key, on_timer);
}

static uint64_t on_round_trip(void *host)
{
    const struct front_connection *c = LIST_ITEM(host, struct front_connection, client);
    return socket_round_trip(c->transport.fd);
}

static bool open_session(struct front_connection *c)
{
    c->host = (struct session_host){.on_exchange = front_request_begin,
                                    .on_exchange_end = front_request_end,
                                    .on_ready = on_ready,
                                    .on_refused = front_request_refused,
                                    .on_limit = front_request_limited,
                                    .round_trip = on_round_trip,
                                    .host = &c->client};
    bool is_secure = c->transport.tls != NULL;
    c->client.session =
        http1_session_new(is_secure ? &c->client.worker->https1 : &c->client.worker->http1,
                          &c->host, c->client.worker->loop);
    return c->client.session != NULL;
}

struct front_connection *front_connection_open(struct front_worker *w, int fd,
                                               const struct socket_address *peer,
                                               uint64_t address_key, bool is_secure)
{
    struct front_connection *c = memory_new_zeroed(sizeof(*c));
    if (!c) {
        socket_close(fd);
        front_worker_client_gone(w, address_key);
        return NULL;
    }
    int error = front_transport_open(&c->transport, fd, is_secure ? w->shared->tls : NULL);
    c->client.worker = w;
    if (error || !open_session(c)) {
        front_transport_close(&c->transport);
        memory_free(c);
        front_worker_client_gone(w, address_key);
        return NULL;
    }
    init_members(c, fd, peer, address_key);
    front_greeting_begin(c);
    if (loop_watch(w->loop, &c->handle) != ROUTED_OK) {
        c->handle.fd = -1;
        front_connection_close(c, ROUTED_ERROR_SYSTEM);
        return NULL;
    }
    front_patience_set(&c->client, CLOCK_NEVER);
    return c;
}

static void close_socket(struct front_connection *c)
{
    if (c->handle.fd >= 0)
        loop_forget(loop_of(c), &c->handle);
    if (c->client.session->reset)
        front_transport_reset(&c->transport);
    else
        front_transport_close(&c->transport);
}

void front_connection_close(struct front_connection *c, int error)
{
    struct session *s = c->client.session;
    c->is_running = true; /* nobody needs a turn any more */
    s->ops->abort(s, error);
    close_socket(c);
    front_greeting_end(c);
    s->ops->free(s);
    loop_task_cancel(&c->task);
    buffer_release(&c->held);
    front_client_leave(&c->client);
    memory_free(c);
}
