/* http1/session.h: one HTTP/1.0 or HTTP/1.1 connection as a struct session, without I/O.
 *
 * What it promises beyond exchange/session.h:
 * - Requests are answered one after another. The next head is parsed when the response before it
 *   is queued to its end and the request before it is read; on_close of an exchange comes when
 *   the last byte of its response was reported as written.
 * - A request that breaks the grammar is refused after the answers already earned were queued;
 *   nothing behind it is parsed. A failure before the response head is answered with the status
 *   of its error; after the head the response is cut: no last chunk, a short body, or, where only
 *   the close would tell the end, session.reset.
 * - After exchange_end the application gets no more of the request. Up to linger_max bytes that
 *   are left of it are read and dropped to keep the connection; if more is left, the connection
 *   closes after the answer. on_close then says ROUTED_OK: the application chose to stop there.
 * - After the last response the session goes to SESSION_LINGER once everything is written (the
 *   connection ends its direction and keeps reading for a while), or to SESSION_FINISHED where
 *   the client had ended its own direction already.
 * - 101 makes a tunnel. Its end by the application ends the exchange once written.
 *
 * feed_end means that every byte read was offered to feed. It may come while feed still refuses
 * some of them; they are then fed as before, and the end counts once all are taken.
 * drain, drained, feed, feed_end, fail and abort may call back into applications and the host;
 * none of them may be called from there, but shut may. One thread. */
#ifndef HTTP1_SESSION_H
#define HTTP1_SESSION_H

#include "exchange/session.h"
#include "http1/limits.h"

struct http1_spare; /* http1/spare.h */

struct http1_session_options {
    struct http1_limits limits;
    struct span scheme;     /* "http" or "https": what the transport is */
    size_t pipeline_depth;  /* requests begun before their answers are written: then feed waits */
    size_t linger_max;      /* unread request bytes dropped after an early answer or a refusal */
    size_t response_window; /* response bytes an application may have queued */
    struct http1_spare *spare; /* of the worker */
    const char *date;    /* HTTP_DATE_SIZE bytes that the owner rewrites each second, or NULL */
    struct span alt_svc; /* of answers that have no such field of their own; empty: none */
    bool has_http2;      /* HTTP/2 may begin here too: a first line that has three words as its
                          * preface has, but no slash as every request line has, is a preface
                          * that is not valid (RFC 9113 section 3.4). The connection is closed
                          * without an answer, which would be one in the wrong protocol. */
};

#define HTTP1_SESSION_OPTIONS_DEFAULT                                                              \
    ((struct http1_session_options){.limits = HTTP1_LIMITS_DEFAULT,                                \
                                    .scheme = SPAN("http"),                                        \
                                    .pipeline_depth = 16,                                          \
                                    .linger_max = 65536,                                           \
                                    .response_window = 262144})

/* NULL when there is no memory. `options` is shared by all sessions of a worker and outlives
 * them; `host` is copied; `loop` is only handed to the exchanges. */
struct session *http1_session_new(const struct http1_session_options *options,
                                  const struct session_host *host, struct loop *loop);

#endif
