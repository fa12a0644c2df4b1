/* http3/session.h: the HTTP/3 side (RFC 9114) of one QUIC connection, without I/O. nghttp3 is the
 * machine for QPACK, for the control stream, and for the frames and priorities of what is sent; the
 * frames of requests, meaning, limits and flow control are read and decided here. The client gets a
 * dynamic table of QPACK (RFC 9204), and its own is used for answers. The QUIC side,
 * http3/transport.c, brings bytes of streams and takes bytes of streams; it is the session's
 * `transport`.
 *
 * What it promises beyond exchange/session.h is what http2/session.h promises, in the words of
 * HTTP/3: a malformed request gets RESET_STREAM and STOP_SENDING with H3_MESSAGE_ERROR, content
 * that nobody wants H3_NO_ERROR by STOP_SENDING after the answer, a client's reset closes the
 * exchange with ROUTED_ERROR_CLIENT_GONE, WebSocket is extended CONNECT (RFC 9220) presented as the
 * GET of RFC 6455, shut sends GOAWAY twice (RFC 9114 section 5.2).
 *
 * In `struct session`, feed, feed_end, drain, drained are NULL: bytes belong to streams and pass by
 * the calls below. `wait`, `requests`, `bytes_in` hold as for every session; SESSION_FINISHED
 * means, after any call, that the connection is to be closed with http3_session_close_code. None of
 * the calls may be made from inside a callback of an application or host, but shut may. One thread.
 */
#ifndef HTTP3_SESSION_H
#define HTTP3_SESSION_H

#include "base/clock.h"
#include "base/spare.h"
#include "exchange/session.h"
#include "http3/limits.h"

struct http3_session;

/* What the QUIC connection does for its session. All only queue. */
struct http3_transport {
    /* A new unidirectional stream of ours: ROUTED_OK with *stream, or ROUTED_ERROR_AGAIN when the
     * client allows none, or ROUTED_ERROR_MEMORY. */
    int (*open_stream)(void *transport, int64_t *stream);
    /* The client may send that many bytes more on the stream (MAX_STREAM_DATA), and on the
     * connection (MAX_DATA). Everything that receive took is granted to the connection at once, so
     * that a stream whose application waits holds up no other; to the stream, a request's content
     * once the application took it, all else at once. Not called for streams that have ended. */
    void (*grant_stream)(void *transport, int64_t stream, size_t bytes);
    void (*grant_connection)(void *transport, size_t bytes);
    /* RESET_STREAM of our direction, STOP_SENDING of the client's, with an HTTP/3 error code. */
    void (*reset)(void *transport, int64_t stream, uint64_t code);
    void (*stop)(void *transport, int64_t stream, uint64_t code);
    void *transport;
};

/* What sessions count. */
enum http3_session_count {
    HTTP3_TABLE_INSERTS,      /* into dynamic tables of clients */
    HTTP3_TABLE_ERRORS,       /* encoder streams that broke a rule, or the table's limit */
    HTTP3_SECTIONS_BLOCKED,   /* field sections that had to wait for inserts */
    HTTP3_SECTIONS_OVER,      /* those beyond limits.blocked_max */
    HTTP3_ANSWER_INSERTS,     /* lines of answers that go into tables of clients */
    HTTP3_ANSWER_TABLES_FULL, /* tables that had no room for the next */
    HTTP3_SESSION_COUNT
};

struct http3_session_options {
    struct http3_limits limits;
    size_t response_window;  /* response bytes an application may have queued on one stream */
    const char *date;        /* HTTP_DATE_SIZE bytes that the owner rewrites each second, or NULL */
    const milliseconds *now; /* monotonic time that the owner rewrites each turn */
    uint64_t *counts;        /* HTTP3_SESSION_COUNT of them, that only grow; or NULL */
    struct spare *spare; /* blocks for the libraries; shared with others of the thread, or NULL */
};

/* `now` has no default. */
#define HTTP3_SESSION_OPTIONS_DEFAULT                                                              \
    ((struct http3_session_options){.limits = HTTP3_LIMITS_DEFAULT, .response_window = 262144})

/* NULL when there is no memory. `options` is shared by all sessions of a worker and outlives them;
 * `host` and `transport` are copied; `loop` is only handed to the exchanges. */
struct http3_session *http3_session_new(const struct http3_session_options *options,
                                        const struct session_host *host,
                                        const struct http3_transport *transport, struct loop *loop);
/* The session as the front's other rooms know it: it is its first member. */
struct session *http3_session_base(struct http3_session *s);

/* ---- what the QUIC connection tells. Calls that return an int: ROUTED_OK, or the connection must
 * be closed, with http3_session_close_code. ---- */

/* What comes now is early data (RFC 8446 section 2.3), or is no more: a request whose head arrives
 * in it gets 425 unless its method is safe, and is marked with "early-data: 1" (RFC 8470). */
void http3_session_set_early(struct http3_session *s, bool is_early);
/* The handshake is far enough that streams may be opened: control and QPACK streams, SETTINGS. */
int http3_session_start(struct http3_session *s);
/* Bytes of a stream, in order; `ends` with the FIN. Everything is taken (beyond the window the QUIC
 * side has refused it). The bytes are borrowed. */
int http3_session_receive(struct http3_session *s, int64_t stream, struct span bytes, bool ends);
/* RESET_STREAM came. */
int http3_session_stream_reset(struct http3_session *s, int64_t stream, uint64_t code);
/* STOP_SENDING came: nothing more can be sent on the stream. */
int http3_session_stream_stopped(struct http3_session *s, int64_t stream, uint64_t code);
/* The client may send on no direction of the stream any more and has acknowledged all of ours. */
int http3_session_stream_closed(struct http3_session *s, int64_t stream, uint64_t code);
/* So many bytes of the stream were acknowledged, in order: they can be freed. */
int http3_session_acknowledged(struct http3_session *s, int64_t stream, size_t bytes);
/* MAX_STREAM_DATA raised the stream's window after http3_session_blocked. */
void http3_session_unblocked(struct http3_session *s, int64_t stream);
/* How many request streams the client may have opened: a change since the last call is told by
 * MAX_STREAMS. Cumulative (RFC 9000 section 4.6). */
uint64_t http3_session_streams_allowed(const struct http3_session *s);

/* The next bytes to be sent: of *stream, at most `max` spans, *ends when the FIN follows them (then
 * no span may be left). Returns the count of spans; *stream is -1 when there is nothing. The spans
 * live until they are acknowledged (http3_session_acknowledged) or the stream is closed. */
size_t http3_session_next(struct http3_session *s, int64_t *stream, struct span *out, size_t max,
                          bool *ends);
/* So many bytes of what the latest next gave are in packets (0 with the FIN alone counts too). */
int http3_session_sent(struct http3_session *s, int64_t stream, size_t bytes);
/* The stream's own window is full: next gives others until http3_session_unblocked. */
void http3_session_blocked(struct http3_session *s, int64_t stream);
/* Instead of next while the connection's window is full: what the application did is seen to all
 * the same, and an end does not wait for a GOAWAY that cannot leave. */
void http3_session_stalled(struct http3_session *s);
/* Our direction is closed (reset, or stopped by the client): next gives it no more. */
void http3_session_closed_for_sending(struct http3_session *s, int64_t stream);

/* The application error code (RFC 9114 section 8.1) for CONNECTION_CLOSE: H3_NO_ERROR unless
 * something failed. */
uint64_t http3_session_close_code(const struct http3_session *s);

#endif
