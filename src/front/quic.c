#include "front/quic.h"

#include "base/memory.h"
#include "front/forward.h"
#include "front/quic_connection.h"
#include "front/sockets.h"

#define SECOND        UINT64_C(1000000000)
#define TIME_MAX_MS   (UINT64_C(365) * 86400 * 1000)
#define IDLE_SLACK_MS 1000 /* so that the session's own idle time ends first, with a GOAWAY */

struct front_quic {
    struct front_worker *worker;
    struct http3_endpoint *endpoint; /* NULL once closed */
    nanoseconds now;
    struct loop_task task;
    struct loop_alarm alarm;
    uint64_t counted[HTTP3_COUNT];  /* what the metrics have */
    size_t connections;             /* the same */
    struct front_forwards forwards; /* in our mailbox */
    struct front_sockets sockets;
};

void front_quic_tell_time(struct front_quic *q)
{
    q->now = loop_now_precise(q->worker->loop);
    front_worker_tell_time(q->worker);
}

void front_quic_want_turn(struct front_quic *q)
{
    loop_task_defer(q->worker->loop, &q->task);
}

/* ---- what the endpoint calls ---- */

static size_t on_send(void *host, const struct http3_batch *batch)
{
    return front_sockets_send(&((struct front_quic *)host)->sockets, batch);
}

/* ---- handshakes of an address ---- */

static uint64_t key_of(const struct front_quic *q, const struct http3_address *peer)
{
    struct socket_address address = front_sockets_address(peer);
    return socket_address_key(&address, q->worker->shared->address_seed);
}

/* As many as it may have connections: otherwise one client could take every place. */
static bool on_handshake(void *host, const struct http3_address *peer)
{
    struct front_quic *q = host;
    const struct front_shared *shared = q->worker->shared;
    bool is_allowed = address_table_enter(shared->shaking, key_of(q, peer),
                                          shared->limits.connections_per_address);
    if (!is_allowed)
        front_metrics_hit(&q->worker->metrics, offsetof(routed_limits, connections_per_address));
    return is_allowed;
}

static void on_handshake_over(void *host, const struct http3_address *peer)
{
    const struct front_quic *q = host;
    address_table_leave(q->worker->shared->shaking, key_of(q, peer));
}

static void on_handshake_failed(void *host, const struct http3_address *peer, const char *why)
{
    const struct front_quic *q = host;
    struct socket_address address = front_sockets_address(peer);
    char text[SOCKET_TEXT_MAX];
    size_t size = socket_address_text(&address, text);
    log_write(&q->worker->shared->log, LOG_DEBUG, "QUIC handshake with %.*s: %s", (int)size, text,
              why);
}

static int on_connection(void *host, struct http3_connection *connection, struct session_host *out)
{
    struct front_quic *q = host;
    return front_quic_connection_open(q, q->worker, connection, out);
}

/* ---- between workers ---- */

static void on_forwarded(struct front_forwards *f, const struct http3_datagram *datagram)
{
    struct front_quic *q = LIST_ITEM(f, struct front_quic, forwards);
    if (!q->endpoint)
        return;
    front_quic_tell_time(q);
    http3_endpoint_take(q->endpoint, datagram);
    front_quic_want_turn(q);
}

static void on_forward(void *host, unsigned worker, const struct http3_datagram *datagram)
{
    struct front_worker *from = ((struct front_quic *)host)->worker;
    struct front_shared *shared = from->shared;
    if (worker >= shared->worker_count)
        return;
    struct front_worker *to = shared->workers[worker];
    front_forward(from, to->loop, &to->quic->forwards, datagram);
}

/* ---- a turn ---- */

static void on_datagram(void *user, const struct http3_datagram *datagram)
{
    http3_endpoint_receive(((struct front_quic *)user)->endpoint, datagram);
}

static void note_numbers(struct front_quic *q)
{
    struct metric_set *metrics = &q->worker->metrics;
    uint64_t more[HTTP3_COUNT];
    for (unsigned i = 0; i < HTTP3_COUNT; i++) {
        uint64_t count = http3_endpoint_count(q->endpoint, i);
        more[i] = count - q->counted[i];
        q->counted[i] = count;
        metric_add(metrics, FRONT_QUIC + i, more[i]);
    }
    metric_add(metrics, FRONT_CONNECTIONS_OVER_BUDGET, more[HTTP3_OVER_BUDGET]);
    metric_add(metrics, FRONT_BYTES_READ, more[HTTP3_BYTES_IN]);
    metric_add(metrics, FRONT_BYTES_WRITTEN, more[HTTP3_BYTES_OUT]);
    front_metrics_hits(metrics, offsetof(routed_limits, http3_retry_from), more[HTTP3_RETRIES]);
    front_metrics_hits(metrics, offsetof(routed_limits, http3_handshakes),
                       more[HTTP3_HANDSHAKES_DROPPED]);
    front_metrics_hits(metrics, offsetof(routed_limits, http3_table), more[HTTP3_TABLE_ERRORS]);
    front_metrics_hits(metrics, offsetof(routed_limits, http3_blocked_streams),
                       more[HTTP3_SECTIONS_OVER]);
    front_metrics_hits(metrics, offsetof(routed_limits, http3_answer_table),
                       more[HTTP3_ANSWER_TABLES_FULL]);
    size_t connections = http3_endpoint_connections(q->endpoint);
    metric_add(metrics, FRONT_QUIC_CONNECTIONS, connections - q->connections);
    q->connections = connections;
}

static void on_task(struct loop_task *t)
{
    struct front_quic *q = LIST_ITEM(t, struct front_quic, task);
    front_quic_tell_time(q);
    bool has_more = front_sockets_receive(&q->sockets, on_datagram, q);
    has_more |= http3_endpoint_run(q->endpoint);
    note_numbers(q);
    loop_alarm_set(q->worker->loop, &q->alarm, http3_endpoint_deadline(q->endpoint));
    if (has_more)
        front_quic_want_turn(q);
}

static void on_alarm(struct loop_alarm *a)
{
    front_quic_want_turn(LIST_ITEM(a, struct front_quic, alarm));
}

static void on_sockets(struct front_sockets *s, bool has_room)
{
    struct front_quic *q = LIST_ITEM(s, struct front_quic, sockets);
    if (has_room)
        http3_endpoint_writable(q->endpoint);
    front_quic_want_turn(q);
}

/* ---- life ---- */

static unsigned word(uint64_t limit)
{
    return limit > INT32_MAX ? INT32_MAX : (unsigned)limit;
}

/* What has no limit ends some day. */
static milliseconds bounded_time(uint64_t limit)
{
    return limit > TIME_MAX_MS ? TIME_MAX_MS : limit;
}

static int open_endpoint(struct front_quic *q)
{
    struct front_worker *w = q->worker;
    const struct front_shared *shared = w->shared;
    const routed_limits *limits = &shared->limits;
    struct http3_endpoint_options options = {
        .session = w->http3,
        .tls = shared->tls,
        .host = {.send = on_send,
                 .forward = on_forward,
                 .on_handshake = on_handshake,
                 .on_handshake_over = on_handshake_over,
                 .on_handshake_failed = on_handshake_failed,
                 .on_connection = on_connection,
                 .on_turn = front_quic_connection_note,
                 .on_closed = front_quic_connection_close,
                 .host = q},
        .qlog = front_qlog_of(w),
        .loop = w->loop,
        .now = &q->now,
        .spent = shared->spent,
        .token_time = (uint64_t)loop_wall_seconds(w->loop) * SECOND - q->now,
        .worker = w->number,
        .workers = shared->worker_count,
        .connections_max = word(limits->connections) + word(limits->http3_handshakes),
        .handshakes_max = word(limits->http3_handshakes),
        .retry_from = word(limits->http3_retry_from) - 1,
        .handshake_time = bounded_time(limits->handshake_timeout),
        .idle_time = bounded_time(limits->http3_idle_timeout) + IDLE_SLACK_MS,
        .has_early_data = shared->has_early_data};
    memcpy(options.secret, shared->quic_secret, sizeof(options.secret));
    return http3_endpoint_new(&q->endpoint, &options);
}

int front_quic_open(struct front_quic **out, struct front_worker *w)
{
    struct front_quic *q = memory_new_zeroed(sizeof(*q));
    *out = NULL;
    if (!q)
        return ROUTED_ERROR_MEMORY;
    q->worker = w;
    q->forwards.on_datagram = on_forwarded;
    loop_task_init(&q->task, on_task);
    loop_alarm_init(&q->alarm, on_alarm);
    front_quic_tell_time(q);
    q->sockets.loop = w->loop;
    q->sockets.on_ready = on_sockets;
    int error = front_sockets_init(&q->sockets);
    if (!error)
        error = open_endpoint(q);
    if (error) {
        front_quic_free(q);
        return error;
    }
    *out = q;
    return ROUTED_OK;
}

int front_quic_add_socket(struct front_quic *q, struct datagram_socket *s)
{
    return front_sockets_add(&q->sockets, s);
}

void front_quic_drop_sockets(struct front_quic *q)
{
    front_sockets_close(&q->sockets);
}

void front_quic_shut(struct front_quic *q)
{
    front_quic_tell_time(q);
    http3_endpoint_shut(q->endpoint);
    front_quic_want_turn(q);
}

void front_quic_close(struct front_quic *q)
{
    if (!q->endpoint)
        return;
    front_quic_tell_time(q);
    http3_endpoint_free(q->endpoint, ROUTED_ERROR_STOPPING);
    q->endpoint = NULL;
    metric_subtract(&q->worker->metrics, FRONT_QUIC_CONNECTIONS, q->connections);
    q->connections = 0;
    loop_task_cancel(&q->task);
    loop_alarm_clear(&q->alarm);
    front_sockets_close(&q->sockets);
}

void front_quic_free(struct front_quic *q)
{
    if (!q)
        return;
    front_sockets_release(&q->sockets);
    memory_free(q);
}
