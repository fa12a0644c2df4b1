/* The life of a connection after its first datagram: it reads, runs, and ends. */
#include "http3/inside.h"

#include "base/memory.h"
#include <routed/error.h>

/* How long an end lasts, RFC 9000 section 10.2, in probe timeouts. */
#define END_TIMEOUTS 3
/* A client that was not heard of for so long, during a graceful end. */
#define DESERTED_AFTER (3 * NGTCP2_SECONDS)
/* What an answer to a late datagram may be larger than it. */
#define LATE_SHARE 3

/* ---- ends: the reason ---- */

void http3_connection_wake(struct http3_connection *c)
{
    if (!list_is_linked(&c->ready))
        list_append(&c->endpoint->ready, &c->ready);
}

void http3_connection_end(struct http3_connection *c, enum http3_ending ending, int error)
{
    if (c->ending != HTTP3_STAYS)
        return;
    c->ending = ending;
    c->error = error;
    http3_connection_wake(c);
}

static void close_with_transport_error(struct http3_connection *c, int result)
{
    if (result == NGTCP2_ERR_CRYPTO)
        ngtcp2_ccerr_set_tls_alert(&c->why, ngtcp2_conn_get_tls_alert(c->conn), NULL, 0);
    else
        ngtcp2_ccerr_set_liberr(&c->why, result, NULL, 0);
    int error = result == NGTCP2_ERR_CRYPTO  ? ROUTED_ERROR_TLS
                : result == NGTCP2_ERR_NOMEM ? ROUTED_ERROR_MEMORY
                                             : ROUTED_ERROR_CLIENT_GONE;
    http3_connection_end(c, HTTP3_CLOSES, error);
}

void http3_connection_fail(struct http3_connection *c, int result)
{
    if (c->ending == HTTP3_STAYS)
        c->result = result;
    switch (c->ending == HTTP3_STAYS ? result : 0) {
    case 0:
        return;
    case NGTCP2_ERR_DRAINING:
        http3_connection_end(c, HTTP3_DRAINS, ROUTED_ERROR_CLIENT_GONE);
        return;
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        http3_connection_end(c, HTTP3_VANISHES, ROUTED_ERROR_CLIENT_GONE);
        return;
    default:
        close_with_transport_error(c, result);
    }
}

void http3_connection_close_over_budget(struct http3_connection *c)
{
    if (c->ending == HTTP3_STAYS)
        c->endpoint->counts[HTTP3_OVER_BUDGET]++;
    http3_connection_close(c, ROUTED_ERROR_BUDGET);
}

void http3_connection_close(struct http3_connection *c, int error)
{
    if (c->ending == HTTP3_STAYS)
        ngtcp2_ccerr_set_application_error(&c->why, error_entry(error)->http3, NULL, 0);
    http3_connection_end(c, HTTP3_CLOSES, error);
}

/* ---- input ---- */

/* CONNECTION_CLOSE again, for the first, second, fourth... late datagram. */
static void answer_late(struct http3_connection *c, const struct http3_datagram *datagram)
{
    c->late++;
    bool is_asked = c->phase == HTTP3_CLOSING && (c->late & (c->late - 1)) == 0 &&
                    http3_path_equals(&datagram->remote, &c->peer) &&
                    c->last_size <= LATE_SHARE * datagram->bytes.size;
    if (is_asked)
        http3_output_send(c->endpoint, &datagram->local, &c->peer, span_of(c->last, c->last_size));
}

/* What ngtcp2 keeps for a client may not be out of proportion to what it sent. */
static void check_memory(struct http3_connection *c)
{
    const struct http3_limits *limits = &c->endpoint->options.session.limits;
    uint64_t fixed = HTTP3_CONNECTION_COST + limits->memory_slack;
    if (c->heap.held > fixed + limits->memory_share * c->bytes_in + c->most_in_flight)
        http3_connection_close_over_budget(c);
}

int http3_connection_receive(struct http3_connection *c, const struct http3_datagram *datagram)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info mark = {.ecn = datagram->ecn};
    if (c->phase >= HTTP3_CLOSING) {
        answer_late(c, datagram);
        return 0;
    }
    if (c->ending != HTTP3_STAYS || !http3_path_admits(c, datagram)) {
        c->endpoint->counts[HTTP3_DATAGRAMS_DROPPED]++;
        return 0;
    }
    http3_path_read(&path, &datagram->local, &datagram->remote);
    c->heard_at = http3_now(c->endpoint);
    c->bytes_in += datagram->bytes.size;
    http3_recovery_note(c);
    int result = ngtcp2_conn_read_pkt(c->conn, &path.path, &mark, datagram->bytes.data,
                                      datagram->bytes.size, http3_now(c->endpoint));
    http3_connection_fail(c, result);
    check_memory(c);
    http3_connection_wake(c);
    return result;
}

/* ---- ends: the deed ---- */

void http3_connection_forget(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    http3_handshake_leave(c);
    while (!list_is_empty(&c->routes))
        http3_table_remove(&e->table, LIST_ITEM(c->routes.next, struct http3_route, link));
    http3_deadlines_set(&e->deadlines, &c->deadline, CLOCK_NEVER);
    list_remove(&c->all);
    list_remove(&c->ready);
    if (c->phase >= HTTP3_CLOSING)
        e->closed--;
    else
        e->count--;
    if (c->phase == HTTP3_SHAKING)
        e->handshakes--;
    tls_session_free(c->tls);
    if (c->conn)
        ngtcp2_conn_del(c->conn);
    http3_qlog_end(c);
    memory_free(c->last);
    memory_free(c);
}

/* Sends CONNECTION_CLOSE and keeps it. False: nothing could be said. */
static bool say_goodbye(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    uint8_t datagram[NGTCP2_MAX_UDP_PAYLOAD_SIZE];
    ngtcp2_path_storage path;
    ngtcp2_pkt_info mark;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ssize size = ngtcp2_conn_write_connection_close(c->conn, &path.path, &mark, datagram,
                                                           sizeof(datagram), &c->why, http3_now(e));
    if (size <= 0)
        return false;
    struct http3_address local;
    http3_path_write(&local, &path.path.local);
    http3_path_write(&c->peer, &path.path.remote);
    http3_output_send(e, &local, &c->peer, span_of(datagram, (size_t)size));
    c->last = memory_new((size_t)size);
    if (c->last) {
        memcpy(c->last, datagram, (size_t)size);
        c->last_size = (size_t)size;
    }
    return c->last;
}

static void end_session(struct http3_connection *c)
{
    const struct http3_endpoint_host *host = &c->endpoint->options.host;
    if (c->session) {
        struct session *s = http3_connection_session(c);
        s->ops->abort(s, c->error);
        s->ops->free(s);
        c->session = NULL;
    }
    if (c->is_told)
        host->on_closed(host->host, c->front);
    c->is_told = false;
}

/* What is left answers late datagrams, or swallows them. */
static void become_closed(struct http3_connection *c, enum http3_phase phase)
{
    struct http3_endpoint *e = c->endpoint;
    nanoseconds until = http3_now(e) + END_TIMEOUTS * ngtcp2_conn_get_pto(c->conn);
    if (c->phase == HTTP3_SHAKING)
        e->handshakes--;
    c->phase = phase;
    e->count--;
    e->closed++;
    tls_session_free(c->tls);
    ngtcp2_conn_del(c->conn);
    http3_qlog_end(c);
    c->tls = NULL;
    c->conn = NULL;
    http3_deadlines_set(&e->deadlines, &c->deadline, until);
}

/* False: it is forgotten. */
static bool finish(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    enum http3_phase phase = HTTP3_DRAINING;
    if (c->phase == HTTP3_SHAKING)
        http3_handshake_failed(c);
    http3_handshake_leave(c);
    http3_recovery_end(c);
    end_session(c);
    if (c->ending == HTTP3_CLOSES && say_goodbye(c))
        phase = HTTP3_CLOSING;
    else if (c->ending != HTTP3_DRAINS)
        c->ending = HTTP3_VANISHES;
    if (c->ending == HTTP3_VANISHES || e->closed >= HTTP3_CLOSED_MAX) {
        http3_connection_forget(c);
        return false;
    }
    become_closed(c, phase);
    return true;
}

void http3_connection_finish(struct http3_connection *c)
{
    if (c->phase >= HTTP3_CLOSING || finish(c))
        http3_connection_forget(c);
}

/* ---- a turn ---- */

/* As much as may leave at once, RFC 9002 section 7.7. False: there is nothing more that may leave,
 * until something comes or is queued. */
static bool write(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    ngtcp2_conn_info state = http3_recovery_state(c);
    http3_path_watch(c, &state);
    size_t largest = http3_path_room(c);
    size_t quantum = http3_recovery_burst(c, &state, largest);
    size_t written = 0;
    bool has_more = true;
    while (has_more && written < quantum && c->ending == HTTP3_STAYS) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info mark;
        ngtcp2_path_storage_zero(&path);
        uint8_t *room = http3_output_room(e, largest);
        if (!room)
            break;
        ngtcp2_ssize size = http3_transport_write(c, &path.path, &mark, room, largest);
        if (size < 0)
            http3_connection_fail(c, (int)size);
        has_more = size > 0;
        if (has_more) {
            http3_output_add(e, (size_t)size, &path.path, mark.ecn);
            written += (size_t)size;
        }
    }
    http3_output_flush(e);
    if (e->output.is_blocked) /* go on when the socket does */
        http3_connection_wake(c);
    return has_more;
}

/* When to run again. The pace of what was sent now is a reason only for who has more to send; if
 * something comes up before, ngtcp2 refuses it once and then tells the time. Who waits for
 * acknowledgements has more too: ngtcp2 makes up for time that it was not run for, and if that was
 * all the time until they come, the next flight would leave at one moment. */
static nanoseconds next_run(const struct http3_connection *c, bool has_more)
{
    if (ngtcp2_conn_get_cwnd_left(c->conn) < http3_path_room(c))
        has_more = true;
    nanoseconds due = ngtcp2_conn_get_expiry(c->conn);
    ngtcp2_conn_update_pkt_tx_time(c->conn, http3_now(c->endpoint));
    return has_more ? ngtcp2_conn_get_expiry(c->conn) : due;
}

static bool run_closed(struct http3_connection *c)
{
    if (c->deadline.place)
        return true;
    http3_connection_forget(c);
    return false;
}

static void run_session(struct http3_connection *c)
{
    struct session *s = http3_connection_session(c);
    http3_transport_allow(c);
    if (s->wait != SESSION_FINISHED || c->ending != HTTP3_STAYS)
        return;
    ngtcp2_ccerr_set_application_error(&c->why, http3_session_close_code(c->session), NULL, 0);
    http3_connection_end(c, HTTP3_CLOSES, ROUTED_ERROR_CLOSED);
}

/* What ends an idle connection, at either side (RFC 9000 section 10.1); 0: nothing. */
static nanoseconds idle_time(const struct http3_connection *c)
{
    const ngtcp2_transport_params *remote = ngtcp2_conn_get_remote_transport_params(c->conn);
    nanoseconds theirs = remote ? remote->max_idle_timeout : 0;
    nanoseconds ours = ngtcp2_conn_get_local_transport_params(c->conn)->max_idle_timeout;
    return !theirs || (ours && ours < theirs) ? ours : theirs;
}

/* A connection that waits for its application, or carries a tunnel, is not idle. A client that is
 * gone answers no PING. */
static void keep_alive(struct http3_connection *c)
{
    enum session_wait wait = http3_connection_session(c)->wait;
    bool is_wanted = wait == SESSION_ANSWER || wait == SESSION_TUNNEL;
    if (is_wanted == c->is_kept_alive)
        return;
    nanoseconds idle = idle_time(c);
    c->is_kept_alive = is_wanted;
    ngtcp2_conn_set_keep_alive_timeout(c->conn, is_wanted && idle ? idle / 2 : CLOCK_NEVER);
}

/* A graceful end does not wait for a client that has stopped acknowledging. Asked at each of
 * ngtcp2's probes, which come while something is not acknowledged. */
static bool is_deserted(const struct http3_connection *c)
{
    return c->endpoint->is_shut && http3_now(c->endpoint) >= c->heard_at + DESERTED_AFTER &&
           http3_recovery_state(c).bytes_in_flight > 0;
}

bool http3_connection_run(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    bool has_more = false;
    if (c->phase >= HTTP3_CLOSING)
        return run_closed(c);
    if (c->ending == HTTP3_STAYS && ngtcp2_conn_get_expiry(c->conn) <= http3_now(e))
        http3_connection_fail(c, ngtcp2_conn_handle_expiry(c->conn, http3_now(e)));
    if (c->ending == HTTP3_STAYS && is_deserted(c))
        http3_connection_close(c, ROUTED_ERROR_STOPPING);
    if (c->session && c->ending == HTTP3_STAYS)
        http3_transport_allow(c);
    if (c->ending == HTTP3_STAYS)
        has_more = write(c);
    if (c->session)
        run_session(c);
    if (c->ending != HTTP3_STAYS)
        return finish(c);
    if (c->session)
        keep_alive(c);
    http3_path_settle(c);
    http3_deadlines_set(&e->deadlines, &c->deadline, next_run(c, has_more));
    if (c->is_told)
        e->options.host.on_turn(e->options.host.host, c->front);
    return true;
}

/* ---- questions ---- */

struct session *http3_connection_session(struct http3_connection *c)
{
    return http3_session_base(c->session);
}

const struct http3_address *http3_connection_peer(const struct http3_connection *c)
{
    return &c->peer;
}

const struct http_tls *http3_connection_tls(const struct http3_connection *c)
{
    return &c->agreed;
}

bool http3_connection_covers(const struct http3_connection *c, struct span authority)
{
    return tls_session_covers(c->tls, authority);
}

nanoseconds http3_connection_round_trip(const struct http3_connection *c)
{
    return c->conn ? http3_recovery_round_trip(c) : 0;
}
