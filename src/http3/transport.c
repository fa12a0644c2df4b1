/* Between ngtcp2 and the HTTP/3 session: what happens to streams is told to the session, what the
 * session queues is put into packets. */
#include "http3/inside.h"

#include <routed/error.h>

#define SPANS_MAX 16

/* What a callback of ngtcp2 returns for a result of the session. */
static int judge(struct http3_connection *c, int result)
{
    if (result == ROUTED_OK)
        return 0;
    ngtcp2_ccerr_set_application_error(&c->why, http3_session_close_code(c->session), NULL, 0);
    http3_connection_end(c, HTTP3_CLOSES, result);
    return NGTCP2_ERR_CALLBACK_FAILURE;
}

/* ngtcp2 tells of RESET_STREAM but not of STOP_SENDING, which it answers by itself. A stream that
 * closes with a code was stopped if it is not marked as told: neither reset by anybody, nor stopped
 * by us. */
static void mark_told(struct http3_connection *c, int64_t stream)
{
    ngtcp2_conn_set_stream_user_data(c->conn, stream, c);
}

/* ---- what the client did ---- */

static int on_data(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t offset,
                   const uint8_t *data, size_t size, void *user, void *stream_user)
{
    struct http3_connection *c = user;
    (void)conn;
    (void)offset;
    (void)stream_user;
    if (!c->session)
        return NGTCP2_ERR_CALLBACK_FAILURE;
    return judge(c, http3_session_receive(c->session, stream, span_of(data, size),
                                          flags & NGTCP2_STREAM_DATA_FLAG_FIN));
}

static int on_reset(ngtcp2_conn *conn, int64_t stream, uint64_t final_size, uint64_t code,
                    void *user, void *stream_user)
{
    struct http3_connection *c = user;
    (void)conn;
    (void)final_size;
    (void)stream_user;
    mark_told(c, stream);
    return c->session ? judge(c, http3_session_stream_reset(c->session, stream, code)) : 0;
}

static int on_close(ngtcp2_conn *conn, uint32_t flags, int64_t stream, uint64_t code, void *user,
                    void *stream_user)
{
    struct http3_connection *c = user;
    http3_recovery_stream_closed(c, stream);
    if (!ngtcp2_is_bidi_stream(stream) && !ngtcp2_conn_is_local_stream(conn, stream))
        ngtcp2_conn_extend_max_streams_uni(conn, 1);
    if (!c->session)
        return 0;
    bool has_code = flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET;
    int failed = has_code && !stream_user
                     ? judge(c, http3_session_stream_stopped(c->session, stream, code))
                     : 0;
    if (!has_code)
        code = error_entry(ROUTED_OK)->http3;
    return failed ? failed : judge(c, http3_session_stream_closed(c->session, stream, code));
}

static int on_acknowledged(ngtcp2_conn *conn, int64_t stream, uint64_t offset, uint64_t size,
                           void *user, void *stream_user)
{
    struct http3_connection *c = user;
    (void)conn;
    (void)offset;
    (void)stream_user;
    c->progress_at = http3_now(c->endpoint);
    return judge(c, http3_session_acknowledged(c->session, stream, (size_t)size));
}

static int on_window(ngtcp2_conn *conn, int64_t stream, uint64_t max, void *user, void *stream_user)
{
    struct http3_connection *c = user;
    (void)conn;
    (void)max;
    (void)stream_user;
    if (c->session)
        http3_session_unblocked(c->session, stream);
    return 0;
}

void http3_transport_callbacks(ngtcp2_callbacks *callbacks)
{
    callbacks->recv_stream_data = on_data;
    callbacks->stream_reset = on_reset;
    callbacks->stream_close = on_close;
    callbacks->acked_stream_data_offset = on_acknowledged;
    callbacks->extend_max_stream_data = on_window;
}

/* ---- what the session does ---- */

static int open_stream(void *transport, int64_t *stream)
{
    struct http3_connection *c = transport;
    switch (ngtcp2_conn_open_uni_stream(c->conn, stream, NULL)) {
    case 0:
        return ROUTED_OK;
    case NGTCP2_ERR_STREAM_ID_BLOCKED:
        return ROUTED_ERROR_AGAIN;
    default:
        return ROUTED_ERROR_MEMORY;
    }
}

/* Nothing but the lack of memory can go wrong: a stream that is gone needs nothing. */
static void check(struct http3_connection *c, int result)
{
    if (result == NGTCP2_ERR_NOMEM)
        http3_connection_fail(c, result);
    http3_connection_wake(c);
}

static void grant_stream(void *transport, int64_t stream, size_t bytes)
{
    struct http3_connection *c = transport;
    check(c, ngtcp2_conn_extend_max_stream_offset(c->conn, stream, bytes));
}

static void grant_connection(void *transport, size_t bytes)
{
    struct http3_connection *c = transport;
    ngtcp2_conn_extend_max_offset(c->conn, bytes);
    http3_connection_wake(c);
}

static void reset_stream(void *transport, int64_t stream, uint64_t code)
{
    struct http3_connection *c = transport;
    mark_told(c, stream);
    check(c, ngtcp2_conn_shutdown_stream_write(c->conn, 0, stream, code));
}

static void stop_stream(void *transport, int64_t stream, uint64_t code)
{
    struct http3_connection *c = transport;
    mark_told(c, stream);
    check(c, ngtcp2_conn_shutdown_stream_read(c->conn, 0, stream, code));
}

int http3_transport_start(struct http3_connection *c)
{
    struct http3_endpoint *e = c->endpoint;
    struct session_host host;
    struct http3_transport transport = {.open_stream = open_stream,
                                        .grant_stream = grant_stream,
                                        .grant_connection = grant_connection,
                                        .reset = reset_stream,
                                        .stop = stop_stream,
                                        .transport = c};
    http3_handshake_leave(c);
    int result = e->options.host.on_connection(e->options.host.host, c, &host);
    if (result != ROUTED_OK) {
        ngtcp2_ccerr_set_transport_error(&c->why, NGTCP2_CONNECTION_REFUSED, NULL, 0);
        http3_connection_end(c, HTTP3_CLOSES, result);
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    c->front = host.host;
    c->is_told = true;
    c->session = http3_session_new(&e->options.session, &host, &transport, e->options.loop);
    if (!c->session)
        return NGTCP2_ERR_NOMEM;
    result = http3_session_start(c->session);
    if (result == ROUTED_OK && e->is_shut)
        http3_connection_session(c)->ops->shut(http3_connection_session(c));
    e->options.host.on_turn(e->options.host.host, c->front);
    return judge(c, result);
}

void http3_transport_allow(struct http3_connection *c)
{
    uint64_t allowed = http3_session_streams_allowed(c->session);
    if (allowed == c->streams_told)
        return;
    ngtcp2_conn_extend_max_streams_bidi(c->conn, (size_t)(allowed - c->streams_told));
    c->streams_told = allowed;
}

/* ---- packets ---- */

/* What goes into the packet next. */
struct piece {
    int64_t stream;
    ngtcp2_vec parts[SPANS_MAX];
    size_t count;
    bool ends;
};

static void take_piece(struct http3_connection *c, struct piece *piece)
{
    struct span spans[SPANS_MAX];
    *piece = (struct piece){.stream = -1};
    if (!c->session)
        return;
    if (ngtcp2_conn_get_max_data_left(c->conn) == 0) {
        http3_session_stalled(c->session);
        return;
    }
    size_t count = http3_session_next(c->session, &piece->stream, spans, SPANS_MAX, &piece->ends);
    for (size_t i = 0; i < count; i++)
        if (spans[i].size)
            piece->parts[piece->count++] =
                (ngtcp2_vec){.base = (uint8_t *)(uintptr_t)spans[i].data, .len = spans[i].size};
}

/* The client stopped the stream: ngtcp2 tells it here first, when there is more to send. */
static int stop_sending(struct http3_connection *c, int64_t stream)
{
    mark_told(c, stream);
    http3_session_closed_for_sending(c->session, stream);
    return judge(c, http3_session_stream_stopped(c->session, stream,
                                                 error_entry(ROUTED_ERROR_CLIENT_GONE)->http3));
}

/* A packet was given up: 0 or its end, since ngtcp2 must not be left with half a packet. */
static ngtcp2_ssize close_packet(struct http3_connection *c, ngtcp2_path *path, ngtcp2_pkt_info *pi,
                                 uint8_t *out, size_t size)
{
    ngtcp2_ssize written = ngtcp2_conn_writev_stream(c->conn, path, pi, out, size, NULL, 0, -1,
                                                     NULL, 0, http3_now(c->endpoint));
    return written < 0 ? 0 : written;
}

ngtcp2_ssize http3_transport_write(struct http3_connection *c, ngtcp2_path *path,
                                   ngtcp2_pkt_info *pi, uint8_t *out, size_t size)
{
    for (;;) {
        struct piece piece;
        ngtcp2_ssize taken = -1;
        int failed = 0;
        take_piece(c, &piece);
        uint32_t flags =
            NGTCP2_WRITE_STREAM_FLAG_MORE | (piece.ends ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        ngtcp2_ssize result =
            ngtcp2_conn_writev_stream(c->conn, path, pi, out, size, &taken, flags, piece.stream,
                                      piece.parts, piece.count, http3_now(c->endpoint));
        if (taken >= 0)
            failed = judge(c, http3_session_sent(c->session, piece.stream, (size_t)taken));
        if (result >= 0)
            return result;
        if (result == NGTCP2_ERR_STREAM_DATA_BLOCKED)
            http3_session_blocked(c->session, piece.stream);
        else if (result == NGTCP2_ERR_STREAM_SHUT_WR || result == NGTCP2_ERR_STREAM_NOT_FOUND)
            failed = stop_sending(c, piece.stream);
        else if (result != NGTCP2_ERR_WRITE_MORE)
            return result;
        if (failed)
            return close_packet(c, path, pi, out, size);
    }
}
