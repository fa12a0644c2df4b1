/* http2/session.h: one HTTP/2 connection (RFC 9113) as a struct session, without I/O. nghttp2 is
 * the machine for frames, HPACK, stream states and priorities (RFC 9218); meaning, limits and
 * flow control are decided here.
 *
 * What it promises beyond exchange/session.h:
 * - Each request becomes an exchange once its field block is complete and valid. A malformed one
 *   (RFC 9113 section 8.1.1) gets RST_STREAM(PROTOCOL_ERROR), a refusal of another kind the status
 *   of its error; neither reaches the application, the connection goes on.
 * - The client may send as much content as the application granted, plus one stream window that
 *   waits here. The connection's window is given back as content comes, so that streams that wait
 *   for their application do not hold up others.
 * - A failure before the response head is answered with the status of its error, after it by
 *   RST_STREAM. The end of a response before the end of its request is followed by
 *   RST_STREAM(NO_ERROR) (RFC 9113 section 8.1); on_close then says ROUTED_OK.
 * - RST_STREAM by the client closes the exchange at once with ROUTED_ERROR_CLIENT_GONE. on_close
 *   of a complete exchange comes when the last byte of its response was reported as written.
 * - Streams of equal urgency share the connection in turns unless the client asks for one after
 *   the other (priority field or PRIORITY_UPDATE).
 * - WebSocket (RFC 8441): CONNECT with ":protocol: websocket" is presented as the GET of RFC 6455,
 *   so that no application needs to know of two handshakes: request.upgrade is set, the method is
 *   GET, and sec-websocket-key has a constant value, for the field has no meaning here. The
 *   application's 101 becomes ":status: 200" without sec-websocket-accept. An answer without
 *   tunnel is passed on, but for 2xx, which would be taken for one: it fails with
 *   ROUTED_ERROR_UNSUPPORTED and the client gets 501, as for other protocols and plain CONNECT.
 * - shut sends GOAWAY twice when streams are open: first one that stops nothing, and once the
 *   client has answered a PING or a second has passed, one with the last stream that was taken.
 * - After the last answer, or an error of the connection, the session goes to SESSION_LINGER
 *   once everything is written, or to SESSION_FINISHED where the client ended its direction.
 * - SESSION_HEAD lasts from the beginning until the client's first SETTINGS are here, and while a
 *   field block is not complete. With several streams open `wait` tells what the most urgent of
 *   them waits for; SESSION_TUNNEL when all are tunnels.
 *
 * feed always takes everything. drain, drained, feed, feed_end, fail and abort may call back into
 * applications and the host; none of them may be called from there, but shut may. One thread. */
#ifndef HTTP2_SESSION_H
#define HTTP2_SESSION_H

#include "base/clock.h"
#include "exchange/session.h"
#include "http2/limits.h"

struct spare; /* base/spare.h */

struct http2_session_options {
    struct http2_limits limits;
    struct span scheme;      /* "http" or "https": what the transport is */
    size_t response_window;  /* response bytes an application may have queued on one stream */
    const char *date;        /* HTTP_DATE_SIZE bytes that the owner rewrites each second, or NULL */
    struct span alt_svc;     /* of answers that have no such field of their own; empty: none */
    const milliseconds *now; /* monotonic time that the owner rewrites each turn */
    struct spare *spare;     /* of the worker */
};

/* `now` and `spare` have no default. */
#define HTTP2_SESSION_OPTIONS_DEFAULT                                                              \
    ((struct http2_session_options){                                                               \
        .limits = HTTP2_LIMITS_DEFAULT, .scheme = SPAN("http"), .response_window = 262144})

/* NULL when there is no memory. `options` is shared by all sessions of a worker and outlives
 * them; `host` is copied; `loop` is only handed to the exchanges. */
struct session *http2_session_new(const struct http2_session_options *options,
                                  const struct session_host *host, struct loop *loop);

#endif
