/* http2/limits.h: how much of everything a client may send on one connection. What is exactly on
 * a limit is accepted.
 *
 * nghttp2 has few limits of its own; these are counted in this room. Next to each stands what
 * happens beyond it: a status on that stream, RST_STREAM, or the end of the connection by GOAWAY
 * (RFC 9113 section 7 names the codes). Every refusal is reported to the host with an error of
 * routed/error.h: ROUTED_ERROR_FIELDS_TOO_MANY and _FIELDS_TOO_LARGE for the fields,
 * ROUTED_ERROR_FIELD_TOO_LARGE, _TARGET_TOO_LONG and _CONTENT_TOO_LARGE as in HTTP/1,
 * ROUTED_ERROR_HTTP2_ for the budgets of the connection, ROUTED_ERROR_BUDGET for limits of
 * nghttp2's own and for answers that the client does not read. */
#ifndef HTTP2_LIMITS_H
#define HTTP2_LIMITS_H

#include "base/bucket.h"
#include "http/head.h"

struct http2_limits {
    /* Of one request. fields_bytes_max is told to the client as SETTINGS_MAX_HEADER_LIST_SIZE. */
    struct http_head_limits head;

    /* Told to the client in SETTINGS; beyond them its frames are errors (RFC 9113). */
    uint32_t streams_max;
    uint32_t stream_window;     /* bytes; at most this much content of each stream waits for an
                                 * application, streams_max times this on a connection, */
    uint32_t connection_window; /* bytes on their way; given back as they come */
    size_t upload_growth;       /* and this much more, see exchange/window.h */
    uint32_t frame_max;         /* bytes of a frame's payload */
    uint32_t compression_table; /* bytes of the HPACK table that the client fills */

    /* Of the connection. Beyond each: GOAWAY(ENHANCE_YOUR_CALM). */
    struct bucket_rate resets;     /* by the client, and by us because of what the client sent;
                                    * with three quarters used up GOAWAY asks for a new connection */
    struct bucket_rate glitches;   /* frames that are odd but legal: PING, SETTINGS, PRIORITY,
                                    * unknown types, empty DATA, WINDOW_UPDATE without need */
    struct bucket_rate small_data; /* DATA frames under small_data_below bytes, but for one for
                                    * each request and the last */
    uint32_t small_data_below;
    uint32_t continuations_max; /* CONTINUATION frames of one field block */
    uint32_t control_max;       /* frames that wait to be sent because the client does not read */
    uint32_t settings_max;      /* entries of one SETTINGS frame */
    /* Bytes / overhead_share may be overhead_slack more than what they carried both ways. */
    uint32_t overhead_share;
    uint64_t overhead_slack;
    /* A response that waits for the client's flow control: under send_rate bytes a second after
     * send_grace milliseconds it is cut with ROUTED_ERROR_TOO_SLOW. 0: it never is. */
    uint32_t send_rate;
    uint32_t send_grace;
    /* What the fields of all open requests take, in this room and in nghttp2, may be memory_share
     * times the bytes that came on the connection, and memory_slack more: 431 for the request that
     * is over. What an idle connection and each open stream cost whatever comes is not counted. */
    uint32_t memory_share;
    size_t memory_slack;
};

#define HTTP2_LIMITS_DEFAULT                                                                       \
    ((struct http2_limits){.head = HTTP_HEAD_LIMITS_DEFAULT,                                       \
                           .streams_max = 100,                                                     \
                           .stream_window = 65536,                                                 \
                           .connection_window = 1048576,                                           \
                           .upload_growth = 4194304,                                               \
                           .frame_max = 16384,                                                     \
                           .compression_table = 4096,                                              \
                           .resets = {1000, 33},                                                   \
                           .glitches = {10000, 330},                                               \
                           .small_data = {25600, 2560},                                            \
                           .small_data_below = 256,                                                \
                           .continuations_max = 8,                                                 \
                           .control_max = 1000,                                                    \
                           .settings_max = 32,                                                     \
                           .overhead_share = 8,                                                    \
                           .overhead_slack = 1048576,                                              \
                           .send_rate = 500,                                                       \
                           .send_grace = 20000,                                                    \
                           .memory_share = 10,                                                     \
                           .memory_slack = 65536})

#endif
