/* routed/limits.h: every limit of the front, with its default.
 *
 * Zero means the default, ROUTED_NO_LIMIT means none. Times are milliseconds, sizes bytes. Each
 * limit has a counter of the same name under "limit." in the metrics: how often it was hit. Those
 * of what only paces a client stay 0: pipelined, rate_grace, window, http2_streams, http3_streams,
 * http3_stream_window and http3_connection_window. */
#ifndef ROUTED_LIMITS_H
#define ROUTED_LIMITS_H

#include <routed/export.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ROUTED_NO_LIMIT UINT64_MAX

typedef struct routed_limits {
    uint64_t size; /* sizeof(routed_limits): members past it keep their defaults */

    /* Connections. */
    uint64_t connections;             /* 10,000, and at most the descriptor limit less 64. At the
                                         limit the oldest idle connection goes; without one new
                                         clients wait in the kernel */
    uint64_t connections_per_address; /* 256; an IPv6 /64 counts as one address. More are closed */
    uint64_t memory;                  /* 1 GiB held by the library. From 85 % on new requests get
                                         503, from 95 % on no connection is accepted and idle ones
                                         are closed */
    uint64_t requests_per_connection; /* 10,000, then the connection closes gracefully */
    uint64_t connection_lifetime;     /* 1 hour, then it closes after the current request */

    /* Request heads (RFC 9112 sections 3 and 5). */
    uint64_t request_line; /* 8,192: more is 414 */
    uint64_t field_line;   /* 8,192 for one field: more is 431 */
    uint64_t fields_bytes; /* 32,768 for name + value + 32 of each, trailers included: 431 */
    uint64_t fields_count; /* 100, trailers included: 431 */

    /* Request content. */
    uint64_t content;          /* no limit; engines have their own per route: 413 */
    uint64_t chunk_extension;  /* 256 for one chunk: 400 */
    uint64_t chunk_extensions; /* 4,096 for one body: 400 */
    uint64_t chunk_overhead;   /* 102,400 of framing more than the content: 400 */
    uint64_t unread_content;   /* 65,536 of content that an early answer left unread is read to
                                  keep the connection; with more it closes */
    uint64_t pipelined;        /* 16 requests answered before other connections have a turn */

    /* Time. */
    uint64_t header_timeout; /* 10,000 from the first byte of a head to its last: 408 */
    uint64_t idle_timeout;   /* 60,000 between requests */
    uint64_t stall_timeout;  /* 30,000 without a byte in a body or of an answer */
    uint64_t rate;           /* 500 bytes a second at least, both ways, */
    uint64_t rate_grace;     /* after 20,000 */
    uint64_t linger_timeout; /* 1,000 for late input before a close, and for the rest of a handshake
                                and a first request when the server stops */

    /* The exchange. */
    uint64_t window; /* 262,144 bytes of content in flight, each way, for each exchange */

    /* The bridge. */
    uint64_t engine_connect_timeout;  /* 1,000 */
    uint64_t engine_answer_timeout;   /* 30,000 from the end of the request to the head: 504 */
    uint64_t engine_idle_timeout;     /* 30,000 between two pieces of an answer; not for tunnels */
    uint64_t engine_total_timeout;    /* no limit: the whole exchange; not for tunnels */
    uint64_t engine_connections;      /* 1,024 to each engine from each worker; fewer, and fewer
                                         connections, where descriptors do not suffice for all */
    uint64_t engine_idle_connections; /* 64 of them kept idle */
    uint64_t engine_idle_expiry;      /* 30,000, then an idle one is closed */
    uint64_t queue_requests;          /* 1,000 waiting for an engine, for each worker: 503 */
    uint64_t queue_timeout;           /* 5,000 of waiting: 503 with Retry-After */

    /* Stopping. */
    uint64_t drain_timeout; /* 30,000 for requests in flight, then they are cut */

    /* TLS. */
    uint64_t handshake_timeout; /* 10,000 from the first byte to the last of a handshake */
    uint64_t handshakes;        /* 200 under way in each worker; more wait in the kernel */

    /* HTTP/2 (RFC 9113). */
    uint64_t http2_streams;       /* 100 open at once: more are refused */
    uint64_t http2_idle_timeout;  /* 180,000 without a stream */
    uint64_t http2_fields_count;  /* 1,000: GOAWAY; from fields_count on the stream gets 431 */
    uint64_t http2_resets;        /* 1,000 at once, 33 a second: resets of either side */
    uint64_t http2_glitches;      /* 10,000 at once, 330 a second: odd but legal frames */
    uint64_t http2_continuations; /* 8 for one head */
    uint64_t http2_small_frames;  /* 25,600 DATA frames below 256 bytes */
    uint64_t http2_overhead;      /* 1 MiB of an eighth of all bytes over their content */

    /* HTTP/3 (RFC 9114) over QUIC (RFC 9000). */
    uint64_t http3_streams;           /* 100 requests open at once, as the client is told */
    uint64_t http3_stream_window;     /* 262,144 bytes of one request, and */
    uint64_t http3_connection_window; /* 1 MiB of all of a connection, not yet taken by us */
    uint64_t http3_idle_timeout;      /* 60,000 without a packet, or without a request */
    uint64_t http3_handshakes;        /* 1,000 under way in each worker: more are dropped */
    uint64_t http3_retry_from;        /* 100 of them: from then on a client must prove its address
                                         first (Retry); 1: always */
    uint64_t http3_fields_count;      /* as http2_fields_count: the connection closes */
    uint64_t http3_resets;            /* as http2_resets */
    uint64_t http3_glitches;          /* as http2_glitches */
    uint64_t http3_small_frames;      /* as http2_small_frames */
    uint64_t http3_forwards;          /* 1,024 datagrams on their way to each worker from others, */
    uint64_t http3_forward_bytes;     /* of 2 MiB together: more are dropped */
    uint64_t http3_table;             /* 4,096 bytes of QPACK's dynamic table for each client; below
                                         32, which the least entry takes: none (RFC 9204) */
    uint64_t http3_blocked_streams;   /* 16 requests of a connection that wait for the table: with
                                         more it closes */
    uint64_t http3_answer_table; /* 4,096 bytes of the client's table that answers use; below 32:
                                    none */

    /* Files of routed_serve_options.qlog. */
    uint64_t qlog_files; /* 1,000 in the life of a server */
    uint64_t qlog_bytes; /* 16 MiB in each */

    /* Long paths. */
    uint64_t http3_unacknowledged; /* 4 MiB of answers of a connection that are sent and kept until
                                      they are acknowledged: what follows waits */
    uint64_t upload_growth;        /* 4 MiB by which the windows of an HTTP/2 or HTTP/3 connection's
                                      uploads may grow, together, while all of it is taken at once */
} routed_limits;

/* All defaults: sets `size` and zeroes the rest. */
ROUTED_API void routed_limits_init(routed_limits *limits);

#ifdef __cplusplus
}
#endif

#endif
